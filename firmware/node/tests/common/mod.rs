//! One node between two networks, its forwarder, and what a test says about frames.
//!
//! ```text
//!   clients ── router 192.0.2.1 ── outside ── n1 ── inside ── servers 10.0.0.x
//!              2001:db8:1::1                                  fd00::x
//! ```

mod lab;
mod wires;

pub use lab::{Lab, Seen, Sent};
pub use wires::{
    CLIENT, CLIENT6, INSIDE, OUTSIDE, PEER, Port, ROUTER, Wire, inside, mac_of, outside, to_inside,
    to_outside, with_macs,
};
