//! `cargo xtask test`: every check in order, the cheapest first, with the time each one took.

use crate::{cargo, packages, privilege};
use lab::clock;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// One check: what it is called, the cargo command that is it, and what it wants to be set.
struct Phase {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const fn phase(name: &'static str, arguments: &'static [&'static str]) -> Phase {
    Phase { name, arguments, environment: &[] }
}

/// What every change must pass: at most a quarter of an hour on two cores.
const ALWAYS: &[Phase] = &[
    phase("format", &["fmt", "--all", "--check"]),
    phase("tidy", &["run", "--quiet", "--package", "xtask", "--", "tidy"]),
    phase(
        "clippy",
        &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"],
    ),
    phase("tests", &["test", "--quiet", "--workspace", "--no-fail-fast"]),
    phase("simulator", &["run", "--quiet", "--package", "xtask", "--", "sim", "--seeds", "0..100"]),
    phase("lab scenario", &["run", "--quiet", "--package", "xtask", "--", "lab-scenario"]),
    phase(
        "QEMU scenario",
        &["run", "--quiet", "--package", "xtask", "--", "demo", "--check", "--one"],
    ),
];

/// What `--all` adds.
const ALSO: &[Phase] = &[
    Phase {
        name: "documentation",
        arguments: &["doc", "--quiet", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "--deny warnings")],
    },
    phase(
        "long tests",
        &["test", "--quiet", "--workspace", "--release", "--no-fail-fast", "--", "--ignored"],
    ),
    phase("fuzz", &["run", "--quiet", "--package", "xtask", "--", "fuzz"]),
    phase("QEMU cluster", &["run", "--quiet", "--package", "xtask", "--", "demo", "--check"]),
    phase("browser", &["run", "--quiet", "--package", "xtask", "--", "browser-test"]),
    phase("rack image", &["run", "--quiet", "--package", "xtask", "--", "image", "rack-x86_64"]),
];

/// Runs every phase, even after one failed, and prints a summary.
///
/// # Errors
/// A sentence where programs are missing or a phase could not even be started.
pub fn run(root: &Path, all: bool) -> Result<ExitCode, String> {
    privilege::check()?;
    let mut lists = vec![packages::LAB, packages::IMAGE, packages::QEMU];
    if all {
        lists.extend([packages::BROWSER, packages::FUZZ]);
    }
    packages::need(&lists).map_err(|missing| missing.to_string())?;
    let mut results = Vec::new();
    for phase in ALWAYS.iter().chain(ALSO.iter().filter(|_| all)) {
        println!("== {}: cargo {}", phase.name, phase.arguments.join(" "));
        let start = clock::now();
        let status = Command::new(cargo())
            .args(phase.arguments)
            .envs(phase.environment.iter().copied())
            .current_dir(root)
            .status()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        results.push((phase.name, status.success(), clock::now().duration_since(start)));
    }
    println!("{}", summary(&results));
    let failed = results.iter().any(|(_, passed, _)| !passed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One line a phase, and the count alone on the last line.
fn summary(results: &[(&str, bool, Duration)]) -> String {
    let mut text = String::from("\n");
    for (name, passed, took) in results {
        let verdict = if *passed { "passed" } else { "FAILED" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<24} {verdict}  {:6.1} s", took.as_secs_f64());
    }
    let failed = results.iter().filter(|(_, passed, _)| !passed).count();
    let _ = write!(text, "{} passed, {failed} failed", results.len() - failed);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_ends_with_the_count_alone() {
        let second = Duration::from_secs(1);
        let text = summary(&[("format", true, second), ("tests", false, second)]);
        assert!(text.contains("tests                    FAILED     1.0 s"), "{text}");
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed"));
    }
}
