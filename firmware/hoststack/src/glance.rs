//! A first look at a packet that has arrived: is it for smoltcp at all, does it open a
//! connection, does it report that one failed?
//!
//! smoltcp checks lengths, checksums and states; this look keeps from it what it takes wrongly:
//! it accepts any IPv6 address that shares its last 16 bits with one of ours as if it were our
//! solicited-node group, takes a fragment for a whole datagram when built without reassembly,
//! and does not read ICMP errors.
//!
//! Reading list: RFC 791 §3.1, RFC 8200 §3, RFC 792, RFC 4443 §3.1, RFC 9293 §3.1.

use base::Protocol;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use smoltcp::wire::{Icmpv4Packet, Icmpv6Packet};

/// What a packet shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    pub destination: IpAddr,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For smoltcp: TCP, UDP, or what it answers with "protocol unreachable".
    Ordinary,
    /// The same, and it asks for a connection: SYN without ACK or RST.
    Opens { local: SocketAddr, remote: SocketAddr },
    /// An ICMP error about a TCP segment that we are said to have sent.
    Reports(Report),
    /// Not for smoltcp: a fragment, or another ICMP message.
    Ignored,
}

/// What an ICMP destination unreachable says (RFC 792, RFC 4443 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The sequence number of the segment, which an outsider does not know (RFC 5927).
    pub sequence: u32,
    /// The host itself says that nobody listens there (port or protocol unreachable).
    pub refused: bool,
}

/// `None` for what is not a whole IP packet.
pub fn glance(packet: &[u8]) -> Option<Glance> {
    let ip = ip(packet)?;
    let payload = packet.get(ip.payload..ip.end)?;
    let kind = match ip.protocol {
        _ if ip.fragment => Kind::Ignored,
        Protocol::TCP => match opening(ip.source, ip.destination, payload) {
            Some((local, remote)) => Kind::Opens { local, remote },
            None => Kind::Ordinary,
        },
        Protocol::ICMP | Protocol::ICMPV6 => {
            report(&ip, payload).map_or(Kind::Ignored, Kind::Reports)
        }
        _ => Kind::Ordinary,
    };
    Some(Glance { destination: ip.destination, kind })
}

/// The TCP segment in a packet of ours: its ends and sequence number, if it is the first SYN.
pub fn first_syn(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, u32)> {
    let ip = ip(packet)?;
    let payload = packet.get(ip.payload..ip.end)?;
    if ip.protocol != Protocol::TCP {
        return None;
    }
    let (remote, local) = opening(ip.source, ip.destination, payload)?;
    Some((local, remote, number(payload, 4)?))
}

struct Ip {
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    fragment: bool,
    payload: usize,
    end: usize,
}

fn ip(packet: &[u8]) -> Option<Ip> {
    match packet.first()? >> 4 {
        4 => ipv4(packet, false),
        6 => ipv6(packet, false),
        _ => None,
    }
}

/// `quoted`: the packet may have been cut off, so its length field is not held against it.
fn ipv4(packet: &[u8], quoted: bool) -> Option<Ip> {
    let payload = usize::from(packet.first()? & 0x0f) * 4;
    let end = usize::from(short(packet, 2)?);
    let end = if quoted { packet.len() } else { end };
    if payload < 20 || end < payload || packet.len() < end {
        return None;
    }
    Some(Ip {
        source: IpAddr::V4(Ipv4Addr::from_octets(octets(packet, 12)?)),
        destination: IpAddr::V4(Ipv4Addr::from_octets(octets(packet, 16)?)),
        protocol: Protocol(*packet.get(9)?),
        // More-fragments flag or an offset.
        fragment: short(packet, 6)? & 0x3fff != 0,
        payload,
        end,
    })
}

fn ipv6(packet: &[u8], quoted: bool) -> Option<Ip> {
    const HEADER: usize = 40;
    const FRAGMENT: u8 = 44;
    let end = HEADER + usize::from(short(packet, 4)?);
    let end = if quoted { packet.len() } else { end };
    if packet.len() < end || end < HEADER {
        return None;
    }
    let protocol = Protocol(*packet.get(6)?);
    Some(Ip {
        source: IpAddr::V6(Ipv6Addr::from_octets(octets(packet, 8)?)),
        destination: IpAddr::V6(Ipv6Addr::from_octets(octets(packet, 24)?)),
        protocol,
        fragment: protocol == Protocol(FRAGMENT),
        payload: HEADER,
        end,
    })
}

/// Destination and source of a segment that has SYN set, but neither ACK nor RST.
fn opening(
    source: IpAddr,
    destination: IpAddr,
    segment: &[u8],
) -> Option<(SocketAddr, SocketAddr)> {
    const SYN_RST_ACK: u8 = 0x02 | 0x04 | 0x10;
    const SYN: u8 = 0x02;
    if segment.get(13)? & SYN_RST_ACK != SYN {
        return None;
    }
    let local = SocketAddr::new(destination, short(segment, 2)?);
    let remote = SocketAddr::new(source, short(segment, 0)?);
    Some((local, remote))
}

fn report(ip: &Ip, message: &[u8]) -> Option<Report> {
    const HEADER: usize = 8;
    let quote = message.get(HEADER..)?;
    let (inner, refused) = match (ip.source, ip.destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) if ip.protocol == Protocol::ICMP => {
            const UNREACHABLE: u8 = 3;
            const FRAGMENTATION_NEEDED: u8 = 4;
            let icmp = Icmpv4Packet::new_checked(message).ok()?;
            let [kind, code] = octets(message, 0)?;
            let soft = code == FRAGMENTATION_NEEDED;
            if kind != UNREACHABLE || soft || !icmp.verify_checksum() || quote.first()? >> 4 != 4 {
                return None;
            }
            (ipv4(quote, true)?, matches!(code, 2 | 3))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) if ip.protocol == Protocol::ICMPV6 => {
            const UNREACHABLE: u8 = 1;
            let icmp = Icmpv6Packet::new_checked(message).ok()?;
            let [kind, code] = octets(message, 0)?;
            let sound = icmp.verify_checksum(&source, &destination);
            if kind != UNREACHABLE || !sound || quote.first()? >> 4 != 6 {
                return None;
            }
            (ipv6(quote, true)?, code == 4)
        }
        _ => return None,
    };
    let segment = quote.get(inner.payload..)?;
    if inner.protocol != Protocol::TCP || inner.fragment {
        return None;
    }
    Some(Report {
        local: SocketAddr::new(inner.source, short(segment, 0)?),
        remote: SocketAddr::new(inner.destination, short(segment, 2)?),
        sequence: number(segment, 4)?,
        refused,
    })
}

fn octets<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

fn short(bytes: &[u8], offset: usize) -> Option<u16> {
    octets(bytes, offset).map(u16::from_be_bytes)
}

fn number(bytes: &[u8], offset: usize) -> Option<u32> {
    octets(bytes, offset).map(u32::from_be_bytes)
}
