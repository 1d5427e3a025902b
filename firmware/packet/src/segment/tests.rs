use std::net::SocketAddr;
use std::vec;
use std::vec::Vec;

use base::Offload;
use fixtures::{
    ACK, CWR, FIN, PSH, Packet, SYN, Upper, at, fragments, gso, partial, reassemble, udp_unchecked,
    verify,
};

use super::*;
use crate::headers::{Body, parse};

const ENDS: [[&str; 2]; 2] =
    [["198.51.100.7:40000", "192.0.2.80:80"], ["[2001:db8:7::7]:40000", "[2001:db8:1::80]:80"]];

fn ends() -> [[SocketAddr; 2]; 2] {
    ENDS.map(|ends| ends.map(at))
}

fn ip(frame: &[u8]) -> Ip {
    match parse(frame).map(|headers| headers.body) {
        Ok(Body::Ip(ip)) => ip,
        other => panic!("{other:?}"),
    }
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

/// All frames that one call after the other gives, each written over a dirty buffer.
fn all(mut one: impl FnMut(&mut [u8], usize) -> Option<usize>) -> Vec<Vec<u8>> {
    let mut frames = vec![];
    loop {
        let mut out = vec![0xa5; 66_000];
        let Some(length) = one(&mut out, frames.len()) else { return frames };
        assert!(out[length..].iter().all(|&octet| octet == 0xa5), "writes past the frame");
        out.truncate(length);
        frames.push(out);
    }
}

fn segments(frame: &[u8], offload: &Offload) -> Vec<Vec<u8>> {
    let parsed = ip(frame);
    all(|out, index| segment(out, frame, &parsed, offload, index))
}

#[test]
fn tcp_segments_carry_the_payload_on() {
    for [client, server] in ends() {
        for (length, size, count) in
            [(4344, 1448, 3), (4345, 1448, 4), (60_000, 1448, 42), (10, 1, 10), (100, 1448, 1)]
        {
            let flags = ACK | PSH | FIN | CWR;
            let data = payload(length);
            let mut packet = Packet::tcp(client, server, flags, &data)
                .with_tcp_options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
            packet.identification = 0xfffe;
            let (frame, offload) = gso(&packet, size);
            let pieces = segments(&frame, &offload);
            assert_eq!(pieces.len(), count, "{length} by {size}");
            let mut joined: Vec<u8> = vec![];
            for (index, piece) in pieces.iter().enumerate() {
                assert_eq!(verify(piece, &Offload::NONE), Ok(()), "{index}");
                let last = index + 1 == count;
                // The segment, built on its own.
                let at = index * usize::from(size);
                let part = &data[at..data.len().min(at + usize::from(size))];
                let mut expected = packet.clone();
                expected.identification = 0xfffeu16.wrapping_add(index as u16);
                let Upper::Tcp { sequence, flags, payload, .. } = &mut expected.upper else {
                    panic!()
                };
                *sequence = sequence.wrapping_add(at as u32);
                *payload = part.to_vec();
                *flags = ACK | if last { PSH | FIN } else { 0 } | if index == 0 { CWR } else { 0 };
                assert_eq!(*piece, expected.build(), "{index} of {length} by {size}");
                joined.extend(part);
            }
            assert_eq!(joined, data);
        }
    }
}

#[test]
fn a_sequence_number_wraps_within_a_large_segment() {
    let [client, server] = ends()[0];
    let mut packet = Packet::tcp(client, server, ACK, &payload(3000));
    if let Upper::Tcp { sequence, .. } = &mut packet.upper {
        *sequence = u32::MAX - 999;
    }
    let (frame, offload) = gso(&packet, 1000);
    let sequences: Vec<_> = segments(&frame, &offload)
        .iter()
        .map(|piece| {
            let Transport::Tcp(tcp) = ip(piece).transport else { panic!() };
            tcp.sequence
        })
        .collect();
    assert_eq!(sequences, [u32::MAX - 999, 0, 1000]);
}

#[test]
fn udp_datagrams_are_cut_into_equal_ones() {
    for [client, server] in ends() {
        let data = payload(5000);
        let packet = Packet::udp(client, server, &data);
        let (frame, offload) = gso(&packet, 1200);
        let pieces = segments(&frame, &offload);
        assert_eq!(pieces.len(), 5);
        for (index, (piece, part)) in pieces.iter().zip(data.chunks(1200)).enumerate() {
            let mut expected = Packet::udp(client, server, part);
            expected.identification += index as u16;
            assert_eq!(*piece, expected.build(), "{index}");
        }
    }
}

#[test]
fn a_frame_not_to_be_cut_is_given_once_and_finished() {
    for [client, server] in ends() {
        let packet = Packet::udp(client, server, b"partial");
        let (mut frame, offload) = partial(&packet);
        frame.resize(90, 0);
        assert_eq!(segments(&frame, &offload), [packet.build()]);
        assert_eq!(segments(&packet.build_padded(), &Offload::NONE), [packet.build()]);
    }
    let [client, server] = ends()[0];
    let unchecked = udp_unchecked(client, server, b"x");
    assert_eq!(segments(&unchecked, &Offload::NONE), [unchecked]);
}

#[test]
fn an_offload_header_that_does_not_fit_the_packet_gives_nothing() {
    let [[c4, s4], [c6, s6]] = ends();
    let tcp4 = Packet::tcp(c4, s4, ACK, &payload(3000)).build();
    let tcp6 = Packet::tcp(c6, s6, ACK, &payload(3000)).build();
    let udp4 = Packet::udp(c4, s4, &payload(3000)).build();
    let later = fragments(&udp4, 1400, 1)[1].clone();
    for (frame, kind) in [
        (&tcp4, Gso::TcpV6),
        (&tcp6, Gso::TcpV4),
        (&udp4, Gso::TcpV4),
        (&tcp4, Gso::Udp),
        (&later, Gso::Udp),
        (&fragments(&udp4, 1400, 1)[0], Gso::Udp),
    ] {
        let offload = Offload { gso: kind, gso_size: 1000, ..Offload::NONE };
        assert!(segments(frame, &offload).is_empty(), "{kind:?}");
    }
    let bad = Offload { needs_checksum: true, checksum_start: 9999, ..Offload::NONE };
    assert!(segments(&tcp4, &bad).is_empty());
    let (frame, offload) = gso(&Packet::tcp(c4, s4, SYN, &payload(3000)), 1000);
    assert_eq!(segment(&mut [0; 1053], &frame, &ip(&frame), &offload, 0), None);
    assert_eq!(segment(&mut [0; 1054], &frame, &ip(&frame), &offload, 0), Some(1054));
    assert_eq!(segment(&mut [0; 1054], &frame, &ip(&frame), &offload, usize::MAX), None);
}

fn cut(frame: &[u8], mtu: u32) -> Vec<Vec<u8>> {
    let parsed = ip(frame);
    all(|out, index| fragment(out, frame, &parsed, mtu, index))
}

fn ipv4(payload_length: usize) -> Packet {
    let [client, server] = ends()[0];
    let mut packet = Packet::udp(client, server, &payload(payload_length));
    packet.dont_fragment = false;
    packet
}

#[test]
fn fragments_fit_the_link_and_become_the_packet_again() {
    let frame = ipv4(4000).build();
    for mtu in [28, 68, 100, 576, 1500, 4027] {
        let pieces = cut(&frame, mtu);
        for piece in &pieces {
            assert!(piece.len() - 14 <= mtu as usize, "{mtu}");
            assert_eq!(verify(piece, &Offload::NONE), Ok(()), "{mtu}");
        }
        let room = (mtu as usize - 20) & !7;
        assert_eq!(pieces.len(), 4008usize.div_ceil(room), "no more pieces than needed");
        assert!(reassemble(&pieces).as_ref() == Ok(&frame), "{mtu}");
    }
    for mtu in [4028, 9000] {
        assert!(cut(&frame, mtu) == [frame.clone()], "{mtu}");
    }
}

#[test]
fn options_are_copied_as_their_first_bit_says() {
    // Record route (not copied), no-operation, router alert (copied).
    let options = [7, 7, 4, 0, 0, 0, 0, 1, 0x94, 4, 0, 0];
    let frame = ipv4(200).with_options(&options).build();
    let pieces = cut(&frame, 92);
    assert_eq!(pieces[0][14], 0x48);
    assert_eq!(pieces[0][34..46], options);
    assert_eq!(pieces[0].len(), 14 + 32 + 56);
    for piece in &pieces[1..] {
        assert_eq!((piece[14], &piece[34..38]), (0x46, &options[8..]));
        assert_eq!(verify(piece, &Offload::NONE), Ok(()));
    }
    assert_eq!(pieces[1].len(), 14 + 24 + 64);
    assert!(reassemble(&pieces).as_ref() == Ok(&frame));
    // One copied option of three octets is filled up with the end of options.
    let frame = ipv4(200).with_options(&[0x82, 3, 9]).build();
    assert_eq!(cut(&frame, 92)[1][34..38], [0x82, 3, 9, 0]);
}

#[test]
fn a_fragment_is_cut_further() {
    let frame = ipv4(1000).build();
    let mut pieces = vec![];
    for piece in fragments(&frame, 400, 0x1234) {
        pieces.extend(cut(&piece, 140));
    }
    assert_eq!(pieces.len(), 4 + 4 + 2);
    assert!(reassemble(&pieces).as_ref() == Ok(&frame));
}

#[test]
fn what_may_not_or_cannot_be_fragmented_is_not() {
    let [[client, server], [c6, s6]] = ends();
    let whole = Packet::udp(client, server, &payload(2000)).build();
    assert!(cut(&whole, 1500).is_empty(), "don't fragment");
    assert!(cut(&Packet::udp(c6, s6, &payload(2000)).build(), 1500).is_empty(), "IPv6");
    assert!(cut(&ipv4(2000).build(), 27).is_empty(), "no room for eight octets");
    assert!(cut(&ipv4(2000).build(), 0).is_empty());
    let frame = ipv4(2000).build();
    assert_eq!(fragment(&mut [0; 100], &frame, &ip(&frame), 1500, 0), None, "no room");
    assert_eq!(fragment(&mut [0; 1600], &frame, &ip(&frame), 1500, usize::MAX), None);
}
