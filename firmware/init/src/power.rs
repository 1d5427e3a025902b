//! The ways out: restart, power off, halt.
//!
//! Reading list: `reboot(2)`, `sync(2)`.

use std::convert::Infallible;
use std::fmt;

use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot, set_cad_enabled};

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Start again from the firmware.
    Restart,
    /// Switch the power off.
    PowerOff,
    /// Stop and stay, with the power on.
    Halt,
}

/// The kernel would not go that way; the machine still runs.
#[derive(Debug)]
pub struct PowerError {
    /// The way that was asked for.
    pub way: Way,
    /// What the kernel said.
    pub source: Errno,
}

impl fmt::Display for PowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.way {
            Way::Restart => "restart",
            Way::PowerOff => "power off",
            Way::Halt => "halt",
        };
        write!(f, "cannot {verb}: {}; CAP_SYS_BOOT is needed", self.source)
    }
}

impl std::error::Error for PowerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Writes what file systems hold back, then leaves. Does not come back unless refused. Threads are
/// not ended: whoever calls has closed the gates and said the last words.
///
/// # Errors
/// [`PowerError`] without the right to do so.
pub fn leave(way: Way) -> Result<Infallible, PowerError> {
    nix::unistd::sync();
    let mode = match way {
        Way::Restart => RebootMode::RB_AUTOBOOT,
        Way::PowerOff => RebootMode::RB_POWER_OFF,
        Way::Halt => RebootMode::RB_HALT_SYSTEM,
    };
    reboot(mode).map_err(|source| PowerError { way, source })
}

/// Makes Ctrl-Alt-Delete send SIGINT to PID 1 instead of restarting on the spot.
///
/// # Errors
/// The kernel's, without CAP_SYS_BOOT.
pub fn catch_ctrl_alt_delete() -> Result<(), Errno> {
    set_cad_enabled(false)
}
