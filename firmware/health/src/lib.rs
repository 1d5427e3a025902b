//! Watching servers: when to probe which server, and what the answers mean.
//!
//! This room neither sends nor receives. [`Health::poll_probe`] says which server is to be
//! probed now, whoever probes reports with [`Health::handle_result`], and
//! [`Health::poll_event`] tells when a server went down or came up. `probe` joins it to a TCP
//! stack.
//!
//! # Rounds
//!
//! Probing goes in rounds. A round starts 70–85 % of the interval after the start of the one
//! before it, jittered so that the probes of many servers do not fall together. The configured
//! interval is therefore the longest time between two looks at a server, not the mean.
//!
//! ```text
//!  round starts         gap        gap                       round starts
//!  |probe 1 ..........................................X timed out
//!  |          |probe 2 ..........................................X timed out: down if fall = 2
//!  |---------- 70–85 % of the interval ----------------------|
//! ```
//!
//! The round of a server that is served has up to `fall` probes, a short gap apart: a first
//! probe that was refused is confirmed quickly, and one that stays silent is doubled before its
//! time-out. All gaps together last at most 10 % of the interval, so
//!
//! * a server that refuses is found down within 95 % of the interval plus a round trip, and
//! * a silent one within 95 % of the interval plus the time-out,
//!
//! whatever `fall` is. Any success ends the round; what its other probes say no longer counts.
//! The round of a server that is down has one probe.
//!
//! # Bounds
//!
//! At most [`IN_FLIGHT`] probes run at once, at most [`IN_FLIGHT_DOWN`] of them to servers that
//! are down, so that a rack without power does not keep the others from being watched. Where
//! more would be due, the longest due goes first and the times above grow.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod damping;
mod judge;
mod watch;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use base::rng::Rng;
use base::time::Duration;
use base::{Instant, ServerId};
use core::net::IpAddr;

pub use judge::Standing;
use watch::Watch;

/// Probes that run at once: what the prober's sockets are sized for.
pub const IN_FLIGHT: usize = model::limits::PROBES;
/// Of those, probes to servers that are down.
pub const IN_FLIGHT_DOWN: usize = model::limits::PROBES_DOWN;

/// What is to be probed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose health it is. Of two targets with one server the first counts.
    pub server: ServerId,
    /// Where it is probed.
    pub address: IpAddr,
    /// Which port is probed.
    pub port: u16,
    /// The longest time between the starts of two rounds; at least 10 ms (less is taken as that).
    pub interval: Duration,
    /// How long a probe waits for an answer; at least 1 ms (less is taken as that).
    pub timeout: Duration,
    /// Successes in a row that bring a server up; at least 1.
    pub rise: u8,
    /// Failures in a row that take a server down; at least 1.
    pub fall: u8,
}

/// One probe that is to be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Names the probe in [`Health::handle_result`]; never used twice.
    pub id: u64,
    /// Whose health it is.
    pub server: ServerId,
    /// Where to connect.
    pub address: IpAddr,
    /// The port to connect to.
    pub port: u16,
    /// No answer until then is a failure.
    pub deadline: Instant,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server answered as it should.
    Succeeded {
        /// From the start of the probe to the answer.
        latency: Duration,
    },
    /// The server's host said no: a reset, or ICMP port unreachable.
    Refused,
    /// Nothing came before the deadline.
    TimedOut,
    /// The network said that there is no way to the server.
    Unreachable,
    /// Says nothing about the server, for the prober itself was at fault (it ran late, it had no
    /// address). Does not count; the probe is repeated soon.
    Void,
}

/// A verdict: a server that was up or unknown is down, or one that was down or unknown is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which server.
    pub server: ServerId,
    /// Whether it may be given new flows from now on.
    pub up: bool,
    /// The last answer that the verdict rests on.
    pub cause: Outcome,
    /// How long the answer took, when there was one.
    pub latency: Option<Duration>,
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The judgement so far.
    pub standing: Standing,
    /// Since when the last verdict holds; for a new server, since when it is watched.
    pub since: Instant,
    /// How the last probe that counted ended.
    pub last: Option<Outcome>,
    /// How long the last successful probe took.
    pub latency: Option<Duration>,
    /// Successes in a row that it takes to come up, flap damping included.
    pub needed: u16,
}

impl Status {
    /// Whether the server may be given new flows. True until the first verdict.
    pub const fn served(&self) -> bool {
        self.standing.served()
    }
}

/// A probe that is under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    server: ServerId,
    timeout: Duration,
    deadline: Instant,
    /// The server was down when the probe started.
    down: bool,
}

/// Schedules the probes of all servers and judges their outcomes.
#[derive(Clone, Debug)]
pub struct Health {
    rng: Rng,
    watches: BTreeMap<ServerId, Watch>,
    /// When each server that is served is to be probed next; a server in neither set has nothing
    /// to do until an outcome arrives.
    due_served: BTreeSet<(Instant, ServerId)>,
    /// The same for servers that are down.
    due_down: BTreeSet<(Instant, ServerId)>,
    running: BTreeMap<u64, Running>,
    running_down: usize,
    next_id: u64,
    /// Servers with a verdict not yet told; the verdict lies in the watch, so that the queue
    /// never outgrows the servers.
    changed: VecDeque<ServerId>,
}

impl Health {
    /// No servers. The seed decides every jitter.
    pub const fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            watches: BTreeMap::new(),
            due_served: BTreeSet::new(),
            due_down: BTreeSet::new(),
            running: BTreeMap::new(),
            running_down: 0,
            next_id: 0,
            changed: VecDeque::new(),
        }
    }

    /// Replaces what is watched. A server whose address and port stay keeps its standing and its
    /// running probes, even if times or counts change; any other starts unknown and is probed at
    /// once. Probes of servers that went away are forgotten ([`Health::is_running`]).
    pub fn set_targets(&mut self, now: Instant, targets: Vec<Target>) {
        let mut old = core::mem::take(&mut self.watches);
        for target in targets {
            let kept = old
                .remove(&target.server)
                .filter(|w| w.target.address == target.address && w.target.port == target.port);
            let watch = match kept {
                Some(watch) => watch.retargeted(now, target),
                None => Watch::new(now, target, self.next_id),
            };
            self.watches.entry(target.server).or_insert(watch);
        }
        let watches = &self.watches;
        self.running.retain(|id, running| {
            watches.get(&running.server).is_some_and(|watch| watch.owns(*id))
        });
        self.running_down = self.running.values().filter(|r| r.down).count();
        self.due_served.clear();
        self.due_down.clear();
        for (&server, watch) in &self.watches {
            enlist(&mut self.due_served, &mut self.due_down, server, watch);
        }
    }

    /// The next probe to make now; to be called until it gives none, after every other call.
    pub fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        let (due, server) = self.next_due()?;
        if due > now {
            return None;
        }
        let watch = self.watches.get_mut(&server)?;
        delist(&mut self.due_served, &mut self.due_down, server, watch);
        let id = self.next_id;
        self.next_id += 1;
        watch.launch(now, id, &mut self.rng);
        enlist(&mut self.due_served, &mut self.due_down, server, watch);
        let Target { address, port, timeout, .. } = watch.target;
        let down = watch.down();
        let deadline = now + timeout;
        self.running.insert(id, Running { server, timeout, deadline, down });
        self.running_down += usize::from(down);
        Some(Probe { id, server, address, port, deadline })
    }

    /// Takes the outcome of a probe. One that is not running (ended before, or its server went
    /// away) changes nothing.
    pub fn handle_result(&mut self, now: Instant, id: u64, outcome: Outcome) {
        let Some(running) = self.running.remove(&id) else { return };
        self.running_down -= usize::from(running.down);
        let Some(watch) = self.watches.get_mut(&running.server) else { return };
        delist(&mut self.due_served, &mut self.due_down, running.server, watch);
        let had_news = watch.news.is_some();
        watch.conclude(now, id, outcome);
        enlist(&mut self.due_served, &mut self.due_down, running.server, watch);
        if watch.news.is_some() && !had_news {
            self.changed.push_back(running.server);
        }
    }

    /// Ends the probes whose deadline has come: timed out, or void when so late that whoever
    /// calls must have been held up himself ([`Health::handle_delay`] gives the measure).
    pub fn handle_timeout(&mut self, now: Instant) {
        let over: Vec<(u64, bool)> = self
            .running
            .iter()
            .filter(|(_, running)| running.deadline <= now)
            .map(|(&id, running)| (id, spoils(now.since(running.deadline), running.timeout)))
            .collect();
        for (id, void) in over {
            self.handle_result(now, id, if void { Outcome::Void } else { Outcome::TimedOut });
        }
    }

    /// To be called when the prober notices that it did nothing for `delay` although it should
    /// have: what ran meanwhile is void where the delay was more than a quarter of its time-out,
    /// for the answer may have waited in a queue, or the question may have left late.
    pub fn handle_delay(&mut self, now: Instant, delay: Duration) {
        let spoiled: Vec<u64> = self
            .running
            .iter()
            .filter(|(_, running)| spoils(delay, running.timeout))
            .map(|(&id, _)| id)
            .collect();
        for id in spoiled {
            self.handle_result(now, id, Outcome::Void);
        }
    }

    /// When [`Health::handle_timeout`] and [`Health::poll_probe`] have something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let ends = self.running.values().map(|running| running.deadline).min();
        let due = self.next_due().map(|(due, _)| due);
        ends.into_iter().chain(due).min()
    }

    /// The next verdict not yet told. Of several about one server only the newest is told.
    pub fn poll_event(&mut self) -> Option<Change> {
        while let Some(server) = self.changed.pop_front() {
            if let Some(watch) = self.watches.get_mut(&server)
                && let Some(change) = watch.news.take()
            {
                return Some(change);
            }
        }
        None
    }

    /// What is known of a server; nothing of one that is not watched.
    pub fn status(&self, server: ServerId) -> Option<Status> {
        self.watches.get(&server).map(Watch::status)
    }

    /// Whether the outcome of the probe is still waited for.
    pub fn is_running(&self, id: u64) -> bool {
        self.running.contains_key(&id)
    }

    /// Probes that run now: at most [`IN_FLIGHT`].
    pub fn in_flight(&self) -> usize {
        self.running.len()
    }

    /// Who is to be probed next, if there is room for one more probe: whoever waits longest.
    fn next_due(&self) -> Option<(Instant, ServerId)> {
        if self.running.len() >= IN_FLIGHT {
            return None;
        }
        let served = self.due_served.first().copied();
        let down = self.due_down.first().copied().filter(|_| self.running_down < IN_FLIGHT_DOWN);
        match (served, down) {
            (Some(served), Some(down)) => Some(served.min(down)),
            (served, down) => served.or(down),
        }
    }
}

/// Whether a delay makes the outcome of a probe with this time-out worthless.
fn spoils(delay: Duration, timeout: Duration) -> bool {
    delay > timeout / 4
}

type Due = BTreeSet<(Instant, ServerId)>;

fn enlist(served: &mut Due, down: &mut Due, server: ServerId, watch: &Watch) {
    if let Some(due) = watch.due() {
        if watch.down() { down } else { served }.insert((due, server));
    }
}

fn delist(served: &mut Due, down: &mut Due, server: ServerId, watch: &Watch) {
    if let Some(due) = watch.due() {
        if watch.down() { down } else { served }.remove(&(due, server));
    }
}
