//! What newcomers ask and are answered.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use base::Prefix;
use base::address::mapped;
use model::config;
use model::limits::CLUSTER_BODY;
use serde::{Deserialize, Serialize};

use crate::config::DocumentId;
use crate::seal::Salt;

/// Octets of a reason.
pub(super) const REASON: usize = 900;

/// What is asked, with what proves that the asker lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// A member's salt and challenge, repeated; zeros: not known.
    pub echo: (Salt, u64),
    pub question: Question,
}

/// What is answered, to which question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    /// The question's counter.
    pub to: u64,
    /// For the newcomer to repeat, with the member's salt.
    pub challenge: u64,
    pub answer: Answer,
}

/// What a newcomer asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// To be let in, as this.
    Enter(Entry),
    /// A piece of the document that it was promised.
    Want {
        /// Of which document.
        id: DocumentId,
        /// Which piece.
        index: u32,
    },
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Ask again with the challenge: you may be a recording.
    Prove,
    /// You are about to be let in.
    Soon,
    /// You are in this document: pull it.
    Welcome {
        /// Which.
        id: DocumentId,
    },
    /// Somebody has to commit your entry first.
    Unlisted {
        /// A number that is free.
        id: u8,
    },
    /// Not now, or not like this.
    Outside {
        /// Why, for people.
        why: String,
    },
    /// A piece of the document.
    Piece {
        /// Of which document.
        id: DocumentId,
        /// Octets of the whole record.
        total: u32,
        /// Tells records of one document from each other.
        mark: u64,
        /// Which piece.
        index: u32,
        /// Its octets.
        bytes: Vec<u8>,
    },
    /// There is another document by now.
    Gone {
        /// Than this.
        id: DocumentId,
    },
}

/// What a newcomer brings, on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    name: String,
    id: Option<u8>,
    ports: Vec<Port>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Port {
    name: String,
    network: String,
    /// IPv4 addresses as mapped ones (RFC 4291 §2.5.5.2), each with the length of its own family.
    addresses: Vec<([u8; 16], u8)>,
    vlan: Option<u16>,
    interface: Option<String>,
}

impl Entry {
    pub(super) fn of(newcomer: &config::Newcomer) -> Self {
        let ports = newcomer.ports.iter().map(|port| Port {
            name: port.name.clone(),
            network: port.network.clone(),
            addresses: port
                .addresses
                .iter()
                .map(|it| (mapped(it.address).octets(), it.length))
                .collect(),
            vlan: port.vlan,
            interface: port.interface.clone(),
        });
        Self { name: newcomer.name.clone(), id: newcomer.id, ports: ports.collect() }
    }

    /// Its name, as it says.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it brings; none: an address with an impossible length is in it. Names may be anything.
    pub fn newcomer(&self) -> Option<config::Newcomer> {
        let address = |&(octets, length): &([u8; 16], u8)| {
            let v6 = Ipv6Addr::from(octets);
            Prefix::new(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4), length)
        };
        let ports = self.ports.iter().map(|port| {
            Some(config::NewPort {
                name: port.name.clone(),
                network: port.network.clone(),
                addresses: port.addresses.iter().map(address).collect::<Option<_>>()?,
                vlan: port.vlan,
                interface: port.interface.clone(),
            })
        });
        let ports = ports.collect::<Option<_>>()?;
        Some(config::Newcomer { name: self.name.clone(), id: self.id, ports })
    }
}

impl Asked {
    /// As long as an answer can be.
    pub fn write(&self) -> Option<Vec<u8>> {
        let mut octets = postcard::to_allocvec(self).ok()?;
        if octets.len() > CLUSTER_BODY {
            return None;
        }
        octets.resize(CLUSTER_BODY, 0);
        Some(octets)
    }

    pub fn read(octets: &[u8]) -> Option<Self> {
        let (asked, rest) = postcard::take_from_bytes::<Self>(octets).ok()?;
        (octets.len() == CLUSTER_BODY && rest.iter().all(|octet| *octet == 0)).then_some(asked)
    }
}

impl Answered {
    pub fn read(octets: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(octets) {
            Ok((answered, [])) => Some(answered),
            Ok((_, _)) | Err(_) => None,
        }
    }
}

/// As much of a reason as is sent.
pub(super) fn clipped(mut why: String) -> String {
    while why.len() > REASON {
        why.pop();
    }
    why
}
