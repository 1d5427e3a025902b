//! In memory: what the forwarder itself costs, without any port.
//!
//! Real frames lie in slots, as in a receive ring of a port, and go through the one
//! [`Forwarder::burst`](dataplane::Forwarder::burst) that the box runs, with everything on: parse,
//! checks, look-up, TCP tracking, expiry, counters, translation, TTL, next hop. What a figure holds
//! is that call, clearing its output and handing it the slots; nothing is subtracted. Frames are
//! written before the clock starts, a ring full at a time, and so are read from the second-level
//! cache or farther. The clock is the thread's processor time, so that waiting for a processor that
//! others use does not count; their use of caches and memory does.

mod builds;
mod load;
mod scene;

use crate::{BenchError, Of, Options, Row, Side, Unit};
use load::Load;
use model::limits::BURST;
use scene::Scene;
use std::time::Duration;

/// Flows of the usual scene.
const USUAL: u32 = 1_000_000;
/// Scenes by number of flows, one service and server.
const FLOWS: [u32; 4] = [10_000, 100_000, USUAL, 10_000_000];
/// Scenes by number of services, and as many servers, with the usual number of flows.
const SERVICES: [u32; 3] = [1, 100, 10_000];
/// Frames of a sample.
const FRAMES: u32 = 16 * load::SLOTS;
/// Flows that come and go in a sample.
const CHURN: u32 = 8 * load::SLOTS;

/// Measures in memory.
///
/// # Errors
/// The kernel does not tell the thread's processor time.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    processor_time()?;
    let most = if options.quick { USUAL } else { u32::MAX };
    let mut load = Load::new(options.seed);
    let mut rows = established(options, &mut load, FLOWS.iter().filter(|&&n| n <= most))?;
    rows.extend(services(options, &mut load)?);
    rows.extend(churn(options, &mut load)?);
    Ok(rows)
}

/// How long the tables take to build that the forwarder looks things up in.
///
/// # Errors
/// None; the shape is that of every group.
pub fn tables(options: &Options) -> Result<Vec<Row>, BenchError> {
    Ok(builds::rows(options))
}

/// Established flows, from few to many.
fn established<'f>(
    options: &Options,
    load: &mut Load,
    sizes: impl Iterator<Item = &'f u32>,
) -> Result<Vec<Row>, BenchError> {
    let scenes: Result<Vec<_>, _> = sizes.map(|&flows| Scene::filled(load, 1, flows)).collect();
    let mut scenes = scenes?;
    let mut bursts = vec![Vec::new(); scenes.len()];
    let mut single = bursts.clone();
    for _ in 0..options.rounds {
        for (at, scene) in scenes.iter_mut().enumerate() {
            load.measure(scene, BURST, load::SLOTS)?; // the scene's turn to fill the caches
            bursts[at].push(load.measure(scene, BURST, FRAMES)?);
            single[at].push(load.measure(scene, 1, FRAMES / 4)?);
        }
    }
    let mut rows = Vec::new();
    for (scene, samples) in scenes.iter().zip(&bursts) {
        let what = format!("a frame of {} established flows, in bursts", count(scene.flows()));
        let row = Row::new(what, Unit::Seconds, samples.clone());
        rows.push(match scene.flows() {
            USUAL => row
                .bar(Of::Samples, Side::AtMost, 100e-9)
                .note("flows in random order, both directions; 64 frames a burst"),
            _ => row,
        });
    }
    if let ([few, .., many], [first, .., last]) = (&bursts[..], &scenes[..]) {
        let (first, last) = (count(first.flows()), count(last.flows()));
        let what = format!("growth from {first} to {last} flows");
        let row = Row::new(what, Unit::Seconds, many.clone()).of(format!("{last} flows"));
        rows.push(row.against(format!("{first} flows"), few.clone()).bar(
            Of::Ratio,
            Side::AtMost,
            2.5,
        ));
    }
    for (scene, samples) in scenes.iter().zip(single) {
        let what = format!("a frame of {} established flows, one by one", count(scene.flows()));
        rows.push(Row::new(what, Unit::Seconds, samples));
    }
    for scene in &scenes {
        let flows = scene.forwarder.flows();
        let octets = flows.octets_per_flow() as f64;
        let what = format!("memory per flow, room for {}", count(flows.capacity()));
        let note = "a record of 64 octets, the rest is the index of both directions";
        rows.push(Row::new(what, Unit::Octets, vec![octets]).note(note));
    }
    Ok(rows)
}

/// The usual number of flows, of few services and servers and of many.
fn services(options: &Options, load: &mut Load) -> Result<Vec<Row>, BenchError> {
    let scenes: Result<Vec<_>, _> =
        SERVICES.iter().map(|&services| Scene::filled(load, services, USUAL)).collect();
    let mut scenes = scenes?;
    let mut samples = vec![Vec::new(); scenes.len()];
    for _ in 0..options.rounds {
        for (scene, samples) in scenes.iter_mut().zip(&mut samples) {
            load.measure(scene, BURST, load::SLOTS)?;
            samples.push(load.measure(scene, BURST, FRAMES)?);
        }
    }
    let mut rows = Vec::new();
    for (services, samples) in SERVICES.iter().zip(&samples) {
        let what = format!("a frame of 1 M flows, {services} services and servers");
        rows.push(Row::new(what, Unit::Seconds, samples.clone()));
    }
    if let [one, .., many] = &samples[..] {
        let row =
            Row::new("growth from 1 to 10000 services and servers", Unit::Seconds, many.clone());
        let row = row.of("10000").against("1", one.clone());
        rows.push(row.bar(Of::Ratio, Side::AtMost, 1.3));
    }
    Ok(rows)
}

/// Flows that begin and end in a table that is half full.
fn churn(options: &Options, load: &mut Load) -> Result<Vec<Row>, BenchError> {
    /// Longer than a flow that was reset lasts, and the idle time of an established one.
    const LATER: [Duration; 2] = [Duration::from_secs(11), Duration::from_secs(7_500)];
    let mut scene = Scene::new(1, USUAL)?;
    let mut brief = Scene::new(1, CHURN)?;
    load.establish(&mut scene, USUAL / 2)?;
    let mut steps = [const { Vec::new() }; 3];
    let (mut visits, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let times = load.establish(&mut scene, USUAL / 2 + CHURN)?;
        for (samples, time) in steps.iter_mut().zip(times) {
            samples.push(time);
        }
        visits.push(load.go_round(&mut scene, Duration::ZERO)?);
        load.reset(&mut scene, USUAL / 2)?;
        load.go_round(&mut scene, LATER[0])?;
        load.establish(&mut brief, CHURN)?;
        ends.push(load.go_round(&mut brief, LATER[1])?);
        brief.truncate(0);
    }
    let [syn, answer, data] = steps;
    let row = |what: &str, samples| Row::new(what, Unit::Seconds, samples);
    Ok(vec![
        row("a new flow: the client's SYN", syn).note(
            "checks, service, selection, record and two index entries; 500 k flows are there",
        ),
        row("a new flow: the server's SYN-ACK", answer),
        row("a new flow: the client's first data", data),
        row("expiry: a live flow looked at", visits)
            .note("each is looked at once in 4 s, in the order of memory"),
        row("expiry: a silent flow looked at and ended", ends),
    ])
}

/// A number of flows as people say it.
fn count(flows: u32) -> String {
    match flows {
        0..1_000_000 => format!("{} k", flows / 1_000),
        1_000_000.. => format!("{} M", flows / 1_000_000),
    }
}

/// How long this thread has run.
fn processor_time() -> Result<Duration, BenchError> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    let failed = |error| BenchError::CannotMeasure(format!("the thread's processor time: {error}"));
    time.map(Duration::from).map_err(failed)
}
