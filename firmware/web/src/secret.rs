//! Secrets of sessions: drawn from the generator that also makes the TLS keys, kept as digests.

use rustls::crypto::ring::default_provider;
use sha2::{Digest, Sha256};

/// What is kept of a secret.
pub type Hash = [u8; 32];

/// The kernel gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

/// A fresh secret of 256 bits as 64 hexadecimal digits.
pub fn draw() -> Result<String, NoRandomness> {
    let mut octets = [0; 32];
    default_provider().secure_random.fill(&mut octets).map_err(|_| NoRandomness)?;
    Ok(hex(&octets))
}

/// The digest by which a secret is found again. Looking one up by its digest takes a time that
/// says nothing about the secrets that exist.
pub fn hash(parts: &[&[u8]]) -> Hash {
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}

/// Hexadecimal digits, small.
pub fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let (first, second) = (draw().unwrap(), draw().unwrap());
        assert_eq!(first.len(), 64);
        assert!(first.bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert_ne!(first, second);
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-4, SHA-256 of "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&hash(&[b"a", b"bc"])), expected);
    }
}
