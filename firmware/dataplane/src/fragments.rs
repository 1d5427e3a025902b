//! Later fragments carry no ports: they follow the first one of their datagram, by source,
//! destination, protocol and identification (RFC 791 §3.2, RFC 8200 §4.5). Those that come before
//! the first wait for it.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::flow::hash_endpoint;
use base::{Instant, Offload, PortId, Protocol};
use model::limits::{
    FRAGMENT_ENTRIES, FRAGMENT_LIFETIME, FRAGMENT_WAIT_TIME, FRAGMENTS_HELD, FRAGMENTS_HELD_EACH,
};

use crate::forwarder::Path;
use crate::hold::{Hold, Waiting};
use crate::tables::Owner;
use crate::verdict::{DropReason, HeldId};

/// Entries that share a place in the table; the one that ends first makes room.
const WAYS: usize = 4;

/// Names a datagram among those of the last seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramKey {
    /// Sender.
    pub source: Ipv6Addr,
    /// Receiver.
    pub destination: Ipv6Addr,
    /// Upper-layer protocol.
    pub protocol: Protocol,
    /// The datagram's number.
    pub identification: u32,
}

/// Why a fragment waits: for the first of this datagram.
#[derive(Clone, Copy, Debug)]
pub struct Orphan {
    /// The datagram.
    pub key: DatagramKey,
    /// Where the fragment came in.
    pub port: PortId,
}

/// What happens to the fragments of a datagram.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// They take this path.
    Follow(Path),
    /// They share their first fragment's end.
    Drop(DropReason),
    /// They go to the box that their first fragment was handed over to.
    HandOver(Owner),
}

/// What is known of datagrams in fragments.
#[derive(Debug)]
pub struct Fragments {
    entries: Box<[Option<Entry>]>,
    orphans: Vec<Waiting<Orphan>>,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: DatagramKey,
    fate: Fate,
    until: Instant,
}

impl Fragments {
    /// An empty table. `seed` is secret.
    pub fn new(seed: u64) -> Self {
        Self {
            entries: vec![None; FRAGMENT_ENTRIES].into_boxed_slice(),
            orphans: Vec::with_capacity(FRAGMENTS_HELD),
            seed,
        }
    }

    /// Remembers where the first fragment of a datagram went.
    pub fn learn(&mut self, now: Instant, key: DatagramKey, fate: Fate) {
        let entry = Entry { key, fate, until: now + FRAGMENT_LIFETIME };
        let set = self.set(&key);
        let ways = &mut self.entries[set..set + WAYS];
        let same = ways.iter().position(|way| way.is_some_and(|e| e.key == key));
        let place = same.unwrap_or_else(|| {
            let age = |way: &Option<Entry>| way.map_or(Instant::ZERO, |e| e.until);
            (0..WAYS).min_by_key(|&way| age(&ways[way])).unwrap_or(0)
        });
        ways[place] = Some(entry);
    }

    /// What happens to the later fragments of a datagram, if its first has been seen.
    pub fn find(&self, now: Instant, key: &DatagramKey) -> Option<Fate> {
        let set = self.set(key);
        let known = self.entries[set..set + WAYS].iter().flatten();
        known.filter(|e| e.until > now).find(|e| e.key == *key).map(|e| e.fate)
    }

    /// Keeps a fragment whose first has not come. `None` when there is no room.
    pub fn keep(
        &mut self,
        now: Instant,
        hold: &mut Hold,
        bytes: &[u8],
        offload: Offload,
        orphan: Orphan,
    ) -> Option<HeldId> {
        let siblings = self.orphans.iter().filter(|w| w.reason.key == orphan.key).count();
        if self.orphans.len() >= FRAGMENTS_HELD || siblings >= FRAGMENTS_HELD_EACH {
            return None;
        }
        let waiting = hold.keep(bytes, offload, orphan, now + FRAGMENT_WAIT_TIME, None)?;
        self.orphans.push(waiting);
        Some(waiting.id)
    }

    /// Takes the first waiting fragment for which `wanted` holds.
    pub fn take(&mut self, wanted: impl Fn(&Waiting<Orphan>) -> bool) -> Option<Waiting<Orphan>> {
        let at = self.orphans.iter().position(wanted)?;
        Some(self.orphans.remove(at))
    }

    /// Whether a fragment has waited long enough.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_deadline().is_some_and(|until| until <= now)
    }

    /// The waiting fragments, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Waiting<Orphan>> {
        self.orphans.iter()
    }

    /// When the first waiting fragment has waited long enough.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.orphans.first().map(|waiting| waiting.until)
    }

    fn set(&self, key: &DatagramKey) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "a port's worth of bits is mixed in")]
        let low = key.identification as u16;
        let destination = hash_endpoint(key.destination, low, self.seed);
        let salt = u64::from(key.identification) << 8 | u64::from(key.protocol.0);
        let hash = hash_endpoint(key.source, low, destination ^ salt);
        #[expect(clippy::cast_possible_truncation, reason = "reduced to the table's size")]
        let place = hash as usize % (FRAGMENT_ENTRIES / WAYS);
        place * WAYS
    }
}
