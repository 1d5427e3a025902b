//! A worker's end of a capture: what it takes, what it costs. It is the program's own code, under
//! an allocator that counts.

#[path = "../src/tap.rs"]
mod tap;

use std::alloc::System;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::Instant;
use base::address::mapped;
use fixtures::{Packet, SYN, at};
use model::limits::{CAPTURE_OCTETS, CAPTURE_RING};
use model::status::Direction;
use rtrb::{Consumer, RingBuffer};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tap::{Filter, Snapshot, Tap};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn tap(filter: Filter) -> (Tap, Consumer<Snapshot>, Arc<AtomicU64>) {
    let (ring, end) = RingBuffer::new(CAPTURE_RING);
    let lost = Arc::new(AtomicU64::new(0));
    (Tap { port: 1, filter, ring, lost: lost.clone() }, end, lost)
}

/// What can pass a port.
fn frames() -> Vec<Vec<u8>> {
    let (client, web) = (at("198.51.100.7:40000"), at("192.0.2.80:80"));
    let (client6, dns) = (at("[2001:db8:9::7]:99"), at("[2001:db8:1::80]:53"));
    let router = "192.0.2.1".parse().expect("an address");
    vec![
        Packet::tcp(client, web, SYN, b"").build(),
        Packet::tcp(web, client, SYN, &[7; 9_000]).build(),
        Packet::udp(client6, dns, b"q").build(),
        fixtures::icmp_echo(client.ip(), web.ip(), 1, 1),
        fixtures::arp_request(router, "192.0.2.80".parse().expect("an address")),
        vec![0; 5],
    ]
}

/// The only test of this file: another one's allocations would be counted, too.
#[test]
fn a_tap_takes_what_fits_without_allocating_and_counts_the_rest() {
    let frames = frames();
    let look = |tap: &mut Tap, port| {
        let all = frames.iter().map(Vec::as_slice);
        tap.look(Instant::from_millis(1), port, Direction::In, all);
    };
    for (host, port, taken) in [
        (None, None, vec![0, 1, 2, 3, 4, 5]),
        (Some("192.0.2.80"), None, vec![0, 1, 3, 4]),
        (Some("192.0.2.1"), None, vec![4]),
        (None, Some(53), vec![2]),
        (Some("198.51.100.7"), Some(80), vec![0, 1]),
        (Some("2001:db8:1::80"), Some(80), vec![]),
    ] {
        let host = host.map(|text: &str| mapped(text.parse().expect("an address")));
        let (mut tap, mut end, lost) = tap(Filter { host, port });
        look(&mut tap, 0);
        assert_eq!(end.slots(), 0, "another port");
        look(&mut tap, 1);
        for place in &taken {
            let snapshot = end.pop().expect("a frame");
            let frame = &frames[*place];
            assert_eq!(snapshot.length as usize, frame.len());
            assert_eq!(snapshot.bytes[..], frame[..frame.len().min(CAPTURE_OCTETS)]);
            assert_eq!(snapshot.headers.is_some(), frame.len() > 5);
            assert_eq!((snapshot.at, snapshot.direction), (Instant::from_millis(1), Direction::In));
        }
        assert_eq!((end.slots(), lost.load(Ordering::Relaxed)), (0, 0), "{host:?} {port:?}");
    }
    let (mut tap, mut end, lost) = tap(Filter::default());
    let region = Region::new(COUNTING);
    for _ in 0..CAPTURE_RING {
        look(&mut tap, 1);
    }
    let change = region.change();
    // Each call that took something would have counted; what runs the tests has a few of its own.
    let counted = change.allocations + change.deallocations + change.reallocations;
    assert!(counted < CAPTURE_RING / 8, "{change:?}");
    let wanted = CAPTURE_RING * frames.len();
    assert_eq!(lost.load(Ordering::Relaxed) as usize, wanted - CAPTURE_RING);
    assert_eq!(end.slots(), CAPTURE_RING);
    assert!(end.pop().is_ok());
    look(&mut tap, 1);
    assert_eq!(end.slots(), CAPTURE_RING, "there was room for one more");
}
