//! Neighbour discovery for IPv6 over Ethernet: solicitations and advertisements.
//!
//! Reading list: RFC 4861 §4.3–4.4 (messages), §4.6.1 (link-layer address options), §7.1
//! (validation), RFC 4291 §2.7.1 (solicited-node groups), RFC 6980 §5 (never in fragments),
//! RFC 2464 §6–7 (over Ethernet).

use core::net::Ipv6Addr;

use base::{Mac, Offload, Protocol};

use crate::bytes::{array, octet, put};
use crate::checksum::{fold, is_partial, pseudo_header, sum};
use crate::emit::Envelope;
use crate::headers::{Icmp, Ip, Transport, Version, is_host_v6, walk};
use crate::malformed::Malformed;
use crate::rewrite::ICMP_CHECKSUM;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;

/// Octets before the options: type, code, checksum, flags, target.
const FIXED: usize = 24;
/// Octets of a message with one link-layer address option.
const LENGTH: usize = FIXED + 8;
/// What no packet from beyond a router can have.
const HOP_LIMIT: u8 = 255;
/// Options looked at; a packet of 1,500 octets could hold 182 empty ones.
const MAXIMUM_OPTIONS: usize = 16;

/// A neighbour discovery message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ndp {
    /// Who has the target? From `::` it asks whether anyone has (duplicate detection).
    Solicitation {
        /// Who asks.
        source: Ipv6Addr,
        /// Whose link-layer address is wanted.
        target: Ipv6Addr,
        /// The asker's own.
        link: Option<Mac>,
    },
    /// The target is here.
    Advertisement {
        /// Who says so.
        source: Ipv6Addr,
        /// Whose link-layer address this is.
        target: Ipv6Addr,
        /// The sender is a router.
        router: bool,
        /// An answer to a solicitation.
        solicited: bool,
        /// Replaces what is known already.
        overrides: bool,
        /// The link-layer address.
        link: Option<Mac>,
    },
    /// Router solicitation or advertisement, or redirect: not ours to act on.
    Other,
}

/// The flags of an advertisement (RFC 4861 §4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdvertisementFlags {
    /// The sender is a router.
    pub router: bool,
    /// An answer to a solicitation.
    pub solicited: bool,
    /// Replaces what is known already.
    pub overrides: bool,
}

/// Reads a packet if it is neighbour discovery, and makes the checks of RFC 4861 §7.1: hop limit
/// 255, checksum (unless left to be finished by a local sender's card), code, lengths, target,
/// options; and that it came in no fragment, atomic ones included (RFC 6980 §5).
///
/// `None`: it is something else. The error is [`Malformed::BadNeighborDiscovery`] or
/// [`Malformed::BadChecksum`].
pub fn parse(bytes: &[u8], ip: &Ip, offload: &Offload) -> Option<Result<Ndp, Malformed>> {
    if ip.protocol != Protocol::ICMPV6 || ip.version != Version::V6 {
        return None;
    }
    let Transport::Icmp(icmp) = ip.transport else { return None };
    match icmp.kind {
        ROUTER_SOLICITATION | ROUTER_ADVERTISEMENT | REDIRECT => Some(Ok(Ndp::Other)),
        SOLICITATION | ADVERTISEMENT => Some(message(bytes, ip, offload, icmp)),
        _ => None,
    }
}

fn message(bytes: &[u8], ip: &Ip, offload: &Offload, icmp: Icmp) -> Result<Ndp, Malformed> {
    const BAD: Malformed = Malformed::BadNeighborDiscovery;
    let payload = usize::from(ip.payload);
    let end = usize::try_from(ip.end).unwrap_or(usize::MAX);
    let message = bytes.get(payload..end).ok_or(BAD)?;
    if ip.ttl != HOP_LIMIT || icmp.code != 0 || message.len() < FIXED || is_fragmented(bytes, ip) {
        return Err(BAD);
    }
    if !is_partial(offload, payload, ICMP_CHECKSUM) {
        let pseudo =
            pseudo_header(ip.source, ip.destination, Protocol::ICMPV6, ip.payload_length());
        if fold(pseudo + sum(message)) != 0xffff {
            return Err(Malformed::BadChecksum);
        }
    }
    let flags = octet(message, 4).ok_or(BAD)?;
    let target = Ipv6Addr::from(array::<16>(message, 8).ok_or(BAD)?);
    if !is_host_v6(target) {
        return Err(BAD);
    }
    let options = message.get(FIXED..).ok_or(BAD)?;
    if icmp.kind == SOLICITATION {
        let link = link_option(options, SOURCE_LINK_ADDRESS)?;
        // Duplicate detection goes to the target's group and says nothing of the asker.
        if ip.source.is_unspecified()
            && (ip.destination != solicited_node(target) || link.is_some())
        {
            return Err(BAD);
        }
        return Ok(Ndp::Solicitation { source: ip.source, target, link });
    }
    let [router, solicited, overrides] = [0x80, 0x40, 0x20].map(|bit| flags & bit != 0);
    if ip.source.is_unspecified() || (ip.destination.is_multicast() && solicited) {
        return Err(BAD);
    }
    let link = link_option(options, TARGET_LINK_ADDRESS)?;
    Ok(Ndp::Advertisement { source: ip.source, target, router, solicited, overrides, link })
}

/// Whether a fragment header stands before the message.
fn is_fragmented(bytes: &[u8], ip: &Ip) -> bool {
    let header = usize::from(ip.header);
    if usize::from(ip.payload) == header + 40 {
        return false;
    }
    let packet = bytes.get(header..).unwrap_or_default();
    let next = octet(packet, 6).unwrap_or_default();
    walk(packet, 40, next).is_ok_and(|chain| chain.fragment_header)
}

/// The Ethernet address in the first option of `kind`. Unknown options are passed over.
fn link_option(mut options: &[u8], kind: u8) -> Result<Option<Mac>, Malformed> {
    const BAD: Malformed = Malformed::BadNeighborDiscovery;
    let mut link = None;
    for _ in 0..MAXIMUM_OPTIONS {
        if options.is_empty() {
            return Ok(link);
        }
        let length = usize::from(octet(options, 1).ok_or(BAD)?) * 8;
        let (option, rest) = options.split_at_checked(length).ok_or(BAD)?;
        if length == 0 {
            return Err(BAD);
        }
        if octet(option, 0) == Some(kind) && link.is_none() {
            let mac = Mac(array(option, 2).ok_or(BAD)?);
            if length != 8 || mac.is_group() || mac == Mac::ZERO {
                return Err(BAD);
            }
            link = Some(mac);
        }
        options = rest;
    }
    Err(BAD)
}

/// The group that an address's solicitations go to (RFC 4291 §2.7.1).
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    const PREFIX: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(PREFIX | address.to_bits() & 0x00ff_ffff)
}

/// Writes a solicitation for `target`: to its solicited-node group, or to one station when its
/// presence is only to be confirmed (`unicast`). From `::` it is a duplicate address probe.
/// Returns the frame's length; `None` if `out` is shorter (86 octets).
pub fn emit_solicitation(
    out: &mut [u8],
    source_mac: Mac,
    source: Ipv6Addr,
    target: Ipv6Addr,
    unicast: Option<Mac>,
) -> Option<usize> {
    let group = solicited_node(target);
    let (destination, destination_mac) = match unicast {
        Some(mac) => (target, mac),
        None => (group, Mac::of_multicast(core::net::IpAddr::V6(group))),
    };
    let link = (!source.is_unspecified()).then_some((SOURCE_LINK_ADDRESS, source_mac));
    let ends = Ends { source_mac, destination_mac, source, destination };
    emit(out, &ends, [SOLICITATION, 0], target, link)
}

/// Writes an advertisement of `target` at `source_mac`. Returns the frame's length; `None` if
/// `out` is shorter (86 octets).
pub fn emit_advertisement(
    out: &mut [u8],
    source_mac: Mac,
    destination_mac: Mac,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    target: Ipv6Addr,
    flags: AdvertisementFlags,
) -> Option<usize> {
    let bits = u8::from(flags.router) << 7
        | u8::from(flags.solicited) << 6
        | u8::from(flags.overrides) << 5;
    let ends = Ends { source_mac, destination_mac, source, destination };
    emit(out, &ends, [ADVERTISEMENT, bits], target, Some((TARGET_LINK_ADDRESS, source_mac)))
}

struct Ends {
    source_mac: Mac,
    destination_mac: Mac,
    source: Ipv6Addr,
    destination: Ipv6Addr,
}

fn emit(
    out: &mut [u8],
    ends: &Ends,
    [kind, flags]: [u8; 2],
    target: Ipv6Addr,
    link: Option<(u8, Mac)>,
) -> Option<usize> {
    let envelope = Envelope {
        destination_mac: ends.destination_mac,
        source_mac: ends.source_mac,
        source: ends.source,
        destination: ends.destination,
        protocol: Protocol::ICMPV6,
        ttl: HOP_LIMIT,
        class: 0,
    };
    let start = envelope.length()?;
    let length = if link.is_some() { LENGTH } else { FIXED };
    let message = out.get_mut(start..start + length)?;
    put(message, 0, [kind, 0, 0, 0, flags, 0, 0, 0]);
    put(message, 8, target.octets());
    if let Some((option, Mac([a, b, c, d, e, f]))) = link {
        put(message, FIXED, [option, 1, a, b, c, d, e, f]);
    }
    envelope.seal(out, length, usize::from(ICMP_CHECKSUM), true)
}

#[cfg(test)]
mod tests;
