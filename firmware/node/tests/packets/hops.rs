//! What a router owes a packet: one hop less, and an answer when it cannot go on.

use fixtures::{ACK, Packet, SYN, fragments};

use crate::common::{CLIENT, CLIENT6, Lab, Port, inside, outside, to_inside, to_outside};
use crate::table::{Case, Step, back, check, hop, may_be_cut, our_error, tcp, udp};

fn with_ttl(packet: Packet, ttl: u8) -> Packet {
    Packet { ttl, ..packet }
}

#[test]
fn a_packet_whose_hops_are_used_up_is_answered_from_the_port_it_came_by() {
    let request = |ttl| outside(&with_ttl(tcp(CLIENT, "192.0.2.80:80", SYN, b""), ttl));
    let request6 = outside(&with_ttl(udp(CLIENT6, "[2001:db8:1::80]:53", b"q"), 1));
    let open = || vec![outside(&tcp(CLIENT, "192.0.2.80:80", SYN, b"")).into()];
    let reply = inside(&with_ttl(tcp("10.0.0.11:8080", CLIENT, ACK, b"data"), 1));
    let transit = inside(&with_ttl(udp("[fd00::77]:5", "[2001:db8:9::7]:6", b"x"), 1));
    check(vec![
        Case {
            name: "a request with a TTL of 1",
            given: vec![],
            frame: request(1),
            verdict: "answer",
            out: vec![to_outside(&our_error("192.0.2.11", [11, 0], 0, &request(1)))],
        },
        Case {
            name: "a request with a TTL of 0",
            given: vec![],
            frame: request(0),
            verdict: "answer",
            out: vec![to_outside(&our_error("192.0.2.11", [11, 0], 0, &request(0)))],
        },
        Case {
            name: "a request over IPv6 with a hop limit of 1",
            given: vec![],
            verdict: "answer",
            out: vec![to_outside(&our_error("2001:db8:1::11", [3, 0], 0, &request6))],
            frame: request6,
        },
        Case {
            name: "a reply with a TTL of 1, quoted as the server sent it",
            given: open(),
            verdict: "answer",
            out: vec![back(Port::Inside, &our_error("10.0.0.2", [11, 0], 0, &reply), &reply)],
            frame: reply,
        },
        Case {
            name: "a server's own packet with a hop limit of 1",
            given: vec![],
            verdict: "answer",
            out: vec![back(Port::Inside, &our_error("fd00::2", [3, 0], 0, &transit), &transit)],
            frame: transit,
        },
    ]);
}

#[test]
fn an_error_is_never_answered_by_an_error() {
    let quoted = udp("203.0.113.1:5", "10.0.0.77:6", b"x").build();
    let error = fixtures::icmp_error(
        "10.0.0.77".parse().unwrap(),
        "203.0.113.1".parse().unwrap(),
        [3, 3],
        0,
        &quoted,
        8,
    );
    let mut error = crate::common::Wire::raw(
        Port::Inside,
        crate::common::with_macs(error, crate::common::INSIDE, base::Mac([2, 0, 0, 0, 0, 9])),
    );
    // TTL 1.
    error.bytes[22] = 1;
    error.bytes[24..26].fill(0);
    let sum = !fixtures::checksum(&error.bytes[14..34]);
    error.bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    let data = may_be_cut(udp(CLIENT, "192.0.2.80:53", &[0; 2_000]));
    let mut later = fragments(&outside(&data).bytes, 1_000, 5).remove(1);
    later[22] = 1;
    later[24..26].fill(0);
    let sum = !fixtures::checksum(&later[14..34]);
    later[24..26].copy_from_slice(&sum.to_be_bytes());
    let first = fragments(&outside(&data).bytes, 1_000, 5).remove(0);
    check(vec![
        Case {
            name: "an ICMP error whose hops are used up is dropped",
            given: vec![],
            frame: error,
            verdict: "drop time_to_live",
            out: vec![],
        },
        Case {
            name: "a later fragment whose hops are used up is dropped",
            given: vec![crate::common::Wire::raw(Port::Outside, first).into()],
            frame: crate::common::Wire::raw(Port::Outside, later),
            verdict: "drop time_to_live",
            out: vec![],
        },
    ]);
}

#[test]
fn a_packet_larger_than_the_next_mtu_is_answered_with_that_mtu_or_cut() {
    let narrow: fn(&mut Lab) = |lab| lab.set_mtu(Port::Inside, 1_300);
    let narrow_outside: fn(&mut Lab) = |lab| lab.set_mtu(Port::Outside, 1_300);
    let large = [7; 1_400];
    let request = outside(&tcp(CLIENT, "192.0.2.80:80", ACK, &large));
    let request6 = outside(&tcp(CLIENT6, "[2001:db8:1::80]:80", ACK, &large));
    let reply = inside(&tcp("10.0.0.11:8080", CLIENT, ACK, &large));
    let loose = |to: &str| may_be_cut(udp(CLIENT, to, &large));
    let cut = hop(loose("10.0.0.12:5353"));
    let pieces = fragments(&to_inside(&cut).bytes, 1_280, 0x1234);
    let exact = |to: &str| tcp(CLIENT, to, ACK, &large[..1_260]);
    check(vec![
        Case {
            name: "DF set: fragmentation needed, with the MTU (RFC 1191 §4)",
            given: vec![Step::Do(narrow)],
            verdict: "answer",
            out: vec![to_outside(&our_error("192.0.2.11", [3, 4], 1_300, &request))],
            frame: request,
        },
        Case {
            name: "IPv6: packet too big, with the MTU (RFC 4443 §3.2)",
            given: vec![Step::Do(narrow)],
            verdict: "answer",
            out: vec![to_outside(&our_error("2001:db8:1::11", [2, 0], 1_300, &request6))],
            frame: request6,
        },
        Case {
            name: "a reply too large for the clients' side is answered to the server",
            given: vec![
                outside(&tcp(CLIENT, "192.0.2.80:80", ACK, b"")).into(),
                Step::Do(narrow_outside),
            ],
            verdict: "answer",
            out: vec![back(Port::Inside, &our_error("10.0.0.2", [3, 4], 1_300, &reply), &reply)],
            frame: reply,
        },
        Case {
            name: "DF clear: cut into fragments",
            given: vec![Step::Do(narrow)],
            frame: outside(&loose("192.0.2.80:53")),
            verdict: "forward dns/d1",
            out: pieces
                .into_iter()
                .map(|bytes| crate::common::Wire::raw(Port::Inside, bytes))
                .collect(),
        },
        Case {
            name: "exactly the MTU fits",
            given: vec![Step::Do(narrow)],
            frame: outside(&exact("192.0.2.80:80")),
            verdict: "forward web/s1",
            out: vec![to_inside(&hop(exact("10.0.0.11:8080")))],
        },
    ]);
}

#[test]
fn a_packet_that_must_wait_for_its_neighbor_is_cut_when_it_goes() {
    let mut lab = Lab::new();
    lab.set_mtu(Port::Inside, 1_300);
    let datagram = |to: &str| may_be_cut(udp(CLIENT, to, &[7; 1_400]));
    assert_eq!(lab.receive(&outside(&datagram("192.0.2.80:130"))).verdict, "held");
    lab.learn_neighbor(Port::Inside, "10.0.0.66");
    let seen = lab.wait(std::time::Duration::ZERO);
    let whole = to_inside(&hop(datagram("10.0.0.66:130"))).bytes;
    let sent: Vec<_> = seen.sent.into_iter().map(|sent| sent.bytes).collect();
    assert_eq!(sent, fragments(&whole, 1_280, 0x1234));
    assert_eq!(lab.resolved, ["forward dark/ghost"]);
}
