//! What an operator sees of the node: `Control`'s knowledge and the forwarders' counters, in the
//! words of `model::status`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use base::address::unmapped;
use base::{PortId, ServerId, ServiceId, VipId};
use dataplane::Counters;
use dataplane::counters::Traffic as FlowTraffic;
use model::config::ServerState;
use model::status::{self, Cause, Counter, Health, Link, Traffic};

use crate::{Control, NeighborState};

/// What the supervisor measured: the sum over all forwarders, and each port's own counts.
#[derive(Debug)]
pub struct Measured {
    /// All forwarders together.
    pub counters: Counters,
    /// Flows by eviction class, and how many there may be.
    pub flows: status::Flows,
    /// By [`PortId`].
    pub ports: Vec<PortCounts>,
    /// The generation of the oldest tables that a forwarder had when it was measured.
    pub generation: u32,
}

/// What one port counted.
#[derive(Clone, Debug, Default)]
pub struct PortCounts {
    /// The interface exists.
    pub present: bool,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
    /// Lost before the forwarder saw them: ring full, or too large.
    pub dropped: u64,
    /// Should have gone out and did not.
    pub unsent: u64,
}

impl Control {
    /// The ports.
    pub fn show_ports(&self, measured: &Measured) -> Vec<status::Port> {
        let config = self.plan().config();
        let ports = self.plan().node().ports.iter().enumerate();
        let ports = ports.map(|(id, port)| {
            let attached = self.attached().get(PortId::from(id).index());
            let counts = measured.ports.get(id).cloned().unwrap_or_default();
            let network = config.networks.get(port.network.index());
            status::Port {
                name: port.name.clone(),
                interface: port.interface.clone(),
                vlan: port.vlan,
                network: network.map(|network| network.name.clone()).unwrap_or_default(),
                mac: attached.filter(|_| counts.present).map(|attached| attached.mac),
                mtu: attached.filter(|_| counts.present).map_or(0, |attached| attached.mtu),
                link: match attached {
                    Some(attached) if counts.present && attached.up => Link::Up,
                    Some(_) if counts.present => Link::Down,
                    Some(_) | None => Link::Absent,
                },
                addresses: port.addresses.clone(),
                received: counts.received,
                sent: counts.sent,
                dropped: counts.dropped,
                unsent: counts.unsent,
            }
        });
        ports.collect()
    }

    /// The virtual addresses.
    pub fn show_vips(&self, measured: &Measured) -> Vec<status::Vip> {
        let config = self.plan().config();
        let vips = config.vips.iter().enumerate().map(|(id, vip)| {
            let mine = || {
                let services = self.plan().services().into_iter();
                services.filter(move |(_, service)| service.vip == VipId::from(id))
            };
            let network = config.networks.get(vip.network.index());
            let port = self.plan().port_of(vip.network);
            let attached = port.and_then(|port| self.attached().get(port.index()));
            status::Vip {
                name: vip.name.clone(),
                address: vip.address,
                network: network.map(|network| network.name.clone()).unwrap_or_default(),
                served: attached.is_some_and(|it| it.up) && self.plan().serves(VipId::from(id)),
                gateway: vip.gateway,
                services: u32::try_from(mine().count()).unwrap_or(u32::MAX),
                flows: mine().map(|(id, _)| u64::from(service(measured, id).active)).sum(),
            }
        });
        vips.collect()
    }

    /// The services.
    pub fn show_services(&self, measured: &Measured) -> Vec<status::Service> {
        let config = self.plan().config();
        let services = self.plan().services().into_iter().filter_map(|(id, it)| {
            let vip = config.vips.get(it.vip.index())?;
            let pool = config.pools.get(it.pool.index())?;
            let members = self.plan().members().iter().enumerate();
            let usable = members.filter(|(id, member)| {
                member.is_some_and(|member| member.pool == it.pool)
                    && self.takes_new_flows(ServerId::from(*id))
            });
            let traffic = service(measured, id);
            Some(status::Service {
                name: it.name.clone(),
                vip: vip.name.clone(),
                address: vip.address,
                protocol: it.protocol,
                ports: it.ports.clone(),
                mode: it.mode,
                pool: pool.name.clone(),
                usable: u32::try_from(usable.count()).unwrap_or(u32::MAX),
                servers: u32::try_from(pool.servers.len()).unwrap_or(u32::MAX),
                flows: u64::from(traffic.active),
                total: traffic.flows,
            })
        });
        services.collect()
    }

    /// The servers.
    pub fn show_servers(&self, measured: &Measured) -> Vec<status::Server> {
        let servers = self.plan().servers_in_order().into_iter().filter_map(|id| {
            let (pool, server) = self.plan().server(id)?;
            let health = self.server(id);
            let traffic = measured.counters.servers.get(id.index()).copied().unwrap_or_default();
            Some(status::Server {
                pool: pool.name.clone(),
                name: server.name.clone(),
                address: server.address,
                port: server.port,
                weight: server.weight,
                state: server.state,
                health: health.map_or(Health::Unknown, |health| health.health),
                cause: health.map_or(Cause::NotChecked, |health| health.cause),
                since: health.map(|health| health.since).unwrap_or_default(),
                flows: u64::from(traffic.active),
                total: traffic.flows,
            })
        });
        servers.collect()
    }

    /// The stations on the networks of this box.
    pub fn show_neighbors(&self) -> Vec<status::Neighbor> {
        let neighbors = self.neighbors().iter().filter_map(|(port, address, state)| {
            let port = self.plan().node().ports.get(port.index())?;
            let network = self.plan().config().networks.get(port.network.index())?;
            let (state, mac) = match state {
                NeighborState::Incomplete(_) => (status::NeighborState::Incomplete, None),
                NeighborState::Reachable(mac) => (status::NeighborState::Reachable, Some(mac)),
                NeighborState::Probe(mac, _) => (status::NeighborState::Probe, Some(mac)),
            };
            let (port, network) = (port.name.clone(), network.name.clone());
            Some(status::Neighbor { address: unmapped(address), port, network, mac, state })
        });
        neighbors.collect()
    }

    /// Every counter: the forwarders', each reason to drop, each service's and server's traffic.
    pub fn show_counters(&self, measured: &Measured) -> Vec<Counter> {
        let counters = &measured.counters;
        let plain = counters.named().map(|(name, value)| (name.to_owned(), value));
        let drops = counters.named_drops().map(|(name, value)| (format!("drop.{name}"), value));
        let services = self.plan().services().into_iter().flat_map(|(id, it)| {
            traffic_rows(format!("service.{}", it.name), service(measured, id))
        });
        let numbers = self.plan().servers_in_order().into_iter();
        let servers = numbers.zip(self.show_servers(measured)).flat_map(|(id, it)| {
            let traffic = counters.servers.get(id.index()).copied().unwrap_or_default();
            traffic_rows(format!("server.{}/{}", it.pool, it.name), traffic)
        });
        let all = plain.chain(drops).chain(services).chain(servers);
        all.map(|(name, value)| Counter { name, value }).collect()
    }

    fn takes_new_flows(&self, id: ServerId) -> bool {
        let open = self
            .plan()
            .server(id)
            .is_some_and(|(_, server)| server.state == ServerState::Up && server.weight > 0);
        open && self.is_usable(id)
    }
}

pub(crate) fn service(measured: &Measured, id: ServiceId) -> FlowTraffic {
    let services = &measured.counters.services;
    services.get(id.index()).copied().unwrap_or_default()
}

fn traffic_rows(
    prefix: alloc::string::String,
    traffic: FlowTraffic,
) -> impl Iterator<Item = (alloc::string::String, u64)> {
    let rows = [
        ("active", u64::from(traffic.active)),
        ("flows", traffic.flows),
        ("packets_in", traffic.packets_in),
        ("bytes_in", traffic.bytes_in),
        ("packets_out", traffic.packets_out),
        ("bytes_out", traffic.bytes_out),
    ];
    rows.into_iter().map(move |(name, value)| (format!("{prefix}.{name}"), value))
}
