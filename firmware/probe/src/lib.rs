//! Probing: what `health` wants to know, asked through `hoststack`.
//!
//! [`Prober`] has no clock, no thread and no socket of the kernel: packets and time go in, and
//! packets and verdicts come out. After any call, [`Prober::poll_transmit`] is to be called until
//! it gives nothing, then [`Prober::poll_change`] likewise, then [`Prober::next_deadline`] says
//! when [`Prober::handle_timeout`] is due at the latest.
//!
//! # The TCP check
//!
//! A probe opens a connection to the server. The server is well when its SYN-ACK arrives: its
//! kernel has a listener there with room in its queue. The answer to the SYN-ACK is a reset, not
//! an acknowledgement followed by a goodbye:
//!
//! * Nothing is left behind at either end: no TIME-WAIT, no half-open connection, and none that
//!   waits to be accepted.
//! * The server's program never sees the connection, so its log stays clean and no worker wakes
//!   up, once for every node and every interval.
//! * It proves as much as the whole handshake would, for it is the kernel that answers both.
//!
//! A goodbye would cost three more packets and a minute of TIME-WAIT per probe. What a reset
//! cannot show, that the program accepts and works, needs a check that talks to it anyway.
//!
//! # Lost packets
//!
//! A probe asks up to [`ATTEMPTS`] times, a quarter of its time-out apart and from a new port
//! each time; the first answer counts. TCP itself repeats a SYN only after a second
//! (RFC 6298 §2.1), which is all the time that a probe has by default: one lost packet would be
//! a dead server.
//!
//! # Being late
//!
//! Silence says nothing about a server when the prober did not listen. If
//! [`Prober::handle_timeout`] comes later than [`Prober::next_deadline`] announced, by more than
//! a quarter of a probe's time-out, then that probe is void: it neither counts nor is lost, but
//! is repeated soon. What did arrive still counts, however late it was read: it is a fact.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod prober;

pub use prober::Prober;

use core::ops::RangeInclusive;
use model::limits::{PROBE_PORT_FIRST, PROBE_PORT_LAST};

/// Local ports of probes; whoever hands out packets for the node's own addresses gives those to
/// these ports to the prober.
pub const LOCAL_PORTS: RangeInclusive<u16> = PROBE_PORT_FIRST..=PROBE_PORT_LAST;
/// How often a probe asks before its time is up.
pub const ATTEMPTS: usize = model::limits::PROBE_ATTEMPTS;
