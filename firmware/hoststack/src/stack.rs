//! The whole stack: packets and time go in, packets and events come out.

use crate::attachment::Attachment;
use crate::capacity::{Capacity, ERRORS};
use crate::connection::{Cause, Connection, End, Entry, Phase};
use crate::device::{Port, from_smoltcp, to_smoltcp};
use crate::echo::{Asked, Echo};
use crate::glance::{Kind, first_syn, glance};
use crate::place::{Place, legal};
use crate::queue::Queue;
use crate::tcp::Listener;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use base::rate::TokenBucket;
use base::rng::Rng;
use base::time::Duration;
use base::{Instant, NetworkId};
use core::fmt;
use core::ops::RangeInclusive;
use smoltcp::iface::PollResult;

/// The queue of packets to send has no room for an answer, so the packet was not taken. Whoever
/// meets this has not called [`HostStack::poll_transmit`] to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the packet was not taken: packets to be sent must be fetched first")
    }
}

impl core::error::Error for Full {}

/// Something that its owner may want to act on. Events about one thing are not repeated while
/// they wait, so they are never more than connections and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The state of a connection, what can be read, or how much can be written has changed.
    Connection(Connection),
    /// A connection waits to be accepted at this TCP port.
    Incoming(u16),
    /// A datagram has arrived at this UDP port.
    Datagram(u16),
    /// Something came of an echo that was asked for with this identifier.
    Echo(u16),
}

/// What happened to packets, in numbers that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets given to smoltcp.
    pub taken: u64,
    /// Packets refused with [`Full`].
    pub refused: u64,
    /// Packets that were no whole IP packet, for no address of ours, fragments, or ICMP.
    pub ignored: u64,
    /// Packets sent.
    pub sent: u64,
    /// Packets lost because `out` was too short for them.
    pub too_long: u64,
    /// ICMP errors kept back by the rate limit.
    pub errors_withheld: u64,
    /// Half-open connections dropped for newer ones.
    pub half_open_dropped: u64,
    /// Connection requests refused because the backlog was full of open ones.
    pub backlog_full: u64,
    /// Lingering connections dropped for newer ones.
    pub lingering_dropped: u64,
}

/// See the crate's documentation.
pub struct HostStack {
    pub(crate) capacity: Capacity,
    pub(crate) places: Vec<Place>,
    /// The same as in `places`, in one piece for [`crate::attachment::route`].
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) entries: BTreeMap<u64, Entry>,
    pub(crate) listeners: BTreeMap<u16, Listener>,
    pub(crate) bound: BTreeSet<u16>,
    pub(crate) events: BTreeSet<Event>,
    pub(crate) local_ports: RangeInclusive<u16>,
    pub(crate) next_port: u16,
    /// Something may have to be sent.
    pub(crate) dirty: bool,
    pub(crate) counters: Counters,
    pub(crate) next_id: u64,
    /// Questions for an echo, and what came of others with their identifiers.
    pub(crate) asked: Vec<Asked>,
    pub(crate) echoes: Vec<(u16, Echo)>,
    pub(crate) queue: Queue,
    errors: TokenBucket,
    pub(crate) rng: Rng,
}

impl HostStack {
    /// A stack for the node's own services ([`Capacity::FACES`]). Connections that it opens use
    /// `local_ports`; the seed decides these and the sequence numbers.
    pub fn new(
        now: Instant,
        attachments: Vec<Attachment>,
        local_ports: RangeInclusive<u16>,
        seed: u64,
    ) -> Self {
        Self::with_capacity(now, attachments, local_ports, seed, Capacity::FACES)
    }

    /// A stack with other bounds.
    pub fn with_capacity(
        now: Instant,
        attachments: Vec<Attachment>,
        local_ports: RangeInclusive<u16>,
        seed: u64,
        capacity: Capacity,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let capacity = capacity.legal();
        let first = (*local_ports.start()).max(1);
        let local_ports = first..=(*local_ports.end()).max(first);
        let width = u64::from(*local_ports.end() - first) + 1;
        let offset = u16::try_from(rng.below(width)).unwrap_or(0);
        let mut stack = Self {
            capacity,
            places: Vec::new(),
            attachments: Vec::new(),
            entries: BTreeMap::new(),
            listeners: BTreeMap::new(),
            bound: BTreeSet::new(),
            events: BTreeSet::new(),
            next_port: first + offset,
            local_ports,
            dirty: false,
            counters: Counters::default(),
            next_id: 0,
            asked: Vec::new(),
            echoes: Vec::new(),
            queue: Queue::new(0, 0),
            errors: TokenBucket::new(ERRORS.0, ERRORS.1),
            rng,
        };
        stack.reconfigure(now, attachments);
        stack
    }

    /// Replaces the networks and addresses. Connections whose local address stays are not
    /// disturbed; others end with [`End::AddressGone`], without a word to the other side, for
    /// the address to send it from is no longer ours. Packets that wait to be sent are lost if
    /// the longest MTU changes.
    pub fn reconfigure(&mut self, now: Instant, attachments: Vec<Attachment>) {
        let attachments: Vec<Attachment> = attachments.into_iter().map(legal).collect();
        let slot = attachments.iter().map(|place| usize::from(place.mtu)).max().unwrap_or(0);
        if slot != self.queue.slot() {
            self.queue = Queue::new(self.capacity.packets, slot);
        }
        let mut old = core::mem::take(&mut self.places);
        for attachment in attachments {
            if self.places.iter().any(|place| place.network() == attachment.network) {
                continue;
            }
            let seed = self.rng.next();
            let mut port = port(
                &mut self.queue,
                &mut self.errors,
                &mut self.counters.errors_withheld,
                &attachment,
                now,
            );
            let known = old.iter().position(|place| place.network() == attachment.network);
            let place = match known.map(|index| old.swap_remove(index)) {
                Some(place) if place.attachment == attachment => place,
                Some(mut place) => {
                    place.renew(attachment, seed, &mut port);
                    place
                }
                None => {
                    let mut place = Place::new(attachment, seed, &mut port);
                    self.bound.iter().for_each(|&port| place.bind(port));
                    place
                }
            };
            self.places.push(place);
        }
        self.attachments = self.places.iter().map(|place| place.attachment.clone()).collect();
        self.end_homeless();
        self.dirty = true;
    }

    /// Takes a packet that came in on a network: IP, whole, with its checksums complete.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        network: NetworkId,
        packet: &[u8],
    ) -> Result<(), Full> {
        if self.queue.is_full() {
            self.counters.refused += 1;
            return Err(Full);
        }
        let place = self.places.iter().position(|place| place.network() == network);
        let glance = glance(packet);
        let (Some(index), Some(glance)) = (place, glance) else {
            self.counters.ignored += 1;
            return Ok(());
        };
        if !self.places[index].has(glance.destination) {
            self.counters.ignored += 1;
            return Ok(());
        }
        match glance.kind {
            Kind::Ignored => self.counters.ignored += 1,
            Kind::Reports(report) => self.handle_report(network, &report),
            Kind::Echoes(report) => self.handle_echo(now, &report),
            Kind::Opens { local, remote } => {
                self.prepare(now, index, local, remote);
                self.ingress(now, index, packet);
            }
            Kind::Ordinary => self.ingress(now, index, packet),
        }
        Ok(())
    }

    /// Lets time pass; see [`HostStack::next_deadline`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.dirty = true;
        let over: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.phase.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(&id, _)| id)
            .collect();
        for id in over {
            match self.entries.get(&id).map(|entry| entry.phase) {
                Some(Phase::Connecting { .. }) => self.end(id, End::TimedOut),
                Some(Phase::HalfOpen { .. } | Phase::Lingering { .. }) => self.forget(id),
                Some(Phase::Waiting | Phase::Open | Phase::Ended(_)) | None => {}
            }
        }
    }

    /// The next packet to send, and where: its length in `out`. To be called until it gives
    /// nothing, with an `out` as long as the longest MTU.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<(NetworkId, usize)> {
        loop {
            if self.queue.len() == 0 && self.dirty {
                self.egress(now);
            }
            let Some((network, packet)) = self.queue.get(0) else {
                self.dirty = false;
                return None;
            };
            let length = packet.len();
            let fits = out.get_mut(..length).map(|out| out.copy_from_slice(packet)).is_some();
            self.queue.pop();
            if fits {
                self.counters.sent += 1;
                return Some((network, length));
            }
            self.counters.too_long += 1;
        }
    }

    /// What has happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_first()
    }

    /// When [`HostStack::handle_timeout`] is due at the latest. `now` itself while packets wait
    /// to be fetched; otherwise later than `now`.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.dirty || self.queue.len() > 0 {
            return Some(now);
        }
        // smoltcp says "at once" also where it then finds nothing to send; that must not become
        // a busy loop.
        let soon = now + Duration::from_millis(1);
        let time = to_smoltcp(now);
        let timers = self
            .places
            .iter_mut()
            .filter_map(|place| place.interface.poll_at(time, &place.sockets).map(from_smoltcp));
        let own = self.entries.values().filter_map(|entry| entry.phase.deadline());
        timers.chain(own).min().map(|deadline| deadline.max(soon))
    }

    /// What happened to packets so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Sockets that exist, of every kind.
    pub fn sockets(&self) -> usize {
        self.places.iter().map(|place| place.sockets.iter().count()).sum()
    }

    fn ingress(&mut self, now: Instant, index: usize, packet: &[u8]) {
        let place = &mut self.places[index];
        let mut port = port(
            &mut self.queue,
            &mut self.errors,
            &mut self.counters.errors_withheld,
            &place.attachment,
            now,
        );
        port.received = Some(packet);
        self.counters.taken += 1;
        place.ingress(now, &mut port);
        self.dirty = true;
        self.refresh(index, Cause::Packet);
    }

    /// Has smoltcp send what it can, and notes the sequence numbers of first SYNs.
    fn egress(&mut self, now: Instant) {
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            let before = self.queue.len();
            loop {
                let mut port = port(
                    &mut self.queue,
                    &mut self.errors,
                    &mut self.counters.errors_withheld,
                    &place.attachment,
                    now,
                );
                match place.egress(now, &mut port) {
                    PollResult::SocketStateChanged if !self.queue.is_full() => {}
                    PollResult::SocketStateChanged | PollResult::None => break,
                }
            }
            for place in before..self.queue.len() {
                let packet = self.queue.get(place).and_then(|(_, packet)| first_syn(packet));
                if let Some((local, remote, number)) = packet
                    && let Some(entry) = self
                        .entries
                        .values_mut()
                        .find(|entry| entry.local == local && entry.remote == remote)
                    && let Phase::Connecting { sequence, .. } = &mut entry.phase
                {
                    *sequence = Some(number);
                }
            }
            self.refresh(index, Cause::Timer);
        }
    }
}

fn port<'p>(
    queue: &'p mut Queue,
    errors: &'p mut TokenBucket,
    errors_withheld: &'p mut u64,
    attachment: &Attachment,
    now: Instant,
) -> Port<'p> {
    Port {
        received: None,
        queue,
        errors,
        errors_withheld,
        network: attachment.network,
        mtu: usize::from(attachment.mtu),
        now,
    }
}
