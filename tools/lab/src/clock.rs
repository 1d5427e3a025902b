//! Waiting with a bound. The lab's only reading of a clock and its only sleep.

use crate::LabError;
use std::time::{Duration, Instant};

/// How long to wait between two looks at something that sends no event.
const PAUSE: Duration = Duration::from_millis(20);

/// The host's monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the lab watches real processes in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time since a moment.
pub fn since(moment: Instant) -> Duration {
    now().duration_since(moment)
}

/// Waits `duration`.
#[expect(clippy::disallowed_methods, reason = "processes of others give no event to wait for")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Looks again and again until `look` gives something, an error, or `limit` has passed. Looks at
/// least once, and once more after the limit, so that a machine that stood still is no failure.
///
/// # Errors
/// What `look` gives, or [`LabError::TooLate`] with `what` and what `seen` tells then.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, LabError>,
    seen: impl FnOnce() -> String,
) -> Result<T, LabError> {
    let end = now() + limit;
    loop {
        let last = now() >= end;
        if let Some(found) = look()? {
            return Ok(found);
        }
        if last {
            let seconds = limit.as_secs();
            return Err(LabError::TooLate { what: what.into(), seconds, seen: seen() });
        }
        pause(PAUSE);
    }
}

/// The time of day, since 1970, for those who read captures.
#[expect(clippy::disallowed_methods, reason = "captures carry the time of day")]
pub fn time_of_day() -> base::Instant {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    base::Instant::ZERO + since.unwrap_or_default()
}
