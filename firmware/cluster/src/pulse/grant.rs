//! Until when echoes, peers and witnesses let us serve.
//!
//! With `n` members in our view, or configured nodes where the policy is `quorum`, a *strong*
//! lease lasts L from the sending of the newest heartbeat that `n / 2` of the other members have
//! echoed: together with us that is more than half. A view without us needs the consent of so many
//! members that one of those has stopped to echo us.
//!
//! `witness` and `available` know a *weak* lease besides, for when those who do not echo us cannot
//! be heard either: it lasts L from the newest heartbeat that anybody has echoed, and where nobody
//! does, from the newest that was sent: a node on which something hangs sends none. A member that
//! we hear and that does not echo us ends it: it may be about to act without us. Under `witness`, a
//! view of the minority and a node that hears nobody need the
//! answer of a witness as well, on each network.

use super::Pulse;
use super::gate::Gate;
use crate::Presence;
use crate::wire::{Reach, Standing};
use alloc::vec::Vec;
use base::Instant;
use model::Policy;

/// What echoes and peers grant: the same on every network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    /// Until when, if no witness is asked.
    until: Instant,
    /// Whether we hear a member, or may have failed to.
    heard: bool,
}

impl Pulse {
    /// What echoes and peers grant, from all that is known at `now`.
    pub(super) fn grant(&self, now: Instant) -> Grant {
        if self.peers.is_empty() {
            return Grant { until: Instant::FAR, heard: false };
        }
        let lease = self.orders.lease;
        let members: Vec<(Instant, Instant)> = self.members().collect();
        let mut echoes: Vec<Instant> = members.iter().map(|(echoed_at, _)| *echoed_at).collect();
        echoes.sort_unstable_by(|a, b| b.cmp(a));
        let of = match self.policy {
            Policy::Quorum => self.configured,
            Policy::Witness | Policy::Available => self.orders.members.len(),
        };
        let decisive = (of / 2).checked_sub(1).and_then(|last| echoes.get(last)).copied();
        let end = |echoed: Instant| {
            if echoed == Instant::ZERO { Instant::ZERO } else { echoed + lease }
        };
        let strong = decisive.map_or(Instant::ZERO, end);
        let newest = echoes.first().copied().map_or(Instant::ZERO, end);
        let (heard, unechoed) = self.company(now, &members);
        // Whom we do not hear because what it said was lost here may well be there.
        let lost = self.lost_at.is_some_and(|at| now.since(at) <= self.orders.patience);
        let heard = heard || (lost && self.late_at.is_some());
        let weak = match (heard, unechoed) {
            _ if self.policy == Policy::Quorum => Instant::ZERO,
            (_, true) => Instant::ZERO,
            (false, false) => end(self.sent.last_at()),
            (true, false) => newest,
        };
        Grant { until: strong.max(weak), heard }
    }

    /// The end of our lease on a network.
    pub(super) fn granted(&self, grant: Grant, gate: &Gate) -> Instant {
        let lease = self.orders.lease;
        let minority = self.orders.members.len() * 2 <= self.configured;
        let witnesses = self.witnesses.get(gate.network.index()).is_some_and(|some| *some);
        let asks = self.policy == Policy::Witness && witnesses && !self.peers.is_empty();
        if asks && (minority || !grant.heard) {
            grant.until.min(gate.answered_at.map_or(Instant::ZERO, |at| at + lease))
        } else {
            grant.until
        }
    }

    /// Whether serving on a network is forbidden by nothing else.
    pub(super) fn allowed(&self, gate: &Gate, now: Instant) -> bool {
        if self.orders.standing == Standing::Outside || self.barred.is_some() || !gate.carrier {
            return false;
        }
        // Who is reached by nobody where another member is, gives way to it.
        let better = self.peers.iter().filter(|watched| {
            watched.presence != Presence::Silent && watched.said.view == self.orders.view
        });
        let mut better = better.flat_map(|watched| &watched.said.gates);
        self.reach(gate, now) > Reach::Nobody
            || !better.any(|said| said.network == gate.network.0 && said.reach > Reach::Nobody)
    }

    /// The other members: which of our heartbeats they echoed, by sending time, and when they were
    /// heard.
    fn members(&self) -> impl Iterator<Item = (Instant, Instant)> {
        self.orders.members.iter().filter(|member| member.id != self.own.id).map(|member| {
            let watched = self.watched(*member);
            watched.map_or((Instant::ZERO, Instant::ZERO), |w| (w.echoed_at(), w.heard_at))
        })
    }

    /// Whether we hear a member, and whether we hear one that does not echo us.
    ///
    /// Who has not been heard for two and a half intervals less than L counts as silent here: our
    /// newest echo is up to one interval older than the newest heartbeat, and the survivor of two
    /// must not close before it may suspect the other.
    fn company(&self, now: Instant, members: &[(Instant, Instant)]) -> (bool, bool) {
        let lease = self.orders.lease;
        let interval = self.pace.interval;
        let quiet = lease.saturating_sub(interval * 5 / 2).max(interval * 3 / 2);
        let heard = members
            .iter()
            .filter(|(_, heard_at)| *heard_at > Instant::ZERO && now.since(*heard_at) < quiet);
        let echoes = |at: Instant| at > Instant::ZERO && now.since(at) < lease;
        heard.fold((false, false), |(_, unechoed), (at, _)| (true, unechoed || !echoes(*at)))
    }
}
