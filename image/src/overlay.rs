//! Data files that go into every image as they are: the folder `rootfs-overlay/`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::archive::Archive;

/// Why a data file cannot be taken.
#[derive(Debug)]
pub enum OverlayError {
    /// It could not be read.
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is neither file nor folder.
    Kind {
        /// Its path.
        path: PathBuf,
    },
}

impl fmt::Display for OverlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Kind { path } => {
                write!(f, "{} is neither a file nor a folder", path.display())
            }
        }
    }
}

impl std::error::Error for OverlayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Kind { .. } => None,
        }
    }
}

/// Adds every file below the folder, readable by all and writable by root; the folder's own
/// `README.md`, which explains them, stays behind.
pub(crate) fn add(archive: &mut Archive, folder: &Path) -> Result<(), OverlayError> {
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        let unread = |source| OverlayError::Read { path: current.clone(), source };
        for entry in std::fs::read_dir(&current).map_err(unread)? {
            let entry = entry.map_err(unread)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(unread)?);
            let below = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            if kind.is_dir() {
                archive.directory(&below);
                folders.push(path);
            } else if !kind.is_file() {
                return Err(OverlayError::Kind { path });
            } else if below != "README.md" {
                let content = std::fs::read(&path)
                    .map_err(|source| OverlayError::Read { path: path.clone(), source })?;
                archive.file(&below, 0o644, content);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::list;

    #[test]
    fn files_are_taken_and_the_explanation_stays_behind() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc/deep")).unwrap();
        std::fs::write(folder.path().join("README.md"), "why").unwrap();
        std::fs::write(folder.path().join("etc/deep/README.md"), "data").unwrap();
        std::fs::write(folder.path().join("etc/os-release"), "ID=portico\n").unwrap();
        let mut archive = Archive::default();
        add(&mut archive, folder.path()).unwrap();
        let paths: Vec<_> = list(&archive.into_bytes()).into_iter().map(|entry| entry.0).collect();
        assert_eq!(paths, ["etc", "etc/deep", "etc/deep/README.md", "etc/os-release"]);
    }

    #[test]
    fn a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let error = add(&mut Archive::default(), folder.path()).expect_err("a link").to_string();
        assert!(error.contains("link is neither"), "{error}");
    }
}
