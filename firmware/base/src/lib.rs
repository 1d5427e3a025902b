//! Words that every room of the house shares: time, addresses, flow keys, identifiers, seeded
//! randomness, rates, and the shape of a frame on its way through.
//!
//! This crate knows no clock, no socket, no thread and no heap. All of its `unsafe` is the one
//! prefetch function under `sys/`.
#![no_std]
#![deny(unsafe_code)]

pub mod address;
pub mod flow;
pub mod frame;
pub mod id;
pub mod rate;
pub mod rng;
pub mod sys;
pub mod time;

pub use address::{Mac, Prefix};
pub use flow::{FlowBits, FlowKey, Protocol};
pub use frame::{Frame, Gso, Offload};
pub use id::{NetworkId, NodeId, PoolId, PortId, ServerId, ServiceId, VipId};
pub use time::Instant;
