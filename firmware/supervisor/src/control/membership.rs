//! What control does as a member of a cluster: hears the other boxes and the pulse thread, and
//! carries out what was agreed on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::{Instant, NodeId, Offload, PortId, VipId};
use cluster::config::{DocumentId, Record};
use cluster::seal::Secrets;
use cluster::{Channel, Event as Note, Incarnation, Peer};
use dataplane::flow::Note as FlowNote;
use dataplane::tables::Owner;
use model::config::{Config, Node};
use model::event::Event;
use model::limits::{self, CLUSTER_PORT};
use model::operator::{Origin, Reply};
use model::status::{Cluster, Move, Vip};
use netio::{Datagrams, Transmitter};
use node::membership::{Agreed, Beat, Card, Council, News, Wanted};
use node::status::Measured;
use node::{Attached, Control};
use rtrb::{Consumer, Producer};

use super::{ControlThread, State};
use crate::gates::Gates;
use crate::pulse::{Order, Sockets};
use crate::wiring::ControlEnds;

/// The kinds of datagram that are the pulse thread's: heartbeats and greetings.
const OF_PULSE: [u8; 2] = [Channel::Heartbeat as u8, cluster::seal::greeter::CHANNEL];
/// Those that are ours.
const OF_CONTROL: [u8; 5] = [
    Channel::Token as u8,
    Channel::Control as u8,
    Channel::Document as u8,
    Channel::Flow as u8,
    cluster::introduction::CHANNEL,
];

/// This box as a member.
pub struct Membership {
    pub(super) council: Council,
    /// How many forwarders there are.
    forwarders: usize,
    /// To the pulse thread.
    orders: Producer<Order>,
    /// Orders that there was no room for.
    pending: VecDeque<Order>,
    /// From the pulse thread.
    news: Consumer<News>,
    /// Wakes the pulse thread.
    pulse: Arc<netio::Wake>,
    sockets: BTreeMap<PortId, Sockets>,
    attached: BTreeMap<PortId, Attached>,
    /// What not every forwarder obeys yet, with the tables that say so.
    unsettled: VecDeque<(u32, Unsettled)>,
    /// What the forwarders look at.
    gates: Arc<Gates>,
    secrets: Secrets,
    /// The latest changes of owners, the newest last.
    moves: VecDeque<Move>,
    /// Starts of this box are counted in this file.
    count: Option<std::path::PathBuf>,
}

/// What every forwarder has to obey before the council may be told.
#[derive(Clone, Copy)]
enum Unsettled {
    /// The statement about an owner with this number.
    Owner(u64),
    /// The copies of flows of an address that is moved here.
    Copies(VipId),
}

impl Membership {
    /// A member that has heard nobody yet.
    pub fn new(
        (council, forwarders): (Council, usize),
        (orders, news): (Producer<Order>, Consumer<News>),
        pulse: Arc<netio::Wake>,
        gates: Arc<Gates>,
        (secrets, count): (Secrets, Option<std::path::PathBuf>),
    ) -> Self {
        Self {
            council,
            forwarders,
            orders,
            pending: VecDeque::new(),
            news,
            pulse,
            sockets: BTreeMap::new(),
            attached: BTreeMap::new(),
            unsettled: VecDeque::new(),
            gates,
            secrets,
            moves: VecDeque::new(),
            count,
        }
    }

    /// A port came, went, gained or lost its carrier.
    pub fn handle_port(
        &mut self,
        config: &Node,
        port: PortId,
        attached: Attached,
    ) -> Result<(), String> {
        self.council.handle_port(port, &attached);
        self.attached.insert(port, attached);
        self.sockets.remove(&port);
        let Some(settings) = config.ports.get(port.index()).filter(|_| attached.up) else {
            self.order(Order::Port(port, attached, None));
            return Ok(());
        };
        let open = |kinds: &[u8]| -> Result<Sockets, netio::OpenError> {
            let (interface, vlan) = (settings.interface.as_str(), settings.vlan);
            let receiver = Datagrams::open(interface, vlan, CLUSTER_PORT, kinds)?;
            Ok(Sockets { receiver, transmitter: Transmitter::open(interface, vlan)? })
        };
        let opened = open(&OF_PULSE).and_then(|pulse| Ok((pulse, open(&OF_CONTROL)?)));
        match opened {
            Ok((pulse, control)) => {
                self.sockets.insert(port, control);
                self.order(Order::Port(port, attached, Some(Box::new(pulse))));
                Ok(())
            }
            Err(error) => {
                self.order(Order::Port(port, attached, None));
                Err(error.to_string())
            }
        }
    }

    /// Something to wait for.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.values().map(|sockets| sockets.receiver.fd())
    }

    /// When there is something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.council.next_deadline()
    }

    /// A station said where an address is: perhaps one that was asked for.
    pub fn handle_neighbor(&mut self, now: Instant, control: &Control, event: &dataplane::Event) {
        let dataplane::Event::NeighborSeen { port, address, mac, solicited } = *event else {
            return;
        };
        if let Some(vip) = control.claimed(port, address) {
            self.council.handle_probe(now, vip, Some(mac));
        }
        if solicited && let Some(network) = control.is_witness(port, address) {
            self.order(Order::Witness(network));
        }
    }

    /// A forwarder tells of a flow.
    pub fn handle_note(&mut self, now: Instant, worker: usize, note: &FlowNote) {
        if let Ok(worker) = u8::try_from(worker) {
            self.council.handle_note(now, worker, note);
        }
    }

    /// Where the servers of copied flows are.
    pub fn servers(&self) -> BTreeSet<Ipv6Addr> {
        self.council.flows().servers()
    }

    /// Ports from this place on are there no more.
    pub(super) fn forget_ports(&mut self, ports: usize) {
        self.sockets.retain(|port, _| port.index() < ports);
        self.attached.retain(|port, _| port.index() < ports);
    }

    pub(super) fn order(&mut self, order: Order) {
        self.pending.push_back(order);
        self.pass_orders();
    }

    fn pass_orders(&mut self) {
        while let Some(order) = self.pending.pop_front() {
            if let Err(rtrb::PushError::Full(order)) = self.orders.push(order) {
                self.pending.push_front(order);
                break;
            }
        }
        self.pulse.wake();
    }

    /// What each virtual address has this box do.
    pub fn handle_load(&mut self, now: Instant, vips: &[u16]) {
        self.council.handle_load(now, vips);
    }

    /// Begins to hand everything over. False: nobody is there who could take it.
    pub fn leave(&mut self, now: Instant) -> bool {
        self.council.members().count() > 1
            && self.council.handle_request(now, cluster::Request::Leave) == cluster::Reply::Begun
    }

    /// Hears the pulse thread and the other boxes.
    fn hear(&mut self, now: Instant) {
        if !self.pending.is_empty() {
            self.pass_orders();
        }
        for _ in 0..self.news.slots() {
            let Ok(news) = self.news.pop() else { break };
            self.council.handle_news(now, news);
        }
        for (port, sockets) in &mut self.sockets {
            // What comes meanwhile is for the next round.
            for _ in 0..1_024 {
                let Some(arrival) = sockets.receiver.receive() else { break };
                self.council.handle_frame(now, *port, arrival.frame);
            }
        }
        self.council.handle_timeout(now);
    }

    /// Says which statements every forwarder obeys.
    fn settle(&mut self, now: Instant, workers: &[ControlEnds]) {
        let taken = |worker: &ControlEnds| worker.shared.taken.load(Ordering::Acquire);
        while let Some((tables, what)) = self.unsettled.front().copied() {
            let obeyed = |worker| taken(worker).wrapping_sub(tables) < u32::MAX / 2;
            if !workers.iter().all(obeyed) {
                break;
            }
            self.unsettled.pop_front();
            match what {
                Unsettled::Owner(number) => self.council.handle_settled(now, number),
                Unsettled::Copies(vip) => self.council.handle_synced(now, vip),
            }
        }
    }

    fn send(&mut self) {
        while let Some((port, frame)) = self.council.poll_frame() {
            if let Some(sockets) = self.sockets.get_mut(&port) {
                // What is lost is sent again.
                let _ = sockets.transmitter.send(&[(&frame, Offload::NONE)]);
            }
        }
    }

    /// Begins anew with an incarnation above one that others know.
    pub(super) fn begin_anew(
        &mut self,
        now: Instant,
        known: Incarnation,
        (config, node): (&Config, &Node),
        record: &Record,
    ) {
        let incarnation = Incarnation(known.0.saturating_add(1));
        let (secrets, count) = (self.secrets.clone(), self.count.as_deref());
        let Ok(card) = card(incarnation, secrets, count, record.id()) else { return };
        let seed = u64::from(incarnation.0);
        self.council = Council::new(now, config, node, &card, (seed, self.forwarders));
        self.council.handle_record(record);
        self.unsettled.clear();
        for (port, attached) in &self.attached {
            self.council.handle_port(*port, attached);
        }
        self.order(Order::Anew(Box::new(Beat::new(now, config, node, &card, seed))));
    }
}

impl ControlThread {
    /// The cluster as this box sees it.
    pub(super) fn show_cluster(&self, now: Instant, loads: &[u16]) -> Cluster {
        let gates = self.member.as_ref().map(|member| member.gates.until());
        let council = self.member.as_ref().map(|member| &member.council);
        let document = self.desk.document();
        let view = council.zip(gates.as_ref());
        let mut cluster = node::membership::show(now, &self.control, view, document);
        let moves = self.member.iter().flat_map(|member| &member.moves);
        cluster.moves.extend(moves.cloned());
        for (owner, load) in cluster.owners.iter_mut().zip(loads) {
            owner.used = owner.served.then_some(*load);
        }
        cluster
    }

    /// What an operator wants of the cluster.
    pub(super) fn ask_cluster(
        &mut self,
        now: Instant,
        origin: &Origin,
        wanted: Wanted<'_>,
    ) -> Reply {
        let council = self.member.as_mut().map(|member| &mut member.council);
        match node::membership::request(now, &self.control, council, wanted) {
            Ok(sentence) => {
                let (user, face) = (origin.user.clone(), origin.face);
                self.journal.note(&Event::ClusterAsked { user, face, what: sentence.clone() });
                Reply::Done(sentence)
            }
            Err(sentence) => Reply::Refused(sentence),
        }
    }

    /// The virtual addresses. What no lease covers is not served, whoever owns it.
    pub(super) fn show_vips(&self, now: Instant, measured: &Measured) -> Vec<Vip> {
        let mut vips = self.control.show_vips(measured);
        let Some(member) = &self.member else { return vips };
        for (vip, config) in vips.iter_mut().zip(&self.control.plan().config().vips) {
            vip.served &= member.gates.open(now, config.network);
        }
        vips
    }

    /// A port is another than it was.
    pub(super) fn tell_member(&mut self, port: PortId, attached: Attached) {
        let Some(member) = &mut self.member else { return };
        if let Err(reason) = member.handle_port(self.control.plan().node(), port, attached) {
            let name = self.control.plan().node().ports.get(port.index()).map(|it| &it.name);
            let port = name.cloned().unwrap_or_default();
            self.journal.note(&Event::PortLost { port, reason });
        }
    }

    /// After another configuration: numbers of what copies refer to may be others.
    pub(super) fn copy_anew(&mut self, now: Instant) {
        let Some(member) = &self.member else { return };
        for (place, vip) in self.control.plan().vips().into_iter().enumerate() {
            if matches!(vip.owner, Owner::Us | Owner::Coming(_)) {
                let vip = VipId::from(place);
                self.control.handle_copies(now, vip, member.council.copies(vip));
            }
        }
    }

    /// One round of the cluster's business.
    pub(super) fn confer(&mut self, now: Instant, state: &State) {
        let Some(member) = &mut self.member else { return };
        member.hear(now);
        member.settle(now, &self.workers);
        while let Some(agreed) = self.member.as_mut().and_then(|it| it.council.poll_agreed()) {
            self.obey(now, agreed, state);
        }
        if let Some(member) = &mut self.member {
            member.send();
        }
    }

    /// Carries out one thing that was agreed on.
    fn obey(&mut self, now: Instant, agreed: Agreed, state: &State) {
        let Some(member) = &mut self.member else { return };
        match agreed {
            Agreed::Orders(orders) => member.order(Order::Orders(orders)),
            Agreed::Owner(vip, owner, number) => {
                self.control.handle_owner(now, vip, owner);
                if matches!(owner, Owner::Us | Owner::Coming(_)) {
                    self.control.handle_copies(now, vip, member.council.copies(vip));
                }
                let tables = self.control.next_generation();
                member.unsettled.push_back((tables, Unsettled::Owner(number)));
            }
            Agreed::Tell(asked) => {
                for worker in &self.workers {
                    worker.shared.asked.store(asked, Ordering::Relaxed);
                    worker.shared.wake.wake();
                }
            }
            Agreed::Synced(vip) => {
                self.control.handle_copies(now, vip, member.council.copies(vip));
                let tables = self.control.next_generation();
                member.unsettled.push_back((tables, Unsettled::Copies(vip)));
            }
            Agreed::Copies(vip) => {
                self.control.handle_copies(now, vip, member.council.copies(vip));
            }
            Agreed::Announce(vip) => self.control.announce_vip(now, vip),
            Agreed::Probe(vip) => {
                self.control.probe(vip);
                member.council.handle_probe(now, vip, None);
            }
            Agreed::Ask(network) => self.control.ask_witnesses(network),
            Agreed::Workers(nodes) => self.control.handle_workers(now, nodes),
            Agreed::Peers(peers) => self.control.handle_peers(now, peers),
            Agreed::Judge(record, from) => self.judge(record, from),
            Agreed::InForce(in_force) => self.put_in_force(now, *in_force, state),
            Agreed::Decided(id, decision) => self.decided(id, &decision),
            Agreed::Visit(visit, way) => self.receive(now, &visit, &way),
            Agreed::Introduced(event) => self.introduced(now, *event, state),
            Agreed::Removed(leaves) => self.journal.note(&Event::NodeRemoved { leaves }),
            Agreed::Note(Note::Moved(moved)) => {
                let config = self.control.plan().config();
                let moved = node::membership::moved(now, config, &moved);
                if member.moves.len() == limits::MOVES_KEPT {
                    member.moves.pop_front();
                }
                member.moves.push_back(moved.clone());
                self.journal.note(&Event::VipsMoved(moved));
            }
            Agreed::Note(note) => {
                if let Some(event) = told(&note, self.control.plan().config()) {
                    self.journal.note(&event);
                }
            }
            Agreed::Outrun(known) => {
                let plan = self.control.plan();
                let record = self.desk.with(|engine| engine.record(now));
                member.begin_anew(now, known, (plan.config(), plan.node()), &record);
            }
        }
    }
}

/// Who this box is in this start, counted in a file if there is one.
///
/// # Errors
/// The system gives no random octets.
pub fn card(
    least: Incarnation,
    secrets: Secrets,
    count: Option<&std::path::Path>,
    document: DocumentId,
) -> std::io::Result<Card> {
    let stored = count.and_then(|path| std::fs::read_to_string(path).ok());
    let stored = stored.and_then(|text| text.trim().parse::<u32>().ok()).unwrap_or(0);
    let incarnation = Incarnation(least.0.max(stored.saturating_add(1)));
    if let Some(path) = count {
        // Without it the others remember, and say so.
        let _ = std::fs::write(path, format!("{}\n", incarnation.0));
    }
    Ok(Card { incarnation, salt: init::entropy::octets()?, secrets, document })
}

/// What happened in the cluster, for the log.
fn told(note: &Note, config: &Config) -> Option<Event> {
    let name = |id: NodeId| {
        let node = config.nodes.iter().find(|node| NodeId(node.id.into()) == id);
        node.map_or_else(|| format!("node {}", id.0), |node| node.name.clone())
    };
    let names = |members: &[Peer]| members.iter().map(|member| name(member.id)).collect();
    Some(match note {
        Note::View { members, .. } if members.is_empty() => Event::ViewLeft,
        Note::View { id, members } => {
            Event::ViewAgreed { view: id.to_string(), members: names(members) }
        }
        Note::Called { id, members, held } => {
            Event::ViewCalled { view: id.to_string(), members: names(members), held: *held }
        }
        Note::Condemned(nodes) => Event::NodesCondemned { nodes: nodes.iter().map(name).collect() },
        Note::Conflict { vip, mac } => {
            let vip = config.vips.get(vip.index());
            let network = vip.and_then(|vip| config.networks.get(vip.network.index()));
            let address = vip.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |vip| vip.address);
            let network = network.map(|network| network.name.clone()).unwrap_or_default();
            Event::AddressConflict { address, network, mac: *mac }
        }
        Note::Moved(_)
        | Note::Orders(_)
        | Note::Ownership(_)
        | Note::Standbys(_)
        | Note::Workers(_)
        | Note::Probe(_)
        | Note::Announce(_)
        | Note::Document(_) => return None,
    })
}
