//! Checks of services and pools: no port served twice, families that match, times that fit.

use alloc::collections::BTreeMap;
use alloc::format;

use super::check::Links;
use super::problem::Report;
use super::raw::{Check, Pool, Raw, Server, Service};
use super::read::At;
use super::value::{Written, family};
use super::{PortRanges, ServiceProtocol};
use crate::limits;

/// Checks services against their VIPs, their pools and each other.
pub(super) fn check(report: &mut Report<'_>, raw: &Raw, links: &Links) {
    check_overlaps(report, raw, links);
    check_families(report, raw, links);
    let servers: usize = raw.pools.iter().map(|pool| pool.servers.len()).sum();
    if servers > limits::SERVERS {
        let legal = format!("expected at most {}", limits::SERVERS);
        report.wrong(0, "pool", format!("{servers} servers in all pools"), legal);
    }
    for check in raw.pools.iter().filter_map(|pool| pool.check.as_ref()) {
        check_timeout(report, check);
    }
}

/// Services of one VIP and protocol may not share a port.
fn check_overlaps(report: &mut Report<'_>, raw: &Raw, links: &Links) {
    type Ranges<'r> = alloc::vec::Vec<(u16, u16, &'r Service, &'r At<PortRanges>)>;
    let mut groups: BTreeMap<(usize, ServiceProtocol), Ranges<'_>> = BTreeMap::new();
    for (service, vip) in raw.services.iter().zip(&links.vips) {
        if let (Some(vip), Some(protocol), Some(ports)) = (vip, service.protocol, &service.ports) {
            let group = groups.entry((*vip, protocol)).or_default();
            let ranges = ports.value.ranges().iter();
            group.extend(ranges.map(|range| (*range.start(), *range.end(), service, ports)));
        }
    }
    for mut ranges in groups.into_values() {
        ranges.sort_by_key(|&(start, ..)| start);
        let mut reaching: Option<(u16, &Service)> = None;
        for (start, end, service, ports) in ranges {
            match reaching {
                Some((reach, other)) if start <= reach => {
                    let what = format!("port {start} is served by service \"{}\" too", other.name);
                    let path = service.place.key("ports");
                    report.wrong(ports.at, path, what, "expected ports of its own on this VIP");
                    if end > reach {
                        reaching = Some((end, service));
                    }
                }
                Some(_) | None => reaching = Some((end, service)),
            }
        }
    }
}

/// The servers of a service are of its VIP's family.
fn check_families(report: &mut Report<'_>, raw: &Raw, links: &Links) {
    // For each pool, a server of each family.
    let of_family = |pool: &Pool, v4: bool| {
        let of =
            |server: &&Server| server.address.as_ref().is_some_and(|a| a.value.is_ipv4() == v4);
        pool.servers.iter().find(of).map(|server| server.name.clone())
    };
    let samples: alloc::vec::Vec<_> =
        raw.pools.iter().map(|pool| (of_family(pool, true), of_family(pool, false))).collect();
    for (service, (vip, pool)) in raw.services.iter().zip(links.vips.iter().zip(&links.pools)) {
        let vip = vip.and_then(|index| raw.vips.get(index));
        let address = vip.and_then(|vip| vip.address.as_ref()).map(|address| address.value);
        let sample = pool.and_then(|index| samples.get(index));
        let (Some(address), Some((v4, v6)), Some(pool)) = (address, sample, &service.pool) else {
            continue;
        };
        let (stranger, other) = if address.is_ipv4() { (v6, "IPv6") } else { (v4, "IPv4") };
        if let Some(stranger) = stranger {
            let family = family(address);
            let what = format!("server \"{stranger}\" of the pool is {other}, the VIP is {family}");
            let legal = format!("expected a pool of {family} servers");
            report.wrong(pool.at, service.place.key("pool"), what, legal);
        }
    }
}

fn check_timeout(report: &mut Report<'_>, check: &Check) {
    let interval = check.interval.unwrap_or(limits::CHECK_INTERVAL_DEFAULT);
    let Some(At { value, at }) = check.timeout else { return };
    if value > interval {
        let what = format!("{} is longer than the interval", Written(value));
        let legal = format!("expected at most {}", Written(interval));
        report.wrong(at, check.place.key("timeout"), what, legal);
    }
}
