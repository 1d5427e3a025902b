//! The configuration a lab has when none is given: one web and one echo service on a VIP of each
//! family, and inside VIPs that are the servers' gateways.

use std::fmt::Write;

/// The cluster document for that many nodes and servers.
pub fn cluster(nodes: usize, servers: usize) -> String {
    let mut text = String::from(NETWORKS_VIPS_AND_SERVICES);
    for (pool, version, port, check) in [
        ("web", 4, 8080, ""),
        ("web6", 6, 8080, ""),
        ("echo", 4, 7, "port = 8080\n"),
        ("echo6", 6, 7, "port = 8080\n"),
    ] {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[pool.{pool}]\nscheduler = \"maglev\"\n[pool.{pool}.check]\nkind = \"tcp\"\n\
             interval = \"200ms\"\n{check}"
        );
        for number in 1..=servers {
            let host = 10 + number;
            let address =
                if version == 4 { format!("10.0.0.{host}") } else { format!("fd00::{host}") };
            let _ = write!(
                text,
                "[pool.{pool}.server.server{number}]\naddress = \"{address}\"\nport = {port}\n"
            );
        }
    }
    for number in 1..=nodes {
        let (outside, inside) = (10 + number, 200 + number);
        let _ = write!(
            text,
            "\n[node.n{number}]\nid = {number}\n[node.n{number}.port.eth0]\n\
             network = \"outside\"\n\
             addresses = [\"192.0.2.{outside}/24\", \"2001:db8:1::{outside}/64\"]\n\
             [node.n{number}.port.eth1]\nnetwork = \"inside\"\n\
             addresses = [\"10.0.0.{inside}/24\", \"fd00::{inside}/64\"]\n"
        );
    }
    text
}

const NETWORKS_VIPS_AND_SERVICES: &str = r#"# Made by the lab. To try another one, change a copy
# and start with `cargo xtask lab up --config COPY`.
[cluster]
name = "lab"

[network.outside]
prefixes = ["192.0.2.0/24", "2001:db8:1::/64"]
gateways = ["192.0.2.1", "2001:db8:1::1"]
[network.inside]
prefixes = ["10.0.0.0/24", "fd00::/64"]

[vip.www]
network = "outside"
address = "192.0.2.80"
group = "www"
[vip.www6]
network = "outside"
address = "2001:db8:1::80"
group = "www"
[vip.gw]
network = "inside"
address = "10.0.0.1"
gateway = "route"
[vip.gw6]
network = "inside"
address = "fd00::1"
gateway = "route"

[service.web]
vip = "www"
protocol = "tcp"
ports = "80"
mode = "nat"
pool = "web"
[service.web6]
vip = "www6"
protocol = "tcp"
ports = "80"
mode = "nat"
pool = "web6"
[service.echo]
vip = "www"
protocol = "udp"
ports = "7"
mode = "nat"
pool = "echo"
[service.echo6]
vip = "www6"
protocol = "udp"
ports = "7"
mode = "nat"
pool = "echo6"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use model::config::Config;

    #[test]
    fn the_default_is_legal_in_every_size() {
        for (nodes, servers) in [(1, 1), (1, 3), (4, 64), (16, 3)] {
            let text = cluster(nodes, servers);
            let config = Config::parse(&text).unwrap_or_else(|problems| {
                panic!("{nodes} nodes, {servers} servers: {problems:?}\n{text}")
            });
            assert_eq!(config.nodes.len(), nodes);
            assert!(config.pools.iter().all(|pool| pool.servers.len() == servers));
        }
    }
}
