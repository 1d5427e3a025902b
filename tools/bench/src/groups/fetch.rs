//! Group `fetch`: how long it takes from connecting to the whole answer, with many connections
//! under way and with nothing else to do.

use super::compare::{self, Quantity};
use super::connections::{AT_ONCE, FRONTS};
use crate::arrangement::{Front, Ground};
use crate::load::fetch;
use crate::rounds::interleave;
use crate::row::{Row, Side, Unit};
use crate::statistics::quantile;
use crate::{BenchError, Options};
use std::time::Duration;

/// What is measured.
const QUANTITIES: [Quantity<'_>; 4] = [
    quantity(0, "connect and fetch, 64 at once: median", &[]),
    quantity(
        1,
        "connect and fetch, 64 at once: 99th percentile",
        &[(Front::Haproxy, Side::AtMost, 0.6)],
    ),
    quantity(2, "connect and fetch, one after the other: median", &[]),
    quantity(3, "connect and fetch, one after the other: 99th percentile", &[]),
];

const fn quantity<'a>(
    number: usize,
    what: &'a str,
    bars: &'a [(Front, Side, f64)],
) -> Quantity<'a> {
    Quantity { number, what, unit: Unit::Seconds, bars, note: "" }
}

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let mut sets = compare::sets(options, &FRONTS)?;
    let [crowd, alone] = if options.quick { [300, 100] } else { [800, 300] };
    let (crowd, alone) = (Duration::from_millis(crowd), Duration::from_millis(alone));
    let samples = interleave(options, "fetch", &mut sets, |set| {
        let many = fetch::keep_busy(&set.client, AT_ONCE, crowd)?.seconds;
        let one = fetch::keep_busy(&set.client, 1, alone)?.seconds;
        let both = |share| (quantile(&many, share), quantile(&one, share));
        let ((half, half_alone), (most, most_alone)) = (both(0.5), both(0.99));
        Ok([half, most, half_alone, most_alone])
    })?;
    Ok(compare::rows(&samples, &FRONTS, &QUANTITIES))
}
