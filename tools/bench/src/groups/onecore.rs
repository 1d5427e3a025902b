//! Group `onecore`: all of a forwarder's work on one core, and what becomes of it when more is
//! offered than it can carry.

use super::compare::{self, Quantity};
use super::flooded::Flooded;
use crate::arrangement::{Front, Ground, Set};
use crate::load::flood::Pattern;
use crate::rounds::interleave;
use crate::row::{Of, Row, Side, Unit};
use crate::{BenchError, Options};

/// Who is measured.
const FRONTS: [Front; 2] = [Front::Portico, Front::Nftables];
/// How many times its peak is offered to a forwarder that is to be overloaded.
const OVERLOAD: f64 = 2.0;
/// What of its peak must go on.
const KEPT: f64 = 0.7;
/// What is measured.
const QUANTITIES: [Quantity<'_>; 1] = [Quantity {
    number: 0,
    what: "UDP frames of 64 octets at ≤ 1 % loss, all work on one core",
    unit: Unit::PerSecond,
    bars: &[(Front::Nftables, Side::AtLeast, 0.8)],
    note: "the kernel hands what arrives, at the servers too, to the forwarder's core (RPS)",
}];

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let sets = compare::sets(options, &FRONTS)?;
    sets.iter().try_for_each(Set::steer_to_one_core)?;
    let mut flooded = sets.iter().map(Flooded::new).collect::<Result<Vec<_>, _>>()?;
    let duration = Flooded::duration(options);
    let samples = interleave(options, "onecore", &mut flooded, |subject| {
        let outcome = subject.flood(Pattern::Known, duration, None)?;
        let peak = subject.tolerated(&outcome)?;
        let too_much = Some(peak * OVERLOAD);
        let known = subject.flood(Pattern::Known, duration, too_much)?;
        let mixed = subject.flood(Pattern::Mixed, duration, too_much)?;
        let half = mixed.sent.frames as f64 / 2.0;
        let passed = |arrived: u64| arrived as f64 / half;
        let arrived = mixed.arrived;
        let offered = known.sent.rate() / peak;
        Ok([peak, known.forwarded(), passed(arrived.known), passed(arrived.new), offered])
    })?;
    let mut rows = compare::rows(&samples, &FRONTS, &QUANTITIES);
    for (subject, front) in FRONTS.iter().enumerate() {
        let offered =
            Row::new("offered under overload, of the peak", Unit::Count, samples.of(subject, 4));
        let kept = Row::new("forwarded under overload", Unit::PerSecond, samples.of(subject, 1))
            .of(front.label())
            .against("its peak at ≤ 1 % loss", samples.of(subject, 0));
        let known =
            Row::new("frames that pass under overload", Unit::Share, samples.of(subject, 2))
                .of(format!("{}, known flows", front.label()))
                .against("new flows, a frame each", samples.of(subject, 3));
        rows.push(offered.of(front.label()));
        if *front == Front::Portico {
            rows.push(kept.bar(Of::Ratio, Side::AtLeast, KEPT));
            rows.push(known.bar(Of::Ratio, Side::AtLeast, 1.0));
        } else {
            rows.extend([kept, known]);
        }
    }
    Ok(rows)
}
