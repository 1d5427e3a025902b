//! Which core does what.
//!
//! The load generator has the first core, the forwarder the last; whoever is not pinned runs where
//! the kernel puts it. On a machine with one core all are on that.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// A set of cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The core of the load generators.
    Load,
    /// The core of the forwarder.
    Forwarder,
}

impl Place {
    /// The number of the core.
    pub fn core(self) -> usize {
        let cores = cores();
        let core = match self {
            Self::Load => cores.first(),
            Self::Forwarder => cores.last(),
        };
        core.copied().unwrap_or(0)
    }
}

/// The cores that this process was given.
fn cores() -> Vec<usize> {
    // The thread that asks may be pinned; the process's first thread never is.
    let first = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or_default());
    let set = sched_getaffinity(first).unwrap_or_default();
    (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()
}

/// Pins the calling thread, and what it will start. Where that is refused it stays unpinned.
pub fn pin(place: Place) {
    pin_thread(0, place);
}

/// Pins another thread.
pub fn pin_thread(number: i32, place: Place) {
    let mut set = CpuSet::new();
    if set.set(place.core()).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(number), &set);
    }
}

/// The threads of a process: number and name.
pub fn threads(process: u32) -> Vec<(i32, String)> {
    let folder = format!("/proc/{process}/task");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let thread = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, name.trim().to_owned()))
    };
    entries.filter_map(thread).collect()
}
