//! UDP datagrams that start here (RFC 768, over IPv6 RFC 8200 §8.1).

use base::{Mac, Protocol};

use crate::bytes::{put, put16};
use crate::emit::{Envelope, TTL};
use crate::rewrite::{Endpoint, UDP_CHECKSUM};

/// Octets of a UDP header.
pub const HEADER: usize = 8;

/// A datagram to be built.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'p> {
    /// Ethernet sender.
    pub source_mac: Mac,
    /// Ethernet receiver.
    pub destination_mac: Mac,
    /// Sender.
    pub source: Endpoint,
    /// Receiver, of the same family.
    pub destination: Endpoint,
    /// Type of service or traffic class.
    pub class: u8,
    /// What it says.
    pub payload: &'p [u8],
}

/// Builds a finished frame that routers must not fragment. Returns its length; `None` if `out` is
/// too small (42 octets more than the payload over IPv4, 62 over IPv6), the payload does not fit
/// into a datagram, or the ends are of two families.
pub fn build(out: &mut [u8], datagram: &Datagram<'_>) -> Option<usize> {
    let envelope = Envelope {
        destination_mac: datagram.destination_mac,
        source_mac: datagram.source_mac,
        source: datagram.source.address,
        destination: datagram.destination.address,
        protocol: Protocol::UDP,
        ttl: TTL,
        class: datagram.class,
    };
    let start = envelope.length()?;
    let length = HEADER + datagram.payload.len();
    let message = out.get_mut(start..start + length)?;
    put(message, 0, datagram.source.port.to_be_bytes());
    put(message, 2, datagram.destination.port.to_be_bytes());
    put16(message, 4, u16::try_from(length).ok()?);
    message.get_mut(HEADER..)?.copy_from_slice(datagram.payload);
    envelope.seal(out, length, usize::from(UDP_CHECKSUM), true)
}

#[cfg(test)]
mod tests {
    use base::Offload;
    use base::address::mapped;
    use fixtures::{Packet, RECEIVER, SENDER, at, verify};

    use super::*;

    #[test]
    fn a_datagram_is_built_in_both_versions_into_dirty_memory() {
        for [from, to] in [
            ["192.0.2.11:5405", "192.0.2.12:5405"],
            ["[2001:db8:1::11]:5405", "[2001:db8:1::12]:5405"],
        ] {
            let [from, to] = [at(from), at(to)];
            let end =
                |at: std::net::SocketAddr| Endpoint { address: mapped(at.ip()), port: at.port() };
            let payloads: [&[u8]; 3] = [b"", b"x", b"an even one."];
            for payload in payloads {
                let datagram = Datagram {
                    source_mac: SENDER,
                    destination_mac: RECEIVER,
                    source: end(from),
                    destination: end(to),
                    class: 0,
                    payload,
                };
                let mut out = [0xa5; 80];
                let length = build(&mut out, &datagram).unwrap();
                assert_eq!(verify(&out[..length], &Offload::NONE), Ok(()));
                let mut expected = Packet::udp(from, to, payload);
                expected.identification = 0;
                assert_eq!(out[..length], expected.build());
                assert_eq!(build(&mut out[..length - 1], &datagram), None);
                let mixed = Endpoint { port: 1, address: core::net::Ipv6Addr::LOCALHOST };
                if from.is_ipv4() {
                    let mixed = Datagram { destination: mixed, ..datagram };
                    assert_eq!(build(&mut out, &mixed), None);
                }
            }
            let huge = std::vec![0; 65_536];
            let datagram = Datagram {
                source_mac: SENDER,
                destination_mac: RECEIVER,
                source: end(from),
                destination: end(to),
                class: 0,
                payload: &huge,
            };
            assert_eq!(build(&mut std::vec![0; 70_000], &datagram), None, "no length says so");
        }
    }
}
