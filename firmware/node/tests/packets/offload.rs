//! Frames from local peers: checksums begun, segments uncut. They pass as they are unless they
//! do not fit the next wire.

use base::{Frame, Gso, Offload};
use fixtures::{ACK, CWR, PSH, Packet, gso, partial};

use crate::common::{CLIENT, CLIENT6, Lab, Port, Wire, inside, outside, to_inside, to_outside};
use crate::table::{Case, Step, check, hop, may_be_cut, our_error, tcp, udp};

/// The frame of `wire`, as `made` from `packet`.
fn as_made(wire: Wire, packet: &Packet, made: impl Fn(&Packet) -> (Vec<u8>, Offload)) -> Wire {
    let (bytes, offload) = made(packet);
    let bytes = [&wire.bytes[..14], &bytes[14..]].concat();
    Wire { bytes, offload, ..wire }
}

#[test]
fn a_checksum_that_is_begun_is_passed_on_begun() {
    type Make = fn(&str, &str) -> Packet;
    let data: Make = |from, to| tcp(from, to, ACK, b"data");
    let datagram: Make = |from, to| udp(from, to, b"data");
    let row = |name, make: Make, client, vip, server, verdict| {
        let (request, expected) = (make(client, vip), hop(make(client, server)));
        Case {
            name,
            given: vec![],
            frame: as_made(outside(&request), &request, partial),
            verdict,
            out: vec![as_made(to_inside(&expected), &expected, partial)],
        }
    };
    let web = ("192.0.2.80:80", "10.0.0.11:8080", "forward web/s1");
    let web6 = ("[2001:db8:1::80]:80", "[fd00::11]:8080", "forward web6/s1");
    let dns = ("192.0.2.80:53", "10.0.0.12:5353", "forward dns/d1");
    let dns6 = ("[2001:db8:1::80]:53", "[fd00::12]:5353", "forward dns6/d1");
    check(vec![
        row("TCP over IPv4", data, CLIENT, web.0, web.1, web.2),
        row("TCP over IPv6", data, CLIENT6, web6.0, web6.1, web6.2),
        row("UDP over IPv4", datagram, CLIENT, dns.0, dns.1, dns.2),
        row("UDP over IPv6", datagram, CLIENT6, dns6.0, dns6.1, dns6.2),
    ]);
}

#[test]
fn a_large_segment_passes_whole() {
    let large = vec![0x5a; 60_000];
    let make = |from: &str, to: &str| tcp(from, to, ACK | PSH | CWR, &large);
    let cut = |packet: &Packet| gso(packet, 1_400);
    let (request, to_server) = (make(CLIENT, "192.0.2.80:80"), make(CLIENT, "10.0.0.11:8080"));
    let (reply, to_client) =
        (make("[fd00::11]:8080", CLIENT6), make("[2001:db8:1::80]:80", CLIENT6));
    let datagrams = udp(CLIENT, "192.0.2.80:53", &large[..8_000]);
    let to_dns = hop(udp(CLIENT, "10.0.0.12:5353", &large[..8_000]));
    check(vec![
        Case {
            name: "64 KiB from the client go to the server in one",
            given: vec![],
            frame: as_made(outside(&request), &request, cut),
            verdict: "forward web/s1",
            out: vec![as_made(to_inside(&hop(to_server.clone())), &hop(to_server), cut)],
        },
        Case {
            name: "64 KiB from the server go to the client in one",
            given: vec![outside(&tcp(CLIENT6, "[2001:db8:1::80]:80", ACK, b"")).into()],
            frame: as_made(inside(&reply), &reply, cut),
            verdict: "forward web6/s1",
            out: vec![as_made(to_outside(&hop(to_client.clone())), &hop(to_client), cut)],
        },
        Case {
            name: "datagrams that share a header go on together",
            given: vec![],
            frame: as_made(outside(&datagrams), &datagrams, |p| gso(p, 1_400)),
            verdict: "forward dns/d1",
            out: vec![as_made(to_inside(&to_dns), &to_dns, |p| gso(p, 1_400))],
        },
    ]);
}

#[test]
fn segments_too_large_for_the_next_wire_are_answered_or_cut() {
    let large = vec![0x5a; 20_000];
    let narrow: fn(&mut Lab) = |lab| lab.set_mtu(Port::Inside, 1_400);
    let cut = |packet: &Packet| gso(packet, 1_448);
    let held_back = tcp(CLIENT, "192.0.2.80:80", ACK, &large);
    let held_back = as_made(outside(&held_back), &held_back, cut);
    let held_back6 = tcp(CLIENT6, "[2001:db8:1::80]:80", ACK, &large);
    let held_back6 = as_made(outside(&held_back6), &held_back6, cut);
    check(vec![
        Case {
            name: "a segment of 1,488 octets that must not be cut does not fit 1,400",
            given: vec![Step::Do(narrow)],
            verdict: "answer",
            out: vec![to_outside(&our_error("192.0.2.11", [3, 4], 1_400, &held_back))],
            frame: held_back,
        },
        Case {
            name: "nor over IPv6",
            given: vec![Step::Do(narrow)],
            verdict: "answer",
            out: vec![to_outside(&our_error("2001:db8:1::11", [2, 0], 1_400, &held_back6))],
            frame: held_back6,
        },
    ]);

    let mut lab = Lab::new();
    lab.set_mtu(Port::Inside, 1_400);
    let request = may_be_cut(tcp(CLIENT, "192.0.2.80:80", ACK | PSH, &large));
    let seen = lab.receive(&as_made(outside(&request), &request, cut));
    assert_eq!(seen.verdict, "forward web/s1");
    // Fourteen segments of at most 1,448 octets, each in two fragments but perhaps the last.
    let mut data = vec![];
    let mut pieces = vec![];
    for sent in &seen.sent {
        assert!(sent.bytes.len() <= 1_414, "{}", sent.bytes.len());
        assert_eq!(sent.offload, Offload::NONE);
        let last = sent.bytes[20] & 0x20 == 0;
        pieces.push(sent.bytes.clone());
        if last {
            let segment = match pieces.len() {
                1 => pieces.remove(0),
                _ => fixtures::reassemble(&pieces).unwrap(),
            };
            fixtures::verify(&segment, &Offload::NONE).unwrap();
            data.extend_from_slice(&segment[54..]);
            pieces.clear();
        }
    }
    assert!(pieces.is_empty());
    assert_eq!(data, large);
}

#[test]
fn a_checksum_that_is_begun_is_finished_before_a_packet_is_cut() {
    let mut lab = Lab::new();
    lab.set_mtu(Port::Inside, 1_000);
    let datagram = |to: &str| may_be_cut(udp(CLIENT, to, &[9; 1_400]));
    let request = datagram("192.0.2.80:53");
    let seen = lab.receive(&as_made(outside(&request), &request, partial));
    let sent: Vec<_> = seen.sent.into_iter().map(|sent| sent.bytes).collect();
    let expected = to_inside(&hop(datagram("10.0.0.12:5353"))).bytes;
    assert_eq!(sent, fixtures::fragments(&expected, 980, 0x1234));
}

#[test]
fn what_does_not_wholly_fit_the_output_leaves_nothing_behind() {
    let mut lab = Lab::new();
    lab.set_mtu(Port::Inside, 1_400);
    let request = may_be_cut(tcp(CLIENT, "192.0.2.80:80", ACK, &[7; 60_000]));
    let wire = as_made(outside(&request), &request, |packet| gso(packet, 1_448));
    let mut copies = vec![wire.bytes.clone(); 20];
    let mut frames: Vec<_> =
        copies.iter_mut().map(|bytes| Frame { bytes, offload: wire.offload }).collect();
    // There is still room for small ones.
    let mut closed = outside(&udp(CLIENT, "192.0.2.80:9", b"closed")).bytes;
    frames.push(Frame { bytes: &mut closed, offload: Offload::NONE });
    let mut out = dataplane::Output::default();
    lab.forwarder.burst(lab.now(), &lab.tables, wire.port.id(), &mut frames, &mut out);
    let words: Vec<_> = out.verdicts.iter().map(|&verdict| lab.words(verdict)).collect();
    let forwarded = words.iter().filter(|word| *word == "forward web/s1").count();
    let refused = words.iter().filter(|word| *word == "drop output_full").count();
    assert_eq!((forwarded + refused, words[20].as_str()), (20, "answer"));
    assert!(forwarded > 4 && refused > 4, "{words:?}");
    // 41 segments of 1,488 octets in two pieces each, and one of 672 octets.
    assert_eq!(out.transmit.len(), forwarded * 83 + 1);
}

#[test]
fn an_offload_header_that_lies_sends_nothing_and_is_no_forward() {
    let mut lab = Lab::new();
    lab.set_mtu(Port::Inside, 1_000);
    let request = may_be_cut(udp(CLIENT, "192.0.2.80:53", &[0; 1_400]));
    let lie = Offload { gso: Gso::TcpV4, gso_size: 1_300, ..Offload::NONE };
    let seen = lab.receive(&outside(&request).with_offload(lie));
    assert_eq!((seen.verdict.as_str(), seen.sent.len()), ("drop too_big", 0));
}

#[test]
fn for_the_hosts_stack_a_checksum_is_finished() {
    let mut lab = Lab::new();
    let packet = udp(CLIENT, "192.0.2.11:514", b"hello");
    let wire = as_made(outside(&packet), &packet, partial);
    let mut bytes = wire.bytes.clone();
    let mut out = dataplane::Output::default();
    let mut frames = [Frame { bytes: &mut bytes, offload: wire.offload }];
    let now = lab.now();
    lab.forwarder.burst(now, &lab.tables, wire.port.id(), &mut frames, &mut out);
    assert_eq!(lab.words(out.verdicts[0]), "own faces");
    let own = out.own[0];
    assert_eq!((own.start, own.end as usize), (14, bytes.len()));
    assert_eq!(bytes[14..], packet.build()[14..]);
}
