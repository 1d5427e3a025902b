//! ARP (RFC 826, RFC 5227) and neighbor discovery (RFC 4861): what we answer, what we learn, what
//! we defend.

use std::net::{Ipv4Addr, Ipv6Addr};

use base::Mac;
use base::address::mapped;
use dataplane::Event;
use fixtures::{
    Packet, SENDER, arp_reply, arp_request, neighbor_advertisement, neighbor_solicitation,
};

use crate::common::{INSIDE, Lab, OUTSIDE, Port, Wire, with_macs};
use crate::table::{Case, check, ip};

const ALL_NODES: &str = "ff02::1";

fn v4(text: &str) -> Ipv4Addr {
    text.parse().expect("an IPv4 address")
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("an IPv6 address")
}

/// A request by broadcast.
fn request(port: Port, sender: &str, target: &str) -> Wire {
    Wire::raw(port, arp_request(v4(sender), v4(target)))
}

/// Our reply to [`request`].
fn reply(port: Port, ours: &str, asker: &str) -> Wire {
    let mut bytes = with_macs(arp_reply(v4(ours), v4(asker)), SENDER, port.mac());
    bytes[22..28].copy_from_slice(&port.mac().0);
    bytes[32..38].copy_from_slice(&SENDER.0);
    Wire::raw(port, bytes)
}

/// A solicitation to the target's group.
fn solicitation(port: Port, source: &str, target: &str) -> Wire {
    Wire::raw(port, neighbor_solicitation(v6(source), v6(target)))
}

/// Our advertisement.
fn advertisement(port: Port, ours: &str, to: &str, to_mac: Mac, flags: u8) -> Wire {
    let mut message = vec![136, 0, 0, 0, flags, 0, 0, 0];
    message.extend(v6(ours).octets());
    message.extend([2, 1]);
    message.extend(port.mac().0);
    let mut packet = Packet::icmp(ip(ours), ip(to), message);
    packet.ttl = 255;
    Wire::raw(port, with_macs(packet.build(), to_mac, port.mac()))
}

#[test]
fn arp_requests_for_our_addresses_are_answered_where_they_live() {
    let answered = |name, port, sender, target| Case {
        name,
        given: vec![],
        frame: request(port, sender, target),
        verdict: "answer",
        out: vec![reply(port, target, sender)],
    };
    let ignored = |name, port, sender, target| Case {
        name,
        given: vec![],
        frame: request(port, sender, target),
        verdict: "drop neighbor_not_ours",
        out: vec![],
    };
    let (outside, inside) = (Port::Outside, Port::Inside);
    check(vec![
        answered("for a virtual address", outside, "192.0.2.1", "192.0.2.80"),
        answered("for the primary address", outside, "192.0.2.1", "192.0.2.11"),
        answered("for the servers' gateway", inside, "10.0.0.11", "10.0.0.1"),
        answered("a probe, by whoever wants our address", outside, "0.0.0.0", "192.0.2.80"),
        ignored("for someone else's address", outside, "192.0.2.1", "192.0.2.50"),
        ignored("for an address of our other side", inside, "10.0.0.11", "192.0.2.80"),
        ignored("for the broadcast address", outside, "192.0.2.1", "192.0.2.255"),
        ignored("an announcement of someone else", outside, "192.0.2.50", "192.0.2.50"),
        ignored(
            "an announcement of our address is no question",
            outside,
            "192.0.2.80",
            "192.0.2.80",
        ),
    ]);
}

#[test]
fn arp_that_is_damaged_or_for_others_is_dropped() {
    let with = |change: fn(&mut Vec<u8>)| {
        let mut wire = request(Port::Outside, "192.0.2.1", "192.0.2.80");
        change(&mut wire.bytes);
        wire
    };
    let row = |name, frame, verdict| Case { name, given: vec![], frame, verdict, out: vec![] };
    check(vec![
        row("cut short", with(|b| b.truncate(41)), "drop frame_too_short"),
        row("of another hardware", with(|b| b[15] = 6), "drop bad_arp"),
        row("of another protocol", with(|b| b[16] = 0x86), "drop bad_arp"),
        row("of another operation", with(|b| b[21] = 3), "drop bad_arp"),
        row("from a group address", with(|b| b[22] = 1), "drop bad_arp"),
        row("from a multicast address", with(|b| b[28] = 224), "drop bad_arp"),
        row("sent by a group", with(|b| b[6] = 1), "drop group_source_mac"),
        row("to another station", with(|b| b[..6].fill(2)), "drop not_for_us"),
    ]);
}

#[test]
fn solicitations_for_our_addresses_are_answered_where_they_live() {
    let from = "2001:db8:1::99";
    let answered = |name, port, source, target, out| Case {
        name,
        given: vec![],
        frame: solicitation(port, source, target),
        verdict: "answer",
        out: vec![out],
    };
    let (outside, inside) = (Port::Outside, Port::Inside);
    let all = Mac([0x33, 0x33, 0, 0, 0, 1]);
    let mut unicast = solicitation(outside, from, "2001:db8:1::80");
    // Without the asker's link-layer address, to us alone: an unreachability check.
    unicast.bytes = {
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        message.extend(v6("2001:db8:1::80").octets());
        let mut packet = Packet::icmp(ip(from), ip("2001:db8:1::80"), message);
        packet.ttl = 255;
        with_macs(packet.build(), OUTSIDE, SENDER)
    };
    check(vec![
        answered(
            "for a virtual address: solicited, override, and router as one side routes",
            outside,
            from,
            "2001:db8:1::80",
            advertisement(outside, "2001:db8:1::80", from, SENDER, 0x60),
        ),
        answered(
            "for the servers' gateway: a router says so",
            inside,
            "fd00::11",
            "fd00::1",
            advertisement(inside, "fd00::1", "fd00::11", SENDER, 0xe0),
        ),
        answered(
            "duplicate address detection of our address: defended before all nodes",
            outside,
            "::",
            "2001:db8:1::80",
            advertisement(outside, "2001:db8:1::80", ALL_NODES, all, 0x20),
        ),
        Case {
            name: "a check of our reachability, by unicast",
            given: vec![],
            frame: unicast,
            verdict: "answer",
            out: vec![advertisement(outside, "2001:db8:1::80", from, SENDER, 0x60)],
        },
        Case {
            name: "for someone else's address",
            given: vec![],
            frame: solicitation(outside, from, "2001:db8:1::50"),
            verdict: "drop neighbor_not_ours",
            out: vec![],
        },
        Case {
            name: "for an address of our other side",
            given: vec![],
            frame: solicitation(inside, "fd00::11", "2001:db8:1::80"),
            verdict: "drop neighbor_not_ours",
            out: vec![],
        },
    ]);
}

#[test]
fn neighbor_discovery_from_beyond_the_link_or_damaged_is_dropped() {
    let with = |change: &dyn Fn(&mut Packet)| {
        let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
        message.extend(v6("2001:db8:1::80").octets());
        message.extend([1, 1]);
        message.extend(SENDER.0);
        let mut packet = Packet::icmp(ip("2001:db8:1::99"), ip("2001:db8:1::80"), message);
        packet.ttl = 255;
        change(&mut packet);
        Wire::raw(Port::Outside, with_macs(packet.build(), OUTSIDE, SENDER))
    };
    let message = |packet: &mut Packet, change: fn(&mut Vec<u8>)| {
        if let fixtures::Upper::Icmp(message) = &mut packet.upper {
            change(message);
        }
    };
    let mut broken = with(&|_| {});
    broken.bytes[80] ^= 1;
    let row = |name, frame| {
        let verdict = "drop bad_neighbor_discovery";
        Case { name, given: vec![], frame, verdict, out: vec![] }
    };
    check(vec![
        row("a hop limit below 255 (RFC 4861 §7.1.1)", with(&|p| p.ttl = 254)),
        row("a code that is not 0", with(&|p| message(p, |m| m[1] = 1))),
        row("an option of no length", with(&|p| message(p, |m| m[25] = 0))),
        row("an option past the end", with(&|p| message(p, |m| m[25] = 2))),
        row("a group for a target", with(&|p| message(p, |m| m[8] = 0xff))),
        Case { verdict: "drop bad_checksum", ..row("a wrong checksum", broken) },
    ]);
}

#[test]
fn what_neighbors_say_becomes_events() {
    let seen = |port: Port, address: &str, mac, solicited| {
        let address = mapped(ip(address));
        vec![Event::NeighborSeen { port: port.id(), address, mac, solicited }]
    };
    let conflict = |address: &str| {
        let (port, address) = (Port::Outside.id(), mapped(ip(address)));
        vec![Event::AddressConflict { port, address, mac: SENDER }]
    };
    let advertised = |address: &str, to: &str, flags| {
        let bytes = neighbor_advertisement(v6(address), v6(to), v6(address), flags);
        Wire::raw(Port::Inside, with_macs(bytes, INSIDE, SENDER))
    };
    let replied = |sender: &str| {
        let bytes = with_macs(arp_reply(v4(sender), v4("10.0.0.2")), INSIDE, SENDER);
        Wire::raw(Port::Inside, bytes)
    };
    for (name, frame, expected) in [
        ("an ARP reply to us", replied("10.0.0.66"), seen(Port::Inside, "10.0.0.66", SENDER, true)),
        (
            "a request to us tells where its sender is",
            request(Port::Outside, "192.0.2.33", "192.0.2.80"),
            seen(Port::Outside, "192.0.2.33", SENDER, false),
        ),
        (
            "a known neighbor announces another card",
            request(Port::Inside, "10.0.0.11", "10.0.0.11"),
            seen(Port::Inside, "10.0.0.11", SENDER, false),
        ),
        (
            "strangers' announcements are not our business",
            request(Port::Inside, "10.0.0.99", "10.0.0.99"),
            vec![],
        ),
        (
            "a probe tells nothing of its sender",
            request(Port::Outside, "0.0.0.0", "192.0.2.80"),
            vec![],
        ),
        (
            "someone announces our virtual address",
            request(Port::Outside, "192.0.2.80", "192.0.2.80"),
            conflict("192.0.2.80"),
        ),
        (
            "someone asks in the name of our primary address",
            request(Port::Outside, "192.0.2.11", "192.0.2.1"),
            conflict("192.0.2.11"),
        ),
        (
            "our own announcement comes back: no conflict",
            {
                let mut ours = request(Port::Outside, "192.0.2.80", "192.0.2.80");
                ours.bytes[22..28].copy_from_slice(&OUTSIDE.0);
                ours
            },
            vec![],
        ),
        (
            "a solicited advertisement",
            advertised("fd00::66", "fd00::2", 0x60),
            seen(Port::Inside, "fd00::66", SENDER, true),
        ),
        (
            "a solicitation to us tells where its sender is",
            solicitation(Port::Outside, "2001:db8:1::99", "2001:db8:1::80"),
            seen(Port::Outside, "2001:db8:1::99", SENDER, false),
        ),
    ] {
        let mut lab = Lab::new();
        let before = lab.flows();
        assert_eq!(lab.receive(&frame).events, expected, "{name}");
        assert_eq!(lab.flows(), before, "{name}");
    }
}
