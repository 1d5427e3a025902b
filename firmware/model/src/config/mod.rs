//! The configuration: from text to legal values, or to every problem with its place.
//!
//! ```text
//!   text ── toml ──> table with spans ── read ──> raw: legal scalars, each with its place
//!                                                        │ check: references, addresses, services
//!                                                        v
//!                                          Config, or every Problem of all three steps
//! ```
//!
//! [`schema`] is the table of every key; parsing, suggestions and the reference manual come from
//! it. A [`Config`] holds only legal values: whoever gets one need not look again.

mod addresses;
mod check;
pub mod document;
mod manual;
mod newcomer;
mod node;
mod owners;
mod ports;
mod problem;
mod raw;
mod read;
mod salvage;
pub mod schema;
mod services;
mod spread;
mod value;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use base::time::Duration;
use base::{NetworkId, NodeId, PoolId, Prefix, VipId};

use crate::operator::Role;

pub use manual::manual;
pub use newcomer::{NewPort, Newcomer};
pub use node::{NodeDocument, Secret};
pub use ports::{BadPorts, PortRanges};
pub use problem::Problem;
pub use value::{BadDuration, duration};

/// The cluster document: what all nodes agree on. Every vector is sorted by name, and the ids
/// that refer to networks, VIPs and pools are indices into these vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Settings of the whole cluster.
    pub cluster: Cluster,
    /// Ethernet segments that nodes attach to.
    pub networks: Vec<Network>,
    /// Virtual addresses.
    pub vips: Vec<Vip>,
    /// What is balanced.
    pub services: Vec<Service>,
    /// Who it is balanced over.
    pub pools: Vec<Pool>,
    /// The boxes.
    pub nodes: Vec<Node>,
    /// Who may log in.
    pub users: Users,
}

impl Config {
    /// Reads a cluster document.
    ///
    /// # Errors
    /// Every problem of the document at once, in the order of their places, up to
    /// [`crate::limits::PROBLEMS`]. Never empty.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut report = problem::Report::new(text);
        let raw = raw::read(&mut report, text);
        let config = raw.and_then(|raw| check::check(&mut report, raw));
        report.finish(config)
    }

    /// The network that has a prefix holding `address`.
    pub fn network_of(&self, address: IpAddr) -> Option<NetworkId> {
        let holds = |network: &Network| network.prefixes.iter().any(|p| p.contains(address));
        self.networks.iter().position(holds).map(NetworkId::from)
    }

    /// The port on which a check probes `server` of the pool `id`: the check's, else the
    /// server's, else the first of the pool's first service, TCP before UDP. `None`: the pool has
    /// no check, or no service, or one with all ports; then there is nothing to probe.
    pub fn probe_port(&self, id: PoolId, server: &Server) -> Option<u16> {
        let check = self.pools.get(id.index())?.check?;
        let services = self.services.iter().filter(|service| service.pool == id);
        let first = services.min_by_key(|service| service.protocol);
        let of_service = || first.filter(|service| service.ports != PortRanges::all());
        check.port.or(server.port).or_else(|| of_service().map(|service| service.ports.first()))
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        let index = self.nodes.binary_search_by(|node| node.name.as_str().cmp(name)).ok()?;
        self.nodes.get(index)
    }
}

/// Settings of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// What the operator calls it.
    pub name: String,
    /// What a node may do when it cannot hear the others.
    pub policy: Policy,
    /// How fast failures are detected.
    pub profile: Profile,
    /// Which boxes with the secret may join.
    pub newcomers: Newcomers,
}

/// An Ethernet segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// What is on the link; host bits clear, disjoint over all networks.
    pub prefixes: Vec<Prefix>,
    /// Routers to everywhere else, at most one of each family.
    pub gateways: Vec<IpAddr>,
    /// The web page is served on the primary addresses here.
    pub management: bool,
}

/// A virtual address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vip {
    /// Its name.
    pub name: String,
    /// Where it is answered for.
    pub network: NetworkId,
    /// The address, inside a prefix of its network.
    pub address: IpAddr,
    /// VIPs of one group move together. By default a VIP is a group of its own name.
    pub group: String,
    /// Whether it is a default gateway of servers.
    pub gateway: Gateway,
    /// Which node is to own it.
    pub owner: Choice,
    /// Its flows are shared among nodes.
    pub spread: bool,
}

/// Which node is to own a virtual address, and with it the addresses of its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Any that is attached to its network, or what another address of the group says.
    #[default]
    Any,
    /// This one rather than others.
    Prefer {
        /// The node.
        node: NodeId,
        /// The address moves back when the node returns.
        back: bool,
    },
    /// This one and no other.
    Pin(NodeId),
}

/// What is balanced: a VIP, a protocol and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The address clients connect to.
    pub vip: VipId,
    /// The protocol clients speak.
    pub protocol: ServiceProtocol,
    /// The ports clients connect to.
    pub ports: PortRanges,
    /// How packets get to a server and back.
    pub mode: Mode,
    /// The servers.
    pub pool: PoolId,
    /// How long a silent flow is remembered; none: the default of the protocol.
    pub idle: Option<Duration>,
}

/// Servers that serve the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// How a server is chosen for a new flow.
    pub scheduler: Scheduler,
    /// How servers are watched; none: they are taken for alive.
    pub check: Option<Check>,
    /// The servers, sorted by name.
    pub servers: Vec<Server>,
}

/// How servers are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What a probe says.
    pub kind: CheckKind,
    /// Time between two probes of one server.
    pub interval: Duration,
    /// How long a probe waits for its answer; at most `interval`.
    pub timeout: Duration,
    /// Successes in a row that bring a server up.
    pub rise: u8,
    /// Failures in a row that take a server down.
    pub fall: u8,
    /// The port that is probed; none: see [`Config::probe_port`].
    pub port: Option<u16>,
}

/// A back-end machine, as one pool sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name, unique in its pool.
    pub name: String,
    /// Where it is.
    pub address: IpAddr,
    /// Where it listens; none: the port the client connected to.
    pub port: Option<u16>,
    /// Its share of new flows relative to the others, 0 to [`crate::limits::WEIGHT`]; 0: none.
    pub weight: u16,
    /// What the operator says of it.
    pub state: ServerState,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its number in the cluster, not 0.
    pub id: u8,
    /// Its share of the virtual addresses relative to the other nodes; 0: only what no other can
    /// own.
    pub weight: u16,
    /// Its ports, sorted by name.
    pub ports: Vec<Port>,
}

/// Who may log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// All of them, sorted by name.
    pub list: Vec<User>,
    /// The document is refused and speaks of users, and none of them could be read: nobody may
    /// log in, and nothing is open to everybody either.
    pub lost: bool,
}

impl Users {
    /// Whether whoever holds the serial line may do everything.
    pub const fn is_open(&self) -> bool {
        self.list.is_empty() && !self.lost
    }
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their name.
    pub name: String,
    /// The hash of their password as a PHC string.
    pub password: String,
    /// What they may do.
    pub role: Role,
}

/// A port of a box: an interface or one VLAN of it, attached to a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// What it is attached to.
    pub network: NetworkId,
    /// The node's primary addresses there, each with the length of its network's prefix.
    pub addresses: Vec<Prefix>,
    /// The VLAN of the interface; none: untagged.
    pub vlan: Option<u16>,
    /// The interface, as the kernel calls it; by default the port's name.
    pub interface: String,
}

/// Defines an enum whose variants have a word in documents and on consoles.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// The word for it in documents and on consoles.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
            /// The inverse of [`Self::word`].
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    )*};
}

words! {
    /// What a node may do when it cannot hear the others.
    Policy {
        /// It keeps what it owns while a witness on the network answers.
        Witness = "witness",
        /// It keeps serving.
        Available = "available",
        /// It serves only together with a majority.
        Quorum = "quorum",
    }
    /// Which boxes with the secret may join.
    Newcomers {
        /// Any: its entry is committed when it comes.
        Welcome = "welcome",
        /// Those that have an entry.
        Listed = "listed",
    }
    /// How fast failures are detected.
    Profile {
        /// Chosen by what the box runs on.
        Auto = "auto",
        /// 10 ms between heartbeats.
        Fast = "fast",
        /// 20 ms between heartbeats.
        Normal = "normal",
        /// 50 ms between heartbeats.
        Vm = "vm",
        /// 500 ms between heartbeats.
        Emulated = "emulated",
    }
    /// Whether a VIP is a default gateway of servers.
    Gateway {
        /// It forwards the servers' own traffic.
        Route = "route",
        /// It does not; replies of services pass all the same.
        Off = "off",
    }
    /// The protocol of a service.
    ServiceProtocol {
        /// RFC 9293.
        Tcp = "tcp",
        /// RFC 768.
        Udp = "udp",
    }
    /// How packets get to a server and back.
    Mode {
        /// The destination is rewritten; servers use an inside VIP as their gateway.
        Nat = "nat",
    }
    /// How a server is chosen for a new flow.
    Scheduler {
        /// Weighted consistent hashing of the flow.
        Maglev = "maglev",
    }
    /// What a probe says.
    CheckKind {
        /// It opens a connection and closes it.
        Tcp = "tcp",
    }
    /// What the operator says of a server.
    ServerState {
        /// It serves while its check succeeds.
        Up = "up",
        /// It is treated as failed.
        Down = "down",
        /// It keeps its flows and gets no new ones.
        Draining = "draining",
        /// It is not there: no flows, no probes.
        Disabled = "disabled",
    }
}

impl ServiceProtocol {
    /// Its number in IP headers.
    pub const fn number(self) -> base::Protocol {
        match self {
            Self::Tcp => base::Protocol::TCP,
            Self::Udp => base::Protocol::UDP,
        }
    }
}
