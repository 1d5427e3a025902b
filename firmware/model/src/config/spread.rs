//! Which virtual addresses can be spread over several nodes: those whose flows every node can tell
//! by a client's packet and by a server's.

use alloc::format;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::check::Links;
use super::problem::Report;
use super::raw::{Raw, Server, Service};
use super::{Gateway, PortRanges};

/// Checks the addresses that are to be spread.
pub(super) fn check(report: &mut Report<'_>, raw: &Raw, links: &Links) {
    for (place, vip) in raw.vips.iter().enumerate().filter(|(_, vip)| vip.spread) {
        let path = || vip.place.key("spread");
        if vip.gateway != Gateway::Off {
            let what = "it is a gateway, and servers' packets to it belong to no flow of its own";
            report.wrong(vip.place.at, path(), what, "expected false where gateway is not off");
        }
        if let Some((server, service)) = untold(raw, links, place) {
            let what = format!(
                "the port of server \"{}\" does not tell which client of service \"{}\" a packet \
                 is for",
                server.name, service.name
            );
            let legal = "expected each port of a server to belong to one port of one service";
            report.wrong(vip.place.at, path(), what, legal);
        }
    }
}

/// A server of a service of the address whose port does not tell whose packet comes from it: it
/// belongs to several services, or to several ports of one.
fn untold<'r>(raw: &'r Raw, links: &Links, vip: usize) -> Option<(&'r Server, &'r Service)> {
    let all = || raw.services.iter().zip(links.vips.iter().zip(&links.pools));
    let servers = |pool: &Option<usize>| {
        let pool = pool.and_then(|pool| raw.pools.get(pool));
        pool.into_iter().flat_map(|pool| &pool.servers)
    };
    for (service, (_, pool)) in all().filter(|(_, (at, _))| **at == Some(vip)) {
        for server in servers(pool) {
            let Some(from) = source(service, server) else { continue };
            let shares = |(other, (_, pool)): (&Service, (_, &Option<usize>))| {
                let mut others = servers(pool).filter_map(|it| source(other, it));
                !core::ptr::eq(other, service)
                    && other.protocol == service.protocol
                    && others.any(|other| from.meets(&other))
            };
            if from.folds || all().any(shares) {
                return Some((server, service));
            }
        }
    }
    None
}

/// Where a service's packets come from at a server.
struct From<'r> {
    address: IpAddr,
    /// The server's own port; none: the ports of the service.
    port: Option<u16>,
    ports: &'r PortRanges,
    /// Several ports of the service are one at the server.
    folds: bool,
}

impl From<'_> {
    fn meets(&self, other: &From<'_>) -> bool {
        self.address == other.address
            && match (self.port, other.port) {
                (Some(port), Some(other)) => port == other,
                (Some(port), None) => other.ports.contains(port),
                (None, Some(port)) => self.ports.contains(port),
                (None, None) => self.ports.common(other.ports).is_some(),
            }
    }
}

fn source<'r>(service: &'r Service, server: &Server) -> Option<From<'r>> {
    let (address, ports) = (server.address.as_ref()?.value, &service.ports.as_ref()?.value);
    let ranges: Vec<_> = ports.ranges().iter().collect();
    let single = matches!(ranges.as_slice(), [only] if only.start() == only.end());
    Some(From { address, port: server.port, ports, folds: server.port.is_some() && !single })
}
