//! Test networks: appliances, real servers and real clients in network namespaces, wired as a
//! cluster configuration says, all on one machine and invisible to the rest of it.
//!
//! ```text
//!   client1 ── outside ── node1 ── inside ── server1, server2, server3
//! ```
//!
//! A lab belongs to a [`Place`]: the names of its namespaces and the folder of its files. It stays
//! up when the verb that built it has ended, and whatever a crash leaves is removed by the next
//! [`lifecycle::up`] or [`lifecycle::down`].
#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod command;
pub mod console;
pub mod default_config;
pub mod echo;
mod error;
pub mod faults;
mod inside;
pub mod lifecycle;
pub mod network;
mod place;
pub mod play;
pub mod probe;
pub mod process;
pub mod relay;
pub mod scenario;
pub mod servers;
pub mod status;
pub mod switch;
pub mod switches;
pub mod topology;
pub mod traffic;

pub use error::LabError;
pub use place::{Lock, Place};
