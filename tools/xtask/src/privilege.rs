//! Root, where a verb needs it: to install packages and to make network namespaces.

use crate::packages::is_installed;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, ExitCode};

/// Whether we are root: `/proc/self` belongs to whom the process acts as.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// A command that will run as root; nothing where we may not become it without a password.
pub fn command(program: &str) -> Option<Command> {
    if is_root() {
        return Some(Command::new(program));
    }
    let sudo = || Command::new("sudo");
    let works = is_installed("sudo")
        && sudo().args(["-n", "true"]).output().is_ok_and(|output| output.status.success());
    works.then(|| {
        let mut command = sudo();
        command.args(["-n", program]);
        command
    })
}

/// Finds out whether root is within reach, before long work is done for nothing.
///
/// # Errors
/// A sentence where it is not.
pub fn check() -> Result<(), String> {
    match command("true") {
        Some(_) => Ok(()),
        None => Err("network namespaces need root, and sudo wants a password or is not there; \
                     run the same command as root"
            .into()),
    }
}

/// What the running program must know again when it is started as root.
const KEPT: [&str; 5] = ["PATH", "HOME", "CARGO", "CARGO_HOME", "CARGO_MANIFEST_DIR"];

/// Starts this program again as root with the same arguments and `more`, and waits for it; nothing
/// where we are root already.
///
/// # Errors
/// A sentence where we may not become root.
pub fn again_as_root(more: &[&str]) -> Result<Option<ExitCode>, String> {
    if is_root() {
        return Ok(None);
    }
    check()?;
    let mut command = command("env").ok_or("sudo let us in and then did not")?;
    for name in KEPT {
        if let Ok(value) = std::env::var(name) {
            command.arg(format!("{name}={value}"));
        }
    }
    let program = std::env::current_exe().map_err(|error| format!("our own path: {error}"))?;
    command.arg(program).args(std::env::args_os().skip(1)).args(more);
    let status = command.status().map_err(|error| format!("sudo cannot be run: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(Some(ExitCode::from(code)))
}
