//! The channels between the threads: each has a depth, and a meaning of "full".
//!
//! ```text
//!        tables, ports, taps ──>            ──> events, retired tables, ports and taps
//!   control ───────────────────── forward-k ─────────────────────────── control
//!              frames ──────────>            ──> own packets ──> probes, faces
//!   probes, faces ── packets ──> forward-0
//! ```

use arrayvec::ArrayVec;
use base::{NetworkId, PortId};
use dataplane::flow::Note;
use dataplane::{Counters, Event, Tables};
use model::status::Flows;
use netio::{Receiver, Transmitter, Wake};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::Instant;
use node::status::PortCounts;

use crate::tap::Tap;

/// Octets of an IP packet on the way to or from a host stack: an Ethernet frame's worth. Larger
/// ones (a local peer's unsegmented data) are cut before they enter.
pub const PACKET_OCTETS: usize = 2_048;

/// An IP packet from or for a host stack.
pub struct Packet {
    /// The network it came from.
    pub network: NetworkId,
    /// The packet.
    pub bytes: ArrayVec<u8, PACKET_OCTETS>,
}

/// A frame that control wants on the wire; only while the lease of a network lasts, if it speaks
/// for a virtual address there.
pub type ControlFrame = (PortId, ArrayVec<u8, 128>, Option<NetworkId>);

/// What a worker needs of a port.
pub struct Door {
    /// What is to be forwarded.
    pub receiver: Receiver,
    /// What is for the box itself; the first worker's alone.
    pub own: Option<Receiver>,
    /// The way out.
    pub transmitter: Transmitter,
}

/// A port was opened (again), or is gone.
pub struct PortChange {
    /// Which.
    pub port: PortId,
    /// Its new sockets.
    pub door: Option<Box<Door>>,
}

/// What goes back to control to be freed there: forwarders free nothing. Nobody looks inside.
#[expect(dead_code, reason = "the fields are carried for their drop")]
pub enum Retired {
    /// Replaced tables.
    Tables(Box<Tables>),
    /// A replaced port.
    Door(Box<Door>),
    /// A capture that is over.
    Tap(Box<Tap>),
}

/// Depths. Full means: …
mod depth {
    /// … control keeps the newest tables and tries again.
    pub const TABLES: usize = 4;
    /// … control keeps the change and tries again.
    pub const PORTS: usize = 64;
    /// … control tries again.
    pub const TAPS: usize = 4;
    /// … the worker does not take the next tables, port or tap until there is room.
    pub const RETIRED: usize = 128;
    /// … the event is lost; the next packet for that neighbor, or the next conflict, brings
    /// another.
    pub const EVENTS: usize = 1_024;
    /// … the worker keeps its notes, and looks for no more flows to tell of.
    pub const NOTES: usize = 2_048;
    /// … the frame is lost; questions and announcements are repeated.
    pub const FRAMES: usize = 1_024;
    /// … the packet is lost, as on a wire; TCP sends it again.
    pub const PACKETS: usize = 256;
}

/// The worker's ends.
pub struct WorkerEnds {
    pub tables: Consumer<Box<Tables>>,
    pub ports: Consumer<PortChange>,
    pub taps: Consumer<Option<Box<Tap>>>,
    pub retired: Producer<Retired>,
    pub events: Producer<Event>,
    pub notes: Producer<Note>,
    pub frames: Consumer<ControlFrame>,
    pub to_probes: Producer<Packet>,
    pub to_faces: Producer<Packet>,
    /// From probes and faces; only the first worker has any.
    pub from_stacks: Vec<Consumer<Packet>>,
    pub shared: Arc<WorkerShared>,
    /// Wakes control when there are events.
    pub control: Arc<Wake>,
    pub probes: Arc<Wake>,
    pub faces: Arc<Wake>,
}

/// Control's ends of one worker.
pub struct ControlEnds {
    pub tables: Producer<Box<Tables>>,
    pub ports: Producer<PortChange>,
    /// A capture begins, or none is wanted.
    pub taps: Producer<Option<Box<Tap>>>,
    pub retired: Consumer<Retired>,
    pub events: Consumer<Event>,
    /// Flows that other boxes would get wrong.
    pub notes: Consumer<Note>,
    pub frames: Producer<ControlFrame>,
    pub shared: Arc<WorkerShared>,
}

/// A host stack's ends.
pub struct StackEnds {
    /// From each worker.
    pub from_workers: Vec<Consumer<Packet>>,
    /// To the first worker.
    pub to_worker: Producer<Packet>,
    /// Wakes that worker.
    pub worker: Arc<WorkerShared>,
    /// Wakes this stack's thread.
    pub wake: Arc<Wake>,
}

/// What a worker shares with the others without ever waiting for them.
pub struct WorkerShared {
    /// Wakes the worker.
    pub wake: Wake,
    /// How far the worker has come.
    pub progress: Progress,
    /// The generation of the tables that the worker has.
    pub taken: AtomicU32,
    /// The newest question for all flows that other boxes would get wrong.
    pub asked: AtomicU32,
    /// Somebody wants fresh measurements.
    pub wanted: AtomicBool,
    /// The last measurements. The worker only tries the lock.
    pub measured: Mutex<Option<Box<Measurements>>>,
}

/// One worker's measurements.
pub struct Measurements {
    /// Its forwarder's counters.
    pub counters: Counters,
    /// Its flows.
    pub flows: Flows,
    /// Its ports' counts.
    pub ports: Vec<PortCounts>,
    /// When they were taken.
    pub at: Instant,
    /// The generation of the tables that the worker had then.
    pub generation: u32,
    /// For how long the worker had frames to look at, since its start.
    pub busy: Duration,
}

/// When a thread last showed that it goes on, for the others to see.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// The calling thread goes on. Nobody else says so of it.
    #[inline]
    pub fn made(&self, now: Instant) {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// When it last did.
    pub fn at(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// All ends of all channels.
pub struct Wiring {
    pub workers: Vec<WorkerEnds>,
    pub control: Vec<ControlEnds>,
    pub control_wake: Arc<Wake>,
    pub probes: StackEnds,
    pub faces: StackEnds,
}

/// Makes the channels for so many workers (at least one).
///
/// # Errors
/// When the kernel gives no event descriptor.
pub fn wire(count: usize) -> std::io::Result<Wiring> {
    let wakes = || Wake::new().map(Arc::new);
    let (control_wake, probes_wake, faces_wake) = (wakes()?, wakes()?, wakes()?);
    let mut workers = Vec::new();
    let mut control = Vec::new();
    let (mut probe_ends, mut face_ends) = (Vec::new(), Vec::new());
    for _ in 0..count.max(1) {
        let shared = Arc::new(WorkerShared {
            wake: Wake::new()?,
            progress: Progress::default(),
            taken: AtomicU32::new(0),
            asked: AtomicU32::new(0),
            wanted: AtomicBool::new(false),
            measured: Mutex::new(None),
        });
        let tables = RingBuffer::new(depth::TABLES);
        let ports = RingBuffer::new(depth::PORTS);
        let taps = RingBuffer::new(depth::TAPS);
        let retired = RingBuffer::new(depth::RETIRED);
        let events = RingBuffer::new(depth::EVENTS);
        let notes = RingBuffer::new(depth::NOTES);
        let frames = RingBuffer::new(depth::FRAMES);
        let to_probes = RingBuffer::new(depth::PACKETS);
        let to_faces = RingBuffer::new(depth::PACKETS);
        probe_ends.push(to_probes.1);
        face_ends.push(to_faces.1);
        workers.push(WorkerEnds {
            tables: tables.1,
            ports: ports.1,
            taps: taps.1,
            retired: retired.0,
            events: events.0,
            notes: notes.0,
            frames: frames.1,
            to_probes: to_probes.0,
            to_faces: to_faces.0,
            from_stacks: Vec::new(),
            shared: shared.clone(),
            control: control_wake.clone(),
            probes: probes_wake.clone(),
            faces: faces_wake.clone(),
        });
        control.push(ControlEnds {
            tables: tables.0,
            ports: ports.0,
            taps: taps.0,
            retired: retired.1,
            events: events.1,
            notes: notes.1,
            frames: frames.0,
            shared,
        });
    }
    let first = &mut workers[0];
    let mut stack = |from_workers, wake| {
        let packets = RingBuffer::new(depth::PACKETS);
        first.from_stacks.push(packets.1);
        StackEnds { from_workers, to_worker: packets.0, worker: first.shared.clone(), wake }
    };
    let probes = stack(probe_ends, probes_wake);
    let faces = stack(face_ends, faces_wake);
    Ok(Wiring { workers, control, control_wake, probes, faces })
}
