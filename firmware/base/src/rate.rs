//! A limit on how often something may happen.

use crate::time::{Duration, Instant};

/// A token bucket: `rate` events per second on average, `burst` at once. It starts full.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    interval: u64,
    depth: u64,
    /// The instant up to which the bucket is spent (generic cell rate algorithm, ITU-T I.371).
    theoretical: u64,
}

impl TokenBucket {
    /// `rate` events per second (at least one) and `burst` at once (at least one).
    pub const fn new(rate: u32, burst: u32) -> Self {
        let interval = 1_000_000_000 / if rate == 0 { 1 } else { rate as u64 };
        let burst = if burst == 0 { 1 } else { burst as u64 };
        Self { interval, depth: interval * burst, theoretical: 0 }
    }

    /// Whether one more event fits now; if so it is taken.
    pub fn take(&mut self, now: Instant) -> bool {
        let start = self.theoretical.max(now.as_nanos());
        if start + self.interval > now.as_nanos() + self.depth {
            return false;
        }
        self.theoretical = start + self.interval;
        true
    }

    /// When the next event will fit.
    pub fn next(&self) -> Instant {
        Instant::from_nanos((self.theoretical + self.interval).saturating_sub(self.depth))
    }

    /// Average time between events.
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let mut bucket = TokenBucket::new(10, 3);
        let start = Instant::from_millis(5_000);
        assert_eq!((0..10).filter(|_| bucket.take(start)).count(), 3);
        let passed =
            (0..1_000).filter(|&ms| bucket.take(start + Duration::from_millis(ms))).count();
        assert_eq!(passed, 9);
        assert!(bucket.take(bucket.next()));
    }
}
