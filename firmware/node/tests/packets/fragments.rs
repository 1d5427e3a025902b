//! Fragments reach the server of their first, which alone shows the ports.

use std::time::Duration;

use fixtures::{ACK, Packet, fragments, icmp_echo};

use crate::common::{
    CLIENT, CLIENT6, INSIDE, Lab, OUTSIDE, Port, ROUTER, Wire, inside, mac_of, outside, to_inside,
    to_outside, with_macs,
};
use crate::table::{Case, check, hop, ip, may_be_cut, tcp, udp};

const DATA: [u8; 2_500] = [0x42; 2_500];

/// The frame in pieces of 1,000 octets.
fn cut(wire: &Wire, identification: u32) -> Vec<Wire> {
    let pieces = fragments(&wire.bytes, 1_000, identification);
    pieces.into_iter().map(|bytes| Wire { bytes, ..wire.clone() }).collect()
}

fn request(to: &str) -> Packet {
    may_be_cut(udp(CLIENT, to, &DATA))
}

fn request6(to: &str) -> Packet {
    udp(CLIENT6, to, &DATA)
}

#[test]
fn in_order_each_piece_follows_the_first() {
    struct Row {
        name: &'static str,
        given: Vec<Wire>,
        frame: Wire,
        verdict: &'static str,
        out: Wire,
    }
    let rows = [
        Row {
            name: "of a request over IPv4",
            given: vec![],
            frame: outside(&request("192.0.2.80:53")),
            verdict: "forward dns/d1",
            out: to_inside(&hop(request("10.0.0.12:5353"))),
        },
        Row {
            name: "of a request over IPv6",
            given: vec![],
            frame: outside(&request6("[2001:db8:1::80]:53")),
            verdict: "forward dns6/d1",
            out: to_inside(&hop(request6("[fd00::12]:5353"))),
        },
        Row {
            name: "of a reply over IPv4",
            given: vec![outside(&request("192.0.2.80:53"))],
            frame: inside(&may_be_cut(udp("10.0.0.12:5353", CLIENT, &DATA))),
            verdict: "forward dns/d1",
            out: to_outside(&hop(may_be_cut(udp("192.0.2.80:53", CLIENT, &DATA)))),
        },
        Row {
            name: "of a reply over IPv6",
            given: vec![outside(&request6("[2001:db8:1::80]:53"))],
            frame: inside(&udp("[fd00::12]:5353", CLIENT6, &DATA)),
            verdict: "forward dns6/d1",
            out: to_outside(&hop(udp("[2001:db8:1::80]:53", CLIENT6, &DATA))),
        },
        Row {
            name: "of a segment",
            given: vec![],
            frame: outside(&may_be_cut(tcp(CLIENT, "192.0.2.80:80", ACK, &DATA))),
            verdict: "forward web/s1",
            out: to_inside(&hop(may_be_cut(tcp(CLIENT, "10.0.0.11:8080", ACK, &DATA)))),
        },
        Row {
            name: "of a server's own packet",
            given: vec![],
            frame: inside(&may_be_cut(udp("10.0.0.12:99", "203.0.113.5:7", &DATA))),
            verdict: "transit",
            out: to_outside(&hop(may_be_cut(udp("10.0.0.12:99", "203.0.113.5:7", &DATA)))),
        },
    ];
    let mut cases = vec![];
    for row in rows {
        let (frames, expected) = (cut(&row.frame, 0xfeed), cut(&row.out, 0xfeed));
        for (index, (frame, out)) in frames.iter().zip(expected).enumerate() {
            let given = row.given.iter().chain(&frames[..index]).cloned();
            cases.push(Case {
                name: row.name,
                given: given.map(Into::into).collect(),
                frame: frame.clone(),
                verdict: row.verdict,
                out: vec![out],
            });
        }
    }
    check(cases);
}

#[test]
fn pieces_before_their_first_wait_for_it() {
    for (frame, expected, verdict) in [
        (
            outside(&request("192.0.2.80:53")),
            to_inside(&hop(request("10.0.0.12:5353"))),
            "forward dns/d1",
        ),
        (
            outside(&request6("[2001:db8:1::80]:53")),
            to_inside(&hop(request6("[fd00::12]:5353"))),
            "forward dns6/d1",
        ),
    ] {
        let (frames, expected) = (cut(&frame, 7), cut(&expected, 7));
        let mut lab = Lab::new();
        assert_eq!(lab.receive(&frames[2]).verdict, "held");
        lab.wait(Duration::from_millis(500));
        assert_eq!(lab.receive(&frames[1]).verdict, "held");
        let seen = lab.receive(&frames[0]);
        assert_eq!(seen.verdict, verdict);
        assert_eq!(lab.resolved, [verdict; 2]);
        let sent: Vec<_> = seen.sent.into_iter().map(|sent| sent.bytes).collect();
        let expected: Vec<_> = [0, 2, 1].map(|at| expected[at].bytes.clone()).into();
        assert_eq!(sent, expected);
    }
}

#[test]
fn pieces_whose_first_never_comes_are_dropped_after_two_seconds() {
    let mut lab = Lab::new();
    let frames = cut(&outside(&request("192.0.2.80:53")), 7);
    lab.receive(&frames[1]);
    lab.wait(Duration::from_millis(1_900));
    assert_eq!((lab.waiting(), lab.resolved.len()), (1, 0));
    assert!(lab.wait(Duration::from_millis(100)).sent.is_empty());
    assert_eq!(
        (lab.waiting(), lab.resolved.as_slice()),
        (0, ["drop fragment_timeout".into()].as_slice())
    );
}

#[test]
fn pieces_share_the_end_of_their_first() {
    let closed = cut(&outside(&request("192.0.2.80:9")), 7);
    let filtered = cut(&outside(&may_be_cut(tcp(CLIENT, "192.0.2.80:80", 0, &DATA))), 7);
    let ping = Packet::echo(ip("198.51.100.7"), ip("192.0.2.80"), false, 1, 1, &DATA);
    let ping = cut(&outside(&may_be_cut(ping)), 7);
    let row = |name, pieces: &[Wire], verdict| Case {
        name,
        given: vec![pieces[0].clone().into()],
        frame: pieces[1].clone(),
        verdict,
        out: vec![],
    };
    check(vec![
        row("to a closed port", &closed, "drop no_service"),
        row("that could not begin a flow", &filtered, "drop no_flow"),
        row("of a ping too large for us to answer", &ping, "drop no_service"),
    ]);
    // Those that came first too.
    let mut lab = Lab::new();
    lab.receive(&closed[1]);
    assert_eq!(lab.receive(&closed[0]).verdict, "answer");
    assert_eq!(lab.resolved, ["drop no_service"]);
}

#[test]
fn pieces_of_different_datagrams_are_not_confused() {
    let mut lab = Lab::new();
    let first = cut(&outside(&request("192.0.2.80:53")), 1);
    lab.receive(&first[0]);
    let other_number = cut(&outside(&request("192.0.2.80:53")), 2);
    assert_eq!(lab.receive(&other_number[1]).verdict, "held");
    let other_client = may_be_cut(udp("198.51.100.8:40000", "192.0.2.80:53", &DATA));
    assert_eq!(lab.receive(&cut(&outside(&other_client), 1)[1]).verdict, "held");
    let other_protocol = may_be_cut(tcp(CLIENT, "192.0.2.80:80", ACK, &DATA));
    assert_eq!(lab.receive(&cut(&outside(&other_protocol), 1)[1]).verdict, "held");
    // The same number again within seconds names a new datagram, which may be another flow's.
    let next = cut(&outside(&may_be_cut(udp(CLIENT, "192.0.2.80:27000", &DATA))), 1);
    assert_eq!(lab.receive(&next[0]).verdict, "forward game/r1");
    assert_eq!(lab.receive(&next[1]).verdict, "forward game/r1");
}

#[test]
fn a_datagrams_number_is_forgotten_after_fifteen_seconds() {
    let mut lab = Lab::new();
    let pieces = cut(&outside(&request("192.0.2.80:53")), 1);
    lab.receive(&pieces[0]);
    lab.wait(Duration::from_secs(16));
    assert_eq!(lab.receive(&pieces[1]).verdict, "held");
}

#[test]
fn strangers_pieces_fill_no_more_than_their_room() {
    let mut lab = Lab::new();
    // One datagram: 64 pieces.
    let many =
        fragments(&outside(&may_be_cut(udp(CLIENT, "192.0.2.80:53", &[1; 3_000]))).bytes, 24, 9);
    let verdicts: Vec<_> = many[1..100]
        .iter()
        .map(|bytes| lab.receive(&Wire::raw(Port::Outside, bytes.clone())).verdict)
        .collect();
    assert_eq!(verdicts.iter().filter(|verdict| *verdict == "held").count(), 64);
    assert_eq!(verdicts.iter().filter(|verdict| *verdict == "drop hold_full").count(), 35);
    // All datagrams: 256.
    for n in 0..400 {
        lab.receive(&cut(&outside(&request("192.0.2.80:53")), 100 + n)[1]);
    }
    assert_eq!(lab.waiting(), 256);
    // The first of a datagram still finds its pieces.
    let seen = lab.receive(&Wire::raw(Port::Outside, many[0].clone()));
    assert_eq!(seen.sent.len(), 65);
}

#[test]
fn hostile_fragments_are_refused() {
    let segment = |data: &[u8]| outside(&may_be_cut(tcp(CLIENT, "192.0.2.80:80", ACK, data)));
    let tiny = fragments(&segment(b"0123456789abcdef").bytes, 16, 3);
    let mut beyond = cut(&outside(&request("192.0.2.80:53")), 3).remove(2).bytes;
    // Offset 65,528.
    beyond[20..22].copy_from_slice(&[0x1f, 0xff]);
    let mut beyond = Wire::raw(Port::Outside, beyond);
    seal(&mut beyond.bytes);
    let mut overlap =
        cut(&outside(&may_be_cut(tcp(CLIENT, "192.0.2.80:80", ACK, &DATA))), 3)[1].clone();
    overlap.bytes[20..22].copy_from_slice(&[0x20, 1]);
    seal(&mut overlap.bytes);
    let row = |name, frame, verdict| Case { name, given: vec![], frame, verdict, out: vec![] };
    check(vec![
        row(
            "a first fragment without the whole TCP header (RFC 1858 §3)",
            Wire::raw(Port::Outside, tiny[0].clone()),
            "drop tiny_fragment",
        ),
        row("a fragment that reaches past 65,535 octets", beyond, "drop bad_fragment"),
        row("a fragment at offset 8 of a segment (RFC 3128 §4)", overlap, "drop tiny_fragment"),
    ]);
}

fn seal(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let sum = !fixtures::checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn a_fragment_that_must_then_wait_for_its_neighbor_is_decided_once() {
    let mut lab = Lab::new();
    let frames = cut(&outside(&request("192.0.2.80:130")), 7);
    assert_eq!(lab.receive(&frames[1]).verdict, "held");
    assert_eq!(lab.receive(&frames[0]).verdict, "held");
    assert_eq!((lab.waiting(), lab.resolved.len()), (2, 0));
    lab.learn_neighbor(Port::Inside, "10.0.0.66");
    let sent = lab.wait(Duration::ZERO).sent;
    assert_eq!(lab.resolved, ["forward dark/ghost"; 2]);
    let expected = cut(&to_inside(&hop(request("10.0.0.66:130"))), 7);
    let expected: Vec<_> = [0, 1].map(|at| expected[at].bytes.clone()).into();
    assert_eq!(sent.into_iter().map(|sent| sent.bytes).collect::<Vec<_>>(), expected);
}

#[test]
fn a_fragmented_ping_to_the_nodes_own_address_is_the_host_stacks() {
    let ping = with_macs(icmp_echo(ip("198.51.100.7"), ip("192.0.2.11"), 1, 1), OUTSIDE, ROUTER);
    let pieces = fragments(&ping, 8, 4);
    let row = |name, piece: usize| Case {
        name,
        given: vec![],
        frame: Wire::raw(Port::Outside, pieces[piece].clone()),
        verdict: "own faces",
        out: vec![],
    };
    check(vec![row("its first piece", 0), row("its last", 1)]);
    assert_ne!(mac_of(ip("10.0.0.11")), INSIDE);
}
