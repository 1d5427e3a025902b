//! Flows that other boxes had, as our forwarders have to know them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::address::mapped;
use base::{FlowKey, Instant, ServerId, VipId};
use cluster::flows::{Endpoint, Flow};
use dataplane::tables::{self, Copies, Match, Owner};

use super::Control;
use crate::plan::ByAddress;

/// By virtual address.
#[derive(Debug, Default)]
pub struct Copied {
    flows: BTreeMap<VipId, Vec<tables::Copied>>,
    /// The numbers of servers by where they are, once somebody asked.
    servers: Option<ByAddress>,
    /// The tables have others.
    changed: bool,
}

impl Copied {
    /// Another configuration: none of them is known any more.
    pub fn clear(&mut self) {
        self.servers = None;
        self.changed |= !self.flows.is_empty();
        self.flows.clear();
    }

    fn set(&mut self, vip: VipId, flows: Vec<tables::Copied>) {
        let before =
            if flows.is_empty() { self.flows.remove(&vip) } else { self.flows.insert(vip, flows) };
        self.changed |= before.is_some() || self.flows.contains_key(&vip);
    }
}

impl Control {
    /// The flows of a virtual address that other boxes had before, and no forwarder of ours has
    /// told. They are known from the next tables on: those with which the address becomes ours, if
    /// they are handed in at that moment.
    pub fn handle_copies(
        &mut self,
        now: Instant,
        vip: VipId,
        flows: impl IntoIterator<Item = (Flow, Endpoint)>,
    ) {
        let Some(config) = self.plan.config().vips.get(vip.index()) else { return };
        let address = mapped(config.address);
        let plan = &self.plan;
        let servers = self.copied.servers.get_or_insert_with(|| plan.servers_by_address());
        let mut known = Vec::new();
        for (flow, endpoint) in flows {
            let service = self.tables.services.find(vip, flow.protocol, flow.port);
            let Some(Match { service }) = service else { continue };
            let port = |port| servers.get(&(endpoint.address, port));
            let own = port(Some(endpoint.port));
            let found = own.or_else(|| port(None).filter(|_| endpoint.port == flow.port));
            let Some(found) = found else { continue };
            let pool = self.tables.service(service).map(|service| service.pool);
            let of_pool = |id: &&ServerId| self.tables.server(**id).map(|it| it.pool) == pool;
            let Some(server) = found.iter().find(of_pool).or(found.first()) else { continue };
            let request = FlowKey {
                source: flow.client,
                destination: address,
                source_port: flow.client_port,
                destination_port: flow.port,
                protocol: flow.protocol,
            };
            let endpoint = (endpoint.address, endpoint.port);
            known.push(tables::Copied { request, endpoint, service, server: *server });
        }
        self.copied.set(vip, known);
        if self.copied.changed {
            self.publish_at = Some(now);
        }
    }

    /// Servers of flows that may come here: their numbers are kept.
    pub fn keep_servers(&mut self, servers: BTreeSet<Ipv6Addr>) {
        self.copied_servers = servers;
    }

    /// Forgets the copies of an address that is not ours.
    pub(super) fn forget_copies(&mut self, vip: VipId, owner: Owner) {
        match owner {
            Owner::Us | Owner::Coming(_) => {}
            Owner::Peer(_) | Owner::Nobody => self.copied.set(vip, Vec::new()),
        }
    }

    /// Puts what has changed into the tables.
    pub(super) fn put_copies(&mut self, now: Instant) {
        if core::mem::take(&mut self.copied.changed) {
            let flows = self.copied.flows.values().flatten().copied().collect();
            self.tables.copies = Arc::new(Copies::build(now, self.seed, flows));
        }
    }

    /// The number of the selection after a change of servers.
    pub(super) fn next_selection(&self) -> u16 {
        let next = (self.tables.selection + 1) % (1 << 15);
        if self.plan.agrees() { next.max(1) } else { 0 }
    }
}
