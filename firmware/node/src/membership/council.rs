//! The control thread's half: membership and ownership.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use base::time::Duration;
use base::{Instant, Mac, NetworkId, NodeId, PortId, VipId};
use cluster::seal::{Guard, Refusal};
use cluster::{
    Channel, Cluster, Event, Incarnation, NodeSet, Orders, Ownership, OwnershipGeneration, Peer,
    Reply, Report, Request, Role, ViewId,
};
use dataplane::tables::{self, Owner};
use model::config::{Config, Node};

use super::News;
use super::framing::Framing;
use super::settings::{Card, ids, settings};
use crate::plan::Attached;

/// What the council has decided, or learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// To be handed to [`super::Beat`].
    Orders(Orders),
    /// Who serves a virtual address from now on: for [`crate::Control::handle_owner`], and when
    /// every forwarder obeys it, to be told with [`Council::handle_settled`].
    Owner(VipId, Owner, u64),
    /// Say again where a virtual address of ours is.
    Announce(VipId),
    /// Ask on its network who has a virtual address, and tell with [`Council::handle_probe`].
    Probe(VipId),
    /// Ask gateways or servers of a network whether they hear us; [`super::Beat::handle_witness`]
    /// is told when one answers.
    Ask(NetworkId),
    /// Where the others are heard: for [`crate::Control::handle_peers`].
    Peers(Vec<tables::Peer>),
    /// Something for the log: views and how they came about.
    Note(Event),
    /// This node has to begin anew with an incarnation above this one.
    Outrun(Incarnation),
}

/// The control thread's machine.
pub struct Council {
    cluster: Cluster,
    guard: Guard,
    framing: Framing,
    own: NodeId,
    incarnation: Incarnation,
    /// The other nodes: the place of each is its number in [`Owner::Peer`].
    peers: Vec<NodeId>,
    /// The newest statement about each virtual address that was obeyed.
    obeyed: Vec<OwnershipGeneration>,
    agreed: VecDeque<Agreed>,
    refused: Vec<(Refusal, u64)>,
    /// What the pulse thread refused.
    refused_there: Vec<(Refusal, u64)>,
    report: Option<Report>,
    view: Option<(ViewId, Vec<Peer>)>,
}

impl Council {
    /// The machine of `node`, in no view yet unless the node is alone.
    pub fn new(now: Instant, config: &Config, node: &Node, card: &Card, seed: u64) -> Self {
        let identity = card.identity(config, node);
        let own = identity.node;
        let peers: Vec<_> = ids(config).into_iter().filter(|id| *id != own).collect();
        let channels = [Channel::Token, Channel::Control];
        let guard = Guard::new(identity, card.secrets.clone(), &channels, peers.iter().copied());
        let mut council = Self {
            cluster: Cluster::new(now, &settings(config, node, card.incarnation), seed),
            guard,
            framing: Framing::new(config, node),
            own,
            incarnation: card.incarnation,
            peers,
            obeyed: config.vips.iter().map(|_| OwnershipGeneration::NONE).collect(),
            agreed: VecDeque::new(),
            refused: Vec::new(),
            refused_there: Vec::new(),
            report: None,
            view: None,
        };
        council.after();
        council
    }

    /// What the pulse thread has to tell.
    pub fn handle_news(&mut self, now: Instant, news: News) {
        match news {
            News::Report(report) => {
                self.report = Some(report.clone());
                self.cluster.handle_report(now, report);
            }
            News::Refused(refused) => self.refused_there = refused,
            News::Admitted(admission) => self.guard.admit(admission),
            News::Heard(station) => {
                if self.framing.learn(station) {
                    self.agreed.push_back(Agreed::Peers(self.stations()));
                }
            }
            News::Ask(network) => self.agreed.push_back(Agreed::Ask(network)),
            News::Outrun(known) => self.agreed.push_back(Agreed::Outrun(known)),
        }
        self.after();
    }

    /// A frame that came in by `port`.
    pub fn handle_frame(&mut self, now: Instant, port: PortId, frame: &mut [u8]) {
        let Some((network, _, datagram)) = self.framing.read(port, frame) else { return };
        match self.guard.open(network, datagram) {
            Ok(opened) => {
                let (from, channel) = (opened.from, opened.channel);
                self.cluster.handle_message(now, from, network, channel, opened.body);
                self.after();
            }
            Err(refusal) => match self.refused.iter_mut().find(|(known, _)| *known == refusal) {
                Some((_, count)) => *count += 1,
                None => self.refused.push((refusal, 1)),
            },
        }
    }

    /// The machine reports a port.
    pub fn handle_port(&mut self, port: PortId, attached: &Attached) {
        self.framing.set_port(port, attached);
    }

    /// A question of [`Agreed::Probe`] was sent (`None`), or somebody answered one.
    pub fn handle_probe(&mut self, now: Instant, vip: VipId, answered: Option<Mac>) {
        self.cluster.handle_probe(now, vip, answered);
        self.after();
    }

    /// Every forwarder obeys everything up to the statement with this number.
    pub fn handle_settled(&mut self, now: Instant, number: u64) {
        self.cluster.handle_settled(now, number);
        self.after();
    }

    /// What an operator asks.
    pub fn handle_request(&mut self, now: Instant, request: Request) -> Reply {
        let reply = self.cluster.handle_request(now, request);
        self.after();
        reply
    }

    /// What each virtual address has this node do, in thousandths of what it can carry.
    pub fn handle_load(&mut self, now: Instant, vips: &[u16]) {
        self.cluster.handle_load(now, vips);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.cluster.handle_timeout(now);
        self.after();
    }

    /// When [`Council::handle_timeout`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.cluster.next_deadline()
    }

    /// The next frame to send.
    pub fn poll_frame(&mut self) -> Option<(PortId, Vec<u8>)> {
        while let Some(transmit) = self.cluster.poll_transmit() {
            let mut datagram = Vec::new();
            let (to, network) = (transmit.to, transmit.network);
            self.guard.seal(transmit.channel, network, to, &transmit.body, &mut datagram);
            if datagram.is_empty() {
                continue;
            }
            if let Some(frame) = self.framing.frame(to, network, &datagram) {
                return Some(frame);
            }
        }
        None
    }

    /// The next decision.
    pub fn poll_agreed(&mut self) -> Option<Agreed> {
        self.agreed.pop_front()
    }

    /// Which start of this node it is.
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The newest that the pulse thread saw.
    pub const fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// The view that we are in, with its members in the order of the ring.
    pub fn view(&self) -> Option<(ViewId, &[Peer])> {
        self.view.as_ref().map(|(id, members)| (*id, members.as_slice()))
    }

    /// The members of the view that we are in.
    pub fn members(&self) -> impl Iterator<Item = NodeId> {
        self.view.iter().flat_map(|(_, members)| members).map(|member| member.id)
    }

    /// Members that are to own nothing.
    pub const fn drained(&self) -> NodeSet {
        self.cluster.drained()
    }

    /// What a node had to do when the token passed here, in thousandths of what it can carry.
    pub fn used(&self, node: NodeId) -> Option<u32> {
        self.cluster.loads().iter().find(|load| load.node == node).map(|load| load.used)
    }

    /// By how much a lease outlasts the newest heartbeat that was echoed.
    pub const fn lease(&self) -> Duration {
        self.cluster.lease()
    }

    /// The node at a place of [`Owner::Peer`].
    pub fn peer(&self, place: u16) -> Option<NodeId> {
        self.peers.get(usize::from(place)).copied()
    }

    /// How many datagrams this thread and the pulse thread refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let all = self.refused.iter().chain(&self.refused_there);
        Refusal::ALL.into_iter().filter_map(move |reason| {
            let counts = all.clone().filter(|(of, _)| *of == reason);
            let count = counts.fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
            (count > 0).then_some((reason, count))
        })
    }

    fn after(&mut self) {
        while let Some(event) = self.cluster.poll_event() {
            match event {
                Event::Orders(orders) => self.agreed.push_back(Agreed::Orders(orders)),
                Event::Ownership(ownership) => self.own(&ownership),
                Event::Probe(vip) => self.agreed.push_back(Agreed::Probe(vip)),
                Event::Announce(vip) => self.agreed.push_back(Agreed::Announce(vip)),
                Event::View { id, members } => {
                    self.view = (!members.is_empty()).then(|| (id, members.clone()));
                    self.agreed.push_back(Agreed::Note(Event::View { id, members }));
                }
                note @ (Event::Called { .. }
                | Event::Condemned(_)
                | Event::Moved(_)
                | Event::Conflict { .. }) => self.agreed.push_back(Agreed::Note(note)),
            }
        }
    }

    /// Whoever is named newest, is the owner.
    fn own(&mut self, ownership: &Ownership) {
        let Ownership { vip, role, generation, number } = *ownership;
        let Some(obeyed) = self.obeyed.get_mut(vip.index()).filter(|old| **old <= generation)
        else {
            return;
        };
        *obeyed = generation;
        let owner = match role {
            Role::Other { owner } => owner.map_or(Owner::Nobody, |node| self.owner(node)),
            Role::Owner { .. } => Owner::Us,
            Role::Releasing { to } => self.owner(to),
            Role::Expecting { from } => match self.owner(from) {
                Owner::Peer(place) => Owner::Coming(place),
                other @ (Owner::Us | Owner::Coming(_) | Owner::Nobody) => other,
            },
        };
        self.agreed.push_back(Agreed::Owner(vip, owner, number));
    }

    fn owner(&self, node: NodeId) -> Owner {
        if node == self.own {
            return Owner::Us;
        }
        let place = self.peers.iter().position(|peer| *peer == node);
        place.and_then(|place| u16::try_from(place).ok()).map_or(Owner::Nobody, Owner::Peer)
    }

    fn stations(&self) -> Vec<tables::Peer> {
        let stations = |node: &NodeId| {
            let heard = self.framing.stations().iter().filter(move |it| it.node == *node);
            tables::Peer { stations: heard.map(|it| (it.network, it.mac)).collect() }
        };
        self.peers.iter().map(stations).collect()
    }
}
