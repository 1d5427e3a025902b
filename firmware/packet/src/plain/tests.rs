use std::vec::Vec;

use base::FlowKey;
use fixtures::{ACK, Packet, at, partial};
use proptest::prelude::*;

use super::*;
use crate::headers::{self, Body, Headers, Ip, Version, is_host_v4};
use crate::rewrite::{self, Endpoint, Translation};

fn packets() -> Vec<Packet> {
    let from = [at("198.51.100.7:40000"), at("[2001:db8:7::7]:40000")];
    let to = [at("192.0.2.80:80"), at("[2001:db8:1::80]:80")];
    let pairs = from.into_iter().zip(to);
    pairs
        .flat_map(|(from, to)| {
            [
                Packet::tcp(from, to, ACK, b"some payload"),
                Packet::tcp(from, to, ACK, b""),
                Packet::udp(from, to, b"other payload"),
                Packet::udp(from, to, b""),
            ]
        })
        .collect()
}

fn ip(frame: &[u8]) -> Option<(Headers, Ip)> {
    let headers = headers::parse(frame).ok()?;
    match headers.body {
        Body::Ip(ip) => Some((headers, ip)),
        Body::Arp | Body::Other(_) => None,
    }
}

/// What is said of a frame here is what is said of it there.
fn agrees(frame: &[u8], offload: &Offload) {
    let general = ip(frame);
    let key = general.as_ref().and_then(|(_, ip)| ip.flow_key());
    if let (Some(early), Some(key)) = (flow_bits(frame), key) {
        assert_eq!(early, key.bits());
    }
    let Some(plain) = parse(frame) else { return };
    if !is_host_v4(plain.source.0) || !is_host_v4(plain.destination.0) {
        return;
    }
    let (headers, ip) = general.expect("what is plain is sound");
    let ((source, source_port), (destination, destination_port)) =
        (plain.source, plain.destination);
    let (source, destination) = (source.to_ipv6_mapped(), destination.to_ipv6_mapped());
    let protocol = plain.protocol;
    let said = FlowKey { source, destination, source_port, destination_port, protocol };
    assert_eq!(flow_bits(frame), Some(said.bits()));
    assert_eq!(Some(said), key);
    assert_eq!(plain.station, headers.destination);
    assert_eq!(u32::from(plain.length), ip.length());
    assert_eq!(plain.transport, ip.transport);
    assert!(ip.ttl > 1 && ip.fragment.is_none());
    let v4 = Ipv4Addr::new(10, 0, 0, 11);
    let address = v4.to_ipv6_mapped();
    let stations = [Mac([2, 0, 0, 0, 0, 9]), Mac([2, 0, 0, 0, 0, 8])];
    for end in [End::Source, End::Destination] {
        let new = Some(Endpoint { address, port: 8080 });
        let translation = match end {
            End::Source => Translation { source: new, destination: None },
            End::Destination => Translation { source: None, destination: new },
        };
        let (mut here, mut there) = (frame.to_vec(), frame.to_vec());
        send_on(&mut here, &plain, offload, (end, v4, 8080), stations);
        rewrite::translate(&mut there, &ip, offload, &translation);
        rewrite::decrement_ttl(&mut there, &ip);
        rewrite::set_ethernet(&mut there, stations[0], stations[1]);
        assert_eq!(here, there, "{end:?}");
    }
}

#[test]
fn a_packet_without_anything_special_is_plain_if_it_is_of_ipv4() {
    for packet in packets() {
        let frame = packet.build();
        agrees(&frame, &Offload::NONE);
        let (headers, ip) = ip(&frame).unwrap();
        assert_eq!(flow_bits(&frame), ip.flow_key().map(|key| key.bits()));
        let plain = parse(&frame).map(|plain| plain.station);
        let expected = (ip.version == Version::V4).then_some(headers.destination);
        assert_eq!(plain, expected);
        let (unfinished, offload) = partial(&packet);
        agrees(&unfinished, &offload);
    }
}

#[test]
fn what_takes_a_closer_look_is_not_plain() {
    let frame = Packet::udp(at("198.51.100.7:4"), at("192.0.2.80:80"), b"payload").build();
    let changed = |at: usize, value: u8| {
        let mut frame = frame.clone();
        frame[at] = value;
        // The header's sum again, over two halves of each word.
        frame[24] = 0;
        frame[25] = 0;
        let sum: u32 =
            frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    };
    assert!(parse(&changed(22, 64)).is_some());
    // Where, what, why.
    let rows = [
        (22, 1, "its last hop"),
        (20, 0x20, "a first fragment"),
        (21, 1, "a later fragment"),
        (14, 0x46, "options"),
        (14, 0x65, "another version"),
        (23, 1, "ICMP"),
        (6, 1, "a group's station"),
        (13, 6, "ARP"),
        (17, 27, "shorter than its header"),
        (39, 7, "shorter than it says"),
    ];
    for (at, value, why) in rows {
        assert!(parse(&changed(at, value)).is_none(), "{why}");
    }
    let mut wrong = frame.clone();
    wrong[24] ^= 1;
    assert!(parse(&wrong).is_none(), "a wrong sum");
    for length in 0..frame.len() {
        assert!(parse(&frame[..length]).is_none(), "{length} octets of it");
    }
}

proptest! {
    #[test]
    fn whatever_octets_change_both_ways_agree(
        which in 0..8usize,
        changes in prop::collection::vec((0..60usize, any::<u8>()), 0..4),
        sound in any::<bool>(),
    ) {
        let mut frame = packets()[which].build();
        for (at, value) in changes {
            if let Some(octet) = frame.get_mut(at) {
                *octet = value;
            }
        }
        if sound && frame[14] == 0x45 {
            frame[24] = 0;
            frame[25] = 0;
            let sum = crate::checksum::finish(crate::checksum::sum(&frame[14..34]), false);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        agrees(&frame, &Offload::NONE);
    }

    #[test]
    fn sums_are_the_same_whatever_stood_there(sum in any::<u16>(), id in any::<u16>()) {
        for packet in packets().into_iter().take(4) {
            let mut frame = packet.build();
            frame[18..20].copy_from_slice(&id.to_be_bytes());
            frame[24] = 0;
            frame[25] = 0;
            let header = crate::checksum::finish(crate::checksum::sum(&frame[14..34]), false);
            frame[24..26].copy_from_slice(&header.to_be_bytes());
            let field = if frame[23] == 6 { 50 } else { 40 };
            frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
            agrees(&frame, &Offload::NONE);
        }
    }
}
