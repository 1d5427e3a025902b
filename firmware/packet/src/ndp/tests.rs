use std::vec::Vec;

use base::Offload;
use fixtures::{Packet, RECEIVER, SENDER, partial, verify};

use super::*;
use crate::headers::{Body, parse as parse_frame};

fn read(frame: &[u8], offload: &Offload) -> Option<Result<Ndp, Malformed>> {
    match parse_frame(frame).map(|headers| headers.body) {
        Ok(Body::Ip(ip)) => parse(frame, &ip, offload),
        other => panic!("{other:?}"),
    }
}

fn a(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

#[test]
fn the_solicited_node_group_ends_like_the_address() {
    for (address, group) in [
        ("2001:db8::1:abcd", "ff02::1:ff01:abcd"),
        ("fe80::1234:56ff:fe78:9abc", "ff02::1:ff78:9abc"),
        ("::1", "ff02::1:ff00:1"),
    ] {
        assert_eq!(solicited_node(a(address)), a(group));
    }
}

#[test]
fn solicitations_are_read_and_written_alike() {
    let target = a("2001:db8:1::80");
    for (source, link) in [(a("2001:db8:1::11"), Some(SENDER)), (Ipv6Addr::UNSPECIFIED, None)] {
        let frame = fixtures::neighbor_solicitation(source, target);
        let expected = Ndp::Solicitation { source, target, link };
        assert_eq!(read(&frame, &Offload::NONE), Some(Ok(expected)));
        let mut out = [0xa5; 100];
        let length = emit_solicitation(&mut out, SENDER, source, target, None).unwrap();
        assert_eq!(out[..length], frame);
        assert_eq!(emit_solicitation(&mut out[..length - 1], SENDER, source, target, None), None);
    }
    let mut out = [0xa5; 100];
    let source = a("2001:db8:1::11");
    let length = emit_solicitation(&mut out, SENDER, source, target, Some(RECEIVER)).unwrap();
    assert_eq!(verify(&out[..length], &Offload::NONE), Ok(()));
    assert_eq!((&out[..6], &out[38..54]), (&RECEIVER.0[..], &target.octets()[..]));
}

#[test]
fn advertisements_are_read_and_written_alike() {
    let [source, asker, target] = ["fe80::1", "2001:db8::7", "2001:db8:1::80"].map(a);
    for bits in 0..8u8 {
        let [router, solicited, overrides] = [4, 2, 1].map(|bit| bits & bit != 0);
        let frame = fixtures::neighbor_advertisement(source, asker, target, bits << 5);
        let link = Some(SENDER);
        let expected = Ndp::Advertisement { source, target, router, solicited, overrides, link };
        assert_eq!(read(&frame, &Offload::NONE), Some(Ok(expected)));
        let mut out = [0xa5; 86];
        let flags = AdvertisementFlags { router, solicited, overrides };
        let length =
            emit_advertisement(&mut out, SENDER, RECEIVER, source, asker, target, flags).unwrap();
        assert_eq!(out[..length], frame);
    }
}

/// A packet with this message from one address to another, as neighbour discovery sends it.
fn message(source: &str, destination: &str, message: Vec<u8>) -> Packet {
    let mut packet = Packet::icmp(a(source).into(), a(destination).into(), message);
    packet.ttl = 255;
    packet
}

fn body(kind: u8, flags: u8, target: &str, options: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0, flags, 0, 0, 0][..], &a(target).octets(), options].concat()
}

#[test]
fn what_rfc_4861_has_us_discard_is_discarded() {
    let (bad, sum) = (Malformed::BadNeighborDiscovery, Malformed::BadChecksum);
    let link = [1, 1, 2, 0, 0, 0, 0, 1];
    let here = "fe80::1";
    let good = message(here, "fe80::2", body(135, 0, "fe80::2", &link));
    assert!(matches!(read(&good.build(), &Offload::NONE), Some(Ok(Ndp::Solicitation { .. }))));
    let mut routed = good.clone();
    routed.ttl = 254;
    let mut coded = good.clone();
    coded.upper = fixtures::Upper::Icmp({
        let mut message = body(135, 0, "fe80::2", &link);
        message[1] = 1;
        message
    });
    let with = |options: &[u8]| message(here, "fe80::2", body(135, 0, "fe80::2", options));
    for (name, packet) in [
        ("a hop limit of 254", routed),
        ("code 1", coded),
        ("a group as target", message(here, "fe80::2", body(135, 0, "ff02::1", &link))),
        ("23 octets", message(here, "fe80::2", body(135, 0, "fe80::2", &[])[..23].to_vec())),
        ("an option of length 0", with(&[1, 0, 0, 0, 0, 0, 0, 0])),
        ("an option past the end", with(&[1, 2, 0, 0, 0, 0, 0, 0])),
        ("half an option head", with(&[1])),
        ("a group as link address", with(&[1, 1, 3, 0, 0, 0, 0, 1])),
        ("seventeen options", with(&[14, 1, 0, 0, 0, 0, 0, 0].repeat(17))),
        ("a probe to a host", message("::", "fe80::2", body(135, 0, "fe80::2", &[]))),
        (
            "a probe that names itself",
            message("::", "ff02::1:ff00:2", body(135, 0, "fe80::2", &link)),
        ),
        ("a solicited answer to all", message(here, "ff02::1", body(136, 0x40, "fe80::2", &[]))),
        ("an answer from nobody", message("::", "fe80::2", body(136, 0, "fe80::2", &[]))),
        ("an atomic fragment", good.clone().with_fragment_header(0, false, 1)),
    ] {
        assert_eq!(read(&packet.build(), &Offload::NONE), Some(Err(bad)), "{name}");
    }
    let mut frame = good.build();
    frame[60] ^= 1;
    assert_eq!(read(&frame, &Offload::NONE), Some(Err(sum)));
    let unknown = with(&[[14, 2].as_slice(), &[0; 14], &link].concat());
    assert!(matches!(
        read(&unknown.build(), &Offload::NONE),
        Some(Ok(Ndp::Solicitation { link: Some(Mac([2, 0, 0, 0, 0, 1])), .. }))
    ));
    let destination_options = good.with_extension(60, 8);
    assert!(matches!(read(&destination_options.build(), &Offload::NONE), Some(Ok(_))));
}

#[test]
fn a_checksum_left_to_be_finished_is_not_judged() {
    let packet = message("fe80::1", "fe80::2", body(135, 0, "fe80::2", &[]));
    let (frame, offload) = partial(&packet);
    assert!(matches!(read(&frame, &offload), Some(Ok(Ndp::Solicitation { .. }))));
    assert_eq!(read(&frame, &Offload::NONE), Some(Err(Malformed::BadChecksum)));
}

#[test]
fn router_messages_are_not_ours_and_echoes_are_none() {
    for kind in [133, 134, 137] {
        let frame = message("fe80::1", "ff02::2", body(kind, 0, "fe80::1", &[])).build();
        assert_eq!(read(&frame, &Offload::NONE), Some(Ok(Ndp::Other)));
    }
    let echo = fixtures::icmp_echo(a("fe80::1").into(), a("fe80::2").into(), 1, 1);
    assert_eq!(read(&echo, &Offload::NONE), None);
    let v4 = fixtures::icmp_echo([192, 0, 2, 1].into(), [192, 0, 2, 2].into(), 1, 1);
    assert_eq!(read(&v4, &Offload::NONE), None);
}
