//! Everything that can happen to a frame, counted.

use alloc::boxed::Box;
use alloc::vec;

use base::{ServerId, ServiceId};

use crate::verdict::{DropReason, Verdict};

/// Counters of one forwarder since it started.
#[derive(Clone, Debug)]
pub struct Counters {
    /// Frames handed in.
    pub received: u64,
    /// Frames forwarded for a service.
    pub balanced: u64,
    /// Frames forwarded between networks without a service.
    pub transit: u64,
    /// Frames answered by a frame of our own.
    pub answered: u64,
    /// Frames passed on to the box that serves their virtual address.
    pub handed_over: u64,
    /// Frames for the node's own addresses.
    pub own: u64,
    /// Packets of the node's own host stacks sent.
    pub originated: u64,
    /// Frames held for a first fragment or a neighbor.
    pub held: u64,
    /// ICMP errors generated.
    pub icmp_errors: u64,
    /// Resets generated.
    pub resets: u64,
    /// Packets cut into IPv4 fragments.
    pub fragmented: u64,
    /// Flows begun.
    pub flows_created: u64,
    /// Flows begun by a packet from the middle of a connection.
    pub flows_picked_up: u64,
    /// Flows ended by their idle time.
    pub flows_expired: u64,
    /// Flows removed to make room.
    pub flows_evicted: u64,
    /// Flows that ended because their server failed.
    pub flows_failed: u64,
    /// Events that did not fit into their burst.
    pub events_lost: u64,
    /// Drops by [`DropReason::index`].
    pub drops: [u64; DropReason::COUNT],
    /// By service number.
    pub services: Box<[Traffic]>,
    /// By server number.
    pub servers: Box<[Traffic]>,
}

/// What went through one service or server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))] // one cache line
pub struct Traffic {
    /// Flows now.
    pub active: u32,
    /// Flows begun.
    pub flows: u64,
    /// Frames towards the servers.
    pub packets_in: u64,
    /// Octets of IP towards the servers.
    pub bytes_in: u64,
    /// Frames towards the clients.
    pub packets_out: u64,
    /// Octets of IP towards the clients.
    pub bytes_out: u64,
}

impl Traffic {
    #[inline(always)]
    fn count(&mut self, to_server: bool, bytes: u32) {
        let (packets, octets) = if to_server {
            (&mut self.packets_in, &mut self.bytes_in)
        } else {
            (&mut self.packets_out, &mut self.bytes_out)
        };
        *packets += 1;
        *octets += u64::from(bytes);
    }

    fn add(&mut self, other: &Self) {
        self.active += other.active;
        self.flows += other.flows;
        self.packets_in += other.packets_in;
        self.bytes_in += other.bytes_in;
        self.packets_out += other.packets_out;
        self.bytes_out += other.bytes_out;
    }
}

impl Counters {
    /// All zero, for so many services and servers.
    pub fn new(services: usize, servers: usize) -> Self {
        Self {
            received: 0,
            balanced: 0,
            transit: 0,
            answered: 0,
            handed_over: 0,
            own: 0,
            originated: 0,
            held: 0,
            icmp_errors: 0,
            resets: 0,
            fragmented: 0,
            flows_created: 0,
            flows_picked_up: 0,
            flows_expired: 0,
            flows_evicted: 0,
            flows_failed: 0,
            events_lost: 0,
            drops: [0; DropReason::COUNT],
            services: vec![Traffic::default(); services].into_boxed_slice(),
            servers: vec![Traffic::default(); servers].into_boxed_slice(),
        }
    }

    /// Adds another forwarder's counters, without allocating. Services and servers beyond this
    /// one's size are left out.
    pub fn add(&mut self, other: &Self) {
        for ((_, sum), (_, more)) in self.plain_mut().into_iter().zip(other.plain()) {
            *sum += more;
        }
        for (sum, more) in self.drops.iter_mut().zip(other.drops) {
            *sum += more;
        }
        let pairs = self.services.iter_mut().zip(other.services.iter());
        for (sum, more) in pairs.chain(self.servers.iter_mut().zip(other.servers.iter())) {
            sum.add(more);
        }
    }

    /// Takes over another forwarder's counters, without allocating. Services and servers beyond
    /// either's size are left out.
    pub fn copy(&mut self, other: &Self) {
        for ((_, own), (_, value)) in self.plain_mut().into_iter().zip(other.plain()) {
            *own = value;
        }
        self.drops = other.drops;
        for (own, other) in
            [(&mut self.services, &other.services), (&mut self.servers, &other.servers)]
        {
            let both = own.len().min(other.len());
            own[..both].copy_from_slice(&other[..both]);
        }
    }

    /// Sets everything to zero.
    pub fn clear(&mut self) {
        for (_, value) in self.plain_mut() {
            *value = 0;
        }
        self.drops.fill(0);
        self.services.fill(Traffic::default());
        self.servers.fill(Traffic::default());
    }

    /// Name and value of every plain counter, in a stable order.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.plain().into_iter()
    }

    fn plain(&self) -> [(&'static str, u64); 17] {
        [
            ("received", self.received),
            ("balanced", self.balanced),
            ("transit", self.transit),
            ("answered", self.answered),
            ("handed_over", self.handed_over),
            ("own", self.own),
            ("originated", self.originated),
            ("held", self.held),
            ("icmp_errors", self.icmp_errors),
            ("resets", self.resets),
            ("fragmented", self.fragmented),
            ("flows_created", self.flows_created),
            ("flows_picked_up", self.flows_picked_up),
            ("flows_expired", self.flows_expired),
            ("flows_evicted", self.flows_evicted),
            ("flows_failed", self.flows_failed),
            ("events_lost", self.events_lost),
        ]
    }

    fn plain_mut(&mut self) -> [(&'static str, &mut u64); 17] {
        [
            ("received", &mut self.received),
            ("balanced", &mut self.balanced),
            ("transit", &mut self.transit),
            ("answered", &mut self.answered),
            ("handed_over", &mut self.handed_over),
            ("own", &mut self.own),
            ("originated", &mut self.originated),
            ("held", &mut self.held),
            ("icmp_errors", &mut self.icmp_errors),
            ("resets", &mut self.resets),
            ("fragmented", &mut self.fragmented),
            ("flows_created", &mut self.flows_created),
            ("flows_picked_up", &mut self.flows_picked_up),
            ("flows_expired", &mut self.flows_expired),
            ("flows_evicted", &mut self.flows_evicted),
            ("flows_failed", &mut self.flows_failed),
            ("events_lost", &mut self.events_lost),
        ]
    }

    /// Name and value of every drop counter.
    pub fn named_drops(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        DropReason::NAMES.iter().copied().zip(self.drops.iter().copied())
    }

    #[inline]
    pub(crate) fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Forward { service: Some(_), .. } => self.balanced += 1,
            Verdict::Forward { service: None, .. } => self.transit += 1,
            Verdict::Answer => self.answered += 1,
            Verdict::HandedOver => self.handed_over += 1,
            Verdict::Own(_) => self.own += 1,
            Verdict::Drop(reason) => self.drops[reason.index()] += 1,
            Verdict::Held(_) => self.held += 1,
        }
    }

    pub(crate) fn count_flow(&mut self, service: ServiceId, server: ServerId, change: i32) {
        for traffic in self.pair(service, server).into_iter().flatten() {
            traffic.active = traffic.active.saturating_add_signed(change);
            traffic.flows += u64::from(change > 0);
        }
    }

    #[inline(always)]
    pub(crate) fn count_traffic(
        &mut self,
        service: ServiceId,
        server: ServerId,
        to_server: bool,
        bytes: u32,
    ) {
        if let Some(traffic) = self.services.get_mut(service.index()) {
            traffic.count(to_server, bytes);
        }
        if let Some(traffic) = self.servers.get_mut(server.index()) {
            traffic.count(to_server, bytes);
        }
    }

    /// Brings the counters of a service and a server near.
    #[inline]
    pub(crate) fn prefetch(&self, service: ServiceId, server: ServerId) {
        if let Some(traffic) = self.services.get(service.index()) {
            base::sys::prefetch(traffic);
        }
        if let Some(traffic) = self.servers.get(server.index()) {
            base::sys::prefetch(traffic);
        }
    }

    #[inline]
    fn pair(&mut self, service: ServiceId, server: ServerId) -> [Option<&mut Traffic>; 2] {
        [self.services.get_mut(service.index()), self.servers.get_mut(server.index())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_two_forwarders_add_up_and_clear() {
        let mut sum = Counters::new(2, 2);
        let mut one = Counters::new(2, 2);
        for (value, (_, counter)) in (1..).zip(one.plain_mut()) {
            *counter = value;
        }
        one.count_flow(ServiceId(1), ServerId(0), 1);
        one.count_traffic(ServiceId(1), ServerId(0), true, 100);
        one.count(Verdict::Drop(DropReason::NoFlow));
        sum.add(&one);
        sum.add(&one);
        for ((name, one), (same, two)) in one.named().zip(sum.named()) {
            assert_eq!((name, 2 * one), (same, two));
        }
        assert_eq!(sum.services[1].bytes_in, 200);
        assert_eq!(sum.servers[0].active, 2);
        assert_eq!(sum.drops[DropReason::NoFlow.index()], 2);
        sum.copy(&one);
        for ((name, one), (same, copy)) in one.named().zip(sum.named()) {
            assert_eq!((name, one), (same, copy));
        }
        assert_eq!((sum.services[1].bytes_in, sum.servers[0].active), (100, 1));
        sum.clear();
        assert!(sum.named().chain(sum.named_drops()).all(|(_, value)| value == 0));
        assert_eq!(sum.servers[0], Traffic::default());
    }
}
