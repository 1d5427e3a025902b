//! How a box comes into a cluster of which it knows nothing but the secret and an address.
//!
//! ```text
//!   newcomer                                      a member ([`Porter`])
//!     │ ── Enter: what it brings ────────────────> │ is it in the document?
//!     │ <───────────────────────── Prove ───────── │ no: it may be a recording
//!     │ ── Enter, with the challenge repeated ───> │ proposes a document with one node more
//!     │ <───────────────────────── Soon ────────── │
//!     │ ── Enter ────────────────────────────────> │ it is
//!     │ <───────────────────────── Welcome ─────── │
//!     │ ── Want, piece by piece ─────────────────> │
//!     │ <───────────────────────── Piece ───────── │
//!   begins anew with that document, and joins as any node does
//! ```
//!
//! A [`crate::seal::Guard`] cannot be asked: it goes by the names of cluster and networks, and by
//! the numbers of nodes, all of which the newcomer comes for. So introductions are sealed with a
//! key of their own that comes from the secret alone.
//!
//! - Every question is as long as an answer can be: nobody can make a member send more than was
//!   sent to it.
//! - An answer is bound to the salt that its newcomer drew, and says which question it answers: a
//!   recording is never taken for one.
//! - Nothing is changed for a question that does not repeat the member's challenge, which is used
//!   up by that: who records a newcomer cannot bring it back after it was removed.
//! - A member judges so many questions in a while, and remembers nothing of any of them.

mod newcomer;
mod porter;
#[cfg(test)]
mod tests;
mod wire;

pub use newcomer::{Event, Newcomer, TooLong};
pub use porter::{Porter, Visit};
pub use wire::{Answer, Question};

/// The channel of introductions in headers, beside those of [`crate::Channel`].
pub const CHANNEL: u8 = 0x81;

/// Whether a datagram is an introduction. It need not be authentic.
pub fn is_introduction(datagram: &[u8]) -> bool {
    datagram.get(1) == Some(&CHANNEL)
}
