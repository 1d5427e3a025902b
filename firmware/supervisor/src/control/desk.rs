//! The configuration's engine, and the thread that does with it what takes long.
//!
//! Reading, comparing or writing the largest document takes tenths of a second on a small box.
//! While control stood still for that the box would send no heartbeats, and others would take over
//! what it serves. So control lends the engine to the thread of documents and goes on; whoever
//! asks for something of the engine meanwhile waits, in the order in which they asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use base::{Instant, NodeId};
use cluster::config::Record;
use model::config::{Config, Newcomer, Node};
use model::event::Event;
use model::operator::{Reply, Role};
use model::status;
use netio::Wake;
use node::revisions::{Due, Engine, Outcome, Proposal};
use web::Gone;

use super::documents::{may_wait, read, unanswered};
use super::questions::deliver;
use super::{Answer, ControlThread, Question, State};
use crate::clock;
use crate::faces::Order;

/// Questions that wait for the engine.
const WAITING: usize = 64;

/// Where the engine is when control has it.
pub struct Desk {
    /// `None`: it is lent.
    engine: Option<Box<Engine>>,
    /// What was known of the document in force when the engine was lent.
    document: status::Document,
    jobs: Sender<Job>,
    results: Receiver<Finished>,
    /// Came back and was not looked at.
    finished: VecDeque<News>,
    waiting: VecDeque<Question>,
}

/// The thread of documents.
pub struct Clerk {
    jobs: Receiver<Job>,
    results: Sender<Finished>,
    control: Arc<Wake>,
}

/// What takes long.
enum Job {
    /// What somebody asks of the engine.
    Ask(Box<Engine>, Box<Question>),
    /// Sessions that nobody is in any more, and commits that nobody confirmed.
    Look(Box<Engine>, Vec<(u64, Gone)>),
    /// A document of another box, which this one is in by that name.
    Read(Arc<Record>, NodeId, String),
    /// A box that comes to the cluster.
    Enter(Box<Engine>, Newcomer),
}

/// What came of it, and the engine back.
struct Finished {
    engine: Option<Box<Engine>>,
    news: News,
}

/// What came of a job.
enum News {
    Asked(Box<Question>, Box<Option<Outcome>>),
    Looked(Vec<Due>),
    Read(Arc<Record>, NodeId, Box<Result<(Config, Node), String>>),
    Entered(Box<Result<Proposal, String>>),
}

/// A desk with an engine at it, and the thread that it is lent to. `control` wakes control.
pub fn desk(engine: Engine, control: Arc<Wake>) -> (Desk, Clerk) {
    let (jobs, to_do) = channel();
    let (done, results) = channel();
    let desk = Desk {
        document: engine.shown_document(),
        engine: Some(Box::new(engine)),
        jobs,
        results,
        finished: VecDeque::new(),
        waiting: VecDeque::new(),
    };
    (desk, Clerk { jobs: to_do, results: done, control })
}

impl Clerk {
    /// Does what takes long, for ever.
    pub fn run(self) {
        while let Ok(job) = self.jobs.recv() {
            // Control lives as long as the program.
            let _ = self.results.send(job.done(clock::now()));
            self.control.wake();
        }
    }
}

impl Job {
    fn done(self, now: Instant) -> Finished {
        match self {
            Self::Ask(mut engine, question) => {
                let outcome = engine.handle_request(now, &question.origin, &question.request);
                Finished { engine: Some(engine), news: News::Asked(question, Box::new(outcome)) }
            }
            Self::Look(mut engine, gone) => {
                let mut due = Vec::new();
                for (session, gone) in gone {
                    match gone {
                        Gone::Silent => engine.session_silent(session),
                        Gone::Over => due.extend(engine.session_ended(now, session)),
                    }
                }
                due.extend(engine.handle_timeout(now));
                Finished { engine: Some(engine), news: News::Looked(due) }
            }
            Self::Read(record, from, name) => {
                let verdict = Box::new(read(&record, &name));
                Finished { engine: None, news: News::Read(record, from, verdict) }
            }
            Self::Enter(engine, newcomer) => {
                let proposal = Box::new(engine.let_in(now, &newcomer));
                Finished { engine: Some(engine), news: News::Entered(proposal) }
            }
        }
    }
}

impl Desk {
    /// The engine, if it is at home.
    pub fn home(&mut self) -> Option<&mut Engine> {
        self.engine.as_deref_mut()
    }

    /// Does something with the engine, waiting for it if it is lent: what another box has put in
    /// force comes before anything else. That the two meet is rare.
    pub fn with<T>(&mut self, act: impl FnOnce(&mut Engine) -> T) -> T {
        loop {
            if let Some(engine) = &mut self.engine {
                return act(engine);
            }
            match self.results.recv() {
                Ok(finished) => self.take(finished),
                // The thread of documents has died, and with it the program ends.
                Err(_) => std::thread::park(),
            }
        }
    }

    /// When the engine has something to do, if it is at home.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.engine.as_ref().and_then(|engine| engine.next_deadline())
    }

    /// What is shown of the document in force.
    pub fn document(&self) -> status::Document {
        let engine = self.engine.as_ref();
        engine.map_or_else(|| self.document.clone(), |engine| engine.shown_document())
    }

    fn lend(&mut self, job: impl FnOnce(Box<Engine>) -> Job) {
        let Some(engine) = self.engine.take() else { return };
        self.document = engine.shown_document();
        // If the thread of documents has died, the program ends.
        let _ = self.jobs.send(job(engine));
    }

    /// Has a document of another box read.
    pub fn read(&self, record: Arc<Record>, from: NodeId, name: &str) {
        // If the thread of documents has died, the program ends.
        let _ = self.jobs.send(Job::Read(record, from, name.to_owned()));
    }

    /// Has the document made that lets a box in, if the engine is at home.
    pub fn enter(&mut self, newcomer: Newcomer) -> bool {
        let home = self.engine.is_some();
        self.lend(|engine| Job::Enter(engine, newcomer));
        home
    }

    /// What a session asked before it ended is not begun any more.
    fn refuse(&mut self, session: u64) {
        for question in std::mem::take(&mut self.waiting) {
            if question.origin.session == session {
                deliver(question, Reply::Refused("the session that asked is over".into()));
            } else {
                self.waiting.push_back(question);
            }
        }
    }

    fn take(&mut self, Finished { engine, news }: Finished) {
        if engine.is_some() {
            self.engine = engine;
        }
        self.finished.push_back(news);
    }

    /// What has come of something.
    fn poll(&mut self) -> Option<News> {
        while let Ok(finished) = self.results.try_recv() {
            self.take(finished);
        }
        self.finished.pop_front()
    }
}

impl ControlThread {
    /// Goes on with what the thread of documents has done, and with those who waited for it.
    pub(super) fn look_at_desk(&mut self, now: Instant, state: &State) {
        while let Some(news) = self.desk.poll() {
            match news {
                News::Asked(question, outcome) => self.answered(*question, *outcome, now, state),
                News::Looked(due) => self.carry_out(due, now, state),
                News::Read(record, from, verdict) => {
                    self.judged(now, &record, from, *verdict, state);
                }
                News::Entered(proposal) => self.propose_newcomer(now, *proposal, state),
            }
        }
        self.look_at_sessions(now);
        while self.desk.engine.is_some()
            && let Some(question) = self.desk.waiting.pop_front()
        {
            self.ask_engine(question, now, state);
        }
        while let Some(event) = self.desk.home().and_then(Engine::poll_event) {
            self.journal.note(&event);
        }
    }

    /// Hears of sessions that nobody is in any more, and of commits that nobody confirmed.
    fn look_at_sessions(&mut self, now: Instant) {
        if self.desk.engine.is_none() {
            return;
        }
        let gone: Vec<_> = self.ended.try_iter().collect();
        for (session, gone) in &gone {
            if *gone == Gone::Over {
                // Full: what goes on ends by itself.
                let _ = self.orders.try_send(Order::Stop(*session));
                self.desk.refuse(*session);
            }
        }
        if !gone.is_empty() || self.desk.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.desk.lend(|engine| Job::Look(engine, gone));
        }
    }

    /// Puts back in force what was before a commit that nobody confirmed.
    fn carry_out(&mut self, due: Vec<Due>, now: Instant, state: &State) {
        for due in due {
            let done = match due {
                Due::Apply(apply) => self.apply(now, *apply, state).map_err(|why| why.to_string()),
                // It is proposed again until it is in force.
                Due::Propose(proposal) => self.propose(now, *proposal, state).map(drop),
            };
            if let Err(first) = done {
                let document = "the revision before".into();
                self.journal.note(&Event::ConfigFailed { document, problems: 1, first });
            }
        }
    }

    /// Answers a question about the configuration: at once if it takes no time, and otherwise when
    /// the thread of documents has done what it takes.
    pub(super) fn ask_engine(&mut self, question: Question, now: Instant, state: &State) {
        let Some(engine) = self.desk.engine.as_mut() else {
            if self.desk.waiting.len() < WAITING {
                return self.desk.waiting.push_back(question);
            }
            return deliver(question, Reply::Refused("the box is busy, ask again".into()));
        };
        // Whatever only shows does not look into documents.
        if question.request.role() == Role::Configure {
            return self.desk.lend(|engine| Job::Ask(engine, Box::new(question)));
        }
        let outcome = engine.handle_request(now, &question.origin, &question.request);
        self.answered(question, outcome, now, state);
    }

    /// Carries out what the engine has answered.
    fn answered(
        &mut self,
        question: Question,
        outcome: Option<Outcome>,
        now: Instant,
        state: &State,
    ) {
        let confers = may_wait(&question.request);
        match outcome.map(|outcome| self.settle(outcome, now, state)) {
            Some(Answer::Later(id)) => self.wait_for_decision(id, question),
            Some(Answer::Now(reply)) => deliver(question, reply),
            None => deliver(question, unanswered()),
        }
        if confers {
            self.confer(now, state);
        }
    }
}
