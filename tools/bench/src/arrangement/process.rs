//! A forwarder or server that runs as a process of its own in a namespace.

use super::affinity::{Place, pin};
use super::namespace::Namespace;
use crate::{BenchError, clock};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a process gets until it serves.
const READY: Duration = Duration::from_secs(30);
/// Time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program inside a namespace, pinned where `place` says so, with its output in `log`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(
        namespace: &Namespace,
        program: &Path,
        arguments: &[&str],
        log: &Path,
        place: Option<Place>,
    ) -> Result<Self, BenchError> {
        let output = File::create(log).map_err(BenchError::at(log.display()))?;
        let errors = output.try_clone().map_err(BenchError::at(log.display()))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(errors);
        let spawned = namespace.run(move || {
            if let Some(place) = place {
                pin(place);
            }
            command.spawn()
        })?;
        let child = spawned.map_err(BenchError::at(program.display()))?;
        Ok(Self { child, log: log.to_path_buf() })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// With the end of the log, where the process ended or the time is up.
    pub fn wait_for(
        &mut self,
        what: &str,
        mut look: impl FnMut(&Self) -> bool,
    ) -> Result<(), BenchError> {
        let end = clock::now() + READY;
        loop {
            let last = clock::now() >= end;
            if look(self) {
                return Ok(());
            }
            let ended = self.child.try_wait().ok().flatten();
            if last || ended.is_some() {
                let why = ended.map_or("not in time".to_owned(), |status| status.to_string());
                let log = self.log();
                let tail: Vec<&str> = log.lines().rev().take(8).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                let said = format!("{what}: {why}; its log ends\n{}", tail.join("\n"));
                return Err(BenchError::CannotMeasure(said));
            }
            clock::pause(BETWEEN_LOOKS);
        }
    }

    /// Time on processors so far, of all its threads: fields 14 and 15 of `/proc/PID/stat`, in
    /// ticks of which there are a hundred a second (proc(5)).
    pub fn processor_time(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_millis((user + system) * 10))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
