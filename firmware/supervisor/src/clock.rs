//! The functions in the program that read a clock; no other does.

use base::Instant;
use nix::time::{ClockId, clock_gettime};

/// Time since the kernel started, suspended time included (clock_gettime(2), CLOCK_BOOTTIME).
pub fn now() -> Instant {
    // The clock exists since Linux 2.6.39 and the address is ours: the call has no way to fail.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map(std::time::Duration::from);
    let nanos = time.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    Instant::from_nanos(nanos.unwrap_or(0))
}

/// Time of day since its epoch (clock_gettime(2), CLOCK_REALTIME): only to be compared with what
/// the kernel stamped a moment ago. It jumps.
pub fn day() -> std::time::Duration {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).map(std::time::Duration::from);
    time.unwrap_or_default()
}
