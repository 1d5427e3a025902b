//! control: `node::Control` in its thread, and nothing that can take long.

mod captures;
mod desk;
pub mod documents;
mod errands;
mod load;
pub mod membership;
mod newcomers;
mod parting;
mod questions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::time::Duration;

use base::{Instant, ServerId};
use cluster::config::DocumentId;
use dataplane::tables::Owner;
use model::limits;
use model::operator::{Origin, Reply, Request, Topic};
use model::status::{Cause, Version};
use netio::Wake;
use node::membership::Wanted;
use node::revisions::{Apply, Engine, Outcome};
use node::status::Measured;
use node::{Control, Exhausted, Said};
use tokio::sync::mpsc;
use web::Gone;

use crate::clock;
use crate::faces::Order;
use crate::forward::empty_measurements;
use crate::journal::Journal;
use crate::others::Others;
use crate::ports::{Change, Doors};
use crate::wiring::{ControlEnds, PortChange, Progress};

pub use desk::{Desk, desk};
pub use parting::Ending;

/// Without anything to do control looks around this often: the proof that it makes progress.
const IDLE: Duration = Duration::from_millis(500);
/// A request is answered with old measurements when a worker takes longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Unless the engine forgets one of its requests nobody reads this.
const UNANSWERED: &str = "nothing here answers that, please report it";

/// A verdict on a server.
pub struct Verdict {
    /// Which.
    pub server: ServerId,
    /// It works.
    pub up: bool,
    /// Why.
    pub cause: Cause,
}

/// What an operator asks, and where the answer goes.
pub struct Question {
    /// Who.
    pub origin: Origin,
    /// What.
    pub request: Request,
    /// Where to.
    pub answer: Sender<Reply>,
    /// Wakes who waits for it.
    pub wake: Arc<Wake>,
}

/// What the control thread works with.
pub struct ControlThread {
    /// The node's control.
    pub control: Control,
    /// The ports.
    pub doors: Doors,
    /// Each worker's ends.
    pub workers: Vec<ControlEnds>,
    /// Wakes this thread.
    pub wake: Arc<Wake>,
    /// From the probes.
    pub verdicts: Receiver<Verdict>,
    /// From consoles.
    pub questions: Receiver<Question>,
    /// To the faces: what goes on for a while.
    pub orders: mpsc::Sender<Order>,
    /// The capture that is under way.
    pub running: Option<captures::Running>,
    /// From consoles: sessions that nobody is in any more.
    pub ended: Receiver<(u64, Gone)>,
    /// The configuration and its changes.
    pub desk: Desk,
    /// The other threads that carry it out.
    pub others: Others,
    /// How far control has come.
    pub progress: Arc<Progress>,
    /// This box as a member of a cluster of several.
    pub member: Option<membership::Membership>,
    /// What waits for the other boxes.
    pub waiting: documents::Waiting,
    /// Where events go.
    pub journal: Journal,
    /// What runs here, but for the time.
    pub version: Version,
    /// How the box is to end.
    pub ending: Arc<Ending>,
}

/// The ends that consoles hold.
pub type Asker = SyncSender<Question>;

impl ControlThread {
    /// Controls for ever.
    pub fn run(mut self) -> ! {
        let mut state = State::new(&self);
        self.ending.set_control(self.wake.clone());
        loop {
            let now = clock::now();
            self.progress.made(now);
            self.hear_workers(now);
            self.hear_ports(now, &mut state);
            self.hear_probes(now);
            self.confer(now, &state);
            self.control.handle_timeout(now);
            self.look_at_desk(now, &state);
            self.look_at_capture();
            self.publish(now, &mut state);
            self.say();
            self.hear_operators(now, &mut state);
            self.answer(now, &mut state);
            self.look_at_load(now, &mut state);
            self.part(now, &mut state.parting);
            self.sleep(&state);
        }
    }

    fn hear_workers(&mut self, now: Instant) {
        for (number, worker) in self.workers.iter_mut().enumerate() {
            // What comes meanwhile is for the next round: a flood of events must not keep control
            // from everything else.
            for _ in 0..worker.events.slots() {
                let Ok(event) = worker.events.pop() else { break };
                if let Some(member) = &mut self.member {
                    member.handle_neighbor(now, &self.control, &event);
                }
                self.control.handle_event(now, event);
            }
            for _ in 0..worker.notes.slots() {
                let Ok(note) = worker.notes.pop() else { break };
                if let Some(member) = &mut self.member {
                    member.handle_note(now, number, &note);
                }
            }
            // Freed here, so that forwarders free nothing.
            while worker.retired.pop().is_ok() {}
        }
    }

    fn hear_ports(&mut self, now: Instant, state: &mut State) {
        self.doors.handle(now);
        let mut changed = false;
        while let Some(change) = self.doors.poll() {
            match change {
                Change::Attached(port, attached) => {
                    self.control.handle_port(now, port, attached);
                    self.tell_member(port, attached);
                    changed = true;
                }
                Change::Door(worker, change) => state.doors.push_back((worker, change)),
                Change::Event(event) => self.journal.note(&event),
            }
        }
        if changed {
            self.others.renew_probes(self.control.plan(), self.control.attached());
        }
        while let Some((worker, change)) = state.doors.pop_front() {
            let Some(ends) = self.workers.get_mut(worker) else { continue };
            match ends.ports.push(change) {
                Ok(()) => ends.shared.wake.wake(),
                Err(rtrb::PushError::Full(change)) => {
                    state.doors.push_front((worker, change));
                    break;
                }
            }
        }
    }

    fn hear_probes(&mut self, now: Instant) {
        while let Ok(verdict) = self.verdicts.try_recv() {
            self.control.handle_server(now, verdict.server, verdict.up, verdict.cause);
        }
    }

    /// Gives new tables to every worker.
    fn publish(&mut self, now: Instant, state: &mut State) {
        if let Some(tables) = self.control.poll_tables(now) {
            for pending in &mut state.tables {
                *pending = Some(Box::new(tables.clone()));
            }
        }
        for (worker, pending) in self.workers.iter_mut().zip(&mut state.tables) {
            let Some(tables) = pending.take() else { continue };
            match worker.tables.push(tables) {
                Ok(()) => worker.shared.wake.wake(),
                Err(rtrb::PushError::Full(tables)) => *pending = Some(tables),
            }
        }
        if !state.serving && state.tables.iter().all(Option::is_none) {
            self.announce_service(state);
        }
    }

    /// Stamps the milestone once every port that serves a VIP works.
    fn announce_service(&self, state: &mut State) {
        let plan = self.control.plan();
        let vips = plan.config().vips.iter();
        let ports = vips.filter_map(|vip| plan.port_of(vip.network));
        let up: Vec<bool> = ports
            .map(|port| self.control.attached().get(port.index()).is_some_and(|a| a.up))
            .collect();
        let agreed = plan.vips().iter().all(|vip| vip.owner != Owner::Nobody);
        if !up.is_empty() && up.iter().all(|&up| up) && agreed {
            state.serving = true;
            let served = plan.vips().iter().filter(|vip| vip.owner == Owner::Us).count();
            self.journal.boot("serving", format!("{served} VIPs"));
        }
    }

    fn say(&mut self) {
        let mut spoke = false;
        while let Some(said) = self.control.poll_said() {
            match said {
                Said::Event(event) => self.journal.note(&event),
                Said::Transmit(port, frame, lease) => {
                    // Full: the frame is lost; questions and announcements are repeated.
                    spoke |= self.workers[0].frames.push((port, frame, lease)).is_ok();
                }
            }
        }
        if spoke {
            self.workers[0].shared.wake.wake();
        }
    }

    fn reply(&mut self, question: &Question, now: Instant, state: &State) -> Reply {
        let Question { origin, request, .. } = question;
        let topic = match request {
            Request::Show(topic) => *topic,
            Request::Reboot => {
                self.ending.ask(Ending::REBOOT);
                return Reply::Done("the box starts again".into());
            }
            Request::PowerOff => {
                self.ending.ask(Ending::POWER_OFF);
                return Reply::Done("the box goes off".into());
            }
            Request::DrainServer { pool, server, drain } => {
                return self.drain(now, pool, server, *drain);
            }
            Request::MoveVip { vip, node } => {
                return self.ask_cluster(now, origin, Wanted::Move { vip, to: node });
            }
            Request::DrainNode { node, drain: true } => {
                return self.ask_cluster(now, origin, Wanted::Drain(node));
            }
            Request::DrainNode { node, drain: false } => {
                return self.ask_cluster(now, origin, Wanted::Restore(node));
            }
            Request::Ping { .. }
            | Request::Capture { .. }
            | Request::Stop
            | Request::ConfigureEnter { .. }
            | Request::ConfigureExit { .. }
            | Request::Set { .. }
            | Request::Delete { .. }
            | Request::ShowCandidate { .. }
            | Request::Compare
            | Request::CommitCheck
            | Request::Commit { .. }
            | Request::CommitConfirm
            | Request::Rollback { .. }
            | Request::Replace { .. } => return Reply::Refused(UNANSWERED.into()),
        };
        let (control, measured) = (&self.control, &state.measured);
        match topic {
            Topic::Ports => Reply::Ports(control.show_ports(measured)),
            Topic::Vips => Reply::Vips(self.show_vips(now, measured)),
            Topic::Services => Reply::Services(control.show_services(measured)),
            Topic::Servers => Reply::Servers(control.show_servers(measured)),
            Topic::Flows => Reply::Flows(measured.flows.clone()),
            Topic::Counters => Reply::Counters(control.show_counters(measured)),
            Topic::Boot => Reply::Boot(self.journal.boot_steps()),
            Topic::Version => {
                Reply::Version(Version { uptime: now.since(Instant::ZERO), ..self.version.clone() })
            }
            Topic::Log => Reply::Log(self.journal.entries()),
            Topic::Neighbors => Reply::Neighbors(control.show_neighbors()),
            Topic::Cluster => Reply::Cluster(Box::new(self.show_cluster(now, &state.load.vips))),
            Topic::Config | Topic::Revisions | Topic::Sessions | Topic::Candidate => {
                Reply::Refused(UNANSWERED.into())
            }
        }
    }

    fn drain(&mut self, now: Instant, pool: &str, server: &str, drain: bool) -> Reply {
        if !self.control.drain(now, pool, server, drain) {
            return Reply::Refused(format!("there is no server {pool}/{server}"));
        }
        Reply::Done(if drain {
            format!("{pool}/{server} gets no new flows until the next commit or restart")
        } else {
            format!("{pool}/{server} is as configured")
        })
    }

    /// Carries out what comes of a request.
    fn settle(&mut self, outcome: Outcome, now: Instant, state: &State) -> Answer {
        let Outcome { reply, apply, propose } = outcome;
        if let Some(proposal) = propose {
            return match self.propose(now, *proposal, state) {
                Ok(id) => Answer::Later(id),
                Err(why) => Answer::Now(Reply::Refused(why)),
            };
        }
        let refused = apply.as_ref().and_then(|apply| self.refuse_alone(&apply.config));
        if let Some(sentence) = refused {
            self.desk.with(Engine::undo);
            return Answer::Now(Reply::Refused(sentence));
        }
        let Some(Err(why)) = apply.map(|apply| self.apply(now, apply, state)) else {
            return Answer::Now(reply);
        };
        self.desk.with(Engine::undo);
        Answer::Now(Reply::Refused(why.to_string()))
    }

    /// Answers a question, at once or when what it takes has been done.
    fn answer_one(&mut self, question: Question, now: Instant, state: &State) {
        if Engine::answers(&question.request) {
            return self.ask_engine(question, now, state);
        }
        if let Some(engine) = self.desk.home() {
            engine.session_seen(now, &question.origin);
        }
        let reply = self.reply(&question, now, state);
        questions::deliver(question, reply);
    }

    /// Another configuration, for everybody who carries out a part of it.
    fn apply(&mut self, now: Instant, apply: Apply, state: &State) -> Result<(), Exhausted> {
        if let Some(member) = &self.member {
            self.control.keep_servers(member.servers());
        }
        self.control.reconfigure(now, apply.config, apply.node, &state.measured)?;
        self.copy_anew(now);
        let plan = self.control.plan();
        self.doors.reconfigure(now, plan);
        self.others.renew(plan, self.control.attached());
        self.version.cluster.clone_from(&plan.config().cluster.name);
        Ok(())
    }

    fn sleep(&self, state: &State) {
        let member = self.member.as_ref();
        let deadlines = [
            self.control.next_deadline(),
            self.doors.next_deadline(),
            self.desk.next_deadline(),
            member.and_then(membership::Membership::next_deadline),
            member.map(|_| state.load.due()),
        ];
        let now = clock::now();
        let next = deadlines.into_iter().flatten().min().map_or(IDLE, |at| at.since(now));
        let blocked = state.tables.iter().any(Option::is_some) || !state.doors.is_empty();
        let parting = self.ending.is_parting();
        let limit = if parting || blocked || !state.waiting.is_empty() {
            Duration::from_millis(5)
        } else {
            IDLE
        };
        let mut fds = vec![self.wake.fd()];
        fds.extend(self.doors.fd());
        fds.extend(member.into_iter().flat_map(membership::Membership::fds));
        netio::wait(&fds, Some(next.min(limit)));
        self.wake.drain();
    }
}

/// What comes of a request that may have to be agreed on.
enum Answer {
    /// This.
    Now(Reply),
    /// What becomes of this document.
    Later(DocumentId),
}

/// What the loop carries from round to round.
struct State {
    /// Tables that a worker has no room for yet.
    tables: Vec<Option<Box<dataplane::Tables>>>,
    /// Doors that a worker has no room for yet.
    doors: VecDeque<(usize, PortChange)>,
    /// Questions that wait for measurements.
    waiting: VecDeque<(Instant, Question)>,
    measured: Measured,
    /// The milestone is stamped.
    serving: bool,
    parting: parting::Parting,
    /// For how long the busiest worker has had frames to look at.
    busy: Duration,
    load: load::Load,
}

impl State {
    fn new(thread: &ControlThread) -> Self {
        let sum = empty_measurements(limits::SERVICES, limits::SERVERS);
        Self {
            tables: thread.workers.iter().map(|_| None).collect(),
            doors: VecDeque::new(),
            waiting: VecDeque::new(),
            measured: Measured {
                counters: sum.counters,
                flows: sum.flows,
                ports: sum.ports,
                generation: 0,
            },
            serving: false,
            parting: parting::Parting::default(),
            busy: Duration::ZERO,
            load: load::Load::default(),
        }
    }
}
