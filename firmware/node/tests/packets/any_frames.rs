//! Whatever comes: no frame makes the forwarder panic, each gets one final verdict, and nothing
//! grows beyond its bound. The node's own bookkeeping is checked by [`Lab`] after every step.

use std::time::Duration;

use base::{Gso, Offload};
use fixtures::{ACK, FIN, PSH, Packet, RST, SYN, at, fragments, gso, icmp_error};
use model::config::ServerState;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::common::{
    CLIENT, CLIENT6, INSIDE, Lab, OUTSIDE, Port, ROUTER, Wire, inside, mac_of, outside, with_macs,
};
use crate::table::{ip, may_be_cut, tcp, udp};

/// How many flows the node has room for.
const FLOWS: u32 = 64;

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// One of [`corpus`], damaged.
    Damaged { which: usize, port: bool, repair: bool, change: Vec<(u16, u8)>, cut: Option<u16> },
    /// One of [`corpus`] with an offload header that lies.
    Lied { which: usize, offload: [u16; 5] },
    /// Octets behind an Ethernet header that is ours.
    Noise { ethertype: u16, bytes: Vec<u8> },
    /// Milliseconds pass.
    Wait(u16),
    /// The tables change.
    Change(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..corpus().len();
    let change = vec((0u16..200, any::<u8>()), 0..6);
    let cut = prop::option::weighted(0.2, 0u16..120);
    prop_oneof![
        8 => (which.clone(), any::<bool>(), any::<bool>(), change, cut).prop_map(
            |(which, port, repair, change, cut)| {
                Step::Damaged { which, port, repair, change, cut }
            }
        ),
        2 => (which, any::<[u16; 5]>()).prop_map(|(which, offload)| Step::Lied { which, offload }),
        1 => (prop::sample::select(vec![0x0800, 0x86dd, 0x0806]), vec(any::<u8>(), 0..120))
            .prop_map(|(ethertype, bytes)| Step::Noise { ethertype, bytes }),
        1 => (0u16..5_000).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Change),
    ]
}

/// Sound frames of every kind.
fn corpus() -> Vec<Wire> {
    let (web, s1) = ("192.0.2.80:80", "10.0.0.11:8080");
    let (web6, s6) = ("[2001:db8:1::80]:80", "[fd00::11]:8080");
    let (dns, d1) = ("192.0.2.80:53", "10.0.0.12:5353");
    let large = may_be_cut(udp(CLIENT, dns, &[9; 2_500]));
    let large6 = udp(CLIENT6, "[2001:db8:1::80]:53", &[9; 2_500]);
    let mut all = vec![
        outside(&tcp(CLIENT, web, SYN, b"").with_tcp_options(&[2, 4, 5, 0xb4])),
        inside(&tcp(s1, CLIENT, SYN | ACK, b"")),
        outside(&tcp(CLIENT, web, PSH | ACK, b"GET /")),
        outside(&tcp(CLIENT, web, FIN | ACK, b"")),
        inside(&tcp(s1, CLIENT, RST, b"")),
        outside(&tcp(CLIENT6, web6, SYN, b"").with_extension(0, 8)),
        inside(&tcp(s6, CLIENT6, ACK, b"data")),
        outside(&udp(CLIENT, dns, b"q")),
        outside(&udp(CLIENT, dns, b"q").without_checksum().with_options(&[0x94, 4, 0, 0])),
        inside(&udp(d1, CLIENT, b"a")),
        outside(&udp(CLIENT, "192.0.2.80:130", b"dark")),
        outside(&udp(CLIENT, "192.0.2.80:9", b"closed")),
        outside(&tcp(CLIENT, "192.0.2.80:100", SYN, b"")),
        inside(&udp("10.0.0.77:5", "203.0.113.1:6", b"transit")),
        outside(&udp(CLIENT, "192.0.2.11:514", b"own")),
        outside(&Packet::echo(ip("198.51.100.7"), ip("192.0.2.80"), false, 1, 1, b"ping")),
        outside(&Packet::echo(ip("2001:db8:9::7"), ip("2001:db8:1::80"), false, 1, 1, b"ping")),
        Wire::raw(
            Port::Outside,
            fixtures::arp_request([192, 0, 2, 1].into(), [192, 0, 2, 80].into()),
        ),
        Wire::raw(
            Port::Inside,
            with_macs(
                fixtures::arp_reply([10, 0, 0, 66].into(), [10, 0, 0, 2].into()),
                INSIDE,
                fixtures::SENDER,
            ),
        ),
    ];
    let about = tcp(CLIENT, s1, ACK, b"01234567").build();
    let error = icmp_error(ip("10.0.0.11"), ip("198.51.100.7"), [3, 4], 1_300, &about, 16);
    all.push(Wire::raw(Port::Inside, with_macs(error, INSIDE, mac_of(ip("10.0.0.11")))));
    let about = udp("[2001:db8:1::80]:53", CLIENT6, b"01234567").build();
    let error = icmp_error(ip("2001:db8:9::7"), ip("2001:db8:1::80"), [2, 0], 1_300, &about, 16);
    all.push(Wire::raw(Port::Outside, with_macs(error, OUTSIDE, ROUTER)));
    let v6 = |text: &str| text.parse().expect("an IPv6 address");
    for frame in [
        fixtures::neighbor_solicitation(v6("2001:db8:1::1"), v6("2001:db8:1::80")),
        fixtures::neighbor_advertisement(
            v6("2001:db8:1::1"),
            v6("2001:db8:1::11"),
            v6("2001:db8:1::1"),
            0x60,
        ),
    ] {
        all.push(Wire::raw(Port::Outside, frame));
    }
    for wire in [outside(&large), outside(&large6)] {
        let pieces = fragments(&wire.bytes, 1_000, 77);
        all.extend(pieces.into_iter().map(|bytes| Wire::raw(Port::Outside, bytes)));
    }
    let bulk = Packet::tcp(at(CLIENT), at(web), ACK, &[1; 5_000]);
    for bulk in [may_be_cut(bulk.clone()), bulk] {
        let (bytes, offload) = gso(&bulk, 1_448);
        let wire = Wire::raw(Port::Outside, with_macs(bytes, OUTSIDE, ROUTER));
        all.push(wire.with_offload(offload));
    }
    all
}

/// Makes lengths and the IP checksum fit again, so that the damage reaches further.
fn repair(frame: &mut [u8]) {
    if frame.len() < 54 {
        return;
    }
    match u16::from_be_bytes([frame[12], frame[13]]) {
        0x0800 => {
            let total = (frame.len() - 14) as u16;
            frame[16..18].copy_from_slice(&total.to_be_bytes());
            let end = 14 + usize::from(frame[14] & 15) * 4;
            if (34..=frame.len()).contains(&end) {
                frame[24..26].fill(0);
                let sum = !fixtures::checksum(&frame[14..end]);
                frame[24..26].copy_from_slice(&sum.to_be_bytes());
            }
        }
        0x86dd => {
            let payload = (frame.len() - 54) as u16;
            frame[18..20].copy_from_slice(&payload.to_be_bytes());
        }
        _ => {}
    }
}

fn carry_out(lab: &mut Lab, corpus: &[Wire], step: Step) {
    match step {
        Step::Damaged { which, port, repair: whole, change, cut } => {
            let mut wire = corpus[which].clone();
            for (place, value) in change {
                let place = usize::from(place);
                // The Ethernet addresses are left alone, or little would get further.
                if place >= 12 && place < wire.bytes.len() {
                    wire.bytes[place] = value;
                }
            }
            wire.bytes.truncate(cut.map_or(usize::MAX, usize::from));
            if whole {
                repair(&mut wire.bytes);
            }
            if port && wire.bytes.len() > 14 {
                wire.port = if wire.port == Port::Inside { Port::Outside } else { Port::Inside };
                wire.bytes[..6].copy_from_slice(&wire.port.mac().0);
            }
            lab.receive(&wire);
        }
        Step::Lied { which, offload: [flags, start, offset, size, header] } => {
            let gso = [Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::Udp][usize::from(flags >> 8 & 3)];
            let offload = Offload {
                needs_checksum: flags & 1 != 0,
                checksum_valid: flags & 2 != 0,
                gso_ecn: flags & 4 != 0,
                // Often near the truth.
                checksum_start: if flags & 8 != 0 { start } else { start % 80 },
                checksum_offset: if flags & 16 != 0 { offset } else { offset % 20 },
                gso,
                gso_size: if flags & 32 != 0 { size } else { size % 3_000 },
                header_length: header,
            };
            lab.receive(&corpus[which].clone().with_offload(offload));
        }
        Step::Noise { ethertype, bytes } => {
            let mut frame = with_macs(vec![0; 12], OUTSIDE, ROUTER);
            frame.extend(u16::to_be_bytes(ethertype));
            frame.extend(bytes);
            lab.receive(&Wire::raw(Port::Outside, frame));
        }
        Step::Wait(millis) => drop(lab.wait(Duration::from_millis(millis.into()))),
        Step::Change(what) => change(lab, what),
    }
}

fn change(lab: &mut Lab, what: u8) {
    let on = what & 0x80 == 0;
    match what & 0x7f {
        0..20 => lab.set_up("web/s1", on),
        20..40 => lab.set_up("pair/p1", on),
        40..50 => {
            let state = if on { ServerState::Up } else { ServerState::Draining };
            lab.set_state("pair/p2", state);
        }
        50..60 => lab.set_mtu(Port::Inside, if on { 1_500 } else { 576 }),
        60..70 => lab.set_port(Port::Inside, on),
        70..90 if on => lab.learn_neighbor(Port::Inside, "10.0.0.66"),
        70..90 => lab.forget_neighbor(Port::Inside, "10.0.0.66"),
        90..110 if on => lab.learn_neighbor(Port::Inside, "10.0.0.12"),
        90..110 => lab.forget_neighbor(Port::Inside, "10.0.0.12"),
        _ => lab.set_mtu(Port::Outside, if on { 9_000 } else { 68 }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_frame_gets_one_final_verdict_and_nothing_grows(steps in vec(step(), 1..80)) {
        let corpus = corpus();
        let mut lab = Lab::with_flows(FLOWS);
        lab.judges = false;
        for step in steps {
            carry_out(&mut lab, &corpus, step);
            prop_assert!(lab.flows() <= FLOWS);
        }
        // What waits is decided in the end.
        lab.wait(Duration::from_secs(4));
        prop_assert_eq!(lab.waiting(), 0);
    }

    #[test]
    fn sound_frames_in_any_order_leave_only_sound_frames(
        order in vec((0..corpus().len(), 0u16..900, any::<u8>()), 1..100),
    ) {
        let corpus = corpus();
        let mut lab = Lab::with_flows(FLOWS);
        for (which, millis, what) in order {
            // The lab's judge looks at every frame that leaves.
            lab.receive(&corpus[which]);
            lab.wait(Duration::from_millis(millis.into()));
            if what > 0xe0 {
                change(&mut lab, what & 0x7f | what << 7);
            }
        }
        lab.wait(Duration::from_secs(4));
        prop_assert_eq!(lab.waiting(), 0);
    }
}
