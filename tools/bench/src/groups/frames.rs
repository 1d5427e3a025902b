//! Group `frames`: small datagrams a second, offered without limit, and at most with one loss in a
//! hundred.

use super::flooded::Flooded;
use crate::arrangement::{Front, Ground, Set};
use crate::load::flood::Pattern;
use crate::rounds::interleave;
use crate::row::{Of, Row, Side, Unit};
use crate::{BenchError, Options};

/// Who is measured.
const FRONTS: [Front; 3] = [Front::Portico, Front::Nftables, Front::Route];

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let sets = FRONTS.map(|front| Set::new(options, front));
    let sets = sets.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut flooded = sets.iter().map(Flooded::new).collect::<Result<Vec<_>, _>>()?;
    let samples = interleave(options, "frames", &mut flooded, |subject| {
        let outcome = subject.flood(Pattern::Known, Flooded::duration(options), None)?;
        let tolerated = subject.tolerated(&outcome)?;
        Ok([outcome.forwarded(), tolerated, outcome.sent.rate()])
    })?;
    let mut rows = Vec::new();
    let offered = "generator on the first core, which also carries the kernel's work on arrival; \
                   Portico forwards on the last core, the kernel where the frame arrives";
    for (quantity, what) in [
        (0, "UDP frames of 64 octets forwarded, offered without limit, 1024 flows"),
        (1, "UDP frames of 64 octets at ≤ 1 % loss, 1024 flows"),
    ] {
        for (peer, front) in FRONTS.iter().enumerate().skip(1) {
            let row = Row::new(what, Unit::PerSecond, samples.of(0, quantity));
            let row = row.against(front.label(), samples.of(peer, quantity)).note(offered);
            rows.push(match front {
                Front::Nftables => row.bar(Of::Ratio, Side::AtLeast, 1.3),
                Front::Direct | Front::Portico | Front::Route => row,
                Front::Haproxy | Front::Nginx => row,
            });
        }
    }
    for (subject, front) in FRONTS.iter().enumerate() {
        let row =
            Row::new("UDP frames offered without limit", Unit::PerSecond, samples.of(subject, 2));
        rows.push(row.of(format!("generator, before {}", front.label())));
    }
    Ok(rows)
}
