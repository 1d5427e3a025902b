//! Who would own what if its owner failed: that node copies its flows beforehand.

use super::ring::Possession;
use super::{Cluster, Event};
use crate::placement::NOBODY;
use crate::{NodeSet, ViewId};
use alloc::vec;
use alloc::vec::Vec;
use base::time::Duration;
use base::{Instant, NodeId, VipId};

/// What is seen of networks may change who is able to own something: it is looked at this often.
const AGAIN: Duration = Duration::from_secs(2);

/// What is found out, an owner at a time: for large clusters the whole is more than one turn may
/// cost.
#[derive(Clone, Debug)]
pub struct Standbys {
    /// By VIP, as it was told last.
    told: Vec<Option<NodeId>>,
    /// As far as it is found out.
    found: Vec<Option<NodeId>>,
    /// Owners that are still to be looked at.
    owners: NodeSet,
    /// For which view, which table, and since when.
    of: (ViewId, u64, Instant),
}

impl Standbys {
    pub fn new(vips: usize) -> Self {
        let nobody = vec![None; vips];
        Self {
            told: nobody.clone(),
            found: nobody,
            owners: NodeSet::EMPTY,
            of: (ViewId::NONE, 0, Instant::ZERO),
        }
    }
}

impl Cluster {
    /// The flows of a VIP that is to be moved here ([`crate::Role::Expecting`]) are copied, or
    /// need not be waited for any longer: it may come.
    pub fn handle_synced(&mut self, now: Instant, vip: VipId) {
        self.clock = self.clock.max(now);
        if let Some(synced) = self.synced.get_mut(vip.index()) {
            *synced = true;
        }
        if matches!(self.possession, Possession::Holding { .. }) {
            self.work();
            self.set_hold();
        }
        self.turn();
    }

    /// Finds out who stands by for each VIP, and says so if that has changed. Every member comes
    /// to the same, from what is agreed on; where they see networks differently a copy goes to the
    /// wrong node for as long.
    pub(super) fn tell_standbys(&mut self) {
        let now = self.clock;
        let members = self.members();
        let view = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        let (known, changed, since) = self.standbys.of;
        if (known, changed) != (view, self.changed) || now.since(since) >= AGAIN {
            let owners = self.table.iter().map(|entry| entry.owner);
            let owners: NodeSet = owners.filter(|owner| *owner != NOBODY).collect();
            self.standbys.owners = owners.intersection(members);
            self.standbys.found.fill(None);
            self.standbys.of = (view, self.changed, now);
        }
        let Some(owner) = self.standbys.owners.first() else { return };
        self.standbys.owners.remove(owner);
        for (group, heir) in self.adoption(members.without(owner)) {
            if self.table[group].owner == owner {
                for vip in &self.groups[group].vips {
                    if let Some(standby) = self.standbys.found.get_mut(vip.index()) {
                        *standby = Some(heir);
                    }
                }
            }
        }
        if self.standbys.owners.is_empty() && self.standbys.found != self.standbys.told {
            self.standbys.told.clone_from(&self.standbys.found);
            self.events.push_back(Event::Standbys(self.standbys.told.clone()));
        }
    }

    /// Whether the flows of all VIPs of a group are here.
    pub(super) fn is_synced(&self, group: usize) -> bool {
        let synced = |vip: &VipId| self.synced.get(vip.index()).copied().unwrap_or(true);
        self.groups[group].vips.iter().all(synced)
    }

    /// They have to be copied anew.
    pub(super) fn forget_synced(&mut self, group: usize) {
        for vip in &self.groups[group].vips {
            if let Some(synced) = self.synced.get_mut(vip.index()) {
                *synced = false;
            }
        }
    }
}
