//! What is for the box itself keeps a ring of its own.

use std::net::IpAddr;

use crate::common::{Namespace, TEST_TYPE, collect, drain, is_root, pair, plain, send};
use netio::{Apart, BLOCK, Memory, PortOptions, Receiver};

const OWN: &str = "10.9.0.1";
const OWN_6: &str = "fd09::1";
const VIRTUAL: &str = "10.9.0.80";
const VIRTUAL_6: &str = "fd09::80";
/// What the last octet of every frame here is: the kernel's own say nothing to that.
const MARK: u8 = 0xa7;

/// A frame of 90 octets: its protocol, and octets at places.
fn frame(ethertype: u16, places: &[(usize, &[u8])]) -> Vec<u8> {
    let mut frame = vec![0; 90];
    frame[..6].copy_from_slice(&[0xff; 6]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0x77]);
    frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    for (at, octets) in places {
        frame[*at..at + octets.len()].copy_from_slice(octets);
    }
    frame[89] = MARK;
    frame
}

/// A frame to an address, with the octet that says what is in the packet, and the first of that.
fn to(address: &str, next: u8, first: u8) -> Vec<u8> {
    match address.parse().unwrap() {
        IpAddr::V4(it) => frame(0x0800, &[(14, &[0x45]), (23, &[next]), (30, &it.octets())]),
        IpAddr::V6(it) => {
            frame(0x86dd, &[(14, &[0x60]), (20, &[next]), (38, &it.octets()), (54, &[first])])
        }
    }
}

fn is_marked(frame: &[u8]) -> bool {
    frame.len() == 90 && frame[89] == MARK
}

struct Port {
    others: Receiver,
    own: Receiver,
    apart: Apart,
}

fn port(near: &Namespace, addresses: &[&str]) -> Port {
    let memory = Memory { blocks: 1, block_size: BLOCK, ..Memory::default() };
    let options = PortOptions { memory, ..PortOptions::new("near") };
    near.run(|| {
        let mut workers = netio::open(&options).unwrap();
        let (apart, own) = Apart::open(&options, &parsed(addresses), &workers).unwrap();
        Port { others: workers.pop().unwrap().0, own, apart }
    })
}

fn parsed(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|it| it.parse().unwrap()).collect()
}

#[test]
fn own_addresses_arp_and_neighbor_discovery_come_apart_and_nothing_comes_twice() {
    if !is_root("own_addresses_arp_and_neighbor_discovery_come_apart_and_nothing_comes_twice") {
        return;
    }
    let (near, far) = pair();
    let mut port = port(&near, &[OWN, "10.9.0.2", OWN_6, "fd09::2"]);
    let (_, mut transmitter) = plain(&far, "far");
    let table = [
        ("TCP to the box", to(OWN, 6, 0), true),
        ("UDP to its second address", to("10.9.0.2", 17, 0), true),
        ("TCP to the box over IPv6", to(OWN_6, 6, 0), true),
        ("TCP to its second address over IPv6", to("fd09::2", 6, 0), true),
        ("ARP", frame(0x0806, &[]), true),
        ("a neighbor solicitation", to("ff02::1:ff00:80", 58, 135), true),
        ("a redirect", to(VIRTUAL_6, 58, 137), true),
        ("TCP to a virtual address", to(VIRTUAL, 6, 0), false),
        ("TCP to a virtual address over IPv6", to(VIRTUAL_6, 6, 0), false),
        ("an address that differs in its first word", to("fd0a::1", 6, 0), false),
        ("an address that differs in its third word", to("fd09::1:0:1", 6, 0), false),
        ("an echo request to a virtual address", to(VIRTUAL_6, 58, 128), false),
        ("TCP whose first octet reads as a solicitation", to(VIRTUAL_6, 6, 135), false),
        ("another protocol", frame(TEST_TYPE, &[]), false),
    ];
    for (name, frame, is_own) in table {
        assert_eq!(send(&mut transmitter, &frame).sent, 1);
        let (here, there) = match is_own {
            true => (&mut port.own, &mut port.others),
            false => (&mut port.others, &mut port.own),
        };
        let seen = collect(here, is_marked, 1);
        assert_eq!(seen.len(), 1, "{name}");
        assert_eq!(seen[0].0, frame, "{name}");
        let twice = there.batch(64).frames().iter().any(|frame| is_marked(frame.bytes));
        assert!(!twice, "{name}");
    }
}

#[test]
fn an_overflowing_ring_takes_nothing_from_the_box_itself() {
    if !is_root("an_overflowing_ring_takes_nothing_from_the_box_itself") {
        return;
    }
    let (near, far) = pair();
    let mut port = port(&near, &[OWN]);
    let (_, mut transmitter) = plain(&far, "far");
    for round in 0..200 {
        assert_eq!(send(&mut transmitter, &to(VIRTUAL, 6, 0)).sent, 1);
        if round % 20 == 0 {
            assert_eq!(send(&mut transmitter, &to(OWN, 6, 0)).sent, 1);
        }
    }
    assert_eq!(collect(&mut port.own, is_marked, 10).len(), 10);
    assert_eq!(port.own.statistics().dropped, 0);
    assert!(port.others.statistics().dropped >= 130, "there was room for 64");
}

#[test]
fn a_port_that_gets_another_address_stays_open() {
    if !is_root("a_port_that_gets_another_address_stays_open") {
        return;
    }
    let (near, far) = pair();
    let mut port = port(&near, &[OWN]);
    let (_, mut transmitter) = plain(&far, "far");
    port.apart.set(&parsed(&["10.9.0.7"])).unwrap();
    for address in [OWN, "10.9.0.7"] {
        assert_eq!(send(&mut transmitter, &to(address, 6, 0)).sent, 1);
    }
    assert_eq!(collect(&mut port.own, is_marked, 1)[0].0, to("10.9.0.7", 6, 0));
    assert_eq!(collect(&mut port.others, is_marked, 1)[0].0, to(OWN, 6, 0));
    assert_eq!(drain(&mut port.own, is_marked) + drain(&mut port.others, is_marked), 0);
    let many: Vec<IpAddr> = (0..17).map(|n| IpAddr::from([10, 9, 0, n])).collect();
    let told = port.apart.set(&many).unwrap_err().to_string();
    assert!(told.contains("at most 16"), "{told}");
}

#[test]
fn what_boxes_of_a_cluster_tell_each_other_comes_by_no_ring() {
    if !is_root("what_boxes_of_a_cluster_tell_each_other_comes_by_no_ring") {
        return;
    }
    let (near, far) = pair();
    let mut port = port(&near, &[OWN, OWN_6]);
    let (_, mut transmitter) = plain(&far, "far");
    let udp = |address, to_port: u16| {
        let mut frame = to(address, 17, 0);
        let at = if frame[12] == 8 { 36 } else { 56 };
        frame[at..at + 2].copy_from_slice(&to_port.to_be_bytes());
        frame
    };
    let mut fragment = udp(OWN, 49_911);
    fragment[20] = 0x20;
    let mut tcp = udp(OWN, 49_911);
    tcp[23] = 6;
    let table = [
        ("a datagram of the cluster", udp(OWN, 49_911), false),
        ("one over IPv6", udp(OWN_6, 49_911), false),
        ("another port", udp(OWN, 49_912), true),
        ("another port over IPv6", udp(OWN_6, 49_912), true),
        ("a fragment", fragment, true),
        ("TCP to that port", tcp, true),
    ];
    for (name, frame, comes) in table {
        assert_eq!(send(&mut transmitter, &frame).sent, 1);
        // What was sent behind it says that it would be here.
        assert_eq!(send(&mut transmitter, &to(OWN, 6, 0)).sent, 1);
        let seen = collect(&mut port.own, is_marked, if comes { 2 } else { 1 });
        assert_eq!(seen[0].0 == frame, comes, "{name}");
        let others = port.others.batch(64).frames().iter().any(|frame| is_marked(frame.bytes));
        assert!(!others, "{name}");
    }
}
