//! Network-order numbers at an offset. Reading outside gives `None`, writing outside does nothing:
//! offsets come from a parse of the same bytes, so neither happens but for a caller's mistake, and
//! that must not take the box down.

/// `N` octets at `at`.
#[inline(always)]
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    // One range: of an offset that is known to be small only its end needs to be compared.
    bytes.get(at..at.checked_add(N)?)?.first_chunk().copied()
}

/// One octet.
#[inline(always)]
pub fn octet(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// 16 bits.
#[inline(always)]
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// Writes octets.
#[inline(always)]
pub fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    let Some(end) = at.checked_add(N) else { return };
    if let Some(place) = bytes.get_mut(at..end).and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}

/// Writes 16 bits.
#[inline(always)]
pub fn put16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, value.to_be_bytes());
}
