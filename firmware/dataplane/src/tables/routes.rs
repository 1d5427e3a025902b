//! Where packets go next: connected prefixes first, then a default gateway for each family.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use base::address::mapped;
use base::{NetworkId, PortId, Prefix};

/// The next hop of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// By which port.
    pub port: PortId,
    /// Whose link-layer address the frame carries.
    pub next: Ipv6Addr,
    /// The network it goes to.
    pub network: NetworkId,
    /// The destination itself is the next hop.
    pub connected: bool,
}

/// A row of the table before it is built.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Destinations.
    pub prefix: Prefix,
    /// By which port.
    pub port: PortId,
    /// The network there.
    pub network: NetworkId,
    /// `None`: the destinations are on the link.
    pub gateway: Option<IpAddr>,
}

/// Longest prefix first. Few rows (networks × prefixes), so a scan is the fastest look-up.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    bits: u128,
    mask: u128,
    port: PortId,
    network: NetworkId,
    gateway: Option<Ipv6Addr>,
}

impl Routes {
    /// The table with these rows.
    pub fn build(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut rows: Vec<Row> = routes.into_iter().map(Row::new).collect();
        rows.sort_by_key(|row| core::cmp::Reverse(row.mask));
        Self { rows }
    }

    /// The way to `destination`.
    #[inline]
    pub fn find(&self, destination: Ipv6Addr) -> Option<Hop> {
        let bits = destination.to_bits();
        let row = self.rows.iter().find(|row| bits & row.mask == row.bits)?;
        Some(Hop {
            port: row.port,
            next: row.gateway.unwrap_or(destination),
            network: row.network,
            connected: row.gateway.is_none(),
        })
    }
}

impl Row {
    fn new(route: Route) -> Self {
        // IPv4 prefixes live under ::ffff:0:0/96, so one table serves both families.
        let length =
            u32::from(route.prefix.length) + if route.prefix.address.is_ipv4() { 96 } else { 0 };
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        Self {
            bits: mapped(route.prefix.address).to_bits() & mask,
            mask,
            port: route.port,
            network: route.network,
            gateway: route.gateway.map(mapped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_families_do_not_mix() {
        let route = |prefix: &str, port, gateway: Option<&str>| Route {
            prefix: prefix.parse().unwrap(),
            port: PortId(port),
            network: NetworkId(port),
            gateway: gateway.map(|g| g.parse().unwrap()),
        };
        let routes = Routes::build([
            route("0.0.0.0/0", 0, Some("192.0.2.1")),
            route("192.0.2.0/24", 0, None),
            route("10.0.0.0/24", 1, None),
            route("fd00::/64", 1, None),
        ]);
        let find = |to: &str| {
            routes.find(mapped(to.parse().unwrap())).map(|hop| {
                (hop.port.0, base::address::unmapped(hop.next).to_string(), hop.connected)
            })
        };
        assert_eq!(find("10.0.0.9"), Some((1, "10.0.0.9".to_string(), true)));
        assert_eq!(find("198.51.100.1"), Some((0, "192.0.2.1".to_string(), false)));
        assert_eq!(find("fd00::9"), Some((1, "fd00::9".to_string(), true)));
        assert_eq!(find("2001:db8::9"), None);
    }

    extern crate std;
    use std::string::ToString;
}
