//! Flows that end without anybody saying so, and addresses that are no concern of ours any more. A
//! walk through many flows takes many steps, so that none of them takes long.

use alloc::vec::Vec;

use base::time::Duration;
use base::{Instant, Protocol, VipId};
use model::limits::{TCP_IDLE_DEFAULT, UDP_IDLE_DEFAULT};

use super::shard::{Holder, Shard};
use super::{Event, Flow, Flows, Part};

/// How long the flows of an address stay that is no concern of ours any more: views may flap.
const FALLOW: Duration = Duration::from_secs(10);
/// Flows looked at in one step of a long walk.
const STRIDE: usize = 4_096;

/// A walk through flows that is not finished.
#[derive(Debug)]
pub struct Walk {
    pub vip: usize,
    pub after: Option<Flow>,
    /// What ends: what that forwarder knew before that round; or what only others knew.
    pub what: Holder,
}

impl Flows {
    /// Goes on with the walks through flows that have to end.
    pub(super) fn walk(&mut self) {
        let Some(walk) = self.walks.front_mut() else { return };
        let Some(place) = self.places.get_mut(walk.vip).filter(|it| it.part == Part::Owner) else {
            self.walks.pop_front();
            return;
        };
        let now = match walk.what {
            Holder::Forwarder(forwarder, _) => {
                self.forwarders.get(usize::from(forwarder)).map_or(0, |it| it.0)
            }
            Holder::Copied => 0,
        };
        let silent = self.clock.since(place.since);
        let over = |flow: &Flow, holder: Holder| match (walk.what, holder) {
            (Holder::Forwarder(whose, round), Holder::Forwarder(other, of)) => {
                whose == other && of != round && of != now
            }
            (Holder::Copied, Holder::Copied) => silent >= idle(flow.protocol),
            (Holder::Forwarder(..), Holder::Copied) | (Holder::Copied, Holder::Forwarder(..)) => {
                false
            }
        };
        let mut seen = 0;
        let mut last = None;
        let mut ended = Vec::new();
        for (flow, holder) in place.shard.after(walk.after.as_ref()).take(STRIDE) {
            seen += 1;
            last = Some(*flow);
            if over(flow, holder) {
                ended.push(*flow);
            }
        }
        for flow in &ended {
            place.shard.end(flow);
        }
        place.changed |= walk.what == Holder::Copied && !ended.is_empty();
        match last.filter(|_| seen == STRIDE) {
            Some(last) => walk.after = Some(last),
            None => drop(self.walks.pop_front()),
        }
    }

    /// Lets go of what is no concern of ours any more, and looks for what must be silent.
    pub(super) fn let_go(&mut self) {
        let now = self.clock;
        for (vip, place) in self.places.iter_mut().enumerate() {
            match place.part {
                Part::None if now.since(place.since) >= FALLOW => {
                    if place.shard.head() > 0 || place.follow.is_some() {
                        (place.shard, place.follow) = (Shard::default(), None);
                    }
                }
                Part::Owner => {
                    if place.follow.as_ref().is_some_and(|it| it.late_until <= Some(now)) {
                        place.follow = None;
                    }
                    if place.silent_at <= now {
                        let last = place.since + TCP_IDLE_DEFAULT;
                        place.silent_at = if now < last { last } else { Instant::FAR };
                        self.walks.push_back(Walk { vip, after: None, what: Holder::Copied });
                    }
                    if core::mem::take(&mut place.changed) {
                        self.events.push_back(Event::Changed(VipId::from(vip)));
                    }
                }
                Part::None | Part::Follower { .. } => {}
            }
        }
    }
}

/// How long a flow may be silent, at most, for whom only knows that it was copied.
const fn idle(protocol: Protocol) -> Duration {
    match protocol {
        Protocol::UDP => UDP_IDLE_DEFAULT,
        _ => TCP_IDLE_DEFAULT,
    }
}
