//! Gate: every board loads, so that a board that nobody built today is still one.

use super::Finding;
use super::tree::Tree;
use std::path::Path;

/// Loads every board of the tree.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    check_folder(&tree.root.join("board"), findings);
}

/// Loads every board of a folder.
fn check_folder(folder: &Path, findings: &mut Vec<Finding>) {
    let right = "a board that loads";
    match board::names(folder) {
        Ok(names) if names.is_empty() => {
            findings.push(Finding::new("board", 1, "there is no board", "one TOML file a board"));
        }
        Ok(names) => {
            for name in names {
                if let Err(error) = board::load(folder, &name) {
                    let path = format!("board/{name}.toml");
                    findings.push(Finding::new(&path, 1, error.to_string(), right));
                }
            }
        }
        Err(error) => findings.push(Finding::new("board", 1, error.to_string(), right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_that_does_not_load_is_found() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let found = || {
            let mut findings = Vec::new();
            check_folder(folder.path(), &mut findings);
            findings
        };
        assert_eq!(found().len(), 1, "a folder without boards");
        std::fs::write(folder.path().join("odd.toml"), "inherits = \"nothing\"\n")
            .expect("written");
        let findings = found();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].to_string().starts_with("board/odd.toml:1: "), "{findings:?}");
    }
}
