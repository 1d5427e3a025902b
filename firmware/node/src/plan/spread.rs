//! Virtual addresses that are spread: which nodes work on their flows, as far as this node knows.

use alloc::vec::Vec;

use base::{NodeId, VipId};
use dataplane::tables::{Owner, Share, Spread};
use model::config::{Config, Node};

use super::Plan;

impl Plan {
    /// These nodes work on the flows of addresses that are spread from now on. Whether that
    /// changes anything for the forwarders.
    pub fn set_workers(&mut self, workers: Vec<NodeId>) -> bool {
        let changed = self.workers != workers && self.config.vips.iter().any(|vip| vip.spread);
        self.workers = workers;
        changed
    }

    /// The nodes that work on the flows of an address that is spread, with their weights.
    pub fn workers(&self) -> impl Iterator<Item = (&Node, u16)> {
        let nodes = self.config.nodes.iter().filter(|node| self.workers.contains(&id(node)));
        nodes.filter(|node| node.weight > 0).map(|node| (node, node.weight))
    }

    /// Whether this node works on flows of a virtual address that is spread.
    pub(super) fn works(&self, vip: VipId) -> bool {
        let own = id(&self.node);
        self.config.vips.get(vip.index()).is_some_and(|vip| vip.spread)
            && self.workers().any(|(node, _)| id(node) == own)
    }

    /// Who works on which flow of each virtual address, where it is spread.
    pub fn spreads(&self) -> Vec<Option<Spread>> {
        let shares = self.shares();
        if shares.is_empty() || self.config.vips.iter().all(|vip| !vip.spread) {
            return Vec::new();
        }
        let spread = Spread::build(&shares);
        self.config.vips.iter().map(|vip| vip.spread.then(|| spread.clone())).collect()
    }

    fn shares(&self) -> Vec<Share> {
        let peers = peers(&self.config, &self.node);
        let own = id(&self.node);
        let share = |(node, weight): (&Node, u16)| {
            let node = id(node);
            let place = || u16::try_from(peers.iter().position(|peer| *peer == node)?).ok();
            let at = if node == own { Owner::Us } else { Owner::Peer(place()?) };
            Some(Share { at, identity: identity(node), weight })
        };
        self.workers().filter_map(share).collect()
    }
}

/// The other nodes of a configuration: the place of each is its number in [`Owner::Peer`].
pub(crate) fn peers(config: &Config, node: &Node) -> Vec<NodeId> {
    let own = id(node);
    config.nodes.iter().map(id).filter(|id| *id != own).collect()
}

/// A node's number.
pub(crate) fn id(node: &Node) -> NodeId {
    NodeId(node.id.into())
}

/// What every node knows a node by when flows are spread (the finalizer of splitmix64).
fn identity(node: NodeId) -> u64 {
    let mixed = u64::from(node.0).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
