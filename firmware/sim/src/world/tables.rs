//! What a node's data plane is told: roles by control, ends of leases by pulse. Every change is
//! shown to the checkers at the instant at which it counts.

use super::World;
use crate::draw::SECOND;
use crate::node::life::{Settled, Table};
use crate::plan::episode::Thread;
use crate::plant::Plant;
use base::time::Duration;
use base::{Instant, NetworkId, VipId};
use cluster::{Ownership, OwnershipGeneration, Role};

impl World {
    /// New tables are obeyed by the data plane.
    pub(super) fn apply_tables(&mut self, node: usize) {
        let mut newest = None;
        loop {
            let Some(life) = &mut self.nodes[node].life else { return };
            let Some(table) = life.tables.pop_front() else { break };
            let (ownership, copies) = match table {
                Table::Owner(ownership, copies) => (ownership, copies),
                Table::Copies { vip, flows, arrives } => {
                    life.forwarder.flows.set_copies(vip, &flows);
                    if arrives {
                        life.settled.push_back(Settled::Copies(vip));
                        self.wake_soon(node, Thread::Control);
                    }
                    continue;
                }
            };
            let dies = self.plan.heal + 5 * SECOND;
            if (node == 1 && self.is_planted(Plant::LostTables))
                || (self.now > dies && self.is_planted(Plant::LateLostTables))
            {
                continue;
            }
            newest = Some(ownership.number);
            if let Some(life) = &mut self.nodes[node].life {
                life.forwarder.flows.set_copies(ownership.vip, &copies);
            }
            self.apply(node, ownership);
            if self.is_planted(Plant::StaleTables) {
                self.apply(node, Ownership { generation: OwnershipGeneration::NONE, ..ownership });
            }
            if self.is_planted(Plant::TwinTables) && node > 0 {
                self.apply(node - 1, ownership);
            }
        }
        let Some(life) = &mut self.nodes[node].life else { return };
        if let Some(workers) = life.workers.take() {
            life.forwarder.set_workers(workers);
        }
        if let Some(number) = newest {
            life.settled.push_back(Settled::Owner(number));
            self.wake_soon(node, Thread::Control);
        }
    }

    /// One VIP gets another role.
    fn apply(&mut self, node: usize, ownership: Ownership) {
        let Ownership { vip, role, generation, .. } = ownership;
        let state = &mut self.nodes[node];
        let clock = state.machine.clock.read(self.now);
        let Some(life) = &mut state.life else { return };
        let (_, before) = life.forwarder.role(vip);
        let served = life.forwarder.serves(clock, vip);
        life.forwarder.apply(vip, role, generation);
        let serves = life.forwarder.serves(clock, vip);
        let owns = matches!(role, Role::Owner { .. });
        self.say(|| format!("n{} is {role:?} of VIP {} by {generation}", node + 1, vip.0));
        self.checks.obeys(self.now, node, vip, before, generation, owns);
        if serves && !served {
            self.checks.begins(self.now, node, vip, None, &self.nodes);
        } else if served && !serves {
            self.checks.ends(self.now, node, vip);
        }
    }

    /// A gate gets another end of its lease.
    pub(super) fn set_gate(&mut self, node: usize, network: NetworkId, mut until: Instant) {
        let now = self.now;
        let plant = self.options.plant;
        let state = &mut self.nodes[node];
        let clock = state.machine.clock.read(now);
        let Some(life) = &mut state.life else { return };
        let Some(gate) = life.forwarder.gates.get_mut(network.index()) else { return };
        let before = *gate;
        match plant {
            Some(Plant::EternalLease | Plant::EternalLeaseOfAHungNode)
                if before != Instant::ZERO =>
            {
                until = Instant::FAR;
            }
            Some(Plant::OwnLease) if node == 0 => until = clock + Duration::from_secs(1),
            Some(_) | None => {}
        }
        if before == until {
            return;
        }
        *gate = until;
        if until <= clock && before > clock {
            self.say(|| format!("n{} closes its gate on network {}", node + 1, network.0));
            for vip in self.held(node, network) {
                self.checks.ends(now, node, vip);
            }
        } else if until > clock && before <= clock {
            let lapsed = self.nodes[node].machine.clock.world(before).min(now);
            let lapsed = (before != Instant::ZERO).then_some(lapsed);
            self.say(|| format!("n{} opens its gate on network {}", node + 1, network.0));
            for vip in self.held(node, network) {
                self.checks.begins(now, node, vip, lapsed, &self.nodes);
            }
        }
        if until > clock {
            self.checks.renews(now, node, &self.nodes);
        }
    }

    /// The VIPs that a node's table lets it answer for on a network.
    fn held(&self, node: usize, network: NetworkId) -> Vec<VipId> {
        let Some(life) = &self.nodes[node].life else { return Vec::new() };
        let there = |vip: &VipId| self.plan.vips[vip.index()].network == network.index();
        life.forwarder.held().filter(there).collect()
    }

    /// A node that stood still goes on.
    pub(super) fn check_resumed(&mut self, node: usize) {
        if self.nodes[node].machine.runs(Thread::Forward, self.now) {
            self.checks.resumes(self.now, node, &self.nodes);
        }
    }
}
