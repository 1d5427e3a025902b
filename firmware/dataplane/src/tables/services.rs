//! Which service a packet belongs to, looked up only for packets that no flow record knows.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use core::ops::RangeInclusive;

use base::{Protocol, ServerId, ServiceId, VipId};

use super::Service;

/// What a port of a virtual address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The service there.
    pub service: ServiceId,
}

/// Whose reply a packet from a server must be, when no flow record says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMatch {
    /// Of this one service, whose port at the virtual address is this one.
    One {
        /// The service.
        service: ServiceId,
        /// The server.
        server: ServerId,
        /// The service's port.
        port: u16,
    },
    /// Several services share the server's port: nobody can say.
    Ambiguous,
}

/// All services, by address, protocol and port.
#[derive(Clone, Debug, Default)]
pub struct Services {
    services: Vec<Service>,
    /// For each virtual address and protocol, disjoint port ranges in order.
    ranges: BTreeMap<(VipId, Protocol), Vec<Range>>,
    /// Ports of servers that belong to services; `None` stands for every port.
    replies: BTreeMap<(Ipv6Addr, Protocol, Option<u16>), ReplyMatch>,
}

/// First port, last port, service.
type Range = (u16, u16, ServiceId);

impl Services {
    /// Adds a service with its port ranges. Ranges of one address and protocol are disjoint:
    /// `model` has seen to it.
    pub fn push(
        &mut self,
        service: Service,
        protocol: Protocol,
        ports: impl IntoIterator<Item = RangeInclusive<u16>>,
    ) -> ServiceId {
        let id = ServiceId::from(self.services.len());
        self.services.push(service);
        let ranges = self.ranges.entry((service.vip, protocol)).or_default();
        for range in ports {
            let at = ranges.partition_point(|&(start, ..)| start < *range.start());
            ranges.insert(at, (*range.start(), *range.end(), id));
        }
        id
    }

    /// Says that `server` answers for `service` from `server_port` (`None`: from the port that
    /// the client asked for). `service_port` is the service's only port, if it has only one.
    pub fn push_reply(
        &mut self,
        server: (ServerId, Ipv6Addr),
        protocol: Protocol,
        server_port: Option<u16>,
        service: ServiceId,
        service_port: Option<u16>,
    ) {
        let (server, address) = server;
        let from = server_port.or(service_port);
        let reply = match service_port {
            Some(port) => ReplyMatch::One { service, server, port },
            None => ReplyMatch::Ambiguous,
        };
        self.replies
            .entry((address, protocol, from))
            .and_modify(|known| *known = ReplyMatch::Ambiguous)
            .or_insert(reply);
    }

    /// The service of that number.
    #[inline]
    pub fn get(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id.index())
    }

    /// The service at a port of a virtual address.
    pub fn find(&self, vip: VipId, protocol: Protocol, port: u16) -> Option<Match> {
        let ranges = self.ranges.get(&(vip, protocol))?;
        let after = ranges.partition_point(|&(start, ..)| start <= port);
        let &(_, end, service) = ranges.get(after.checked_sub(1)?)?;
        (port <= end).then_some(Match { service })
    }

    /// Whether some service has a server at this address.
    pub fn is_server(&self, address: Ipv6Addr) -> bool {
        let lowest = (address, Protocol(0), None);
        self.replies.range(lowest..).next().is_some_and(|(&(found, ..), _)| found == address)
    }

    /// The service that a server's port belongs to.
    pub fn find_reply(
        &self,
        server: Ipv6Addr,
        protocol: Protocol,
        port: u16,
    ) -> Option<ReplyMatch> {
        self.replies
            .get(&(server, protocol, Some(port)))
            .or_else(|| self.replies.get(&(server, protocol, None)))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::PoolId;
    use core::time::Duration;

    #[test]
    fn a_port_finds_the_service_whose_range_holds_it() {
        let mut services = Services::default();
        let service = Service { vip: VipId(1), pool: PoolId(0), idle: Duration::from_secs(1) };
        let web = services.push(service, Protocol::TCP, [80..=80, 8000..=8099]);
        let tls = services.push(service, Protocol::TCP, [443..=443]);
        let find = |vip, protocol, port| services.find(VipId(vip), protocol, port);
        for (port, expected) in [
            (79, None),
            (80, Some(web)),
            (81, None),
            (443, Some(tls)),
            (8000, Some(web)),
            (8099, Some(web)),
            (8100, None),
        ] {
            assert_eq!(find(1, Protocol::TCP, port).map(|m| m.service), expected, "{port}");
        }
        assert_eq!(find(1, Protocol::UDP, 80), None);
        assert_eq!(find(2, Protocol::TCP, 80), None);
    }

    #[test]
    fn a_server_port_in_two_services_is_ambiguous() {
        let mut services = Services::default();
        let server = (ServerId(0), Ipv6Addr::LOCALHOST);
        services.push_reply(server, Protocol::TCP, Some(8080), ServiceId(0), Some(80));
        let found = |s: &Services| s.find_reply(server.1, Protocol::TCP, 8080);
        let one = ReplyMatch::One { service: ServiceId(0), server: ServerId(0), port: 80 };
        assert_eq!(found(&services), Some(one));
        services.push_reply(server, Protocol::TCP, Some(8080), ServiceId(1), Some(81));
        assert_eq!(found(&services), Some(ReplyMatch::Ambiguous));
    }
}
