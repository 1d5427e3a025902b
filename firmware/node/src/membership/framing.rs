//! Sealed datagrams in frames: which port, which addresses, which station.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use base::address::mapped;
use base::{Mac, NetworkId, NodeId, PortId, Protocol};
use model::config::{Config, Node};
use model::limits::{CLUSTER_BODY, CLUSTER_PORT};
use packet::headers::{self, Body, Transport};
use packet::rewrite::Endpoint;
use packet::udp;

use super::settings::id;
use crate::plan::Attached;

/// Precedence "internetwork control" (RFC 791 §3.1): what routers tell each other.
const CLASS: u8 = 0xc0;

/// Where a node is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Which node.
    pub node: NodeId,
    /// On which network.
    pub network: NetworkId,
    /// From which Ethernet address.
    pub mac: Mac,
}

/// The way back to somebody who is no node of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    port: PortId,
    mac: Mac,
    own: Ipv6Addr,
    theirs: Ipv6Addr,
}

/// Puts datagrams into frames and takes them out.
#[derive(Clone, Debug)]
pub struct Framing {
    /// By port: its network, and its own addresses.
    ports: Vec<(NetworkId, Vec<Ipv6Addr>)>,
    /// By port: which piece of the machine it is.
    interfaces: Vec<(String, Option<u16>)>,
    /// By port: its Ethernet address, if it works.
    macs: Vec<Option<Mac>>,
    /// Addresses of the other nodes.
    peers: Vec<(NodeId, NetworkId, Ipv6Addr)>,
    stations: Vec<Station>,
}

impl Framing {
    /// For the ports of `node`, none of which works yet; no station is known.
    pub fn new(config: &Config, node: &Node) -> Self {
        let addresses = |port: &model::config::Port| -> Vec<_> {
            port.addresses.iter().map(|prefix| mapped(prefix.address)).collect()
        };
        let others = config.nodes.iter().filter(|other| other.id != node.id);
        let peers = others.flat_map(|other| {
            other.ports.iter().flat_map(move |port| {
                addresses(port).into_iter().map(move |at| (id(other), port.network, at))
            })
        });
        Self {
            ports: node.ports.iter().map(|port| (port.network, addresses(port))).collect(),
            interfaces: node.ports.iter().map(|it| (it.interface.clone(), it.vlan)).collect(),
            macs: vec![None; node.ports.len()],
            peers: peers.collect(),
            stations: Vec::new(),
        }
    }

    /// Goes by another document: ports that are what they were stay as they are, and whoever is
    /// still there is where it was heard.
    pub fn renew(&mut self, config: &Config, node: &Node) {
        let old = core::mem::replace(self, Self::new(config, node));
        for (at, (mac, interface)) in self.macs.iter_mut().zip(&self.interfaces).enumerate() {
            if old.interfaces.get(at) == Some(interface) {
                *mac = old.macs.get(at).copied().flatten();
            }
        }
        let known = |it: &Station| {
            self.peers.iter().any(|(node, network, _)| (*node, *network) == (it.node, it.network))
        };
        self.stations = old.stations.into_iter().filter(known).collect();
    }

    /// The machine reports a port.
    pub fn set_port(&mut self, port: PortId, attached: &Attached) {
        if let Some(mac) = self.macs.get_mut(port.index()) {
            *mac = attached.up.then_some(attached.mac);
        }
    }

    /// The network behind a port.
    pub fn network(&self, port: PortId) -> Option<NetworkId> {
        self.ports.get(port.index()).map(|(network, _)| *network)
    }

    /// A node is heard from a station. Whether that is news.
    pub fn learn(&mut self, station: Station) -> bool {
        let known = self
            .stations
            .iter_mut()
            .find(|known| (known.node, known.network) == (station.node, station.network));
        match known {
            Some(known) if *known == station => false,
            Some(known) => {
                *known = station;
                true
            }
            None => {
                self.stations.push(station);
                true
            }
        }
    }

    /// Every station that is known.
    pub fn stations(&self) -> &[Station] {
        &self.stations
    }

    /// The port and the frame in which a datagram goes to a node. Where its station is not known
    /// the frame goes to all stations of the network, and every other one drops it. `None`: we
    /// have no address in common there, or the port does not work.
    pub fn frame(
        &self,
        to: NodeId,
        network: NetworkId,
        datagram: &[u8],
    ) -> Option<(PortId, Vec<u8>)> {
        let place = self.ports.iter().position(|(on, _)| *on == network)?;
        let source_mac = self.macs.get(place).copied().flatten()?;
        let is_v4 = |address: &Ipv6Addr| address.to_ipv4_mapped().is_some();
        let own = &self.ports[place].1;
        let theirs = self.peers.iter().filter(|peer| (peer.0, peer.1) == (to, network));
        let pairs = theirs.flat_map(|peer| own.iter().map(move |own| (*own, peer.2)));
        let (source, destination) = pairs.into_iter().find(|(a, b)| is_v4(a) == is_v4(b))?;
        let known = self.stations.iter().find(|it| (it.node, it.network) == (to, network));
        let station = known.map_or(Mac::BROADCAST, |station| station.mac);
        let way = Way { port: PortId::from(place), mac: station, own: source, theirs: destination };
        Some((way.port, build(source_mac, &way, datagram)?))
    }

    /// The port and the frame in which a datagram goes back.
    pub fn frame_back(&self, way: &Way, datagram: &[u8]) -> Option<(PortId, Vec<u8>)> {
        let source_mac = self.macs.get(way.port.index()).copied().flatten()?;
        Some((way.port, build(source_mac, way, datagram)?))
    }

    /// The way from `node` to an address on one of its networks: to all stations there, as it is
    /// not known which one has it.
    pub fn way_to(node: &Node, address: IpAddr) -> Option<Way> {
        node.ports.iter().enumerate().find_map(|(place, port)| {
            let own = port.addresses.iter().find(|prefix| prefix.contains(address))?;
            let (own, theirs) = (mapped(own.address), mapped(address));
            Some(Way { port: PortId::from(place), mac: Mac::BROADCAST, own, theirs })
        })
    }

    /// The way back to who sent a frame that [`Framing::read`] has read.
    pub fn way_back(port: PortId, frame: &[u8]) -> Option<Way> {
        let headers = headers::parse(frame).ok()?;
        let Body::Ip(ip) = headers.body else { return None };
        Some(Way { port, mac: headers.source, own: ip.destination, theirs: ip.source })
    }

    /// The datagram in a frame that came in by `port`, with its network and the station that sent
    /// it. `None`: it is not for us.
    pub fn read<'f>(
        &self,
        port: PortId,
        frame: &'f mut [u8],
    ) -> Option<(NetworkId, Mac, &'f mut [u8])> {
        let (network, own) = self.ports.get(port.index())?;
        let headers = headers::parse(frame).ok()?;
        let Body::Ip(ip) = headers.body else { return None };
        let Transport::Udp(udp) = ip.transport else { return None };
        let ours = udp.destination_port == CLUSTER_PORT && own.contains(&ip.destination);
        if !ours || ip.protocol != Protocol::UDP || ip.fragment.is_some() {
            return None;
        }
        let start = usize::from(ip.payload) + udp::HEADER;
        let datagram = frame.get_mut(start..ip.end as usize)?;
        Some((*network, headers.source, datagram))
    }
}

/// A datagram in a frame.
fn build(source_mac: Mac, way: &Way, datagram: &[u8]) -> Option<Vec<u8>> {
    let end = |address| Endpoint { address, port: CLUSTER_PORT };
    let datagram = udp::Datagram {
        source_mac,
        destination_mac: way.mac,
        source: end(way.own),
        destination: end(way.theirs),
        class: CLASS,
        payload: datagram,
    };
    // Ethernet, the longer IP header, UDP, and what sealing adds.
    let mut frame = vec![0; 14 + 40 + udp::HEADER + cluster::seal::OVERHEAD + CLUSTER_BODY];
    let length = udp::build(&mut frame, &datagram)?;
    frame.truncate(length);
    Some(frame)
}
