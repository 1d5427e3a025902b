//! Building and removing the wires: a namespace for each host, a namespace with a bridge for each
//! segment, a veth pair for each interface.
//!
//! ```text
//!   portico-client1        portico-net-outside         portico-node1         portico-net-inside
//!     eth0 ──────────────────── bridge ─────────────────── eth0  eth1 ─────────── bridge ── …
//! ```
//!
//! A segment may be a switch of our own instead ([`crate::switch`]), which can have faults. Then
//! the gateways of the segment are a host of their own:
//!
//! ```text
//!   portico-client1        portico-net-outside         portico-node1
//!     eth0 ────────────── client1-0 [switch] node1-0 ───── eth0   portico-gateway-outside
//!                              gateway ────────────────────────────── eth0
//! ```
//!
//! Nothing is visible outside these namespaces. Offloads stay as veth has them, so that segments of
//! 64 KiB pass whole, as between virtual machines of one host.

use crate::command::{run, run_in, run_with_input};
use crate::place::Place;
use crate::topology::{Host, Interface, Role, Segment, Topology};
use crate::{LabError, clock};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::Duration;

/// What joins the hosts of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wiring {
    /// A bridge of the kernel: fast, and without faults.
    #[default]
    Bridge,
    /// A switch of our own, which can lose, delay, double and reorder frames.
    Switch {
        /// What decides which ones.
        seed: u64,
        /// The nodes are emulated machines, joined by datagram sockets, not by veth pairs.
        guests: bool,
    },
}

/// What the neighbour with a segment's gateway addresses is called among the hosts of a switch.
pub const GATEWAY: &str = "gateway";

/// The bridge of a segment, inside its namespace.
pub const BRIDGE: &str = "bridge";
/// How long processes get to end by themselves.
const TERM_LIMIT: Duration = Duration::from_secs(1);
/// How long the kernel gets to end them.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Settings of every namespace. Duplicate address detection would keep addresses from being used
/// for a second, router advertisements come from nobody, and reverse path filters would hide what
/// a wrong source address does. The cable of an emulated machine is a datagram socket, which holds
/// ten frames unless it is told to hold more.
const SETTINGS: &str = r"
set -e
cd /proc/sys/net
for which in all default; do
    echo 0 > ipv4/conf/$which/rp_filter
    if [ -d ipv6 ]; then
        echo 0 > ipv6/conf/$which/accept_dad
        echo 0 > ipv6/conf/$which/accept_ra
        echo 0 > ipv6/conf/$which/router_solicitations
    fi
done
if [ -e unix/max_dgram_qlen ]; then echo 4096 > unix/max_dgram_qlen; fi
ip link set lo up
";

/// On nodes the kernel's own IPv6 stays silent, as on the box, where it is switched off at boot.
const NODE_SETTINGS: &str = r"
set -e
cd /proc/sys/net
if [ -d ipv6 ]; then
    echo 1 > ipv6/conf/all/disable_ipv6
    echo 1 > ipv6/conf/default/disable_ipv6
fi
";

/// Bridged frames must not run through the packet filters of the host's kernel.
const SEGMENT_SETTINGS: &str = r"
set -e
for name in arptables iptables ip6tables; do
    file=/proc/sys/net/bridge/bridge-nf-call-$name
    if [ -e $file ]; then echo 0 > $file; fi
done
";

/// Builds every namespace and wire of a topology.
///
/// # Errors
/// [`LabError::Command`] for the first command that fails; what was built stays, for
/// [`remove`] to find.
pub fn build(place: &Place, topology: &Topology, wiring: Wiring) -> Result<(), LabError> {
    for segment in &topology.segments {
        let namespace = place.segment(&segment.name);
        add_namespace(&namespace)?;
        if wiring != Wiring::Bridge {
            add_gateway(place, segment)?;
            continue;
        }
        run_in(&namespace, "sh", &["-c", SEGMENT_SETTINGS])?;
        let mut batch = format!(
            "link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             link set {BRIDGE} up\n"
        );
        for address in &segment.addresses {
            add_line(&mut batch, &add_address(address, BRIDGE));
        }
        apply(&namespace, &batch)?;
    }
    for host in &topology.hosts {
        add_host(place, host, wiring)?;
    }
    Ok(())
}

/// Gives a segment that is a switch the neighbour that the configuration names as gateway.
fn add_gateway(place: &Place, segment: &Segment) -> Result<(), LabError> {
    if segment.addresses.is_empty() {
        return Ok(());
    }
    let (gateway, switch) = (place.gateway(&segment.name), place.segment(&segment.name));
    add_namespace(&gateway)?;
    let mut batch = format!("link add eth0 type veth peer name {GATEWAY} netns {switch}\n");
    for address in &segment.addresses {
        add_line(&mut batch, &add_address(address, "eth0"));
    }
    add_line(&mut batch, "link set eth0 up");
    apply(&gateway, &batch)
}

/// Builds one host and plugs it in. A guest brings its own ends of its cables.
fn add_host(place: &Place, host: &Host, wiring: Wiring) -> Result<(), LabError> {
    let namespace = place.host(&host.name);
    add_namespace(&namespace)?;
    if matches!(host.role, Role::Node(_)) {
        run_in(&namespace, "sh", &["-c", NODE_SETTINGS])?;
        if matches!(wiring, Wiring::Switch { guests: true, .. }) {
            return Ok(());
        }
    }
    for (index, interface) in host.interfaces.iter().enumerate() {
        let (segment, plug) = (place.segment(&interface.segment), plug(host, index));
        let name = &interface.name;
        apply(
            &namespace,
            &format!("link add {name} type veth peer name {plug} netns {segment}\n"),
        )?;
        if wiring == Wiring::Bridge {
            apply(&segment, &format!("link set {plug} master {BRIDGE} up\n"))?;
        }
    }
    apply(&namespace, &host_addresses(host))
}

/// The name of the segment's end of a wire: `server1-0`.
pub fn plug(host: &Host, index: usize) -> String {
    format!("{}-{index}", host.name)
}

/// The commands that give a host its addresses and routes. The ports of a node are left down and
/// bare: bringing them up is the appliance's work.
fn host_addresses(host: &Host) -> String {
    let mut batch = String::new();
    if matches!(host.role, Role::Node(_)) {
        return batch;
    }
    for Interface { name, addresses, .. } in &host.interfaces {
        for address in addresses {
            add_line(&mut batch, &add_address(address, name));
        }
        add_line(&mut batch, &format!("link set {name} up"));
    }
    for gateway in &host.gateways {
        let everywhere = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        add_line(&mut batch, &format!("route add {everywhere} via {gateway}"));
    }
    batch
}

/// The command that adds an address, usable at once.
fn add_address(address: &str, interface: &str) -> String {
    let nodad = if address.contains(':') { " nodad" } else { "" };
    format!("address add {address} dev {interface}{nodad}")
}

fn add_line(batch: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(batch, "{line}");
}

/// Puts a tap next to each interface of a host and bridges the two, so that a virtual machine
/// that runs in the host's namespace is plugged in where the host was. The taps carry offload
/// headers. Returns their names, in the order of the interfaces.
///
/// # Errors
/// [`LabError::Command`].
pub fn add_taps(place: &Place, host: &Host) -> Result<Vec<String>, LabError> {
    let mut batch = String::new();
    let mut taps = Vec::new();
    for (index, interface) in host.interfaces.iter().enumerate() {
        let (tap, bridge, name) =
            (format!("tap{index}"), format!("bridge{index}"), &interface.name);
        let kind = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0";
        for line in [
            format!("tuntap add dev {tap} mode tap vnet_hdr"),
            format!("link add {bridge} {kind}"),
            format!("link set {name} master {bridge} up"),
            format!("link set {tap} master {bridge} up"),
            format!("link set {bridge} up"),
        ] {
            add_line(&mut batch, &line);
        }
        taps.push(tap);
    }
    let namespace = place.host(&host.name);
    run_in(&namespace, "sh", &["-c", SEGMENT_SETTINGS])?;
    apply(&namespace, &batch)?;
    Ok(taps)
}

/// Makes a namespace with the settings of every namespace.
fn add_namespace(namespace: &str) -> Result<(), LabError> {
    run("ip", &["netns", "add", namespace])?;
    run_in(namespace, "sh", &["-c", SETTINGS]).map(drop)
}

/// Runs several `ip` commands in a namespace, stopping at the first that fails.
fn apply(namespace: &str, batch: &str) -> Result<(), LabError> {
    run_with_input("ip", &["-netns", namespace, "-batch", "-"], batch).map(drop)
}

/// The namespaces of this lab that stand now.
///
/// # Errors
/// [`LabError::Command`].
pub fn namespaces(place: &Place) -> Result<Vec<String>, LabError> {
    let listed = run("ip", &["netns", "list"])?;
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| place.owns(name)).map(str::to_owned).collect())
}

/// Ends every process in the namespaces of this lab and removes them, whoever built them and
/// however far they came. Returns how many there were.
///
/// A process is known by being inside a namespace of ours, which no number in a file could prove
/// as well.
///
/// # Errors
/// [`LabError::Command`], [`LabError::TooLate`] where a process survives being killed.
pub fn remove(place: &Place) -> Result<usize, LabError> {
    end_processes(place)?;
    let found = namespaces(place)?;
    for namespace in &found {
        run("ip", &["netns", "delete", namespace])?;
    }
    Ok(found.len())
}

/// The processes in the namespaces of this lab.
///
/// # Errors
/// [`LabError::Command`].
pub fn processes_of(place: &Place) -> Result<Vec<i32>, LabError> {
    processes(&namespaces(place)?)
}

/// Asks every process in the namespaces of this lab to end, and kills those that do not.
///
/// # Errors
/// As [`remove`].
pub fn end_processes(place: &Place) -> Result<(), LabError> {
    let namespaces = &namespaces(place)?;
    signal_all(namespaces, Signal::SIGTERM)?;
    let gone = |limit: Duration| {
        clock::wait_for(
            "the end of the lab's processes",
            limit,
            || Ok(processes(namespaces)?.is_empty().then_some(())),
            || format!("still running: {:?}", processes(namespaces).unwrap_or_default()),
        )
    };
    match gone(TERM_LIMIT) {
        Err(LabError::TooLate { .. }) => {
            signal_all(namespaces, Signal::SIGKILL)?;
            gone(KILL_LIMIT)
        }
        other => other,
    }
}

/// Sends a signal to every process of some namespaces. A stopped one is woken to receive it.
fn signal_all(namespaces: &[String], signal: Signal) -> Result<(), LabError> {
    signal_processes(namespaces, signal)?;
    signal_processes(namespaces, Signal::SIGCONT).map(drop)
}

/// Sends a signal, or nothing, to every process of some namespaces and gives how many there are.
///
/// # Errors
/// [`LabError::Command`].
pub fn signal_processes(
    namespaces: &[String],
    signal: impl Into<Option<Signal>>,
) -> Result<usize, LabError> {
    let signal = signal.into();
    let found = processes(namespaces)?;
    for pid in &found {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(*pid), signal);
    }
    Ok(found.len())
}

/// The processes inside a namespace.
///
/// # Errors
/// [`LabError::Command`].
pub fn processes_in(namespace: &str) -> Result<Vec<i32>, LabError> {
    processes(&[namespace.to_owned()])
}

/// The processes inside some namespaces.
fn processes(namespaces: &[String]) -> Result<Vec<i32>, LabError> {
    let mut all = Vec::new();
    for namespace in namespaces {
        let listed = run("ip", &["netns", "pids", namespace])?;
        all.extend(listed.lines().filter_map(|line| line.trim().parse::<i32>().ok()));
    }
    Ok(all)
}
