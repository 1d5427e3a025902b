//! Flap damping: a server that keeps falling must prove itself longer before it is served again.
//!
//! Every fall raises a level, and every [`CALM`] intervals that the server then stays up lower it
//! by one. At level 1, an ordinary failure, `rise` successes in a row bring the server up; each
//! further level doubles that, up to 32 times `rise` at level 6. Probes of a server that is down
//! are 70–85 % of the interval apart, so with an interval of 1 s and `rise` 1 a server that
//! flaps without end is served again after 25 s or so of good answers, and one that has been up
//! for three minutes since starts afresh.
//!
//! Damping never delays the way down.

use base::Instant;
use base::time::Duration;

/// Intervals of staying up that forgive one fall.
pub const CALM: u32 = 30;
/// The level that is not exceeded.
const HIGHEST: u8 = 6;

/// How much a server has flapped of late.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damping {
    level: u8,
}

impl Damping {
    /// The server fell after it had been up since `since`.
    pub fn fell(&mut self, now: Instant, since: Instant, interval: Duration) {
        let calm = (interval * CALM).as_nanos().max(1);
        let forgiven = now.since(since).as_nanos() / calm;
        let forgiven = u8::try_from(forgiven).unwrap_or(u8::MAX);
        self.level = (self.level.saturating_sub(forgiven) + 1).min(HIGHEST);
    }

    /// Successes in a row that bring the server up.
    pub fn needed(self, rise: u8) -> u16 {
        u16::from(rise.max(1)) << self.level.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fall_doubles_the_proof_until_the_highest_level_and_calm_takes_it_back() {
        let interval = Duration::from_secs(1);
        let mut damping = Damping::default();
        assert_eq!(damping.needed(2), 2);
        let up = Instant::from_millis(1_000);
        let needed: [u16; 8] = core::array::from_fn(|_| {
            damping.fell(up + Duration::from_secs(10), up, interval);
            damping.needed(2)
        });
        assert_eq!(needed, [2, 4, 8, 16, 32, 64, 64, 64]);
        // Two calm periods forgive two falls, and this fall counts one.
        damping.fell(up + interval * CALM * 2, up, interval);
        assert_eq!(damping.needed(2), 32);
        damping.fell(up + interval * CALM * 6, up, interval);
        assert_eq!(damping.needed(2), 2);
        damping.fell(Instant::FAR, Instant::ZERO, Duration::from_nanos(1));
        assert_eq!(damping.needed(255), 255);
    }
}
