//! A cluster of one configured node.

use super::Cluster;
use super::groups::Group;
use super::sight::micros;
use crate::placement::NOBODY;
use crate::wire::{Entry, Origin, Token};
use crate::{NodeSet, OwnershipGeneration, Reason, ViewId};
use alloc::vec;
use alloc::vec::Vec;

impl Cluster {
    /// Nobody else is configured: everything is ours.
    pub(super) fn rule_alone(&mut self) {
        self.epoch += 1;
        let view = ViewId { epoch: self.epoch, proposer: self.own, attempt: 1 };
        let generation = OwnershipGeneration { view, number: 1 };
        let own = self.own.id;
        let entry = |group: &Group| {
            let owner = if group.eligible.contains(own) { own } else { NOBODY };
            let (origin, reason) = (Origin::Handed, Reason::Vacant);
            Entry { owner, previous: NOBODY, generation, origin, reason }
        };
        let token = Token {
            view,
            seq: 1,
            members: vec![self.own],
            lease: micros(self.lease),
            patience: micros(self.patience),
            paced: 1,
            wanted: [0; 2],
            fence: 0,
            number: 1,
            drained: NodeSet::EMPTY,
            document: self.settings.document,
            committed: 0,
            draft: None,
            wishes: Vec::new(),
            loads: Vec::new(),
            changed: 1,
            table: Some(self.groups.iter().map(entry).collect()),
        };
        self.fence = self.clock;
        self.take(token);
        (self.permitted, self.permit) = (u64::MAX, None);
    }
}
