//! What nearly all packets are: whole TCP or UDP over IPv4 without options.
//!
//! Everything of such a packet stands at a fixed place, so that it is read and rewritten in a
//! fraction of the instructions that any packet takes. What is said here of a packet is what
//! [`crate::headers::parse`], [`crate::rewrite::translate`] and [`crate::rewrite::decrement_ttl`]
//! say of it; a packet that is not plain, or not sound, is left to them.

use core::net::{Ipv4Addr, Ipv6Addr};

use base::{FlowKey, Mac, Offload, Protocol};

use crate::bytes::{be16, put, put16};
use crate::checksum::{address_change, fold, is_partial, update_at, word_change};
use crate::headers::{
    ETHERNET_LENGTH, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Transport, Version, ipv4, is_host_v4,
    transport,
};
use crate::rewrite::{
    IPV4_CHECKSUM, IPV4_DESTINATION, IPV4_SOURCE, TCP_CHECKSUM, UDP_CHECKSUM, update_transport,
};

/// Version 4 and five words of header.
const NO_OPTIONS: u8 = 0x45;
/// The more-fragments bit and the offset of a fragment.
const FRAGMENTED: u16 = 0x3fff;
/// Where the upper-layer header starts in the frame.
const UPPER: usize = ETHERNET_LENGTH + 20;
/// One hop less adds this to the sum over the word of time to live and protocol: its complement
/// before and itself after.
const ONE_HOP: u64 = 0xffff - 0x0100;

/// A plain packet.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// Whom the frame is for on this segment.
    pub destination: Mac,
    /// The 5-tuple.
    pub key: FlowKey,
    /// Octets of IP.
    pub length: u16,
    /// TCP or UDP.
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
pub fn flow_key(bytes: &[u8]) -> Option<FlowKey> {
    let (ethernet, rest) = bytes.split_first_chunk::<ETHERNET_LENGTH>()?;
    let [.., high, low] = *ethernet;
    let (protocol, source, destination, upper) = match u16::from_be_bytes([high, low]) {
        ETHERTYPE_IPV4 => {
            let (header, upper) = rest.split_first_chunk::<{ ipv4::MINIMUM }>()?;
            let [first, _, _, _, _, _, f0, f1, _, protocol, _, _, addresses @ ..] = *header;
            if first != NO_OPTIONS || u16::from_be_bytes([f0, f1]) & FRAGMENTED != 0 {
                return None;
            }
            let [source, destination] = both(addresses);
            (Protocol(protocol), ipv4::mapped(source), ipv4::mapped(destination), upper)
        }
        ETHERTYPE_IPV6 => {
            let (header, upper) = rest.split_first_chunk::<40>()?;
            let [_, _, _, _, _, _, next, _, addresses @ ..] = header;
            let (source, destination) = addresses.split_first_chunk::<16>()?;
            let destination = destination.first_chunk::<16>()?;
            (Protocol(*next), (*source).into(), (*destination).into(), upper)
        }
        _ => return None,
    };
    if protocol != Protocol::TCP && protocol != Protocol::UDP {
        return None;
    }
    let [s0, s1, d0, d1] = *upper.first_chunk::<4>()?;
    let (source_port, destination_port) =
        (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    Some(FlowKey { source, destination, source_port, destination_port, protocol })
}

/// Reads a plain packet that may be sent on. `None`: it is another one, or something is wrong
/// with it.
#[inline(always)]
pub fn parse(bytes: &[u8]) -> Option<Plain> {
    let (ethernet, rest) = bytes.split_first_chunk::<ETHERNET_LENGTH>()?;
    let [a, b, c, d, e, f, from, _, _, _, _, _, high, low] = *ethernet;
    let (header, payload) = rest.split_first_chunk::<{ ipv4::MINIMUM }>()?;
    let [first, _, t0, t1, _, _, f0, f1, ttl, protocol, _, _, addresses @ ..] = *header;
    let length = u16::from_be_bytes([t0, t1]);
    let payload = payload.get(..usize::from(length.checked_sub(20)?))?;
    let [source, destination] = both(addresses);
    let plain = u16::from_be_bytes([high, low]) == ETHERTYPE_IPV4
        && from & 1 == 0
        && first == NO_OPTIONS
        && u16::from_be_bytes([f0, f1]) & FRAGMENTED == 0
        && ttl > 1
        && ipv4::is_sound(header)
        && is_host_v4(source)
        && is_host_v4(destination);
    if !plain {
        return None;
    }
    let protocol = Protocol(protocol);
    let transport = transport::parse(payload, Version::V4, protocol, None).ok()?;
    let (source_port, destination_port) = match transport {
        Transport::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
        Transport::Udp(udp) => (udp.source_port, udp.destination_port),
        Transport::Icmp(_) | Transport::LaterFragment | Transport::Other => return None,
    };
    let (source, destination) = (ipv4::mapped(source), ipv4::mapped(destination));
    Some(Plain {
        destination: Mac([a, b, c, d, e, f]),
        key: FlowKey { source, destination, source_port, destination_port, protocol },
        length,
        transport,
    })
}

/// Sends a plain packet on: another end, one hop less, other stations. The new `address` is an
/// IPv4 one, mapped; sums follow.
#[inline(always)]
pub fn send_on(
    bytes: &mut [u8],
    plain: &Plain,
    offload: &Offload,
    (end, address, port): (End, Ipv6Addr, u16),
    stations: [u8; 12],
) {
    match plain.transport {
        Transport::Tcp(_) => {
            let Some(head) = bytes.first_chunk_mut::<{ UPPER + 20 }>() else { return };
            write(head, plain, offload, (end, address, port), stations, (TCP_CHECKSUM, false));
        }
        Transport::Udp(_) | Transport::Icmp(_) | Transport::LaterFragment | Transport::Other => {
            let Some(head) = bytes.first_chunk_mut::<{ UPPER + 8 }>() else { return };
            write(head, plain, offload, (end, address, port), stations, (UDP_CHECKSUM, true));
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
    (end, address, port): (End, Ipv6Addr, u16),
    stations: [u8; 12],
    (field, optional): (u16, bool),
) {
    let (old, old_port, address_at, port_at) = match end {
        End::Source => (plain.key.source, plain.key.source_port, IPV4_SOURCE, UPPER),
        End::Destination => {
            (plain.key.destination, plain.key.destination_port, IPV4_DESTINATION, UPPER + 2)
        }
    };
    let addresses = address_change(Version::V4, old, address);
    put(head, 0, stations);
    let [.., a, b, c, d] = address.octets();
    put(head, ETHERNET_LENGTH + address_at, [a, b, c, d]);
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
const fn both(addresses: [u8; 8]) -> [Ipv4Addr; 2] {
    let [a, b, c, d, e, f, g, h] = addresses;
    [Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h)]
}

#[cfg(test)]
mod tests;
