//! What the two machines and those who run them hand to each other.

use crate::config::DocumentId;
use crate::wire::{Heartbeat, Reach, Standing};
use crate::{NodeSet, Peer, ViewId};
use alloc::sync::Arc;
use alloc::vec::Vec;
use base::time::Duration;
use base::{Instant, NetworkId, NodeId};

/// What kind of message a datagram carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Channel {
    /// [`crate::wire::Heartbeat`], between the pulse threads.
    Heartbeat = 0,
    /// [`crate::wire::TokenMessage`].
    Token = 1,
    /// [`crate::wire::Control`].
    Control = 2,
    /// [`crate::flows::wire::Message`].
    Flow = 3,
    /// [`crate::config::message::DocumentMessage`].
    Document = 5,
}

/// A message that is to be sealed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: NodeId,
    /// On which network.
    pub network: NetworkId,
    /// As what.
    pub channel: Channel,
    /// At most [`model::limits::CLUSTER_BODY`] octets.
    pub body: Vec<u8>,
}

/// Until when this node may serve on a network. Forwarders compare it with their clock at each
/// burst: past it they neither accept packets for VIPs there nor answer for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Where.
    pub network: NetworkId,
    /// Serving is allowed strictly before. [`Instant::ZERO`]: closed; [`Instant::FAR`]: for ever.
    pub until: Instant,
}

/// What [`crate::Cluster`] tells [`crate::Pulse`]. The newest order holds, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// Grows with each order; [`Report::obeyed`] repeats it.
    pub revision: u64,
    /// What we are.
    pub standing: Standing,
    /// The view we are in; [`ViewId::NONE`] outside.
    pub view: ViewId,
    /// Who is in it, ourselves included.
    pub members: Vec<Peer>,
    /// The newest token of the view that passed here.
    pub token: u64,
    /// Whether we hold the token, or pass it to somebody.
    pub holds: bool,
    /// [`Report::closings`] as it was known when the last token passed here: a gate that closed
    /// later stays closed.
    pub permitted: u64,
    /// The suspicion time L by which our own leases are counted: the smallest we consented to.
    pub lease: Duration,
    /// The suspicion time L by which others are judged: the largest we consented to.
    pub patience: Duration,
    /// Whose heartbeats we must not echo, because we consented to a view without them.
    pub muted: NodeSet,
    /// The document in force here.
    pub document: DocumentId,
}

impl Orders {
    /// What holds before the first order.
    pub(crate) const fn outside(lease: Duration, document: DocumentId) -> Self {
        Self {
            revision: 0,
            standing: Standing::Outside,
            view: ViewId::NONE,
            members: Vec::new(),
            token: 0,
            holds: false,
            permitted: 0,
            lease,
            patience: lease,
            muted: NodeSet::EMPTY,
            document,
        }
    }
}

/// What [`crate::Pulse`] tells [`crate::Cluster`]: everything it sees, so that a newer report
/// replaces an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The revision of the newest [`Orders`] that are obeyed.
    pub obeyed: u64,
    /// Every peer that was heard since our start.
    pub peers: Vec<Sight>,
    /// Every network we are attached to.
    pub gates: Vec<GateSight>,
    /// How often any lease ended; the beginning, when there is none, counts as the first.
    pub closings: u64,
    /// Whether we may accuse anybody: not after we were late ourselves.
    pub sober: bool,
    /// The suspicion time that the measured jitter asks for; not less than the profile's floor.
    pub wanted: Duration,
}

/// Whether a peer is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Within the last two intervals.
    Heard,
    /// Two heartbeats are missing.
    Missing,
    /// Nothing for the suspicion time, and our sockets are empty.
    Silent,
}

/// What is seen of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Which start of which node: the newest that was heard.
    pub peer: Peer,
    /// When the newest heartbeat of it was received, on any network.
    pub heard_at: Instant,
    /// Since when it is heard without an interruption.
    pub heard_since: Instant,
    /// Whether it is heard.
    pub presence: Presence,
    /// It is heard, but does not hear us: its echo has not advanced for the suspicion time.
    pub deaf: bool,
    /// What it said last about itself.
    pub said: Arc<Heartbeat>,
    /// Each network we share with it.
    pub paths: Vec<PathSight>,
}

/// What is seen of a peer on one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSight {
    /// Which.
    pub network: NetworkId,
    /// When the newest heartbeat was received here.
    pub heard_at: Instant,
    /// Thousandths of its heartbeats that got lost on the way to us.
    pub lost_in: u16,
    /// Thousandths of our heartbeats that got lost on the way to it.
    pub lost_out: u16,
    /// From us to it and back, without the time the echo waited there.
    pub round_trip: Duration,
}

/// What is seen of one of our networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSight {
    /// Which.
    pub network: NetworkId,
    /// Whether the lease holds.
    pub open: bool,
    /// How often it ended.
    pub closings: u32,
    /// How we are reached there.
    pub reach: Reach,
}
