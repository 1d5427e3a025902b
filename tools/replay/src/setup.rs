//! From the document and what a person typed to the forwarder's tables.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use base::address::mapped;
use base::{Mac, NetworkId, PortId, ServerId};
use dataplane::tables::{AddressTable, Tables};
use model::Config;
use node::{Attached, Plan};

use crate::args::{Args, Neighbor};
use crate::error::ReplayError;

/// Keys of hash tables are secret on a box; here every run is to be the same.
pub const SEED: u64 = 0x7265_706c_6179;
/// Ethernet's, unless `--mtu` says otherwise.
const MTU: u32 = 1_500;

/// The node as it stands before the first frame.
pub struct World {
    /// The document as this node carries it out.
    pub plan: Plan,
    /// What its forwarder looks things up in.
    pub tables: Tables,
}

impl World {
    /// The names of all networks of the document, by their numbers.
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        self.plan.config().networks.iter().map(|network| network.name.as_str())
    }

    /// The node's port on a network.
    pub fn port(&self, network: &str) -> Result<PortId, ReplayError> {
        port(&self.plan, network)
    }
}

/// Reads a cluster document.
pub fn read_config(path: &Path) -> Result<Config, ReplayError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ReplayError::Read { path: path.into(), source })?;
    Config::parse(&text).map_err(|problems| ReplayError::Config { path: path.into(), problems })
}

/// Builds the tables: all ports up, all virtual addresses ours, servers up unless said to be down.
pub fn build(config: Config, args: &Args) -> Result<World, ReplayError> {
    let nodes = config.nodes.iter().map(|node| node.name.clone()).collect();
    let plan = Plan::new(config, &args.node, SEED)
        .ok_or_else(|| ReplayError::UnknownNode { name: args.node.clone(), known: nodes })?;
    let attached = attach(&plan, args)?;
    let down = servers(&plan, &args.down)?;
    let mut tables = plan.tables(&attached, |server| !down.contains(&server));
    let neighbors = neighbors(&plan, &tables, &args.neighbors)?;
    tables.neighbors = Arc::new(AddressTable::build(SEED, neighbors));
    Ok(World { plan, tables })
}

/// The Ethernet address of a port that nobody gave one: locally administered, `po`, the node's id
/// and the port's place in the document.
fn default_mac(node: u8, place: usize) -> Mac {
    let place = u8::try_from(place).unwrap_or(u8::MAX);
    Mac([0x02, 0x70, 0x6f, 0x00, node, place])
}

fn attach(plan: &Plan, args: &Args) -> Result<Vec<Attached>, ReplayError> {
    let ports = plan.node().ports.iter().enumerate();
    let mut attached: Vec<_> = ports
        .map(|(place, _)| Attached { mac: default_mac(plan.node().id, place), mtu: MTU, up: true })
        .collect();
    let mut given: Vec<(PortId, Mac)> = Vec::new();
    for of in &args.macs {
        let id = port(plan, &of.network)?;
        if given.iter().any(|&(other, mac)| other == id && mac != of.mac) {
            return Err(ReplayError::Twice { option: "--mac", what: of.network.clone() });
        }
        given.push((id, of.mac));
        attached[id.index()].mac = of.mac;
    }
    let mut given: Vec<(PortId, u32)> = Vec::new();
    for of in &args.mtus {
        let id = port(plan, &of.network)?;
        if given.iter().any(|&(other, mtu)| other == id && mtu != of.mtu) {
            return Err(ReplayError::Twice { option: "--mtu", what: of.network.clone() });
        }
        given.push((id, of.mtu));
        attached[id.index()].mtu = of.mtu;
    }
    Ok(attached)
}

fn port(plan: &Plan, name: &str) -> Result<PortId, ReplayError> {
    let networks = &plan.config().networks;
    let Some(id) = networks.iter().position(|network| network.name == name) else {
        let known = networks.iter().map(|network| network.name.clone()).collect();
        return Err(ReplayError::UnknownNetwork { name: name.into(), known });
    };
    plan.port_of(NetworkId::from(id))
        .ok_or_else(|| ReplayError::NoPort { network: name.into(), node: plan.node().name.clone() })
}

/// The servers of `POOL/NAME` or a unique `NAME` each.
fn servers(plan: &Plan, names: &[String]) -> Result<Vec<ServerId>, ReplayError> {
    let all: Vec<(ServerId, String, String)> = (0..plan.members().len())
        .map(ServerId::from)
        .filter_map(|id| plan.server(id).map(|(p, s)| (id, p.name.clone(), s.name.clone())))
        .collect();
    let full = |pool: &str, server: &str| format!("{pool}/{server}");
    let mut found = Vec::new();
    for name in names {
        let mut wanted: Vec<_> = all
            .iter()
            .filter(|(_, pool, server)| name == server || *name == full(pool, server))
            .collect();
        // A full name is meant as such even if elsewhere a server is called just that.
        if wanted.iter().any(|(_, pool, server)| *name == full(pool, server)) {
            wanted.retain(|(_, pool, server)| *name == full(pool, server));
        }
        let names = |of: &mut dyn Iterator<Item = &(ServerId, String, String)>| {
            of.map(|(_, pool, server)| full(pool, server)).collect()
        };
        match wanted.as_slice() {
            [] => {
                let known = names(&mut all.iter());
                return Err(ReplayError::UnknownServer { name: name.clone(), known });
            }
            [(id, ..)] => found.push(*id),
            _ => {
                let candidates = names(&mut wanted.into_iter());
                return Err(ReplayError::AmbiguousServer { name: name.clone(), candidates });
            }
        }
    }
    Ok(found)
}

type Entry = (u16, std::net::Ipv6Addr, Mac);

/// The neighbors under the port that leads to them; a link-local one may be on any.
fn neighbors(plan: &Plan, tables: &Tables, given: &[Neighbor]) -> Result<Vec<Entry>, ReplayError> {
    let mut entries: Vec<Entry> = Vec::new();
    for &Neighbor { address, mac } in given {
        let mapped = mapped(address);
        let ports: Vec<u16> = if is_link_local(address) {
            (0..plan.node().ports.len()).map(|port| PortId::from(port).0).collect()
        } else {
            let hop = tables.routes.find(mapped).filter(|hop| hop.connected);
            hop.map(|hop| hop.port.0).into_iter().collect()
        };
        if ports.is_empty() {
            return Err(ReplayError::NotOnLink { address, node: plan.node().name.clone() });
        }
        if entries.iter().any(|&(_, other, at)| other == mapped && at != mac) {
            return Err(ReplayError::Twice { option: "--neighbor", what: address.to_string() });
        }
        entries.extend(ports.into_iter().map(|port| (port, mapped, mac)));
    }
    Ok(entries)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
