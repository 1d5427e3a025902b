//! One configuration for all nodes: which document is in force, and how another takes its place.
//!
//! ```text
//!   author                                   every member
//!     │ writes a draft into the token           │
//!     │ ◄──────────── Want ──────────────────── │ pulls the document ([`pull`])
//!     │ ───────────── Chunk ──────────────────► │ judges it: can this node carry it out?
//!     │        the token: ready, or refused     │
//!     │ all are ready: the token names the document, and who has that token carries it out
//! ```
//!
//! So a document changes at one place in the order of all tokens: everybody who acts by a table of
//! owners has the document that the table's numbers belong to. One refusal, and nothing changes
//! anywhere. The token carries one draft at a time: of two authors the first wins, and the other is
//! told. A node whose document is another than that of a view is not taken into it; it pulls that
//! one first ([`rank`] says who gives way where two views meet).

pub mod about;
pub mod message;
pub mod pull;
pub mod record;

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use serde::{Deserialize, Serialize};

use base::NodeId;
use base::time::Duration;

use crate::NodeSet;

pub use about::{About, Before};
pub use record::{Record, Relation};

/// What a node could not carry out it judges anew after so long: what stood in its way may be gone.
/// Until then it is in no view that goes by that document.
pub const UNFIT: Duration = Duration::from_secs(10);

/// The first half of the SHA-256 digest of a document's text.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// Of a text.
    pub fn of(text: &str) -> Self {
        use sha2::Digest as _;
        let whole: [u8; 32] = sha2::Sha256::digest(text.as_bytes()).into();
        Self(core::array::from_fn(|at| whole[at]))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Names a document. What a node starts with has generation 0, whatever it says.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct DocumentId {
    /// One more than that of the document it followed.
    pub generation: u64,
    /// What it says.
    pub digest: Digest,
}

impl DocumentId {
    /// Of what a node starts with.
    pub fn first(text: &str) -> Self {
        Self { generation: 0, digest: Digest::of(text) }
    }

    /// Of what follows this one.
    pub fn next(self, text: &str) -> Self {
        Self { generation: self.generation.saturating_add(1), digest: Digest::of(text) }
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.generation, self.digest)
    }
}

/// A document that is to take the place of the one in force, as the token carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Which.
    pub id: DocumentId,
    /// Who wants it and has it to give away.
    #[serde(with = "crate::identity::node_id")]
    pub author: NodeId,
    /// Members that could carry it out.
    pub ready: NodeSet,
    /// Members that could not.
    pub refused: NodeSet,
    /// Nodes that are not in it any more: they hand over what they own and leave before it comes
    /// into force.
    pub leaving: NodeSet,
}

/// What became of a document that this node proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is in force at every member.
    Committed,
    /// A member could not carry it out.
    Refused {
        /// Which member.
        by: NodeId,
        /// Why, for people.
        why: String,
    },
    /// Another document was first: one of this member, or it is in force already.
    Overtaken {
        /// Whose it is, where that is known.
        by: Option<NodeId>,
    },
    /// Some members did not answer, or did not leave.
    Unanswered {
        /// Which.
        by: NodeSet,
    },
    /// This node has fallen out of its view meanwhile.
    Outside,
}

/// How a document came into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The members agreed on it, and it followed the one before.
    Agreed,
    /// It took the place of one that it does not descend from: what that one said is lost to the
    /// cluster.
    Overruled,
    /// It took the place of one that it descends from, without this node's consent.
    CaughtUp,
}

/// What the node is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Whether this node could carry out a document, to be answered by
    /// [`crate::Cluster::handle_judged`].
    Judge {
        /// The document.
        record: Arc<Record>,
        /// Who gave it to us.
        from: NodeId,
    },
    /// It is in force from now on: what follows goes by its numbers.
    InForce {
        /// Which.
        id: DocumentId,
        /// How it came into force.
        origin: Origin,
    },
    /// What this node proposed is decided.
    Decided {
        /// Which.
        id: DocumentId,
        /// How.
        decision: Decision,
    },
    /// This node is not in the document that is about to come into force (`leaves`), and hands
    /// over what it owns; or that one did not come.
    Removed {
        /// Which document.
        id: DocumentId,
        /// It is to leave; otherwise it stays after all.
        leaves: bool,
    },
}

/// Why a document cannot be proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// We are in no view, so nothing can be agreed on.
    Outside,
    /// Another proposal of this node is under way.
    Busy,
    /// Another document is on its way into force.
    Overtaken(NodeId),
    /// It does not follow the document in force.
    Stale,
    /// The record is none, or too long.
    Malformed,
}
