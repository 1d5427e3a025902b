//! The watchdog's controls (`linux/watchdog.h`).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// `struct watchdog_info`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Information {
    options: u32,
    firmware_version: u32,
    identity: [u8; 32],
}

nix::ioctl_read!(get_support, b'W', 0, Information);
nix::ioctl_readwrite!(write_timeout, b'W', 6, libc::c_int);

/// What the driver calls itself.
pub(crate) fn identity(device: BorrowedFd<'_>) -> Result<String, Errno> {
    let mut information = Information::default();
    // SAFETY: WDIOC_GETSUPPORT fills a `struct watchdog_info`, whose layout `Information` has.
    unsafe { get_support(device.as_raw_fd(), &raw mut information) }?;
    let text = information.identity.split(|&octet| octet == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Sets the timeout in seconds; returns the one that the hardware took.
pub(crate) fn set_timeout(device: BorrowedFd<'_>, seconds: i32) -> Result<i32, Errno> {
    let mut value: libc::c_int = seconds;
    // SAFETY: WDIOC_SETTIMEOUT reads and writes one int.
    unsafe { write_timeout(device.as_raw_fd(), &raw mut value) }?;
    Ok(value)
}
