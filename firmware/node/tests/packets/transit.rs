//! The servers' own traffic, where a virtual address is their gateway.

use base::address::mapped;
use fixtures::{ACK, SYN, fragments};

use crate::common::{CLIENT, Lab, Port, Wire, inside, outside, to_inside, to_outside};
use crate::table::{Case, Step, check, hop, ip, may_be_cut, our_error, tcp, udp};

#[test]
fn a_servers_own_packets_are_routed_unchanged() {
    let transit = |name, frame: Wire, out: Wire| Case {
        name,
        given: vec![],
        frame,
        verdict: "transit",
        out: vec![out],
    };
    let up = |from: &str, to: &str| tcp(from, to, SYN, b"");
    let answer = |from: &str, to: &str| tcp(from, to, SYN | ACK, b"");
    check(vec![
        transit(
            "to a mirror over IPv4",
            inside(&up("10.0.0.77:5000", "203.0.113.1:443")),
            to_outside(&hop(up("10.0.0.77:5000", "203.0.113.1:443"))),
        ),
        transit(
            "and back",
            outside(&answer("203.0.113.1:443", "10.0.0.11:5000")),
            to_inside(&hop(answer("203.0.113.1:443", "10.0.0.11:5000"))),
        ),
        transit(
            "to a mirror over IPv6",
            inside(&up("[fd00::77]:5000", "[2001:db8:7::1]:443")),
            to_outside(&hop(up("[fd00::77]:5000", "[2001:db8:7::1]:443"))),
        ),
        transit(
            "a server of a whole range, from a port outside it",
            inside(&up("10.0.0.13:50000", "203.0.113.1:443")),
            to_outside(&hop(up("10.0.0.13:50000", "203.0.113.1:443"))),
        ),
        transit(
            "a server from another port than its service's",
            inside(&up("10.0.0.11:8081", "203.0.113.1:443")),
            to_outside(&hop(up("10.0.0.11:8081", "203.0.113.1:443"))),
        ),
        transit(
            "another protocol from a service's port",
            inside(&udp("10.0.0.11:8080", "203.0.113.1:443", b"")),
            to_outside(&hop(udp("10.0.0.11:8080", "203.0.113.1:443", b""))),
        ),
    ]);
}

#[test]
fn nothing_is_routed_unless_a_gateway_says_so() {
    let off = || vec![Step::Do(Lab::close_gateways)];
    let dropped = |name, given, frame, verdict| Case { name, given, frame, verdict, out: vec![] };
    check(vec![
        dropped(
            "a server's own packet",
            off(),
            inside(&tcp("10.0.0.77:5000", "203.0.113.1:443", SYN, b"")),
            "drop transit_off",
        ),
        dropped(
            "a stranger's packet to a server",
            off(),
            outside(&tcp(CLIENT, "10.0.0.11:22", SYN, b"")),
            "drop transit_off",
        ),
        Case {
            name: "a service works all the same",
            given: off(),
            frame: outside(&tcp(CLIENT, "192.0.2.80:80", SYN, b"")),
            verdict: "forward web/s1",
            out: vec![to_inside(&hop(tcp(CLIENT, "10.0.0.11:8080", SYN, b"")))],
        },
        dropped(
            "never back to where it came from",
            vec![],
            inside(&tcp("10.0.0.77:5000", "10.0.0.11:22", SYN, b"")),
            "drop transit_off",
        ),
        dropped(
            "nor from the router to the router",
            vec![],
            outside(&tcp(CLIENT, "203.0.113.1:80", SYN, b"")),
            "drop transit_off",
        ),
    ]);
}

#[test]
fn a_directed_broadcast_is_not_forwarded() {
    check(vec![Case {
        name: "to all servers, from outside (RFC 2644 §2)",
        given: vec![],
        frame: outside(&udp(CLIENT, "10.0.0.255:7", b"all")),
        verdict: "drop group_destination",
        out: vec![],
    }]);
}

#[test]
fn where_no_route_leads_is_said() {
    let frame = inside(&udp("10.0.0.77:5", "203.0.113.1:6", b"x"));
    let mut lab = Lab::new();
    lab.reconfigure(|config| {
        config.networks.iter_mut().for_each(|network| network.gateways.clear());
    });
    let seen = lab.receive(&frame);
    assert_eq!(seen.verdict, "answer");
    let error = our_error("10.0.0.2", [3, 0], 0, &frame);
    assert_eq!(seen.sent[0].bytes[14..], error.build()[14..]);
    // A reply to a client that no route leads to any more.
    lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q")));
    let reply = lab.receive(&inside(&udp("10.0.0.12:5353", CLIENT, b"a")));
    assert_eq!(reply.verdict, "drop no_route");
}

#[test]
fn a_port_without_carrier_takes_nothing() {
    check(vec![
        Case {
            name: "a request when the servers' side is down",
            given: vec![Step::Do(|lab| lab.set_port(Port::Inside, false))],
            frame: outside(&udp(CLIENT, "192.0.2.80:53", b"q")),
            verdict: "drop port_down",
            out: vec![],
        },
        Case {
            name: "a reply when the clients' side is down",
            given: vec![
                outside(&udp(CLIENT, "192.0.2.80:53", b"q")).into(),
                Step::Do(|lab| lab.set_port(Port::Outside, false)),
            ],
            frame: inside(&udp("10.0.0.12:5353", CLIENT, b"a")),
            verdict: "drop port_down",
            out: vec![],
        },
    ]);
}

#[test]
fn a_fragmented_ping_of_a_server_goes_through() {
    let ping = may_be_cut(fixtures::Packet::echo(
        ip("10.0.0.12"),
        ip("203.0.113.1"),
        false,
        1,
        1,
        &[5; 2_000],
    ));
    let frames = fragments(&inside(&ping).bytes, 1_000, 3);
    let expected = fragments(&to_outside(&hop(ping)).bytes, 1_000, 3);
    let mut lab = Lab::new();
    for (frame, expected) in frames.iter().zip(&expected) {
        let seen = lab.receive(&Wire::raw(Port::Inside, frame.clone()));
        assert_eq!((seen.verdict.as_str(), &seen.sent[0].bytes), ("transit", expected));
    }
    assert_eq!(mapped(ip("10.0.0.12")).to_ipv4_mapped(), "10.0.0.12".parse().ok());
}
