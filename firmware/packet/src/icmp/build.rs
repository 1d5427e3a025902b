//! Errors that start here.

use core::net::IpAddr;

use base::address::mapped;
use base::{Mac, Protocol};

use super::{HEADER, is_error};
use crate::bytes::put;
use crate::emit::{Envelope, INTERNETWORK_CONTROL, TTL};
use crate::headers::{
    Body, Headers, Ip, Transport, Version, ethernet_destination, is_host_v4, is_host_v6,
};
use crate::rewrite::ICMP_CHECKSUM;

/// The largest error datagram over IPv4 (RFC 1812 §4.3.2.3).
const MAXIMUM_V4: usize = 576;
/// The largest error packet over IPv6: the least MTU (RFC 4443 §2.4 (c)).
const MAXIMUM_V6: usize = 1280;
/// IPv6 redirect: no error by its number, but nothing is said about it either.
const REDIRECT_V6: u8 = 137;

/// What is wrong. The numbers are RFC 792 with RFC 1812 §5.2.7, and RFC 4443 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The hops are used up.
    TimeExceeded,
    /// It does not fit the next link: fragmentation needed and DF set, or packet too big.
    FragmentationNeeded {
        /// What fits, in octets of the IP packet.
        mtu: u32,
    },
    /// There is no route.
    NetworkUnreachable,
    /// The next station does not answer; "address unreachable" in IPv6.
    HostUnreachable,
    /// Nobody serves this port.
    PortUnreachable,
    /// Not allowed.
    AdministrativelyProhibited,
    /// Fragments waited in vain.
    ReassemblyTimeExceeded,
}

impl ErrorKind {
    const fn type_and_code(self, version: Version) -> [u8; 2] {
        match (version, self) {
            (Version::V4, Self::NetworkUnreachable) => [3, 0],
            (Version::V4, Self::HostUnreachable) => [3, 1],
            (Version::V4, Self::PortUnreachable) => [3, 3],
            (Version::V4, Self::FragmentationNeeded { .. }) => [3, 4],
            (Version::V4, Self::AdministrativelyProhibited) => [3, 13],
            (Version::V4, Self::TimeExceeded) => [11, 0],
            (Version::V4, Self::ReassemblyTimeExceeded) => [11, 1],
            (Version::V6, Self::NetworkUnreachable) => [1, 0],
            (Version::V6, Self::AdministrativelyProhibited) => [1, 1],
            (Version::V6, Self::HostUnreachable) => [1, 3],
            (Version::V6, Self::PortUnreachable) => [1, 4],
            (Version::V6, Self::FragmentationNeeded { .. }) => [2, 0],
            (Version::V6, Self::TimeExceeded) => [3, 0],
            (Version::V6, Self::ReassemblyTimeExceeded) => [3, 1],
        }
    }

    /// The second word of the ICMP header: the MTU, 16 bits wide in IPv4 (RFC 1191 §4).
    fn parameter(self, version: Version) -> u32 {
        match (self, version) {
            (Self::FragmentationNeeded { mtu }, Version::V4) => mtu.min(0xffff),
            (Self::FragmentationNeeded { mtu }, Version::V6) => mtu,
            (
                Self::TimeExceeded
                | Self::NetworkUnreachable
                | Self::HostUnreachable
                | Self::PortUnreachable
                | Self::AdministrativelyProhibited
                | Self::ReassemblyTimeExceeded,
                Version::V4 | Version::V6,
            ) => 0,
        }
    }
}

/// Whether an error may be sent about a frame (RFC 1122 §3.2.2, RFC 1812 §4.3.2.7, RFC 4443
/// §2.4 (e)).
///
/// Not about ICMP errors, later fragments, what was sent to a group on either layer, or what does
/// not come from one host. IPv6 would let "packet too big" answer a multicast packet; groups are
/// never forwarded here, so that does not arise.
pub fn may_answer(bytes: &[u8], headers: &Headers) -> bool {
    let Body::Ip(ip) = &headers.body else { return false };
    if ethernet_destination(bytes).is_none_or(Mac::is_group) || headers.destination.is_group() {
        return false;
    }
    let [from_host, to_host] = [ip.source, ip.destination]
        .map(|address| address.to_ipv4_mapped().map_or_else(|| is_host_v6(address), is_host_v4));
    if !from_host || !to_host {
        return false;
    }
    match ip.transport {
        Transport::Icmp(icmp) => {
            let redirect = ip.version == Version::V6 && icmp.kind == REDIRECT_V6;
            !is_error(ip.version, icmp.kind) && !redirect
        }
        Transport::LaterFragment => false,
        Transport::Tcp(_) | Transport::Udp(_) | Transport::Other => true,
    }
}

/// The answering side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Ethernet sender: the port that the frame came in by.
    pub source_mac: Mac,
    /// Ethernet receiver: the way back.
    pub destination_mac: Mac,
    /// The error's sender, of the packet's family.
    pub source: IpAddr,
}

/// Builds a whole frame that tells the sender of `bytes`, of which `ip` is the parse, what is
/// wrong. It quotes as much as fits 576 octets over IPv4 and 1,280 over IPv6.
///
/// Returns the frame's length; `None` if `out` is too small for it (1,294 octets always do) or
/// `reply.source` is of the other family. Ask [`may_answer`] first.
pub fn build_error(
    out: &mut [u8],
    bytes: &[u8],
    ip: &Ip,
    kind: ErrorKind,
    reply: &Reply,
) -> Option<usize> {
    let (protocol, maximum) = match ip.version {
        Version::V4 => (Protocol::ICMP, MAXIMUM_V4),
        Version::V6 => (Protocol::ICMPV6, MAXIMUM_V6),
    };
    let envelope = Envelope {
        destination_mac: reply.destination_mac,
        source_mac: reply.source_mac,
        source: mapped(reply.source),
        destination: ip.source,
        protocol,
        ttl: TTL,
        class: INTERNETWORK_CONTROL,
    };
    let start = envelope.length()?;
    let room = (maximum + usize::from(ip.header)).checked_sub(start + HEADER)?;
    let packet = bytes.get(usize::from(ip.header)..usize::try_from(ip.end).ok()?)?;
    let quote = packet.get(..room).unwrap_or(packet);

    let length = HEADER + quote.len();
    let message = out.get_mut(start..start + length)?;
    let [kind_number, code] = kind.type_and_code(ip.version);
    put(message, 0, [kind_number, code, 0, 0]);
    put(message, 4, kind.parameter(ip.version).to_be_bytes());
    message.get_mut(HEADER..)?.copy_from_slice(quote);
    envelope.seal(out, length, usize::from(ICMP_CHECKSUM), ip.version == Version::V6)
}
