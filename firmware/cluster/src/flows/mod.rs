//! Copies of flows, for the box that would take their address over.
//!
//! Every box chooses the same server for a client, so that most flows need no copy. What the
//! function would get wrong (flows that began before a pool changed, above all) the forwarders
//! tell, and it is copied to whoever *follows* the address: the box that would adopt it if its
//! owner failed, and the one that it is being moved to.
//!
//! ```text
//!   owner     forwarders ── flows ──> Shard ── Segment: changes 301 to 355 ──┐
//!                                       ▲                                    ▼
//!                        Want: I have 300 of stream 7 <──────────────── Shard   follower
//! ```
//!
//! - **Who follows asks.** A [`wire::Want`] is subscription, acknowledgement and complaint in one;
//!   it is repeated, so that nothing depends on a single datagram. An owner that hears none
//!   forgets who followed.
//! - **Changes are numbered** by address. A [`wire::Segment`] leads from one number to another and
//!   is taken only by who has everything up to the first; what got lost is sent again as things
//!   are now ([`Shard`]). A stream begins with nothing, so that a first copy for a box that joins
//!   is no other thing than what keeps it up to date.
//! - **A copy is equal or absent.** Where a segment says that it is the last, it carries a digest
//!   of everything; who finds another forgets everything and asks anew. Half-open flows are never
//!   told, so that a flood of them copies nothing.
//! - **Everything is bounded**: flows, graves, datagrams a second, and how far a stream runs ahead
//!   of what was acknowledged. What is too much is counted and not copied.
//! - **What was copied stays** with a new owner until a forwarder of its own knows the flow, or it
//!   must have fallen silent: it follows the address to the next box, too.

mod end;
mod follow;
mod send;
mod shard;
pub mod wire;

#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::rate::TokenBucket;
use base::time::Duration;
use base::{Instant, NodeId, Protocol, VipId};
use model::limits::{FLOW_COPIES, FLOW_COPY_BURST, FLOW_COPY_RATE, UDP_IDLE_DEFAULT};

use crate::{Incarnation, Peer, wire::decode};
use end::Walk;
use follow::Follow;
use send::Subscriber;
use shard::{Holder, Shard};
use wire::Message;

/// Between two looks at what is to be sent: long enough that datagrams fill up.
const TICK: Duration = Duration::from_millis(10);
/// The same while a first copy is under way.
const BULK_TICK: Duration = Duration::from_millis(1);
/// How long a new owner still takes what the one before has to say.
const LATE: Duration = Duration::from_secs(2);
/// How long an address that is moved here waits for its flows: better a few of them lost than an
/// address that cannot leave a box.
const PATIENCE: Duration = Duration::from_secs(1);
/// A flow of a virtual address, as the client's packets show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The client, IPv4-mapped where IPv4.
    pub client: Ipv6Addr,
    /// Its port.
    pub client_port: u16,
    /// The service's port.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// Where a flow's server is. Numbers of servers differ between boxes, addresses do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Its address, IPv4-mapped where IPv4.
    pub address: Ipv6Addr,
    /// The port that the flow's packets go to.
    pub port: u16,
}

/// What this node has to do with an address' flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Nothing.
    #[default]
    None,
    /// It serves it, or has just stopped: what its forwarders tell is copied to who asks.
    Owner,
    /// It copies them.
    Follower {
        /// From there.
        owner: NodeId,
        /// The address is being moved here.
        arrives: bool,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Every forwarder is to tell everything anew, and then that it has, with this number or a
    /// higher one: [`Flows::handle_told`].
    Tell(u32),
    /// An address that is moved here may come: its flows are here, or have been waited for.
    Synced(VipId),
    /// The forwarders have to know other copies: [`Flows::copies`].
    Changed(VipId),
}

/// What has been done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams with flows that were sent.
    pub sent: u64,
    /// Octets of them, without seals and headers.
    pub octets: u64,
    /// Flows that were not copied because there were too many.
    pub refused: u64,
    /// Streams that went back to something that got lost.
    pub resent: u64,
    /// Copies that were given up because they were not what the owner had.
    pub given_up: u64,
}

/// A virtual address.
#[derive(Debug)]
struct Place {
    address: Ipv6Addr,
    part: Part,
    /// Since when it has that part.
    since: Instant,
    shard: Shard,
    follow: Option<Follow>,
    /// The forwarders know other copies than there are.
    changed: bool,
    /// When what was only copied must have been silent for too long, next.
    silent_at: Instant,
}

impl Place {
    fn new(address: Ipv6Addr) -> Self {
        Self {
            address,
            part: Part::None,
            since: Instant::ZERO,
            shard: Shard::default(),
            follow: None,
            changed: false,
            silent_at: Instant::FAR,
        }
    }
}

/// The machine behind the copies.
#[derive(Debug)]
pub struct Flows {
    clock: Instant,
    own: Incarnation,
    places: Vec<Place>,
    /// Their places, by address.
    found: BTreeMap<Ipv6Addr, usize>,
    subscribers: BTreeMap<(NodeId, usize), Subscriber>,
    /// The last stream that was begun.
    streams: u32,
    /// By forwarder: the round it is in, and the question it has answered.
    forwarders: Vec<(u8, u32)>,
    asked: u32,
    asked_at: Option<Instant>,
    rate: TokenBucket,
    tick_at: Instant,
    walks: VecDeque<Walk>,
    /// Flows that are known, or a few more: counted at each tick.
    live: usize,
    out: VecDeque<(NodeId, Vec<u8>)>,
    events: VecDeque<Event>,
    counts: Counts,
}

impl Flows {
    /// For this start of the node, these addresses, by [`VipId`], and so many forwarders; no flow
    /// is known.
    pub fn new(now: Instant, own: Incarnation, vips: &[Ipv6Addr], forwarders: usize) -> Self {
        Self {
            clock: now,
            own,
            places: vips.iter().copied().map(Place::new).collect(),
            found: found(vips),
            subscribers: BTreeMap::new(),
            streams: 0,
            forwarders: (0..forwarders).map(|_| (0, 0)).collect(),
            asked: 0,
            asked_at: None,
            rate: TokenBucket::new(FLOW_COPY_RATE, FLOW_COPY_BURST),
            tick_at: Instant::FAR,
            walks: VecDeque::new(),
            live: 0,
            out: VecDeque::new(),
            events: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// The addresses have other numbers from now on; those that stay keep their flows and part.
    pub fn set_vips(&mut self, now: Instant, vips: &[Ipv6Addr]) {
        self.clock = self.clock.max(now);
        let mut old: BTreeMap<Ipv6Addr, Place> =
            core::mem::take(&mut self.places).into_iter().map(|it| (it.address, it)).collect();
        let place = |address| {
            let kept = old.remove(&address);
            kept.map_or_else(|| Place::new(address), |kept| Place { since: self.clock, ..kept })
        };
        self.places = vips.iter().copied().map(place).collect();
        self.found = found(vips);
        // Who follows asks again.
        self.subscribers.clear();
        self.walks.clear();
        self.events.clear();
        self.ask();
        self.tick_at = self.clock;
    }

    /// This node has another part in an address' flows.
    pub fn handle_part(&mut self, now: Instant, vip: VipId, part: Part) {
        self.clock = self.clock.max(now);
        let Some(place) = self.places.get_mut(vip.index()).filter(|place| place.part != part)
        else {
            return;
        };
        let before = core::mem::replace(&mut place.part, part);
        place.since = self.clock;
        if before == Part::Owner {
            place.shard.let_go();
        }
        match part {
            Part::None => {}
            Part::Owner => {
                if let Some(follow) = &mut place.follow {
                    follow.late_until = Some(self.clock + LATE);
                }
                place.changed = false;
                place.silent_at = self.clock + UDP_IDLE_DEFAULT;
                self.ask();
            }
            Part::Follower { owner, arrives } => {
                let known = place.follow.take().filter(|follow| follow.owner == owner);
                let mut follow = known.unwrap_or_else(|| Follow::new(owner));
                follow.late_until = None;
                follow.expect(arrives.then_some(self.clock));
                place.follow = Some(follow);
            }
        }
        if before == Part::Owner {
            self.subscribers.retain(|(_, of), _| *of != vip.index());
        }
        self.tick_at = self.tick_at.min(self.clock);
    }

    /// A forwarder says that it has a flow which others would give to another server, or
    /// (`server`: none) that such a flow has ended.
    pub fn handle_flow(
        &mut self,
        now: Instant,
        forwarder: u8,
        vip: Ipv6Addr,
        flow: &Flow,
        server: Option<Endpoint>,
    ) {
        self.clock = self.clock.max(now);
        let full = self.live >= FLOW_COPIES;
        let round = self.forwarders.get(usize::from(forwarder)).map_or(0, |it| it.0);
        let vip = self.found.get(&vip).copied();
        let Some(place) = vip.and_then(|vip| self.places.get_mut(vip)) else { return };
        if place.part != Part::Owner {
            return;
        }
        let changed = match server {
            Some(_) if full && place.shard.server(flow).is_none() => {
                self.counts.refused += 1;
                false
            }
            Some(server) => {
                self.live += 1;
                place.shard.set(*flow, server, Holder::Forwarder(forwarder, round))
            }
            None => {
                let holder = place.shard.holder(flow);
                let other = |of| matches!(of, Holder::Forwarder(other, _) if other != forwarder);
                place.changed |= holder == Some(Holder::Copied);
                !holder.is_some_and(other) && place.shard.end(flow)
            }
        };
        if changed {
            self.tick_at = self.tick_at.min(self.clock + TICK);
        }
    }

    /// A forwarder begins to tell everything anew, as of this round.
    pub fn handle_telling(&mut self, forwarder: u8, round: u8) {
        if let Some(known) = self.forwarders.get_mut(usize::from(forwarder)) {
            known.0 = round;
        }
    }

    /// It has told everything, because it was asked by this number. What it did not repeat in
    /// this round has ended.
    pub fn handle_told(&mut self, now: Instant, forwarder: u8, round: u8, asked: u32) {
        self.clock = self.clock.max(now);
        let Some(known) = self.forwarders.get_mut(usize::from(forwarder)) else { return };
        known.1 = asked;
        let what = Holder::Forwarder(forwarder, round);
        let owned = self.places.iter().enumerate().filter(|(_, it)| it.part == Part::Owner);
        self.walks.extend(owned.map(|(vip, _)| Walk { vip, after: None, what }));
        self.tick_at = self.clock;
    }

    /// A message of another node on [`crate::Channel::Flow`]. What cannot be decoded, or comes
    /// from somebody whose business it is not, changes nothing.
    pub fn handle_message(&mut self, now: Instant, from: Peer, body: &[u8]) {
        self.clock = self.clock.max(now);
        match decode::<Message>(body) {
            Ok(Message::Wants(wants)) => {
                for want in wants {
                    self.take_want(from, want);
                }
            }
            Ok(Message::Copies(segments)) => {
                for segment in segments {
                    self.take_segment(from, &segment);
                }
            }
            Err(_) => {}
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        if self.tick_at > self.clock {
            return;
        }
        self.walk();
        self.let_go();
        self.live = self.len();
        let more = self.send() || !self.walks.is_empty();
        self.want();
        let idle = self.subscribers.is_empty()
            && self.places.iter().all(|it| it.follow.is_none() && it.shard.head() == 0);
        self.tick_at = match (more, idle) {
            (true, _) => self.clock + BULK_TICK,
            (false, false) => self.clock + TICK,
            (false, true) => Instant::FAR,
        };
    }

    /// When [`Flows::handle_timeout`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.tick_at < Instant::FAR).then_some(self.tick_at)
    }

    /// The next body to seal and send on [`crate::Channel::Flow`], and to whom.
    pub fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)> {
        self.out.pop_front()
    }

    /// The next thing to do.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The flows of an address that were copied and no forwarder of ours has told of.
    pub fn copies(&self, vip: VipId) -> impl Iterator<Item = (Flow, Endpoint)> {
        let place = self.places.get(vip.index());
        let flows = place.into_iter().flat_map(|place| place.shard.iter());
        let copied = flows.filter(|(.., holder)| *holder == Holder::Copied);
        copied.map(|(flow, server, _)| (*flow, *server))
    }

    /// Where the servers are of all flows that are known.
    pub fn servers(&self) -> BTreeSet<Ipv6Addr> {
        let flows = self.places.iter().flat_map(|place| place.shard.iter());
        flows.map(|(_, server, _)| server.address).collect()
    }

    /// How many flows are known, those copied here and those to be copied.
    pub fn len(&self) -> usize {
        self.places.iter().map(|place| place.shard.len()).sum()
    }

    /// Whether none are.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has been done since the start.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The place of an address.
    fn find(&self, address: wire::Address) -> Option<usize> {
        self.found.get(&address.into()).copied()
    }

    /// Asks every forwarder to tell everything; one question for all that is asked at a time.
    fn ask(&mut self) -> u32 {
        if self.asked_at != Some(self.clock) {
            self.asked_at = Some(self.clock);
            self.asked = self.asked.wrapping_add(1);
            self.events.push_back(Event::Tell(self.asked));
        }
        self.asked
    }

    /// Whether every forwarder has answered a question.
    fn told(&self, asked: u32) -> bool {
        self.forwarders.iter().all(|(_, told)| told.wrapping_sub(asked) < u32::MAX / 2)
    }
}

/// The place of each address.
fn found(vips: &[Ipv6Addr]) -> BTreeMap<Ipv6Addr, usize> {
    vips.iter().enumerate().map(|(place, address)| (*address, place)).collect()
}
