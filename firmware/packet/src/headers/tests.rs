use std::vec::Vec;

use base::address::mapped;
use fixtures::{ACK, Packet, RECEIVER, SENDER, SYN, Upper, at, fragments};

use super::*;

const V4: [&str; 2] = ["198.51.100.7:40000", "192.0.2.80:443"];
const V6: [&str; 2] = ["[2001:db8:7::7]:40000", "[2001:db8:1::80]:443"];

fn ip(frame: &[u8]) -> Ip {
    match parse(frame).map(|headers| headers.body) {
        Ok(Body::Ip(ip)) => ip,
        other => panic!("{other:?}"),
    }
}

fn reason(frame: &[u8]) -> Option<Malformed> {
    parse(frame).err()
}

/// Fills in the IPv4 header checksum after a change.
fn sealed(mut frame: Vec<u8>) -> Vec<u8> {
    let length = usize::from(frame[14] & 15) * 4;
    frame[24..26].fill(0);
    let sum = !fixtures::checksum(&frame[14..14 + length]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn changed(frame: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for &(at, octet) in changes {
        frame[at] = octet;
    }
    if frame[12] == 8 { sealed(frame) } else { frame }
}

#[test]
fn a_tcp_segment_is_taken_apart() {
    for ([from, to], header) in [(V4, 20), (V6, 40)] {
        let (from, to) = (at(from), at(to));
        let packet = Packet::tcp(from, to, SYN | ACK, &[1; 11]).with_tcp_options(&[2, 4, 5, 180]);
        let mut frame = packet.build_padded();
        frame.extend([0xee; 9]);
        let headers = parse(&frame).unwrap();
        assert_eq!((headers.source, headers.destination), (SENDER, RECEIVER));
        let ip = ip(&frame);
        assert_eq!((ip.source, ip.destination), (mapped(from.ip()), mapped(to.ip())));
        assert_eq!((ip.header, ip.payload, ip.ttl), (14, 14 + header, 64));
        assert_eq!(ip.end, u32::from(14 + header + 24 + 11));
        assert_eq!((ip.payload_length(), ip.length()), (35, u32::from(header) + 35));
        assert!(ip.dont_fragment && ip.fragment.is_none());
        let Transport::Tcp(tcp) = ip.transport else { panic!("{ip:?}") };
        assert_eq!((tcp.source_port, tcp.destination_port), (40000, 443));
        assert_eq!((tcp.sequence, tcp.acknowledgement), (0x1000_0000, 0x2000_0000));
        assert_eq!((tcp.flags, tcp.window), (TcpFlags::SYN | TcpFlags::ACK, 0xfaf0));
        assert_eq!(tcp.payload_length, 11);
        let key = ip.flow_key().unwrap();
        assert_eq!((key.source_port, key.destination_port), (40000, 443));
        assert_eq!((key.source, key.destination), (ip.source, ip.destination));
    }
}

#[test]
fn udp_and_icmp_are_told_apart() {
    for [from, to] in [V4, V6] {
        let (from, to) = (at(from), at(to));
        let udp = ip(&fixtures::udp(from, to, b"x"));
        let ports = Udp { source_port: 40000, destination_port: 443 };
        assert_eq!(udp.transport, Transport::Udp(ports));
        let echo = ip(&fixtures::icmp_echo(from.ip(), to.ip(), 0xabcd, 1));
        let kind = if from.is_ipv4() { 8 } else { 128 };
        let icmp = Icmp { kind, code: 0, identifier: 0xabcd };
        assert_eq!(echo.transport, Transport::Icmp(icmp));
        assert_eq!(echo.flow_key(), None);
        // ICMP of the other version is nothing we know.
        let protocol = if from.is_ipv4() { 58 } else { 1 };
        let odd = Packet::new(from.ip(), to.ip(), Upper::Other(protocol, [0; 8].to_vec()));
        assert_eq!(ip(&odd.build()).transport, Transport::Other);
    }
}

#[test]
fn what_is_not_ip_is_named_by_its_type() {
    let mut frame = fixtures::arp_request([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    assert!(matches!(parse(&frame).unwrap().body, Body::Arp));
    frame[12..14].copy_from_slice(&[0x88, 0xcc]);
    assert!(matches!(parse(&frame).unwrap().body, Body::Other(0x88cc)));
    frame[12..14].copy_from_slice(&[0, 46]);
    assert!(matches!(parse(&frame).unwrap().body, Body::Other(46)));
}

#[test]
fn a_frame_cut_anywhere_is_refused() {
    for [from, to] in [V4, V6] {
        let frame = Packet::tcp(at(from), at(to), SYN, &[]).build();
        for length in 0..frame.len() {
            assert!(parse(&frame[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn bad_ipv4_headers_are_refused_each_for_its_reason() {
    let tcp = Packet::tcp(at(V4[0]), at(V4[1]), SYN, &[]).build_padded();
    let udp = fixtures::udp(at(V4[0]), at(V4[1]), &[0; 32]);
    let icmp = fixtures::icmp_echo(at(V4[0]).ip(), at(V4[1]).ip(), 1, 1);
    let mut unsealed = tcp.clone();
    unsealed[22] ^= 1;
    assert_eq!(reason(&unsealed), Some(Malformed::BadHeaderChecksum));
    let source = |a, b, c, d| [(26, a), (27, b), (28, c), (29, d)].to_vec();
    let destination = |a, b, c, d| [(30, a), (31, b), (32, c), (33, d)].to_vec();
    for (name, frame, changes, expected) in [
        ("group source MAC", &tcp, [(6, 3)].to_vec(), Malformed::GroupSourceMac),
        ("version 6 under 0x0800", &tcp, [(14, 0x65)].to_vec(), Malformed::BadVersion),
        ("header of 16 octets", &tcp, [(14, 0x44)].to_vec(), Malformed::BadHeaderLength),
        ("header beyond the total", &tcp, [(16, 0), (17, 19)].to_vec(), Malformed::BadHeaderLength),
        ("total beyond the frame", &tcp, [(16, 1)].to_vec(), Malformed::BadTotalLength),
        ("loopback source", &tcp, source(127, 0, 0, 1), Malformed::IllegalSource),
        ("source on network 0", &tcp, source(0, 0, 0, 0), Malformed::IllegalSource),
        ("multicast source", &tcp, source(224, 0, 0, 1), Malformed::IllegalSource),
        ("class E source", &tcp, source(240, 0, 0, 1), Malformed::IllegalSource),
        ("broadcast source", &tcp, source(255, 255, 255, 255), Malformed::IllegalSource),
        ("loopback destination", &tcp, destination(127, 9, 9, 9), Malformed::IllegalDestination),
        ("destination 0.0.0.0", &tcp, destination(0, 0, 0, 0), Malformed::IllegalDestination),
        ("class E destination", &tcp, destination(250, 0, 0, 1), Malformed::IllegalDestination),
        ("TCP header of 16", &tcp, [(46, 0x40)].to_vec(), Malformed::BadTransport),
        ("TCP header past the end", &tcp, [(46, 0x60)].to_vec(), Malformed::BadTransport),
        ("UDP length 7", &udp, [(39, 7)].to_vec(), Malformed::BadTransport),
        ("UDP length past the end", &udp, [(39, 41)].to_vec(), Malformed::BadTransport),
        ("ICMP of 7 octets", &icmp, [(17, 27)].to_vec(), Malformed::BadTransport),
        ("UDP of 7 octets", &udp, [(17, 27)].to_vec(), Malformed::BadTransport),
    ] {
        assert_eq!(reason(&changed(frame, &changes)), Some(expected), "{name}");
    }
    for (name, changes) in [
        ("limited broadcast", destination(255, 255, 255, 255)),
        ("multicast", destination(224, 0, 0, 18)),
        ("UDP shorter than its packet", [(39, 38)].to_vec()),
    ] {
        assert_eq!(reason(&changed(&udp, &changes)), None, "{name}");
    }
}

#[test]
fn ipv4_options_pass_unless_they_break_or_route() {
    let base = Packet::udp(at(V4[0]), at(V4[1]), b"x");
    for (name, options, expected) in [
        ("router alert", &[0x94, 4, 0, 0][..], None),
        ("timestamp, padded", &[1, 0x44, 8, 5, 0, 1, 2, 3, 4], None),
        ("junk behind the end of options", &[0, 0x83, 0xff], None),
        ("used-up loose source route", &[0x83, 7, 8, 1, 2, 3, 4], None),
        ("loose source route", &[0x83, 7, 4, 1, 2, 3, 4], Some(Malformed::SourceRoute)),
        ("strict source route", &[1, 0x89, 7, 4, 1, 2, 3, 4], Some(Malformed::SourceRoute)),
        ("source route without pointer", &[0x89, 2, 0x7a, 2], Some(Malformed::BadOptions)),
        ("option past the header", &[7, 9, 4, 0], Some(Malformed::BadOptions)),
        ("option of one octet", &[7, 1, 4, 0], Some(Malformed::BadOptions)),
        ("option without length", &[1, 1, 1, 7], Some(Malformed::BadOptions)),
    ] {
        let frame = base.clone().with_options(options).build();
        assert_eq!(reason(&frame), expected, "{name}");
        let mut wrong = frame.clone();
        wrong[35] ^= 0x40;
        assert_eq!(reason(&wrong), Some(Malformed::BadHeaderChecksum), "{name}");
    }
}

#[test]
fn bad_ipv6_headers_are_refused_each_for_its_reason() {
    let tcp = Packet::tcp(at(V6[0]), at(V6[1]), SYN, &[]).build();
    let icmp = fixtures::icmp_echo(at(V6[0]).ip(), at(V6[1]).ip(), 1, 1);
    let address = |at: usize, text: &str| {
        let octets = text.parse::<Ipv6Addr>().unwrap().octets();
        octets.iter().enumerate().map(|(i, &octet)| (at + i, octet)).collect::<Vec<_>>()
    };
    for (name, frame, changes, expected) in [
        ("version 4", &tcp, [(14, 0x40)].to_vec(), Some(Malformed::BadVersion)),
        ("length past the frame", &tcp, [(19, 21)].to_vec(), Some(Malformed::BadTotalLength)),
        ("TCP of 19 octets", &tcp, [(19, 19)].to_vec(), Some(Malformed::BadTransport)),
        ("unspecified source", &tcp, address(22, "::"), Some(Malformed::IllegalSource)),
        ("loopback source", &tcp, address(22, "::1"), Some(Malformed::IllegalSource)),
        ("group source", &tcp, address(22, "ff02::1"), Some(Malformed::IllegalSource)),
        ("mapped source", &tcp, address(22, "::ffff:1.2.3.4"), Some(Malformed::IllegalSource)),
        ("unspecified ICMPv6 source", &icmp, address(22, "::"), None),
        ("mapped target", &tcp, address(38, "::ffff:1.2.3.4"), Some(Malformed::IllegalDestination)),
        ("unspecified target", &tcp, address(38, "::"), Some(Malformed::IllegalDestination)),
        ("loopback target", &tcp, address(38, "::1"), Some(Malformed::IllegalDestination)),
        ("scope 0", &tcp, address(38, "ff00::1"), Some(Malformed::IllegalDestination)),
        ("scope 1", &tcp, address(38, "ff01::1"), Some(Malformed::IllegalDestination)),
        ("link-local group", &tcp, address(38, "ff02::1"), None),
        ("link-local source", &tcp, address(22, "fe80::1"), None),
        ("unknown next header", &tcp, [(20, 253)].to_vec(), None),
        ("no next header", &tcp, [(20, 59), (18, 0), (19, 0)].to_vec(), None),
    ] {
        assert_eq!(reason(&changed(frame, &changes)), expected, "{name}");
    }
}

#[test]
fn extension_headers_are_looked_through() {
    let base = Packet::udp(at(V6[0]), at(V6[1]), b"behind");
    let chains: [(&str, &[(u8, usize)]); 5] = [
        ("hop by hop", &[(0, 8)]),
        ("destination options twice", &[(60, 16), (60, 24)]),
        ("a used-up routing header", &[(43, 24)]),
        ("the order of RFC 8200", &[(0, 8), (60, 8), (43, 24), (60, 8)]),
        ("as many as are borne", &[(60, 8); MAXIMUM_EXTENSION_HEADERS]),
    ];
    for (name, chain) in chains {
        let packet =
            chain.iter().fold(base.clone(), |p, &(kind, long)| p.with_extension(kind, long));
        let ip = ip(&packet.build());
        let octets: usize = chain.iter().map(|(_, long)| long).sum();
        assert_eq!(usize::from(ip.payload), 54 + octets, "{name}");
        assert_eq!(ip.protocol, Protocol::UDP, "{name}");
        assert!(ip.flow_key().is_some(), "{name}");
    }
    let too_many =
        (0..=MAXIMUM_EXTENSION_HEADERS).fold(base.clone(), |p, _| p.with_extension(60, 8));
    assert_eq!(reason(&too_many.build()), Some(Malformed::TooManyExtensionHeaders));
    let late = base.clone().with_extension(60, 8).with_extension(0, 8);
    assert_eq!(reason(&late.build()), Some(Malformed::BadExtensionHeader));
    let mut long = base.clone().with_extension(60, 8).build();
    long[55] = 9;
    assert_eq!(reason(&long), Some(Malformed::BadExtensionHeader));
    // Protected packets are upper layers of their own, as under IPv4.
    for protocol in [50, 51] {
        let sealed =
            Packet::new(base.source, base.destination, Upper::Other(protocol, [0; 24].to_vec()));
        let ip = ip(&sealed.build());
        assert_eq!((ip.transport, ip.protocol.0), (Transport::Other, protocol));
    }
}

#[test]
fn a_routing_header_with_hops_left_hides_what_is_behind() {
    let mut frame = Packet::tcp(at(V6[0]), at(V6[1]), SYN, &[]).with_extension(43, 24).build();
    frame[57] = 1;
    let ip = ip(&frame);
    assert_eq!((ip.protocol.0, ip.transport, ip.payload), (43, Transport::Other, 54));
    assert_eq!(ip.flow_key(), None);
}

#[test]
fn fragments_are_known_as_such() {
    for [from, to] in [V4, V6] {
        let whole = Packet::udp(at(from), at(to), &[3; 100]);
        let pieces = fragments(&whole.build(), 48, 0xbeef);
        let seen: Vec<_> = pieces.iter().map(|piece| ip(piece)).collect();
        let parts: Vec<_> = seen.iter().map(|ip| ip.fragment.unwrap()).collect();
        let expected = [(0, true), (48, true), (96, false)];
        assert_eq!(parts.len(), expected.len());
        for (part, (offset, more)) in parts.iter().zip(expected) {
            assert_eq!(*part, Fragment { identification: 0xbeef, offset, more });
        }
        assert!(seen[0].flow_key().is_some());
        assert_eq!(seen[1].transport, Transport::LaterFragment);
        assert_eq!(seen[2].payload_length(), 12);
    }
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let packet = Packet::udp(at(V6[0]), at(V6[1]), b"whole").with_fragment_header(0, false, 1);
    let ip = ip(&packet.build());
    assert_eq!((ip.fragment, ip.payload), (None, 62));
    assert!(ip.flow_key().is_some());
    let nested = packet.with_fragment_header(0, false, 1);
    assert_eq!(reason(&nested.build()), Some(Malformed::BadExtensionHeader));
}

#[test]
fn fragments_that_hide_or_overwrite_are_refused() {
    // IPv4: flags and offset are octets 20 and 21, total length 16 and 17.
    let tcp = Packet::tcp(at(V4[0]), at(V4[1]), SYN, &[0; 76]).build();
    for (name, changes, expected) in [
        (
            "a first TCP fragment of 16",
            [(20, 0x20), (21, 0), (17, 36)],
            Some(Malformed::TinyFragment),
        ),
        ("a first TCP fragment of 24", [(20, 0x20), (21, 0), (17, 44)], None),
        ("TCP at offset 8", [(20, 0), (21, 1), (17, 116)], Some(Malformed::TinyFragment)),
        ("TCP at offset 16", [(20, 0), (21, 2), (17, 116)], None),
        ("not a multiple of eight", [(20, 0x20), (21, 0), (17, 45)], Some(Malformed::BadFragment)),
        ("past 65,535", [(20, 0x1f), (21, 0xfd), (17, 116)], Some(Malformed::BadFragment)),
        ("empty", [(20, 0), (21, 9), (17, 20)], Some(Malformed::BadFragment)),
    ] {
        let mut changes = changes.to_vec();
        changes.push((16, 0));
        assert_eq!(reason(&changed(&tcp, &changes)), expected, "IPv4 {name}");
    }
    let v6 = |offset, more, octets: usize| {
        let upper = Upper::Other(6, [0x50; 96][..octets].to_vec());
        let packet = Packet::new(at(V6[0]).ip(), at(V6[1]).ip(), upper);
        reason(&packet.with_fragment_header(offset, more, 9).build())
    };
    for (name, got, expected) in [
        ("a first TCP fragment of 16", v6(0, true, 16), Some(Malformed::TinyFragment)),
        ("a first TCP fragment of 24", v6(0, true, 24), None),
        ("TCP at offset 8", v6(8, false, 24), Some(Malformed::TinyFragment)),
        ("not a multiple of eight", v6(0, true, 25), Some(Malformed::BadFragment)),
        ("past 65,535", v6(0xfff8, false, 8), Some(Malformed::BadFragment)),
        ("empty", v6(64, false, 0), Some(Malformed::BadFragment)),
    ] {
        assert_eq!(got, expected, "IPv6 {name}");
    }
    // The header chain of a first fragment must be complete (RFC 7112 §5).
    let chain = Packet::new(
        at(V6[0]).ip(),
        at(V6[1]).ip(),
        Upper::Other(60, [17, 4, 0, 0, 0, 0, 0, 0].to_vec()),
    );
    let frame = chain.with_fragment_header(0, true, 9).build();
    assert_eq!(reason(&frame), Some(Malformed::TinyFragment));
}
