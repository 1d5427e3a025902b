//! `cargo xtask bench`: sees to the peers' packages, root, and release builds of what is measured
//! and of what measures; then hands on to the bench tool.

use crate::{artifacts, cargo, packages, privilege};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What the bench tool is called.
const TOOL: &str = "portico-bench";

/// Builds everything as who we are, and measures as root.
///
/// # Errors
/// A sentence.
pub fn run(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    let only_help = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
    if !only_help {
        privilege::check()?;
        let needed = [packages::LAB, packages::BENCH, packages::IMAGE, packages::QEMU];
        packages::need(&needed).map_err(|missing| missing.to_string())?;
    }
    let built = Command::new(cargo())
        .args(["build", "--quiet", "--release", "--package", TOOL, "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .status();
    if !built.map_err(|error| format!("cargo cannot be run: {error}"))?.success() {
        return Err(format!("{TOOL} does not build"));
    }
    let tool = beside_us()?;
    let mut command = if only_help {
        Command::new(&tool)
    } else {
        let supervisor = artifacts::supervisor(root)?;
        let mut command = privilege::command(&tool.to_string_lossy())
            .ok_or("sudo let us in and then did not; run the same command as root")?;
        command.arg("--supervisor").arg(supervisor).arg("--root").arg(root);
        command
    };
    let status = command.args(arguments).status();
    let status = status.map_err(|error| format!("{} cannot be run: {error}", tool.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Where cargo puts what it builds for release: beside the folder of this program.
fn beside_us() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("our own path: {error}"))?;
    let folder = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    Ok(folder.join("release").join(TOOL))
}
