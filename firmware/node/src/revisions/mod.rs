//! The configuration as operators change it: one candidate under a lock, what is in force, what
//! was, and a commit that returns by itself unless it is confirmed.
//!
//! ```text
//!            enter                       commit
//!   Free ───────────> Locked: candidate ────────────> in force, next revision
//!    ^                  │    ^     │                        │
//!    │ exit, session    │    │     │ commit confirmed N     │
//!    └──────────────────┘    │     v                        │
//!                            └── in force, unconfirmed ─────┤ confirm, or commit again
//!                                       │                   v
//!                                       │              it stays
//!                                       └── N minutes or the session ended: the revision before
//! ```
//!
//! No clock, no disk: what is to be carried out is handed to the caller.

mod candidate;
mod history;
mod session;
mod shared;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base::Instant;
use base::time::Duration;
use model::config::document::{Document, diff};
use model::config::{Config, Node, Problem};
use model::event::Event;
use model::limits;
use model::operator::{Face, Origin, Reply, Request, Role, Topic};
use model::status::{Candidate, Unconfirmed};

use history::{Entry, History};
use session::{Lock, Sessions};
use shared::Lineage;

pub use shared::{Due, Proposal};

/// A configuration to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply {
    /// What is configured.
    pub config: Config,
    /// This node in it.
    pub node: Node,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The answer.
    pub reply: Reply,
    /// What is to be carried out; if that fails, [`Engine::undo`] says so.
    pub apply: Option<Apply>,
    /// What is to be agreed on with the other boxes first: the answer is theirs to give.
    pub propose: Option<Box<Proposal>>,
}

impl Outcome {
    const fn only(reply: Reply) -> Self {
        Self { reply, apply: None, propose: None }
    }
}

/// The configuration and its changes.
#[derive(Debug)]
pub struct Engine {
    /// Which node of the configuration this is.
    name: String,
    /// What the box started with, for a first document that says nothing by itself.
    start: Apply,
    history: History,
    sessions: Sessions,
    lock: Option<Lock>,
    /// Candidates that nobody gave up and nobody holds, the newest last.
    aside: Vec<Lock>,
    pending: Option<Pending>,
    /// What the last commit changed besides the history: whether what it followed was confirmed,
    /// and what waited to be. Until the commit is carried out it can be undone.
    last: Option<(bool, Option<Pending>)>,
    events: Vec<Event>,
    /// The document in force as the boxes of a cluster know it.
    lineage: Lineage,
}

/// Why a request about the candidate is not carried out.
enum Refusal {
    Why(String),
    Problems(Vec<Problem>),
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Why(why) => Self::Refused(why),
            Refusal::Problems(problems) => Self::Problems(problems),
        }
    }
}

/// A commit that waits to be confirmed.
#[derive(Clone, Debug)]
struct Pending {
    session: u64,
    deadline: Instant,
    /// What it returns to.
    before: Entry,
    /// It was committed at another box, which is to return from it.
    elsewhere: bool,
}

impl Engine {
    /// Begins with what the box started with: the document's text, and what of it is in force.
    pub fn new(now: Instant, text: String, start: Apply) -> Self {
        Self {
            name: start.node.name.clone(),
            start,
            lineage: Lineage::first(&text),
            history: History::new(Entry::first(now, text)),
            sessions: Sessions::default(),
            lock: None,
            aside: Vec::new(),
            pending: None,
            last: None,
            events: Vec::new(),
        }
    }

    /// The document in force.
    pub fn text(&self) -> &str {
        &self.history.running().text
    }

    /// Whether a request is about the configuration.
    pub const fn answers(request: &Request) -> bool {
        matches!(request.role(), Role::Configure)
            || matches!(
                request,
                Request::Show(
                    Topic::Config | Topic::Revisions | Topic::Sessions | Topic::Candidate
                )
            )
    }

    /// What a session asks for about the configuration. `None`: it is about something else.
    pub fn handle_request(
        &mut self,
        now: Instant,
        origin: &Origin,
        request: &Request,
    ) -> Option<Outcome> {
        self.sessions.seen(now, origin);
        let reply = match request {
            Request::Show(Topic::Config) => Reply::Config(self.shown(origin)),
            Request::Show(Topic::Revisions) => Reply::Revisions(self.history.shown()),
            Request::Show(Topic::Sessions) => {
                Reply::Sessions(self.sessions.shown(self.lock.as_ref().map(|lock| lock.session)))
            }
            Request::Show(Topic::Candidate) => Reply::Candidate(self.waiting()),
            Request::ConfigureEnter { take_over } => self.enter(now, origin, *take_over),
            Request::ConfigureExit { discard } => self.exit(origin, *discard),
            Request::Set { path, value } => {
                self.edit(origin, |lock| lock.change(|document| document.set(path, value)))
            }
            Request::Delete { path } => {
                self.edit(origin, |lock| lock.change(|document| document.delete(path)))
            }
            Request::ShowCandidate { path } => self.show(origin, path),
            Request::Compare => self.compare(origin),
            Request::CommitCheck => match self.checked(origin) {
                Ok(_) => Reply::Done("the candidate can be committed".into()),
                Err(refusal) => refusal.into(),
            },
            Request::Commit { confirmed, comment } => {
                return Some(self.commit(now, origin, *confirmed, comment));
            }
            Request::CommitConfirm if self.lineage.shared => {
                return Some(self.confirm_shared(now, origin));
            }
            Request::CommitConfirm => self.confirm(origin),
            Request::Rollback { number } => self.rollback(origin, *number),
            Request::Replace { text } => self.replace(origin, text),
            Request::Show(
                Topic::Ports
                | Topic::Vips
                | Topic::Services
                | Topic::Servers
                | Topic::Flows
                | Topic::Counters
                | Topic::Boot
                | Topic::Version
                | Topic::Log
                | Topic::Neighbors
                | Topic::Cluster,
            )
            | Request::Reboot
            | Request::PowerOff
            | Request::DrainServer { .. }
            | Request::MoveVip { .. }
            | Request::DrainNode { .. }
            | Request::Ping { .. }
            | Request::Capture { .. }
            | Request::Stop => return None,
        };
        Some(Outcome::only(reply))
    }

    /// A session asks for something that is not for this room.
    pub fn session_seen(&mut self, now: Instant, origin: &Origin) {
        self.sessions.seen(now, origin);
    }

    /// A session is over: it holds nothing any more, and what it committed and did not confirm
    /// returns.
    pub fn session_ended(&mut self, now: Instant, session: u64) -> Option<Due> {
        self.sessions.ended(session);
        self.give_up(session, "its session ended");
        let waits = self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.session == session && !pending.elsewhere);
        if waits { self.go_back(now, "its session ended") } else { None }
    }

    /// Nobody has been heard of in a session for a while: it keeps nobody else from changing the
    /// configuration any more.
    pub fn session_silent(&mut self, session: u64) {
        self.give_up(session, "nobody was there any more");
    }

    /// Returns to the revision before once the time to confirm is over.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        let due = self.pending.as_ref().is_some_and(|pending| pending.deadline <= now);
        if due { self.go_back(now, "nobody confirmed it in time") } else { None }
    }

    /// When [`Engine::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.deadline)
    }

    /// The last commit could not be carried out: it was never there.
    pub fn undo(&mut self) {
        if let Some((confirmed, pending)) = self.last.take() {
            self.history.undo(confirmed);
            self.pending = pending;
            self.events.clear();
        }
    }

    /// The next thing for the log.
    pub fn poll_event(&mut self) -> Option<Event> {
        (!self.events.is_empty()).then(|| self.events.remove(0))
    }

    /// Who changes the configuration, and what waits to be confirmed.
    fn waiting(&self) -> Candidate {
        let running = self.history.running();
        let unconfirmed = self.pending.as_ref().map(|pending| Unconfirmed {
            revision: running.number,
            session: pending.session,
            user: running.user.clone(),
            // Only people leave something unconfirmed.
            face: running.face.unwrap_or(Face::Serial),
            confirm_by: pending.deadline,
        });
        Candidate { holder: self.lock.as_ref().map(Lock::holder), unconfirmed }
    }

    /// The document in force, as somebody may see it.
    fn shown(&self, origin: &Origin) -> String {
        let text = self.text();
        if origin.role.may_change() { text.into() } else { without_hashes(text) }
    }

    /// The candidate as a configuration that this node can carry out.
    fn checked(&mut self, origin: &Origin) -> Result<(String, Config, Node), Refusal> {
        let name = self.name.clone();
        let lock = self.candidate(origin)?;
        let text = lock.text();
        let config = Config::parse(&text).map_err(Refusal::Problems)?;
        let Some(node) = config.node(&name).cloned() else {
            let known: Vec<_> = config.nodes.iter().map(|node| node.name.as_str()).collect();
            return Err(Refusal::Problems(alloc::vec![Problem {
                line: 1,
                column: 1,
                path: "node".into(),
                what: format!("there is no node \"{name}\", which this box is"),
                legal: format!("expected it besides {}", known.join(", ")),
            }]));
        };
        Ok((text, config, node))
    }

    fn commit(
        &mut self,
        now: Instant,
        origin: &Origin,
        confirmed: Option<u16>,
        comment: &str,
    ) -> Outcome {
        let only = Outcome::only;
        let others = |p: &&Pending| p.session != origin.session || p.elsewhere;
        if let Some(pending) = self.pending.as_ref().filter(others) {
            let left = pending.deadline.since(now).as_secs();
            let why = format!("a commit of another session waits to be confirmed, {left} s more");
            return only(Reply::Refused(why));
        }
        if confirmed.is_some_and(|minutes| !(1..=limits::CONFIRM_MINUTES).contains(&minutes)) {
            let most = limits::CONFIRM_MINUTES;
            return only(Reply::Refused(format!("expected 1 to {most} minutes to confirm")));
        }
        let (text, config, node) = match self.checked(origin) {
            Ok(checked) => checked,
            Err(refusal) => return only(refusal.into()),
        };
        let before = self.history.running().clone();
        if let Some(why) = self.outdated() {
            return only(Reply::Refused(why));
        }
        let document = Document::parse(&text).unwrap_or_default();
        let changes = diff(&before.document(), &document).len();
        let rewritten = self.lock.as_ref().is_some_and(|lock| lock.is_rewritten(&before.text));
        if changes == 0 && !rewritten && confirmed.is_none() {
            return only(match self.pending {
                Some(_) if self.lineage.shared => return self.confirm_shared(now, origin),
                Some(_) => self.confirm(origin),
                None => Reply::Done("nothing differs from what is in force".into()),
            });
        }
        let comment: String =
            comment.chars().filter(|c| !c.is_control()).take(limits::COMMENT_LETTERS).collect();
        if self.lineage.shared {
            let about = self.about(origin, comment, changes, confirmed);
            return self.propose(about, text, config, node);
        }
        self.last = Some((before.confirmed, self.pending.clone()));
        let deadline = confirmed.map(|minutes| now + Duration::from_secs(60 * u64::from(minutes)));
        let first = self.pending.take().map_or(before, |pending| pending.before);
        let session = origin.session;
        self.pending =
            deadline.map(|deadline| Pending { session, deadline, before: first, elsewhere: false });
        let apply = Apply { config, node };
        if deadline.is_none() {
            self.history.confirm();
        }
        let entry = Entry::committed(now, origin, comment, text);
        let revision = self.history.push(entry, changes, deadline.is_none());
        if let Some(lock) = &mut self.lock {
            lock.begin_from_here(revision);
        }
        let (user, unconfirmed) = (origin.user.clone(), deadline.is_some());
        self.events.push(Event::ConfigCommitted { revision, user, changes, unconfirmed });
        let reply = Reply::Committed { revision, saved: false, confirm_by: deadline };
        Outcome { reply, apply: Some(apply), propose: None }
    }

    fn confirm(&mut self, origin: &Origin) -> Reply {
        match &self.pending {
            None => Reply::Refused("no commit waits to be confirmed".into()),
            Some(pending) if pending.session != origin.session => {
                Reply::Refused("the session that made the commit has to confirm it".into())
            }
            Some(_) => {
                self.pending = None;
                self.history.confirm();
                let revision = self.history.running().number;
                self.events.push(Event::ConfigConfirmed { revision });
                Reply::Committed { revision, saved: false, confirm_by: None }
            }
        }
    }

    /// Returns to what was in force before the unconfirmed commit.
    fn go_back(&mut self, now: Instant, why: &str) -> Option<Due> {
        if self.lineage.shared {
            return self.go_back_together(now, why);
        }
        let Pending { before, .. } = self.pending.take()?;
        let left = self.history.running().number;
        let changes = diff(&self.history.running().document(), &before.document()).len();
        let comment = format!("returned from revision {left}: {why}");
        let apply = self.read(&before.text).unwrap_or_else(|| self.start.clone());
        let entry = Entry::returned(now, comment, before.text);
        let revision = self.history.push(entry, changes, true);
        self.events.push(Event::ConfigReturned { revision, left, reason: why.into() });
        Some(Due::Apply(Box::new(apply)))
    }

    /// What a document that was in force once says, or what of it can be used.
    fn read(&self, text: &str) -> Option<Apply> {
        let config = Config::parse(text).ok().or_else(|| Config::salvage(text, &self.name))?;
        let node = config.node(&self.name)?.clone();
        Some(Apply { config, node })
    }
}

/// A document without the hashes of passwords.
fn without_hashes(text: &str) -> String {
    let hidden = |line: &str| match line.split_once('=') {
        Some((key, _)) if key.trim() == "password" => format!("{key}= \"(hidden)\"\n"),
        Some(_) | None => format!("{line}\n"),
    };
    text.lines().map(hidden).collect()
}
