//! Voluntary moves: nobody failed, but things could stand better.
//!
//! Whoever comes first in the ring levels how many groups each member owns while there is little
//! to do, so that a newcomer has its share at once, and brings groups back to who is preferred.
//! Where there is much to do, the busiest member gives away one group at a time, once it has been
//! more than 20 points above the least busy one for 30 s, until they are within 10. A newcomer has
//! its share of groups at once all the same. Where one group alone is about as much as a node can
//! carry, nothing moves: whoever had it next would be flooded instead.

use super::owner::MOVES;
use super::ring::Possession;
use super::{Cluster, Event};
use crate::placement::{self, Candidate, NOBODY, Place};
use crate::wire::{Entry, Load, Wish};
use crate::{Moved, NodeSet, Reason};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use base::time::Duration;
use base::{Instant, NodeId};

/// A group moves voluntarily no more than so often …
const MOVES_OF_ONE: usize = 3;
/// … in so long.
const REST: Duration = Duration::from_secs(180);
/// Utilisation below which owners are counted instead of weighed, in thousandths.
const IDLE: u32 = 50;
/// Distance at which moving begins, how long it must last, and at which it ends.
const APART: u32 = 200;
const APART_FOR: Duration = Duration::from_secs(30);
const NEAR: u32 = 100;
/// Less than that, but more than this end, is mended when it lasts.
const NEAR_FOR: Duration = Duration::from_secs(120);
/// After a group was given away, so long until loads say what that has brought.
const SETTLING: Duration = Duration::from_secs(5);
/// So long a member counts as a newcomer.
const NEW: Duration = Duration::from_secs(10);
/// Load of one group that no move mends, in thousandths of what a node can carry.
const FLOOD: u32 = 700;
/// Time constant of smoothing what members say of their load.
const SMOOTHING: Duration = Duration::from_secs(10);

/// What this node knows of loads.
#[derive(Clone, Debug, Default)]
pub struct Balance {
    /// By group: smoothed load here, in millionths of what this node can carry.
    load: Vec<u32>,
    loaded_at: Option<Instant>,
    /// By group: when it was handed to another owner, the latest times, oldest first.
    moved_at: Vec<[Option<Instant>; MOVES_OF_ONE]>,
    /// Since when we are far above the least busy member.
    apart_since: Option<Instant>,
    /// We are giving away, and did so last at this time.
    giving: bool,
    gave_at: Option<Instant>,
    /// By group: it has another owner than when loads were measured last.
    fresh: Vec<bool>,
    /// When each member came that was not there from the beginning.
    came_at: BTreeMap<NodeId, Instant>,
    /// What each member had to do when the token passed here last.
    pub told: Vec<Load>,
}

impl Balance {
    pub fn new(groups: usize) -> Self {
        Self {
            load: alloc::vec![0; groups],
            fresh: alloc::vec![false; groups],
            moved_at: alloc::vec![[None; MOVES_OF_ONE]; groups],
            ..Self::default()
        }
    }

    /// Groups have other numbers from now on: `from` says which each of them had.
    pub fn renumber(&mut self, from: &[Option<usize>]) {
        let load = |from: &Option<usize>| from.and_then(|old| self.load.get(old).copied());
        let moved = |from: &Option<usize>| from.and_then(|old| self.moved_at.get(old).copied());
        (self.load, self.moved_at) = (
            from.iter().map(|from| load(from).unwrap_or_default()).collect(),
            from.iter().map(|from| moved(from).unwrap_or_default()).collect(),
        );
    }

    /// A group was handed to another owner.
    pub fn moved(&mut self, group: usize, now: Instant) {
        if let Some(times) = self.moved_at.get_mut(group) {
            times.rotate_left(1);
            times[MOVES_OF_ONE - 1] = Some(now);
        }
        if let Some(fresh) = self.fresh.get_mut(group) {
            *fresh = true;
        }
    }

    /// These have come into the view, or own nothing: they are new from now on.
    pub fn came(&mut self, nodes: NodeSet, now: Instant) {
        self.came_at.retain(|_, at| now.since(*at) < NEW);
        self.came_at.extend(nodes.iter().map(|node| (node, now)));
    }

    /// An operator moves a group: it stays where it is put.
    pub fn asked(&mut self, group: usize, now: Instant) {
        if let Some(times) = self.moved_at.get_mut(group) {
            *times = [Some(now); MOVES_OF_ONE];
        }
    }
}

impl Cluster {
    /// The load that each VIP puts on this node, in thousandths of what the node can carry, by
    /// [`base::VipId`].
    pub fn handle_load(&mut self, now: Instant, load: &[u16]) {
        let since = self.balance.loaded_at.replace(now).map_or(SMOOTHING, |at| now.since(at));
        let part = since.min(SMOOTHING).as_millis().max(1);
        let Balance { load: known, fresh, .. } = &mut self.balance;
        for ((group, smoothed), fresh) in self.groups.iter().zip(known).zip(fresh) {
            let vips = group.vips.iter().filter_map(|vip| load.get(vip.index()));
            let new: u64 = vips.map(|load| u64::from(*load) * 1_000).sum();
            // What was measured of it before says nothing.
            let part = if core::mem::take(fresh) { SMOOTHING.as_millis() } else { part };
            let whole = SMOOTHING.as_millis();
            let old = u128::from(*smoothed);
            let next = (old * (whole - part) + u128::from(new) * part) / whole;
            *smoothed = u32::try_from(next).unwrap_or(u32::MAX);
        }
    }

    /// Writes into the token what this node has to do.
    pub(super) fn tell_load(&mut self) {
        let mine = (0..self.groups.len()).filter(|group| self.table[*group].owner == self.own.id);
        let used = mine.map(|group| self.balance.load[group]).fold(0, u32::saturating_add) / 1_000;
        let node = self.own.id;
        let weight = self.settings.node(node).map_or(1, |node| node.weight);
        let members = self.members();
        if let Possession::Holding { token, .. } = &mut self.possession {
            token.loads.retain(|load| load.node != node && members.contains(load.node));
            token.loads.push(Load { node, weight, used });
            self.balance.told.clone_from(&token.loads);
        }
    }

    /// Says that a group has another owner, and why.
    pub(super) fn tell_move(&mut self, group: usize, before: NodeId) {
        let Entry { owner, reason, .. } = self.table[group];
        let somebody = |id: NodeId| (id != NOBODY).then_some(id);
        let used = |id: NodeId| self.balance.told.iter().find(|it| it.node == id).map(|it| it.used);
        let moved = Moved {
            vips: self.groups[group].vips.clone(),
            from: somebody(before),
            to: somebody(owner),
            reason,
            heard: self.sight(before).map(|sight| sight.heard_at),
            used: used(before).zip(used(owner)).map(|(from, to)| [from, to]),
        };
        self.events.push_back(Event::Moved(moved));
    }

    /// The moves that would make things better, if now is the time for any.
    pub(super) fn improvements(&mut self) -> Vec<Wish> {
        let Possession::Holding { token, .. } = &self.possession else { return Vec::new() };
        let complete = token.loads.len() == token.members.len();
        let whole = self.condemned.is_empty() && self.suspected().is_empty();
        let steady = self.view.as_ref().is_some_and(|view| {
            self.clock.since(view.since) > self.patience + self.pace.interval * 4
        });
        if !token.wishes.is_empty() || !complete || !whole || !steady {
            return Vec::new();
        }
        let first = token.members.first().is_some_and(|peer| *peer == self.own);
        let busy = token.loads.iter().any(|load| utilisation(&token.loads, load) >= IDLE);
        let loads = token.loads.clone();
        let mut wishes = if first { self.returns() } else { Vec::new() };
        if wishes.is_empty() && !busy && first {
            wishes = self.levelling();
        } else if wishes.is_empty() && busy {
            wishes = self.welcome(&loads);
            if wishes.is_empty() {
                wishes = self.relief(&loads).into_iter().collect();
            }
        }
        wishes
    }

    /// Whether a group has not moved too often of late.
    pub(super) fn rested(&self, group: usize) -> bool {
        self.balance.moved_at[group][0].is_none_or(|at| self.clock.since(at) > REST)
    }

    /// Groups whose preferred owner is back, and that are to follow it.
    fn returns(&self) -> Vec<Wish> {
        let members = self.members();
        let fitness = self.fitness(self.workers.networks());
        let back = (0..self.groups.len()).filter_map(|group| {
            let to = self.groups[group].prefer.filter(|_| self.groups[group].back)?;
            let owner = self.table[group].owner;
            let able = fitness.able(&self.groups[group], members);
            let fits = able.contains(to) && self.open(to, group);
            let number = u16::try_from(group).ok()?;
            let moves = fits && owner != NOBODY && owner != to && self.rested(group);
            moves.then_some(Wish { group: number, to, reason: Reason::Preferred, ready: false })
        });
        back.take(MOVES).collect()
    }

    /// Moves after which members own about as many groups for their weight.
    fn levelling(&self) -> Vec<Wish> {
        let members = self.members();
        let fitness = self.fitness(self.workers.networks());
        let places: Vec<Place> = (0..self.groups.len())
            .map(|group| {
                let able = fitness.able(&self.groups[group], members);
                let able = able.iter().filter(|id| self.open(*id, group));
                Place {
                    owner: self.table[group].owner,
                    able: able.collect(),
                    prefer: self.groups[group].prefer,
                }
            })
            .collect();
        let nodes = self.settings.nodes.iter().filter(|node| members.contains(node.id));
        let candidates: Vec<Candidate> = nodes
            .filter(|node| !self.drained.contains(node.id) && !self.departs(node.id))
            .map(|node| Candidate { id: node.id, weight: node.weight })
            .collect();
        let moves = placement::level(&places, &candidates, |group| self.rested(group), MOVES);
        let wish = |(group, to): (usize, NodeId)| {
            let group = u16::try_from(group).ok()?;
            Some(Wish { group, to, reason: Reason::Levelled, ready: false })
        };
        moves.into_iter().filter_map(wish).collect()
    }

    /// What we give to newcomers: so many of our groups that everybody has as many for its weight,
    /// heavy and light ones alike.
    fn welcome(&mut self, loads: &[Load]) -> Vec<Wish> {
        let now = self.clock;
        // Whoever could have nothing in its first seconds, or was drained, is new once it can.
        let nothing = self.members().iter().filter(|id| self.count(*id) == 0).collect();
        self.balance.came(nothing, now);
        let came = |id: NodeId| self.balance.came_at.get(&id);
        let new = |id: NodeId| came(id).is_some_and(|at| now.since(*at) < NEW);
        let fit = |load: &&Load| !self.drained.contains(load.node) && !self.departs(load.node);
        let whole: usize = loads.iter().filter(fit).map(|load| usize::from(load.weight)).sum();
        let groups = self.table.iter().filter(|entry| entry.owner != NOBODY).count();
        let share = |id: NodeId| {
            let weight = loads.iter().filter(fit).find(|load| load.node == id)?.weight;
            (groups * usize::from(weight)).checked_div(whole)
        };
        let newcomer = self.members().iter().filter(|id| new(*id) && *id != self.own.id);
        let lacks = |id: NodeId| Some((share(id)?.saturating_sub(self.count(id)), id));
        let Some((lacking, to)) = newcomer.filter_map(lacks).max() else { return Vec::new() };
        let members = self.members();
        let fitness = self.fitness(self.workers.networks());
        let mut ours: Vec<usize> = (0..self.groups.len())
            .filter(|&group| {
                self.table[group].owner == self.own.id
                    && self.rested(group)
                    && self.groups[group].prefer != Some(self.own.id)
                    && fitness.able(&self.groups[group], members).contains(to)
                    && self.open(to, group)
            })
            .collect();
        ours.sort_by_key(|group| core::cmp::Reverse(self.balance.load[*group]));
        let spare = self.count(self.own.id).saturating_sub(share(self.own.id).unwrap_or(0));
        let count = spare.min(lacking).min(ours.len()).min(MOVES);
        // Evenly over the ranks of load.
        let chosen = (0..count).map(|n| ours[(2 * n + 1) * ours.len() / (2 * count)]);
        let wish = |group| Wish { group, to, reason: Reason::Levelled, ready: false };
        chosen.filter_map(|group| u16::try_from(group).ok().map(wish)).collect()
    }

    /// One group of ours for the least busy member, if we are the busiest and far above it.
    fn relief(&mut self, loads: &[Load]) -> Option<Wish> {
        let now = self.clock;
        let utilisation = |load: &Load| utilisation(loads, load);
        let mine = loads.iter().find(|load| load.node == self.own.id).map(utilisation)?;
        let most = loads.iter().map(utilisation).max()?;
        let candidates = loads.iter().filter(|load| {
            load.weight > 0 && !self.drained.contains(load.node) && !self.departs(load.node)
        });
        let least = candidates.min_by_key(|load| (utilisation(load), load.node))?;
        let apart = mine.saturating_sub(utilisation(least));
        let heaviest =
            (0..self.groups.len()).filter(|group| self.table[*group].owner == self.own.id);
        let heaviest = heaviest.map(|group| self.balance.load[group] / 1_000).max();
        if mine < most || apart < NEAR || heaviest.is_some_and(|load| load >= FLOOD) {
            self.balance.apart_since = None;
            self.balance.giving = false;
            return None;
        }
        let recent = |at: Instant| now.since(at) < SETTLING;
        let since = *self.balance.apart_since.get_or_insert(now);
        let long = if apart < APART { NEAR_FOR } else { APART_FOR };
        let begins = self.balance.giving || now.since(since) >= long;
        if !begins || self.balance.gave_at.is_some_and(recent) {
            return None;
        }
        let to = least.node;
        let members = self.members();
        let fitness = self.fitness(self.workers.networks());
        let ours: Vec<(usize, u32)> = (0..self.groups.len())
            .filter(|&group| {
                self.table[group].owner == self.own.id
                    && self.rested(group)
                    && self.groups[group].prefer != Some(self.own.id)
                    && fitness.able(&self.groups[group], members).contains(to)
                    && self.open(to, group)
            })
            .map(|group| (group, self.balance.load[group] / 1_000))
            .collect();
        let group = placement::relieve(&ours, apart)?;
        self.balance.giving = true;
        self.balance.gave_at = Some(now);
        let group = u16::try_from(group).ok()?;
        Some(Wish { group, to, reason: Reason::Relieved, ready: false })
    }
}

/// Thousandths of what a member should carry: of what it can carry where all have the same
/// weight, else as seen from the least of them.
fn utilisation(loads: &[Load], load: &Load) -> u32 {
    let weights = loads.iter().map(|load| load.weight).filter(|weight| *weight > 0);
    let least = u64::from(weights.min().unwrap_or(1));
    let used = u64::from(load.used) * least / u64::from(load.weight.max(1));
    u32::try_from(used).unwrap_or(u32::MAX)
}
