//! Which members work on the flows of addresses that are spread: all that can serve wherever there
//! are virtual addresses, as a flow comes in on one network and goes on by another.
//!
//! It is no agreement of its own. Every member finds it out from the view and from what the others
//! say of their gates in their heartbeats, so for a round trip two may differ. A flow that they
//! give to different members is picked up where it comes, as after a takeover, and whoever has no
//! lease works on nothing.

use super::groups::Group;
use super::{Cluster, Event};
use crate::wire::Standing;
use crate::{NodeSet, Presence};
use alloc::vec::Vec;
use base::{NetworkId, NodeId};

/// What is known of them.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Networks that have virtual addresses.
    networks: Vec<NetworkId>,
    /// As it was told last.
    told: NodeSet,
}

impl Workers {
    pub fn new(groups: &[Group]) -> Self {
        let mut networks: Vec<NetworkId> =
            groups.iter().flat_map(|group| group.networks.iter().copied()).collect();
        networks.sort_unstable();
        networks.dedup();
        Self { networks, told: NodeSet::EMPTY }
    }

    /// Networks that have virtual addresses.
    pub fn networks(&self) -> &[NetworkId] {
        &self.networks
    }

    /// Other networks have virtual addresses.
    pub fn renew(&mut self, groups: &[Group]) {
        self.networks = Self::new(groups).networks;
    }
}

impl Cluster {
    /// Says which members work on flows of spread addresses, if that has changed.
    pub(super) fn tell_workers(&mut self) {
        let members = self.members().difference(self.drained);
        let workers: NodeSet = members.iter().filter(|id| self.can_work(*id)).collect();
        if workers != self.workers.told {
            self.workers.told = workers;
            self.events.push_back(Event::Workers(workers));
        }
    }

    fn can_work(&self, id: NodeId) -> bool {
        let there = if id == self.own.id {
            !self.leaving
        } else {
            self.sight(id).is_some_and(|sight| {
                sight.presence != Presence::Silent && sight.said.standing != Standing::Leaving
            })
        };
        let attached = self.settings.networks_of(id);
        there
            && self
                .workers
                .networks
                .iter()
                .all(|network| attached.contains(network) && self.is_open(id, *network))
    }
}
