//! one-owner, fencing and generation: who serves which VIP.

use super::Checks;
use crate::node::Node;
use crate::plan::episode::Thread;
use base::VipId;
use cluster::OwnershipGeneration;
use model::Policy;

/// Statements about the owner of one VIP that are remembered.
const REMEMBERED: usize = 16;

/// A time in which nobody served a VIP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    /// In nanoseconds.
    pub long: u64,
    /// Whether another node serves it since.
    pub moved: bool,
}

impl Checks {
    /// From now on a node serves a VIP. `lapsed`: when the node's own lease had ended, if it had.
    ///
    /// **one-owner**: no other data plane answers for it. **fencing**: no other data plane would,
    /// if it came to run: it has released, or its lease has run out by its own clock.
    pub fn begins(
        &mut self,
        now: u64,
        node: usize,
        vip: VipId,
        lapsed: Option<u64>,
        nodes: &[Node],
    ) {
        let mut ended = lapsed;
        for (other, state) in nodes.iter().enumerate().filter(|(other, _)| *other != node) {
            let Some(life) = state.life.as_ref().filter(|life| life.forwarder.holds(vip)) else {
                continue;
            };
            let clock = state.machine.clock.read(now);
            let lease = life.forwarder.lease(vip);
            if clock >= lease {
                if self.vips[vip.index()].last == Some(other) {
                    ended = Some(state.machine.clock.world(lease));
                }
                continue;
            }
            if state.is_excused(now) {
                self.excused += 1;
                continue;
            }
            if self.policy != Policy::Quorum && self.apart(now, node, other) {
                continue;
            }
            let answers = state.machine.runs(Thread::Forward, now);
            let checker = if answers { "one-owner" } else { "fencing" };
            let left = lease.since(clock);
            self.fail(now, checker, || {
                format!(
                    "n{} begins to serve VIP {} while n{} does, whose lease lasts {left:?} more",
                    node + 1,
                    vip.0,
                    other + 1
                )
            });
        }
        self.note_begin(now, node, vip, ended);
    }

    /// A node answers a packet for a VIP.
    ///
    /// **one-owner**: nobody else would answer it at this instant.
    pub fn serves(&mut self, now: u64, node: usize, vip: VipId, nodes: &[Node]) {
        for (other, state) in nodes.iter().enumerate().filter(|(other, _)| *other != node) {
            let serves = state.life.as_ref().is_some_and(|life| {
                life.forwarder.holds(vip)
                    && life.forwarder.serves(state.machine.clock.read(now), vip)
                    && state.machine.runs(Thread::Forward, now)
            });
            let excused = || {
                let clocks = state.is_excused(now) || nodes[node].is_excused(now);
                clocks || (self.policy != Policy::Quorum && self.apart(now, node, other))
            };
            if serves && !excused() {
                self.fail(now, "one-owner", || {
                    format!(
                        "n{} answers a packet for VIP {}, as n{} would",
                        node + 1,
                        vip.0,
                        other + 1
                    )
                });
            }
        }
    }

    /// Statistics of a takeover or a return.
    fn note_begin(&mut self, now: u64, node: usize, vip: VipId, ended: Option<u64>) {
        let record = &mut self.vips[vip.index()];
        let ended = record.ended.take().or(ended);
        let moved = record.last.is_some_and(|last| last != node);
        if record.last.is_some() {
            let long = ended.map_or(0, |ended| now.saturating_sub(ended));
            self.gaps.push(Gap { long, moved });
        }
        if moved {
            self.changes += 1;
        }
        record.last = Some(node);
    }

    /// From now on a node does not serve a VIP that it served until now.
    pub fn ends(&mut self, now: u64, node: usize, vip: VipId) {
        let record = &mut self.vips[vip.index()];
        if record.last == Some(node) {
            record.ended = Some(now);
        }
    }

    /// A node loses its power, or its program ends.
    pub fn node_ends(&mut self, now: u64, node: &Node) {
        let Some(life) = &node.life else { return };
        let clock = node.machine.clock.read(now);
        for vip in life.forwarder.held() {
            if life.forwarder.serves(clock, vip) {
                self.ends(now, node.index, vip);
            }
        }
    }

    /// A node that stood still goes on: nobody else may be serving what its lease still covers.
    pub fn resumes(&mut self, now: u64, node: usize, nodes: &[Node]) {
        let state = &nodes[node];
        let Some(life) = &state.life else { return };
        let clock = state.machine.clock.read(now);
        for vip in life.forwarder.held().filter(|vip| life.forwarder.serves(clock, *vip)) {
            let rival = nodes.iter().enumerate().find(|(other, state)| {
                *other != node
                    && state.life.as_ref().is_some_and(|life| {
                        life.forwarder.serves(state.machine.clock.read(now), vip)
                    })
            });
            let Some((rival, its)) = rival else { continue };
            if state.is_excused(now) || its.is_excused(now) {
                self.excused += 1;
            } else if self.policy == Policy::Quorum || !self.apart(now, node, rival) {
                self.fail(now, "one-owner", || {
                    format!(
                        "n{} goes on and serves VIP {}, as n{} does",
                        node + 1,
                        vip.0,
                        rival + 1
                    )
                });
            }
        }
    }

    /// A data plane obeys a statement about a VIP's owner.
    ///
    /// **generation**: never a lower one than it obeyed before; two nodes never serve by one.
    pub fn obeys(
        &mut self,
        now: u64,
        node: usize,
        vip: VipId,
        before: OwnershipGeneration,
        generation: OwnershipGeneration,
        owns: bool,
    ) {
        if generation < before {
            self.fail(now, "generation", || {
                format!("n{} obeys {generation} for VIP {} after {before}", node + 1, vip.0)
            });
        }
        if !owns {
            return;
        }
        let record = &mut self.vips[vip.index()];
        let twin = record.obeyed.iter().find(|(other, by)| *other == generation && *by != node);
        if let Some((_, by)) = twin.copied() {
            self.fail(now, "generation", || {
                format!("n{} and n{} own VIP {} by {generation}", node + 1, by + 1, vip.0)
            });
            return;
        }
        if !record.obeyed.contains(&(generation, node)) {
            if record.obeyed.len() == REMEMBERED {
                record.obeyed.remove(0);
            }
            record.obeyed.push((generation, node));
        }
    }
}
