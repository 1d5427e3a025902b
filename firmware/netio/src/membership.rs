//! What an interface's hardware lets in beside its own address and broadcast.
//!
//! The kernel's stack is away, so it joins no groups, and a real network card keeps their frames
//! out: without the groups of neighbour discovery (RFC 4861 §7.2.1: all nodes, and the
//! solicited-node group of each address) nobody could find this box over IPv6.
//!
//! Reading list: packet(7) (`PACKET_ADD_MEMBERSHIP`), RFC 2464 §7.

use std::collections::BTreeSet;
use std::fmt;
use std::io;

use base::Mac;

use crate::OpenError;
use crate::port::{index, refused};
use crate::sys::socket::PacketSocket;

/// The groups of one interface; dropping it leaves them all.
#[derive(Debug)]
pub struct Memberships {
    socket: PacketSocket,
    interface: u32,
    joined: BTreeSet<Mac>,
    promiscuous: bool,
}

/// The kernel did not take a change; the changes before it were made.
#[derive(Debug)]
pub struct MembershipError {
    /// The group, or none if it was about all frames.
    pub group: Option<Mac>,
    /// What the kernel said.
    pub source: io::Error,
}

impl Memberships {
    /// No groups yet. They end when the interface vanishes, and are not joined again when another
    /// of the same name appears: open new ones then.
    pub fn open(interface: &str) -> Result<Self, OpenError> {
        let failed = refused(interface, "creating a packet socket");
        let (joined, promiscuous) = (BTreeSet::new(), false);
        let socket = PacketSocket::new().map_err(failed)?;
        Ok(Self { socket, interface: index(interface)?, joined, promiscuous })
    }

    /// Says which groups the interface is in from now on.
    pub fn set(&mut self, groups: &[Mac]) -> Result<(), MembershipError> {
        let wanted: BTreeSet<Mac> = groups.iter().copied().collect();
        for &group in &wanted {
            if !self.joined.contains(&group) {
                self.change(Some(group), true)?;
                self.joined.insert(group);
            }
        }
        let left: Vec<Mac> = self.joined.difference(&wanted).copied().collect();
        for group in left {
            self.change(Some(group), false)?;
            self.joined.remove(&group);
        }
        Ok(())
    }

    /// Lets every frame of the segment in, or no longer. Needed only for a tagged port on a network
    /// card that filters VLANs by itself.
    pub fn set_promiscuous(&mut self, wanted: bool) -> Result<(), MembershipError> {
        if self.promiscuous != wanted {
            self.change(None, wanted)?;
            self.promiscuous = wanted;
        }
        Ok(())
    }

    fn change(&self, group: Option<Mac>, join: bool) -> Result<(), MembershipError> {
        self.socket
            .membership(self.interface, group, join)
            .map_err(|source| MembershipError { group, source })
    }
}

impl fmt::Display for MembershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = &self.source;
        match self.group {
            Some(group) => write!(f, "group {group} could not be joined or left: {source}"),
            None => write!(f, "promiscuous mode could not be changed: {source}"),
        }
    }
}

impl std::error::Error for MembershipError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
