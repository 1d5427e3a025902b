//! The face that smoltcp sees: one packet in, a bounded queue out.

use crate::queue::Queue;
use alloc::vec;
use base::rate::TokenBucket;
use base::{Instant, NetworkId, Protocol};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};

/// One network for the length of one call into smoltcp.
pub struct Port<'p> {
    /// The packet that has arrived, until smoltcp takes it.
    pub received: Option<&'p [u8]>,
    pub queue: &'p mut Queue,
    /// How often an ICMP error may leave; RFC 4443 §2.4(f), RFC 1812 §4.3.2.8.
    pub errors: &'p mut TokenBucket,
    pub errors_withheld: &'p mut u64,
    pub network: NetworkId,
    pub mtu: usize,
    pub now: Instant,
}

pub struct Received<'a>(&'a [u8]);

pub struct Sent<'a> {
    queue: &'a mut Queue,
    errors: &'a mut TokenBucket,
    errors_withheld: &'a mut u64,
    network: NetworkId,
    now: Instant,
}

impl Port<'_> {
    fn sent(&mut self) -> Option<Sent<'_>> {
        if self.queue.is_full() {
            return None;
        }
        Some(Sent {
            queue: self.queue,
            errors: self.errors,
            errors_withheld: self.errors_withheld,
            network: self.network,
            now: self.now,
        })
    }
}

impl Device for Port<'_> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Sent<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received<'_>, Sent<'_>)> {
        let packet = self.received.take()?;
        Some((Received(packet), self.sent()?))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sent<'_>> {
        self.sent()
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let Some(bytes) = self.queue.reserve(length) else {
            // Not reached: a token exists only while there is room, and smoltcp keeps to the
            // MTU, which no slot is shorter than. The packet would be lost as on any wire.
            return f(&mut vec![0; length]);
        };
        let result = f(bytes);
        if is_icmp(bytes) && !self.errors.take(self.now) {
            *self.errors_withheld += 1;
        } else {
            self.queue.commit(self.network, length);
        }
        result
    }
}

/// Whether a packet of ours is ICMP: as no echo is answered here, all are errors.
fn is_icmp(packet: &[u8]) -> bool {
    match packet.first().map(|first| first >> 4) {
        Some(4) => packet.get(9) == Some(&Protocol::ICMP.0),
        Some(6) => packet.get(6) == Some(&Protocol::ICMPV6.0),
        _ => false,
    }
}

/// Nanoseconds to microseconds, rounded down: smoltcp's timers are never early by our clock.
pub fn to_smoltcp(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_nanos() / 1_000).unwrap_or(i64::MAX))
}

pub fn from_smoltcp(instant: smoltcp::time::Instant) -> Instant {
    let micros = u64::try_from(instant.total_micros()).unwrap_or(0);
    Instant::from_nanos(micros.saturating_mul(1_000))
}
