//! The node's own TCP/IP endpoint, for what is addressed to the node itself: consoles, pages,
//! transfers, and the connections that probes open.
//!
//! smoltcp does TCP, UDP, and the checks of IP, with one interface per network and no link
//! layer: packets go in and out as IP, addresses are resolved elsewhere. This room adds what a
//! host needs around that:
//!
//! * the network and the source address for each destination ([`Attachment`]);
//! * listeners with a bounded backlog; smoltcp has none, a socket there takes one connection;
//! * ends of connections with their reasons ([`End`]), ICMP errors among them;
//! * bounds on everything ([`Capacity`]), and who gives way to whom when they are reached.
//!
//! # How to drive it
//!
//! After any call, [`HostStack::poll_transmit`] is to be called until it gives nothing, then
//! [`HostStack::poll_event`] likewise, then [`HostStack::next_deadline`] says when
//! [`HostStack::handle_timeout`] is due at the latest. Sending happens in `poll_transmit` only,
//! so whoever changes his mind between a packet and its answer, changes the answer: a probe that
//! aborts a connection at the SYN-ACK sends a reset and no acknowledgement.
//!
//! # Who gives way
//!
//! * A SYN makes a half-open connection only if the backlog has room, or the oldest half-open
//!   one can be dropped for it, silently. Connections that are open and wait to be accepted are
//!   never dropped for a SYN; if they fill the backlog, it is answered with a reset. Half-open
//!   ones are forgotten after 10 s.
//! * Released connections (FIN-WAIT, CLOSING, LAST-ACK, TIME-WAIT) are forgotten after 15 s, and
//!   the oldest when more than their number linger. A new SYN on the addresses and ports of one
//!   in TIME-WAIT replaces it (RFC 9293 §3.10.7.4, RFC 6191).
//! * Connections that the owner holds give way to nothing. When they are at their number,
//!   `connect` is refused and `accept` gives nothing.
//! * ICMP errors leave 100 times a second, 50 at once.
//!
//! # What it does not do
//!
//! Fragments are not put together and not sent: TCP avoids them, and datagrams of the node's
//! services fit the MTU. Echo is asked for here ([`HostStack::ask_echo`]) and answered in the
//! forwarder. Initial sequence numbers come from
//! smoltcp's seeded generator, which is not the keyed hash of RFC 6528.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod attachment;
mod capacity;
mod connection;
mod device;
mod echo;
mod glance;
mod place;
mod queue;
mod stack;
mod tcp;
mod udp;
mod upkeep;

pub use attachment::Attachment;
pub use capacity::Capacity;
pub use connection::{Connection, ConnectionState, End};
pub use echo::{ECHO_OCTETS, Echo, EchoError, EchoOutcome};
pub use stack::{Counters, Event, Full, HostStack};
pub use tcp::{ConnectError, ListenError, ReceiveError, SendError};
pub use udp::{BindError, DatagramError};

/// Addresses that a node can have on one network; what smoltcp is built for.
pub const ADDRESSES: usize = smoltcp::config::IFACE_MAX_ADDR_COUNT;
const _: () = assert!(ADDRESSES >= 8, "smoltcp is built with its tiny default capacities");
