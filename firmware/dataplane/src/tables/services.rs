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
    /// Several services share the server's port, or several ports of one: nobody can say.
    Ambiguous,
}

/// All services, by address, protocol and port.
#[derive(Clone, Debug, Default)]
pub struct Services {
    services: Vec<Service>,
    /// For each virtual address and protocol, disjoint port ranges in order.
    ranges: BTreeMap<(VipId, Protocol), Vec<Range>>,
    /// Ports of servers that belong to services: disjoint ranges by their first port.
    replies: BTreeMap<(Ipv6Addr, Protocol, u16), Replies>,
}

/// What comes from a range of a server's ports, up to the last.
#[derive(Clone, Copy, Debug)]
struct Replies {
    last: u16,
    /// The service, its server, and the service's port where that is not the server's.
    /// `None`: nobody can say.
    of: Option<(ServiceId, ServerId, Option<u16>)>,
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

    /// Says that `server` answers for `service`, which has these port ranges: from `server_port`,
    /// or else from the port that the client asked for.
    pub fn push_reply(
        &mut self,
        server: (ServerId, Ipv6Addr),
        protocol: Protocol,
        server_port: Option<u16>,
        service: ServiceId,
        ports: &[RangeInclusive<u16>],
    ) {
        let (server, address) = server;
        let Some(server_port) = server_port else {
            for range in ports {
                let replies = Replies { last: *range.end(), of: Some((service, server, None)) };
                self.insert_replies(address, protocol, *range.start(), replies);
            }
            return;
        };
        let only = match ports {
            [range] if range.start() == range.end() => Some(*range.start()),
            _ => None,
        };
        let of = only.map(|port| (service, server, Some(port)));
        self.insert_replies(address, protocol, server_port, Replies { last: server_port, of });
    }

    /// Puts a range in; where it meets others nobody can say any more.
    fn insert_replies(&mut self, address: Ipv6Addr, protocol: Protocol, first: u16, new: Replies) {
        let key = |port| (address, protocol, port);
        let last = new.last;
        let before = self.replies.range(key(0)..key(first)).next_back();
        let before = before.filter(|(_, known)| known.last >= first);
        let met: Vec<(u16, Replies)> = before
            .into_iter()
            .chain(self.replies.range(key(first)..=key(last)))
            .map(|(&(.., start), &known)| (start, known))
            .collect();
        // The first port that no range met so far decides about.
        let mut next = Some(first);
        for (start, known) in met {
            self.replies.remove(&key(start));
            if start < first {
                self.replies.insert(key(start), Replies { last: first - 1, ..known });
            }
            if let Some(next) = next.filter(|&next| next < start) {
                self.replies.insert(key(next), Replies { last: start - 1, ..new });
            }
            let shared = Replies { last: known.last.min(last), of: None };
            self.replies.insert(key(start.max(first)), shared);
            if known.last > last {
                self.replies.insert(key(last + 1), known);
            }
            next = known.last.checked_add(1);
        }
        if let Some(next) = next.filter(|&next| next <= last) {
            self.replies.insert(key(next), new);
        }
    }

    /// Whether nobody can say of some of these ports of a server whose packets come from them.
    pub fn is_ambiguous(
        &self,
        server: Ipv6Addr,
        protocol: Protocol,
        ports: &RangeInclusive<u16>,
    ) -> bool {
        let key = |port| (server, protocol, port);
        let before = self.replies.range(key(0)..=key(*ports.start())).next_back();
        let within = self.replies.range(key(*ports.start())..=key(*ports.end()));
        let mut met = before.filter(|(_, it)| it.last >= *ports.start()).into_iter().chain(within);
        met.any(|(_, replies)| replies.of.is_none())
    }

    /// Says of a service that its servers' packets do not tell whose they are.
    pub fn set_shared(&mut self, id: ServiceId) {
        if let Some(service) = self.services.get_mut(id.index()) {
            service.shared = true;
        }
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
        let lowest = (address, Protocol(0), 0);
        self.replies.range(lowest..).next().is_some_and(|(&(found, ..), _)| found == address)
    }

    /// The service that a server's port belongs to.
    pub fn find_reply(
        &self,
        server: Ipv6Addr,
        protocol: Protocol,
        port: u16,
    ) -> Option<ReplyMatch> {
        let key = |port| (server, protocol, port);
        let (_, replies) = self.replies.range(key(0)..=key(port)).next_back()?;
        if replies.last < port {
            return None;
        }
        Some(match replies.of {
            Some((service, server, own)) => {
                ReplyMatch::One { service, server, port: own.unwrap_or(port) }
            }
            None => ReplyMatch::Ambiguous,
        })
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
        let service =
            Service { vip: VipId(1), pool: PoolId(0), idle: Duration::from_secs(1), shared: false };
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
    fn a_server_port_in_two_services_or_of_two_ports_is_ambiguous() {
        let mut services = Services::default();
        let server = (ServerId(0), Ipv6Addr::LOCALHOST);
        let find = |s: &Services, port| s.find_reply(server.1, Protocol::TCP, port);
        services.push_reply(server, Protocol::TCP, Some(8080), ServiceId(0), &[80..=80]);
        let one = ReplyMatch::One { service: ServiceId(0), server: ServerId(0), port: 80 };
        assert_eq!(find(&services, 8080), Some(one));
        services.push_reply(server, Protocol::TCP, Some(8080), ServiceId(1), &[81..=81]);
        assert_eq!(find(&services, 8080), Some(ReplyMatch::Ambiguous));
        services.push_reply(server, Protocol::TCP, Some(9090), ServiceId(2), &[1..=2]);
        assert_eq!(find(&services, 9090), Some(ReplyMatch::Ambiguous));
        assert_eq!(find(&services, 80), None);
        assert!(services.is_server(Ipv6Addr::LOCALHOST));
        assert!(!services.is_server(Ipv6Addr::UNSPECIFIED));
    }

    #[test]
    fn replies_from_overlapping_ranges_agree_with_a_plain_list() {
        // Every pair and triple of some ranges, in every order, against a map from port to owners.
        let ranges = [0..=9, 5..=7, 7..=20, 9..=9, 3..=30, 0..=u16::MAX, 65_530..=u16::MAX];
        let server = (ServerId(0), Ipv6Addr::LOCALHOST);
        for a in 0..ranges.len() {
            for b in 0..ranges.len() {
                for c in 0..ranges.len() {
                    let mut services = Services::default();
                    let chosen = [a, b, c];
                    for (service, &which) in chosen.iter().enumerate() {
                        let id = ServiceId::from(service);
                        let ports = &ranges[which..=which];
                        services.push_reply(server, Protocol::UDP, None, id, ports);
                    }
                    for port in (0..40).chain(65_520..=u16::MAX) {
                        let mut owners = (0..3).filter(|&n| ranges[chosen[n]].contains(&port));
                        let expected = match (owners.next(), owners.next()) {
                            (None, _) => None,
                            (Some(n), None) => Some(ReplyMatch::One {
                                service: ServiceId::from(n),
                                server: ServerId(0),
                                port,
                            }),
                            (Some(_), Some(_)) => Some(ReplyMatch::Ambiguous),
                        };
                        let found = services.find_reply(server.1, Protocol::UDP, port);
                        assert_eq!(found, expected, "{chosen:?} {port}");
                    }
                }
            }
        }
    }
}
