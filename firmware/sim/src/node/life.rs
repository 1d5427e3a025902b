//! The program of a node, from its start to its end: the two machines of the cluster, the seal
//! between them and the network, the data plane, and the mailboxes between their threads.

use super::copies::{Copying, Note};
use super::forwarder::Forwarder;
use super::sealing::{Sealing, is_greeting};
use crate::network::frame::{Content, Datagram, Name};
use crate::plan::{Class, Plan, VipPlan};
use base::time::Duration;
use base::{Instant, Mac, NetworkId, NodeId, VipId};
use cluster::config::{About, DocumentId, Record};
use cluster::{
    Cluster, Incarnation, NetworkSettings, NodeSet, NodeSettings, Orders, Ownership, Peer, Pulse,
    Report, Request, Settings, Transmit, VipSettings,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

/// What every node starts with.
const FIRST: &str = "first";

/// What the forwarding thread is told.
#[derive(Clone, Debug)]
pub(crate) enum Table {
    /// A VIP's role, with the copies of its flows where it is or becomes ours.
    Owner(Ownership, Vec<(Name, u16)>),
    /// Other copies; `arrives`: the VIP may come once they are known.
    Copies { vip: VipId, flows: Vec<(Name, u16)>, arrives: bool },
}

/// What it obeys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Settled {
    Owner(u64),
    Copies(VipId),
}

/// A running program.
pub(crate) struct Life {
    /// Which start of the node it is.
    pub boot: u32,
    pub peer: Peer,
    pub pulse: Pulse,
    pub cluster: Cluster,
    pub sealing: Option<Sealing>,
    pub forwarder: Forwarder,
    /// From control to pulse, and back: the newest counts.
    pub orders: Option<Orders>,
    pub report: Option<Report>,
    /// The report that control saw last, where servers change.
    pub newest: Option<Report>,
    /// From control to the forwarding thread, and what was obeyed, back.
    pub tables: VecDeque<Table>,
    pub settled: VecDeque<Settled>,
    /// Copies of flows, where servers change.
    pub copying: Option<Copying>,
    /// Control's question, and what the forwarding thread tells.
    pub asked: Option<u32>,
    pub notes: VecDeque<Note>,
    /// When it tells again, on the node's clock.
    pub tell_at: Option<Instant>,
    /// The flows with which control has made VIPs ours: the data plane has to know them.
    pub owed: BTreeMap<Name, u16>,
    /// Who works on flows of spread VIPs, from control to the forwarding thread.
    pub workers: Option<NodeSet>,
    /// Answers to probes of addresses, from the forwarding thread to control.
    pub probe_answers: VecDeque<(VipId, Mac)>,
    /// Answers of witnesses, from the forwarding thread to pulse.
    pub witness_answers: VecDeque<NetworkId>,
    /// What an operator asks, for control.
    pub requests: VecDeque<Request>,
    /// Whom its pulse sees, and who hears it: for greetings.
    pub hears_us: NodeSet,
    /// How often each VIP has been announced since it was to be.
    pub announcing: Vec<usize>,
    /// Until when each port has announced enough.
    pub announcement_slots: Vec<u64>,
    /// The view that was seen last.
    pub view: cluster::ViewId,
    pub members: Vec<Peer>,
    pub highest_view: cluster::ViewId,
    /// By how long a silence others are judged.
    pub patience: Duration,
    /// When the loads of VIPs are measured next.
    pub measure_at: Instant,
    /// The document in force.
    pub record: Record,
    /// What the node was asked about last, or proposed.
    pub judged: Option<Record>,
    /// What an operator commits, for control.
    pub edits: VecDeque<String>,
    /// What another document says, from control to pulse.
    pub settings: Option<Settings>,
}

impl Life {
    /// A program that starts.
    pub fn new(now: Instant, node: usize, boot: u32, stored: u32, seed: u64, plan: &Plan) -> Self {
        let settings = settings(plan, node, Incarnation(stored));
        let record = Record::first(FIRST.into(), About::default());
        let mut cluster = Cluster::new(now, &settings, seed ^ 0x5555_5555);
        cluster.handle_record(&record);
        let copies = plan.classes.has(Class::Servers);
        let copying = copies.then(|| Copying::new(now, node, settings.incarnation, plan));
        let sealing = plan.sealed.then(|| Sealing::new(&settings, seed));
        Self {
            boot,
            peer: Peer { id: settings.own, incarnation: settings.incarnation },
            pulse: Pulse::new(now, &settings, seed),
            cluster,
            sealing,
            forwarder: Forwarder::new(settings.own, plan),
            orders: None,
            report: None,
            newest: None,
            tables: VecDeque::new(),
            settled: VecDeque::new(),
            copying,
            asked: None,
            notes: VecDeque::new(),
            tell_at: None,
            owed: BTreeMap::new(),
            workers: None,
            probe_answers: VecDeque::new(),
            witness_answers: VecDeque::new(),
            requests: VecDeque::new(),
            hears_us: NodeSet::EMPTY,
            announcing: vec![0; plan.vips.len()],
            announcement_slots: vec![0; plan.networks],
            view: cluster::ViewId::NONE,
            members: Vec::new(),
            highest_view: cluster::ViewId::NONE,
            patience: settings.pace().start,
            measure_at: now,
            record,
            judged: None,
            edits: VecDeque::new(),
            settings: None,
        }
    }

    /// When the control thread has something to do next.
    pub fn control_deadline(&self) -> Option<Instant> {
        let copying = self.copying.as_ref().and_then(|copying| copying.flows.next_deadline());
        [self.cluster.next_deadline(), copying].into_iter().flatten().min()
    }

    /// What goes over the wire for a message.
    pub fn wrap(&mut self, transmit: Transmit) -> Content {
        match &mut self.sealing {
            Some(sealing) => Content::Sealed(sealing.seal(&transmit)),
            None => {
                Content::Plain { sender: self.peer, channel: transmit.channel, body: transmit.body }
            }
        }
    }
}

/// The configuration of a node: the same at all of them, but for who it is.
pub(crate) fn settings(plan: &Plan, node: usize, incarnation: Incarnation) -> Settings {
    let networks: Vec<NetworkId> = (0..plan.networks).map(NetworkId::from).collect();
    let nodes = (0..plan.nodes)
        .map(|node| NodeSettings { id: id(node), networks: networks.clone(), weight: 1 })
        .collect();
    let has_gateway = |network: usize| {
        plan.clients.iter().any(|client| client.network == network && client.gateway)
    };
    let vips = (0_u16..).zip(&plan.vips).map(|(number, vip): (u16, &VipPlan)| VipSettings {
        network: NetworkId::from(vip.network),
        address: Ipv4Addr::from_bits(0xc000_0200 + u32::from(number)).into(),
        group: vip.group,
        prefer: vip.prefer.map(id),
        pin: None,
        back: vip.back,
    });
    Settings {
        own: id(node),
        incarnation,
        document: DocumentId::first(FIRST),
        policy: plan.policy,
        profile: plan.profile,
        nodes,
        networks: (0..plan.networks)
            .map(|network| NetworkSettings { witnesses: has_gateway(network) })
            .collect(),
        vips: vips.collect(),
    }
}

/// The configured number of a node.
pub(crate) fn id(node: usize) -> NodeId {
    NodeId::from(node + 1)
}

/// The node with a configured number.
pub(crate) fn index(id: NodeId) -> usize {
    id.index().saturating_sub(1)
}

impl Datagram {
    /// Which thread's socket it comes to: as the kernel's filter decides, by one octet.
    pub fn thread(&self) -> crate::plan::episode::Thread {
        use crate::plan::episode::Thread;
        let pulse = match &self.content {
            Content::Plain { channel, .. } => *channel == cluster::Channel::Heartbeat,
            Content::Sealed(octets) => {
                is_greeting(octets) || octets.get(1) == Some(&(cluster::Channel::Heartbeat as u8))
            }
        };
        if pulse { Thread::Pulse } else { Thread::Control }
    }
}
