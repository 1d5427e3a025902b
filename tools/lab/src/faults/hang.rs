//! Stopping a single thread of a program, as a deadlock or a loop of its own would: all others go
//! on. A signal would stop the whole process, so the thread is traced for that time
//! (ptrace(2), `PTRACE_SEIZE`, `PTRACE_INTERRUPT`).

use crate::{LabError, clock, network};
use nix::sys::ptrace::{Options, detach, interrupt, seize};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::time::Duration;

/// Lets a thread of a namespace's program stand still for a while.
///
/// # Errors
/// [`LabError::Fault`] where there is no such thread, or it may not be traced.
pub fn hang(namespace: &str, thread: &str, time: Duration) -> Result<(), LabError> {
    let mut seen = Vec::new();
    for process in network::processes_in(namespace)? {
        for (number, name) in threads(process) {
            if name == thread {
                return stand_still(number, time)
                    .map_err(|errno| LabError::Fault(format!("stopping {thread}: {errno}")));
            }
            seen.push(name);
        }
    }
    let known = seen.join(", ");
    Err(LabError::Fault(format!("{namespace} has no thread {thread}; there are: {known}")))
}

/// The threads of a process with their names.
fn threads(process: i32) -> Vec<(Pid, String)> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let named = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((Pid::from_raw(number), name.trim().to_owned()))
    };
    tasks.filter_map(named).collect()
}

fn stand_still(thread: Pid, time: Duration) -> nix::Result<()> {
    // Should we end meanwhile, the kernel detaches it and it goes on.
    seize(thread, Options::empty())?;
    interrupt(thread)?;
    waitpid(thread, Some(WaitPidFlag::__WALL))?;
    clock::pause(time);
    detach(thread, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_a_process_have_names() {
        let own = i32::try_from(std::process::id()).expect("it fits");
        assert!(threads(own).iter().any(|(number, _)| number.as_raw() == own));
        assert_eq!(threads(i32::MAX), []);
    }
}
