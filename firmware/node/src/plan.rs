//! From a configuration to the forwarder's tables.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use base::address::mapped;
use base::{Mac, NetworkId, PoolId, PortId, Prefix, ServerId, ServiceId, VipId};
use dataplane::maglev::{Candidate, Maglev};
use dataplane::tables::{
    ANYWHERE, AddressTable, Network, Pool, Port, Role, Route, Routes, Server, Service, Services,
    Tables, Vip,
};
use model::config::{Config, Gateway, Node, ServerState, ServiceProtocol};
use model::limits;

/// What the machine says about a port of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its Ethernet address.
    pub mac: Mac,
    /// Largest IP packet, in octets.
    pub mtu: u32,
    /// It exists and has carrier.
    pub up: bool,
}

/// One server of one pool, under its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its pool.
    pub pool: PoolId,
    /// Its place in the pool's configuration.
    pub place: usize,
}

/// A configuration as one node carries it out.
#[derive(Clone, Debug)]
pub struct Plan {
    config: Config,
    node: Node,
    members: Vec<Member>,
    seed: u64,
}

impl Plan {
    /// The plan of the node `name`; `None` when the configuration has no such node. `seed` is
    /// secret.
    pub fn new(config: Config, name: &str, seed: u64) -> Option<Self> {
        let node = config.node(name)?.clone();
        Some(Self::of(config, node, seed))
    }

    /// The plan of a node that need not stand in the configuration.
    pub fn of(config: Config, node: Node, seed: u64) -> Self {
        let members = config.pools.iter().enumerate().flat_map(|(pool, it)| {
            (0..it.servers.len()).map(move |place| Member { pool: PoolId::from(pool), place })
        });
        let members = members.collect();
        Self { config, node, members, seed }
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// This node.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Every server by its number.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The configuration of a server.
    pub fn server(&self, id: ServerId) -> Option<(&model::config::Pool, &model::config::Server)> {
        let member = self.members.get(id.index())?;
        let pool = self.config.pools.get(member.pool.index())?;
        Some((pool, pool.servers.get(member.place)?))
    }

    /// The server of that name in the pool of that name.
    pub fn find_server(&self, pool: &str, server: &str) -> Option<ServerId> {
        let mut named = (0..self.members.len()).map(ServerId::from);
        named.find(|&id| self.server(id).is_some_and(|(p, s)| p.name == pool && s.name == server))
    }

    /// The port that leads to a network, if this node has one.
    pub fn port_of(&self, network: NetworkId) -> Option<PortId> {
        self.node.ports.iter().position(|port| port.network == network).map(PortId::from)
    }

    /// The next hops that the configuration names: gateways, and servers on the link.
    pub fn next_hops(&self) -> Vec<(PortId, IpAddr)> {
        let mut hops = Vec::new();
        for (id, network) in self.config.networks.iter().enumerate() {
            if let Some(port) = self.port_of(NetworkId::from(id)) {
                hops.extend(network.gateways.iter().map(|&gateway| (port, gateway)));
            }
        }
        for server in self.config.pools.iter().flat_map(|pool| &pool.servers) {
            if let Some(network) = self.config.network_of(server.address)
                && let Some(port) = self.port_of(network)
                && server.state != ServerState::Disabled
            {
                hops.push((port, server.address));
            }
        }
        hops.sort_unstable();
        hops.dedup();
        hops
    }

    /// Whether a server may serve as far as the operator says.
    pub fn may_serve(&self, id: ServerId) -> bool {
        self.server(id).is_some_and(|(_, server)| match server.state {
            ServerState::Up | ServerState::Draining => true,
            ServerState::Down | ServerState::Disabled => false,
        })
    }

    /// All tables but neighbors. `up` says of a server whether its check finds it working;
    /// `ports` has one entry for each port of the node.
    pub fn tables(&self, ports: &[Attached], up: impl Fn(ServerId) -> bool) -> Tables {
        let working = |id| self.may_serve(id) && up(id);
        Tables {
            generation: 0,
            ports: Arc::new(self.ports(ports)),
            networks: Arc::new(self.networks()),
            addresses: Arc::new(self.addresses()),
            routes: Arc::new(self.routes()),
            vips: Arc::new(self.vips()),
            services: Arc::new(self.services()),
            pools: Arc::new(self.pools(&working)),
            servers: Arc::new(self.servers(&working)),
            neighbors: Arc::default(),
        }
    }

    /// The ports, as the machine has them.
    pub fn ports(&self, attached: &[Attached]) -> Vec<Port> {
        let ports = self.node.ports.iter().zip(attached);
        ports
            .map(|(port, attached)| Port {
                mac: attached.mac,
                network: port.network,
                mtu: attached.mtu,
                up: attached.up,
                ipv4: port.addresses.iter().find_map(|prefix| match prefix.address {
                    IpAddr::V4(v4) => Some(v4),
                    IpAddr::V6(_) => None,
                }),
                ipv6: port.addresses.iter().find_map(|prefix| match prefix.address {
                    IpAddr::V6(v6) => Some(v6),
                    IpAddr::V4(_) => None,
                }),
            })
            .collect()
    }

    /// The servers, and whether each works.
    pub fn servers(&self, working: &impl Fn(ServerId) -> bool) -> Vec<Server> {
        let servers = self.members.iter().enumerate().filter_map(|(id, member)| {
            let id = ServerId::from(id);
            let (_, server) = self.server(id)?;
            Some(Server {
                address: mapped(server.address),
                port: server.port,
                pool: member.pool,
                link: self.link_of(server.address),
                up: working(id),
            })
        });
        servers.collect()
    }

    /// The network that an address is on the link of, if this node has a port there.
    fn link_of(&self, address: IpAddr) -> Option<NetworkId> {
        self.config.network_of(address).filter(|&network| self.port_of(network).is_some())
    }

    /// The pools' selection tables over the servers that may take new flows.
    pub fn pools(&self, working: &impl Fn(ServerId) -> bool) -> Vec<Pool> {
        (0..self.config.pools.len()).map(|pool| self.pool(PoolId::from(pool), working)).collect()
    }

    /// One pool's selection table.
    pub fn pool(&self, pool: PoolId, working: &impl Fn(ServerId) -> bool) -> Pool {
        let mut members = Vec::new();
        let mut candidates = Vec::new();
        for (id, member) in self.members.iter().enumerate() {
            let id = ServerId::from(id);
            let Some((config, server)) = self.server(id).filter(|_| member.pool == pool) else {
                continue;
            };
            let open = server.state == ServerState::Up && working(id);
            if let (true, Ok(value)) = (open, u16::try_from(members.len())) {
                members.push(id);
                let identity = identity(&config.name, &server.name);
                candidates.push(Candidate { value, identity, weight: server.weight });
            }
        }
        Pool { maglev: Arc::new(Maglev::build(&candidates)), members: Arc::new(members) }
    }

    fn networks(&self) -> Vec<Network> {
        let networks = self.config.networks.iter().enumerate().map(|(id, _)| {
            let id = NetworkId::from(id);
            let routes =
                |vip: &&model::config::Vip| vip.network == id && vip.gateway == Gateway::Route;
            Network {
                port: self.port_of(id),
                transit: self.config.vips.iter().any(|vip| routes(&vip)),
            }
        });
        networks.collect()
    }

    fn addresses(&self) -> AddressTable<Role> {
        let mut entries: Vec<(u16, Ipv6Addr, Role)> = Vec::new();
        for port in &self.node.ports {
            for prefix in &port.addresses {
                let address = mapped(prefix.address);
                entries.push((port.network.0, address, Role::Primary));
                entries.push((ANYWHERE, address, Role::Primary));
            }
        }
        for (id, vip) in self.config.vips.iter().enumerate() {
            // A network without a port of ours: another node's business.
            if self.port_of(vip.network).is_some() {
                let (address, role) = (mapped(vip.address), Role::Virtual(VipId::from(id)));
                entries.push((vip.network.0, address, role));
                entries.push((ANYWHERE, address, role));
            }
        }
        for (id, network) in self.config.networks.iter().enumerate() {
            for broadcast in network.prefixes.iter().filter_map(Prefix::broadcast) {
                let scope = NetworkId::from(id).0;
                entries.push((scope, mapped(IpAddr::V4(broadcast)), Role::Broadcast));
            }
        }
        AddressTable::build(self.seed, entries)
    }

    fn routes(&self) -> Routes {
        let mut routes = Vec::new();
        for (id, config) in self.config.networks.iter().enumerate() {
            let network = NetworkId::from(id);
            let Some(port) = self.port_of(network) else { continue };
            let connected = config.prefixes.iter();
            routes.extend(connected.map(|&prefix| Route { prefix, port, network, gateway: None }));
            for &gateway in &config.gateways {
                let all = match gateway {
                    IpAddr::V4(_) => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
                    IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                };
                let prefix = Prefix { address: all, length: 0 };
                routes.push(Route { prefix, port, network, gateway: Some(gateway) });
            }
        }
        Routes::build(routes)
    }

    fn vips(&self) -> Vec<Vip> {
        let vips = self.config.vips.iter();
        vips.map(|vip| Vip { address: mapped(vip.address), network: vip.network }).collect()
    }

    fn services(&self) -> Services {
        let mut services = Services::default();
        for config in &self.config.services {
            let idle = config.idle.unwrap_or(match config.protocol {
                ServiceProtocol::Tcp => limits::TCP_IDLE_DEFAULT,
                ServiceProtocol::Udp => limits::UDP_IDLE_DEFAULT,
            });
            let service = Service { vip: config.vip, pool: config.pool, idle };
            let protocol = config.protocol.number();
            let id = services.push(service, protocol, config.ports.ranges().iter().cloned());
            self.replies(&mut services, config, id);
        }
        services
    }

    /// Says from which ports the service's servers answer.
    fn replies(
        &self,
        services: &mut Services,
        config: &model::config::Service,
        service: ServiceId,
    ) {
        let protocol = config.protocol.number();
        for (id, member) in self.members.iter().enumerate() {
            let Some((_, server)) = self.server(ServerId::from(id)) else { continue };
            if member.pool == config.pool {
                let at = (ServerId::from(id), mapped(server.address));
                services.push_reply(at, protocol, server.port, service, config.ports.ranges());
            }
        }
    }
}

/// A hash of a server's name that every node computes alike (FNV-1a, 64 bits).
fn identity(pool: &str, server: &str) -> u64 {
    let bytes = pool.bytes().chain([0]).chain(server.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
