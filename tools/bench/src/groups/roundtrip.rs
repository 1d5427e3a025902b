//! Group `roundtrip`: what a forwarder adds to the round trip of one octet.

use super::compare;
use crate::arrangement::{Front, Ground};
use crate::load::roundtrip::ping_pong;
use crate::rounds::interleave;
use crate::row::{Of, Row, Side, Unit};
use crate::statistics::quantile;
use crate::{BenchError, Options};
use std::time::Duration;

/// Who is measured; the first is what the others are added to.
const FRONTS: [Front; 6] =
    [Front::Direct, Front::Portico, Front::Nftables, Front::Haproxy, Front::Nginx, Front::Route];
/// The place of Portico among them.
const PORTICO: usize = 1;
/// The most of what HAProxy adds that Portico may.
const BAR: f64 = 0.3;

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let mut sets = compare::sets(options, &FRONTS)?;
    let duration = Duration::from_millis(if options.quick { 100 } else { 300 });
    let samples = interleave(options, "roundtrip", &mut sets, |set| {
        let seconds = ping_pong(&set.client, duration)?;
        Ok([quantile(&seconds, 0.5), quantile(&seconds, 0.99)])
    })?;
    let direct = samples.of(0, 0);
    let added = |subject: usize| -> Vec<f64> {
        samples.of(subject, 0).iter().zip(&direct).map(|(through, own)| through - own).collect()
    };
    let (median, most) =
        ("round trip of one octet: median", "round trip of one octet: 99th percentile");
    let note = "client and server on the first core, the forwarder on the last; nothing else runs";
    let cable = Row::new(median, Unit::Seconds, direct.clone()).of(FRONTS[0].label()).note(note);
    let mut rows = vec![cable];
    for (peer, front) in FRONTS.iter().enumerate().skip(PORTICO + 1) {
        let row = Row::new("added to that median", Unit::Seconds, added(PORTICO));
        let row = row.against(front.label(), added(peer));
        rows.push(match front {
            Front::Haproxy => row.bar(Of::Ratio, Side::AtMost, BAR),
            Front::Direct | Front::Portico | Front::Nftables | Front::Nginx | Front::Route => row,
        });
    }
    for (peer, front) in FRONTS.iter().enumerate().filter(|(number, _)| *number != PORTICO) {
        let row = Row::new(most, Unit::Seconds, samples.of(PORTICO, 1));
        rows.push(row.against(front.label(), samples.of(peer, 1)));
    }
    Ok(rows)
}
