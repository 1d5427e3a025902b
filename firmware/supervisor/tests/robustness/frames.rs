//! Frames that no honest host sends, on both ports.

use base::rng::Rng;
use base::{Gso, Mac, Offload};
use fixtures::{Packet, gso, partial};
use netio::{BURST, Transmitter};

use crate::lab::Lab;
use crate::traffic::{Echo, VIPS};

/// Frames on each port.
const FRAMES: usize = 20_000;

#[test]
fn broken_frames_are_counted_and_change_nothing() {
    let Some(mut lab) = Lab::new("broken_frames") else { return };
    let mut echoes = lab.client.run(|| VIPS.map(Echo::open));
    let malformed = lab.counter("drop.malformed");
    let outside = lab.mac("eth0");
    let inside = lab.mac("eth1");
    let from_client = lab.client.run(|| inject(outside, &to_vips(), 1));
    let from_server = lab.server.run(|| inject(inside, &to_clients(), 2));
    println!("{from_client} and {from_server} of {FRAMES} frames passed the sender's kernel");
    assert!(from_client > FRAMES as u64 / 2 && from_server > FRAMES as u64 / 2);
    lab.client.run(|| echoes.iter_mut().for_each(Echo::round));
    let malformed = lab.counter("drop.malformed") - malformed;
    assert!(malformed > FRAMES as u64 / 10, "{malformed} counted as malformed");
    let lines = lab.log().lines().count();
    assert!(lines < 100, "strangers filled the log with {lines} lines");
    lab.assert_sound();
}

/// Real frames of every kind towards the outside port.
fn to_vips() -> Vec<(Vec<u8>, Offload)> {
    seeds(
        ["192.0.2.101:4001", "[2001:db8:1::101]:4001"],
        ["192.0.2.80:80", "[2001:db8:1::80]:80"],
        ["192.0.2.80:7", "[2001:db8:1::80]:7"],
    )
}

/// Real frames of every kind towards the inside port.
fn to_clients() -> Vec<(Vec<u8>, Offload)> {
    seeds(
        ["10.0.0.11:8080", "[fd00::11]:8080"],
        ["192.0.2.101:4001", "[2001:db8:1::101]:4001"],
        ["10.0.0.201:61000", "[fd00::201]:61000"],
    )
}

fn seeds(from: [&str; 2], to: [&str; 2], udp: [&str; 2]) -> Vec<(Vec<u8>, Offload)> {
    let mut seeds = Vec::new();
    for family in 0..2 {
        let [from, to, udp] = [from[family], to[family], udp[family]].map(fixtures::at);
        let finished = |frame: Vec<u8>| (frame, Offload::NONE);
        let large = vec![0x5a; 60_000];
        seeds.extend([
            finished(fixtures::tcp(from, to, 0x10, b"some data")),
            finished(fixtures::tcp_syn(from, to)),
            finished(fixtures::udp(from, udp, b"some data")),
            finished(fixtures::icmp_echo(from.ip(), udp.ip(), 7, 1)),
            partial(&Packet::tcp(from, to, 0x18, b"some data")),
            partial(&Packet::udp(from, udp, b"some data")),
            gso(&Packet::tcp(from, to, 0x10, &large), 1_440),
            gso(&Packet::udp(from, udp, &large[..20_000]), 1_200),
        ]);
        let long = fixtures::udp(from, udp, &large[..4_000]);
        seeds.extend(fixtures::fragments(&long, 1_480, 77).into_iter().map(finished));
        let inner = Packet::tcp(to, from, 0x10, b"some data");
        let quote = inner.build();
        let kind = if family == 0 { [3, 4] } else { [2, 0] };
        let error = fixtures::icmp_error(from.ip(), to.ip(), kind, 1_280, &quote, 48);
        seeds.push(finished(error));
    }
    seeds
}

/// Sends mutations of the seeds. How many the sender's kernel let out.
fn inject(to: Mac, seeds: &[(Vec<u8>, Offload)], seed: u64) -> u64 {
    let mut transmitter = Transmitter::open("eth0", None).expect("the cable is in");
    let mut rng = Rng::new(seed);
    let mut sent = 0;
    for _ in 0..FRAMES / BURST + 1 {
        let frames: Vec<_> = (0..BURST).map(|_| mutation(to, seeds, &mut rng)).collect();
        // One by one where one is refused, so that it does not hold up the others.
        let burst: Vec<_> = frames.iter().map(|(bytes, offload)| (&bytes[..], *offload)).collect();
        sent += u64::from(transmitter.send(&burst).sent);
    }
    sent
}

fn mutation(to: Mac, seeds: &[(Vec<u8>, Offload)], rng: &mut Rng) -> (Vec<u8>, Offload) {
    let mut below = |limit: usize| rng.below(limit as u64) as usize;
    let (mut bytes, mut offload) = seeds[below(seeds.len())].clone();
    match below(8) {
        0 => bytes.truncate(14 + below(bytes.len() - 14)),
        1 => {
            let length = 14 + below(1_400);
            bytes = (0..length).map(|_| below(256) as u8).collect();
            offload = Offload::NONE;
        }
        2 => {
            offload = Offload {
                needs_checksum: below(2) == 0,
                checksum_valid: below(2) == 0,
                checksum_start: below(120) as u16,
                checksum_offset: below(40) as u16,
                gso: [Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::Udp][below(4)],
                gso_ecn: below(2) == 0,
                gso_size: [0, 1, 8, 536, 1_440, 9_000, 65_535][below(7)],
                header_length: [0, 1, 14, 54, 66, 300, 65_535][below(7)],
            };
        }
        3 => bytes.extend((0..1 + below(64)).map(|_| 0xaa)),
        _ => {
            for _ in 0..1 + below(6) {
                let at = 12 + below(bytes.len().min(110) - 12);
                bytes[at] = below(256) as u8;
            }
        }
    }
    bytes[..6].copy_from_slice(&to.0);
    if below(16) == 0 {
        bytes[..6].copy_from_slice(&[0xff; 6]);
    }
    bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    (bytes, offload)
}
