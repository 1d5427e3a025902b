//! Which host has which Ethernet address.

use crate::LabError;
use crate::command::run;
use crate::place::Place;
use crate::topology::{Role, Topology};
use base::Mac;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The hosts of a lab by the addresses of their interfaces.
#[derive(Debug, Clone, Default)]
pub struct Stations(BTreeMap<[u8; 6], String>);

/// A link, as `ip -json` tells it.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    address: Option<String>,
}

/// The address of a port of a node that is an emulated machine: it is told to have it.
pub fn of_guest(topology: &Topology, node: &str, port: usize) -> String {
    let number = topology.hosts.iter().position(|host| host.name == node).unwrap_or_default();
    format!("52:54:00:70:{number:02x}:{:02x}", port + 1)
}

impl Stations {
    /// Looks at every host of a lab.
    ///
    /// # Errors
    /// [`LabError::Command`].
    pub fn of(place: &Place, topology: &Topology) -> Result<Stations, LabError> {
        let mut all = BTreeMap::new();
        for host in &topology.hosts {
            let links = ["-json", "-netns", &place.host(&host.name), "link", "show"];
            let links: Vec<Told> = serde_json::from_str(&run("ip", &links)?).unwrap_or_default();
            for (port, interface) in host.interfaces.iter().enumerate() {
                let link = links.iter().find(|link| link.ifname == interface.name);
                let of_link = link.and_then(|link| link.address.clone());
                // A node's namespace may have an interface of its own beside that of the machine.
                let of_guest = match &host.role {
                    Role::Node(_) => Some(of_guest(topology, &host.name, port)),
                    Role::Server { .. } | Role::Client => None,
                };
                let macs = of_link.into_iter().chain(of_guest);
                all.extend(macs.filter_map(|mac| Some((octets(&mac)?, host.name.clone()))));
            }
        }
        Ok(Stations(all))
    }

    /// The name of the host that has an address, or the address where it is nobody's.
    pub fn name(&self, mac: Mac) -> String {
        self.host(mac).map_or_else(|| mac.to_string(), str::to_owned)
    }

    /// The host that has an address.
    pub fn host(&self, mac: Mac) -> Option<&str> {
        self.0.get(&mac.0).map(String::as_str)
    }
}

/// Reads `02:00:00:00:00:01`.
fn octets(text: &str) -> Option<[u8; 6]> {
    let parsed: Option<Vec<u8>> =
        text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    parsed?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        assert_eq!(octets("02:00:00:00:00:0a"), Some([2, 0, 0, 0, 0, 10]));
        for wrong in ["", "02:00", "02:00:00:00:00:0g", "02:00:00:00:00:00:01"] {
            assert_eq!(octets(wrong), None, "{wrong}");
        }
    }
}
