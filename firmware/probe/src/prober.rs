//! The driver of TCP checks.

use crate::{ATTEMPTS, LOCAL_PORTS};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use base::time::Duration;
use base::{Instant, NetworkId, ServerId};
use core::net::SocketAddr;
use health::{Change, Health, Outcome, Probe, Status, Target};
use hoststack::{
    Attachment, Capacity, ConnectError, Connection, ConnectionState, End, Event, Full, HostStack,
};

/// Every attempt of every probe may be under way.
const CAPACITY: Capacity = Capacity::PROBES;

/// A probe under way.
#[derive(Debug)]
struct Check {
    remote: SocketAddr,
    /// Each attempt with its start.
    attempts: ArrayVec<(Connection, Instant), ATTEMPTS>,
    /// When the next attempt is due, if there is one left.
    next: Instant,
    gap: Duration,
}

impl Check {
    fn next_attempt(&self) -> Option<Instant> {
        (!self.attempts.is_full()).then_some(self.next)
    }
}

/// Watches servers by opening TCP connections to them; see the crate's documentation.
pub struct Prober {
    health: Health,
    stack: HostStack,
    /// By the number that `health` gave.
    checks: BTreeMap<u64, Check>,
    owners: BTreeMap<Connection, u64>,
    /// What [`Prober::next_deadline`] said last.
    announced: Option<Instant>,
    /// How much later than announced the calls since then were at most.
    delay: Duration,
}

impl Prober {
    /// Watches nothing yet. The seed decides jitter, ports and sequence numbers.
    pub fn new(now: Instant, attachments: Vec<Attachment>, seed: u64) -> Self {
        let stack =
            HostStack::with_capacity(now, attachments, LOCAL_PORTS, seed.rotate_left(32), CAPACITY);
        Self {
            health: Health::new(seed),
            stack,
            checks: BTreeMap::new(),
            owners: BTreeMap::new(),
            announced: None,
            delay: Duration::ZERO,
        }
    }

    /// Replaces what is watched; see [`Health::set_targets`] for what of it is kept.
    pub fn set_targets(&mut self, now: Instant, targets: Vec<Target>) {
        self.health.set_targets(now, targets);
        self.settle(now);
    }

    /// Replaces the node's networks and addresses. Probes whose address went are void.
    pub fn reconfigure(&mut self, now: Instant, attachments: Vec<Attachment>) {
        self.stack.reconfigure(now, attachments);
        self.settle(now);
    }

    /// Takes an IP packet for one of [`LOCAL_PORTS`], or an ICMP error.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        network: NetworkId,
        packet: &[u8],
    ) -> Result<(), Full> {
        self.note_delay(now);
        let taken = self.stack.handle_packet(now, network, packet);
        // Before the stack can answer: a SYN-ACK is to be met with a reset.
        self.hear(now);
        taken
    }

    /// Lets time pass. To be called after the packets that have arrived until `now` were handed
    /// in, for what is in them still counts.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.note_delay(now);
        self.announced = None;
        let delay = core::mem::take(&mut self.delay);
        self.stack.handle_timeout(now);
        self.hear(now);
        self.health.handle_delay(now, delay);
        self.health.handle_timeout(now);
        self.settle(now);
    }

    /// The next packet to send, and where: its length in `out`.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<(NetworkId, usize)> {
        loop {
            let packet = self.stack.poll_transmit(now, out);
            if packet.is_some() || !self.hear(now) {
                return packet;
            }
        }
    }

    /// The next verdict.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.health.poll_event()
    }

    /// When [`Prober::handle_timeout`] is due at the latest.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let attempts = self.checks.values().filter_map(Check::next_attempt).min();
        let deadlines = [self.stack.next_deadline(now), self.health.next_deadline(), attempts];
        self.announced = deadlines.into_iter().flatten().min();
        self.announced
    }

    /// What is known of a server; nothing of one that is not watched.
    pub fn status(&self, server: ServerId) -> Option<Status> {
        self.health.status(server)
    }

    /// Probes under way: at most [`IN_FLIGHT`].
    pub fn in_flight(&self) -> usize {
        self.health.in_flight()
    }

    /// Connections under way: at most [`ATTEMPTS`] for each probe, and the last resets.
    pub fn sockets(&self) -> usize {
        self.stack.sockets()
    }

    fn note_delay(&mut self, now: Instant) {
        if let Some(announced) = self.announced {
            self.delay = self.delay.max(now.since(announced));
        }
    }

    /// Everything that can be done now: hears what came of attempts, makes new ones.
    fn settle(&mut self, now: Instant) {
        self.hear(now);
        self.drop_obsolete(now);
        while let Some(probe) = self.health.poll_probe(now) {
            self.start(now, &probe);
        }
        let due = |check: &Check| check.next_attempt().is_some_and(|next| next <= now);
        let due: Vec<u64> =
            self.checks.iter().filter(|(_, check)| due(check)).map(|(&id, _)| id).collect();
        for id in due {
            // A further attempt that cannot be made is none; the first still runs.
            let _ = self.attempt(now, id);
        }
    }

    /// Passes on what has become of connections, and says whether there was anything.
    fn hear(&mut self, now: Instant) -> bool {
        let mut heard = false;
        while let Some(event) = self.stack.poll_event() {
            heard = true;
            let connection = match event {
                Event::Connection(connection) => connection,
                // Nobody listens here and nothing is bound.
                Event::Incoming(_) | Event::Datagram(_) | Event::Echo(_) => continue,
            };
            let state = self.stack.state(connection);
            if let Some((id, started)) = self.attempt_of(connection)
                && let Some(outcome) = state.and_then(|state| outcome(state, now.since(started)))
            {
                self.finish(now, id);
                self.health.handle_result(now, id, outcome);
            }
        }
        heard
    }

    fn attempt_of(&self, connection: Connection) -> Option<(u64, Instant)> {
        let id = *self.owners.get(&connection)?;
        let attempts = &self.checks.get(&id)?.attempts;
        let (_, started) = attempts.iter().find(|(attempt, _)| *attempt == connection)?;
        Some((id, *started))
    }

    fn start(&mut self, now: Instant, probe: &Probe) {
        let check = Check {
            remote: SocketAddr::new(probe.address, probe.port),
            attempts: ArrayVec::new(),
            next: now,
            gap: probe.deadline.since(now) / 4,
        };
        self.checks.insert(probe.id, check);
        if self.attempt(now, probe.id).is_err() {
            // The node has no way to ask: no fault of the server's.
            self.finish(now, probe.id);
            self.health.handle_result(now, probe.id, Outcome::Void);
        }
    }

    fn attempt(&mut self, now: Instant, id: u64) -> Result<(), ConnectError> {
        let Some(check) = self.checks.get_mut(&id) else { return Ok(()) };
        check.next = now + check.gap;
        let connection = self.stack.connect(now, check.remote)?;
        if check.attempts.try_push((connection, now)).is_ok() {
            self.owners.insert(connection, id);
        } else {
            self.stack.abort(now, connection);
        }
        Ok(())
    }

    /// Ends the connections of probes whose outcome nobody waits for any more: timed out, void,
    /// or their server is not watched.
    fn drop_obsolete(&mut self, now: Instant) {
        let obsolete: Vec<u64> =
            self.checks.keys().copied().filter(|&id| !self.health.is_running(id)).collect();
        for id in obsolete {
            self.finish(now, id);
        }
    }

    fn finish(&mut self, now: Instant, id: u64) {
        let Some(check) = self.checks.remove(&id) else { return };
        for (connection, _) in check.attempts {
            self.owners.remove(&connection);
            self.stack.abort(now, connection);
        }
    }
}

/// What the state of an attempt says about the server, if anything.
const fn outcome(state: ConnectionState, latency: Duration) -> Option<Outcome> {
    match state {
        ConnectionState::Open => Some(Outcome::Succeeded { latency }),
        ConnectionState::Ended(End::Refused | End::Reset) => Some(Outcome::Refused),
        ConnectionState::Ended(End::Unreachable) => Some(Outcome::Unreachable),
        ConnectionState::Ended(End::AddressGone) => Some(Outcome::Void),
        // The probe's own time-out decides; other attempts may still be answered. An attempt
        // that was open is over as a probe before it can close.
        ConnectionState::Connecting | ConnectionState::Ended(End::TimedOut | End::Closed) => None,
    }
}
