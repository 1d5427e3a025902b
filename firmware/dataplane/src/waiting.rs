//! Finished frames that lack only the next hop's link-layer address.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::{Instant, Offload, PortId, ServerId, ServiceId};
use model::limits::{NEIGHBOUR_WAIT_FRAMES, NEIGHBOUR_WAIT_FRAMES_EACH, NEIGHBOUR_WAIT_TIME};

use crate::hold::{Hold, Waiting};
use crate::verdict::HeldId;

/// Where the frame will go, and what its verdict will be.
#[derive(Clone, Copy, Debug)]
pub struct NextHop {
    /// By which port.
    pub port: PortId,
    /// The next hop.
    pub address: Ipv6Addr,
    /// For the verdict.
    pub service: Option<ServiceId>,
    /// For the verdict.
    pub server: Option<ServerId>,
    /// The frame is one of the node's own packets, not a received one.
    pub originated: bool,
}

/// The frames that wait for neighbors, oldest first.
#[derive(Debug)]
pub struct NeighborQueue {
    frames: Vec<Waiting<NextHop>>,
}

impl Default for NeighborQueue {
    fn default() -> Self {
        Self { frames: Vec::with_capacity(NEIGHBOUR_WAIT_FRAMES) }
    }
}

impl NeighborQueue {
    /// The oldest frame for a neighbor that has as many as it may: it makes room for the newest
    /// (RFC 1122 §2.3.2.2).
    pub fn take_crowded(&mut self, hop: &NextHop) -> Option<Waiting<NextHop>> {
        let same =
            |w: &Waiting<NextHop>| (w.reason.port, w.reason.address) == (hop.port, hop.address);
        let crowded = self.frames.iter().filter(|w| same(w)).count() >= NEIGHBOUR_WAIT_FRAMES_EACH;
        if crowded { self.take(same) } else { None }
    }

    /// Keeps a frame, under its number `again` if it waits for the second time. `None` when there
    /// is no room.
    pub fn keep(
        &mut self,
        now: Instant,
        hold: &mut Hold,
        bytes: &[u8],
        offload: Offload,
        hop: NextHop,
        again: Option<HeldId>,
    ) -> Option<HeldId> {
        if self.frames.len() >= NEIGHBOUR_WAIT_FRAMES {
            return None;
        }
        let waiting = hold.keep(bytes, offload, hop, now + NEIGHBOUR_WAIT_TIME, again)?;
        self.frames.push(waiting);
        Some(waiting.id)
    }

    /// Takes the first frame for which `wanted` holds.
    pub fn take(&mut self, wanted: impl Fn(&Waiting<NextHop>) -> bool) -> Option<Waiting<NextHop>> {
        let at = self.frames.iter().position(wanted)?;
        Some(self.frames.remove(at))
    }

    /// When the first frame has waited long enough.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.frames.first().map(|waiting| waiting.until)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}
