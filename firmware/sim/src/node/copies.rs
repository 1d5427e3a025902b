//! Copies of flows on a node, composed around their machine as the program on the box composes it:
//! who copies follows from roles and standbys, what forwarders tell goes in, what they have to know
//! comes out.

use super::life::id;
use crate::network::frame::Name;
use crate::plan::Plan;
use base::{Instant, NodeId, Protocol, VipId};
use cluster::flows::{Endpoint, Flow, Flows, Part};
use cluster::{Incarnation, Ownership, OwnershipGeneration, Role};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The port of all services and servers.
const PORT: u16 = 80;

/// What the forwarding thread tells of flows that other nodes would get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Such a flow has this server; none: it has ended, or is as others would have it.
    Flow { name: Name, server: Option<u16> },
    /// All of them are told anew.
    Telling { round: u8 },
    /// They were.
    Told { round: u8, asked: u32 },
}

/// The machine, and what decides whose flows it copies.
#[derive(Debug)]
pub(crate) struct Copying {
    pub flows: Flows,
    own: NodeId,
    roles: Vec<Role>,
    /// The newest statement that was obeyed, by VIP.
    obeyed: Vec<OwnershipGeneration>,
    standbys: Vec<Option<NodeId>>,
}

impl Copying {
    /// Of a program that starts.
    pub fn new(now: Instant, node: usize, incarnation: Incarnation, plan: &Plan) -> Self {
        let vips = plan.vips.len();
        let addresses: Vec<_> = (0..vips).map(|vip| address_of(VipId::from(vip))).collect();
        Self {
            flows: Flows::new(now, incarnation, &addresses, 1),
            own: id(node),
            roles: vec![Role::Other { owner: None }; vips],
            obeyed: vec![OwnershipGeneration::NONE; vips],
            standbys: vec![None; vips],
        }
    }

    /// A VIP has another owner. Whether that is news.
    pub fn own(&mut self, now: Instant, ownership: &Ownership) -> bool {
        let place = ownership.vip.index();
        if ownership.generation < self.obeyed[place] {
            return false;
        }
        self.obeyed[place] = ownership.generation;
        self.roles[place] = ownership.role;
        self.take_part(now, ownership.vip);
        true
    }

    /// Others are expected to take VIPs over.
    pub fn stand_by(&mut self, now: Instant, standbys: Vec<Option<NodeId>>) {
        self.standbys = standbys;
        for vip in (0..self.roles.len()).map(VipId::from) {
            self.take_part(now, vip);
        }
    }

    fn take_part(&mut self, now: Instant, vip: VipId) {
        let standby = self.standbys[vip.index()] == Some(self.own);
        let part = match self.roles[vip.index()] {
            // Who takes a VIP over is not its owner yet, and has to keep what it has.
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

    /// What the forwarding thread told.
    pub fn note(&mut self, now: Instant, note: Note) {
        match note {
            Note::Flow { name, server } => {
                let server = server.map(endpoint);
                self.flows.handle_flow(now, 0, address_of(name.vip), &flow(name), server);
            }
            Note::Telling { round } => self.flows.handle_telling(0, round),
            Note::Told { round, asked } => self.flows.handle_told(now, 0, round, asked),
        }
    }

    /// The copies of a VIP's flows.
    pub fn of(&self, vip: VipId) -> Vec<(Name, u16)> {
        let named = |flow: &Flow| {
            let [.., high, low] = flow.client.octets();
            let client = u16::from_be_bytes([high, low]);
            Name { vip, client, connection: flow.client_port.into() }
        };
        let server = |endpoint: &Endpoint| endpoint.address.octets()[15].into();
        self.flows.copies(vip).map(|(flow, endpoint)| (named(&flow), server(&endpoint))).collect()
    }

    /// From which node a VIP's flows are copied, if they are.
    pub fn followed(&self, vip: VipId) -> Option<NodeId> {
        let standby = self.standbys[vip.index()] == Some(self.own);
        match self.roles[vip.index()] {
            Role::Other { owner: Some(owner) } if standby => Some(owner),
            Role::Other { .. }
            | Role::Owner { .. }
            | Role::Releasing { .. }
            | Role::Expecting { .. } => None,
        }
    }
}

/// A VIP as flows name it.
fn address_of(vip: VipId) -> Ipv6Addr {
    Ipv4Addr::from_bits(0xc000_0200 + u32::from(vip.0)).to_ipv6_mapped()
}

fn flow(name: Name) -> Flow {
    let client = Ipv4Addr::from_bits(0xc633_0000 + u32::from(name.client)).to_ipv6_mapped();
    // A world does not last for so many connections of one client.
    let client_port = u16::try_from(name.connection).unwrap_or(u16::MAX);
    Flow { client, client_port, port: PORT, protocol: Protocol::TCP }
}

fn endpoint(server: u16) -> Endpoint {
    Endpoint {
        address: Ipv4Addr::from_bits(0x0a00_0000 + u32::from(server)).to_ipv6_mapped(),
        port: PORT,
    }
}
