//! What stands in the guest: for each way a client and a server in network namespaces of their own,
//! and in between the front layer that is measured.
//!
//! ```text
//!   WAY-client                    WAY-front                  WAY-server
//!     eth0 192.0.2.10 … ───────── eth0   eth1 ────────────── eth0 10.0.0.11 … 14
//!                                 VIP 192.0.2.80, gateway 10.0.0.1
//! ```
//!
//! Every way has wires of its own, so that what one front layer hangs into the kernel's path does
//! not lie in the path of another. All wires are veth pairs with the offloads they come with.

use super::run;
use crate::BenchError;
use crate::emulator::plan::{SUPERVISOR_PATH, Way, Work};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Write;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The address that clients connect to.
const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// Servers are addresses of one namespace: 10.0.0.11 and on.
const SERVERS: u8 = 4;
/// A client has addresses from 192.0.2.100 on, one a round, so that no round meets the remains
/// of another.
const FIRST_CLIENT: u8 = 100;
/// How many there are; then the first comes again.
const CLIENTS: u8 = 100;

/// A client, a server, and what is between them.
#[derive(Debug)]
pub struct Ground {
    way: Way,
    supervisor: Option<Child>,
}

impl Ground {
    /// Builds the wires of a way and starts its front layer.
    ///
    /// # Errors
    /// [`BenchError`]: what failed.
    pub fn build(way: Way) -> Result<Self, BenchError> {
        let (client, front, server) =
            (name(way, "client"), name(way, "front"), name(way, "server"));
        for namespace in [&client, &front, &server] {
            run("ip", &["netns", "add", namespace], "")?;
            run("ip", &["-netns", namespace, "link", "set", "lo", "up"], "")?;
            inside(namespace, || set("net/ipv4/conf/all/rp_filter", "0"))?;
        }
        if way == Way::Direct {
            in_batch(&client, &format!("link add eth0 type veth peer name eth0 netns {server}\n"))?;
        } else {
            let wires = format!(
                "link add eth0 type veth peer name eth0 netns {client}\n\
                 link add eth1 type veth peer name eth0 netns {server}\n"
            );
            in_batch(&front, &wires)?;
        }
        in_batch(&client, &end("192.0.2", FIRST_CLIENT, CLIENTS, "10.0.0.0/24", "192.0.2.1", way))?;
        in_batch(&server, &end("10.0.0", 11, SERVERS, "192.0.2.0/24", "10.0.0.1", way))?;
        let supervisor = match way {
            Way::Direct => None,
            Way::Routing => route(&front).map(|()| None)?,
            Way::Ipvs => balance_by_ipvs(&front).map(|()| None)?,
            Way::Nftables => balance_by_nftables(&front).map(|()| None)?,
            Way::Portico => Some(balance_by_portico(&front)?),
        };
        Ok(Self { way, supervisor })
    }

    /// Which way it is.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Does something in the server's namespace.
    ///
    /// # Errors
    /// As `body`, or where the namespace cannot be entered.
    pub fn as_server<T>(
        &self,
        body: impl FnOnce() -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        inside(&name(self.way, "server"), body)
    }

    /// Does something in the client's namespace.
    ///
    /// # Errors
    /// As [`Ground::as_server`].
    pub fn as_client<T>(
        &self,
        body: impl FnOnce() -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        inside(&name(self.way, "client"), body)
    }

    /// Lets the front layer run, or stops it while another is measured. Only the supervisor is a
    /// process that could do anything by itself.
    ///
    /// # Errors
    /// [`BenchError`] where it has ended.
    pub fn set_running(&mut self, running: bool) -> Result<(), BenchError> {
        let Some(supervisor) = &mut self.supervisor else { return Ok(()) };
        if let Ok(Some(status)) = supervisor.try_wait() {
            return Err(BenchError::CannotMeasure(format!("the supervisor ended: {status}")));
        }
        let signal = if running { Signal::SIGCONT } else { Signal::SIGSTOP };
        let pid = Pid::from_raw(i32::try_from(supervisor.id()).unwrap_or(i32::MAX));
        kill(pid, signal).map_err(|error| BenchError::CannotMeasure(format!("{signal}: {error}")))
    }

    /// Where a client of this way sends the n-th of its connections or flows.
    pub fn target(&self, work: Work, number: u64) -> SocketAddrV4 {
        match self.way {
            Way::Direct | Way::Routing => {
                let server = 11 + u8::try_from(number % u64::from(SERVERS)).unwrap_or(0);
                SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, server), server_port(work))
            }
            Way::Ipvs | Way::Nftables | Way::Portico => SocketAddrV4::new(VIP, service(work).port),
        }
    }

    /// The client's address of a round.
    pub fn client(&self, round: usize) -> Ipv4Addr {
        let number = u8::try_from(round % usize::from(CLIENTS)).unwrap_or(0);
        Ipv4Addr::new(192, 0, 2, FIRST_CLIENT + number)
    }
}

/// Where a server listens for a work.
pub fn server_port(work: Work) -> u16 {
    service(work).server_port()
}

/// What clients connect to.
struct Service {
    protocol: &'static str,
    port: u16,
}

const FRAMES: Service = Service { protocol: "udp", port: 7 };
const CONNECTIONS: Service = Service { protocol: "tcp", port: 80 };
const BULK: Service = Service { protocol: "tcp", port: 81 };
const SERVICES: [Service; 3] = [FRAMES, CONNECTIONS, BULK];

fn service(work: Work) -> Service {
    match work {
        Work::Frames(_) => FRAMES,
        Work::Connections(_) => CONNECTIONS,
        Work::Bulk => BULK,
    }
}

impl Service {
    /// Where its servers listen.
    fn server_port(&self) -> u16 {
        self.port + 8000
    }
}

fn name(way: Way, host: &str) -> String {
    format!("{}-{host}", way.name())
}

/// The commands that give a client or server its addresses and the way to the others.
fn end(prefix: &str, first: u8, count: u8, others: &str, gateway: &str, way: Way) -> String {
    let mut batch = String::from("link set eth0 up\n");
    for number in first..first + count {
        // Writing to a string cannot fail.
        let _ = writeln!(batch, "address add {prefix}.{number}/24 dev eth0");
    }
    let by = if way == Way::Direct { "dev eth0".to_owned() } else { format!("via {gateway}") };
    let _ = writeln!(batch, "route add {others} {by}");
    batch
}

/// Lets the kernel route between both wires.
fn route(front: &str) -> Result<(), BenchError> {
    in_batch(
        front,
        "address add 192.0.2.1/24 dev eth0\naddress add 10.0.0.1/24 dev eth1\n\
         link set eth0 up\nlink set eth1 up\n",
    )?;
    inside(front, || set("net/ipv4/ip_forward", "1"))
}

/// IPVS with masquerading servers, chosen by Maglev hashing over address and port, as Portico's.
fn balance_by_ipvs(front: &str) -> Result<(), BenchError> {
    route(front)?;
    in_batch(front, &format!("address add {VIP}/32 dev eth0\n"))?;
    let mut rules = String::new();
    for service in SERVICES {
        let flag = if service.protocol == "udp" { "-u" } else { "-t" };
        let (from, port) = (format!("{VIP}:{}", service.port), service.server_port());
        let _ = writeln!(rules, "-A {flag} {from} -s mh -b mh-port");
        for server in 11..11 + SERVERS {
            let _ = writeln!(rules, "-a {flag} {from} -r 10.0.0.{server}:{port} -m -w 1");
        }
    }
    run("ip", &["netns", "exec", front, "ipvsadm", "-R"], &rules)
}

/// A translated destination, chosen by a hash over address and port.
fn balance_by_nftables(front: &str) -> Result<(), BenchError> {
    route(front)?;
    in_batch(front, &format!("address add {VIP}/32 dev eth0\n"))?;
    let mut rules = String::from(
        "table ip balance {\nchain prerouting {\ntype nat hook prerouting priority dstnat\n",
    );
    for service in SERVICES {
        let Service { protocol, port } = service;
        let map: Vec<String> = (0..SERVERS)
            .map(|index| format!("{index} : 10.0.0.{} . {}", 11 + index, service.server_port()))
            .collect();
        let _ = writeln!(
            rules,
            "ip daddr {VIP} {protocol} dport {port} dnat ip to jhash ip saddr . {protocol} sport \
             mod {SERVERS} map {{ {} }}",
            map.join(", ")
        );
    }
    rules.push_str("}\n}\n");
    run("ip", &["netns", "exec", front, "nft", "-f", "-"], &rules)
}

/// The supervisor with its own ports, in its own namespace, as in the lab.
fn balance_by_portico(front: &str) -> Result<Child, BenchError> {
    let folder = Path::new("/node");
    std::fs::create_dir_all(folder).map_err(BenchError::at("/node"))?;
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).map_err(BenchError::at(name))
    };
    write("cluster.toml", &cluster())?;
    write("node.toml", "name = \"n1\"\n")?;
    let log = File::create(folder.join("log")).map_err(BenchError::at("/node/log"))?;
    let errors = log.try_clone().map_err(BenchError::at("/node/log"))?;
    Command::new("ip")
        .args(["netns", "exec", front, SUPERVISOR_PATH, "--node", "/node"])
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(BenchError::at("the supervisor"))
}

/// The configuration with the same services and servers; servers are checked every second.
fn cluster() -> String {
    let mut text = String::from(
        "[cluster]\nname = \"bench\"\n\
         [network.outside]\nprefixes = [\"192.0.2.0/24\"]\n\
         [network.inside]\nprefixes = [\"10.0.0.0/24\"]\n\
         [node.n1]\nid = 1\n\
         [node.n1.port.eth0]\nnetwork = \"outside\"\naddresses = [\"192.0.2.2/24\"]\n\
         [node.n1.port.eth1]\nnetwork = \"inside\"\naddresses = [\"10.0.0.2/24\"]\n\
         [vip.gw]\nnetwork = \"inside\"\naddress = \"10.0.0.1\"\ngateway = \"route\"\n",
    );
    let _ = writeln!(text, "[vip.www]\nnetwork = \"outside\"\naddress = \"{VIP}\"");
    for service in SERVICES {
        let Service { protocol, port } = service;
        let check = CONNECTIONS.server_port();
        let _ = writeln!(
            text,
            "[service.s{port}]\nvip = \"www\"\nprotocol = \"{protocol}\"\nports = \"{port}\"\n\
             mode = \"nat\"\npool = \"s{port}\"\n[pool.s{port}]\nscheduler = \"maglev\"\n\
             [pool.s{port}.check]\nkind = \"tcp\"\ninterval = \"1s\"\nport = {check}"
        );
        for server in 11..11 + SERVERS {
            let to = service.server_port();
            let _ = writeln!(
                text,
                "[pool.s{port}.server.server{server}]\naddress = \"10.0.0.{server}\"\nport = {to}"
            );
        }
    }
    text
}

/// Runs several `ip` commands in a namespace.
fn in_batch(namespace: &str, batch: &str) -> Result<(), BenchError> {
    run("ip", &["-netns", namespace, "-batch", "-"], batch)
}

/// Does something with this thread in a namespace.
fn inside<T>(
    namespace: &str,
    body: impl FnOnce() -> Result<T, BenchError>,
) -> Result<T, BenchError> {
    let open = |path: String| File::open(&path).map_err(BenchError::at(path));
    let enter = |file: &File| {
        setns(file, CloneFlags::CLONE_NEWNET)
            .map_err(|error| BenchError::CannotMeasure(format!("{namespace}: {error}")))
    };
    let (home, there) =
        (open("/proc/thread-self/ns/net".into())?, open(format!("/run/netns/{namespace}"))?);
    enter(&there)?;
    let result = body();
    enter(&home)?;
    result
}

/// Sets a kernel parameter of this thread's namespace.
fn set(parameter: &str, value: &str) -> Result<(), BenchError> {
    let path = format!("/proc/sys/{parameter}");
    std::fs::write(&path, value).map_err(BenchError::at(path))
}

/// How long a front layer is given to settle after it was started or let run again.
pub const SETTLE: Duration = Duration::from_secs(3);
