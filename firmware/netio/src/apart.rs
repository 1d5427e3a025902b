//! What is for the box itself, apart from what it forwards: a small ring of its own for frames to
//! the port's addresses, ARP and neighbor discovery. However many frames overflow the workers'
//! rings, consoles, probes and address resolution do not lose theirs with them.

use std::net::IpAddr;

use crate::filter::{self, Share};
use crate::port::{Memory, PortOptions, index, refused, socket};
use crate::receiver::Receiver;
use crate::sys::ring::BLOCK;
use crate::sys::socket::PacketSocket;
use crate::transmitter::Transmitter;
use crate::{BURST, OpenError};

/// Addresses of one port that frames are told apart by.
const MOST_ADDRESSES: usize = 16;
/// Room for 256 frames: what a few connections and probes have on the way at a time.
const MEMORY: Memory =
    Memory { block_size: BLOCK, blocks: 4, large_frames: 2, receive_buffer: 1 << 20 };

/// Which addresses are the box's own, for the sockets of one port.
#[derive(Debug)]
pub struct Apart {
    interface: String,
    vlan: Option<u16>,
    own: PacketSocket,
    others: Vec<PacketSocket>,
}

impl Apart {
    /// How many frames a worker takes from the ring between two batches of what it forwards: a
    /// flood of the box's own addresses takes a ninth of its frames at most.
    pub const BATCH: usize = BURST / 8;

    /// Opens the ring for the box itself beside those of a port's workers, and keeps from them
    /// what goes there. The interface is up ([`crate::quiet`]).
    ///
    /// # Errors
    /// More than 16 addresses, or the kernel refuses a step. Then the workers may or may not get
    /// the frames to some of the addresses: close the port.
    pub fn open(
        options: &PortOptions<'_>,
        addresses: &[IpAddr],
        workers: &[(Receiver, Transmitter)],
    ) -> Result<(Self, Receiver), OpenError> {
        let PortOptions { interface, vlan, .. } = *options;
        let alone = PortOptions { memory: MEMORY, ..PortOptions::new(interface) };
        let (socket, ring) = socket(&alone, index(interface)?)?;
        let copied = |socket: &PacketSocket| {
            socket.try_clone().map_err(refused(interface, "copying a descriptor"))
        };
        let others = workers.iter().map(|(receiver, _)| copied(receiver.socket()));
        let apart = Self {
            interface: interface.to_owned(),
            vlan,
            own: copied(&socket)?,
            others: others.collect::<Result<_, _>>()?,
        };
        apart.set(addresses)?;
        Ok((apart, Receiver::new(socket, ring, vlan, MEMORY.large_frames)))
    }

    /// Has other addresses from now on. For a moment frames to a new one come twice.
    ///
    /// # Errors
    /// As for [`Apart::open`].
    pub fn set(&self, addresses: &[IpAddr]) -> Result<(), OpenError> {
        if addresses.len() > MOST_ADDRESSES {
            return Err(OpenError::Illegal { what: "a port has at most 16 addresses" });
        }
        let attach = |socket: &PacketSocket, share| {
            let failed = refused(&self.interface, "attaching the filter for own addresses");
            socket.attach_filter(&filter::program(self.vlan, share)).map_err(failed)
        };
        attach(&self.own, Share::Own(addresses))?;
        self.others.iter().try_for_each(|socket| attach(socket, Share::Others(addresses)))
    }
}
