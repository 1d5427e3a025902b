//! The one folder of this crate where `unsafe` is allowed: the system calls and the shared memory
//! that no kept crate wraps. What leaves it is safe to call with any argument.
#![expect(unsafe_code, reason = "system calls and memory shared with the kernel")]

pub mod bpf;
mod mapping;
pub mod outbox;
pub mod ring;
pub mod socket;
pub mod transmit;

/// What a system call that returns -1 for failure said.
fn checked(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
}

/// The length of a structure as the kernel wants it.
fn length_of<T>() -> libc::socklen_t {
    const { assert!(size_of::<T>() <= 4096) };
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}
