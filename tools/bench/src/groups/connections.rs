//! Group `connections`: new TCP connections a second, each with a request, an answer and an end.

use super::compare::{self, Quantity};
use crate::arrangement::{Front, Ground};
use crate::load::fetch;
use crate::rounds::interleave;
use crate::row::{Row, Side, Unit};
use crate::{BenchError, Options};
use std::time::Duration;

/// Who is measured.
pub const FRONTS: [Front; 5] =
    [Front::Portico, Front::Nftables, Front::Haproxy, Front::Nginx, Front::Route];
/// Connections under way at any time.
pub const AT_ONCE: usize = 64;
/// What is measured.
const QUANTITIES: [Quantity<'_>; 1] = [Quantity {
    number: 0,
    what: "new TCP connections: connect, 64 octets, answer of 256, close; 64 at once",
    unit: Unit::PerSecond,
    bars: &[(Front::Nftables, Side::AtLeast, 1.2), (Front::Haproxy, Side::AtLeast, 1.6)],
    note: "the forwarder's process has the last core; one client thread and one server thread run \
           where the kernel puts them",
}];

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let mut sets = compare::sets(options, &FRONTS)?;
    let duration = Duration::from_millis(if options.quick { 300 } else { 1000 });
    let samples = interleave(options, "connections", &mut sets, |set| {
        let fetched = fetch::keep_busy(&set.client, AT_ONCE, duration)?;
        Ok([fetched.rate(), fetched.failed as f64])
    })?;
    let mut rows = compare::rows(&samples, &FRONTS, &QUANTITIES);
    for (subject, front) in FRONTS.iter().enumerate() {
        let failed = samples.of(subject, 1);
        if failed.iter().any(|count| *count > 0.0) {
            let what = "connections that failed, of one round";
            rows.push(Row::new(what, Unit::Count, failed).of(front.label()));
        }
    }
    Ok(rows)
}
