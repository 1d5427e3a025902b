//! ICMP errors about packets of flows follow the flow they quote, which they quote as its sender
//! knows it (RFC 5508 §4, RFC 792, RFC 4443).

use fixtures::{ACK, Packet, at};

use crate::common::{
    CLIENT, CLIENT6, Wire, inside, mac_of, outside, to_inside, to_outside, with_macs,
};
use crate::table::{Case, check, hop, ip, tcp, udp};

/// What is wrong, in both versions' numbers, and the second word.
struct Fault {
    v4: [u8; 2],
    v6: [u8; 2],
    parameter: u32,
}

const UNREACHABLE: Fault = Fault { v4: [3, 3], v6: [1, 4], parameter: 0 };
const TOO_BIG: Fault = Fault { v4: [3, 4], v6: [2, 0], parameter: 1_300 };
const EXPIRED: Fault = Fault { v4: [11, 0], v6: [3, 0], parameter: 0 };

/// An error about `about` with `octets` behind its IP header.
fn error(from: &str, to: &str, fault: &Fault, about: &Packet, octets: usize) -> Packet {
    let frame = about.build();
    let header = if about.source.is_ipv4() { 20 } else { 40 };
    let quote = &frame[14..frame.len().min(14 + header + octets)];
    let code = if about.source.is_ipv4() { fault.v4 } else { fault.v6 };
    Packet::icmp_error(ip(from), ip(to), code, fault.parameter, quote)
}

/// A frame that `station` inside, not the packet's sender, passes on to us.
fn inside_from(station: &str, packet: &Packet) -> Wire {
    let mut wire = inside(packet);
    wire.bytes = with_macs(wire.bytes, crate::common::INSIDE, mac_of(ip(station)));
    wire
}

fn address(endpoint: &str) -> String {
    at(endpoint).ip().to_string()
}

type Make = fn(&str, &str) -> Packet;
const DATA: Make = |from, to| tcp(from, to, ACK, b"0123456789");
const DATAGRAM: Make = |from, to| udp(from, to, b"0123456789");
const BARE: Make = |from, to| udp(from, to, b"0123456789").without_checksum();

/// A flow: its packets, client, virtual end, server end, verdict.
type Flow = (Make, &'static str, &'static str, &'static str, &'static str);

const FLOWS: [Flow; 5] = [
    (DATA, CLIENT, "192.0.2.80:80", "10.0.0.11:8080", "forward web/s1"),
    (DATA, CLIENT6, "[2001:db8:1::80]:80", "[fd00::11]:8080", "forward web6/s1"),
    (DATAGRAM, CLIENT, "192.0.2.80:53", "10.0.0.12:5353", "forward dns/d1"),
    (DATAGRAM, CLIENT6, "[2001:db8:1::80]:53", "[fd00::12]:5353", "forward dns6/d1"),
    (BARE, CLIENT, "192.0.2.80:53", "10.0.0.12:5353", "forward dns/d1"),
];

#[test]
fn an_error_about_a_request_reaches_the_client_and_quotes_what_it_sent() {
    let mut cases = vec![];
    for (make, client, vip, server, verdict) in FLOWS {
        for (fault, octets) in [(UNREACHABLE, 8), (UNREACHABLE, 999), (TOO_BIG, 20), (EXPIRED, 8)] {
            let (server_ip, vip_ip, client_ip) = (address(server), address(vip), address(client));
            let seen = error(&server_ip, &client_ip, &fault, &hop(make(client, server)), octets);
            let sent = error(&vip_ip, &client_ip, &fault, &hop(make(client, vip)), octets);
            cases.push(Case {
                name: "an error from the server about a request",
                given: vec![outside(&make(client, vip)).into()],
                frame: inside(&seen),
                verdict,
                out: vec![to_outside(&hop(sent))],
            });
        }
    }
    check(cases);
}

#[test]
fn an_error_about_a_reply_reaches_the_server_and_quotes_what_it_sent() {
    let mut cases = vec![];
    for (make, client, vip, server, verdict) in FLOWS {
        let router = if client == CLIENT { "203.0.113.9" } else { "2001:db8:7::9" };
        let client_ip = address(client);
        for from in [client_ip.as_str(), router] {
            for (fault, octets) in [(UNREACHABLE, 8), (TOO_BIG, 999), (EXPIRED, 12)] {
                let (vip_ip, server_ip) = (address(vip), address(server));
                let seen = error(from, &vip_ip, &fault, &hop(make(vip, client)), octets);
                let sent = error(from, &server_ip, &fault, &hop(make(server, client)), octets);
                cases.push(Case {
                    name: "an error from the client's side about a reply",
                    given: vec![
                        outside(&make(client, vip)).into(),
                        inside(&make(server, client)).into(),
                    ],
                    frame: outside(&seen),
                    verdict,
                    out: vec![to_inside(&hop(sent))],
                });
            }
        }
    }
    check(cases);
}

#[test]
fn a_router_between_us_and_the_server_is_not_shown_to_the_client() {
    let seen = error("10.0.0.200", "198.51.100.7", &TOO_BIG, &DATA(CLIENT, "10.0.0.11:8080"), 8);
    let sent = error("192.0.2.80", "198.51.100.7", &TOO_BIG, &DATA(CLIENT, "192.0.2.80:80"), 8);
    check(vec![Case {
        name: "a path MTU inside is the client's business, its router is not",
        given: vec![outside(&DATA(CLIENT, "192.0.2.80:80")).into()],
        frame: inside_from("10.0.0.200", &seen),
        verdict: "forward web/s1",
        out: vec![to_outside(&hop(sent))],
    }]);
}

#[test]
fn the_quoted_packets_own_faults_do_not_matter() {
    let given = || vec![outside(&DATA(CLIENT, "192.0.2.80:80")).into()];
    // TTL 0, as a router remembers it, and a quoted IP checksum that is wrong by one.
    let expired = |to: &str| Packet { ttl: 0, ..DATA(CLIENT, to) };
    let seen = error("10.0.0.11", "198.51.100.7", &EXPIRED, &expired("10.0.0.11:8080"), 8);
    let sent = error("192.0.2.80", "198.51.100.7", &EXPIRED, &expired("192.0.2.80:80"), 8);
    check(vec![Case {
        name: "a quoted TTL of 0",
        given: given(),
        frame: inside(&seen),
        verdict: "forward web/s1",
        out: vec![to_outside(&hop(sent))],
    }]);
}

#[test]
fn an_error_that_quotes_nothing_of_ours_or_lies_goes_nowhere() {
    let open = || outside(&DATA(CLIENT, "192.0.2.80:80")).into();
    let other = "198.51.100.8:40000";
    check(vec![
        Case {
            name: "about a flow that nobody knows, to the virtual address",
            given: vec![],
            frame: outside(&error(
                "203.0.113.9",
                "192.0.2.80",
                &UNREACHABLE,
                &DATA("192.0.2.80:80", other),
                8,
            )),
            verdict: "drop no_service",
            out: vec![],
        },
        Case {
            name: "about a request to a server's service port that nobody knows",
            given: vec![],
            frame: inside(&error(
                "10.0.0.11",
                "198.51.100.8",
                &UNREACHABLE,
                &DATA(other, "10.0.0.11:8080"),
                8,
            )),
            verdict: "drop no_flow",
            out: vec![],
        },
        Case {
            name: "with less than eight octets of the transport header",
            given: vec![open()],
            frame: inside(&error(
                "10.0.0.11",
                "198.51.100.7",
                &UNREACHABLE,
                &DATA(CLIENT, "10.0.0.11:8080"),
                7,
            )),
            verdict: "drop bad_quote",
            out: vec![],
        },
        Case {
            name: "sent to someone who did not send the quoted request",
            given: vec![open()],
            frame: outside(&error(
                "203.0.113.9",
                "10.0.0.99",
                &UNREACHABLE,
                &DATA(CLIENT, "10.0.0.11:8080"),
                8,
            )),
            verdict: "drop no_flow",
            out: vec![],
        },
        Case {
            name: "sent to another virtual address than the quoted reply is from",
            given: vec![open()],
            frame: outside(&error(
                "203.0.113.9",
                "10.0.0.1",
                &UNREACHABLE,
                &DATA("192.0.2.80:80", CLIENT),
                8,
            )),
            verdict: "drop no_flow",
            out: vec![],
        },
    ]);
}

#[test]
fn a_redirect_is_not_passed_on() {
    const REDIRECT: Fault = Fault { v4: [5, 1], v6: [137, 0], parameter: 0x0a00_0042 };
    let open = || vec![outside(&DATA(CLIENT, "192.0.2.80:80")).into()];
    let row =
        |name, frame| Case { name, given: open(), frame, verdict: "drop redirect", out: vec![] };
    let about_reply = DATA("192.0.2.80:80", CLIENT);
    let about_request = DATA(CLIENT, "10.0.0.11:8080");
    let about_transit = DATA("10.0.0.77:5", "203.0.113.1:6");
    check(vec![
        row("to a server", outside(&error("192.0.2.1", "192.0.2.80", &REDIRECT, &about_reply, 8))),
        row(
            "to a client",
            inside(&error("10.0.0.9", "198.51.100.7", &REDIRECT, &about_request, 8)),
        ),
        row(
            "in transit",
            outside(&error("203.0.113.1", "10.0.0.77", &REDIRECT, &about_transit, 8)),
        ),
    ]);
}

#[test]
fn an_error_about_our_own_probe_goes_to_the_probes() {
    let probe = |port: &str| tcp(&format!("10.0.0.2:{port}"), "10.0.0.11:8080", 2, b"");
    let row = |name, port, verdict| Case {
        name,
        given: vec![],
        frame: inside(&error("10.0.0.11", "10.0.0.2", &UNREACHABLE, &probe(port), 8)),
        verdict,
        out: vec![],
    };
    check(vec![
        row("a probe's local port", "61000", "own probes"),
        row("the highest probe's local port", "65535", "own probes"),
        row("another local port", "60999", "own faces"),
    ]);
}
