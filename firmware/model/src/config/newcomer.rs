//! A box that comes to a running cluster with nothing but its own node document: what it brings,
//! and how that gets into the cluster's document.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base::Prefix;

use super::problem::Problem;
use super::value::{is_interface, is_name};
use super::{Config, Node};

/// Problems of a document that the newcomer is told.
const TOLD: usize = 3;

/// What a box brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Its name.
    pub name: String,
    /// The number it wants; none: any that is free.
    pub id: Option<u8>,
    /// Its ports.
    pub ports: Vec<NewPort>,
}

/// A port that it brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPort {
    /// Its name.
    pub name: String,
    /// The name of the network that it is attached to.
    pub network: String,
    /// The box's own addresses there.
    pub addresses: Vec<Prefix>,
    /// The VLAN of the interface; none: untagged.
    pub vlan: Option<u16>,
    /// The interface; none: as the port's name.
    pub interface: Option<String>,
}

impl Newcomer {
    /// The lines that make it a node of a cluster's document.
    pub fn entry(&self, id: u8) -> String {
        let node = format!("node.{}", key(&self.name));
        let mut text = format!("[{node}]\nid = {id}\n");
        for port in &self.ports {
            let addresses: Vec<_> = port.addresses.iter().map(|it| format!("\"{it}\"")).collect();
            text.push_str(&format!(
                "[{node}.port.{}]\nnetwork = \"{}\"\naddresses = [{}]\n",
                key(&port.name),
                port.network,
                addresses.join(", ")
            ));
            if let Some(vlan) = port.vlan {
                text.push_str(&format!("vlan = {vlan}\n"));
            }
            if let Some(interface) = &port.interface {
                // An interface may have any printable name.
                let interface = interface.replace('\\', "\\\\").replace('"', "\\\"");
                text.push_str(&format!("interface = \"{interface}\"\n"));
            }
        }
        text
    }

    /// The document of the box until somebody lets it in: itself and its networks, nothing virtual.
    pub fn alone(&self) -> String {
        let mut text = String::from("[cluster]\nname = \"none\"\n");
        for port in &self.ports {
            let prefixes = port.addresses.iter().map(|it| format!("\"{}\"", it.network()));
            let mut prefixes: Vec<_> = prefixes.collect();
            prefixes.sort();
            prefixes.dedup();
            let (network, prefixes) = (key(&port.network), prefixes.join(", "));
            text.push_str(&format!("[network.{network}]\nprefixes = [{prefixes}]\n"));
        }
        text + &self.entry(self.id.unwrap_or(1))
    }

    /// The number it gets: the one that it wants, or the lowest that is free.
    pub fn number(&self, config: &Config) -> Option<u8> {
        let free = |id: &u8| config.nodes.iter().all(|node| node.id != *id);
        self.id.or_else(|| (1..=u8::MAX).find(free))
    }

    /// The document that follows `text` with this box as one node more, and what it says: what was
    /// there stays as it was written.
    ///
    /// # Errors
    /// Why that cannot be, for people.
    pub fn enter(&self, text: &str) -> Result<(String, Config), String> {
        let Ok(before) = Config::parse(text) else {
            return Err("the document in force has problems of its own".into());
        };
        self.look_at_names()?;
        if before.node(&self.name).is_some() {
            return Err(format!("there is a node \"{}\" already", self.name));
        }
        let known: Vec<_> = before.networks.iter().map(|network| network.name.as_str()).collect();
        if let Some(port) = self.ports.iter().find(|it| !known.contains(&it.network.as_str())) {
            let (port, network, known) = (&port.name, &port.network, known.join(", "));
            return Err(format!(
                "port {port} is on network \"{network}\", expected one of the cluster's: {known}"
            ));
        }
        let id = self.number(&before).ok_or("all numbers of nodes are taken")?;
        let line = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let text = format!("{text}{line}\n{}", self.entry(id));
        let after = Config::parse(&text).map_err(|problems| told(&problems))?;
        // One node more, and nothing else: whatever its names were.
        let mut rest = after.clone();
        rest.nodes.retain(|node: &Node| node.name != self.name);
        if rest != before || after.node(&self.name).is_none() {
            return Err("what it brings is more than a node".into());
        }
        Ok((text, after))
    }

    /// What comes over the wire is no document that was read: names may be anything.
    fn look_at_names(&self) -> Result<(), String> {
        let ports = self.ports.iter();
        let names = ports.clone().flat_map(|port| [&port.name, &port.network]);
        let mut interfaces = ports.filter_map(|port| port.interface.as_deref());
        let mut names = core::iter::once(&self.name).chain(names);
        if names.all(|name| is_name(name)) && interfaces.all(is_interface) {
            return Ok(());
        }
        Err("one of its names is none".into())
    }
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let bare = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    if name.bytes().all(bare) { name.to_string() } else { format!("\"{name}\"") }
}

/// Problems in a document that the reader does not have: without places.
fn told(problems: &[Problem]) -> String {
    let told = problems.iter().take(TOLD);
    let told: Vec<_> = told.map(|it| format!("{}: {}, {}", it.path, it.what, it.legal)).collect();
    let more = problems.len().saturating_sub(TOLD);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = r#"# Ours.
[cluster]
name = "edge"
[network.outside]
prefixes = ["192.0.2.0/24"]
[vip.www]
network = "outside"
address = "192.0.2.80"
[node.n1]
id = 1
[node.n1.port.eth0]
network = "outside"
addresses = ["192.0.2.11/24"]"#;

    fn newcomer() -> Newcomer {
        let address = Prefix::new("192.0.2.12".parse().unwrap(), 24).unwrap();
        let port = NewPort {
            name: "eth0".into(),
            network: "outside".into(),
            addresses: alloc::vec![address],
            vlan: None,
            interface: None,
        };
        Newcomer { name: "n2".into(), id: None, ports: alloc::vec![port] }
    }

    #[test]
    fn a_newcomer_is_one_node_more_and_the_rest_stays_as_it_was_written() {
        let (text, config) = newcomer().enter(CLUSTER).unwrap();
        assert!(text.starts_with(CLUSTER), "{text}");
        assert_eq!(Config::parse(&text).as_ref(), Ok(&config));
        let node = config.node("n2").unwrap();
        assert_eq!((node.id, node.ports.len(), node.weight), (2, 1, 1));
        let lines = "[node.n2]\nid = 2\n[node.n2.port.eth0]\nnetwork = \"outside\"\n\
                     addresses = [\"192.0.2.12/24\"]\n";
        assert!(text.ends_with(lines), "{text}");
    }

    #[test]
    fn a_name_with_a_dot_and_an_odd_interface_survive() {
        let mut odd = newcomer();
        odd.name = "n.2".into();
        (odd.ports[0].name, odd.ports[0].interface) = ("p.1".into(), Some("a\"b\\".into()));
        odd.ports[0].vlan = Some(7);
        let (_, config) = odd.enter(CLUSTER).unwrap();
        let port = &config.node("n.2").unwrap().ports[0];
        assert_eq!((port.interface.as_str(), port.vlan), ("a\"b\\", Some(7)));
        assert!(Config::parse(&odd.alone()).is_ok());
    }

    #[test]
    fn what_collides_is_refused_with_its_reason() {
        type Spoil = fn(&mut Newcomer);
        let rows: [(&str, Spoil, &str); 8] = [
            ("an id", |it| it.id = Some(1), "node \"n1\" has id 1 already"),
            ("a name", |it| it.name = "n1".into(), "there is a node \"n1\" already"),
            ("a network", |it| it.ports[0].network = "dmz".into(), "expected one of the cluster's"),
            ("a node's address", |it| it.set(11), "192.0.2.11 is the address of"),
            ("a virtual address", |it| it.set(80), "192.0.2.80 is the address of"),
            ("an address elsewhere", Newcomer::leave, "is in no prefix of network \"outside\""),
            ("no name", |it| it.name = "a]\n[user.eve]".into(), "one of its names is none"),
            ("no interface", |it| it.ports[0].interface = Some("a\nb".into()), "one of its names"),
        ];
        for (what, spoil, expected) in rows {
            let mut newcomer = newcomer();
            spoil(&mut newcomer);
            let told = newcomer.enter(CLUSTER).unwrap_err();
            assert!(told.contains(expected), "{what}: {told}");
        }
        let told = newcomer().enter("[cluster]").unwrap_err();
        assert!(told.contains("problems of its own"), "{told}");
    }

    #[test]
    fn while_nobody_has_let_it_in_it_has_its_own_addresses() {
        let config = Config::parse(&newcomer().alone()).unwrap();
        assert_eq!(config.nodes.len(), 1);
        assert_eq!(config.node("n2").unwrap().ports[0].addresses, newcomer().ports[0].addresses);
        assert!(config.vips.is_empty());
    }

    impl Newcomer {
        fn set(&mut self, last: u8) {
            let address = core::net::Ipv4Addr::new(192, 0, 2, last).into();
            self.ports[0].addresses = alloc::vec![Prefix::new(address, 24).unwrap()];
        }
        fn leave(&mut self) {
            let address = core::net::Ipv4Addr::new(198, 51, 100, 1).into();
            self.ports[0].addresses = alloc::vec![Prefix::new(address, 24).unwrap()];
        }
    }
}
