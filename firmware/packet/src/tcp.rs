//! TCP segments without payload, for resets (RFC 9293 §3.5.2).

use base::{Mac, Protocol};

use crate::bytes::put;
use crate::emit::{Envelope, TTL};
use crate::headers::TcpFlags;
use crate::rewrite::{Endpoint, TCP_CHECKSUM};

const LENGTH: usize = 20;

/// A segment to be built.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Ethernet sender.
    pub source_mac: Mac,
    /// Ethernet receiver.
    pub destination_mac: Mac,
    /// Sender.
    pub source: Endpoint,
    /// Receiver, of the same family.
    pub destination: Endpoint,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window, unscaled.
    pub window: u16,
}

/// Builds a finished frame without payload or options. Returns its length; `None` if `out` is too
/// small (54 octets over IPv4, 74 over IPv6) or the ends are of two families.
pub fn build(out: &mut [u8], segment: &Segment) -> Option<usize> {
    let envelope = Envelope {
        destination_mac: segment.destination_mac,
        source_mac: segment.source_mac,
        source: segment.source.address,
        destination: segment.destination.address,
        protocol: Protocol::TCP,
        ttl: TTL,
        class: 0,
    };
    let start = envelope.length()?;
    let header = out.get_mut(start..start + LENGTH)?;
    put(header, 0, segment.source.port.to_be_bytes());
    put(header, 2, segment.destination.port.to_be_bytes());
    put(header, 4, segment.sequence.to_be_bytes());
    put(header, 8, segment.acknowledgement.to_be_bytes());
    let [high, low] = segment.window.to_be_bytes();
    put(header, 12, [0x50, segment.flags.0, high, low, 0, 0, 0, 0]);
    envelope.seal(out, LENGTH, usize::from(TCP_CHECKSUM), true)
}

#[cfg(test)]
mod tests {
    use base::Offload;
    use base::address::mapped;
    use fixtures::{ACK, Packet, RECEIVER, RST, SENDER, at, verify};

    use super::*;

    #[test]
    fn a_reset_is_built_in_both_versions() {
        for [from, to] in [
            ["192.0.2.80:80", "198.51.100.7:40000"],
            ["[2001:db8:1::80]:80", "[2001:db8:7::7]:40000"],
        ] {
            let [from, to] = [at(from), at(to)];
            let end =
                |at: std::net::SocketAddr| Endpoint { address: mapped(at.ip()), port: at.port() };
            let segment = Segment {
                source_mac: SENDER,
                destination_mac: RECEIVER,
                source: end(from),
                destination: end(to),
                sequence: 0x1000_0000,
                acknowledgement: 0x2000_0000,
                flags: TcpFlags::RST | TcpFlags::ACK,
                window: 0xfaf0,
            };
            let mut out = [0xa5; 80];
            let length = build(&mut out, &segment).unwrap();
            assert_eq!(verify(&out[..length], &Offload::NONE), Ok(()));
            let mut expected = Packet::tcp(from, to, RST | ACK, &[]);
            expected.identification = 0;
            assert_eq!(out[..length], expected.build());
            assert_eq!(build(&mut out[..length - 1], &segment), None);
            let mixed = Endpoint { port: 1, address: core::net::Ipv6Addr::LOCALHOST };
            if from.is_ipv4() {
                assert_eq!(build(&mut out, &Segment { destination: mixed, ..segment }), None);
            }
        }
    }
}
