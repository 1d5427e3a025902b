//! Frames: one through the parser and every function that takes foreign bytes.
//!
//! ```text
//!  0                6                16
//!  | choices        | offload header | frame, or a capture file …
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base::address::mapped;
use base::{Mac, Offload};
use packet::headers::{Body, Headers, Ip, Transport, Version};
use packet::icmp::{ErrorKind, OuterTranslation, Reply};
use packet::rewrite::{Endpoint, Translation};
use packet::{arp, checksum, headers, icmp, ndp, pcap, rewrite, segment, steer, virtio};

use crate::Seeds;

mod seeds;

const HERE: Mac = Mac([2, 0, 0, 0, 0, 1]);
const THERE: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// Pieces of one frame looked at.
const PIECES: usize = 6;

/// Runs one input. Panics if something is not as it must be.
pub fn input(input: &[u8]) {
    let Some((choices, rest)) = input.split_first_chunk::<6>() else { return };
    let Some((header, frame)) = rest.split_first_chunk::<{ virtio::HEADER_LENGTH }>() else {
        return;
    };
    let offload = virtio::decode(header);
    let mut sealed = frame.to_vec();
    if choices[0] & 0x80 != 0 {
        seal(&mut sealed);
    }
    let frame = sealed.as_slice();
    assert_eq!(virtio::decode(&virtio::encode(&offload)), offload);
    capture(frame);
    steered(frame, choices[0]);
    finished(frame, &offload);
    if let Ok(arp) = arp::parse(frame) {
        let mut out = [0; 60];
        assert_eq!(arp::emit(&mut out, HERE, THERE, &arp), Some(60));
        assert_eq!(arp::parse(&out), Ok(arp));
    }
    let Ok(headers) = headers::parse(frame) else { return };
    let Body::Ip(ip) = headers.body else { return };
    sound(frame, &ip);
    translated(frame, &ip, &offload, choices);
    quoting(frame, &ip, &offload, choices);
    answered(frame, &headers, &ip, &offload);
    cut(frame, &ip, &offload, choices);
    let _ = ndp::parse(frame, &ip, &offload);
}

/// Where fuzzing starts.
pub fn seeds() -> Seeds {
    Seeds { inputs: seeds::inputs(), words: Vec::new() }
}

/// Fills in the IPv4 header checksum, so that changes get past it.
fn seal(frame: &mut [u8]) {
    let Some(&first) = frame.get(14) else { return };
    let end = 14 + usize::from(first & 15) * 4;
    if frame[12] == 8 && end >= 34 && frame.len() >= end {
        frame[24..26].fill(0);
        let sum = !fixtures::checksum(&frame[14..end]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
}

/// What every parsed packet promises.
fn sound(frame: &[u8], ip: &Ip) {
    let [payload, end] = [usize::from(ip.payload), ip.end as usize];
    assert!(ip.header == 14 && payload >= 34 && payload <= end && end <= frame.len());
    assert_eq!(ip.source.to_ipv4_mapped().is_some(), ip.version == Version::V4);
    assert_eq!(ip.destination.to_ipv4_mapped().is_some(), ip.version == Version::V4);
    let room = end - payload;
    match ip.transport {
        Transport::Tcp(tcp) => assert!(room >= 20 && tcp.payload_length as usize <= room - 20),
        Transport::Udp(_) | Transport::Icmp(_) => assert!(room >= 8),
        Transport::LaterFragment => assert!(ip.fragment.is_some_and(|part| part.offset > 0)),
        Transport::Other => {}
    }
    // Padding means nothing.
    let cut = parsed(&frame[..end]);
    assert_eq!(format!("{cut:?}"), format!("{ip:?}"));
}

fn parsed(frame: &[u8]) -> Ip {
    match headers::parse(frame).map(|headers| headers.body) {
        Ok(Body::Ip(ip)) => ip,
        other => panic!("no longer IP: {other:?}"),
    }
}

fn endpoint(version: Version, choice: u8, port: u8) -> Endpoint {
    let address = match version {
        Version::V4 => mapped(IpAddr::V4(Ipv4Addr::new(10, 0, choice, 7))),
        Version::V6 => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, u16::from(choice), 7),
    };
    Endpoint { address, port: u16::from(port) << 8 | 1 }
}

fn ports(ip: &Ip) -> Option<[u16; 2]> {
    ip.flow_key().map(|key| [key.source_port, key.destination_port])
}

/// Where checksums are, zero and all ones are one number: they are set alike.
fn normal(frame: &[u8], ip: &Ip) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let field = match ip.transport {
        Transport::Tcp(_) => 16,
        Transport::Udp(_) => 6,
        Transport::Icmp(_) => 2,
        Transport::LaterFragment | Transport::Other => 0,
    };
    let transport = (field > 0).then_some(usize::from(ip.payload) + field);
    let header = (ip.version == Version::V4).then_some(24);
    for at in [transport, header].into_iter().flatten() {
        if frame.get(at..at + 2) == Some(&[0xff, 0xff]) {
            frame[at..at + 2].fill(0);
        }
    }
    frame
}

/// There and back again gives the same packet.
fn translated(frame: &[u8], ip: &Ip, offload: &Offload, choices: &[u8; 6]) {
    let mut bytes = frame.to_vec();
    let new = [1, 2].map(|i| endpoint(ip.version, choices[i], choices[i + 2]));
    let which = [choices[0] & 1 != 0, choices[0] & 2 != 0];
    let there =
        Translation { source: which[0].then_some(new[0]), destination: which[1].then_some(new[1]) };
    rewrite::translate(&mut bytes, ip, offload, &there);
    let after = parsed(&bytes);
    for (given, address, old) in [
        (there.source, after.source, ip.source),
        (there.destination, after.destination, ip.destination),
    ] {
        assert_eq!(address, given.map_or(old, |end| end.address));
    }
    let before = ports(ip).unwrap_or_default();
    let back = Translation {
        source: which[0].then_some(Endpoint { address: ip.source, port: before[0] }),
        destination: which[1].then_some(Endpoint { address: ip.destination, port: before[1] }),
    };
    // The way back of an illegal source (`::` of neighbour discovery) is legal too.
    rewrite::translate(&mut bytes, &after, offload, &back);
    assert_eq!(normal(&bytes, ip), normal(frame, ip));

    rewrite::decrement_ttl(&mut bytes, ip);
    rewrite::set_ethernet(&mut bytes, HERE, THERE);
    assert_eq!(parsed(&bytes).ttl, ip.ttl.saturating_sub(1));
}

fn quoting(frame: &[u8], ip: &Ip, offload: &Offload, choices: &[u8; 6]) {
    let Some(Ok(quoted)) = icmp::quoted(frame, ip) else { return };
    assert!(quoted.header < quoted.payload && quoted.payload <= quoted.end);
    assert!(quoted.end <= ip.end && quoted.version == ip.version);
    let mut bytes = frame.to_vec();
    let [one, other] = [1, 2].map(|i| endpoint(ip.version, choices[i], choices[i + 2]));
    let outer = OuterTranslation { source: None, destination: Some(one.address) };
    let inner = Translation { source: Some(one), destination: Some(other) };
    icmp::translate_error(&mut bytes, ip, offload, &quoted, &outer, &inner);
    let after = parsed(&bytes);
    assert_eq!((after.source, after.destination), (ip.source, one.address));
    let again = icmp::quoted(&bytes, &after).and_then(Result::ok).expect("still quotes");
    assert_eq!((again.source, again.destination), (one.address, other.address));
    assert_eq!(again.source_port, quoted.source_port.map(|_| one.port));
    assert_eq!(again.destination_port, quoted.destination_port.map(|_| other.port));
    // What was right stays right, whatever is quoted.
    let whole = ip.fragment.is_none() && !offload.needs_checksum;
    if whole && right(frame, ip) {
        assert!(right(&bytes, &after), "the ICMP checksum broke");
    }
}

/// Whether the ICMP checksum is right, by the slow way.
fn right(frame: &[u8], ip: &Ip) -> bool {
    let message = &frame[usize::from(ip.payload)..ip.end as usize];
    let [source, destination] = [ip.source, ip.destination].map(base::address::unmapped);
    let mut covered = match ip.version {
        Version::V4 => vec![],
        Version::V6 => fixtures::pseudo_header(source, destination, 58, message.len()),
    };
    covered.extend(message);
    fixtures::checksum(&covered) == 0xffff
}

fn answered(frame: &[u8], headers: &Headers, ip: &Ip, offload: &Offload) {
    let may = icmp::may_answer(frame, headers);
    assert!(!(may && headers.destination.is_group()));
    for kind in [
        ErrorKind::TimeExceeded,
        ErrorKind::FragmentationNeeded { mtu: 1400 },
        ErrorKind::AdministrativelyProhibited,
    ] {
        let source = base::address::unmapped(endpoint(ip.version, 9, 9).address);
        let reply = Reply { source_mac: HERE, destination_mac: THERE, source };
        let mut out = [0; 1294];
        let Some(length) = icmp::build_error(&mut out, frame, ip, kind, &reply) else {
            // Only an unspecified sender's error goes nowhere.
            panic!("no error could be built");
        };
        assert!(length <= if ip.version == Version::V4 { 590 } else { 1294 });
        if may {
            let error = parsed(&out[..length]);
            assert!(right(&out[..length], &error));
            assert!(icmp::quoted(&out[..length], &error).is_some());
        }
    }
    let mut bytes = frame.to_vec();
    let mut left = *offload;
    if icmp::echo_reply_in_place(&mut bytes, ip, &mut left, HERE, THERE) {
        let reply = parsed(&bytes);
        assert_eq!((reply.source, reply.destination), (ip.destination, ip.source));
        assert!(right(&bytes, &reply) || offload.needs_checksum);
    } else if !offload.needs_checksum {
        assert_eq!(bytes, frame);
    }
}

fn cut(frame: &[u8], ip: &Ip, offload: &Offload, choices: &[u8; 6]) {
    let mut out = vec![0; 66_000];
    for index in (0..PIECES).chain([usize::from(choices[5]) << 8]) {
        if let Some(length) = segment::segment(&mut out, frame, ip, offload, index) {
            if !honest(ip, offload) {
                continue;
            }
            let piece = parsed(&out[..length]);
            assert_eq!(piece.end as usize, length);
            assert_eq!(ports(&piece), ports(ip));
        }
    }
    let mtu = u32::from(choices[1]) << 8 | u32::from(choices[2]);
    for index in (0..PIECES).chain([usize::from(choices[5]) << 8]) {
        if let Some(length) = segment::fragment(&mut out, frame, ip, mtu, index) {
            assert!(length <= 14 + mtu as usize);
            let piece = &out[..length];
            // TCP cut finer than its header is refused by every receiver that follows RFC 3128.
            assert!(
                headers::parse(piece).is_ok() || ip.protocol == base::Protocol::TCP || {
                    // A first fragment of eight octets holds no more of UDP and ICMP than it must.
                    mtu < 68
                }
            );
        }
    }
}

/// Whether a checksum to be finished is where the packet has one: the sum goes where the offload
/// header says, wherever that is.
fn honest(ip: &Ip, offload: &Offload) -> bool {
    let field = match ip.transport {
        Transport::Tcp(_) => 16,
        Transport::Udp(_) => 6,
        Transport::Icmp(_) => 2,
        Transport::LaterFragment | Transport::Other => return !offload.needs_checksum,
    };
    !offload.needs_checksum
        || (offload.checksum_start == ip.payload && offload.checksum_offset == field)
}

fn finished(frame: &[u8], offload: &Offload) {
    let mut bytes = frame.to_vec();
    let mut left = *offload;
    if !checksum::complete(&mut bytes, &mut left) || !offload.needs_checksum {
        assert_eq!((bytes.as_slice(), left), (frame, *offload));
    }
}

fn steered(frame: &[u8], choice: u8) {
    for workers in [0, 1, u16::from(choice)] {
        let worker = steer::worker(frame, |address| address.octets()[15] & 1 == 0, workers);
        assert!(worker < workers.max(1));
    }
}

fn capture(bytes: &[u8]) {
    let Ok(reader) = pcap::Reader::new(bytes) else { return };
    let mut writer = pcap::Writer::new();
    let records: Vec<_> = reader.map_while(Result::ok).collect();
    for record in &records {
        writer.push(record.time, record.bytes);
    }
    let copy = writer.into_bytes();
    for (again, record) in pcap::Reader::new(&copy).expect("our own file").zip(&records) {
        assert_eq!(again.map(|again| again.bytes), Ok(record.bytes));
    }
}
