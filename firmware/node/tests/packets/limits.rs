//! How often we answer strangers, and that what is over the limit is dropped and counted.

use std::net::Ipv4Addr;
use std::time::Duration;

use fixtures::{Packet, SYN, arp_request, neighbor_solicitation};
use model::limits;

use crate::common::{CLIENT, Lab, Port, Wire, inside, outside};
use crate::table::{ip, tcp, udp};

fn ping() -> Wire {
    outside(&Packet::echo(ip("198.51.100.7"), ip("192.0.2.80"), false, 1, 1, b"x"))
}

fn closed_udp() -> Wire {
    outside(&udp(CLIENT, "192.0.2.80:9", b"?"))
}

fn expired() -> Wire {
    outside(&Packet { ttl: 1, ..udp(CLIENT, "192.0.2.80:53", b"q") })
}

fn closed_tcp() -> Wire {
    outside(&tcp(CLIENT, "192.0.2.80:9", SYN, b""))
}

fn arp() -> Wire {
    let ours = Ipv4Addr::new(192, 0, 2, 80);
    Wire::raw(Port::Outside, arp_request(Ipv4Addr::new(192, 0, 2, 1), ours))
}

fn solicitation() -> Wire {
    let parse = |text: &str| text.parse().expect("an IPv6 address");
    let bytes = neighbor_solicitation(parse("2001:db8:1::1"), parse("2001:db8:1::80"));
    Wire::raw(Port::Outside, bytes)
}

#[test]
fn every_kind_of_answer_has_a_burst_and_a_rate() {
    use limits::{
        ECHO_REPLIES_BURST, ECHO_REPLIES_PER_SECOND, ICMP_ERRORS_BURST, ICMP_ERRORS_PER_SECOND,
        NEIGHBOUR_ANSWERS_BURST, NEIGHBOUR_ANSWERS_PER_SECOND, RESETS_BURST, RESETS_PER_SECOND,
    };
    type Row = (&'static str, fn() -> Wire, u32, u32);
    let rows: [Row; 6] = [
        ("echo replies", ping, ECHO_REPLIES_BURST, ECHO_REPLIES_PER_SECOND),
        ("port unreachable", closed_udp, ICMP_ERRORS_BURST, ICMP_ERRORS_PER_SECOND),
        ("time exceeded", expired, ICMP_ERRORS_BURST, ICMP_ERRORS_PER_SECOND),
        ("resets", closed_tcp, RESETS_BURST, RESETS_PER_SECOND),
        ("ARP replies", arp, NEIGHBOUR_ANSWERS_BURST, NEIGHBOUR_ANSWERS_PER_SECOND),
        ("advertisements", solicitation, NEIGHBOUR_ANSWERS_BURST, NEIGHBOUR_ANSWERS_PER_SECOND),
    ];
    for (name, frame, burst, rate) in rows {
        let mut lab = Lab::new();
        let frame = frame();
        for n in 0..burst + 50 {
            let seen = lab.receive(&frame);
            let expected = if n < burst { "answer" } else { "drop rate_limited" };
            assert_eq!(seen.verdict, expected, "{name} {n}");
            assert_eq!(seen.sent.len(), usize::from(n < burst), "{name} {n}");
        }
        assert_eq!(lab.count("rate_limited"), 50, "{name}");
        // A tenth of a second brings a tenth of the rate, or the burst if that is less.
        lab.wait(Duration::from_millis(100));
        let due = (rate / 10).min(burst);
        let answered = (0..due + 10).filter(|_| lab.receive(&frame).verdict == "answer").count();
        assert_eq!(answered, due as usize, "{name}");
    }
}

#[test]
fn one_kind_of_answer_does_not_use_up_another() {
    let mut lab = Lab::new();
    while lab.receive(&closed_udp()).verdict == "answer" {}
    for frame in [ping(), closed_tcp(), arp(), solicitation()] {
        assert_eq!(lab.receive(&frame).verdict, "answer");
    }
    // And traffic flows.
    let seen = lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q")));
    assert_eq!(seen.verdict, "forward dns/d1");
    let seen = lab.receive(&inside(&udp("10.0.0.12:5353", CLIENT, b"a")));
    assert_eq!(seen.verdict, "forward dns/d1");
}

#[test]
fn what_cannot_be_told_to_control_is_counted() {
    let mut lab = Lab::new();
    lab.forget_neighbor(Port::Inside, "10.0.0.12");
    assert_eq!(lab.count("events_lost"), 0);
    let seen = lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q")));
    assert_eq!(seen.events.len(), 1);
    assert_eq!(lab.count("events_lost"), 0);
}

#[test]
fn a_flood_on_one_side_does_not_silence_us_on_the_other() {
    let mut lab = Lab::new();
    for _ in 0..limits::NEIGHBOUR_ANSWERS_BURST + 50 {
        lab.receive(&arp());
    }
    assert_eq!(lab.receive(&arp()).verdict, "drop rate_limited");
    let asked = arp_request(Ipv4Addr::new(10, 0, 0, 11), Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(lab.receive(&Wire::raw(Port::Inside, asked)).verdict, "answer");
}
