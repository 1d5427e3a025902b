//! Who works on this box, and what they and it did: sessions, revisions, the log.

use alloc::string::String;

use base::time::Instant;

use crate::event::Severity;
use crate::operator::{Face, Role};

/// A configuration that is or was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number, from 1 for what the box started with.
    pub number: u32,
    /// When it was committed.
    pub at: Instant,
    /// By whom; empty: the box itself.
    pub user: String,
    /// From where; none: the box itself.
    pub face: Option<Face>,
    /// What for.
    pub comment: String,
    /// Keys that differ from the revision before.
    pub changes: u32,
    /// It stays; else it returns to the one before unless it is confirmed.
    pub confirmed: bool,
}

/// Somebody at a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub number: u64,
    /// Who.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// Where.
    pub face: Face,
    /// Since when.
    pub since: Instant,
    /// They change the candidate.
    pub configures: bool,
}

/// Who changes the configuration, and what waits to be confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Whose the candidate is; none: whoever asks for it first may have it.
    pub holder: Option<Holder>,
    /// The commit that returns by itself unless it is confirmed.
    pub unconfirmed: Option<Unconfirmed>,
}

/// Whose the candidate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The session.
    pub session: u64,
    /// Who.
    pub user: String,
    /// Where.
    pub face: Face,
    /// Since when.
    pub since: Instant,
}

/// A commit that waits to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// Its number.
    pub revision: u32,
    /// The session that made it, which alone can confirm it.
    pub session: u64,
    /// Who.
    pub user: String,
    /// Where.
    pub face: Face,
    /// When it returns.
    pub confirm_by: Instant,
}

/// One thing that happened, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When.
    pub at: Instant,
    /// The name of its kind: [`crate::event::Event::name`].
    pub name: &'static str,
    /// How much it wants attention.
    pub severity: Severity,
    /// The line of the log: [`crate::event::Event::render`].
    pub line: String,
}
