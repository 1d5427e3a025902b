//! What holds for every sound packet, judged by code that shares nothing with the crate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base::Offload;
use base::address::mapped;
use fixtures::{Packet, fragments, gso, partial, reassemble, verify};
use packet::headers::{Body, Ip, parse};
use packet::icmp::{self, OuterTranslation};
use packet::rewrite::{Endpoint, Translation, decrement_ttl, translate};
use packet::segment::{fragment, segment};
use proptest::prelude::*;

fn ip(frame: &[u8]) -> Ip {
    let body = parse(frame).map(|headers| headers.body);
    let Ok(Body::Ip(ip)) = body else { unreachable!("a sound packet is refused: {body:?}") };
    ip
}

/// A host's address and any port.
fn end(v4: bool) -> BoxedStrategy<SocketAddr> {
    if v4 {
        (1u8..224, any::<[u8; 3]>(), any::<u16>())
            .prop_filter("loopback", |(first, ..)| *first != 127)
            .prop_map(|(a, [b, c, d], port)| {
                SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port)
            })
            .boxed()
    } else {
        (0x2000u16..0xff00, any::<u128>(), any::<u16>())
            .prop_map(|(head, rest, port)| {
                let bits = u128::from(head) << 112 | rest >> 16;
                SocketAddr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)), port)
            })
            .boxed()
    }
}

/// Four ends of one family: sender, receiver, and what they become.
fn ends() -> impl Strategy<Value = [SocketAddr; 4]> {
    any::<bool>().prop_flat_map(|v4| [end(v4), end(v4), end(v4), end(v4)])
}

/// What a packet is besides its ends.
#[derive(Clone, Debug)]
struct Kind {
    upper: u8,
    payload: Vec<u8>,
    options: bool,
    headers: Vec<(bool, u8)>,
    class: u8,
    identification: u16,
}

fn kind(payload: std::ops::Range<usize>) -> impl Strategy<Value = Kind> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), payload.clone()),
        // Long runs of zero and of ones are where checksums have two names for zero.
        (any::<bool>(), payload).prop_map(|(ones, n)| vec![if ones { 0xff } else { 0 }; n]),
    ];
    let headers = prop::collection::vec((any::<bool>(), 1u8..5), 0..4);
    (0u8..4, payload, any::<bool>(), headers, any::<u8>(), any::<u16>()).prop_map(
        |(upper, payload, options, headers, class, identification)| Kind {
            upper,
            payload,
            options,
            headers,
            class,
            identification,
        },
    )
}

/// TCP, UDP, UDP without checksum (IPv4), or a ping, with options or extension headers.
fn packet(kind: &Kind, source: SocketAddr, destination: SocketAddr) -> Packet {
    let v4 = source.is_ipv4();
    let payload = &kind.payload;
    let mut packet = match kind.upper {
        0 => Packet::tcp(source, destination, fixtures::ACK, payload),
        2 if v4 => Packet::udp(source, destination, payload).without_checksum(),
        3 => Packet::echo(source.ip(), destination.ip(), false, 7, 7, payload),
        _ => Packet::udp(source, destination, payload),
    };
    packet.class = kind.class;
    packet.identification = kind.identification;
    packet.dont_fragment = false;
    if kind.upper == 0 && kind.options {
        packet = packet.with_tcp_options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    }
    if v4 && kind.options {
        return packet.with_options(&[0x94, 4, 0, 0]);
    }
    if !v4 {
        for &(routing, words) in &kind.headers {
            let kind = if routing { 43 } else { 60 };
            packet = packet.with_extension(kind, usize::from(words) * 8);
        }
    }
    packet
}

fn endpoint(end: SocketAddr) -> Endpoint {
    Endpoint { address: mapped(end.ip()), port: end.port() }
}

fn translation(which: [bool; 2], [.., source, destination]: [SocketAddr; 4]) -> Translation {
    Translation {
        source: which[0].then(|| endpoint(source)),
        destination: which[1].then(|| endpoint(destination)),
    }
}

/// The ends that a translation leaves behind. A ping has no ports, so they don't matter.
fn translated(which: [bool; 2], ends: [SocketAddr; 4]) -> [SocketAddr; 2] {
    [if which[0] { ends[2] } else { ends[0] }, if which[1] { ends[3] } else { ends[1] }]
}

/// Every frame that one call after the other gives.
fn all(mut one: impl FnMut(&mut [u8], usize) -> Option<usize>) -> Vec<Vec<u8>> {
    let mut out = vec![0xa5; 66_000];
    let mut frames = vec![];
    while let Some(length) = one(&mut out, frames.len()) {
        frames.push(out[..length].to_vec());
    }
    frames
}

proptest! {
    #[test]
    fn a_translated_packet_is_right_and_its_other_octets_untouched(
        ends in ends(), kind in kind(0..100), which in any::<[bool; 2]>(), begun in any::<bool>(),
    ) {
        let before = packet(&kind, ends[0], ends[1]);
        let [source, destination] = translated(which, ends);
        let mut after = packet(&kind, source, destination);
        after.ttl = 63;
        let unchecked = kind.upper == 2 && ends[0].is_ipv4();
        let partly = begun && !unchecked && !(kind.upper == 3 && ends[0].is_ipv4());
        let (mut frame, offload) =
            if partly { partial(&before) } else { (before.build(), Offload::NONE) };
        let parsed = ip(&frame);
        translate(&mut frame, &parsed, &offload, &translation(which, ends));
        decrement_ttl(&mut frame, &parsed);
        prop_assert_eq!(verify(&frame, &offload), Ok(()));
        if !partly {
            prop_assert_eq!(frame, after.build());
        }
    }

    #[test]
    fn translated_fragments_become_the_translated_packet(
        ends in ends(), kind in kind(200..400), which in any::<[bool; 2]>(), size in 24usize..200,
    ) {
        let whole = packet(&kind, ends[0], ends[1]).build();
        let mut pieces = fragments(&whole, size, u32::from(kind.identification));
        for piece in &mut pieces {
            let parsed = ip(piece);
            prop_assert!(parsed.fragment.is_some());
            translate(piece, &parsed, &Offload::NONE, &translation(which, ends));
            prop_assert_eq!(verify(piece, &Offload::NONE), Ok(()));
        }
        let [source, destination] = translated(which, ends);
        let joined = reassemble(&pieces);
        prop_assert_eq!(joined, Ok(packet(&kind, source, destination).build()));
    }

    #[test]
    fn a_translated_error_is_right_however_little_it_quotes(
        ends in ends(), kind in kind(0..60), which in any::<[bool; 2]>(), octets in 8usize..120,
    ) {
        let router = ends[3].ip();
        let error = |[source, destination]: [SocketAddr; 2], receiver: SocketAddr| {
            let about = packet(&kind, source, destination).build();
            let start = usize::from(ip(&about).payload);
            let quote = about[14..about.len().min(start + octets)].to_vec();
            let kind = if source.is_ipv4() { [3, 1] } else { [1, 3] };
            Packet::icmp_error(router, receiver.ip(), kind, 0, &quote).build()
        };
        let mut frame = error([ends[0], ends[1]], ends[0]);
        let parsed = ip(&frame);
        let quoted = icmp::quoted(&frame, &parsed).unwrap().unwrap();
        let outer = OuterTranslation { source: None, destination: Some(mapped(ends[2].ip())) };
        let inner = translation(which, ends);
        icmp::translate_error(&mut frame, &parsed, &Offload::NONE, &quoted, &outer, &inner);
        prop_assert_eq!(verify(&frame, &Offload::NONE), Ok(()));
        // Half a TCP checksum cannot be changed: the other half decides its carry.
        if kind.upper != 0 || octets != 17 {
            prop_assert_eq!(frame, error(translated(which, ends), ends[2]));
        }
    }

    #[test]
    fn segments_carry_the_whole_payload_in_order(
        ends in ends(), kind in kind(1..5000), size in 1u16..3000,
    ) {
        let kind = Kind { upper: kind.upper % 2, ..kind };
        // A size of one octet in a long payload makes thousands of frames; a few hundred will do.
        let size = size.max(16);
        let before = packet(&kind, ends[0], ends[1]);
        let (frame, offload) = gso(&before, size);
        let parsed = ip(&frame);
        let pieces = all(|out, index| segment(out, &frame, &parsed, &offload, index));
        let mut sent: Vec<u8> = vec![];
        for piece in &pieces {
            prop_assert_eq!(verify(piece, &Offload::NONE), Ok(()));
            let header = frame.len() - kind.payload.len();
            prop_assert!(piece.len() - header <= usize::from(size));
            sent.extend(&piece[header..]);
        }
        prop_assert_eq!(sent, kind.payload);
    }

    #[test]
    fn ipv4_fragments_become_the_packet_again(
        ends in [end(true), end(true)], kind in kind(0..3000), mtu in 68u32..1600,
    ) {
        let whole = packet(&kind, ends[0], ends[1]);
        let frame = whole.build();
        let parsed = ip(&frame);
        let pieces = all(|out, index| fragment(out, &frame, &parsed, mtu, index));
        for piece in &pieces {
            prop_assert_eq!(verify(piece, &Offload::NONE), Ok(()));
            prop_assert!(piece.len() - 14 <= mtu as usize);
        }
        let joined = if pieces.len() == 1 { Ok(pieces[0].clone()) } else { reassemble(&pieces) };
        prop_assert!(joined == Ok(frame));
    }
}
