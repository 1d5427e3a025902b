//! Sealed datagrams: who may say anything to a node of the cluster.
//!
//! Everything that nodes tell each other is sealed with an AEAD under keys that come from the
//! cluster's secret. What is not sealed by it, was sent by nobody we know, to somebody else, on
//! another network, or was heard before, is refused before anything else looks at it.
//!
//! ```text
//!   octets        0        1        2       3      4        8        12      14        16
//!   header   | version | channel | key | zero | cluster | network | sender | receiver |
//!                16            20         28                44
//!            | incarnation | counter | salt            | sealed body ... | tag (16) |
//! ```
//!
//! The header is clear and bound to the body as associated data (RFC 8439 §2.8).
//!
//! - **Keys.** Each sender draws a random salt at each start. HKDF (RFC 5869) makes a key of its
//!   own from secret, salt, sender, incarnation and channel; the nonce is the network's tag and a
//!   counter that only grows. So no nonce is used twice under a key, not even when a node has lost
//!   what it had stored.
//! - **Replays.** A window for each sender, channel and network ([`window`]) accepts every counter
//!   once. A recording of another start of the sender is sealed with another salt, which nobody
//!   admits any more. The receiver's salt is bound to the body, too, and not sent: what was
//!   recorded for another start of the receiver, whose windows are forgotten, does not open.
//! - **Admission.** A start of a node counts for its peers only after it has repeated a challenge
//!   of theirs ([`greeter`]): what is heard before is refused with one look-up.
//! - **Rotation.** [`Secrets`] holds the secret that we send with and one more that we accept. To
//!   change it without an interruption: let all accept both, let all send with the new one, then
//!   drop the old one.
//!
//! Before a seal was judged, a datagram costs the comparison of a fixed header and one look-up,
//! and no memory.
//!
//! Reading list: RFC 8439 (ChaCha20 and Poly1305), draft-irtf-cfrg-xchacha (longer nonces),
//! RFC 5869 (HKDF), RFC 4303 §3.4.3 (windows against replays).

pub mod greeter;
mod guard;
mod header;
pub(crate) mod introduction;
mod keys;
mod window;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use base::NodeId;

use crate::Incarnation;

pub use greeter::{Greeter, Greeting};
pub use guard::{Guard, Opened};
pub(crate) use header::Header;
pub use header::{HEADER, OVERHEAD};
pub use keys::{Secret, Secrets};

/// Random octets that a node draws at each of its starts. They are sent in clear.
pub type Salt = [u8; 16];

/// Who a node is, for its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which cluster: the first octets of a digest of its name. See [`tag`].
    pub cluster: u32,
    /// Which node.
    pub node: NodeId,
    /// Which start of it. Grows with each.
    pub incarnation: Incarnation,
    /// Fresh octets for this start.
    pub salt: Salt,
    /// The tags of the networks, by [`base::NetworkId`]. See [`tag`].
    pub networks: Vec<u32>,
}

/// That a start of a node has repeated our challenge and so is no recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Which node.
    pub node: NodeId,
    /// Which start of it.
    pub incarnation: Incarnation,
    /// The octets it drew for it.
    pub salt: Salt,
}

/// Why a datagram was refused. Nothing was changed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is too short or too long for one of ours, or of another version.
    Malformed,
    /// It belongs to another cluster.
    OtherCluster,
    /// It was sent to another node, or by ourselves.
    NotForUs,
    /// It was sent on another network than it came from.
    OtherNetwork,
    /// Its sender is not a node of the configuration.
    UnknownSender,
    /// This start of its sender has not repeated a challenge of ours.
    NotAdmitted,
    /// It was heard before, or is too old to know.
    Replayed,
    /// It is sealed with a secret that we do not have.
    UnknownKey,
    /// It was not sealed by its sender, or was changed on its way.
    BadSeal,
}

impl Refusal {
    /// Every reason, in the order in which a datagram is judged.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::OtherCluster,
        Self::NotForUs,
        Self::OtherNetwork,
        Self::UnknownSender,
        Self::NotAdmitted,
        Self::Replayed,
        Self::UnknownKey,
        Self::BadSeal,
    ];

    /// A stable name, for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::OtherCluster => "other-cluster",
            Self::NotForUs => "not-for-us",
            Self::OtherNetwork => "other-network",
            Self::UnknownSender => "unknown-sender",
            Self::NotAdmitted => "not-admitted",
            Self::Replayed => "replayed",
            Self::UnknownKey => "unknown-key",
            Self::BadSeal => "bad-seal",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The number that stands for the name of a cluster or network in headers: names are what
/// documents of two versions have in common, indices are not.
pub fn tag(name: &str) -> u32 {
    keys::tag(name)
}
