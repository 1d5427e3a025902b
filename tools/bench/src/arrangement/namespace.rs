//! Network namespaces with names of our own, so that a person can look inside while it runs and the
//! next run finds what a crash left.

use crate::BenchError;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// What every namespace of ours begins with.
const PREFIX: &str = "pbench-";
/// Looks for the end of a process, and the time between two.
const LOOKS: u32 = 250;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Settings of every namespace. A reverse path filter would judge what the forwarders judge
/// themselves; the range of ports is what a busy client has.
const SETTINGS: [(&str, &str); 5] = [
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/ip_local_port_range", "1024 65000"),
    ("net/ipv4/tcp_max_syn_backlog", "16384"),
    ("net/core/somaxconn", "16384"),
];

/// A namespace; it and what runs in it end when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Makes `pbench-NAME`.
    ///
    /// # Errors
    /// What `ip` said.
    pub fn new(name: &str) -> Result<Self, BenchError> {
        let name = format!("{PREFIX}{name}");
        run("ip", &["netns", "add", &name], "")?;
        let path = format!("/run/netns/{name}");
        let file = File::open(&path).map_err(BenchError::at(&path))?;
        let namespace = Self { name, file };
        for (setting, value) in SETTINGS {
            namespace.set(setting, value)?;
        }
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs something with this namespace as its world, in a thread of its own.
    ///
    /// # Panics
    /// Where `work` does.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, BenchError> {
        std::thread::scope(|scope| match scope.spawn(|| self.enter().map(|()| work())).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Starts a thread in this namespace. It must end before this is dropped.
    ///
    /// # Errors
    /// Where no descriptor is left.
    pub fn spawn(
        &self,
        work: impl FnOnce() -> Result<(), BenchError> + Send + 'static,
    ) -> Result<JoinHandle<Result<(), BenchError>>, BenchError> {
        let file = self.file.try_clone().map_err(BenchError::at(&self.name))?;
        let inside = Self { name: String::new(), file };
        // Dropping what has no name removes nothing.
        Ok(std::thread::spawn(move || inside.enter().and_then(|()| work())))
    }

    /// Makes this namespace the calling thread's for good.
    fn enter(&self) -> Result<(), BenchError> {
        let entered = setns(&self.file, CloneFlags::CLONE_NEWNET);
        entered.map_err(|error| BenchError::at(&self.name)(error.into()))
    }

    /// Gives `ip` several lines.
    ///
    /// # Errors
    /// What it said to the first that failed.
    pub fn ip(&self, lines: &str) -> Result<(), BenchError> {
        run("ip", &["-netns", &self.name, "-batch", "-"], lines).map(drop)
    }

    /// Runs a command inside and gives what it printed.
    ///
    /// # Errors
    /// What it said where it failed.
    pub fn command(&self, words: &[&str], input: &str) -> Result<String, BenchError> {
        let mut all = vec!["netns", "exec", &self.name];
        all.extend(words);
        run("ip", &all, input)
    }

    /// Writes a setting below /proc/sys.
    ///
    /// # Errors
    /// Where the kernel refuses it.
    pub fn set(&self, setting: &str, value: &str) -> Result<(), BenchError> {
        let path = format!("/proc/sys/{setting}");
        self.run(|| std::fs::write(&path, value))?.map_err(BenchError::at(&path))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // What cannot be removed now is removed at the next start.
            let _ = remove(&self.name);
        }
    }
}

/// Removes every namespace of ours that stands, with the processes in it.
///
/// # Errors
/// What `ip` said.
pub fn remove_all() -> Result<(), BenchError> {
    let listed = run("ip", &["netns", "list"], "")?;
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with(PREFIX)).try_for_each(remove)
}

/// Ends the processes of a namespace and removes it. Our own process is never among them: threads
/// that enter a namespace end before it does.
fn remove(name: &str) -> Result<(), BenchError> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    for _ in 0..LOOKS {
        let listed = run("ip", &["netns", "pids", name], "")?;
        let running = listed.lines().filter_map(|line| line.trim().parse().ok());
        let running: Vec<i32> = running.filter(|pid| *pid != own).collect();
        if running.is_empty() {
            break;
        }
        for pid in running {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        crate::clock::pause(BETWEEN_LOOKS);
    }
    run("ip", &["netns", "delete", name], "").map(drop)
}

/// Runs a command with an input and gives what it printed.
///
/// # Errors
/// The command and what it said.
pub fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, BenchError> {
    let failed = |said: &str| {
        BenchError::CannotMeasure(format!("{program} {}: {}", arguments.join(" "), said.trim()))
    };
    let output = || -> std::io::Result<_> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = output().map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stderr, output.stdout].concat();
    Err(failed(&String::from_utf8_lossy(&said)))
}
