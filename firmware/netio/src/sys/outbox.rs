//! The send ring: small frames are copied into slots, and one system call sends them all. Sources:
//! Linux `Documentation/networking/packet_mmap.rst`, `net/packet/af_packet.c` (`tpacket_snd`).
//!
//! ```text
//!              put()                  flush()               the driver is done
//!   AVAILABLE -------> SEND_REQUEST ---------> SENDING -----------------------> AVAILABLE
//!                           |  refused: withdrawn
//!                           +---------------------> AVAILABLE
//! ```
//!
//! The offload header in front of each frame says that all of it is header: the kernel then copies
//! it into the packet instead of lending the slot's pages, which a veth would copy once more.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::Ordering;

use super::mapping::Mapping;
use super::socket::{PacketSocket, set};

/// Octets of a slot: an odd number of cache lines, as those of the receive ring are.
const SLOT: usize = 9 * 64;
/// Slots: two bursts.
const SLOTS: usize = 128;
/// Octets of the ring's blocks: a multiple of the page's and of the slot's.
const BLOCK: u32 = 9 * 4_096;
/// Where the offload header starts in a slot, behind the kernel's: `TPACKET2_HDRLEN` without the
/// address.
const DATA: usize = size_of::<libc::tpacket2_hdr>();
/// Where the kernel's header says how long what follows is.
const LENGTH: usize = std::mem::offset_of!(libc::tpacket2_hdr, tp_len);

const AVAILABLE: u32 = libc::TP_STATUS_AVAILABLE;
/// The kernel has not sent it: it waits, or was refused.
const UNSENT: u32 = libc::TP_STATUS_SEND_REQUEST | libc::TP_STATUS_WRONG_FORMAT;

/// A socket with a mapped send ring.
#[derive(Debug)]
pub struct Outbox {
    socket: PacketSocket,
    memory: Mapping,
    /// The slot for the next frame.
    next: usize,
    /// Frames since the last flush, in the slots before that.
    waiting: usize,
}

impl Outbox {
    /// Octets of a frame and its offload header that fit into a slot.
    pub const ROOM: usize = SLOT - DATA;

    /// Gives a socket that sends a ring.
    pub fn new(socket: PacketSocket) -> io::Result<Self> {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let request = libc::tpacket_req {
            tp_block_size: BLOCK,
            tp_block_nr: number(SLOT * SLOTS) / BLOCK,
            tp_frame_size: number(SLOT),
            tp_frame_nr: number(SLOTS),
        };
        let version = libc::tpacket_versions::TPACKET_V2 as i32;
        socket.set_packet_option(libc::PACKET_VERSION, version)?;
        set(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_TX_RING, &request)?;
        let memory = Mapping::new(socket.as_fd(), SLOT, SLOTS)?;
        Ok(Self { socket, memory, next: 0, waiting: 0 })
    }

    /// Puts a frame in, gathered from its pieces, the offload header first. `false`: there is no
    /// free slot, or the frame does not fit one.
    #[inline]
    pub fn put(&mut self, pieces: &[&[u8]]) -> bool {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let status = self.memory.status(self.next);
        if length > Self::ROOM
            || self.waiting == SLOTS
            || status.load(Ordering::Acquire) != AVAILABLE
        {
            return false;
        }
        let slot = self.memory.slot(self.next);
        // SAFETY: inside the slot.
        let mut place = unsafe { slot.add(DATA) };
        for piece in pieces {
            // SAFETY: `length` octets fit behind the header, by the check above; the slot is
            // available and so nobody else's, and no reference into it exists.
            unsafe {
                place.copy_from_nonoverlapping(std::ptr::NonNull::from(*piece).cast(), piece.len())
            };
            // SAFETY: at most one past the slot's last octet, inside or at the end of the mapping.
            place = unsafe { place.add(piece.len()) };
        }
        // SAFETY: inside the slot.
        let field = unsafe { slot.add(LENGTH) };
        // SAFETY: aligned to four octets as the slot is; the slot is ours, as above.
        unsafe { field.cast::<u32>().write(u32::try_from(length).unwrap_or(0)) };
        status.store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
        self.next = (self.next + 1) % SLOTS;
        self.waiting += 1;
        true
    }

    /// Sends what was put in since the last call, in order. How many of those the kernel did not
    /// take, the last ones: they are withdrawn, and why does not show.
    pub fn flush(&mut self) -> usize {
        let waiting = std::mem::take(&mut self.waiting);
        if waiting == 0 {
            return 0;
        }
        let descriptor = self.socket.as_fd().as_raw_fd();
        // SAFETY: a null pointer with length zero: the kernel reads nothing but the ring.
        let _ = unsafe { libc::send(descriptor, std::ptr::null(), 0, libc::MSG_DONTWAIT) };
        let first = (self.next + SLOTS - waiting) % SLOTS;
        let unsent = |offset: &usize| {
            self.memory.status(first + offset).load(Ordering::Acquire) & UNSENT != 0
        };
        // They are sent in order: mostly the last one tells of all.
        if !unsent(&(waiting - 1)) {
            return 0;
        }
        let sent = (0..waiting).find(unsent).unwrap_or(waiting);
        for offset in sent..waiting {
            self.memory.status(first + offset).store(AVAILABLE, Ordering::Release);
        }
        // The kernel goes on where it stopped.
        self.next = (first + sent) % SLOTS;
        waiting - sent
    }
}
