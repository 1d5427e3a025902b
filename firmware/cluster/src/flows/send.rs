//! The owner's side: who follows, how far each has come, and what to send next.

use alloc::vec::Vec;

use base::Instant;
use base::time::Duration;
use model::limits::{CLUSTER_BODY, FLOW_COPY_WINDOW, NODES};

use super::wire::{CHANGE_OCTETS, Message, Packer, SEGMENT_OCTETS, Segment, Want};
use super::{Flows, Part, Place};
use crate::{Peer, wire::encode};

/// Who has not asked for so long does not follow any more.
const FORGET: Duration = Duration::from_secs(3);
/// An acknowledgement comes sooner than this, or something got lost.
const RETRY: Duration = Duration::from_millis(100);
/// Octets of a message around its segments.
const FRAME: usize = 4;

/// Somebody who follows an address.
#[derive(Debug)]
pub struct Subscriber {
    peer: Peer,
    stream: u32,
    /// What it said it has, and what was sent to it.
    acked: u64,
    sent: u64,
    sent_at: Instant,
    /// Segments since it acknowledged something.
    ahead: u32,
    /// It asked, and is to be answered even if there is nothing new.
    due: bool,
    asked_at: Instant,
    /// It wants to know when everything is there: what the forwarders were asked for it, and the
    /// change that they had come to when they had answered.
    sure: Option<(u32, Option<u64>)>,
}

impl Subscriber {
    /// Goes back to a change; to the beginning only in a new stream, as those who have something
    /// of the old one may miss what was forgotten since.
    fn rewind(&mut self, to: u64, streams: &mut u32) {
        if to == 0 {
            *streams += 1;
            self.stream = *streams;
        }
        (self.acked, self.sent, self.ahead) = (to, to, 0);
    }
}

impl Flows {
    /// Somebody says how much of an address it has.
    pub(super) fn take_want(&mut self, from: Peer, want: Want) {
        let now = self.clock;
        let Some(vip) = self.find(want.vip) else { return };
        let Some(place) = self.places.get(vip).filter(|it| it.part == Part::Owner) else { return };
        let floor = place.shard.floor();
        let key = (from.id, vip);
        if self.subscribers.get(&key).is_none_or(|known| known.peer != from) {
            let others = self.subscribers.keys().filter(|(_, of)| *of == vip).count();
            if others >= NODES {
                return;
            }
            self.streams += 1;
            let new = Subscriber {
                peer: from,
                stream: self.streams,
                acked: 0,
                sent: 0,
                sent_at: Instant::ZERO,
                ahead: 0,
                due: true,
                asked_at: now,
                sure: None,
            };
            self.subscribers.insert(key, new);
        }
        let wants_question = want.sure
            && self.subscribers.get(&key).is_some_and(|subscriber| subscriber.sure.is_none());
        let question = wants_question.then(|| self.ask());
        let Some(subscriber) = self.subscribers.get_mut(&key) else { return };
        (subscriber.due, subscriber.asked_at) = (true, now);
        subscriber.sure = match (want.sure, question) {
            (true, Some(question)) => Some((question, None)),
            (true, None) => subscriber.sure,
            (false, _) => None,
        };
        let waited = now.since(subscriber.sent_at) >= RETRY;
        if (want.start, want.stream) == (self.own, subscriber.stream) {
            if want.have > subscriber.acked && want.have <= subscriber.sent {
                (subscriber.acked, subscriber.ahead) = (want.have, 0);
            }
            let behind = subscriber.acked < subscriber.sent;
            if behind && (want.gap || waited) {
                let to = if subscriber.acked < floor { 0 } else { subscriber.acked };
                subscriber.rewind(to, &mut self.streams);
                self.counts.resent += 1;
            }
        } else if subscriber.sent > 0 && (waited || want.gap || subscriber.acked > 0) {
            // It has nothing of this stream, and what was sent has had the time to arrive.
            subscriber.rewind(0, &mut self.streams);
            self.counts.resent += 1;
        }
        self.tick_at = self.tick_at.min(now);
    }

    /// Sends what followers lack. Whether there is more than could be sent.
    pub(super) fn send(&mut self) -> bool {
        let now = self.clock;
        self.subscribers.retain(|_, subscriber| now.since(subscriber.asked_at) < FORGET);
        self.clear_graves();
        let mut nodes: Vec<_> = self.subscribers.keys().map(|(node, _)| *node).collect();
        nodes.dedup();
        for node in nodes {
            loop {
                let (segments, more) = self.body(node);
                if segments.is_empty() {
                    break;
                }
                if let Some(body) = encode(&Message::Copies(segments)) {
                    self.counts.sent += 1;
                    self.counts.octets += body.len() as u64;
                    self.out.push_back((node, body));
                }
                if !more {
                    break;
                }
                if self.rate.next() > now {
                    return true;
                }
            }
        }
        let behind = |of: &Subscriber, place: &Place| {
            of.sent < place.shard.head() && of.ahead < FLOW_COPY_WINDOW
        };
        self.subscribers
            .iter()
            .any(|((_, vip), of)| self.places.get(*vip).is_some_and(|place| behind(of, place)))
    }

    /// The segments of one datagram to a node, and whether there is more for it.
    fn body(&mut self, node: base::NodeId) -> (Vec<Segment>, bool) {
        let mut segments = Vec::new();
        let mut room = CLUSTER_BODY - FRAME;
        let told: Vec<(usize, bool)> = self
            .subscribers
            .range((node, 0)..=(node, usize::MAX))
            .map(|((_, vip), it)| (*vip, it.sure.is_some_and(|(asked, _)| self.told(asked))))
            .collect();
        for (vip, told) in told {
            let (Some(place), Some(subscriber)) =
                (self.places.get(vip), self.subscribers.get_mut(&(node, vip)))
            else {
                continue;
            };
            let head = place.shard.head();
            if subscriber.sent < place.shard.floor() && subscriber.sent > 0 {
                subscriber.rewind(0, &mut self.streams);
            }
            let blocked = subscriber.sent < head && subscriber.ahead >= FLOW_COPY_WINDOW;
            if blocked || subscriber.sent == head && !subscriber.due {
                continue;
            }
            if room < SEGMENT_OCTETS + CHANGE_OCTETS {
                return (segments, true);
            }
            if segments.is_empty() && !self.rate.take(self.clock) {
                return (segments, true);
            }
            if let Some((_, at @ None)) = &mut subscriber.sure
                && told
            {
                *at = Some(head);
            }
            let segment = segment(place, subscriber, room);
            subscriber.due = false;
            if segment.to > subscriber.sent {
                (subscriber.sent, subscriber.sent_at) = (segment.to, self.clock);
            }
            subscriber.ahead += u32::from(segment.to > segment.from);
            room -= SEGMENT_OCTETS + segment.changes.len() + segment.servers.len() * 20;
            segments.push(segment);
        }
        let full = room < SEGMENT_OCTETS + CHANGE_OCTETS;
        (segments, full)
    }

    /// Forgets the ends of flows that everybody who follows has heard of.
    fn clear_graves(&mut self) {
        let mut least: Vec<u64> = self.places.iter().map(|place| place.shard.head()).collect();
        for ((_, vip), subscriber) in &self.subscribers {
            if let Some(least) = least.get_mut(*vip) {
                *least = (*least).min(subscriber.acked);
            }
        }
        for (place, least) in self.places.iter_mut().zip(least) {
            place.shard.heard(least);
        }
    }
}

/// What a follower lacks, as far as there is room.
fn segment(place: &Place, subscriber: &Subscriber, room: usize) -> Segment {
    let mut packer = Packer::default();
    let head = place.shard.head();
    let mut to = head;
    let mut last = subscriber.sent;
    for (number, flow, server) in place.shard.since(subscriber.sent) {
        if SEGMENT_OCTETS + packer.octets() + CHANGE_OCTETS > room {
            to = last;
            break;
        }
        packer.push(flow, server);
        last = number;
    }
    let (servers, changes) = packer.finish();
    let sure = subscriber.sure.and_then(|(_, at)| at).is_some_and(|at| to >= at);
    Segment {
        vip: place.address.into(),
        stream: subscriber.stream,
        from: subscriber.sent,
        to,
        digest: (to == head).then(|| place.shard.digest()),
        sure,
        servers,
        changes,
    }
}
