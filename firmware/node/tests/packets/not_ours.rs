//! Frames that are not for us, that nobody may send, and that claim to be what they are not.

use base::{Mac, Offload};
use fixtures::{ACK, Packet, SYN};

use crate::common::{
    CLIENT, CLIENT6, INSIDE, Lab, OUTSIDE, Port, ROUTER, Wire, inside, outside, with_macs,
};
use crate::table::{Case, check, tcp, udp};

fn dropped(name: &'static str, frame: Wire, verdict: &'static str) -> Case {
    Case { name, given: vec![], frame, verdict, out: vec![] }
}

fn syn() -> Packet {
    tcp(CLIENT, "192.0.2.80:80", SYN, b"")
}

/// A SYN with one change to the finished frame, the IP checksum put right.
fn changed(change: fn(&mut Vec<u8>)) -> Wire {
    let mut wire = outside(&syn());
    change(&mut wire.bytes);
    if wire.bytes.len() >= 34 {
        wire.bytes[24..26].fill(0);
        let sum = !fixtures::checksum(&wire.bytes[14..34]);
        wire.bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    wire
}

#[test]
fn the_ethernet_header_decides_first() {
    let to = |mac| Wire::raw(Port::Outside, with_macs(syn().build(), mac, ROUTER));
    let other = Mac([2, 9, 9, 9, 9, 9]);
    let established = Case {
        name: "not even for a flow that we know",
        given: vec![outside(&syn()).into()],
        frame: to(other),
        verdict: "drop not_for_us",
        out: vec![],
    };
    check(vec![
        dropped("flooded unicast to another station", to(other), "drop not_for_us"),
        established,
        dropped("our other port's address", to(INSIDE), "drop not_for_us"),
        dropped(
            "a unicast packet in a broadcast frame (RFC 1122 §3.3.6)",
            to(Mac::BROADCAST),
            "drop group_destination",
        ),
        Case {
            given: vec![outside(&syn()).into()],
            ..dropped(
                "in a multicast frame, of a flow that we know",
                to(Mac([1, 0, 0x5e, 0, 0, 80])),
                "drop group_destination",
            )
        },
        dropped(
            "a group for a sender",
            Wire::raw(Port::Outside, with_macs(syn().build(), OUTSIDE, Mac::BROADCAST)),
            "drop group_source_mac",
        ),
        dropped("neither ARP nor IP", changed(|b| b[12..14].fill(0x88)), "drop unknown_ethertype"),
        dropped(
            "spanning tree",
            changed(|b| b[12..14].copy_from_slice(&[0, 38])),
            "drop unknown_ethertype",
        ),
        dropped("no Ethernet header", changed(|b| b.truncate(13)), "drop frame_too_short"),
        dropped("nothing at all", changed(|b| b.clear()), "drop frame_too_short"),
    ]);
}

#[test]
fn damaged_headers_are_refused() {
    let mut checksum = outside(&syn());
    checksum.bytes[24] ^= 0x40;
    check(vec![
        dropped("a wrong IP checksum", checksum, "drop bad_header_checksum"),
        dropped("IPv5", changed(|b| b[14] = 0x55), "drop bad_version"),
        dropped("a header of 16 octets", changed(|b| b[14] = 0x44), "drop bad_header_length"),
        dropped("a total length past the frame", changed(|b| b[17] += 1), "drop bad_total_length"),
        dropped("a cut TCP header", changed(|b| b[17] = 39), "drop bad_transport"),
        dropped("a TCP header of 16 octets", changed(|b| b[46] = 0x40), "drop bad_transport"),
        dropped("a TCP header past the packet", changed(|b| b[46] = 0x60), "drop bad_transport"),
        dropped(
            "a UDP length past the packet",
            {
                let mut wire = outside(&udp(CLIENT, "192.0.2.80:53", b"q"));
                wire.bytes[39] += 1;
                wire
            },
            "drop bad_transport",
        ),
        dropped(
            "a source route that is not used up",
            outside(&syn().with_options(&[131, 7, 4, 10, 0, 0, 1])),
            "drop source_route",
        ),
        dropped(
            "an option past the header",
            outside(&syn().with_options(&[7, 40, 4])),
            "drop bad_options",
        ),
        dropped(
            "too many extension headers",
            outside(
                &(0..9).fold(udp(CLIENT6, "[2001:db8:1::80]:53", b"q"), |p, _| {
                    p.with_extension(60, 8)
                }),
            ),
            "drop too_many_extension_headers",
        ),
    ]);
}

#[test]
fn addresses_that_are_no_hosts_are_refused() {
    let from = |source: &str| outside(&udp(&format!("{source}:9"), "192.0.2.80:53", b""));
    let to = |destination: &str| outside(&udp(CLIENT, &format!("{destination}:9"), b""));
    let from6 = |source: &str| outside(&udp(&format!("[{source}]:9"), "[2001:db8:1::80]:53", b""));
    let to6 = |destination: &str| outside(&udp(CLIENT6, &format!("[{destination}]:9"), b""));
    let source = "drop illegal_source";
    let martian = "drop martian_destination";
    check(vec![
        dropped("from nobody", from("0.0.0.0"), source),
        dropped("from loopback", from("127.0.0.1"), source),
        dropped("from a group", from("224.0.0.9"), source),
        dropped("from everyone", from("255.255.255.255"), source),
        dropped("from class E", from("240.0.0.1"), source),
        dropped("over IPv6 from nobody", from6("::"), source),
        dropped("over IPv6 from loopback", from6("::1"), source),
        dropped("over IPv6 from a group", from6("ff02::1"), source),
        dropped("over IPv6 from IPv4 in disguise", from6("::ffff:10.0.0.11"), source),
        dropped("to loopback", to("127.0.0.1"), "drop illegal_destination"),
        dropped("to a link-local address (RFC 3927 §7)", to("169.254.1.1"), martian),
        dropped("over IPv6 to a link-local address", to6("fe80::1"), martian),
        dropped("over IPv6 to loopback", to6("::1"), "drop illegal_destination"),
        dropped("to a group", to("224.1.1.1"), "drop group_destination"),
        dropped("over IPv6 to a group", to6("ff05::2"), "drop group_destination"),
    ]);
}

#[test]
fn nobody_speaks_in_our_name() {
    let spoofed = "drop spoofed_source";
    let from = |source: &str, to: &str| outside(&udp(source, to, b""));
    check(vec![
        dropped("a virtual address asks itself", from("192.0.2.80:53", "192.0.2.80:53"), spoofed),
        dropped("our primary address", from("192.0.2.11:9", "192.0.2.80:53"), spoofed),
        dropped("our address of the other side", from("10.0.0.1:9", "192.0.2.80:53"), spoofed),
        dropped("to the host stack", from("10.0.0.2:9", "192.0.2.11:514"), spoofed),
        dropped("in transit", inside(&udp("192.0.2.80:9", "203.0.113.1:9", b"")), spoofed),
        dropped("over IPv6", from("[fd00::1]:9", "[2001:db8:1::80]:53"), spoofed),
        dropped("the subnet's broadcast asks", from("192.0.2.255:9", "192.0.2.80:53"), spoofed),
    ]);
}

#[test]
fn a_reply_comes_from_the_servers_side_only() {
    let mut lab = Lab::new();
    let forged = outside(&udp("10.0.0.12:5353", CLIENT, b"a"));
    assert_eq!(lab.receive(&forged).verdict, "drop no_flow");
    lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q")));
    let seen = lab.receive(&forged);
    assert_eq!((seen.verdict.as_str(), seen.sent.len()), ("drop spoofed_source", 0));
    let seen = lab.receive(&inside(&udp("10.0.0.12:5353", CLIENT, b"a")));
    assert_eq!(seen.verdict, "forward dns/d1");
}

#[test]
fn what_is_local_to_a_link_stays_there() {
    let scope = "drop link_local_source";
    check(vec![
        dropped(
            "a link-local client of a service (RFC 4291 §2.5.6)",
            outside(&udp("[fe80::7]:9", "[2001:db8:1::80]:53", b"")),
            scope,
        ),
        dropped(
            "a link-local client of IPv4 (RFC 3927 §7)",
            outside(&udp("169.254.9.9:9", "192.0.2.80:53", b"")),
            scope,
        ),
        dropped(
            "a link-local sender in transit",
            inside(&udp("[fe80::7]:9", "[2001:db8:9::7]:53", b"")),
            scope,
        ),
        Case {
            name: "but may speak to us",
            given: vec![],
            frame: outside(&udp("[fe80::7]:9", "[2001:db8:1::11]:514", b"")),
            verdict: "own faces",
            out: vec![],
        },
    ]);
}

#[test]
fn packets_for_the_host_stacks_name_which() {
    let own = |name, to: &str, verdict| Case {
        name,
        given: vec![],
        frame: inside(&tcp("10.0.0.11:8080", to, SYN | ACK, b"")),
        verdict,
        out: vec![],
    };
    check(vec![
        own("a probe's answer", "10.0.0.2:61000", "own probes"),
        own("the last port of probes", "10.0.0.2:65535", "own probes"),
        own("a face's", "10.0.0.2:60999", "own faces"),
        own("by the other side's primary address", "192.0.2.11:22", "own faces"),
    ]);
    let offload = Offload { checksum_valid: true, ..Offload::NONE };
    let other = Packet::new(
        "198.51.100.7".parse().unwrap(),
        "192.0.2.11".parse().unwrap(),
        fixtures::Upper::Other(89, vec![0; 24]),
    );
    check(vec![Case {
        name: "any protocol to the primary address is the host stack's",
        given: vec![],
        frame: outside(&other).with_offload(offload),
        verdict: "own faces",
        out: vec![],
    }]);
}
