//! Whose frame is it: the first decision after parsing.

use core::net::Ipv6Addr;

use base::{Offload, Protocol};
use model::limits::{PROBE_PORT_FIRST, PROBE_PORT_LAST};
use packet::headers::{self, Body, Headers, Ip, Transport};
use packet::icmp;

use super::{Forwarder, Look, Origin, Pass, Path};
use crate::flow::Direction;
use crate::output::Own;
use crate::tables::{ANYWHERE, Role, Tables};
use crate::verdict::{DropReason, OwnTarget, Verdict};

impl Forwarder {
    /// Decides about one frame and does what was decided.
    pub(super) fn handle(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        look: &Look,
    ) -> Verdict {
        let headers = match headers::parse(bytes) {
            Ok(headers) => headers,
            Err(why) => return Verdict::Drop(DropReason::Malformed(why)),
        };
        let headers = &headers;
        let group = headers.destination.is_group();
        if !group && headers.destination != pass.port.mac {
            return Verdict::Drop(DropReason::NotForUs);
        }
        match &headers.body {
            Body::Ip(ip) => {
                if let Some((slot, direction)) = self.find(pass.tables, ip, look)
                    && !group
                {
                    return self.follow(pass, bytes, offload, headers, ip, slot, direction);
                }
                self.unknown(pass, bytes, offload, headers, ip)
            }
            Body::Arp => self.arp(pass, bytes, headers),
            Body::Other(_) => Verdict::Drop(DropReason::UnknownEthertype),
        }
    }

    /// The flow of a packet as things stand now: flows may have come and gone since its burst was
    /// looked up.
    fn find(&self, tables: &Tables, ip: &Ip, look: &Look) -> Option<(u32, Direction)> {
        let key = ip.flow_key()?;
        let hash = look.hash.unwrap_or_else(|| self.flows.hash(&key));
        if look.hash.is_some() && self.found_at == self.flows.changes() {
            let (slot, direction) = look.found?;
            if self.flows.matches(slot, direction, &key, tables) {
                return look.found;
            }
        }
        self.flows.find(&key, hash, tables)
    }

    /// A packet that no flow record knows.
    fn unknown(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Verdict {
        let group = headers.destination.is_group();
        if ip.protocol == Protocol::ICMPV6
            && let Some(verdict) = self.ndp(pass, bytes, offload, headers, ip)
        {
            return verdict;
        }
        // RFC 1812 §5.3.4: what was sent to many stations is not routed.
        if group || is_group(ip.destination) {
            return Verdict::Drop(DropReason::GroupDestination);
        }
        // Ours anywhere, or everyone's here (RFC 1122 §3.2.1.3).
        if pass.tables.addresses.get(ANYWHERE, ip.source).is_some()
            || pass.tables.role(pass.port, ip.source).is_some()
        {
            return Verdict::Drop(DropReason::SpoofedSource);
        }
        if let Some(Role::Broadcast) = pass.tables.role(pass.port, ip.destination) {
            return Verdict::Drop(DropReason::GroupDestination);
        }
        let role = pass.tables.addresses.get(ANYWHERE, ip.destination);
        // Before load is shed: who works on it knows its flow, and it costs us little.
        if let Some(verdict) = self.others(pass, bytes, offload, headers, ip, role) {
            return verdict;
        }
        if ip.flow_key().is_some() && role != Some(Role::Primary) {
            let Some(left) = self.newcomers.checked_sub(1) else {
                let verdict = Verdict::Drop(DropReason::Shed);
                self.note_refused_fragment(pass, ip, verdict);
                return verdict;
            };
            self.newcomers = left;
        }
        match role {
            Some(Role::Primary) => self.primary_address(pass, bytes, offload, headers, ip),
            Some(Role::Virtual(vip)) => {
                self.virtual_address(pass, bytes, offload, headers, ip, vip)
            }
            Some(Role::Broadcast) => Verdict::Drop(DropReason::GroupDestination),
            None => self.elsewhere(pass, bytes, offload, headers, ip),
        }
    }

    /// What another box of the cluster works on goes there. `None`: it is for us, or nobody's.
    fn others(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        role: Option<Role>,
    ) -> Option<Verdict> {
        match role {
            Some(Role::Virtual(vip)) => {
                if let Some(verdict) = self.spread(pass, bytes, offload, headers, ip, vip) {
                    return Some(verdict);
                }
                let owner = self.elsewhere_served(pass, vip, headers.source, false)?;
                Some(self.hand_over(pass, bytes, offload, headers, ip, owner))
            }
            None if is_martian(ip.destination) || is_link_local(ip.source) => None,
            None => self.others_reply(pass, bytes, offload, headers, ip),
            Some(Role::Primary | Role::Broadcast) => None,
        }
    }

    /// To one of the node's own addresses.
    fn primary_address(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Verdict {
        if icmp::is_echo_request(ip) && ip.fragment.is_none() {
            return self.echo(pass, bytes, offload, headers, ip);
        }
        let Origin::Received(index) = pass.origin else {
            return Verdict::Drop(DropReason::NoService);
        };
        let target = own_target(bytes, ip);
        packet::checksum::complete(bytes, offload);
        let network = pass.port.network;
        let (start, end) = (u32::from(ip.header), ip.end);
        pass.out.own.push(Own { index, network, target, start, end });
        Verdict::Own(target)
    }

    /// Neither a flow's nor for an address of ours: a late fragment, an ICMP error about a flow,
    /// a reply whose flow is forgotten, or transit.
    fn elsewhere(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Verdict {
        if is_martian(ip.destination) {
            return Verdict::Drop(DropReason::MartianDestination);
        }
        if let Some(verdict) = self.icmp_error(pass, bytes, offload, headers, ip) {
            return verdict;
        }
        if is_link_local(ip.source) {
            return Verdict::Drop(DropReason::LinkLocalSource);
        }
        if let Some(verdict) = self.own_reply(pass, bytes, offload, headers, ip) {
            return verdict;
        }
        if ip.transport == Transport::LaterFragment && pass.tables.services.is_server(ip.source) {
            return self.later_fragment(pass, bytes, offload, headers, ip);
        }
        self.transit(pass, bytes, offload, headers, ip)
    }

    /// Between networks, where a virtual address is the servers' gateway.
    pub(super) fn transit(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Verdict {
        let verdict = match pass.tables.routes.find(ip.destination) {
            // A directed broadcast (RFC 2644 §2).
            Some(hop) if pass.tables.addresses.get(hop.network.0, hop.next).is_some() => {
                Verdict::Drop(DropReason::GroupDestination)
            }
            Some(hop) if pass.tables.routes_between(pass.port.network, hop.network) => {
                self.send(pass, bytes, offload, headers, ip, &Path::TRANSIT, hop)
            }
            Some(_) => Verdict::Drop(DropReason::TransitOff),
            None => {
                let kind = icmp::ErrorKind::NetworkUnreachable;
                self.error_or(pass, bytes, headers, ip, kind, DropReason::NoRoute)
            }
        };
        if matches!(ip.fragment, Some(fragment) if fragment.offset == 0) {
            self.first_fragment(pass, ip, &Path::TRANSIT, verdict);
        }
        verdict
    }
}

/// Multicast, or IPv4 limited broadcast.
fn is_group(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(v4) => v4.is_multicast() || v4.is_broadcast(),
        None => address.is_multicast(),
    }
}

/// Valid on one link only.
pub(super) fn is_link_local(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(v4) => v4.is_link_local(),
        None => address.is_unicast_link_local(),
    }
}

/// Not to be forwarded to (RFC 1812 §5.3.7, RFC 4291 §2.5.3 and §2.5.6).
fn is_martian(address: Ipv6Addr) -> bool {
    match address.to_ipv4_mapped() {
        Some(v4) => {
            let first = v4.octets()[0];
            first == 0 || v4.is_loopback() || first >= 240 || is_link_local(address)
        }
        None => address.is_unspecified() || address.is_loopback() || is_link_local(address),
    }
}

/// Probes use local ports of their own; an ICMP error about a probe quotes one.
fn own_target(bytes: &[u8], ip: &Ip) -> OwnTarget {
    let port = match ip.transport {
        Transport::Tcp(tcp) => Some(tcp.destination_port),
        Transport::Udp(udp) => Some(udp.destination_port),
        Transport::Icmp(_) => {
            icmp::quoted(bytes, ip).and_then(Result::ok).and_then(|quoted| quoted.source_port)
        }
        Transport::LaterFragment | Transport::Other => None,
    };
    match port {
        Some(PROBE_PORT_FIRST..=PROBE_PORT_LAST) => OwnTarget::Probes,
        Some(_) | None => OwnTarget::Faces,
    }
}
