//! The files that the gates look at, read once. Build results and git's own folder are left out.

use super::source::Source;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that hold no source.
const LEFT_OUT: [&str; 4] = [".git", "target", "__pycache__", "node_modules"];

/// The tree with its files read.
pub struct Tree {
    /// Where the tree stands on this machine.
    pub root: PathBuf,
    /// Every path of the tree, from its root, sorted.
    pub paths: Vec<String>,
    /// Every Rust file.
    pub rust: Vec<Source>,
    /// Every Markdown file with its path.
    pub markdown: Vec<(String, String)>,
    /// Every `Cargo.toml` with its path.
    pub manifests: Vec<(String, String)>,
}

impl Tree {
    /// Reads the tree at `root`.
    ///
    /// # Errors
    /// The first folder that cannot be listed. A file that vanishes meanwhile is left out.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut paths = Vec::new();
        list(root, "", &mut paths)?;
        paths.sort_unstable();
        Ok(Tree::with_files(root, paths, |path| std::fs::read_to_string(root.join(path)).ok()))
    }

    /// A tree of the given paths, whose texts `read` gives.
    pub fn with_files(
        root: &Path,
        paths: Vec<String>,
        read: impl Fn(&str) -> Option<String>,
    ) -> Tree {
        let (mut rust, mut markdown, mut manifests) = (Vec::new(), Vec::new(), Vec::new());
        for path in &paths {
            let name = path.rsplit('/').next().unwrap_or(path);
            if !(name == "Cargo.toml" || name.ends_with(".rs") || name.ends_with(".md")) {
                continue;
            }
            let Some(text) = read(path) else { continue };
            if name.ends_with(".rs") {
                rust.push(Source::new(path, &text));
            } else if name.ends_with(".md") {
                markdown.push((path.clone(), text));
            } else {
                manifests.push((path.clone(), text));
            }
        }
        Tree { root: root.to_path_buf(), paths, rust, markdown, manifests }
    }

    /// Whether `path`, from the root and without `..`, is a file or a folder of the tree.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        path.is_empty()
            || self.paths.iter().any(|known| known == path || known.starts_with(&folder))
    }
}

/// Adds the files below `root/folder` to `paths`.
fn list(root: &Path, folder: &str, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
            list(root, &path, paths)?;
        } else if kind.is_file() {
            paths.push(path);
        }
    }
    Ok(())
}
