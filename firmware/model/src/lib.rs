//! What an operator can say and what an operator can see.
//!
//! [`config`] turns the text of a document into legal values or into every problem it has, with
//! its place. [`status`] and [`event`] are what the box says about itself; [`operator`] is the
//! one set of requests that every console and API speaks. [`limits`] holds every limit of the
//! product.
//!
//! Nothing here reads a clock, does input or output, or panics on any text.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod config;
pub mod event;
pub mod limits;
pub mod operator;
pub mod status;

pub use config::{
    Check, CheckKind, Cluster, Config, Gateway, Mode, Network, Node, NodeDocument, Policy, Pool,
    Port, PortRanges, Problem, Profile, Scheduler, Server, ServerState, Service, ServiceProtocol,
    Vip,
};
