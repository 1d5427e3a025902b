//! The hardware watchdog: unless it hears from us in time, it restarts the machine.
//!
//! It disarms on the magic letter only ([`Watchdog::disarm`]). Whoever drops it, crashes or hangs
//! leaves it running, and it bites: that is its purpose.
//!
//! Reading list: the kernel's Documentation/watchdog/watchdog-api.rst.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use crate::sys::watchdog as control;

/// An armed watchdog.
#[derive(Debug)]
pub struct Watchdog {
    device: File,
    name: String,
    timeout: Duration,
}

/// Why a watchdog could not be armed, fed or disarmed.
#[derive(Debug)]
pub enum WatchdogError {
    /// There is no such device: no watchdog module found its hardware.
    Absent(PathBuf),
    /// The device could not be opened; once opened it is armed.
    Open(PathBuf, io::Error),
    /// It is armed, but keeps the timeout it had.
    Timeout(Duration, Errno),
    /// It could not be fed, and will bite.
    Feed(io::Error),
    /// It could not be disarmed, and will bite.
    Disarm(io::Error),
}

impl fmt::Display for WatchdogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(path) => {
                write!(f, "no watchdog at {}: its module found no hardware", path.display())
            }
            Self::Open(path, source) => {
                write!(f, "cannot open the watchdog {}: {source}", path.display())
            }
            Self::Timeout(timeout, source) => {
                write!(f, "cannot set the watchdog to {} s: {source}", timeout.as_secs())
            }
            Self::Feed(source) => write!(f, "cannot feed the watchdog, it will bite: {source}"),
            Self::Disarm(source) => {
                write!(f, "cannot disarm the watchdog, it will bite: {source}")
            }
        }
    }
}

impl std::error::Error for WatchdogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Absent(_) => None,
            Self::Open(_, source) | Self::Feed(source) | Self::Disarm(source) => Some(source),
            Self::Timeout(_, source) => Some(source),
        }
    }
}

impl Watchdog {
    /// The first watchdog of the machine.
    pub const FIRST: &'static str = "/dev/watchdog0";

    /// Arms the watchdog to bite `timeout` (whole seconds, at least one) after the last
    /// [`feed`](Self::feed). The hardware may round; [`timeout`](Self::timeout) tells.
    ///
    /// # Errors
    /// [`WatchdogError::Absent`] or `Open`: none is armed. `Timeout`: it refused the time, and has
    /// been disarmed again.
    pub fn arm(path: &Path, timeout: Duration) -> Result<Self, WatchdogError> {
        let opened = OpenOptions::new().write(true).open(path);
        let device = opened.map_err(|source| match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                WatchdogError::Absent(path.to_owned())
            }
            _ => WatchdogError::Open(path.to_owned(), source),
        })?;
        let name = control::identity(device.as_fd()).unwrap_or_else(|_| "unnamed".to_owned());
        let mut watchdog = Self { device, name, timeout };
        let seconds = i32::try_from(timeout.as_secs().max(1)).unwrap_or(i32::MAX);
        match control::set_timeout(watchdog.device.as_fd(), seconds) {
            Ok(actual) => {
                let actual = u64::try_from(actual).unwrap_or_default();
                watchdog.timeout = Duration::from_secs(actual);
                Ok(watchdog)
            }
            Err(source) => {
                watchdog.disarm()?;
                Err(WatchdogError::Timeout(timeout, source))
            }
        }
    }

    /// What the driver calls itself, as in `i6300ESB timer` or `Software Watchdog`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time it truly runs for.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Starts its time again. To be called at most every third of [`timeout`](Self::timeout), and
    /// only by whoever has seen the data path make progress.
    ///
    /// # Errors
    /// [`WatchdogError::Feed`].
    pub fn feed(&mut self) -> Result<(), WatchdogError> {
        // Any octet but the magic one counts as a sign of life.
        self.device.write_all(b"\0").map_err(WatchdogError::Feed)
    }

    /// Stops it: for a power-off in order, never for a restart (a restart that hangs is bitten).
    ///
    /// # Errors
    /// [`WatchdogError::Disarm`].
    pub fn disarm(mut self) -> Result<(), WatchdogError> {
        self.device.write_all(b"V").map_err(WatchdogError::Disarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_watchdog_says_so() {
        let path = Path::new("/dev/portico-has-no-watchdog");
        let error = Watchdog::arm(path, Duration::from_secs(30)).expect_err("no such device");
        assert!(matches!(error, WatchdogError::Absent(_)), "{error}");
    }

    #[test]
    fn a_device_that_is_no_watchdog_refuses_the_timeout() {
        let error = Watchdog::arm(Path::new("/dev/null"), Duration::from_secs(30));
        assert!(matches!(error, Err(WatchdogError::Timeout(_, Errno::ENOTTY))), "{error:?}");
    }
}
