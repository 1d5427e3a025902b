use std::net::{IpAddr, SocketAddr};
use std::vec::Vec;

use base::address::mapped;
use base::{Mac, Offload, Protocol};
use fixtures::{ACK, Packet, RECEIVER, SENDER, at, fragments, icmp_error, partial, verify};

use super::*;
use crate::headers::{Body, Ip, parse};
use crate::malformed::Malformed;
use crate::rewrite::{Endpoint, Translation};

fn ip(frame: &[u8]) -> Ip {
    match parse(frame).map(|headers| headers.body) {
        Ok(Body::Ip(ip)) => ip,
        other => panic!("{other:?}"),
    }
}

fn endpoint(socket: SocketAddr) -> Endpoint {
    Endpoint { address: mapped(socket.ip()), port: socket.port() }
}

/// Client, VIP, server, and a router on the way to the client.
struct Cast {
    client: SocketAddr,
    vip: SocketAddr,
    server: SocketAddr,
    router: IpAddr,
    /// Type and code of "port unreachable".
    unreachable: [u8; 2],
}

fn casts() -> [Cast; 2] {
    let cast = |[client, vip, server, router]: [&str; 4], unreachable| Cast {
        client: at(client),
        vip: at(vip),
        server: at(server),
        router: router.parse().unwrap(),
        unreachable,
    };
    [
        cast(["198.51.100.7:40000", "192.0.2.80:80", "10.0.0.11:8080", "203.0.113.1"], [3, 3]),
        cast(
            ["[2001:db8:7::7]:40000", "[2001:db8:1::80]:80", "[fd00::11]:8080", "2001:db8:9::1"],
            [1, 4],
        ),
    ]
}

/// What a test says about `source` and `destination`: TCP, UDP, UDP without checksum, ping.
fn quotable(kind: usize, source: SocketAddr, destination: SocketAddr) -> Packet {
    match kind {
        0 => Packet::tcp(source, destination, ACK, &[6; 333]),
        1 => Packet::udp(source, destination, &[7; 332]),
        2 if source.is_ipv4() => Packet::udp(source, destination, &[8; 200]).without_checksum(),
        _ => Packet::echo(source.ip(), destination.ip(), false, 9, 9, &[9; 90]),
    }
}

#[test]
fn a_quote_is_read_with_its_ports() {
    for cast in casts() {
        for (kind, protocol) in [(0, Protocol::TCP), (1, Protocol::UDP)] {
            let about = quotable(kind, cast.vip, cast.client).build();
            for octets in [8, 20, 4000] {
                let (router, vip) = (cast.router, cast.vip.ip());
                let frame = icmp_error(router, vip, cast.unreachable, 0, &about, octets);
                let quoted = quoted(&frame, &ip(&frame)).unwrap().unwrap();
                assert_eq!(quoted.source, mapped(cast.vip.ip()));
                assert_eq!(quoted.destination, mapped(cast.client.ip()));
                assert_eq!(quoted.protocol, protocol);
                assert_eq!(quoted.source_port, Some(80));
                assert_eq!(quoted.destination_port, Some(40000));
            }
        }
    }
}

#[test]
fn what_quotes_too_little_or_nonsense_is_refused() {
    for cast in casts() {
        let about = quotable(1, cast.vip, cast.client).build();
        let header = about.len() - 14 - 340;
        let error = |quote: &[u8]| {
            let (router, vip) = (cast.router, cast.vip.ip());
            let frame = Packet::icmp_error(router, vip, cast.unreachable, 0, quote).build();
            quoted(&frame, &ip(&frame)).unwrap().map(|quoted| quoted.source_port)
        };
        for length in 0..header + 8 {
            assert_eq!(error(&about[14..14 + length]), Err(Malformed::BadQuote), "{length}");
        }
        assert_eq!(error(&about[14..14 + header + 8]), Ok(Some(80)));
        let mut other = about[14..].to_vec();
        other[0] ^= 0x20;
        assert_eq!(error(&other), Err(Malformed::BadQuote), "another version");
    }
    let cast = &casts()[0];
    let about = quotable(1, cast.vip, cast.client).build();
    for (name, first) in [("short header", 0x44), ("header past the quote", 0x4f)] {
        let mut quote = about[14..14 + 28].to_vec();
        quote[0] = first;
        let (router, vip) = (cast.router, cast.vip.ip());
        let frame = Packet::icmp_error(router, vip, cast.unreachable, 0, &quote).build();
        let got = quoted(&frame, &ip(&frame)).unwrap().map(|quoted| quoted.source_port);
        assert_eq!(got, Err(Malformed::BadQuote), "{name}");
    }
    // An IPv6 packet must not be taken for an IPv4 flow's.
    let cast = &casts()[1];
    let mut quote = quotable(1, cast.vip, cast.client).build()[14..].to_vec();
    quote[8..24]
        .copy_from_slice(&"::ffff:192.0.2.80".parse::<core::net::Ipv6Addr>().unwrap().octets());
    let frame = Packet::icmp_error(cast.router, cast.vip.ip(), cast.unreachable, 0, &quote).build();
    assert!(matches!(quoted(&frame, &ip(&frame)), Some(Err(Malformed::BadQuote))));
}

#[test]
fn messages_that_are_no_errors_quote_nothing() {
    for cast in casts() {
        for frame in [
            fixtures::icmp_echo(cast.client.ip(), cast.vip.ip(), 1, 1),
            fixtures::icmp_echo_reply(cast.client.ip(), cast.vip.ip(), 1, 1),
            fixtures::udp(cast.client, cast.vip, &[3; 64]),
        ] {
            assert!(quoted(&frame, &ip(&frame)).is_none());
        }
    }
    for kind in 0..=255 {
        assert_eq!(is_error(Version::V4, kind), [3, 4, 5, 11, 12].contains(&kind), "{kind}");
        assert_eq!(is_error(Version::V6, kind), kind < 128, "{kind}");
    }
}

#[test]
fn a_quoted_later_fragment_has_no_ports_and_a_first_one_has() {
    for cast in casts() {
        let pieces = fragments(&quotable(1, cast.vip, cast.client).build(), 160, 5);
        for (piece, port) in pieces.iter().zip([Some(80), None]) {
            let (router, vip) = (cast.router, cast.vip.ip());
            let frame = icmp_error(router, vip, cast.unreachable, 0, piece, 64);
            let quoted = quoted(&frame, &ip(&frame)).unwrap().unwrap();
            assert_eq!(quoted.source_port, port);
            assert_eq!(quoted.later_fragment, port.is_none());
        }
    }
}

/// An error about a reply that went from the VIP to the client comes back to the VIP; the server
/// must see it as about what it sent: the outer receiver and the inner sender are translated.
#[test]
fn an_error_is_translated_together_with_what_it_quotes() {
    for cast in casts() {
        for kind in 0..4 {
            for octets in [8, 9, 17, 18, 20, 21, 64, 4000] {
                let error = |inside: bool| {
                    let sender = if inside { cast.server } else { cast.vip };
                    let about = quotable(kind, sender, cast.client).build();
                    Packet::icmp_error(cast.router, sender.ip(), cast.unreachable, 0, &{
                        let header = if sender.is_ipv4() { 20 } else { 40 };
                        about[14..about.len().min(14 + header + octets)].to_vec()
                    })
                };
                let outer =
                    OuterTranslation { source: None, destination: Some(mapped(cast.server.ip())) };
                let inner = Translation { source: Some(endpoint(cast.server)), destination: None };
                let mut frame = error(false).build();
                let parsed = ip(&frame);
                let found = quoted(&frame, &parsed).unwrap().unwrap();
                translate_error(&mut frame, &parsed, &Offload::NONE, &found, &outer, &inner);
                assert_eq!(verify(&frame, &Offload::NONE), Ok(()), "{kind} {octets}");
                if (kind, octets) == (0, 17) {
                    // Half a checksum cannot be changed: the other half decides its carry.
                    continue;
                }
                assert_eq!(frame, error(true).build(), "{} {kind} {octets}", cast.client);

                if cast.client.is_ipv6() {
                    let (mut frame, offload) = partial(&error(false));
                    translate_error(&mut frame, &parsed, &offload, &found, &outer, &inner);
                    assert_eq!(verify(&frame, &offload), Ok(()), "partial {kind} {octets}");
                    let mut unfinished = offload;
                    assert!(crate::checksum::complete(&mut frame, &mut unfinished));
                    assert_eq!(frame, error(true).build(), "partial {kind} {octets}");
                }
            }
        }
    }
}

/// The other way: a server complains about what a client sent it.
#[test]
fn an_error_from_a_server_becomes_one_from_the_vip() {
    for cast in casts() {
        let error = |outside: bool| {
            let receiver = if outside { cast.vip } else { cast.server };
            let about = quotable(1, cast.client, receiver).build();
            let client = cast.client.ip();
            icmp_error(receiver.ip(), client, cast.unreachable, 0, &about, 4000)
        };
        let outer = OuterTranslation { source: Some(mapped(cast.vip.ip())), destination: None };
        let inner = Translation { source: None, destination: Some(endpoint(cast.vip)) };
        let mut frame = error(false);
        let parsed = ip(&frame);
        let found = quoted(&frame, &parsed).unwrap().unwrap();
        translate_error(&mut frame, &parsed, &Offload::NONE, &found, &outer, &inner);
        assert_eq!(frame, error(true));
    }
}

#[test]
fn a_quote_with_options_or_extension_headers_is_translated() {
    type Case<'a> = (&'a Cast, &'a dyn Fn(SocketAddr) -> Packet);
    let [v4, v6] = casts();
    let options = |sender| Packet::udp(sender, v4.client, &[1; 40]).with_options(&[0x94, 4, 0, 0]);
    let extensions = |sender| {
        let udp = Packet::udp(sender, v6.client, &[1; 40]);
        udp.with_extension(0, 8).with_extension(60, 24).with_fragment_header(0, false, 3)
    };
    let cases: [Case<'_>; 2] = [(&v4, &options), (&v6, &extensions)];
    for (cast, about) in cases {
        let error = |sender: SocketAddr| {
            let quote = about(sender).build()[14..].to_vec();
            Packet::icmp_error(cast.router, sender.ip(), cast.unreachable, 0, &quote).build()
        };
        let mut frame = error(cast.vip);
        let parsed = ip(&frame);
        let found = quoted(&frame, &parsed).unwrap().unwrap();
        let outer = OuterTranslation { source: None, destination: Some(mapped(cast.server.ip())) };
        let inner = Translation { source: Some(endpoint(cast.server)), destination: None };
        translate_error(&mut frame, &parsed, &Offload::NONE, &found, &outer, &inner);
        assert_eq!(frame, error(cast.server));
    }
}

const REPLY_MACS: [Mac; 2] = [Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2])];

#[test]
fn errors_quote_as_much_as_fits_and_say_what_is_wrong() {
    /// With type and code of either version, and what stands in the second word.
    type Kind = (ErrorKind, [u8; 2], [u8; 2], [u32; 2]);
    const KINDS: [Kind; 7] = [
        (ErrorKind::TimeExceeded, [11, 0], [3, 0], [0, 0]),
        (ErrorKind::ReassemblyTimeExceeded, [11, 1], [3, 1], [0, 0]),
        (ErrorKind::FragmentationNeeded { mtu: 70_000 }, [3, 4], [2, 0], [0xffff, 70_000]),
        (ErrorKind::NetworkUnreachable, [3, 0], [1, 0], [0, 0]),
        (ErrorKind::HostUnreachable, [3, 1], [1, 3], [0, 0]),
        (ErrorKind::PortUnreachable, [3, 3], [1, 4], [0, 0]),
        (ErrorKind::AdministrativelyProhibited, [3, 13], [1, 1], [0, 0]),
    ];
    for cast in casts() {
        let v4 = cast.client.is_ipv4();
        let (header, maximum) = if v4 { (20, 576) } else { (40, 1280) };
        for payload in [0, 100, 1400] {
            let about =
                Packet::tcp(cast.client, cast.vip, ACK, &[5; 1400][..payload]).build_padded();
            let parsed = ip(&about);
            let whole = parsed.length() as usize;
            let expected = whole.min(maximum - header - 8);
            for (kind, in_v4, in_v6, parameter) in KINDS {
                let [source_mac, destination_mac] = REPLY_MACS;
                let reply = Reply { source_mac, destination_mac, source: cast.router };
                let mut out = [0x5a; 1400];
                let length = build_error(&mut out, &about, &parsed, kind, &reply).unwrap();
                assert_eq!(length, 14 + header + 8 + expected, "{kind:?} {payload}");
                let frame = &out[..length];
                assert_eq!(verify(frame, &Offload::NONE), Ok(()), "{kind:?} {payload}");
                let message = &frame[14 + header..];
                assert_eq!(message[..2], if v4 { in_v4 } else { in_v6 });
                let number = if v4 { parameter[0] } else { parameter[1] };
                assert_eq!(message[4..8], number.to_be_bytes());
                assert_eq!(message[8..], about[14..14 + expected], "unchanged");
                let error = ip(frame);
                assert_eq!(error.destination, parsed.source);
                assert_eq!(error.source, mapped(cast.router));
                assert_eq!(frame[..6], destination_mac.0);
                assert_eq!(frame[6..12], source_mac.0);
                let mut small = Vec::from(&out[..length - 1]);
                assert_eq!(build_error(&mut small, &about, &parsed, kind, &reply), None);
            }
        }
    }
}

#[test]
fn an_error_from_an_address_of_the_other_family_is_not_built() {
    let [v4, v6] = casts();
    let about = quotable(0, v4.client, v4.vip).build();
    let reply = Reply { source_mac: SENDER, destination_mac: RECEIVER, source: v6.router };
    let mut out = [0; 1400];
    let kind = ErrorKind::TimeExceeded;
    assert_eq!(build_error(&mut out, &about, &ip(&about), kind, &reply), None);
}

#[test]
fn errors_answer_only_what_the_standards_let_them() {
    let [v4, v6] = casts();
    let answerable = |frame: &[u8]| may_answer(frame, &parse(frame).unwrap());
    for cast in [&v4, &v6] {
        let (client, vip, router) = (cast.client, cast.vip, cast.router);
        let syn = fixtures::tcp_syn(client, vip);
        let mut broadcast = syn.clone();
        broadcast[..6].fill(0xff);
        let mut multicast = syn.clone();
        multicast[0] |= 1;
        let about = fixtures::udp(vip, client, b"x");
        let pieces = fragments(&Packet::udp(client, vip, &[1; 80]).build(), 40, 1);
        let other = Packet::new(client.ip(), vip.ip(), fixtures::Upper::Other(47, vec_of(8)));
        for (name, frame, expected) in [
            ("TCP", syn, true),
            ("UDP", fixtures::udp(client, vip, b"x"), true),
            ("another protocol", other.build(), true),
            ("ping", fixtures::icmp_echo(client.ip(), vip.ip(), 1, 1), true),
            ("a first fragment", pieces[0].clone(), true),
            ("a later fragment", pieces[1].clone(), false),
            ("an error", icmp_error(router, vip.ip(), cast.unreachable, 0, &about, 8), false),
            ("a broadcast frame", broadcast, false),
            ("a multicast frame", multicast, false),
        ] {
            assert_eq!(answerable(&frame), expected, "{name} {client}");
        }
    }
    for (name, destination) in
        [("multicast", "224.0.0.9:1"), ("broadcast", "255.255.255.255:1"), ("IPv6", "[ff02::9]:1")]
    {
        let source = if destination.starts_with('[') { v6.client } else { v4.client };
        assert!(!answerable(&fixtures::udp(source, at(destination), b"x")), "{name}");
    }
    // Redirect, an unknown error, and a message from nobody.
    for message in [[137, 0], [1, 9], [100, 0]] {
        let quote = quotable(1, v6.vip, v6.client).build()[14..].to_vec();
        let packet = Packet::icmp_error(v6.router, v6.vip.ip(), message, 0, &quote);
        assert!(!answerable(&packet.build()), "{message:?}");
    }
    let probe = fixtures::neighbor_solicitation(
        core::net::Ipv6Addr::UNSPECIFIED,
        core::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
    );
    assert!(!answerable(&probe));
    let arp = fixtures::arp_request([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    assert!(!answerable(&arp));
}

fn vec_of(length: usize) -> Vec<u8> {
    std::vec![0; length]
}

#[test]
fn a_ping_is_turned_into_its_answer() {
    let [here, there] = REPLY_MACS;
    for cast in casts() {
        for payload in [0, 1, 56, 1400] {
            let ping = |reply, from: SocketAddr, to: SocketAddr| {
                let mut packet =
                    Packet::echo(from.ip(), to.ip(), reply, 0xbeef, 3, &[0x61; 1400][..payload]);
                packet.ttl = if reply { 64 } else { 37 };
                packet
            };
            let request = ping(false, cast.client, cast.vip);
            let mut answer = ping(true, cast.vip, cast.client);
            (answer.source_mac, answer.destination_mac) = (here, there);
            let mut frame = request.build();
            let mut offload = Offload::NONE;
            let parsed = ip(&frame);
            assert!(is_echo_request(&parsed));
            assert!(echo_reply_in_place(&mut frame, &parsed, &mut offload, here, there));
            assert_eq!(frame, answer.build(), "{payload}");
            assert!(!is_echo_request(&ip(&frame)));
            if cast.client.is_ipv6() {
                let (mut frame, mut offload) = partial(&request);
                assert!(echo_reply_in_place(&mut frame, &parsed, &mut offload, here, there));
                assert_eq!(offload, Offload::NONE);
                assert_eq!(frame, answer.build(), "partial {payload}");
            }
        }
    }
}

#[test]
fn a_ping_that_is_wrong_or_not_for_one_host_is_left_alone() {
    let [here, there] = REPLY_MACS;
    for cast in casts() {
        let (client, vip) = (cast.client.ip(), cast.vip.ip());
        let good = fixtures::icmp_echo(client, vip, 1, 1);
        let mut wrong = good.clone();
        *wrong.last_mut().unwrap() ^= 1;
        let group: IpAddr =
            if client.is_ipv4() { [224, 0, 0, 1].into() } else { "ff02::1".parse().unwrap() };
        let big = Packet::echo(client, vip, false, 1, 1, &[0; 200]).build();
        for (name, frame) in [
            ("a wrong checksum", wrong),
            ("a reply", fixtures::icmp_echo_reply(client, vip, 1, 1)),
            ("to a group", fixtures::icmp_echo(client, group, 1, 1)),
            ("a first fragment", fragments(&big, 104, 1)[0].clone()),
        ] {
            let mut touched = frame.clone();
            let mut offload = Offload::NONE;
            let parsed = ip(&frame);
            let done = echo_reply_in_place(&mut touched, &parsed, &mut offload, here, there);
            assert!(!done, "{name}");
            assert_eq!(touched, frame, "{name}");
        }
    }
}
