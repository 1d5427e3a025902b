//! What happens to a frame between two ports of a switch.

use crate::draw::{Draw, MICROSECOND, MILLISECOND};

/// How a segment treats every frame.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// Half of all frames take less than twice this, in nanoseconds.
    pub delay: u64,
    /// No frame takes longer.
    pub most: u64,
    /// Frames per million that are late by a heavy tail.
    pub tail: u32,
    /// Frames per thousand that may overtake others.
    pub reordered: u32,
    /// Frames per thousand that arrive twice.
    pub duplicated: u32,
    /// Frames per thousand with a damaged octet.
    pub corrupted: u32,
    /// Frames per thousand that are lost.
    pub lost: u32,
}

impl Weather {
    /// A wire on which nothing happens.
    pub const CALM: Self = Self {
        delay: 20 * MICROSECOND,
        most: MILLISECOND,
        tail: 0,
        reordered: 0,
        duplicated: 0,
        corrupted: 0,
        lost: 0,
    };

    /// The same wire after the weather.
    pub fn calm(&self) -> Self {
        Self { delay: self.delay.min(100 * MICROSECOND), ..Self::CALM }
    }
}

/// A fault of one directed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Impairment {
    /// Nothing passes.
    Cut,
    /// So many frames in a thousand are lost.
    Loss(u16),
    /// Every frame takes so much longer, in nanoseconds.
    Delay(u64),
}

/// A directed link. Several faults may lie on it at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Link {
    cuts: u16,
    losses: Vec<u16>,
    delay: u64,
    /// When the last frame that may not be overtaken arrives.
    last: u64,
}

impl Link {
    /// Sends a frame: calls `arrive` with the time and whether it was damaged, for every copy.
    pub fn cross(
        &mut self,
        now: u64,
        weather: &Weather,
        draw: &mut Draw,
        mut arrive: impl FnMut(u64, bool),
    ) {
        if self.cuts > 0 || draw.chance(weather.lost) {
            return;
        }
        if self.losses.iter().any(|loss| draw.chance(u32::from(*loss))) {
            return;
        }
        let copies = if draw.chance(weather.duplicated) { 2 } else { 1 };
        for _ in 0..copies {
            let usual = draw.between(weather.delay / 2, weather.delay * 2);
            let tail = match draw.rarely(weather.tail) {
                true => draw.heavy_tail(MILLISECOND, weather.most),
                false => 0,
            };
            let mut at = now + self.delay + usual + tail;
            if !draw.chance(weather.reordered) {
                at = at.max(self.last);
                self.last = at;
            }
            arrive(at, draw.chance(weather.corrupted));
        }
    }

    /// Whether faults let less than half of the frames pass.
    pub fn is_faint(&self) -> bool {
        let passes = |loss: &u16| 1.0 - f64::from(*loss) / 1_000.0;
        self.cuts > 0 || self.losses.iter().map(passes).product::<f64>() < 0.5
    }

    /// Adds a fault.
    pub fn impair(&mut self, impairment: Impairment) {
        match impairment {
            Impairment::Cut => self.cuts += 1,
            Impairment::Loss(loss) => self.losses.push(loss),
            Impairment::Delay(more) => self.delay += more,
        }
    }

    /// Takes a fault away.
    pub fn relieve(&mut self, impairment: Impairment) {
        match impairment {
            Impairment::Cut => self.cuts = self.cuts.saturating_sub(1),
            Impairment::Loss(loss) => {
                if let Some(place) = self.losses.iter().position(|other| *other == loss) {
                    self.losses.swap_remove(place);
                }
            }
            Impairment::Delay(more) => self.delay = self.delay.saturating_sub(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(link: &mut Link, weather: &Weather, frames: u64) -> Vec<u64> {
        let mut draw = Draw::new(3, "link");
        let mut times = Vec::new();
        for frame in 0..frames {
            link.cross(frame * MICROSECOND, weather, &mut draw, |at, _| times.push(at));
        }
        times
    }

    #[test]
    fn faults_add_up_and_are_taken_away_one_by_one() {
        let mut link = Link::default();
        link.impair(Impairment::Cut);
        link.impair(Impairment::Cut);
        link.relieve(Impairment::Cut);
        assert_eq!(arrivals(&mut link, &Weather::CALM, 10), []);
        link.relieve(Impairment::Cut);
        link.impair(Impairment::Loss(500));
        link.impair(Impairment::Loss(800));
        let through = arrivals(&mut link, &Weather::CALM, 10_000).len();
        assert!((850..1_150).contains(&through), "{through}");
        link.relieve(Impairment::Loss(800));
        let through = arrivals(&mut link, &Weather::CALM, 10_000).len();
        assert!((4_700..5_300).contains(&through), "{through}");
    }

    #[test]
    fn frames_overtake_each_other_only_in_such_weather() {
        let in_order = |times: &[u64]| times.windows(2).all(|pair| pair[0] <= pair[1]);
        let mut weather = Weather { tail: 100_000, ..Weather::CALM };
        assert!(in_order(&arrivals(&mut Link::default(), &weather, 1_000)));
        weather.reordered = 300;
        assert!(!in_order(&arrivals(&mut Link::default(), &weather, 1_000)));
    }
}
