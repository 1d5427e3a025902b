//! The seal of [`crate::introduction`]: a key that comes from the secret alone.

use alloc::vec::Vec;

use chacha20poly1305::XChaCha20Poly1305;
use model::limits::CLUSTER_BODY;

use super::header::{Header, OVERHEAD};
use super::{Refusal, Salt, Secrets, keys};

/// For each secret that we accept, the one that we send with first: its mark and its key.
pub fn keys(secrets: &Secrets) -> Vec<(u8, XChaCha20Poly1305)> {
    secrets.accepted().map(|it| (it.mark(), keys::introduction_key(it))).collect()
}

/// Appends header and sealed body to `out`. The header's salt and counter are never those of
/// another datagram.
pub fn seal(
    key: &XChaCha20Poly1305,
    header: &Header,
    receiver: &Salt,
    body: &[u8],
    out: &mut Vec<u8>,
) {
    keys::seal(key, &header.long_nonce().into(), (header, receiver), body, out);
}

/// Opens a datagram in place.
///
/// # Errors
/// It is sealed with no secret of ours, or for somebody else.
pub fn open<'d>(
    known: &[(u8, XChaCha20Poly1305)],
    receiver: &Salt,
    datagram: &'d mut [u8],
) -> Result<(Header, &'d [u8]), Refusal> {
    let header = Header::read(datagram)?;
    if datagram.len() > CLUSTER_BODY + OVERHEAD {
        return Err(Refusal::Malformed);
    }
    let nonce = header.long_nonce().into();
    let mut marked = known.iter().filter(|(mark, _)| *mark == header.key);
    let key = match (marked.next(), marked.next()) {
        (None, _) => return Err(Refusal::UnknownKey),
        (Some((_, key)), None) => key,
        // Two secrets have one mark, as one pair of 256 does.
        (Some((_, first)), Some((_, second))) => {
            let mut copy = datagram.to_vec();
            if keys::open(first, &nonce, receiver, &mut copy).is_ok() { first } else { second }
        }
    };
    let body = keys::open(key, &nonce, receiver, datagram)?;
    Ok((header, body))
}
