//! What the host tells the guest to do, and what the guest tells back.

use serde::{Deserialize, Serialize};

/// Where the plan lies in the guest.
pub const PLAN_PATH: &str = "/plan.json";
/// Where the supervisor lies in the guest.
pub const SUPERVISOR_PATH: &str = "/portico-supervisor";
/// What a line with a [`Measured`] begins with.
pub const MEASURED: &str = "measured ";
/// What the guest's last line begins with when everything was measured.
pub const DONE: &str = "everything measured";
/// What its last line begins with when something failed.
pub const FAILED: &str = "measuring failed: ";

/// Programs of Debian's that the guest needs.
pub const PROGRAMS: [&str; 3] = ["ip", "ipvsadm", "nft"];
/// The kernel's modules that it needs, each with its parameters. The table of IPVS is sized for
/// many connections, as its documentation advises for a busy balancer; the default has 4,096 lists.
pub const MODULES: [(&str, &str); 10] = [
    ("veth", ""),
    // The supervisor's filters.
    ("sch_ingress", ""),
    ("cls_bpf", ""),
    ("af_packet", ""),
    // An algorithm that libcrc32c asks for by an alias.
    ("crc32c_generic", ""),
    ("ip_vs", "conn_tab_bits=16"),
    ("ip_vs_mh", ""),
    ("nft_chain_nat", ""),
    ("nft_nat", ""),
    ("nft_hash", ""),
];

/// Everything that the guest is to measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How often everything is measured.
    pub rounds: usize,
    /// What the order within a round is drawn from.
    pub seed: u64,
    /// How much of each work is one measurement.
    pub amounts: Vec<(Work, u64)>,
}

/// A way from the client to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// One wire: what client and server cost by themselves.
    Direct,
    /// The kernel between two wires, routing.
    Routing,
    /// The kernel's balancer.
    Ipvs,
    /// A destination translated by the kernel's packet filter.
    Nftables,
    /// The supervisor.
    Portico,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Direct, Self::Routing, Self::Ipvs, Self::Nftables, Self::Portico];

    /// What its namespaces are called after.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Routing => "routing",
            Self::Ipvs => "ipvs",
            Self::Nftables => "nftables",
            Self::Portico => "portico",
        }
    }
}

/// What goes along a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// UDP frames of 64 octets of established flows.
    Frames(Pace),
    /// TCP connections with a small request and answer, closed by the server.
    Connections(Pace),
    /// One TCP connection's octets, from the server.
    Bulk,
}

/// How many of a kind are under way together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// As many as a busy front layer finds waiting.
    Bursts,
    /// Each when the one before is done.
    Single,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Frames(Pace::Bursts),
        Self::Frames(Pace::Single),
        Self::Connections(Pace::Bursts),
        Self::Connections(Pace::Single),
        Self::Bulk,
    ];

    /// How many frames or connections a client begins before it waits for them.
    pub fn at_once(self) -> u64 {
        match self {
            Self::Frames(Pace::Bursts) => 64,
            Self::Connections(Pace::Bursts) => 32,
            Self::Frames(Pace::Single) | Self::Connections(Pace::Single) | Self::Bulk => 1,
        }
    }
}

/// What one measurement took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Counted from 0.
    pub round: usize,
    /// Which way.
    pub way: Way,
    /// Which work.
    pub work: Work,
    /// Frames, connections or octets.
    pub items: u64,
    /// Instructions that the whole guest executed meanwhile.
    pub instructions: u64,
}
