//! The data plane of a node, as far as the cluster decides it: gates per network and a role per
//! VIP. Like the real forwarder it looks at the node's own clock for every burst and trusts nobody
//! to stop it. Of a spread VIP it asks the function that the real one asks.

use super::copies::Note;
use super::flows::Known;
use crate::network::frame::{Packet, Reply};
use crate::node::life::index;
use crate::plan::{Plan, VipPlan};
use base::{FlowKey, Instant, NetworkId, NodeId, Protocol, VipId};
use cluster::{NodeSet, OwnershipGeneration, Role};
use dataplane::tables::{Owner, Share, Spread};
use std::cell::OnceCell;
use std::net::Ipv4Addr;

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Answer(Reply),
    PassTo(usize),
    Drop,
}

/// The tables of the data plane.
#[derive(Debug)]
pub(crate) struct Forwarder {
    /// Until when it may serve on each network, on the node's own clock.
    pub gates: Vec<Instant>,
    table: Vec<Entry>,
    /// The network of each VIP.
    networks: Vec<NetworkId>,
    pub flows: Known,
    own: NodeId,
    /// Who works on flows of spread VIPs.
    workers: NodeSet,
    /// On which, once that was asked: it takes long to build.
    function: OnceCell<Spread>,
    /// By VIP: whether it is spread.
    spread: Vec<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    role: Role,
    generation: OwnershipGeneration,
}

impl Entry {
    const NOTHING: Self =
        Self { role: Role::Other { owner: None }, generation: OwnershipGeneration::NONE };
}

impl Forwarder {
    /// A data plane with closed gates that owns nothing.
    pub fn new(own: NodeId, plan: &Plan) -> Self {
        let vips = &plan.vips;
        Self {
            gates: vec![Instant::ZERO; plan.networks],
            table: vec![Entry::NOTHING; vips.len()],
            networks: vips.iter().map(|vip| NetworkId::from(vip.network)).collect(),
            flows: Known::default(),
            own,
            workers: NodeSet::EMPTY,
            function: OnceCell::new(),
            spread: vips.iter().map(|vip| vip.spread).collect(),
        }
    }

    /// These nodes work on flows of spread VIPs from now on.
    pub fn set_workers(&mut self, workers: NodeSet) {
        self.workers = workers;
        self.function = OnceCell::new();
    }

    fn function(&self) -> &Spread {
        self.function.get_or_init(|| {
            let shares = self.workers.iter().map(|node| Share {
                at: if node == self.own { Owner::Us } else { Owner::Peer(node.0) },
                identity: u64::from(node.0).wrapping_mul(0x9e37_79b9_7f4a_7c15),
                weight: 1,
            });
            Spread::build(&shares.collect::<Vec<_>>())
        })
    }

    /// These VIPs are spread from now on.
    pub fn set_spread(&mut self, vips: &[VipPlan]) {
        self.spread = vips.iter().map(|vip| vip.spread).collect();
    }

    /// Whether it works on flows of a VIP that others pass to it.
    fn works(&self, vip: VipId) -> bool {
        self.is_spread(vip) && self.workers.contains(self.own)
    }

    fn is_spread(&self, vip: VipId) -> bool {
        self.spread.get(vip.index()).copied().unwrap_or(false)
    }

    /// The other node that works on the flow of a packet that came to us as the owner, and knows it
    /// not.
    fn worker(&self, packet: Packet) -> Option<usize> {
        let ours = packet.passed_by.is_some() || self.flows.known(packet.flow_name()).is_some();
        if ours || !self.is_spread(packet.vip) {
            return None;
        }
        match self.function().worker(&key(packet)) {
            Some(Owner::Peer(node)) => Some(index(NodeId(node))),
            Some(Owner::Us | Owner::Coming(_) | Owner::Nobody) | None => None,
        }
    }

    /// Gives a VIP another role.
    pub fn apply(&mut self, vip: VipId, role: Role, generation: OwnershipGeneration) {
        let held = self.holds(vip);
        if let Some(entry) = self.table.get_mut(vip.index()) {
            *entry = Entry { role, generation };
        }
        if !held && self.holds(vip) {
            self.flows.begin(vip);
        }
    }

    /// The role for a VIP and its generation.
    pub fn role(&self, vip: VipId) -> (Role, OwnershipGeneration) {
        let entry = self.table.get(vip.index()).unwrap_or(&Entry::NOTHING);
        (entry.role, entry.generation)
    }

    /// Whether its table lets it answer for a VIP, whatever the gate says.
    pub fn holds(&self, vip: VipId) -> bool {
        matches!(self.role(vip).0, Role::Owner { .. })
    }

    /// The end of the lease under which it may answer for a VIP.
    pub fn lease(&self, vip: VipId) -> Instant {
        let network = self.networks.get(vip.index()).copied().unwrap_or_default();
        self.gates.get(network.index()).copied().unwrap_or_default()
    }

    /// Whether it answers for a VIP at this time of its own clock.
    pub fn serves(&self, now: Instant, vip: VipId) -> bool {
        self.holds(vip) && now < self.lease(vip)
    }

    /// The VIPs for which its table lets it answer.
    pub fn held(&self) -> impl Iterator<Item = VipId> + '_ {
        (0..self.table.len()).map(VipId::from).filter(|vip| self.holds(*vip))
    }

    /// Decides about a packet of a client.
    pub fn forward(&mut self, now: Instant, own: usize, packet: Packet) -> Verdict {
        let open = now < self.lease(packet.vip);
        let passed = packet.passed_by.is_some();
        match self.role(packet.vip).0 {
            Role::Releasing { to } | Role::Other { owner: Some(to) } if !passed => {
                Verdict::PassTo(index(to))
            }
            Role::Owner { .. } if open => match self.worker(packet) {
                Some(worker) => Verdict::PassTo(worker),
                None => Verdict::Answer(self.answer(own, packet)),
            },
            Role::Other { .. } | Role::Releasing { .. }
                if open && passed && self.works(packet.vip) =>
            {
                Verdict::Answer(self.answer(own, packet))
            }
            // Only what the old owner passes on says that it has stopped.
            Role::Expecting { from } if open && passed_by(packet) == Some(index(from)) => {
                Verdict::Answer(self.answer(own, packet))
            }
            Role::Other { .. }
            | Role::Owner { .. }
            | Role::Releasing { .. }
            | Role::Expecting { .. } => Verdict::Drop,
        }
    }

    /// The answer of a flow's server, by the way of this node.
    fn answer(&mut self, own: usize, packet: Packet) -> Reply {
        let node = u8::try_from(own).unwrap_or(u8::MAX);
        Reply { packet, node, server: Some(self.flows.server(packet)) }
    }

    /// What is to be told of flows.
    pub fn tell(&mut self) -> Vec<Note> {
        let table = &self.table;
        let owns = |vip: VipId| {
            table.get(vip.index()).is_some_and(|it| matches!(it.role, Role::Owner { .. }))
        };
        self.flows.tell(owns)
    }
}

/// The node that passed a packet on.
fn passed_by(packet: Packet) -> Option<usize> {
    packet.passed_by.map(usize::from)
}

/// What names a packet's flow.
fn key(packet: Packet) -> FlowKey {
    let [high, low] = [packet.name >> 16, packet.name & 0xffff];
    FlowKey {
        source: Ipv4Addr::from_bits(high << 16 | u32::from(packet.client)).to_ipv6_mapped(),
        destination: Ipv4Addr::from_bits(u32::from(packet.vip.0)).to_ipv6_mapped(),
        source_port: u16::try_from(low).unwrap_or_default(),
        destination_port: 80,
        protocol: Protocol::TCP,
    }
}
