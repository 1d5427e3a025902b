//! Gate: imports go down only. The table of ARCHITECTURE.md as data, and the check of every
//! `Cargo.toml` against it.

use super::Finding;
use super::tree::Tree;

/// What one crate may import.
struct Row {
    /// Its folder from the root of the tree.
    folder: &'static str,
    /// Its layer, 0 lowest; `None` for crates of the host.
    layer: Option<u8>,
    /// The crates of this workspace it may import.
    workspace: &'static [&'static str],
    /// The crates from outside it may import; `None`: what fits.
    outside: Option<&'static [&'static str]>,
}

/// Who may import whom. A new crate gets a row here and in ARCHITECTURE.md.
const TABLE: &[Row] = &[
    firmware("firmware/base", 0, &[], &["arrayvec", "rand_core"]),
    firmware("firmware/model", 1, &["base"], &["arrayvec", "serde", "postcard", "toml"]),
    firmware("firmware/packet", 1, &["base"], &["arrayvec", "smoltcp"]),
    firmware("firmware/dataplane", 2, &["base", "model", "packet"], &["arrayvec"]),
    firmware(
        "firmware/cluster",
        2,
        &["base", "model"],
        &["chacha20poly1305", "hkdf", "postcard", "serde", "sha2"],
    ),
    firmware("firmware/health", 2, &["base", "model"], &["arrayvec"]),
    firmware("firmware/hoststack", 2, &["base", "model", "packet"], &["arrayvec", "smoltcp"]),
    firmware(
        "firmware/node",
        3,
        &["base", "model", "packet", "dataplane", "cluster", "health", "hoststack"],
        &["arrayvec"],
    ),
    firmware(
        "firmware/netio",
        4,
        &["base", "model", "packet"],
        &["arrayvec", "libc", "nix", "netlink-packet-core", "netlink-packet-route", "netlink-sys"],
    ),
    firmware("firmware/init", 4, &["base", "model"], &["libc", "nix"]),
    firmware("firmware/probe", 4, &["base", "model", "health", "hoststack"], &["arrayvec"]),
    firmware("firmware/console", 4, &["base", "model"], &["arrayvec", "embedded-io"]),
    firmware(
        "firmware/web",
        4,
        &["base", "model"],
        &[
            "bytes",
            "http-body-util",
            "hyper",
            "hyper-util",
            "rcgen",
            "rustls",
            "serde_json",
            "sha2",
            "tokio",
            "tokio-rustls",
        ],
    ),
    firmware(
        "firmware/supervisor",
        5,
        &[
            "base",
            "model",
            "packet",
            "dataplane",
            "cluster",
            "health",
            "hoststack",
            "node",
            "netio",
            "init",
            "probe",
            "console",
            "web",
        ],
        &["argon2", "arrayvec", "libc", "nix", "rtrb", "tokio"],
    ),
    host("firmware/fixtures", &["base", "model", "packet"]),
    host("firmware/fuzz", &["base", "model", "packet", "console", "web", "fixtures"]),
    host("firmware/fuzz/libfuzzer", &["fuzz"]),
    host("firmware/sim", &["base", "model", "dataplane", "cluster"]),
    host("board", &[]),
    host("image", &["board"]),
    host("qemu-tests", &["board", "image"]),
    host(
        "tools/bench",
        &[
            "base",
            "model",
            "packet",
            "dataplane",
            "node",
            "netio",
            "init",
            "fixtures",
            "board",
            "image",
            "lab",
            "qemu_tests",
        ],
    ),
    host("tools/lab", &["base", "model", "packet", "dataplane", "node", "netio"]),
    host("tools/portico", &["base", "model", "console"]),
    host("tools/replay", &["base", "model", "packet", "dataplane", "node"]),
    host("tools/xtask", &["board", "image", "lab", "qemu_tests"]),
];

/// What any crate may import for its tests, beside what it may import anyway.
const FOR_TESTS: [&str; 6] =
    ["fixtures", "proptest", "serde_json", "smoltcp", "stats_alloc", "tempfile"];

const fn firmware(
    folder: &'static str,
    layer: u8,
    workspace: &'static [&'static str],
    outside: &'static [&'static str],
) -> Row {
    Row { folder, layer: Some(layer), workspace, outside: Some(outside) }
}

const fn host(folder: &'static str, workspace: &'static [&'static str]) -> Row {
    Row { folder, layer: None, workspace, outside: None }
}

/// The name under which others import the crate of a row.
fn name(row: &Row) -> String {
    row.folder.rsplit('/').next().unwrap_or(row.folder).replace('-', "_")
}

/// Checks every manifest against the table.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in &tree.manifests {
        let Some(folder) = path.strip_suffix("/Cargo.toml") else { continue };
        let Some(row) = TABLE.iter().find(|row| row.folder == folder) else {
            findings.push(Finding::new(
                path,
                1,
                format!("the crate {folder} has no row in the import table"),
                "a row in tools/xtask/src/tidy/imports.rs and in ARCHITECTURE.md",
            ));
            continue;
        };
        match text.parse::<toml::Table>() {
            Ok(manifest) => check_manifest(tree, row, path, text, &manifest, findings),
            Err(error) => findings.push(Finding::new(
                path,
                1,
                format!("this is not TOML: {}", error.message()),
                "a manifest that cargo can read",
            )),
        }
    }
}

/// Checks every section of one manifest that names dependencies.
fn check_manifest(
    tree: &Tree,
    row: &Row,
    path: &str,
    text: &str,
    manifest: &toml::Table,
    findings: &mut Vec<Finding>,
) {
    for (section, for_tests) in
        [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
    {
        let Some(dependencies) = manifest.get(section).and_then(toml::Value::as_table) else {
            continue;
        };
        for dependency in dependencies.keys() {
            let line = line_of(text, section, dependency);
            if let Some((what, right)) = judge(row, dependency, for_tests) {
                findings.push(Finding::new(path, line, what, right));
            }
            if !is_used(tree, row, dependency) {
                findings.push(Finding::new(
                    path,
                    line,
                    format!("{dependency} is imported and never named in {}", row.folder),
                    "no dependency that is not used",
                ));
            }
        }
    }
}

/// What is wrong with a dependency and what would be right, or nothing.
fn judge(row: &Row, dependency: &str, for_tests: bool) -> Option<(String, String)> {
    if row.workspace.contains(&dependency) || (for_tests && FOR_TESTS.contains(&dependency)) {
        return None;
    }
    let own = name(row);
    if let Some(other) = TABLE.iter().find(|other| name(other) == dependency) {
        let what = match (row.layer, other.layer) {
            (Some(_), None) => format!("{own} is firmware and imports {dependency} of the host"),
            (Some(mine), Some(its)) if its > mine => {
                format!("{own} (layer {mine}) imports {dependency} (layer {its}): upwards")
            }
            (Some(mine), Some(its)) if its == mine => {
                format!("{own} imports {dependency} of its own layer {mine}")
            }
            (Some(_) | None, Some(_) | None) => format!("{own} imports {dependency}"),
        };
        let right = if row.workspace.is_empty() {
            "no crate of the workspace".to_owned()
        } else {
            format!("only {}", row.workspace.join(", "))
        };
        return Some((what, right));
    }
    match row.outside {
        Some(outside) if !outside.contains(&dependency) => Some((
            format!("{own} imports {dependency} from outside the workspace"),
            if outside.is_empty() {
                "nothing from outside".to_owned()
            } else {
                format!("only {}; or a reason, in the import table", outside.join(", "))
            },
        )),
        Some(_) | None => None,
    }
}

/// Whether a Rust file of the crate names the dependency.
fn is_used(tree: &Tree, row: &Row, dependency: &str) -> bool {
    let identifier = dependency.replace('-', "_");
    let folder = format!("{}/", row.folder);
    tree.rust
        .iter()
        .filter(|source| source.path.starts_with(&folder))
        .any(|source| !source.find(&identifier).is_empty())
}

/// The line on which a section names a dependency.
fn line_of(text: &str, section: &str, dependency: &str) -> usize {
    let header = format!("[{section}");
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.starts_with(&header);
        }
        let key = line.split(['.', '=', ' ']).next().unwrap_or_default();
        if (inside && key == dependency) || line == format!("[{section}.{dependency}]") {
            return number + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What the gate says about one crate with one manifest and one source file.
    fn findings(folder: &str, manifest: &str, source: &str) -> Vec<String> {
        let paths = vec![format!("{folder}/Cargo.toml"), format!("{folder}/src/lib.rs")];
        let tree = Tree::with_files(Path::new("."), paths, |path| {
            Some(if path.ends_with(".rs") { source } else { manifest }.to_owned())
        });
        let mut found = Vec::new();
        check(&tree, &mut found);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn imports_that_the_table_forbids_are_found() {
        let cases = [
            ("firmware/base", "model", "base (layer 0) imports model (layer 1): upwards"),
            ("firmware/health", "dataplane", "health imports dataplane of its own layer 2"),
            ("firmware/node", "netio", "node (layer 3) imports netio (layer 4): upwards"),
            ("firmware/node", "lab", "node is firmware and imports lab of the host"),
            ("firmware/dataplane", "libc", "dataplane imports libc from outside the workspace"),
            ("firmware/netio", "node", "netio imports node"),
            ("qemu-tests", "supervisor", "qemu_tests imports supervisor"),
        ];
        for (folder, dependency, what) in cases {
            let manifest = format!("[package]\n\n[dependencies]\n{dependency}.workspace = true\n");
            let found = findings(folder, &manifest, &format!("use {dependency}::x;"));
            assert_eq!(found.len(), 1, "{folder} {dependency}: {found:?}");
            assert!(found[0].starts_with(&format!("{folder}/Cargo.toml:4: {what}")), "{found:?}");
        }
    }

    #[test]
    fn imports_that_the_table_allows_pass() {
        let manifest = "[dependencies]\nbase.workspace = true\nsmoltcp = { workspace = true }\n\n\
                        [dev-dependencies]\nproptest.workspace = true\n";
        let source = "use base::Mac; use smoltcp::wire; use proptest::prelude;";
        assert_eq!(findings("firmware/packet", manifest, source), Vec::<String>::new());
    }

    #[test]
    fn a_test_dependency_is_no_dependency() {
        let found = findings("firmware/packet", "[dependencies]\nproptest = \"1\"\n", "proptest");
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn an_unused_dependency_and_an_unknown_crate_are_found() {
        let found = findings("firmware/packet", "[dependencies]\nbase.workspace = true\n", "");
        assert!(found[0].contains("base is imported and never named"), "{found:?}");
        let found = findings("firmware/gossip", "[package]\n", "");
        assert!(found[0].contains("has no row in the import table"), "{found:?}");
    }

    #[test]
    fn the_table_itself_goes_down_only() {
        for row in TABLE {
            let Some(layer) = row.layer else { continue };
            for import in row.workspace {
                let other = TABLE.iter().find(|other| name(other) == *import);
                let below = other.and_then(|other| other.layer).is_some_and(|its| its < layer);
                assert!(below, "{} may import {import}, which is not below it", row.folder);
            }
        }
    }
}
