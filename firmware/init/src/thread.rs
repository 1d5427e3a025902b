//! Where a thread runs and before whom.
//!
//! Reading list: `sched(7)`, `sched_setaffinity(2)`, `sched_setscheduler(2)`.

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::sys::scheduler;

/// The kernel's name for "the calling thread".
const SELF: Pid = Pid::from_raw(0);

/// The numbers of the cores that this process may use, ascending.
///
/// # Errors
/// The kernel's, on a machine with more cores than a [`CpuSet`] holds (1024).
pub fn cores() -> Result<Vec<usize>, Errno> {
    let set = sched_getaffinity(SELF)?;
    Ok((0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false)).collect())
}

/// Whether the calling thread may run on one core only.
pub fn is_on_one_core() -> bool {
    let of = |set: CpuSet| {
        (0..CpuSet::count()).filter(|&core| set.is_set(core).unwrap_or(false)).count()
    };
    sched_getaffinity(SELF).is_ok_and(|set| of(set) == 1)
}

/// Keeps the calling thread on one core.
///
/// # Errors
/// `EINVAL` if there is no such core or it may not be used.
pub fn pin(core: usize) -> Result<(), Errno> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(SELF, &set)
}

/// How the scheduler treats a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// SCHED_FIFO: runs before every normal thread until it sleeps; 1 (lowest) to 99.
    RealTime(u8),
    /// SCHED_OTHER: shares the time that is left.
    Normal,
    /// SCHED_IDLE: runs when nobody else would.
    Idle,
}

/// Gives the calling thread a priority.
///
/// # Errors
/// `EINVAL` for a real-time priority outside 1 to 99, `EPERM` without CAP_SYS_NICE.
pub fn set_priority(priority: Priority) -> Result<(), Errno> {
    match priority {
        Priority::RealTime(level) => scheduler::set(libc::SCHED_FIFO, i32::from(level)),
        Priority::Normal => scheduler::set(libc::SCHED_OTHER, 0),
        Priority::Idle => scheduler::set(libc::SCHED_IDLE, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_may_use_its_core_only() {
        std::thread::spawn(|| {
            let first = cores().unwrap()[0];
            pin(first).unwrap();
            assert_eq!(cores().unwrap(), [first]);
            pin(1023).expect_err("there is no such core");
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_priority_outside_the_range_is_refused() {
        for level in [0, 100] {
            assert_eq!(set_priority(Priority::RealTime(level)), Err(Errno::EINVAL));
        }
        set_priority(Priority::Normal).unwrap();
    }
}
