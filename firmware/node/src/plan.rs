//! From a configuration to the forwarder's tables.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use base::address::mapped;
use base::time::Duration;
use base::{Mac, NetworkId, NodeId, PoolId, PortId, Prefix, ServerId, ServiceId, VipId};
use dataplane::Counters;
use dataplane::maglev::{Candidate, Maglev};
use dataplane::tables::{
    ANYWHERE, AddressTable, Network, Owner, Pool, Port, Role, Route, Routes, Server, Tables,
};
use model::config::{Check, Config, Gateway, Node, ServerState};
use model::limits;

use crate::numbers::{Exhausted, Numbers, Slot};

mod copied;
mod owners;
mod services;
mod spread;
mod unused;

pub use copied::ByAddress;
pub(crate) use spread::{id, peers};
pub use unused::Unused;

/// The pool of a server, and of a service, that is no longer of the configuration.
const NO_POOL: PoolId = PoolId(u16::MAX);
/// The address of such a service.
const NO_VIP: VipId = VipId(u16::MAX);

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

/// What makes a server the same over changes of the configuration.
type Identity = (String, String, IpAddr, Option<u16>);

/// A configuration as one node carries it out.
#[derive(Clone, Debug)]
pub struct Plan {
    config: Config,
    node: Node,
    /// Who serves each virtual address.
    owners: Vec<Owner>,
    /// Which nodes work on the flows of addresses that are spread.
    workers: Vec<NodeId>,
    /// Who serves what is agreed on with other boxes; else all is ours.
    shared: bool,
    /// Every server's number.
    servers: Numbers<Identity>,
    /// By server number; none: it is no longer of the configuration.
    members: Vec<Option<Member>>,
    /// Every service's number, by its name.
    services: Numbers<String>,
    /// By service number: its place in the configuration, and how long its silent flows last.
    offers: Vec<(Option<usize>, Duration)>,
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
        let empty = Self {
            config: config.clone(),
            node: node.clone(),
            owners: Vec::new(),
            workers: Vec::new(),
            shared: false,
            servers: Numbers::new(),
            members: Vec::new(),
            services: Numbers::new(),
            offers: Vec::new(),
            seed,
        };
        let none = Counters::new(0, 0);
        // A legal configuration has no more servers than there are numbers.
        let nowhere = BTreeSet::new();
        let first = Unused { counters: &none, generation: 0, copied: &nowhere };
        empty.succeed(config, node, 0, &first).unwrap_or(empty)
    }

    /// The plan of another configuration that follows this one, as tables of the generation
    /// `generation` will first have it: servers and services that stay keep their numbers, and a
    /// number is not given to another while a flow may refer to it.
    ///
    /// # Errors
    /// So many of them were removed and still have flows that no numbers are left.
    pub fn succeed(
        &self,
        config: Config,
        node: Node,
        generation: u32,
        unused: &Unused<'_>,
    ) -> Result<Self, Exhausted> {
        let counters = unused.counters;
        let mut places = BTreeMap::new();
        let mut named = Vec::new();
        for (pool, it) in config.pools.iter().enumerate() {
            for (place, server) in it.servers.iter().enumerate() {
                let identity = (it.name.clone(), server.name.clone(), server.address, server.port);
                places.insert(identity.clone(), Member { pool: PoolId::from(pool), place });
                named.push(identity);
            }
        }
        let copied = |number: usize| match self.servers.slots().get(number) {
            Some(Slot::Leaving((_, _, address, _), _)) => unused.copied.contains(&mapped(*address)),
            Some(Slot::Used(_) | Slot::Free) | None => false,
        };
        let idle = |number: usize, since| {
            let active = counters.servers.get(number).map(|it| it.active);
            !copied(number) && unused.is(active, since)
        };
        let servers = self.servers.succeed(named, generation, idle, limits::SERVERS)?;
        let members = servers.slots().iter().map(|slot| match slot {
            Slot::Used(identity) => places.get(identity).copied(),
            Slot::Leaving(..) | Slot::Free => None,
        });
        let members = members.collect();
        let names = config.services.iter().map(|service| service.name.clone());
        let idle = |number: usize, since| {
            unused.is(counters.services.get(number).map(|it| it.active), since)
        };
        let services = self.services.succeed(names, generation, idle, limits::SERVICES)?;
        let offers = services.slots().iter().enumerate().map(|(number, slot)| match slot {
            Slot::Used(name) => {
                let by_name = |it: &model::config::Service| it.name.as_str().cmp(name);
                let place = config.services.binary_search_by(by_name).ok();
                (
                    place,
                    place
                        .and_then(|at| config.services.get(at))
                        .map_or_else(Default::default, services::idle_time),
                )
            }
            Slot::Leaving(..) => {
                (None, self.offers.get(number).map_or_else(Default::default, |o| o.1))
            }
            Slot::Free => (None, Duration::ZERO),
        });
        let offers = offers.collect();
        let owners = config.vips.iter().map(|vip| self.owner_of(vip)).collect();
        let (workers, shared, seed) = (self.workers.clone(), self.shared, self.seed);
        let plan = Self {
            config,
            node,
            owners,
            workers,
            shared,
            servers,
            members,
            services,
            offers,
            seed,
        };
        Ok(plan)
    }

    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// This node.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Every server by its number; none where it is no longer of the configuration.
    pub fn members(&self) -> &[Option<Member>] {
        &self.members
    }

    /// Every server of the configuration with its number, in the configuration's order.
    pub fn servers_in_order(&self) -> Vec<ServerId> {
        let members = self.members.iter().enumerate();
        let mut placed: Vec<_> = members
            .filter_map(|(id, member)| member.map(|it| (it.pool, it.place, ServerId::from(id))))
            .collect();
        placed.sort_unstable();
        placed.into_iter().map(|(.., id)| id).collect()
    }

    /// Every service of the configuration with its number, in the configuration's order.
    pub fn services(&self) -> Vec<(ServiceId, &model::config::Service)> {
        let offers = self.offers.iter().enumerate();
        let mut placed: Vec<_> = offers
            .filter_map(|(number, (place, _))| Some(((*place)?, ServiceId::from(number))))
            .collect();
        placed.sort_unstable();
        let service = |(place, id)| Some((id, self.config.services.get(place)?));
        placed.into_iter().filter_map(service).collect()
    }

    /// Whether a server is removed and may still have flows.
    pub fn is_leaving(&self, id: ServerId) -> bool {
        matches!(self.servers.slots().get(id.index()), Some(Slot::Leaving(..)))
    }

    /// The check of a server and the port that is probed; none: it is not watched.
    pub fn probe(&self, id: ServerId) -> Option<(Check, u16)> {
        let member = self.members.get(id.index()).copied().flatten()?;
        let (pool, server) = self.server(id)?;
        let watched = match server.state {
            ServerState::Up | ServerState::Draining => true,
            ServerState::Down | ServerState::Disabled => false,
        };
        let port = self.config.probe_port(member.pool, server)?;
        pool.check.filter(|_| watched).map(|check| (check, port))
    }

    /// Says something else of a server than the configuration does. What it said before.
    pub fn set_state(&mut self, id: ServerId, state: ServerState) -> Option<ServerState> {
        let member = self.members.get(id.index()).copied().flatten()?;
        let pool = self.config.pools.get_mut(member.pool.index())?;
        let server = pool.servers.get_mut(member.place)?;
        Some(core::mem::replace(&mut server.state, state))
    }

    /// The configuration of a server.
    pub fn server(&self, id: ServerId) -> Option<(&model::config::Pool, &model::config::Server)> {
        let member = self.members.get(id.index()).copied().flatten()?;
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

    /// Our own and virtual addresses on a port.
    pub fn addresses_on(&self, port: PortId) -> Vec<Ipv6Addr> {
        let Some(config) = self.node.ports.get(port.index()) else { return Vec::new() };
        let own = config.addresses.iter().map(|prefix| mapped(prefix.address));
        own.chain(self.served_on(port).map(|vip| mapped(vip.address))).collect()
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
            spreads: Arc::new(self.spreads()),
            peers: Arc::default(),
            selection: 0,
            copies: Arc::default(),
            services: Arc::new(self.service_table()),
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
        let slots = self.servers.slots().iter().zip(&self.members).enumerate();
        let servers = slots.map(|(id, (slot, member))| match (slot, member) {
            (Slot::Used((_, _, address, port)), Some(member)) => Server {
                address: mapped(*address),
                port: *port,
                pool: member.pool,
                link: self.link_of(*address),
                up: working(ServerId::from(id)),
            },
            // It keeps the flows that it has.
            (Slot::Leaving((_, _, address, port), _), _) => Server {
                address: mapped(*address),
                port: *port,
                pool: NO_POOL,
                link: self.link_of(*address),
                up: true,
            },
            (Slot::Used(_) | Slot::Free, _) => Server {
                address: Ipv6Addr::UNSPECIFIED,
                port: None,
                pool: NO_POOL,
                link: None,
                up: false,
            },
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
            let of_pool = member.is_some_and(|member| member.pool == pool);
            let Some((config, server)) = self.server(id).filter(|_| of_pool) else { continue };
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
}

/// A hash of a server's name that every node computes alike (FNV-1a, 64 bits).
fn identity(pool: &str, server: &str) -> u64 {
    let bytes = pool.bytes().chain([0]).chain(server.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
