//! Ports that are one VLAN of an interface, and ports that several workers share.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::common::{
    Namespace, collect, drain, eventually, is_root, is_test, number_of, open, pair, send,
    test_frame,
};
use base::{Gso, Offload};
use netio::{Link, PortOptions, Receiver, Sent, Steering, Transmitter};

fn port(namespace: &Namespace, interface: &str, vlan: Option<u16>) -> (Receiver, Transmitter) {
    open(namespace, PortOptions { vlan, ..PortOptions::new(interface) })
}

/// A frame with a tag written into it, as a trunk carries it.
fn tagged(frame: &[u8], protocol: u16, tci: u16) -> Vec<u8> {
    let tag = [protocol.to_be_bytes(), tci.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

#[test]
fn a_port_sees_the_frames_of_its_vlan_and_no_others() {
    if !is_root("a_port_sees_the_frames_of_its_vlan_and_no_others") {
        return;
    }
    let (near, far) = pair();
    let mut untagged = port(&near, "near", None).0;
    let mut ten = port(&near, "near", Some(10)).0;
    let mut last = port(&near, "near", Some(4094)).0;
    let (_own, mut trunk) = port(&far, "far", None);
    let frame = |number| test_frame(number, 64);
    let on_the_wire = [
        frame(1),
        tagged(&frame(2), 0x8100, 10),
        tagged(&frame(3), 0x8100, 0x6000 | 10), // with a priority
        tagged(&frame(4), 0x8100, 4094),
        tagged(&frame(5), 0x8100, 0x6000), // a priority and no VLAN
        tagged(&frame(6), 0x8100, 11),
        tagged(&frame(7), 0x88a8, 10), // a service tag
    ];
    for frame in &on_the_wire {
        assert_eq!(send(&mut trunk, frame).sent, 1);
    }
    for (receiver, numbers) in
        [(&mut untagged, &[1, 5][..]), (&mut ten, &[2, 3]), (&mut last, &[4])]
    {
        let mut seen = collect(receiver, is_test, numbers.len());
        seen.iter().for_each(|(frame, _)| assert_eq!(frame.len(), 64, "the tag is off"));
        let got: Vec<u32> = seen.drain(..).filter_map(|(frame, _)| number_of(&frame)).collect();
        assert_eq!(got, numbers);
        assert_eq!(drain(receiver, is_test), 0);
        assert_eq!(receiver.statistics().foreign, 0, "the kernel's filter did it");
    }
}

#[test]
fn a_port_puts_its_tag_in_and_moves_what_lies_behind_it() {
    if !is_root("a_port_puts_its_tag_in_and_moves_what_lies_behind_it") {
        return;
    }
    let (near, far) = pair();
    let (_own, mut transmitter) = port(&near, "near", Some(10));
    let mut ten = port(&far, "far", Some(10)).0;
    let mut untagged = port(&far, "far", None).0;

    // A UDP datagram whose checksum is not finished, and a full-length frame.
    let unfinished = udp([198, 51, 100, 1], [192, 0, 2, 80], 4000, 53, 100);
    let offload =
        Offload { needs_checksum: true, checksum_start: 34, checksum_offset: 6, ..Offload::NONE };
    let full = test_frame(7, 1514);
    let short = &full[..10];
    let sent =
        transmitter.send(&[(&unfinished, offload), (&full, Offload::NONE), (short, Offload::NONE)]);
    assert_eq!(sent, Sent { sent: 2, refused: 1, ..Sent::default() });

    let seen = collect(&mut ten, |frame| is_test(frame) || frame == unfinished, 2);
    assert_eq!(seen[0].0, unfinished);
    let carried = seen[0].1;
    assert!(carried.needs_checksum, "{carried:?}");
    assert_eq!((carried.checksum_start, carried.checksum_offset), (34, 6));
    assert_eq!(seen[1].0, full);
    assert_eq!(drain(&mut untagged, is_test), 0);
    assert!(transmitter.send(&[(&test_frame(1, 1600), Offload::NONE)]).too_long == 1);
    for vlan in [0, 4095, 65_535] {
        let options = PortOptions { vlan: Some(vlan), ..PortOptions::new("near") };
        let error = near.run(|| netio::open(&options).unwrap_err());
        assert!(error.to_string().contains("1 to 4094"), "{error}");
    }
}

#[test]
fn large_segments_cross_a_tagged_port_whole() {
    if !is_root("large_segments_cross_a_tagged_port_whole") {
        return;
    }
    let (near, far) = pair();
    let (_own, mut transmitter) = port(&near, "near", Some(10));
    let mut receiver = port(&far, "far", Some(10)).0;
    let segment = tcp_segment(60_000);
    let offload = Offload {
        needs_checksum: true,
        checksum_start: 34,
        checksum_offset: 16,
        gso: Gso::TcpV4,
        gso_size: 1400,
        header_length: 54,
        ..Offload::NONE
    };
    // More of them than one batch has room for, with small ones between.
    let small = test_frame(1, 60);
    for _ in 0..12 {
        let sent = transmitter.send(&[(&segment, offload), (&small, Offload::NONE)]);
        assert_eq!(sent, Sent { sent: 2, ..Sent::default() });
    }
    let seen = collect(&mut receiver, |frame| frame == segment || is_test(frame), 24);
    assert_eq!(seen.len(), 24);
    for (position, (frame, offload)) in seen.iter().enumerate() {
        if position % 2 == 1 {
            assert_eq!(*frame, small);
            continue;
        }
        assert!(*frame == segment, "number {position} has {} octets", frame.len());
        assert!(offload.needs_checksum && offload.gso == Gso::TcpV4, "{offload:?}");
        assert_eq!((offload.gso_size, offload.checksum_start), (1400, 34));
    }
    assert_eq!(receiver.statistics().truncated, 0);
}

/// As of a network card without segmentation: the kernel must cut, and may not drop.
#[test]
fn large_segments_leave_a_port_that_cannot_cut_in_pieces_and_in_order() {
    if !is_root("large_segments_leave_a_port_that_cannot_cut_in_pieces_and_in_order") {
        return;
    }
    let (near, far) = pair();
    let off = ["-K", "near", "tso", "off", "gso", "off", "tx", "off"];
    let done = near.run(|| std::process::Command::new("ethtool").args(off).output().unwrap());
    assert!(done.status.success(), "{done:?}");
    let mut transmitter = port(&near, "near", None).1;
    let mut receiver = port(&far, "far", None).0;
    let segment = tcp_segment(60_000);
    let offload = Offload {
        needs_checksum: true,
        checksum_start: 34,
        checksum_offset: 16,
        gso: Gso::TcpV4,
        gso_size: 1400,
        header_length: 54,
        ..Offload::NONE
    };
    let small = test_frame(1, 60);
    let sent = transmitter.send(&[(&segment, offload), (&small, Offload::NONE)]);
    assert_eq!(sent, Sent { sent: 2, ..Sent::default() });
    let pieces = (segment.len() - 54).div_ceil(1400);
    let tcp = |frame: &[u8]| frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&6);
    let seen = collect(&mut receiver, |frame| tcp(frame) || is_test(frame), pieces + 1);
    assert_eq!(seen.len(), pieces + 1);
    let cut: Vec<_> = seen.iter().filter(|(frame, _)| tcp(frame)).collect();
    let payload: Vec<u8> = cut.iter().flat_map(|(frame, _)| frame[54..].to_vec()).collect();
    assert!(payload == segment[54..], "{} octets of {}", payload.len(), segment.len() - 54);
    assert!(cut.iter().all(|(frame, _)| frame.len() <= 54 + 1400));
}

/// A TCP segment far larger than any MTU, its checksum not finished.
fn tcp_segment(data: usize) -> Vec<u8> {
    let mut frame = ipv4([198, 51, 100, 1], [192, 0, 2, 80], 6, 20 + data);
    frame.extend([0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    frame.extend((0..data).map(|n| (n % 241) as u8));
    frame
}

/// Ethernet and IPv4 headers.
fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: usize) -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x77, 8, 0];
    let mut header = vec![0x45, 0];
    header.extend(u16::try_from(20 + payload).unwrap().to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(source);
    header.extend(destination);
    let sum = header.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum::<u32>();
    let sum = !u16::try_from((sum >> 16) + (sum & 0xffff)).unwrap();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    frame
}

/// A UDP datagram without a checksum.
fn udp(source: [u8; 4], destination: [u8; 4], from: u16, to: u16, data: usize) -> Vec<u8> {
    let mut frame = ipv4(source, destination, 17, 8 + data);
    frame.extend(from.to_be_bytes());
    frame.extend(to.to_be_bytes());
    frame.extend(u16::try_from(8 + data).unwrap().to_be_bytes());
    frame.extend([0, 0]);
    frame.resize(frame.len() + data, 0x33);
    frame
}

const VIP: [u8; 4] = [192, 0, 2, 80];

/// Datagrams from many clients to a virtual address, and the answers to them.
fn both_directions(count: u16) -> Vec<Vec<u8>> {
    (0..count)
        .flat_map(|n| {
            let [high, low] = n.to_be_bytes();
            let client = [198, 51, 100 + high, low];
            [udp(client, VIP, 1024 + 7 * n, 53, 20), udp(VIP, client, 53, 1024 + 7 * n, 20)]
        })
        .collect()
}

#[test]
fn each_worker_gets_its_own_frames_also_after_the_link_was_down() {
    const WORKERS: u16 = 3;
    if !is_root("each_worker_gets_its_own_frames_also_after_the_link_was_down") {
        return;
    }
    let (near, far) = pair();
    let virtual_address = Ipv4Addr::from(VIP).to_ipv6_mapped();
    let mut steering = Steering::new(WORKERS).unwrap();
    steering.set_virtual(&[virtual_address, Ipv6Addr::LOCALHOST]).unwrap();
    let options = PortOptions {
        workers: WORKERS,
        steering: Some((&steering, 7)),
        ..PortOptions::new("near")
    };
    let mut workers = near.run(|| netio::open(&options).unwrap());
    let (_own, mut transmitter) = port(&far, "far", None);
    let frames = both_directions(100);
    let burst: Vec<(&[u8], Offload)> = frames.iter().map(|f| (&f[..], Offload::NONE)).collect();

    for round in 0..2 {
        assert_eq!(transmitter.send(&burst).sent, 200);
        let is_ours = |frame: &[u8]| frames.iter().any(|ours| ours == frame);
        for (number, (receiver, _)) in workers.iter_mut().enumerate() {
            let worker_of = |frame: &[u8]| {
                packet::steer::worker(frame, |address| address == virtual_address, WORKERS)
            };
            let own = u16::try_from(number).unwrap();
            let expected: Vec<_> = frames.iter().filter(|f| worker_of(f) == own).collect();
            assert!(expected.len() > 20, "worker {number} has something to do");
            let seen = collect(receiver, is_ours, expected.len());
            let seen: Vec<_> = seen.iter().map(|(frame, _)| frame).collect();
            assert_eq!(seen, expected, "worker {number}, round {round}");
            assert_eq!(drain(receiver, is_ours), 0);
        }
        near.ip("link set near down");
        near.ip("link set near up");
        assert!(eventually(|| near.run(|| Link::read("near").unwrap().carrier)));
    }
}

#[test]
fn a_shared_port_does_not_get_what_it_sends() {
    if !is_root("a_shared_port_does_not_get_what_it_sends") {
        return;
    }
    let (near, _far) = pair();
    let steering = Steering::new(2).unwrap();
    let options =
        PortOptions { workers: 2, steering: Some((&steering, 8)), ..PortOptions::new("near") };
    let mut workers = near.run(|| netio::open(&options).unwrap());
    let frame = test_frame(1, 60);
    for (_, transmitter) in &mut workers {
        assert_eq!(send(transmitter, &frame).sent, 1);
    }
    for (receiver, _) in &mut workers {
        assert_eq!(drain(receiver, is_test), 0);
    }
}

#[test]
fn a_port_for_several_workers_needs_its_steering() {
    if !is_root("a_port_for_several_workers_needs_its_steering") {
        return;
    }
    let (near, _far) = pair();
    let steering = Steering::new(2).unwrap();
    let options = PortOptions::new("near");
    for (options, said) in [
        (PortOptions { workers: 0, ..options }, "at least one worker"),
        (PortOptions { workers: 2, ..options }, "needs a steering program"),
        (
            PortOptions { workers: 3, steering: Some((&steering, 9)), ..options },
            "another number of workers",
        ),
    ] {
        let error = near.run(|| netio::open(&options).unwrap_err().to_string());
        assert!(error.contains(said), "{error}");
    }
}
