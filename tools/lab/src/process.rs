//! Processes of the lab that run on when the verb that started them has ended. Each has a log and
//! a record `NAME.pid`, which holds its number and its start time: a number alone may belong to a
//! stranger by now.

use crate::LabError;
use crate::place::Place;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A process of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its name, `node1` or `server1-nginx`.
    pub name: String,
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    start: u64,
}

impl Process {
    /// Starts a command inside a namespace, away from the terminal, with its output in the log of
    /// that name, and records it.
    ///
    /// # Errors
    /// [`LabError::File`], [`LabError::Command`] where it cannot start.
    pub fn start(
        place: &Place,
        name: &str,
        namespace: &str,
        program: &Path,
        arguments: &[&str],
    ) -> Result<Process, LabError> {
        let log = place.log(name);
        let output = File::create(&log).map_err(LabError::file(&log))?;
        let errors = output.try_clone().map_err(LabError::file(&log))?;
        // A session of its own: the end of the terminal is not the end of the lab. Both programs
        // replace themselves, so the number of the child is the number of the process.
        let child = Command::new("setsid")
            .args(["ip", "netns", "exec", namespace])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let failed = |said: String| LabError::Command {
            command: format!("{} {}", program.display(), arguments.join(" ")),
            said,
        };
        let child = child.map_err(|error| failed(error.to_string()))?;
        let pid = i32::try_from(child.id()).map_err(|error| failed(error.to_string()))?;
        let start = start_time(pid).ok_or_else(|| failed("it ended at once".into()))?;
        let process = Process { name: name.into(), pid, start };
        let record = record(place, name);
        std::fs::write(&record, format!("{pid} {start}\n")).map_err(LabError::file(&record))?;
        Ok(process)
    }

    /// The recorded process of that name, if it still runs.
    pub fn find(place: &Place, name: &str) -> Option<Process> {
        let text = std::fs::read_to_string(record(place, name)).ok()?;
        let (pid, start) = text.trim().split_once(' ')?;
        let process =
            Process { name: name.into(), pid: pid.parse().ok()?, start: start.parse().ok()? };
        process.is_running().then_some(process)
    }

    /// Whether it still runs and is not a stranger with its number.
    pub fn is_running(&self) -> bool {
        start_time(self.pid) == Some(self.start)
    }

    /// Kills it and its children at once, as a crash would; `false` where it has ended already.
    /// It leads a session of its own, so its group is it and what it started.
    pub fn kill(&self) -> bool {
        self.is_running() && killpg(Pid::from_raw(self.pid), Signal::SIGKILL).is_ok()
    }
}

/// Where the record of a process is.
fn record(place: &Place, name: &str) -> PathBuf {
    place.folder.join(format!("{name}.pid"))
}

/// When a running process started, in clock ticks since boot: field 22 of `/proc/PID/stat`
/// (proc(5)). Nothing for one that has ended, even where nobody has waited for it yet.
fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The last lines of a log.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_no_proof_of_identity() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let place = Place::named(folder.path(), "test");
        std::fs::create_dir_all(&place.folder).expect("made");
        let own = i32::try_from(std::process::id()).expect("it fits");
        let start = start_time(own).expect("we run");
        let record = record(&place, "x");
        for (text, found) in [
            (format!("{own} {start}\n"), true),
            (format!("{own} {}\n", start + 1), false),
            (format!("{} {start}\n", i32::MAX), false),
            ("".into(), false),
            ("x y".into(), false),
        ] {
            std::fs::write(&record, &text).expect("written");
            assert_eq!(Process::find(&place, "x").is_some(), found, "{text}");
        }
        assert_eq!(Process::find(&place, "y"), None);
    }

    #[test]
    fn a_process_that_ended_does_not_run() {
        let mut child = Command::new("true").spawn().expect("it starts");
        let pid = i32::try_from(child.id()).expect("it fits");
        child.wait().expect("it ends");
        assert_eq!(start_time(pid), None);
    }
}
