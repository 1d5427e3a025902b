//! `cargo xtask lab …`: the verbs of the lab as people type them.

use crate::default_config::Extent;
use crate::faults::{self, Fault};
use crate::lifecycle::{self, Plan};
use crate::network::Wiring;
use crate::place::Place;
use crate::relay::Relay;
use crate::topology::Counts;
use crate::{LabError, console, echo, status, switch, switches, traffic};
use clap::{Args, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// A verb of the lab.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build namespaces, start servers and appliances, and wait until they serve
    Up(Up),
    /// Run a command on a host: `lab exec client1 -- curl http://192.0.2.80/`
    Exec {
        /// `node1`, `server1`, `client1`, …
        host: String,
        /// The command with its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Show hosts, processes, and who answers for each VIP
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Attach this terminal to the console of a node; Ctrl-] leaves
    Console {
        /// `node1`, …
        #[arg(default_value = "node1")]
        node: String,
    },
    /// Make the page of a node reachable from this machine's browser, until Ctrl-C
    Relay {
        /// `node1`, …
        #[arg(default_value = "node1")]
        node: String,
        /// The port on 127.0.0.1; 0 is any that is free
        #[arg(long, default_value_t = 8443)]
        port: u16,
    },
    /// Make things go wrong: links, processes (links need `lab up --wiring switch`)
    Fault {
        /// Which
        #[command(subcommand)]
        fault: Fault,
    },
    /// Write the frames of a segment to a file (needs `lab up --wiring switch`)
    Capture {
        /// The network, as `outside`
        segment: String,
        /// The file, for tcpdump and Wireshark
        file: PathBuf,
        /// For how long
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// What this host sends and receives, behind all faults; by default what all send
        #[arg(long)]
        at: Option<String>,
    },
    /// End everything and remove it
    Down,
    /// Be the switch of a segment (the lab starts this itself)
    #[command(hide = true)]
    Switch {
        /// The file that says what it is made of
        setup: PathBuf,
    },
    /// Be the UDP echo of a server host (the lab starts this itself)
    #[command(hide = true)]
    UdpEcho {
        /// What to answer with
        name: String,
        /// Where to listen
        ports: Vec<u16>,
    },
    /// Ask a UDP echo many times and print who answered (the lab starts this itself)
    #[command(hide = true)]
    UdpAsk {
        /// The service
        service: SocketAddr,
        /// How often
        count: usize,
    },
}

/// What `lab up` is told.
#[derive(Debug, Args)]
pub struct Up {
    /// The cluster document; by default one is made
    #[arg(long)]
    config: Option<PathBuf>,
    /// How many appliances
    #[arg(long)]
    nodes: Option<usize>,
    /// How many of the appliances, the last ones, begin with nothing but a node.toml, for
    /// `lab fault start`: the first one lets them in
    #[arg(long, default_value_t = 0, conflicts_with = "config")]
    newcomers: usize,
    /// How many back-end servers
    #[arg(long)]
    servers: Option<usize>,
    /// How many clients
    #[arg(long)]
    clients: Option<usize>,
    /// What joins hosts: `bridge` is fast, `switch` can have faults
    #[arg(long, default_value = "bridge")]
    wiring: Kind,
    /// What decides which frames a switch loses
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// In the document that is made: a user (ann, password `correct horse`) and
    /// `management = true` on the outside network, for `lab relay`. The console asks for a login
    #[arg(long, conflicts_with = "config")]
    users: bool,
    /// The supervisor binary; by default it is built
    #[arg(long)]
    pub supervisor: Option<PathBuf>,
}

/// What joins hosts, as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Bridge,
    Switch,
}

/// Runs a verb on a lab. `supervisor` gives the binary where [`Up`] does not name one.
///
/// # Errors
/// [`LabError`].
pub fn run(
    place: &Place,
    verb: Verb,
    supervisor: impl FnOnce() -> Result<PathBuf, LabError>,
) -> Result<ExitCode, LabError> {
    match verb {
        Verb::Up(up) => {
            let binary = match &up.supervisor {
                Some(path) => path.clone(),
                None => supervisor()?,
            };
            bring_up(place, &up, &binary)?;
        }
        Verb::Exec { host, command } => return execute(place, &host, &command),
        Verb::Status { json } => {
            let status = status::status(place)?;
            if json {
                let text = serde_json::to_string_pretty(&status).map_err(std::io::Error::other);
                println!("{}", text.map_err(LabError::file(Path::new("standard output")))?);
            } else {
                print!("{status}");
            }
        }
        Verb::Console { node } => {
            lifecycle::topology(place)?.host(&node)?;
            console::attach(place, &node)?;
        }
        Verb::Relay { node, port } => {
            let relay = Relay::open(place, &node, port)?;
            println!("{} leads to {} of {node}; Ctrl-C ends it", relay.url(), relay.page());
            match relay.run()? {}
        }
        Verb::Fault { fault } => print!("{}", faults::apply(place, &fault)?),
        Verb::Capture { segment, file, seconds, at } => {
            let time = Duration::from_secs(seconds);
            println!("{}", switches::capture(place, &segment, &file, time, at)?);
        }
        Verb::Switch { setup } => switch::process::run(&setup)?,
        Verb::Down => match lifecycle::down(place)? {
            0 => println!("nothing was up"),
            removed => println!("removed {removed} namespaces with everything in them"),
        },
        Verb::UdpAsk { service, count } => {
            let answers = echo::ask(service, count, traffic::DATAGRAM_PATIENCE)
                .map_err(LabError::file(Path::new("udp-ask")))?;
            // A line for each question, an empty one where nobody answered.
            answers.iter().for_each(|who| println!("{}", who.as_deref().unwrap_or_default()));
        }
        Verb::UdpEcho { name, ports } => {
            echo::run(&name, &ports).map_err(LabError::file(Path::new("udp-echo")))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings a lab up and says what to try.
fn bring_up(place: &Place, up: &Up, supervisor: &Path) -> Result<(), LabError> {
    let counts = Counts { nodes: up.nodes, servers: up.servers, clients: up.clients };
    let extent = Extent { groups: 1, newcomers: up.newcomers, ..Extent::default() };
    let mut design =
        Plan { config: up.config.clone(), counts, users: up.users, extent }.design()?;
    design.wiring = match up.wiring {
        Kind::Bridge => Wiring::Bridge,
        Kind::Switch => Wiring::Switch { seed: up.seed, guests: false },
    };
    lifecycle::up(place, &design, supervisor)?;
    println!("the lab is up; logs are in {}; try:", place.folder.display());
    for hint in lifecycle::hints(&design) {
        println!("  {hint}");
    }
    Ok(())
}

/// Runs a command on a host, with the terminal of the person, and takes over how it ended.
fn execute(place: &Place, host: &str, command: &[String]) -> Result<ExitCode, LabError> {
    let topology = lifecycle::topology(place)?;
    let namespace = place.host(&topology.host(host)?.name);
    let status = Command::new("ip")
        .args(["netns", "exec", &namespace])
        .args(command)
        .status()
        .map_err(LabError::file(Path::new("ip")))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
