//! Numbers that may be given to others.

use alloc::collections::BTreeSet;
use core::net::Ipv6Addr;

use dataplane::Counters;

/// Which numbers no flow refers to any more: what all forwarders counted, and the oldest tables
/// that one of them had then.
#[derive(Clone, Copy, Debug)]
pub struct Unused<'c> {
    /// All forwarders together.
    pub counters: &'c Counters,
    /// The generation of those tables.
    pub generation: u32,
    /// Servers to which flows go that other boxes have and that may come here.
    pub copied: &'c BTreeSet<Ipv6Addr>,
}

impl Unused<'_> {
    /// Of flows counted as `active` under a number that got no new ones since a generation.
    pub(super) fn is(&self, active: Option<u32>, since: u32) -> bool {
        let taken = self.generation.wrapping_sub(since) < u32::MAX / 2;
        taken && active == Some(0)
    }
}
