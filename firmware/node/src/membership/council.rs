//! The control thread's half: membership and ownership.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::net::Ipv6Addr;

use base::address::mapped;
use base::time::Duration;
use base::{Instant, Mac, NetworkId, NodeId, PortId, VipId};
use cluster::config::{Decision, DocumentId, Origin, Record};
use cluster::flows::{self, Endpoint, Flow, Flows, Part};
use cluster::introduction::{self, Visit};
use cluster::seal::{Guard, Refusal};
use cluster::{
    Channel, Cluster, Event, Incarnation, NodeSet, Orders, Ownership, OwnershipGeneration, Peer,
    Reply, Report, Request, Role, ViewId,
};
use dataplane::flow::Note;
use dataplane::tables::{self, Owner};
use model::config::{Config, Node};

use super::News;
use super::documents::identities;
use super::framing::{Framing, Way};
use super::newcomers::Newcomers;
use super::settings::{Card, settings};
use crate::plan::Attached;

/// What the council has decided, or learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// To be handed to [`super::Beat`].
    Orders(Orders),
    /// Who serves a virtual address from now on: for [`crate::Control::handle_owner`], and when
    /// every forwarder obeys it, to be told with [`Council::handle_settled`].
    Owner(VipId, Owner, u64),
    /// Who works on flows of addresses that are spread: for [`crate::Control::handle_workers`].
    Workers(Vec<NodeId>),
    /// Say again where a virtual address of ours is.
    Announce(VipId),
    /// Ask on its network who has a virtual address, and tell with [`Council::handle_probe`].
    Probe(VipId),
    /// Every forwarder has to tell its flows anew, as an answer to this question:
    /// [`Council::handle_note`].
    Tell(u32),
    /// The flows of an address that is moved here are copied: when every forwarder knows
    /// [`Council::copies`], to be told with [`Council::handle_synced`].
    Synced(VipId),
    /// There are other [`Council::copies`] of an address of ours.
    Copies(VipId),
    /// Ask gateways or servers of a network whether they hear us; [`super::Beat::handle_witness`]
    /// is told when one answers.
    Ask(NetworkId),
    /// Where the others are heard: for [`crate::Control::handle_peers`].
    Peers(Vec<tables::Peer>),
    /// Whether this node could carry out a document that a node has given it: to be told with
    /// [`Council::handle_judged`].
    Judge(Arc<Record>, NodeId),
    /// Another document is in force, and what follows goes by its numbers.
    InForce(Box<InForce>),
    /// What became of a document that this node proposed.
    Decided(DocumentId, Decision),
    /// This node is not in a document that is about to be in force and leaves; or it stays after
    /// all.
    Removed(bool),
    /// Somebody who is no node asks for something: to be told with [`Council::answer`].
    Visit(Box<Visit>, Way),
    /// What became of our own asking to be let in.
    Introduced(Box<introduction::Event>),
    /// Something for the log: views and how they came about.
    Note(Event),
    /// This node has to begin anew with an incarnation above this one.
    Outrun(Incarnation),
}

/// Documents that are kept until one of them comes into force: one of ours, one of somebody else.
pub(super) const STAGED: usize = 2;

/// A document that is in force from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// Which.
    pub id: DocumentId,
    /// How it came into force.
    pub origin: Origin,
    /// By place of [`Owner::Peer`] before: the place now.
    pub places: Vec<Option<u16>>,
    /// What it says.
    pub config: Config,
    /// This node in it.
    pub node: Node,
}

/// The control thread's machine.
pub struct Council {
    pub(super) cluster: Cluster,
    pub(super) flows: Flows,
    /// What we have to do with each virtual address.
    pub(super) roles: Vec<Role>,
    /// Who would own each virtual address if its owner failed.
    pub(super) standbys: Vec<Option<NodeId>>,
    pub(super) guard: Guard,
    pub(super) framing: Framing,
    pub(super) own: NodeId,
    pub(super) incarnation: Incarnation,
    /// The other nodes: the place of each is its number in [`Owner::Peer`].
    pub(super) peers: Vec<NodeId>,
    /// The newest statement about each virtual address that was obeyed.
    pub(super) obeyed: Vec<OwnershipGeneration>,
    pub(super) agreed: VecDeque<Agreed>,
    refused: Vec<(Refusal, u64)>,
    /// What the pulse thread refused.
    refused_there: Vec<(Refusal, u64)>,
    report: Option<Report>,
    view: Option<(ViewId, Vec<Peer>)>,
    /// Documents that may come into force.
    pub(super) staged: VecDeque<(DocumentId, Config, Node)>,
    /// By virtual address: what identifies it.
    pub(super) addresses: Vec<(NetworkId, IpAddr)>,
    /// Those who come, or we who come.
    pub(super) newcomers: Newcomers,
}

impl Council {
    /// The machine of `node` with so many forwarders, in no view yet unless the node is alone.
    pub fn new(
        now: Instant,
        config: &Config,
        node: &Node,
        card: &Card,
        (seed, forwarders): (u64, usize),
    ) -> Self {
        let identity = card.identity(config, node);
        let own = identity.node;
        let peers = crate::plan::peers(config, node);
        let newcomers = Newcomers::new(own, card);
        let channels = [Channel::Token, Channel::Control, Channel::Document, Channel::Flow];
        let guard = Guard::new(identity, card.secrets.clone(), &channels, peers.iter().copied());
        let said = settings(config, node, (card.incarnation, card.document));
        let mut council = Self {
            cluster: Cluster::new(now, &said, seed),
            flows: Flows::new(now, card.incarnation, &addresses(config), forwarders),
            roles: config.vips.iter().map(|_| Role::Other { owner: None }).collect(),
            standbys: Vec::new(),
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
            staged: VecDeque::new(),
            addresses: identities(config),
            newcomers,
        };
        council.after(now);
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
        self.after(now);
    }

    /// A frame that came in by `port`.
    pub fn handle_frame(&mut self, now: Instant, port: PortId, frame: &mut [u8]) {
        let way = Framing::way_back(port, frame);
        let Some((network, _, datagram)) = self.framing.read(port, frame) else { return };
        if introduction::is_introduction(datagram) {
            return match way.map_or(Ok(()), |way| self.newcomers.hear(now, &way, datagram)) {
                Ok(()) => self.after_newcomers(),
                Err(refusal) => self.refuse(refusal),
            };
        }
        match self.guard.open(network, datagram) {
            Ok(opened) => {
                let (from, channel) = (opened.from, opened.channel);
                match channel {
                    Channel::Flow => self.flows.handle_message(now, from, opened.body),
                    Channel::Heartbeat | Channel::Token | Channel::Control | Channel::Document => {
                        self.cluster.handle_message(now, from, network, channel, opened.body);
                    }
                }
                self.after(now);
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        match self.refused.iter_mut().find(|(known, _)| *known == refusal) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((refusal, 1)),
        }
    }

    /// The machine reports a port.
    pub fn handle_port(&mut self, port: PortId, attached: &Attached) {
        self.framing.set_port(port, attached);
    }

    /// A question of [`Agreed::Probe`] was sent (`None`), or somebody answered one.
    pub fn handle_probe(&mut self, now: Instant, vip: VipId, answered: Option<Mac>) {
        self.cluster.handle_probe(now, vip, answered);
        self.after(now);
    }

    /// Every forwarder obeys everything up to the statement with this number.
    pub fn handle_settled(&mut self, now: Instant, number: u64) {
        self.cluster.handle_settled(now, number);
        self.after(now);
    }

    /// Every forwarder knows the copies of an address that is moved here: it may come.
    pub fn handle_synced(&mut self, now: Instant, vip: VipId) {
        self.cluster.handle_synced(now, vip);
        self.after(now);
    }

    /// What a forwarder tells of its flows.
    pub fn handle_note(&mut self, now: Instant, forwarder: u8, note: &Note) {
        match *note {
            Note::Flow { key, server } => {
                let flow = Flow {
                    client: key.source,
                    client_port: key.source_port,
                    port: key.destination_port,
                    protocol: key.protocol,
                };
                let server = server.map(|(address, port)| Endpoint { address, port });
                self.flows.handle_flow(now, forwarder, key.destination, &flow, server);
            }
            Note::Telling { round } => self.flows.handle_telling(forwarder, round),
            Note::Told { round, asked } => self.flows.handle_told(now, forwarder, round, asked),
        }
    }

    /// The flows of an address of ours that other boxes had, and no forwarder of ours has told.
    pub fn copies(&self, vip: VipId) -> impl Iterator<Item = (Flow, Endpoint)> {
        self.flows.copies(vip)
    }

    /// The copies of flows.
    pub const fn flows(&self) -> &Flows {
        &self.flows
    }

    /// What an operator asks.
    pub fn handle_request(&mut self, now: Instant, request: Request) -> Reply {
        let reply = self.cluster.handle_request(now, request);
        self.after(now);
        reply
    }

    /// What each virtual address has this node do, in thousandths of what it can carry.
    pub fn handle_load(&mut self, now: Instant, vips: &[u16]) {
        self.cluster.handle_load(now, vips);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.cluster.handle_timeout(now);
        self.flows.handle_timeout(now);
        self.newcomers.handle_timeout(now);
        self.after_newcomers();
        self.after(now);
    }

    /// When [`Council::handle_timeout`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let newcomers = self.newcomers.next_deadline();
        let deadlines = [self.cluster.next_deadline(), self.flows.next_deadline(), newcomers];
        deadlines.into_iter().flatten().min()
    }

    /// The next frame to send.
    pub fn poll_frame(&mut self) -> Option<(PortId, Vec<u8>)> {
        while let Some((way, datagram)) = self.newcomers.poll_transmit() {
            let frame = self.framing.frame_back(&way, &datagram);
            if frame.is_some() {
                return frame;
            }
        }
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
        while let Some((to, body)) = self.flows.poll_transmit() {
            let Some(network) = self.network_to(to) else { continue };
            let mut datagram = Vec::new();
            self.guard.seal(Channel::Flow, network, to, &body, &mut datagram);
            let frame = self.framing.frame(to, network, &datagram).filter(|_| !datagram.is_empty());
            if frame.is_some() {
                return frame;
            }
        }
        None
    }

    /// The network on which a node was heard last.
    fn network_to(&self, node: NodeId) -> Option<NetworkId> {
        let report = self.report.as_ref()?;
        let sight = report.peers.iter().find(|sight| sight.peer.id == node)?;
        let newest = sight.paths.iter().max_by_key(|path| path.heard_at)?;
        Some(newest.network)
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

    pub(super) fn after(&mut self, now: Instant) {
        while let Some(event) = self.cluster.poll_event() {
            match event {
                Event::Orders(orders) => self.agreed.push_back(Agreed::Orders(orders)),
                Event::Ownership(ownership) => self.own(now, &ownership),
                Event::Standbys(standbys) => {
                    self.standbys = standbys;
                    for vip in (0..self.roles.len()).map(VipId::from) {
                        self.take_part(now, vip);
                    }
                }
                Event::Workers(nodes) => {
                    self.agreed.push_back(Agreed::Workers(nodes.iter().collect()));
                }
                Event::Probe(vip) => self.agreed.push_back(Agreed::Probe(vip)),
                Event::Announce(vip) => self.agreed.push_back(Agreed::Announce(vip)),
                Event::View { id, members } => {
                    self.view = (!members.is_empty()).then(|| (id, members.clone()));
                    self.agreed.push_back(Agreed::Note(Event::View { id, members }));
                }
                Event::Document(notice) => self.note(now, notice),
                note @ (Event::Called { .. }
                | Event::Condemned(_)
                | Event::Moved(_)
                | Event::Conflict { .. }) => self.agreed.push_back(Agreed::Note(note)),
            }
        }
        self.after_flows();
    }

    fn after_flows(&mut self) {
        while let Some(event) = self.flows.poll_event() {
            self.agreed.push_back(match event {
                flows::Event::Tell(asked) => Agreed::Tell(asked),
                flows::Event::Synced(vip) => Agreed::Synced(vip),
                flows::Event::Changed(vip) => Agreed::Copies(vip),
            });
        }
    }

    /// Whoever is named newest, is the owner.
    fn own(&mut self, now: Instant, ownership: &Ownership) {
        let Ownership { vip, role, generation, number } = *ownership;
        let Some(obeyed) = self.obeyed.get_mut(vip.index()).filter(|old| **old <= generation)
        else {
            return;
        };
        *obeyed = generation;
        if let Some(known) = self.roles.get_mut(vip.index()) {
            *known = role;
        }
        self.take_part(now, vip);
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

    /// What we have to do with the flows of an address.
    fn take_part(&mut self, now: Instant, vip: VipId) {
        let Some(role) = self.roles.get(vip.index()) else { return };
        let standby = self.standbys.get(vip.index()).copied().flatten() == Some(self.own);
        let part = match *role {
            // Who takes an address over is not its owner yet, and has to keep what it has.
            Role::Other { owner: None } => return,
            Role::Other { owner: Some(owner) } if standby => {
                Part::Follower { owner, arrives: false }
            }
            Role::Other { owner: Some(_) } => Part::None,
            Role::Owner { .. } | Role::Releasing { .. } => Part::Owner,
            Role::Expecting { from } => Part::Follower { owner: from, arrives: true },
        };
        self.flows.handle_part(now, vip, part);
    }

    fn owner(&self, node: NodeId) -> Owner {
        if node == self.own {
            return Owner::Us;
        }
        let place = self.peers.iter().position(|peer| *peer == node);
        place.and_then(|place| u16::try_from(place).ok()).map_or(Owner::Nobody, Owner::Peer)
    }

    pub(super) fn stations(&self) -> Vec<tables::Peer> {
        let stations = |node: &NodeId| {
            let heard = self.framing.stations().iter().filter(move |it| it.node == *node);
            tables::Peer { stations: heard.map(|it| (it.network, it.mac)).collect() }
        };
        self.peers.iter().map(stations).collect()
    }
}

/// The virtual addresses of a configuration, by their numbers.
pub(super) fn addresses(config: &Config) -> Vec<Ipv6Addr> {
    config.vips.iter().map(|vip| mapped(vip.address)).collect()
}
