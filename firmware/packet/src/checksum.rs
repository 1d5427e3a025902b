//! The Internet checksum: sums over bytes, pseudo-headers, and incremental change.
//!
//! Reading list: RFC 1071 (computing), RFC 1624 §3 (updating, equation 3), RFC 768 and RFC 9293
//! §3.1 (pseudo-header over IPv4), RFC 8200 §8.1 (over IPv6), virtio 1.2 §5.1.6.2 (partial sums).

use core::net::Ipv6Addr;

use base::{Offload, Protocol};

use crate::bytes::{be16, put16};
use crate::headers::Version;
use crate::rewrite::UDP_CHECKSUM;

/// Adds the carries back in until 16 bits are left. The result is zero only when `sum` is.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
pub(crate) fn fold(sum: u64) -> u16 {
    // A sum that carried is below all ones, so that the carry always finds room.
    let (sum, carry) = ((sum >> 32) as u32).overflowing_add(sum as u32);
    let sum = sum + u32::from(carry);
    let (sum, carry) = ((sum >> 16) as u16).overflowing_add(sum as u16);
    sum + u16::from(carry)
}

/// The sum of `bytes` as big-endian 16-bit words, an odd last octet counting as its high half;
/// folded.
///
/// Words are added in the machine's own order, four octets at a time, and swapped at the end
/// (RFC 1071 §2 (B)).
#[inline]
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let mut last = [0; 4];
    for (place, octet) in last.iter_mut().zip(rest) {
        *place = *octet;
    }
    total += u64::from(u32::from_ne_bytes(last));
    u64::from(u16::from_be_bytes(fold(total).to_ne_bytes()))
}

/// The words of an address, unfolded. An IPv4 address (mapped) counts as its own four octets.
#[inline(always)]
pub(crate) fn address(address: Ipv6Addr) -> u64 {
    let bits = address.to_bits();
    if bits >> 32 == 0xffff {
        return low(bits);
    }
    low(bits >> 96) + low(bits >> 64) + low(bits >> 32) + low(bits)
}

/// The lowest 32 bits.
#[inline(always)]
fn low(bits: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "these 32 bits are wanted")]
    let word = bits as u32;
    u64::from(word)
}

/// What replacing one address by another adds to a sum, both being of this version.
#[inline(always)]
pub(crate) fn address_change(version: Version, old: Ipv6Addr, new: Ipv6Addr) -> u64 {
    // The constants are multiples of 0xffff.
    match version {
        Version::V4 => 0xffff_ffff - low(old.to_bits()) + low(new.to_bits()),
        // Four words of at most 0xffff_ffff each.
        Version::V6 => 4 * 0xffff_ffff - address(old) + address(new),
    }
}

/// What replacing one 16-bit word by another adds to a sum.
#[inline(always)]
pub(crate) fn word_change(old: u16, new: u16) -> u64 {
    u64::from(!old) + u64::from(new)
}

/// A complemented checksum after a change of what it covers (RFC 1624 equation 3).
#[inline(always)]
pub(crate) fn update(field: u16, change: u64) -> u16 {
    !fold(u64::from(!field) + change)
}

/// The sum of the pseudo-header of `length` octets of `protocol` between two addresses; folded.
pub(crate) fn pseudo_header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    protocol: Protocol,
    length: u32,
) -> u64 {
    let sum = address(source) + address(destination) + u64::from(protocol.0) + u64::from(length);
    u64::from(fold(sum))
}

/// The checksum for a sum over everything it covers. Where zero means that there is none, which
/// is so in UDP alone, it is written as all ones, its other name (RFC 768).
#[inline(always)]
pub(crate) fn finish(sum: u64, optional: bool) -> u16 {
    match !fold(sum) {
        0 if optional => 0xffff,
        checksum => checksum,
    }
}

/// Finishes a partial checksum: sums from `checksum_start` to the end of `bytes`, the field's
/// pseudo-header sum included, and stores the complement. Six octets into its header the field is
/// UDP's, where zero is written as all ones.
///
/// Returns whether the frame is finished: true as well when there was nothing to do, false (and
/// nothing changed) when the offsets point outside `bytes`.
pub fn complete(bytes: &mut [u8], offload: &mut Offload) -> bool {
    if !offload.needs_checksum {
        return true;
    }
    let start = usize::from(offload.checksum_start);
    let field = start + usize::from(offload.checksum_offset);
    let Some(covered) = bytes.get(start..) else { return false };
    if field + 2 > bytes.len() {
        return false;
    }
    let checksum = finish(sum(covered), offload.checksum_offset == UDP_CHECKSUM);
    put16(bytes, field, checksum);
    offload.needs_checksum = false;
    offload.checksum_start = 0;
    offload.checksum_offset = 0;
    true
}

/// Whether the checksum field at `field` is finished by someone else: the offload header names
/// exactly this field.
#[inline(always)]
pub(crate) fn is_partial(offload: &Offload, start: usize, offset: u16) -> bool {
    offload.needs_checksum
        && usize::from(offload.checksum_start) == start
        && offload.checksum_offset == offset
}

/// Applies `change` to the complemented checksum at `field`.
#[inline(always)]
pub(crate) fn update_at(bytes: &mut [u8], field: usize, change: u64) {
    if let Some(old) = be16(bytes, field) {
        put16(bytes, field, update(old, change));
    }
}

#[cfg(test)]
mod tests;
