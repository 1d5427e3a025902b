//! Group `cluster`: what it costs to be several. Processor time of idle boxes, and what the copies
//! of connections take on the wires.

use super::told;
use crate::arrangement::Ground;
use crate::arrangement::process::cpu_time;
use crate::row::{Of, Row, Side as Bound, Unit};
use crate::{BenchError, Options, clock};
use lab::default_config::Extent;
use lab::lifecycle::{self, Design, Plan};
use lab::process::Process;
use lab::topology::Counts;
use lab::{LabError, Place, command};
use model::config::ServiceProtocol;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Boxes that idle, and the most of a core that each may take.
const MANY: usize = 8;
const IDLE: f64 = 0.015;
/// Boxes that copy.
const FEW: usize = 3;
/// What is begun at the start is done by then.
const SETTLE: Duration = Duration::from_secs(8);
/// One sample of idling.
const SAMPLE: Duration = Duration::from_secs(2);
/// Connections of a sample, and clients that open them side by side.
const CONNECTIONS: usize = 3000;
const CLIENTS: usize = 2;
/// Every connection of a sample has been copied by then.
const COPIED: Duration = Duration::from_millis(2500);
/// New connections a second for which the bar is told, and the most that their copies may take.
const RATE: f64 = 100_000.0;
const BITS: f64 = 25e6;
/// The port of the cluster's datagrams.
const PORT: u16 = 49911;
/// A request after which the server keeps the connection.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n";

/// A lab that is taken down when dropped.
struct Lab {
    place: Place,
    design: Design,
}

impl Lab {
    fn up(options: &Options, name: &str, nodes: usize, groups: usize) -> Result<Lab, BenchError> {
        let counts = Counts { nodes: Some(nodes), ..Counts::default() };
        let profile = Some("normal".to_owned());
        let extent = Extent { profile, groups, ..Extent::default() };
        let design = Plan { counts, extent, ..Plan::default() }.design().map_err(told)?;
        let place = Place::named(&options.folder, name);
        let supervisor = options.supervisor.clone().unwrap_or_default();
        lifecycle::up(&place, &design, &supervisor).map_err(told)?;
        clock::pause(SETTLE);
        Ok(Lab { place, design })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the same lab is built again.
        let _ = lifecycle::down(&self.place);
    }
}

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    Ok([idle(options)?, copies(options)?].concat())
}

/// Processor time of boxes that only tell each other that they are there.
fn idle(options: &Options) -> Result<Vec<Row>, BenchError> {
    let lab = Lab::up(options, "cost-idle", MANY, 1)?;
    let processes: Vec<u32> = lab
        .design
        .nodes()
        .filter_map(|(host, _)| Process::find(&lab.place, &host.name))
        .filter_map(|process| u32::try_from(process.pid).ok())
        .collect();
    if processes.len() != MANY {
        return Err(BenchError::CannotMeasure(format!("{} of {MANY} boxes run", processes.len())));
    }
    let times = || -> Vec<Duration> {
        processes.iter().map(|process| cpu_time(*process).unwrap_or_default()).collect()
    };
    let (mut means, mut most) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let (begin, before) = (clock::now(), times());
        clock::pause(SAMPLE);
        let (took, after) = ((clock::now() - begin).as_secs_f64(), times());
        let spent = after
            .iter()
            .zip(&before)
            .map(|(after, before)| after.saturating_sub(*before).as_secs_f64() / took);
        let spent: Vec<f64> = spent.collect();
        means.push(spent.iter().sum::<f64>() / spent.len() as f64);
        most.push(spent.into_iter().fold(0.0, f64::max));
    }
    let what = "processor time of each of 8 idle boxes, of one core; three servers probed a second";
    Ok(vec![
        Row::new(what, Unit::Share, means).of("mean").bar(Of::Samples, Bound::AtMost, IDLE),
        Row::new(what, Unit::Share, most).of("busiest").bar(Of::Samples, Bound::AtMost, IDLE),
    ])
}

/// What copies of connections take where all of them are copied, since the servers' port belongs
/// to two services.
fn copies(options: &Options) -> Result<Vec<Row>, BenchError> {
    let lab = Lab::up(options, "cost-copy", FEW, 2)?;
    let tcp = |service: &&model::config::Service| service.protocol == ServiceProtocol::Tcp;
    let service = lab.design.config.services.iter().find(tcp);
    let service = service.and_then(|service| {
        let vip = lab.design.config.vips.get(service.vip.index())?;
        Some(SocketAddr::new(vip.address, service.ports.first()))
    });
    let service = service.ok_or_else(|| BenchError::CannotMeasure("no TCP service".into()))?;
    for segment in ["outside", "inside"] {
        count(&lab.place.segment(segment)).map_err(told)?;
    }
    let (mut rates, mut octets) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let quiet = counted(&lab, || clock::pause(COPIED))?;
        let (mut opened, mut took) = (Ok(Vec::new()), Duration::ZERO);
        let busy = counted(&lab, || {
            let begin = clock::now();
            opened = open(&lab.place.host("client1"), service);
            took = clock::now() - begin;
            clock::pause(COPIED);
        })?;
        // They end when this is dropped, behind the sample.
        let opened = opened?;
        let (seconds, count) = (took.as_secs_f64(), opened.len() as f64);
        let pulse = quiet / COPIED.as_secs_f64() * (COPIED.as_secs_f64() + seconds);
        rates.push(count / seconds);
        octets.push((busy - pulse).max(0.0) / count);
    }
    let bits: Vec<f64> = octets.iter().map(|octets| octets * 8.0 * RATE).collect();
    let what = "copies of connections on both networks, as many as 100,000 new ones a second";
    let note = "from octets of Ethernet frames for each connection at the rate reached here, less \
                what heartbeats and token take; both standbys, where there are two";
    Ok(vec![
        Row::new("new connections a second, opened and kept", Unit::PerSecond, rates),
        Row::new("octets on the wires for the copies of a connection", Unit::Octets, octets),
        Row::new(what, Unit::BitsPerSecond, bits).bar(Of::Samples, Bound::AtMost, BITS).note(note),
    ])
}

/// Counts the cluster's datagrams on a segment from now on.
fn count(segment: &str) -> Result<(), LabError> {
    let rules = format!(
        "table bridge cost {{
    chain forward {{
        type filter hook forward priority 0; policy accept;
        ether type ip udp dport {PORT} counter
        ether type ip6 udp dport {PORT} counter
    }}
}}
"
    );
    command::run_with_input("ip", &["netns", "exec", segment, "nft", "-f", "-"], &rules).map(drop)
}

/// The octets of the cluster's datagrams on both segments while something is done.
fn counted(lab: &Lab, what: impl FnOnce()) -> Result<f64, BenchError> {
    let read = || -> Result<f64, BenchError> {
        let mut total = 0.0;
        for segment in ["outside", "inside"] {
            let segment = lab.place.segment(segment);
            let listed = command::run_in(&segment, "nft", &["list", "table", "bridge", "cost"]);
            total += octets(&listed.map_err(told)?);
        }
        Ok(total)
    };
    let before = read()?;
    what();
    Ok(read()? - before)
}

/// The sum of the counters in a table as `nft list` shows it.
fn octets(listed: &str) -> f64 {
    let mut words = listed.split_whitespace();
    let mut total = 0.0;
    while words.any(|word| word == "bytes") {
        total += words.next().and_then(|word| word.parse::<f64>().ok()).unwrap_or_default();
    }
    total
}

/// Opens connections as fast as it goes, each with a request and its answer, and keeps them.
fn open(namespace: &str, service: SocketAddr) -> Result<Vec<TcpStream>, BenchError> {
    let one = || -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(service)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(REQUEST)?;
        let _ = stream.read(&mut [0; 1024])?;
        Ok(stream)
    };
    let path = format!("/run/netns/{namespace}");
    let client = || -> std::io::Result<Vec<TcpStream>> {
        setns(File::open(&path)?, CloneFlags::CLONE_NEWNET)?;
        (0..CONNECTIONS / CLIENTS).map(|_| one()).collect()
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut all = Vec::new();
        for client in clients {
            let opened = client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.extend(opened.map_err(BenchError::at("opening connections"))?);
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_up() {
        let listed = "table bridge cost {\n ether type ip udp dport 49911 counter packets 3 bytes \
                      300\n ether type ip6 udp dport 49911 counter packets 1 bytes 25\n}\n";
        assert_eq!(octets(listed), 325.0);
        assert_eq!(octets("table bridge cost {\n}\n"), 0.0);
    }
}
