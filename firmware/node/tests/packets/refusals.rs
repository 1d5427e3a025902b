//! Where nothing is offered we say so, as a host would (RFC 9293 §3.10.7.1, RFC 1122 §3.2.2.1,
//! RFC 4443 §3.1).

use fixtures::{ACK, FIN, PSH, Packet, RST, SYN, URG, Upper};

use crate::common::{CLIENT, CLIENT6, Wire, outside, to_outside};
use crate::table::{Case, check, our_error, ours, tcp, tcp_at, udp};

/// A reset of ours.
fn reset(from: &str, to: &str, flags: u8, numbers: [u32; 2]) -> Wire {
    let mut packet = ours(tcp_at(from, to, flags, numbers));
    if let Upper::Tcp { window, .. } = &mut packet.upper {
        *window = 0;
    }
    to_outside(&packet)
}

#[test]
fn a_segment_to_a_closed_port_is_reset() {
    let closed = "192.0.2.80:9";
    let row = |name, frame: Packet, flags, numbers| Case {
        name,
        given: vec![],
        frame: outside(&frame),
        verdict: "answer",
        out: vec![reset(closed, CLIENT, flags, numbers)],
    };
    let at = |flags| tcp_at(CLIENT, closed, flags, [1_000, 77]);
    let mut data = tcp(CLIENT, closed, SYN | FIN, b"0123456789");
    if let Upper::Tcp { sequence, .. } = &mut data.upper {
        *sequence = u32::MAX;
    }
    check(vec![
        row("a SYN: all that came is acknowledged", at(SYN), RST | ACK, [0, 1_001]),
        row("an ACK: its number is ours", at(ACK), RST, [77, 0]),
        row("a FIN with ACK", at(FIN | ACK), RST, [77, 0]),
        row("a FIN alone", at(FIN), RST | ACK, [0, 1_001]),
        row("no flags", at(0), RST | ACK, [0, 1_000]),
        row("SYN, FIN and data past the end of numbers", data, RST | ACK, [0, 11]),
        Case {
            name: "a reset is not answered",
            given: vec![],
            frame: outside(&at(RST)),
            verdict: "drop no_service",
            out: vec![],
        },
        Case {
            name: "over IPv6",
            given: vec![],
            frame: outside(&tcp_at(CLIENT6, "[2001:db8:1::80]:9", SYN, [5, 0])),
            verdict: "answer",
            out: vec![reset("[2001:db8:1::80]:9", CLIENT6, RST | ACK, [0, 6])],
        },
    ]);
}

#[test]
fn a_datagram_to_a_closed_port_is_unreachable_from_the_address_it_was_sent_to() {
    let frame = outside(&udp(CLIENT, "192.0.2.80:9", b"anyone?"));
    let long = outside(&udp(CLIENT, "192.0.2.80:9", &[1; 1_400]));
    let frame6 = outside(&udp(CLIENT6, "[2001:db8:1::80]:9", &[1; 1_400]));
    let row = |name, frame: Wire, source, code| Case {
        name,
        given: vec![],
        verdict: "answer",
        out: vec![to_outside(&our_error(source, code, 0, &frame))],
        frame,
    };
    check(vec![
        row("over IPv4", frame, "192.0.2.80", [3, 3]),
        row("over IPv4, quoted up to 576 octets", long, "192.0.2.80", [3, 3]),
        row("over IPv6, quoted up to 1,280 octets", frame6, "2001:db8:1::80", [1, 4]),
    ]);
}

#[test]
fn what_cannot_begin_a_flow_is_dropped_in_silence() {
    let row = |name, flags| Case {
        name,
        given: vec![],
        frame: outside(&tcp(CLIENT, "192.0.2.80:80", flags, b"")),
        verdict: "drop no_flow",
        out: vec![],
    };
    let other = Packet::new(
        "198.51.100.7".parse().unwrap(),
        "192.0.2.80".parse().unwrap(),
        Upper::Other(47, vec![0; 20]),
    );
    check(vec![
        row("no flags", 0),
        row("FIN alone", FIN),
        row("the tree of lights", FIN | PSH | URG),
        row("SYN and FIN", SYN | FIN),
        row("SYN and RST", SYN | RST),
        row("SYN and ACK", SYN | ACK),
        row("a reset", RST),
        row("a reset with ACK", RST | ACK),
        Case {
            name: "a protocol that no service speaks",
            given: vec![],
            frame: outside(&other),
            verdict: "drop no_service",
            out: vec![],
        },
    ]);
}

#[test]
fn a_service_without_servers_refuses_at_once() {
    let datagram = outside(&udp(CLIENT, "192.0.2.80:110", b"?"));
    check(vec![
        Case {
            name: "a SYN is reset",
            given: vec![],
            frame: outside(&tcp_at(CLIENT, "192.0.2.80:110", SYN, [9, 0])),
            verdict: "answer",
            out: vec![reset("192.0.2.80:110", CLIENT, RST | ACK, [0, 10])],
        },
        Case {
            name: "a datagram is unreachable",
            given: vec![],
            verdict: "answer",
            out: vec![to_outside(&our_error("192.0.2.80", [3, 3], 0, &datagram))],
            frame: datagram,
        },
    ]);
}
