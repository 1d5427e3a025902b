//! Whole clusters in simulated time: nodes as they are, in a world that one seed decides, watched
//! by checkers from outside.
//!
//! ```text
//!   plan      what a seed decides: sizes, faults, what is tried at the end
//!   world     one queue of events; threads of nodes, each with its own lateness
//!   network   a switch for each network, a link for each pair of hosts
//!   node      machine, clock, sockets; Pulse, Cluster and seal; a data plane that obeys leases
//!   client    connections and ARP caches that behave as they do in the field
//!   check     the promises, by name
//!   plant     bugs that prove that a checker can fail
//! ```
#![forbid(unsafe_code)]

#[cfg(test)]
mod balancing;
mod check;
mod client;
mod clock;
mod draw;
mod explore;
mod network;
mod node;
mod options;
mod plan;
mod plant;
mod queue;
mod run;
#[cfg(test)]
mod scenarios;
mod shrink;
#[cfg(test)]
mod spreading;
mod sweep;
mod table;
mod world;

pub use check::Violation;
pub use explore::{Explored, explore};
pub use options::Options;
pub use plant::run_planted;
pub use run::{Outcome, run};
pub use shrink::shrink;
pub use sweep::{Summary, sweep};
pub use table::table;
