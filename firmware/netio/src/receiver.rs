//! Receiving: frames in batches, from the ring where the kernel put them.

use std::os::fd::{AsFd, BorrowedFd};

use arrayvec::ArrayVec;
use base::Frame;
use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use packet::virtio;

use crate::BURST;
use crate::filter::{VLAN_MASK, VLAN_PROTOCOL};
use crate::sys::ring::{Ring, SlotHeader};
use crate::sys::socket::PacketSocket;

/// Octets for a frame that does not fit a slot, its offload header included. The largest that a
/// kernel of the usual settings makes is 65,535 octets of IP and the Ethernet header.
const LARGE: usize = 68 * 1024;

/// What has happened to frames since the receiver was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The kernel put them into the ring.
    pub received: u64,
    /// The ring was full: the worker was too slow.
    pub dropped: u64,
    /// Larger than a slot, and the kernel or this receiver had no room for the whole frame.
    pub truncated: u64,
    /// The tag was not the port's; the kernel's filter should have kept them away.
    pub foreign: u64,
}

/// One worker's frames of one port.
#[derive(Debug)]
pub struct Receiver {
    socket: PacketSocket,
    ring: Ring,
    vlan: Option<u16>,
    large: Box<[Box<[u8]>]>,
    kept: ArrayVec<Kept, BURST>,
    statistics: Statistics,
    behind: bool,
}

/// A frame of the current batch.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// Which of the slots in hand.
    slot: usize,
    /// Where the frame starts in the slot, or in the large buffer.
    start: usize,
    /// Octets of the frame.
    length: usize,
    /// It lies in the next large buffer, not in the slot.
    large: bool,
}

impl Receiver {
    pub(crate) fn new(socket: PacketSocket, ring: Ring, vlan: Option<u16>, large: u16) -> Self {
        let large = (0..large).map(|_| vec![0; LARGE].into_boxed_slice()).collect();
        let (kept, statistics) = (ArrayVec::new(), Statistics::default());
        Self { socket, ring, vlan, large, kept, statistics, behind: false }
    }

    /// The frames that wait, in the order of their arrival: up to `max` and up to [`BURST`], and
    /// fewer when the buffers for large frames are used up. Empty when none waits; never blocks.
    pub fn batch(&mut self, max: usize) -> Batch<'_> {
        self.release();
        let mut large = 0;
        let mut slot = 0;
        while self.kept.len() < max.min(BURST) {
            let Some(header) = self.ring.peek() else { break };
            let copied = header.status & libc::TP_STATUS_COPY != 0;
            if copied && large == self.large.len() {
                break;
            }
            self.ring.take();
            let place = if copied {
                self.receive_large(large)
            } else {
                (header.captured == header.length).then_some((header.start, header.captured))
            };
            match place {
                None => self.statistics.truncated += 1,
                Some(_) if !self.is_ours(&header) => self.statistics.foreign += 1,
                Some((start, length)) => {
                    self.kept.push(Kept { slot, start, length, large: copied });
                    large += usize::from(copied);
                }
            }
            slot += 1;
        }
        Batch { receiver: self }
    }

    /// Whether the worker is behind: more than half of the ring has filled up, and not all but an
    /// eighth of it is empty again.
    pub fn is_behind(&mut self) -> bool {
        self.behind = self.ring.is_filled_beyond(if self.behind { 1 } else { 4 });
        self.behind
    }

    /// Becomes readable when frames wait ([`crate::wait`]).
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn socket(&self) -> &PacketSocket {
        &self.socket
    }

    /// Counts since the receiver was opened.
    pub fn statistics(&mut self) -> Statistics {
        // The call fails for nothing but a bad descriptor or pointer, and then adds nothing.
        if let Ok(news) = self.socket.take_statistics() {
            self.statistics.dropped += u64::from(news.tp_drops);
            self.statistics.received += u64::from(news.tp_packets.saturating_sub(news.tp_drops));
        }
        self.statistics
    }

    /// Fetches the whole of a frame that was too large for its slot: where it lies in the large
    /// buffer of this index. The kernel queues these frames in the order of their slots.
    fn receive_large(&mut self, index: usize) -> Option<(usize, usize)> {
        use std::os::fd::AsRawFd;
        let descriptor = self.socket.as_fd().as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let buffer = self.large.get_mut(index)?;
        let mut result = nix::sys::socket::recv(descriptor, buffer, flags);
        if result == Err(Errno::ENETDOWN) {
            // The news that the link went down is told once, before the frames that came first.
            result = nix::sys::socket::recv(descriptor, buffer, flags);
        }
        let length = result.ok().filter(|&length| length <= buffer.len())?;
        Some((virtio::HEADER_LENGTH, length.checked_sub(virtio::HEADER_LENGTH)?))
    }

    /// Whether the tag is this port's. The kernel takes the outer tag off before it hands the
    /// frame over.
    fn is_ours(&self, header: &SlotHeader) -> bool {
        let tagged = header.status & libc::TP_STATUS_VLAN_VALID != 0;
        let number = header.vlan_tci & VLAN_MASK;
        match self.vlan {
            None => !tagged || number == 0,
            Some(own) => tagged && number == own && header.vlan_tpid == VLAN_PROTOCOL,
        }
    }

    fn release(&mut self) {
        self.kept.clear();
        self.ring.release();
    }
}

/// Frames of one port, in hand until this is dropped; then their slots go back to the kernel.
#[derive(Debug)]
pub struct Batch<'a> {
    receiver: &'a mut Receiver,
}

impl Batch<'_> {
    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.receiver.kept.len()
    }

    /// Nothing waited.
    pub fn is_empty(&self) -> bool {
        self.receiver.kept.is_empty()
    }

    /// The frames, oldest first. What is changed in them stays changed until the batch is
    /// dropped.
    pub fn frames(&mut self) -> ArrayVec<Frame<'_>, BURST> {
        let Receiver { ring, large, kept, .. } = &mut *self.receiver;
        let mut slots = ring.in_hand().enumerate();
        let mut large = large.iter_mut();
        let mut frames = ArrayVec::new();
        for kept in kept.iter() {
            let content: &mut [u8] = if kept.large {
                let Some(buffer) = large.next() else { break };
                buffer
            } else {
                let Some((_, slot)) = slots.find(|(index, _)| *index == kept.slot) else { break };
                slot
            };
            let Some((head, rest)) = content.split_at_mut_checked(kept.start) else { break };
            let (Some(bytes), Some(offload)) = (rest.get_mut(..kept.length), head.last_chunk())
            else {
                break;
            };
            frames.push(Frame { bytes, offload: virtio::decode(offload) });
        }
        frames
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.receiver.release();
    }
}
