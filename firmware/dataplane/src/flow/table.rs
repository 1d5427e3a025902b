//! All flows of one forwarder: fixed memory, one index for both directions, strict eviction.
//!
//! Records never move, so a slot number stays good while its flow lives. The index is open
//! addressing with linear probing and backward-shift deletion over 8-octet entries: the hash's low
//! half (which also gives the home position) and the record's number with its direction. Two
//! entries a flow at half load cost 32 octets a flow beside the record's 64.
//!
//! Idle flows are found by a hand that goes round all records; each visit is sequential memory.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::MaybeUninit;
use core::net::Ipv6Addr;

use base::rng::Rng;
use base::{FlowBits, FlowKey, Instant, Protocol, ServerId, ServiceId};
use model::limits::FLOW_ELSEWHERE;

use super::record::{Class, Direction, Record, Ticks};
use super::tell::Telling;
use crate::tables::{Owner, Tables};

/// No record.
const NIL: u32 = u32::MAX;

/// The flows.
#[derive(Debug)]
pub struct FlowTable {
    records: Vec<Record>,
    index: Box<[u64]>,
    mask: usize,
    seed: u64,
    /// Free records, chained by `next`.
    free: u32,
    lists: [List; Class::COUNT],
    hand: u32,
    capacity: u32,
    /// Grows with every flow that comes or goes.
    changes: u32,
    pub(super) telling: Telling,
}

/// A list of records through their `previous` and `next`.
#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
    length: u32,
}

impl List {
    const EMPTY: Self = Self { head: NIL, tail: NIL, length: 0 };
}

/// What became of a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It has this slot; another flow was removed for it if so said.
    At {
        /// The slot.
        slot: u32,
        /// A flow that had to go: its service and server.
        evicted: Option<(ServiceId, ServerId)>,
    },
    /// Every record holds an established TCP connection.
    Full,
    /// Another flow has the same reply key.
    Collision,
}

impl FlowTable {
    /// A table for `capacity` flows (at least 64, below 2³⁰). `seed` is secret.
    pub fn new(capacity: u32, seed: u64) -> Self {
        let capacity = capacity.clamp(64, (1 << 30) - 1);
        // Load at most one half, counting two entries a flow.
        let index = vec![0; (capacity as usize * 4).next_power_of_two()].into_boxed_slice();
        Self {
            records: Vec::with_capacity(capacity as usize),
            mask: index.len() - 1,
            index,
            seed: Rng::new(seed).next(),
            free: NIL,
            lists: [List::EMPTY; Class::COUNT],
            hand: 0,
            capacity,
            changes: 0,
            telling: Telling::new(),
        }
    }

    /// The memory of a new table, none of it touched yet: for advice about its pages.
    pub fn memory(&mut self) -> (&mut [MaybeUninit<Record>], &mut [u64]) {
        (self.records.spare_capacity_mut(), &mut self.index)
    }

    /// A number that differs after every flow that came or went: what was found before may not
    /// hold then.
    pub const fn changes(&self) -> u32 {
        self.changes
    }

    /// How many flows it can hold.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How many flows it holds.
    pub fn len(&self) -> u32 {
        self.lists.iter().map(|list| list.length).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many flows of an eviction class it holds.
    pub fn count(&self, class: Class) -> u32 {
        self.lists[class as usize].length
    }

    /// Octets per flow of records and index at this capacity.
    pub fn octets_per_flow(&self) -> usize {
        size_of::<Record>() + self.index.len() * size_of::<u64>() / self.capacity as usize
    }

    /// The hash that [`FlowTable::find`] wants, computed once per packet.
    #[inline]
    pub fn hash(&self, key: &FlowKey) -> u32 {
        self.hash_bits(&key.bits())
    }

    /// The same of a key that is in numbers already.
    #[inline(always)]
    pub fn hash_bits(&self, key: &FlowBits) -> u32 {
        low(key.hash(self.seed))
    }

    /// Brings the index entry of a hash near.
    #[inline]
    pub fn prefetch_index(&self, hash: u32) {
        base::sys::prefetch(&self.index[hash as usize & self.mask]);
    }

    /// The flow that a hash probably leads to: [`FlowTable::matches`] tells. Its record is not
    /// looked at, but brought near. None: no flow has this hash. The index entry should be near.
    #[inline(always)]
    pub fn probable(&self, hash: u32) -> Option<(u32, Direction)> {
        let found = self.probe(hash, |_, _| true);
        if let Some((slot, _)) = found
            && let Some(record) = self.records.get(slot as usize)
        {
            base::sys::prefetch(record);
        }
        found
    }

    /// The flow that a packet belongs to, and from whom it comes.
    pub fn find(&self, key: &FlowKey, hash: u32, tables: &Tables) -> Option<(u32, Direction)> {
        self.probe(hash, |slot, direction| self.matches(slot, direction, key, tables))
    }

    /// Goes over the index entries with all bits of a hash until one is it.
    #[inline(always)]
    fn probe(&self, hash: u32, is_it: impl Fn(u32, Direction) -> bool) -> Option<(u32, Direction)> {
        let mut at = hash as usize & self.mask;
        loop {
            let entry = self.index[at];
            if entry == 0 {
                return None;
            }
            if low(entry >> 32) == hash {
                let (slot, direction) = (slot_of(entry), direction_of(entry));
                if is_it(slot, direction) {
                    return Some((slot, direction));
                }
            }
            at = (at + 1) & self.mask;
        }
    }

    /// The record in a slot.
    #[inline]
    pub fn record(&self, slot: u32) -> &Record {
        &self.records[slot as usize]
    }

    /// Changes a record and keeps the class lists in order.
    #[inline(always)]
    pub fn update<R>(&mut self, slot: u32, change: impl FnOnce(&mut Record) -> R) -> R {
        let record = &mut self.records[slot as usize];
        let before = record.state;
        let result = change(record);
        let after = record.state;
        if before != after {
            self.regroup(slot, before.class(), after.class());
        }
        result
    }

    /// Moves a record to the list of another class.
    fn regroup(&mut self, slot: u32, before: Class, after: Class) {
        if before != after {
            self.unlink(slot, before);
            self.link(slot, after);
        }
    }

    /// Notes that the flow is alive.
    #[inline]
    pub fn touch(&mut self, slot: u32, now: Ticks) {
        self.records[slot as usize].touched = now;
    }

    /// Puts a new flow in. Nothing is in the table under its request key.
    pub fn insert(&mut self, now: Instant, record: Record, tables: &Tables) -> Inserted {
        let Some(server) = tables.server(record.server()) else {
            return Inserted::Full;
        };
        let reply = record.reply_key(server);
        if self.find(&reply, self.hash(&reply), tables).is_some() {
            return Inserted::Collision;
        }
        let (slot, evicted) = match self.take_free() {
            Some(slot) => (slot, None),
            None => match self.evict(now, tables) {
                Some((slot, owner)) => (slot, Some(owner)),
                None => return Inserted::Full,
            },
        };
        self.changes = self.changes.wrapping_add(1);
        self.records[slot as usize] = record;
        self.touch(slot, Ticks::at(now));
        self.link(slot, record.state.class());
        let request = record.request_key();
        self.enter(self.hash(&request), slot, Direction::Request);
        self.enter(self.hash(&reply), slot, Direction::Reply);
        Inserted::At { slot, evicted }
    }

    /// Ends a flow.
    pub fn remove(&mut self, slot: u32, tables: &Tables) {
        self.detach(slot, tables);
        self.records[slot as usize].next = self.free;
        self.free = slot;
    }

    /// Looks at up to `limit` records, ends those that have been silent for too long, and tells
    /// of each. Call it often enough to go round within the shortest idle time.
    pub fn expire(
        &mut self,
        now: Instant,
        limit: u32,
        tables: &Tables,
        mut ended: impl FnMut(&Record),
    ) {
        let now = Ticks::at(now);
        for _ in 0..limit.min(low(self.records.len() as u64)) {
            let slot = self.hand;
            self.hand = if slot as usize + 1 >= self.records.len() { 0 } else { slot + 1 };
            let record = self.records[slot as usize];
            if record.is_free() {
                continue;
            }
            let idle = tables.service(record.service()).map_or_else(Default::default, |s| s.idle);
            if record.is_expired(now, idle) || is_elsewhere(&record, now, tables) {
                ended(&record);
                self.remove(slot, tables);
            }
        }
    }

    /// Records ever used: what [`FlowTable::expire`] goes round.
    pub fn used(&self) -> u32 {
        low(self.records.len() as u64)
    }

    /// Every flow, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| !record.is_free())
    }

    /// Whether a flow's packets in this direction have this key.
    #[inline(always)]
    pub fn matches(&self, slot: u32, direction: Direction, key: &FlowKey, tables: &Tables) -> bool {
        let record = &self.records[slot as usize];
        match direction {
            Direction::Request => record.request_key().is(key),
            Direction::Reply => tables
                .server(record.server())
                .is_some_and(|server| record.reply_key(server).is(key)),
        }
    }

    fn take_free(&mut self) -> Option<u32> {
        if self.free != NIL {
            let slot = self.free;
            self.free = self.records[slot as usize].next;
            return Some(slot);
        }
        if self.records.len() < self.capacity as usize {
            // Within the capacity reserved at the start: no allocation.
            self.records.push(Record::free());
            return Some(low(self.records.len() as u64 - 1));
        }
        None
    }

    /// Makes room: the oldest half-open flow, else the oldest closing one, else the UDP flow
    /// longest idle (by second chance: one that spoke since it was last looked at goes round).
    fn evict(&mut self, now: Instant, tables: &Tables) -> Option<(u32, (ServiceId, ServerId))> {
        const CHANCES: u32 = 16;
        for class in Class::EVICTABLE {
            let list = self.lists[class as usize];
            if list.length == 0 {
                continue;
            }
            let mut slot = list.head;
            if class == Class::Datagram {
                for _ in 0..CHANCES.min(list.length) {
                    let record = &self.records[slot as usize];
                    if Ticks::at(now).since(record.touched) > core::time::Duration::from_secs(1) {
                        break;
                    }
                    self.unlink(slot, class);
                    self.link(slot, class);
                    slot = self.lists[class as usize].head;
                }
            }
            let record = &self.records[slot as usize];
            let owner = (record.service(), record.server());
            self.detach(slot, tables);
            return Some((slot, owner));
        }
        None
    }

    /// Takes a flow out of index and lists; the record is neither free nor used then.
    fn detach(&mut self, slot: u32, tables: &Tables) {
        self.changes = self.changes.wrapping_add(1);
        let record = self.records[slot as usize];
        let request = record.request_key();
        self.withdraw(self.hash(&request), slot, Direction::Request);
        if let Some(server) = tables.server(record.server()) {
            let reply = record.reply_key(server);
            self.withdraw(self.hash(&reply), slot, Direction::Reply);
        }
        self.unlink(slot, record.state.class());
        self.records[slot as usize] = Record::free();
        if record.mark().0 {
            self.telling.ended(request);
        }
    }

    /// Notes under which selection a flow was looked at, and whether it was told.
    pub(super) fn mark(&mut self, slot: u32, told: bool, selection: u16) {
        self.records[slot as usize].set_mark(told, selection);
    }

    fn enter(&mut self, hash: u32, slot: u32, direction: Direction) {
        let mut at = hash as usize & self.mask;
        while self.index[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.index[at] = entry(hash, slot, direction);
    }

    fn withdraw(&mut self, hash: u32, slot: u32, direction: Direction) {
        let wanted = entry(hash, slot, direction);
        let mut at = hash as usize & self.mask;
        while self.index[at] != wanted {
            if self.index[at] == 0 {
                return;
            }
            at = (at + 1) & self.mask;
        }
        // Backward shift: whatever would no longer be reached moves into the hole.
        let mut hole = at;
        loop {
            at = (at + 1) & self.mask;
            let entry = self.index[at];
            if entry == 0 {
                break;
            }
            let home = low(entry >> 32) as usize & self.mask;
            if at.wrapping_sub(home) & self.mask >= at.wrapping_sub(hole) & self.mask {
                self.index[hole] = entry;
                hole = at;
            }
        }
        self.index[hole] = 0;
    }

    /// Appends to the list of a class.
    fn link(&mut self, slot: u32, class: Class) {
        let list = &mut self.lists[class as usize];
        let tail = list.tail;
        if tail == NIL {
            list.head = slot;
        }
        list.tail = slot;
        list.length += 1;
        if tail != NIL {
            self.records[tail as usize].next = slot;
        }
        let record = &mut self.records[slot as usize];
        record.previous = tail;
        record.next = NIL;
    }

    fn unlink(&mut self, slot: u32, class: Class) {
        let Record { previous, next, .. } = self.records[slot as usize];
        match previous {
            NIL => self.lists[class as usize].head = next,
            _ => self.records[previous as usize].next = next,
        }
        match next {
            NIL => self.lists[class as usize].tail = previous,
            _ => self.records[next as usize].previous = previous,
        }
        self.lists[class as usize].length -= 1;
    }
}

impl Record {
    /// A record that holds no flow: no flow has the unspecified address for its client.
    fn free() -> Self {
        let key = FlowKey {
            source: Ipv6Addr::UNSPECIFIED,
            destination: Ipv6Addr::UNSPECIFIED,
            source_port: 0,
            destination_port: 0,
            protocol: Protocol::UDP,
        };
        Self::new(&key, ServiceId(0), ServerId(0), 0)
    }

    pub(super) fn is_free(&self) -> bool {
        self.client.is_unspecified()
    }
}

/// Whether another box has had the flow's address for so long that it knows the flow better.
fn is_elsewhere(record: &Record, now: Ticks, tables: &Tables) -> bool {
    if tables.peers.is_empty() || now.since(record.touched) <= FLOW_ELSEWHERE {
        return false;
    }
    let vip = tables.service(record.service()).and_then(|it| tables.vips.get(it.vip.index()));
    vip.is_some_and(|vip| matches!(vip.owner, Owner::Peer(_)))
}

/// An index entry; never zero, because the low half is at least one.
const fn entry(hash: u32, slot: u32, direction: Direction) -> u64 {
    let low = (slot << 1 | matches!(direction, Direction::Reply) as u32) + 1;
    (hash as u64) << 32 | low as u64
}

const fn slot_of(entry: u64) -> u32 {
    (low(entry) - 1) >> 1
}

const fn direction_of(entry: u64) -> Direction {
    if (low(entry) - 1) & 1 == 1 { Direction::Reply } else { Direction::Request }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
const fn low(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
