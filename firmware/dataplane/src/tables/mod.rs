//! What the forwarder knows: an immutable snapshot, built by the control thread and swapped whole
//! between bursts. A bundle of `Arc`s, so that changing one part copies pointers only.

mod addresses;
mod copies;
mod routes;
mod services;
mod spread;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use base::{FlowKey, Mac, NetworkId, PoolId, PortId, ServerId, ServiceId, VipId};

pub use addresses::AddressTable;
pub use copies::{Copied, Copies};
pub use routes::{Hop, Route, Routes};
pub use services::{Match, ReplyMatch, Services};
pub use spread::{Share, Spread};

use crate::maglev::Maglev;

/// The scope of [`Tables::addresses`] that holds what an address is on any network.
pub const ANYWHERE: u16 = u16::MAX;

/// The whole snapshot.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Grows by one with every change.
    pub generation: u32,
    /// By [`PortId`].
    pub ports: Arc<Vec<Port>>,
    /// By [`NetworkId`].
    pub networks: Arc<Vec<Network>>,
    /// The node's own addresses and the virtual ones it serves, each under its network's number
    /// and, but for broadcast addresses, once more under [`ANYWHERE`]: a router's addresses are
    /// reachable from all of its networks.
    pub addresses: Arc<AddressTable<Role>>,
    /// Where packets go next.
    pub routes: Arc<Routes>,
    /// By [`VipId`].
    pub vips: Arc<Vec<Vip>>,
    /// By [`VipId`]: who works on which flow, of addresses that are spread.
    pub spreads: Arc<Vec<Option<Spread>>>,
    /// The other boxes of the cluster: what [`Owner::Peer`] counts.
    pub peers: Arc<Vec<Peer>>,
    /// What is offered at the virtual addresses.
    pub services: Arc<Services>,
    /// Differs whenever a flow may be given to another server than before; below 2¹⁵. 0: nobody
    /// wants to be told which flows have another one.
    pub selection: u16,
    /// Flows of our virtual addresses that other boxes had before, and told us of.
    pub copies: Arc<Copies>,
    /// By [`PoolId`].
    pub pools: Arc<Vec<Pool>>,
    /// By [`ServerId`].
    pub servers: Arc<Vec<Server>>,
    /// Link-layer addresses of next hops. Scope: port.
    pub neighbors: Arc<AddressTable<Mac>>,
}

/// A logical port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its Ethernet address.
    pub mac: Mac,
    /// The network it is attached to.
    pub network: NetworkId,
    /// Largest IP packet, in octets.
    pub mtu: u32,
    /// It exists and has carrier.
    pub up: bool,
    /// The node's first primary IPv4 address there: the source of what we say ourselves.
    pub ipv4: Option<Ipv4Addr>,
    /// The node's first primary IPv6 address there.
    pub ipv6: Option<Ipv6Addr>,
}

/// A network the node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The port that leads there, if this node has one.
    pub port: Option<PortId>,
    /// Packets from and to its prefixes are routed (`gateway = "route"`).
    pub transit: bool,
}

/// What an address of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A primary address of this node.
    Primary,
    /// A virtual address this node serves.
    Virtual(VipId),
    /// An IPv4 subnet's broadcast address: never answered, never forwarded.
    Broadcast,
}

/// A virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vip {
    /// The address, IPv4-mapped where IPv4.
    pub address: Ipv6Addr,
    /// Where it lives.
    pub network: NetworkId,
    /// Who serves it.
    pub owner: Owner,
    /// It is spread, and this node works on some of its flows, whoever owns it.
    pub works: bool,
}

/// Who serves a virtual address, as the cluster has agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This node, while its lease on the address's network lasts.
    Us,
    /// The one at this place of [`Tables::peers`].
    Peer(u16),
    /// That one still, and it is about to be ours: what comes by that box is served already, and
    /// nothing is answered yet.
    Coming(u16),
    /// Nobody for the moment.
    Nobody,
}

/// Another box of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its Ethernet address on each network where it was heard.
    pub stations: Vec<(NetworkId, Mac)>,
}

impl Peer {
    /// Its Ethernet address on a network.
    pub fn station(&self, network: NetworkId) -> Option<Mac> {
        self.stations.iter().find(|(on, _)| *on == network).map(|(_, mac)| *mac)
    }
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(32))] // never on two cache lines
pub struct Service {
    /// Its address.
    pub vip: VipId,
    /// Who serves it.
    pub pool: PoolId,
    /// An established flow ends after so long without a packet.
    pub idle: Duration,
    /// Nobody can say from a server's packet alone that it is of this service, because the
    /// server's port belongs to several.
    pub shared: bool,
}

/// A pool: the servers and the function that chooses among them.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Values are indices into `members`.
    pub maglev: Arc<Maglev>,
    /// The servers by their place in the Maglev table.
    pub members: Arc<Vec<ServerId>>,
}

impl Pool {
    /// The `attempt`-th choice for a flow: a pure function of the flow and the agreed table.
    #[inline]
    pub fn choose(&self, key: &FlowKey, attempt: u32) -> Option<ServerId> {
        /// Not secret: every node must choose alike.
        const SELECTION: u64 = 0x706f_7274_6963_6f31;
        let place = self.maglev.get(key.hash(SELECTION.wrapping_add(u64::from(attempt))))?;
        self.members.get(usize::from(place)).copied()
    }
}

/// A server. Its number never stands for another address or port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(align(32))] // never on two cache lines
pub struct Server {
    /// Where it is.
    pub address: Ipv6Addr,
    /// Its port; `None`: the port the client asked for.
    pub port: Option<u16>,
    /// The pool it belongs to.
    pub pool: PoolId,
    /// The network it is on the link of: its packets come from there and from nowhere else.
    /// `None`: it is behind a router, or another node's.
    pub link: Option<NetworkId>,
    /// It works. Flows of a server that does not are reset (TCP) or chosen anew (UDP).
    pub up: bool,
}

impl Tables {
    /// The port of that number, if it exists.
    #[inline]
    pub fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(id.index())
    }

    /// What `address` is on the network behind `port`.
    #[inline]
    pub fn role(&self, port: &Port, address: Ipv6Addr) -> Option<Role> {
        self.addresses.get(port.network.0, address)
    }

    /// Who works on which flow of a virtual address, if it is spread.
    #[inline]
    pub fn spread(&self, vip: VipId) -> Option<&Spread> {
        self.spreads.get(vip.index())?.as_ref()
    }

    /// Whether a station is another box of the cluster.
    pub fn is_peer(&self, network: NetworkId, mac: Mac) -> bool {
        self.peers.iter().any(|peer| peer.station(network) == Some(mac))
    }

    /// Whether packets may go from one network to the other without a service: one of them has
    /// a gateway address of ours that routes, and the packet leaves the network it came from.
    pub fn routes_between(&self, from: NetworkId, to: NetworkId) -> bool {
        let transit = |id: NetworkId| self.networks.get(id.index()).is_some_and(|n| n.transit);
        from != to && (transit(from) || transit(to))
    }

    /// Brings what is to be known of a service near.
    #[inline]
    pub fn prefetch_service(&self, service: ServiceId) {
        if let Some(service) = self.service(service) {
            base::sys::prefetch(service);
        }
    }

    /// Brings what is to be known of a server near.
    #[inline]
    pub fn prefetch_server(&self, server: ServerId) {
        if let Some(server) = self.server(server) {
            base::sys::prefetch(server);
        }
    }

    /// The service of that number.
    #[inline]
    pub fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id)
    }

    /// The server of that number.
    #[inline]
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(id.index())
    }

    /// Which server a new flow of `service` goes to.
    #[inline]
    pub fn choose(&self, service: ServiceId, key: &FlowKey, attempt: u32) -> Option<ServerId> {
        let service = self.service(service)?;
        self.pools.get(service.pool.index())?.choose(key, attempt)
    }
}
