//! An Ethernet switch with faults: where frames go, and what becomes of them on the way.
//!
//! ```text
//!   port a ──▶ pipe (a → segment) ──▶ MAC table ──▶ pipe (a → b) ──▶ pipe (segment → b) ──▶ port b
//! ```
//!
//! A pipe exists only where somebody asked for a fault, so a switch without faults copies nothing.
//! This is the switch without its sockets ([`process`] has them): time comes in as an argument and
//! randomness from a seed, so the same frames meet the same faults again.
//!
//! Reading list: IEEE 802.1Q-2018 §8.6 to §8.8 (forwarding, learning, ageing).

pub mod capture;
pub mod control;
pub mod pipe;
pub mod process;
pub mod table;

use base::{Instant, Mac, Offload};
use control::{Change, End, Link, LinkState};
use pipe::{Copied, Pipe};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;
use table::Table;

/// Octets of frames that may be on their way; what comes beyond them is lost, as in any switch.
const BUFFER: usize = 256 << 20;
/// Octets of an Ethernet header.
const HEADER: usize = 14;

/// A switch of one segment.
#[derive(Debug)]
pub struct Switch {
    /// The host behind each port.
    hosts: Vec<String>,
    table: Table,
    pipes: BTreeMap<Link, Pipe<Passing>>,
    seed: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    /// Frames that are to be sent now.
    ready: VecDeque<(usize, Rc<Copied>)>,
    /// Tells frames that are due at the same time apart, in the order they came.
    order: u64,
    /// Octets in `queue` and `ready`.
    buffered: usize,
}

/// A frame on its way.
#[derive(Debug)]
struct Scheduled {
    due: Instant,
    order: u64,
    passing: Passing,
}

/// A frame with how far it has come.
#[derive(Clone, Debug)]
struct Passing {
    stage: Stage,
    frame: Rc<Copied>,
}

/// How far a frame has come.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Out of the pipe from its sender.
    Entered { from: usize },
    /// Out of the pipe between two hosts.
    Crossed { to: usize },
    /// Out of the last pipe.
    Left { to: usize },
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

impl Switch {
    /// A switch with a port for each of these hosts, without faults. The seed decides what is lost
    /// once there are some.
    pub fn new(hosts: Vec<String>, seed: u64) -> Switch {
        Switch {
            hosts,
            table: Table::default(),
            pipes: BTreeMap::new(),
            seed,
            queue: BinaryHeap::new(),
            ready: VecDeque::new(),
            order: 0,
            buffered: 0,
        }
    }

    /// Takes a frame that came in and gives the ports to which it goes at once. What a fault
    /// delays, or may delay, is copied and comes out of [`Switch::poll`].
    pub fn handle_frame(
        &mut self,
        now: Instant,
        from: usize,
        bytes: &[u8],
        offload: Offload,
    ) -> Vec<usize> {
        if bytes.len() < HEADER {
            return Vec::new();
        }
        let entry = Link { from: self.end(from), to: End::Segment };
        if self.pipes.contains_key(&entry) {
            let frame = Rc::new(Copied { bytes: bytes.to_vec(), offload });
            self.enter_pipe(now, &entry, Stage::Entered { from }, frame);
            return Vec::new();
        }
        self.forward(now, from, bytes, offload)
    }

    /// A frame to be sent now with its port; nothing once all of them were given.
    pub fn poll(&mut self, now: Instant) -> Option<(usize, Rc<Copied>)> {
        self.release(now);
        loop {
            if let Some((to, frame)) = self.ready.pop_front() {
                self.buffered -= frame.bytes.len();
                return Some((to, frame));
            }
            if self.queue.peek().is_none_or(|Reverse(next)| next.due > now) {
                return None;
            }
            let Passing { stage, frame } = self.queue.pop()?.0.passing;
            self.buffered -= frame.bytes.len();
            match stage {
                Stage::Entered { from } => {
                    let at_once = self.forward(now, from, &frame.bytes, frame.offload);
                    at_once.into_iter().for_each(|to| self.send(to, &frame));
                }
                Stage::Crossed { to } => self.leave(now, to, frame),
                Stage::Left { to } => self.send(to, &frame),
            }
        }
    }

    /// When [`Switch::poll`] will have something next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let queued = self.queue.peek().map(|Reverse(next)| next.due);
        let ready = self.ready.front().map(|_| Instant::ZERO);
        self.pipes.values().filter_map(Pipe::deadline).chain(queued).chain(ready).min()
    }

    /// Changes what one direction of a link does to frames.
    pub fn change(&mut self, link: &Link, change: Change) {
        let seed = self.seed;
        let pipe = self.pipes.entry(link.clone()).or_insert_with(|| Pipe::new(link.seed(seed)));
        pipe.faults.change(change);
        if pipe.faults.is_none() {
            self.heal(|one| one == link);
        }
    }

    /// Ends the faults of the links that are chosen. A frame that was held back goes on at once.
    pub fn heal(&mut self, chosen: impl Fn(&Link) -> bool) {
        let links: Vec<Link> = self.pipes.keys().filter(|link| chosen(link)).cloned().collect();
        for link in links {
            if let Some(passing) = self.pipes.remove(&link).and_then(Pipe::into_held) {
                self.schedule(Instant::ZERO, passing);
            }
        }
    }

    /// The links that have faults.
    pub fn list(&self) -> Vec<LinkState> {
        let state = |(link, pipe): (&Link, &Pipe<Passing>)| LinkState {
            link: link.clone(),
            faults: pipe.faults,
            counts: pipe.counts,
        };
        self.pipes.iter().map(state).collect()
    }

    /// Looks up where a frame goes and starts it on its way there.
    fn forward(&mut self, now: Instant, from: usize, bytes: &[u8], offload: Offload) -> Vec<usize> {
        let (Some(destination), Some(source)) = (mac(bytes, 0), mac(bytes, 6)) else {
            return Vec::new();
        };
        self.table.learn(now, source, from);
        let mut wanted: Vec<usize> = match self.table.find(now, destination) {
            Some(to) => vec![to],
            None => (0..self.hosts.len()).collect(),
        };
        wanted.retain(|to| *to != from);
        if self.pipes.is_empty() {
            return wanted;
        }
        let mut copy = None;
        let (free, faulty): (Vec<usize>, Vec<usize>) =
            wanted.into_iter().partition(|to| !self.has_pipe(from, *to));
        for to in faulty {
            let frame =
                copy.get_or_insert_with(|| Rc::new(Copied { bytes: bytes.to_vec(), offload }));
            let (frame, crossing) = (Rc::clone(frame), self.link(from, to));
            if self.pipes.contains_key(&crossing) {
                self.enter_pipe(now, &crossing, Stage::Crossed { to }, frame);
            } else {
                self.leave(now, to, frame);
            }
        }
        free
    }

    /// Whether a fault waits between the MAC table and a port.
    fn has_pipe(&self, from: usize, to: usize) -> bool {
        let exit = Link { from: End::Segment, to: self.end(to) };
        self.pipes.contains_key(&self.link(from, to)) || self.pipes.contains_key(&exit)
    }

    /// Sends a frame through the pipe to its port, if there is one.
    fn leave(&mut self, now: Instant, to: usize, frame: Rc<Copied>) {
        let exit = Link { from: End::Segment, to: self.end(to) };
        if self.pipes.contains_key(&exit) {
            self.enter_pipe(now, &exit, Stage::Left { to }, frame);
        } else {
            self.send(to, &frame);
        }
    }

    /// Offers a frame to a pipe and schedules what comes out.
    fn enter_pipe(&mut self, now: Instant, link: &Link, stage: Stage, frame: Rc<Copied>) {
        let Some(pipe) = self.pipes.get_mut(link) else { return };
        for (due, passing) in pipe.offer(now, Passing { stage, frame }) {
            self.schedule(due, passing);
        }
    }

    /// Schedules what pipes have held back long enough.
    fn release(&mut self, now: Instant) {
        let held: Vec<_> = self.pipes.values_mut().filter_map(|pipe| pipe.release(now)).collect();
        held.into_iter().for_each(|(due, passing)| self.schedule(due, passing));
    }

    fn schedule(&mut self, due: Instant, passing: Passing) {
        if self.has_room(&passing.frame) {
            self.order += 1;
            self.queue.push(Reverse(Scheduled { due, order: self.order, passing }));
        }
    }

    fn send(&mut self, to: usize, frame: &Rc<Copied>) {
        if self.has_room(frame) {
            self.ready.push_back((to, Rc::clone(frame)));
        }
    }

    /// Takes room for a frame, where there is some.
    fn has_room(&mut self, frame: &Copied) -> bool {
        let fits = self.buffered + frame.bytes.len() <= BUFFER;
        self.buffered += if fits { frame.bytes.len() } else { 0 };
        fits
    }

    fn end(&self, port: usize) -> End {
        self.hosts.get(port).map_or(End::Segment, |host| End::Host(host.clone()))
    }

    fn link(&self, from: usize, to: usize) -> Link {
        Link { from: self.end(from), to: self.end(to) }
    }
}

/// One of the two addresses at the start of a frame.
fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    bytes.get(at..)?.first_chunk().map(|octets| Mac(*octets))
}

#[cfg(test)]
mod tests;
