//! What nearly all packets are: whole TCP or UDP over IPv4 without options.
//!
//! Everything of such a packet stands at a fixed place, so that it is read and rewritten in words,
//! in a fraction of the instructions that any packet takes. What is said here of a packet is what
//! [`crate::headers::parse`], [`crate::rewrite::translate`] and [`crate::rewrite::decrement_ttl`]
//! say of it; a packet that is not plain, or not sound, is left to them.

use core::net::Ipv4Addr;

use base::{FlowBits, Mac, Offload, Protocol};

use crate::bytes::{be16, put, put16};
use crate::checksum::{fold, is_partial, update_at, word_change};
use crate::headers::{
    ETHERNET_LENGTH, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Tcp, TcpFlags, Transport, Udp, length,
};
use crate::rewrite::{
    IPV4_CHECKSUM, IPV4_DESTINATION, IPV4_SOURCE, TCP_CHECKSUM, UDP_CHECKSUM, update_transport,
};

/// Octets of the headers of IPv4 and TCP without options, and of UDP.
const IPV4: usize = 20;
const TCP: usize = 20;
const UDP: usize = 8;
/// Where the upper-layer header starts in the frame.
const UPPER: usize = ETHERNET_LENGTH + IPV4;
/// The first octet of an IPv4 header without options: version 4, five words.
const NO_OPTIONS: u32 = 0x45;
/// The more-fragments bit and the offset of a fragment, in the second word.
const FRAGMENTED: u32 = 0x3fff;
/// What an IPv4 address has before it where it is mapped (RFC 4291 §2.5.5.2).
const MAPPED: u128 = 0xffff_0000_0000;
/// One hop less adds this to the sum over the word of time to live and protocol: its complement
/// before and itself after.
const ONE_HOP: u64 = 0xffff - 0x0100;

/// A plain packet.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// Whom the frame is for on this segment.
    pub station: Mac,
    /// The sender's address and port.
    pub source: (Ipv4Addr, u16),
    /// The receiver's.
    pub destination: (Ipv4Addr, u16),
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Octets of IP.
    pub length: u16,
    /// Its header.
    pub transport: Transport,
}

/// Which end of a packet is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The sender.
    Source,
    /// The receiver.
    Destination,
}

/// The 5-tuple of a packet that shows it at a fixed place, unchecked: enough to ask early for the
/// memory that it will lead to. `None`: it may have one that takes more to be found.
#[inline(always)]
pub fn flow_bits(bytes: &[u8]) -> Option<FlowBits> {
    let (ethernet, rest) = bytes.split_first_chunk::<ETHERNET_LENGTH>()?;
    let (protocol, source, destination, upper) = match ethertype(ethernet) {
        ETHERTYPE_IPV4 => {
            let (header, upper) = rest.split_first_chunk::<IPV4>()?;
            let [first, second, third, source, destination] = words(header);
            if first >> 24 != NO_OPTIONS || second & FRAGMENTED != 0 {
                return None;
            }
            let mapped = |address| MAPPED | u128::from(address);
            (protocol(third), mapped(source), mapped(destination), upper)
        }
        ETHERTYPE_IPV6 => {
            let (header, upper) = rest.split_first_chunk::<40>()?;
            let [_, _, _, _, _, _, next, _, addresses @ ..] = header;
            let (source, destination) = addresses.split_first_chunk::<16>()?;
            let destination = destination.first_chunk::<16>()?;
            let number = |address: &[u8; 16]| u128::from_be_bytes(*address);
            (Protocol(*next), number(source), number(destination), upper)
        }
        _ => return None,
    };
    if protocol != Protocol::TCP && protocol != Protocol::UDP {
        return None;
    }
    let ports = u32::from_be_bytes(*upper.first_chunk::<4>()?);
    Some(FlowBits { source, destination, ports, protocol })
}

/// Reads a plain packet that may be sent on. `None`: it is another one, or something is wrong
/// with it. Its addresses are taken as they are: whoever knows the flow knows that they are
/// hosts'.
#[inline(always)]
pub fn parse(bytes: &[u8]) -> Option<Plain> {
    let (ethernet, rest) = bytes.split_first_chunk::<ETHERNET_LENGTH>()?;
    let (header, payload) = rest.split_first_chunk::<IPV4>()?;
    let [first, second, third, source, destination] = words(header);
    let [_, _, _, _, _, _, from, ..] = *ethernet;
    let plain = (ethertype(ethernet) == ETHERTYPE_IPV4)
        & (from & 1 == 0)
        & (first >> 24 == NO_OPTIONS)
        & (second & FRAGMENTED == 0)
        & (third >> 24 > 1)
        & is_sound(header);
    if !plain {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the length")]
    let octets = first as u16;
    let payload = payload.get(..usize::from(octets).checked_sub(IPV4)?)?;
    let protocol = protocol(third);
    let (ports, transport) = match protocol {
        Protocol::TCP => tcp(payload)?,
        Protocol::UDP => udp(payload)?,
        _ => return None,
    };
    let [from_port, to_port] = ports;
    let &[a, b, c, d, e, f, ..] = ethernet;
    Some(Plain {
        station: Mac([a, b, c, d, e, f]),
        source: (Ipv4Addr::from_bits(source), from_port),
        destination: (Ipv4Addr::from_bits(destination), to_port),
        protocol,
        length: octets,
        transport,
    })
}

#[inline(always)]
fn tcp(payload: &[u8]) -> Option<([u16; 2], Transport)> {
    let [ports, sequence, acknowledgement, fourth, _] = words(payload.first_chunk::<TCP>()?);
    let ports = halves(ports);
    let header = (fourth >> 28) as usize * 4;
    if header < TCP || header > payload.len() {
        return None;
    }
    let [_, flags, ..] = fourth.to_be_bytes();
    let [_, window] = halves(fourth);
    let [source_port, destination_port] = ports;
    let tcp = Tcp {
        source_port,
        destination_port,
        sequence,
        acknowledgement,
        flags: TcpFlags(flags),
        window,
        payload_length: length(payload.len() - header),
    };
    Some((ports, Transport::Tcp(tcp)))
}

#[inline(always)]
fn udp(payload: &[u8]) -> Option<([u16; 2], Transport)> {
    let [s0, s1, d0, d1, l0, l1, ..] = *payload.first_chunk::<UDP>()?;
    let said = usize::from(u16::from_be_bytes([l0, l1]));
    if said < UDP || said > payload.len() {
        return None;
    }
    let [source_port, destination_port] = halves(u32::from_be_bytes([s0, s1, d0, d1]));
    let udp = Udp { source_port, destination_port };
    Some(([source_port, destination_port], Transport::Udp(udp)))
}

/// Sends a plain packet on: another address and port at one end, one hop less, other stations
/// (whose it is, and ours). Sums follow.
#[inline(always)]
pub fn send_on(
    bytes: &mut [u8],
    plain: &Plain,
    offload: &Offload,
    new: (End, Ipv4Addr, u16),
    stations: [Mac; 2],
) {
    match plain.transport {
        Transport::Tcp(_) => {
            let Some(head) = bytes.first_chunk_mut::<{ UPPER + TCP }>() else { return };
            write(head, plain, offload, new, stations, (TCP_CHECKSUM, false));
        }
        Transport::Udp(_) | Transport::Icmp(_) | Transport::LaterFragment | Transport::Other => {
            let Some(head) = bytes.first_chunk_mut::<{ UPPER + UDP }>() else { return };
            write(head, plain, offload, new, stations, (UDP_CHECKSUM, true));
        }
    }
}

/// The same in the headers of TCP or of UDP, whose sum stands at `field` in its header and may be
/// missing if it is `optional`.
#[inline(always)]
fn write(
    head: &mut [u8],
    plain: &Plain,
    offload: &Offload,
    (end, address, port): (End, Ipv4Addr, u16),
    [to, from]: [Mac; 2],
    (field, optional): (u16, bool),
) {
    let ((old, old_port), address_at, port_at) = match end {
        End::Source => (plain.source, IPV4_SOURCE, UPPER),
        End::Destination => (plain.destination, IPV4_DESTINATION, UPPER + 2),
    };
    // The constant is a multiple of 0xffff.
    let addresses = 0xffff_ffff - u64::from(old.to_bits()) + u64::from(address.to_bits());
    put(head, 0, to.0);
    put(head, 6, from.0);
    put(head, ETHERNET_LENGTH + address_at, address.octets());
    put16(head, port_at, port);
    if let Some([ttl]) = crate::bytes::array(head, ETHERNET_LENGTH + 8) {
        put(head, ETHERNET_LENGTH + 8, [ttl.saturating_sub(1)]);
    }
    update_at(head, ETHERNET_LENGTH + IPV4_CHECKSUM, addresses + ONE_HOP);
    let at = UPPER + usize::from(field);
    if is_partial(offload, UPPER, field) {
        if let Some(sum) = be16(head, at) {
            put16(head, at, fold(u64::from(sum) + addresses));
        }
    } else {
        update_transport(head, at, addresses + word_change(old_port, port), optional);
    }
}

#[inline(always)]
const fn ethertype(ethernet: &[u8; ETHERNET_LENGTH]) -> u16 {
    let [.., high, low] = *ethernet;
    u16::from_be_bytes([high, low])
}

/// A header of five words.
#[inline(always)]
fn words(header: &[u8; 20]) -> [u32; 5] {
    let (words, _) = header.as_chunks::<4>();
    let mut all = [0; 5];
    for (word, octets) in all.iter_mut().zip(words) {
        *word = u32::from_be_bytes(*octets);
    }
    all
}

/// Whether the sum over a header without options comes out as all ones.
#[inline(always)]
fn is_sound(header: &[u8; IPV4]) -> bool {
    let (words, _) = header.as_chunks::<4>();
    fold(words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum()) == 0xffff
}

/// The protocol in the third word of an IPv4 header.
#[inline(always)]
const fn protocol(third: u32) -> Protocol {
    let [_, protocol, ..] = third.to_be_bytes();
    Protocol(protocol)
}

#[inline(always)]
const fn halves(word: u32) -> [u16; 2] {
    let [a, b, c, d] = word.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

#[cfg(test)]
mod tests;
