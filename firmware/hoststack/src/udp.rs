//! UDP for the owner of the stack: ports are bound on every address that the node has.

use crate::attachment::{is_usable, route};
use crate::capacity::DATAGRAM_PORTS;
use crate::stack::HostStack;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use smoltcp::socket::udp;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// Why a port was not bound. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// Port 0 is no port.
    Zero,
    /// The port is bound already.
    InUse,
    /// The stack has no room for one more port.
    TooMany,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zero => "not bound: the port must be 1 to 65535",
            Self::InUse => "not bound: the port is bound already",
            Self::TooMany => "not bound: too many ports are bound",
        })
    }
}

impl core::error::Error for BindError {}

/// Why a datagram was not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramError {
    /// The port is not bound.
    NotBound,
    /// The remote address or port is none that a datagram can go to, or the node's own.
    Unaddressable,
    /// No network has the remote address on its link, and none a gateway of its family.
    NoRoute,
    /// The datagram does not fit the MTU, and fragments are not sent.
    TooLong,
    /// As many datagrams as may already wait to be sent.
    Full,
}

impl fmt::Display for DatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBound => "datagram not taken: the port is not bound",
            Self::Unaddressable => "datagram not taken: the remote address or port is not usable",
            Self::NoRoute => "datagram not taken: no network and no gateway leads to the address",
            Self::TooLong => "datagram not taken: it does not fit into one packet",
            Self::Full => "datagram not taken: too many wait to be sent",
        })
    }
}

impl core::error::Error for DatagramError {}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub remote: SocketAddr,
    /// Which of the node's addresses it was sent to.
    pub local: IpAddr,
    /// Its octets; more than `out` took if that was shorter.
    pub length: usize,
}

impl HostStack {
    /// Receives datagrams at a port from now on.
    pub fn bind(&mut self, port: u16) -> Result<(), BindError> {
        if port == 0 {
            return Err(BindError::Zero);
        }
        if self.bound.contains(&port) {
            return Err(BindError::InUse);
        }
        if self.bound.len() >= DATAGRAM_PORTS {
            return Err(BindError::TooMany);
        }
        self.bound.insert(port);
        self.places.iter_mut().for_each(|place| place.bind(port));
        Ok(())
    }

    /// Receives nothing more at a port; what waits there is lost.
    pub fn unbind(&mut self, port: u16) {
        if self.bound.remove(&port) {
            self.places.iter_mut().for_each(|place| place.unbind(port));
            self.events.remove(&crate::stack::Event::Datagram(port));
        }
    }

    /// Sends a datagram from a bound port; the source address follows from the destination.
    pub fn send_datagram(
        &mut self,
        port: u16,
        remote: SocketAddr,
        data: &[u8],
    ) -> Result<(), DatagramError> {
        const UDP_HEADER: usize = 8;
        if !self.bound.contains(&port) {
            return Err(DatagramError::NotBound);
        }
        let own = self.places.iter().any(|place| place.has(remote.ip()));
        if own || !is_usable(remote.ip()) || remote.port() == 0 {
            return Err(DatagramError::Unaddressable);
        }
        let (network, source) =
            route(&self.attachments, remote.ip()).ok_or(DatagramError::NoRoute)?;
        let place = self.places.iter_mut().find(|place| place.network() == network);
        let place = place.ok_or(DatagramError::NoRoute)?;
        let header = if source.is_ipv4() { 20 } else { 40 } + UDP_HEADER;
        if data.len() + header > usize::from(place.attachment.mtu) {
            return Err(DatagramError::TooLong);
        }
        let handle = place.datagrams.get(&port).ok_or(DatagramError::NotBound)?;
        let remote = IpEndpoint::new(IpAddress::from(remote.ip()), remote.port());
        let mut metadata = udp::UdpMetadata::from(remote);
        metadata.local_address = Some(source.into());
        let socket = place.sockets.get_mut::<udp::Socket>(*handle);
        socket.send_slice(data, metadata).map_err(|error| match error {
            udp::SendError::Unaddressable => DatagramError::Unaddressable,
            udp::SendError::BufferFull => DatagramError::Full,
        })?;
        self.dirty = true;
        Ok(())
    }

    /// The next datagram received at a port.
    pub fn receive_datagram(&mut self, port: u16, out: &mut [u8]) -> Option<Datagram> {
        self.places.iter_mut().find_map(|place| {
            let handle = place.datagrams.get(&port)?;
            let socket = place.sockets.get_mut::<udp::Socket>(*handle);
            let (data, metadata) = socket.recv().ok()?;
            let taken = data.len().min(out.len());
            out[..taken].copy_from_slice(&data[..taken]);
            Some(Datagram {
                remote: SocketAddr::new(metadata.endpoint.addr.into(), metadata.endpoint.port),
                local: metadata.local_address?.into(),
                length: data.len(),
            })
        })
    }
}
