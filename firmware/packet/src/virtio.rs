//! The header that travels before a frame on sockets with `PACKET_VNET_HDR`: `struct
//! virtio_net_hdr` without the buffer count (virtio 1.2 §5.1.6, Linux `include/uapi/linux/
//! virtio_net.h`). Its numbers are in the machine's own byte order, as legacy virtio has them.

use base::{Gso, Offload};

/// Octets of the header.
pub const HEADER_LENGTH: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What the header says. A segmentation kind that Linux does not hand to packet sockets (the old
/// UDP fragmentation offload among them) reads as none: the frame is then as long as it is.
#[inline]
pub const fn decode(header: &[u8; HEADER_LENGTH]) -> Offload {
    let [flags, kind, a, b, c, d, e, f, g, h] = *header;
    let gso = match kind & !GSO_ECN {
        GSO_TCPV4 => Gso::TcpV4,
        GSO_TCPV6 => Gso::TcpV6,
        GSO_UDP_L4 => Gso::Udp,
        _ => Gso::None,
    };
    let cut = !matches!(gso, Gso::None);
    Offload {
        needs_checksum: flags & NEEDS_CSUM != 0,
        checksum_valid: flags & DATA_VALID != 0,
        header_length: u16::from_ne_bytes([a, b]),
        gso_size: if cut { u16::from_ne_bytes([c, d]) } else { 0 },
        checksum_start: u16::from_ne_bytes([e, f]),
        checksum_offset: u16::from_ne_bytes([g, h]),
        gso,
        gso_ecn: cut && kind & GSO_ECN != 0,
    }
}

/// The header that says `offload`.
#[inline]
pub const fn encode(offload: &Offload) -> [u8; HEADER_LENGTH] {
    let valid = if offload.checksum_valid { DATA_VALID } else { 0 };
    let flags = if offload.needs_checksum { NEEDS_CSUM } else { 0 } | valid;
    let ecn = if offload.gso_ecn { GSO_ECN } else { 0 };
    let kind = match offload.gso {
        Gso::None => GSO_NONE,
        Gso::TcpV4 => GSO_TCPV4 | ecn,
        Gso::TcpV6 => GSO_TCPV6 | ecn,
        Gso::Udp => GSO_UDP_L4 | ecn,
    };
    let [a, b] = offload.header_length.to_ne_bytes();
    let [c, d] = offload.gso_size.to_ne_bytes();
    let [e, f] = offload.checksum_start.to_ne_bytes();
    let [g, h] = offload.checksum_offset.to_ne_bytes();
    [flags, kind, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_again() {
        for gso in [Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::Udp] {
            let cut = gso != Gso::None;
            let offload = Offload {
                needs_checksum: true,
                checksum_valid: !cut,
                checksum_start: 34,
                checksum_offset: 16,
                gso,
                gso_ecn: cut,
                gso_size: if cut { 1448 } else { 0 },
                header_length: 66,
            };
            assert_eq!(decode(&encode(&offload)), offload, "{gso:?}");
        }
    }

    #[test]
    fn the_header_is_laid_out_as_linux_has_it() {
        let mut header = [1, 0x81, 0, 0, 0, 0, 0, 0, 0, 0];
        for (at, value) in [(2, 66u16), (4, 1448), (6, 34), (8, 16)] {
            header[at..at + 2].copy_from_slice(&value.to_ne_bytes());
        }
        let offload = decode(&header);
        assert!(offload.needs_checksum && offload.gso_ecn && !offload.checksum_valid);
        assert_eq!((offload.gso, offload.gso_size, offload.header_length), (Gso::TcpV4, 1448, 66));
        assert_eq!((offload.checksum_start, offload.checksum_offset), (34, 16));
        assert_eq!(encode(&offload), header);
    }

    #[test]
    fn an_unknown_segmentation_kind_reads_as_none() {
        let offload = decode(&[0, 3, 0, 0, 9, 9, 0, 0, 0, 0]);
        assert_eq!(offload, Offload::NONE);
    }
}
