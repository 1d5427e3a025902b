//! The cluster as one of its boxes sees it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use base::time::{Duration, Instant};

use super::Counter;
use crate::config::{Policy, Profile};

/// The cluster as this box sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// This box's name.
    pub node: String,
    /// What it is in the cluster.
    pub standing: Standing,
    /// Which of its starts this is; 0 where nobody counts them.
    pub start: u32,
    /// The name of the agreement that the box is part of: higher ones begin with a higher number.
    pub view: Option<String>,
    /// Who is part of it, this box among them, in the order in which the token goes round.
    pub members: Vec<String>,
    /// The document in force here.
    pub document: Document,
    /// Every configured node, this box among them.
    pub nodes: Vec<Node>,
    /// How each other node is heard, by network.
    pub paths: Vec<Path>,
    /// Who serves each virtual address.
    pub owners: Vec<Ownership>,
    /// Until when this box may serve, by network.
    pub leases: Vec<Lease>,
    /// The latest changes of owners, the newest last.
    pub moves: Vec<Move>,
    /// By how much a lease outlasts the newest heartbeat that others have echoed, and after which
    /// silence they take over: chosen from the profile and the jitter that is measured. None where
    /// nobody else is configured.
    pub patience: Option<Duration>,
    /// How fast failures are to be detected.
    pub profile: Profile,
    /// What a node does that does not hear the others.
    pub policy: Policy,
    /// Datagrams under the name of the cluster that were refused since this start, by reason.
    pub refused: Vec<Counter>,
}

/// The document in force at a box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Its number: one more with each commit, the same at every box that has it.
    pub revision: u32,
    /// The beginning of the SHA-256 digest of its text.
    pub digest: String,
    /// Who committed it; empty: nobody, boxes started with it.
    pub user: String,
    /// At which other box; empty: at this one.
    pub node: String,
    /// What for.
    pub comment: String,
}

/// What a box is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The only node that is configured.
    Alone,
    /// It has no secret, and so nobody speaks with it.
    Secretless,
    /// It asks boxes of a running cluster to let it in.
    Newcomer,
    /// It has agreed on nothing with anybody yet, or not any more.
    Outside,
    /// It is part of a view.
    Member,
}

impl Standing {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Secretless => "secretless",
            Self::Newcomer => "newcomer",
            Self::Outside => "outside",
            Self::Member => "member",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A configured node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u8,
    /// Which of its starts was heard last; none before one was.
    pub start: Option<u32>,
    /// It is part of the view.
    pub member: bool,
    /// Whether it is heard.
    pub presence: Presence,
    /// Whether it shows that it hears this box; this box hears itself.
    pub hears: bool,
    /// The document in force there: its revision and the beginning of its digest, as heard last.
    pub document: Option<(u32, String)>,
    /// An operator has it own nothing, until it is restored.
    pub drained: bool,
    /// Its share of the virtual addresses relative to the others.
    pub weight: u16,
    /// What it has to do, in thousandths of what it can carry, as far as it is known.
    pub used: Option<u32>,
}

/// Whether a node is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is this box.
    Own,
    /// Within the last two intervals.
    Heard,
    /// Two heartbeats are missing.
    Missing,
    /// Nothing was heard for the suspicion time, or ever.
    Silent,
}

impl Presence {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Heard => "heard",
            Self::Missing => "missing",
            Self::Silent => "silent",
        }
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How another node is heard on one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Its name.
    pub node: String,
    /// The network.
    pub network: String,
    /// For how long nothing was received there.
    pub quiet: Duration,
    /// From this box to it and back, without the time that the echo waited there.
    pub round_trip: Duration,
    /// Thousandths of its heartbeats that got lost on the way here.
    pub lost_in: u16,
    /// Thousandths of this box's heartbeats that got lost on the way there.
    pub lost_out: u16,
}

/// Who serves a virtual address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Its name.
    pub vip: String,
    /// The address.
    pub address: IpAddr,
    /// The network on which it is answered for.
    pub network: String,
    /// Who owns it, as far as this box knows.
    pub owner: Option<String>,
    /// Whether this box answers for it now: it owns it, its port works, its lease is open.
    pub served: bool,
    /// What it has this box do while it is served here, in thousandths of what the box can carry.
    pub used: Option<u16>,
    /// The nodes that share its flows; empty: it is not spread, or nobody shares.
    pub spread: Vec<String>,
}

/// Until when this box may serve the virtual addresses of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The network.
    pub network: String,
    /// Whether it may.
    pub open: bool,
    /// For how much longer, unless it is renewed before; none: it is closed, or open for ever.
    pub remaining: Option<Duration>,
    /// How often it has ended since the start; the beginning, when there is none, counts as the
    /// first.
    pub closings: u32,
}

/// Virtual addresses that have another owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// When this box learned of it.
    pub at: Instant,
    /// Their names: those of one group.
    pub vips: Vec<String>,
    /// Who had them.
    pub from: Option<String>,
    /// Who has them.
    pub to: Option<String>,
    /// Why, in one word that does not change.
    pub reason: &'static str,
    /// What that was concluded from, in a sentence without end.
    pub evidence: String,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nobody = || "nobody";
        let from = self.from.as_deref().unwrap_or_else(nobody);
        let to = self.to.as_deref().unwrap_or_else(nobody);
        write!(f, "{} from {from} to {to}: {}", self.vips.join(", "), self.evidence)
    }
}
