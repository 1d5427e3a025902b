//! TCP for the owner of the stack: connect, listen, accept, send, receive, close.

use crate::attachment::{is_usable, route};
use crate::capacity::{CONNECT_TIMEOUT, Capacity, DEAD, KEEP_ALIVE, LINGER, LISTENERS};
use crate::connection::{Connection, ConnectionState, End, Entry, Phase, Seen};
use crate::stack::{Event, HostStack};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use base::{Instant, NetworkId};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use smoltcp::socket::tcp;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// Why no connection was opened. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The remote address or port is none that a connection can have.
    Unaddressable,
    /// The remote address is the node's own; packets to it would leave the node.
    OwnAddress,
    /// No network has the remote address on its link, and none a gateway of its family.
    NoRoute,
    /// The owner holds as many connections as the stack has room for.
    TooMany,
    /// Every local port is in use towards this remote end.
    NoPort,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unaddressable => "not connected: the remote address or port is not usable",
            Self::OwnAddress => "not connected: the remote address is the node's own",
            Self::NoRoute => "not connected: no network and no gateway leads to the address",
            Self::TooMany => "not connected: too many connections are held, release some",
            Self::NoPort => "not connected: every local port is in use towards the remote end",
        })
    }
}

impl core::error::Error for ConnectError {}

/// Why a port is not listened on. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenError {
    /// Port 0 is no port.
    Zero,
    /// The port is listened on already.
    InUse,
    /// The stack has no room for one more listener.
    TooMany,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "not listening: the port must be 1 to 65535",
            Self::InUse => "not listening: the port is listened on already",
            Self::TooMany => "not listening: too many ports are listened on",
        })
    }
}

impl core::error::Error for ListenError {}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The connection is not open yet, or this end has finished sending.
    NotOpen,
    /// The connection is over.
    Ended(End),
    /// No such connection: it was released.
    Unknown,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOpen => "nothing sent: the connection is not open for sending",
            Self::Ended(_) => "nothing sent: the connection is over",
            Self::Unknown => "nothing sent: the connection was released",
        })
    }
}

impl core::error::Error for SendError {}

/// Why nothing more can be received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// The other end has finished sending, and all of it was received.
    Finished,
    /// The connection broke; what was received before may not be all.
    Ended(End),
    /// No such connection: it was released.
    Unknown,
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "nothing received: the other end has finished",
            Self::Ended(_) => "nothing received: the connection is over",
            Self::Unknown => "nothing received: the connection was released",
        })
    }
}

impl core::error::Error for ReceiveError {}

/// A port that is listened on.
#[derive(Debug, Default)]
pub struct Listener {
    /// Connections that wait to be accepted.
    pub waiting: VecDeque<u64>,
    /// On these networks only; none: on all.
    pub networks: Option<Vec<NetworkId>>,
}

impl HostStack {
    /// Asks for a connection. An [`Event::Connection`] tells when it is open or has failed, at
    /// the latest after 20 s.
    pub fn connect(
        &mut self,
        now: Instant,
        remote: SocketAddr,
    ) -> Result<Connection, ConnectError> {
        if !is_usable(remote.ip()) || remote.port() == 0 {
            return Err(ConnectError::Unaddressable);
        }
        if self.places.iter().any(|place| place.has(remote.ip())) {
            return Err(ConnectError::OwnAddress);
        }
        let (network, source) =
            route(&self.attachments, remote.ip()).ok_or(ConnectError::NoRoute)?;
        if self.held() >= self.capacity.connections {
            return Err(ConnectError::TooMany);
        }
        let local = self.free_port(source, remote).ok_or(ConnectError::NoPort)?;
        let place = self.places.iter_mut().find(|place| place.network() == network);
        let place = place.ok_or(ConnectError::NoRoute)?;
        let mut socket = new_socket(&self.capacity);
        socket
            .connect(place.interface.context(), endpoint(remote), endpoint(local))
            .map_err(|_| ConnectError::Unaddressable)?;
        let entry = Entry {
            network,
            local,
            remote,
            phase: Phase::Connecting { deadline: now + CONNECT_TIMEOUT, sequence: None },
            seen: Seen::of(&socket),
            socket: Some(place.sockets.add(socket)),
        };
        self.dirty = true;
        Ok(Connection(self.insert(entry)))
    }

    /// Listens on a port of every address that the node has.
    pub fn listen(&mut self, port: u16) -> Result<(), ListenError> {
        if port == 0 {
            return Err(ListenError::Zero);
        }
        if self.listeners.contains_key(&port) {
            return Err(ListenError::InUse);
        }
        if self.listeners.len() >= LISTENERS {
            return Err(ListenError::TooMany);
        }
        self.listeners.insert(port, Listener::default());
        Ok(())
    }

    /// Has a port that is listened on be so on these networks alone; on others a request for a
    /// connection is answered as if nobody listened. Connections that exist stay.
    pub fn confine(&mut self, port: u16, networks: &[NetworkId]) {
        if let Some(listener) = self.listeners.get_mut(&port) {
            listener.networks = Some(networks.to_vec());
        }
    }

    /// Stops listening. Connections that were not accepted are reset; accepted ones stay.
    pub fn unlisten(&mut self, now: Instant, port: u16) {
        let Some(listener) = self.listeners.remove(&port) else { return };
        listener.waiting.into_iter().for_each(|id| self.abort(now, Connection(id)));
        self.events.remove(&Event::Incoming(port));
    }

    /// The connection that waits longest at a port that is listened on.
    pub fn accept(&mut self, port: u16) -> Option<Connection> {
        if self.held() >= self.capacity.connections {
            return None;
        }
        let id = self.listeners.get_mut(&port)?.waiting.pop_front()?;
        let entry = self.entries.get_mut(&id)?;
        entry.phase = Phase::Open;
        Some(Connection(id))
    }

    /// How a connection stands; `None` if it was released.
    pub fn state(&self, connection: Connection) -> Option<ConnectionState> {
        match self.entries.get(&connection.0)?.phase {
            Phase::Connecting { .. } => Some(ConnectionState::Connecting),
            // Nothing more can come or go.
            Phase::Open if self.is_over(connection) => Some(ConnectionState::Ended(End::Closed)),
            Phase::Open => Some(ConnectionState::Open),
            Phase::Ended(end) => Some(ConnectionState::Ended(end)),
            Phase::HalfOpen { .. } | Phase::Waiting | Phase::Lingering { .. } => None,
        }
    }

    /// The local and the remote end of a connection.
    pub fn ends(&self, connection: Connection) -> Option<(SocketAddr, SocketAddr)> {
        self.entries.get(&connection.0).map(|entry| (entry.local, entry.remote))
    }

    /// Takes as many octets to send as there is room for, and says how many; 0 when there is
    /// none until the next event.
    pub fn send(&mut self, connection: Connection, data: &[u8]) -> Result<usize, SendError> {
        let entry = self.entries.get(&connection.0).ok_or(SendError::Unknown)?;
        if let Phase::Ended(end) = entry.phase {
            return Err(SendError::Ended(end));
        }
        let socket = self.socket(connection).ok_or(SendError::Unknown)?;
        let taken = socket.send_slice(data).map_err(|_| SendError::NotOpen)?;
        let seen = Seen::of(socket);
        self.note(connection, seen);
        Ok(taken)
    }

    /// Moves received octets into `out` and says how many; 0 when there are none until the next
    /// event.
    pub fn receive(
        &mut self,
        connection: Connection,
        out: &mut [u8],
    ) -> Result<usize, ReceiveError> {
        let entry = self.entries.get(&connection.0).ok_or(ReceiveError::Unknown)?;
        let phase = entry.phase;
        let Some(socket) = self.socket(connection) else {
            return Err(match phase {
                Phase::Ended(End::Closed) => ReceiveError::Finished,
                Phase::Ended(end) => ReceiveError::Ended(end),
                Phase::Connecting { .. }
                | Phase::HalfOpen { .. }
                | Phase::Waiting
                | Phase::Open
                | Phase::Lingering { .. } => ReceiveError::Unknown,
            });
        };
        let moved = match socket.recv_slice(out) {
            Ok(moved) => moved,
            Err(tcp::RecvError::Finished) => return Err(ReceiveError::Finished),
            // Not open yet.
            Err(tcp::RecvError::InvalidState) => 0,
        };
        let seen = Seen::of(socket);
        self.note(connection, seen);
        Ok(moved)
    }

    /// Says that nothing more will be sent; what was taken still is. Receiving goes on.
    pub fn close(&mut self, connection: Connection) {
        if let Some(socket) = self.socket(connection) {
            socket.close();
            let seen = Seen::of(socket);
            self.note(connection, seen);
        }
    }

    /// Gives a connection up. What was sent is still delivered and the goodbye exchanged, within
    /// 15 s. If something that was received lies unread, the connection is reset instead, so
    /// that the other end knows (RFC 9293 §3.6.1).
    pub fn release(&mut self, now: Instant, connection: Connection) {
        self.part(now, connection, |socket| {
            if socket.recv_queue() > 0 { socket.abort() } else { socket.close() }
        });
    }

    /// Gives a connection up and resets it. One that is still being opened is given up silently:
    /// a late SYN-ACK is answered with a reset anyway.
    pub fn abort(&mut self, now: Instant, connection: Connection) {
        self.part(now, connection, |socket| socket.abort());
    }

    fn part(&mut self, now: Instant, connection: Connection, goodbye: fn(&mut tcp::Socket)) {
        let id = connection.0;
        let Some(entry) = self.entries.get(&id) else { return };
        let opened = match entry.phase {
            Phase::Waiting | Phase::Open => true,
            Phase::Connecting { .. } | Phase::Ended(_) | Phase::HalfOpen { .. } => false,
            Phase::Lingering { .. } => return,
        };
        let lingers = match self.socket(connection) {
            Some(socket) if opened => {
                goodbye(socket);
                socket.remote_endpoint().is_some()
            }
            Some(_) | None => false,
        };
        if !lingers {
            self.forget(id);
            return;
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.phase = Phase::Lingering { deadline: now + LINGER };
        }
        self.events.remove(&Event::Connection(connection));
        self.dirty = true;
        self.bound_lingering();
    }

    /// Drops the connection that lingers longest while more linger than may.
    fn bound_lingering(&mut self) {
        let lingering = || {
            self.entries.iter().filter_map(|(&id, entry)| match entry.phase {
                Phase::Lingering { deadline } => Some((deadline, id)),
                Phase::Connecting { .. }
                | Phase::HalfOpen { .. }
                | Phase::Waiting
                | Phase::Open
                | Phase::Ended(_) => None,
            })
        };
        if lingering().count() > self.capacity.lingering
            && let Some((_, oldest)) = lingering().min()
        {
            self.counters.lingering_dropped += 1;
            self.forget(oldest);
        }
    }

    fn held(&self) -> usize {
        self.entries.values().filter(|entry| entry.phase.held()).count()
    }

    /// The next port of the range, in turn, that is not in use towards the remote end.
    fn free_port(&mut self, source: IpAddr, remote: SocketAddr) -> Option<SocketAddr> {
        for _ in self.local_ports.clone() {
            let port = self.next_port;
            let last = port == *self.local_ports.end();
            self.next_port = if last { *self.local_ports.start() } else { port + 1 };
            let local = SocketAddr::new(source, port);
            let taken = self.listeners.contains_key(&port)
                || self.entries.values().any(|e| e.local == local && e.remote == remote);
            if !taken {
                return Some(local);
            }
        }
        None
    }

    fn is_over(&self, connection: Connection) -> bool {
        let seen = self.entries.get(&connection.0).map(|entry| entry.seen);
        seen.is_some_and(|seen| seen.state == tcp::State::TimeWait && seen.received == 0)
    }

    fn socket(&mut self, connection: Connection) -> Option<&mut tcp::Socket<'static>> {
        let entry = self.entries.get(&connection.0)?;
        let place = self.places.iter_mut().find(|place| place.network() == entry.network)?;
        Some(place.sockets.get_mut::<tcp::Socket>(entry.socket?))
    }

    /// What the owner has just done himself is no event. An ended connection keeps its socket
    /// for unread data only.
    fn note(&mut self, connection: Connection, seen: Seen) {
        self.dirty = true;
        let Some(entry) = self.entries.get_mut(&connection.0) else { return };
        entry.seen = seen;
        if let Phase::Ended(end) = entry.phase
            && seen.received == 0
        {
            self.end(connection.0, end);
        }
    }
}

pub fn new_socket(capacity: &Capacity) -> tcp::Socket<'static> {
    let buffer = |octets| tcp::SocketBuffer::new(vec![0; octets]);
    let mut socket = tcp::Socket::new(buffer(capacity.receive), buffer(capacity.send));
    socket.set_congestion_control(tcp::CongestionControl::Reno);
    // Before the connection opens: smoltcp sends the first keep-alive at once when it is set on
    // an open one.
    socket.set_keep_alive(Some(KEEP_ALIVE.into()));
    socket.set_timeout(Some(DEAD.into()));
    socket
}

fn endpoint(address: SocketAddr) -> IpEndpoint {
    IpEndpoint::new(IpAddress::from(address.ip()), address.port())
}
