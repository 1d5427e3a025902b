//! The forwarding engine: a burst of frames in; verdicts, frames and events out.
//!
//! [`Forwarder`] is pure: time and tables are arguments, nothing blocks, logs or reads a clock,
//! and after [`Forwarder::new`] nothing allocates. The box, the replay tool and the tests run
//! this one engine.
//!
//! The way of a frame: `forwarder` (parse the burst, prefetch) → `forwarder::classify` →
//! `flow` (known?) or `forwarder::balance` (choose a server) → `forwarder::emit` (TTL, MTU, next
//! hop, Ethernet) → [`Output`].
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod counters;
pub mod flow;
mod forwarder;
mod fragments;
mod hold;
pub mod maglev;
pub mod output;
pub mod tables;
pub mod verdict;
mod waiting;

pub use counters::Counters;
pub use forwarder::{Capacity, Forwarder, Pressure};
pub use output::{Output, Source, Transmit};
pub use tables::Tables;
pub use verdict::{DropReason, Event, HeldId, OwnTarget, Verdict};
