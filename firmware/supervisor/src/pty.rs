//! Outside the box the console is a pseudo-terminal, whose path is linked where a person finds it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

/// The supervisor's end of a pseudo-terminal.
pub struct Pty {
    ours: File,
    /// Held open, so that the terminal outlives those who come and go.
    _theirs: File,
}

impl Pty {
    /// Opens one in raw mode, and links its path at `link`.
    ///
    /// # Errors
    /// The kernel's: no pseudo-terminal, or the link could not be made.
    pub fn open(link: &Path) -> io::Result<Self> {
        let pair = openpty(None, None)?;
        let mut mode = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut mode);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &mode)?;
        let path = ttyname(&pair.slave)?;
        let flags = OFlag::from_bits_retain(fcntl(&pair.master, FcntlArg::F_GETFL)?);
        fcntl(&pair.master, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        match std::fs::remove_file(link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        std::os::unix::fs::symlink(path, link)?;
        Ok(Self { ours: pair.master.into(), _theirs: pair.slave.into() })
    }
}

impl Read for Pty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ours.read(buffer)
    }
}

impl Write for Pty {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.ours.write(buffer)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.ours.flush()
    }
}

impl AsFd for Pty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}
