//! The cluster of front machines: who is a member, who owns which VIP, and until when a node may
//! serve.
//!
//! Two machines without a clock, a socket or a thread. [`Pulse`] runs on the real-time thread: it
//! sends and hears heartbeats, says whom it does not hear, and keeps the [`Lease`]s that every
//! forwarder looks at before each burst. [`Cluster`] runs on the control thread: the members pass
//! a token, whoever holds it may change what all agree on. Between the two go [`Orders`] and
//! [`Report`]s; both see only messages that were authenticated before.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod identity;
pub mod member;
pub mod placement;
pub mod pulse;
pub mod seal;
pub mod settings;
pub mod wire;

mod words;

pub use identity::{Incarnation, NodeSet, OwnershipGeneration, Peer, ViewId};
pub use member::{Cluster, Event, Ownership, Reply, Request, Role};
pub use pulse::Pulse;
pub use settings::{NetworkSettings, NodeSettings, Pace, Settings, VipSettings};
pub use words::{Channel, GateSight, Lease, Orders, PathSight, Presence, Report, Sight, Transmit};
