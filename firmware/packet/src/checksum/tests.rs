use std::vec;
use std::vec::Vec;

use fixtures::{Packet, at, partial};
use proptest::prelude::*;

use super::*;

#[test]
fn folding_gives_zero_only_for_zero() {
    for (sum, folded) in [
        (0, 0),
        (1, 1),
        (0xffff, 0xffff),
        (0x1_0000, 1),
        (0x1_ffff, 1),
        (0xffff_ffff, 0xffff),
        (0x1_0000_0000, 1),
        (u64::MAX, 0xffff),
    ] {
        assert_eq!(fold(sum), folded, "{sum:#x}");
    }
}

#[test]
fn a_partial_checksum_is_finished_and_then_left_alone() {
    let packet = Packet::udp(at("[2001:db8::1]:1"), at("[2001:db8::2]:2"), b"to be finished");
    let (mut frame, mut offload) = partial(&packet);
    assert!(complete(&mut frame, &mut offload));
    assert_eq!(offload, Offload::NONE);
    assert_eq!(frame, packet.build());
    assert!(complete(&mut frame, &mut offload));
    assert_eq!(frame, packet.build());
}

#[test]
fn a_checksum_of_zero_is_written_as_all_ones_in_udp_alone() {
    for (offset, expected) in [(6, 0xffff), (16, 0), (2, 0)] {
        let mut bytes = [0; 20];
        // The field and one word that complement each other to all ones.
        put16(&mut bytes, usize::from(offset), 0x1234);
        put16(&mut bytes, 18, 0xedcb);
        let mut offload =
            Offload { needs_checksum: true, checksum_offset: offset, ..Offload::NONE };
        assert!(complete(&mut bytes, &mut offload));
        assert_eq!(be16(&bytes, usize::from(offset)), Some(expected), "{offset}");
    }
}

#[test]
fn offsets_outside_the_frame_change_nothing() {
    for (start, offset) in [(100, 0), (0, 99), (50, 49), (u16::MAX, u16::MAX), (101, 0)] {
        let mut bytes = [7; 100];
        let mut offload = Offload {
            needs_checksum: true,
            checksum_start: start,
            checksum_offset: offset,
            ..Offload::NONE
        };
        let before = offload;
        assert!(!complete(&mut bytes, &mut offload), "{start} {offset}");
        assert_eq!((bytes, offload), ([7; 100], before));
    }
}

proptest! {
    #[test]
    fn the_fast_sum_is_the_slow_sum(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(fold(sum(&bytes)), fixtures::checksum(&bytes));
    }

    #[test]
    fn a_large_sum_is_right_too(octet in any::<u8>(), length in 60_000usize..70_000) {
        let bytes = vec![octet; length];
        prop_assert_eq!(fold(sum(&bytes)), fixtures::checksum(&bytes));
    }

    #[test]
    fn an_updated_checksum_is_the_computed_one(
        mut words in prop::collection::vec(any::<u16>(), 2..40),
        at in any::<prop::sample::Index>(),
        new in any::<u16>(),
    ) {
        let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        // A header always has something in it that is not zero; without, zero has two names.
        words.push(0x4500);
        let field = !fixtures::checksum(&bytes(&words));
        let at = at.index(words.len() - 1);
        let updated = update(field, word_change(words[at], new));
        words[at] = new;
        prop_assert_eq!(updated, !fixtures::checksum(&bytes(&words)));
    }

    #[test]
    fn the_pseudo_header_is_the_slow_one(
        source in any::<u32>(), destination in any::<u128>(), length in 0u32..70_000,
    ) {
        let v6 = Ipv6Addr::from_bits(destination | 1 << 127);
        let v4 = core::net::Ipv4Addr::from_bits(source);
        for (one, other) in [(v6, v6), (v4.to_ipv6_mapped(), v4.to_ipv6_mapped())] {
            let [a, b] = [one, other].map(base::address::unmapped);
            let slow = fixtures::pseudo_header(a, b, 17, length as usize);
            let fast = pseudo_header(one, other, Protocol::UDP, length);
            prop_assert_eq!(fold(fast), fixtures::checksum(&slow));
        }
    }
}
