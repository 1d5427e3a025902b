//! Hosts around a guest: network namespaces, and threads of the test inside them. A test's own
//! sockets are its clients and servers, so that it sees every octet.
//!
//! ```text
//!   client's namespace          guest's namespace           servers' namespace
//!        tap "outside" ══ virtio port 0 [guest] virtio port 1 ══ tap "inside"
//! ```
//!
//! QEMU makes a tap where it runs; a host takes it over into its own namespace, and it vanishes
//! when QEMU ends.
//!
//! Reading list: `ip-netns(8)`, `setns(2)`.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::time::{Limit, Start};

/// A network namespace, removed when dropped.
#[derive(Debug)]
pub struct Host {
    name: String,
}

/// A command of iproute2's that failed.
#[derive(Debug)]
pub enum NetworkError {
    /// It could not be run.
    Run(io::Error),
    /// It said no.
    Refused {
        /// The command.
        command: String,
        /// Its words.
        what: String,
    },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(source) => {
                write!(f, "cannot run ip: {source}; the package iproute2 and root are needed")
            }
            Self::Refused { command, what } => write!(f, "`{command}` failed: {what}"),
        }
    }
}

impl std::error::Error for NetworkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Run(source) => Some(source),
            Self::Refused { .. } => None,
        }
    }
}

impl Host {
    /// Makes a namespace `portico-qemu-NAME`, anew if a crash has left one.
    ///
    /// # Errors
    /// [`NetworkError`], usually because only root may do so.
    pub fn new(name: &str) -> Result<Self, NetworkError> {
        let name = format!("portico-qemu-{name}");
        // It is there only after a crash.
        let _ = ip(&["netns", "del", &name]);
        ip(&["netns", "add", &name])?;
        let host = Self { name };
        ip(&["-n", &host.name, "link", "set", "lo", "up"])?;
        Ok(host)
    }

    /// The namespace's name, as `ip netns` has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes a tap over from the namespace of a guest that has just been started, gives it
    /// addresses (with prefix lengths) and switches it on.
    ///
    /// # Errors
    /// [`NetworkError`], also if the guest does not make the tap.
    pub fn attach(&self, tap: &str, from: &Self, addresses: &[&str]) -> Result<(), NetworkError> {
        let start = Start::now();
        while let Err(error) = ip(&["-n", &from.name, "link", "set", tap, "netns", &self.name]) {
            if start.left(Limit::ANSWER).is_none() {
                return Err(error);
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        for address in addresses {
            // Without `nodad` an IPv6 address could not be used for a second or two.
            let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            let command = ["-n", &self.name, "addr", "add", address, "dev", tap];
            ip(&[&command[..], nodad].concat())?;
        }
        ip(&["-n", &self.name, "link", "set", tap, "up"])
    }

    /// Sends everything that is not on a link to this neighbour.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn route_by(&self, gateway: &str) -> Result<(), NetworkError> {
        let family = if gateway.contains(':') { "-6" } else { "-4" };
        ip(&[family, "-n", &self.name, "route", "add", "default", "via", gateway])
    }

    /// Runs `work` on a thread inside the namespace: sockets that it opens are this host's.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        let path = Path::new("/run/netns").join(&self.name);
        std::thread::spawn(move || {
            setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        })
    }

    /// Runs `work` inside the namespace and waits for it.
    ///
    /// # Errors
    /// As entering fails, and if `work` panics, which it has then reported itself.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let panicked = |_| io::Error::other("the thread inside the namespace panicked");
        self.spawn(work).join().map_err(panicked)?
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next test of that name.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), NetworkError> {
    let output = Command::new("ip").args(arguments).output().map_err(NetworkError::Run)?;
    if output.status.success() {
        return Ok(());
    }
    Err(NetworkError::Refused {
        command: format!("ip {}", arguments.join(" ")),
        what: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_of_a_host_are_its_own_and_nothing_is_left() {
        let host = Host::new("selftest").unwrap();
        let name = host.name().to_owned();
        let address =
            host.run(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()).unwrap();
        let listener = host.run(move || TcpListener::bind(address).unwrap()).unwrap();
        TcpStream::connect(address).expect_err("nobody listens out here");
        host.run(move || TcpStream::connect(address).unwrap()).unwrap();
        drop((listener, host));
        assert!(!Path::new("/run/netns").join(name).exists());
    }
}
