//! A forwarder or server that runs as a process of its own in a namespace.

use super::affinity::{Place, pin, threads};
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

    /// It and the processes that it started.
    fn family(&self) -> impl Iterator<Item = u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let children: Vec<u32> =
            children.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        children.into_iter().chain([self.id()])
    }

    /// Time on processors so far, of all threads of the process and of its children's.
    pub fn cpu_time(&self) -> Option<Duration> {
        let total: Duration = self.family().filter_map(cpu_time).sum();
        (total > Duration::ZERO).then_some(total)
    }

    /// Memory in hand, of it and its children, in octets (proc(5), `VmRSS`).
    pub fn resident(&self) -> Option<u64> {
        let one = |process: u32| -> Option<u64> {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let kilo: u64 = self.family().filter_map(one).sum();
        (kilo > 0).then_some(kilo << 10)
    }
}

/// Time on processors so far, of all threads of a process: the first field of
/// `/proc/PID/task/TID/schedstat`, in nanoseconds (the kernel's
/// `Documentation/scheduler/sched-stats.rst`).
pub fn cpu_time(process: u32) -> Option<Duration> {
    let mut total = Duration::ZERO;
    for (thread, _) in threads(process) {
        let path = format!("/proc/{process}/task/{thread}/schedstat");
        // A thread that has ended meanwhile has none.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        total += Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?);
    }
    (total > Duration::ZERO).then_some(total)
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
