//! What the agreed configuration says of the cluster.

use crate::config::DocumentId;
use crate::{Incarnation, NodeSet};
use alloc::vec::Vec;
use base::time::Duration;
use base::{NetworkId, NodeId, VipId};
use core::net::IpAddr;
use model::{Policy, Profile};

/// What both machines are told at their start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who we are.
    pub own: NodeId,
    /// Which of our starts this is.
    pub incarnation: Incarnation,
    /// Which document says all this.
    pub document: DocumentId,
    /// What a node may do when it cannot hear the others.
    pub policy: Policy,
    /// How fast failures are detected.
    pub profile: Profile,
    /// Every configured node, ourselves among them.
    pub nodes: Vec<NodeSettings>,
    /// Every network, by [`NetworkId`].
    pub networks: Vec<NetworkSettings>,
    /// Every virtual address, by [`VipId`].
    pub vips: Vec<VipSettings>,
}

/// A configured node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// Its number.
    pub id: NodeId,
    /// What it is attached to.
    pub networks: Vec<NetworkId>,
    /// Its share of the work, relative to the other nodes'. 0: it owns nothing by choice.
    pub weight: u16,
}

/// A network as the cluster needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Whether there is anybody outside the cluster to ask whether we are reached: configured
    /// witnesses, gateways or servers.
    pub witnesses: bool,
}

/// A virtual address as the cluster needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VipSettings {
    /// Where it is answered for.
    pub network: NetworkId,
    /// The address: with the network that by which it is the same in another document.
    pub address: IpAddr,
    /// VIPs with the same number move together. Any numbers below the number of VIPs.
    pub group: u16,
    /// Who owns it at first. The first VIP of a group that says so speaks for the group.
    pub prefer: Option<NodeId>,
    /// The only one who may own it.
    pub pin: Option<NodeId>,
    /// It goes back to who is preferred, when that node returns.
    pub back: bool,
}

/// The times of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between two heartbeats.
    pub interval: Duration,
    /// The least suspicion time L.
    pub floor: Duration,
    /// L before anybody has measured anything.
    pub start: Duration,
    /// L never exceeds this, whatever jitter is measured.
    pub ceiling: Duration,
}

impl Pace {
    /// The times of a profile. `auto` begins as if machines stalled, and follows the worst that it
    /// measures: down to `normal`, and up as far as three seconds.
    pub const fn of(profile: Profile) -> Self {
        let (interval, floor, start, ceiling) = match profile {
            Profile::Fast => (10, 30, 30, 120),
            Profile::Normal => (20, 80, 80, 320),
            Profile::Vm => (50, 300, 300, 1_200),
            Profile::Emulated => (500, 3_000, 3_000, 6_000),
            Profile::Auto => (20, 80, 360, 3_000),
        };
        Self {
            interval: Duration::from_millis(interval),
            floor: Duration::from_millis(floor),
            start: Duration::from_millis(start),
            ceiling: Duration::from_millis(ceiling),
        }
    }
}

impl Settings {
    /// The times in use.
    pub const fn pace(&self) -> Pace {
        Pace::of(self.profile)
    }
    /// Whether there is no other node.
    pub fn alone(&self) -> bool {
        self.nodes.iter().all(|node| node.id == self.own)
    }
    /// Whether so many nodes are more than half of the configured ones.
    pub fn majority(&self, nodes: usize) -> bool {
        nodes * 2 > self.nodes.len()
    }
    /// What is said of a node.
    pub fn node(&self, id: NodeId) -> Option<&NodeSettings> {
        self.nodes.iter().find(|node| node.id == id)
    }
    /// Every node but ourselves.
    pub fn others(&self) -> NodeSet {
        self.nodes.iter().map(|node| node.id).filter(|id| *id != self.own).collect()
    }
    /// What a node is attached to.
    pub fn networks_of(&self, id: NodeId) -> &[NetworkId] {
        self.node(id).map_or(&[], |node| &node.networks)
    }
    /// Every VIP with its id.
    pub fn vips(&self) -> impl Iterator<Item = (VipId, &VipSettings)> {
        self.vips.iter().enumerate().map(|(index, vip)| (VipId::from(index), vip))
    }
}
