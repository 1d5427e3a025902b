//! Documents of others: which of them this node needs, and how they get here.
//!
//! A node pulls a document for one of three reasons: a draft in the token asks whether it could
//! carry it out; a token names one that it lacks; or somebody whom it hears has another one in
//! force. Of two documents the one that descends from the other is right. Where both sides were
//! changed, that of a view is right before that of a node in none, then that of the view to which
//! the other gives way, and among nodes in no view the higher generation, then the lower id.
//!
//! A node in no view carries out the right one at once, before anybody takes it in. A member
//! proposes it to its view, so that what all of a view go by changes in no other way (`draft.rs`).

use super::{Cluster, Event};
use crate::config::message::{DocumentMessage, REASON};
use crate::config::pull::{Blob, Progress, Pull};
use crate::config::{Decision, DocumentId, Draft, Notice, Origin, Record, Relation, UNFIT};
use crate::identity::supersedes;
use crate::wire::{Call, Heartbeat, Standing};
use crate::{Channel, Peer, Presence, Settings, Sight, ViewId};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use base::{Instant, NodeId};
use core::cmp::Reverse;

/// Documents of others of which we remember how they stand to ours.
const KNOWN: usize = 16;

/// A document that could come into force at any token.
#[derive(Clone, Debug)]
pub struct Staged {
    pub blob: Blob,
    pub ancestors: Vec<DocumentId>,
    pub settings: Settings,
}

/// A document that we want to come into force.
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    pub id: DocumentId,
    /// What it is to follow.
    pub base: DocumentId,
    pub since: Instant,
}

/// What this node knows of documents.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The one in force, for those who pull it; none: nobody gave its text to us.
    pub record: Option<Blob>,
    pub ancestors: Vec<DocumentId>,
    pub staged: Option<Staged>,
    /// What the node is asked about.
    judging: Option<(Blob, Vec<DocumentId>)>,
    pull: Option<Pull>,
    pub proposal: Option<Proposal>,
    /// The draft in the last token that passed here.
    pub draft: Option<Draft>,
    /// The token's number when the document came into force in this view; 0: before it.
    pub committed: u64,
    /// A token names it and we lack it.
    needed: Option<(DocumentId, NodeId)>,
    known: VecDeque<(DocumentId, Relation)>,
    /// What we cannot carry out, why, and until when we believe that.
    unfit: VecDeque<(DocumentId, String, Instant)>,
    /// Why members refused our proposal.
    pub reasons: BTreeMap<NodeId, String>,
    /// The draft that we are not in and leave for, and since when.
    pub leaving: Option<(DocumentId, Instant)>,
}

impl Documents {
    /// Whether a commit has not been seen by each of `members` yet.
    pub const fn spreads(&self, seen: u64, members: usize) -> bool {
        members > 1 && self.committed > 0 && seen < self.committed + members as u64
    }

    pub fn is_staged(&self, id: DocumentId) -> bool {
        self.staged.as_ref().is_some_and(|staged| staged.blob.id == id)
    }

    /// Why we cannot carry out a document, if that is known.
    pub fn unfit(&self, id: DocumentId, now: Instant) -> Option<&str> {
        let unfit = self.unfit.iter().find(|(known, _, until)| *known == id && now < *until);
        unfit.map(|(_, why, _)| why.as_str())
    }

    fn set_unfit(&mut self, id: DocumentId, why: String, until: Instant) {
        self.unfit.retain(|(known, ..)| *known != id);
        if self.unfit.len() >= KNOWN {
            self.unfit.pop_front();
        }
        self.unfit.push_back((id, why, until));
    }

    /// A token names a document that is not here.
    pub fn want(&mut self, id: DocumentId, from: NodeId) {
        self.needed = Some((id, from));
    }

    /// How a document stands to `ours`, the one in force here, if that is known. What we proposed
    /// ourselves nobody has to give us: it may have come into force while we were away.
    fn relation(&self, id: DocumentId, ours: DocumentId) -> Option<Relation> {
        let known = self.known.iter().find(|(known, _)| *known == id);
        known.map(|(_, relation)| *relation).or_else(|| {
            let staged = self.staged.as_ref().filter(|staged| staged.blob.id == id)?;
            let newer = staged.ancestors.contains(&ours);
            Some(if newer { Relation::Newer } else { Relation::Apart })
        })
    }

    fn learn(&mut self, id: DocumentId, relation: Relation) {
        self.known.retain(|(known, _)| *known != id);
        if self.known.len() >= KNOWN {
            self.known.pop_front();
        }
        self.known.push_back((id, relation));
    }

    /// Another document is in force: what is known of others stood to the one before.
    pub fn changed(&mut self, blob: Blob, ancestors: Vec<DocumentId>) {
        (self.record, self.ancestors) = (Some(blob), ancestors);
        self.known.clear();
        self.unfit.clear();
        (self.needed, self.judging, self.staged) = (None, None, None);
    }

    /// Something we can give away.
    fn blob(&self, id: DocumentId) -> Option<&Blob> {
        let staged = self.staged.as_ref().map(|staged| &staged.blob);
        self.record.iter().chain(staged).find(|blob| blob.id == id)
    }

    /// When there is something to ask again.
    pub fn next_deadline(&self) -> Instant {
        self.pull.as_ref().map_or(Instant::FAR, Pull::next_deadline)
    }
}

impl Cluster {
    /// The record of the document in force, for those who pull it. One of another document changes
    /// nothing.
    pub fn handle_record(&mut self, record: &Record) {
        let id = record.id();
        if id == self.settings.document
            && let Some(octets) = record.encode()
        {
            self.documents.record = Some(Blob::new(id, octets));
            self.documents.ancestors.clone_from(&record.ancestors);
        }
    }

    /// The answer to [`Notice::Judge`]: what the document says of the cluster, or why this node
    /// cannot carry it out.
    pub fn handle_judged(
        &mut self,
        now: Instant,
        id: DocumentId,
        verdict: Result<Settings, String>,
    ) {
        self.clock = self.clock.max(now);
        let Some((blob, ancestors)) = self.documents.judging.take_if(|(blob, _)| blob.id == id)
        else {
            return;
        };
        match verdict {
            Ok(settings) => {
                self.documents.staged = Some(Staged { blob, ancestors, settings });
            }
            Err(why) => {
                let end = (0..=REASON.min(why.len())).rev().find(|at| why.is_char_boundary(*at));
                let why = why.get(..end.unwrap_or(0)).unwrap_or_default().to_string();
                self.documents.set_unfit(id, why, self.clock + UNFIT);
            }
        }
        self.turn();
    }

    /// The document in force here.
    pub const fn document(&self) -> DocumentId {
        self.settings.document
    }

    /// Takes a message about documents.
    pub(super) fn handle_document(&mut self, from: Peer, message: DocumentMessage) {
        match message {
            DocumentMessage::Want { id, first, count } => {
                let chunks = self.documents.blob(id).map(|blob| blob.chunks(first, count));
                let answers = chunks.unwrap_or_else(|| [DocumentMessage::Gone { id }].into());
                for answer in answers {
                    self.post(from.id, Channel::Document, answer, false);
                }
            }
            DocumentMessage::Chunk { id, total, mark, index, bytes } => {
                let now = self.clock;
                let pull = self.documents.pull.as_mut();
                let Some(pull) = pull.filter(|pull| (pull.id, pull.from) == (id, from.id)) else {
                    return;
                };
                let progress = pull.take(now, (total, mark), index, &bytes);
                self.pursue_pull(progress);
            }
            DocumentMessage::Gone { id } => {
                let pull = self.documents.pull.as_ref();
                if pull.is_some_and(|pull| (pull.id, pull.from) == (id, from.id)) {
                    self.documents.pull = None;
                }
            }
            DocumentMessage::Refused { id, why } => {
                let ours = self.documents.proposal.is_some_and(|proposal| proposal.id == id);
                if ours && self.members().contains(from.id) && why.len() <= REASON {
                    self.documents.reasons.insert(from.id, why);
                }
            }
        }
    }

    /// What is due about documents.
    pub(super) fn look_at_documents(&mut self) {
        self.give_up_proposal();
        self.stay_after_all();
        self.use_chosen();
        if self.documents.judging.is_some() {
            return;
        }
        let now = self.clock;
        let wanted = self.wanted_document();
        let pulled = self.documents.pull.as_ref().map(|pull| (pull.id, pull.from));
        if pulled != wanted {
            self.documents.pull = wanted.map(|(id, from)| Pull::new(now, id, from));
        }
        if let Some(pull) = &mut self.documents.pull {
            let progress = pull.handle_timeout(now);
            self.pursue_pull(progress);
        }
    }

    fn pursue_pull(&mut self, progress: Progress) {
        let Some(pull) = &self.documents.pull else { return };
        let (id, from) = (pull.id, pull.from);
        match progress {
            Progress::Waits => {}
            Progress::Ask(message) => self.post(from, Channel::Document, message, false),
            Progress::Failed => self.documents.pull = None,
            Progress::Complete(octets) => {
                self.documents.pull = None;
                self.take_record(id, from, octets);
            }
        }
    }

    /// A record has come whole: if we need it, the node judges it.
    fn take_record(&mut self, id: DocumentId, from: NodeId, octets: Vec<u8>) {
        let Some(record) = Record::decode(&octets, id) else {
            let why = "its octets are not those of its name".into();
            return self.documents.set_unfit(id, why, self.clock + UNFIT);
        };
        let relation = record.relation(self.settings.document, &self.documents.ancestors);
        self.documents.learn(id, relation);
        let needed = self.documents.needed.is_some_and(|(needed, _)| needed == id);
        let drafted = self.documents.draft.is_some_and(|draft| draft.id == id);
        if needed || drafted || self.chosen().is_some_and(|(chosen, _)| chosen == id) {
            let blob = Blob::new(id, octets);
            self.documents.judging = Some((blob, record.ancestors.clone()));
            let record = Arc::new(record);
            self.events.push_back(Event::Document(Notice::Judge { record, from }));
        }
    }

    /// What is to be pulled, and from whom.
    fn wanted_document(&self) -> Option<(DocumentId, NodeId)> {
        let missing = |id: DocumentId| {
            id != self.settings.document
                && !self.documents.is_staged(id)
                && self.documents.unfit(id, self.clock).is_none()
        };
        if let Some(needed) = self.documents.needed.filter(|(id, _)| missing(*id)) {
            return Some(needed);
        }
        let own = self.own.id;
        let draft = self.documents.draft.filter(|draft| {
            missing(draft.id) && draft.author != own && !draft.leaving.contains(own)
        });
        if let Some(draft) = draft {
            return Some((draft.id, draft.author));
        }
        if self.documents.draft.is_some() || self.documents.proposal.is_some() {
            return None;
        }
        let unknown = self.foreign().find(|sight| {
            let id = sight.said.document;
            missing(id) && self.relation(id).is_none()
        });
        match unknown {
            Some(sight) => Some((sight.said.document, sight.peer.id)),
            None => self.chosen().filter(|(id, _)| missing(*id)),
        }
    }

    /// How a document stands to the one in force, if that is known.
    fn relation(&self, id: DocumentId) -> Option<Relation> {
        self.documents.relation(id, self.settings.document)
    }

    /// Those who are heard, are not of our view, and have another document in force.
    fn foreign(&self) -> impl Iterator<Item = &Sight> {
        let view = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        let peers = self.report.iter().flat_map(|report| &report.peers);
        peers.filter(move |sight| {
            let said = &sight.said;
            !self.leaving
                && sight.presence != Presence::Silent
                && said.standing != Standing::Leaving
                && said.document != self.settings.document
                && (said.standing == Standing::Outside || said.view != view)
                && self.linked(self.own.id, sight.peer.id)
        })
    }

    /// The document of another that is to take the place of ours, and who has it.
    fn chosen(&self) -> Option<(DocumentId, NodeId)> {
        let right = |sight: &&Sight| match self.relation(sight.said.document) {
            Some(Relation::Newer) => true,
            Some(Relation::Apart) => self.gives_way_to(sight),
            Some(Relation::Older) | None => false,
        };
        // That of a view before all.
        let rank = |sight: &&Sight| {
            let member = sight.said.standing == Standing::Member;
            (member, sight.said.document.generation, Reverse(sight.peer.id))
        };
        let best = self.foreign().filter(right).max_by_key(rank)?;
        Some((best.said.document, best.peer.id))
    }

    /// Whether, of two documents of which neither descends from the other, a peer's is right.
    fn gives_way_to(&self, sight: &Sight) -> bool {
        let said = &sight.said;
        match (&self.view, said.standing == Standing::Member) {
            (Some(view), true) => supersedes((said.view, said.members), (view.id, self.members())),
            (Some(_), false) => false,
            (None, true) => true,
            (None, false) => {
                let rank = |generation, id| (generation, Reverse(id));
                rank(said.document.generation, sight.peer.id)
                    > rank(self.settings.document.generation, self.own.id)
            }
        }
    }

    /// Carries out the right document if we are in no view, or proposes it to ours.
    fn use_chosen(&mut self) {
        if self.view.is_some() && self.is_stranded() {
            self.drop_out();
        }
        let Some((id, _)) = self.chosen() else { return };
        if !self.documents.is_staged(id) {
            return;
        }
        if self.view.is_some() {
            if self.documents.proposal.is_none() {
                let (base, since) = (self.settings.document, self.clock);
                self.documents.proposal = Some(Proposal { id, base, since });
            }
            return;
        }
        // A view that we consented to goes by the document we had then.
        let waits = self.unfinished()
            && self.clock.since(self.promise.at) < self.patience + self.pace.interval * 8;
        if waits || self.settings.alone() {
            return;
        }
        let newer = self.relation(id) == Some(Relation::Newer);
        let origin = if newer { Origin::CaughtUp } else { Origin::Overruled };
        self.carry_out(id, origin);
    }

    /// Whether our view is over and no other can follow it, while enough others for one are heard
    /// in theirs: nobody is left whom a document could be proposed to.
    fn is_stranded(&self) -> bool {
        let most = |said: &Heartbeat| {
            said.standing == Standing::Member && self.settings.majority(said.members.len())
        };
        self.foreign().any(|sight| most(&sight.said))
            && self.misses_token()
            && !self.lawful(&self.wanted_members())
    }

    /// We left for a draft that did not come into force: we come back.
    fn stay_after_all(&mut self) {
        let Some((id, since)) = self.documents.leaving else { return };
        let peers = self.report.iter().flat_map(|report| &report.peers);
        let mut members = peers.filter(|sight| {
            sight.presence != Presence::Silent && sight.said.standing == Standing::Member
        });
        let kept = members.any(|sight| sight.said.document == self.settings.document);
        if kept && self.clock.since(since) > super::draft::PATIENCE + UNFIT / 4 {
            (self.leaving, self.documents.leaving) = (false, None);
            self.events.push_back(Event::Document(Notice::Removed { id, leaves: false }));
        }
    }

    /// Whether we could go by the document of a view that is called.
    pub(super) fn has_document(&self, call: &Call) -> bool {
        let related = self.view.as_ref().is_some_and(|view| view.id == call.base);
        call.document == self.settings.document
            || related && self.documents.is_staged(call.document)
    }

    /// Whether we could go by the document that a token names.
    pub(super) fn can_obey(&self, id: DocumentId) -> bool {
        id == self.settings.document || self.documents.is_staged(id)
    }

    /// Tells the node what became of what it proposed.
    pub(super) fn decide(&mut self, decision: Decision) {
        let Some(Proposal { id, .. }) = self.documents.proposal.take() else { return };
        if let Decision::Refused { why, .. } = &decision {
            self.documents.set_unfit(id, why.clone(), self.clock + UNFIT);
        }
        self.documents.reasons.clear();
        self.events.push_back(Event::Document(Notice::Decided { id, decision }));
    }
}
