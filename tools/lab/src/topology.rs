//! Which hosts a lab has and how they are wired: a pure function of the cluster configuration and
//! of how many servers and clients are wanted.
//!
//! Networks of the configuration become segments, nodes get an interface for each of their ports,
//! server hosts get the addresses that the pools name, and clients sit where the VIPs of services
//! are. What the configuration does not say (clients, more servers) gets addresses that nobody has.

use crate::LabError;
use base::Prefix;
use model::config::{Config, Gateway, Network, PortRanges, Service, ServiceProtocol};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// The most hosts of one role.
pub const HOSTS: usize = 64;
/// The most ports of one service that a server listens on; a range of thousands needs no listener
/// on each.
const LISTENERS: usize = 32;
/// Where numbers of clients and of servers beyond the configuration's begin: `192.0.2.101`,
/// `10.0.0.11`; in IPv6 the same digits, `2001:db8:1::101`.
const FIRST_CLIENT: u16 = 101;
const FIRST_SERVER: u16 = 11;

/// Everything that gets wired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Ethernet segments.
    pub segments: Vec<Segment>,
    /// Hosts: nodes, then servers, then clients.
    pub hosts: Vec<Host>,
    /// Virtual addresses, to ask who has them.
    pub vips: Vec<Vip>,
}

/// An Ethernet segment: one bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The network's name.
    pub name: String,
    /// Addresses with prefix lengths that the bridge itself has, because the configuration names
    /// them as gateways: a neighbour that is there, and answers pings.
    pub addresses: Vec<String>,
}

/// One host: a namespace with its interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// `node1`, `server1`, `client1`.
    pub name: String,
    /// What runs on it.
    pub role: Role,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Its default gateways, at most one of each family.
    pub gateways: Vec<IpAddr>,
}

/// What runs on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A box, by its name in the configuration.
    Node(String),
    /// A back-end server.
    Server {
        /// Ports of the web server.
        tcp: Vec<u16>,
        /// Ports of the UDP echo.
        udp: Vec<u16>,
    },
    /// Where clients run.
    Client,
}

/// One interface of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// As the kernel calls it: `eth0`.
    pub name: String,
    /// The segment it is plugged into.
    pub segment: String,
    /// Addresses with prefix lengths that the kernel of the host has; none on nodes, whose
    /// addresses are the appliance's own.
    pub addresses: Vec<String>,
}

/// A virtual address of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vip {
    /// Its name.
    pub name: String,
    /// The segment it is on.
    pub segment: String,
    /// The address.
    pub address: IpAddr,
}

/// How many hosts of each role are wanted; `None`: as many as the configuration has, and at least
/// one client and one server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Nodes.
    pub nodes: Option<usize>,
    /// Servers.
    pub servers: Option<usize>,
    /// Clients.
    pub clients: Option<usize>,
}

impl Topology {
    /// Wires a configuration.
    ///
    /// # Errors
    /// [`LabError::Wiring`] where the lab cannot build what the configuration says.
    pub fn new(config: &Config, counts: Counts) -> Result<Topology, LabError> {
        let mut taken = taken(config);
        let mut hosts = nodes(config, counts.nodes)?;
        hosts.extend(servers(config, counts.servers, &mut taken)?);
        hosts.extend(clients(config, counts.clients.unwrap_or(1), &mut taken)?);
        let network_name = |index: usize| config.networks[index].name.clone();
        let vips = config.vips.iter().map(|vip| Vip {
            name: vip.name.clone(),
            segment: network_name(vip.network.index()),
            address: vip.address,
        });
        let segments = config.networks.iter().map(|network| Segment {
            name: network.name.clone(),
            addresses: network
                .gateways
                .iter()
                .filter_map(|gateway| with_length(network, *gateway))
                .collect(),
        });
        Ok(Topology { segments: segments.collect(), vips: vips.collect(), hosts })
    }

    /// The host of that name.
    ///
    /// # Errors
    /// [`LabError::UnknownHost`] with those that there are.
    pub fn host(&self, name: &str) -> Result<&Host, LabError> {
        self.hosts.iter().find(|host| host.name == name).ok_or_else(|| LabError::UnknownHost {
            name: name.into(),
            known: self.hosts.iter().map(|host| host.name.clone()).collect(),
        })
    }
}

/// The nodes in the order of their numbers; `node1` is the first, whatever its name.
fn nodes(config: &Config, wanted: Option<usize>) -> Result<Vec<Host>, LabError> {
    let mut nodes: Vec<_> = config.nodes.iter().collect();
    nodes.sort_by_key(|node| node.id);
    let count = check_count("nodes", wanted.unwrap_or(nodes.len()))?;
    if count > nodes.len() {
        let has = nodes.len();
        return Err(LabError::Wiring(format!("{count} nodes, the configuration has {has}")));
    }
    let mut hosts = Vec::new();
    for (index, node) in nodes.into_iter().take(count).enumerate() {
        let mut interfaces = Vec::new();
        for port in &node.ports {
            if let Some(vlan) = port.vlan {
                let port = format!("port {} of node {} is VLAN {vlan}", port.name, node.name);
                return Err(LabError::Wiring(format!("{port}; only untagged ports are wired")));
            }
            interfaces.push(Interface {
                name: port.interface.clone(),
                segment: config.networks[port.network.index()].name.clone(),
                addresses: Vec::new(),
            });
        }
        let name = format!("node{}", index + 1);
        let role = Role::Node(node.name.clone());
        hosts.push(Host { name, role, interfaces, gateways: Vec::new() });
    }
    Ok(hosts)
}

/// The servers that the pools name, and as many more as are wanted. The first host has the lowest
/// address of each family.
fn servers(
    config: &Config,
    wanted: Option<usize>,
    taken: &mut BTreeSet<IpAddr>,
) -> Result<Vec<Host>, LabError> {
    let all = config.pools.iter().flat_map(|pool| &pool.servers).map(|server| server.address);
    let (v4, v6): (BTreeSet<IpAddr>, BTreeSet<IpAddr>) = all.partition(IpAddr::is_ipv4);
    let (v4, v6): (Vec<_>, Vec<_>) = (v4.into_iter().collect(), v6.into_iter().collect());
    let named = v4.len().max(v6.len());
    let count = check_count("servers", wanted.unwrap_or(named.max(1)))?;
    let home = v4.first().or(v6.first()).and_then(|address| config.network_of(*address));
    let home = home.and_then(|id| config.networks.get(id.index())).or(config.networks.last());
    let (tcp, udp) = listeners(config);
    let mut hosts = Vec::new();
    for index in 0..count {
        let mut addresses: Vec<IpAddr> =
            [v4.get(index), v6.get(index)].into_iter().flatten().copied().collect();
        if addresses.is_empty() {
            let number = FIRST_SERVER + u16::try_from(index).unwrap_or(u16::MAX);
            addresses = home.map(|network| free(network, number, taken)).unwrap_or_default();
        }
        let name = format!("server{}", index + 1);
        let interfaces = interfaces(config, &name, &addresses)?;
        let on = |interface: &Interface| interface.segment.clone();
        let segments: Vec<String> = interfaces.iter().map(on).collect();
        let gateways = gateways(config, &segments, &addresses);
        let role = Role::Server { tcp: tcp.clone(), udp: udp.clone() };
        hosts.push(Host { name, role, interfaces, gateways });
    }
    Ok(hosts)
}

/// Clients on the network called `outside`, else on the network of the first service's VIP.
fn clients(
    config: &Config,
    wanted: usize,
    taken: &mut BTreeSet<IpAddr>,
) -> Result<Vec<Host>, LabError> {
    let count = check_count("clients", wanted)?;
    let of_service = |service: &Service| config.vips[service.vip.index()].network.index();
    let outside = config.networks.iter().find(|network| network.name == "outside");
    let network = outside
        .or_else(|| config.services.first().and_then(|s| config.networks.get(of_service(s))))
        .or(config.networks.first())
        .ok_or_else(|| LabError::Wiring("the configuration has no network".into()))?;
    let mut hosts = Vec::new();
    for index in 0..count {
        let number = FIRST_CLIENT + u16::try_from(index).unwrap_or(u16::MAX);
        let addresses = free(network, number, taken);
        let name = format!("client{}", index + 1);
        let interfaces = interfaces(config, &name, &addresses)?;
        let gateways = network.gateways.clone();
        hosts.push(Host { name, role: Role::Client, interfaces, gateways });
    }
    Ok(hosts)
}

/// One interface for each network that some of the addresses are on.
fn interfaces(
    config: &Config,
    host: &str,
    addresses: &[IpAddr],
) -> Result<Vec<Interface>, LabError> {
    let mut by_network: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for address in addresses {
        let network = config.network_of(*address);
        let with_length = network
            .and_then(|id| config.networks.get(id.index()).map(|network| (id.index(), network)))
            .and_then(|(index, network)| Some((index, with_length(network, *address)?)));
        let Some((index, text)) = with_length else {
            let what = format!("{host} has the address {address}, which is on no network");
            return Err(LabError::Wiring(what));
        };
        by_network.entry(index).or_default().push(text);
    }
    let interface = |(number, (network, addresses)): (usize, (usize, Vec<String>))| Interface {
        name: format!("eth{number}"),
        segment: config.networks[network].name.clone(),
        addresses,
    };
    Ok(by_network.into_iter().enumerate().map(interface).collect())
}

/// The gateways of a server: of each family it has, the VIP of its networks that is one.
fn gateways(config: &Config, segments: &[String], addresses: &[IpAddr]) -> Vec<IpAddr> {
    let on_its_networks = |index: usize| segments.contains(&config.networks[index].name);
    [true, false]
        .into_iter()
        .filter(|v4| addresses.iter().any(|address| address.is_ipv4() == *v4))
        .filter_map(|v4| {
            config
                .vips
                .iter()
                .filter(|vip| vip.gateway != Gateway::Off && vip.address.is_ipv4() == v4)
                .find(|vip| on_its_networks(vip.network.index()))
                .map(|vip| vip.address)
        })
        .collect()
}

/// The TCP and UDP ports that servers listen on: where pools send what services take.
fn listeners(config: &Config) -> (Vec<u16>, Vec<u16>) {
    let (mut tcp, mut udp) = (BTreeSet::new(), BTreeSet::new());
    for service in &config.services {
        let ports = match service.protocol {
            ServiceProtocol::Tcp => &mut tcp,
            ServiceProtocol::Udp => &mut udp,
        };
        let Some(pool) = config.pools.get(service.pool.index()) else { continue };
        for server in &pool.servers {
            match server.port {
                Some(port) => {
                    ports.insert(port);
                }
                None => ports.extend(first_ports(&service.ports)),
            }
        }
        tcp.extend(pool.check.and_then(|check| check.port));
    }
    (tcp.into_iter().collect(), udp.into_iter().collect())
}

/// The first ports of a list of ranges.
fn first_ports(ports: &PortRanges) -> impl Iterator<Item = u16> {
    ports.ranges().iter().cloned().flatten().take(LISTENERS)
}

/// Every address that the configuration gives to somebody.
fn taken(config: &Config) -> BTreeSet<IpAddr> {
    let ports = config.nodes.iter().flat_map(|node| &node.ports);
    let primary = ports.flat_map(|port| &port.addresses).map(|prefix| prefix.address);
    let servers = config.pools.iter().flat_map(|pool| &pool.servers).map(|server| server.address);
    let gateways = config.networks.iter().flat_map(|network| network.gateways.iter().copied());
    config
        .vips
        .iter()
        .map(|vip| vip.address)
        .chain(primary)
        .chain(servers)
        .chain(gateways)
        .collect()
}

/// An address of each family of a network that nobody has yet, from host number `number` on.
fn free(network: &Network, number: u16, taken: &mut BTreeSet<IpAddr>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for v4 in [true, false] {
        let prefix = network.prefixes.iter().find(|prefix| prefix.address.is_ipv4() == v4);
        let address = prefix.and_then(|prefix| {
            let numbers = (number..=u16::MAX).chain(2..number);
            numbers.filter_map(|n| nth(prefix, n)).find(|address| !taken.contains(address))
        });
        taken.extend(address);
        found.extend(address);
    }
    found
}

/// The host with that number in a prefix; in IPv6 the number's decimal digits are read as the
/// last group, so that `192.0.2.101` and `2001:db8:1::101` are the same host.
fn nth(prefix: &Prefix, number: u16) -> Option<IpAddr> {
    let address = match prefix.network().address {
        IpAddr::V4(network) => {
            IpAddr::V4(u32::from(network).checked_add(u32::from(number))?.into())
        }
        IpAddr::V6(network) => {
            let digits = u128::from_str_radix(&number.to_string(), 16).ok()?;
            IpAddr::V6(Ipv6Addr::from(u128::from(network).checked_add(digits)?))
        }
    };
    let broadcast = prefix.broadcast().map(IpAddr::V4);
    (prefix.contains(address) && Some(address) != broadcast).then_some(address)
}

/// An address with the length of the network's prefix that holds it.
fn with_length(network: &Network, address: IpAddr) -> Option<String> {
    let prefix = network.prefixes.iter().find(|prefix| prefix.contains(address))?;
    Some(format!("{address}/{}", prefix.length))
}

/// A count that the lab can build.
fn check_count(what: &str, count: usize) -> Result<usize, LabError> {
    if (1..=HOSTS).contains(&count) {
        return Ok(count);
    }
    Err(LabError::Wiring(format!("{count} {what}, it can have 1 to {HOSTS}")))
}

#[cfg(test)]
mod tests;
