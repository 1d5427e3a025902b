//! Bringing a lab up and down. Both first remove whatever an earlier lab left, crashed or not.

use crate::default_config::{self, Extent};
use crate::faults::cables;
use crate::network::{self, Wiring};
use crate::place::{Lock, Place};
use crate::process::{self, Process};
use crate::topology::{Counts, Host, Role, Topology};
use crate::{LabError, clock, servers, switches};
use model::config::Config;
use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an appliance may take from its start to serving. Generous: machines are shared.
const SERVING_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to listen.
const LISTEN_LIMIT: Duration = Duration::from_secs(15);
/// What the appliance's last boot line says.
const SERVING: &str = "boot: serving";
/// How many servers the default document has.
pub const SERVERS: usize = 3;
/// How much of a log is shown when something ended.
const LOG_LINES: usize = 20;

/// What a lab is made of.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The cluster document; `None`: the default one.
    pub config: Option<PathBuf>,
    /// How many hosts of each role.
    pub counts: Counts,
    /// The default document has a user and a page.
    pub users: bool,
    /// What else the default document has, where it has no user.
    pub extent: Extent,
}

/// A plan that was read and wired.
#[derive(Debug, Clone)]
pub struct Design {
    /// The text of the cluster document.
    pub cluster: String,
    /// What it says.
    pub config: Config,
    /// Its wires.
    pub topology: Topology,
    /// What joins the hosts of a segment.
    pub wiring: Wiring,
    /// How many nodes run at first, the others later; by default all.
    pub running: Option<usize>,
    /// The cluster document that those have, where it does not know the others yet.
    pub early: Option<String>,
    /// So many nodes, the last ones, have no cluster document and are not in the others': they are
    /// started by hand, and let in by the first node.
    pub newcomers: usize,
}

impl Design {
    /// The nodes that run at first.
    pub fn first_nodes(&self) -> impl Iterator<Item = (&Host, &String)> {
        self.nodes().take(self.running.unwrap_or(usize::MAX))
    }

    /// The cluster document that a node starts with.
    pub fn document(&self, node: &Host) -> &str {
        let first = self.first_nodes().any(|(host, _)| host.name == node.name);
        self.early.as_deref().filter(|_| first).unwrap_or(&self.cluster)
    }

    /// Every node with its name in the configuration.
    pub fn nodes(&self) -> impl Iterator<Item = (&Host, &String)> {
        self.topology.hosts.iter().filter_map(|host| match &host.role {
            Role::Node(name) => Some((host, name)),
            Role::Server { .. } | Role::Client => None,
        })
    }
}

/// What the other verbs need to know of a lab that is up.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    topology: Topology,
    wiring: Wiring,
    /// What runs on the nodes, where they are namespaces.
    supervisor: Option<PathBuf>,
}

impl Plan {
    /// Reads the configuration and wires it. Builds nothing.
    ///
    /// # Errors
    /// [`LabError::File`], [`LabError::Config`] with every problem, [`LabError::Wiring`].
    pub fn design(&self) -> Result<Design, LabError> {
        let newcomers = if self.config.is_some() { 0 } else { self.extent.newcomers };
        let (source, cluster) = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(LabError::file(path))?;
                (path.display().to_string(), text)
            }
            None => {
                let nodes = self.counts.nodes.unwrap_or(1);
                let servers = self.counts.servers.unwrap_or(SERVERS);
                let text = if self.users {
                    default_config::with_users(nodes, servers)
                } else {
                    default_config::extended(nodes, servers, &self.extent)
                };
                ("the default configuration".into(), text)
            }
        };
        let config = Config::parse(&cluster).map_err(|problems| LabError::Config {
            source,
            problems: problems.iter().map(ToString::to_string).collect(),
        })?;
        let topology = Topology::new(&config, self.counts)?;
        let nodes = config.nodes.len().saturating_sub(newcomers);
        let early = (newcomers > 0).then(|| default_config::first_nodes(&cluster, nodes));
        let (wiring, running) = (Wiring::default(), (newcomers > 0).then_some(nodes));
        Ok(Design { cluster, config, topology, wiring, running, early, newcomers })
    }
}

/// Builds the wires and starts the servers, without the appliances. What an earlier lab left is
/// removed first.
///
/// # Errors
/// [`LabError`]; whatever was built is removed again, logs stay.
pub fn prepare(place: &Place, design: &Design) -> Result<Lock, LabError> {
    if !Uid::effective().is_root() {
        return Err(LabError::NotRoot);
    }
    let lock = place.lock()?;
    clear(place)?;
    let built = (|| {
        write_state(place, design, None)?;
        network::build(place, &design.topology, design.wiring)?;
        switches::start(place, &design.topology, design.wiring)?;
        for host in &design.topology.hosts {
            servers::start(place, host)?;
        }
        design.topology.hosts.iter().try_for_each(|host| wait_for_listeners(place, host))
    })();
    undo_on_error(place, built)?;
    Ok(lock)
}

/// Brings a lab up: wires, servers, and the supervisor on every node, until all of them serve.
///
/// # Errors
/// [`LabError`]; whatever was built is removed again, logs stay.
pub fn up(place: &Place, design: &Design, supervisor: &Path) -> Result<(), LabError> {
    let _lock = prepare(place, design)?;
    let started = (|| {
        write_state(place, design, Some(supervisor))?;
        let secret = secret()?;
        let known = design.config.nodes.len().saturating_sub(design.newcomers);
        for (at, (host, name)) in design.nodes().enumerate() {
            let node = node_document(name, Some(&secret));
            let documents = if at < known {
                (node, Some(design.document(host)))
            } else {
                (node + &default_config::newcomer(at + 1), None)
            };
            write_documents(place, host, &documents)?;
        }
        for (host, _) in design.first_nodes() {
            start_node(place, host, supervisor)?;
        }
        design.first_nodes().try_for_each(|(host, _)| wait_for_serving(place, &host.name))
    })();
    undo_on_error(place, started)
}

/// Takes a lab down, whatever state it is in. Returns how many namespaces there were.
///
/// # Errors
/// [`LabError`].
pub fn down(place: &Place) -> Result<usize, LabError> {
    if !Uid::effective().is_root() {
        return Err(LabError::NotRoot);
    }
    let _lock = place.lock()?;
    clear(place)
}

/// Removes namespaces, processes, and files but the logs of a lab.
fn clear(place: &Place) -> Result<usize, LabError> {
    let removed = network::remove(place)?;
    for path in [state_file(place)].into_iter().chain(records(place)?) {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LabError::File { path, source: error });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(removed)
}

/// The process records and sockets of a lab.
fn records(place: &Place) -> Result<Vec<PathBuf>, LabError> {
    let entries = std::fs::read_dir(&place.folder).map_err(LabError::file(&place.folder))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let ours = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "pid" || ending == "socket")
    };
    Ok(paths.filter(ours).collect())
}

/// Removes what was built where the building failed, and keeps the first error.
fn undo_on_error<T>(place: &Place, result: Result<T, LabError>) -> Result<T, LabError> {
    if result.is_err() {
        // The first error is the one that helps; what cannot be removed now is removed next time.
        let _ = clear(place);
    }
    result
}

/// Writes the documents of a node: its own, and the cluster's if it begins with that.
fn write_documents(
    place: &Place,
    host: &Host,
    (node, cluster): &(String, Option<&str>),
) -> Result<(), LabError> {
    let folder = place.host_folder(&host.name);
    std::fs::create_dir_all(&folder).map_err(LabError::file(&folder))?;
    let path = folder.join("node.toml");
    std::fs::write(&path, node).map_err(LabError::file(&path))?;
    let path = folder.join("cluster.toml");
    match cluster {
        Some(text) => std::fs::write(&path, text).map_err(LabError::file(&path)),
        // An earlier lab's would be taken for its own.
        None if path.exists() => std::fs::remove_file(&path).map_err(LabError::file(&path)),
        None => Ok(()),
    }
}

/// Starts what a host that was killed runs, and waits until it is there: a node with the documents
/// it has, a server with its web server and echo. What runs already is left alone.
///
/// # Errors
/// [`LabError::NotUp`], [`LabError::NoSupervisor`] where the node is no namespace of ours, as
/// `up` otherwise.
pub fn start_again(place: &Place, host: &Host) -> Result<(), LabError> {
    match &host.role {
        Role::Client => Ok(()),
        Role::Server { .. } => {
            servers::start_missing(place, host)?;
            wait_for_listeners(place, host)
        }
        Role::Node(_) => start_nodes_again(place, &[host]),
    }
}

/// Starts nodes that do not run, all at once and with the documents they have, and waits until
/// each serves. Cables that were pulled are put back.
///
/// # Errors
/// As [`start_again`].
pub fn start_nodes_again(place: &Place, hosts: &[&Host]) -> Result<(), LabError> {
    let supervisor = state(place)?.supervisor;
    for host in hosts {
        let Some(supervisor) = &supervisor else {
            let name = &host.name;
            return Err(LabError::NoSupervisor(format!("{name} is no namespace of this lab")));
        };
        cables::set(place, host, None, true)?;
        if Process::find(place, &host.name).is_none() {
            start_node(place, host, supervisor)?;
        }
    }
    hosts.iter().try_for_each(|host| wait_for_serving(place, &host.name))
}

/// Starts the supervisor of a node.
fn start_node(place: &Place, host: &Host, supervisor: &Path) -> Result<(), LabError> {
    let folder = place.host_folder(&host.name);
    // A console of an earlier run would lead to a terminal that somebody else has by now.
    let _ = std::fs::remove_file(folder.join("console"));
    let folder = folder.to_string_lossy().into_owned();
    let namespace = place.host(&host.name);
    Process::start(place, &host.name, &namespace, supervisor, &["--node", &folder]).map(drop)
}

/// The node document that says which node of the cluster document this is.
pub fn node_document(name: &str, secret: Option<&str>) -> String {
    let secret = secret.map(|secret| format!("secret = \"{secret}\"\n")).unwrap_or_default();
    format!("name = \"{name}\"\n{secret}")
}

/// What the nodes of one lab know and nobody else does.
///
/// # Errors
/// [`LabError::File`].
pub fn secret() -> Result<String, LabError> {
    let path = Path::new("/dev/urandom");
    let mut octets = [0; 24];
    std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut octets))
        .map_err(LabError::file(path))?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

/// Waits until the log of a node says that it serves.
fn wait_for_serving(place: &Place, node: &str) -> Result<(), LabError> {
    let log = place.log(node);
    clock::wait_for(
        &format!("the start of {node}"),
        SERVING_LIMIT,
        || {
            let text = std::fs::read(&log).map_err(LabError::file(&log))?;
            if String::from_utf8_lossy(&text).contains(SERVING) {
                return Ok(Some(()));
            }
            if Process::find(place, node).is_none() {
                let log = process::tail(&log, LOG_LINES);
                return Err(LabError::Died { what: node.into(), log });
            }
            Ok(None)
        },
        || process::tail(&log, LOG_LINES),
    )
}

/// Waits until every TCP port of a server host is listened on. The kernel tells this in
/// `/proc/PID/net/tcp` of any process inside.
fn wait_for_listeners(place: &Place, host: &Host) -> Result<(), LabError> {
    let Role::Server { tcp, .. } = &host.role else { return Ok(()) };
    if tcp.is_empty() {
        return Ok(());
    }
    wait_for_web(place, host)
}

/// Waits until the web server of a host listens on all of its ports.
///
/// # Errors
/// [`LabError::Died`] where it ended, [`LabError::TooLate`].
pub fn wait_for_web(place: &Place, host: &Host) -> Result<(), LabError> {
    let Role::Server { tcp, .. } = &host.role else { return Ok(()) };
    let name = servers::web_process(&host.name);
    let log = place.log(&name);
    clock::wait_for(
        &format!("that {name} listens"),
        LISTEN_LIMIT,
        || {
            let Some(process) = Process::find(place, &name) else {
                let log = process::tail(&log, LOG_LINES);
                return Err(LabError::Died { what: name.clone(), log });
            };
            let table = PathBuf::from(format!("/proc/{}/net/tcp", process.pid));
            let listening = std::fs::read_to_string(&table).unwrap_or_default();
            Ok(tcp.iter().all(|port| listens(&listening, *port)).then_some(()))
        },
        || process::tail(&log, LOG_LINES),
    )
}

/// Whether a table of `/proc/net/tcp` has a listener on a port (proc(5): local address in
/// hexadecimal, state 0A).
fn listens(table: &str, port: u16) -> bool {
    let local = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|address| address.ends_with(&local))
            && fields.nth(1) == Some("0A")
    })
}

/// Where the record of a lab's wires is.
fn state_file(place: &Place) -> PathBuf {
    place.folder.join("state.json")
}

/// Remembers for the other verbs what was built.
fn write_state(place: &Place, design: &Design, supervisor: Option<&Path>) -> Result<(), LabError> {
    let path = state_file(place);
    let state = State {
        topology: design.topology.clone(),
        wiring: design.wiring,
        supervisor: supervisor.map(Path::to_path_buf),
    };
    let text = serde_json::to_string_pretty(&state).map_err(std::io::Error::other);
    text.and_then(|text| std::fs::write(&path, text)).map_err(LabError::file(&path))
}

/// What was built of the lab that is up.
fn state(place: &Place) -> Result<State, LabError> {
    let text = std::fs::read_to_string(state_file(place)).map_err(|_| LabError::NotUp)?;
    let state = serde_json::from_str(&text).map_err(|_| LabError::NotUp)?;
    if network::namespaces(place)?.is_empty() {
        return Err(LabError::NotUp);
    }
    Ok(state)
}

/// The wires of the lab that is up.
///
/// # Errors
/// [`LabError::NotUp`] where none is, or only the record of one.
pub fn topology(place: &Place) -> Result<Topology, LabError> {
    state(place).map(|state| state.topology)
}

/// A few commands worth typing in a lab that is up.
pub fn hints(design: &Design) -> Vec<String> {
    let client = "cargo xtask lab exec client1 --";
    let mut hints = Vec::new();
    for service in &design.config.services {
        let Some(vip) = design.config.vips.get(service.vip.index()) else { continue };
        let at = SocketAddr::new(vip.address, service.ports.first());
        match service.protocol {
            model::config::ServiceProtocol::Tcp => {
                hints.push(format!("{client} curl -s 'http://{at}/'"));
            }
            model::config::ServiceProtocol::Udp => {
                let (kind, address) = match vip.address {
                    IpAddr::V4(address) => ("udp4", address.to_string()),
                    IpAddr::V6(address) => ("udp6", format!("[{address}]")),
                };
                let port = service.ports.first();
                hints.push(format!("echo hello | {client} socat -t1 - '{kind}:{address}:{port}'"));
            }
        }
    }
    let page =
        !design.config.users.list.is_empty() && design.config.networks.iter().any(|n| n.management);
    let relay = page.then_some("relay node1");
    let nodes: Vec<_> = design.nodes().map(|(host, _)| host.name.as_str()).collect();
    for node in &nodes[nodes.len().saturating_sub(design.newcomers)..] {
        hints.push(format!("cargo xtask lab fault start {node}    # it is let in by node1"));
    }
    for verb in ["status", "console node1"].into_iter().chain(relay).chain(["down"]) {
        hints.push(format!("cargo xtask lab {verb}"));
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_told_from_a_connection() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
                     0: 00000000:1F90 00000000:0000 0A 00000000:00000000\n   \
                     1: 0B00000A:0050 6500000A:C001 01 00000000:00000000\n";
        assert!(listens(table, 8080));
        assert!(!listens(table, 80));
        assert!(!listens(table, 8081));
    }

    #[test]
    fn an_illegal_configuration_is_told_with_its_places() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("bad.toml");
        std::fs::write(&path, "[cluster]\nnmae = \"x\"\n").expect("written");
        let plan = Plan { config: Some(path.clone()), ..Plan::default() };
        let said = plan.design().expect_err("it is not legal").to_string();
        assert!(said.contains("bad.toml is not legal"), "{said}");
        assert!(said.contains("2:1"), "{said}");
    }

    #[test]
    fn the_hints_name_every_service() {
        let hints = hints(&Plan::default().design().expect("the default is legal"));
        assert!(hints.iter().any(|hint| hint.ends_with("curl -s 'http://192.0.2.80:80/'")));
        assert!(hints.iter().any(|hint| hint.ends_with("curl -s 'http://[2001:db8:1::80]:80/'")));
        assert!(hints.iter().any(|hint| hint.ends_with("udp6:[2001:db8:1::80]:7'")), "{hints:?}");
    }
}
