//! The one neighbor resolver: who is where, asked for, confirmed and forgotten.
//!
//! Reading list: RFC 826; RFC 1122 §2.3.2.1 (cache validation); RFC 4861 §7.3 (unreachability
//! detection), §10 (constants). The states are RFC 4861's, for both families, without DELAY:
//! next hops are few, so all of them are confirmed in turn instead of on use.
//!
//! ```text
//!              wanted                  answer
//!   (none) ───────────> Incomplete ───────────> Reachable
//!                         │  ^                    │   ^
//!       3 questions in    │  │ asked again        │   │ answer
//!       vain, not pinned  v  │ after a pause      v   │
//!                       (none)            30 s: Probe ─┘
//!                                           │ 3 unicast questions in vain
//!                                           └──────────> Incomplete
//! ```

use alloc::collections::{BTreeMap, VecDeque};
use core::net::Ipv6Addr;

use base::rate::TokenBucket;
use base::time::Duration;
use base::{Instant, Mac, PortId};
use model::limits;

/// Between two questions (RFC 4861 §10 RETRANS_TIMER).
const RETRANSMIT: Duration = Duration::from_secs(1);
/// Questions before giving up (RFC 4861 §10 MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT).
const QUESTIONS: u8 = 3;
/// How long an answer is believed (RFC 4861 §10 REACHABLE_TIME).
const REACHABLE: Duration = Duration::from_secs(30);
/// A pinned next hop that does not answer is asked for again after this.
const PAUSE: Duration = Duration::from_secs(5);

/// What is known of a neighbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighborState {
    /// Asked for; the number says how often.
    Incomplete(u8),
    /// It answered within the last 30 s.
    Reachable(Mac),
    /// Its address is used while it is asked, by unicast, whether it still holds.
    Probe(Mac, u8),
}

/// A question to put on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// By which port.
    pub port: PortId,
    /// Whose link-layer address.
    pub address: Ipv6Addr,
    /// The station asked; `None`: all.
    pub to: Option<Mac>,
}

/// All neighbors.
#[derive(Debug)]
pub struct Neighbors {
    entries: BTreeMap<(PortId, Ipv6Addr), Entry>,
    questions: VecDeque<Question>,
    rate: TokenBucket,
    changed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    state: NeighborState,
    /// When the state ends by itself.
    due: Instant,
    /// A next hop of the configuration: never forgotten.
    pinned: bool,
}

impl Default for Neighbors {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            questions: VecDeque::new(),
            rate: TokenBucket::new(
                limits::NEIGHBOUR_QUESTIONS_PER_SECOND,
                limits::NEIGHBOUR_QUESTIONS_BURST,
            ),
            changed: false,
        }
    }
}

impl Neighbors {
    /// Asks for a next hop of the configuration, now and for ever.
    pub fn pin(&mut self, now: Instant, port: PortId, address: Ipv6Addr) {
        self.want(now, port, address);
        if let Some(entry) = self.entries.get_mut(&(port, address)) {
            entry.pinned = true;
        }
    }

    /// A packet waits for this neighbor.
    pub fn want(&mut self, now: Instant, port: PortId, address: Ipv6Addr) {
        if self.entries.contains_key(&(port, address)) || self.is_full() {
            return;
        }
        let entry = Entry { state: NeighborState::Incomplete(0), due: now, pinned: false };
        self.entries.insert((port, address), entry);
        self.handle_entry(now, (port, address));
    }

    /// A neighbor said where it is. `solicited`: it answered a question of ours.
    pub fn seen(
        &mut self,
        now: Instant,
        port: PortId,
        address: Ipv6Addr,
        mac: Mac,
        solicited: bool,
    ) {
        if !self.entries.contains_key(&(port, address)) && self.is_full() {
            return;
        }
        let fresh = Entry { state: NeighborState::Incomplete(0), due: now, pinned: false };
        let entry = self.entries.entry((port, address)).or_insert(fresh);
        let known = match entry.state {
            NeighborState::Incomplete(_) => None,
            NeighborState::Reachable(mac) | NeighborState::Probe(mac, _) => Some(mac),
        };
        if known == Some(mac) && !solicited {
            return;
        }
        // What was merely announced is used, and asked about soon.
        let believed = if solicited { REACHABLE } else { RETRANSMIT };
        entry.state = NeighborState::Reachable(mac);
        entry.due = now + believed;
        self.changed |= known != Some(mac);
    }

    /// The port lost its link: what was known there may have changed.
    pub fn forget_port(&mut self, now: Instant, port: PortId) {
        self.changed |= self.entries.keys().any(|&(at, _)| at == port);
        self.entries.retain(|&(at, _), entry| at != port || entry.pinned);
        for entry in self.entries.iter_mut().filter(|((at, _), _)| *at == port) {
            *entry.1 = Entry { state: NeighborState::Incomplete(0), due: now, pinned: true };
        }
    }

    /// Asks, asks again, and forgets, as the time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let due: alloc::vec::Vec<_> =
            self.entries.iter().filter(|(_, e)| e.due <= now).map(|(&key, _)| key).collect();
        for key in due {
            self.handle_entry(now, key);
        }
    }

    /// When [`Neighbors::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.due).min()
    }

    /// The next question to put on the wire.
    pub fn poll_question(&mut self) -> Option<Question> {
        self.questions.pop_front()
    }

    /// Whether the known addresses changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        core::mem::take(&mut self.changed)
    }

    /// Every neighbor whose link-layer address is known.
    pub fn known(&self) -> impl Iterator<Item = (PortId, Ipv6Addr, Mac)> + '_ {
        self.entries.iter().filter_map(|(&(port, address), entry)| match entry.state {
            NeighborState::Incomplete(_) => None,
            NeighborState::Reachable(mac) | NeighborState::Probe(mac, _) => {
                Some((port, address, mac))
            }
        })
    }

    /// Every neighbor and what is known of it.
    pub fn iter(&self) -> impl Iterator<Item = (PortId, Ipv6Addr, NeighborState)> + '_ {
        self.entries.iter().map(|(&(port, address), entry)| (port, address, entry.state))
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= limits::NEIGHBOURS
    }

    fn handle_entry(&mut self, now: Instant, key: (PortId, Ipv6Addr)) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let (state, due) = match entry.state {
            NeighborState::Incomplete(QUESTIONS..) if entry.pinned => {
                (NeighborState::Incomplete(0), now + PAUSE)
            }
            NeighborState::Incomplete(QUESTIONS..) => {
                self.entries.remove(&key);
                return;
            }
            NeighborState::Incomplete(asked) => {
                (NeighborState::Incomplete(asked + 1), now + RETRANSMIT)
            }
            NeighborState::Reachable(mac) => (NeighborState::Probe(mac, 1), now + RETRANSMIT),
            NeighborState::Probe(_, QUESTIONS..) => {
                self.changed = true;
                (NeighborState::Incomplete(1), now + RETRANSMIT)
            }
            NeighborState::Probe(mac, asked) => {
                (NeighborState::Probe(mac, asked + 1), now + RETRANSMIT)
            }
        };
        *entry = Entry { state, due, ..*entry };
        let to = match state {
            NeighborState::Incomplete(0) => return,
            NeighborState::Incomplete(_) => None,
            NeighborState::Reachable(mac) | NeighborState::Probe(mac, _) => Some(mac),
        };
        if self.rate.take(now) {
            self.questions.push_back(Question { port: key.0, address: key.1, to });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: PortId = PortId(1);
    const HOST: Ipv6Addr = Ipv6Addr::LOCALHOST;
    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn asked(neighbors: &mut Neighbors) -> Vec<Option<Mac>> {
        core::iter::from_fn(|| neighbors.poll_question()).map(|q| q.to).collect()
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_silent_neighbor_is_asked_for_three_times_and_forgotten() {
        let mut neighbors = Neighbors::default();
        neighbors.want(at(0), PORT, HOST);
        for second in 1..6 {
            neighbors.handle_timeout(at(second));
        }
        assert_eq!(asked(&mut neighbors), [None, None, None]);
        assert_eq!(neighbors.iter().count(), 0);
    }

    #[test]
    fn a_pinned_neighbor_is_asked_for_again_after_a_pause() {
        let mut neighbors = Neighbors::default();
        neighbors.pin(at(0), PORT, HOST);
        for second in 1..=9 {
            neighbors.handle_timeout(at(second));
        }
        assert_eq!(asked(&mut neighbors).len(), 5);
    }

    #[test]
    fn an_answer_is_believed_for_thirty_seconds_and_then_confirmed_by_unicast() {
        let mut neighbors = Neighbors::default();
        neighbors.want(at(0), PORT, HOST);
        neighbors.seen(at(0), PORT, HOST, MAC, true);
        assert!(neighbors.take_changed());
        neighbors.handle_timeout(at(29));
        assert_eq!(asked(&mut neighbors), [None]);
        neighbors.handle_timeout(at(30));
        assert_eq!(asked(&mut neighbors), [Some(MAC)]);
        neighbors.seen(at(30), PORT, HOST, MAC, true);
        assert!(!neighbors.take_changed(), "the same address is no change");
        assert_eq!(neighbors.next_deadline(), Some(at(60)));
    }

    #[test]
    fn a_neighbor_that_stops_answering_is_asked_for_by_multicast_again() {
        let mut neighbors = Neighbors::default();
        neighbors.pin(at(0), PORT, HOST);
        neighbors.seen(at(0), PORT, HOST, MAC, true);
        for second in 30..34 {
            neighbors.handle_timeout(at(second));
        }
        let some = Some(MAC);
        assert_eq!(asked(&mut neighbors), [None, some, some, some, None]);
        assert_eq!(neighbors.known().count(), 0);
    }

    #[test]
    fn strangers_cannot_fill_the_table_without_bound() {
        let mut neighbors = Neighbors::default();
        for n in 0..100_000u128 {
            neighbors.seen(at(0), PORT, Ipv6Addr::from_bits(n), MAC, false);
        }
        assert_eq!(neighbors.iter().count(), limits::NEIGHBOURS);
    }

    extern crate std;
    use std::vec::Vec;
}
