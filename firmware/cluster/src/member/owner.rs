//! The table of owners: who changes it, and how. Only the holder of the token does.

use super::Cluster;
use super::claim::{Claim, Input};
use super::ring::Possession;
use super::sight::ids;
use crate::placement::{self, Candidate, NOBODY, Place};
use crate::wire::{Call, Entry, Origin, Wish};
use crate::{NodeSet, OwnershipGeneration, Reason};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use base::NodeId;

/// Moves under way at a time.
pub const MOVES: usize = 32;

impl Cluster {
    /// Who adopts what, if only `members` are left.
    pub(super) fn adoption(&self, members: NodeSet) -> Vec<(usize, NodeId)> {
        let owners = self.table.iter().map(|entry| entry.owner);
        let owners: Vec<NodeId> =
            owners.map(|owner| if members.contains(owner) { owner } else { NOBODY }).collect();
        self.adopters(&owners, members)
    }

    fn adopters(&self, owners: &[NodeId], members: NodeSet) -> Vec<(usize, NodeId)> {
        if !owners.contains(&NOBODY) {
            return Vec::new();
        }
        let fitness = self.fitness(self.workers.networks());
        let places = owners.iter().zip(&self.groups).map(|(&owner, group)| {
            let empty = group.vips.is_empty();
            let able = if empty { NodeSet::EMPTY } else { fitness.able_at_all(group, members) };
            Place { owner, able, prefer: group.prefer }
        });
        let nodes = self.settings.nodes.iter().filter(|node| members.contains(node.id));
        let candidates = nodes.map(|node| Candidate { id: node.id, weight: node.weight });
        placement::adopt(&places.collect::<Vec<_>>(), &candidates.collect::<Vec<_>>())
    }

    /// The table with which a view begins, and the number of its last naming.
    ///
    /// Who owned something and is still there keeps it, unless its right to it is in doubt
    /// because somebody consented to a view without it. What has no owner is adopted; what only a
    /// newcomer owns stays with it.
    pub(super) fn inherit(
        &self,
        call: &Call,
        doubted: NodeSet,
        owned: &BTreeMap<NodeId, Vec<u8>>,
    ) -> (Vec<Entry>, u32) {
        let members = ids(&call.members);
        let old = self.view.iter().flat_map(|view| &view.members);
        let stayed: NodeSet =
            old.filter(|peer| call.members.contains(peer)).map(|peer| peer.id).collect();
        let generation = OwnershipGeneration { view: call.id, number: 1 };
        let meets = call.members.iter().any(|peer| !stayed.contains(peer.id));
        let mut table = self.table.clone();
        for (group, entry) in table.iter_mut().enumerate() {
            let served =
                |bits: &Vec<u8>| bits.get(group / 8).is_some_and(|b| b >> (group % 8) & 1 == 1);
            let mut keepers =
                owned.iter().filter(|(id, bits)| !stayed.contains(**id) && served(bits));
            let keeper = keepers.next().map(|(id, _)| *id);
            let previous = entry.owner;
            *entry = match keeper {
                _ if stayed.contains(previous) && doubted.contains(previous) => {
                    Entry { generation, origin: Origin::Claimed, ..*entry }
                }
                // Of two that meet, the one that can serve now goes on.
                Some(owner) if !stayed.contains(previous) || !self.open(previous, group) => {
                    let (origin, reason) = (Origin::Kept, Reason::Joined);
                    Entry { owner, previous, generation, origin, reason }
                }
                // Whoever comes may have seen a higher generation where it was.
                Some(_) | None if stayed.contains(previous) && meets => {
                    Entry { generation, origin: Origin::Kept, ..*entry }
                }
                Some(_) | None if stayed.contains(previous) => continue,
                Some(_) | None => {
                    let (origin, reason) = (Origin::Claimed, lost(previous));
                    Entry { owner: NOBODY, previous, generation, origin, reason }
                }
            };
        }
        let owners: Vec<NodeId> = table.iter().map(|entry| entry.owner).collect();
        let spreads = self.documents.spreads(self.seen, self.members().len());
        for (group, owner) in self.heirs(owners, stayed, members) {
            let vacated = self.table[group].owner == NOBODY;
            // Not everybody has stopped serving it yet, see `document.rs`.
            if !(spreads && vacated) {
                table[group].owner = owner;
            }
        }
        (table, 1)
    }

    /// Who adopts what in a new view: those that were in the old one, where one of them can, since
    /// they have the copies of its flows. Whoever has only come, or started again, gets its share
    /// by moves that bring the flows along.
    fn heirs(
        &self,
        mut owners: Vec<NodeId>,
        stayed: NodeSet,
        members: NodeSet,
    ) -> Vec<(usize, NodeId)> {
        let mut heirs = if stayed.is_empty() { Vec::new() } else { self.adopters(&owners, stayed) };
        for (group, owner) in &heirs {
            owners[*group] = *owner;
        }
        heirs.extend(self.adopters(&owners, members));
        heirs
    }

    /// Everything that the holder of the token does with it.
    pub(super) fn work(&mut self) {
        let now = self.clock;
        self.drain_members();
        self.tell_load();
        self.agree_on_pace();
        self.agree_on_document();
        self.wish();
        let Possession::Holding { token, .. } = &mut self.possession else { return };
        let mut wishes = core::mem::take(&mut token.wishes);
        wishes.retain(|wish| {
            let group = usize::from(wish.group);
            let owner = self.table.get(group).map_or(NOBODY, |entry| entry.owner);
            owner != NOBODY && owner != wish.to
        });
        let mut kept = Vec::new();
        for wish in wishes {
            if wish.reason == Reason::Asked {
                self.balance.asked(wish.group.into(), now);
            }
            if let Some(wish) = self.advance(wish) {
                kept.push(wish);
            }
        }
        self.forget_moves(&kept);
        if let Possession::Holding { token, .. } = &mut self.possession {
            token.wishes = kept;
        }
        self.give_to_owners();
        self.token_at = now;
    }

    /// One step of a planned move; none: it is over.
    fn advance(&mut self, wish: Wish) -> Option<Wish> {
        let group = usize::from(wish.group);
        let entry = *self.table.get(group)?;
        let members = self.members();
        if !self.able(group, members).contains(wish.to) {
            return None;
        }
        if wish.to == self.own.id {
            let begins = !matches!(self.locals[group].claim, Claim::Expecting { from, .. }
                if from == entry.owner);
            if begins {
                self.forget_synced(group);
            }
            self.drive(group, Input::Expect { from: entry.owner });
            let settled =
                matches!(self.locals[group].claim, Claim::Expecting { settled: true, .. });
            let ready = settled && self.is_synced(group);
            return Some(Wish { ready: wish.ready || ready, ..wish });
        }
        if entry.owner != self.own.id || !wish.ready {
            return Some(wish);
        }
        match self.locals[group].claim {
            Claim::Serving => {
                self.locals[group].generation = self.next_generation()?;
                let until = self.drained_at();
                self.drive(group, Input::Release { to: wish.to, until });
                Some(wish)
            }
            Claim::Releasing { to, settled: true, .. } if to == wish.to => {
                let generation = self.next_generation()?;
                let previous = self.own.id;
                let (origin, reason) = (Origin::Handed, wish.reason);
                self.name(group, Entry { owner: to, previous, generation, origin, reason });
                None
            }
            Claim::Releasing { settled: false, .. } => Some(wish),
            Claim::Idle | Claim::Expecting { .. } | Claim::Taking { .. } => None,
            Claim::Releasing { .. } => None,
        }
    }

    /// Expects nothing that is not wished for any more.
    fn forget_moves(&mut self, wishes: &[Wish]) {
        for group in 0..self.groups.len() {
            let wished = |wish: &Wish| usize::from(wish.group) == group && wish.to == self.own.id;
            if matches!(self.locals[group].claim, Claim::Expecting { .. })
                && !wishes.iter().any(wished)
            {
                self.drive(group, Input::Forget);
            }
        }
    }

    /// Names owners where there is none, and takes back what is ours and nobody got.
    fn give_to_owners(&mut self) {
        let members = self.members();
        let vacant = if self.documents.spreads(self.seen, members.len()) {
            Vec::new()
        } else {
            self.adoption(members)
        };
        for (group, owner) in vacant {
            let Some(generation) = self.next_generation() else { return };
            let previous = self.table[group].previous;
            let (origin, reason) = (Origin::Claimed, lost(previous));
            self.name(group, Entry { owner, previous, generation, origin, reason });
        }
        let Possession::Holding { token, .. } = &self.possession else { return };
        let wished: Vec<u16> = token.wishes.iter().map(|wish| wish.group).collect();
        for group in 0..self.groups.len() {
            let entry = self.table[group];
            if entry.owner != self.own.id || wished.iter().any(|wish| usize::from(*wish) == group) {
                continue;
            }
            // What we released and nobody took, nobody else has served since.
            let origin = match self.locals[group].claim {
                Claim::Releasing { .. } => Origin::Handed,
                Claim::Idle | Claim::Expecting { .. } => Origin::Claimed,
                Claim::Taking { .. } | Claim::Serving => continue,
            };
            let Some(generation) = self.next_generation() else { return };
            self.name(group, Entry { generation, origin, ..entry });
        }
    }

    /// Changes the table, for everybody.
    fn name(&mut self, group: usize, entry: Entry) {
        if let Possession::Holding { token, .. } = &mut self.possession {
            token.changed = token.seq;
            self.changed = token.seq;
            self.table[group] = entry;
            self.reconcile();
        }
    }

    /// The next statement about an owner in this view.
    pub(super) fn next_generation(&mut self) -> Option<OwnershipGeneration> {
        let Possession::Holding { token, .. } = &mut self.possession else { return None };
        token.number += 1;
        Some(OwnershipGeneration { view: token.view, number: token.number })
    }

    /// Adds the moves that are wanted here to those under way.
    fn wish(&mut self) {
        let wanted = core::mem::take(&mut self.wanted);
        self.push_wishes(wanted);
        let rescues = self.rescues();
        self.push_wishes(rescues);
        let clearances = self.clearances();
        self.push_wishes(clearances);
        let improvements = self.improvements();
        self.push_wishes(improvements);
    }

    /// Carries out which members are to own nothing.
    fn drain_members(&mut self) {
        let Possession::Holding { token, .. } = &mut self.possession else { return };
        for (node, drained) in core::mem::take(&mut self.to_drain) {
            if drained {
                token.drained.insert(node);
            } else {
                token.drained.remove(node);
            }
        }
        self.drained = token.drained;
    }

    fn push_wishes(&mut self, wanted: Vec<Wish>) {
        let Possession::Holding { token, .. } = &mut self.possession else { return };
        for wish in wanted {
            let known = token.wishes.iter().position(|known| known.group == wish.group);
            match known {
                Some(at)
                    if (wish.reason == Reason::Asked || wish.ready)
                        && token.wishes[at].reason != Reason::Asked =>
                {
                    token.wishes[at] = wish;
                }
                Some(_) => {}
                None if token.wishes.len() < MOVES => token.wishes.push(wish),
                None => {}
            }
        }
    }

    /// Groups of ours that we cannot serve while another member can: they go at once, without the
    /// other preparing for it.
    fn rescues(&self) -> Vec<Wish> {
        let members = self.members();
        let hopeless = |group: usize| {
            let networks = &self.groups[group].networks;
            networks.iter().any(|network| !self.reached(self.own.id, *network))
                || self.closed_for_long(group)
        };
        let ours = (0..self.groups.len())
            .filter(|group| self.locals[*group].claim == Claim::Serving && hopeless(*group));
        let rescue = |group: usize| {
            let able = self.able(group, members.without(self.own.id));
            let to =
                able.iter().filter(|id| self.open(*id, group)).min_by_key(|id| self.count(*id))?;
            let group = u16::try_from(group).ok()?;
            Some(Wish { group, to, reason: Reason::Unreached, ready: true })
        };
        ours.filter_map(rescue).collect()
    }

    /// Groups of members that are to own nothing, or nothing that another can.
    fn clearances(&self) -> Vec<Wish> {
        let members = self.members();
        let idle = |id: NodeId| self.settings.node(id).is_some_and(|node| node.weight == 0);
        let fitness = members.iter().any(idle).then(|| self.fitness(self.workers.networks()));
        let lent = |group: usize, owner: NodeId| {
            let Some(fitness) = fitness.as_ref().filter(|_| idle(owner)) else { return false };
            let able = fitness.able(&self.groups[group], members);
            let mut able = able.iter().filter(|id| !idle(*id) && self.open(*id, group));
            self.rested(group) && able.any(|id| !self.departs(id))
        };
        let full = |id: NodeId| self.drained.contains(id) || self.departs(id);
        let mut owners: Vec<NodeId> = self.table.iter().map(|entry| entry.owner).collect();
        let mut moved = Vec::new();
        for (group, entry) in self.table.iter().enumerate() {
            let misplaced = !self.groups[group].eligible.contains(entry.owner);
            let moves = full(entry.owner) || misplaced || lent(group, entry.owner);
            if entry.owner != NOBODY && moves && moved.len() < MOVES {
                owners[group] = NOBODY;
                moved.push(group);
            }
        }
        let adopted = self.adopters(&owners, members).into_iter();
        adopted
            .filter(|(group, to)| moved.contains(group) && !full(*to) && self.open(*to, *group))
            .filter(|(group, to)| *to != self.table[*group].owner)
            .filter_map(|(group, to)| {
                let owner = self.table[group].owner;
                let reason = match (self.departs(owner), full(owner)) {
                    (true, _) => Reason::Left,
                    (false, false) if idle(owner) => Reason::Levelled,
                    (false, _) => Reason::Drained,
                };
                let group = u16::try_from(group).ok()?;
                Some(Wish { group, to, reason, ready: false })
            })
            .collect()
    }

    /// How many groups a node owns.
    pub(super) fn count(&self, id: NodeId) -> usize {
        self.table.iter().filter(|entry| entry.owner == id).count()
    }
}

/// Why a group has another owner that nobody gave away.
fn lost(previous: NodeId) -> Reason {
    if previous == NOBODY { Reason::Vacant } else { Reason::Takeover }
}
