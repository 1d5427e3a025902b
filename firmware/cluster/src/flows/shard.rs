//! The flows of one virtual address that are copied, with the order in which they changed.
//!
//! Each change has a number. Who has everything up to a number gets to the present state by what
//! changed after it, however much of that has been overtaken since: nothing is kept twice, and a
//! lost message is sent again as things are now.
//!
//! A flow that has ended leaves a grave, so that it ends where it was copied to. There is a bound
//! to graves: whoever has not heard of one that was cleared ([`Shard::floor`]) begins with nothing.

use alloc::collections::{BTreeMap, VecDeque};
use core::ops::Bound;

use base::FlowKey;
use model::limits::FLOW_GRAVES;

use super::{Endpoint, Flow};

/// Who knows of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A forwarder of ours, by its number, as of this round of its telling.
    Forwarder(u8, u8),
    /// Only another box, which had the address before.
    Copied,
}

/// What is known of a flow.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// None: it has ended.
    server: Option<Endpoint>,
    changed: u64,
    holder: Holder,
    /// In which of our times as the owner that was said.
    era: u32,
}

/// The flows of one virtual address.
#[derive(Debug, Default)]
pub struct Shard {
    entries: BTreeMap<Flow, Entry>,
    log: BTreeMap<u64, Flow>,
    graves: VecDeque<(u64, Flow)>,
    head: u64,
    floor: u64,
    digest: u64,
    live: usize,
    /// Grows whenever we stop to own the address.
    era: u32,
}

impl Shard {
    /// The number of the last change.
    pub const fn head(&self) -> u64 {
        self.head
    }

    /// The highest number of a grave that was cleared.
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Of all flows and their servers, in no order.
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// How many flows there are.
    pub const fn len(&self) -> usize {
        self.live
    }

    /// The server of a flow.
    pub fn server(&self, flow: &Flow) -> Option<Endpoint> {
        self.entries.get(flow)?.server
    }

    /// Every flow with its server.
    pub fn iter<'s>(&'s self) -> impl Iterator<Item = (&'s Flow, &'s Endpoint, Holder)> {
        let live = |(flow, entry): (_, &'s Entry)| {
            Some((flow, entry.server.as_ref()?, self.holder_of(entry)))
        };
        self.entries.iter().filter_map(live)
    }

    /// Some flows behind one of them, in the order of flows.
    pub fn after(&self, flow: Option<&Flow>) -> impl Iterator<Item = (&Flow, Holder)> {
        let from = flow.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.entries.range::<Flow, _>((from, Bound::Unbounded));
        let live = range.filter(|(_, entry)| entry.server.is_some());
        live.map(|(flow, entry)| (flow, self.holder_of(entry)))
    }

    /// A flow has a server. Whether that is a change.
    pub fn set(&mut self, flow: Flow, server: Endpoint, holder: Holder) -> bool {
        let known = self.entries.get_mut(&flow);
        if let Some(entry) = known.filter(|entry| entry.server == Some(server)) {
            (entry.holder, entry.era) = (holder, self.era);
            return false;
        }
        self.change(flow, Some(server), holder);
        true
    }

    /// A flow has ended. Whether that is a change.
    pub fn end(&mut self, flow: &Flow) -> bool {
        if self.server(flow).is_none() {
            return false;
        }
        self.change(*flow, None, Holder::Copied);
        self.graves.push_back((self.head, *flow));
        while self.graves.len() > FLOW_GRAVES {
            self.clear_grave();
        }
        true
    }

    /// Who knows of a flow.
    pub fn holder(&self, flow: &Flow) -> Option<Holder> {
        let live = self.entries.get(flow).filter(|entry| entry.server.is_some());
        live.map(|entry| self.holder_of(entry))
    }

    /// The address is not ours any more: what our forwarders knew of it they may forget, and it is
    /// a copy from now on.
    pub const fn let_go(&mut self) {
        self.era = self.era.wrapping_add(1);
    }

    fn holder_of(&self, entry: &Entry) -> Holder {
        if entry.era == self.era { entry.holder } else { Holder::Copied }
    }

    /// What changed behind a number, in order: the number, the flow, and its server now.
    pub fn since(&self, number: u64) -> impl Iterator<Item = (u64, &Flow, Option<&Endpoint>)> {
        let changed = self.log.range((Bound::Excluded(number), Bound::Unbounded));
        changed.map(|(number, flow)| {
            let entry = self.entries.get(flow);
            (*number, flow, entry.and_then(|entry| entry.server.as_ref()))
        })
    }

    /// Nobody has to hear of graves up to this number any more.
    pub fn heard(&mut self, number: u64) {
        while self.graves.front().is_some_and(|(dug, _)| *dug <= number) {
            let before = self.floor;
            self.clear_grave();
            // Everybody knows: nobody has to begin anew for it.
            self.floor = before;
        }
    }

    fn change(&mut self, flow: Flow, server: Option<Endpoint>, holder: Holder) {
        self.head += 1;
        let entry = Entry { server, changed: self.head, holder, era: self.era };
        if let Some(server) = server {
            self.digest ^= digest(&flow, &server);
            self.live += 1;
        }
        if let Some(old) = self.entries.insert(flow, entry) {
            self.log.remove(&old.changed);
            if let Some(server) = old.server {
                self.digest ^= digest(&flow, &server);
                self.live -= 1;
            }
        }
        self.log.insert(self.head, flow);
    }

    fn clear_grave(&mut self) {
        let Some((dug, flow)) = self.graves.pop_front() else { return };
        // The flow may live again since.
        if self.entries.get(&flow).is_some_and(|entry| entry.changed == dug) {
            self.entries.remove(&flow);
            self.log.remove(&dug);
            self.floor = dug;
        }
    }
}

/// The same on every box.
fn digest(flow: &Flow, server: &Endpoint) -> u64 {
    const COPIES: u64 = 0x706f_7274_6963_6f32;
    let key = FlowKey {
        source: flow.client,
        destination: server.address,
        source_port: flow.client_port,
        destination_port: server.port,
        protocol: flow.protocol,
    };
    key.hash(COPIES.wrapping_add(flow.port.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::{flow, server};
    use alloc::vec::Vec;

    fn numbers(shard: &Shard, since: u64) -> Vec<(u64, u16, bool)> {
        shard.since(since).map(|(at, flow, to)| (at, flow.client_port, to.is_some())).collect()
    }

    #[test]
    fn what_changed_since_is_told_once_and_as_it_is_now() {
        let mut shard = Shard::default();
        let empty = shard.digest();
        assert!(shard.set(flow(1), server(1), Holder::Copied));
        assert!(shard.set(flow(2), server(1), Holder::Copied));
        assert!(!shard.set(flow(2), server(1), Holder::Forwarder(0, 0)), "it has that server");
        assert!(shard.set(flow(1), server(2), Holder::Copied));
        assert_eq!(numbers(&shard, 0), [(2, 2, true), (3, 1, true)]);
        assert!(shard.end(&flow(2)) && !shard.end(&flow(2)) && !shard.end(&flow(9)));
        assert_eq!(numbers(&shard, 2), [(3, 1, true), (4, 2, false)]);
        assert_eq!((shard.len(), shard.server(&flow(1))), (1, Some(server(2))));
        assert!(shard.end(&flow(1)));
        assert_eq!(shard.digest(), empty);
    }

    #[test]
    fn graves_are_bounded_and_who_has_not_heard_of_one_begins_anew() {
        let mut shard = Shard::default();
        for n in 0..=u16::try_from(FLOW_GRAVES).unwrap() {
            shard.set(flow(n), server(1), Holder::Copied);
            shard.end(&flow(n));
        }
        assert_eq!((shard.since(0).count(), shard.floor()), (FLOW_GRAVES, 2));
        shard.heard(shard.head());
        assert_eq!((shard.since(0).count(), shard.floor()), (0, 2), "all have heard of these");
        assert!(shard.entries.is_empty() && shard.log.is_empty() && shard.graves.is_empty());
    }

    #[test]
    fn a_flow_that_lives_again_has_no_grave() {
        let mut shard = Shard::default();
        shard.set(flow(1), server(1), Holder::Copied);
        shard.end(&flow(1));
        shard.set(flow(1), server(2), Holder::Copied);
        shard.heard(shard.head());
        assert_eq!(numbers(&shard, 0), [(3, 1, true)]);
    }
}
