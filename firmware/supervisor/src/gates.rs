//! The gates: until when this box may serve virtual addresses, by network. The pulse thread writes
//! them and every forwarder reads them before each burst, so that a box whose control or pulse
//! stands still stops serving by itself.

use std::sync::atomic::{AtomicU64, Ordering};

use base::{Instant, NetworkId};
use model::limits::NETWORKS;

/// Times by network, each written and read by itself.
#[derive(Debug)]
pub struct Gates([AtomicU64; NETWORKS]);

impl Gates {
    /// Gates that stay as they are until somebody sets them.
    pub fn new(until: Instant) -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(until.as_nanos())))
    }

    /// Sets all of them.
    pub fn set(&self, until: [Instant; NETWORKS]) {
        for (gate, until) in self.0.iter().zip(until) {
            gate.store(until.as_nanos(), Ordering::Release);
        }
    }

    /// All of them.
    pub fn until(&self) -> [Instant; NETWORKS] {
        std::array::from_fn(|place| Instant::from_nanos(self.0[place].load(Ordering::Acquire)))
    }

    /// Whether one of them is open.
    pub fn open(&self, now: Instant, network: NetworkId) -> bool {
        let gate = self.0.get(network.index());
        gate.is_some_and(|gate| now.as_nanos() < gate.load(Ordering::Acquire))
    }
}
