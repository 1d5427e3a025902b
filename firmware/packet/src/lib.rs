//! Packets: where their parts are, what they mean, and how to change them in place.
//!
//! [`headers::parse`] looks at a frame once and says what is in it, or why it is refused.
//! Everything else takes that answer: [`rewrite`] changes addresses and ports with incremental
//! checksums, [`icmp`] reads, translates and builds errors, [`arp`] and [`ndp`] are the neighbour
//! protocols, [`tcp`] builds resets, [`segment`] cuts what is too large, [`steer`] says which
//! worker a frame belongs to, [`plain`] is a shorter way for what nearly all packets are,
//! [`virtio`] and [`pcap`] are the shapes frames come in.
//!
//! A frame starts with the first octet of its Ethernet header and has no VLAN tag and no frame
//! check sequence. All functions are pure, allocate nothing (the capture writer excepted), and
//! take any bytes without panicking.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod arp;
mod bytes;
pub mod checksum;
mod emit;
pub mod headers;
pub mod icmp;
mod malformed;
pub mod ndp;
pub mod pcap;
pub mod plain;
pub mod rewrite;
pub mod segment;
pub mod steer;
pub mod tcp;
pub mod udp;
pub mod virtio;

pub use headers::{Body, Fragment, Headers, Icmp, Ip, Tcp, TcpFlags, Transport, Udp, Version};
pub use malformed::Malformed;
