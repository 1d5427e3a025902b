//! One direction of a link with faults: what becomes of a frame that enters it.
//!
//! ```text
//!   cut? ─▶ lost? ─▶ delay ± jitter, never before the frame in front ─┬─▶ twice? ─▶ out
//!                                                                     └─▶ held back? ─▶ behind
//!                                                                         the next frame
//! ```

use base::rng::Rng;
use base::{Instant, Offload};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::control::Change;

/// How long a frame that is to be overtaken waits for one that does it.
const HELD: Duration = Duration::from_millis(200);
/// Parts of a whole.
const MILLION: u32 = 1_000_000;

/// A frame that is not in the memory of a receiver any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
    /// What is left undone.
    pub offload: Offload,
}

/// A share of frames, in parts of a million.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share(u32);

impl Share {
    /// Nothing.
    pub const NONE: Share = Share(0);

    /// Decides for one frame.
    fn draw(self, rng: &mut Rng) -> bool {
        rng.below(u64::from(MILLION)) < u64::from(self.0)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Share, String> {
        let number = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
        match number {
            Some(percent) if (0.0..=100.0).contains(&percent) => {
                Ok(Share((percent * f64::from(MILLION / 100)).round() as u32))
            }
            Some(_) | None => Err(format!("{text} is no share of frames; 30% or 0.5% would be")),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / f64::from(MILLION / 100))
    }
}

/// What a direction of a link does to frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// No frame passes.
    pub cut: bool,
    /// Frames that are lost.
    pub loss: Share,
    /// How long a frame takes.
    pub delay: Duration,
    /// How much longer or shorter it takes at most.
    pub jitter: Duration,
    /// Frames that arrive twice.
    pub duplicate: Share,
    /// Frames that are overtaken by the next one.
    pub reorder: Share,
}

impl Faults {
    /// Whether frames pass as if nothing were there.
    pub fn is_none(&self) -> bool {
        *self == Faults::default()
    }

    /// Changes one of the faults.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Cut => self.cut = true,
            Change::Loss(share) => self.loss = share,
            Change::Delay { delay, jitter } => (self.delay, self.jitter) = (delay, jitter),
            Change::Duplicate(share) => self.duplicate = share,
            Change::Reorder(share) => self.reorder = share,
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.cut {
            parts.push("cut".to_owned());
        }
        let shares =
            [("loss", self.loss), ("duplicate", self.duplicate), ("reorder", self.reorder)];
        for (name, share) in shares.into_iter().filter(|(_, share)| *share != Share::NONE) {
            parts.push(format!("{name} {share}"));
        }
        if !self.delay.is_zero() || !self.jitter.is_zero() {
            let jitter = format!(" ± {:?}", self.jitter);
            let jitter = if self.jitter.is_zero() { String::new() } else { jitter };
            parts.push(format!("delay {:?}{jitter}", self.delay));
        }
        f.write_str(&parts.join(", "))
    }
}

/// What became of the frames that entered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Frames that entered.
    pub entered: u64,
    /// Of them, lost or cut off.
    pub lost: u64,
    /// Sent twice.
    pub duplicated: u64,
    /// Held back to be overtaken.
    pub reordered: u64,
}

/// One direction of a link with faults; `T` is what passes through it.
#[derive(Debug)]
pub struct Pipe<T> {
    /// What it does.
    pub faults: Faults,
    /// What it did.
    pub counts: Counts,
    rng: Rng,
    /// When the last frame comes out, which no later one overtakes by a shorter delay.
    last: Instant,
    /// A frame that waits to be overtaken, and until when.
    held: Option<(Instant, T)>,
}

impl<T: Clone> Pipe<T> {
    /// Without faults yet.
    pub fn new(seed: u64) -> Pipe<T> {
        Pipe {
            faults: Faults::default(),
            counts: Counts::default(),
            rng: Rng::new(seed),
            last: Instant::ZERO,
            held: None,
        }
    }

    /// Takes a frame and gives what comes out, with its time: nothing, this frame, this frame
    /// twice, and one that was held back and has now been overtaken.
    pub fn offer(&mut self, now: Instant, frame: T) -> Vec<(Instant, T)> {
        self.counts.entered += 1;
        if self.faults.cut || self.faults.loss.draw(&mut self.rng) {
            self.counts.lost += 1;
            return Vec::new();
        }
        let due = self.due(now);
        if self.held.is_none() && self.faults.reorder.draw(&mut self.rng) {
            self.counts.reordered += 1;
            self.held = Some((due + HELD, frame));
            return Vec::new();
        }
        let mut out = Vec::new();
        if self.faults.duplicate.draw(&mut self.rng) {
            self.counts.duplicated += 1;
            out.push((due, frame.clone()));
        }
        out.push((due, frame));
        out.extend(self.held.take().map(|(_, held)| (due, held)));
        out
    }

    /// A frame that nobody has overtaken in time.
    pub fn release(&mut self, now: Instant) -> Option<(Instant, T)> {
        self.held.take_if(|(until, _)| *until <= now)
    }

    /// When [`Pipe::release`] will have something.
    pub fn deadline(&self) -> Option<Instant> {
        self.held.as_ref().map(|(until, _)| *until)
    }

    /// The frame that is held back, as the pipe ends.
    pub fn into_held(self) -> Option<T> {
        self.held.map(|(_, frame)| frame)
    }

    /// When a frame that enters now comes out.
    fn due(&mut self, now: Instant) -> Instant {
        let jitter = u64::try_from(self.faults.jitter.as_nanos()).unwrap_or(u64::MAX / 4);
        // From 0 to twice the jitter, of which the jitter itself is the middle.
        let more = self.rng.below(jitter.saturating_mul(2).saturating_add(1));
        let due = now + self.faults.delay + Duration::from_nanos(more) - self.faults.jitter;
        self.last = due.max(now).max(self.last);
        self.last
    }
}

#[cfg(test)]
mod tests;
