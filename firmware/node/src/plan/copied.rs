//! What copies of flows have to know of servers and services.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::ServerId;
use base::address::mapped;
use dataplane::tables::Services;

use super::Plan;
use crate::numbers::Slot;

/// The numbers of servers by address and port.
pub type ByAddress = BTreeMap<(Ipv6Addr, Option<u16>), Vec<ServerId>>;

impl Plan {
    /// The number of each server that may have flows, by where it is; one in the configuration
    /// before one that has left it.
    pub fn servers_by_address(&self) -> ByAddress {
        let mut found = ByAddress::new();
        for leaving in [false, true] {
            for (id, slot) in self.servers.slots().iter().enumerate() {
                let (of, address, port) = match slot {
                    Slot::Used((_, _, address, port)) => (false, address, port),
                    Slot::Leaving((_, _, address, port), _) => (true, address, port),
                    Slot::Free => continue,
                };
                if of == leaving {
                    found.entry((mapped(*address), *port)).or_default().push(ServerId::from(id));
                }
            }
        }
        found
    }

    /// Whether a server's packet may not tell that it is of this service.
    pub(super) fn is_shared(&self, services: &Services, config: &model::config::Service) -> bool {
        let protocol = config.protocol.number();
        let Some(pool) = self.config.pools.get(config.pool.index()) else { return false };
        pool.servers.iter().any(|server| {
            let at = mapped(server.address);
            let own = server.port.map(|port| port..=port);
            let ranges = if own.is_some() { &[] } else { config.ports.ranges() };
            let mut ports = own.iter().chain(ranges);
            ports.any(|ports| services.is_ambiguous(at, protocol, ports))
        })
    }
}
