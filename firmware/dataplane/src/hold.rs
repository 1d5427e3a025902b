//! Frames that have to wait a moment, in a fixed pool of buffers.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use base::{Instant, Offload};
use model::limits::{FRAGMENTS_HELD, HOLD_FRAME_OCTETS, NEIGHBOUR_WAIT_FRAMES};

use crate::verdict::HeldId;

/// Buffers for everything that waits.
const BUFFERS: usize = FRAGMENTS_HELD + NEIGHBOUR_WAIT_FRAMES;

/// A waiting frame. `W` says what it waits for.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<W> {
    /// Names it to the outside.
    pub id: HeldId,
    /// What it waits for.
    pub reason: W,
    /// When waiting ends in vain.
    pub until: Instant,
    /// Its offload header.
    pub offload: Offload,
    buffer: u16,
    length: u16,
}

/// The pool.
#[derive(Debug)]
pub struct Hold {
    memory: Box<[u8]>,
    free: Vec<u16>,
    next_id: u64,
}

impl Default for Hold {
    fn default() -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a few hundred buffers")]
        let free = (0..BUFFERS as u16).rev().collect();
        Self { memory: vec![0; BUFFERS * HOLD_FRAME_OCTETS].into_boxed_slice(), free, next_id: 0 }
    }
}

impl Hold {
    /// Copies a frame in. One that has waited before keeps its number `again`. `None` when the
    /// pool is full or the frame larger than a buffer.
    pub fn keep<W>(
        &mut self,
        bytes: &[u8],
        offload: Offload,
        reason: W,
        until: Instant,
        again: Option<HeldId>,
    ) -> Option<Waiting<W>> {
        if bytes.len() > HOLD_FRAME_OCTETS {
            return None;
        }
        let length = u16::try_from(bytes.len()).ok()?;
        let buffer = self.free.pop()?;
        let start = usize::from(buffer) * HOLD_FRAME_OCTETS;
        self.memory[start..start + bytes.len()].copy_from_slice(bytes);
        let id = again.unwrap_or(HeldId(self.next_id));
        self.next_id += u64::from(again.is_none());
        Some(Waiting { id, reason, until, offload, buffer, length })
    }

    /// Frees a frame's buffer.
    pub fn discard<W>(&mut self, waiting: &Waiting<W>) {
        self.free.push(waiting.buffer);
    }

    /// Copies a frame out to the start of `out` and frees its buffer. Returns its length.
    pub fn release<W>(&mut self, waiting: &Waiting<W>, out: &mut [u8]) -> usize {
        let start = usize::from(waiting.buffer) * HOLD_FRAME_OCTETS;
        let length = usize::from(waiting.length).min(out.len());
        out[..length].copy_from_slice(&self.memory[start..start + length]);
        self.discard(waiting);
        length
    }
}
