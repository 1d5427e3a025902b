//! The groups of rows, in the order in which they are measured.

mod bulk;
mod compare;
mod connections;
mod faces;
mod fetch;
mod flooded;
mod flow_memory;
mod frames;
mod growth;
mod idle;
mod onecore;
mod roundtrip;

use crate::{BenchError, Options, Row};
use std::fmt::Write;

/// A kind of thing that is measured.
#[derive(Debug)]
pub struct Group {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it measures, in a line.
    pub about: &'static str,
    /// Measures it.
    pub run: fn(&Options) -> Result<Vec<Row>, BenchError>,
}

/// Every group. A new one gets a line here and a section in docs/performance.md.
pub const ALL: &[Group] = &[
    Group {
        name: "memory",
        about: "the forwarder alone: time by flows, services and servers; memory",
        run: crate::memory::run,
    },
    Group {
        name: "tables",
        about: "building what the forwarder looks things up in",
        run: crate::memory::tables,
    },
    Group {
        name: "ipvs",
        about: "instructions beside IPVS, inside an emulated machine",
        run: crate::emulator::run,
    },
    Group { name: "frames", about: "small datagrams a second", run: frames::run },
    Group { name: "connections", about: "new TCP connections a second", run: connections::run },
    Group { name: "bulk", about: "octets in a few TCP connections", run: bulk::run },
    Group { name: "fetch", about: "from connecting to the whole answer", run: fetch::run },
    Group { name: "roundtrip", about: "what is added to a round trip", run: roundtrip::run },
    Group { name: "onecore", about: "all on one core, and overload", run: onecore::run },
    Group { name: "idle", about: "what it costs to do nothing", run: idle::run },
    Group {
        name: "memory-per-flow",
        about: "what remembering a flow takes",
        run: flow_memory::run,
    },
    Group { name: "growth", about: "as there is more of everything, by tens", run: growth::run },
    Group { name: "faces", about: "console and page beside forwarding", run: faces::run },
    Group {
        name: "failover",
        about: "what a client misses when a box fails or hands over, beside keepalived",
        run: crate::failover::run,
    },
    Group {
        name: "cluster",
        about: "what it costs to be several: idle boxes, copies of connections",
        run: crate::failover::costs::run,
    },
];

/// The groups of those names, in the order of [`ALL`]; all of them where no name is given.
///
/// # Errors
/// [`BenchError::NoSuchGroup`].
pub fn choose(names: &[String]) -> Result<Vec<&'static Group>, BenchError> {
    if let Some(name) = names.iter().find(|name| ALL.iter().all(|group| group.name != **name)) {
        return Err(BenchError::NoSuchGroup { name: name.clone() });
    }
    let wanted = |group: &&Group| names.is_empty() || names.iter().any(|name| name == group.name);
    Ok(ALL.iter().filter(wanted).collect())
}

/// The list of groups for the help.
pub fn help() -> String {
    ALL.iter().fold("Groups:".to_owned(), |mut text, group| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {:<16} {}", group.name, group.about);
        text
    })
}
