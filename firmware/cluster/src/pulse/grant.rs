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

impl Pulse {
    /// The end of our lease on a network, from all that is known at `now`.
    pub(super) fn granted(&self, gate: &Gate, now: Instant) -> Instant {
        if self.peers.is_empty() {
            return Instant::FAR;
        }
        let lease = self.orders.lease;
        let mut echoes: Vec<Instant> = self.members().map(|(echoed_at, _)| echoed_at).collect();
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
        if self.policy == Policy::Quorum {
            return strong;
        }
        let newest = echoes.first().copied().map_or(Instant::ZERO, end);
        let (heard, unechoed) = self.company(now);
        // Whom we do not hear because what it said was lost here may well be there.
        let lost = self.lost_at.is_some_and(|at| now.since(at) <= self.orders.patience);
        let heard = heard || (lost && self.late_at.is_some());
        let weak = match (heard, unechoed) {
            (_, true) => Instant::ZERO,
            (false, false) => end(self.sent.last_at()),
            (true, false) => newest,
        };
        let granted = strong.max(weak);
        let minority = self.orders.members.len() * 2 <= self.configured;
        let witnesses = self.witnesses.get(gate.network.index()).is_some_and(|some| *some);
        let asks = self.policy == Policy::Witness && witnesses;
        if asks && (minority || !heard) {
            granted.min(gate.answered_at.map_or(Instant::ZERO, |at| at + lease))
        } else {
            granted
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
            let watched = self.peers.iter().find(|watched| watched.peer == Some(*member));
            watched.map_or((Instant::ZERO, Instant::ZERO), |w| (w.echoed_at(), w.heard_at))
        })
    }

    /// Whether we hear a member, and whether we hear one that does not echo us.
    ///
    /// Who has not been heard for two and a half intervals less than L counts as silent here: our
    /// newest echo is up to one interval older than the newest heartbeat, and the survivor of two
    /// must not close before it may suspect the other.
    fn company(&self, now: Instant) -> (bool, bool) {
        let lease = self.orders.lease;
        let interval = self.pace.interval;
        let quiet = lease.saturating_sub(interval * 5 / 2).max(interval * 3 / 2);
        let heard = self
            .members()
            .filter(|(_, heard_at)| *heard_at > Instant::ZERO && now.since(*heard_at) < quiet);
        let echoes = |at: Instant| at > Instant::ZERO && now.since(at) < lease;
        heard.fold((false, false), |(_, unechoed), (at, _)| (true, unechoed || !echoes(at)))
    }
}
