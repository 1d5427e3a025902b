//! A ring's memory, shared with the kernel.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use super::checked;

/// Octets of the smallest slot.
const LEAST: usize = 256;

/// A mapped ring of a packet socket: slots of equal size, one behind the other. It stays valid when
/// its socket is closed or its interface vanishes.
#[derive(Debug)]
pub struct Mapping {
    memory: NonNull<u8>,
    slot: usize,
    slots: usize,
}

// SAFETY: the mapping belongs to this value alone, and is valid on every thread of the process.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps a ring that was just made: so many slots of so many octets, a multiple of four.
    pub fn new(socket: BorrowedFd<'_>, slot: usize, slots: usize) -> io::Result<Self> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        if slot < LEAST {
            return Err(invalid());
        }
        let length = slot.checked_mul(slots).ok_or_else(invalid)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        let (descriptor, anywhere) = (socket.as_raw_fd(), std::ptr::null_mut());
        // SAFETY: a new mapping where the kernel chooses; it replaces none that exists.
        let address = unsafe { libc::mmap(anywhere, length, protection, flags, descriptor, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(address.cast()).ok_or_else(invalid)?;
        Ok(Self { memory, slot, slots })
    }

    /// How many slots there are.
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// The address of a slot; the index wraps around once.
    #[inline]
    pub fn slot(&self, index: usize) -> NonNull<u8> {
        let index = if index >= self.slots { index - self.slots } else { index };
        assert!(index < self.slots, "a ring position is below twice the number of slots");
        // SAFETY: inside the mapping, by the assertion and the mapping's length.
        unsafe { self.memory.add(index * self.slot) }
    }

    /// The word at the start of a slot that says whose it is.
    #[inline]
    pub fn status(&self, index: usize) -> &AtomicU32 {
        let slot = self.slot(index);
        // SAFETY: slots are aligned to four octets in a mapping that lives as long as `self`. The
        // word is reached through here, and otherwise only read by those whose the slot is.
        unsafe { AtomicU32::from_ptr(slot.as_ptr().cast()) }
    }

    /// Brings the start of a slot near: the kernel's header and the first headers of a frame.
    #[inline]
    pub fn prefetch(&self, index: usize) {
        const LINE: usize = 64;
        const { assert!(2 * LINE <= LEAST) };
        base::sys::prefetch(self.status(index));
        // SAFETY: inside the slot, which has at least `LEAST` octets.
        let second = unsafe { self.slot(index).add(LINE) };
        // SAFETY: inside the mapping, which lives as long as `self`. Nothing is read or written.
        base::sys::prefetch(unsafe { AtomicU32::from_ptr(second.as_ptr().cast()) });
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let address = self.memory.as_ptr().cast();
        // SAFETY: the mapping that `new` made; nothing borrows from it any more.
        let result = unsafe { libc::munmap(address, self.slot * self.slots) };
        debug_assert!(checked(result).is_ok(), "a mapping that was made can be taken down");
    }
}
