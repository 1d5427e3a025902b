//! The short way of usual packets and the general one are one to whoever looks from outside: a
//! packet with IP options that say nothing takes the general way, and must fare as the same packet
//! without them does, whatever happened before.

use std::time::Duration;

use base::Offload;
use dataplane::tables::Owner;
use fixtures::{ACK, FIN, PSH, Packet, RST, SYN, partial};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::common::{CLIENT, Lab, Port, Sent, Wire, inside, outside};
use crate::table::{tcp, udp};

/// Four options of one octet: no operation.
const NOTHING: [u8; 4] = [1; 4];

/// Something that happens to both.
#[derive(Clone, Debug)]
enum Step {
    /// A segment, or with `flags` none a datagram, of one of some clients or of its server.
    Packet {
        client: u8,
        reply: bool,
        flags: Option<u8>,
        ahead: i32,
        octets: usize,
        ttl: u8,
        unfinished: bool,
    },
    Wait(u32),
    /// The same, and nobody looks.
    Sleep(u32),
    Change(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop_oneof![
        6 => Just(ACK), 4 => Just(PSH | ACK), 2 => Just(SYN), 2 => Just(SYN | ACK),
        1 => Just(FIN | ACK), 1 => Just(RST), 1 => any::<u8>(),
    ];
    let flags = prop_oneof![3 => flags.prop_map(Some), 1 => Just(None)];
    let ahead = prop_oneof![8 => 0..3_000i32, 1 => -5_000..0i32, 1 => any::<i32>()];
    let octets = prop_oneof![Just(0usize), 1..200usize, Just(1_300)];
    let ttl = prop_oneof![9 => Just(64u8), 1 => 0..4u8];
    let packet = (0..3u8, any::<bool>(), flags, ahead, octets, ttl, any::<bool>()).prop_map(
        |(client, reply, flags, ahead, octets, ttl, unfinished)| Step::Packet {
            client,
            reply,
            flags,
            ahead,
            octets,
            ttl,
            unfinished,
        },
    );
    prop_oneof![
        12 => packet,
        1 => prop_oneof![0..900u32, 0..9_000_000u32].prop_map(Step::Wait),
        1 => prop_oneof![0..900u32, 0..9_000_000u32].prop_map(Step::Sleep),
        2 => any::<u8>().prop_map(Step::Change),
    ]
}

/// The packet of a step, the next one of its connection but for what the step says.
fn packet(step: &Step) -> Option<(Packet, bool)> {
    let Step::Packet { client, reply, flags, ahead, octets, ttl, unfinished } = *step else {
        return None;
    };
    let client = CLIENT.replace("40000", &format!("4000{client}"));
    let data = vec![7; octets];
    let mut packet = match (flags, reply) {
        (Some(flags), false) => tcp(&client, "192.0.2.80:80", flags, &data),
        (Some(flags), true) => tcp("10.0.0.11:8080", &client, flags, &data),
        (None, false) => udp(&client, "192.0.2.80:53", &data),
        (None, true) => udp("10.0.0.12:5353", &client, &data),
    };
    packet.ttl = ttl;
    if let fixtures::Upper::Tcp { sequence, acknowledgement, .. } = &mut packet.upper {
        let (own, other) = if reply { (5_000u32, 1_001) } else { (1_000, 5_001) };
        *sequence = own.wrapping_add_signed(ahead);
        *acknowledgement = other;
    }
    Some((packet, unfinished))
}

fn wire(packet: &Packet, reply: bool, unfinished: bool) -> Wire {
    let wire = if reply { inside(packet) } else { outside(packet) };
    if !unfinished {
        return wire;
    }
    let (bytes, offload) = partial(packet);
    let stations = wire.bytes[..12].to_vec();
    let bytes = [&stations[..], &bytes[12..]].concat();
    Wire::raw(wire.port, bytes).with_offload(offload)
}

fn change(lab: &mut Lab, what: u8) {
    let on = what & 1 == 0;
    match what >> 1 {
        0..15 => lab.set_up("web/s1", on),
        15..30 => lab.set_port(Port::Inside, on),
        30..45 if on => lab.learn_neighbor(Port::Inside, "10.0.0.11"),
        30..45 => lab.forget_neighbor(Port::Inside, "10.0.0.11"),
        45..60 => lab.set_mtu(Port::Inside, if on { 1_500 } else { 576 }),
        60..75 => lab.set_mtu(Port::Outside, if on { 1_500 } else { 576 }),
        75..90 => lab.give_away("www", if on { Owner::Us } else { Owner::Peer(0) }),
        90..100 => lab.give_away("www", if on { Owner::Us } else { Owner::Nobody }),
        100..115 => {
            let life = if on { Duration::from_secs(1 << 40) } else { Duration::from_nanos(1) };
            lab.lease_until(lab.now() + life);
        }
        _ => {
            lab.restart();
            lab.judges = false;
        }
    }
}

/// A frame that went on, without the options that say nothing.
fn without_options(sent: &Sent) -> (Port, Vec<u8>, Offload) {
    let (mut bytes, mut offload) = (sent.bytes.clone(), sent.offload);
    if bytes.get(14) == Some(&0x46) {
        bytes.drain(34..38);
        bytes[14] = 0x45;
        let total = (bytes.len() - 14) as u16;
        bytes[16..18].copy_from_slice(&total.to_be_bytes());
        bytes[24..26].fill(0);
        let sum = !fixtures::checksum(&bytes[14..34]);
        bytes[24..26].copy_from_slice(&sum.to_be_bytes());
        if offload.needs_checksum {
            offload.checksum_start -= 4;
        }
    }
    (sent.port, bytes, offload)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    })]

    #[test]
    fn options_that_say_nothing_change_nothing(steps in vec(step(), 1..60)) {
        let (mut short, mut general) = (Lab::new(), Lab::new());
        // An error quotes an unfinished sum as it came.
        (short.judges, general.judges) = (false, false);
        // The handshakes, so that most of what follows is of connections.
        for client in 0..3u8 {
            for (reply, flags, ahead) in [(false, SYN, 0), (true, SYN | ACK, 0), (false, ACK, 1)] {
                let flags = Some(flags);
                let step = Step::Packet {
                    client, reply, flags, ahead, octets: 0, ttl: 64, unfinished: false,
                };
                let (packet, _) = packet(&step).unwrap();
                short.receive(&wire(&packet, reply, false));
                general.receive(&wire(&packet, reply, false));
            }
        }
        for step in &steps {
            match step {
                Step::Wait(millis) => {
                    let time = Duration::from_millis(u64::from(*millis));
                    let (a, b) = (short.wait(time), general.wait(time));
                    prop_assert_eq!(a.sent.len(), b.sent.len());
                }
                Step::Sleep(millis) => {
                    let time = Duration::from_millis(u64::from(*millis));
                    short.sleep(time);
                    general.sleep(time);
                }
                Step::Change(what) => {
                    change(&mut short, *what);
                    change(&mut general, *what);
                }
                Step::Packet { reply, .. } => {
                    let (plain, unfinished) = packet(step).unwrap();
                    let optional = plain.clone().with_options(&NOTHING);
                    let a = short.receive(&wire(&plain, *reply, unfinished));
                    let b = general.receive(&wire(&optional, *reply, unfinished));
                    prop_assert_eq!(&a.verdict, &b.verdict);
                    prop_assert_eq!(a.events, b.events);
                    prop_assert_eq!(a.sent.len(), b.sent.len());
                    if a.verdict.starts_with("forward") {
                        let sent = |sent: &Vec<Sent>| -> Vec<_> {
                            sent.iter().map(without_options).collect()
                        };
                        prop_assert_eq!(sent(&a.sent), sent(&b.sent));
                    }
                }
            }
            let (a, b) = (short.forwarder.counters(), general.forwarder.counters());
            prop_assert!(a.named().eq(b.named()), "{:?}\n{:?}", a, b);
            prop_assert!(a.named_drops().eq(b.named_drops()));
            for (a, b) in a.servers.iter().zip(&b.servers) {
                prop_assert_eq!((a.active, a.flows), (b.active, b.flows));
                prop_assert_eq!((a.packets_in, a.packets_out), (b.packets_in, b.packets_out));
                let options = |packets: u64| packets * NOTHING.len() as u64;
                prop_assert!(a.bytes_in + options(a.packets_in) >= b.bytes_in);
                prop_assert!(a.bytes_in <= b.bytes_in && a.bytes_out <= b.bytes_out);
            }
        }
    }
}
