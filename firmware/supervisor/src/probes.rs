//! probes: the health checks in their thread, on a host stack of their own.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use base::ServerId;
use health::{Change, Outcome, Target};
use hoststack::Attachment;
use model::config::ServerState;
use model::status::Cause;
use netio::Wake;
use node::Plan;
use probe::Prober;

use crate::clock;
use crate::control::Verdict;
use crate::faces::send_all;
use crate::wiring::StackEnds;

/// Looks around this often at least.
const IDLE: Duration = Duration::from_secs(1);

/// What the probes thread works with.
pub struct Probes {
    prober: Prober,
    ends: StackEnds,
    verdicts: Sender<Verdict>,
    control: Arc<Wake>,
}

impl Probes {
    /// Checks the servers of a plan.
    pub fn new(
        plan: &Plan,
        attachments: Vec<Attachment>,
        ends: StackEnds,
        control: (Sender<Verdict>, Arc<Wake>),
        seed: u64,
    ) -> Self {
        let (verdicts, control) = control;
        let now = clock::now();
        let mut prober = Prober::new(now, attachments, seed);
        prober.set_targets(now, targets(plan));
        Self { prober, ends, verdicts, control }
    }

    /// Checks for ever.
    pub fn run(&mut self) {
        loop {
            let now = clock::now();
            for worker in &mut self.ends.from_workers {
                while let Ok(packet) = worker.pop() {
                    // Full: as on a wire.
                    let _ = self.prober.handle_packet(now, packet.network, &packet.bytes);
                }
            }
            self.prober.handle_timeout(now);
            if send_all(&mut self.ends, |out| self.prober.poll_transmit(now, out)) {
                self.ends.worker.wake.wake();
            }
            while let Some(change) = self.prober.poll_change() {
                self.pass_on(&change);
            }
            let now = clock::now();
            let next = self.prober.next_deadline(now).map_or(IDLE, |at| at.since(now));
            netio::wait(&[self.ends.wake.fd()], Some(next.min(IDLE)));
            self.ends.wake.drain();
        }
    }

    fn pass_on(&self, change: &Change) {
        let cause = match change.cause {
            Outcome::Succeeded { latency } => Cause::Answered(latency),
            Outcome::Refused => Cause::Refused,
            Outcome::TimedOut => Cause::TimedOut,
            Outcome::Unreachable => Cause::Unreachable,
            Outcome::Void => Cause::NotProbed,
        };
        // Control lives as long as the program.
        let _ = self.verdicts.send(Verdict { server: change.server, up: change.up, cause });
        self.control.wake();
    }
}

/// What is to be checked: the servers of pools with a check that the operator has not switched
/// off.
fn targets(plan: &Plan) -> Vec<Target> {
    let servers = plan.members().iter().enumerate().filter_map(|(id, member)| {
        let id = ServerId::from(id);
        let (pool, server) = plan.server(id)?;
        let check = pool.check?;
        let port = plan.config().probe_port(member.pool, server)?;
        let watched = match server.state {
            ServerState::Up | ServerState::Draining => true,
            ServerState::Down | ServerState::Disabled => false,
        };
        watched.then_some(Target {
            server: id,
            address: server.address,
            port,
            interval: check.interval,
            timeout: check.timeout,
            rise: check.rise,
            fall: check.fall,
        })
    });
    servers.collect()
}
