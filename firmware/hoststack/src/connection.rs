//! One TCP connection: which part of its life it is in, and what its owner is told.
//!
//! ```text
//!  connect ──► Connecting ──────────────► Open ──────► Ended(reset, timed out, closed)
//!                  │                      ▲  │                       │
//!                  └► Ended(refused, …)   │  │ release, abort        │ release, abort
//!  SYN in ───► HalfOpen ──► Waiting ──────┘  ▼                       ▼
//!                  │           │ accept   Lingering ──────────────► gone
//!                  └───────────┴─► gone
//! ```
//!
//! The finer states of RFC 9293 §3.3.2 lie within: Open spans ESTABLISHED to LAST-ACK and
//! TIME-WAIT as long as the owner holds the connection, Lingering the same without an owner.

use base::{Instant, NetworkId};
use core::net::SocketAddr;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;

/// A connection; the number is never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub(crate) u64);

/// What its owner sees of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Asked for, not answered.
    Connecting,
    /// Data can flow in at least one direction.
    Open,
    /// Over.
    Ended(End),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Never opened: the other host said that nobody listens (a reset, or ICMP port or protocol
    /// unreachable).
    Refused,
    /// Never opened: ICMP says that there is no way to the host (RFC 5461: taken as final while
    /// connecting, ignored later).
    Unreachable,
    /// No answer while connecting, or none to data or to keep-alives.
    TimedOut,
    /// Was open, and the other end reset it.
    Reset,
    /// Both ends said goodbye.
    Closed,
    /// The node lost the address or the network that the connection used.
    AddressGone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connecting { deadline: Instant, sequence: Option<u32> },
    HalfOpen { deadline: Instant },
    Waiting,
    Open,
    Lingering { deadline: Instant },
    Ended(End),
}

impl Phase {
    /// Whether the owner of the stack holds a handle.
    pub const fn held(self) -> bool {
        match self {
            Self::Connecting { .. } | Self::Open | Self::Ended(_) => true,
            Self::HalfOpen { .. } | Self::Waiting | Self::Lingering { .. } => false,
        }
    }

    pub const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Connecting { deadline, .. }
            | Self::HalfOpen { deadline }
            | Self::Lingering { deadline } => Some(deadline),
            Self::Waiting | Self::Open | Self::Ended(_) => None,
        }
    }
}

/// What is kept of a connection beside smoltcp's socket.
#[derive(Debug)]
pub struct Entry {
    pub network: NetworkId,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub phase: Phase,
    /// smoltcp's part, until the connection has ended and all data is read.
    pub socket: Option<SocketHandle>,
    /// What the owner was last told of.
    pub seen: Seen,
}

/// What an owner may want to hear of when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub state: tcp::State,
    pub received: usize,
    pub unsent: usize,
}

impl Seen {
    pub const NOTHING: Self = Self { state: tcp::State::Closed, received: 0, unsent: 0 };

    pub fn of(socket: &tcp::Socket) -> Self {
        Self { state: socket.state(), received: socket.recv_queue(), unsent: socket.send_queue() }
    }
}

/// What made smoltcp move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A packet that arrived.
    Packet,
    /// A timer that ran out.
    Timer,
}

/// The phase that follows from the state of smoltcp's socket; `None` when the connection is to
/// be forgotten.
pub fn next_phase(
    phase: Phase,
    before: tcp::State,
    state: tcp::State,
    cause: Cause,
) -> Option<Phase> {
    use tcp::State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynReceived,
        SynSent, TimeWait,
    };
    match (phase, state) {
        (Phase::Ended(_), _) => Some(phase),
        (Phase::Connecting { .. }, SynSent | SynReceived) => Some(phase),
        (Phase::Connecting { .. }, Closed | Listen) => Some(Phase::Ended(match cause {
            Cause::Packet => End::Refused,
            Cause::Timer => End::TimedOut,
        })),
        (Phase::Connecting { .. }, _) => Some(Phase::Open),
        (Phase::HalfOpen { .. }, SynReceived) => Some(phase),
        (Phase::HalfOpen { .. } | Phase::Waiting, Closed | Listen | SynSent) => None,
        (Phase::HalfOpen { .. } | Phase::Waiting, _) => Some(Phase::Waiting),
        (Phase::Open, Closed | Listen | SynSent) => Some(Phase::Ended(match (before, cause) {
            // Both directions were finished: whatever ended it, nothing was lost.
            (LastAck | TimeWait, _) => End::Closed,
            (_, Cause::Packet) => End::Reset,
            (_, Cause::Timer) => End::TimedOut,
        })),
        (
            Phase::Open,
            SynReceived | Established | FinWait1 | FinWait2 | CloseWait | Closing | LastAck
            | TimeWait,
        ) => Some(phase),
        (Phase::Lingering { .. }, Listen) => None,
        (Phase::Lingering { .. }, _) => Some(phase),
    }
}
