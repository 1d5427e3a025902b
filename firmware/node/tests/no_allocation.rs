//! The forward path neither allocates nor frees after its start: a mixed load of everything that
//! can happen to a frame, under an allocator that counts.
#![cfg(test)]

#[expect(dead_code, unused_imports, reason = "this test needs a part of what is shared")]
mod common;

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use base::rng::Rng;
use base::{Frame, Instant, Offload, PortId, ServiceId};
use common::{CLIENT, Lab, Port, ROUTER, Wire, inside, outside, with_macs};
use dataplane::Output;
use dataplane::tables::Services;
use fixtures::{ACK, FIN, PSH, Packet, RST, SYN, at, fragments, gso};
use model::limits::BURST;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Frames of one burst, all of one port.
struct Burst {
    port: PortId,
    frames: Vec<(Vec<u8>, Offload)>,
}

/// All that can happen to a frame, some of it to new clients each time.
fn wires(n: u16) -> Vec<Wire> {
    let client = format!("198.51.{}.7:{}", n % 250, 1_024 + n);
    let tcp = |from: &str, to: &str, flags, data: &[u8]| Packet::tcp(at(from), at(to), flags, data);
    let udp = |from: &str, to: &str, data: &[u8]| Packet::udp(at(from), at(to), data);
    let (web, s1) = ("192.0.2.80:80", "10.0.0.11:8080");
    let loose = |packet: Packet| Packet { dont_fragment: false, ..packet };
    let large = loose(udp(CLIENT, "192.0.2.80:53", &[1; 2_000]));
    let pieces = fragments(&outside(&large).bytes, 1_000, u32::from(n));
    let raw = |frame: &Vec<u8>| Wire::raw(Port::Outside, frame.clone());
    let error = fixtures::icmp_error(
        at(s1).ip(),
        at(&client).ip(),
        [3, 3],
        0,
        &tcp(&client, s1, ACK, b"").build(),
        8,
    );
    let error = with_macs(error, common::INSIDE, common::mac_of(at(s1).ip()));
    let bulk = loose(tcp(&client, web, ACK | PSH, &[7; 9_000]));
    let (bytes, offload) = gso(&bulk, 1_448);
    let bytes = with_macs(bytes, common::OUTSIDE, ROUTER);
    let ours = at("192.0.2.80:0").ip();
    let echo = Packet::echo(at(CLIENT).ip(), ours, false, 1, n, b"x");
    let ask = "192.0.2.80".parse().expect("an address");
    let ask6 = "2001:db8:1::80".parse().expect("an address");
    let router = "192.0.2.1".parse().expect("an address");
    let router6 = "2001:db8:1::1".parse().expect("an address");
    vec![
        outside(&tcp(&client, web, SYN, b"")),
        inside(&tcp(s1, &client, SYN | ACK, b"")),
        outside(&tcp(&client, web, ACK, b"request")),
        inside(&tcp(s1, &client, PSH | ACK, b"answer")),
        Wire::raw(Port::Inside, error),
        Wire::raw(Port::Outside, bytes).with_offload(offload),
        outside(&udp(&client, "192.0.2.80:53", b"q")),
        inside(&udp("10.0.0.12:5353", &client, b"a")),
        outside(&udp("[2001:db8:9::7]:99", "[2001:db8:1::80]:53", b"q")),
        // In order, before their first, and never with one.
        raw(&pieces[0]),
        raw(&pieces[1]),
        raw(&fragments(&outside(&large).bytes, 1_000, u32::from(n) + 0x4000)[1]),
        raw(&fragments(&outside(&large).bytes, 1_000, u32::from(n) + 0x4000)[0]),
        raw(&fragments(&outside(&large).bytes, 1_000, u32::from(n) + 0x8000)[1]),
        // Answers.
        outside(&echo),
        raw(&fixtures::arp_request(router, ask)),
        raw(&fixtures::neighbor_solicitation(router6, ask6)),
        outside(&tcp(&client, "192.0.2.80:9", SYN, b"")),
        outside(&udp(&client, "192.0.2.80:9", b"")),
        outside(&Packet { ttl: 1, ..udp(&client, "192.0.2.80:53", b"q") }),
        outside(&tcp(&client, web, ACK, &[0; 1_450])),
        // Waits in vain.
        outside(&udp(&client, "192.0.2.80:130", b"q")),
        // Transit, the host stack's, drops.
        inside(&udp("10.0.0.77:5", "203.0.113.1:6", b"x")),
        outside(&udp(&client, "192.0.2.11:514", b"own")),
        outside(&tcp(&client, web, RST, b"")),
        raw(&outside(&tcp(&client, web, ACK, b"")).bytes[..40].to_vec()),
        outside(&udp("192.0.2.80:1", "192.0.2.80:53", b"spoofed")),
        // And the end of the connection.
        outside(&tcp(&client, web, FIN | ACK, b"")),
        inside(&tcp(s1, &client, FIN | ACK, b"")),
    ]
}

/// Bursts of each port, in an order that mixes them.
fn script() -> Vec<Burst> {
    let mut rng = Rng::new(1);
    let mut bursts = vec![];
    let mut waiting: [Vec<(Vec<u8>, Offload)>; 2] = [vec![], vec![]];
    for n in 0..400 {
        for wire in wires(n) {
            let port = wire.port.id();
            let queue = &mut waiting[port.index()];
            queue.push((wire.bytes, wire.offload));
            if queue.len() > rng.below(BURST as u64) as usize {
                bursts.push(Burst { port, frames: core::mem::take(queue) });
            }
        }
    }
    bursts
}

#[test]
fn no_allocation_per_packet() {
    // Fewer records than flows: some are evicted.
    let mut lab = Lab::with_flows(256);
    lab.set_mtu(Port::Inside, 1_400);
    // Others copy its flows, and every connection is one that they would get wrong.
    lab.is_followed();
    let mut services = Services::clone(&lab.tables.services);
    (0..16).for_each(|id| services.set_shared(ServiceId(id)));
    lab.tables.services = Arc::new(services);
    let mut bursts = script();
    let mut out = Output::default();
    let mut now = Instant::from_millis(5_000);

    // Would one be seen?
    let region = Region::new(COUNTING);
    drop(std::hint::black_box(Box::new(now)));
    let change = region.change();
    assert_eq!((change.allocations, change.deallocations), (1, 1));

    let mut told = 0;
    let region = Region::new(COUNTING);
    for burst in &mut bursts {
        let mut frames: ArrayVec<Frame<'_>, BURST> = ArrayVec::new();
        for (bytes, offload) in &mut burst.frames {
            frames.push(Frame { bytes, offload: *offload });
        }
        out.clear();
        lab.forwarder.burst(now, &lab.tables, burst.port, &mut frames, &mut out);
        now += Duration::from_micros(300);
        out.clear();
        lab.forwarder.handle_timeout(now, &lab.tables, &mut out);
        told += core::iter::from_fn(|| lab.forwarder.poll_note()).count();
    }
    // And everything that time brings about.
    for _ in 0..10_000 {
        now += Duration::from_secs(1);
        out.clear();
        lab.forwarder.handle_timeout(now, &lab.tables, &mut out);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations, change.deallocations), (0, 0, 0));

    // Was it everything?
    assert!(told > 400, "{told} flows were told, or ended");
    assert_eq!(lab.forwarder.flows().len(), 0);
    let counters = lab.forwarder.counters();
    for name in [
        "balanced",
        "transit",
        "answered",
        "own",
        "held",
        "icmp_errors",
        "resets",
        "fragmented",
        "flows_created",
        "flows_expired",
        "flows_evicted",
    ] {
        assert!(lab.count(name) > 100, "{name}: {counters:?}");
    }
    for name in [
        "malformed",
        "spoofed_source",
        "hold_full",
        "no_neighbor",
        "fragment_timeout",
        "rate_limited",
    ] {
        assert!(lab.count(name) > 0, "{name}: {counters:?}");
    }
}
