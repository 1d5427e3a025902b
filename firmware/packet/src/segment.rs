//! Cutting what is too large: large segments into wire frames, IPv4 packets into fragments.
//!
//! Used where the sending port cannot cut for itself: its MTU is smaller than the segments, or
//! lengths have changed. Output is asked for piece by piece, so nothing is buffered here.
//!
//! Reading list: RFC 791 §3.2 (fragmentation, copied options), RFC 9293 §3.1 (sequence numbers,
//! flags), RFC 3168 §6.1.2 (CWR goes out once), virtio 1.2 §5.1.6 (the offload header).

use base::{Gso, Offload, Protocol};

use crate::bytes::{be16, octet, put, put16};
use crate::checksum::{complete, finish, pseudo_header, sum};
use crate::emit::seal_ipv4;
use crate::headers::{ETHERNET_LENGTH, Ip, Tcp, TcpFlags, Transport, Version};
use crate::rewrite::{TCP_CHECKSUM, UDP_CHECKSUM};

const UDP_HEADER: usize = 8;
const IPV4_HEADER: usize = 20;
/// Fragments of one packet: the most that 65,535 octets give in pieces of eight.
const MAXIMUM_PIECES: usize = 8192;

/// Writes the `index`-th finished wire frame of a frame, all checksums complete, without padding.
/// A frame that is not to be cut gives one, finished.
///
/// Returns its length. `None` past the last one, if `out` is too small, or if the offload header
/// does not describe the packet.
pub fn segment(
    out: &mut [u8],
    bytes: &[u8],
    ip: &Ip,
    offload: &Offload,
    index: usize,
) -> Option<usize> {
    let packet = bytes.get(..usize::try_from(ip.end).ok()?)?;
    let upper = match (offload.gso, ip.transport, ip.version) {
        (Gso::None, _, _) => return whole(out, packet, offload, index),
        (Gso::TcpV4, Transport::Tcp(tcp), Version::V4)
        | (Gso::TcpV6, Transport::Tcp(tcp), Version::V6) => Upper::Tcp(tcp),
        (Gso::Udp, Transport::Udp(_), Version::V4 | Version::V6) => Upper::Udp,
        (Gso::TcpV4 | Gso::TcpV6 | Gso::Udp, _, Version::V4 | Version::V6) => return None,
    };
    if ip.fragment.is_some() {
        return None;
    }
    let start = usize::from(ip.payload);
    let headers = start
        + match upper {
            Upper::Tcp(_) => usize::from(octet(packet, start + 12)? >> 4) * 4,
            Upper::Udp => UDP_HEADER,
        };
    let payload = packet.get(headers..)?;
    let size = match offload.gso_size {
        0 => payload.len().max(1),
        size => usize::from(size),
    };
    let first = index.checked_mul(size)?;
    if index > 0 && first >= payload.len() {
        return None;
    }
    let last = first + size >= payload.len();
    let piece = payload.get(first..payload.len().min(first + size))?;

    let end = headers + piece.len();
    let out = out.get_mut(..end)?;
    out.get_mut(..headers)?.copy_from_slice(packet.get(..headers)?);
    out.get_mut(headers..)?.copy_from_slice(piece);
    set_ip_length(out, ip, index)?;
    match upper {
        Upper::Tcp(tcp) => set_tcp(out, start, &tcp, first, last),
        Upper::Udp => put16(out, start + 4, u16::try_from(end - start).ok()?),
    }
    seal_transport(out, ip, offload)?;
    Some(end)
}

enum Upper {
    Tcp(Tcp),
    Udp,
}

/// The one frame of a packet that is not to be cut.
fn whole(out: &mut [u8], packet: &[u8], offload: &Offload, index: usize) -> Option<usize> {
    if index > 0 {
        return None;
    }
    let out = out.get_mut(..packet.len())?;
    out.copy_from_slice(packet);
    let mut offload = *offload;
    complete(out, &mut offload).then_some(packet.len())
}

/// Lengths, and for IPv4 a consecutive identification and the header checksum.
fn set_ip_length(out: &mut [u8], ip: &Ip, index: usize) -> Option<()> {
    let header = usize::from(ip.header);
    match ip.version {
        Version::V4 => {
            put16(out, header + 2, u16::try_from(out.len() - header).ok()?);
            #[expect(clippy::cast_possible_truncation, reason = "identifications wrap")]
            let identification = be16(out, header + 4)?.wrapping_add(index as u16);
            put16(out, header + 4, identification);
            seal_ipv4(out, usize::from(ip.payload) - header);
        }
        Version::V6 => put16(out, header + 4, u16::try_from(out.len() - header - 40).ok()?),
    }
    Some(())
}

/// Only the last segment ends the data or pushes it; only the first says that the window shrank.
fn set_tcp(out: &mut [u8], start: usize, tcp: &Tcp, first: usize, last: bool) {
    #[expect(clippy::cast_possible_truncation, reason = "less than 64 KiB into the payload")]
    put(out, start + 4, tcp.sequence.wrapping_add(first as u32).to_be_bytes());
    let mut flags = tcp.flags.0;
    if !last {
        flags &= !(TcpFlags::FIN.0 | TcpFlags::PSH.0);
    }
    if first > 0 {
        flags &= !TcpFlags::CWR.0;
    }
    put(out, start + 13, [flags]);
}

/// A full transport checksum. A UDP checksum of zero that nobody was to finish stays: there is
/// none.
fn seal_transport(out: &mut [u8], ip: &Ip, offload: &Offload) -> Option<()> {
    let start = usize::from(ip.payload);
    let offset = if ip.protocol == Protocol::TCP { TCP_CHECKSUM } else { UDP_CHECKSUM };
    let field = start + usize::from(offset);
    if ip.protocol == Protocol::UDP && !offload.needs_checksum && be16(out, field)? == 0 {
        return Some(());
    }
    put16(out, field, 0);
    let length = u32::try_from(out.len() - start).ok()?;
    let pseudo = pseudo_header(ip.source, ip.destination, ip.protocol, length);
    let sum = pseudo + sum(out.get(start..)?);
    put16(out, field, finish(sum, ip.protocol == Protocol::UDP));
    Some(())
}

/// Writes the `index`-th IPv4 fragment of a finished frame for a link that carries packets of
/// `mtu` octets. A packet that fits gives itself. A fragment is cut further.
///
/// Returns the length of the frame. `None` past the last, if the packet is IPv6 or says "don't
/// fragment", if `mtu` leaves no room for eight octets, or if `out` is too small.
pub fn fragment(out: &mut [u8], bytes: &[u8], ip: &Ip, mtu: u32, index: usize) -> Option<usize> {
    if ip.version != Version::V4 || index >= MAXIMUM_PIECES {
        return None;
    }
    let packet = bytes.get(..usize::try_from(ip.end).ok()?)?;
    let mtu = usize::try_from(mtu).ok()?;
    if packet.len() - ETHERNET_LENGTH <= mtu {
        return whole(out, packet, &Offload::NONE, index);
    }
    if ip.dont_fragment {
        return None;
    }
    let data = packet.get(usize::from(ip.payload)..)?;
    let full = packet.get(ETHERNET_LENGTH..usize::from(ip.payload))?;
    let mut copied = [0; 60];
    let copied_length = copied_header(&mut copied, full)?;
    let room = |header: usize| mtu.checked_sub(header).map(|room| room & !7).filter(|&n| n > 0);
    let first_room = room(full.len())?;
    let later_room = room(copied_length)?;

    let (header, from, size) = match index.checked_sub(1) {
        None => (full, 0, first_room),
        Some(before) => {
            (copied.get(..copied_length)?, first_room + before * later_room, later_room)
        }
    };
    if from >= data.len() {
        return None;
    }
    let piece = data.get(from..data.len().min(from + size))?;
    let last = from + piece.len() == data.len();
    let (offset, more) = ip.fragment.map_or((0, false), |f| (usize::from(f.offset), f.more));

    let start = ETHERNET_LENGTH + header.len();
    let end = start + piece.len();
    let out = out.get_mut(..end)?;
    out.get_mut(..ETHERNET_LENGTH)?.copy_from_slice(packet.get(..ETHERNET_LENGTH)?);
    out.get_mut(ETHERNET_LENGTH..start)?.copy_from_slice(header);
    out.get_mut(start..)?.copy_from_slice(piece);
    put16(out, ETHERNET_LENGTH + 2, u16::try_from(end - ETHERNET_LENGTH).ok()?);
    let eighths = u16::try_from((offset + from) / 8).ok()?;
    let more = if more || !last { 0x2000 } else { 0 };
    put16(out, ETHERNET_LENGTH + 6, more | eighths);
    seal_ipv4(out, header.len());
    Some(end)
}

/// The header of later fragments: only options whose copied bit is set (RFC 791 §3.1), filled up
/// with zeros to a multiple of four. Returns its length.
fn copied_header(copied: &mut [u8; 60], full: &[u8]) -> Option<usize> {
    copied.get_mut(..IPV4_HEADER)?.copy_from_slice(full.get(..IPV4_HEADER)?);
    let mut length = IPV4_HEADER;
    let mut options = full.get(IPV4_HEADER..)?;
    while let Some((&kind, after)) = options.split_first() {
        match kind {
            0 => break,
            1 => options = after,
            _ => {
                let size = usize::from(*after.first()?).max(2);
                let (option, rest) = options.split_at_checked(size)?;
                if kind & 0x80 != 0 {
                    copied.get_mut(length..length + size)?.copy_from_slice(option);
                    length += size;
                }
                options = rest;
            }
        }
    }
    let length = length.next_multiple_of(4);
    #[expect(clippy::cast_possible_truncation, reason = "at most 60 octets: fifteen words")]
    let words = (length / 4) as u8;
    copied[0] = 0x40 | words;
    Some(length)
}

#[cfg(test)]
mod tests;
