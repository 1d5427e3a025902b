//! How late threads and heartbeats come, for the profile that chooses its suspicion time itself.
//!
//! What counts is the worst of the last minutes, not what is usual: one stall that is longer than
//! L costs a lease. So L rises with the first one, and falls only when two windows have passed
//! without another. Who has measured nothing yet assumes what crowded machines do.

use base::Instant;
use base::time::Duration;

/// The worst of a window is remembered until the next one is over.
const WINDOW: Duration = Duration::from_secs(120);
/// What is assumed at first: the stalls that were measured on virtual machines.
const ASSUMED: Duration = Duration::from_millis(150);
/// Whoever stands still for longer has failed: no L is to cover that.
const FAILED: Duration = Duration::from_secs(1);
/// L is asked for in steps of this, so that little changes nothing.
const STEP: Duration = Duration::from_millis(40);

/// The worst lateness of this window and the last.
#[derive(Clone, Copy, Debug)]
pub struct Lateness {
    worst: [Duration; 2],
    since: Instant,
}

impl Lateness {
    pub const fn new(now: Instant) -> Self {
        Self { worst: [ASSUMED; 2], since: now }
    }

    /// Something came late by so much.
    pub fn note(&mut self, now: Instant, by: Duration) {
        if now.since(self.since) >= WINDOW {
            self.worst = [Duration::ZERO, self.worst[0]];
            self.since = now;
        }
        if by <= FAILED {
            self.worst[0] = self.worst[0].max(by);
        }
    }

    /// The suspicion time that covers it: a peer may stall while we do, and both may be followed
    /// by as many missing heartbeats as are always allowed for.
    pub fn wanted(&self, interval: Duration) -> Duration {
        let wanted = self.worst[0].max(self.worst[1]) * 2 + interval * 3;
        let steps = wanted.as_nanos().div_ceil(STEP.as_nanos());
        STEP * u32::try_from(steps).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_rises_with_the_first_stall_and_falls_after_two_calm_windows() {
        let interval = Duration::from_millis(20);
        let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
        let mut lateness = Lateness::new(at(0));
        // Second, milliseconds late, milliseconds wanted from then on.
        let table = [
            (1, 2, 360),
            (2, 200, 480),
            (3, 4_000, 480),
            (121, 1, 480),
            (122, 3, 480),
            (242, 1, 80),
            (243, 31, 160),
        ];
        for (second, late, wanted) in table {
            lateness.note(at(second), Duration::from_millis(late));
            assert_eq!(lateness.wanted(interval).as_millis(), wanted, "at {second} s");
        }
    }
}
