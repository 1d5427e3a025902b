//! Sockets of the cluster: the kernel sorts what comes in.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::common::{Namespace, is_root, pair, plain, send};
use fixtures::Packet;
use netio::Datagrams;

const PORT: u16 = 4711;

fn sockets(near: &Namespace, vlan: Option<u16>) -> [Datagrams; 2] {
    let open = |kinds: &[u8]| near.run(|| Datagrams::open("near", vlan, PORT, kinds));
    [&[0_u8, 0x80][..], &[1, 2]].map(|kinds| open(kinds).expect("it opens"))
}

/// Waits for datagrams, some seconds at most, and returns their frames and times.
fn collect(socket: &mut Datagrams, enough: usize) -> Vec<(Vec<u8>, Duration)> {
    let mut seen = Vec::new();
    for _ in 0..200 {
        while let Some(arrival) = socket.receive() {
            seen.push((arrival.frame.to_vec(), arrival.stamp.expect("the kernel says when")));
        }
        if seen.len() >= enough {
            break;
        }
        netio::wait(&[socket.fd()], Some(Duration::from_millis(50)));
    }
    seen
}

fn datagram(to: SocketAddr, payload: &[u8]) -> Packet {
    let from =
        if to.is_ipv4() { Ipv4Addr::new(192, 0, 2, 1).into() } else { Ipv6Addr::LOCALHOST.into() };
    Packet::udp(SocketAddr::new(from, 9), to, payload)
}

#[expect(clippy::disallowed_methods, reason = "what the kernel says is judged by the same clock")]
fn day() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

#[test]
fn each_socket_gets_its_kinds_of_datagram_and_nothing_else() {
    if !is_root("each_socket_gets_its_kinds_of_datagram_and_nothing_else") {
        return;
    }
    let (near, far) = pair();
    let [mut pulse, mut control] = sockets(&near, None);
    let mut wire = plain(&far, "far").1;
    let v4 = |port| SocketAddr::new(Ipv4Addr::new(192, 0, 2, 11).into(), port);
    let v6 = |port| SocketAddr::new("2001:db8:1::11".parse().expect("an address"), port);
    let fragment = |payload: &[u8], at: [u8; 2]| {
        let mut frame = datagram(v4(PORT), payload).build();
        frame[20..22].copy_from_slice(&at);
        frame
    };
    let frames = [
        datagram(v4(PORT), &[1, 0, 77]).build(),
        datagram(v6(PORT), &[1, 0x80, 78]).build(),
        datagram(v4(PORT), &[1, 2, 79]).build(),
        datagram(v6(PORT), &[1, 1, 80]).build(),
        datagram(v4(PORT), &[1, 3]).build(),
        datagram(v4(PORT + 1), &[1, 0]).build(),
        datagram(v6(PORT + 1), &[1, 0]).build(),
        datagram(v4(PORT), &[1]).build(),
        fragment(&[1, 0, 1], [0x20, 0]),
        fragment(&[1, 0, 2], [0, 1]),
        vec![0xff; 60],
        datagram(v4(PORT), &[1, 0, 81]).build(),
        datagram(v4(PORT), &[1, 1, 82]).build(),
    ];
    let before = day();
    for frame in &frames {
        assert_eq!(send(&mut wire, frame).sent, 1);
    }
    let heard = [collect(&mut pulse, 3), collect(&mut control, 3)];
    let after = day();
    let last = |seen: &[(Vec<u8>, Duration)]| {
        let octets = seen.iter().filter_map(|(frame, _)| frame.last().copied());
        octets.collect::<Vec<u8>>()
    };
    assert_eq!(last(&heard[0]), [77, 78, 81]);
    assert_eq!(last(&heard[1]), [79, 80, 82]);
    assert_eq!(heard[0][0].0, frames[0], "whole, from the Ethernet header on");
    for (_, stamp) in heard.iter().flatten() {
        assert!(*stamp >= before && *stamp <= after, "{before:?} {stamp:?} {after:?}");
    }
    assert!(pulse.receive().is_none() && control.receive().is_none());
}

#[test]
fn a_socket_of_a_vlan_gets_the_datagrams_with_its_tag() {
    if !is_root("a_socket_of_a_vlan_gets_the_datagrams_with_its_tag") {
        return;
    }
    let (near, far) = pair();
    let [mut ten, _] = sockets(&near, Some(10));
    let [mut untagged, _] = sockets(&near, None);
    let mut wire = plain(&far, "far").1;
    let to = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 11).into(), PORT);
    let tagged = |tag: u16, number: u8| {
        let frame = datagram(to, &[1, 0, number]).build();
        [&frame[..12], &[0x81, 0], &tag.to_be_bytes(), &frame[12..]].concat()
    };
    let plain = datagram(to, &[1, 0, 3]).build();
    for frame in [tagged(11, 1), tagged(10, 2), plain.clone()] {
        assert_eq!(send(&mut wire, &frame).sent, 1);
    }
    let seen = collect(&mut ten, 1);
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].0.len(), seen[0].0.last()), (plain.len(), Some(&2)), "the tag is off");
    let seen = collect(&mut untagged, 1);
    assert_eq!(seen.iter().map(|(frame, _)| frame).collect::<Vec<_>>(), [&plain]);
}
