//! Frames, as far as the world looks into them.

use base::{Mac, VipId};
use std::rc::Rc;

/// A host of a segment: the nodes come first, then the clients.
pub(crate) type Host = usize;

/// An Ethernet address: a host's own, or the broadcast address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Station(u16);

impl Station {
    /// Everybody.
    pub const BROADCAST: Self = Self(u16::MAX);

    /// The address of a host's interface.
    pub const fn of_host(host: Host) -> Self {
        Self(host as u16)
    }

    /// Whether it is everybody's.
    pub const fn is_broadcast(self) -> bool {
        self.0 == u16::MAX
    }

    /// As the cluster is told it: a locally administered address.
    pub const fn mac(self) -> Mac {
        let [high, low] = self.0.to_be_bytes();
        Mac([2, 0, 0, 0, high, low])
    }

    /// The host that has it; none has the broadcast address.
    pub const fn host(self) -> Option<Host> {
        if self.0 == u16::MAX { None } else { Some(self.0 as Host) }
    }
}

/// A frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub source: Station,
    pub destination: Station,
    pub body: Body,
}

/// What a frame carries.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// A datagram of the cluster.
    Datagram(Rc<Datagram>),
    /// An ARP request for a virtual address. A node's probe of the address (RFC 5227 §2.1.1) asks
    /// for nobody in particular; it is answered to everybody.
    Ask {
        vip: VipId,
        probe: bool,
    },
    /// An ARP reply: the virtual address is at this station.
    Answer {
        vip: VipId,
        at: Station,
    },
    /// A gratuitous ARP, as a request or as a reply (RFC 5227 §3).
    Announcement {
        vip: VipId,
        at: Station,
        reply: bool,
    },
    /// A question to a witness, and its answer.
    WitnessAsk,
    WitnessAnswer,
    /// A client's packet to a virtual address.
    Packet(Packet),
    /// What came back.
    Reply(Reply),
}

/// A sealed or plain datagram between two nodes.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub from: usize,
    /// When its sender handed it to its socket, in world time.
    pub sent: u64,
    pub content: Content,
}

/// What stands in it.
#[derive(Debug)]
pub(crate) enum Content {
    /// A body in clear: the sender is known without doubt, as if the Guard had opened it.
    Plain { sender: cluster::Peer, channel: cluster::Channel, body: Vec<u8> },
    /// Octets as they go over the wire.
    Sealed(Vec<u8>),
}

/// A packet of a client's flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub vip: VipId,
    pub client: u16,
    pub flow: u32,
    /// Which of its connections, one after the other.
    pub name: u32,
    pub number: u32,
    /// The connection's first packet.
    pub opens: bool,
    /// Its last one.
    pub closes: bool,
    /// Passed on by this node, which owned the address before.
    pub passed_by: Option<u8>,
}

/// A connection, as every node that sees its packets names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub vip: VipId,
    pub client: u16,
    pub connection: u32,
}

impl Packet {
    /// Of which connection it is.
    pub const fn flow_name(&self) -> Name {
        Name { vip: self.vip, client: self.client, connection: self.name }
    }
}

/// The answer to it: from which server, or that there is no such connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub packet: Packet,
    /// The node through which it went.
    pub node: u8,
    /// `None`: the connection was reset.
    pub server: Option<u16>,
}

impl Frame {
    /// The frame with a damaged octet, or nothing where a checksum finds the damage: only the
    /// Guard protects a sealed datagram that was built anew on its way.
    pub fn corrupted(&self) -> Option<Self> {
        let Body::Datagram(datagram) = &self.body else { return None };
        let Content::Sealed(octets) = &datagram.content else { return None };
        let mut octets = octets.clone();
        let place = usize::try_from(datagram.sent).unwrap_or_default() % octets.len().max(1);
        if let Some(octet) = octets.get_mut(place) {
            *octet ^= 0x10;
        }
        let content = Content::Sealed(octets);
        let body = Body::Datagram(Rc::new(Datagram { content, ..**datagram }));
        Some(Self { body, ..*self })
    }
}
