//! Who is where on the two wires, and frames with the right Ethernet addresses.

use std::net::IpAddr;

use base::{Mac, Offload, PortId};
use fixtures::Packet;

/// A client of IPv4, beyond the router.
pub const CLIENT: &str = "198.51.100.7:40000";
/// A client of IPv6, beyond the router.
pub const CLIENT6: &str = "[2001:db8:9::7]:40000";

/// Which of the node's two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// To the clients.
    Outside,
    /// To the servers.
    Inside,
}

/// The node's Ethernet address outside.
pub const OUTSIDE: Mac = Mac([0x02, 0x70, 0, 0, 0, 0]);
/// The node's Ethernet address inside.
pub const INSIDE: Mac = Mac([0x02, 0x70, 0, 0, 0, 1]);
/// Those of another box of the cluster, outside and inside.
pub const PEER: [Mac; 2] = [Mac([0x02, 0x72, 0, 0, 0, 0]), Mac([0x02, 0x72, 0, 0, 0, 1])];
/// The outside router's.
pub const ROUTER: Mac = Mac([0x02, 0x71, 0, 0, 0, 1]);

impl Port {
    /// Its number.
    pub const fn id(self) -> PortId {
        match self {
            Self::Outside => PortId(0),
            Self::Inside => PortId(1),
        }
    }

    /// Its Ethernet address.
    pub const fn mac(self) -> Mac {
        match self {
            Self::Outside => OUTSIDE,
            Self::Inside => INSIDE,
        }
    }
}

/// A frame on a wire.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Which wire.
    pub port: Port,
    /// The frame.
    pub bytes: Vec<u8>,
    /// What is left undone.
    pub offload: Offload,
}

impl Wire {
    /// A finished frame as it is.
    pub fn raw(port: Port, bytes: Vec<u8>) -> Self {
        Self { port, bytes, offload: Offload::NONE }
    }

    /// The same frame with another offload header.
    pub fn with_offload(mut self, offload: Offload) -> Self {
        self.offload = offload;
        self
    }
}

/// The Ethernet address of a station inside.
pub fn mac_of(address: IpAddr) -> Mac {
    let [a, b, c, d] = match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(v6) => {
            let [.., a, b, c, d] = v6.octets();
            [a, b, c, d]
        }
    };
    Mac([0x02, if address.is_ipv4() { 0x74 } else { 0x76 }, a, b, c, d])
}

/// The frame with these Ethernet addresses.
pub fn with_macs(mut bytes: Vec<u8>, destination: Mac, source: Mac) -> Vec<u8> {
    bytes[..6].copy_from_slice(&destination.0);
    bytes[6..12].copy_from_slice(&source.0);
    bytes
}

/// A packet that comes from the router.
pub fn outside(packet: &Packet) -> Wire {
    Wire::raw(Port::Outside, with_macs(packet.build(), OUTSIDE, ROUTER))
}

/// A packet that comes from its sender inside.
pub fn inside(packet: &Packet) -> Wire {
    Wire::raw(Port::Inside, with_macs(packet.build(), INSIDE, mac_of(packet.source)))
}

/// A packet that we send to the router.
pub fn to_outside(packet: &Packet) -> Wire {
    Wire::raw(Port::Outside, with_macs(packet.build(), ROUTER, OUTSIDE))
}

/// A packet that we send to its receiver inside.
pub fn to_inside(packet: &Packet) -> Wire {
    Wire::raw(Port::Inside, with_macs(packet.build(), mac_of(packet.destination), INSIDE))
}
