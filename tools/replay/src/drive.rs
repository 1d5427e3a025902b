//! The forwarder over the frames, one at a time, in simulated time.

use std::collections::BTreeMap;
use std::time::Duration;

use base::{Frame, Instant, Offload};
use dataplane::{Capacity, Forwarder, HeldId, Output, Source, Verdict};
use model::limits::FLOWS_DEFAULT;
use packet::pcap::Writer;

use crate::input::Input;
use crate::setup::{SEED, World};

/// How far a silence is stepped through while nothing waits: flows that end in it are found
/// ended by the next packet all the same, so a capture of days costs no more than its frames.
const SILENCE: Duration = Duration::from_secs(10);

/// What came of it.
pub struct Outcome {
    /// The final verdict of each input frame.
    pub verdicts: Vec<Verdict>,
    /// What was sent on each network, by the networks' numbers.
    pub sent: Vec<Writer>,
    /// How many frames that is.
    pub sent_frames: usize,
}

/// Runs the frames through a new forwarder.
pub fn drive(world: &World, frames: &[Input<'_>]) -> Outcome {
    let mut run = Run::new(world, frames);
    for (index, frame) in frames.iter().enumerate() {
        run.wait_until(frame.time);
        run.receive(index, frame);
    }
    run.wait_for_held();
    Outcome { verdicts: run.verdicts, sent: run.sent, sent_frames: run.sent_frames }
}

struct Run<'a> {
    world: &'a World,
    forwarder: Forwarder,
    out: Output,
    verdicts: Vec<Verdict>,
    /// Which input frames wait.
    held: BTreeMap<HeldId, usize>,
    sent: Vec<Writer>,
    sent_frames: usize,
    /// The capture's time at the forwarder's zero.
    start: Instant,
    /// The capture's time of the last frame received.
    last: Instant,
    now: Instant,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, frames: &[Input<'_>]) -> Self {
        let capacity = Capacity {
            flows: u32::try_from(FLOWS_DEFAULT).unwrap_or(u32::MAX),
            services: world.plan.config().services.len(),
            servers: world.plan.members().len(),
        };
        let start = frames.first().map_or(Instant::ZERO, |frame| frame.time);
        Self {
            world,
            forwarder: Forwarder::new(capacity, SEED),
            out: Output::default(),
            verdicts: Vec::with_capacity(frames.len()),
            held: BTreeMap::new(),
            sent: world.networks().map(|_| Writer::new()).collect(),
            sent_frames: 0,
            start,
            last: start,
            now: Instant::ZERO,
        }
    }

    /// Lets time pass up to a frame's.
    fn wait_until(&mut self, time: Instant) {
        let until = Instant::ZERO + time.since(self.start);
        let stepped = self.now + SILENCE;
        while let Some(deadline) = self.forwarder.next_deadline()
            && deadline < until
            && (!self.held.is_empty() || deadline < stepped)
        {
            self.time_out(deadline);
        }
        self.now = until;
        self.last = time;
    }

    /// Lets time pass until nothing waits.
    fn wait_for_held(&mut self) {
        while !self.held.is_empty()
            && let Some(deadline) = self.forwarder.next_deadline()
        {
            self.time_out(deadline);
        }
    }

    fn time_out(&mut self, deadline: Instant) {
        self.now = self.now.max(deadline);
        self.out.clear();
        self.forwarder.handle_timeout(self.now, &self.world.tables, &mut self.out);
        self.collect(&[]);
    }

    fn receive(&mut self, index: usize, input: &Input<'_>) {
        let mut bytes = input.bytes.to_vec();
        self.out.clear();
        let mut burst = [Frame { bytes: &mut bytes, offload: Offload::NONE }];
        let (forwarder, tables) = (&mut self.forwarder, &self.world.tables);
        forwarder.burst(self.now, tables, input.port, &mut burst, &mut self.out);
        let verdict = self.out.verdicts.first().copied();
        let verdict = verdict.expect("a burst gives a verdict for each of its frames");
        if let Verdict::Held(id) = verdict {
            self.held.insert(id, index);
        }
        self.verdicts.push(verdict);
        self.collect(&bytes);
    }

    /// Notes what was sent and which waiting frames are decided.
    fn collect(&mut self, received: &[u8]) {
        for transmit in &self.out.transmit {
            let bytes = match transmit.source {
                Source::Received { length, .. } => &received[..length as usize],
                Source::Generated { .. } => self.out.bytes(transmit.source),
            };
            let network = self.world.tables.port(transmit.port).map(|port| port.network);
            let file = network.and_then(|network| self.sent.get_mut(network.index()));
            let file = file.expect("every port of the node is on a network of the document");
            // Frames that waited go out when another one came: that one caused them.
            file.push(self.last, bytes);
            self.sent_frames += 1;
        }
        for &(id, verdict) in &self.out.resolved {
            if let Some(index) = self.held.remove(&id) {
                self.verdicts[index] = verdict;
            }
        }
    }
}
