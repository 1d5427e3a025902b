//! The clocks of nodes: each runs at a rate of its own and may stand still while its node does.

use base::Instant;

/// A node's monotonic clock, as a function of the world's time in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// World time from which the line below counts.
    base: u64,
    /// What the clock showed then.
    shown: u64,
    /// Parts per million by which it runs fast (or slow, if negative).
    rate: i64,
    stopped: bool,
}

impl Clock {
    /// A clock that shows `shown` at world time `now`.
    pub const fn new(now: u64, shown: u64, rate: i64) -> Self {
        Self { base: now, shown, rate, stopped: false }
    }

    /// What it shows at world time `now`.
    pub fn read(&self, now: u64) -> Instant {
        if self.stopped {
            return Instant::from_nanos(self.shown);
        }
        let passed = i128::from(now.saturating_sub(self.base));
        let own = passed * i128::from(1_000_000 + self.rate) / 1_000_000;
        Instant::from_nanos(self.shown.saturating_add(u64::try_from(own).unwrap_or(u64::MAX)))
    }

    /// The first world time at which it shows `instant` or more; it must not be stopped.
    pub fn world(&self, instant: Instant) -> u64 {
        let own = i128::from(instant.as_nanos().saturating_sub(self.shown));
        let rate = i128::from(1_000_000 + self.rate);
        let passed = (own * 1_000_000 + rate - 1) / rate;
        self.base.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// Stands still from now on, as the clock of a stopped virtual machine does.
    pub fn stop(&mut self, now: u64) {
        self.shown = self.read(now).as_nanos();
        self.base = now;
        self.stopped = true;
    }

    /// Whether it stands still.
    pub const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Goes on from where it stood.
    pub fn start(&mut self, now: u64) {
        if self.stopped {
            self.base = now;
            self.stopped = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_at_the_world_time_it_names() {
        for rate in [-500, -1, 0, 3, 500] {
            let clock = Clock::new(1_000, 77, rate);
            for own in [77, 78, 1_000_000, 123_456_789_012] {
                let at = clock.world(Instant::from_nanos(own));
                assert!(clock.read(at).as_nanos() >= own, "{rate} {own}");
                assert!(at == 1_000 || clock.read(at - 1).as_nanos() < own, "{rate} {own}");
            }
        }
    }

    #[test]
    fn a_stopped_clock_loses_the_time() {
        let mut clock = Clock::new(0, 0, 0);
        clock.stop(100);
        assert_eq!(clock.read(5_000), Instant::from_nanos(100));
        clock.start(5_000);
        assert_eq!(clock.read(5_001), Instant::from_nanos(101));
    }
}
