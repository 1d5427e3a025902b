//! What goes over [`crate::Channel::Document`].

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::DocumentId;

/// Octets of a record in one [`DocumentMessage::Chunk`]: what its envelope leaves of a body.
pub const CHUNK: usize = 1_000;
/// Chunks that are asked for at a time: what a socket's buffer holds many times.
pub const WINDOW: u32 = 24;
/// Octets of a reason.
pub const REASON: usize = 900;

/// A message about documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DocumentMessage {
    /// Some chunks of a record are wanted.
    Want {
        /// Of which document.
        id: DocumentId,
        /// The first of them.
        first: u32,
        /// How many; more than [`WINDOW`] are not given.
        count: u32,
    },
    /// A piece of a record.
    Chunk {
        /// Of which document.
        id: DocumentId,
        /// Octets of the whole record.
        total: u32,
        /// Tells records of one document from each other: what is told about it may differ.
        mark: u64,
        /// Which piece.
        index: u32,
        /// Its octets: [`CHUNK`] of them but for the last piece.
        bytes: Vec<u8>,
    },
    /// The sender does not have that document, or not any more.
    Gone {
        /// Which.
        id: DocumentId,
    },
    /// The sender cannot carry out that document.
    Refused {
        /// Which.
        id: DocumentId,
        /// Why, for people; at most [`REASON`] octets.
        why: String,
    },
}
