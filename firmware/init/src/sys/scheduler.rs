//! `sched_setscheduler(2)` for the calling thread.

use nix::errno::Errno;

/// Sets policy and priority of the calling thread.
pub(crate) fn set(policy: i32, priority: i32) -> Result<(), Errno> {
    let parameter = libc::sched_param { sched_priority: priority };
    // SAFETY: 0 is the calling thread, and `parameter` outlives the call, which only reads it.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    Errno::result(result).map(drop)
}
