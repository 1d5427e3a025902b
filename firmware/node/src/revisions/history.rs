//! What is and was in force.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use base::Instant;
use model::config::document::Document;
use model::limits;
use model::operator::{Face, Origin};
use model::status::Revision;

/// So many documents that were lost to the cluster are kept.
const LOST: usize = 4;

/// Revisions, the one in force last. Never empty.
#[derive(Debug)]
pub(super) struct History {
    running: Entry,
    before: VecDeque<Entry>,
    /// What was in force here and is not part of the cluster's history, the newest last.
    lost: VecDeque<Entry>,
}

/// One revision.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) number: u32,
    pub(super) at: Instant,
    pub(super) user: String,
    pub(super) face: Option<Face>,
    pub(super) comment: String,
    pub(super) changes: usize,
    pub(super) confirmed: bool,
    /// At which box of a cluster, if not at this one.
    pub(super) by: String,
    pub(super) text: String,
}

impl Entry {
    /// What the box started with.
    pub(super) fn first(at: Instant, text: String) -> Self {
        Self::returned(at, "as the box started".into(), text)
    }

    /// What an operator committed.
    pub(super) fn committed(at: Instant, origin: &Origin, comment: String, text: String) -> Self {
        let entry = Self::returned(at, comment, text);
        Self { user: origin.user.clone(), face: Some(origin.face), ..entry }
    }

    /// What the box returned to by itself.
    pub(super) fn returned(at: Instant, comment: String, text: String) -> Self {
        Self {
            number: 1,
            at,
            user: String::new(),
            face: None,
            comment,
            changes: 0,
            confirmed: true,
            by: String::new(),
            text,
        }
    }

    /// The document, to be edited. Of one that is no TOML nothing can be.
    pub(super) fn document(&self) -> Document {
        Document::parse(&self.text).unwrap_or_default()
    }
}

impl History {
    pub(super) const fn new(first: Entry) -> Self {
        Self { running: first, before: VecDeque::new(), lost: VecDeque::new() }
    }

    pub(super) const fn running(&self) -> &Entry {
        &self.running
    }

    /// How many there are that one can go back to, and the one in force.
    pub(super) fn len(&self) -> usize {
        self.before.len() + self.lost.len() + 1
    }

    /// So many revisions ago.
    pub(super) fn back(&self, number: usize) -> Option<&Entry> {
        match number.checked_sub(1) {
            None => Some(&self.running),
            Some(before) => self.past().nth(before),
        }
    }

    /// What was in force before, the newest first; then what was lost.
    fn past(&self) -> impl Iterator<Item = &Entry> {
        self.before.iter().rev().chain(self.lost.iter().rev())
    }

    /// What was in force before, the newest first.
    pub(super) fn before(&self) -> impl Iterator<Item = &Entry> {
        self.before.iter().rev()
    }

    /// The cluster's history takes the place of this box's own. Which rollback leads to what was
    /// in force here, if it is kept beside that history.
    pub(super) fn replace(
        &mut self,
        running: Entry,
        before: impl Iterator<Item = Entry>,
        keep: bool,
    ) -> Option<usize> {
        let old = core::mem::replace(&mut self.running, running);
        self.before = before.collect();
        self.trim();
        if !keep {
            return None;
        }
        self.lost.retain(|entry| entry.text != old.text);
        self.lost.push_back(old);
        if self.lost.len() > LOST {
            self.lost.pop_front();
        }
        Some(self.before.len() + 1)
    }

    fn trim(&mut self) {
        let octets = |list: &VecDeque<Entry>| list.iter().map(|it| it.text.len()).sum::<usize>();
        while self.before.len() >= limits::REVISIONS
            || octets(&self.before) > limits::REVISION_OCTETS
        {
            self.before.pop_front();
        }
    }

    /// Puts a revision in force. Its number.
    pub(super) fn push(&mut self, entry: Entry, changes: usize, confirmed: bool) -> u32 {
        let number = self.running.number.saturating_add(1).max(entry.number);
        let entry = Entry { number, changes, confirmed, ..entry };
        self.before.push_back(core::mem::replace(&mut self.running, entry));
        self.trim();
        number
    }

    /// The last revision was never there.
    pub(super) fn undo(&mut self, confirmed: bool) {
        if let Some(before) = self.before.pop_back() {
            self.running = Entry { confirmed, ..before };
        }
    }

    /// What is in force stays, under this number or the one it has.
    pub(super) fn confirm_as(&mut self, number: u32) {
        self.running.number = self.running.number.max(number);
        self.running.confirmed = true;
    }

    /// What is in force stays.
    pub(super) fn confirm(&mut self) {
        self.running.confirmed = true;
    }

    /// All of them, the newest first.
    pub(super) fn shown(&self) -> Vec<Revision> {
        let entries = core::iter::once(&self.running).chain(self.past());
        let revision = |entry: &Entry| Revision {
            number: entry.number,
            at: entry.at,
            user: super::shared::by_whom(entry),
            face: entry.face,
            comment: entry.comment.clone(),
            changes: u32::try_from(entry.changes).unwrap_or(u32::MAX),
            confirmed: entry.confirmed,
        };
        entries.map(revision).collect()
    }
}
