//! Orphans: whatever process ends with PID 1 as its parent must be collected, or its number is
//! lost for good.
//!
//! Reading list: `waitpid(2)`; `signals` tells when ([`Signal::Child`](crate::signals::Signal)).

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Most children collected by one call, so that a storm of them cannot hold the caller.
pub const MOST_AT_ONCE: usize = 256;

/// Collects the children that have ended, without waiting; returns how many there were. As many
/// as [`MOST_AT_ONCE`] means that there may be more.
pub fn reap() -> usize {
    let mut count = 0;
    while count < MOST_AT_ONCE {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => count += 1,
            Err(Errno::EINTR) => {}
            // Children that only stopped, none left that ended, or none at all.
            Ok(_) | Err(_) => break,
        }
    }
    count
}
