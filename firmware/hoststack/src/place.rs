//! One network as smoltcp knows it: its interface and the sockets that use it.

use crate::attachment::{Attachment, is_usable};
use crate::capacity::{DATAGRAM_OCTETS, DATAGRAMS};
use crate::device::{Port, to_smoltcp};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use base::{Instant, NetworkId, Prefix};
use core::net::IpAddr;
use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::udp;
use smoltcp::wire::{HardwareAddress, IpCidr};

/// The shortest MTU there is (RFC 791 §3.2) and the longest that slots are made for.
const MTU: (u16, u16) = (576, 9216);

pub struct Place {
    pub attachment: Attachment,
    pub interface: Box<Interface>,
    pub sockets: SocketSet<'static>,
    /// The UDP socket of each bound port.
    pub datagrams: BTreeMap<u16, SocketHandle>,
}

impl Place {
    pub fn new(attachment: Attachment, seed: u64, port: &mut Port<'_>) -> Self {
        let interface = interface(&attachment, seed, port);
        let sockets = SocketSet::new(Vec::new());
        Self { attachment, interface, sockets, datagrams: BTreeMap::new() }
    }

    /// The same network with other addresses or another MTU; sockets stay.
    pub fn renew(&mut self, attachment: Attachment, seed: u64, port: &mut Port<'_>) {
        self.interface = interface(&attachment, seed, port);
        self.attachment = attachment;
    }

    pub const fn network(&self) -> NetworkId {
        self.attachment.network
    }

    pub fn has(&self, address: IpAddr) -> bool {
        self.attachment.addresses.iter().any(|own| own.address == address)
    }

    pub fn bind(&mut self, port: u16) {
        let buffer = || {
            udp::PacketBuffer::new(
                vec![udp::PacketMetadata::EMPTY; DATAGRAMS],
                vec![0; DATAGRAM_OCTETS],
            )
        };
        let mut socket = udp::Socket::new(buffer(), buffer());
        // Binding fails for a bound socket and for port 0 only; neither is the case.
        if socket.bind(port).is_ok() {
            self.datagrams.insert(port, self.sockets.add(socket));
        }
    }

    pub fn unbind(&mut self, port: u16) {
        if let Some(handle) = self.datagrams.remove(&port) {
            self.sockets.remove(handle);
        }
    }

    pub fn ingress(&mut self, now: Instant, port: &mut Port<'_>) {
        self.interface.poll_ingress_single(to_smoltcp(now), port, &mut self.sockets);
    }

    /// One packet from each socket that has one, while the queue has room.
    pub fn egress(&mut self, now: Instant, port: &mut Port<'_>) -> PollResult {
        self.interface.poll_egress(to_smoltcp(now), port, &mut self.sockets)
    }
}

/// What of an attachment can be used: legal addresses, as many as fit, an MTU in range.
pub fn legal(mut attachment: Attachment) -> Attachment {
    attachment.addresses.retain(|own| is_usable(own.address));
    attachment.addresses.truncate(crate::ADDRESSES);
    attachment.mtu = attachment.mtu.clamp(MTU.0, MTU.1);
    attachment
}

fn interface(attachment: &Attachment, seed: u64, port: &mut Port<'_>) -> Box<Interface> {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let now = to_smoltcp(port.now);
    let mut interface = Box::new(Interface::new(config, port, now));
    interface.update_ip_addrs(|addresses| {
        addresses.extend(attachment.addresses.iter().map(|&own| cidr(own)).take(crate::ADDRESSES));
    });
    interface
}

fn cidr(prefix: Prefix) -> IpCidr {
    IpCidr::new(prefix.address.into(), prefix.length)
}
