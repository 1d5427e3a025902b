//! From what the guest measured to rows.

use super::plan::{Measured, Pace, Way, Work};
use crate::statistics::estimate;
use crate::{Row, Unit};

/// Three rows for each work: the whole guest's instructions beside IPVS, and the front layer's
/// share beside IPVS and beside nftables, which is also measured outside of an emulator.
pub fn rows(measured: &[Measured]) -> Vec<Row> {
    let row = |what: String, samples| Row::new(what, Unit::Count, samples);
    let rows_of = |work| {
        let (name, item) = name(work);
        let share = format!("ipvs/{name}, front layer's instructions {item}");
        let own = |way| less(&samples(measured, work, way), &samples(measured, work, Way::Direct));
        [
            row(
                format!("ipvs/{name}, all instructions {item}"),
                samples(measured, work, Way::Portico),
            )
            .against("IPVS", samples(measured, work, Way::Ipvs))
            .note(format!(
                "of these client and server without a front layer {}",
                middle(&samples(measured, work, Way::Direct))
            )),
            row(share.clone(), own(Way::Portico))
                .against("IPVS", own(Way::Ipvs))
                .note(format!("kernel routing {}", middle(&own(Way::Routing)))),
            row(share, own(Way::Portico)).against("nftables", own(Way::Nftables)),
        ]
    };
    Work::ALL.into_iter().flat_map(rows_of).collect()
}

/// The name of a work, and what its samples are per.
fn name(work: Work) -> (&'static str, &'static str) {
    match work {
        Work::Frames(Pace::Bursts) => ("frames", "a 64-octet frame, 64 at once"),
        Work::Frames(Pace::Single) => ("frames", "a 64-octet frame, one at a time"),
        Work::Connections(Pace::Bursts) => ("connections", "a TCP connection, 32 at once"),
        Work::Connections(Pace::Single) => ("connections", "a TCP connection, one at a time"),
        Work::Bulk => ("bulk", "a megabyte of one TCP connection"),
    }
}

/// One sample a round, in the order of rounds: instructions for each item.
fn samples(measured: &[Measured], work: Work, way: Way) -> Vec<f64> {
    let mut chosen: Vec<&Measured> =
        measured.iter().filter(|it| it.work == work && it.way == way).collect();
    chosen.sort_by_key(|it| it.round);
    let octets_of_an_item = if work == Work::Bulk { 1e6 } else { 1.0 };
    let each = |it: &Measured| it.instructions as f64 / it.items as f64 * octets_of_an_item;
    chosen.into_iter().map(each).collect()
}

fn less(samples: &[f64], others: &[f64]) -> Vec<f64> {
    samples.iter().zip(others).map(|(sample, other)| sample - other).collect()
}

fn middle(samples: &[f64]) -> String {
    estimate(samples).map_or_else(|| "none".into(), |it| Unit::Count.shown(it.median))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rounds that were told in another order, each way with its own cost.
    fn measured() -> Vec<Measured> {
        let mut list = Vec::new();
        for round in [1, 0] {
            for work in Work::ALL {
                for (way, cost) in
                    Way::ALL.into_iter().zip([10_000, 12_000, 14_000, 15_000, 18_000])
                {
                    let instructions = (cost + round as u64 * 1000) * 100;
                    list.push(Measured { round, way, work, items: 100, instructions });
                }
            }
        }
        list
    }

    #[test]
    fn the_front_layers_share_is_what_a_way_takes_more_than_a_wire() {
        let rows = rows(&measured());
        assert_eq!(rows.len(), 3 * Work::ALL.len());
        assert_eq!(rows[0].samples, [18_000.0, 19_000.0], "in the order of rounds");
        assert_eq!(rows[0].ratios()[0], 18.0 / 14.0);
        assert!(rows[0].note.contains("without a front layer 10.5 k"), "{}", rows[0].note);
        assert_eq!(rows[1].samples, [8_000.0, 8_000.0]);
        assert_eq!(rows[1].ratios(), [2.0, 2.0]);
        assert!(rows[1].note.contains("kernel routing 2.00 k"), "{}", rows[1].note);
        assert_eq!(rows[2].ratios(), [1.6, 1.6]);
    }

    #[test]
    fn bulk_is_told_by_the_megabyte() {
        let rows = rows(&measured());
        let bulk = rows.iter().find(|row| row.what.contains("bulk")).expect("there is one");
        assert_eq!(bulk.samples[0], 18_000.0 * 1e6);
    }
}
