//! Writing the headers of frames that start here. Every octet is written, so the buffer may be
//! dirty.

use core::net::Ipv6Addr;

use base::{Mac, Protocol};

use crate::bytes::{put, put16};
use crate::checksum::{finish, fold, pseudo_header, sum};
use crate::headers::{ETHERNET_LENGTH, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Version};
use crate::rewrite::{IPV4_CHECKSUM, is_of, put_address};

/// Time to live of what starts here (the default of RFC 1700, IP parameters).
pub const TTL: u8 = 64;
/// Precedence "internetwork control", for errors of a router (RFC 1812 §4.3.2.5).
pub const INTERNETWORK_CONTROL: u8 = 0xc0;

/// What the two headers before an upper-layer message say.
pub struct Envelope {
    pub destination_mac: Mac,
    pub source_mac: Mac,
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub protocol: Protocol,
    pub ttl: u8,
    /// Type of service or traffic class.
    pub class: u8,
}

impl Envelope {
    /// The common version of both addresses, if they have one.
    pub fn version(&self) -> Option<Version> {
        [Version::V4, Version::V6]
            .into_iter()
            .find(|&version| is_of(self.source, version) && is_of(self.destination, version))
    }

    /// Octets before the message.
    pub fn length(&self) -> Option<usize> {
        Some(ETHERNET_LENGTH + ip_length(self.version()?))
    }

    /// Writes both headers for a message of `length` octets, which stands behind them already,
    /// and the message's checksum at `field` octets into it, under a pseudo-header if
    /// `covers_addresses`. Returns the length of the frame.
    pub fn seal(
        &self,
        out: &mut [u8],
        length: usize,
        field: usize,
        covers_addresses: bool,
    ) -> Option<usize> {
        let version = self.version()?;
        let start = ETHERNET_LENGTH + ip_length(version);
        let end = start + length;
        let total = u16::try_from(end - ETHERNET_LENGTH).ok()?;
        let out = out.get_mut(..end)?;
        ethernet(
            out,
            self.destination_mac,
            self.source_mac,
            match version {
                Version::V4 => ETHERTYPE_IPV4,
                Version::V6 => ETHERTYPE_IPV6,
            },
        );
        match version {
            Version::V4 => self.ipv4(out, total),
            Version::V6 => self.ipv6(out, u16::try_from(length).ok()?),
        }
        put16(out, start + field, 0);
        let pseudo = if covers_addresses {
            let length = u32::try_from(length).ok()?;
            pseudo_header(self.source, self.destination, self.protocol, length)
        } else {
            0
        };
        let sum = pseudo + sum(out.get(start..)?);
        put16(out, start + field, finish(sum, self.protocol == Protocol::UDP));
        Some(end)
    }

    /// Whole and never to be fragmented, so the identification means nothing (RFC 6864 §4.1).
    fn ipv4(&self, out: &mut [u8], total: u16) {
        let [high, low] = total.to_be_bytes();
        let fixed = [0x45, self.class, high, low, 0, 0, 0x40, 0, self.ttl, self.protocol.0, 0, 0];
        put(out, ETHERNET_LENGTH, fixed);
        put_address(out, ETHERNET_LENGTH + 12, Version::V4, self.source);
        put_address(out, ETHERNET_LENGTH + 16, Version::V4, self.destination);
        seal_ipv4(out, 20);
    }

    fn ipv6(&self, out: &mut [u8], length: u16) {
        let [high, low] = length.to_be_bytes();
        let class = [0x60 | self.class >> 4, self.class << 4, 0, 0];
        put(out, ETHERNET_LENGTH, class);
        put(out, ETHERNET_LENGTH + 4, [high, low, self.protocol.0, self.ttl]);
        put(out, ETHERNET_LENGTH + 8, self.source.octets());
        put(out, ETHERNET_LENGTH + 24, self.destination.octets());
    }
}

/// Octets of an IP header without options.
pub const fn ip_length(version: Version) -> usize {
    match version {
        Version::V4 => 20,
        Version::V6 => 40,
    }
}

/// Writes an Ethernet header.
pub fn ethernet(out: &mut [u8], destination: Mac, source: Mac, ethertype: u16) {
    put(out, 0, destination.0);
    put(out, 6, source.0);
    put16(out, 12, ethertype);
}

/// Computes the IPv4 header checksum of the `length` octets behind the Ethernet header.
pub fn seal_ipv4(out: &mut [u8], length: usize) {
    put16(out, ETHERNET_LENGTH + IPV4_CHECKSUM, 0);
    let header = out.get(ETHERNET_LENGTH..ETHERNET_LENGTH + length).unwrap_or_default();
    let checksum = !fold(sum(header));
    put16(out, ETHERNET_LENGTH + IPV4_CHECKSUM, checksum);
}
