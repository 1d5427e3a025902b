//! Errors about a flow: whose packet they quote, and translating both at once.

use core::net::{Ipv4Addr, Ipv6Addr};

use base::{Offload, Protocol};

use super::{HEADER, is_error};
use crate::bytes::{array, be16, put16};
use crate::checksum::{address_change, fold, is_partial, update, update_at, word_change};
use crate::headers::{Ip, Transport, Version, walk};
use crate::malformed::Malformed;
use crate::rewrite::{
    ICMP_CHECKSUM, IPV4_CHECKSUM, IPV4_DESTINATION, IPV4_SOURCE, IPV6_DESTINATION, IPV6_SOURCE,
    TCP_CHECKSUM, Translation, UDP_CHECKSUM, is_of, put_address,
};

/// The packet that an ICMP error is about, as far as it is quoted.
#[derive(Clone, Copy, Debug)]
pub struct Quoted {
    /// Same as the error's.
    pub version: Version,
    /// Who sent the quoted packet: usually the receiver of the error.
    pub source: Ipv6Addr,
    /// Whom it was for.
    pub destination: Ipv6Addr,
    /// Its upper layer.
    pub protocol: Protocol,
    /// Its ports, if it is TCP or UDP and not a later fragment.
    pub source_port: Option<u16>,
    /// See `source_port`.
    pub destination_port: Option<u16>,
    /// Where its IP header starts in the frame.
    pub header: u32,
    /// Where its upper layer starts in the frame.
    pub payload: u32,
    /// One past what is quoted.
    pub end: u32,
    /// A fragment other than the first: there is no transport header.
    pub later_fragment: bool,
}

/// What becomes of the error's own addresses; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OuterTranslation {
    /// The new sender.
    pub source: Option<Ipv6Addr>,
    /// The new receiver.
    pub destination: Option<Ipv6Addr>,
}

/// Reads the packet that an ICMP error quotes. `None`: the packet is no ICMP error.
///
/// Eight octets of the quoted transport header are enough (RFC 792). Checksums inside the quote,
/// its length fields and its time to live are the sender's memory of a packet and are not judged.
///
/// The error is [`Malformed::BadQuote`]: less than the IP header and, where there should be
/// ports, eight octets behind it.
pub fn quoted(bytes: &[u8], ip: &Ip) -> Option<Result<Quoted, Malformed>> {
    let Transport::Icmp(icmp) = ip.transport else { return None };
    if !is_error(ip.version, icmp.kind) {
        return None;
    }
    let end = usize::try_from(ip.end).unwrap_or(usize::MAX).min(bytes.len());
    let start = usize::from(ip.payload) + HEADER;
    let quote = bytes.get(start..end).unwrap_or_default();
    Some(match ip.version {
        Version::V4 => ipv4(quote, start),
        Version::V6 => ipv6(quote, start),
    })
}

fn ipv4(quote: &[u8], start: usize) -> Result<Quoted, Malformed> {
    let fixed: [u8; 20] = array(quote, 0).ok_or(Malformed::BadQuote)?;
    let [first, _, _, _, _, _, f0, f1, _, protocol, _, _, a, b, c, d, e, f, g, h] = fixed;
    let payload = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || payload < fixed.len() || payload > quote.len() {
        return Err(Malformed::BadQuote);
    }
    let later_fragment = u16::from_be_bytes([f0, f1]) & 0x1fff != 0;
    finish(
        quote,
        start,
        payload,
        Quoted {
            version: Version::V4,
            source: Ipv4Addr::new(a, b, c, d).to_ipv6_mapped(),
            destination: Ipv4Addr::new(e, f, g, h).to_ipv6_mapped(),
            protocol: Protocol(protocol),
            later_fragment,
            ..NOTHING
        },
    )
}

fn ipv6(quote: &[u8], start: usize) -> Result<Quoted, Malformed> {
    let fixed: [u8; 40] = array(quote, 0).ok_or(Malformed::BadQuote)?;
    let [first, _, _, _, _, _, next, ..] = fixed;
    if first >> 4 != 6 {
        return Err(Malformed::BadQuote);
    }
    let address = |at| array(quote, at).map(|octets: [u8; 16]| Ipv6Addr::from(octets));
    let source = address(IPV6_SOURCE).ok_or(Malformed::BadQuote)?;
    let destination = address(IPV6_DESTINATION).ok_or(Malformed::BadQuote)?;
    // An address that would read as IPv4 must not find an IPv4 flow.
    if !is_of(source, Version::V6) || !is_of(destination, Version::V6) {
        return Err(Malformed::BadQuote);
    }
    let chain = walk(quote, fixed.len(), next).map_err(|_| Malformed::BadQuote)?;
    let later_fragment = chain.fragment.is_some_and(|fragment| fragment.offset > 0);
    finish(
        quote,
        start,
        chain.payload,
        Quoted {
            version: Version::V6,
            source,
            destination,
            protocol: chain.protocol,
            later_fragment,
            ..NOTHING
        },
    )
}

/// To be filled in.
const NOTHING: Quoted = Quoted {
    version: Version::V4,
    source: Ipv6Addr::UNSPECIFIED,
    destination: Ipv6Addr::UNSPECIFIED,
    protocol: Protocol(0),
    source_port: None,
    destination_port: None,
    header: 0,
    payload: 0,
    end: 0,
    later_fragment: false,
};

/// Adds ports and offsets.
fn finish(
    quote: &[u8],
    start: usize,
    payload: usize,
    mut quoted: Quoted,
) -> Result<Quoted, Malformed> {
    let offset = |at: usize| u32::try_from(start + at).map_err(|_| Malformed::BadQuote);
    quoted.header = offset(0)?;
    quoted.payload = offset(payload)?;
    quoted.end = offset(quote.len())?;
    if matches!(quoted.protocol, Protocol::TCP | Protocol::UDP) && !quoted.later_fragment {
        let ports: [u8; 8] = array(quote, payload).ok_or(Malformed::BadQuote)?;
        quoted.source_port = be16(&ports, 0);
        quoted.destination_port = be16(&ports, 2);
    }
    Ok(quoted)
}

/// Translates an ICMP error and the packet it quotes (RFC 5508 §4.2–4.3).
///
/// `outer` changes who the error is from and for, `inner` the ends of the quoted packet. Then all
/// checksums fit again that fitted before: of the outer IP header, of ICMP (in ICMPv6 with its
/// pseudo-header), of the quoted IP header, and of the quoted transport header where the quote
/// reaches to it. Addresses of another family are not written.
pub fn translate_error(
    bytes: &mut [u8],
    ip: &Ip,
    offload: &Offload,
    quoted: &Quoted,
    outer: &OuterTranslation,
    inner: &Translation,
) {
    if quoted.version != ip.version {
        return;
    }
    let body = translate_quoted(bytes, quoted, inner);
    let header = usize::from(ip.header);
    let mut addresses = 0;
    let [source_at, destination_at] = address_offsets(ip.version).map(|at| header + at);
    for (new, old, at) in
        [(outer.source, ip.source, source_at), (outer.destination, ip.destination, destination_at)]
    {
        if let Some(new) = new.filter(|&new| is_of(new, ip.version)) {
            put_address(bytes, at, ip.version, new);
            addresses += address_change(ip.version, old, new);
        }
    }
    let payload = usize::from(ip.payload);
    let field = payload + usize::from(ICMP_CHECKSUM);
    let covered = match ip.version {
        Version::V4 => {
            update_at(bytes, header + IPV4_CHECKSUM, addresses);
            0
        }
        Version::V6 => addresses,
    };
    // A partial field holds the pseudo-header's sum alone; the body is summed up later.
    if is_partial(offload, payload, ICMP_CHECKSUM) {
        if let Some(sum) = be16(bytes, field) {
            put16(bytes, field, fold(u64::from(sum) + covered));
        }
    } else {
        update_at(bytes, field, covered + body);
    }
}

const fn address_offsets(version: Version) -> [usize; 2] {
    match version {
        Version::V4 => [IPV4_SOURCE, IPV4_DESTINATION],
        Version::V6 => [IPV6_SOURCE, IPV6_DESTINATION],
    }
}

/// Changes the quoted packet and returns what that adds to a sum over it. All fields stand at an
/// even distance from the ICMP header, so their words are words of that sum.
fn translate_quoted(bytes: &mut [u8], quoted: &Quoted, inner: &Translation) -> u64 {
    let [header, payload, end] = [quoted.header, quoted.payload, quoted.end]
        .map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    let Some(bytes) = bytes.get_mut(..end) else { return 0 };
    let mut addresses = 0;
    let mut ports = 0;
    let [source_at, destination_at] = address_offsets(quoted.version).map(|at| header + at);
    let sides = [
        (&inner.source, quoted.source, quoted.source_port),
        (&inner.destination, quoted.destination, quoted.destination_port),
    ];
    let places = [(source_at, payload), (destination_at, payload + 2)];
    for ((new, old, port), (address_at, port_at)) in sides.into_iter().zip(places) {
        let Some(new) = new.filter(|new| is_of(new.address, quoted.version)) else { continue };
        put_address(bytes, address_at, quoted.version, new.address);
        addresses += address_change(quoted.version, old, new.address);
        if let Some(port) = port {
            put16(bytes, port_at, new.port);
            ports += word_change(port, new.port);
        }
    }
    let mut total = addresses + ports;
    if quoted.version == Version::V4 {
        total += change_checksum(bytes, header + IPV4_CHECKSUM, addresses, false);
    }
    if quoted.later_fragment {
        return total;
    }
    let (offset, optional, change) = match (quoted.protocol, quoted.version) {
        (Protocol::TCP, _) => (TCP_CHECKSUM, false, addresses + ports),
        (Protocol::UDP, _) => (UDP_CHECKSUM, true, addresses + ports),
        (Protocol::ICMPV6, Version::V6) => (ICMP_CHECKSUM, false, addresses),
        (_, Version::V4 | Version::V6) => return total,
    };
    total + change_checksum(bytes, payload + usize::from(offset), change, optional)
}

/// Updates a checksum inside the quote, if it is there, and returns what that adds to a sum.
fn change_checksum(bytes: &mut [u8], field: usize, change: u64, optional: bool) -> u64 {
    let Some(old) = be16(bytes, field) else { return 0 };
    if optional && old == 0 {
        return 0;
    }
    let new = match update(old, change) {
        0 if optional => 0xffff,
        new => new,
    };
    put16(bytes, field, new);
    word_change(old, new)
}
