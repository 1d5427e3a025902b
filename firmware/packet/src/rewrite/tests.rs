use base::Offload;
use base::address::mapped;
use fixtures::{ACK, Packet, RECEIVER, SENDER, at, gso, partial, verify};

use super::*;
use crate::headers::{Body, parse};

fn ip(frame: &[u8]) -> Ip {
    match parse(frame).map(|headers| headers.body) {
        Ok(Body::Ip(ip)) => ip,
        other => panic!("{other:?}"),
    }
}

fn endpoint(text: &str) -> Endpoint {
    let socket = at(text);
    Endpoint { address: mapped(socket.ip()), port: socket.port() }
}

const CASES: [[&str; 4]; 2] = [
    ["198.51.100.7:40000", "192.0.2.80:80", "10.0.0.1:50000", "10.0.0.11:8080"],
    ["[2001:db8:7::7]:40000", "[2001:db8:1::80]:80", "[fd00::1]:50000", "[fd00::11]:8080"],
];

#[test]
fn translating_either_end_or_both_gives_the_frame_built_that_way() {
    for [from, to, new_from, new_to] in CASES {
        for (source, destination) in [(false, true), (true, false), (true, true), (false, false)] {
            let packet = |translated: bool, udp: bool| {
                let from = at(if translated && source { new_from } else { from });
                let to = at(if translated && destination { new_to } else { to });
                if udp {
                    Packet::udp(from, to, b"some payload")
                } else {
                    Packet::tcp(from, to, ACK, b"other payload")
                }
            };
            let translation = Translation {
                source: source.then(|| endpoint(new_from)),
                destination: destination.then(|| endpoint(new_to)),
            };
            for udp in [false, true] {
                let mut frame = packet(false, udp).build();
                let parsed = ip(&frame);
                translate(&mut frame, &parsed, &Offload::NONE, &translation);
                assert_eq!(frame, packet(true, udp).build(), "{from} {source} {destination}");

                let (mut frame, offload) = partial(&packet(false, udp));
                let parsed = ip(&frame);
                translate(&mut frame, &parsed, &offload, &translation);
                assert_eq!(verify(&frame, &offload), Ok(()));
                let mut unfinished = offload;
                assert!(crate::checksum::complete(&mut frame, &mut unfinished));
                assert_eq!(frame, packet(true, udp).build(), "partial {from}");
            }
        }
    }
}

#[test]
fn a_large_segment_is_translated_like_any_other() {
    for [from, to, _, new_to] in CASES {
        let packet = Packet::tcp(at(from), at(to), ACK, &[7; 30_000]);
        let (mut frame, offload) = gso(&packet, 1448);
        let parsed = ip(&frame);
        let translation = Translation { source: None, destination: Some(endpoint(new_to)) };
        translate(&mut frame, &parsed, &offload, &translation);
        assert_eq!(verify(&frame, &offload), Ok(()));
        assert_eq!(ip(&frame).flow_key().unwrap().destination_port, 8080);
    }
}

#[test]
fn an_absent_udp_checksum_stays_absent() {
    let [from, to, _, new_to] = CASES[0];
    let mut frame = fixtures::udp_unchecked(at(from), at(to), b"x");
    let parsed = ip(&frame);
    let translation = Translation { source: None, destination: Some(endpoint(new_to)) };
    translate(&mut frame, &parsed, &Offload::NONE, &translation);
    assert_eq!(frame, fixtures::udp_unchecked(at(from), at(new_to), b"x"));
}

#[test]
fn a_udp_checksum_that_becomes_zero_is_written_as_all_ones() {
    let [from, to, ..] = CASES[0];
    // Choose the new port so that the sum comes out as all ones.
    let mut frame = fixtures::udp(at(from), at(to), b"xy");
    let parsed = ip(&frame);
    let field = u16::from_be_bytes([frame[40], frame[41]]);
    let port = fold(u64::from(at(to).port()) + u64::from(field));
    let destination = Endpoint { port, ..endpoint(to) };
    let translation = Translation { source: None, destination: Some(destination) };
    translate(&mut frame, &parsed, &Offload::NONE, &translation);
    assert_eq!(frame[40..42], [0xff, 0xff]);
    assert_eq!(verify(&frame, &Offload::NONE), Ok(()));
}

#[test]
fn an_address_of_the_other_family_is_not_written() {
    let [from, to, ..] = CASES[0];
    let mut frame = fixtures::udp(at(from), at(to), b"xy");
    let before = frame.clone();
    let parsed = ip(&frame);
    let translation = Translation { source: None, destination: Some(endpoint(CASES[1][3])) };
    translate(&mut frame, &parsed, &Offload::NONE, &translation);
    assert_eq!(frame, before);
}

#[test]
fn a_partial_checksum_of_an_inner_packet_leaves_the_outer_one_whole() {
    // A tunnel: the offload header names a field further in.
    let [from, to, _, new_to] = CASES[0];
    let mut frame = fixtures::udp(at(from), at(to), &[0; 64]);
    let parsed = ip(&frame);
    let offload =
        Offload { needs_checksum: true, checksum_start: 70, checksum_offset: 6, ..Offload::NONE };
    let translation = Translation { source: None, destination: Some(endpoint(new_to)) };
    translate(&mut frame, &parsed, &offload, &translation);
    assert_eq!(frame, fixtures::udp(at(from), at(new_to), &[0; 64]));
}

#[test]
fn a_hop_less_gives_the_frame_built_with_a_hop_less() {
    for [from, to, ..] in CASES {
        let mut packet = Packet::udp(at(from), at(to), b"x");
        for ttl in [255, 64, 2, 1] {
            packet.ttl = ttl;
            let mut frame = packet.build();
            let parsed = ip(&frame);
            decrement_ttl(&mut frame, &parsed);
            packet.ttl = ttl - 1;
            assert_eq!(frame, packet.build(), "{ttl}");
        }
        let mut frame = packet.build();
        let parsed = ip(&frame);
        decrement_ttl(&mut frame, &parsed);
        assert_eq!(frame, packet.build(), "nothing is taken from zero");
    }
}

#[test]
fn ethernet_addresses_are_written_in_wire_order() {
    let mut frame = fixtures::udp(at("192.0.2.1:1"), at("192.0.2.2:2"), b"");
    let body = frame[12..].to_vec();
    set_ethernet(&mut frame, SENDER, RECEIVER);
    assert_eq!(frame, [&SENDER.0[..], &RECEIVER.0, &body].concat());
}
