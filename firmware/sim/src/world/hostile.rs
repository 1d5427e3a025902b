//! Somebody on the network who records everything, sends it again, and invents more.

use super::{Event, World};
use crate::draw::{Draw, MILLISECOND, SECOND};
use crate::network::Segment;
use crate::network::frame::{Body, Content, Datagram, Frame, Station};
use crate::plan::Class;
use std::rc::Rc;

/// Datagrams that are kept: the newest, and as many from any time before.
const RECORDED: usize = 512;

/// What was seen on the networks.
pub(super) struct Recorder {
    newest: Vec<(usize, Frame)>,
    any: Vec<(usize, Frame)>,
    seen: usize,
    pub draw: Draw,
}

impl Recorder {
    pub fn new(seed: u64) -> Self {
        Self { newest: Vec::new(), any: Vec::new(), seen: 0, draw: Draw::new(seed, "hostile") }
    }

    /// Takes note of a sealed datagram.
    pub fn record(&mut self, network: usize, frame: &Frame) {
        let Body::Datagram(datagram) = &frame.body else { return };
        if !matches!(datagram.content, Content::Sealed(_)) {
            return;
        }
        self.seen += 1;
        keep(&mut self.newest, self.seen % RECORDED, network, frame);
        let place = self.draw.below(self.seen);
        if place < RECORDED {
            keep(&mut self.any, place, network, frame);
        }
    }

    fn any(&mut self) -> Option<(usize, Frame)> {
        let from = if self.draw.chance(500) { &self.newest } else { &self.any };
        if from.is_empty() { None } else { from.get(self.draw.below(from.len())).cloned() }
    }
}

fn keep(list: &mut Vec<(usize, Frame)>, place: usize, network: usize, frame: &Frame) {
    match list.get_mut(place) {
        Some(old) => *old = (network, frame.clone()),
        None => list.push((network, frame.clone())),
    }
}

impl World {
    /// Foresees the first hostile datagram, and the first step of a change of the secret.
    pub(super) fn schedule_hostile(&mut self) {
        let classes = self.plan.classes;
        if self.plan.sealed && (classes.has(Class::Replay) || classes.has(Class::Forge)) {
            self.queue.push(SECOND, Event::Inject);
        }
        if self.plan.sealed && classes.has(Class::KeyRotation) {
            self.queue.push(2 * SECOND, Event::Rotate { step: 0 });
        }
    }

    /// Every node takes the next step of a change of the secret, one after the other as an agreed
    /// configuration reaches them.
    pub(super) fn rotate(&mut self, step: usize) {
        let (node, step_of_all) = (step % self.plan.nodes, step / self.plan.nodes + 1);
        if let Some(life) = &mut self.nodes[node].life
            && let Some(sealing) = &mut life.sealing
        {
            sealing.rotate(step_of_all);
        }
        self.rotated[node] = step_of_all;
        let last = node + 1 == self.plan.nodes;
        let wait = if last { SECOND } else { self.recorder.draw.between(0, 50) * MILLISECOND };
        self.queue.push(self.now + wait, Event::Rotate { step: step + 1 });
    }

    /// Sends a datagram that was recorded, as it was or changed, on any network, to anybody.
    pub(super) fn inject(&mut self) {
        if !self.foul {
            return;
        }
        let draw = &mut self.recorder.draw;
        let next = self.now + draw.heavy_tail(MILLISECOND / 2, 100 * MILLISECOND);
        self.queue.push(next, Event::Inject);
        let classes = self.plan.classes;
        let forge = classes.has(Class::Forge)
            && (!classes.has(Class::Replay) || self.recorder.draw.chance(500));
        let Some((mut network, mut frame)) = self.recorder.any() else { return };
        let draw = &mut self.recorder.draw;
        if draw.chance(200) {
            network = draw.below(self.plan.networks);
        }
        let mut to = frame.destination.host().unwrap_or_default();
        if draw.chance(100) {
            to = draw.below(self.plan.nodes);
        }
        if forge {
            let Some(forged) = forged(&frame, draw) else { return };
            frame = forged;
        }
        frame.destination = Segment::station(to);
        self.queue.push(self.now, Event::Arrive { network, to, frame });
    }
}

/// A datagram like another, but not what its sender sealed.
fn forged(frame: &Frame, draw: &mut Draw) -> Option<Frame> {
    let Body::Datagram(datagram) = &frame.body else { return None };
    let Content::Sealed(octets) = &datagram.content else { return None };
    let mut octets = octets.clone();
    match draw.below(4) {
        0 => octets.truncate(draw.below(octets.len())),
        1 => octets.extend((0..draw.below(1_500)).map(|_| draw.seed() as u8)),
        2 => octets = (0..draw.below(1_500)).map(|_| draw.seed() as u8).collect(),
        _ => {
            for _ in 0..=draw.below(3) {
                let header = draw.chance(500);
                let place = draw.below(octets.len().min(if header { 48 } else { 9_999 }));
                if let Some(octet) = octets.get_mut(place) {
                    *octet ^= 1 << draw.below(8);
                }
            }
        }
    }
    if matches!(&datagram.content, Content::Sealed(original) if *original == octets) {
        return None;
    }
    let body = Body::Datagram(Rc::new(Datagram { content: Content::Sealed(octets), ..**datagram }));
    Some(Frame { source: Station::of_host(0), destination: frame.destination, body })
}
