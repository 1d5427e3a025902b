//! What is and was in force.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use base::Instant;
use model::config::document::Document;
use model::config::{Config, Node};
use model::limits;
use model::operator::{Face, Origin};
use model::status::Revision;

/// Revisions, the one in force last. Never empty.
#[derive(Debug)]
pub(super) struct History {
    running: Entry,
    before: VecDeque<Entry>,
}

/// One revision.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) number: u32,
    at: Instant,
    pub(super) user: String,
    pub(super) face: Option<Face>,
    comment: String,
    changes: usize,
    pub(super) confirmed: bool,
    pub(super) text: String,
    pub(super) config: Config,
    pub(super) node: Node,
}

impl Entry {
    /// What the box started with.
    pub(super) fn first(at: Instant, text: String, config: Config, node: Node) -> Self {
        Self::returned(at, "as the box started".into(), (text, config, node))
    }

    /// What an operator committed.
    pub(super) fn committed(
        at: Instant,
        origin: &Origin,
        comment: String,
        what: (String, Config, Node),
    ) -> Self {
        let entry = Self::returned(at, comment, what);
        Self { user: origin.user.clone(), face: Some(origin.face), ..entry }
    }

    /// What the box returned to by itself.
    pub(super) fn returned(at: Instant, comment: String, what: (String, Config, Node)) -> Self {
        let (text, config, node) = what;
        Self {
            number: 1,
            at,
            user: String::new(),
            face: None,
            comment,
            changes: 0,
            confirmed: true,
            text,
            config,
            node,
        }
    }

    /// The document, to be edited. Of one that is no TOML nothing can be.
    pub(super) fn document(&self) -> Document {
        Document::parse(&self.text).unwrap_or_default()
    }
}

impl History {
    pub(super) const fn new(first: Entry) -> Self {
        Self { running: first, before: VecDeque::new() }
    }

    pub(super) const fn running(&self) -> &Entry {
        &self.running
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.before.len() + 1
    }

    /// So many revisions ago.
    pub(super) fn back(&self, number: usize) -> Option<&Entry> {
        match number.checked_sub(1) {
            None => Some(&self.running),
            Some(before) => self.before.iter().rev().nth(before),
        }
    }

    /// Puts a revision in force. Its number.
    pub(super) fn push(&mut self, entry: Entry, changes: usize, confirmed: bool) -> u32 {
        let number = self.running.number.saturating_add(1);
        let entry = Entry { number, changes, confirmed, ..entry };
        self.before.push_back(core::mem::replace(&mut self.running, entry));
        let octets = |list: &VecDeque<Entry>| list.iter().map(|it| it.text.len()).sum::<usize>();
        while self.len() > limits::REVISIONS || octets(&self.before) > limits::REVISION_OCTETS {
            self.before.pop_front();
        }
        number
    }

    /// The last revision was never there.
    pub(super) fn undo(&mut self, confirmed: bool) {
        if let Some(before) = self.before.pop_back() {
            self.running = Entry { confirmed, ..before };
        }
    }

    /// What is in force stays.
    pub(super) fn confirm(&mut self) {
        self.running.confirmed = true;
    }

    /// All of them, the newest first.
    pub(super) fn shown(&self) -> Vec<Revision> {
        let entries = core::iter::once(&self.running).chain(self.before.iter().rev());
        let revision = |entry: &Entry| Revision {
            number: entry.number,
            at: entry.at,
            user: entry.user.clone(),
            face: entry.face,
            comment: entry.comment.clone(),
            changes: u32::try_from(entry.changes).unwrap_or(u32::MAX),
            confirmed: entry.confirmed,
        };
        entries.map(revision).collect()
    }
}
