//! Flows that another box told us of, whose addresses are ours now: asked for packets that no flow
//! of ours knows, before the selection function is.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::{FlowKey, Instant, ServerId, ServiceId};

/// A flow, and what was chosen for it where it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The key of the client's packets.
    pub request: FlowKey,
    /// The server's address, and the port that the flow's packets go to.
    pub endpoint: (Ipv6Addr, u16),
    /// The service.
    pub service: ServiceId,
    /// The server.
    pub server: ServerId,
}

impl Copied {
    /// The key of the server's packets.
    pub const fn reply(&self) -> FlowKey {
        let (address, port) = self.endpoint;
        FlowKey {
            source: address,
            destination: self.request.source,
            source_port: port,
            destination_port: self.request.source_port,
            protocol: self.request.protocol,
        }
    }
}

/// All of them, to be found by the packets of either side.
#[derive(Clone, Debug, Default)]
pub struct Copies {
    flows: Vec<Copied>,
    /// Open addressing, at most half full: the number of the flow and its side, plus one.
    index: Vec<u32>,
    seed: u64,
    since: Instant,
}

impl Copies {
    /// Of two flows with the same key the first counts. `seed` is secret.
    pub fn build(now: Instant, seed: u64, flows: Vec<Copied>) -> Self {
        if flows.is_empty() {
            return Self::default();
        }
        let slots = (flows.len() * 4).next_power_of_two();
        let mut copies = Self { flows, index: vec![0; slots], seed, since: now };
        for number in 0..copies.flows.len() {
            let flow = copies.flows[number];
            for (side, key) in [flow.request, flow.reply()].into_iter().enumerate() {
                let mut at = copies.home(&key);
                while copies.index[at] != 0 {
                    at = (at + 1) & (copies.index.len() - 1);
                }
                copies.index[at] = u32::try_from(number * 2 + side + 1).unwrap_or(0);
            }
        }
        copies
    }

    /// Whether there are none: most of the time.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// When they were put together.
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// The flow of a client's packet.
    pub fn by_request(&self, key: &FlowKey) -> Option<&Copied> {
        self.find(key, 0, |flow| flow.request)
    }

    /// The flow of a server's packet.
    pub fn by_reply(&self, key: &FlowKey) -> Option<&Copied> {
        self.find(key, 1, Copied::reply)
    }

    fn find(&self, key: &FlowKey, side: u32, of: fn(&Copied) -> FlowKey) -> Option<&Copied> {
        if self.flows.is_empty() {
            return None;
        }
        let mut at = self.home(key);
        loop {
            let entry = self.index[at].checked_sub(1)?;
            let flow = self.flows.get(entry as usize / 2)?;
            if entry % 2 == side && of(flow) == *key {
                return Some(flow);
            }
            at = (at + 1) & (self.index.len() - 1);
        }
    }

    fn home(&self, key: &FlowKey) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
        let hash = key.hash(self.seed) as usize;
        hash & (self.index.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Protocol;

    fn copied(client_port: u16, server: u16) -> Copied {
        let request = FlowKey {
            source: Ipv6Addr::LOCALHOST,
            destination: Ipv6Addr::new(1, 2, 3, 4, 5, 6, 7, 8),
            source_port: client_port,
            destination_port: 80,
            protocol: Protocol::TCP,
        };
        let endpoint = (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, server), 8_080);
        Copied { request, endpoint, service: ServiceId(1), server: ServerId(server) }
    }

    #[test]
    fn each_flow_is_found_by_both_sides_and_by_nothing_else() {
        let flows: Vec<Copied> = (0..2_000).map(|n| copied(n, n % 5)).collect();
        let copies = Copies::build(Instant::ZERO, 7, flows.clone());
        assert_eq!(copies.len(), 2_000);
        for flow in &flows {
            assert_eq!(copies.by_request(&flow.request), Some(flow));
            assert_eq!(copies.by_reply(&flow.reply()), Some(flow));
            assert_eq!(copies.by_request(&flow.reply()), None);
            assert_eq!(copies.by_reply(&flow.request), None);
        }
        assert_eq!(copies.by_request(&copied(2_001, 1).request), None);
        let none = Copies::default();
        assert_eq!((none.by_request(&flows[0].request), none.is_empty()), (None, true));
    }

    #[test]
    fn of_two_flows_with_one_key_the_first_counts() {
        let copies = Copies::build(Instant::ZERO, 7, vec![copied(1, 1), copied(1, 2)]);
        let found = copies.by_request(&copied(1, 0).request).map(|it| it.server);
        assert_eq!(found, Some(ServerId(1)));
    }
}
