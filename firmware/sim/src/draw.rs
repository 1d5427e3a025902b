//! Draws: what a world asks its seed for. The same seed gives the same draws, everywhere.

use base::rng::Rng;

/// One microsecond, in the world's nanoseconds.
pub(crate) const MICROSECOND: u64 = 1_000;
/// One millisecond.
pub(crate) const MILLISECOND: u64 = 1_000_000;
/// One second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// A stream of draws.
#[derive(Clone, Debug)]
pub(crate) struct Draw(Rng);

impl Draw {
    /// The stream `name` of a seed. Streams are independent, so that leaving one fault class out
    /// changes no draw of another.
    pub fn new(seed: u64, name: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for octet in name.bytes() {
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut rng = Rng::new(hash);
        rng.next();
        Self(rng)
    }

    /// 64 bits, as the seed of something else.
    pub fn seed(&mut self) -> u64 {
        self.0.next()
    }

    /// A number below `bound`; zero if the bound is.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0.below(bound)).unwrap_or_default()
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.below((high - low).saturating_add(1))
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.0.below(1_000) < u64::from(per_mille)
    }

    /// True so many times in a million.
    pub fn rarely(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.0.below(1_000_000) < u64::from(per_million)
    }

    /// One of several; they are never empty.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A duration with a heavy tail (Pareto with index 1, cut off): half of the draws are below
    /// twice `typical`, one in `n` is above `n` times it, none above `most`.
    pub fn heavy_tail(&mut self, typical: u64, most: u64) -> u64 {
        let uniform = self.0.below(1 << 20) + 1;
        ((u128::from(typical) << 20) / u128::from(uniform))
            .min(u128::from(most))
            .try_into()
            .unwrap_or(most)
    }

    /// Brings the elements into an order of the seed's.
    pub fn shuffle<T>(&mut self, of: &mut [T]) {
        for last in (1..of.len()).rev() {
            of.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let numbers = |name| {
            let mut draw = Draw::new(7, name);
            [draw.seed(), draw.seed()]
        };
        assert_eq!(numbers("loss"), numbers("loss"));
        assert_ne!(numbers("loss"), numbers("pause"));
    }

    #[test]
    fn the_heavy_tail_is_heavy_and_bounded() {
        let mut draw = Draw::new(1, "tail");
        let delays: Vec<u64> = (0..100_000).map(|_| draw.heavy_tail(10, 5_000)).collect();
        let above = |bound| delays.iter().filter(|delay| **delay > bound).count();
        assert!((45_000..55_000).contains(&above(20)), "{}", above(20));
        assert!((800..1_200).contains(&above(1_000)), "{}", above(1_000));
        assert_eq!(above(5_000), 0);
    }
}
