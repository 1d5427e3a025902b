//! Ports: the house's doors to the network, made of Linux packet sockets.
//!
//! A frame comes in through a [`Receiver`]: the kernel copies it into a ring of slots that is
//! mapped here, together with what the sender's network card left undone (unfinished checksum,
//! uncut segments). The forwarder changes it where it lies, and a [`Transmitter`] sends it from
//! there. Neither allocates, locks or waits once it is open.
//!
//! ```text
//!   wire -> kernel tap -> [fanout: Steering] -> filter (VLAN tag) -> ring -> Receiver::batch
//!                 \-> ingress drop (quiet)                                       | in place
//!   wire <- driver <------------ no queueing discipline <------------- Transmitter::send
//! ```
//!
//! Around that stands what makes an interface a port: [`quiet`] keeps the kernel's own network
//! stack away from it, [`Memberships`] tells its hardware which groups to let in, [`Link`] and
//! [`LinkMonitor`] say how it is. [`Steering`] spreads a port's frames over several workers.
//! [`Apart`] gives what is for the box itself a ring of its own; [`Datagrams`] are the cluster's
//! way in, beside all that.
//!
//! Reading list: packet(7), Linux `Documentation/networking/packet_mmap.rst`, rtnetlink(7).
#![deny(unsafe_code)]

mod apart;
mod datagrams;
mod error;
mod filter;
mod link;
mod membership;
mod netlink;
mod port;
mod quiet;
mod receiver;
mod steering;
mod sys;
mod transmitter;
mod wait;

pub use apart::Apart;
pub use datagrams::{Arrival, Datagrams};
pub use error::OpenError;
pub use link::{Link, LinkError, LinkEvent, LinkMonitor, LinkState};
pub use membership::{MembershipError, Memberships};
pub use port::{Memory, PortOptions, open};
pub use quiet::{QuietError, quiet};
pub use receiver::{Batch, Receiver, Statistics};
pub use steering::{MOST_VIRTUAL, Steering, SteeringError};
pub use sys::ring::BLOCK;
pub use transmitter::{Sent, Transmitter};
pub use wait::{Readiness, Wake, wait};

/// The most frames in one batch, and in one system call that sends.
pub const BURST: usize = 64;
