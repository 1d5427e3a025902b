//! Operators' questions: who may ask, and who waits until the workers have measured.

use std::sync::atomic::Ordering;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use base::Instant;
use model::operator::{Reply, Request, Topic};

use super::{ControlThread, PATIENCE, Question, State};

impl ControlThread {
    pub(super) fn hear_operators(&mut self, now: Instant, state: &mut State) {
        loop {
            match self.questions.try_recv() {
                Ok(question) if question.origin.role < question.request.role() => {
                    let reply = forbidden(&question);
                    deliver(question, reply);
                }
                Ok(question) if needs_measurements(&question.request) => {
                    for worker in &self.workers {
                        worker.shared.wanted.store(true, Ordering::Release);
                        worker.shared.wake.wake();
                    }
                    state.waiting.push_back((now, question));
                }
                Ok(question) => {
                    let Some(question) = self.hand_over(now, question) else { continue };
                    self.answer_one(question, now, state);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Answers those who waited for measurements.
    pub(super) fn answer(&mut self, now: Instant, state: &mut State) {
        while let Some((since, _)) = state.waiting.front() {
            let fresh = self.workers.iter().all(|w| !w.shared.wanted.load(Ordering::Acquire));
            if !fresh && now.since(*since) < PATIENCE {
                return;
            }
            if fresh {
                self.collect(state);
            }
            if let Some((_, question)) = state.waiting.pop_front() {
                self.answer_one(question, now, state);
            }
        }
    }

    /// Adds up what the workers measured.
    pub(super) fn collect(&self, state: &mut State) {
        let sum = &mut state.measured;
        sum.counters.clear();
        sum.flows.capacity = 0;
        sum.flows.states.iter_mut().for_each(|counter| counter.value = 0);
        sum.ports.iter_mut().for_each(|port| *port = Default::default());
        let mut oldest = None;
        state.busy = Duration::ZERO;
        for worker in &self.workers {
            let Ok(place) = worker.shared.measured.lock() else { continue };
            let Some(measured) = place.as_ref() else { continue };
            sum.counters.add(&measured.counters);
            state.busy = state.busy.max(measured.busy);
            sum.flows.capacity += measured.flows.capacity;
            oldest =
                Some(oldest.map_or(measured.generation, |it: u32| it.min(measured.generation)));
            for (sum, more) in sum.flows.states.iter_mut().zip(&measured.flows.states) {
                sum.value += more.value;
            }
            for (sum, more) in sum.ports.iter_mut().zip(&measured.ports) {
                sum.present |= more.present;
                sum.received.frames += more.received.frames;
                sum.received.octets += more.received.octets;
                sum.sent.frames += more.sent.frames;
                sum.sent.octets += more.sent.octets;
                sum.dropped += more.dropped;
                sum.unsent += more.unsent;
            }
        }
        sum.generation = oldest.unwrap_or(0);
    }
}

/// Whoever asked may not.
fn forbidden(question: &Question) -> Reply {
    let (role, needed) = (question.origin.role, question.request.role());
    Reply::Refused(format!("the role {role} may not do this, it takes {needed}"))
}

fn needs_measurements(request: &Request) -> bool {
    match request {
        Request::Show(
            Topic::Ports
            | Topic::Vips
            | Topic::Services
            | Topic::Servers
            | Topic::Flows
            | Topic::Counters,
        )
        // Which numbers are free depends on who has flows.
        | Request::Commit { .. } => true,
        Request::Show(
            Topic::Boot
            | Topic::Version
            | Topic::Config
            | Topic::Log
            | Topic::Revisions
            | Topic::Sessions
            | Topic::Candidate
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
        | Request::Stop
        | Request::ConfigureEnter { .. }
        | Request::ConfigureExit { .. }
        | Request::Set { .. }
        | Request::Delete { .. }
        | Request::ShowCandidate { .. }
        | Request::Compare
        | Request::CommitCheck
        | Request::CommitConfirm
        | Request::Rollback { .. }
        | Request::Replace { .. } => false,
    }
}

pub(super) fn deliver(question: Question, reply: Reply) {
    // Who asked may have gone.
    let _ = question.answer.send(reply);
    question.wake.wake();
}
