//! Group `memory-per-flow`: what remembering a flow takes.

use super::flooded::Flooded;
use crate::arrangement::process::Process;
use crate::arrangement::{ECHO, Front, Ground, Set, VIP};
use crate::load::console::Console;
use crate::row::{Row, Unit};
use crate::{BenchError, Options, clock};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What the rows are of.
const WHAT: &str = "memory in hand for each flow that is remembered";
/// Flows that the supervisor is to remember, nearly as many as it has room for.
const MANY: u32 = 1_000_000;
/// So many of them are enough; a machine that stands still now and then needs more than one try.
const ENOUGH: u64 = 950_000;
const MOST_FILLS: usize = 4;
/// The same for the kernel, which has room for a quarter of that unless told otherwise.
const FEWER: u32 = 200_000;
/// Connections that a proxy holds.
const HELD: usize = 1_000;
/// What was begun before is done by then.
const SETTLE: Duration = Duration::from_millis(500);

/// Measures it.
///
/// # Errors
/// What could not be arranged.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let _ground = Ground::take(options)?;
    let rows = [
        portico(options)?,
        connection_tracking(options)?,
        proxy(options, Front::Haproxy)?,
        proxy(options, Front::Nginx)?,
    ];
    Ok(rows.into())
}

/// What the supervisor takes, with the index and whatever else grows.
fn portico(options: &Options) -> Result<Row, BenchError> {
    let set = Set::new(options, Front::Portico)?;
    let mut console = Console::open(&options.folder.join("portico/console"), "", "")?;
    let before = resident(&set)?;
    let (mut flooded, mut capacity, mut flows) = (Flooded::new(&set)?, 0, 0);
    for _ in 0..MOST_FILLS {
        fill(&mut flooded, MANY)?;
        let (answer, _) = console.ask("show flows | json")?;
        (capacity, flows) = count(&answer).ok_or_else(|| {
            BenchError::CannotMeasure(format!("`show flows | json` shows something else: {answer}"))
        })?;
        if flows >= ENOUGH {
            break;
        }
    }
    let (after, note) = (resident(&set)?, format!("{flows} flows in a table for {capacity}"));
    Ok(row(after.saturating_sub(before), flows).note(note))
}

/// What the kernel's connection tracking takes.
fn connection_tracking(options: &Options) -> Result<Row, BenchError> {
    let set = Set::new(options, Front::Nftables)?;
    let before = slab("nf_conntrack")?;
    fill(&mut Flooded::new(&set)?, FEWER)?;
    let path = "/proc/sys/net/netfilter/nf_conntrack_count";
    let middle = set.middle.as_ref().unwrap_or(&set.client);
    let read = middle.run(|| std::fs::read_to_string(path))?.map_err(BenchError::at(path))?;
    let flows = read.trim().parse().unwrap_or(0);
    let row = row(slab("nf_conntrack")?.saturating_sub(before), flows);
    let note = format!("{flows} flows; without the index, and without what extensions and NAT add");
    Ok(row.of(Front::Nftables.label()).note(note))
}

/// What a proxy takes, without what the kernel takes for its sockets.
fn proxy(options: &Options, front: Front) -> Result<Row, BenchError> {
    let set = Set::new(options, front)?;
    let before = resident(&set)?;
    let connect = || -> std::io::Result<Vec<TcpStream>> {
        (0..HELD)
            .map(|_| {
                let mut stream = TcpStream::connect((VIP, ECHO))?;
                stream.write_all(b"?")?;
                stream.read_exact(&mut [0])?;
                Ok(stream)
            })
            .collect()
    };
    let held = set.client.run(connect)?.map_err(BenchError::at("connections to hold"))?;
    let grown = resident(&set)?.saturating_sub(before);
    let note = format!("{HELD} connections; without the kernel's memory for two sockets each");
    Ok(row(grown, held.len() as u64).of(front.label()).note(note))
}

fn row(octets: u64, flows: u64) -> Row {
    Row::new(WHAT, Unit::Octets, vec![octets as f64 / flows as f64])
}

/// Makes a forwarder remember so many flows.
fn fill(flooded: &mut Flooded<'_>, flows: u32) -> Result<(), BenchError> {
    flooded.teach(flows)?;
    clock::pause(SETTLE);
    Ok(())
}

/// What the forwarder's process has in hand, in octets.
fn resident(set: &Set) -> Result<u64, BenchError> {
    let memory = set.forwarder.process.as_ref().and_then(Process::resident);
    memory.ok_or_else(|| BenchError::CannotMeasure("a process that has no memory".into()))
}

/// What the objects of one kind take in the kernel: active ones by their size (slabinfo(5)).
fn slab(kind: &str) -> Result<u64, BenchError> {
    let path = "/proc/slabinfo";
    let text = std::fs::read_to_string(path).map_err(BenchError::at(path))?;
    let octets = text.lines().find_map(|line| {
        let mut fields = line.strip_prefix(kind)?.split_whitespace();
        let active: u64 = fields.next()?.parse().ok()?;
        let size: u64 = fields.nth(1)?.parse().ok()?;
        Some(active * size)
    });
    // Not listed: none was ever made.
    Ok(octets.unwrap_or(0))
}

/// Capacity and number of flows in the console's JSON.
fn count(answer: &str) -> Option<(u64, u64)> {
    let json = answer.get(answer.find('{')?..=answer.rfind('}')?)?;
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    Some((value["capacity"].as_u64()?, value["flows"].as_u64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_found_in_what_the_console_shows() {
        let answer = "show\r\n{\"flows\":7,\"capacity\":10,\"udp\":7}\r\nn1> ";
        assert_eq!(count(answer), Some((10, 7)));
        assert_eq!(count("there is no such thing"), None);
    }
}
