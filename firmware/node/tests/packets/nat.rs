//! Requests go to the server, replies come from the virtual address; nothing else is changed.

use fixtures::{ACK, FIN, PSH, Packet, SYN, URG};

use crate::common::{CLIENT, CLIENT6, inside, outside, to_inside, to_outside};
use crate::table::{Case, check, hop, tcp, udp};

#[test]
fn each_family_and_protocol_is_translated_both_ways() {
    struct Row {
        name: [&'static str; 2],
        client: &'static str,
        vip: &'static str,
        server: &'static str,
        verdict: &'static str,
        packet: fn(&str, &str) -> Packet,
    }
    let tcp: fn(&str, &str) -> Packet = |from, to| tcp(from, to, ACK | PSH, b"some data");
    let udp: fn(&str, &str) -> Packet = |from, to| udp(from, to, b"odd");
    let rows = [
        Row {
            name: ["a TCP request over IPv4 goes to the server", "and its reply to the client"],
            client: CLIENT,
            vip: "192.0.2.80:80",
            server: "10.0.0.11:8080",
            verdict: "forward web/s1",
            packet: tcp,
        },
        Row {
            name: ["a TCP request over IPv6 goes to the server", "and its reply to the client"],
            client: CLIENT6,
            vip: "[2001:db8:1::80]:80",
            server: "[fd00::11]:8080",
            verdict: "forward web6/s1",
            packet: tcp,
        },
        Row {
            name: ["a UDP request over IPv4 goes to the server", "and its reply to the client"],
            client: CLIENT,
            vip: "192.0.2.80:53",
            server: "10.0.0.12:5353",
            verdict: "forward dns/d1",
            packet: udp,
        },
        Row {
            name: ["a UDP request over IPv6 goes to the server", "and its reply to the client"],
            client: CLIENT6,
            vip: "[2001:db8:1::80]:53",
            server: "[fd00::12]:5353",
            verdict: "forward dns6/d1",
            packet: udp,
        },
        Row {
            name: ["a port of a range is kept where the server has none", "and so in its reply"],
            client: CLIENT,
            vip: "192.0.2.80:8042",
            server: "10.0.0.13:8042",
            verdict: "forward range/r1",
            packet: tcp,
        },
        Row {
            name: ["the last port of a range belongs to it", "and its reply"],
            client: CLIENT,
            vip: "192.0.2.80:27010",
            server: "10.0.0.13:27010",
            verdict: "forward game/r1",
            packet: udp,
        },
    ];
    let cases = rows.into_iter().flat_map(|row| {
        let Row { name: [request, reply], client, vip, server, verdict, packet } = row;
        [
            Case {
                name: request,
                given: vec![],
                frame: outside(&packet(client, vip)),
                verdict,
                out: vec![to_inside(&hop(packet(client, server)))],
            },
            Case {
                name: reply,
                given: vec![outside(&packet(client, vip)).into()],
                frame: inside(&packet(server, client)),
                verdict,
                out: vec![to_outside(&hop(packet(vip, client)))],
            },
        ]
    });
    check(cases.collect());
}

/// What must come out as it went in: the changed packet and what is expected of it.
fn row(name: &'static str, change: fn(Packet) -> Packet) -> Case {
    Case {
        name,
        given: vec![],
        frame: outside(&change(tcp(CLIENT, "192.0.2.80:80", SYN, b""))),
        verdict: "forward web/s1",
        out: vec![to_inside(&hop(change(tcp(CLIENT, "10.0.0.11:8080", SYN, b""))))],
    }
}

#[test]
fn what_is_not_translated_is_left_alone() {
    check(vec![
        row("options of TCP pass", |p| p.with_tcp_options(&[2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2])),
        row("options of IP pass: a router alert", |p| p.with_options(&[0x94, 4, 0, 0])),
        row("a full header of options passes", |p| {
            p.with_options(&[7, 39, 4].into_iter().chain([0; 37]).collect::<Vec<_>>())
        }),
        row("the type of service passes, congestion marks too", |p| Packet { class: 0xbb, ..p }),
        row("the identification passes", |p| Packet { identification: 0xffff, ..p }),
        row("a cleared DF bit stays cleared", |p| Packet { dont_fragment: false, ..p }),
        row("the largest TTL is decremented", |p| Packet { ttl: 255, ..p }),
        row("a TTL of 2 is enough", |p| Packet { ttl: 2, ..p }),
    ]);
}

#[test]
fn headers_of_ipv6_before_the_transport_are_passed_over() {
    let request = |to: &str| udp(CLIENT6, to, b"q").with_extension(0, 8).with_extension(60, 16);
    let atomic = |to: &str| udp(CLIENT6, to, b"q").with_fragment_header(0, false, 9);
    let used_up = |to: &str| udp(CLIENT6, to, b"q").with_extension(43, 8);
    let case = |name, packet: &dyn Fn(&str) -> Packet| Case {
        name,
        given: vec![],
        frame: outside(&packet("[2001:db8:1::80]:53")),
        verdict: "forward dns6/d1",
        out: vec![to_inside(&hop(packet("[fd00::12]:5353")))],
    };
    check(vec![
        case("hop-by-hop and destination options pass", &request),
        case("an atomic fragment is a whole packet (RFC 6946)", &atomic),
        case("a routing header that is used up passes", &used_up),
    ]);
}

#[test]
fn a_udp_checksum_of_zero_stays_zero_and_none_becomes_zero() {
    let bare = |from: &str, to: &str| udp(from, to, b"q").without_checksum();
    check(vec![
        Case {
            name: "a request without checksum is forwarded without one",
            given: vec![],
            frame: outside(&bare(CLIENT, "192.0.2.80:53")),
            verdict: "forward dns/d1",
            out: vec![to_inside(&hop(bare(CLIENT, "10.0.0.12:5353")))],
        },
        Case {
            name: "a reply without checksum is forwarded without one",
            given: vec![outside(&bare(CLIENT, "192.0.2.80:53")).into()],
            frame: inside(&bare("10.0.0.12:5353", CLIENT)),
            verdict: "forward dns/d1",
            out: vec![to_outside(&hop(bare("192.0.2.80:53", CLIENT)))],
        },
    ]);
    // Among all values of two octets there is one whose checksum is zero, written as all ones.
    let mut lab = crate::common::Lab::new();
    let mut all_ones = 0;
    for value in 0..=u16::MAX {
        let data = value.to_be_bytes();
        let seen = lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", &data)));
        let expected = to_inside(&hop(udp(CLIENT, "10.0.0.12:5353", &data)));
        assert_eq!(seen.sent[0].bytes, expected.bytes, "{value}");
        all_ones += u32::from(expected.bytes[40..42] == [0xff, 0xff]);
    }
    assert_eq!(all_ones, 1);
}

#[test]
fn each_service_and_server_counts_its_traffic() {
    let mut lab = crate::common::Lab::new();
    for _ in 0..3 {
        lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"ask")));
    }
    lab.receive(&inside(&udp("10.0.0.12:5353", CLIENT, b"answer")));
    lab.receive(&outside(&udp("198.51.100.7:40001", "192.0.2.80:53", b"ask")));
    let counters = lab.forwarder.counters();
    let expected = dataplane::counters::Traffic {
        active: 2,
        flows: 2,
        packets_in: 4,
        bytes_in: 4 * 31,
        packets_out: 1,
        bytes_out: 34,
    };
    for all in [&counters.services, &counters.servers] {
        let busy: Vec<_> = all.iter().filter(|traffic| traffic.packets_in > 0).collect();
        assert_eq!(busy, [&expected]);
    }
    assert_eq!((lab.count("balanced"), lab.count("flows_created")), (5, 2));
}

#[test]
fn what_the_wire_adds_or_lacks_does_not_matter() {
    let short = tcp(CLIENT, "192.0.2.80:80", SYN, b"");
    let mut padded = outside(&short);
    padded.bytes.resize(60, 0xee);
    let mut urgent = tcp(CLIENT, "192.0.2.80:80", ACK | URG | FIN, b"");
    urgent.ttl = 17;
    let expected = Packet { ttl: 16, ..tcp(CLIENT, "10.0.0.11:8080", ACK | URG | FIN, b"") };
    check(vec![
        Case {
            name: "padding of a short frame is left behind",
            given: vec![],
            frame: padded,
            verdict: "forward web/s1",
            out: vec![to_inside(&hop(tcp(CLIENT, "10.0.0.11:8080", SYN, b"")))],
        },
        Case {
            name: "flags that belong to the ends pass",
            given: vec![outside(&short).into()],
            frame: outside(&urgent),
            verdict: "forward web/s1",
            out: vec![to_inside(&expected)],
        },
        Case {
            name: "a wrong transport checksum is the receiver's business and stays wrong",
            given: vec![],
            frame: {
                let mut frame = outside(&udp(CLIENT, "192.0.2.80:53", b"q").without_checksum());
                frame.bytes[42] = b'q';
                frame
            },
            verdict: "forward dns/d1",
            out: vec![to_inside(&hop(udp(CLIENT, "10.0.0.12:5353", b"q").without_checksum()))],
        },
    ]);
}
