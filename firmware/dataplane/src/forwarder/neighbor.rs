//! ARP (RFC 826, RFC 5227) and neighbor discovery (RFC 4861): we answer for our addresses, and
//! pass on what we hear of others.

use core::net::{IpAddr, Ipv6Addr};

use base::address::mapped;
use base::{Mac, Offload};
use packet::arp::{self, Arp, Operation};
use packet::headers::{Headers, Ip};
use packet::ndp::{self, AdvertisementFlags, Ndp};

use super::{Forwarder, Pass};
use crate::tables::Role;
use crate::verdict::{DropReason, Event, Verdict};

impl Forwarder {
    /// An ARP message.
    pub(super) fn arp(&mut self, pass: &mut Pass<'_>, bytes: &[u8], headers: &Headers) -> Verdict {
        let arp = match arp::parse(bytes) {
            Ok(arp) => arp,
            Err(why) => return Verdict::Drop(DropReason::Malformed(why)),
        };
        let (sender, target) = (mapped(IpAddr::V4(arp.sender)), mapped(IpAddr::V4(arp.target)));
        let for_us = self.is_ours(pass, target);
        let answers_us = arp.operation == Operation::Reply && !headers.destination.is_group();
        self.hear(pass, sender, arp.sender_mac, for_us, answers_us && for_us);
        if arp.operation == Operation::Reply || !for_us || self.is_ours(pass, sender) {
            return Verdict::Drop(DropReason::NeighborNotOurs);
        }
        if !self.may(pass, |limits| &mut limits.neighbors) {
            return Verdict::Drop(DropReason::RateLimited);
        }
        let mac = pass.port.mac;
        let reply = Arp {
            operation: Operation::Reply,
            sender_mac: mac,
            sender: arp.target,
            target_mac: arp.sender_mac,
            target: arp.sender,
        };
        match pass.out.generate(pass.id, |out| arp::emit(out, mac, arp.sender_mac, &reply)) {
            true => Verdict::Answer,
            false => Verdict::Drop(DropReason::OutputFull),
        }
    }

    /// A neighbor discovery message. `None`: it is another ICMPv6 message.
    pub(super) fn ndp(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &[u8],
        offload: &Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Option<Verdict> {
        Some(match ndp::parse(bytes, ip, offload)? {
            Err(why) => Verdict::Drop(DropReason::Malformed(why)),
            Ok(Ndp::Other) => Verdict::Drop(DropReason::NeighborNotOurs),
            Ok(Ndp::Advertisement { target, solicited, link, .. }) => {
                // An answer to a unicast question may leave the link-layer address out: it holds
                // as it is known (RFC 4861 §7.2.4, §7.2.5).
                let known = || pass.tables.neighbors.get(pass.id.0, target);
                if let Some(mac) = link.or_else(|| known().filter(|_| solicited)) {
                    self.hear(pass, target, mac, solicited, solicited);
                }
                Verdict::Drop(DropReason::NeighborNotOurs)
            }
            Ok(Ndp::Solicitation { source, target, link }) => {
                let for_us = self.is_ours(pass, target);
                if let (Some(mac), false) = (link, source.is_unspecified()) {
                    self.hear(pass, source, mac, for_us, false);
                }
                if !for_us || self.is_ours(pass, source) {
                    return Some(Verdict::Drop(DropReason::NeighborNotOurs));
                }
                self.advertise(pass, headers, source, target, link)
            }
        })
    }

    /// Answers a solicitation (RFC 4861 §7.2.4): to all nodes when the asker is checking an
    /// address of its own for duplicates.
    fn advertise(
        &mut self,
        pass: &mut Pass<'_>,
        headers: &Headers,
        source: Ipv6Addr,
        target: Ipv6Addr,
        link: Option<Mac>,
    ) -> Verdict {
        if !self.may(pass, |limits| &mut limits.neighbors) {
            return Verdict::Drop(DropReason::RateLimited);
        }
        let probe = source.is_unspecified();
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let (destination, destination_mac) = if probe {
            (all_nodes, Mac::of_multicast(IpAddr::V6(all_nodes)))
        } else {
            (source, link.unwrap_or(headers.source))
        };
        let gateway = pass.tables.networks.get(pass.port.network.index());
        let flags = AdvertisementFlags {
            router: gateway.is_some_and(|network| network.transit),
            solicited: !probe,
            overrides: true,
        };
        let mac = pass.port.mac;
        let sent = pass.out.generate(pass.id, |out| {
            ndp::emit_advertisement(out, mac, destination_mac, target, destination, target, flags)
        });
        if sent { Verdict::Answer } else { Verdict::Drop(DropReason::OutputFull) }
    }

    /// Passes on who said where it is: all that speak to us, and others if they are known under
    /// another link-layer address.
    fn hear(
        &mut self,
        pass: &mut Pass<'_>,
        address: Ipv6Addr,
        mac: Mac,
        to_us: bool,
        solicited: bool,
    ) {
        let unspecified =
            address.to_ipv4_mapped().map_or(address.is_unspecified(), |v4| v4.is_unspecified());
        if unspecified || mac.is_group() || mac == Mac::ZERO || mac == pass.port.mac {
            return;
        }
        let port = pass.id;
        if self.is_ours(pass, address) {
            self.event(pass.out, Event::AddressConflict { port, address, mac });
            return;
        }
        let known = pass.tables.neighbors.get(port.0, address);
        let news = known != Some(mac);
        if (to_us && (solicited || news)) || (known.is_some() && news) {
            self.event(pass.out, Event::NeighborSeen { port, address, mac, solicited });
        }
    }

    /// One of our addresses on the network of this port.
    fn is_ours(&self, pass: &Pass<'_>, address: Ipv6Addr) -> bool {
        match pass.tables.role(pass.port, address) {
            Some(Role::Primary) => true,
            Some(Role::Virtual(vip)) => {
                let vip = pass.tables.vips.get(vip.index());
                vip.is_none_or(|vip| self.may_serve(pass.now, vip))
            }
            Some(Role::Broadcast) | None => false,
        }
    }
}
