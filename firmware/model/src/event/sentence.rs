//! The sentence of each event, as the log has it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use super::{Cause, Event};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootStep { step, detail } => write!(f, "boot: {step}: {detail}"),
            Self::ConfigLoaded { vips, services, servers } => loaded(f, *vips, *services, *servers),
            Self::ConfigFailed { document, problems, first } => {
                let many = if *problems > 1 { many(*problems) } else { String::new() };
                write!(f, "config: {document} is refused{many}: {first}")
            }
            Self::ConfigCommitted { revision, user, changes, unconfirmed } => {
                committed(f, *revision, user, *changes, *unconfirmed)
            }
            Self::CandidateLeft { user, reason } => put_aside(f, user, reason),
            Self::ConfigConfirmed { revision } => {
                write!(f, "config: revision {revision} is confirmed")
            }
            Self::ConfigReturned { revision, left, reason } => {
                write!(f, "config: returned from revision {left} by revision {revision}: {reason}")
            }
            Self::ConfigPulled { revision, by } => {
                write!(f, "config: revision {revision} by {by} is in force, as at the other boxes")
            }
            Self::ConfigOverruled { revision, by, left, rollback } => {
                overruled(f, *revision, by, *left, *rollback)
            }
            Self::ConfigUnfit { node, reason } => {
                write!(f, "config: this box cannot carry out the document of {node}: {reason}")
            }
            Self::NodeRemoved { leaves } => f.write_str(removed(*leaves)),
            Self::NotLetIn { peer, reason } => not_let_in(f, *peer, reason),
            Self::PeersSilent { peers } => silent(f, peers),
            Self::LetIn { peer } => write!(f, "cluster: {peer} has let this box in"),
            Self::CertificateRenewed { pages, certificate, key } => {
                renewed(f, pages, certificate, key)
            }
            Self::LinkUp { port } => write!(f, "port {port} link up"),
            Self::LinkDown { port } => write!(f, "port {port} link down"),
            Self::PortLost { port, reason } => write!(f, "port {port} lost: {reason}"),
            Self::PortOpened { port, mac, mtu } => {
                write!(f, "port {port} opened: {mac}, MTU {mtu}")
            }
            Self::VipServed { vip, address } => write!(f, "VIP {vip} {address} served here"),
            Self::VipReleased { vip, address } => write!(f, "VIP {vip} {address} released"),
            Self::AddressConflict { address, network, mac } => {
                write!(f, "address {address} is used by {mac} on {network} too")
            }
            Self::ViewAgreed { view, members } => {
                write!(f, "cluster: view {view}: {}", members.join(", "))
            }
            Self::ViewCalled { view, members, held } => called(f, view, members, *held),
            Self::ViewLeft => f.write_str("cluster: this box is in no view"),
            Self::NodesCondemned { nodes } => {
                write!(f, "cluster: nobody hears {}", nodes.join(", "))
            }
            Self::VipsMoved(moved) => write!(f, "cluster: {moved}"),
            Self::ClusterAsked { user, face, what } => {
                write!(f, "cluster: {user} ({face}): {what}")
            }
            Self::ServerUp { pool, server, cause } => verdict(f, pool, server, "up", *cause),
            Self::ServerDown { pool, server, cause } => verdict(f, pool, server, "down", *cause),
            Self::PoolEmpty { pool } => write!(f, "pool {pool} has no server left"),
            Self::TaskRestarted { task, reason } => write!(f, "{task} restarted: {reason}"),
            Self::TaskDied { task, reason } => {
                write!(f, "{task} died, the box restarts: {reason}")
            }
            Self::Rebooting => f.write_str("rebooting"),
            Self::PoweringOff => f.write_str("powering off"),
        }
    }
}

fn loaded(f: &mut fmt::Formatter<'_>, vips: usize, services: usize, servers: usize) -> fmt::Result {
    let (vips, services) = (count(vips, "VIP"), count(services, "service"));
    write!(f, "config: {vips}, {services}, {}", count(servers, "server"))
}

fn put_aside(f: &mut fmt::Formatter<'_>, user: &str, reason: &str) -> fmt::Result {
    write!(
        f,
        "config: the candidate of {user} is put aside, {reason}; configure gives it back to {user}"
    )
}

fn many(problems: usize) -> String {
    format!(", {problems} problems, first")
}

fn committed(
    f: &mut fmt::Formatter<'_>,
    revision: u32,
    user: &str,
    changes: usize,
    unconfirmed: bool,
) -> fmt::Result {
    let wait = if unconfirmed { ", to be confirmed" } else { "" };
    match changes {
        0 => write!(f, "config: {user} committed revision {revision}, no key changed{wait}"),
        1 => write!(f, "config: {user} committed revision {revision}, 1 change{wait}"),
        _ => write!(f, "config: {user} committed revision {revision}, {changes} changes{wait}"),
    }
}

fn overruled(
    f: &mut fmt::Formatter<'_>,
    revision: u32,
    by: &str,
    left: u32,
    rollback: u32,
) -> fmt::Result {
    write!(
        f,
        "config: revision {revision} by {by} is in force, as at the other boxes; revision {left}, \
         which was in force here and is not part of it, is kept: `rollback {rollback}` loads it \
         as a candidate"
    )
}

const fn removed(leaves: bool) -> &'static str {
    if leaves {
        "cluster: a document without this box is about to be in force; it hands over what it \
         serves, leaves and serves nothing more"
    } else {
        "cluster: the document without this box did not come into force; it joins again"
    }
}

fn not_let_in(f: &mut fmt::Formatter<'_>, peer: IpAddr, reason: &str) -> fmt::Result {
    write!(f, "cluster: {peer} does not let this box in: {reason}")
}

/// Boxes that do not answer a newcomer.
fn silent(f: &mut fmt::Formatter<'_>, peers: &[IpAddr]) -> fmt::Result {
    let listed: Vec<_> = peers.iter().map(ToString::to_string).collect();
    let (who, again) = match peers {
        [_] => ("does not answer", "it is asked again"),
        _ => ("do not answer", "they are asked again"),
    };
    let listed = listed.join(", ");
    write!(
        f,
        "cluster: {listed} {who}: off, on another network, or with another secret (then it counts \
         what it refuses, `show cluster` there); {again}"
    )
}

fn renewed(f: &mut fmt::Formatter<'_>, pages: &str, certificate: &str, key: &str) -> fmt::Result {
    write!(
        f,
        "web: another certificate, SHA-256 {certificate}; the same key, SHA-256 {key}; {pages}"
    )
}

fn called(f: &mut fmt::Formatter<'_>, view: &str, members: &[String], held: bool) -> fmt::Result {
    let why = if held { "as the token's holder" } else { "as the token is missed" };
    write!(f, "cluster: view {view} proposed {why}: {}", members.join(", "))
}

fn verdict(
    f: &mut fmt::Formatter<'_>,
    pool: &str,
    server: &str,
    state: &str,
    cause: Cause,
) -> fmt::Result {
    write!(f, "server {pool}/{server} {state}: {cause}")
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
