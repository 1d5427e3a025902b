//! Answering pings (RFC 792, RFC 1122 §3.2.2.6, RFC 4443 §4.2).

use base::{Mac, Offload};

use crate::bytes::{array, be16, put, put16};
use crate::checksum::{complete, fold, is_partial, pseudo_header, sum, update_at, word_change};
use crate::emit::TTL;
use crate::headers::{Ip, Transport, Version};
use crate::rewrite::{
    ICMP_CHECKSUM, IPV4_DESTINATION, IPV4_SOURCE, IPV6_DESTINATION, IPV6_SOURCE, set_ethernet,
    set_ttl,
};

const REQUEST_V4: u8 = 8;
const REPLY_V4: u8 = 0;
const REQUEST_V6: u8 = 128;
const REPLY_V6: u8 = 129;

/// Whether a packet asks to be echoed.
pub const fn is_echo_request(ip: &Ip) -> bool {
    let Transport::Icmp(icmp) = ip.transport else { return false };
    let request = match ip.version {
        Version::V4 => REQUEST_V4,
        Version::V6 => REQUEST_V6,
    };
    icmp.kind == request && icmp.code == 0
}

/// Turns an echo request into its reply: addresses swapped, a fresh time to live, the Ethernet
/// addresses given. A checksum left to be finished is finished.
///
/// Returns whether that was done. False, and nothing is changed, when it is no whole echo request
/// to and from one host, or its ICMP checksum is wrong.
pub fn echo_reply_in_place(
    bytes: &mut [u8],
    ip: &Ip,
    offload: &mut Offload,
    source_mac: Mac,
    destination_mac: Mac,
) -> bool {
    if !is_echo_request(ip) || ip.fragment.is_some() || is_group(ip) || ip.source.is_unspecified() {
        return false;
    }
    let payload = usize::from(ip.payload);
    if is_partial(offload, payload, ICMP_CHECKSUM) {
        if !complete(bytes, offload) {
            return false;
        }
    } else if offload.needs_checksum || !is_sound(bytes, ip) {
        return false;
    }
    let Some(old) = be16(bytes, payload) else { return false };
    let new = match ip.version {
        Version::V4 => u16::from(REPLY_V4) << 8,
        Version::V6 => u16::from(REPLY_V6) << 8,
    };
    put16(bytes, payload, new);
    update_at(bytes, payload + usize::from(ICMP_CHECKSUM), word_change(old, new));
    swap_addresses(bytes, ip);
    set_ttl(bytes, ip, TTL);
    set_ethernet(bytes, destination_mac, source_mac);
    true
}

fn is_group(ip: &Ip) -> bool {
    let v4 = |v4: core::net::Ipv4Addr| v4.is_multicast() || v4.is_broadcast();
    ip.destination.is_multicast() || ip.destination.to_ipv4_mapped().is_some_and(v4)
}

/// Whether the ICMP checksum is right.
fn is_sound(bytes: &[u8], ip: &Ip) -> bool {
    let end = usize::try_from(ip.end).unwrap_or(usize::MAX);
    let Some(message) = bytes.get(usize::from(ip.payload)..end) else { return false };
    let pseudo = match ip.version {
        Version::V4 => 0,
        Version::V6 => pseudo_header(ip.source, ip.destination, ip.protocol, ip.payload_length()),
    };
    fold(pseudo + sum(message)) == 0xffff
}

/// Swapping changes no sum.
fn swap_addresses(bytes: &mut [u8], ip: &Ip) {
    let header = usize::from(ip.header);
    match ip.version {
        Version::V4 => swap::<4>(bytes, header + IPV4_SOURCE, header + IPV4_DESTINATION),
        Version::V6 => swap::<16>(bytes, header + IPV6_SOURCE, header + IPV6_DESTINATION),
    }
}

fn swap<const N: usize>(bytes: &mut [u8], one: usize, other: usize) {
    if let (Some(a), Some(b)) = (array::<N>(bytes, one), array::<N>(bytes, other)) {
        put(bytes, one, b);
        put(bytes, other, a);
    }
}
