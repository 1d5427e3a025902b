//! forward-k: one worker's loop. Batch in, decide, batch out.
//!
//! After its start it neither allocates, frees, locks, logs nor waits for another thread. Tables
//! and ports that were replaced go back to control to be freed; of the lock around the
//! measurements it only ever tries the handle.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrayvec::ArrayVec;
use base::{Frame, Instant, Offload, PortId};
use dataplane::output::Own;
use dataplane::{Forwarder, Output, OwnTarget, Pressure, Source, Tables};
use model::limits::{BURST, OUTPUT_FRAMES, PORTS};
use model::status::{Counter, Direction, Flows};
use netio::{Apart, Batch, Receiver, Sent, Transmitter};
use node::status::PortCounts;
use packet::headers::{self, Body};
use packet::segment;
use rtrb::Producer;

use crate::clock;
use crate::gates::Gates;
use crate::tap::Tap;
use crate::wiring::{Door, Measurements, PACKET_OCTETS, Packet, PortChange, Retired, WorkerEnds};

/// Without frames the worker looks around this often: the proof that it makes progress.
const IDLE: Duration = Duration::from_millis(250);

/// How often to ask whether the worker is still pinned to a core: an administrator may do that to a
/// running one.
const PINNED: Duration = Duration::from_secs(1);

/// One worker.
pub struct Worker {
    ends: WorkerEnds,
    forwarder: Forwarder,
    gates: Arc<Gates>,
    tables: Box<Tables>,
    doors: [Option<Box<Door>>; PORTS],
    counts: [PortCounts; PORTS],
    /// A capture that is under way.
    tap: Option<Box<Tap>>,
    out: Box<Output>,
    /// How long to look for frames before going to sleep, while the core is the worker's own.
    spin: Duration,
    pinned: bool,
    /// When that was last looked at.
    pinned_at: Instant,
    /// For how long there have been frames to look at, since the start.
    busy: Duration,
}

impl Worker {
    /// A worker that has neither tables nor ports yet.
    pub fn new(ends: WorkerEnds, forwarder: Forwarder, gates: Arc<Gates>, spin: Duration) -> Self {
        Self {
            ends,
            gates,
            forwarder,
            tables: Box::default(),
            doors: std::array::from_fn(|_| None),
            counts: std::array::from_fn(|_| PortCounts::default()),
            tap: None,
            out: Box::default(),
            spin,
            pinned: false,
            pinned_at: Instant::ZERO,
            busy: Duration::ZERO,
        }
    }

    /// Forwards for ever.
    pub fn run(mut self) -> ! {
        let mut idle_since: Option<Instant> = None;
        let mut busy_since: Option<Instant> = None;
        loop {
            let now = clock::now();
            self.ends.shared.progress.made(now);
            self.take_changes();
            if let Some(since) = busy_since.take() {
                self.busy += now.since(since);
            }
            let mut busy = false;
            for port in 0..PORTS {
                busy |= self.receive(now, port, Ring::Own);
                busy |= self.receive(now, port, Ring::Others);
            }
            busy |= self.send_for_others(now);
            self.forwarder.ask_for_flows(self.ends.shared.asked.load(Ordering::Relaxed));
            self.look_at_time(now);
            self.pass_notes();
            self.measure(now);
            if busy {
                busy_since = Some(now);
                idle_since = None;
                continue;
            }
            let since = *idle_since.get_or_insert(now);
            if self.pinned && now.since(since) < self.spin {
                // The kernel's own thread for what arrives may have to run on this core.
                std::thread::yield_now();
                continue;
            }
            self.sleep(now);
        }
    }

    /// One batch of one port. Whether there was any.
    fn receive(&mut self, now: Instant, port: usize, ring: Ring) -> bool {
        // The door leaves its place while its frames are in hand: they may go out by any port.
        let Some(mut door) = self.doors[port].take() else { return false };
        let Door { receiver, own, transmitter } = &mut *door;
        let behind = receiver.is_behind();
        self.forwarder.set_pressure(if behind { Pressure::High } else { Pressure::None });
        let batch = match ring {
            Ring::Own => own.as_mut().map(|own| own.batch(Apart::BATCH)),
            Ring::Others => Some(receiver.batch(BURST)),
        };
        let busy = batch.is_some_and(|batch| self.pass_on(now, port, batch, transmitter));
        self.doors[port] = Some(door);
        busy
    }

    /// Handles the frames of a batch that came in by a port, and sends what leaves. Whether there
    /// was any.
    fn pass_on(
        &mut self,
        now: Instant,
        port: usize,
        mut batch: Batch<'_>,
        transmitter: &mut Transmitter,
    ) -> bool {
        if batch.is_empty() {
            return false;
        }
        let mut frames = batch.frames();
        let octets: u64 = frames.iter().map(|frame| frame.bytes.len() as u64).sum();
        self.counts[port].received.frames += frames.len() as u64;
        self.counts[port].received.octets += octets;
        if let Some(tap) = &mut self.tap {
            let bytes = frames.iter().map(|frame| &*frame.bytes);
            tap.look(clock::now(), port, Direction::In, bytes);
        }
        self.out.clear();
        self.forwarder.set_leases(self.gates.until());
        self.forwarder.burst(now, &self.tables, PortId::from(port), &mut frames, &mut self.out);
        self.hand_over(&mut frames);
        for to in ports_of(&self.out) {
            let others = self.doors[to].as_mut().map(|door| &mut door.transmitter);
            let way_out = if to == port { Some(&mut *transmitter) } else { others };
            transmit(&self.out, &frames, to, way_out, &mut self.counts[to], &mut self.tap);
        }
        self.report();
        true
    }

    /// Frames of control, packets of the host stacks.
    fn send_for_others(&mut self, now: Instant) -> bool {
        let mut busy = false;
        for _ in 0..BURST {
            let Ok((port, frame, lease)) = self.ends.frames.pop() else { break };
            busy = true;
            // At the last moment: control may have stood still since it wanted this.
            if lease.is_some_and(|network| !self.gates.open(clock::now(), network)) {
                continue;
            }
            if let Some(door) = self.doors.get_mut(port.index()).and_then(Option::as_mut) {
                if let Some(tap) = &mut self.tap {
                    tap.look(clock::now(), port.index(), Direction::Out, [&frame[..]].into_iter());
                }
                let sent = door.transmitter.send(&[(&frame, Offload::NONE)]);
                count_sent(&mut self.counts[port.index()], &sent, frame.len() as u64);
            }
        }
        for stack in 0..self.ends.from_stacks.len() {
            for _ in 0..BURST {
                let Ok(packet) = self.ends.from_stacks[stack].pop() else { break };
                busy = true;
                self.out.clear();
                self.forwarder.originate(now, &self.tables, &packet.bytes, &mut self.out);
                self.send_generated();
            }
        }
        busy
    }

    fn look_at_time(&mut self, now: Instant) {
        if self.forwarder.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.time_out(now);
        }
    }

    fn time_out(&mut self, now: Instant) {
        self.out.clear();
        self.forwarder.handle_timeout(now, &self.tables, &mut self.out);
        self.send_generated();
    }

    /// Sends what the forwarder generated when no burst was at hand.
    fn send_generated(&mut self) {
        for port in ports_of(&self.out) {
            let way_out = self.doors[port].as_mut().map(|door| &mut door.transmitter);
            transmit(&self.out, &[], port, way_out, &mut self.counts[port], &mut self.tap);
        }
        self.report();
    }

    /// Takes new tables and ports, if there is room to give the old ones back.
    fn take_changes(&mut self) {
        while self.ends.retired.slots() > 0
            && let Ok(tables) = self.ends.tables.pop()
        {
            let old = std::mem::replace(&mut self.tables, tables);
            self.ends.shared.taken.store(self.tables.generation, Ordering::Release);
            self.ends.control.wake();
            // There is room: we are the only producer.
            let _ = self.ends.retired.push(Retired::Tables(old));
            // What waited for a neighbor may go now.
            self.time_out(clock::now());
        }
        while self.ends.retired.slots() > 0
            && let Ok(PortChange { port, door }) = self.ends.ports.pop()
        {
            let Some(place) = self.doors.get_mut(port.index()) else { continue };
            self.counts[port.index()].present = door.is_some();
            if let Some(old) = std::mem::replace(place, door) {
                let _ = self.ends.retired.push(Retired::Door(old));
            }
        }
        while self.ends.retired.slots() > 0
            && let Ok(tap) = self.ends.taps.pop()
        {
            if let Some(old) = std::mem::replace(&mut self.tap, tap) {
                let _ = self.ends.retired.push(Retired::Tap(old));
            }
        }
    }

    /// Copies packets for our own addresses to the host stacks.
    fn hand_over(&mut self, frames: &mut [Frame<'_>]) {
        let (mut probes, mut faces) = (false, false);
        for own in &self.out.own {
            let Some(frame) = frames.get(usize::from(own.index)) else { continue };
            match own.target {
                OwnTarget::Probes => probes |= deliver(&mut self.ends.to_probes, own, frame),
                OwnTarget::Faces => faces |= deliver(&mut self.ends.to_faces, own, frame),
            }
        }
        if probes {
            self.ends.probes.wake();
        }
        if faces {
            self.ends.faces.wake();
        }
    }

    /// Tells control what the forwarder noticed.
    fn report(&mut self) {
        for event in &self.out.events {
            // Full: see `wiring::depth::EVENTS`.
            let _ = self.ends.events.push(*event);
        }
        if !self.out.events.is_empty() {
            self.ends.control.wake();
        }
    }

    /// Tells control which flows other boxes would get wrong. What there is no room for waits in
    /// the forwarder.
    fn pass_notes(&mut self) {
        let mut told = false;
        while self.ends.notes.slots() > 0
            && let Some(note) = self.forwarder.poll_note()
        {
            told |= self.ends.notes.push(note).is_ok();
        }
        if told {
            self.ends.control.wake();
        }
    }

    /// Writes fresh measurements if somebody wants them and nobody holds the lock.
    fn measure(&mut self, now: Instant) {
        if !self.ends.shared.wanted.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut place) = self.ends.shared.measured.try_lock() else { return };
        let Some(measured) = place.as_mut() else { return };
        measured.at = now;
        measured.generation = self.tables.generation;
        measured.busy = self.busy;
        measured.counters.copy(self.forwarder.counters());
        measure_flows(&self.forwarder, &mut measured.flows);
        for (port, into) in measured.ports.iter_mut().enumerate().take(PORTS) {
            if let Some(door) = self.doors[port].as_mut() {
                let rings = [Some(&mut door.receiver), door.own.as_mut()];
                let kernel = rings.into_iter().flatten().map(Receiver::statistics);
                self.counts[port].dropped =
                    kernel.map(|it| it.dropped + it.truncated + it.foreign).sum();
            }
            into.clone_from(&self.counts[port]);
        }
        self.ends.shared.wanted.store(false, Ordering::Release);
        self.ends.control.wake();
    }

    /// Waits for frames, for a wake, or for the next deadline.
    fn sleep(&mut self, now: Instant) {
        let deadline = self.forwarder.next_deadline().map(|at| at.since(now)).unwrap_or(IDLE);
        let mut fds = ArrayVec::<_, { 2 * PORTS + 1 }>::new();
        fds.push(self.ends.shared.wake.fd());
        for door in self.doors.iter().flatten() {
            fds.extend(
                [Some(&door.receiver), door.own.as_ref()].into_iter().flatten().map(Receiver::fd),
            );
        }
        let ready = netio::wait(&fds, Some(deadline.min(IDLE)));
        if now.since(self.pinned_at) >= PINNED {
            (self.pinned, self.pinned_at) = (init::thread::is_on_one_core(), now);
        }
        if ready.readable & 1 != 0 {
            self.ends.shared.wake.drain();
        }
    }
}

/// Which of a port's rings.
#[derive(Clone, Copy)]
enum Ring {
    /// Of what is for the box itself.
    Own,
    /// Of what is to be forwarded.
    Others,
}

/// The ports that frames go out by, each once.
fn ports_of(out: &Output) -> impl Iterator<Item = usize> + use<> {
    let set = out.transmit.iter().fold(0u32, |set, it| set | 1 << (it.port.index() % PORTS));
    (0..PORTS).filter(move |port| set & 1 << port != 0)
}

/// Sends the frames that go out by one port, in order.
fn transmit(
    out: &Output,
    frames: &[Frame<'_>],
    port: usize,
    transmitter: Option<&mut Transmitter>,
    counts: &mut PortCounts,
    tap: &mut Option<Box<Tap>>,
) {
    let mut list = ArrayVec::<(&[u8], Offload), OUTPUT_FRAMES>::new();
    let mut octets = 0;
    for transmit in out.transmit.iter().filter(|transmit| transmit.port.index() == port) {
        let bytes = match transmit.source {
            Source::Received { index, length } => {
                let Some(frame) = frames.get(usize::from(index)) else { continue };
                &frame.bytes[..(length as usize).min(frame.bytes.len())]
            }
            Source::Generated { .. } => out.bytes(transmit.source),
        };
        octets += bytes.len() as u64;
        list.push((bytes, transmit.offload));
    }
    if list.is_empty() {
        return;
    }
    match transmitter {
        Some(transmitter) => {
            if let Some(tap) = tap {
                let frames = list.iter().map(|(bytes, _)| *bytes);
                tap.look(clock::now(), port, Direction::Out, frames);
            }
            count_sent(counts, &transmitter.send(&list), octets);
        }
        None => counts.unsent += list.len() as u64,
    }
}

fn count_sent(counts: &mut PortCounts, sent: &Sent, octets: u64) {
    counts.sent.frames += u64::from(sent.sent);
    let lost = sent.queue_full + sent.link_down + sent.vanished + sent.too_long + sent.refused;
    counts.unsent += u64::from(lost);
    if lost == 0 {
        counts.sent.octets += octets;
    }
}

/// Copies one packet into a host stack's queue; a large one from a local peer in segments.
/// Whether anything was put in.
fn deliver(queue: &mut Producer<Packet>, own: &Own, frame: &Frame<'_>) -> bool {
    let (start, end) = (own.start as usize, own.end as usize);
    let Some(packet) = frame.bytes.get(start..end) else { return false };
    let mut put = |bytes: &[u8]| {
        let Ok(bytes) = ArrayVec::try_from(bytes) else { return false };
        queue.push(Packet { network: own.network, bytes }).is_ok()
    };
    if packet.len() <= PACKET_OCTETS && frame.offload.gso == base::Gso::None {
        return put(packet);
    }
    let Ok(headers) = headers::parse(frame.bytes) else { return false };
    let Body::Ip(ip) = headers.body else { return false };
    let mut any = false;
    let mut piece = [0; PACKET_OCTETS];
    for index in 0.. {
        let length = segment::segment(&mut piece, frame.bytes, &ip, &frame.offload, index);
        let Some(packet) = length.and_then(|length| piece.get(start..length)) else { break };
        any |= put(packet);
    }
    any
}

/// Fills in the numbers; the names are there.
fn measure_flows(forwarder: &Forwarder, flows: &mut Flows) {
    use dataplane::flow::Class;
    let classes = [Class::HalfOpen, Class::Established, Class::Closing, Class::Datagram];
    let table = forwarder.flows();
    flows.capacity = u64::from(table.capacity());
    for (counter, class) in flows.states.iter_mut().zip(classes) {
        counter.value = u64::from(table.count(class));
    }
}

/// Measurements for a worker to fill: all memory is there beforehand.
pub fn empty_measurements(services: usize, servers: usize) -> Box<Measurements> {
    let names = ["half-open", "established", "closing", "udp"];
    let state = |name: &str| Counter { name: name.to_owned(), value: 0 };
    Box::new(Measurements {
        counters: dataplane::Counters::new(services, servers),
        flows: Flows { capacity: 0, states: names.map(state).into() },
        ports: vec![PortCounts::default(); PORTS],
        at: Instant::ZERO,
        generation: 0,
        busy: Duration::ZERO,
    })
}
