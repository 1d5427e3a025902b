//! The council's part in one document for all: what it proposes, stages and goes by.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use base::{Instant, NetworkId, NodeId};
use cluster::config::{DocumentId, Notice, Origin, Record, Unfit};
use cluster::{OwnershipGeneration, Role};
use model::config::{Config, Node};

use super::council::{Agreed, Council, InForce, STAGED, addresses};
use super::settings::{ids, settings};

impl Council {
    /// The record of the document in force, with what was before: for those who pull it.
    pub fn handle_record(&mut self, record: &Record) {
        self.cluster.handle_record(record);
    }

    /// Proposes a document to the members, as [`Agreed::Decided`] tells.
    ///
    /// # Errors
    /// It was not proposed.
    pub fn propose(
        &mut self,
        now: Instant,
        record: &Record,
        config: &Config,
        node: &Node,
    ) -> Result<(), Unfit> {
        let id = record.id();
        self.stage(id, config, node);
        let said = settings(config, node, (self.incarnation, id));
        let proposed = self.cluster.propose(now, record, said);
        self.after(now);
        proposed
    }

    /// Whether this node could carry out a document, and as what, or why not, for people.
    pub fn handle_judged(
        &mut self,
        now: Instant,
        id: DocumentId,
        verdict: Result<(Config, Node), String>,
    ) {
        let verdict = verdict.map(|(config, node)| {
            self.stage(id, &config, &node);
            settings(&config, &node, (self.incarnation, id))
        });
        self.cluster.handle_judged(now, id, verdict);
        self.after(now);
    }

    /// The document in force.
    pub const fn document(&self) -> DocumentId {
        self.cluster.document()
    }

    fn stage(&mut self, id: DocumentId, config: &Config, node: &Node) {
        self.staged.retain(|(known, ..)| *known != id);
        if self.staged.len() >= STAGED {
            self.staged.pop_front();
        }
        self.staged.push_back((id, config.clone(), node.clone()));
    }

    /// Another document is in force: addresses and nodes have other numbers.
    fn renumber(&mut self, now: Instant, id: DocumentId, origin: Origin) {
        let found = self.staged.iter().position(|(known, ..)| *known == id);
        let Some((_, config, node)) = found.and_then(|at| self.staged.remove(at)) else { return };
        let before = core::mem::replace(&mut self.addresses, identities(&config));
        let roles = self.addresses.iter().map(|vip| {
            let old = before.iter().position(|known| known == vip);
            let role = old.and_then(|old| self.roles.get(old)).copied();
            role.unwrap_or(Role::Other { owner: None })
        });
        self.roles = roles.collect();
        self.standbys = Vec::new();
        self.flows.set_vips(now, &addresses(&config));
        let obeyed = self.addresses.iter().map(|vip| {
            let old = before.iter().position(|known| known == vip);
            old.and_then(|old| self.obeyed.get(old)).copied().unwrap_or(OwnershipGeneration::NONE)
        });
        self.obeyed = obeyed.collect();
        let peers: Vec<_> = ids(&config).into_iter().filter(|id| *id != self.own).collect();
        let place = |old: &NodeId| {
            let place = peers.iter().position(|peer| peer == old);
            place.and_then(|place| u16::try_from(place).ok())
        };
        let places = self.peers.iter().map(place).collect();
        self.guard.set_peers(peers.iter().copied());
        self.peers = peers;
        self.framing.renew(&config, &node);
        let in_force = InForce { id, origin, places, config, node };
        self.agreed.push_back(Agreed::InForce(Box::new(in_force)));
        self.agreed.push_back(Agreed::Peers(self.stations()));
    }

    pub(super) fn note(&mut self, now: Instant, notice: Notice) {
        match notice {
            Notice::Judge { record, from } => self.agreed.push_back(Agreed::Judge(record, from)),
            Notice::InForce { id, origin } => self.renumber(now, id, origin),
            Notice::Decided { id, decision } => {
                self.agreed.push_back(Agreed::Decided(id, decision));
            }
            Notice::Removed { leaves, .. } => self.agreed.push_back(Agreed::Removed(leaves)),
        }
    }
}

/// What identifies each virtual address.
pub(super) fn identities(config: &Config) -> Vec<(NetworkId, IpAddr)> {
    config.vips.iter().map(|vip| (vip.network, vip.address)).collect()
}
