//! Opening a port: which sockets it has, and in which order they are set up.

use std::io;

use crate::filter::{self, Share};
use crate::receiver::Receiver;
use crate::sys::ring::{BLOCK, Ring};
use crate::sys::socket::{PacketSocket, interface_index};
use crate::transmitter::Transmitter;
use crate::{OpenError, Steering};

/// The highest VLAN number (IEEE 802.1Q-2018 §9.6; 0 and 4095 are reserved).
const LAST_VLAN: u16 = 4094;

/// What a port is made of.
#[derive(Clone, Copy, Debug)]
pub struct PortOptions<'a> {
    /// The kernel's name of the interface, in the calling thread's network namespace.
    pub interface: &'a str,
    /// Frames with this 802.1Q tag, 1–4094; without: untagged frames.
    pub vlan: Option<u16>,
    /// How many workers share the port's frames, at least one.
    pub workers: u16,
    /// Which worker gets which frame, and a fanout group number that no other port in this
    /// network namespace has. Needed for more than one worker.
    pub steering: Option<(&'a Steering, u16)>,
    /// What each worker's receiver may take.
    pub memory: Memory,
}

impl<'a> PortOptions<'a> {
    /// One worker, untagged frames, the usual memory.
    pub fn new(interface: &'a str) -> Self {
        Self { interface, vlan: None, workers: 1, steering: None, memory: Memory::default() }
    }
}

/// Memory of one receiver. All of it is taken when the port is opened, except that the kernel
/// holds up to `receive_buffer` octets only while large frames wait.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Octets in a block of the ring: a multiple of [`BLOCK`], which holds 64 frames. The kernel
    /// wants each in one piece.
    pub block_size: u32,
    /// Blocks of the ring.
    pub blocks: u32,
    /// How many frames larger than a slot fit into one batch; each takes 68 KiB.
    pub large_frames: u16,
    /// Octets of such frames that may wait in the kernel, with what it needs around them. Sixteen
    /// of 64 KiB are enough for a worker that keeps up. Where it does not, more room only means
    /// that each frame has waited longer, and has left the caches when its turn comes: with 64 MiB
    /// eight connections got through at little more than half the rate (docs/performance.md).
    pub receive_buffer: u32,
}

impl Default for Memory {
    fn default() -> Self {
        Self { block_size: 8 * BLOCK, blocks: 8, large_frames: 4, receive_buffer: 1 << 20 }
    }
}

/// Opens a port for all of its workers: the k-th pair is worker k's.
///
/// One call opens them all because the order in which the receivers come to the kernel *is* the
/// worker's number in the fanout group, also after the link was down. The interface should be up
/// ([`crate::quiet`]); with several workers it must be, or the kernel refuses the group.
pub fn open(options: &PortOptions<'_>) -> Result<Vec<(Receiver, Transmitter)>, OpenError> {
    check(options)?;
    let index = index(options.interface)?;
    let waiting = (0..options.workers).map(|_| socket(options, index));
    let waiting: Vec<(PacketSocket, Ring)> = waiting.collect::<Result<_, _>>()?;
    // Only now does the first frame come in: while the group was incomplete, it would have gone to
    // the wrong worker, or to two.
    let program = filter::program(options.vlan, Share::All);
    let open = waiting.into_iter().map(|(socket, ring)| {
        let failed = refused(options.interface, "attaching the VLAN filter");
        socket.attach_filter(&program).map_err(failed)?;
        let receiver = Receiver::new(socket, ring, options.vlan, options.memory.large_frames);
        Ok((receiver, Transmitter::bound(options.interface, index, options.vlan)?))
    });
    open.collect()
}

/// The number of an interface, or why a port on it cannot be opened.
pub fn index(interface: &str) -> Result<u32, OpenError> {
    interface_index(interface)
        .map_err(|source| OpenError::NoInterface { interface: interface.to_owned(), source })
}

/// Whether a number may stand in a tag.
pub fn check_vlan(vlan: Option<u16>) -> Result<(), OpenError> {
    match vlan {
        Some(number) if !(1..=LAST_VLAN).contains(&number) => {
            Err(OpenError::Illegal { what: "a VLAN number is 1 to 4094" })
        }
        Some(_) | None => Ok(()),
    }
}

/// Says how a step failed.
pub fn refused(interface: &str, step: &'static str) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Refused { interface: interface.to_owned(), step, source }
}

fn check(options: &PortOptions<'_>) -> Result<(), OpenError> {
    check_vlan(options.vlan)?;
    let illegal = |what| Err(OpenError::Illegal { what });
    match (options.workers, options.steering) {
        (0, _) => return illegal("a port has at least one worker"),
        (2.., None) => return illegal("more than one worker needs a steering program"),
        (workers, Some((steering, _))) if workers != steering.workers() => {
            return illegal("the steering program is made for another number of workers");
        }
        _ => {}
    }
    if options.memory.blocks == 0 || !options.memory.block_size.is_multiple_of(BLOCK) {
        return illegal("a ring has at least one block, of a multiple of 126,976 octets");
    }
    if options.memory.block_size == 0 || options.memory.large_frames == 0 {
        return illegal("a receiver has blocks of more than 0 octets and room for a large frame");
    }
    Ok(())
}

/// One worker's socket and ring, which lets nothing in yet. The order of the steps matters: a
/// filter stands before the first frame can arrive, the offload header and the threshold before
/// the ring that they shape.
pub fn socket(options: &PortOptions<'_>, index: u32) -> Result<(PacketSocket, Ring), OpenError> {
    let PortOptions { interface, memory, .. } = *options;
    let failed = |step| refused(interface, step);
    let socket = PacketSocket::new().map_err(failed("creating a packet socket"))?;
    let number = |name, value, step| socket.set_packet_option(name, value).map_err(failed(step));
    number(libc::PACKET_VERSION, libc::tpacket_versions::TPACKET_V2 as i32, "ring version 2")?;
    number(libc::PACKET_VNET_HDR, 1, "asking for offload headers")?;
    number(libc::PACKET_COPY_THRESH, 1, "asking for whole large frames")?;
    // Without effect in a fanout group, which is why the filter rejects outgoing frames, too.
    number(libc::PACKET_IGNORE_OUTGOING, 1, "ignoring outgoing frames")?;
    let buffer = i32::try_from(memory.receive_buffer / 2).unwrap_or(i32::MAX); // it is doubled
    socket
        .set_socket_option(libc::SO_RCVBUFFORCE, buffer)
        .map_err(failed("setting the receive buffer"))?;
    socket.attach_filter(&filter::nothing()).map_err(failed("attaching a filter"))?;
    let ring = Ring::new(&socket, memory.block_size, memory.blocks).map_err(|source| {
        let octets = u64::from(memory.block_size) * u64::from(memory.blocks);
        OpenError::Memory { interface: interface.to_owned(), octets, source }
    })?;
    socket.bind(index, true).map_err(failed("binding to the interface"))?;
    if let Some((steering, group)) = options.steering.filter(|_| options.workers > 1) {
        steering.join(&socket, group).map_err(failed("joining the fanout group"))?;
    }
    Ok((socket, ring))
}
