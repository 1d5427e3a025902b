//! The peer: keepalived on three hosts that forward, one `vrrp_sync_group` for the outside and the
//! inside address, so that both stand on one host (keepalived.conf(5)).
//!
//! It is given every advantage that its manual knows: real-time priority, memory that is not
//! swapped, no return after a take-over, and high priorities, which make the skew time short
//! (RFC 5798 §6.1: three intervals and (256 - priority) / 256 of one). Its hosts translate
//! addresses in the kernel, by a hash, so that another host chooses the same server.

use crate::BenchError;
use base::Prefix;
use lab::lifecycle::Design;
use lab::process::Process;
use lab::topology::Host;
use lab::{LabError, Place, clock, command};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// Of the hosts in order.
const PRIORITIES: [u8; 3] = [250, 200, 150];
/// What it says when it has begun to listen.
const LISTENS: &str = "Entering BACKUP STATE";
/// How long that may take.
const START_LIMIT: Duration = Duration::from_secs(15);
/// The longest interval that VRRP version 2 need not be left for.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// Gives a host its addresses and the rules that forward; the ports were bare.
///
/// # Errors
/// What `ip` or `nft` said.
pub fn prepare(place: &Place, design: &Design, host: &Host) -> Result<(), BenchError> {
    let namespace = place.host(&host.name);
    let mut batch = String::new();
    for (interface, address) in addresses(design, host) {
        // Writing to a string cannot fail.
        let _ = writeln!(batch, "address add {address} dev {interface}");
    }
    for interface in &host.interfaces {
        let _ = writeln!(batch, "link set {} up", interface.name);
    }
    let run = || -> Result<(), LabError> {
        command::run_with_input("ip", &["-netns", &namespace, "-batch", "-"], &batch)?;
        command::run_in(&namespace, "sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
        let arguments = ["netns", "exec", &namespace, "nft", "-f", "-"];
        command::run_with_input("ip", &arguments, &rules(design)).map(drop)
    };
    run().map_err(super::told)
}

/// Starts it on a host and waits until it listens.
///
/// # Errors
/// With its log, where it does not.
pub fn start(
    place: &Place,
    design: &Design,
    host: &Host,
    advert: Duration,
) -> Result<(), BenchError> {
    let folder = place.host_folder(&host.name);
    std::fs::create_dir_all(&folder).map_err(BenchError::at(folder.display()))?;
    let file = folder.join("keepalived.conf");
    let number = design.nodes().position(|(node, _)| node.name == host.name).unwrap_or_default();
    std::fs::write(&file, text(design, number, advert)).map_err(BenchError::at(file.display()))?;
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (pid, vrrp, conf) = (path("pid"), path("vrrp.pid"), path("keepalived.conf"));
    for stale in [&pid, &vrrp] {
        // Of an instance that was killed.
        let _ = std::fs::remove_file(stale);
    }
    let arguments =
        ["--dont-fork", "--log-console", "--vrrp", "-f", &conf, "-p", &pid, "-r", &vrrp];
    let (name, namespace) = (&host.name, place.host(&host.name));
    let started = Process::start(place, name, &namespace, Path::new("keepalived"), &arguments);
    started.map_err(super::told)?;
    let log = place.log(name);
    let waited = clock::wait_for(
        &format!("keepalived on {name}"),
        START_LIMIT,
        || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            Ok((said.matches(LISTENS).count() >= 2).then_some(()))
        },
        || std::fs::read_to_string(&log).unwrap_or_default(),
    );
    waited.map_err(super::told)
}

/// The IPv4 addresses of a host with the interfaces they are on.
fn addresses<'a>(design: &'a Design, host: &Host) -> Vec<(&'a str, Prefix)> {
    let name = design.nodes().find(|(node, _)| node.name == host.name).map(|(_, name)| name);
    let node = design.config.nodes.iter().find(|node| Some(&node.name) == name);
    let ports = node.map(|node| &node.ports[..]).unwrap_or_default();
    let of_port = |port: &'a model::config::Port| {
        let v4 = port.addresses.iter().filter(|prefix| prefix.address.is_ipv4());
        v4.map(|prefix| (port.interface.as_str(), *prefix))
    };
    ports.iter().flat_map(of_port).collect()
}

/// What it is told on the host of that number.
fn text(design: &Design, number: usize, advert: Duration) -> String {
    let version = if advert < WHOLE_SECOND { "    vrrp_version 3\n" } else { "" };
    let priority = PRIORITIES.get(number).copied().unwrap_or(100);
    let mut text = format!(
        "global_defs {{\n{version}    vrrp_rt_priority 50\n    vrrp_no_swap\n}}\n\
         vrrp_sync_group front {{\n    group {{\n        outside\n        inside\n    }}\n}}\n"
    );
    for (name, interface, id) in [("outside", "eth0", 80), ("inside", "eth1", 81)] {
        let of_segment = |vip: &&lab::topology::Vip| vip.segment == name && vip.address.is_ipv4();
        let vip = design.topology.vips.iter().find(of_segment);
        let vip = vip.map(|vip| vip.address.to_string()).unwrap_or_default();
        let seconds = advert.as_secs_f64();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "vrrp_instance {name} {{\n    state BACKUP\n    nopreempt\n    interface {interface}\n\
             \x20   virtual_router_id {id}\n    priority {priority}\n    advert_int {seconds}\n\
             \x20   virtual_ipaddress {{\n        {vip}/24 dev {interface}\n    }}\n}}\n"
        );
    }
    text
}

/// Address translation of the datagrams that are sent, over the servers by a hash. A reply that
/// comes before the datagram it belongs to is known here is dropped: it would be remembered the
/// wrong way round.
fn rules(design: &Design) -> String {
    let vip = super::probed(design);
    let of_pool = |pool: &&model::config::Pool| pool.name == "echo";
    let servers = design.config.pools.iter().find(of_pool).map(|pool| &pool.servers[..]);
    let servers = servers.unwrap_or_default();
    let map: Vec<String> = servers
        .iter()
        .enumerate()
        .map(|(number, server)| format!("{number} : {}", server.address))
        .collect();
    let (address, port, count) = (vip.ip(), vip.port(), map.len());
    let server = format!("jhash ip saddr . udp sport mod {count} map {{ {} }}", map.join(", "));
    format!(
        "table ip balance {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr {address} udp dport {port} dnat to {server}
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        udp sport {port} ct state new drop
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_both_addresses_and_its_own_priority() {
        let design = crate::failover::design("normal").expect("it is legal");
        for (number, priority) in ["250", "200", "150"].into_iter().enumerate() {
            let text = text(&design, number, Duration::from_millis(20));
            for part in ["192.0.2.80/24 dev eth0", "10.0.0.1/24 dev eth1", "advert_int 0.02"] {
                assert!(text.contains(part), "{part} is not in\n{text}");
            }
            assert_eq!(text.matches(&format!("priority {priority}\n")).count(), 2, "{text}");
            assert!(text.contains("vrrp_version 3"), "{text}");
        }
        let default = text(&design, 0, Duration::from_secs(1));
        assert!(default.contains("advert_int 1\n") && !default.contains("vrrp_version"));
    }

    #[test]
    fn the_rules_know_every_server_and_the_hosts_have_addresses() {
        let design = crate::failover::design("normal").expect("it is legal");
        let rules = rules(&design);
        for part in ["ip daddr 192.0.2.80 udp dport 7", "mod 3 map", "2 : 10.0.0.13"] {
            assert!(rules.contains(part), "{part} is not in\n{rules}");
        }
        let (host, _) = design.nodes().nth(1).expect("there are three");
        let shown: Vec<String> =
            addresses(&design, host).iter().map(|(at, one)| format!("{at} {one}")).collect();
        assert_eq!(shown, ["eth0 192.0.2.12/24", "eth1 10.0.0.202/24"]);
    }
}
