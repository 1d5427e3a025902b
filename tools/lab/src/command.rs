//! Running commands of the host, with their failure as a sentence.

use crate::LabError;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The command as one would type it.
fn shown(program: &str, arguments: &[&str]) -> String {
    std::iter::once(program).chain(arguments.iter().copied()).collect::<Vec<_>>().join(" ")
}

/// This very program, which has the echo and its client built in, as a path to start it by. It
/// leads to the program that runs, even where its file has been built anew since.
pub fn this_program() -> String {
    format!("/proc/{}/exe", std::process::id())
}

/// Runs a command and gives what it printed.
///
/// # Errors
/// [`LabError::Command`] where it cannot start or fails.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, LabError> {
    finish(shown(program, arguments), Command::new(program).args(arguments).output())
}

/// Runs a command inside a namespace and gives what it printed.
///
/// # Errors
/// As [`run`].
pub fn run_in(namespace: &str, program: &str, arguments: &[&str]) -> Result<String, LabError> {
    let mut all = vec!["netns", "exec", namespace, program];
    all.extend(arguments);
    run("ip", &all)
}

/// Gives a command its input and waits for it.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(program: &str, arguments: &[&str], input: &str) -> Result<String, LabError> {
    let output = || -> std::io::Result<Output> {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    };
    finish(shown(program, arguments), output())
}

/// What a command printed, or how it failed.
fn finish(command: String, output: std::io::Result<Output>) -> Result<String, LabError> {
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said =
                if said.trim().is_empty() { output.status.to_string() } else { said.into_owned() };
            Err(LabError::Command { command, said })
        }
        Err(error) => Err(LabError::Command { command, said: error.to_string() }),
    }
}
