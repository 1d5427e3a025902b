//! Sending: a burst in one system call, or in a few where frames go different ways, in order.
//!
//! ```text
//!   small ------------------> copied into a ring --+
//!   larger ----- straight from where they lie -----+--> the driver
//!   to be cut into segments --> the kernel's queue +
//! ```
//!
//! A frame goes past the queueing disciplines to the driver; only one that is to be cut into
//! segments takes the kernel's way, which cuts it where the driver cannot. What the ring does not
//! take goes the second way, which says why it cannot. What can go wrong is counted, not raised:
//! the peer retransmits, and the link's state is told elsewhere ([`crate::LinkMonitor`]).

use std::io;
use std::os::fd::AsFd;

use base::{Gso, Offload};
use packet::headers::ETHERNET_LENGTH;
use packet::virtio;

use crate::BURST;
use crate::OpenError;
use crate::filter::VLAN_PROTOCOL;
use crate::port::{check_vlan, index, refused};
use crate::sys::outbox::Outbox;
use crate::sys::socket::PacketSocket;
use crate::sys::transmit::Messages;

/// How often one call of [`Transmitter::send`] offers a frame again to a full queue, in total.
const RETRIES: u32 = 64;
/// Octets of frames that may be on their way inside the kernel.
const SEND_BUFFER: i32 = 8 << 20;
/// Octets of a small frame: acknowledgements, requests, names. Below every MTU in use, because the
/// ring does not hold a frame against it.
const SMALL: usize = 512;
const _: () = assert!(virtio::HEADER_LENGTH + TAG as usize + SMALL <= Outbox::ROOM);
/// The two addresses at the start of a frame; a tag comes behind them.
const ADDRESSES: usize = 12;
/// Octets of a tag.
const TAG: u16 = 4;

/// What became of the frames of one call. The numbers add up to the frames given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The driver has them.
    pub sent: u32,
    /// The interface's queue stayed full, the kernel had no memory, or there is no carrier (which
    /// the kernel tells in the same way).
    pub queue_full: u32,
    /// The interface is down.
    pub link_down: u32,
    /// The interface no longer exists.
    pub vanished: u32,
    /// Longer than the interface's MTU allows, and not to be cut into segments.
    pub too_long: u32,
    /// The kernel does not take them: shorter than an Ethernet header, or with an offload header
    /// that does not fit the frame.
    pub refused: u32,
}

/// Sends frames through one port.
#[derive(Debug)]
pub struct Transmitter {
    /// Small frames to the driver.
    outbox: Outbox,
    /// Straight to the driver.
    direct: PacketSocket,
    /// By the kernel's queue, which cuts segments for a driver that cannot: on the direct way such
    /// frames are dropped (Linux `__dev_direct_xmit`).
    queued: PacketSocket,
    tag: Option<[u8; 4]>,
    messages: Messages,
    headers: Box<[[u8; virtio::HEADER_LENGTH]; BURST]>,
}

impl Transmitter {
    /// A transmitter alone, for frames that no worker's batch gives rise to.
    pub fn open(interface: &str, vlan: Option<u16>) -> Result<Self, OpenError> {
        check_vlan(vlan)?;
        Self::bound(interface, index(interface)?, vlan)
    }

    pub(crate) fn bound(name: &str, index: u32, vlan: Option<u16>) -> Result<Self, OpenError> {
        let direct = || {
            let socket = socket(name, index)?;
            let bypass = socket.set_packet_option(libc::PACKET_QDISC_BYPASS, 1);
            bypass.map_err(refused(name, "going past the queueing discipline"))?;
            Ok(socket)
        };
        let outbox = Outbox::new(direct()?).map_err(refused(name, "making the send ring"))?;
        let direct = direct()?;
        let queued = socket(name, index)?;
        let [high, low] = VLAN_PROTOCOL.to_be_bytes();
        let tag = vlan.map(u16::to_be_bytes).map(|[a, b]| [high, low, a, b]);
        let headers = Box::new([[0; virtio::HEADER_LENGTH]; BURST]);
        Ok(Self { outbox, direct, queued, tag, messages: Messages::new(), headers })
    }

    /// Sends frames in order, without their tag (the port's own is put in). Never blocks; a full
    /// queue is tried again a bounded number of times.
    pub fn send(&mut self, frames: &[(&[u8], Offload)]) -> Sent {
        let mut outcome = Sent::default();
        let mut retries = RETRIES;
        let mut rest = frames;
        // Whether the ring may take what is next: not what it has just refused.
        let mut ring = true;
        while !rest.is_empty() {
            let taken = if ring { self.send_small(rest) } else { 0 };
            outcome.sent += u32::try_from(taken).unwrap_or(u32::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            ring = true;
            match self.offer(rest) {
                Ok(count) => {
                    outcome.sent += u32::try_from(count).unwrap_or(u32::MAX);
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) if retries > 0 => {
                    retries -= 1;
                    ring = false;
                    std::hint::spin_loop();
                }
                Err(errno) => rest = outcome.count(errno, rest),
            }
        }
        outcome
    }

    /// Sends the small frames that come first through the ring. How many it took.
    fn send_small(&mut self, frames: &[(&[u8], Offload)]) -> usize {
        let mut count = 0;
        for (frame, offload) in frames {
            if frame.len() > SMALL || frame.len() < ETHERNET_LENGTH || offload.gso != Gso::None {
                break;
            }
            let mut offload = self.tag.map_or(*offload, |_| moved(offload));
            let (addresses, rest) = frame.split_at(ADDRESSES);
            let tag = self.tag.as_ref().map_or(&[][..], |tag| tag);
            offload.header_length = u16::try_from(frame.len() + tag.len()).unwrap_or(u16::MAX);
            if !self.outbox.put(&[&virtio::encode(&offload), addresses, tag, rest]) {
                break;
            }
            count += 1;
        }
        count - self.outbox.flush()
    }

    /// One system call for the frames that go the way of the first. An error is about that one.
    fn offer(&mut self, frames: &[(&[u8], Offload)]) -> Result<usize, i32> {
        let large = |(_, offload): &(&[u8], Offload)| offload.gso != Gso::None;
        let first = frames.first().is_some_and(large);
        let run = frames.iter().take_while(|frame| large(frame) == first).count();
        let frames = &frames[..run];
        let socket = if first { &self.queued } else { &self.direct };
        let tag = self.tag.as_ref().map(|tag| &tag[..]);
        for (header, (_, offload)) in self.headers.iter_mut().zip(frames) {
            *header = virtio::encode(&if tag.is_some() { moved(offload) } else { *offload });
        }
        let gathered = self.headers.iter().zip(frames).map(|(header, (frame, _))| {
            // A frame too short for an Ethernet header goes as it is, and the kernel refuses it.
            let pieces = match tag {
                Some(tag) if frame.len() >= ETHERNET_LENGTH => {
                    let (addresses, rest) = frame.split_at(ADDRESSES);
                    [addresses, tag, rest]
                }
                Some(_) | None => [*frame, &[], &[]],
            };
            (&header[..], pieces)
        });
        self.messages.send(socket.as_fd(), gathered).map_err(|error| errno_of(&error))
    }
}

/// A socket that sends by an interface and receives nothing.
fn socket(name: &str, index: u32) -> Result<PacketSocket, OpenError> {
    let failed = |step| refused(name, step);
    let socket = PacketSocket::new().map_err(failed("creating a packet socket"))?;
    socket
        .set_packet_option(libc::PACKET_VNET_HDR, 1)
        .map_err(failed("asking for offload headers"))?;
    socket
        .set_socket_option(libc::SO_SNDBUFFORCE, SEND_BUFFER)
        .map_err(failed("setting the send buffer"))?;
    socket.bind(index, false).map_err(failed("binding to the interface"))?;
    Ok(socket)
}

impl Sent {
    /// Counts the first frame under its error, and what follows with it where the error is about
    /// the port, not about the frame. Gives what is left to try.
    fn count<'f, F>(&mut self, errno: i32, frames: &'f [F]) -> &'f [F] {
        let (counter, whole_port) = match errno {
            libc::ENETDOWN => (&mut self.link_down, true),
            libc::ENXIO | libc::ENODEV => (&mut self.vanished, true),
            // Tried again often enough: what comes later in the burst would fare no better.
            libc::ENOBUFS | libc::EAGAIN | libc::EINTR | libc::ENOMEM => {
                (&mut self.queue_full, true)
            }
            libc::EMSGSIZE => (&mut self.too_long, false),
            _ => (&mut self.refused, false),
        };
        let lost = if whole_port { frames.len() } else { 1 };
        *counter += u32::try_from(lost).unwrap_or(u32::MAX);
        frames.get(lost..).unwrap_or_default()
    }
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        let Self { sent, queue_full, link_down, vanished, too_long, refused } = other;
        self.sent = self.sent.wrapping_add(sent);
        self.queue_full = self.queue_full.wrapping_add(queue_full);
        self.link_down = self.link_down.wrapping_add(link_down);
        self.vanished = self.vanished.wrapping_add(vanished);
        self.too_long = self.too_long.wrapping_add(too_long);
        self.refused = self.refused.wrapping_add(refused);
    }
}

/// The offload header of a frame into which a tag is put: everything behind the addresses moves.
fn moved(offload: &Offload) -> Offload {
    let mut offload = *offload;
    if offload.needs_checksum {
        offload.checksum_start = offload.checksum_start.saturating_add(TAG);
    }
    if offload.header_length > 0 {
        offload.header_length = offload.header_length.saturating_add(TAG);
    }
    offload
}

/// The number of an error; every one of a system call has one.
fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EINVAL)
}
