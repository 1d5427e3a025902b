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
use super::read::At;
use super::schema::NODE_DOCUMENT;

/// The node document.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeDocument {
    /// Which [`super::Node`] of the cluster document this box is.
    pub name: String,
    /// What only the boxes of the cluster know.
    pub secret: Option<String>,
    /// Boxes of a running cluster that are asked to let this one in. Each is on a network of one
    /// of its ports, and there is a secret, where there is one of them.
    pub peers: Vec<IpAddr>,
    /// The number that it wants to have there.
    pub id: Option<u8>,
    /// Its ports.
    pub ports: Vec<NewPort>,
}

impl fmt::Debug for NodeDocument {
    /// Not the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.secret.as_ref().map(|_| "known");
        let Self { name, peers, id, ports, .. } = self;
        f.debug_struct("NodeDocument")
            .field("name", name)
            .field("secret", &secret)
            .field("peers", peers)
            .field("id", id)
            .field("ports", ports)
            .finish()
    }
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
            let secret = table.secret(&mut report, "secret");
            let peers = table.addresses(&mut report, "peers");
            let id = table.integer(&mut report, "id").and_then(|id| u8::try_from(id.value).ok());
            let ports = raw::each(&mut report, &table, "port", raw::port);
            let own = ports.iter().flat_map(|port| &port.addresses).map(|address| address.value);
            check_peers(&mut report, &peers, &own.collect::<Vec<_>>());
            let ports: Vec<_> = ports.into_iter().filter_map(port).collect();
            if let Some(At { at, .. }) = peers.first()
                && table.secret(&mut Report::new(text), "secret").is_none()
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
