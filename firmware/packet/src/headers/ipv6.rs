//! The IPv6 header and its extension headers (RFC 8200 §3, §4).

use core::net::Ipv6Addr;

use base::Protocol;

use super::{ETHERNET_LENGTH, Fragment, Ip, Transport, Version, is_host_v6, length, offset};
use crate::bytes::array;
use crate::malformed::Malformed;

const FIXED: usize = 40;
/// Extension headers looked through before a packet is refused. RFC 8200 §4.1 has each kind at
/// most once, destination options twice: five. A few more are borne.
pub const MAXIMUM_EXTENSION_HEADERS: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT_HEADER: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Parses what follows the Ethernet header. A function of its own, lest its many values crowd
/// those of IPv4 out of the registers.
#[inline(never)]
pub fn parse(rest: &[u8]) -> Result<Ip, Malformed> {
    let Some((fixed, _)) = rest.split_first_chunk::<FIXED>() else {
        return Err(Malformed::FrameTooShort);
    };
    let [first, _, _, _, l0, l1, next, ttl, addresses @ ..] = fixed;
    if first >> 4 != 6 {
        return Err(Malformed::BadVersion);
    }
    let total = FIXED + usize::from(u16::from_be_bytes([*l0, *l1]));
    let packet = rest.get(..total).ok_or(Malformed::BadTotalLength)?;
    let (words, _) = addresses.as_chunks::<16>();
    let [source, destination] = words else { return Err(Malformed::FrameTooShort) };
    let source = Ipv6Addr::from(*source);
    let destination = Ipv6Addr::from(*destination);

    let chain = if is_extension(*next) {
        walk(packet, FIXED, *next)?
    } else {
        ExtensionHeaders {
            protocol: Protocol(*next),
            payload: FIXED,
            fragment: None,
            fragment_header: false,
        }
    };
    check_addresses(source, destination, chain.protocol)?;
    let payload = packet.get(chain.payload..).ok_or(Malformed::BadExtensionHeader)?;
    if let Some(fragment) = &chain.fragment {
        check_fragment(fragment, payload.len(), chain.payload, chain.protocol)?;
    }
    let transport = if chain.protocol.0 == ROUTING {
        Transport::Other
    } else {
        super::transport::parse(payload, Version::V6, chain.protocol, chain.fragment)?
    };
    Ok(Ip {
        version: Version::V6,
        source,
        destination,
        protocol: chain.protocol,
        ttl: *ttl,
        header: offset(ETHERNET_LENGTH),
        payload: offset(ETHERNET_LENGTH + chain.payload),
        end: length(ETHERNET_LENGTH + total),
        dont_fragment: true,
        fragment: chain.fragment,
        transport,
    })
}

/// What stands between the IPv6 header and the upper layer.
pub struct ExtensionHeaders {
    /// The upper layer.
    pub protocol: Protocol,
    /// Where it starts, from the start of the packet.
    pub payload: usize,
    /// If it is in pieces. An atomic fragment is not (RFC 6946 §4).
    pub fragment: Option<Fragment>,
    /// A fragment header was seen, atomic or not.
    pub fragment_header: bool,
}

/// Headers that are looked through. Authentication and encryption are upper layers here, as they
/// are under IPv4: a packet they protect cannot be translated.
#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT_HEADER | DESTINATION_OPTIONS)
}

/// Walks the chain that starts at `at` with a header of kind `next`.
///
/// It ends at the upper layer, in a fragment other than the first, or at a routing header with
/// segments left.
///
/// # Errors
/// The chain leaves the packet, is too long, has a hop-by-hop header that is not first or a second
/// fragment header; in a first fragment a chain that leaves it is a tiny one (RFC 7112 §5).
pub fn walk(packet: &[u8], at: usize, next: u8) -> Result<ExtensionHeaders, Malformed> {
    let mut chain = ExtensionHeaders {
        protocol: Protocol(next),
        payload: at,
        fragment: None,
        fragment_header: false,
    };
    for _ in 0..=MAXIMUM_EXTENSION_HEADERS {
        let kind = chain.protocol.0;
        let later = chain.fragment.is_some_and(|fragment| fragment.offset > 0);
        if later || !is_extension(kind) {
            return Ok(chain);
        }
        let short = match chain.fragment {
            Some(_) => Malformed::TinyFragment,
            None => Malformed::BadExtensionHeader,
        };
        let header: [u8; 8] = array(packet, chain.payload).ok_or(short)?;
        let [following, words, _, segments_left, i0, i1, i2, i3] = header;
        let misplaced = kind == HOP_BY_HOP && chain.payload != at;
        let repeated = kind == FRAGMENT_HEADER && chain.fragment_header;
        if misplaced || repeated {
            return Err(Malformed::BadExtensionHeader);
        }
        if kind == ROUTING && segments_left != 0 {
            return Ok(chain);
        }
        if kind == FRAGMENT_HEADER {
            let word = u16::from_be_bytes([header[2], header[3]]);
            let identification = u32::from_be_bytes([i0, i1, i2, i3]);
            let fragment = Fragment { identification, offset: word & 0xfff8, more: word & 1 != 0 };
            chain.fragment_header = true;
            chain.fragment = (fragment.more || fragment.offset > 0).then_some(fragment);
            chain.payload += 8;
        } else {
            chain.payload += 8 + usize::from(words) * 8;
            if chain.payload > packet.len() {
                return Err(short);
            }
        }
        chain.protocol = Protocol(following);
    }
    Err(Malformed::TooManyExtensionHeaders)
}

/// The unspecified source is for finding out whether an address is free, which is ICMPv6's
/// business alone (RFC 4862 §5.4.2).
#[inline(always)]
fn check_addresses(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    protocol: Protocol,
) -> Result<(), Malformed> {
    let probe = source.is_unspecified() && protocol == Protocol::ICMPV6;
    if !is_host_v6(source) && !probe {
        return Err(Malformed::IllegalSource);
    }
    // A group of reserved (0) or interface-local (1) scope never leaves its sender (RFC 4291 §2.7).
    let [_, scope, ..] = destination.octets();
    let group = destination.is_multicast() && scope & 0xf > 1;
    if !is_host_v6(destination) && !group {
        return Err(Malformed::IllegalDestination);
    }
    Ok(())
}

/// Pieces that can be put together (RFC 8200 §4.5), and that cannot rewrite a TCP header already
/// judged (RFC 3128 §4; overlaps are forbidden altogether by RFC 5722).
#[cold]
fn check_fragment(
    fragment: &Fragment,
    data: usize,
    payload: usize,
    protocol: Protocol,
) -> Result<(), Malformed> {
    let uneven = fragment.more && !data.is_multiple_of(8);
    // The reassembled payload length counts the headers before the fragment header too.
    let before = payload.saturating_sub(FIXED + 8);
    if data == 0 || uneven || before + usize::from(fragment.offset) + data > 65_535 {
        return Err(Malformed::BadFragment);
    }
    if protocol == Protocol::TCP && fragment.offset == 8 {
        return Err(Malformed::TinyFragment);
    }
    Ok(())
}
