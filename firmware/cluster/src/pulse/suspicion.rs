//! Who is suspected, and whether all is well.

use super::Pulse;
use super::gate::Gate;
use super::peer::Watched;
use crate::wire::Standing;
use crate::{NodeSet, Peer, Presence};
use base::time::Duration;

impl Pulse {
    /// Members of whom we hear nothing, or who do not hear us.
    pub(super) fn suspected(&self) -> NodeSet {
        let member = |watched: &&Watched| {
            watched.peer.is_some_and(|peer| self.orders.members.contains(&peer))
        };
        let suspect = |w: &&Watched| w.presence == Presence::Silent || self.is_deaf(w);
        self.peers.iter().filter(member).filter(suspect).map(|watched| watched.id).collect()
    }

    /// Whether a peer that we hear does not hear us.
    pub(super) fn is_deaf(&self, watched: &Watched) -> bool {
        let patience = self.orders.patience;
        let unheard = watched.unheard_since.is_some_and(|s| watched.heard_at.since(s) > patience);
        let member = watched.peer.is_some_and(|peer| self.orders.members.contains(&peer));
        let promised = watched.said.muted.contains(self.own.id);
        // It can echo only what we have sent: while we stood still, that was nothing.
        let unechoed = watched.unechoed_since(&self.sent, self.pace.interval);
        let stale = watched.heard_at.since(unechoed) > patience
            && watched.heard_at.since(watched.heard_since) > patience;
        let same = watched.said.view == self.orders.view;
        watched.presence != Presence::Silent && (unheard || (member && same && stale && !promised))
    }

    /// For how long heartbeats may wait to be looked at, while every member is heard and hears us
    /// and every gate is open: a part of an interval. Otherwise they are wanted at once.
    pub fn calm(&self) -> Option<Duration> {
        let members = self.orders.members.iter().filter(|member| member.id != self.own.id);
        let well = |member: &Peer| {
            self.watched(*member).is_some_and(|watched| {
                watched.presence == Presence::Heard
                    && watched.unheard_since.is_none()
                    && watched.said.suspects.is_empty()
            })
        };
        let calm = self.orders.standing == Standing::Member
            && self.late_at.is_none()
            && self.gates.iter().all(Gate::open)
            && members.clone().all(well);
        calm.then(|| self.pace.interval / 4)
    }
}
