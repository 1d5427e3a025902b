//! `cargo xtask sim`: whole clusters in simulated time, decided by seeds.

use crate::cargo;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs the simulator, built for speed, and tells it which commit it runs: a failure is named by
/// commit and seed.
///
/// # Errors
/// A sentence where cargo cannot be run.
pub fn run(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    let status = Command::new(cargo())
        .args(["run", "--quiet", "--profile", "sim", "--package", "portico-sim", "--"])
        .args(arguments)
        .env("PORTICO_COMMIT", commit(root))
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// The commit of the tree, with a plus sign if something was changed since.
fn commit(root: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(root).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "an unknown commit".to_owned();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_none_or(|changed| changed.is_empty()) { "" } else { "+" };
    format!("{commit}{mark}")
}
