//! Building the static binaries: one set of flags for everyone, so that nothing compiles twice and
//! the same source gives the same octets in any folder.
//!
//! Three things would differ between folders and machines and are taken out: the paths of this
//! workspace, of cargo's home and of the registry's copy in it (`--remap-path-prefix`), and the
//! linker's build id.
//!
//! Reading list: the rustc book on `--remap-path-prefix`, the cargo book on `--config`, `ld(1)`
//! (`--build-id`).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The one target there are boards for.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Why there is no binary.
#[derive(Debug)]
pub enum CargoError {
    /// cargo could not be run.
    Run(io::Error),
    /// It failed; what it said stands on standard error.
    Failed {
        /// What was to be built.
        what: String,
    },
    /// It succeeded, but named no such binary.
    NoBinary {
        /// What was to be built.
        what: String,
    },
    /// There is neither `CARGO_HOME` nor `HOME`, so that its paths could not be taken out.
    NoHome,
}

impl fmt::Display for CargoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(source) => write!(f, "cannot run cargo: {source}"),
            Self::Failed { what } => write!(f, "cargo could not build {what}; see above"),
            Self::NoBinary { what } => write!(f, "cargo built {what}, but named no binary"),
            Self::NoHome => write!(f, "neither CARGO_HOME nor HOME is set"),
        }
    }
}

impl std::error::Error for CargoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Run(source) => Some(source),
            Self::Failed { .. } | Self::NoBinary { .. } | Self::NoHome => None,
        }
    }
}

/// Builds the appliance's one binary in release mode and returns its path.
///
/// # Errors
/// [`CargoError`].
pub fn build_supervisor(workspace: &Path) -> Result<PathBuf, CargoError> {
    let name = "portico-supervisor";
    build(workspace, &["--package", name, "--bin", name], name)
}

/// Builds an example of a package with the same flags and returns its path.
///
/// # Errors
/// [`CargoError`].
pub fn build_example(workspace: &Path, package: &str, name: &str) -> Result<PathBuf, CargoError> {
    build(workspace, &["--package", package, "--example", name], name)
}

fn build(workspace: &Path, selection: &[&str], name: &str) -> Result<PathBuf, CargoError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let sources = registry_sources(workspace, &cargo)?;
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--release", "--message-format", "json-render-diagnostics"])
        .args(["--target", TARGET])
        .args(selection)
        .args(["--config", &flags(workspace, &cargo_home()?, &sources)])
        .stderr(Stdio::inherit())
        .output()
        .map_err(CargoError::Run)?;
    if !output.status.success() {
        return Err(CargoError::Failed { what: name.to_owned() });
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().find_map(|line| executable(line, name));
    executable.ok_or_else(|| CargoError::NoBinary { what: name.to_owned() })
}

/// The path in cargo's message about a finished binary of that name.
fn executable(message: &str, name: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let is_ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
    is_ours.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
}

/// The setting that adds our flags to those of `.cargo/config.toml` (cargo joins the lists).
fn flags(workspace: &Path, home: &Path, registry_sources: &[PathBuf]) -> String {
    // Of several that match, rustc takes the last: the narrower ones stand behind.
    let mut remaps = vec![(home.to_owned(), "/cargo"), (workspace.to_owned(), "/portico")];
    remaps.extend(registry_sources.iter().map(|path| (path.clone(), "/registry")));
    let mut flags = vec!["-C".to_owned(), "link-arg=-Wl,--build-id=none".to_owned()];
    for (from, to) in remaps {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    // A JSON list of strings is a TOML list of strings.
    format!("target.{TARGET}.rustflags={}", serde_json::Value::from(flags))
}

fn cargo_home() -> Result<PathBuf, CargoError> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .ok_or(CargoError::NoHome)
}

/// The folders with unpacked packages, one a registry, whose names differ from machine to machine.
fn registry_sources(workspace: &Path, cargo: &std::ffi::OsStr) -> Result<Vec<PathBuf>, CargoError> {
    let folder = cargo_home()?.join("registry/src");
    let list = || {
        let entries = std::fs::read_dir(&folder).into_iter().flatten();
        let mut paths: Vec<_> =
            entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        paths.sort();
        paths
    };
    let found = list();
    if !found.is_empty() {
        return Ok(found);
    }
    let fetched = Command::new(cargo).current_dir(workspace).arg("fetch").status();
    if !fetched.map_err(CargoError::Run)?.success() {
        return Err(CargoError::Failed { what: "the list of packages".to_owned() });
    }
    Ok(list())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_toml_and_the_narrower_path_stands_behind() {
        let sources = [PathBuf::from("/home/ann/.cargo/registry/src/x")];
        let setting = flags(Path::new("/a \"b\""), Path::new("/home/ann/.cargo"), &sources);
        let list = setting.strip_prefix("target.x86_64-unknown-linux-gnu.rustflags=").unwrap();
        let list: Vec<String> = serde_json::from_str(list).unwrap();
        assert_eq!(list[0..2], ["-C", "link-arg=-Wl,--build-id=none"]);
        assert_eq!(list[2], "--remap-path-prefix=/home/ann/.cargo=/cargo");
        assert_eq!(list[3], "--remap-path-prefix=/a \"b\"=/portico");
        assert_eq!(list[4], "--remap-path-prefix=/home/ann/.cargo/registry/src/x=/registry");
    }

    #[test]
    fn only_the_message_about_our_binary_gives_a_path() {
        let ours = r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":"/t/a"}"#;
        let library = r#"{"reason":"compiler-artifact","target":{"name":"a"},"executable":null}"#;
        assert_eq!(executable(ours, "a"), Some(PathBuf::from("/t/a")));
        assert_eq!(executable(ours, "b"), None);
        assert_eq!(executable(library, "a"), None);
        assert_eq!(executable("no json", "a"), None);
    }
}
