//! The forwarders: Portico and what one would pick instead.

use super::affinity::{Place, pin_thread, threads};
use super::document::Document;
use super::namespace::Namespace;
use super::process::Process;
use super::{BULK, ECHO, FETCH, SERVERS, SINK, UDP_ECHO, VIP};
use crate::{BenchError, Options};
use std::fmt::Write;
use std::path::Path;

/// Who stands between clients and servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// Nobody: one cable.
    Direct,
    /// Portico's supervisor, one forwarding worker.
    Portico,
    /// The kernel's routing to one server that has the virtual address: a bound.
    Route,
    /// The kernel's address translation with connection tracking, told by nftables.
    Nftables,
    /// HAProxy as a proxy for connections, one thread.
    Haproxy,
    /// nginx as a proxy for connections, one worker.
    Nginx,
}

/// The process of a forwarder that is one.
#[derive(Debug, Default)]
pub struct Forwarder {
    /// It.
    pub process: Option<Process>,
}

/// What the supervisor says when it serves.
const SERVING: &str = "boot: serving";
/// The thread that forwards, as the kernel calls it.
const WORKER: &str = "forward-0";
/// Where Debian has the part of nginx that is a proxy for connections.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

impl Front {
    /// Its name in those of namespaces and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Portico => "portico",
            Self::Route => "route",
            Self::Nftables => "nft",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }

    /// Its name for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Direct => "direct cable",
            Self::Portico => "Portico",
            Self::Route => "kernel routing",
            Self::Nftables => "nftables DNAT",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx stream",
        }
    }

    /// Whether datagrams pass as well as connections.
    pub fn forwards_datagrams(self) -> bool {
        match self {
            Self::Direct | Self::Portico | Self::Route | Self::Nftables => true,
            Self::Haproxy | Self::Nginx => false,
        }
    }
}

impl Forwarder {
    /// Starts what forwards in a namespace whose wires are laid.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(
        options: &Options,
        front: Front,
        middle: &Namespace,
        folder: &Path,
        document: &Document,
    ) -> Result<Self, BenchError> {
        let process = match front {
            Front::Direct | Front::Route => None,
            Front::Nftables => {
                middle.command(&["nft", "-f", "-"], &nftables())?;
                // As short as one who has many short connections would have it.
                middle.set("net/netfilter/nf_conntrack_tcp_timeout_time_wait", "10")?;
                None
            }
            Front::Portico => Some(portico(options, middle, folder, document)?),
            Front::Haproxy => Some(proxy(middle, folder, "haproxy", &["-db", "-f"], &haproxy())?),
            Front::Nginx => {
                let arguments = ["-e", "stderr", "-c"];
                Some(proxy(middle, folder, "nginx", &arguments, &nginx(folder))?)
            }
        };
        Ok(Self { process })
    }
}

/// Starts the supervisor as on a box: its worker has a core of its own, everything else another.
fn portico(
    options: &Options,
    middle: &Namespace,
    folder: &Path,
    document: &Document,
) -> Result<Process, BenchError> {
    let supervisor = options.supervisor.as_ref().ok_or_else(|| {
        let why = "no supervisor was named; `cargo xtask bench` builds one and names it";
        BenchError::CannotMeasure(why.into())
    })?;
    // A console of an earlier run leads nowhere by now.
    let _ = std::fs::remove_file(folder.join("console"));
    for (name, text) in
        [("cluster.toml", document.text()), ("node.toml", "name = \"n1\"\n".to_owned())]
    {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(BenchError::at(path.display()))?;
    }
    let arguments = ["--node", &*folder.to_string_lossy()];
    let log = folder.join("log");
    let mut process = Process::start(middle, supervisor, &arguments, &log, None)?;
    process.wait_for("the start of the supervisor", |it| it.log().contains(SERVING))?;
    place_threads(process.id());
    Ok(process)
}

/// Gives the worker the forwarder's core and every other thread the first.
pub fn place_threads(supervisor: u32) {
    for (number, name) in threads(supervisor) {
        let place = if name == WORKER { Place::Forwarder } else { Place::Load };
        pin_thread(number, place);
    }
}

/// Starts a proxy that is given a file.
fn proxy(
    middle: &Namespace,
    folder: &Path,
    program: &str,
    arguments: &[&str],
    text: &str,
) -> Result<Process, BenchError> {
    let path = folder.join(format!("{program}.conf"));
    std::fs::write(&path, text).map_err(BenchError::at(path.display()))?;
    let path = path.to_string_lossy();
    let mut all = arguments.to_vec();
    all.push(&path);
    let log = folder.join("log");
    Process::start(middle, Path::new(program), &all, &log, Some(Place::Forwarder))
}

/// Address translation over the three servers in turn, remembered by connection tracking.
fn nftables() -> String {
    let [a, b, c] = SERVERS;
    let servers = format!("numgen inc mod 3 map {{ 0 : {a}, 1 : {b}, 2 : {c} }}");
    format!(
        "table ip balance {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr {VIP} tcp dport {{ {FETCH}, {BULK}, {ECHO} }} dnat to {servers}
        ip daddr {VIP} udp dport {{ {SINK}, {UDP_ECHO} }} dnat to {servers}
    }}
}}
"
    )
}

fn haproxy() -> String {
    let mut text = "global
    nbthread 1
    maxconn 4000
defaults
    mode tcp
    balance roundrobin
    timeout connect 5s
    timeout client 60s
    timeout server 60s
"
    .to_owned();
    for port in [FETCH, BULK, ECHO] {
        // Writing to a string cannot fail.
        let _ = write!(text, "listen p{port}\n    bind {VIP}:{port} backlog 16384\n");
        for (number, address) in SERVERS.iter().enumerate() {
            let _ = writeln!(text, "    server s{number} {address}:{port} check inter 1s");
        }
    }
    text
}

fn nginx(folder: &Path) -> String {
    let folder = folder.display();
    let mut text = format!(
        "load_module {NGINX_STREAM};
user root;
worker_processes 1;
worker_rlimit_nofile 16000;
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 8000; }}
stream {{
"
    );
    for port in [FETCH, BULK, ECHO] {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    upstream p{port} {{");
        for address in SERVERS {
            let _ = writeln!(text, "        server {address}:{port};");
        }
        let _ = writeln!(
            text,
            "    }}\n    server {{ listen {VIP}:{port} backlog=16384; proxy_pass p{port}; }}"
        );
    }
    text + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_serves_the_same_ports_with_the_same_servers() {
        for text in [nftables(), haproxy(), nginx(Path::new("/x"))] {
            for port in [FETCH, BULK, ECHO] {
                assert!(text.contains(&port.to_string()), "{port} is not in\n{text}");
            }
            for address in SERVERS {
                assert!(text.contains(&address.to_string()), "{address} is not in\n{text}");
            }
            assert!(text.contains(&VIP.to_string()), "{text}");
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
        }
    }
}
