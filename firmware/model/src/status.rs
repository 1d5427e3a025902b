//! What the box is like at one moment, in plain values that a console, a page or a program shows.
//!
//! Names are the operator's own; counts are totals since start unless said otherwise; instants
//! are on the clock whose zero is the start of the kernel.

mod cluster;
mod errands;
mod operators;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use base::time::{Duration, Instant};
use base::{Mac, Prefix};

use crate::config::{Gateway, Mode, PortRanges, ServerState, ServiceProtocol};

pub use cluster::{Cluster, Document, Lease, Move, Node, Ownership, Path, Presence, Standing};
pub use errands::{CaptureEnd, Captured, Direction, Echo, EchoOutcome, Frame, Pinged};
pub use operators::{Candidate, Holder, LogEntry, Revision, Session, Unconfirmed};

/// A port of this box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The interface, as the kernel calls it.
    pub interface: String,
    /// The VLAN of the interface; none: untagged.
    pub vlan: Option<u16>,
    /// The network it is attached to.
    pub network: String,
    /// Its hardware address; none while the interface is not there.
    pub mac: Option<Mac>,
    /// The largest datagram in octets; 0 while the interface is not there.
    pub mtu: u32,
    /// Whether it works.
    pub link: Link,
    /// The node's primary addresses there.
    pub addresses: Vec<Prefix>,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
    /// Frames that came in and were not passed on, for whatever reason.
    pub dropped: u64,
    /// Frames that should have gone out and did not.
    pub unsent: u64,
}

/// Frames and octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames.
    pub frames: u64,
    /// Octets, Ethernet headers included.
    pub octets: u64,
}

/// Whether a port works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It has a carrier.
    Up,
    /// It has none.
    Down,
    /// The kernel has no such interface.
    Absent,
}

impl Link {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Absent => "absent",
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A virtual address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// Its name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// The network on which it is answered for.
    pub network: String,
    /// Whether this box answers for it now.
    pub served: bool,
    /// Whether it is a default gateway of servers.
    pub gateway: Gateway,
    /// Services on it.
    pub services: u32,
    /// Its flows now.
    pub flows: u64,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The name of its VIP.
    pub vip: String,
    /// The address of its VIP.
    pub address: IpAddr,
    /// Its protocol.
    pub protocol: ServiceProtocol,
    /// Its ports.
    pub ports: PortRanges,
    /// How packets get to a server and back.
    pub mode: Mode,
    /// The name of its pool.
    pub pool: String,
    /// Servers of the pool that get new flows now.
    pub usable: u32,
    /// Servers of the pool.
    pub servers: u32,
    /// Its flows now.
    pub flows: u64,
    /// Flows it ever had.
    pub total: u64,
}

/// A server, as one pool sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name of its pool.
    pub pool: String,
    /// Its name in the pool.
    pub name: String,
    /// Where it is.
    pub address: IpAddr,
    /// Where it listens; none: the port the client connected to.
    pub port: Option<u16>,
    /// Its share of new flows.
    pub weight: u16,
    /// What the operator says of it.
    pub state: ServerState,
    /// What the checks say of it.
    pub health: Health,
    /// Why.
    pub cause: Cause,
    /// Since when its health is what it is.
    pub since: Instant,
    /// Its flows now.
    pub flows: u64,
    /// Flows it ever had.
    pub total: u64,
}

/// What the checks say of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing yet, or it has no check: it is taken for alive.
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl Health {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why a server's health is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It has not been probed yet.
    NotProbed,
    /// Its pool has no check.
    NotChecked,
    /// It answered after so long.
    Answered(Duration),
    /// It refused the connection.
    Refused,
    /// It did not answer in time.
    TimedOut,
    /// Its network or a router said that it cannot be reached.
    Unreachable,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProbed => f.write_str("not probed yet"),
            Self::NotChecked => f.write_str("not checked"),
            Self::Answered(latency) => write!(f, "answered in {}", Milliseconds(*latency)),
            Self::Refused => f.write_str("refused"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Unreachable => f.write_str("unreachable"),
        }
    }
}

/// A time as people read it: `0.4 ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milliseconds(pub Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.as_micros().div_ceil(100);
        write!(f, "{}.{} ms", tenths / 10, tenths % 10)
    }
}

/// The flows of this box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flows {
    /// How many there may be.
    pub capacity: u64,
    /// How many there are in each state, by the state's name.
    pub states: Vec<Counter>,
}

impl Flows {
    /// How many there are.
    pub fn total(&self) -> u64 {
        self.states.iter().fold(0, |total, state| total.saturating_add(state.value))
    }
}

/// A number with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What is counted; stable, lower case, words joined by `-` or `_`, parts by `.`.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// One step of starting up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootStep {
    /// When it was done.
    pub at: Instant,
    /// What was done: `modules`.
    pub name: String,
    /// What came of it: `14 loaded`.
    pub detail: String,
}

/// What runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The firmware's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// The board; empty outside a box.
    pub board: String,
    /// The cluster; empty while the box has no configuration.
    pub cluster: String,
    /// This node; empty while the box has no configuration.
    pub node: String,
    /// Time since the kernel started.
    pub uptime: Duration,
}

/// A station on a network of this box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Its address.
    pub address: IpAddr,
    /// The port that leads to it.
    pub port: String,
    /// Its network.
    pub network: String,
    /// Its hardware address, while that is known.
    pub mac: Option<Mac>,
    /// Whether it answers.
    pub state: NeighborState,
}

/// Whether a neighbor answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighborState {
    /// It is asked for, and has not answered.
    Incomplete,
    /// It answered not long ago.
    Reachable,
    /// It answered, and is asked again.
    Probe,
}

impl NeighborState {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Probe => "probe",
        }
    }
}

impl fmt::Display for NeighborState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
