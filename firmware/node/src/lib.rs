//! The whole appliance without a machine: composition only.
//!
//! [`plan`] turns a configuration into the forwarder's tables; [`Control`] keeps them true as
//! ports, neighbors and servers change, asks for neighbors and announces addresses. The
//! supervisor moves what `Control` says to the forwarders and the wire; the replay tool uses the
//! plan alone.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod announce;
mod control;
pub mod load;
pub mod membership;
mod neighbors;
mod numbers;
pub mod plan;
pub mod revisions;
pub mod status;

pub use control::{Control, Said};
pub use neighbors::{NeighborState, Neighbors};
pub use numbers::Exhausted;
pub use plan::{Attached, Plan, Unused};
