//! Waiting for frames, and being woken by another thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use arrayvec::ArrayVec;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::sockopt::SocketError;
use nix::sys::socket::{SockaddrStorage, getsockname, getsockopt};
use nix::sys::time::TimeSpec;

/// How many descriptors one call can wait for.
const MOST: usize = 128;

/// What a wait ended with. Bit i stands for the i-th descriptor; no bit: the time is over, or a
/// signal came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There is something to read.
    pub readable: u128,
    /// A socket had an error to tell: a receiver's, that its interface went down. That error is
    /// taken from the socket, so that the next wait does not end with it again.
    pub failed: u128,
}

/// Waits until one of the descriptors (at most 128; more are ignored) is readable, or `timeout`
/// is over; none waits without end.
pub fn wait(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> Readiness {
    debug_assert!(fds.len() <= MOST, "a worker has few ports");
    let entries = fds.iter().take(MOST).map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
    let mut entries: ArrayVec<PollFd<'_>, MOST> = entries.collect();
    let mut readiness = Readiness::default();
    // An error is a signal, or memory pressure in the kernel: nobody is ready then.
    if ppoll(&mut entries, timeout.map(TimeSpec::from_duration), None).is_err() {
        return readiness;
    }
    for (index, entry) in entries.iter().enumerate() {
        let events = entry.revents().unwrap_or(PollFlags::empty());
        if events.contains(PollFlags::POLLIN) {
            readiness.readable |= 1 << index;
        }
        if events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL) {
            readiness.failed |= 1 << index;
            if let Some(fd) = fds.get(index).filter(|fd| is_packet_socket(**fd)) {
                let _cleared = getsockopt(fd, SocketError); // reading the error clears it
            }
        }
    }
    readiness
}

/// Other sockets' errors are for those who read from them: a link monitor needs to know that it
/// has missed something.
fn is_packet_socket(fd: BorrowedFd<'_>) -> bool {
    getsockname::<SockaddrStorage>(fd.as_raw_fd())
        .is_ok_and(|address| address.as_link_addr().is_some())
}

/// Ends another thread's wait.
#[derive(Debug)]
pub struct Wake(EventFd);

impl Wake {
    /// A wake that nobody has called for yet.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self(EventFd::from_flags(flags)?))
    }

    /// Makes the descriptor readable until [`Wake::drain`].
    pub fn wake(&self) {
        // Fails only when the counter is at its end, and then it is readable already.
        let _full = self.0.write(1);
    }

    /// What to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Forgets the calls so far.
    pub fn drain(&self) {
        // Fails only when there was no call.
        let _none = self.0.read();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_ends_a_wait_until_it_is_drained() {
        let (quiet, wake) = (Wake::new().unwrap(), Wake::new().unwrap());
        let fds = [quiet.fd(), wake.fd()];
        let soon = Some(Duration::from_millis(1));
        assert_eq!(wait(&fds, soon), Readiness::default());
        wake.wake();
        wake.wake();
        for _ in 0..2 {
            assert_eq!(wait(&fds, None), Readiness { readable: 0b10, failed: 0 });
        }
        wake.drain();
        assert_eq!(wait(&fds, soon), Readiness::default());
        wake.drain();
        assert_eq!(wait(&[], soon), Readiness::default());
    }

    #[test]
    fn a_wake_from_another_thread_ends_a_wait_without_end() {
        let wake = Wake::new().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| wake.wake());
            assert_eq!(wait(&[wake.fd()], None).readable, 1);
        });
    }
}
