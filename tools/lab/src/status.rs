//! What a lab looks like now, from outside: which hosts there are, what runs on them, and which
//! node answers for each VIP when a neighbour asks.

use crate::command::{run, run_in};
use crate::lifecycle;
use crate::place::Place;
use crate::process::Process;
use crate::topology::{Host, Role, Topology, Vip};
use crate::{LabError, servers};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A lab as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Hosts in the order they were made.
    pub hosts: Vec<HostStatus>,
    /// Segments with their namespaces.
    pub segments: Vec<SegmentStatus>,
    /// VIPs with who has them.
    pub vips: Vec<VipStatus>,
}

/// A host as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Its name in the configuration, for a node.
    pub node: Option<String>,
    /// Its namespace.
    pub namespace: String,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceStatus>,
    /// What runs on it.
    pub processes: Vec<ProcessStatus>,
}

/// An interface as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its segment.
    pub segment: String,
    /// Its MAC; absent where the namespace is gone.
    pub mac: Option<String>,
    /// Addresses of the kernel; on nodes none.
    pub addresses: Vec<String>,
}

/// A process of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessStatus {
    /// Its name.
    pub name: String,
    /// Its number, while it runs.
    pub pid: Option<i32>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentStatus {
    /// Its name.
    pub name: String,
    /// The namespace of its bridge.
    pub namespace: String,
}

/// A VIP as its neighbours see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VipStatus {
    /// Its name.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// Its segment.
    pub segment: String,
    /// The host whose MAC answered.
    pub owner: Option<String>,
    /// The MAC that answered, be it known or not.
    pub mac: Option<String>,
}

/// Looks at a lab. Asks each segment once for all of its VIPs, so it takes about a second where
/// one is not answered for, however many there are.
///
/// # Errors
/// [`LabError::NotUp`], [`LabError::Command`].
pub fn status(place: &Place) -> Result<Status, LabError> {
    let topology = lifecycle::topology(place)?;
    let hosts: Vec<HostStatus> =
        topology.hosts.iter().map(|host| host_status(place, host)).collect::<Result<_, _>>()?;
    let mut vips = Vec::new();
    for segment in &topology.segments {
        let of_segment: Vec<&Vip> =
            topology.vips.iter().filter(|vip| vip.segment == segment.name).collect();
        vips.extend(ask(place, &topology, &hosts, &of_segment)?);
    }
    let segments = topology.segments.iter().map(|segment| SegmentStatus {
        name: segment.name.clone(),
        namespace: place.segment(&segment.name),
    });
    Ok(Status { segments: segments.collect(), hosts, vips })
}

/// A link or a neighbour, as `ip -json` tells it.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    ifname: String,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    dst: Option<String>,
    #[serde(default)]
    lladdr: Option<String>,
}

/// Runs an `ip -json` command in a namespace.
fn told(namespace: &str, what: &[&str]) -> Result<Vec<Told>, LabError> {
    let mut arguments = vec!["-json", "-netns", namespace];
    arguments.extend(what);
    let text = run("ip", &arguments)?;
    let text = if text.trim().is_empty() { "[]" } else { &text };
    serde_json::from_str(text).map_err(|error| LabError::Command {
        command: format!("ip {}", arguments.join(" ")),
        said: format!("its JSON is not understood: {error}"),
    })
}

/// Looks at one host.
fn host_status(place: &Place, host: &Host) -> Result<HostStatus, LabError> {
    let namespace = place.host(&host.name);
    let links = told(&namespace, &["link", "show"])?;
    let interfaces = host.interfaces.iter().map(|interface| InterfaceStatus {
        name: interface.name.clone(),
        segment: interface.segment.clone(),
        mac: links.iter().find(|l| l.ifname == interface.name).and_then(|l| l.address.clone()),
        addresses: interface.addresses.clone(),
    });
    let (node, processes) = match &host.role {
        Role::Node(name) => (Some(name.clone()), vec![host.name.clone()]),
        Role::Server { .. } => {
            (None, vec![servers::web_process(&host.name), servers::echo_process(&host.name)])
        }
        Role::Client => (None, Vec::new()),
    };
    let processes = processes.into_iter().map(|name| {
        let pid = Process::find(place, &name).map(|process| process.pid);
        ProcessStatus { name, pid }
    });
    Ok(HostStatus {
        name: host.name.clone(),
        node,
        interfaces: interfaces.collect(),
        processes: processes.collect(),
        namespace,
    })
}

/// Asks who has some VIPs of one segment: a host there forgets what it knows, pings them all at
/// once, and tells whose MAC answered ARP or NDP. Whether the ping is answered does not matter.
fn ask(
    place: &Place,
    topology: &Topology,
    hosts: &[HostStatus],
    vips: &[&Vip],
) -> Result<Vec<VipStatus>, LabError> {
    let Some(first) = vips.first() else { return Ok(Vec::new()) };
    let asker = topology.hosts.iter().find_map(|host| {
        let kernel_speaks = !matches!(host.role, Role::Node(_));
        let interface = host.interfaces.iter().find(|i| i.segment == first.segment)?;
        kernel_speaks.then_some((place.host(&host.name), interface.name.clone()))
    });
    let mut neighbours = Vec::new();
    if let Some((namespace, interface)) = asker {
        let addresses: Vec<String> = vips.iter().map(|vip| vip.address.to_string()).collect();
        let script = format!(
            "for a in {}; do\n  ip neighbour delete $a dev {interface} 2>/dev/null\n  \
             ping -q -n -c 1 -W 1 $a >/dev/null 2>&1 &\ndone\nwait\n",
            addresses.join(" ")
        );
        run_in(&namespace, "sh", &["-c", &script])?;
        neighbours = told(&namespace, &["neighbour", "show", "dev", &interface])?;
    }
    let answer = |vip: &&Vip| {
        let known = |told: &&Told| told.dst.as_deref() == Some(vip.address.to_string().as_str());
        let mac = neighbours.iter().find(known).and_then(|told| told.lladdr.clone());
        let has =
            |host: &&HostStatus| mac.is_some() && host.interfaces.iter().any(|i| i.mac == mac);
        let owner = hosts.iter().find(has).map(|host| host.name.clone());
        let (name, segment) = (vip.name.clone(), vip.segment.clone());
        VipStatus { name, segment, address: vip.address, owner, mac }
    };
    Ok(vips.iter().map(answer).collect())
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10} {:<20} {:<60} PROCESSES", "HOST", "NAMESPACE", "INTERFACES")?;
        for host in &self.hosts {
            let interface = |i: &InterfaceStatus| {
                let addresses = i.addresses.join(" ");
                format!("{} on {} {addresses}", i.name, i.segment).trim_end().to_owned()
            };
            let interfaces: Vec<_> = host.interfaces.iter().map(interface).collect();
            let process = |p: &ProcessStatus| match p.pid {
                Some(pid) => format!("{} ({pid})", p.name),
                None => format!("{} (not running)", p.name),
            };
            let processes: Vec<_> = host.processes.iter().map(process).collect();
            let (interfaces, processes) = (interfaces.join(", "), processes.join(", "));
            writeln!(f, "{:<10} {:<20} {interfaces:<60} {processes}", host.name, host.namespace)?;
        }
        writeln!(f, "\n{:<10} {:<24} {:<10} OWNER", "VIP", "ADDRESS", "SEGMENT")?;
        for vip in &self.vips {
            let owner = match (&vip.owner, &vip.mac) {
                (Some(owner), Some(mac)) => format!("{owner} ({mac})"),
                (None, Some(mac)) => format!("a stranger ({mac})"),
                (Some(_) | None, None) => "nobody answers".into(),
            };
            let address = vip.address.to_string();
            writeln!(f, "{:<10} {address:<24} {:<10} {owner}", vip.name, vip.segment)?;
        }
        Ok(())
    }
}
