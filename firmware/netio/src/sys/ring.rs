//! The receive ring: memory that the kernel fills and this process reads, one fixed slot for each
//! frame. Sources: Linux `Documentation/networking/packet_mmap.rst`, `net/packet/af_packet.c`.
//!
//! ```text
//!            kernel fills            take()              release()
//!   KERNEL ----------------> USER -----------> in hand -----------> KERNEL
//! ```
//!
//! A slot is the kernel's until its status word says USER, then ours until `release` writes
//! KERNEL back. Slots are taken in order and released all at once.

use std::io;
use std::mem::size_of;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use super::mapping::Mapping;
use super::socket::{PacketSocket, set};

/// Octets of a slot. Holds any frame of a 1,500-octet link; a larger one takes the long way.
///
/// An odd number of cache lines: were it a power of two, the starts of all slots would fall into
/// one or two sets of the first-level cache, which holds eight or twelve of each.
pub const SLOT: usize = 31 * 64;

/// Octets of the smallest block: 64 slots fill 31 pages.
pub const BLOCK: u32 = 31 * 4_096;
const _: () = assert!(BLOCK as usize == 64 * SLOT);

/// Octets at the start of a slot that belong to the kernel's header.
const HEADER: usize = size_of::<libc::tpacket2_hdr>();

/// Slots that are asked for before they are looked at: the kernel has filled them on another
/// processor, perhaps.
const AHEAD: usize = 6;

/// What the kernel says about the frame in a slot.
#[derive(Clone, Copy, Debug)]
pub struct SlotHeader {
    /// `TP_STATUS_…` bits.
    pub status: u32,
    /// Octets of the frame on the wire.
    pub length: usize,
    /// Octets of it that are in the slot.
    pub captured: usize,
    /// Where the frame starts in what [`Ring::in_hand`] yields for the slot.
    pub start: usize,
    /// VLAN tag control information, meaningful with `TP_STATUS_VLAN_VALID`.
    pub vlan_tci: u16,
    /// The tag's protocol, meaningful with `TP_STATUS_VLAN_TPID_VALID`.
    pub vlan_tpid: u16,
}

/// A mapped receive ring.
#[derive(Debug)]
pub struct Ring {
    memory: Mapping,
    /// The first slot in hand.
    first: usize,
    /// How many are in hand, from `first` on, wrapping around.
    taken: usize,
}

impl Ring {
    /// Makes the ring of a socket and maps it. `block_size` is a multiple of [`BLOCK`];
    /// both numbers are above zero (the kernel refuses anything else).
    pub fn new(socket: &PacketSocket, block_size: u32, blocks: u32) -> io::Result<Self> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let block = usize::try_from(block_size).map_err(|_| invalid())?;
        let count = usize::try_from(blocks).map_err(|_| invalid())?;
        let length = block.checked_mul(count).ok_or_else(invalid)?;
        if length == 0 || block % SLOT != 0 {
            return Err(invalid());
        }
        let slots = length / SLOT;
        let request = libc::tpacket_req {
            tp_block_size: block_size,
            tp_block_nr: blocks,
            tp_frame_size: u32::try_from(SLOT).map_err(|_| invalid())?,
            tp_frame_nr: u32::try_from(slots).map_err(|_| invalid())?,
        };
        set(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let memory = Mapping::new(socket.as_fd(), SLOT, slots)?;
        Ok(Self { memory, first: 0, taken: 0 })
    }

    /// The next frame's header, if the kernel has filled a slot that is not in hand yet.
    #[inline]
    pub fn peek(&self) -> Option<SlotHeader> {
        if self.taken == self.memory.slots() {
            return None;
        }
        let next = self.first + self.taken;
        if self.taken + AHEAD < self.memory.slots() {
            self.memory.prefetch(next + AHEAD);
        }
        let status = self.memory.status(next).load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: a slot starts with this header, aligned to it; the kernel filled it before it
        // wrote the status, and leaves it alone until the slot is released.
        let header = unsafe { self.memory.slot(next).cast::<libc::tpacket2_hdr>().read() };
        let start = usize::from(header.tp_mac).clamp(HEADER, SLOT);
        let captured = usize::try_from(header.tp_snaplen).unwrap_or(SLOT).min(SLOT - start);
        Some(SlotHeader {
            status,
            length: usize::try_from(header.tp_len).unwrap_or(usize::MAX),
            captured,
            start: start - HEADER,
            vlan_tci: header.tp_vlan_tci,
            vlan_tpid: header.tp_vlan_tpid,
        })
    }

    /// Takes the slot that `peek` has just shown. Without one it does nothing.
    #[inline]
    pub fn take(&mut self) {
        if self.peek().is_some() {
            self.taken += 1;
        }
    }

    /// The slots in hand, oldest first: all octets behind the kernel's header.
    pub fn in_hand(&mut self) -> InHand<'_> {
        InHand { next: 0, ring: self }
    }

    /// Gives the slots in hand back to the kernel.
    pub fn release(&mut self) {
        for offset in 0..self.taken {
            let status = self.memory.status(self.first + offset);
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
        self.first = (self.first + self.taken) % self.memory.slots();
        self.taken = 0;
    }

    /// Whether more than so many eighths of the slots hold frames, those in hand included. They are
    /// filled in order, so one look is enough.
    #[inline]
    pub fn is_filled_beyond(&self, eighths: usize) -> bool {
        let last = self.memory.slots() * eighths.min(7) / 8;
        let status = self.memory.status(self.first + last).load(Ordering::Relaxed);
        status & libc::TP_STATUS_USER != 0
    }
}

/// Goes over the slots in hand; each is yielded once, so that all may be held at the same time.
#[derive(Debug)]
pub struct InHand<'a> {
    ring: &'a mut Ring,
    next: usize,
}

impl<'a> Iterator for InHand<'a> {
    type Item = &'a mut [u8];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.ring.taken {
            return None;
        }
        let slot = self.ring.memory.slot(self.ring.first + self.next);
        self.next += 1;
        // SAFETY: still inside the slot, which is longer than its header.
        let content = unsafe { slot.add(HEADER) };
        // SAFETY: the octets are initialised memory inside the slot; the slot is in hand, so the
        // kernel leaves it alone until `release`, which needs the ring that 'a borrows; and each
        // slot is yielded once.
        Some(unsafe { std::slice::from_raw_parts_mut(content.as_ptr(), SLOT - HEADER) })
    }
}
