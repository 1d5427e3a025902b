//! probes: the health checks in their thread, on a host stack of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use base::PortId;
use health::{Change, Outcome, Target};
use hoststack::Attachment;
use model::status::Cause;
use netio::Wake;
use node::{Attached, Plan};
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
    /// From control, when the configuration changes.
    renewals: Receiver<Renewal>,
}

/// Other servers to check, or other networks to check them from.
pub struct Renewal {
    /// What is to be checked.
    pub targets: Vec<Target>,
    /// The node's places on its networks.
    pub attachments: Vec<Attachment>,
}

impl Probes {
    /// Checks nothing until control says what.
    pub fn new(
        attachments: Vec<Attachment>,
        ends: StackEnds,
        control: (Sender<Verdict>, Arc<Wake>, Receiver<Renewal>),
        seed: u64,
    ) -> Self {
        let (verdicts, control, renewals) = control;
        let prober = Prober::new(clock::now(), attachments, seed);
        Self { prober, ends, verdicts, control, renewals }
    }

    /// Checks for ever.
    pub fn run(&mut self) {
        loop {
            let now = clock::now();
            // The last one counts.
            if let Some(Renewal { targets, attachments }) = self.renewals.try_iter().last() {
                self.prober.reconfigure(now, attachments);
                self.prober.set_targets(now, targets);
            }
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
/// off, and that a port leads to which is up.
pub fn targets(plan: &Plan, ports: &[Attached]) -> Vec<Target> {
    let up = |port: PortId| ports.get(port.index()).is_some_and(|port| port.up);
    let servers = plan.servers_in_order().into_iter().filter_map(|id| {
        let (_, server) = plan.server(id)?;
        // One behind a gateway is asked by whatever port is up.
        let network = plan.config().network_of(server.address);
        let way = match network.and_then(|network| plan.port_of(network)) {
            Some(port) => up(port),
            None => (0..ports.len()).map(PortId::from).any(up),
        };
        if !way {
            return None;
        }
        let (check, port) = plan.probe(id)?;
        Some(Target {
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
