//! The cluster of front machines: who is a member, who owns which VIP, and until when a node may
//! serve.
//!
//! Machines without a clock, a socket or a thread. [`Pulse`] runs on the real-time thread: it
//! sends and hears heartbeats, says whom it does not hear, and keeps the [`Lease`]s that every
//! forwarder looks at before each burst. [`Cluster`] runs on the control thread: the members pass
//! a token, and whoever holds it may change what all agree on. Between the two go [`Orders`] and
//! [`Report`]s. [`Flows`] copies what a new owner of a VIP has to know of its flows. All see only
//! messages that were authenticated before ([`seal`]).
//!
//! # Why a VIP has one owner
//!
//! Nobody can make another node stop. So a node may serve only while its *lease* lasts, and its
//! lease lasts only while others show that they have not begun to act without it.
//!
//! Let X own a VIP. Each clock is wrong by at most ρ = 500 millionths.
//!
//! 1. **Lease.** X may serve until s + L, where s is when it *sent* the newest heartbeat that
//!    enough members of its view have echoed: n / 2 of them, with n the number of configured nodes
//!    (policy `quorum`), else of the view's members. With X that is more than half.
//! 2. **Consent.** A view without X needs the consent of everybody in it (`quorum`: more than half
//!    of the configured nodes). Consent is sent only after the real-time thread has stopped to
//!    echo X ([`Report::obeyed`]). Two majorities share a member: one of those that X needs has
//!    consented.
//! 3. **Fence.** Each member that consents names the time at which every lease has run out that
//!    its echoes may have granted: r + L + margin, where r is when it *received* the newest
//!    heartbeat of X. r ≥ s, as nothing arrives before it was sent. The successor waits for the
//!    longest of these ([`wire::Token::fence`]; every hop can only lengthen it). X stops after
//!    L / (1 − ρ) at the latest, the successor begins after (L + margin) / (1 + ρ) at the earliest,
//!    and margin = 1 ms + L / 500 ≥ 2 ρ L / (1 − ρ) + the granularity of both clocks. (One
//!    millisecond alone is not enough from L = 1 s on.)
//! 4. **L itself** is agreed on: members count their own leases by [`wire::Token::lease`] and wait
//!    for others' by [`wire::Token::patience`], and no member's lease is ever longer than any
//!    member's patience (`member/pacing.rs`).
//! 5. **Forgetting.** A node that started again does not know whom it echoed. It is another
//!    [`Peer`]: no lease counts its echoes before a view has taken it in, and its own consents
//!    fence until the longest lease has run out that its earlier start can have granted.
//! 6. **Unfinished views.** Who consented to a view that never came may not know that it came
//!    elsewhere. It says whom it has not echoed meanwhile ([`wire::Grant::doubted`]); what those
//!    own is claimed anew in the next view, behind the fence.
//! 7. **Hand-over.** A planned move needs no waiting: the old owner's forwarders have stopped
//!    ([`Cluster::handle_settled`]) before the token names the new one. The sender and the receiver
//!    of that token both know of it, and the next view begins from the newest token that any of
//!    its members has seen: whoever knows an older one is denied.
//! 8. **Reopening.** A gate that closed opens only when a token has passed at a node that knew of
//!    the closing. In a view of the minority a token proves nothing, so what stopped there is
//!    claimed anew.
//!
//! Under `quorum` this holds whatever the network does. `witness` and `available` let a minority
//! serve, so there two nodes can own one VIP if neither hears the other on any network. They narrow
//! it down: claims without a hand-over ask for the address first and wait for L of silence while
//! they themselves are reached; nobody claims while somebody who serves is heard outside of its
//! view; a node that hears a member that does not echo it closes; where two views meet, the lower
//! one closes as soon as it hears the other; and who is heard and does not hear us makes us close
//! before it may claim.
//!
//! What differs from a ring of old: members that do not hear each other are not moved apart in the
//! ring, because among three all are neighbors; a third member passes on what they send.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod config;
pub mod flows;
pub mod identity;
pub mod introduction;
pub mod member;
pub mod placement;
pub mod pulse;
pub mod reason;
pub mod seal;
pub mod settings;
pub mod wire;

mod words;

pub use flows::Flows;
pub use identity::{Incarnation, NodeSet, OwnershipGeneration, Peer, ViewId};
pub use member::{Cluster, Event, Ownership, Reply, Request, Role};
pub use pulse::Pulse;
pub use reason::{Moved, Reason};
pub use settings::{NetworkSettings, NodeSettings, Pace, Settings, VipSettings};
pub use words::{Channel, GateSight, Lease, Orders, PathSight, Presence, Report, Sight, Transmit};
