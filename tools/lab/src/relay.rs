//! The way to a node's page from outside of the lab: a listener on the host's loopback, each of
//! whose connections is joined to one that was made inside of a namespace. A socket belongs to the
//! namespace in which it was made, whoever uses it, so one thread lives inside and connects.

use crate::place::Place;
use crate::topology::{Host, Role, Topology};
use crate::{LabError, lifecycle};
use model::config::Config;
use nix::sched::{CloneFlags, setns};
use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// HTTP over TLS.
const PORT: u16 = 443;
/// How long a node may take to accept.
const PATIENCE: Duration = Duration::from_secs(10);

/// A listener that leads to the page of a node.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    page: SocketAddr,
    /// To the thread inside: the connection that wants to be joined.
    inside: Sender<TcpStream>,
}

impl Relay {
    /// Opens the way to the page of `host`, on a port of the host's loopback; 0 is any.
    ///
    /// # Errors
    /// [`LabError::NotUp`], [`LabError::UnknownHost`], [`LabError::NoPage`] where the node has none
    /// or nobody is there to connect from, [`LabError::File`].
    pub fn open(place: &Place, host: &str, port: u16) -> Result<Relay, LabError> {
        let topology = lifecycle::topology(place)?;
        let node = topology.host(host)?;
        let (page, neighbor) = way(place, &topology, node)?;
        let path = Path::new("/run/netns").join(place.host(&neighbor));
        let namespace = File::open(&path).map_err(LabError::file(&path))?;
        let (inside, wanted) = channel();
        std::thread::spawn(move || match setns(namespace, CloneFlags::CLONE_NEWNET) {
            Ok(()) => connect(page, &wanted),
            Err(error) => eprintln!("relay: {neighbor} cannot be entered: {error}"),
        });
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let failed = LabError::file(Path::new("the relay's listener"));
        Ok(Relay { listener: TcpListener::bind(local).map_err(failed)?, page, inside })
    }

    /// What a browser is given.
    pub fn url(&self) -> String {
        let port = self.listener.local_addr().map_or(0, |local| local.port());
        format!("https://127.0.0.1:{port}/")
    }

    /// Where it leads.
    pub const fn page(&self) -> SocketAddr {
        self.page
    }

    /// Joins connections until the process ends.
    ///
    /// # Errors
    /// [`LabError::File`] where the listener or the thread inside ended.
    pub fn run(&self) -> Result<Infallible, LabError> {
        loop {
            let joined = self.listener.accept().and_then(|(stream, _)| {
                let gone = |_| io::Error::other("the namespace cannot be used any more");
                self.inside.send(stream).map_err(gone)
            });
            joined.map_err(LabError::file(Path::new("the relay")))?;
        }
    }
}

/// The page of a node, and a host that reaches it.
fn way(place: &Place, topology: &Topology, node: &Host) -> Result<(SocketAddr, String), LabError> {
    let no = |why: &str| LabError::NoPage { host: node.name.clone(), why: why.to_owned() };
    let Role::Node(name) = &node.role else { return Err(no("it is no node")) };
    let path = place.host_folder(&node.name).join("cluster.toml");
    let text = std::fs::read_to_string(&path).map_err(LabError::file(&path))?;
    let config = Config::parse(&text).map_err(|_| no("its document is not legal"))?;
    let ports = config.node(name).map(|node| node.ports.as_slice()).unwrap_or_default();
    let managed = ports.iter().find_map(|port| {
        let network = config.networks.get(port.network.index())?;
        let own = port.addresses.iter().map(|own| own.address).find(IpAddr::is_ipv4)?;
        network.management.then_some((own, &network.name))
    });
    let Some((address, network)) = managed else {
        return Err(no("no network of its document has management = true; `lab up --users` has"));
    };
    let plugged = |host: &&Host| host.interfaces.iter().any(|it| it.segment == *network);
    let is_node = |host: &Host| matches!(host.role, Role::Node(_));
    let neighbor = topology.hosts.iter().filter(|host| !is_node(host)).find(plugged);
    let neighbor = neighbor.ok_or_else(|| no("no client and no server is on its network"))?;
    Ok((SocketAddr::new(address, PORT), neighbor.name.clone()))
}

/// Connects for everybody who wants it, inside.
fn connect(page: SocketAddr, wanted: &Receiver<TcpStream>) {
    while let Ok(outer) = wanted.recv() {
        // A thread begins in the namespace of the one that starts it.
        std::thread::spawn(move || match TcpStream::connect_timeout(&page, PATIENCE) {
            Ok(inner) => join(outer, inner),
            Err(error) => eprintln!("relay: {page}: {error}"),
        });
    }
}

/// Carries octets both ways until both ends have had enough, in threads of its own.
fn join(outer: TcpStream, inner: TcpStream) {
    let (Ok(from_outer), Ok(from_inner)) = (outer.try_clone(), inner.try_clone()) else { return };
    for (mut from, mut to) in [(from_outer, inner), (from_inner, outer)] {
        std::thread::spawn(move || {
            // Whoever closes or breaks off ends the other direction's reading in its own time.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn both_ends_hear_each_other_until_each_is_done() {
        let near = TcpListener::bind("127.0.0.1:0").expect("a port");
        let far = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut person = TcpStream::connect(near.local_addr().expect("bound")).expect("connected");
        let inner = TcpStream::connect(far.local_addr().expect("bound")).expect("connected");
        let (outer, _) = near.accept().expect("accepted");
        let (mut page, _) = far.accept().expect("accepted");
        join(outer, inner);
        person.write_all(b"question").expect("sent");
        person.shutdown(Shutdown::Write).expect("shut");
        let mut heard = String::new();
        page.read_to_string(&mut heard).expect("read to the end");
        assert_eq!(heard, "question");
        page.write_all(b"answer").expect("the other direction is open");
        drop(page);
        heard.clear();
        person.read_to_string(&mut heard).expect("read to the end");
        assert_eq!(heard, "answer");
    }
}
