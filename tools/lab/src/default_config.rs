//! The configuration a lab has when none is given: one web and one echo service on a VIP of each
//! family, and inside VIPs that are the servers' gateways.

use std::fmt::Write;

/// What else a document may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// How fast failures are detected.
    pub profile: Option<String>,
    /// What a node does that does not hear the others.
    pub policy: Option<String>,
    /// Groups of outside VIPs, each of both families and with services: `www`, `www2`, `www3` …
    pub groups: usize,
    /// Outside VIPs without services, which move together: `crowd1` …
    pub crowd: usize,
    /// The last nodes, as many as this, are to be let in by the first one: they have no cluster
    /// document, and do not stand in the others'.
    pub newcomers: usize,
}

/// The cluster document for that many nodes and servers, with more in it.
pub fn extended(nodes: usize, servers: usize, extent: &Extent) -> String {
    let mut head = String::from("[cluster]\nname = \"lab\"\n");
    for (key, value) in [("profile", &extent.profile), ("policy", &extent.policy)] {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(head, "{key} = \"{value}\"");
        }
    }
    let mut text = cluster(nodes, servers).replace("[cluster]\nname = \"lab\"\n", &head);
    if nodes > 1 {
        // Where nodes fail, a machine that stalls for a moment is not to be taken for a server
        // that does.
        text = text.replace("interval = \"200ms\"\n", "interval = \"1s\"\nfall = 3\n");
    }
    for number in 2..=extent.groups {
        text += &group(number);
    }
    if extent.crowd > 0 {
        let outside = "prefixes = [\"192.0.2.0/24\"";
        text = text.replace(outside, &format!("{outside}, \"198.18.0.0/16\""));
    }
    for number in 1..=extent.crowd {
        let (high, low) = (number / 250, number % 250 + 1);
        let _ = write!(
            text,
            "[vip.crowd{number}]\nnetwork = \"outside\"\naddress = \"198.18.{high}.{low}\"\n\
             group = \"crowd\"\n"
        );
    }
    text
}

/// One more group of VIPs with services.
fn group(number: usize) -> String {
    let last = 80 + number;
    let (v4, v6) = (format!("192.0.2.{last}"), format!("2001:db8:1::{last}"));
    let mut text = String::new();
    for (family, address) in [("", v4), ("6", v6)] {
        let _ = write!(
            text,
            "[vip.www{family}-{number}]\nnetwork = \"outside\"\naddress = \"{address}\"\n\
             group = \"www-{number}\"\n"
        );
        for (service, protocol, port) in [("web", "tcp", 80), ("echo", "udp", 7)] {
            let _ = write!(
                text,
                "[service.{service}{family}-{number}]\nvip = \"www{family}-{number}\"\n\
                 protocol = \"{protocol}\"\nports = \"{port}\"\nmode = \"nat\"\n\
                 pool = \"{service}{family}\"\n"
            );
        }
    }
    text
}

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
        text += &node(number);
    }
    text
}

/// One node of a document.
fn node(number: usize) -> String {
    let (outside, inside) = (10 + number, 200 + number);
    format!(
        "\n[node.n{number}]\nid = {number}\n[node.n{number}.port.eth0]\n\
         network = \"outside\"\n\
         addresses = [\"192.0.2.{outside}/24\", \"2001:db8:1::{outside}/64\"]\n\
         [node.n{number}.port.eth1]\nnetwork = \"inside\"\n\
         addresses = [\"10.0.0.{inside}/24\", \"fd00::{inside}/64\"]\n"
    )
}

/// A document of [`extended`] or [`with_users`] without the nodes behind the first ones.
pub fn first_nodes(text: &str, nodes: usize) -> String {
    let mut text = text.to_owned();
    for number in (nodes + 1).. {
        let node = node(number);
        if !text.contains(&node) {
            return text;
        }
        text = text.replace(&node, "");
    }
    text
}

/// What a newcomer's node document says besides its name and the secret.
pub fn newcomer(number: usize) -> String {
    let ports = node(number).replace(&format!("[node.n{number}.port."), "[port.");
    let ports = ports.split_once("[port.").map(|(_, ports)| ports).unwrap_or_default();
    format!("peers = [\"192.0.2.11\"]\n[port.{ports}")
}

/// The same with the page on the outside network, and somebody who may use it: `ann`, whose
/// password is `correct horse`. Everybody knows it, so it is for labs alone.
pub fn with_users(nodes: usize, servers: usize) -> String {
    let outside = "[network.outside]\n";
    let managed = format!("{outside}management = true\n");
    let ann = ANN.replace("HASH", HASH);
    format!("{}{ann}", cluster(nodes, servers).replace(outside, &managed))
}

/// Of "correct horse", as `portico password` makes it; the salt is the same in every lab, too.
const HASH: &str = concat!(
    "$argon2id$v=19$m=19456,t=2,p=1$cG9ydGljby1zYWx0",
    "$WtOW3hdlKdiJkIi9MjpONGJnN47IiiPAT6dTZiSpfoI"
);

const ANN: &str = r#"
# The password is "correct horse". Everybody knows it: for labs alone.
[user.ann]
password = "HASH"
role = "configure"
"#;

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
    fn the_document_with_users_differs_in_nothing_else() {
        let with = Config::parse(&with_users(1, 3)).unwrap_or_else(|it| panic!("{it:?}"));
        assert_eq!((with.users.list.len(), with.users.list[0].name.as_str()), (1, "ann"));
        let managed = with.networks.iter().filter(|network| network.management);
        assert_eq!(managed.map(|network| network.name.as_str()).collect::<Vec<_>>(), ["outside"]);
        let text = with_users(1, 3)
            .replace(&ANN.replace("HASH", HASH), "")
            .replace("management = true\n", "");
        assert_eq!(text, cluster(1, 3));
    }

    #[test]
    fn the_extended_document_is_legal_and_has_what_was_asked_for() {
        let profile = Some("fast".to_owned());
        let extent = Extent { profile, policy: None, groups: 3, crowd: 500, newcomers: 0 };
        let text = extended(3, 3, &extent);
        let config = Config::parse(&text).unwrap_or_else(|it| panic!("{it:?}\n{text}"));
        assert_eq!(config.vips.len(), 4 + 2 * 2 + 500);
        assert_eq!(config.services.len(), 4 + 2 * 4);
        let plain = Extent { groups: 1, ..Extent::default() };
        assert_eq!(extended(1, 3, &plain), cluster(1, 3));
    }

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
