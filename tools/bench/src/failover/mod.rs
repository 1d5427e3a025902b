//! Group `failover`: what a client misses when the box that serves an address falls silent, when
//! its program is killed, and when it hands the address over; Portico beside keepalived.
//!
//! Each has a lab of its own, all alike: three hosts, three servers with an echo, a client, bridges
//! of the kernel. A client sends a datagram a millisecond through the virtual address; a gap is the
//! longest time during which what it sent stayed without an answer.

pub mod costs;
mod keepalived;
mod side;

use crate::arrangement::Ground;
use crate::rounds::interleave;
use crate::row::{Of, Row, Side as Bound, Unit};
use crate::statistics::quantile;
use crate::{BenchError, Options};
use lab::LabError;
use lab::default_config::Extent;
use lab::lifecycle::{Design, Plan};
use lab::topology::Counts;
use side::{Kind, Side};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// How many boxes.
const NODES: usize = 3;
/// Who is measured; the first two are Portico.
const KINDS: [Kind; 6] = [
    Kind::Portico("normal"),
    Kind::Portico("fast"),
    Kind::Keepalived(Duration::from_secs(1)),
    Kind::Keepalived(Duration::from_millis(100)),
    Kind::Keepalived(Duration::from_millis(20)),
    Kind::Keepalived(Duration::from_millis(10)),
];
/// Those of Portico, and the peer that `normal` must not be slower than.
const PORTICO: [usize; 2] = [0, 1];
const BEATEN: usize = 4;
/// The longest silence that clients may see of a silent failure: the median of each of
/// [`PORTICO`], and nine of ten of `normal`.
const MEDIANS: [f64; 2] = [0.1, 0.04];
const NINE_OF_TEN: f64 = 0.25;

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let sides: Result<Vec<Side>, _> = KINDS.iter().map(|kind| Side::up(options, *kind)).collect();
    let mut sides = sides?;
    let samples = interleave(options, "failover", &mut sides, |side| {
        let patience = match side.kind {
            Kind::Portico(_) => side.patience()?.as_secs_f64(),
            Kind::Keepalived(_) => 0.0,
        };
        let (silent, planned) = (side.silence()?, side.hand_over()?);
        let lost = planned.lost as f64;
        // A round takes a minute: whoever waits sees it go on.
        eprintln!(
            "bench: failover: {}: silent failure {:.1} ms, planned move {lost} lost, {:.1} ms",
            side.kind.label(),
            silent.gap.as_secs_f64() * 1e3,
            planned.gap.as_secs_f64() * 1e3
        );
        Ok([silent.gap.as_secs_f64(), planned.gap.as_secs_f64(), lost, patience])
    })?;
    // What follows is the same each time, and so is done once.
    let killed: Result<Vec<_>, _> = sides.iter_mut().map(Side::kill).collect();
    let killed = killed?;
    let of = |quantity: usize| -> Vec<Vec<f64>> {
        (0..KINDS.len()).map(|side| samples.of(side, quantity)).collect()
    };
    let mut rows = silence(&of(0), &of(3));
    let planned = compared("planned move: longest gap of the probe", Unit::Seconds, &of(1));
    // The bar is one of silent failures.
    rows.extend(planned.into_iter().map(|row| Row { bar: None, ..row }));
    for (kind, lost) in KINDS.iter().zip(of(2)) {
        let what = "planned move: datagrams lost of 1,000 a second";
        let row = Row::new(what, Unit::Count, lost).of(kind.label());
        rows.push(match kind {
            Kind::Portico(_) => row.bar(Of::Samples, Bound::AtMost, 0.0),
            Kind::Keepalived(_) => row,
        });
    }
    for (kind, (seen, answering)) in KINDS.iter().zip(killed) {
        let what = "only the program is killed: boxes that answer for the address afterwards";
        let gap = format!("gap {} ms", seen.gap.as_millis());
        rows.push(Row::new(what, Unit::Count, vec![answering as f64]).of(kind.label()).note(gap));
    }
    Ok(rows)
}

/// The rows of silent failures.
fn silence(gaps: &[Vec<f64>], patience: &[Vec<f64>]) -> Vec<Row> {
    let mut rows = Vec::new();
    let what = "silent failure: longest gap of the probe";
    for (kind, gaps) in KINDS.iter().zip(gaps) {
        let (nine, longest) = (nine_of_ten(gaps), gaps.iter().copied().fold(0.0, f64::max));
        let note = format!("nine of ten ≤ {:.0} ms, longest {:.0} ms", nine * 1e3, longest * 1e3);
        let row = Row::new(what, Unit::Seconds, gaps.clone()).of(kind.label()).note(note);
        let portico = PORTICO.iter().position(|number| KINDS[*number] == *kind);
        rows.push(match portico {
            Some(number) => row.bar(Of::Samples, Bound::AtMost, MEDIANS[number]),
            None => row,
        });
    }
    let nine = Row::new(
        "silent failure: nine of ten gaps are at most",
        Unit::Seconds,
        vec![nine_of_ten(&gaps[PORTICO[0]])],
    );
    let nine = nine.of(KINDS[PORTICO[0]].label()).bar(Of::Samples, Bound::AtMost, NINE_OF_TEN);
    rows.push(nine);
    rows.extend(compared("silent failure, compared", Unit::Seconds, gaps));
    for number in PORTICO {
        let what = "silence after which others take over (L)";
        let row = Row::new(what, Unit::Seconds, patience[number].clone());
        rows.push(row.of(KINDS[number].label()));
    }
    rows
}

/// Portico's samples beside those of each peer.
fn compared(what: &str, unit: Unit, samples: &[Vec<f64>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for own in PORTICO {
        for (peer, kind) in KINDS.iter().enumerate().skip(PORTICO.len()) {
            let row = Row::new(what, unit, samples[own].clone()).of(KINDS[own].label());
            let row = row.against(kind.label(), samples[peer].clone());
            let judged = own == PORTICO[0] && peer == BEATEN;
            rows.push(if judged { row.bar(Of::Ratio, Bound::AtMost, 1.0) } else { row });
        }
    }
    rows
}

/// The value that nine of ten samples do not exceed.
fn nine_of_ten(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile(&sorted, 0.9)
}

/// The lab of each side: the same wires, whatever runs on the hosts.
fn design(profile: &str) -> Result<Design, BenchError> {
    let counts = Counts { nodes: Some(NODES), ..Counts::default() };
    let extent = Extent { profile: Some(profile.to_owned()), groups: 1, ..Extent::default() };
    Plan { counts, extent, ..Plan::default() }.design().map_err(told)
}

/// Where the client sends.
fn probed(design: &Design) -> SocketAddr {
    let service = lab::probe::service(design, "www");
    service.unwrap_or_else(|_| SocketAddr::from(([192, 0, 2, 80], 7)))
}

/// An error of the lab as ours.
fn told(error: LabError) -> BenchError {
    BenchError::CannotMeasure(error.to_string())
}

/// Is the echo of a server, where that is what the lab has started this program for.
pub fn echo(words: &[String]) -> Option<ExitCode> {
    let [lab, udp_echo, name, ports @ ..] = words else { return None };
    if (lab.as_str(), udp_echo.as_str()) != ("lab", "udp-echo") {
        return None;
    }
    let ports: Vec<u16> = ports.iter().filter_map(|port| port.parse().ok()).collect();
    Some(match lab::echo::run(name, &ports) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp-echo: {error}");
            ExitCode::FAILURE
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portico_is_compared_with_every_peer_and_judged_beside_one() {
        let samples: Vec<Vec<f64>> = (1..=KINDS.len()).map(|n| vec![n as f64; 6]).collect();
        let rows = compared("x", Unit::Seconds, &samples);
        assert_eq!(rows.len(), 2 * 4);
        let judged: Vec<&Row> = rows.iter().filter(|row| row.bar.is_some()).collect();
        assert_eq!(judged.len(), 1);
        let peer = judged[0].peer.as_ref().map(|peer| peer.name.as_str());
        assert_eq!((&*judged[0].subject, peer), ("Portico normal", Some("keepalived 20 ms")));
        assert_eq!(judged[0].met(), Some(true));
    }

    #[test]
    fn a_slow_take_over_does_not_meet_its_bars() {
        let gaps = vec![vec![0.3; 6]; KINDS.len()];
        let rows = silence(&gaps, &vec![vec![0.08; 6]; KINDS.len()]);
        let judged: Vec<Option<bool>> = rows.iter().map(Row::met).collect();
        assert_eq!(judged.iter().filter(|met| **met == Some(false)).count(), 3, "{judged:?}");
    }

    #[test]
    fn only_the_words_of_the_lab_make_an_echo() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(echo(&words("failover --rounds 3")).is_none());
        assert!(echo(&words("lab up server1 7")).is_none());
    }
}
