//! The gates that the tree enforces on itself (see STYLE.md). `cargo xtask tidy` runs them, and a
//! test does, so that they cannot be forgotten. Every finding says where, what, and what would be
//! right; each gate's own tests prove that it can fail.
//!
//! What the compiler and clippy check already (dead code, catch-all match arms, one unsafe
//! operation in a block) is not checked again here.

mod boards;
mod documents;
mod imports;
mod names;
mod safety;
mod sizes;
mod source;
mod tree;
mod words;

use std::fmt;
use std::path::Path;
use tree::Tree;

/// One place where the tree is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: usize,
    what: String,
    right: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, right: impl Into<String>) -> Finding {
        Finding { path: path.into(), line, what: what.into(), right: right.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}, {}", self.path, self.line, self.what, self.right)
    }
}

/// Runs every gate over the tree at `root`; the findings come sorted by place.
///
/// # Errors
/// Only where the tree cannot be listed.
pub fn run(root: &Path) -> std::io::Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let mut findings = Vec::new();
    imports::check(&tree, &mut findings);
    safety::check_unsafe(&tree, &mut findings);
    safety::check_exceptions(&tree, &mut findings);
    safety::check_promises(&tree, &mut findings);
    words::check(&tree, &mut findings);
    names::check(&tree, &mut findings);
    sizes::check(&tree, &mut findings);
    documents::check(&tree, &mut findings);
    boards::check(&tree, &mut findings);
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What one gate says about one file.
    pub fn found_in(gate: fn(&Tree, &mut Vec<Finding>), path: &str, text: &str) -> Vec<String> {
        let tree = Tree::with_files(Path::new("."), vec![path.into()], |_| Some(text.into()));
        let mut findings = Vec::new();
        gate(&tree, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_tree_is_tidy() {
        let findings = run(&crate::root()).expect("the tree can be listed");
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
    }
}
