//! One server under watch: its round of probes and what they have shown.

use crate::damping::Damping;
use crate::judge::{self, Evidence, Standing, Verdict};
use crate::{Change, Outcome, Status, Target};
use base::Instant;
use base::rng::Rng;
use base::time::Duration;

/// All gaps of a round together, as a share of the interval.
const GAPS: u32 = 10;
/// A round starts so many thousandths of the interval after the one before …
const EARLIEST: u64 = 700;
/// … and at the latest so many; with the gaps, 5 % remain for the network and for being late.
const LATEST: u64 = 850;

/// The server that one target names.
#[derive(Clone, Debug)]
pub struct Watch {
    pub target: Target,
    /// The latest verdict, until it is told.
    pub news: Option<Change>,
    standing: Standing,
    damping: Damping,
    since: Instant,
    last: Option<Outcome>,
    latency: Option<Duration>,
    /// Probes with lower numbers were for another server of this number.
    first_id: u64,
    round: Option<Round>,
    /// When the next round starts, once this one has ended.
    next_round: Instant,
}

/// Probes that are judged together.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// Probes with lower numbers belong to earlier rounds and no longer count.
    first_id: u64,
    /// Probes made, void ones not counted.
    launched: u8,
    /// When the next one is due, if the round has one left.
    next: Instant,
}

impl Watch {
    /// A server of which nothing is known; its first round is due now.
    pub fn new(now: Instant, target: Target, first_id: u64) -> Self {
        Self {
            target: legal(target),
            news: None,
            standing: Standing::Unknown { failures: 0 },
            damping: Damping::default(),
            since: now,
            last: None,
            latency: None,
            first_id,
            round: None,
            next_round: now,
        }
    }

    /// The same server, to be watched differently. Counts start again, for what they count
    /// towards may have changed; a new round is due now.
    pub fn retargeted(mut self, now: Instant, target: Target) -> Self {
        let target = legal(target);
        if self.target != target {
            self.target = target;
            self.standing = self.standing.without_counts();
            self.round = None;
            self.next_round = now;
        }
        self
    }

    /// Whether a probe was for this server.
    pub const fn owns(&self, id: u64) -> bool {
        id >= self.first_id
    }

    pub const fn down(&self) -> bool {
        !self.standing.served()
    }

    /// When to probe next; none while all probes of the round are out.
    pub fn due(&self) -> Option<Instant> {
        match self.round {
            None => Some(self.next_round),
            Some(round) if round.launched < self.round_size() => Some(round.next),
            Some(_) => None,
        }
    }

    /// A probe starts.
    pub fn launch(&mut self, now: Instant, id: u64, rng: &mut Rng) {
        let gap = self.gap();
        let round = self.round.get_or_insert_with(|| {
            let thousandths = EARLIEST + rng.below(LATEST - EARLIEST + 1);
            let nanos = self.target.interval.as_nanos() * u128::from(thousandths) / 1_000;
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            self.next_round = now + Duration::from_nanos(nanos);
            Round { first_id: id, launched: 0, next: now }
        });
        round.launched += 1;
        round.next = now + gap;
    }

    /// A probe has ended.
    pub fn conclude(&mut self, now: Instant, id: u64, outcome: Outcome) {
        let again = now + self.gap();
        let Some(round) = self.round.as_mut().filter(|round| id >= round.first_id) else { return };
        let evidence = match outcome {
            Outcome::Succeeded { latency } => {
                self.latency = Some(latency);
                Evidence::Success
            }
            Outcome::Refused | Outcome::TimedOut | Outcome::Unreachable => Evidence::Failure,
            Outcome::Void => {
                round.launched -= 1;
                round.next = again;
                Evidence::Void
            }
        };
        let was_served = self.standing.served();
        let needed = self.damping.needed(self.target.rise);
        let (standing, verdict) = judge::step(self.standing, evidence, self.target.fall, needed);
        self.standing = standing;
        match evidence {
            Evidence::Void => return,
            Evidence::Success => self.round = None,
            Evidence::Failure if verdict.is_some() || !was_served => self.round = None,
            Evidence::Failure => {}
        }
        self.last = Some(outcome);
        if let Some(verdict) = verdict {
            self.announce(now, verdict, outcome);
        }
    }

    pub fn status(&self) -> Status {
        Status {
            standing: self.standing,
            since: self.since,
            last: self.last,
            latency: self.latency,
            needed: self.damping.needed(self.target.rise),
        }
    }

    fn announce(&mut self, now: Instant, verdict: Verdict, cause: Outcome) {
        let up = match verdict {
            Verdict::Up => true,
            Verdict::Down => {
                self.damping.fell(now, self.since, self.target.interval);
                false
            }
        };
        self.since = now;
        let latency = match cause {
            Outcome::Succeeded { latency } => Some(latency),
            Outcome::Refused | Outcome::TimedOut | Outcome::Unreachable | Outcome::Void => None,
        };
        self.news = Some(Change { server: self.target.server, up, cause, latency });
    }

    /// Probes in a round: enough for a verdict on a server that is served.
    const fn round_size(&self) -> u8 {
        if self.standing.served() { self.target.fall } else { 1 }
    }

    /// Time between the probes of a round, and before a void one is repeated.
    fn gap(&self) -> Duration {
        self.target.interval / GAPS / u32::from(self.target.fall.saturating_sub(1).max(1))
    }
}

/// The target with the least values that make sense where it has lower ones.
fn legal(target: Target) -> Target {
    Target {
        interval: target.interval.max(Duration::from_millis(10)),
        timeout: target.timeout.max(Duration::from_millis(1)),
        rise: target.rise.max(1),
        fall: target.fall.max(1),
        ..target
    }
}
