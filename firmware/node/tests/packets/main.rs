//! Packet tables: for every duty of the forwarder what comes in, what becomes of it, and which
//! frames go out, octet by octet.
//!
//! Expected frames are laid out by `fixtures`, which shares no code with the forwarder. A row that
//! fails leaves a capture of what was expected and what was seen in `target/packets/`.
#![cfg(test)]

#[path = "../common/mod.rs"]
mod common;
mod table;

mod any_frames;
mod both_ways;
mod cluster;
mod copies;
mod echoes;
mod fragments;
mod hops;
mod icmp_errors;
mod limits;
mod nat;
mod neighbors;
mod not_ours;
mod offload;
mod reconfigure;
mod refusals;
mod servers;
mod shedding;
mod spread;
mod tracking;
mod transit;
mod waiting;
