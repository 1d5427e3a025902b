//! What is in a frame: parsed once, checked as a router must, and remembered as offsets.
//!
//! ```text
//!  0              14               payload                      end
//!  | Ethernet     | IP, options,   | TCP, UDP, ICMP and what    | padding
//!  |              | extension hdrs | they carry                 | (not ours to read)
//!  header = 14 ---^
//! ```
//!
//! Reading list: RFC 791 §3.1 and RFC 1812 §5.2.2 (IPv4 header), RFC 1812 §5.3.7 (martians),
//! RFC 8200 §3–4 (IPv6 and its extension headers), RFC 4291 §2.5 (addresses), RFC 1858 and RFC
//! 3128 (tiny and overlapping fragments), RFC 7112 (first fragments), RFC 6946 (atomic ones).

use core::net::{Ipv4Addr, Ipv6Addr};

use base::{FlowKey, Mac, Protocol};

use crate::bytes::array;
use crate::malformed::Malformed;

mod ipv4;
mod ipv6;
mod transport;

pub use ipv6::MAXIMUM_EXTENSION_HEADERS;
pub(crate) use ipv6::walk;

/// Octets of an Ethernet header without a tag.
pub const ETHERNET_LENGTH: usize = 14;
/// Ethernet type of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Ethernet type of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// Ethernet type of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// A frame, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Headers {
    /// Whom the frame is for on this segment.
    pub destination: Mac,
    /// Who put it on this segment.
    pub source: Mac,
    /// What it carries.
    pub body: Body,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// ARP, to be read by [`crate::arp::parse`].
    Arp,
    /// IPv4 or IPv6.
    Ip(Ip),
    /// Anything else: the Ethernet type, or the length of an IEEE 802.3 frame.
    Other(u16),
}

/// The IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// An IP packet's headers. Offsets are from the first octet of the frame.
#[derive(Clone, Copy, Debug)]
pub struct Ip {
    /// Which IP.
    pub version: Version,
    /// Sender, IPv4 being IPv4-mapped.
    pub source: Ipv6Addr,
    /// Receiver, IPv4 being IPv4-mapped.
    pub destination: Ipv6Addr,
    /// Upper layer, behind the extension headers. An IPv6 routing header that still names hops
    /// stands here itself (43): what lies behind it is not yet anyone's business (RFC 8200 §4.4).
    pub protocol: Protocol,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Where the IP header starts.
    pub header: u16,
    /// Where the upper-layer header starts, or the data of a later fragment.
    pub payload: u16,
    /// One past the packet; what follows in the frame is padding. Large segments reach 64 KiB.
    pub end: u32,
    /// Routers must not fragment it: the DF bit, always so for IPv6.
    pub dont_fragment: bool,
    /// Set for every fragment, first ones included. An atomic fragment (RFC 6946) is none.
    pub fragment: Option<Fragment>,
    /// The upper-layer header.
    pub transport: Transport,
}

/// Which piece of a fragmented packet this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Joins the pieces; 16 bits for IPv4.
    pub identification: u32,
    /// Octets of the original payload before this piece.
    pub offset: u16,
    /// Not the last.
    pub more: bool,
}

/// The upper-layer header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// RFC 9293.
    Tcp(Tcp),
    /// RFC 768.
    Udp(Udp),
    /// RFC 792 over IPv4, RFC 4443 over IPv6.
    Icmp(Icmp),
    /// Not in this packet: a fragment other than the first.
    LaterFragment,
    /// A protocol that is only forwarded.
    Other,
}

/// What matters of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// Number of the first octet carried.
    pub sequence: u32,
    /// Number of the next octet expected, if [`TcpFlags::ACK`].
    pub acknowledgement: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// As in the header, unscaled.
    pub window: u16,
    /// Octets carried; in a first fragment, those in it.
    pub payload_length: u32,
}

/// What matters of a UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Sender's port, 0 if it wants no answer.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
}

/// What matters of an ICMP header, of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// Identifier of an echo request or reply, otherwise 0.
    pub identifier: u16,
}

/// TCP control bits (RFC 9293 §3.1).
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);
    /// Congestion was seen (RFC 3168 §6.1).
    pub const ECE: Self = Self(0x40);
    /// The congestion window was reduced (RFC 3168 §6.1).
    pub const CWR: Self = Self(0x80);

    /// Whether every bit of `other` is set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl core::ops::BitOr for TcpFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Ip {
    /// The 5-tuple, of TCP and UDP packets that show their ports.
    #[inline]
    pub const fn flow_key(&self) -> Option<FlowKey> {
        let (source_port, destination_port) = match self.transport {
            Transport::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
            Transport::Udp(udp) => (udp.source_port, udp.destination_port),
            Transport::Icmp(_) | Transport::LaterFragment | Transport::Other => return None,
        };
        Some(FlowKey {
            source: self.source,
            destination: self.destination,
            source_port,
            destination_port,
            protocol: self.protocol,
        })
    }

    /// Octets of the upper layer in this packet.
    pub const fn payload_length(&self) -> u32 {
        self.end.saturating_sub(self.payload as u32)
    }

    /// Octets of the whole packet, from the IP header to its end.
    pub const fn length(&self) -> u32 {
        self.end.saturating_sub(self.header as u32)
    }
}

/// Takes a frame apart.
///
/// What RFC 1812 §5.2.2 and RFC 8200 have a router check is checked, the IPv4 header checksum
/// included; transport checksums are the receiver's business. Cost is bounded: the only loops run
/// over IPv4 options and over at most [`MAXIMUM_EXTENSION_HEADERS`] extension headers.
///
/// # Errors
/// Why the frame must not be used. Nothing may be answered to such a frame.
#[inline]
pub fn parse(bytes: &[u8]) -> Result<Headers, Malformed> {
    let Some((ethernet, rest)) = bytes.split_first_chunk::<ETHERNET_LENGTH>() else {
        return Err(Malformed::FrameTooShort);
    };
    let [a, b, c, d, e, f, g, h, i, j, k, l, high, low] = *ethernet;
    let destination = Mac([a, b, c, d, e, f]);
    let source = Mac([g, h, i, j, k, l]);
    if source.is_group() {
        return Err(Malformed::GroupSourceMac);
    }
    let body = match u16::from_be_bytes([high, low]) {
        ETHERTYPE_IPV4 => Body::Ip(ipv4::parse(rest)?),
        ETHERTYPE_IPV6 => Body::Ip(ipv6::parse(rest)?),
        ETHERTYPE_ARP => Body::Arp,
        other => Body::Other(other),
    };
    Ok(Headers { destination, source, body })
}

/// Whether an IPv4 address is one host's: not network 0, loopback, a group, or class E
/// (RFC 1812 §5.3.7, RFC 1122 §3.2.1.3).
#[inline]
pub(crate) const fn is_host_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && first != 127 && first < 224
}

/// Whether an IPv6 address is one host's: not unspecified, loopback, a group, or IPv4-mapped
/// (RFC 4291 §2.5.2, §2.5.3, §2.7; RFC 4038 §4.2 for mapped addresses on the wire).
#[inline]
pub(crate) fn is_host_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    bits > 1 && bits >> 120 != 0xff && bits >> 32 != 0xffff
}

/// Converts an offset that is known to fit: at most eight extension headers of 2,048 octets.
#[inline(always)]
const fn offset(value: usize) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the headers' own bounds")]
    let value = value as u16;
    value
}

/// Converts a length within a packet: at most 65,535 + 40 + 14.
#[inline(always)]
pub(crate) const fn length(value: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "bounded by 16-bit length fields")]
    let value = value as u32;
    value
}

/// The receiver named at the start of a frame, if it is that long.
pub(crate) fn ethernet_destination(bytes: &[u8]) -> Option<Mac> {
    array(bytes, 0).map(Mac)
}

#[cfg(test)]
mod tests;
