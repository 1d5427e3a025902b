//! Changing addresses, ports and hop counts in place, checksums following incrementally.
//!
//! Reading list: RFC 1624 §3 (equation 3), RFC 768 (zero means none), RFC 8200 §8.1
//! (pseudo-header), virtio 1.2 §5.1.6.2 (a partial checksum field holds the uncomplemented sum of
//! the pseudo-header, so only addresses matter to it).

use core::net::Ipv6Addr;

use base::{Mac, Offload};

use crate::bytes::{be16, put, put16};
use crate::checksum::{address_change, fold, is_partial, update, update_at, word_change};
use crate::headers::{Ip, Transport, Version};

/// Where the checksum stands in each transport header.
pub(crate) const TCP_CHECKSUM: u16 = 16;
pub(crate) const UDP_CHECKSUM: u16 = 6;
pub(crate) const ICMP_CHECKSUM: u16 = 2;
/// Where it stands in an IPv4 header, and the addresses in both.
pub(crate) const IPV4_CHECKSUM: usize = 10;
pub(crate) const IPV4_SOURCE: usize = 12;
pub(crate) const IPV4_DESTINATION: usize = 16;
pub(crate) const IPV6_SOURCE: usize = 8;
pub(crate) const IPV6_DESTINATION: usize = 24;

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Of the packet's family.
    pub address: Ipv6Addr,
    /// In host order.
    pub port: u16,
}

/// What to put in place of a packet's ends; `None` leaves an end as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// The new sender.
    pub source: Option<Endpoint>,
    /// The new receiver.
    pub destination: Option<Endpoint>,
}

/// Translates a packet, of which `ip` is the parse.
///
/// TCP and UDP get addresses and ports; everything else, later fragments included, addresses
/// alone. The IPv4 header checksum and the transport checksum follow: a UDP checksum of zero
/// stays zero (there is none), a partial one (see [`Offload::needs_checksum`]) takes the change
/// of addresses only. New addresses must be of the packet's family; others are not written.
#[inline]
pub fn translate(bytes: &mut [u8], ip: &Ip, offload: &Offload, translation: &Translation) {
    let mut change = Change::default();
    let payload = usize::from(ip.payload);
    let [source_at, destination_at] = address_offsets(ip);
    if let Some(end) = &translation.source {
        change.put_end(bytes, ip, ip.source, end, [source_at, payload]);
    }
    if let Some(end) = &translation.destination {
        change.put_end(bytes, ip, ip.destination, end, [destination_at, payload + 2]);
    }
    let Change { addresses, ports } = change;
    if ip.version == Version::V4 {
        update_at(bytes, usize::from(ip.header) + IPV4_CHECKSUM, addresses);
    }
    let (offset, optional) = match ip.transport {
        Transport::Tcp(_) => (TCP_CHECKSUM, false),
        Transport::Udp(_) => (UDP_CHECKSUM, true),
        // Only ICMPv6 covers the addresses.
        Transport::Icmp(_) if ip.version == Version::V6 => (ICMP_CHECKSUM, false),
        Transport::Icmp(_) | Transport::LaterFragment | Transport::Other => return,
    };
    let field = payload + usize::from(offset);
    if is_partial(offload, payload, offset) {
        if let Some(sum) = be16(bytes, field) {
            put16(bytes, field, fold(u64::from(sum) + addresses));
        }
    } else {
        update_transport(bytes, field, addresses + ports, optional);
    }
}

/// What new ends add to the sums over addresses and over ports.
#[derive(Default)]
struct Change {
    addresses: u64,
    ports: u64,
}

impl Change {
    /// Writes one end in place of the address `old`, at the offsets of its address and its port.
    #[inline(always)]
    fn put_end(
        &mut self,
        bytes: &mut [u8],
        ip: &Ip,
        old: Ipv6Addr,
        new: &Endpoint,
        [address_at, port_at]: [usize; 2],
    ) {
        if !is_of(new.address, ip.version) {
            return;
        }
        put_address(bytes, address_at, ip.version, new.address);
        self.addresses += address_change(ip.version, old, new.address);
        if let Transport::Tcp(_) | Transport::Udp(_) = ip.transport
            && let Some(old) = be16(bytes, port_at)
        {
            put16(bytes, port_at, new.port);
            self.ports += word_change(old, new.port);
        }
    }
}

/// Updates a finished transport checksum. An `optional` one (UDP's) that is zero is not there,
/// and one that becomes zero is written as all ones (RFC 768).
#[inline(always)]
pub(crate) fn update_transport(bytes: &mut [u8], field: usize, change: u64, optional: bool) {
    let Some(old) = be16(bytes, field) else { return };
    if optional && old == 0 {
        return;
    }
    let new = update(old, change);
    put16(bytes, field, if optional && new == 0 { 0xffff } else { new });
}

/// Offsets of the two addresses in the frame.
#[inline(always)]
fn address_offsets(ip: &Ip) -> [usize; 2] {
    let header = usize::from(ip.header);
    match ip.version {
        Version::V4 => [header + IPV4_SOURCE, header + IPV4_DESTINATION],
        Version::V6 => [header + IPV6_SOURCE, header + IPV6_DESTINATION],
    }
}

/// Whether an address can stand in a packet of this version.
#[inline(always)]
pub(crate) fn is_of(address: Ipv6Addr, version: Version) -> bool {
    (address.to_bits() >> 32 == 0xffff) == (version == Version::V4)
}

/// Writes an address in its own width.
#[inline(always)]
pub(crate) fn put_address(bytes: &mut [u8], at: usize, version: Version, address: Ipv6Addr) {
    let octets = address.octets();
    match version {
        Version::V4 => {
            let [.., a, b, c, d] = octets;
            put(bytes, at, [a, b, c, d]);
        }
        Version::V6 => put(bytes, at, octets),
    }
}

/// Takes one hop off the time to live; the IPv4 checksum follows. At zero nothing happens: such a
/// packet is to be answered, not forwarded.
#[inline]
pub fn decrement_ttl(bytes: &mut [u8], ip: &Ip) {
    let Some(ttl) = ip.ttl.checked_sub(1) else { return };
    set_ttl(bytes, ip, ttl);
}

/// Writes the time to live or hop limit.
#[inline(always)]
pub(crate) fn set_ttl(bytes: &mut [u8], ip: &Ip, ttl: u8) {
    let header = usize::from(ip.header);
    match ip.version {
        Version::V4 => {
            let Some(old) = be16(bytes, header + 8) else { return };
            let new = u16::from(ttl) << 8 | old & 0xff;
            put16(bytes, header + 8, new);
            update_at(bytes, header + IPV4_CHECKSUM, word_change(old, new));
        }
        Version::V6 => put(bytes, header + 7, [ttl]),
    }
}

/// Writes both Ethernet addresses.
#[inline]
pub fn set_ethernet(bytes: &mut [u8], destination: Mac, source: Mac) {
    put(bytes, 0, destination.0);
    put(bytes, 6, source.0);
}

#[cfg(test)]
mod tests;
