//! The node document: what only this box needs to know.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use base::Prefix;

use super::newcomer::{NewPort, Newcomer};
use super::problem::{Problem, Report};
use super::raw;
use super::read::{At, Table};
use super::schema::NODE_DOCUMENT;

/// What only the boxes of a cluster know: they seal with it what they tell each other.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The box sends with this one, and accepts it.
    pub send: String,
    /// It accepts this one, too, while the secret is being changed.
    pub other: Option<String>,
}

impl fmt::Debug for Secret {
    /// Not the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.other.is_some() { "two are known" } else { "known" })
    }
}

/// The node document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDocument {
    /// Which [`super::Node`] of the cluster document this box is.
    pub name: String,
    /// What only the boxes of the cluster know.
    pub secret: Option<Secret>,
    /// Boxes of a running cluster that are asked to let this one in. Each is on a network of one
    /// of its ports, and there is a secret, where there is one of them.
    pub peers: Vec<IpAddr>,
    /// The number that it wants to have there.
    pub id: Option<u8>,
    /// Its ports.
    pub ports: Vec<NewPort>,
}

impl NodeDocument {
    /// Reads a node document.
    ///
    /// # Errors
    /// Every problem of the document at once, in the order of their places. Never empty.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut report = Report::new(text);
        let document = raw::document(&mut report, text).and_then(|root| {
            let table = raw::top(&mut report, &root, &NODE_DOCUMENT);
            let name = table.name(&mut report, "name");
            let secret = secret(&mut report, &table);
            let peers = table.addresses(&mut report, "peers");
            let id = table.integer(&mut report, "id").and_then(|id| u8::try_from(id.value).ok());
            let ports = raw::each(&mut report, &table, "port", raw::port);
            let own = ports.iter().flat_map(|port| &port.addresses).map(|address| address.value);
            check_peers(&mut report, &peers, &own.collect::<Vec<_>>());
            let ports: Vec<_> = ports.into_iter().filter_map(port).collect();
            if let Some(At { at, .. }) = peers.first()
                && secret.is_none()
            {
                let what = "a box without a secret is let in by nobody";
                report.absent(*at, "peers", what, "expected a key secret");
            }
            let peers = peers.into_iter().map(|peer| peer.value).collect();
            Some(Self { name: name?.value, secret, peers, id, ports })
        });
        report.finish(document)
    }

    /// What this box brings to a running cluster, where peers say that there is one.
    pub fn newcomer(&self) -> Option<Newcomer> {
        let Self { name, peers, id, ports, .. } = self;
        let newcomer = || Newcomer { name: name.clone(), id: *id, ports: ports.clone() };
        (!peers.is_empty()).then(newcomer)
    }
}

/// The secret, and the other one that is accepted.
fn secret(report: &mut Report<'_>, table: &Table<'_, '_>) -> Option<Secret> {
    let send = table.secret(report, "secret");
    let other = table.secret(report, "other-secret");
    if let Some(other) = &other {
        let (path, at) = ("other-secret", other.at);
        match &send {
            None => {
                report.absent(at, path, "there is no secret beside it", "expected a key secret")
            }
            Some(send) if send.value == other.value => {
                report.wrong(at, path, "the same as the secret", "expected another one, or none");
            }
            Some(_) => {}
        }
    }
    Some(Secret { send: send?.value, other: other.map(|other| other.value) })
}

fn port(port: raw::Port) -> Option<NewPort> {
    let addresses: Vec<_> = port.addresses.into_iter().map(|address| address.value).collect();
    Some(NewPort {
        name: port.name,
        network: port.network?.value,
        addresses,
        vlan: port.vlan,
        interface: port.interface.map(|interface| interface.value),
    })
}

/// Peers are asked directly: there is no route before there is a document.
fn check_peers(report: &mut Report<'_>, peers: &[At<IpAddr>], own: &[Prefix]) {
    for (index, At { value, at }) in peers.iter().enumerate() {
        let path = format!("peers[{index}]");
        if own.iter().any(|prefix| prefix.address == *value) {
            let what = format!("{value} is this box itself");
            report.wrong(*at, path, what, "expected another box of the cluster");
        } else if !own.iter().any(|prefix| prefix.contains(*value)) {
            let what = format!("{value} is on no network of this box");
            let legal = "expected a [port.NAME] with an address on the network of that box";
            report.absent(*at, path, what, legal);
        }
    }
}
