//! Receiving and sending through real packet sockets, over veth cables between namespaces.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::{
    Namespace, cable, collect, drain, eventually, is_root, is_test, number_of, open, pair, plain,
    send, test_frame,
};
use base::{Gso, Offload};
use netio::{BLOCK, BURST, Memory, PortOptions, Receiver, Sent, Transmitter};

#[test]
fn frames_arrive_whole_and_in_order_and_not_at_their_sender() {
    if !is_root("frames_arrive_whole_and_in_order_and_not_at_their_sender") {
        return;
    }
    let (near, far) = pair();
    let (mut receiver, _) = plain(&near, "near");
    let (mut own, mut transmitter) = plain(&far, "far");
    let frames: Vec<Vec<u8>> =
        (0..200).map(|n| test_frame(n, 60 + 7 * usize::try_from(n).unwrap())).collect();
    let burst: Vec<(&[u8], Offload)> = frames.iter().map(|f| (&f[..], Offload::NONE)).collect();
    let sent = transmitter.send(&burst);
    assert_eq!(sent, Sent { sent: 200, ..Sent::default() });
    let seen = collect(&mut receiver, is_test, 200);
    assert_eq!(seen.len(), 200);
    for (sent, (seen, _)) in frames.iter().zip(&seen) {
        assert_eq!(sent, seen);
    }
    assert_eq!(drain(&mut own, is_test), 0, "a port does not get what it sends itself");
    assert!(receiver.statistics().received >= 200);
    assert_eq!(receiver.statistics().dropped, 0);
}

#[test]
fn a_batch_holds_no_more_than_asked_for_and_slots_come_back() {
    if !is_root("a_batch_holds_no_more_than_asked_for_and_slots_come_back") {
        return;
    }
    let (near, far) = pair();
    let memory = Memory { blocks: 1, block_size: BLOCK, ..Memory::default() };
    let (mut receiver, _) = open(&near, PortOptions { memory, ..PortOptions::new("near") });
    let (_own, mut transmitter) = plain(&far, "far");
    let slots = 64;
    // Three times around the ring, in steps that do not divide it.
    for round in 0..20 {
        for n in 0..5 {
            assert_eq!(send(&mut transmitter, &test_frame(round * 5 + n, 100)).sent, 1);
        }
        let mut got = Vec::new();
        for _ in 0..200 {
            let mut batch = receiver.batch(3);
            assert!(batch.len() <= 3);
            got.extend(batch.frames().iter().filter_map(|frame| number_of(frame.bytes)));
            drop(batch);
            if got.len() == 5 {
                break;
            }
            netio::wait(&[receiver.fd()], Some(Duration::from_millis(50)));
        }
        assert_eq!(got, (round * 5..round * 5 + 5).collect::<Vec<_>>(), "round {round}");
    }
    assert!(receiver.batch(usize::MAX).len() <= BURST.min(slots));
}

#[test]
fn a_full_ring_is_the_kernels_drop_counter_and_recovers() {
    if !is_root("a_full_ring_is_the_kernels_drop_counter_and_recovers") {
        return;
    }
    let (near, far) = pair();
    let memory = Memory { blocks: 1, block_size: BLOCK, ..Memory::default() };
    let (mut receiver, _) = open(&near, PortOptions { memory, ..PortOptions::new("near") });
    let (_own, mut transmitter) = plain(&far, "far");
    for n in 0..200 {
        assert_eq!(send(&mut transmitter, &test_frame(n, 100)).sent, 1);
    }
    let mut dropped = 0;
    let counted = eventually(|| {
        dropped = receiver.statistics().dropped;
        dropped >= 136
    });
    assert!(counted, "64 slots for 200 frames, but {dropped} dropped");
    let first = collect(&mut receiver, is_test, 1);
    assert!(!first.is_empty() && first.len() <= 64);
    drain(&mut receiver, is_test);
    assert_eq!(send(&mut transmitter, &test_frame(1000, 100)).sent, 1);
    let seen = collect(&mut receiver, is_test, 1);
    assert_eq!(seen.iter().filter_map(|(frame, _)| number_of(frame)).next_back(), Some(1000));
}

#[test]
fn what_is_changed_in_a_batch_is_sent_from_it() {
    if !is_root("what_is_changed_in_a_batch_is_sent_from_it") {
        return;
    }
    let (near, far) = pair();
    let (mut receiver, mut back) = plain(&near, "near");
    let (mut answers, mut transmitter) = plain(&far, "far");
    assert_eq!(send(&mut transmitter, &test_frame(5, 80)).sent, 1);
    let echoed = (0..100).any(|_| {
        netio::wait(&[receiver.fd()], Some(Duration::from_millis(100)));
        let mut batch = receiver.batch(64);
        let mut frames = batch.frames();
        for frame in &mut frames {
            if is_test(frame.bytes) {
                frame.bytes[17] = 6;
            }
        }
        let out: Vec<(&[u8], Offload)> = frames
            .iter()
            .filter(|frame| is_test(frame.bytes))
            .map(|frame| (&*frame.bytes, frame.offload))
            .collect();
        back.send(&out).sent == 1
    });
    assert!(echoed);
    let seen = collect(&mut answers, is_test, 1);
    assert_eq!(number_of(&seen[0].0), Some(6));
}

#[test]
fn a_frame_that_cannot_go_out_is_counted_and_the_others_go() {
    if !is_root("a_frame_that_cannot_go_out_is_counted_and_the_others_go") {
        return;
    }
    let (near, far) = pair();
    let (mut receiver, _) = plain(&near, "near");
    let (_own, mut transmitter) = plain(&far, "far");
    let good = [test_frame(1, 60), test_frame(2, 60)];
    let long = test_frame(3, 4000);
    let beyond = Offload {
        needs_checksum: true,
        checksum_start: 9000,
        checksum_offset: 16,
        ..Offload::NONE
    };
    let sent = transmitter.send(&[
        (&good[0], Offload::NONE),
        (&long, Offload::NONE),
        (&good[0][..9], Offload::NONE),
        (&[], Offload::NONE),
        (&good[0], beyond),
        (&good[1], Offload::NONE),
    ]);
    assert_eq!(sent, Sent { sent: 2, too_long: 1, refused: 3, ..Sent::default() });
    let seen = collect(&mut receiver, is_test, 2);
    let numbers: Vec<_> = seen.iter().filter_map(|(frame, _)| number_of(frame)).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn small_and_large_frames_leave_in_the_order_in_which_they_were_given() {
    if !is_root("small_and_large_frames_leave_in_the_order_in_which_they_were_given") {
        return;
    }
    let (near, far) = pair();
    let (mut receiver, _) = plain(&near, "near");
    let (_own, mut transmitter) = plain(&far, "far");
    // More than the send ring holds, and all ways of going out mixed.
    let lengths = [60, 60, 60, 512, 513, 60, 1514];
    for round in 0..4 {
        let numbers = round * 150..round * 150 + 150;
        let frames = numbers.clone().zip(lengths.into_iter().cycle());
        let frames: Vec<_> = frames.map(|(n, length)| test_frame(n, length)).collect();
        let burst: Vec<_> = frames.iter().map(|frame| (&frame[..], Offload::NONE)).collect();
        assert_eq!(transmitter.send(&burst), Sent { sent: 150, ..Sent::default() });
        let seen = collect(&mut receiver, is_test, 150);
        let seen_numbers = seen.iter().filter_map(|(frame, _)| number_of(frame));
        assert!(seen_numbers.eq(numbers), "round {round}");
        assert!(seen.iter().zip(&frames).all(|((frame, _), given)| frame == given));
    }
}

#[test]
fn a_receiver_whose_ring_fills_up_is_behind_until_most_of_it_is_empty() {
    if !is_root("a_receiver_whose_ring_fills_up_is_behind_until_most_of_it_is_empty") {
        return;
    }
    let (near, far) = pair();
    let memory = Memory { block_size: BLOCK, blocks: 1, large_frames: 1, receive_buffer: 1 << 20 };
    let options = PortOptions { memory, ..PortOptions::new("near") };
    let (mut receiver, _) = open(&near, options);
    let (_own, mut transmitter) = plain(&far, "far");
    let frame = test_frame(1, 60);
    // 64 slots. A few frames of the kernel's own may be among them.
    for (count, behind) in [(20, false), (30, true)] {
        for _ in 0..count {
            assert_eq!(transmitter.send(&[(&frame, Offload::NONE)]).sent, 1);
        }
        assert_eq!(receiver.is_behind(), behind);
    }
    assert!(!receiver.batch(20).is_empty());
    assert!(receiver.is_behind(), "still more than an eighth");
    while !receiver.batch(BURST).is_empty() {}
    assert!(!receiver.is_behind());
}

#[test]
fn a_jumbo_frame_arrives_whole() {
    if !is_root("a_jumbo_frame_arrives_whole") {
        return;
    }
    let (near, far) = pair();
    near.ip("link set near mtu 9000");
    far.ip("link set far mtu 9000");
    let (mut receiver, _) = plain(&near, "near");
    let (_own, mut transmitter) = plain(&far, "far");
    let frames = [test_frame(1, 9014), test_frame(2, 60), test_frame(3, 1900)];
    let burst: Vec<(&[u8], Offload)> = frames.iter().map(|f| (&f[..], Offload::NONE)).collect();
    assert_eq!(transmitter.send(&burst).sent, 3);
    let seen: Vec<_> = collect(&mut receiver, is_test, 3).into_iter().map(|seen| seen.0).collect();
    assert!(seen == frames);
}

#[test]
fn large_frames_that_find_no_room_are_counted_and_the_others_arrive() {
    if !is_root("large_frames_that_find_no_room_are_counted_and_the_others_arrive") {
        return;
    }
    let (near, far) = pair();
    near.ip("link set near mtu 9000");
    far.ip("link set far mtu 9000");
    let memory = Memory { receive_buffer: 16 << 10, ..Memory::default() };
    let (mut receiver, _) = open(&near, PortOptions { memory, ..PortOptions::new("near") });
    let (_own, mut transmitter) = plain(&far, "far");
    // Large and small in turn, none fetched in between.
    for n in 0..20 {
        let length = if n % 2 == 0 { 9014 } else { 60 };
        assert_eq!(send(&mut transmitter, &test_frame(n, length)).sent, 1);
    }
    let seen: Vec<_> = collect(&mut receiver, is_test, 20)
        .iter()
        .filter_map(|(frame, _)| number_of(frame))
        .collect();
    let large = seen.iter().filter(|&number| number % 2 == 0).count();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.len() - large, 10, "every small frame: {seen:?}");
    assert!((1..10).contains(&large), "some large ones: {seen:?}");
    assert_eq!(receiver.statistics().truncated, u64::try_from(10 - large).unwrap());
}

/// A host with an address at the far end of a cable.
fn host(namespace: &Namespace, interface: &str, address: &str) {
    namespace.ip(&format!("addr add {address} dev {interface}"));
}

/// Sends everything from one port through another, and looks at it: the number of large frames
/// and of unfinished checksums.
fn relay(
    from: &mut Receiver,
    to: &mut Transmitter,
    large: &AtomicUsize,
    unfinished: &AtomicUsize,
) -> Sent {
    let mut batch = from.batch(64);
    let frames = batch.frames();
    let mut out = arrayvec::ArrayVec::<(&[u8], Offload), BURST>::new();
    for frame in &frames {
        large.fetch_add(usize::from(frame.bytes.len() > 2048), Ordering::Relaxed);
        unfinished.fetch_add(usize::from(frame.offload.needs_checksum), Ordering::Relaxed);
        assert!(frame.bytes.len() <= 1514 || frame.offload.gso != Gso::None);
        out.push((frame.bytes, frame.offload));
    }
    to.send(&out)
}

#[test]
fn large_segments_and_unfinished_checksums_pass_between_two_ports() {
    const OCTETS: usize = 24 << 20;
    if !is_root("large_segments_and_unfinished_checksums_pass_between_two_ports") {
        return;
    }
    let [client, middle, server] = [(); 3].map(|()| Namespace::new());
    cable((&middle, "p0"), (&client, "eth0"));
    cable((&middle, "p1"), (&server, "eth0"));
    host(&client, "eth0", "10.9.0.1/24");
    host(&server, "eth0", "10.9.0.2/24");
    let (mut receive0, mut send0) = open(&middle, PortOptions::new("p0"));
    let (mut receive1, mut send1) = open(&middle, PortOptions::new("p1"));
    let (large, unfinished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let done = AtomicBool::new(false);
    let listener = server.run(|| TcpListener::bind("10.9.0.2:7000").unwrap());

    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let fds = [receive0.fd(), receive1.fd()];
                netio::wait(&fds, Some(Duration::from_millis(50)));
                relay(&mut receive0, &mut send1, &large, &unfinished);
                relay(&mut receive1, &mut send0, &large, &unfinished);
            }
        });
        let reader = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all
        });
        let sent: Vec<u8> = (0..OCTETS).map(|n| (n % 253) as u8).collect();
        client.run(|| {
            let mut stream = TcpStream::connect("10.9.0.2:7000").unwrap();
            stream.write_all(&sent).unwrap();
        });
        let received = reader.join().unwrap();
        done.store(true, Ordering::Relaxed);
        assert!(received == sent, "{} octets came of {OCTETS}", received.len());
    });
    assert!(large.load(Ordering::Relaxed) > 20, "large frames: {large:?}");
    assert!(unfinished.load(Ordering::Relaxed) > 20, "unfinished: {unfinished:?}");
    assert_eq!(receive0.statistics().truncated, 0);
}
