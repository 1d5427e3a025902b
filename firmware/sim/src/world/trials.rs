//! What a healed cluster is put to: rest, a death, planned moves, a broken pair.

use super::World;
use crate::client::Flow;
use crate::draw::{MILLISECOND, SECOND};
use crate::network::Impairment;
use crate::plan::After;
use crate::plant::Plant;
use base::VipId;
use cluster::Pace;
use model::Policy;

impl World {
    /// Lets every fault end, then checks what must come true, then makes the plan's last trial.
    pub fn trial(&mut self) {
        self.heal();
        self.run(self.one_view_by());
        self.check_one_view();
        self.run(self.now + self.announcing());
        self.check_owned();
        self.check_settled(3 * SECOND, "in a healed cluster");
        self.check_reached();
        self.check_replicas();
        self.settled = true;
        if self.checks.violation.is_some() {
            return;
        }
        match self.plan.after {
            After::Rest => self.check_settled(5 * SECOND, "in a cluster at rest"),
            After::Strike { node } => self.strike(node),
            After::Moves => self.planned_moves(),
            After::BrokenPair { first, second } => self.broken_pair(first, second),
        }
    }

    /// How long it takes until every VIP was announced three times, 200 a second on a port.
    fn announcing(&self) -> u64 {
        let vips = u64::try_from(self.plan.vips.len()).unwrap_or(u64::MAX);
        300 * MILLISECOND + vips * 15 * MILLISECOND
    }

    /// By when every node must be in one view: two seconds after it could be.
    fn one_view_by(&self) -> u64 {
        let held = (0..self.plan.nodes).map(|node| self.checks.held_until(node));
        held.max().unwrap_or(0).max(self.unfit_until).max(self.now) + 2 * SECOND
    }

    /// **taken-over**: a node dies without a word; within the suspicion time and 70 ms (or three
    /// heartbeats, if that is longer) another serves what it served. Then it comes back, and is a
    /// member within a second.
    fn strike(&mut self, node: usize) {
        let patience = self.nodes[node].life.as_ref().map_or(0, |life| life.patience.as_nanos());
        let interval = Pace::of(self.plan.profile).interval.as_nanos();
        let nanos = |of: u128| u64::try_from(of).unwrap_or_default();
        // From the second missed heartbeat on, the address is probed for the suspicion time.
        let bound = nanos(patience) + nanos(interval * 3).max(70 * MILLISECOND);
        self.say(|| format!("strike: n{} dies", node + 1));
        self.switch_off(node, true);
        self.run(self.now + bound);
        let left = self.nodes.iter().filter(|node| node.life.is_some()).count();
        let may_serve = self.plan.policy != Policy::Quorum || left * 2 > self.plan.nodes;
        for vip in (0..self.plan.vips.len()).map(VipId::from).filter(|_| may_serve) {
            if self.servers_of(vip).len() != 1 {
                self.checks.fail(self.now, "taken-over", || {
                    format!(
                        "VIP {} has no owner {} ms after n{} died",
                        vip.0,
                        bound / MILLISECOND,
                        node + 1
                    )
                });
            }
        }
        self.run(self.now + SECOND);
        self.switch_on(node);
        let held = self.checks.held_until(node).max(self.now + 50 * MILLISECOND);
        self.run(held + SECOND);
        self.check_one_view();
        self.run(self.now + self.announcing());
        self.check_owned();
    }

    /// **no-gap**: planned moves lose no packet of clients that believe announcements.
    fn planned_moves(&mut self) {
        let now = self.now;
        let alive = |flow: &Flow| {
            let proper = self.clients[flow.client].cache.is_proper();
            proper && flow.answered().is_some_and(|at| now - at < flow.pace * 2)
        };
        let alive: Vec<bool> = self.flows.iter().map(alive).collect();
        for flow in &mut self.flows {
            flow.longest_wait = 0;
        }
        for _ in 0..6 {
            let vip = self.draw.below(self.plan.vips.len());
            let to = self.draw.below(self.plan.nodes);
            self.ask_to_move(vip, to);
            self.run(self.now + self.plan.heal % 7 * 100 * MILLISECOND + 50 * MILLISECOND);
        }
        self.run(self.now + SECOND + self.announcing());
        let lost =
            |(flow, alive): &(&Flow, bool)| *alive && flow.longest_wait > flow.pace * 19 / 10;
        if let Some((flow, _)) = self.flows.iter().zip(alive).find(lost) {
            let (vip, wait) = (flow.vip.0, flow.longest_wait / MILLISECOND);
            self.checks.fail(self.now, "no-gap", || {
                format!("a connection to VIP {vip} waited {wait} ms while VIPs were moved")
            });
        }
        self.check_one_view();
        self.check_owned();
    }

    /// Moves VIPs, so that some change their owner.
    pub fn meddle(&mut self) {
        for vip in 0..self.plan.vips.len() {
            self.ask_to_move(vip, vip % self.plan.nodes);
            self.ask_to_move(vip, (vip + 1) % self.plan.nodes);
        }
    }

    /// Two nodes that hear everybody but each other: nothing moves, views settle.
    fn broken_pair(&mut self, first: usize, second: usize) {
        let changes = self.checks.changes;
        for segment in &mut self.segments {
            segment.impair(first, second, Impairment::Cut);
            segment.impair(second, first, Impairment::Cut);
        }
        self.say(|| format!("n{} and n{} no longer hear each other", first + 1, second + 1));
        if self.options.plant == Some(Plant::MeddlerInABrokenPair) {
            self.meddle();
        }
        self.run(self.now + 3 * SECOND);
        let moved = self.checks.changes - changes;
        if self.plan.nodes > 2 && moved > 0 {
            self.checks.fail(self.now, "broken-pair", || {
                format!("{moved} VIPs moved because n{} and n{} were cut", first + 1, second + 1)
            });
        }
        self.check_settled(10 * SECOND, "under a broken pair that stays");
    }
}
