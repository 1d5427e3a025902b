//! Which worker a frame belongs to, so that both directions of a flow meet in one flow table.
//!
//! The end that is not virtual decides: the client of a balanced flow keeps its address and port
//! on both sides of the box, whatever the other end is translated to. The kernel program that
//! spreads frames over sockets computes the same; this is its reference.

use core::net::Ipv6Addr;

use crate::headers::{Body, Ip, Transport, Version, parse};
use crate::icmp;

/// 2³² divided by the golden ratio (Knuth, TAOCP 3 §6.4).
const MULTIPLIER: u32 = 0x9e37_79b1;
/// Neighbour discovery types (RFC 4861 §4): they change what all workers know, so one handles
/// them.
const NEIGHBOR_DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;

/// The worker, below `workers`, that a frame belongs to.
///
/// * TCP and UDP: by the other end's address and port, the destination being ours if it is
///   virtual.
/// * ICMP errors: by the packet they quote, whose direction is the opposite one.
/// * Other ICMP, other protocols and all fragments: by the other end's address, port 0.
/// * ARP, neighbour discovery, what is not IP and what is malformed: worker 0.
pub fn worker(bytes: &[u8], is_virtual: impl Fn(Ipv6Addr) -> bool, workers: u16) -> u16 {
    let Ok(headers) = parse(bytes) else { return 0 };
    let Body::Ip(ip) = headers.body else { return 0 };
    match deciding_end(bytes, &ip, is_virtual) {
        Some((address, port)) => of_endpoint(address, port, workers),
        None => 0,
    }
}

fn deciding_end(
    bytes: &[u8],
    ip: &Ip,
    is_virtual: impl Fn(Ipv6Addr) -> bool,
) -> Option<(Ipv6Addr, u16)> {
    let incoming = is_virtual(ip.destination);
    let address = if incoming { ip.source } else { ip.destination };
    if ip.fragment.is_some() {
        return Some((address, 0));
    }
    let port = match ip.transport {
        Transport::Tcp(tcp) if incoming => tcp.source_port,
        Transport::Tcp(tcp) => tcp.destination_port,
        Transport::Udp(udp) if incoming => udp.source_port,
        Transport::Udp(udp) => udp.destination_port,
        Transport::Icmp(icmp) => {
            if ip.version == Version::V6 && NEIGHBOR_DISCOVERY.contains(&icmp.kind) {
                return None;
            }
            return match icmp::quoted(bytes, ip) {
                None => Some((address, 0)),
                Some(Err(_)) => None,
                Some(Ok(quoted)) if is_virtual(quoted.source) => {
                    Some((quoted.destination, quoted.destination_port.unwrap_or(0)))
                }
                Some(Ok(quoted)) => Some((quoted.source, quoted.source_port.unwrap_or(0))),
            };
        }
        Transport::LaterFragment | Transport::Other => 0,
    };
    Some((address, port))
}

/// The worker that flows with this other end belong to.
#[inline]
pub fn of_endpoint(address: Ipv6Addr, port: u16, workers: u16) -> u16 {
    let bits = address.to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "the four words of a 128-bit number")]
    let folded = [bits >> 96, bits >> 64, bits >> 32, bits].map(|word| word as u32);
    let folded = folded.iter().fold(0, |sum, word| sum ^ word);
    let mixed = (folded ^ u32::from(port)).wrapping_mul(MULTIPLIER);
    let mixed = mixed ^ mixed >> 16;
    #[expect(clippy::cast_possible_truncation, reason = "a product's upper half is below workers")]
    let worker = ((u64::from(mixed) * u64::from(workers)) >> 32) as u16;
    worker
}

#[cfg(test)]
mod tests;
