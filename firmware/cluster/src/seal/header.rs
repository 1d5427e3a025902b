//! The clear part of a datagram.

use base::NodeId;

use super::{Refusal, Salt};
use crate::Incarnation;

/// Octets of the header.
pub const HEADER: usize = 44;
/// Octets of the seal's tag, behind the body (RFC 8439 §2.8).
pub(super) const TAG: usize = 16;
/// What sealing adds to a body, in octets.
pub const OVERHEAD: usize = HEADER + TAG;

/// The version of header, keys and bodies. Another one is refused.
const VERSION: u8 = 1;

/// See the drawing in [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// A [`crate::Channel`], [`super::greeter::CHANNEL`] or [`crate::introduction::CHANNEL`].
    pub channel: u8,
    /// Which secret: see [`super::Secret::mark`].
    pub key: u8,
    pub cluster: u32,
    pub network: u32,
    pub sender: NodeId,
    pub receiver: NodeId,
    pub incarnation: Incarnation,
    pub counter: u64,
    pub salt: Salt,
}

impl Header {
    /// Network byte order throughout.
    pub fn write(&self) -> [u8; HEADER] {
        let mut octets = [0; HEADER];
        octets[0] = VERSION;
        octets[1] = self.channel;
        octets[2] = self.key;
        octets[4..8].copy_from_slice(&self.cluster.to_be_bytes());
        octets[8..12].copy_from_slice(&self.network.to_be_bytes());
        octets[12..14].copy_from_slice(&self.sender.0.to_be_bytes());
        octets[14..16].copy_from_slice(&self.receiver.0.to_be_bytes());
        octets[16..20].copy_from_slice(&self.incarnation.0.to_be_bytes());
        octets[20..28].copy_from_slice(&self.counter.to_be_bytes());
        octets[28..44].copy_from_slice(&self.salt);
        octets
    }

    /// The header of a datagram that is long enough to have a body's tag as well.
    pub fn read(datagram: &[u8]) -> Result<Self, Refusal> {
        let header = datagram.first_chunk::<HEADER>().ok_or(Refusal::Malformed)?;
        if datagram.len() < OVERHEAD || header[0] != VERSION || header[3] != 0 {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            channel: header[1],
            key: header[2],
            cluster: u32::from_be_bytes(at(header, 4)),
            network: u32::from_be_bytes(at(header, 8)),
            sender: NodeId(u16::from_be_bytes(at(header, 12))),
            receiver: NodeId(u16::from_be_bytes(at(header, 14))),
            incarnation: Incarnation(u32::from_be_bytes(at(header, 16))),
            counter: u64::from_be_bytes(at(header, 20)),
            salt: at(header, 28),
        })
    }

    /// The nonce for this header's key: distinct for each network and counter.
    pub fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.network.to_be_bytes());
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        nonce
    }

    /// The longer nonce, for keys that all nodes have in common.
    pub fn long_nonce(&self) -> [u8; 24] {
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&self.salt);
        nonce[16..].copy_from_slice(&self.counter.to_be_bytes());
        nonce
    }
}

/// `N` octets of the header from `offset` on; the offsets above lie within it.
fn at<const N: usize>(header: &[u8; HEADER], offset: usize) -> [u8; N] {
    core::array::from_fn(|index| header[offset + index])
}
