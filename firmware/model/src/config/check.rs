//! How the values of a document fit together: references, then what [`super::addresses`] and
//! [`super::services`] look at, then the [`Config`].

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::problem::{Report, clip};
use super::raw::{self, Raw};
use super::read::{At, Place, nearest};
use super::value::{is_interface, is_name};
use super::{
    Check, Choice, Config, Network, Node, Pool, Port, Server, Service, User, Users, Vip, addresses,
    owners, services, spread,
};
use crate::limits;

/// What every reference of a document refers to, as an index; `None` where it refers to nothing.
pub(super) struct Links {
    /// For each VIP.
    pub(super) networks: Vec<Option<usize>>,
    /// For each service.
    pub(super) vips: Vec<Option<usize>>,
    /// For each service.
    pub(super) pools: Vec<Option<usize>>,
    /// For each port of each node.
    pub(super) ports: Vec<Vec<Option<usize>>>,
}

/// Checks everything that takes more than one value to see. `None`: something is missing.
pub(super) fn check(report: &mut Report<'_>, raw: Raw) -> Option<Config> {
    let links = link(report, &raw);
    addresses::check(report, &raw, &links);
    services::check(report, &raw, &links);
    for (node, networks) in raw.nodes.iter().zip(&links.ports) {
        check_ports(report, node, networks);
    }
    check_ids(report, &raw.nodes);
    let owners = owners::check(report, &raw, &links);
    spread::check(report, &raw, &links);
    build(raw, &links, &owners)
}

fn link(report: &mut Report<'_>, raw: &Raw) -> Links {
    let networks: Vec<&str> = raw.networks.iter().map(|network| network.name.as_str()).collect();
    let vips: Vec<&str> = raw.vips.iter().map(|vip| vip.name.as_str()).collect();
    let pools: Vec<&str> = raw.pools.iter().map(|pool| pool.name.as_str()).collect();
    let mut links =
        Links { networks: Vec::new(), vips: Vec::new(), pools: Vec::new(), ports: Vec::new() };
    for vip in &raw.vips {
        links.networks.push(find(
            report,
            &vip.place,
            ("network", "network"),
            &networks,
            &vip.network,
        ));
    }
    for service in &raw.services {
        links.vips.push(find(report, &service.place, ("vip", "vip"), &vips, &service.vip));
        links.pools.push(find(report, &service.place, ("pool", "pool"), &pools, &service.pool));
    }
    for node in &raw.nodes {
        let ports = node.ports.iter();
        let ports = ports.map(|port| {
            find(report, &port.place, ("network", "network"), &networks, &port.network)
        });
        links.ports.push(ports.collect());
    }
    links
}

/// The index of what a key refers to in a table of the document; `names` is sorted.
pub(super) fn find(
    report: &mut Report<'_>,
    place: &Place,
    (key, table): (&'static str, &str),
    names: &[&str],
    reference: &Option<At<String>>,
) -> Option<usize> {
    let At { value, at } = reference.as_ref()?;
    let found = names.binary_search(&value.as_str()).ok();
    if found.is_none() {
        let what = format!("there is no {table} \"{}\"", clip(value));
        let guess = report.may_compare(names.len());
        report.absent(*at, place.key(key), what, candidates(value, names, table, guess));
    }
    found
}

/// Names that a dangling reference could have meant.
fn candidates(name: &str, names: &[&str], key: &str, guess: bool) -> String {
    const SHOWN: usize = 5;
    let compared = names.iter().copied().take(if guess { names.len() } else { 0 });
    match nearest(name, compared) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None if names.is_empty() => format!("expected a [{key}.NAME] of that name"),
        None if names.len() > SHOWN => format!("expected the name of one of {}", names.len()),
        None => format!("expected one of {}", names.join(", ")),
    }
}

/// A node's ports: one for each network, none twice.
fn check_ports(report: &mut Report<'_>, node: &raw::Node, networks: &[Option<usize>]) {
    let mut attached: BTreeMap<usize, &str> = BTreeMap::new();
    let mut wires: BTreeMap<(&str, Option<u16>), &str> = BTreeMap::new();
    for (port, network) in node.ports.iter().zip(networks) {
        if let (Some(index), Some(At { value, at })) = (network, &port.network)
            && let Some(other) = attached.insert(*index, &port.name)
        {
            let what = format!(
                "port {other} is on network \"{value}\" already, bundles of ports are not built yet"
            );
            report.wrong(*at, port.place.key("network"), what, "expected another network");
        }
        let (interface, at) = match &port.interface {
            Some(interface) => (interface.value.as_str(), interface.at),
            None => (port.name.as_str(), port.place.at),
        };
        if port.interface.is_none() && is_name(interface) && !is_interface(interface) {
            let what = format!("\"{}\" is not an interface's name", clip(interface));
            report.wrong(at, &port.place.path, what, "expected a key interface");
        }
        if let Some(other) = wires.insert((interface, port.vlan), &port.name) {
            let what = format!("port {other} has this interface and VLAN already");
            report.wrong(at, &port.place.path, what, "expected another interface or vlan");
        }
    }
}

fn check_ids(report: &mut Report<'_>, nodes: &[raw::Node]) {
    let mut ids: BTreeMap<u16, &str> = BTreeMap::new();
    for node in nodes {
        let Some(At { value, at }) = node.id else { continue };
        match ids.get(&value) {
            Some(other) => {
                let what = format!("node \"{other}\" has id {value} already");
                report.wrong(at, node.place.key("id"), what, "expected a number of its own");
            }
            None => {
                ids.insert(value, &node.name);
            }
        }
    }
}

fn build(raw: Raw, links: &Links, owners: &[Choice]) -> Option<Config> {
    let values = |list: Vec<At<_>>| list.into_iter().map(|element| element.value).collect();
    let networks = raw.networks.into_iter().map(|network| Network {
        name: network.name,
        prefixes: values(network.prefixes),
        gateways: network.gateways.into_iter().map(|gateway| gateway.value).collect(),
        management: network.management,
    });
    let vips = raw.vips.into_iter().zip(links.networks.iter().zip(owners));
    let vips = vips.map(|(vip, (network, owner))| {
        Some(Vip {
            network: (*network)?.into(),
            address: vip.address?.value,
            group: vip.group.unwrap_or_else(|| vip.name.clone()),
            name: vip.name,
            gateway: vip.gateway,
            owner: *owner,
            spread: vip.spread,
        })
    });
    let services = raw.services.into_iter().zip(links.vips.iter().zip(&links.pools));
    let services = services.map(|(service, (vip, pool))| {
        Some(Service {
            name: service.name,
            vip: (*vip)?.into(),
            protocol: service.protocol?,
            ports: service.ports?.value,
            mode: service.mode,
            pool: (*pool)?.into(),
            idle: service.idle,
        })
    });
    let nodes = raw.nodes.into_iter().zip(&links.ports).map(|(node, networks)| {
        let ports = node.ports.into_iter().zip(networks);
        let ports = ports.map(|(port, network)| {
            Some(Port {
                network: (*network)?.into(),
                addresses: port.addresses.into_iter().map(|address| address.value).collect(),
                vlan: port.vlan,
                interface: port.interface.map_or_else(|| port.name.clone(), |name| name.value),
                name: port.name,
            })
        });
        let id = u8::try_from(node.id?.value).ok()?;
        let ports = ports.collect::<Option<_>>()?;
        Some(Node { name: node.name, id, weight: node.weight.unwrap_or(1), ports })
    });
    let users = raw
        .users
        .into_iter()
        .map(|user| Some(User { name: user.name, password: user.password?, role: user.role }));
    Some(Config {
        cluster: raw.cluster?,
        networks: networks.collect(),
        vips: vips.collect::<Option<_>>()?,
        services: services.collect::<Option<_>>()?,
        pools: raw.pools.into_iter().map(build_pool).collect::<Option<_>>()?,
        nodes: nodes.collect::<Option<_>>()?,
        users: Users { list: users.collect::<Option<_>>()?, lost: false },
    })
}

fn build_pool(pool: raw::Pool) -> Option<Pool> {
    let servers = pool.servers.into_iter().map(|server| {
        Some(Server {
            name: server.name,
            address: server.address?.value,
            port: server.port,
            weight: server.weight.unwrap_or(1),
            state: server.state,
        })
    });
    Some(Pool {
        name: pool.name,
        scheduler: pool.scheduler,
        check: pool.check.map(build_check),
        servers: servers.collect::<Option<_>>()?,
    })
}

fn build_check(check: raw::Check) -> Check {
    let count = |written: Option<u16>, default: u8| {
        written.and_then(|count| u8::try_from(count).ok()).unwrap_or(default)
    };
    let interval = check.interval.unwrap_or(limits::CHECK_INTERVAL_DEFAULT);
    let timeout = check.timeout.map(|timeout| timeout.value);
    Check {
        kind: check.kind,
        interval,
        timeout: timeout.unwrap_or(limits::CHECK_TIMEOUT_DEFAULT.min(interval)),
        rise: count(check.rise, limits::CHECK_RISE_DEFAULT),
        fall: count(check.fall, limits::CHECK_FALL_DEFAULT),
        port: check.port,
    }
}
