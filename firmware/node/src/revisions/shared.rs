//! The configuration of a cluster of several boxes: what is committed at one of them is proposed to
//! all, and in force when they have agreed on it. Revisions have the same numbers everywhere.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base::Instant;
use base::time::Duration;
use cluster::config::about::{About, Before, Kind, Place};
use cluster::config::{self, Decision, DocumentId, Record};
use model::config::document::{Document, diff};
use model::config::{Config, Newcomer, Node};
use model::event::Event;
use model::operator::{Face, Origin, Reply};
use model::status;

use super::history::Entry;
use super::{Apply, Engine, Outcome, Pending};

/// Between two attempts to return from what nobody confirmed.
const RETURN: Duration = Duration::from_secs(5);
/// How much longer than the box at which it was committed the others wait before they return.
const LONGER: Duration = Duration::from_secs(10);

/// The document in force as the boxes of a cluster know it.
#[derive(Debug)]
pub(super) struct Lineage {
    /// Changes are agreed on with other boxes.
    pub(super) shared: bool,
    id: DocumentId,
    ancestors: Vec<DocumentId>,
}

impl Lineage {
    pub(super) fn first(text: &str) -> Self {
        Self { shared: false, id: DocumentId::first(text), ancestors: Vec::new() }
    }
}

/// A document for all boxes, and what it means to this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The document.
    pub record: Record,
    /// What it says.
    pub apply: Apply,
}

/// What is due about a commit that nobody confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// To be carried out.
    Apply(Box<Apply>),
    /// To be agreed on.
    Propose(Box<Proposal>),
}

impl Engine {
    /// Whether changes are agreed on with other boxes from now on.
    pub const fn share(&mut self, shared: bool) {
        self.lineage.shared = shared;
    }

    /// The name of the document in force.
    pub const fn document(&self) -> DocumentId {
        self.lineage.id
    }

    /// What is shown of the document in force.
    pub fn shown_document(&self) -> status::Document {
        let running = self.history.running();
        status::Document {
            revision: number(self.lineage.id.generation),
            digest: format!("{}", self.lineage.id.digest),
            user: running.user.clone(),
            node: running.by.clone(),
            comment: running.comment.clone(),
        }
    }

    /// The document in force with what was before it, for boxes that have not been there.
    pub fn record(&self, now: Instant) -> Record {
        let running = self.history.running();
        let before = self.history.before().map(|entry| Before {
            generation: u64::from(entry.number.saturating_sub(1)),
            about: self.told_of(now, entry),
            text: entry.text.clone(),
        });
        let confirm = self.pending.as_ref().map_or(0, |pending| {
            u32::try_from(pending.deadline.since(running.at).as_secs()).unwrap_or(u32::MAX)
        });
        let told = self.told_of(now, running);
        let about = About { before: before.collect(), confirm, ..told };
        Record {
            generation: self.lineage.id.generation,
            ancestors: self.lineage.ancestors.clone(),
            text: running.text.clone(),
            about,
        }
    }

    /// What is told about an entry of the history.
    fn told_of(&self, now: Instant, entry: &Entry) -> About {
        About {
            kind: if entry.face.is_some() { Kind::Committed } else { Kind::Started },
            node: if entry.by.is_empty() { self.name.clone() } else { entry.by.clone() },
            user: entry.user.clone(),
            place: place(entry.face),
            comment: entry.comment.clone(),
            changes: u32::try_from(entry.changes).unwrap_or(u32::MAX),
            age: u64::try_from(now.since(entry.at).as_millis()).unwrap_or(u64::MAX),
            confirmed: entry.confirmed,
            ..About::default()
        }
    }

    /// Why the candidate must not be committed: what it changes is not in force any more.
    pub(super) fn outdated(&self) -> Option<String> {
        let running = self.history.running();
        let base = self.lock.as_ref().map_or(running.number, |lock| lock.base);
        (self.lineage.shared && base != running.number).then(|| {
            let who = by(&running.user, &running.by);
            let number = running.number;
            format!(
                "revision {number} by {who} came into force while you changed revision {base}, and \
                 would be undone. `compare` shows how your candidate differs from it; `rollback 0` \
                 takes it as the candidate, to make your changes again"
            )
        })
    }

    /// What is told about a commit that somebody makes here.
    pub(super) fn about(
        &self,
        origin: &Origin,
        comment: String,
        changes: usize,
        confirmed: Option<u16>,
    ) -> About {
        About {
            kind: Kind::Committed,
            node: self.name.clone(),
            user: origin.user.clone(),
            place: place(Some(origin.face)),
            session: origin.session,
            comment,
            changes: u32::try_from(changes).unwrap_or(u32::MAX),
            confirm: confirmed.map_or(0, |minutes| u32::from(minutes) * 60),
            confirmed: confirmed.is_none(),
            ..About::default()
        }
    }

    /// A document for all boxes.
    pub(super) fn propose(
        &self,
        about: About,
        text: String,
        config: Config,
        node: Node,
    ) -> Outcome {
        let record = self.following(about, text);
        let proposal = Proposal { record, apply: Apply { config, node } };
        let reply = Reply::Refused("the other boxes have not answered".into());
        Outcome { propose: Some(Box::new(proposal)), ..Outcome::only(reply) }
    }

    fn following(&self, about: About, text: String) -> Record {
        let ours = [self.lineage.id].into_iter().chain(self.lineage.ancestors.iter().copied());
        Record {
            generation: self.lineage.id.generation.saturating_add(1),
            ancestors: ours.take(config::record::ANCESTORS).collect(),
            text,
            about,
        }
    }

    /// The document with one node more, which has shown that it knows the cluster's secret.
    ///
    /// # Errors
    /// Why it cannot be let in now, for people.
    pub fn let_in(&self, now: Instant, newcomer: &Newcomer) -> Result<Proposal, String> {
        if let Some(pending) = &self.pending {
            let left = pending.deadline.since(now).as_secs();
            return Err(format!(
                "a commit of the cluster waits to be confirmed, {left} s more, and nobody comes in \
                 before that"
            ));
        }
        let (text, config) = newcomer.enter(self.text())?;
        let node = config.node(&self.name).cloned();
        let node = node.ok_or("the box that was asked is no node of the document")?;
        let document = Document::parse(&text).unwrap_or_default();
        let name = &newcomer.name;
        let about = About {
            kind: Kind::Committed,
            node: self.name.clone(),
            // No user has a name with a space.
            user: format!("newcomer {name}"),
            // No session's number: no candidate goes on from this.
            session: u64::MAX,
            comment: format!("{name} asked to be let in, and has the secret"),
            changes: u32::try_from(diff(&self.history.running().document(), &document).len())
                .unwrap_or(u32::MAX),
            confirmed: true,
            ..About::default()
        };
        let record = self.following(about, text);
        Ok(Proposal { record, apply: Apply { config, node } })
    }

    /// What was committed is to stay, everywhere.
    pub(super) fn confirm_shared(&mut self, now: Instant, origin: &Origin) -> Outcome {
        let refused = match &self.pending {
            None => Some("no commit waits to be confirmed".into()),
            Some(pending) if pending.elsewhere => {
                let (running, left) = (self.history.running(), pending.deadline.since(now));
                let (node, left) = (&running.by, left.as_secs());
                Some(format!("it was committed at {node} and is confirmed there, {left} s more"))
            }
            Some(pending) if pending.session != origin.session => {
                Some("the session that made the commit has to confirm it".into())
            }
            Some(_) => None,
        };
        if let Some(why) = refused {
            return Outcome::only(Reply::Refused(why));
        }
        let running = self.history.running().clone();
        let Some(Apply { config, node }) = self.read(&running.text) else {
            return Outcome::only(Reply::Refused("the document in force cannot be read".into()));
        };
        let about = self.about(origin, running.comment, 0, None);
        self.propose(About { kind: Kind::Confirmed, ..about }, running.text, config, node)
    }

    /// Proposes what was in force before a commit that nobody confirmed; again after a while,
    /// until it is in force.
    pub(super) fn go_back_together(&mut self, now: Instant, why: &str) -> Option<Due> {
        let pending = self.pending.as_mut()?;
        pending.deadline = now + RETURN;
        let before = pending.before.clone();
        let apply = self.read(&before.text)?;
        let running = self.history.running();
        let changes = diff(&running.document(), &before.document()).len();
        let about = About {
            kind: Kind::Returned,
            node: self.name.clone(),
            comment: format!("returned from revision {}: {why}", running.number),
            changes: u32::try_from(changes).unwrap_or(u32::MAX),
            confirmed: true,
            ..About::default()
        };
        let record = self.following(about, before.text);
        Some(Due::Propose(Box::new(Proposal { record, apply })))
    }

    /// A document of the cluster is in force.
    pub fn adopt(&mut self, now: Instant, record: &Record, origin: config::Origin) {
        let follows = record.ancestors.first() == Some(&self.lineage.id);
        self.lineage.id = record.id();
        self.lineage.ancestors.clone_from(&record.ancestors);
        let number = number(record.generation);
        if follows && origin == config::Origin::Agreed {
            self.follow(now, number, record);
        } else {
            self.exchange(now, number, record, origin == config::Origin::Overruled);
        }
    }

    /// It follows what was in force here.
    fn follow(&mut self, now: Instant, number: u32, record: &Record) {
        let about = &record.about;
        let ours = about.node == self.name;
        let pending = self.pending.take();
        if about.kind == Kind::Confirmed {
            self.history.confirm_as(number);
            self.rebase(number, about);
            return self.events.push(Event::ConfigConfirmed { revision: number });
        }
        let left = self.history.running().number;
        let running = self.history.running().clone();
        if about.confirm == 0 {
            self.history.confirm();
        } else {
            let wait = Duration::from_secs(about.confirm.into());
            let deadline = now + if ours { wait } else { wait + LONGER };
            let before = pending.map_or(running, |pending| pending.before);
            let (session, elsewhere) = (about.session, !ours);
            self.pending = Some(Pending { session, deadline, before, elsewhere });
        }
        let entry = self.entry(now, number, about, record.text.clone());
        let changes = entry.changes;
        self.history.push(entry, changes, about.confirm == 0);
        self.rebase(number, about);
        self.events.push(if about.kind == Kind::Returned {
            Event::ConfigReturned { revision: number, left, reason: about.comment.clone() }
        } else {
            let user = if ours { about.user.clone() } else { by(&about.user, &about.node) };
            let unconfirmed = about.confirm > 0;
            Event::ConfigCommitted { revision: number, user, changes, unconfirmed }
        });
    }

    /// It comes from boxes whose history is another one, which takes the place of ours.
    fn exchange(&mut self, now: Instant, number: u32, record: &Record, lost: bool) {
        let about = &record.about;
        let left = self.history.running().number;
        let running = self.entry(now, number, about, record.text.clone());
        let before: Vec<_> =
            about.before.iter().rev().map(|it| self.entry_before(now, it)).collect();
        let mut first = before.last().cloned();
        let rollback = self.history.replace(running, before.into_iter(), lost);
        self.pending = None;
        if about.confirm > 0
            && let Some(before) = first.take()
        {
            let left = Duration::from_secs(about.confirm.into())
                .saturating_sub(Duration::from_millis(about.age));
            let deadline = now + left + LONGER;
            self.pending = Some(Pending { session: 0, deadline, before, elsewhere: true });
        }
        let by = by(&about.user, &about.node);
        self.events.push(match rollback {
            Some(rollback) => {
                let rollback = u32::try_from(rollback).unwrap_or(u32::MAX);
                Event::ConfigOverruled { revision: number, by, left, rollback }
            }
            None => Event::ConfigPulled { revision: number, by },
        });
    }

    fn entry(&self, now: Instant, number: u32, about: &About, text: String) -> Entry {
        let age = Duration::from_millis(about.age);
        let at = Instant::ZERO + now.since(Instant::ZERO).saturating_sub(age);
        let by = if about.node == self.name { String::new() } else { about.node.clone() };
        let face = match about.place {
            Place::Nowhere => None,
            Place::Serial => Some(Face::Serial),
            Place::Web => Some(Face::Web),
        };
        Entry {
            number,
            user: about.user.clone(),
            face,
            changes: about.changes as usize,
            confirmed: about.confirmed,
            by,
            ..Entry::returned(at, about.comment.clone(), text)
        }
    }

    fn entry_before(&self, now: Instant, before: &Before) -> Entry {
        self.entry(now, number(before.generation), &before.about, before.text.clone())
    }

    /// The candidate goes on from what its own session committed; every other one is outdated.
    fn rebase(&mut self, number: u32, about: &About) {
        let own = about.node == self.name;
        if let Some(lock) = self.lock.as_mut().filter(|lock| own && lock.session == about.session) {
            lock.begin_from_here(number);
        }
    }

    /// What is answered to who proposed a document. `name` gives the name of a node.
    pub fn decided(&self, decision: &Decision, name: impl Fn(base::NodeId) -> String) -> Reply {
        Reply::Refused(match decision {
            Decision::Committed => {
                let revision = self.history.running().number;
                let own = self.pending.as_ref().filter(|pending| !pending.elsewhere);
                let confirm_by = own.map(|pending| pending.deadline);
                return Reply::Committed { revision, saved: false, confirm_by };
            }
            Decision::Refused { by, why } => format!(
                "{} cannot carry it out, and nothing was changed anywhere: {why}",
                name(*by)
            ),
            Decision::Overtaken { by: Some(by) } => format!(
                "a commit at {} came first; nothing of yours was changed. When it is in force, \
                 `compare` shows how your candidate differs from it",
                name(*by)
            ),
            Decision::Overtaken { by: None } => {
                let running = self.history.running();
                let (number, who) = (running.number, by(&running.user, &running.by));
                format!(
                    "revision {number} by {who} came first; nothing of yours was changed. \
                     `compare` shows how your candidate differs from it"
                )
            }
            Decision::Unanswered { by } => {
                let names: Vec<_> = by.iter().map(name).collect();
                format!(
                    "nothing was changed anywhere, as there was no answer from {}; `show cluster` \
                     says whether they are heard",
                    if names.is_empty() { "the others".into() } else { names.join(", ") }
                )
            }
            Decision::Outside => "this box fell out of the cluster before the commit was agreed \
                 on: nothing was changed here. `show cluster` says how it stands"
                .into(),
        })
    }
}

/// The number of a revision: what the boxes start with is the first.
fn number(generation: u64) -> u32 {
    u32::try_from(generation.saturating_add(1)).unwrap_or(u32::MAX)
}

/// Who committed an entry of the history; empty: this box itself.
pub(super) fn by_whom(entry: &Entry) -> String {
    if entry.user.is_empty() && entry.by.is_empty() {
        return String::new();
    }
    by(&entry.user, &entry.by)
}

/// Who committed something, for people.
fn by(user: &str, node: &str) -> String {
    match (user, node) {
        ("", "") => "this box".into(),
        ("", node) => node.into(),
        (user, "") => user.into(),
        (user, node) => format!("{user} at {node}"),
    }
}

const fn place(face: Option<Face>) -> Place {
    match face {
        None => Place::Nowhere,
        Some(Face::Serial) => Place::Serial,
        Some(Face::Web) => Place::Web,
    }
}
