//! Which VIPs move together, and who may own them.

use crate::{NodeSet, Settings};
use alloc::vec::Vec;
use base::{NetworkId, NodeId, VipId};

/// VIPs that have one owner at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub vips: Vec<VipId>,
    pub networks: Vec<NetworkId>,
    /// Nodes that are attached to all of the networks; only the pinned one if there is one.
    pub eligible: NodeSet,
    pub prefer: Option<NodeId>,
    pub back: bool,
}

/// The groups of a configuration, by number. A number that no VIP has is a group without VIPs.
pub fn of(settings: &Settings) -> Vec<Group> {
    let count = settings.vips.iter().map(|vip| usize::from(vip.group) + 1).max().unwrap_or(0);
    let mut groups: Vec<Group> =
        (0..count.min(settings.vips.len())).map(|_| Group::default()).collect();
    let mut pins: Vec<Option<NodeId>> = groups.iter().map(|_| None).collect();
    for (id, vip) in settings.vips() {
        let number = usize::from(vip.group);
        let (Some(group), Some(pin)) = (groups.get_mut(number), pins.get_mut(number)) else {
            continue;
        };
        group.vips.push(id);
        if !group.networks.contains(&vip.network) {
            group.networks.push(vip.network);
        }
        *pin = pin.or(vip.pin);
        if group.prefer.is_none() {
            group.prefer = vip.prefer;
            group.back = vip.back;
        }
    }
    for (group, pin) in groups.iter_mut().zip(pins) {
        let attached = |node: &&crate::NodeSettings| {
            group.networks.iter().all(|network| node.networks.contains(network))
        };
        let able = settings.nodes.iter().filter(attached).map(|node| node.id);
        group.eligible = able.filter(|id| pin.is_none_or(|pin| pin == *id)).collect();
    }
    groups
}
