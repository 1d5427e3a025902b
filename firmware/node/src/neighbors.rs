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

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use core::net::Ipv6Addr;
use core::ops::Bound::{Excluded, Unbounded};

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
/// A question for which there is no room in the rate is put after this.
const POSTPONED: Duration = Duration::from_millis(100);
/// How many entries are looked at for one to give up.
const SEARCHED: usize = 64;

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

/// A neighbor's place in the table.
type Key = (PortId, Ipv6Addr);

/// All neighbors: the next hops of the configuration, and up to [`limits::NEIGHBOURS`] others.
#[derive(Debug)]
pub struct Neighbors {
    entries: BTreeMap<Key, Entry>,
    /// When each entry's state ends by itself.
    schedule: BTreeSet<(Instant, Key)>,
    questions: VecDeque<Question>,
    /// For those that we need and those that have answered before: strangers who make us ask for
    /// a thousand others cannot use it up.
    upkeep: TokenBucket,
    /// For all others.
    discovery: TokenBucket,
    /// How many entries are pinned.
    pinned: usize,
    /// Where the search for an entry to give up went on last.
    cursor: Key,
    changed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    state: NeighborState,
    due: Instant,
    /// A next hop of the configuration: never forgotten.
    pinned: bool,
    /// It has answered a question of ours.
    confirmed: bool,
}

impl Entry {
    const fn new(now: Instant) -> Self {
        Self { state: NeighborState::Incomplete(0), due: now, pinned: false, confirmed: false }
    }
}

impl Default for Neighbors {
    fn default() -> Self {
        let rate = TokenBucket::new(
            limits::NEIGHBOUR_QUESTIONS_PER_SECOND,
            limits::NEIGHBOUR_QUESTIONS_BURST,
        );
        Self {
            entries: BTreeMap::new(),
            schedule: BTreeSet::new(),
            questions: VecDeque::new(),
            upkeep: rate.clone(),
            discovery: rate,
            pinned: 0,
            cursor: (PortId(0), Ipv6Addr::UNSPECIFIED),
            changed: false,
        }
    }
}

impl Neighbors {
    /// Asks for a next hop of the configuration, now and for ever.
    pub fn pin(&mut self, now: Instant, port: PortId, address: Ipv6Addr) {
        let key = (port, address);
        let known = self.entries.get(&key).copied();
        if known.is_some_and(|entry| entry.pinned) {
            return;
        }
        self.pinned += 1;
        self.put(key, Entry { pinned: true, ..known.unwrap_or(Entry::new(now)) });
        if known.is_none() {
            self.handle_entry(now, key);
        }
    }

    /// The configuration names no next hop any more; what is known stays as a stranger's.
    pub fn unpin_all(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.pinned = false);
        self.pinned = 0;
    }

    /// A packet waits for this neighbor.
    pub fn want(&mut self, now: Instant, port: PortId, address: Ipv6Addr) {
        let key = (port, address);
        if !self.entries.contains_key(&key) && self.make_room() {
            self.put(key, Entry::new(now));
            self.handle_entry(now, key);
        }
    }

    /// A neighbor said where it is. `solicited`: it says that it was asked.
    pub fn seen(
        &mut self,
        now: Instant,
        port: PortId,
        address: Ipv6Addr,
        mac: Mac,
        solicited: bool,
    ) {
        let key = (port, address);
        let before = self.entries.get(&key).copied();
        if before.is_none() && !self.make_room() {
            return;
        }
        // Nobody asked for one that is not in the table, whatever it says.
        let solicited = solicited && before.is_some();
        let entry = before.unwrap_or(Entry::new(now));
        let known = match entry.state {
            NeighborState::Incomplete(_) => None,
            NeighborState::Reachable(mac) | NeighborState::Probe(mac, _) => Some(mac),
        };
        if known == Some(mac) && !solicited {
            return;
        }
        // What was merely announced is used, and asked about soon.
        let believed = if solicited { REACHABLE } else { RETRANSMIT };
        let confirmed = solicited || entry.confirmed && known == Some(mac);
        let state = NeighborState::Reachable(mac);
        self.put(key, Entry { state, due: now + believed, confirmed, ..entry });
        self.changed |= known != Some(mac);
    }

    /// The port lost its link: what was known there may have changed.
    pub fn forget_port(&mut self, now: Instant, port: PortId) {
        let there = |key: &&Key| key.0 == port;
        let keys: alloc::vec::Vec<_> = self.entries.keys().filter(there).copied().collect();
        self.changed |= !keys.is_empty();
        for key in keys {
            if self.remove(key).is_some_and(|entry| entry.pinned) {
                self.pinned += 1;
                self.put(key, Entry { pinned: true, ..Entry::new(now) });
            }
        }
    }

    /// Asks, asks again, and forgets, as the time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        // Every step moves its entry beyond `now`.
        while let Some(&(_, key)) = self.schedule.first().filter(|&&(due, _)| due <= now) {
            self.handle_entry(now, key);
        }
    }

    /// When [`Neighbors::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.schedule.first().map(|&(due, _)| due)
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

    /// Whether there is room for one more that is not pinned. One that never answered us gives
    /// way: whoever invents neighbors drives out his own inventions.
    fn make_room(&mut self) -> bool {
        if self.entries.len() - self.pinned < limits::NEIGHBOURS {
            return true;
        }
        let behind = self.entries.range((Excluded(self.cursor), Unbounded));
        let around = behind.chain(&self.entries).take(SEARCHED);
        let mut last = self.cursor;
        let mut found = None;
        for (&key, entry) in around {
            last = key;
            if !entry.pinned && !entry.confirmed {
                found = Some(key);
                break;
            }
        }
        self.cursor = last;
        found.and_then(|key| self.remove(key)).is_some()
    }

    fn put(&mut self, key: Key, entry: Entry) {
        if let Some(old) = self.entries.insert(key, entry) {
            self.schedule.remove(&(old.due, key));
        }
        self.schedule.insert((entry.due, key));
    }

    fn remove(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.schedule.remove(&(entry.due, key));
        self.pinned -= usize::from(entry.pinned);
        self.changed |= !matches!(entry.state, NeighborState::Incomplete(_));
        Some(entry)
    }

    fn handle_entry(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.entries.get(&key).copied() else { return };
        let state = match entry.state {
            NeighborState::Incomplete(QUESTIONS..) if entry.pinned => {
                let state = NeighborState::Incomplete(0);
                return self.put(key, Entry { state, due: now + PAUSE, ..entry });
            }
            NeighborState::Incomplete(QUESTIONS..) => {
                self.remove(key);
                return;
            }
            NeighborState::Incomplete(asked) => NeighborState::Incomplete(asked + 1),
            NeighborState::Reachable(mac) => NeighborState::Probe(mac, 1),
            NeighborState::Probe(_, QUESTIONS..) => NeighborState::Incomplete(1),
            NeighborState::Probe(mac, asked) => NeighborState::Probe(mac, asked + 1),
        };
        let needed = entry.pinned || entry.confirmed;
        let rate = if needed { &mut self.upkeep } else { &mut self.discovery };
        let asked = rate.take(now);
        if needed && !asked {
            // No state ends for lack of a question that was never put.
            return self.put(key, Entry { due: now + POSTPONED, ..entry });
        }
        let to = match state {
            NeighborState::Incomplete(_) => None,
            NeighborState::Reachable(mac) | NeighborState::Probe(mac, _) => Some(mac),
        };
        self.changed |= to.is_none() && !matches!(entry.state, NeighborState::Incomplete(_));
        self.put(key, Entry { state, due: now + RETRANSMIT, ..entry });
        if asked {
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

    #[test]
    fn a_stranger_who_makes_us_ask_for_thousands_cannot_make_us_lose_a_next_hop() {
        let mut neighbors = Neighbors::default();
        neighbors.pin(at(0), PORT, HOST);
        neighbors.seen(at(0), PORT, HOST, MAC, true);
        let mut invented = 0u128;
        for ms in (0..120_000).step_by(100) {
            let now = Instant::from_millis(ms);
            for _ in 0..500 {
                invented += 1;
                neighbors.want(now, PORT, Ipv6Addr::from_bits(invented << 64));
            }
            neighbors.handle_timeout(now);
            while let Some(question) = neighbors.poll_question() {
                if question.address == HOST {
                    neighbors.seen(now, PORT, HOST, MAC, true);
                }
            }
            assert!(neighbors.known().any(|(_, address, _)| address == HOST), "at {ms} ms");
        }
    }

    #[test]
    fn a_full_table_still_takes_next_hops_and_those_that_answer() {
        let mut neighbors = Neighbors::default();
        for n in 0..limits::NEIGHBOURS as u128 + 100 {
            neighbors.seen(at(0), PORT, Ipv6Addr::from_bits(n << 64 | 7), MAC, n % 2 == 0);
        }
        neighbors.pin(at(0), PortId(2), HOST);
        neighbors.want(at(0), PORT, HOST);
        neighbors.seen(at(0), PORT, HOST, MAC, true);
        for n in 0..100_000u128 {
            neighbors.want(at(0), PORT, Ipv6Addr::from_bits(n << 64 | 9));
        }
        let states: Vec<_> = neighbors.iter().filter(|&(_, at, _)| at == HOST).collect();
        let (known, wanted) = (NeighborState::Reachable(MAC), NeighborState::Incomplete(1));
        assert_eq!(states, [(PORT, HOST, known), (PortId(2), HOST, wanted)]);
        assert_eq!(neighbors.iter().count(), limits::NEIGHBOURS + 1);
        neighbors.handle_timeout(at(600));
        neighbors.forget_port(at(600), PortId(2));
        assert!(neighbors.iter().any(|(port, ..)| port == PortId(2)), "a next hop stays");
    }

    extern crate std;
    use std::vec::Vec;
}
