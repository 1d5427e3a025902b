//! A first look at a packet that has arrived: is it for smoltcp at all, does it open a
//! connection, does it report that one failed, does it answer a ping?
//!
//! smoltcp checks lengths, checksums and states; this look keeps from it what it takes wrongly:
//! it accepts any IPv6 address that shares its last 16 bits with one of ours as if it were our
//! solicited-node group, takes a fragment for a whole datagram when built without reassembly,
//! and does not read ICMP errors.
//!
//! Reading list: RFC 791 §3.1, RFC 8200 §3, RFC 792, RFC 4443 §3 and §4, RFC 9293 §3.1.

use crate::echo::EchoOutcome;
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
    /// An echo reply, or an ICMP error about an echo request that we are said to have sent.
    Echoes(EchoReport),
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

/// What is said about an echo request (RFC 792, RFC 4443 §3 and §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoReport {
    /// The addresses of the request.
    pub local: IpAddr,
    pub remote: IpAddr,
    pub identifier: u16,
    pub sequence: u16,
    /// Who says it.
    pub from: IpAddr,
    pub outcome: EchoOutcome,
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
            echo_reply(&ip, payload).or_else(|| report(&ip, payload)).unwrap_or(Kind::Ignored)
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

/// Whether the message is ICMP of the packet's own version, with a right checksum.
fn is_sound(ip: &Ip, message: &[u8]) -> bool {
    match (ip.source, ip.destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) if ip.protocol == Protocol::ICMP => {
            Icmpv4Packet::new_checked(message).is_ok_and(|icmp| icmp.verify_checksum())
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) if ip.protocol == Protocol::ICMPV6 => {
            Icmpv6Packet::new_checked(message)
                .is_ok_and(|icmp| icmp.verify_checksum(&source, &destination))
        }
        _ => false,
    }
}

fn echo_reply(ip: &Ip, message: &[u8]) -> Option<Kind> {
    let reply = if ip.source.is_ipv4() { [0, 0] } else { [129, 0] };
    if octets(message, 0)? != reply || !is_sound(ip, message) {
        return None;
    }
    Some(Kind::Echoes(EchoReport {
        local: ip.destination,
        remote: ip.source,
        identifier: short(message, 4)?,
        sequence: short(message, 6)?,
        from: ip.source,
        outcome: EchoOutcome::Replied,
    }))
}

/// What an ICMP error can say.
#[derive(Clone, Copy)]
enum Complaint {
    /// The host itself has no such port or protocol.
    Refused,
    Unreachable,
    Expired,
}

fn complaint(ip: &Ip, message: &[u8]) -> Option<Complaint> {
    const FRAGMENTATION_NEEDED: u8 = 4;
    let [kind, code] = octets(message, 0)?;
    let v4 = ip.source.is_ipv4();
    Some(match (v4, kind) {
        (true, 3) if code == FRAGMENTATION_NEEDED => return None,
        (true, 3) if matches!(code, 2 | 3) => Complaint::Refused,
        (false, 1) if code == 4 => Complaint::Refused,
        (true, 3) | (false, 1) => Complaint::Unreachable,
        (true, 11) | (false, 3) => Complaint::Expired,
        _ => return None,
    })
}

fn report(ip: &Ip, message: &[u8]) -> Option<Kind> {
    const HEADER: usize = 8;
    let complaint = complaint(ip, message)?;
    let quote = message.get(HEADER..)?;
    let inner = match (ip.source, quote.first()? >> 4) {
        (IpAddr::V4(_), 4) if is_sound(ip, message) => ipv4(quote, true)?,
        (IpAddr::V6(_), 6) if is_sound(ip, message) => ipv6(quote, true)?,
        _ => return None,
    };
    let segment = quote.get(inner.payload..)?;
    match (inner.protocol, complaint) {
        _ if inner.fragment => None,
        (Protocol::TCP, Complaint::Refused | Complaint::Unreachable) => {
            Some(Kind::Reports(Report {
                local: SocketAddr::new(inner.source, short(segment, 0)?),
                remote: SocketAddr::new(inner.destination, short(segment, 2)?),
                sequence: number(segment, 4)?,
                refused: matches!(complaint, Complaint::Refused),
            }))
        }
        (Protocol::ICMP | Protocol::ICMPV6, _) => {
            let request = if inner.source.is_ipv4() { [8, 0] } else { [128, 0] };
            if octets(segment, 0)? != request {
                return None;
            }
            Some(Kind::Echoes(EchoReport {
                local: inner.source,
                remote: inner.destination,
                identifier: short(segment, 4)?,
                sequence: short(segment, 6)?,
                from: ip.source,
                outcome: match complaint {
                    Complaint::Refused | Complaint::Unreachable => EchoOutcome::Unreachable,
                    Complaint::Expired => EchoOutcome::Expired,
                },
            }))
        }
        _ => None,
    }
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
