//! Strangers send as much as they can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use base::rng::Rng;
use base::{Mac, Offload};
use netio::{BURST, Transmitter};

use crate::lab::{Lab, now};
use crate::traffic::{Echo, VIPS, pings};

/// How long each flood lasts.
const FLOOD: Duration = Duration::from_secs(2);
/// What the supervisor may have in hand at most: a million flow records with their index are
/// 128 MiB, the rings and buffers of two ports 20 MiB, the program, its tables and queues 30 MiB.
const MEMORY: u64 = 192 << 20;

#[derive(Clone, Copy, Debug)]
enum Flood {
    /// To the echo services, from anywhere.
    Datagrams,
    /// To the web services, from anywhere.
    Syns,
    /// From strangers on the link, whose Ethernet addresses have to be asked for.
    OnLink,
    /// Questions and claims about addresses.
    Neighbors,
    /// To the node's own addresses.
    Own,
}

/// How many of 15 pings on the other port must be answered during a flood: the machine is shared
/// with the flood's sender, and a ping that comes late is none.
const ANSWERS: u32 = 10;

#[test]
fn floods_are_counted_take_no_memory_without_end_and_leave_connections_alone() {
    let Some(mut lab) = Lab::new("floods") else { return };
    let mut echoes = lab.client.run(|| VIPS.map(Echo::open));
    for kind in [Flood::Datagrams, Flood::Syns, Flood::OnLink, Flood::Neighbors, Flood::Own] {
        let before = lab.show("ports");
        let node = lab.mac("eth0");
        let (sent, answered) = std::thread::scope(|scope| {
            let flood = scope.spawn(|| lab.client.run(|| send(kind, node)));
            let other = scope.spawn(|| pings(&lab.server, "10.0.0.1", 15));
            lab.client.run(|| {
                while !flood.is_finished() {
                    echoes.iter_mut().for_each(Echo::round);
                }
            });
            (flood.join().expect("it sends"), other.join().expect("it pings"))
        });
        assert!(answered >= ANSWERS, "{kind:?}: {answered} of 15 pings on the other port");
        let after = lab.show("ports");
        let counted = |name: &str| field(&after, name) - field(&before, name);
        let (seen, dropped) = (counted("received"), counted("dropped"));
        println!("{kind:?}: {sent} sent, {seen} received, {dropped} dropped by the ring");
        assert!(seen + dropped >= sent, "{kind:?}: {sent} sent, {seen} + {dropped} counted");
        let resident = lab.resident();
        println!("{kind:?}: {} MiB resident", resident >> 20);
        assert!(resident < MEMORY, "{kind:?}: {resident} octets");
        lab.client.run(|| echoes.iter_mut().for_each(Echo::round));
        lab.wait_until("service after the flood", || lab.echoes());
    }
    let lines = lab.log().lines().count();
    assert!(lines < 100, "strangers filled the log with {lines} lines");
    lab.assert_sound();
}

fn field(ports: &serde_json::Value, name: &str) -> u64 {
    let value = &ports[0][name];
    value.as_u64().unwrap_or_else(|| panic!("no {name} in {ports}"))
}

/// Sends as fast as the kernel takes it. How many frames went out.
fn send(kind: Flood, to: Mac) -> u64 {
    let mut transmitter = Transmitter::open("eth0", None).expect("the cable is in");
    let mut rng = Rng::new(7);
    let end = now() + FLOOD;
    let mut sent = 0;
    while now() < end {
        let frames: Vec<_> = (0..BURST).map(|_| frame(kind, to, &mut rng)).collect();
        let burst: Vec<_> = frames.iter().map(|frame| (&frame[..], Offload::NONE)).collect();
        sent += u64::from(transmitter.send(&burst).sent);
    }
    sent
}

fn frame(kind: Flood, to: Mac, rng: &mut Rng) -> Vec<u8> {
    let number = rng.next();
    let port = 1_024 + (number >> 40) as u16 % 60_000;
    let v6 = number.is_multiple_of(4);
    let host = number >> 8;
    let far = if v6 {
        IpAddr::V6(Ipv6Addr::from_bits(0x2600_u128 << 112 | u128::from(host)))
    } else {
        IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 | host as u32 & 0x00ff_ffff))
    };
    let near = if v6 {
        IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8_0001_u128 << 80 | u128::from(host)))
    } else {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 130 + (host % 100) as u8))
    };
    let at = |v4: &str, port6: &str| fixtures::at(if v6 { port6 } else { v4 });
    let mut frame = match kind {
        Flood::Datagrams => {
            let vip = at("192.0.2.80:7", "[2001:db8:1::80]:7");
            fixtures::udp(SocketAddr::new(far, port), vip, b"flood")
        }
        Flood::Syns => {
            let vip = at("192.0.2.80:80", "[2001:db8:1::80]:80");
            fixtures::tcp_syn(SocketAddr::new(far, port), vip)
        }
        Flood::OnLink => {
            let vip = at("192.0.2.80:7", "[2001:db8:1::80]:7");
            fixtures::udp(SocketAddr::new(near, port), vip, b"flood")
        }
        Flood::Neighbors => match near {
            IpAddr::V4(near) => fixtures::arp_request(near, Ipv4Addr::new(192, 0, 2, 80)),
            IpAddr::V6(near) => {
                let vip = "2001:db8:1::80".parse().expect("an address");
                fixtures::neighbor_solicitation(near, vip)
            }
        },
        Flood::Own => {
            let own = at("192.0.2.11:22", "[2001:db8:1::11]:22");
            match number % 3 {
                0 => fixtures::udp(SocketAddr::new(far, port), own, b"flood"),
                1 => fixtures::tcp_syn(SocketAddr::new(far, port), own),
                _ => fixtures::icmp_echo(far, own.ip(), port, 1),
            }
        }
    };
    if frame[0] & 1 == 0 {
        frame[..6].copy_from_slice(&to.0);
    }
    frame[6..12].copy_from_slice(&[2, 0, 0, (host >> 8) as u8, host as u8, 9]);
    frame
}
