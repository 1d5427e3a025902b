//! Group `bulk`: octets in a few TCP connections.

use super::compare::{self, Quantity};
use super::connections::FRONTS;
use crate::arrangement::{Front, Ground};
use crate::load::bulk::{Way, transfer};
use crate::rounds::interleave;
use crate::row::{Row, Side, Unit};
use crate::{BenchError, Options};
use std::time::Duration;

/// What is measured.
const QUANTITIES: [Quantity<'_>; 3] = [
    Quantity {
        number: 0,
        what: "bulk TCP, 1 connection, client to server",
        unit: Unit::BitsPerSecond,
        bars: &[(Front::Nftables, Side::AtLeast, 0.75), (Front::Haproxy, Side::AtLeast, 1.5)],
        note: "segments of up to 64 KiB, as veth passes them; client and server share both cores \
               with the forwarder",
    },
    Quantity {
        number: 1,
        what: "bulk TCP, 8 connections, client to server",
        unit: Unit::BitsPerSecond,
        bars: &[(Front::Nftables, Side::AtLeast, 0.6), (Front::Haproxy, Side::AtLeast, 1.5)],
        note: "",
    },
    Quantity {
        number: 2,
        what: "bulk TCP, 8 connections, server to client",
        unit: Unit::BitsPerSecond,
        bars: &[],
        note: "",
    },
];

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let mut sets = compare::sets(options, &FRONTS)?;
    let duration = Duration::from_millis(if options.quick { 300 } else { 700 });
    let samples = interleave(options, "bulk", &mut sets, |set| {
        let rate = |way, connections| transfer(&set.client, way, connections, duration);
        Ok([rate(Way::Up, 1)?, rate(Way::Up, 8)?, rate(Way::Down, 8)?])
    })?;
    Ok(compare::rows(&samples, &FRONTS, &QUANTITIES))
}
