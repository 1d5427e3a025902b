//! A seed for everything that must not be guessed: table keys, port numbers, timers' jitter.
//!
//! Reading list: `random(4)`, `random(7)`, `getrandom(2)`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Octets from the kernel's generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The number.
    pub value: u64,
    /// Whether the generator had gathered enough to be unguessable. If not, the number is the best
    /// there is at this moment and worth an event; nothing must wait longer for it.
    pub unguessable: bool,
}

/// Draws a seed, waiting at most `patience` for the kernel's generator to become ready.
///
/// # Errors
/// As opening or reading `/dev/random` or `/dev/urandom` fails.
pub fn seed(patience: Duration) -> io::Result<Seed> {
    let unguessable = wait_until_ready(patience)?;
    let mut octets = [0u8; 8];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(Seed { value: u64::from_ne_bytes(octets), unguessable })
}

/// Draws octets for something that must be unique, without waiting.
///
/// # Errors
/// As opening or reading `/dev/urandom` fails.
pub fn octets<const N: usize>() -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(octets)
}

/// `/dev/random` polls as readable once the generator is ready, and for ever after.
fn wait_until_ready(patience: Duration) -> io::Result<bool> {
    let device = File::open("/dev/random")?;
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    let mut watched = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
    match poll(&mut watched, timeout) {
        Ok(_) => {}
        // Signals are blocked on the box; elsewhere an interrupted wait is one that is over.
        Err(Errno::EINTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    Ok(watched[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seeds_of_a_running_machine_are_ready_and_differ() {
        let first = seed(Duration::from_secs(5)).unwrap();
        let second = seed(Duration::from_secs(5)).unwrap();
        assert!(first.unguessable && second.unguessable);
        assert_ne!(first.value, second.value);
    }
}
