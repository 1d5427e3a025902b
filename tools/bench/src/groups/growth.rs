//! Group `growth`: what forwarding costs as there is more of everything, by tens.

use super::flooded::Flooded;
use crate::arrangement::document::Document;
use crate::arrangement::{Front, Ground, Set};
use crate::load::flood::Pattern;
use crate::rounds::interleave;
use crate::row::{Row, Unit};
use crate::{BenchError, Options};
use std::time::Duration;

/// How long one flood lasts.
const FLOOD: Duration = Duration::from_millis(200);
/// Flows of everything but growing flows.
const FLOWS: u32 = 1024;

/// Something grown.
struct Point {
    what: &'static str,
    document: Document,
    flows: u32,
}

/// Everything at its smallest.
const SMALL: Document = Document { vips: 1, services: 1, servers: 3, checked: false, page: false };

/// What is grown, by tens.
fn points(quick: bool) -> Vec<Point> {
    let by = |what, document| Point { what, document, flows: FLOWS };
    let mut points = Vec::new();
    for vips in [10, 100, 1_000] {
        points.push(by("virtual addresses", Document { vips, ..SMALL }));
    }
    for services in [10, 100, 1_000, 10_000] {
        points.push(by("services", Document { services, ..SMALL }));
    }
    for servers in [30, 300, 3_000] {
        points.push(by("servers", Document { servers, ..SMALL }));
    }
    for flows in [10_000, 100_000, 1_000_000] {
        points.push(Point { what: "flows", document: SMALL, flows });
    }
    if quick {
        points.retain(|point| point.count() >= 1_000 && point.count() != 10_000);
    }
    points
}

impl Point {
    /// How many there are of what is grown.
    fn count(&self) -> u32 {
        let Document { vips, services, servers, .. } = self.document;
        let differing = |count: u16, small: u16| (count != small).then_some(u32::from(count));
        differing(vips, SMALL.vips)
            .or(differing(services, SMALL.services))
            .or(differing(servers, SMALL.servers))
            .unwrap_or(self.flows)
    }
}

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let small = Set::with_document(options, Front::Portico, "small", &SMALL)?;
    let mut rows = Vec::new();
    for point in points(options.quick) {
        let grown = Set::with_document(options, Front::Portico, "grown", &point.document)?;
        let mut both = [(Flooded::new(&grown)?, point.flows), (Flooded::new(&small)?, FLOWS)];
        for (subject, flows) in &mut both {
            subject.teach(*flows)?;
        }
        let samples = interleave(options, "growth", &mut both, |(subject, flows)| {
            let outcome = subject.flood(Pattern::Cycle(*flows), FLOOD, None)?;
            Ok([outcome.forwarded()])
        })?;
        let what =
            format!("UDP frames of 64 octets forwarded with {} {}", point.count(), point.what);
        let row = Row::new(what, Unit::PerSecond, samples.of(0, 0));
        rows.push(row.against("1 address, 1 service, 3 servers, 1024 flows", samples.of(1, 0)));
    }
    Ok(rows)
}
