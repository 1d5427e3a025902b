//! The IPv4 header (RFC 791 §3.1), checked as RFC 1812 §5.2.2 has it.

use core::net::{Ipv4Addr, Ipv6Addr};

use base::Protocol;

use super::{ETHERNET_LENGTH, Fragment, Ip, Version, is_host_v4, length, offset, transport};
use crate::checksum;
use crate::malformed::Malformed;

const MINIMUM: usize = 20;
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;

/// Parses what follows the Ethernet header.
#[inline]
pub fn parse(rest: &[u8]) -> Result<Ip, Malformed> {
    let Some((fixed, _)) = rest.split_first_chunk::<MINIMUM>() else {
        return Err(Malformed::FrameTooShort);
    };
    let [first, _, t0, t1, i0, i1, f0, f1, ttl, protocol, _, _, addresses @ ..] = fixed;
    if first >> 4 != 4 {
        return Err(Malformed::BadVersion);
    }
    let header_length = usize::from(first & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes([*t0, *t1]));
    if header_length < MINIMUM {
        return Err(Malformed::BadHeaderLength);
    }
    // The two comparisons of `get` and `split_at_checked` are all that is needed to slice.
    let packet = rest.get(..total).ok_or(Malformed::BadTotalLength)?;
    let (header, payload) =
        packet.split_at_checked(header_length).ok_or(Malformed::BadHeaderLength)?;
    if header_length == MINIMUM {
        if !is_sound(fixed) {
            return Err(Malformed::BadHeaderChecksum);
        }
    } else {
        if checksum::sum(header) != 0xffff {
            return Err(Malformed::BadHeaderChecksum);
        }
        check_options(header)?;
    }
    let [a, b, c, d, e, f, g, h] = *addresses;
    let source = Ipv4Addr::new(a, b, c, d);
    let destination = Ipv4Addr::new(e, f, g, h);
    check_addresses(source, destination)?;

    let word = u16::from_be_bytes([*f0, *f1]);
    let protocol = Protocol(*protocol);
    let fragment = if word & 0x3fff == 0 {
        None
    } else {
        let fragment = Fragment {
            identification: u32::from(u16::from_be_bytes([*i0, *i1])),
            offset: (word & 0x1fff) << 3,
            more: word & 0x2000 != 0,
        };
        check_fragment(&fragment, payload.len(), protocol)?;
        Some(fragment)
    };
    Ok(Ip {
        version: Version::V4,
        source: mapped(source),
        destination: mapped(destination),
        protocol,
        ttl: *ttl,
        header: offset(ETHERNET_LENGTH),
        payload: offset(ETHERNET_LENGTH + header_length),
        end: length(ETHERNET_LENGTH + total),
        dont_fragment: word & 0x4000 != 0,
        fragment,
        transport: transport::parse(payload, Version::V4, protocol, fragment)?,
    })
}

/// The IPv4-mapped address, made of two words: what was stored octet by octet cannot be loaded as
/// a whole before the stores are done.
#[inline(always)]
const fn mapped(address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(0xffff_0000_0000 | address.to_bits() as u128)
}

/// Whether the sum over a header without options comes out as all ones.
#[inline(always)]
fn is_sound(header: &[u8; MINIMUM]) -> bool {
    let (words, _) = header.as_chunks::<4>();
    let sum = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    checksum::fold(sum) == 0xffff
}

/// Every option lies within the header, and none is a source route that still names hops. Those
/// would make the destination an intermediate one; RFC 7126 §4.3–4.4 advises to drop them.
#[cold]
fn check_options(header: &[u8]) -> Result<(), Malformed> {
    let mut options = header.get(MINIMUM..).unwrap_or_default();
    while let Some((&kind, after)) = options.split_first() {
        if kind == END_OF_OPTIONS {
            break;
        }
        if kind == NO_OPERATION {
            options = after;
            continue;
        }
        let long = usize::from(*after.first().ok_or(Malformed::BadOptions)?);
        if long < 2 || long > options.len() {
            return Err(Malformed::BadOptions);
        }
        if kind == LOOSE_SOURCE_ROUTE || kind == STRICT_SOURCE_ROUTE {
            // The pointer counts from 1 and is past the option when the route is used up.
            let option = options.get(..long).unwrap_or_default();
            let pointer = usize::from(*option.get(2).ok_or(Malformed::BadOptions)?);
            if pointer <= long {
                return Err(Malformed::SourceRoute);
            }
        }
        options = options.get(long..).unwrap_or_default();
    }
    Ok(())
}

#[inline(always)]
fn check_addresses(source: Ipv4Addr, destination: Ipv4Addr) -> Result<(), Malformed> {
    if !is_host_v4(source) {
        return Err(Malformed::IllegalSource);
    }
    if !is_host_v4(destination) && !destination.is_multicast() && !destination.is_broadcast() {
        return Err(Malformed::IllegalDestination);
    }
    Ok(())
}

/// Pieces that can be put together, and that cannot rewrite a TCP header already judged
/// (RFC 1858 §4, RFC 3128 §4).
#[cold]
fn check_fragment(fragment: &Fragment, data: usize, protocol: Protocol) -> Result<(), Malformed> {
    let uneven = fragment.more && !data.is_multiple_of(8);
    if data == 0 || uneven || usize::from(fragment.offset) + data > 65_535 - MINIMUM {
        return Err(Malformed::BadFragment);
    }
    if protocol == Protocol::TCP && fragment.offset == 8 {
        return Err(Malformed::TinyFragment);
    }
    Ok(())
}
