//! The only readings of a clock in this tool, and its only sleep.

use std::time::{Duration, Instant};

/// The host's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits `duration`.
#[expect(clippy::disallowed_methods, reason = "other processes give no event to wait for")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
