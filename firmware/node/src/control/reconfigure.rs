//! Another configuration while packets flow: what stays is not disturbed, what is new begins, what
//! is gone gets nothing new. The forwarders see one swap of tables.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use base::address::mapped;
use base::{Instant, Mac, PortId, ServerId};
use core::net::Ipv6Addr;
use dataplane::tables::Tables;
use model::config::{Config, Node, Port, ServerState};
use model::event::Event;
use model::status::Health;

use super::{Control, Said, unknown};
use crate::numbers::Exhausted;
use crate::plan::{Attached, Plan, Unused};
use crate::status::Measured;

/// A port of which the machine has said nothing yet.
const ABSENT: Attached = Attached { mac: Mac::ZERO, mtu: 1_500, up: false };

impl Control {
    /// Whether another configuration could be carried out now.
    ///
    /// # Errors
    /// Too many servers were removed that still have flows.
    pub fn rehearse(
        &self,
        config: Config,
        node: Node,
        measured: &Measured,
    ) -> Result<(), Exhausted> {
        let (counters, generation) = (&measured.counters, measured.generation);
        let unused = Unused { counters, generation, copied: &self.copied_servers };
        let generation = self.tables.generation.wrapping_add(1);
        self.plan.succeed(config, node, generation, &unused).map(drop)
    }

    /// Carries out another configuration from now on. `measured` says which numbers are free.
    ///
    /// # Errors
    /// Nothing was changed: too many servers were removed that still have flows.
    pub fn reconfigure(
        &mut self,
        now: Instant,
        config: Config,
        node: Node,
        measured: &Measured,
    ) -> Result<(), Exhausted> {
        let generation = self.tables.generation.wrapping_add(1);
        let (counters, known) = (&measured.counters, measured.generation);
        let unused = Unused { counters, generation: known, copied: &self.copied_servers };
        let plan = self.plan.succeed(config, node, generation, &unused)?;
        let before = core::mem::replace(&mut self.plan, plan);
        self.drained.clear();
        self.carry_servers(now, &before);
        let claimed = self.carry_ports(now, &before);
        let up = |id: ServerId| self.server(id).is_none_or(|it| it.health != Health::Down);
        let tables = self.plan.tables(&self.attached, up);
        let (generation, neighbors) = (self.tables.generation, self.tables.neighbors.clone());
        let peers = self.tables.peers.clone();
        let selection = self.next_selection();
        self.tables = Tables { generation, neighbors, peers, selection, ..tables };
        // Numbers of services and servers may stand for others now: whoever knows says it again.
        self.copied.clear();
        self.publish_at = Some(now);
        self.tell_changed_vips(&before);
        self.neighbors.unpin_all();
        for (port, address) in self.plan.next_hops() {
            if self.attached.get(port.index()).is_some_and(|attached| attached.up) {
                self.neighbors.pin(now, port, mapped(address));
            }
        }
        for (port, address) in claimed {
            self.announcer.claim(now, port, address);
        }
        self.handle_timeout(now);
        Ok(())
    }

    /// Takes a server out of service or puts it back, until the next configuration. Whether there
    /// is such a server.
    pub fn drain(&mut self, now: Instant, pool: &str, server: &str, drain: bool) -> bool {
        let Some(id) = self.plan.find_server(pool, server) else { return false };
        if drain {
            let before = self.plan.set_state(id, ServerState::Draining);
            if let Some(before) = before {
                self.drained.entry(id).or_insert(before);
            }
        } else if let Some(configured) = self.drained.remove(&id) {
            self.plan.set_state(id, configured);
        }
        self.rebuild_pool(now, id, pool.into());
        true
    }

    /// Health stays with a server that is probed as before.
    fn carry_servers(&mut self, now: Instant, before: &Plan) {
        let numbers = (0..self.plan.members().len()).map(ServerId::from);
        let servers = numbers.map(|id| {
            let probed = self.plan.probe(id).map(|(_, port)| port);
            let same =
                before.server(id).is_some() && before.probe(id).map(|(_, port)| port) == probed;
            match self.servers.get(id.index()) {
                Some(known) if same => *known,
                Some(_) | None => unknown(now, &self.plan, id),
            }
        });
        self.servers = servers.collect();
    }

    /// Ports keep what is known of them where they are what they were. The addresses that are to
    /// be announced.
    fn carry_ports(&mut self, now: Instant, before: &Plan) -> Vec<(PortId, Ipv6Addr)> {
        let old = &before.node().ports;
        let attached = self.plan.node().ports.iter().enumerate().map(|(id, port)| {
            let same = old.get(id).is_some_and(|old| is_same(old, port));
            self.attached.get(id).copied().filter(|_| same).unwrap_or(ABSENT)
        });
        self.attached = attached.collect();
        self.announcer.set_ports(self.attached.len());
        let mut claimed = Vec::new();
        for id in (0..old.len().max(self.attached.len())).map(PortId::from) {
            let network = |plan: &Plan| plan.node().ports.get(id.index()).map(|p| p.network);
            let up = self.attached.get(id.index()).is_some_and(|attached| attached.up);
            let name = |plan: &Plan| {
                let network = network(plan).and_then(|it| plan.config().networks.get(it.index()));
                network.map(|network| network.name.clone())
            };
            if !up || name(before) != name(&self.plan) {
                self.neighbors.forget_port(now, id);
            }
            let had: BTreeSet<_> = before.addresses_on(id).into_iter().collect();
            let has: BTreeSet<_> = self.plan.addresses_on(id).into_iter().collect();
            for &gone in had.difference(&has) {
                self.announcer.withdraw(id, gone);
            }
            if up {
                claimed.extend(has.difference(&had).map(|&address| (id, address)));
            } else {
                self.announcer.withdraw_port(id);
            }
        }
        claimed
    }

    fn tell_changed_vips(&mut self, before: &Plan) {
        let served = |plan: &Plan| -> BTreeSet<_> {
            let ports = self.attached.iter().enumerate().filter(|(_, attached)| attached.up);
            let vips = ports.flat_map(|(port, _)| plan.served_on(PortId::from(port)));
            vips.map(|vip| (vip.name.clone(), vip.address)).collect()
        };
        let (had, has) = (served(before), served(&self.plan));
        for (vip, address) in had.difference(&has).cloned() {
            self.said.push_back(Said::Event(Event::VipReleased { vip, address }));
        }
        for (vip, address) in has.difference(&had).cloned() {
            self.said.push_back(Said::Event(Event::VipServed { vip, address }));
        }
    }
}

/// Whether two ports are the same piece of the machine.
fn is_same(old: &Port, new: &Port) -> bool {
    (&old.name, &old.interface, old.vlan) == (&new.name, &new.interface, new.vlan)
}
