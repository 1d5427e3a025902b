//! Who is measured, and the wires between: plain veth pairs, never a switch.
//!
//! ```text
//!   pbench-X-client        pbench-X-front          pbench-X-server
//!     eth0 192.0.2.101 ──── eth0      eth1 ──────── eth0 10.0.0.11, .12, .13
//! ```
//!
//! Each forwarder has a set of its own, alike in everything but the forwarder, so that measuring
//! in turn needs no restart. A set that is not measured has no traffic and costs nothing.

pub mod affinity;
pub mod document;
pub mod front;
pub mod namespace;
pub mod process;

use crate::load::server::Servers;
use crate::{BenchError, Options};
use affinity::Place;
use document::Document;
use front::Forwarder;
use namespace::Namespace;
use std::fs::File;
use std::net::Ipv4Addr;

pub use front::Front;

/// The virtual address.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// The client's address.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 101);
/// The servers' addresses; all in one namespace.
pub const SERVERS: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 0, 0, 11), Ipv4Addr::new(10, 0, 0, 12), Ipv4Addr::new(10, 0, 0, 13)];
/// The port of datagrams that are counted and dropped.
pub const SINK: u16 = 70;
/// The port of datagrams that come back.
pub const UDP_ECHO: u16 = 71;
/// The port that answers one request on a connection and closes it.
pub const FETCH: u16 = 80;
/// The port that takes or gives octets without end.
pub const BULK: u16 = 81;
/// The port on which what is sent comes back.
pub const ECHO: u16 = 82;
/// The Ethernet addresses of the client, of the forwarder's two ports and of the server.
pub const MACS: [&str; 4] =
    ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03", "02:00:00:00:00:04"];

/// A forwarder between a client and servers.
#[derive(Debug)]
pub struct Set {
    /// Who forwards.
    pub front: Front,
    /// Where clients run.
    pub client: Namespace,
    /// Where the forwarder runs; without it the client's cable ends at the server.
    pub middle: Option<Namespace>,
    /// Where servers run.
    pub server: Namespace,
    /// The destination that the forwarder gives to datagrams: an address or a prefix.
    pub destination: String,
    /// The forwarder's process, where it has one.
    pub forwarder: Forwarder,
    /// The servers' threads.
    _servers: Servers,
}

/// The right to have sets; given back when dropped.
#[derive(Debug)]
pub struct Ground(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl Ground {
    /// Takes the lock and removes what a crash left.
    ///
    /// # Errors
    /// Where another run holds it, or we are not root.
    pub fn take(options: &Options) -> Result<Self, BenchError> {
        if !nix::unistd::geteuid().is_root() {
            let why = "namespaces need root; run the same command as root";
            return Err(BenchError::CannotMeasure(why.into()));
        }
        std::fs::create_dir_all(&options.folder)
            .map_err(BenchError::at(options.folder.display()))?;
        let path = options.folder.join("lock");
        let file = File::create(&path).map_err(BenchError::at(path.display()))?;
        file.try_lock().map_err(|_| {
            let path = path.display();
            BenchError::CannotMeasure(format!("{path}: another run of bench is not done"))
        })?;
        namespace::remove_all()?;
        Ok(Self(file))
    }
}

impl Set {
    /// Builds a set and waits until a connection and a datagram get through it.
    ///
    /// # Errors
    /// What could not be built or does not work.
    pub fn new(options: &Options, front: Front) -> Result<Self, BenchError> {
        Self::with_document(options, front, front.name(), &Document::default())
    }

    /// The same under another name and, for Portico, with another document.
    ///
    /// # Errors
    /// As [`Set::new`].
    pub fn with_document(
        options: &Options,
        front: Front,
        name: &str,
        document: &Document,
    ) -> Result<Self, BenchError> {
        let namespace = |role: &str| Namespace::new(&format!("{name}-{role}"));
        let (client, server) = (namespace("client")?, namespace("server")?);
        let middle = (front != Front::Direct).then(|| namespace("front")).transpose()?;
        wire(front, &client, middle.as_ref(), &server)?;
        let destination = destination(front, &server, document)?;
        let servers = Servers::start(&server)?;
        let folder = options.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(BenchError::at(folder.display()))?;
        let forwarder = match &middle {
            Some(middle) => Forwarder::start(options, front, middle, &folder, document)?,
            None => Forwarder::default(),
        };
        let mut set =
            Self { front, client, middle, server, destination, forwarder, _servers: servers };
        // Of further servers only connections are answered.
        let few = usize::from(document.servers) <= SERVERS.len();
        set.check(few && front.forwards_datagrams())?;
        Ok(set)
    }

    /// What it is called in the table.
    pub fn label(&self) -> &'static str {
        self.front.label()
    }

    /// Does all of a forwarder's work on one core: the kernel hands what arrives on its ports, and
    /// on the servers', to the forwarder's core.
    ///
    /// # Errors
    /// Where the kernel cannot (`CONFIG_RPS`).
    pub fn steer_to_one_core(&self) -> Result<(), BenchError> {
        let mask = format!("{:x}", 1_u64 << Place::Forwarder.core().min(63));
        let file = |port: &str| format!("/sys/class/net/{port}/queues/rx-0/rps_cpus");
        let ports: &[&str] = if self.middle.is_some() { &["eth0", "eth1"] } else { &[] };
        for port in ports {
            let Some(middle) = &self.middle else { continue };
            middle.command(&["tee", &file(port)], &mask)?;
        }
        self.server.command(&["tee", &file("eth0")], &mask).map(drop)
    }

    /// Waits until everything works that will be measured.
    fn check(&mut self, datagrams: bool) -> Result<(), BenchError> {
        let (front, client) = (self.front, &self.client);
        let (tcp, udp) = (|| crate::load::fetch::once(client), || crate::load::echoes(client));
        let works = |_: &process::Process| tcp() && (!datagrams || udp());
        let what = format!("a connection and a datagram through {}", front.label());
        if let Some(process) = &mut self.forwarder.process {
            return process.wait_for(&what, works);
        }
        let end = crate::clock::now() + std::time::Duration::from_secs(10);
        while !(tcp() && udp()) {
            if crate::clock::now() >= end {
                return Err(BenchError::CannotMeasure(format!("{what}: nothing came back")));
            }
        }
        Ok(())
    }
}

/// Where datagrams end; gives the server host the addresses of further servers, all of a prefix.
fn destination(
    front: Front,
    server: &Namespace,
    document: &Document,
) -> Result<String, BenchError> {
    if matches!(front, Front::Direct | Front::Route) {
        return Ok(VIP.to_string());
    }
    if usize::from(document.servers) <= SERVERS.len() {
        // The three and nobody else in this arrangement; cheaper to match than a list.
        return Ok("10.0.0.8/29".to_owned());
    }
    let (address, length) = document::MORE_SERVERS;
    server.ip(&format!("route add local {address}/{length} dev eth0\n"))?;
    Ok("10.0.0.0/16".to_owned())
}

/// Lays the cables and gives everybody but Portico addresses.
fn wire(
    front: Front,
    client: &Namespace,
    middle: Option<&Namespace>,
    server: &Namespace,
) -> Result<(), BenchError> {
    let [client_mac, outside, inside, server_mac] = MACS;
    for namespace in [Some(client), middle, Some(server)].into_iter().flatten() {
        // A kernel without IPv6 has no such setting, and then nothing to switch off.
        let _ = namespace.set("net/ipv6/conf/all/disable_ipv6", "1");
        let _ = namespace.set("net/ipv6/conf/default/disable_ipv6", "1");
    }
    let cable = |from: &Namespace, port, mac, to: &Namespace, other| {
        let to = to.name();
        from.ip(&format!(
            "link add {port} address {mac} type veth peer name eth0 address {other} netns {to}\n"
        ))
    };
    match middle {
        Some(middle) => {
            cable(middle, "eth0", outside, client, client_mac)?;
            cable(middle, "eth1", inside, server, server_mac)?;
        }
        None => cable(server, "eth0", server_mac, client, client_mac)?,
    }
    client.ip(&format!("address add {CLIENT}/24 dev eth0\nlink set eth0 up\n"))?;
    let mut lines = String::new();
    for address in SERVERS {
        lines += &format!("address add {address}/24 dev eth0\n");
    }
    lines += "link set eth0 up\n";
    if front == Front::Direct {
        lines += &format!("address add {VIP}/24 dev eth0\n");
    } else {
        lines += "route add default via 10.0.0.1\n";
    }
    if front == Front::Route {
        lines += &format!("address add {VIP}/32 dev lo\n");
        client.ip(&format!("route add {VIP}/32 via 192.0.2.1\n"))?;
    }
    server.ip(&lines)?;
    match middle {
        Some(middle) if front != Front::Portico => kernel_addresses(front, middle),
        Some(_) | None => Ok(()),
    }
}

/// The addresses of a forwarder that uses the kernel's stack.
fn kernel_addresses(front: Front, middle: &Namespace) -> Result<(), BenchError> {
    middle.set("net/ipv4/ip_forward", "1")?;
    let mut lines = "address add 192.0.2.1/24 dev eth0\naddress add 10.0.0.1/24 dev eth1\n\
                     link set eth0 up\nlink set eth1 up\n"
        .to_owned();
    if front == Front::Route {
        lines += &format!("route add {VIP}/32 via {}\n", SERVERS[0]);
    } else {
        lines += &format!("address add {VIP}/32 dev eth0\n");
    }
    middle.ip(&lines)
}
