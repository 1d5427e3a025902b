//! What nodes tell each other: the bodies of sealed datagrams, encoded with postcard.
//!
//! Decoding never panics, and what it allocates is bounded by the octets that came. Golden bytes
//! at the end of the file pin each message.

use crate::{NodeSet, ViewId};
use alloc::vec::Vec;
use model::limits::CLUSTER_BODY;
use serde::{Deserialize, Serialize};

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// In no view, and wants to be in one.
    #[default]
    Outside,
    /// In a view.
    Member,
    /// In a view, and wants to be in none.
    Leaving,
}

/// How well a node is reached on one network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reach {
    /// Nobody shows that what the node sends there arrives.
    #[default]
    Nobody,
    /// A witness answers it there.
    Witness,
    /// A peer echoes what it sends there.
    Peers,
}

/// A network as its sender sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The network's number.
    pub network: u16,
    /// Whether the sender's lease there holds.
    pub open: bool,
    /// Whether the sender is reached there.
    pub reach: Reach,
}

/// What was received from the one to whom a heartbeat goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// The network's number.
    pub network: u16,
    /// The newest tick received there.
    pub tick: u64,
    /// Microseconds that it waited for this echo.
    pub dwell: u32,
    /// How many came there of the last 64 up to it.
    pub count: u8,
}

/// Sent to every peer on every network we share with it, once in an interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts the sender's heartbeats, the same on all networks.
    pub tick: u64,
    /// What the sender is.
    pub standing: Standing,
    /// Its view.
    pub view: ViewId,
    /// Who is in it.
    pub members: NodeSet,
    /// The newest token of it that passed the sender.
    pub token: u64,
    /// Of whom it hears nothing, or who does not hear it.
    pub suspects: NodeSet,
    /// Whom it hears.
    pub hears: NodeSet,
    /// Whom it does not echo, because it consented to a view without them.
    pub muted: NodeSet,
    /// The sender's networks.
    pub gates: Vec<Gate>,
    /// What it received from the one this goes to; nothing if it must not say.
    pub echoes: Vec<Echo>,
}

impl Heartbeat {
    /// Whether two heartbeats of one sender differ in nothing but numbers that always grow.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.standing == other.standing
            && self.view == other.view
            && self.members == other.members
            && self.token == other.token
            && self.suspects == other.suspects
            && self.hears == other.hears
            && self.muted == other.muted
            && self.gates == other.gates
    }
}

impl Default for ViewId {
    fn default() -> Self {
        Self::NONE
    }
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The octets of a message; none if they would not fit a datagram, which no message of legal
/// settings does.
pub fn encode<T: Serialize>(message: &T) -> Option<Vec<u8>> {
    postcard::to_allocvec(message).ok().filter(|body| body.len() <= CLUSTER_BODY)
}

/// The message in a body.
///
/// # Errors
/// The body is none of ours, or is followed by something.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        Ok((_, _)) | Err(_) => Err(Malformed),
    }
}
