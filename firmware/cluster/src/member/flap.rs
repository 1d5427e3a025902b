//! Nodes that keep failing wait before they are taken in again: not after a first failure, then
//! one second, doubling to a minute. A minute without a failure is forgiven.

use base::Instant;
use base::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// How much a node has flapped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flap {
    failures: u32,
    fell_at: Instant,
}

impl Flap {
    /// The node failed.
    pub fn fell(&mut self, now: Instant) {
        if now.since(self.fell_at) > LONGEST + self.pause() {
            self.failures = 0;
        }
        self.failures = (self.failures + 1).min(16);
        self.fell_at = now;
    }

    /// Whether the node has to wait.
    pub fn held(&self, now: Instant) -> bool {
        now.since(self.fell_at) < self.pause()
    }

    fn pause(&self) -> Duration {
        match self.failures {
            0 | 1 => Duration::ZERO,
            more => (FIRST * (1 << (more - 2).min(6))).min(LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_and_a_quiet_minute_forgives() {
        let mut flap = Flap::default();
        let mut now = Instant::from_millis(1_000_000);
        let mut waits = [0; 9];
        for wait in &mut waits {
            flap.fell(now);
            while flap.held(now + Duration::from_secs(*wait)) {
                *wait += 1;
            }
            now += Duration::from_secs(*wait + 1);
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        flap.fell(now + Duration::from_secs(200));
        assert!(!flap.held(now + Duration::from_secs(200)));
    }
}
