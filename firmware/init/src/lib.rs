//! What PID 1 owes the machine: one verb for each chore, to be called from a boot list.
//!
//! Nothing here decides when. The boot list calls the verbs in its order, stamps the time and
//! judges the errors; this crate reads no clock, starts no thread and prints nothing. Every verb
//! may be called again: a mount that is there, a module that is loaded and a limit that is set
//! are no errors.
//!
//! The usual order, and why:
//!
//! 1. [`signals::Signals::take`] before any thread starts, so that every thread inherits the mask;
//! 2. [`mounts::mount_all`], for everything after it reads `/proc` and `/sys`;
//! 3. [`kernel::set_crash_policy`], so that whatever fails next ends in a reboot, not in a hang;
//! 4. [`modules::ModuleList`], watchdog first; [`watchdog::Watchdog::arm`] as soon as its device
//!    appears; [`modules::forbid_more`] when the list is done;
//! 5. [`power::catch_ctrl_alt_delete`], [`button::PowerButton::open`], [`console::Console::open`];
//! 6. [`limits`], [`memory`] and [`thread`] for what the forwarding threads need.

pub mod button;
pub mod children;
pub mod console;
pub mod entropy;
pub mod kernel;
pub mod limits;
pub mod memory;
pub mod modules;
pub mod mounts;
pub mod power;
pub mod signals;
mod sys;
pub mod thread;
pub mod watchdog;

/// Whether this process is the first one, to which all of the machine belongs.
pub fn is_pid_one() -> bool {
    std::process::id() == 1
}
