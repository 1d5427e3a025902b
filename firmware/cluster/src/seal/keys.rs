//! Secrets, and the keys that are made of them.

use alloc::vec::Vec;
use core::fmt;

use chacha20poly1305::aead::{AeadInOut, KeyInit, Nonce, Tag};
use chacha20poly1305::{ChaCha20Poly1305, XChaCha20Poly1305};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use super::header::{HEADER, Header, TAG};
use super::{Admission, Refusal, Salt};

/// What all nodes of a cluster know and nobody else does.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    octets: [u8; 32],
    mark: u8,
}

impl Secret {
    /// The secret that this text stands for. It is hashed, not stretched: it should be drawn at
    /// random, at least 16 octets of it, and not made up.
    pub fn new(text: &str) -> Self {
        let octets = digest("portico cluster secret", text.as_bytes());
        let mark = digest("portico secret's mark", &octets)[0];
        Self { octets, mark }
    }

    /// A number in headers that says which of several secrets was used. It tells one of the
    /// secrets of a rotation from the other and nothing about either.
    pub const fn mark(&self) -> u8 {
        self.mark
    }
}

impl fmt::Debug for Secret {
    /// Not the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(mark {})", self.mark)
    }
}

/// What we send with and what we accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// We send with this one, and accept it.
    pub send: Secret,
    /// We accept this one, too, while the secret is being changed.
    pub also: Option<Secret>,
}

impl Secrets {
    /// One secret for both.
    pub const fn one(secret: Secret) -> Self {
        Self { send: secret, also: None }
    }

    /// Those that we accept, the one that we send with first.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &Secret> {
        core::iter::once(&self.send).chain(&self.also)
    }
}

/// The key of what one start of a node sends on one channel.
pub(super) fn channel_key(secret: &Secret, sender: &Admission, channel: u8) -> ChaCha20Poly1305 {
    let mut info = [0; 7];
    info[..2].copy_from_slice(&sender.node.0.to_be_bytes());
    info[2..6].copy_from_slice(&sender.incarnation.0.to_be_bytes());
    info[6] = channel;
    ChaCha20Poly1305::new(&derive(secret, &sender.salt, b"portico channel", &info).into())
}

/// The key of greetings: all nodes have the same, as they do not know each other's salts yet.
pub(super) fn greeting_key(secret: &Secret) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&derive(secret, &[], b"portico greeting", &[]).into())
}

/// The key of introductions: newcomers know nothing but the secret.
pub(super) fn introduction_key(secret: &Secret) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&derive(secret, &[], b"portico introduction", &[]).into())
}

/// Appends `header` and the sealed `body` to `out`. `receiver` is bound to both and not sent.
pub(super) fn seal<A: AeadInOut>(
    cipher: &A,
    nonce: &Nonce<A>,
    (header, receiver): (&Header, &Salt),
    body: &[u8],
    out: &mut Vec<u8>,
) {
    let header = header.write();
    out.extend_from_slice(&header);
    let start = out.len();
    out.extend_from_slice(body);
    let bound = bound(&header, receiver);
    let tag = cipher
        .encrypt_inout_detached(nonce, &bound, (&mut out[start..]).into())
        .expect("no body is as long as the cipher's limit of 256 GiB (RFC 8439 §2.8)");
    out.extend_from_slice(&tag);
}

/// Opens a datagram in place, and returns its body. `receiver` is what the sender must have bound
/// to it.
pub(super) fn open<'d, A: AeadInOut>(
    cipher: &A,
    nonce: &Nonce<A>,
    receiver: &Salt,
    datagram: &'d mut [u8],
) -> Result<&'d [u8], Refusal> {
    let (header, sealed) = datagram.split_first_chunk_mut().ok_or(Refusal::Malformed)?;
    let bound = bound(header, receiver);
    let end = sealed.len().checked_sub(TAG).ok_or(Refusal::Malformed)?;
    let (body, tag) = sealed.split_at_mut(end);
    let tag = Tag::<A>::try_from(&*tag).map_err(|_| Refusal::Malformed)?;
    cipher
        .decrypt_inout_detached(nonce, &bound, (&mut *body).into(), &tag)
        .map_err(|_| Refusal::BadSeal)?;
    Ok(body)
}

/// What is sealed with the body and not hidden.
fn bound(header: &[u8; HEADER], receiver: &Salt) -> [u8; HEADER + 16] {
    let mut bound = [0; HEADER + 16];
    bound[..HEADER].copy_from_slice(header);
    bound[HEADER..].copy_from_slice(receiver);
    bound
}

/// RFC 5869, with SHA-256.
fn derive(secret: &Secret, salt: &[u8], label: &[u8], info: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let keys = Hkdf::<Sha256>::new(Some(salt), &secret.octets);
    keys.expand_multi_info(&[label, info], &mut key)
        .expect("one block of output is never too long (RFC 5869 §2.3)");
    key
}

/// A digest for one purpose.
fn digest(purpose: &str, octets: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(purpose.as_bytes());
    hash.update([0]);
    hash.update(octets);
    hash.finalize().into()
}

/// See [`super::tag`].
pub(super) fn tag(name: &str) -> u32 {
    let digest = digest("portico name", name.as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}
