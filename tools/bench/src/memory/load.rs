//! Frames written into slots as the kernel would, and bursts of them timed.

use super::processor_time;
use super::scene::{Scene, Step};
use crate::BenchError;
use arrayvec::ArrayVec;
use base::rng::Rng;
use base::{Frame, Offload, ServerId};
use dataplane::Verdict;
use model::limits::{BURST, EXPIRY_IDLE_STEP, EXPIRY_ROUND};
use std::time::Duration;

/// Octets of a slot, as in a receive ring.
const SLOT: usize = 31 * 64;
/// Slots, as in a receive ring.
pub const SLOTS: u32 = 4_096;
/// Where the frame starts in its slot.
const HEADROOM: usize = 66;
/// Frames written before some of them are timed: those are not in the first-level cache any more.
const LOT: u32 = SLOTS / 4;
/// Frames a second that the simulated clock assumes: it decides how much of the round through all
/// flow records falls to a frame.
const FRAMES_PER_SECOND: u64 = 1_000_000;

/// A ring of slots in memory.
pub struct Load {
    slots: Vec<u8>,
    lengths: Vec<usize>,
    servers: Vec<ServerId>,
    rng: Rng,
}

impl Load {
    /// Empty slots.
    pub fn new(seed: u64) -> Self {
        Self {
            slots: vec![0; SLOTS as usize * SLOT],
            lengths: Vec::with_capacity(SLOTS as usize),
            servers: Vec::with_capacity(SLOTS as usize),
            rng: Rng::new(seed),
        }
    }

    /// Lets flows begin until there are so many, with the whole handshake of each. Gives the
    /// seconds that each of the handshake's three steps takes.
    pub fn establish(&mut self, scene: &mut Scene, until: u32) -> Result<[f64; 3], BenchError> {
        let mut times = [Duration::ZERO; 3];
        let first = scene.flows();
        while scene.flows() < until {
            let begin = scene.flows();
            let end = until.min(begin + SLOTS);
            let steps = [Step::Syn, Step::SynAck, Step::Request];
            for (step, time) in steps.into_iter().zip(&mut times) {
                self.fill(scene, (begin..end).map(|flow| (flow, step)));
                *time += self.send(scene, step, BURST)?;
                if step == Step::Syn {
                    self.servers.iter().for_each(|&server| scene.begun(server));
                }
            }
        }
        let flows = f64::from((until - first).max(1));
        Ok(times.map(|time| time.as_secs_f64() / flows))
    }

    /// Seconds for a frame of a random established flow, over so many frames in such bursts, from
    /// clients and from servers by turns.
    pub fn measure(
        &mut self,
        scene: &mut Scene,
        burst: usize,
        frames: u32,
    ) -> Result<f64, BenchError> {
        let lots = frames.div_ceil(LOT);
        let mut time = Duration::ZERO;
        for step in [Step::Request, Step::Reply].into_iter().cycle().take(lots as usize) {
            let mut rng = self.rng.clone();
            let flows = u64::from(scene.flows());
            let mut any = || u32::try_from(rng.below(flows)).unwrap_or_default();
            self.fill(scene, (0..LOT).map(|_| (any(), step)));
            self.rng = rng;
            time += self.send(scene, step, burst)?;
        }
        Ok(time.as_secs_f64() / f64::from(lots * LOT))
    }

    /// Resets all flows but the first ones.
    pub fn reset(&mut self, scene: &mut Scene, left: u32) -> Result<(), BenchError> {
        let (mut begin, end) = (left, scene.flows());
        while begin < end {
            let some = SLOTS.min(end - begin);
            self.fill(scene, (begin..begin + some).map(|flow| (flow, Step::Reset)));
            self.send(scene, Step::Reset, BURST)?;
            begin += some;
        }
        scene.truncate(left);
        Ok(())
    }

    /// Lets time pass, and then one round through all records of flows. The seconds of each record.
    pub fn go_round(&mut self, scene: &mut Scene, after: Duration) -> Result<f64, BenchError> {
        let records = scene.forwarder.flows().used();
        let mut time = Duration::ZERO;
        scene.now += after;
        let end = scene.now + EXPIRY_ROUND;
        while scene.now < end {
            let begin = processor_time()?;
            scene.out.clear();
            scene.forwarder.handle_timeout(scene.now, &scene.tables, &mut scene.out);
            time += processor_time()? - begin;
            scene.now += EXPIRY_IDLE_STEP;
        }
        Ok(time.as_secs_f64() / f64::from(records.max(1)))
    }

    fn fill(&mut self, scene: &Scene, frames: impl Iterator<Item = (u32, Step)>) {
        self.lengths.clear();
        for ((flow, step), slot) in frames.zip(self.slots.chunks_exact_mut(SLOT)) {
            self.lengths.push(scene.write(&mut slot[HEADROOM..], flow, step));
        }
    }

    /// The time that the forwarder needs for what lies in the slots. All of it must be forwarded;
    /// to whom or from whom is noted.
    fn send(
        &mut self,
        scene: &mut Scene,
        step: Step,
        burst: usize,
    ) -> Result<Duration, BenchError> {
        self.servers.clear();
        let Scene { forwarder, tables, out, now, .. } = scene;
        let slots = self.slots.chunks_exact_mut(SLOT).zip(&self.lengths);
        let mut waiting = slots.map(|(slot, &length)| &mut slot[HEADROOM..HEADROOM + length]);
        let mut refused = None;
        let begin = processor_time()?;
        loop {
            let mut frames = ArrayVec::<Frame<'_>, BURST>::new();
            for bytes in waiting.by_ref().take(burst) {
                frames.push(Frame { bytes, offload: Offload::NONE });
            }
            if frames.is_empty() {
                break;
            }
            out.clear();
            forwarder.burst(*now, tables, step.port(), &mut frames, out);
            for verdict in &out.verdicts {
                if let Verdict::Forward { server: Some(server), .. } = *verdict {
                    self.servers.push(server);
                } else {
                    refused = Some(*verdict);
                }
            }
            *now += Duration::from_nanos(frames.len() as u64 * 1_000_000_000 / FRAMES_PER_SECOND);
        }
        let time = processor_time()? - begin;
        match refused {
            None => Ok(time),
            Some(verdict) => Err(BenchError::CannotMeasure(format!(
                "a frame of {step:?} was not forwarded: {verdict:?}"
            ))),
        }
    }
}
