//! The kernel's Debian package: which one, fetched through apt, unpacked. No root is needed.
//!
//! apt verifies what it fetches against the signed archive; here nothing is trusted but what it
//! has put in place under the final name.
//!
//! Reading list: `apt-cache(8)`, `apt-get(8)`, `dpkg-deb(1)`, `deb-control(5)`.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A kernel package on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelPackage {
    /// The package that holds the kernel, as in `linux-image-6.1.0-56-amd64`.
    pub name: String,
    /// Its version, as in `6.1.192-2`.
    pub version: String,
    /// The kernel's release, as `uname -r` prints it.
    pub release: String,
    /// The folder that it is unpacked in.
    pub root: PathBuf,
}

/// Why there is no kernel package.
#[derive(Debug)]
pub enum PackageError {
    /// A tool of Debian's is not installed.
    Tool {
        /// Its name.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// apt offers no such package.
    NotOffered {
        /// The package.
        name: String,
    },
    /// A tool failed.
    Failed {
        /// The command.
        command: String,
        /// What it printed as its error.
        what: String,
    },
    /// The cache could not be written or read.
    Cache {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The package holds no kernel where one is expected.
    NoKernel {
        /// The package's folder.
        root: PathBuf,
    },
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool { name, source } => write!(
                f,
                "cannot run {name}: {source}; the builder takes the kernel from Debian and needs \
                 a Debian system with apt and dpkg"
            ),
            Self::NotOffered { name } => write!(
                f,
                "apt offers no package {name}; `apt-get update` as root and a Debian source for \
                 amd64 would help"
            ),
            Self::Failed { command, what } => write!(f, "`{command}` failed: {what}"),
            Self::Cache { path, source } => {
                write!(f, "cannot use the cache at {}: {source}", path.display())
            }
            Self::NoKernel { root } => {
                write!(f, "the package in {} holds no boot/vmlinuz-*", root.display())
            }
        }
    }
}

impl std::error::Error for PackageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tool { source, .. } | Self::Cache { source, .. } => Some(source),
            Self::NotOffered { .. } | Self::Failed { .. } | Self::NoKernel { .. } => None,
        }
    }
}

impl KernelPackage {
    /// Finds the newest version that apt offers, fetches it unless the cache has it, unpacks it.
    ///
    /// `name` may be a meta package such as `linux-image-amd64`.
    ///
    /// # Errors
    /// [`PackageError`]; the cache holds whole files only, whatever happens.
    pub fn fetch(name: &str, cache: &Path) -> Result<Self, PackageError> {
        let (name, version) = resolve(name)?;
        // Debian's file names have the epoch's colon as %3a; kernel packages have no epoch.
        let root = cache.join(format!("{name}_{version}"));
        let _turn = lock(cache)?;
        if !root.is_dir() {
            let workshop = cache.join("fetching");
            // What a crash has left there must not be taken for fetched.
            let _ = std::fs::remove_dir_all(&workshop);
            let fetched = download(&name, &version, &workshop)
                .and_then(|package| unpack(&package, &workshop.join("tree"), &root));
            let _ = std::fs::remove_dir_all(&workshop);
            fetched?;
        }
        let release = find_release(&root)?;
        Ok(Self { name, version, release, root })
    }

    /// The compressed kernel.
    pub fn kernel(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// The folder of its modules.
    pub fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.release)
    }
}

/// Follows a meta package to the one that holds the kernel.
fn resolve(name: &str) -> Result<(String, String), PackageError> {
    let record = show(name)?;
    let depends = field(&record, "Depends").unwrap_or_default();
    let Some(target) = kernel_dependency(depends) else {
        let version = field(&record, "Version").unwrap_or_default();
        return Ok((name.to_owned(), version.to_owned()));
    };
    let record = show(target)?;
    let version = field(&record, "Version").unwrap_or_default();
    Ok((target.to_owned(), version.to_owned()))
}

/// The first dependency that is itself a kernel image.
fn kernel_dependency(depends: &str) -> Option<&str> {
    let names = depends.split(',').filter_map(|entry| entry.split_ascii_whitespace().next());
    names.into_iter().find(|name| name.starts_with("linux-image-"))
}

fn show(name: &str) -> Result<String, PackageError> {
    let mut command = Command::new("apt-cache");
    command.args(["show", "--no-all-versions", name]);
    let output = command.output().map_err(|source| tool("apt-cache", source))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || field(&text, "Version").is_none() {
        return Err(PackageError::NotOffered { name: name.to_owned() });
    }
    Ok(text)
}

/// The value of a one-line field in a control record.
fn field<'a>(record: &'a str, name: &str) -> Option<&'a str> {
    record.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// One fetch at a time; the others then find what they wanted.
fn lock(cache: &Path) -> Result<File, PackageError> {
    let path = cache.join("lock");
    let locked = std::fs::create_dir_all(cache)
        .and_then(|()| File::create(&path))
        .and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| PackageError::Cache { path, source })
}

/// apt writes into the folder it stands in.
fn download(name: &str, version: &str, folder: &Path) -> Result<PathBuf, PackageError> {
    let at = |source| PackageError::Cache { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(at)?;
    let mut command = Command::new("apt-get");
    command.args(["download", "-q", &format!("{name}={version}")]).current_dir(folder);
    run(command, "apt-get")?;
    let mut files = std::fs::read_dir(folder).map_err(at)?;
    let fetched = files.find_map(|entry| {
        let path = entry.ok()?.path();
        path.extension().is_some_and(|ending| ending == "deb").then_some(path)
    });
    fetched.ok_or_else(|| PackageError::Failed {
        command: format!("apt-get download {name}={version}"),
        what: "it left no .deb file".to_owned(),
    })
}

/// Unpacks beside the final place and then renames, so that a half-unpacked tree never counts.
fn unpack(package: &Path, fresh: &Path, root: &Path) -> Result<(), PackageError> {
    let mut command = Command::new("dpkg-deb");
    command.arg("-x").arg(package).arg(fresh);
    run(command, "dpkg-deb")?;
    std::fs::rename(fresh, root)
        .map_err(|source| PackageError::Cache { path: root.to_owned(), source })
}

fn run(mut command: Command, name: &'static str) -> Result<Output, PackageError> {
    let output = command.output().map_err(|source| tool(name, source))?;
    if output.status.success() {
        return Ok(output);
    }
    let what = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(PackageError::Failed { command: format!("{command:?}"), what })
}

fn tool(name: &'static str, source: io::Error) -> PackageError {
    PackageError::Tool { name, source }
}

fn find_release(root: &Path) -> Result<String, PackageError> {
    let folder = root.join("boot");
    let entries = std::fs::read_dir(&folder)
        .map_err(|source| PackageError::Cache { path: folder.clone(), source })?;
    let release = entries
        .filter_map(Result::ok)
        .find_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned()));
    release.ok_or_else(|| PackageError::NoKernel { root: root.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meta_package_leads_to_the_kernel_and_a_kernel_to_itself() {
        let cases = [
            ("linux-image-6.1.0-56-amd64 (= 6.1.192-2)", Some("linux-image-6.1.0-56-amd64")),
            ("kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | dracut", None),
            ("linux-base, linux-image-x (= 1) , kmod", Some("linux-image-x")),
            ("", None),
        ];
        for (depends, expected) in cases {
            assert_eq!(kernel_dependency(depends), expected, "{depends}");
        }
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let record = "Package: p\nVersion: 6.1.192-2\nInstalled-Version: no\nDepends: a, b\n";
        assert_eq!(field(record, "Version"), Some("6.1.192-2"));
        assert_eq!(field(record, "Depends"), Some("a, b"));
        assert_eq!(field(record, "Depend"), None);
    }

    #[test]
    fn what_fails_to_be_fetched_leaves_nothing_in_the_cache() {
        let cache = tempfile::tempdir().unwrap();
        let workshop = cache.path().join("workshop");
        download("linux-image-amd64", "0-never-released", &workshop).expect_err("no such version");
        let root = cache.path().join("root");
        let package = cache.path().join("broken.deb");
        std::fs::write(&package, "no package").unwrap();
        unpack(&package, &workshop.join("tree"), &root).expect_err("no package");
        assert!(!root.exists(), "nothing that looks like an unpacked package");
    }

    #[test]
    fn a_package_that_apt_does_not_offer_is_named_with_what_would_help() {
        let error = resolve("linux-image-portico-has-no-such").expect_err("not offered");
        let text = error.to_string();
        assert!(text.contains("linux-image-portico-has-no-such"), "{text}");
        assert!(text.contains("apt-get update") || text.contains("needs"), "{text}");
    }
}
