//! The follower's side: what it has of an address, and what it asks for.

use alloc::vec::Vec;

use base::time::Duration;
use base::{Instant, NodeId, VipId};
use model::limits::{CLUSTER_BODY, FLOW_COPIES, FLOW_COPY_WINDOW};

use super::shard::{Holder, Shard};
use super::wire::{Message, Segment, Want};
use super::{Event, Flows, PATIENCE, Part};
use crate::{Incarnation, Peer, wire::encode};

/// Who follows says so this often, even if nothing comes.
const REPEAT: Duration = Duration::from_millis(500);
/// The same until it has everything, and for complaints.
const INSIST: Duration = Duration::from_millis(20);
/// The most octets of a want, and of its message without it.
const WANT: usize = 17 + 5 + 5 + 10 + 1 + 1;
const FRAME: usize = 3;

/// How far this node has come with an address that it follows.
#[derive(Debug)]
pub struct Follow {
    pub owner: NodeId,
    /// Which start of it, and its stream; none: nothing has come yet.
    stream: Option<(Peer, u32)>,
    have: u64,
    gap: bool,
    /// Segments that were not acknowledged yet.
    unsaid: u32,
    wanted_at: Option<Instant>,
    /// Something could not be kept: digests say nothing then.
    partial: bool,
    /// The address arrives, since then, and that was told.
    arriving: Option<(Instant, bool)>,
    /// The owner is sure that there is no more.
    complete: bool,
    /// The address is ours already: until then something may still come.
    pub late_until: Option<Instant>,
}

impl Follow {
    pub const fn new(owner: NodeId) -> Self {
        Self {
            owner,
            stream: None,
            have: 0,
            gap: false,
            unsaid: 0,
            wanted_at: None,
            partial: false,
            arriving: None,
            complete: false,
            late_until: None,
        }
    }

    /// The address arrives from now on, or does not any more.
    pub fn expect(&mut self, since: Option<Instant>) {
        if since.is_none() || self.arriving.is_none() {
            (self.arriving, self.complete) = (since.map(|since| (since, false)), false);
        }
        self.wanted_at = None;
    }

    fn forget(&mut self) {
        (self.stream, self.have, self.partial, self.complete) = (None, 0, false, false);
    }
}

impl Flows {
    /// Something of an address that we follow.
    pub(super) fn take_segment(&mut self, from: Peer, segment: &Segment) {
        let mut room = FLOW_COPIES.saturating_sub(self.len());
        let Some(vip) = self.find(segment.vip) else { return };
        let Some(place) = self.places.get_mut(vip) else { return };
        let Some(follow) = place.follow.as_mut().filter(|it| it.owner == from.id) else { return };
        let ours = place.part == Part::Owner;
        let known = follow.stream.filter(|(peer, _)| *peer == from).map(|(_, stream)| stream);
        if known.is_some_and(|known| segment.stream < known) {
            return;
        }
        if known != Some(segment.stream) {
            if ours {
                return;
            }
            if segment.from != 0 {
                follow.gap = true;
                return;
            }
            place.shard = Shard::default();
            follow.forget();
            follow.stream = Some((from, segment.stream));
        }
        if segment.from > follow.have {
            follow.gap = true;
            return;
        }
        if segment.to < follow.have {
            return;
        }
        let Some(changes) = segment.unpack() else { return };
        if segment.to > follow.have {
            for (flow, server) in changes {
                let told = matches!(place.shard.holder(&flow), Some(Holder::Forwarder(..)));
                match server {
                    // Our own forwarders know better.
                    _ if ours && told => {}
                    Some(server) if place.shard.server(&flow).is_some() || room > 0 => {
                        room = room.saturating_sub(1);
                        place.changed |= place.shard.set(flow, server, Holder::Copied);
                    }
                    Some(_) => {
                        follow.partial = true;
                        self.counts.refused += 1;
                    }
                    None => place.changed |= place.shard.end(&flow),
                }
            }
            // Nobody follows a follower.
            let head = place.shard.head();
            if !ours {
                place.shard.heard(head);
            }
            (follow.have, follow.gap) = (segment.to, false);
            follow.unsaid += 1;
        }
        let differs = segment.digest.is_some_and(|digest| digest != place.shard.digest());
        if differs && !ours && !follow.partial {
            self.counts.given_up += 1;
            place.shard = Shard::default();
            follow.forget();
            follow.gap = true;
            return;
        }
        follow.complete |= segment.sure;
    }

    /// Says what is wanted, and which addresses may come.
    pub(super) fn want(&mut self) {
        let now = self.clock;
        let mut wants: Vec<(NodeId, Want)> = Vec::new();
        for (vip, place) in self.places.iter_mut().enumerate() {
            let Some(follow) = &mut place.follow else { continue };
            let arrives = match &mut follow.arriving {
                Some((since, told)) if !*told => {
                    *told = follow.complete || now.since(*since) >= PATIENCE;
                    if *told {
                        self.events.push_back(Event::Synced(VipId::from(vip)));
                        place.changed = false;
                    }
                    true
                }
                Some(_) => {
                    if core::mem::take(&mut place.changed) {
                        self.events.push_back(Event::Changed(VipId::from(vip)));
                    }
                    false
                }
                None => false,
            };
            if place.part == Part::None {
                continue;
            }
            let pressing = follow.gap || follow.stream.is_none() || arrives;
            let due = |wait| follow.wanted_at.is_none_or(|at| now.since(at) >= wait);
            let news = follow.unsaid * 4 >= FLOW_COPY_WINDOW || follow.unsaid > 0 && due(INSIST);
            if !(news || due(REPEAT) || pressing && due(INSIST)) {
                continue;
            }
            (follow.wanted_at, follow.unsaid) = (Some(now), 0);
            let want = Want {
                vip: place.address.into(),
                start: follow.stream.map_or(Incarnation(0), |(peer, _)| peer.incarnation),
                stream: follow.stream.map_or(0, |(_, stream)| stream),
                have: follow.have,
                gap: core::mem::take(&mut follow.gap),
                sure: follow.arriving.is_some() && !follow.complete,
            };
            wants.push((follow.owner, want));
        }
        wants.sort_by_key(|(owner, _)| *owner);
        for of in wants.chunk_by(|a, b| a.0 == b.0) {
            for part in of.chunks((CLUSTER_BODY - FRAME) / WANT) {
                let list = part.iter().map(|(_, want)| *want).collect();
                let body = encode(&Message::Wants(list));
                self.out.extend(body.map(|body| (part[0].0, body)));
            }
        }
    }
}
