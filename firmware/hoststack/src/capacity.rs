//! How much of everything a stack has; nobody outside can make it take more.

use base::time::Duration;
use model::limits;

/// Bounds of one [`crate::HostStack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections that the owner holds: connecting, accepted, or ended and not yet released.
    pub connections: usize,
    /// Connections on the way in, half open and not yet accepted, of all listeners together.
    pub backlog: usize,
    /// Connections that were released and still exchange their last segments.
    pub lingering: usize,
    /// Octets of each connection's receive buffer, which is also its largest window.
    pub receive: usize,
    /// Octets of each connection's send buffer.
    pub send: usize,
    /// Packets that wait to be sent, on all networks together.
    pub packets: usize,
}

impl Capacity {
    /// For the node's own services: consoles, pages, transfers. 80 + 32 + 32 connections of
    /// 32 KiB and 128 packets of 1,500 octets: at most 4.7 MiB, of which 0.2 MiB at the start.
    pub const FACES: Self = Self {
        connections: limits::FACE_CONNECTIONS,
        backlog: limits::FACE_BACKLOG,
        lingering: limits::FACE_LINGERING,
        receive: limits::FACE_BUFFER_OCTETS,
        send: limits::FACE_BUFFER_OCTETS,
        packets: limits::STACK_PACKETS,
    };

    /// For probes, which send nothing but the opening of a connection: a kilobyte each.
    pub const PROBES: Self = Self {
        connections: limits::PROBES * limits::PROBE_ATTEMPTS,
        backlog: 0,
        lingering: limits::PROBES,
        receive: 512,
        send: 512,
        packets: limits::STACK_PACKETS,
    };

    /// The same with at least one of what cannot be zero, and no buffer past what a TCP window
    /// without needless scaling covers.
    pub(crate) fn legal(self) -> Self {
        Self {
            receive: self.receive.clamp(1, 1 << 20),
            send: self.send.clamp(1, 1 << 20),
            packets: self.packets.max(1),
            ..self
        }
    }
}

/// A connection of ours that is not answered is given up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// One that is asked for and not confirmed is forgotten; the SYN-ACK leaves four times till then.
pub const HALF_OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// One that was released is forgotten, whatever its other end still owes.
pub const LINGER: Duration = Duration::from_secs(15);
/// An open connection is checked when nothing came for so long …
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// … and given up when nothing came for so long.
pub const DEAD: Duration = Duration::from_secs(35);
/// UDP ports that can be bound.
pub const DATAGRAM_PORTS: usize = limits::STACK_DATAGRAM_PORTS;
/// Echoes that were asked for, and answers that were not fetched.
pub const ECHOES: usize = limits::STACK_ECHOES;
/// TCP ports that can be listened on.
pub const LISTENERS: usize = limits::STACK_LISTENERS;
/// Datagrams that wait in each direction at each port and network, …
pub const DATAGRAMS: usize = 16;
/// … and their octets.
pub const DATAGRAM_OCTETS: usize = 16 << 10;
/// ICMP errors that leave per second, and at once.
pub const ERRORS: (u32, u32) = (limits::STACK_ERRORS_PER_SECOND, limits::STACK_ERRORS_BURST);
