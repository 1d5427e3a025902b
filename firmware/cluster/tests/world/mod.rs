//! A few nodes on wires that lose what a schedule says, in simulated time: `Pulse` and `Cluster`
//! of each, joined as the supervisor joins them, and a data plane that obeys at once.

use base::time::Duration;
use base::{Instant, Mac, NetworkId, NodeId, VipId};
use cluster::config::{About, Decision, DocumentId, Notice, Origin, Record};
use cluster::{
    Channel, Cluster, Event, Incarnation, Moved, NetworkSettings, NodeSettings,
    OwnershipGeneration, Peer, Pulse, Role, Settings, Transmit, ViewId, VipSettings,
};
use model::{Policy, Profile};
use std::collections::{BTreeMap, BTreeSet};

/// How long a frame is on its way.
const WIRE: Duration = Duration::from_micros(200);

/// One node.
pub struct Node {
    pub peer: Peer,
    pub pulse: Pulse,
    pub cluster: Cluster,
    pub roles: BTreeMap<VipId, (OwnershipGeneration, Role)>,
    pub standbys: Vec<Option<NodeId>>,
    pub workers: cluster::NodeSet,
    pub view: (ViewId, Vec<Peer>),
    pub views: usize,
    pub announced: usize,
    pub conflicts: usize,
    pub moves: Vec<Moved>,
    /// The document in force, and those that it overruled.
    pub record: Record,
    pub lost: Vec<Record>,
    pub decided: Vec<Decision>,
    pub removed: bool,
    /// What the document says.
    settings: Settings,
    /// What it was asked about last, or proposed.
    pub judged: Option<Record>,
    /// Does not run.
    pub dead: bool,
    /// Its forwarders do not come to obey: statements wait.
    pub stuck: bool,
    waiting: Vec<cluster::Ownership>,
    inbox: Vec<(Instant, Peer, NetworkId, Channel, Vec<u8>)>,
}

enum Arrival {
    Message { from: Peer, to: NodeId, network: NetworkId, channel: Channel, body: Vec<u8> },
    Question { from: NodeId, vip: VipId },
    Answer { to: NodeId, vip: VipId, mac: Mac },
    Witness { to: NodeId, network: NetworkId },
}

/// All of it.
pub struct World {
    pub now: Instant,
    pub settings: Settings,
    /// What each document says; one that is not here nobody can carry out.
    pub documents: BTreeMap<String, Settings>,
    pub nodes: BTreeMap<NodeId, Node>,
    /// Directed pairs between which nothing passes, on a network.
    pub cut: BTreeSet<(NodeId, NodeId, NetworkId)>,
    /// Networks whose witness answers nobody.
    pub mute_witness: BTreeSet<NetworkId>,
    /// Of 1,000 messages so many get lost.
    pub loss: u64,
    /// Prints what is decided.
    pub trace: bool,
    pub rng: base::rng::Rng,
    queue: BTreeMap<(Instant, u64), Arrival>,
    order: u64,
    /// Times without an owner, per VIP, since the last look.
    pub gaps: BTreeMap<VipId, Duration>,
    pub longest: BTreeMap<VipId, Duration>,
    pub overlaps: Vec<(Instant, VipId, Vec<NodeId>)>,
}

/// What every node starts with.
pub const FIRST: &str = "first";

pub fn id(n: u16) -> NodeId {
    NodeId(n)
}

/// `count` nodes on `networks` networks with `vips` VIPs on each.
pub fn settings(count: u16, networks: u16, vips: u16, policy: Policy) -> Settings {
    let all: Vec<NetworkId> = (0..networks).map(NetworkId).collect();
    let node = |n| NodeSettings { id: NodeId(n), networks: all.clone(), weight: 1 };
    let vip = |group: u16| VipSettings {
        network: NetworkId(group % networks),
        address: std::net::IpAddr::from([192, 0, 2, group as u8]),
        group,
        prefer: None,
        pin: None,
        back: false,
    };
    Settings {
        own: NodeId(1),
        incarnation: Incarnation(1),
        document: DocumentId::first(FIRST),
        policy,
        profile: Profile::Normal,
        nodes: (1..=count).map(node).collect(),
        networks: all.iter().map(|_| NetworkSettings { witnesses: true }).collect(),
        vips: (0..vips * networks).map(vip).collect(),
    }
}

impl Node {
    /// The forwarders obey what they were told.
    fn obey(&mut self, now: Instant) {
        if self.stuck {
            return;
        }
        for ownership in std::mem::take(&mut self.waiting) {
            let known = self.roles.get(&ownership.vip).map(|(known, _)| *known);
            assert!(known.is_none_or(|known| known <= ownership.generation), "generation");
            self.roles.insert(ownership.vip, (ownership.generation, ownership.role));
            self.cluster.handle_settled(now, ownership.number);
            if matches!(ownership.role, Role::Expecting { .. }) {
                self.cluster.handle_synced(now, ownership.vip);
            }
        }
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let mut world = Self {
            now: Instant::from_millis(1_000),
            documents: [(FIRST.into(), settings.clone())].into(),
            settings,
            nodes: BTreeMap::new(),
            cut: BTreeSet::new(),
            mute_witness: BTreeSet::new(),
            loss: 0,
            trace: std::env::var_os("TRACE").is_some(),
            rng: base::rng::Rng::new(7),
            queue: BTreeMap::new(),
            order: 0,
            gaps: BTreeMap::new(),
            longest: BTreeMap::new(),
            overlaps: Vec::new(),
        };
        let ids: Vec<NodeId> = world.settings.nodes.iter().map(|node| node.id).collect();
        for id in ids {
            world.start(id, 1);
        }
        world
    }

    /// Starts a node, anew if it ran before.
    pub fn start(&mut self, id: NodeId, incarnation: u32) {
        self.start_with(id, incarnation, FIRST);
    }

    /// Starts a node with a document.
    pub fn start_with(&mut self, id: NodeId, incarnation: u32, text: &str) {
        let incarnation = Incarnation(incarnation);
        let record = Record::first(text.into(), About::default());
        let document = record.id();
        let settings = Settings { own: id, incarnation, document, ..self.documents[text].clone() };
        let mut cluster = Cluster::new(self.now, &settings, u64::from(id.0));
        cluster.handle_record(&record);
        let seed = u64::from(id.0);
        let node = Node {
            peer: Peer { id, incarnation },
            pulse: Pulse::new(self.now, &settings, seed),
            cluster,
            roles: BTreeMap::new(),
            standbys: Vec::new(),
            workers: cluster::NodeSet::EMPTY,
            view: (ViewId::NONE, Vec::new()),
            views: 0,
            announced: 0,
            conflicts: 0,
            moves: Vec::new(),
            record,
            lost: Vec::new(),
            decided: Vec::new(),
            removed: false,
            settings,
            judged: None,
            dead: false,
            stuck: false,
            waiting: Vec::new(),
            inbox: Vec::new(),
        };
        self.nodes.insert(id, node);
    }

    pub fn node(&mut self, id: u16) -> &mut Node {
        self.nodes.get_mut(&NodeId(id)).expect("a node")
    }

    /// Cuts what `from` sends to `to`, everywhere.
    pub fn cut(&mut self, from: u16, to: u16) {
        for network in 0..self.settings.networks.len() {
            self.cut.insert((NodeId(from), NodeId(to), NetworkId::from(network)));
        }
    }

    pub fn part(&mut self, a: &[u16], b: &[u16]) {
        for &x in a {
            for &y in b {
                self.cut(x, y);
                self.cut(y, x);
            }
        }
    }

    fn passes(&mut self, from: NodeId, to: NodeId, network: NetworkId) -> bool {
        !self.cut.contains(&(from, to, network)) && self.rng.below(1_000) >= self.loss
    }

    fn send(&mut self, arrival: Arrival) {
        self.order += 1;
        self.queue.insert((self.now + WIRE, self.order), arrival);
    }

    /// Who serves a VIP now.
    pub fn serving(&self, vip: VipId) -> Vec<NodeId> {
        let (network, address) =
            (self.settings.vips[vip.index()].network, self.settings.vips[vip.index()].address);
        let serves = |node: &&Node| {
            // Numbers are those of the document that the node goes by.
            let mut vips = node.settings.vips.iter();
            let role = vips.position(|vip| vip.address == address).map(VipId::from);
            let role = role.and_then(|vip| node.roles.get(&vip));
            let owner = matches!(role, Some((_, Role::Owner { .. })));
            let lease = node.pulse.leases().iter().find(|lease| lease.network == network);
            owner && lease.is_some_and(|lease| self.now < lease.until)
        };
        self.nodes.values().filter(serves).map(|node| node.peer.id).collect()
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timers = self
                .nodes
                .values()
                .filter(|node| !node.dead)
                .flat_map(|node| [node.pulse.next_deadline(), node.cluster.next_deadline()]);
            let next = timers.flatten().chain(next).min().unwrap_or(end).max(self.now);
            self.look(next.min(end));
            if next > end {
                break;
            }
            while let Some(entry) = self.queue.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let arrival = entry.remove();
                self.arrive(arrival);
            }
            let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
            for id in ids {
                self.step(id);
            }
        }
    }

    /// Lets time pass, and looks who served meanwhile.
    fn look(&mut self, next: Instant) {
        for vip in (0..self.settings.vips.len()).map(VipId::from) {
            let serving = self.serving(vip);
            let gap = self.gaps.entry(vip).or_default();
            if serving.is_empty() {
                *gap += next.since(self.now);
                let longest = self.longest.entry(vip).or_default();
                *longest = (*longest).max(*gap);
            } else {
                *gap = Duration::ZERO;
            }
            if serving.len() > 1 {
                self.overlaps.push((self.now, vip, serving));
            }
        }
        self.now = self.now.max(next);
    }

    fn arrive(&mut self, arrival: Arrival) {
        let now = self.now;
        match arrival {
            Arrival::Message { from, to, network, channel, body } => {
                if let Some(node) = self.nodes.get_mut(&to).filter(|node| !node.dead) {
                    node.inbox.push((now, from, network, channel, body));
                }
            }
            Arrival::Question { from, vip } => {
                let network = self.settings.vips[vip.index()].network;
                for owner in self.serving(vip) {
                    if owner == from || self.cut.contains(&(from, owner, network)) {
                        continue;
                    }
                    let all: Vec<NodeId> = self.nodes.keys().copied().collect();
                    for to in all {
                        let mac = Mac([2, 0, 0, 0, 0, owner.0 as u8]);
                        if to != owner && self.passes(owner, to, network) {
                            self.send(Arrival::Answer { to, vip, mac });
                        }
                    }
                }
            }
            Arrival::Answer { to, vip, mac } => {
                let node = self.nodes.get_mut(&to).filter(|node| !node.dead);
                if let Some(node) = node {
                    node.cluster.handle_probe(now, vip, Some(mac));
                }
            }
            Arrival::Witness { to, network } => {
                if let Some(node) = self.nodes.get_mut(&to).filter(|node| !node.dead) {
                    node.pulse.handle_witness(now, network);
                }
            }
        }
    }

    fn step(&mut self, id: NodeId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.dead) else { return };
        node.obey(now);
        node.pulse.handle_progress(now);
        for (at, from, network, channel, body) in std::mem::take(&mut node.inbox) {
            match channel {
                Channel::Heartbeat => node.pulse.handle_heartbeat(at, now, from, network, &body),
                Channel::Token | Channel::Control | Channel::Document | Channel::Flow => {
                    node.cluster.handle_message(now, from, network, channel, &body);
                }
            }
        }
        node.pulse.handle_drained(now);
        node.pulse.handle_timeout(now);
        if node.cluster.next_deadline().is_some_and(|due| due <= now) {
            node.cluster.handle_timeout(now);
        }
        self.drain(id);
    }

    /// Carries out what a node decided.
    pub fn drain(&mut self, id: NodeId) {
        let now = self.now;
        loop {
            let Some(node) = self.nodes.get_mut(&id) else { return };
            if let Some(report) = node.pulse.poll_report() {
                node.cluster.handle_report(now, report);
            }
            let Some(event) = node.cluster.poll_event() else { break };
            match event.clone() {
                Event::Orders(orders) => node.pulse.handle_orders(now, orders),
                Event::Ownership(ownership) => {
                    node.waiting.push(ownership);
                    node.obey(now);
                }
                Event::Probe(vip) => {
                    node.cluster.handle_probe(now, vip, None);
                    self.send(Arrival::Question { from: id, vip });
                }
                Event::Announce(_) => node.announced += 1,
                Event::View { id, members } => {
                    if self.trace {
                        std::eprintln!("{now} {} view {id} {members:?}", node.peer.id.0);
                    }
                    assert!(id == ViewId::NONE || id > node.view.0, "views rise");
                    node.views += 1;
                    node.view = (id, members);
                }
                Event::Moved(moved) => node.moves.push(moved),
                Event::Standbys(standbys) => node.standbys = standbys,
                Event::Workers(workers) => node.workers = workers,
                Event::Called { .. } | Event::Condemned(_) => {
                    if self.trace {
                        std::eprintln!("{now} {} {event:?}", id.0);
                    }
                }
                Event::Conflict { .. } => node.conflicts += 1,
                Event::Document(notice) => self.tell(id, notice),
            }
        }
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let from = node.peer;
        let mut out: Vec<Transmit> = std::iter::from_fn(|| node.pulse.poll_transmit()).collect();
        out.extend(std::iter::from_fn(|| node.cluster.poll_transmit()));
        let asked: Vec<NetworkId> = std::iter::from_fn(|| node.pulse.poll_probe()).collect();
        for Transmit { to, network, channel, body } in out {
            assert!(body.len() <= model::limits::CLUSTER_BODY);
            if self.passes(id, to, network) {
                self.send(Arrival::Message { from, to, network, channel, body });
            }
        }
        for network in asked {
            if !self.mute_witness.contains(&network) {
                self.send(Arrival::Witness { to: id, network });
            }
        }
    }

    fn tell(&mut self, id: NodeId, notice: Notice) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return };
        match notice {
            Notice::Judge { record, .. } => {
                let verdict = self.documents.get(&record.text).cloned();
                node.judged = Some((*record).clone());
                let verdict = verdict.ok_or_else(|| format!("node {} has no such port", id.0));
                node.cluster.handle_judged(now, record.id(), verdict);
            }
            Notice::InForce { id: document, origin } => {
                let record = node.judged.take().expect("it was judged or proposed");
                assert_eq!(record.id(), document);
                let before = std::mem::replace(&mut node.record, record);
                if origin == Origin::Overruled {
                    node.lost.push(before);
                }
                node.cluster.handle_record(&node.record);
                let settings = &self.documents[&node.record.text];
                let peer = node.peer;
                let settings = Settings {
                    own: peer.id,
                    incarnation: peer.incarnation,
                    document,
                    ..settings.clone()
                };
                node.pulse.handle_settings(now, &settings);
                node.settings = settings.clone();
                // Numbers of addresses are others from now on.
                node.roles.clear();
                self.settings = settings;
            }
            Notice::Decided { decision, .. } => node.decided.push(decision),
            Notice::Removed { leaves, .. } => node.removed = leaves,
        }
    }

    /// That all of `members` are in one view of exactly these.
    pub fn assert_view(&self, members: &[u16]) {
        let expected: BTreeSet<u16> = members.iter().copied().collect();
        let views: BTreeSet<ViewId> =
            members.iter().map(|n| self.nodes[&NodeId(*n)].view.0).collect();
        for n in members {
            let node = &self.nodes[&NodeId(*n)];
            let got: BTreeSet<u16> = node.view.1.iter().map(|peer| peer.id.0).collect();
            assert_eq!(got, expected, "the view of {n} at {}", self.now);
        }
        assert_eq!(views.len(), 1, "{views:?}");
    }

    /// That every VIP has one owner.
    pub fn assert_owned(&self) {
        for vip in (0..self.settings.vips.len()).map(VipId::from) {
            let serving = self.serving(vip);
            assert_eq!(serving.len(), 1, "{vip:?} at {}: {serving:?}", self.now);
        }
    }

    /// The longest time without an owner since the last call.
    pub fn gap(&mut self) -> Duration {
        self.gaps.clear();
        std::mem::take(&mut self.longest).into_values().max().unwrap_or_default()
    }
}
