//! A set under a flood of small datagrams, as several groups measure it.

use crate::arrangement::Set;
use crate::load::flood::{Flood, Pattern, Sent};
use crate::load::sink::{Arrived, Sink};
use crate::{BenchError, Options};
use std::time::Duration;

/// The losses that do not count.
const TOLERATED: f64 = 0.01;
/// How long one flood lasts that looks for a rate.
const TRIAL: Duration = Duration::from_millis(150);
/// Halvings of the range in which the rate is looked for.
const STEPS: u32 = 6;
/// That range's lower end, as a share of what the generator offers.
const LOWEST: f64 = 0.2;

/// How often each flow comes that is to be known.
const ROUNDS: f64 = 1.3;
/// The longest time for that.
const LONGEST: Duration = Duration::from_secs(20);

/// A set, its counting servers and its generator.
#[derive(Debug)]
pub struct Flooded<'a> {
    /// The set.
    pub set: &'a Set,
    sink: Sink<'a>,
    flood: Flood,
}

/// What a flood came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// What was offered.
    pub sent: Sent,
    /// What arrived.
    pub arrived: Arrived,
}

impl Outcome {
    /// Frames a second that arrived.
    pub fn forwarded(&self) -> f64 {
        self.arrived.all() as f64 / self.sent.took.as_secs_f64()
    }

    /// The share that was lost.
    pub fn loss(&self) -> f64 {
        1.0 - self.arrived.all() as f64 / self.sent.frames as f64
    }
}

impl<'a> Flooded<'a> {
    /// Makes the servers of a set count.
    ///
    /// # Errors
    /// What `nft` said.
    pub fn new(set: &'a Set) -> Result<Self, BenchError> {
        Ok(Self { set, sink: Sink::new(set)?, flood: Flood::default() })
    }

    /// How long a flood lasts that is one sample.
    pub fn duration(options: &Options) -> Duration {
        Duration::from_millis(if options.quick { 200 } else { 500 })
    }

    /// One flood.
    ///
    /// # Errors
    /// Where the generator or the counters do not work.
    pub fn flood(
        &mut self,
        pattern: Pattern,
        duration: Duration,
        rate: Option<f64>,
    ) -> Result<Outcome, BenchError> {
        let Self { set, sink, flood } = self;
        let (sent, arrived) = sink.during(|| flood.run(&set.client, pattern, duration, rate))?;
        Ok(Outcome { sent, arrived })
    }

    /// The most frames a second that arrive with no more than the tolerated loss, looked for by
    /// halving below `highest`. A rate has to fail twice, because a shared machine stands still
    /// now and then.
    ///
    /// # Errors
    /// As [`Flooded::flood`].
    pub fn tolerated(&mut self, highest: &Outcome) -> Result<f64, BenchError> {
        if highest.loss() <= TOLERATED {
            return Ok(highest.forwarded());
        }
        let (mut low, mut high) = (highest.sent.rate() * LOWEST, highest.sent.rate());
        let mut best = 0.0_f64;
        for _ in 0..STEPS {
            let rate = (low + high) / 2.0;
            let mut outcome = self.flood(Pattern::Known, TRIAL, Some(rate))?;
            if outcome.loss() > TOLERATED {
                outcome = self.flood(Pattern::Known, TRIAL, Some(rate))?;
            }
            if outcome.loss() <= TOLERATED {
                best = best.max(outcome.forwarded());
                low = rate;
            } else {
                high = rate;
            }
        }
        Ok(best)
    }

    /// Lets so many flows come by, and more than once, at half of what the forwarder can carry: in
    /// overload it may refuse flows that it does not know.
    ///
    /// # Errors
    /// As [`Flooded::flood`].
    pub fn teach(&mut self, flows: u32) -> Result<(), BenchError> {
        let able = self.flood(Pattern::Known, TRIAL, None)?.forwarded();
        let rate = (able / 2.0).max(f64::from(flows) * ROUNDS / LONGEST.as_secs_f64());
        let time = Duration::from_secs_f64(f64::from(flows) * ROUNDS / rate);
        self.flood(Pattern::Cycle(flows), time.max(TRIAL), Some(rate)).map(drop)
    }
}
