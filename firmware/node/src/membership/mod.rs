//! The node as a member of a cluster: the cluster's two machines, joined to seals, frames and
//! ports.
//!
//! ```text
//!            frames                     frames
//!               │                          │
//!   pulse    ┌──▼───┐  News             ┌──▼─────┐    control
//!   thread   │ Beat ├──────────────────>│ Council│    thread
//!            │      │<──────────────────┤        ├─> owners of virtual addresses
//!            └──┬───┘  Orders           └────────┘
//!               └─> leases
//! ```
//!
//! [`Beat`] runs where nothing else can be in front of it; it alone greets other boxes, and tells
//! [`Council`] whom it has admitted and where they are heard. Both speak UDP to
//! [`CLUSTER_PORT`](model::limits::CLUSTER_PORT) between primary addresses, in frames of their own:
//! they need no neighbor cache, no route and no host stack.

mod beat;
mod council;
mod documents;
mod framing;
mod newcomers;
mod request;
mod settings;
mod show;

#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use cluster::Report;
use cluster::seal::{Admission, Refusal};

pub use beat::Beat;
pub use council::{Agreed, Council, InForce};
pub use framing::{Framing, Way};
pub use newcomers::Reception;
pub use request::{Wanted, request};
pub use settings::{Card, settings};
pub use show::{Gates, moved, show};

/// What [`Beat`] tells [`Council`]. Nothing of it may get lost but older
/// reports and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What is seen now.
    Report(Report),
    /// How many datagrams the pulse thread refused, by reason. Goes with a report.
    Refused(Vec<(Refusal, u64)>),
    /// This start of a node counts from now on.
    Admitted(Admission),
    /// A node is heard from this station.
    Heard(framing::Station),
    /// Ask gateways or servers of a network whether they hear us.
    Ask(base::NetworkId),
    /// Another box knows a start of this node with an incarnation that is not lower: the node has
    /// lost its count, and both machines have to begin anew above it.
    Outrun(cluster::Incarnation),
}
