//! Boots images in QEMU and drives them from outside: by the serial line, the power button, the
//! keyboard and the wire, as a person and a network would. Nothing of the firmware is known here.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use qemu_tests::{Limit, Machine, Turn};
//! let turn = Turn::take(std::path::Path::new("target"))?;
//! let machine = Machine::new("vmlinuz", "initramfs.zst", "console=ttyS0 quiet");
//! let mut guest = machine.start(&turn)?;
//! guest.expect("boot: serving", Limit::BOOT)?;
//! guest.press_power_button()?;
//! println!("{:?}", guest.wait_for_end(Limit::BOOT)?);
//! # Ok(())
//! # }
//! ```

mod accelerator;
mod guest;
mod machine;
mod monitor;
mod network;
mod serial;
mod time;
mod turn;

pub use accelerator::Accelerator;
pub use guest::{End, Guest, GuestError};
pub use machine::{Machine, Port, Wire};
pub use monitor::MonitorError;
pub use network::{Host, NetworkError};
pub use serial::{Silence, Transcript};
pub use time::Limit;
pub use turn::Turn;
