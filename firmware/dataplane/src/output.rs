//! Where a burst's results are collected. Preallocated; cleared, not freed, between bursts.

use alloc::boxed::Box;
use alloc::vec;

use arrayvec::ArrayVec;
use base::{NetworkId, Offload, PortId};
use model::limits::{BURST, OUTPUT_ARENA, OUTPUT_EVENTS, OUTPUT_FRAMES};

use crate::verdict::{Event, HeldId, OwnTarget, Verdict};

/// One frame to send.
#[derive(Clone, Copy, Debug)]
pub struct Transmit {
    /// By which port.
    pub port: PortId,
    /// Where its bytes are.
    pub source: Source,
    /// What the sending side still has to do.
    pub offload: Offload,
}

/// Where the bytes of a frame to send are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The received frame of that index, changed in place; its first `length` octets.
    Received {
        /// Index into the burst.
        index: u16,
        /// Octets to send (Ethernet padding is left behind).
        length: u32,
    },
    /// Generated: read it with [`Output::bytes`].
    Generated {
        /// Where it begins.
        offset: u32,
        /// Octets.
        length: u32,
    },
}

/// A received frame for one of the node's own addresses.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Index into the burst.
    pub index: u16,
    /// The network it came from.
    pub network: NetworkId,
    /// For whom.
    pub target: OwnTarget,
    /// The IP packet within the frame.
    pub start: u32,
    /// One past its end.
    pub end: u32,
}

/// Everything a burst gave. Send `transmit` in order.
#[derive(Debug)]
pub struct Output {
    /// One for each frame, in order.
    pub verdicts: ArrayVec<Verdict, BURST>,
    /// Frames to send, in order.
    pub transmit: ArrayVec<Transmit, OUTPUT_FRAMES>,
    /// Frames for the host stacks.
    pub own: ArrayVec<Own, BURST>,
    /// For the control thread.
    pub events: ArrayVec<Event, OUTPUT_EVENTS>,
    /// Final verdicts of frames held earlier.
    pub resolved: ArrayVec<(HeldId, Verdict), OUTPUT_FRAMES>,
    arena: Box<[u8]>,
    used: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            verdicts: ArrayVec::new(),
            transmit: ArrayVec::new(),
            own: ArrayVec::new(),
            events: ArrayVec::new(),
            resolved: ArrayVec::new(),
            arena: vec![0; OUTPUT_ARENA].into_boxed_slice(),
            used: 0,
        }
    }
}

impl Output {
    /// Ready for the next burst.
    pub fn clear(&mut self) {
        self.verdicts.clear();
        self.transmit.clear();
        self.own.clear();
        self.events.clear();
        self.resolved.clear();
        self.used = 0;
    }

    /// The bytes of a generated frame; empty for a received one.
    pub fn bytes(&self, source: Source) -> &[u8] {
        match source {
            Source::Generated { offset, length } => {
                let offset = offset as usize;
                self.arena.get(offset..offset + length as usize).unwrap_or(&[])
            }
            Source::Received { .. } => &[],
        }
    }

    /// Sends a frame that `build` writes into free space; `build` returns its length. `false`
    /// when there is no room or nothing was built.
    pub(crate) fn generate(
        &mut self,
        port: PortId,
        build: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        self.generate_with(port, |out| build(out).map(|length| (length, Offload::NONE)))
    }

    /// As [`Output::generate`], with the offload header that the frame needs.
    pub(crate) fn generate_with(
        &mut self,
        port: PortId,
        build: impl FnOnce(&mut [u8]) -> Option<(usize, Offload)>,
    ) -> bool {
        if self.transmit.is_full() {
            return false;
        }
        let Some((length, offload)) = build(&mut self.arena[self.used..]) else {
            return false;
        };
        #[expect(clippy::cast_possible_truncation, reason = "the arena is far below 4 GiB")]
        let source = Source::Generated { offset: self.used as u32, length: length as u32 };
        self.used += length;
        self.transmit.push(Transmit { port, source, offload });
        true
    }

    /// Remembers how much is to be sent, for [`Output::rewind`].
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.transmit.len(), self.used)
    }

    /// Takes back what was to be sent since the mark.
    pub(crate) fn rewind(&mut self, (transmit, used): (usize, usize)) {
        self.transmit.truncate(transmit);
        self.used = used;
    }

    /// Whether there is room for one more frame of so many octets.
    pub(crate) fn has_room(&self, octets: usize) -> bool {
        !self.transmit.is_full() && self.arena.len() - self.used >= octets
    }

    /// Whether the event fitted.
    pub(crate) fn event(&mut self, event: Event) -> bool {
        self.events.try_push(event).is_ok()
    }
}
