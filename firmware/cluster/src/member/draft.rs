//! How another document comes into force: a draft in the token, which all members say they could
//! carry out, and then the token that names it. The only way for a view.
//!
//! The holder that finds everybody ready commits: it numbers the groups anew, and so does each
//! member when that token comes, before it reads the table. A group whose addresses had several
//! owners has none at first, so that those stop serving when the token passes them; it gets one
//! when the token has been round. Nodes that the draft does not know leave before, by planned
//! moves.

use super::document::{Proposal, Staged};
use super::ring::Possession;
use super::{Cluster, Event};
use crate::config::message::DocumentMessage;
use crate::config::pull::Blob;
use crate::config::{Decision, DocumentId, Draft, Notice, Origin, Record, Unfit};
use crate::placement::NOBODY;
use crate::wire::{self, Entry, Token, Wish};
use crate::{Channel, NodeSet, Reason, Settings};
use alloc::string::ToString;
use alloc::vec::Vec;
use base::time::Duration;
use base::{Instant, NodeId};

/// How long members have to say that they are ready, and those who are not in the draft to leave.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long the author waits for the reason of a refusal.
const REASONS: Duration = Duration::from_secs(1);

impl Cluster {
    /// Proposes a document; [`Notice::Decided`] says what becomes of it. `settings` are what it
    /// says of the cluster.
    ///
    /// # Errors
    /// It was not proposed.
    pub fn propose(
        &mut self,
        now: Instant,
        record: &Record,
        settings: Settings,
    ) -> Result<(), Unfit> {
        self.clock = self.clock.max(now);
        let (id, base) = (record.id(), self.settings.document);
        let view = self.view.iter().flat_map(|view| &view.members);
        let alive = view.filter(|member| !self.condemned.contains(member.id));
        let alive: Vec<_> = alive.copied().collect();
        if self.view.is_none() || self.leaving || !self.lawful(&alive) {
            return Err(Unfit::Outside);
        }
        if self.documents.proposal.is_some() {
            return Err(Unfit::Busy);
        }
        if let Some(draft) = self.documents.draft {
            return Err(Unfit::Overtaken(draft.author));
        }
        if record.ancestors.first() != Some(&base) {
            return Err(Unfit::Stale);
        }
        let octets = record.encode().filter(|_| settings.node(self.own.id).is_some());
        let Some(octets) = octets else { return Err(Unfit::Malformed) };
        let blob = Blob::new(id, octets);
        let ancestors = record.ancestors.clone();
        self.documents.staged = Some(Staged { blob, ancestors, settings });
        self.documents.reasons.clear();
        self.documents.proposal = Some(Proposal { id, base, since: self.clock });
        if matches!(self.possession, Possession::Holding { .. }) {
            self.work();
            self.set_hold();
        }
        self.turn();
        Ok(())
    }

    /// What the holder of the token does about its draft.
    pub(super) fn agree_on_document(&mut self) {
        let Possession::Holding { token, .. } = &mut self.possession else { return };
        let draft = token.draft.take();
        let draft = draft.and_then(|draft| self.advance_draft(draft));
        let draft = draft.or_else(|| self.begin_draft());
        match draft {
            Some(draft) if self.is_agreed(&draft) => self.commit(draft.id),
            Some(_) | None => {
                self.documents.draft = draft;
                if let Possession::Holding { token, .. } = &mut self.possession {
                    token.draft = draft;
                }
            }
        }
        self.conclude();
    }

    /// Our word about a draft; none: it is over.
    fn advance_draft(&mut self, mut draft: Draft) -> Option<Draft> {
        let (now, own) = (self.clock, self.own.id);
        let members = self.members();
        if draft.id == self.settings.document || !members.contains(draft.author) {
            return None;
        }
        if self.documents.is_staged(draft.id) {
            draft.ready.insert(own);
        } else if let Some(why) = self.documents.unfit(draft.id, now) {
            let why = why.to_string();
            draft.refused.insert(own);
            if draft.author == own {
                self.documents.reasons.insert(own, why);
            } else {
                let message = DocumentMessage::Refused { id: draft.id, why };
                self.post(draft.author, Channel::Document, message, false);
            }
        }
        let wanted = members.difference(draft.leaving);
        if draft.leaving.contains(own) && wanted.is_subset(draft.ready) && !self.leaving {
            self.leaving = true;
            self.documents.leaving = Some((draft.id, now));
            let notice = Notice::Removed { id: draft.id, leaves: true };
            self.events.push_back(Event::Document(notice));
        }
        if draft.author == own { self.judge_own(draft) } else { Some(draft) }
    }

    /// What becomes of a draft of ours.
    fn judge_own(&mut self, draft: Draft) -> Option<Draft> {
        let waited = |since: Instant| self.clock.since(since);
        let proposal = self.documents.proposal.filter(|proposal| proposal.id == draft.id)?;
        if let Some(by) = draft.refused.first() {
            let why = self.documents.reasons.get(&by).cloned();
            if why.is_none() && waited(proposal.since) < REASONS {
                return Some(draft);
            }
            let why = why.unwrap_or_else(|| "it does not say why".into());
            self.decide(Decision::Refused { by, why });
            return None;
        }
        if waited(proposal.since) > PATIENCE {
            let members = self.members();
            let by = members.difference(draft.ready).union(members.intersection(draft.leaving));
            self.decide(Decision::Unanswered { by });
            return None;
        }
        Some(draft)
    }

    /// A draft of what we want, if nothing else is under way.
    fn begin_draft(&mut self) -> Option<Draft> {
        let Proposal { id, base, .. } = self.documents.proposal?;
        let staged = self.documents.staged.as_ref().filter(|staged| staged.blob.id == id)?;
        if base != self.settings.document || id == self.settings.document {
            return None;
        }
        let known = |node: &NodeId| staged.settings.node(*node).is_some();
        let leaving = self.members().iter().filter(|node| !known(node)).collect();
        let (author, ready) = (self.own.id, NodeSet::EMPTY.with(self.own.id));
        Some(Draft { id, author, ready, refused: NodeSet::EMPTY, leaving })
    }

    /// Whether every member is ready, and nobody is a member who is not in the draft.
    fn is_agreed(&self, draft: &Draft) -> bool {
        let members = self.members();
        members.is_subset(draft.ready)
            && draft.refused.is_empty()
            && members.intersection(draft.leaving).is_empty()
            && self.documents.is_staged(draft.id)
    }

    /// The document is in force from this token on.
    fn commit(&mut self, id: DocumentId) {
        let (before, alone) = (self.table.clone(), self.settings.alone());
        if alone {
            self.know_closings();
        }
        let from = self.carry_out(id, self.origin_of(id));
        let mut table = Vec::with_capacity(from.len());
        for old in &from {
            let entry = match old.and_then(|old| before.get(old)) {
                Some(entry) => *entry,
                None => {
                    let Some(generation) = self.next_generation() else { return };
                    let (owner, origin) = self.first_owner(table.len());
                    let reason = Reason::Vacant;
                    Entry { owner, previous: NOBODY, generation, origin, reason }
                }
            };
            table.push(entry);
        }
        self.table = table;
        let members = self.members();
        let Possession::Holding { token, .. } = &mut self.possession else { return };
        (token.document, token.draft) = (id, None);
        (token.committed, token.changed) = (token.seq, token.seq);
        token.wishes = renumbered(&token.wishes, &from);
        token.loads.retain(|load| members.contains(load.node));
        (self.changed, self.documents.committed) = (token.seq, token.seq);
        self.reconcile();
        self.restate();
        if self.settings.alone() && !alone {
            self.rule_alone();
        }
    }

    /// Who owns a new group at first: nobody, unless there is nobody else.
    fn first_owner(&self, group: usize) -> (NodeId, wire::Origin) {
        let own = self.own.id;
        let able = self.groups.get(group).is_some_and(|group| group.eligible.contains(own));
        if self.settings.alone() && able {
            (own, wire::Origin::Handed)
        } else {
            (NOBODY, wire::Origin::Claimed)
        }
    }

    /// Goes by the document that a token names. Whether groups have other numbers since.
    pub(super) fn obey_document(&mut self, token: &Token) -> bool {
        (self.documents.draft, self.documents.committed) = (token.draft, token.committed);
        if token.document == self.settings.document {
            return false;
        }
        self.carry_out(token.document, self.origin_of(token.document));
        true
    }

    /// How a document that the view agrees on follows ours.
    fn origin_of(&self, id: DocumentId) -> Origin {
        let staged = self.documents.staged.as_ref().filter(|staged| staged.blob.id == id);
        let follows =
            staged.is_some_and(|staged| staged.ancestors.contains(&self.settings.document));
        if follows { Origin::Agreed } else { Origin::Overruled }
    }

    /// Tells the author what its document came to, once every member has it.
    fn conclude(&mut self) {
        let Some(proposal) = self.documents.proposal else { return };
        let own = self.own.id;
        if proposal.id == self.settings.document {
            if !self.documents.spreads(self.seen, self.members().len()) {
                self.decide(Decision::Committed);
            }
        } else if proposal.base != self.settings.document {
            self.decide(Decision::Overtaken { by: None });
        } else if let Some(draft) = self.documents.draft.filter(|draft| draft.author != own) {
            self.decide(Decision::Overtaken { by: Some(draft.author) });
        }
    }

    /// Gives up what the token never came for.
    pub(super) fn give_up_proposal(&mut self) {
        let Some(proposal) = self.documents.proposal else { return };
        let late = self.clock.since(proposal.since) > PATIENCE + REASONS;
        if self.view.is_none() {
            self.decide(Decision::Outside);
        } else if late {
            self.decide(Decision::Unanswered { by: self.members().without(self.own.id) });
        }
    }
}

/// Moves under way, by other numbers of groups.
pub fn renumbered(wishes: &[Wish], from: &[Option<usize>]) -> Vec<Wish> {
    let renumber = |wish: &Wish| {
        let new = from.iter().position(|old| *old == Some(usize::from(wish.group)))?;
        Some(Wish { group: u16::try_from(new).ok()?, ..*wish })
    };
    wishes.iter().filter_map(renumber).collect()
}
