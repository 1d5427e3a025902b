//! Ping: answered for every address of ours, and only for one station at a time.

use base::Mac;
use fixtures::{Packet, partial};

use crate::common::{OUTSIDE, Port, ROUTER, Wire, outside, to_outside, with_macs};
use crate::table::{Case, check, ip};

fn echo(from: &str, to: &str, reply: bool) -> Packet {
    Packet::echo(ip(from), ip(to), reply, 77, 3, b"0123456789abcdef0123456789abcdef012345678")
}

const CLIENT: &str = "198.51.100.7";
const CLIENT6: &str = "2001:db8:9::7";

#[test]
fn every_address_of_ours_answers() {
    let row = |name, client, ours| Case {
        name,
        given: vec![],
        frame: outside(&Packet { ttl: 1, ..echo(client, ours, false) }),
        verdict: "answer",
        out: vec![to_outside(&echo(ours, client, true))],
    };
    let with_options = |from, to, reply| echo(from, to, reply).with_options(&[0x94, 4, 0, 0]);
    check(vec![
        row("a virtual address, even at a TTL of 1", CLIENT, "192.0.2.80"),
        row("the primary address", CLIENT, "192.0.2.11"),
        row("a virtual address over IPv6", CLIENT6, "2001:db8:1::80"),
        row("the primary address over IPv6", CLIENT6, "2001:db8:1::11"),
        row("an address of the other side", CLIENT, "10.0.0.1"),
        Case {
            name: "options of a request come back",
            given: vec![],
            frame: outside(&with_options(CLIENT, "192.0.2.80", false)),
            verdict: "answer",
            out: vec![to_outside(&with_options("192.0.2.80", CLIENT, true))],
        },
        {
            let (bytes, offload) = partial(&echo(CLIENT6, "2001:db8:1::80", false));
            let frame = Wire::raw(Port::Outside, with_macs(bytes, OUTSIDE, ROUTER));
            Case {
                name: "a request whose checksum is only begun",
                given: vec![],
                frame: frame.with_offload(offload),
                verdict: "answer",
                out: vec![to_outside(&echo("2001:db8:1::80", CLIENT6, true))],
            }
        },
    ]);
}

#[test]
fn nothing_sent_to_many_is_answered() {
    let to = |mac: Mac, destination: &str| {
        let bytes = with_macs(echo(CLIENT, destination, false).build(), mac, ROUTER);
        Wire::raw(Port::Outside, bytes)
    };
    let to6 = |mac: Mac, destination: &str| {
        let bytes = with_macs(echo(CLIENT6, destination, false).build(), mac, ROUTER);
        Wire::raw(Port::Outside, bytes)
    };
    let row = |name, frame, verdict| Case { name, given: vec![], frame, verdict, out: vec![] };
    let refused = "drop group_destination";
    check(vec![
        row("the subnet's broadcast", to(Mac::BROADCAST, "192.0.2.255"), refused),
        row("the subnet's broadcast to our card", to(OUTSIDE, "192.0.2.255"), refused),
        row("the limited broadcast", to(Mac::BROADCAST, "255.255.255.255"), refused),
        row("all hosts", to(Mac([1, 0, 0x5e, 0, 0, 1]), "224.0.0.1"), refused),
        row("our address in a broadcast frame", to(Mac::BROADCAST, "192.0.2.80"), refused),
        row("all nodes", to6(Mac([0x33, 0x33, 0, 0, 0, 1]), "ff02::1"), refused),
        row(
            "our address in a multicast frame",
            to6(Mac([0x33, 0x33, 0, 0, 0, 1]), "2001:db8:1::80"),
            refused,
        ),
    ]);
}

#[test]
fn only_sound_requests_are_answered() {
    let mut broken = outside(&echo(CLIENT, "192.0.2.80", false));
    broken.bytes[50] ^= 1;
    let row = |name, frame, verdict| Case { name, given: vec![], frame, verdict, out: vec![] };
    let forged = |source: &str| outside(&echo(source, "192.0.2.80", false));
    check(vec![
        row("a wrong checksum", broken, "drop bad_checksum"),
        row(
            "a reply that nobody asked for",
            outside(&echo(CLIENT, "192.0.2.80", true)),
            "drop no_service",
        ),
        row("in the name of our own address", forged("192.0.2.11"), "drop spoofed_source"),
        row(
            "in the name of another side's address of ours",
            forged("10.0.0.2"),
            "drop spoofed_source",
        ),
        row("in the name of the subnet's broadcast", forged("192.0.2.255"), "drop spoofed_source"),
        row(
            "a reply to us is the host stack's",
            outside(&echo(CLIENT, "192.0.2.11", true)),
            "own faces",
        ),
    ]);
}
