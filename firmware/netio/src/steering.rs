//! Which worker gets which frame, decided in the kernel before the frame is copied.
//!
//! The receivers of a port form a fanout group, and a BPF program gives each frame the number of
//! the receiver that gets it. Both directions of a connection, errors about it and everything
//! else from the same outside endpoint meet at the same worker. `packet::steer::worker` says the
//! same in Rust, and a test runs both over the same frames.
//!
//! A kernel that has no bpf(2), or does not permit it, refuses [`Steering::new`]. Then a port can
//! still be opened for one worker, which needs no steering; the kernel's own fanout modes are no
//! way out, because they send the two directions of a translated connection to different workers.

mod assembler;
mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd};

use crate::sys::bpf::{KeySet, LoadError, Program};
use crate::sys::socket::PacketSocket;

/// The most virtual addresses that can be steered by.
pub const MOST_VIRTUAL: usize = 4096;

/// The program and the set of virtual addresses it looks at, shared by all ports.
#[derive(Debug)]
pub struct Steering {
    program: Program,
    kernel_set: KeySet,
    virtual_addresses: BTreeSet<Ipv6Addr>,
    workers: u16,
}

/// Steering could not be set up or changed.
#[derive(Debug)]
pub enum SteeringError {
    /// No workers, or more than the kernel's groups have by default.
    Workers {
        /// How many were asked for.
        workers: u16,
    },
    /// The kernel gave no map.
    Map {
        /// What it said.
        source: io::Error,
    },
    /// The kernel did not take the program.
    Program {
        /// What it said.
        source: io::Error,
        /// What its verifier had to say about the program.
        log: String,
    },
    /// More virtual addresses than fit; nothing was changed.
    TooMany {
        /// How many were given.
        count: usize,
    },
    /// The kernel did not take a change of the set, which is now partly changed.
    Update {
        /// The address it was about.
        address: Ipv6Addr,
        /// What it said.
        source: io::Error,
    },
}

/// Members of a group in a kernel of the usual settings (`PACKET_FANOUT_MAX` of old).
const MOST_WORKERS: u16 = 256;

impl Steering {
    /// Loads the program for so many workers (1–256) and an empty set of virtual addresses.
    pub fn new(workers: u16) -> Result<Self, SteeringError> {
        if !(1..=MOST_WORKERS).contains(&workers) {
            return Err(SteeringError::Workers { workers });
        }
        let capacity = u32::try_from(MOST_VIRTUAL).unwrap_or(u32::MAX);
        let kernel_set = KeySet::new(capacity).map_err(|source| SteeringError::Map { source })?;
        let code = program::assemble(kernel_set.as_fd().as_raw_fd(), workers);
        let program = Program::load(&code)
            .map_err(|LoadError { source, log }| SteeringError::Program { source, log })?;
        Ok(Self { program, kernel_set, virtual_addresses: BTreeSet::new(), workers })
    }

    /// How many workers it steers to.
    pub const fn workers(&self) -> u16 {
        self.workers
    }

    /// Says which addresses (IPv4 ones mapped) are virtual from now on. Frames that arrive during
    /// the call are steered by the old set, the new one, or one in between.
    pub fn set_virtual(&mut self, addresses: &[Ipv6Addr]) -> Result<(), SteeringError> {
        let wanted: BTreeSet<Ipv6Addr> = addresses.iter().copied().collect();
        if wanted.len() > MOST_VIRTUAL {
            return Err(SteeringError::TooMany { count: wanted.len() });
        }
        let failed = |address| move |source| SteeringError::Update { address, source };
        // The old go first, so that the set never exceeds its capacity.
        let gone: Vec<_> = self.virtual_addresses.difference(&wanted).copied().collect();
        for address in gone {
            self.kernel_set.remove(address.octets()).map_err(failed(address))?;
            self.virtual_addresses.remove(&address);
        }
        for address in wanted {
            if !self.virtual_addresses.contains(&address) {
                self.kernel_set.insert(address.octets()).map_err(failed(address))?;
                self.virtual_addresses.insert(address);
            }
        }
        Ok(())
    }

    /// Makes a bound receiver the next member of a fanout group, which this program decides in.
    pub(crate) fn join(&self, member: &PacketSocket, group: u16) -> io::Result<()> {
        let mode = libc::PACKET_FANOUT_EBPF << 16 | u32::from(group);
        member.set_packet_option(libc::PACKET_FANOUT, mode.cast_signed())?;
        self.program.steer(member)
    }
}

impl fmt::Display for SteeringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workers { workers } => {
                write!(f, "frames cannot be steered to {workers} workers; 1 to {MOST_WORKERS} can")
            }
            Self::Map { source } => write!(
                f,
                "the kernel gave no set for virtual addresses: {source}; it must have bpf(2) and \
                 permit it, or there can be one worker only"
            ),
            Self::Program { source, log } => write!(
                f,
                "the kernel did not take the steering program: {source}; it must have bpf(2) and \
                 permit it, or there can be one worker only. {log}"
            ),
            Self::TooMany { count } => {
                write!(f, "{count} virtual addresses are more than the {MOST_VIRTUAL} that fit")
            }
            Self::Update { address, source } => {
                write!(f, "virtual address {address} could not be changed in the kernel: {source}")
            }
        }
    }
}

impl std::error::Error for SteeringError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Map { source } | Self::Program { source, .. } | Self::Update { source, .. } => {
                Some(source)
            }
            Self::Workers { .. } | Self::TooMany { .. } => None,
        }
    }
}
