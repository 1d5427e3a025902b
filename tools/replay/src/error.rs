//! What can go wrong, for people.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use model::Problem;
use packet::pcap::PcapError;

/// Why a replay did not take place.
#[derive(Debug)]
pub enum ReplayError {
    /// A file cannot be read.
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A result cannot be written.
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cluster document is not legal.
    Config {
        /// The document.
        path: PathBuf,
        /// All that is wrong with it.
        problems: Vec<Problem>,
    },
    /// The document has no such node.
    UnknownNode {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The document has no such network.
    UnknownNetwork {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The node is not attached to a network that was named.
    NoPort {
        /// The network.
        network: String,
        /// The node.
        node: String,
    },
    /// The document has no such server.
    UnknownServer {
        /// What was asked for.
        name: String,
        /// What there is, as `POOL/NAME`.
        known: Vec<String>,
    },
    /// Several pools have a server of that name.
    AmbiguousServer {
        /// What was asked for.
        name: String,
        /// Which it may be, as `POOL/NAME`.
        candidates: Vec<String>,
    },
    /// A neighbor is on no network of the node.
    NotOnLink {
        /// The neighbor's address.
        address: IpAddr,
        /// The node.
        node: String,
    },
    /// Something was said twice.
    Twice {
        /// The option.
        option: &'static str,
        /// The network or address.
        what: String,
    },
    /// A capture cannot be read.
    Capture {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PcapError,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "{} cannot be read: {source}", path.display())
            }
            Self::Write { path, source } => {
                write!(f, "{} cannot be written: {source}", path.display())
            }
            Self::Config { path, problems } => {
                write!(f, "{} is not a legal cluster document:", path.display())?;
                for problem in problems {
                    write!(f, "\n{}:{problem}", path.display())?;
                }
                Ok(())
            }
            Self::UnknownNode { name, known } => {
                write!(f, "--node {name}: no such node; there is {}", list(known))
            }
            Self::UnknownNetwork { name, known } => {
                write!(f, "{name}: no such network; there is {}", list(known))
            }
            Self::NoPort { network, node } => {
                write!(f, "{network}: the node {node} has no port on this network")
            }
            Self::UnknownServer { name, known } => {
                write!(f, "--down {name}: no such server; there is {}", list(known))
            }
            Self::AmbiguousServer { name, candidates } => {
                write!(f, "--down {name}: several pools have it; say {}", list(candidates))
            }
            Self::NotOnLink { address, node } => write!(
                f,
                "--neighbor {address}: within no prefix of a network that {node} has a port on"
            ),
            Self::Twice { option, what } => {
                write!(f, "{option} {what}: said twice, and not the same; once is enough")
            }
            Self::Capture { path, source } => {
                write!(f, "{} is no capture to replay: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for ReplayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            Self::Capture { source, .. } => Some(source),
            Self::Config { .. }
            | Self::UnknownNode { .. }
            | Self::UnknownNetwork { .. }
            | Self::NoPort { .. }
            | Self::UnknownServer { .. }
            | Self::AmbiguousServer { .. }
            | Self::NotOnLink { .. }
            | Self::Twice { .. } => None,
        }
    }
}

/// `a, b or c`.
fn list(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
