//! Input devices: which keys one has, and what an event says (`linux/input.h`).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// `KEY_POWER` of `linux/input-event-codes.h`.
pub(crate) const KEY_POWER: u16 = 116;

/// `EV_KEY` of `linux/input-event-codes.h`.
const EV_KEY: u16 = 1;

/// Octets of a `struct input_event`.
pub(crate) const EVENT_LENGTH: usize = size_of::<libc::input_event>();

/// Octets of the bit set of all keys, `KEY_MAX` being 0x2ff.
const KEYS_LENGTH: usize = 0x300 / 8;

nix::ioctl_read_buf!(event_keys, b'E', 0x20 + EV_KEY, u8);

/// Whether the device has the key; an error for what is no input device.
pub(crate) fn has_key(device: BorrowedFd<'_>, key: u16) -> Result<bool, Errno> {
    let mut keys = [0u8; KEYS_LENGTH];
    // SAFETY: EVIOCGBIT writes at most the length encoded in the request, which is that of `keys`.
    unsafe { event_keys(device.as_raw_fd(), &mut keys) }?;
    let octet = keys.get(usize::from(key / 8)).copied().unwrap_or_default();
    Ok(octet >> (key % 8) & 1 == 1)
}

/// The key that goes down with this event, if it is such an event.
pub(crate) fn key_down(event: &[u8; EVENT_LENGTH]) -> Option<u16> {
    // After the time stamp: type and code of 16 bits, value of 32, in the machine's order.
    let (_, fields) = event.split_at(EVENT_LENGTH - 8);
    let half = |at: usize| u16::from_ne_bytes([fields[at], fields[at + 1]]);
    let value = i32::from_ne_bytes([fields[4], fields[5], fields[6], fields[7]]);
    (half(0) == EV_KEY && value == 1).then(|| half(2))
}
