//! Group `frames`: small datagrams a second, offered without limit, and at most with one loss in a
//! hundred.

use super::compare::{self, Quantity};
use super::flooded::Flooded;
use crate::arrangement::{Front, Ground};
use crate::load::flood::Pattern;
use crate::rounds::interleave;
use crate::row::{Row, Side, Unit};
use crate::{BenchError, Options};

/// Who is measured.
const FRONTS: [Front; 3] = [Front::Portico, Front::Nftables, Front::Route];
/// What is asked.
const BARS: [(Front, Side, f64); 1] = [(Front::Nftables, Side::AtLeast, 1.3)];
/// What is measured.
const QUANTITIES: [Quantity<'_>; 2] = [
    Quantity {
        number: 0,
        what: "UDP frames of 64 octets forwarded, offered without limit, 1024 flows",
        unit: Unit::PerSecond,
        bars: &BARS,
        note: "the first core generates and carries the kernel's work on arrival, kernel \
               forwarding with it; Portico's worker has the last core",
    },
    Quantity {
        number: 1,
        what: "UDP frames of 64 octets at ≤ 1 % loss, 1024 flows",
        unit: Unit::PerSecond,
        bars: &BARS,
        note: "",
    },
];

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let sets = compare::sets(options, &FRONTS)?;
    let mut flooded = sets.iter().map(Flooded::new).collect::<Result<Vec<_>, _>>()?;
    let samples = interleave(options, "frames", &mut flooded, |subject| {
        let outcome = subject.flood(Pattern::Known, Flooded::duration(options), None)?;
        let tolerated = subject.tolerated(&outcome)?;
        Ok([outcome.forwarded(), tolerated, outcome.sent.rate()])
    })?;
    let mut rows = compare::rows(&samples, &FRONTS, &QUANTITIES);
    for (subject, front) in FRONTS.iter().enumerate() {
        let what = format!("UDP frames offered without limit to {}", front.label());
        rows.push(Row::new(what, Unit::PerSecond, samples.of(subject, 2)).of("generator"));
    }
    Ok(rows)
}
