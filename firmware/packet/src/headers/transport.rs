//! The upper-layer header: ports, flags, and that its lengths can be.

use base::Protocol;

use super::{Fragment, Icmp, Tcp, TcpFlags, Transport, Udp, Version, length};
use crate::malformed::Malformed;

const TCP_MINIMUM: usize = 20;
const UDP_LENGTH: usize = 8;
const ICMP_LENGTH: usize = 8;

/// Parses the upper-layer header at the start of `payload`, which ends where the packet ends.
///
/// A first fragment must hold the whole fixed header (RFC 1858 §4, RFC 7112 §5): what decides
/// where a packet goes may not come later. TCP options may.
#[inline(always)]
pub fn parse(
    payload: &[u8],
    version: Version,
    protocol: Protocol,
    fragment: Option<Fragment>,
) -> Result<Transport, Malformed> {
    let whole = match fragment {
        None => true,
        Some(Fragment { offset: 0, .. }) => false,
        Some(_) => return Ok(Transport::LaterFragment),
    };
    let short = if whole { Malformed::BadTransport } else { Malformed::TinyFragment };
    match (protocol, version) {
        (Protocol::TCP, _) => tcp(payload, whole, short),
        (Protocol::UDP, _) => udp(payload, whole, short),
        (Protocol::ICMP, Version::V4) => icmp(payload, [0, 8], short),
        (Protocol::ICMPV6, Version::V6) => icmp(payload, [128, 129], short),
        (_, Version::V4 | Version::V6) => Ok(Transport::Other),
    }
}

#[inline(always)]
fn tcp(payload: &[u8], whole: bool, short: Malformed) -> Result<Transport, Malformed> {
    let Some((header, _)) = payload.split_first_chunk::<TCP_MINIMUM>() else { return Err(short) };
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, data_offset, flags, w0, w1, ..] = *header;
    let header_length = usize::from(data_offset >> 4) * 4;
    if header_length < TCP_MINIMUM || (whole && header_length > payload.len()) {
        return Err(Malformed::BadTransport);
    }
    Ok(Transport::Tcp(Tcp {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        sequence: u32::from_be_bytes([q0, q1, q2, q3]),
        acknowledgement: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
        payload_length: length(payload.len().saturating_sub(header_length)),
    }))
}

#[inline(always)]
fn udp(payload: &[u8], whole: bool, short: Malformed) -> Result<Transport, Malformed> {
    let Some((header, _)) = payload.split_first_chunk::<UDP_LENGTH>() else { return Err(short) };
    let [s0, s1, d0, d1, l0, l1, _, _] = *header;
    let said = usize::from(u16::from_be_bytes([l0, l1]));
    if said < UDP_LENGTH || (whole && said > payload.len()) {
        return Err(Malformed::BadTransport);
    }
    Ok(Transport::Udp(Udp {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
    }))
}

fn icmp(payload: &[u8], echo: [u8; 2], short: Malformed) -> Result<Transport, Malformed> {
    let Some((header, _)) = payload.split_first_chunk::<ICMP_LENGTH>() else { return Err(short) };
    let [kind, code, _, _, i0, i1, _, _] = *header;
    let identifier = if echo.contains(&kind) { u16::from_be_bytes([i0, i1]) } else { 0 };
    Ok(Transport::Icmp(Icmp { kind, code, identifier }))
}
