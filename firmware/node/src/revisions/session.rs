//! Who is there, and who changes the candidate.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base::Instant;
use model::config::document::Document;
use model::limits;
use model::operator::{Face, Origin};
use model::status::{Holder, Session};

/// Everybody who asked for something and has not left.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<u64, (Origin, Instant)>);

/// The candidate, and whose it is.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) session: u64,
    pub(super) document: Document,
    /// The candidate as it was when nothing in it was to be committed.
    original: Document,
    /// The same as it was written.
    original_text: String,
    /// The candidate as somebody wrote it, until [`Lock::document`] is changed otherwise: so that
    /// problems have the places that people see, and comments last.
    pub(super) written: Option<String>,
    /// The revision that it changes.
    pub(super) base: u32,
    pub(super) user: String,
    face: Face,
    since: Instant,
}

impl Sessions {
    pub(super) fn seen(&mut self, now: Instant, origin: &Origin) {
        if origin.session == Origin::NOBODY {
            return;
        }
        let full = self.0.len() >= limits::OPERATOR_SESSIONS;
        match self.0.get_mut(&origin.session) {
            Some((known, _)) => known.clone_from(origin),
            // One that is not listed may work all the same.
            None if full => {}
            None => {
                self.0.insert(origin.session, (origin.clone(), now));
            }
        }
    }

    pub(super) fn ended(&mut self, session: u64) {
        self.0.remove(&session);
    }

    pub(super) fn shown(&self, configures: Option<u64>) -> Vec<Session> {
        let session = |(&number, (origin, since)): (&u64, &(Origin, Instant))| Session {
            number,
            user: origin.user.clone(),
            role: origin.role,
            face: origin.face,
            since: *since,
            configures: configures == Some(number),
        };
        self.0.iter().map(session).collect()
    }
}

impl Lock {
    pub(super) fn new(
        now: Instant,
        origin: &Origin,
        (document, written): (Document, String),
        base: u32,
    ) -> Self {
        let (session, user, face) = (origin.session, origin.user.clone(), origin.face);
        let (original, original_text) = (document.clone(), written.clone());
        let written = Some(written);
        Self { session, document, original, original_text, written, base, user, face, since: now }
    }

    /// Whether anything in it is to be committed, if only a comment.
    pub(super) fn is_changed(&self) -> bool {
        self.document != self.original || self.is_rewritten(&self.original_text)
    }

    /// Whether somebody wrote the candidate otherwise than `text`: with other comments, say. One
    /// that was changed key by key has none, and says nothing about them.
    pub(super) fn is_rewritten(&self, text: &str) -> bool {
        self.written.as_ref().is_some_and(|written| written.trim_end() != text.trim_end())
    }

    /// Nothing in it is to be committed any more: it is what this revision says.
    pub(super) fn begin_from_here(&mut self, revision: u32) {
        self.original = self.document.clone();
        self.original_text = self.text();
        self.base = revision;
    }

    /// Has a candidate that was put aside in place of this one, which is as what is in force.
    pub(super) fn restore(&mut self, aside: Self) {
        self.document = aside.document;
        self.written = aside.written;
    }

    /// The candidate in TOML.
    pub(super) fn text(&self) -> String {
        self.written.clone().unwrap_or_else(|| self.document.render())
    }

    /// Whose it is.
    pub(super) fn holder(&self) -> Holder {
        let (session, user, face) = (self.session, self.user.clone(), self.face);
        Holder { session, user, face, since: self.since }
    }

    /// Why nobody else may.
    pub(super) fn taken(&self) -> String {
        let since = self.since.as_millis() / 1_000;
        let Self { user, face, .. } = self;
        format!("{user} ({face}) changes the configuration, since {since} s after the box started")
    }
}
