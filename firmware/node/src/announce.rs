//! Telling the segment where an address is: gratuitous ARP in both forms (RFC 5227 §3, RFC 5944
//! §4.6), unsolicited neighbor advertisements (RFC 4861 §7.2.6).

use alloc::collections::BTreeSet;
use core::net::Ipv6Addr;

use base::rate::TokenBucket;
use base::rng::Rng;
use base::time::Duration;
use base::{Instant, PortId};
use model::limits;

/// Time from the claim of an address to each of its announcements. Afterwards every minute: a
/// switch or host that forgot learns again.
const SCHEDULE: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(1_100),
    Duration::from_secs(5),
];
const EVERY: Duration = Duration::from_secs(60);

/// An announcement to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// By which port.
    pub port: PortId,
    /// Which address of ours.
    pub address: Ipv6Addr,
}

/// What is still to be announced, and when.
#[derive(Debug)]
pub struct Announcer {
    due: BTreeSet<(Instant, PortId, Ipv6Addr, Step)>,
    /// One for each port.
    rates: alloc::vec::Vec<TokenBucket>,
    rng: Rng,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    number: usize,
    claimed: Instant,
}

impl Announcer {
    /// Nothing to announce yet, on so many ports.
    pub fn new(ports: usize, seed: u64) -> Self {
        let rate = TokenBucket::new(limits::ANNOUNCEMENTS_PER_SECOND, limits::ANNOUNCEMENTS_BURST);
        Self { due: BTreeSet::new(), rates: alloc::vec![rate; ports], rng: Rng::new(seed) }
    }

    /// There are so many ports now.
    pub fn set_ports(&mut self, ports: usize) {
        let rate = TokenBucket::new(limits::ANNOUNCEMENTS_PER_SECOND, limits::ANNOUNCEMENTS_BURST);
        self.rates.resize(ports, rate);
        self.due.retain(|&(_, port, ..)| port.index() < ports);
    }

    /// An address is ours from now on (or the port came back): announce it.
    pub fn claim(&mut self, now: Instant, port: PortId, address: Ipv6Addr) {
        self.withdraw(port, address);
        self.due.insert((now, port, address, Step { number: 0, claimed: now }));
    }

    /// Nothing more is to be said of this address.
    pub fn withdraw(&mut self, port: PortId, address: Ipv6Addr) {
        self.due.retain(|&(_, p, a, _)| (p, a) != (port, address));
    }

    /// The port is gone.
    pub fn withdraw_port(&mut self, port: PortId) {
        self.due.retain(|&(_, p, ..)| p != port);
    }

    /// When the next announcement is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due.first().map(|&(due, ..)| due)
    }

    /// The next announcement that is due now.
    pub fn poll(&mut self, now: Instant) -> Option<Announcement> {
        while let Some(&entry) = self.due.first().filter(|&&(due, ..)| due <= now) {
            let (_, port, address, step) = entry;
            self.due.remove(&entry);
            let Some(rate) = self.rates.get_mut(port.index()) else { continue };
            if !rate.take(now) {
                let later = rate.next().max(now + Duration::from_millis(1));
                self.due.insert((later, port, address, step));
                continue;
            }
            let number = step.number + 1;
            let next = match SCHEDULE.get(number) {
                Some(&after) => (step.claimed + after).max(now),
                None => now + EVERY + Duration::from_millis(self.rng.below(5_000)),
            };
            self.due.insert((next, port, address, Step { number, ..step }));
            return Some(Announcement { port, address });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(announcer: &mut Announcer, from: u64, to: u64) -> std::vec::Vec<u64> {
        let mut times = std::vec::Vec::new();
        for ms in from..to {
            while announcer.poll(Instant::from_millis(ms)).is_some() {
                times.push(ms);
            }
        }
        times
    }

    #[test]
    fn an_address_is_announced_five_times_and_then_every_minute() {
        let mut announcer = Announcer::new(1, 1);
        announcer.claim(Instant::from_millis(10), PortId(0), Ipv6Addr::LOCALHOST);
        assert_eq!(sent(&mut announcer, 0, 60_000), [10, 60, 210, 1_110, 5_010]);
        let later = sent(&mut announcer, 60_000, 300_000);
        assert!((3..=4).contains(&later.len()), "{later:?}");
    }

    #[test]
    fn a_thousand_addresses_are_paced() {
        let mut announcer = Announcer::new(1, 1);
        for n in 0..1_000 {
            announcer.claim(Instant::ZERO, PortId(0), Ipv6Addr::from_bits(n));
        }
        let times = sent(&mut announcer, 0, 1_000);
        assert_eq!(times.iter().filter(|&&ms| ms == 0).count(), 50);
        assert!((240..=260).contains(&times.len()), "{}", times.len());
    }

    #[test]
    fn an_address_withdrawn_is_silent() {
        let mut announcer = Announcer::new(2, 1);
        announcer.claim(Instant::ZERO, PortId(1), Ipv6Addr::LOCALHOST);
        announcer.withdraw_port(PortId(1));
        assert_eq!(sent(&mut announcer, 0, 100), []);
    }

    extern crate std;
}
