//! Membership and ownership: what the members agree on.

use crate::wire::Standing;
use crate::{Orders, OwnershipGeneration, Peer, Report, Settings, Transmit, ViewId};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use base::{Instant, Mac, NetworkId, NodeId, VipId};

/// What the data plane of this node has to do with a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    None,
    /// It answers for it while the lease of its network holds, and passes packets of flows it does
    /// not know to the previous owner, if there is one.
    Owner {
        /// Who had it before, and may know flows that we do not.
        previous: Option<NodeId>,
    },
    /// It no longer answers for it, and passes every frame for it to its next owner.
    Releasing {
        /// The next owner.
        to: NodeId,
    },
    /// It does not answer for it yet, but takes frames for it that the owner passes on.
    Expecting {
        /// The owner.
        from: NodeId,
    },
}

/// A role that is to be obeyed, unless a higher generation was obeyed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Of which VIP.
    pub vip: VipId,
    /// As what.
    pub role: Role,
    /// How new the statement is.
    pub generation: OwnershipGeneration,
}

/// What an operator can ask of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Move a VIP and its group to a node.
    Move {
        /// Which.
        vip: VipId,
        /// To whom.
        to: NodeId,
    },
    /// Move everything off a node, and let it own nothing until further notice.
    Drain {
        /// Which.
        node: NodeId,
    },
    /// Let a drained node own VIPs again.
    Restore {
        /// Which.
        node: NodeId,
    },
    /// Hand everything over and leave the cluster: what is done before this node stops.
    Leave,
}

/// What became of a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is under way; events tell how it goes.
    Begun,
    /// It is so already.
    Already,
    /// We are in no view, so nothing can be agreed on.
    Outside,
    /// There is no such VIP or node, or it could not own what it is asked to own.
    Impossible,
}

/// What the cluster decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To be handed to [`crate::Pulse`].
    Orders(Orders),
    /// To be obeyed by every forwarder, then told with [`Cluster::handle_settled`].
    Ownership(Ownership),
    /// Ask by ARP or NDP who has a VIP, and tell with [`Cluster::handle_probe`].
    Probe(VipId),
    /// Tell everybody on its network that a VIP is here: gratuitous ARP in both forms, or an
    /// unsolicited advertisement with the override flag, and again as the pacing says.
    Announce(VipId),
    /// A view was agreed on.
    View {
        /// Its id.
        id: ViewId,
        /// Its members.
        members: Vec<Peer>,
    },
}

/// The machine behind membership and ownership.
#[derive(Clone, Debug)]
pub struct Cluster {
    own: Peer,
    /// No other node is configured.
    alone: bool,
    events: VecDeque<Event>,
    out: VecDeque<Transmit>,
}

impl Cluster {
    /// In no view, unless no other node is configured: then everything is owned at once.
    pub fn new(_now: Instant, settings: &Settings, _seed: u64) -> Self {
        let own = Peer { id: settings.own, incarnation: settings.incarnation };
        let mut cluster =
            Self { own, alone: settings.alone(), events: VecDeque::new(), out: VecDeque::new() };
        if cluster.alone {
            cluster.own_everything(settings);
        }
        cluster
    }

    fn own_everything(&mut self, settings: &Settings) {
        let id = ViewId { epoch: 1, proposer: self.own, attempt: 1 };
        let lease = settings.pace().floor;
        let orders = Orders {
            revision: 1,
            standing: Standing::Member,
            view: id,
            members: vec![self.own],
            token: 1,
            permits: 1,
            ..Orders::outside(lease)
        };
        self.events.push_back(Event::View { id, members: vec![self.own] });
        self.events.push_back(Event::Orders(orders));
        let generation = OwnershipGeneration { view: id, number: 1 };
        let attached = settings.networks_of(self.own.id);
        for (vip, said) in settings.vips() {
            if attached.contains(&said.network) && said.pin.is_none_or(|pin| pin == self.own.id) {
                let role = Role::Owner { previous: None };
                self.events.push_back(Event::Ownership(Ownership { vip, role, generation }));
                self.events.push_back(Event::Announce(vip));
            }
        }
    }

    /// Takes what the other machine sees. A newer report replaces an older one.
    pub fn handle_report(&mut self, _now: Instant, _report: Report) {}

    /// Takes a message from a peer.
    pub fn handle_message(
        &mut self,
        _now: Instant,
        _from: Peer,
        _network: NetworkId,
        _channel: crate::Channel,
        _body: &[u8],
    ) {
    }

    /// A question of [`Event::Probe`] was sent (`None`), or somebody answered one.
    pub fn handle_probe(&mut self, _now: Instant, _vip: VipId, _answered: Option<Mac>) {}

    /// Every forwarder obeys all ownership that was given out, up to this generation.
    pub fn handle_settled(&mut self, _now: Instant, _generation: OwnershipGeneration) {}

    /// What an operator asks.
    pub fn handle_request(&mut self, _now: Instant, _request: Request) -> Reply {
        if self.alone { Reply::Already } else { Reply::Outside }
    }

    /// The load that each VIP puts on this node, in thousandths of what the node can carry.
    pub fn handle_load(&mut self, _now: Instant, _load: &[u16]) {}

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// When [`Cluster::handle_timeout`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next decision.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
