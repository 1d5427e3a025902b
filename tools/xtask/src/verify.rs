//! `cargo xtask test`: every check in order, the cheapest first, with the time each one took.

use crate::cargo;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// One check: what it is called and the cargo command that is it.
struct Phase {
    name: &'static str,
    arguments: &'static [&'static str],
}

const PHASES: &[Phase] = &[
    Phase { name: "format", arguments: &["fmt", "--all", "--check"] },
    Phase { name: "tidy", arguments: &["run", "--quiet", "--package", "xtask", "--", "tidy"] },
    Phase {
        name: "clippy",
        arguments: &[
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
    },
    Phase { name: "tests", arguments: &["test", "--quiet", "--workspace", "--no-fail-fast"] },
    Phase {
        name: "lab scenario",
        arguments: &["run", "--quiet", "--package", "xtask", "--", "lab-scenario"],
    },
    Phase {
        name: "QEMU scenario",
        arguments: &["run", "--quiet", "--package", "xtask", "--", "demo", "--check"],
    },
];

/// Runs every phase, even after one failed, and prints a summary.
///
/// # Errors
/// A sentence where a phase could not even be started.
pub fn run(root: &Path, _all: bool) -> Result<ExitCode, String> {
    let mut results = Vec::new();
    for phase in PHASES {
        println!("== {}", phase.name);
        let start = now();
        let status = Command::new(cargo())
            .args(phase.arguments)
            .current_dir(root)
            .status()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        results.push((phase.name, status.success(), now().duration_since(start)));
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

/// The host's clock.
#[expect(clippy::disallowed_methods, reason = "a host tool tells people how long things take")]
fn now() -> Instant {
    Instant::now()
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
