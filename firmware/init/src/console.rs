//! The serial console: finding it, opening it so that it can never hold us up, making it raw.
//!
//! A console named on the command line may have no UART behind it; then there is no console, and
//! that must cost nothing. A terminal server may stop reading; then writes give `WouldBlock`.
//!
//! Reading list: `termios(3)`, the kernel's Documentation/admin-guide/serial-console.rst,
//! Documentation/ABI/testing/sysfs-tty (`/sys/class/tty/console/active`).

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::termios::{ControlFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// A terminal in raw mode: octets come as they are typed, nothing is echoed or translated.
/// Reads and writes never block. Dropping it gives the terminal its former mode back.
#[derive(Debug)]
pub struct Console {
    device: File,
    path: PathBuf,
    former: Termios,
}

/// Why a console that is there cannot be used.
#[derive(Debug)]
pub enum ConsoleError {
    /// The device could not be opened.
    Open(PathBuf, io::Error),
    /// It is no terminal, or refuses raw mode.
    Mode(PathBuf, Errno),
}

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(path, source) => {
                write!(f, "cannot open the console {}: {source}", path.display())
            }
            Self::Mode(path, source) => {
                write!(f, "cannot put the console {} in raw mode: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for ConsoleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(_, source) => Some(source),
            Self::Mode(_, source) => Some(source),
        }
    }
}

/// The device behind `/dev/console`: the last of the kernel's consoles, whose name stands first
/// in the kernel's own list. `/dev/console` itself where that list cannot be read.
pub fn device() -> PathBuf {
    let active = std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    device_of(&active)
}

fn device_of(active: &str) -> PathBuf {
    // Names come in the order of registration; the one preferred for /dev/console is the last.
    match active.split_ascii_whitespace().last() {
        Some(name) => Path::new("/dev").join(name),
        None => PathBuf::from("/dev/console"),
    }
}

impl Console {
    /// Opens a terminal and makes it raw; speed and framing stay as the kernel's command line or
    /// the firmware set them. `None` where there is no such device or no UART behind it.
    ///
    /// # Errors
    /// [`ConsoleError`]; the terminal then is as it was.
    pub fn open(path: &Path) -> Result<Option<Self>, ConsoleError> {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        let device = match opened {
            Ok(device) => device,
            Err(source) => {
                return match source.raw_os_error() {
                    Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::EIO) => Ok(None),
                    _ => Err(ConsoleError::Open(path.to_owned(), source)),
                };
            }
        };
        let mode_error = |source| ConsoleError::Mode(path.to_owned(), source);
        let former = match tcgetattr(&device) {
            Ok(former) => former,
            // The driver has a port by that number, but found no chip.
            Err(Errno::EIO) => return Ok(None),
            Err(source) => return Err(mode_error(source)),
        };
        let mut raw = former.clone();
        cfmakeraw(&mut raw);
        // No modem lines: a three-wire cable has none, and hanging up is not ours.
        raw.control_flags |= ControlFlags::CLOCAL | ControlFlags::CREAD;
        raw.control_flags &= !ControlFlags::HUPCL;
        tcsetattr(&device, SetArg::TCSANOW, &raw).map_err(mode_error)?;
        Ok(Some(Self { device, path: path.to_owned(), former }))
    }

    /// The device it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // Nothing is left to be done for a terminal that has gone away.
        let _ = tcsetattr(&self.device, SetArg::TCSANOW, &self.former);
    }
}

impl AsFd for Console {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl Read for Console {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.device.read(buffer)
    }
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.device.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_console_is_the_last_of_the_active_ones() {
        assert_eq!(device_of("tty0 ttyS0\n"), Path::new("/dev/ttyS0"));
        assert_eq!(device_of("ttyS0\n"), Path::new("/dev/ttyS0"));
        assert_eq!(device_of("\n"), Path::new("/dev/console"));
    }

    #[test]
    fn a_console_without_hardware_is_no_console_and_no_error() {
        assert!(Console::open(Path::new("/dev/portico-has-no-tty")).unwrap().is_none());
    }

    #[test]
    fn something_that_is_no_terminal_is_refused() {
        let error = Console::open(Path::new("/dev/null")).expect_err("not a terminal");
        assert!(matches!(error, ConsoleError::Mode(_, Errno::ENOTTY)), "{error}");
    }

    #[test]
    fn an_idle_console_gives_would_block_and_passes_octets_untranslated() {
        let terminal = nix::pty::openpty(None, None).unwrap();
        let name = nix::unistd::ttyname(&terminal.slave).unwrap();
        let mut console = Console::open(&name).unwrap().expect("a pty is a terminal");
        let mut buffer = [0u8; 16];
        let error = console.read(&mut buffer).expect_err("nothing typed yet");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);

        let mut person = File::from(terminal.master);
        person.write_all(b"a\r\x03").unwrap();
        assert_eq!(console.read(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], b"a\r\x03", "no line editing, no signal keys");
        console.write_all(b"x\n").unwrap();
        let length = person.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"x\n", "no echo before it, no carriage return added");
    }
}
