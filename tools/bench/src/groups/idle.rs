//! Group `idle`: what a forwarder costs that has nothing to do but watch its servers.

use super::compare;
use crate::arrangement::{Front, Ground};
use crate::row::{Of, Row, Side, Unit};
use crate::{BenchError, Options, clock};
use std::time::Duration;

/// Who is measured, all at the same time.
const FRONTS: [Front; 3] = [Front::Portico, Front::Haproxy, Front::Nginx];
/// The most of a core that an idle appliance may take.
const BAR: f64 = 0.01;
/// What was begun before is done by then.
const SETTLE: Duration = Duration::from_secs(3);

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let sets = compare::sets(options, &FRONTS)?;
    let duration = Duration::from_millis(if options.quick { 1000 } else { 2000 });
    clock::pause(SETTLE);
    let times = || -> Vec<Option<Duration>> {
        let process = |set: &crate::arrangement::Set| set.forwarder.process.as_ref()?.cpu_time();
        sets.iter().map(process).collect()
    };
    let mut samples = vec![Vec::new(); sets.len()];
    for _ in 0..options.rounds {
        let (begin, before) = (clock::now(), times());
        clock::pause(duration);
        let (took, after) = (clock::now() - begin, times());
        for ((samples, before), after) in samples.iter_mut().zip(before).zip(after) {
            let spent = after.zip(before).map(|(after, before)| after.saturating_sub(before));
            samples.push(spent.map_or(f64::NAN, |spent| spent.as_secs_f64() / took.as_secs_f64()));
        }
    }
    let what = "processor time while nothing comes, of one core; three servers probed a second";
    let rows = FRONTS.iter().zip(samples).map(|(front, samples)| {
        let row = Row::new(what, Unit::Share, samples).of(front.label());
        match front {
            Front::Portico => row.bar(Of::Samples, Side::AtMost, BAR),
            Front::Nginx => row.note("nginx probes nobody"),
            Front::Direct | Front::Route | Front::Nftables | Front::Haproxy => row,
        }
    });
    Ok(rows.collect())
}
