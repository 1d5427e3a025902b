//! Signals as things to read: all that concern us are blocked and arrive on one file descriptor.
//!
//! Reading list: `signalfd(2)`, `signal(7)`, `reboot(2)` for what Ctrl-Alt-Delete sends.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, Signal as Number};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-Alt-Delete on the box, Ctrl-C in a terminal.
    Interrupt,
    /// SIGTERM: end in order.
    Terminate,
    /// SIGPWR: the power is about to fail.
    PowerFailure,
    /// SIGCHLD: a child has ended; [`reap`](crate::children::reap) it.
    Child,
}

/// The signals that are read instead of handled.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
}

/// Why signals cannot be read. Those named may be blocked already.
#[derive(Debug)]
pub enum SignalError {
    /// The mask of the calling thread could not be set.
    Block(Errno),
    /// The descriptor could not be made.
    Descriptor(Errno),
    /// Reading it failed.
    Read(Errno),
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(source) => write!(f, "cannot block the signals to be read: {source}"),
            Self::Descriptor(source) => write!(f, "cannot make a signal descriptor: {source}"),
            Self::Read(source) => write!(f, "cannot read the signal descriptor: {source}"),
        }
    }
}

impl std::error::Error for SignalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Block(source) | Self::Descriptor(source) | Self::Read(source) => Some(source),
        }
    }
}

impl Signals {
    /// Blocks the signals of [`Signal`], ignores SIGHUP and SIGPIPE, and opens the descriptor.
    ///
    /// To be called on the first thread before any other starts: a mask is inherited, and a
    /// thread without it would take the signals' default action, which is to end the process.
    ///
    /// # Errors
    /// [`SignalError`] as the kernel refuses.
    pub fn take() -> Result<Self, SignalError> {
        let numbers = [Number::SIGINT, Number::SIGTERM, Number::SIGPWR, Number::SIGCHLD];
        let mask: SigSet = numbers.into_iter().collect();
        mask.thread_block().map_err(SignalError::Block)?;
        for ignored in [Number::SIGHUP, Number::SIGPIPE] {
            crate::sys::signal::set_disposition(ignored, SigHandler::SigIgn)
                .map_err(SignalError::Block)?;
        }
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let descriptor = SignalFd::with_flags(&mask, flags).map_err(SignalError::Descriptor)?;
        Ok(Self { descriptor })
    }

    /// The next signal that has come, without waiting; several of a kind may arrive as one.
    ///
    /// # Errors
    /// [`SignalError::Read`], which a descriptor of ours gives only when it is broken.
    pub fn receive(&mut self) -> Result<Option<Signal>, SignalError> {
        loop {
            let Some(information) = self.descriptor.read_signal().map_err(SignalError::Read)?
            else {
                return Ok(None);
            };
            match i32::try_from(information.ssi_signo) {
                Ok(libc::SIGINT) => return Ok(Some(Signal::Interrupt)),
                Ok(libc::SIGTERM) => return Ok(Some(Signal::Terminate)),
                Ok(libc::SIGPWR) => return Ok(Some(Signal::PowerFailure)),
                Ok(libc::SIGCHLD) => return Ok(Some(Signal::Child)),
                // None other is in the mask.
                Ok(_) | Err(_) => {}
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
