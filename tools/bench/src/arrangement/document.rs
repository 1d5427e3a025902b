//! The cluster document of the appliance that is measured, in any size.

use super::{SERVERS, VIP};
use std::fmt::Write;
use std::net::Ipv4Addr;

/// How much there is beside what is measured. The service that is measured comes last, so that it
/// is not found by being first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document {
    /// Virtual addresses.
    pub vips: u16,
    /// Services, spread over the addresses.
    pub services: u16,
    /// Servers of the pool that is measured: the three, then [`MORE_SERVERS`].
    pub servers: u16,
    /// Whether servers are probed.
    pub checked: bool,
    /// Whether the page is served, on the outside network, and somebody may sign in.
    pub page: bool,
}

impl Default for Document {
    fn default() -> Self {
        Self { vips: 1, services: 1, servers: 3, checked: true, page: false }
    }
}

/// Who may sign in, at the console and at the page.
pub const USER: &str = "bench";
/// With this password, judged in a moment: the hash is as cheap as it may be.
pub const PASSWORD: &str = "correct horse";
/// Both, as curl takes them.
pub const CREDENTIALS: &str = "bench:correct horse";
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$YSBzYWx0IGZvciB0ZXN0cw$\
                    DHmK4KG4+RGkZb/PVVVbYgStxIZ6EAbAMUZYeehx1Vo";

/// The addresses of servers beside the three, and their length as a prefix.
pub const MORE_SERVERS: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 0, 128, 0), 17);

/// What any document begins with.
const START: &str = r#"[cluster]
name = "bench"
[network.outside]
prefixes = ["192.0.2.0/24", "198.18.0.0/16"]
management = PAGE
[network.inside]
prefixes = ["10.0.0.0/16"]
[vip.gateway]
network = "inside"
address = "10.0.0.1"
gateway = "route"
[node.n1]
id = 1
[node.n1.port.eth0]
network = "outside"
addresses = ["192.0.2.2/24"]
[node.n1.port.eth1]
network = "inside"
addresses = ["10.0.0.2/16"]
"#;

/// The ports of datagrams and connections, as ranges.
const UDP_PORTS: &str = "70-71";
const TCP_PORTS: &str = "80-82";

impl Document {
    /// The text.
    pub fn text(&self) -> String {
        // Writing to a string cannot fail.
        let page = if self.page { "true" } else { "false" };
        let mut text = START.replace("PAGE", page);
        if self.page {
            let _ = write!(text, "[user.{USER}]\npassword = \"{HASH}\"\nrole = \"configure\"\n");
        }
        for number in 1..self.vips {
            let address = more_vips(number);
            let _ =
                write!(text, "[vip.v{number}]\nnetwork = \"outside\"\naddress = \"{address}\"\n");
        }
        let _ = write!(text, "[vip.www]\nnetwork = \"outside\"\naddress = \"{VIP}\"\n");
        for number in 1..self.services {
            // Round the addresses, then to the next port.
            let vip = match number % self.vips {
                0 => "www".to_owned(),
                other => format!("v{other}"),
            };
            let port = 1000 + number / self.vips;
            let _ = write!(
                text,
                "[service.s{number}]\nvip = \"{vip}\"\nprotocol = \"udp\"\nports = \"{port}\"\n\
                 mode = \"nat\"\npool = \"all\"\n"
            );
        }
        for (name, protocol, ports) in [("web", "tcp", TCP_PORTS), ("udp", "udp", UDP_PORTS)] {
            let _ = write!(
                text,
                "[service.{name}]\nvip = \"www\"\nprotocol = \"{protocol}\"\nports = \"{ports}\"\n\
                 mode = \"nat\"\npool = \"all\"\n"
            );
        }
        let _ = write!(text, "[pool.all]\nscheduler = \"maglev\"\n");
        if self.checked {
            text += "[pool.all.check]\nkind = \"tcp\"\ninterval = \"1s\"\nport = 80\n";
        }
        for (index, address) in (0..self.servers).zip(servers()) {
            let _ = write!(text, "[pool.all.server.s{index}]\naddress = \"{address}\"\n");
        }
        text
    }
}

/// Virtual addresses beside the one that is measured.
fn more_vips(number: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + u32::from(number))
}

/// The addresses of servers: those that exist, and more.
fn servers() -> impl Iterator<Item = Ipv4Addr> {
    let more = u32::from(MORE_SERVERS.0);
    SERVERS.into_iter().chain((more..).map(Ipv4Addr::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_legal() {
        for (vips, services, servers) in [(1, 1, 3), (10, 1, 1), (1000, 10_000, 8_000), (3, 7, 5)] {
            let text = Document { vips, services, servers, ..Document::default() }.text();
            let config = model::config::Config::parse(&text).expect("it is legal");
            assert_eq!(config.vips.len(), usize::from(vips) + 1, "and the gateway");
            assert_eq!(config.services.len(), usize::from(services) + 1, "two are measured");
            assert_eq!(config.pools[0].servers.len(), usize::from(servers));
        }
    }
}
