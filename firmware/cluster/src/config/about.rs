//! What is told about a document: who committed it, when and why, and what was before.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// How a document came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A node started with it.
    #[default]
    Started,
    /// Somebody committed it.
    Committed,
    /// Somebody confirmed it: it says what the one before said, and stays.
    Confirmed,
    /// The one before was not confirmed: it says what was before that.
    Returned,
}

/// Where somebody was who committed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Nowhere: a node did it by itself.
    #[default]
    Nowhere,
    /// At a serial line.
    Serial,
    /// At a web page.
    Web,
}

/// What is told about a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// How it came about.
    pub kind: Kind,
    /// The name of the node at which it was committed.
    pub node: String,
    /// By whom; empty: the node itself.
    pub user: String,
    /// From where.
    pub place: Place,
    /// In which of that node's sessions.
    pub session: u64,
    /// What for.
    pub comment: String,
    /// Keys that differ from the one before.
    pub changes: u32,
    /// Seconds within which it must be confirmed; 0: it stays.
    pub confirm: u32,
    /// Milliseconds since it was committed, when this was written.
    pub age: u64,
    /// It was confirmed, or need not be.
    pub confirmed: bool,
    /// What was in force before, the newest first: for who has not been there.
    pub before: Vec<Before>,
}

/// A document that was in force before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Its generation.
    pub generation: u64,
    /// What is told about it, but for what was before it.
    pub about: About,
    /// What it said.
    pub text: String,
}
