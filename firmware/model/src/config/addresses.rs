//! Checks of addresses: every one in its network, and none with two owners.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use base::Prefix;

use super::check::Links;
use super::problem::Report;
use super::raw::{Network, Pool, Raw};
use super::read::At;
use super::value::family;

/// Who has an address: `VIP "www"`.
type Owners = BTreeMap<IpAddr, String>;

/// Checks networks, gateways, VIPs, primary addresses and servers.
pub(super) fn check(report: &mut Report<'_>, raw: &Raw, links: &Links) {
    check_overlaps(report, &raw.networks);
    let mut owners = Owners::new();
    check_primaries(report, raw, links, &mut owners);
    check_vips(report, raw, links, &mut owners);
    for network in &raw.networks {
        check_gateways(report, network, &owners);
    }
    for pool in &raw.pools {
        check_servers(report, pool, &raw.networks, &owners);
    }
}

fn overlap(one: &Prefix, other: &Prefix) -> bool {
    one.contains(other.address) || other.contains(one.address)
}

/// No prefix may overlap another, or an address would be on two links.
fn check_overlaps(report: &mut Report<'_>, networks: &[Network]) {
    let mut seen: Vec<(&Prefix, &str)> = Vec::new();
    for network in networks {
        for (index, At { value, at }) in network.prefixes.iter().enumerate() {
            if let Some((other, owner)) = seen.iter().find(|(other, _)| overlap(value, other)) {
                let path = format!("{}[{index}]", network.place.key("prefixes"));
                let what = format!("{value} overlaps {other} of network \"{owner}\"");
                report.wrong(*at, path, what, "expected disjoint prefixes");
            }
            seen.push((value, &network.name));
        }
    }
}

/// Why a machine cannot have `address` in `prefix`, if so (RFC 919 §7, RFC 4291 §2.6.1).
fn reserved(prefix: &Prefix, address: IpAddr) -> Option<&'static str> {
    let first = prefix.network().address == address;
    match address {
        IpAddr::V4(_) if prefix.length > 30 => None,
        IpAddr::V6(_) if prefix.length > 126 => None,
        IpAddr::V4(_) if first => Some("is the network's own address"),
        IpAddr::V6(_) if first => Some("is the anycast address of the network's routers"),
        IpAddr::V4(v4) if prefix.broadcast() == Some(v4) => Some("is the broadcast address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// The prefixes of a network as a message shows them.
fn listed(network: &Network) -> String {
    let prefixes: Vec<String> = network.prefixes.iter().map(|p| format!("{}", p.value)).collect();
    format!("expected an address in {}", prefixes.join(" or "))
}

/// Reports an address that is not a machine's place in `network`.
fn check_inside(report: &mut Report<'_>, network: &Network, address: &At<IpAddr>, path: &str) {
    if network.prefixes.is_empty() {
        return; // Reported where the prefixes are missing.
    }
    let At { value, at } = *address;
    let prefixes = network.prefixes.iter().map(|prefix| &prefix.value);
    let problem = match prefixes.clone().find(|prefix| prefix.contains(value)) {
        Some(prefix) => reserved(prefix, value).map(String::from),
        None => Some(format!("is in no prefix of network \"{}\"", network.name)),
    };
    if let Some(problem) = problem {
        report.wrong(at, path, format!("{value} {problem}"), listed(network));
    }
}

/// Reports an address that somebody has already; else `owner` has it now.
fn claim(
    report: &mut Report<'_>,
    owners: &mut Owners,
    address: &At<IpAddr>,
    path: &str,
    owner: String,
) {
    let At { value, at } = *address;
    match owners.get(&value) {
        Some(other) => {
            let what = format!("{value} is the address of {other} already");
            report.wrong(at, path, what, "expected an address that nobody has");
        }
        None => {
            owners.insert(value, owner);
        }
    }
}

fn check_primaries(report: &mut Report<'_>, raw: &Raw, links: &Links, owners: &mut Owners) {
    for (node, networks) in raw.nodes.iter().zip(&links.ports) {
        for (port, network) in node.ports.iter().zip(networks) {
            let network = network.and_then(|index| raw.networks.get(index));
            for (index, At { value, at }) in port.addresses.iter().enumerate() {
                let path = format!("{}[{index}]", port.place.key("addresses"));
                let address = At { value: value.address, at: *at };
                if let Some(network) = network {
                    check_inside(report, network, &address, &path);
                    check_length(report, network, value, *at, &path);
                }
                claim(report, owners, &address, &path, format!("node \"{}\"", node.name));
            }
        }
    }
}

/// Reports a primary address whose prefix length is not that of the prefix it is in.
fn check_length(report: &mut Report<'_>, network: &Network, own: &Prefix, at: usize, path: &str) {
    let prefixes = network.prefixes.iter().map(|prefix| &prefix.value);
    for prefix in prefixes.filter(|prefix| prefix.contains(own.address)) {
        if prefix.length != own.length {
            let what = format!("{own} has not the prefix length of its network");
            report.wrong(at, path, what, format!("expected {}/{}", own.address, prefix.length));
        }
    }
}

fn check_vips(report: &mut Report<'_>, raw: &Raw, links: &Links, owners: &mut Owners) {
    for (vip, network) in raw.vips.iter().zip(&links.networks) {
        let Some(address) = &vip.address else { continue };
        let path = vip.place.key("address");
        if let Some(network) = network.and_then(|index| raw.networks.get(index)) {
            check_inside(report, network, address, &path);
        }
        claim(report, owners, address, &path, format!("VIP \"{}\"", vip.name));
    }
}

fn check_gateways(report: &mut Report<'_>, network: &Network, owners: &Owners) {
    let mut families: [Option<IpAddr>; 2] = [None; 2];
    for (index, gateway) in network.gateways.iter().enumerate() {
        let path = format!("{}[{index}]", network.place.key("gateways"));
        let At { value, at } = *gateway;
        check_inside(report, network, gateway, &path);
        if let Some(owner) = owners.get(&value) {
            let what = format!("{value} is the address of {owner}");
            report.wrong(at, &path, what, "expected a router that is no part of the cluster");
        }
        let of_family = &mut families[usize::from(value.is_ipv6())];
        if let Some(other) = of_family.replace(value) {
            let family = family(value);
            let what = format!("{other} is an {family} gateway already, two are not built yet");
            report.wrong(at, &path, what, "expected at most one of each family");
        }
    }
}

fn check_servers(report: &mut Report<'_>, pool: &Pool, networks: &[Network], owners: &Owners) {
    let mut seen: BTreeSet<(IpAddr, Option<u16>)> = BTreeSet::new();
    // A network without prefixes is one whose prefixes are wrong.
    let complete = networks.iter().all(|network| !network.prefixes.is_empty());
    for server in &pool.servers {
        let Some(At { value, at }) = server.address else { continue };
        let path = server.place.key("address");
        if let Some(owner) = owners.get(&value) {
            let what = format!("{value} is the address of {owner}");
            report.wrong(at, &path, what, "expected a machine behind the cluster");
        }
        if !seen.insert((value, server.port)) {
            let what = format!("another server of the pool has {value} and the same port already");
            report.wrong(at, &path, what, "expected another address or port");
        }
        let prefixes = || networks.iter().flat_map(|network| &network.prefixes);
        let routed = || {
            let mut gateways = networks.iter().flat_map(|network| &network.gateways);
            gateways.any(|gateway| gateway.value.is_ipv4() == value.is_ipv4())
        };
        match prefixes().find(|prefix| prefix.value.contains(value)) {
            Some(prefix) => {
                if let Some(why) = reserved(&prefix.value, value) {
                    let legal = format!("expected a machine's address in {}", prefix.value);
                    report.wrong(at, &path, format!("{value} {why}"), legal);
                }
            }
            None if complete && !routed() => {
                let family = family(value);
                let what =
                    format!("{value} is in no network, and no network has an {family} gateway");
                report.absent(at, &path, what, "expected an address that can be reached");
            }
            None => {}
        }
    }
}
