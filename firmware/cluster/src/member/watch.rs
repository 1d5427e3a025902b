//! Who belongs to the view, and when to say so.

use super::call::MISSED;
use super::claim::{Claim, Input};
use super::ring::Possession;
use super::sight::ids;
use super::{Cluster, Reply, Request};
use crate::identity::supersedes;
use crate::placement::NOBODY;
use crate::wire::{Load, Standing, Wish};
use crate::{Event, NodeSet, Peer, Presence, Reason, Sight, ViewId};
use alloc::vec::Vec;
use base::time::Duration;
use base::{Instant, NodeId};
use model::Policy;

impl Cluster {
    /// Looks at what the newest report changes.
    pub(super) fn watch(&mut self) {
        if self.others_went_on() {
            self.drop_out();
        }
        self.doubt_closed();
        let condemned = self.condemned();
        if condemned != self.condemned {
            self.condemned = condemned;
            if !condemned.is_empty() {
                self.events.push_back(Event::Condemned(condemned));
            }
        }
        let closed = (0..self.groups.len()).any(|group| {
            self.locals[group].claim == Claim::Serving && !self.open(self.own.id, group)
        });
        self.closed_since = if closed { self.closed_since.or(Some(self.clock)) } else { None };
        let members = self.members();
        let mut peers = self.report.iter().flat_map(|report| &report.peers);
        let missing = peers.any(|sight| {
            members.contains(sight.peer.id) && (sight.presence != Presence::Heard || sight.deaf)
        });
        let taking = self.locals.iter().any(|local| matches!(local.claim, Claim::Taking { .. }));
        if missing || taking {
            self.begin_probing();
        }
    }

    /// Where somebody outside of our view may serve, what we could not serve for a moment may have
    /// been taken. It is claimed anew.
    fn doubt_closed(&mut self) {
        let gates = self.report.iter().flat_map(|report| &report.gates);
        let fell = |gate: &&crate::GateSight| {
            self.closings.get(&gate.network).is_none_or(|known| *known != gate.closings)
        };
        let fell: Vec<_> = gates.filter(fell).map(|gate| (gate.network, gate.closings)).collect();
        for (network, closings) in fell {
            self.closings.insert(network, closings);
            for group in 0..self.groups.len() {
                if self.strangers() && self.groups[group].networks.contains(&network) {
                    self.doubt(group);
                }
            }
        }
    }

    /// Whether somebody may serve who is not in our view. In a view of the minority a token proves
    /// nothing; without a quorum, who was left out of a larger one may go on alone.
    pub(super) fn strangers(&self) -> bool {
        let left_out = self.members().len() < self.settings.nodes.len();
        self.careful || left_out && self.settings.policy != Policy::Quorum
    }

    /// What closed so far gave nobody an occasion to take anything: there was nobody.
    pub(super) fn know_closings(&mut self) {
        let gates = self.report.iter().flat_map(|report| &report.gates);
        self.closings = gates.map(|gate| (gate.network, gate.closings)).collect();
    }

    /// Somebody else may serve a group by now.
    pub(super) fn doubt(&mut self, group: usize) {
        self.drive(group, Input::Doubt { not_before: self.clock.max(self.fence) });
        for vip in &self.groups[group].vips {
            self.silent[vip.index()] = None;
        }
    }

    /// Whether members of our view, half of it or more, have agreed on a newer one without us.
    fn others_went_on(&self) -> bool {
        let Some(view) = &self.view else { return false };
        let mut peers = self.report.iter().flat_map(|report| &report.peers);
        peers.any(|sight| {
            let said = &sight.said;
            sight.presence != Presence::Silent
                && said.standing != Standing::Outside
                && said.view > view.id
                && view.members.contains(&sight.peer)
                && !said.members.contains(self.own.id)
                && said.members.len() * 2 >= view.members.len()
        })
    }

    /// Proposes the view that should be, where that is ours to do.
    pub(super) fn govern(&mut self) {
        if self.campaign.is_some() || self.retry_at > self.clock {
            return;
        }
        if self.view.is_none() {
            return self.form();
        }
        let wanted = self.wanted_members();
        let (call, forced) = if self.unfinished() {
            (self.is_deserted(), false)
        } else if matches!(self.possession, Possession::Holding { .. }) {
            let current = self.view.as_ref().map_or(&[][..], |view| &view.members);
            (wanted != current && !self.leaving, false)
        } else {
            let missed = self.misses_token();
            (missed, missed && self.deadlocked())
        };
        let members = if forced { self.connected_members() } else { wanted };
        // Whoever leaves and has nobody left to tell is gone.
        if call && members.is_empty() {
            return self.drop_out();
        }
        if call && self.lawful(&members) {
            self.call(members, forced);
        }
    }

    /// We consented to a view that has not come, and should have by now. Longer while its
    /// proposer is heard and has the right to absorb us.
    fn is_deserted(&self) -> bool {
        let turn = self.pace.interval * u32::try_from(self.place()).unwrap_or(0);
        let wait = self.patience + self.pace.interval * 4 + turn;
        let ours = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        let outranked = self.sight(self.promise.id.proposer.id).is_some_and(|sight| {
            sight.presence != Presence::Silent
                && sight.peer == self.promise.id.proposer
                && sight.said.standing == Standing::Member
                && sight.said.view != ours
                && supersedes((sight.said.view, sight.said.members), (ours, self.members()))
        });
        self.clock.since(self.promise.at) > if outranked { wait * 5 } else { wait }
    }

    /// Whether the token is gone, or has been away for too long.
    pub(super) fn misses_token(&self) -> bool {
        let now = self.clock;
        let place = self.place();
        let turn = self.pace.interval * u32::try_from(place).unwrap_or(0);
        let away = self.away();
        if now.since(self.token_at) > away + turn {
            return true;
        }
        let gone = self.condemned;
        if gone.is_empty() {
            return false;
        }
        if !self.receiver().is_subset(gone) {
            return false;
        }
        // Nobody who is heard has it: then whoever saw it last calls.
        let view = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        let rest = self.members().difference(self.suspected()).without(self.own.id);
        rest.iter().filter_map(|id| self.sight(id)).all(|sight| {
            let said = &sight.said;
            let last = (self.seen, core::cmp::Reverse(self.own.id));
            said.view == view
                && !said.holds
                && last > (said.token, core::cmp::Reverse(sight.peer.id))
        })
    }

    /// How long the token may be away: longer than it takes to condemn whoever may have it.
    fn away(&self) -> Duration {
        MISSED.max(self.patience + self.pace.interval * 4)
    }

    /// Our place in the ring.
    fn place(&self) -> usize {
        let view = self.view.as_ref();
        view.and_then(|view| view.members.iter().position(|member| *member == self.own))
            .unwrap_or(0)
    }

    /// When a call would be made, if nothing comes before.
    pub(super) fn call_at(&self) -> Instant {
        let turn = self.pace.interval * u32::try_from(self.place()).unwrap_or(0);
        let missed = self.token_at + self.away() + turn;
        if self.unfinished() {
            missed.min(self.promise.at + self.patience + self.pace.interval * 4 + turn)
        } else {
            missed
        }
    }

    /// Calls that need everybody do not succeed: some hear members that others do not.
    fn deadlocked(&self) -> bool {
        let long = (self.away() + self.patience) * 3;
        let waited = self.clock.since(self.token_at);
        if waited <= long {
            return false;
        }
        let connected = self.component();
        let members = self.members();
        let whole = connected.len() * 2 > members.len();
        let half = connected.len() * 2 == members.len() && connected.first() == members.first();
        connected != members && waited > if whole || half { long } else { long * 2 }
    }

    /// The members that can reach us, in the order of the ring.
    fn connected_members(&self) -> Vec<Peer> {
        let connected = self.component();
        let view = self.view.iter().flat_map(|view| &view.members);
        view.filter(|member| connected.contains(member.id)).copied().collect()
    }

    /// Who should be in the view: the members that are neither condemned nor gone, and whoever
    /// can be taken in.
    pub(super) fn wanted_members(&self) -> Vec<Peer> {
        let Some(view) = &self.view else { return Vec::new() };
        let restarted = |member: &Peer| {
            self.sight(member.id).is_some_and(|sight| sight.peer.incarnation > member.incarnation)
        };
        let stays = |member: &&Peer| {
            self.settings.node(member.id).is_some()
                && !self.condemned.contains(member.id)
                && !restarted(member)
                && !self.has_left(member.id)
                && !self.went_on(member)
        };
        let mut wanted: Vec<Peer> = view.members.iter().filter(stays).copied().collect();
        let rest = ids(&wanted);
        let peers = self.report.iter().flat_map(|report| &report.peers);
        let mut joining: Vec<Peer> = peers
            .filter(|sight| !rest.contains(sight.peer.id) && self.admissible(sight, rest))
            .map(|sight| sight.peer)
            .collect();
        joining.sort_unstable();
        wanted.extend(joining);
        wanted
    }

    /// A member that is in a newer view without us, and has another document there: it consents to
    /// nothing of ours, and is taken in once it has ours.
    pub(super) fn went_on(&self, member: &Peer) -> bool {
        let ours = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        self.sight(member.id).is_some_and(|sight| {
            let said = &sight.said;
            sight.peer == *member
                && sight.presence != Presence::Silent
                && said.standing == Standing::Member
                && said.view > ours
                && !said.members.contains(self.own.id)
                && said.document != self.settings.document
        })
    }

    /// A member that wants to leave and owns nothing any more.
    fn has_left(&self, id: NodeId) -> bool {
        self.departs(id) && self.count(id) == 0
    }

    /// Whether a member wants to leave.
    pub(super) fn departs(&self, id: NodeId) -> bool {
        if id == self.own.id {
            return self.leaving;
        }
        self.sight(id).is_some_and(|sight| {
            sight.presence != Presence::Silent && sight.said.standing == Standing::Leaving
        })
    }

    /// Whether a node can be taken into a view of `rest`.
    fn admissible(&self, sight: &Sight, rest: NodeSet) -> bool {
        let now = self.clock;
        let id = sight.peer.id;
        let steady = now.since(sight.heard_since) >= self.pace.interval * 2;
        let held = self.flaps.get(&id).is_some_and(|flap| flap.held(now));
        let known = self.settings.node(id).is_some();
        // Whoever has another document pulls ours first, or we take its (`document.rs`).
        let alike = sight.said.document == self.settings.document;
        let hearing = sight.presence != Presence::Silent && !sight.deaf && steady;
        if !hearing || held || !known || !alike {
            return false;
        }
        let fits = match sight.said.standing {
            Standing::Outside => true,
            Standing::Leaving => false,
            Standing::Member => {
                let ours = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
                supersedes((ours, self.members()), (sight.said.view, sight.said.members))
            }
        };
        let linked = rest.iter().filter(|member| self.linked(*member, id)).count();
        let patient = now.since(sight.heard_since) > Duration::from_secs(1).max(self.patience * 2);
        let enough = linked == rest.len() || patient && linked * 2 > rest.len();
        fits && enough && self.linked(self.own.id, id)
    }

    /// Begins a cluster, when no view is heard of.
    fn form(&mut self) {
        if self.leaving || self.outside_since + self.listening() > self.clock {
            return;
        }
        let peers = self.report.iter().flat_map(|report| &report.peers);
        let heard: Vec<&Sight> = peers.filter(|sight| sight.presence != Presence::Silent).collect();
        let taken_in = heard.iter().any(|sight| {
            sight.said.standing == Standing::Member && sight.said.hears.contains(self.own.id)
        });
        if taken_in {
            return;
        }
        let ready = heard.iter().filter(|sight| {
            sight.said.standing == Standing::Outside
                && sight.said.document == self.settings.document
                && self.linked(self.own.id, sight.peer.id)
        });
        let mut members: Vec<Peer> = ready.map(|sight| sight.peer).chain([self.own]).collect();
        members.sort_unstable();
        let first = members.first().is_some_and(|peer| *peer == self.own);
        let waited = self.outside_since + self.listening() * 3 <= self.clock;
        let quorum = self.settings.policy == Policy::Quorum;
        let lawful = if quorum {
            self.settings.majority(members.len())
        } else {
            members.len() > 1 || heard.is_empty()
        };
        // Whoever is alone may only be early.
        let early = members.len() < self.settings.nodes.len() && !waited;
        if lawful && !early && (first || waited) {
            self.call(members, false);
        }
    }

    /// How long whoever is in no view listens before it begins one.
    fn listening(&self) -> Duration {
        (self.pace.interval * 10).max(self.patience * 2)
    }

    /// Whether a lease that we need has been closed for so long that a token will not open it.
    pub(super) fn closed_for_long(&self, group: usize) -> bool {
        let long = self.patience * 3;
        !self.open(self.own.id, group)
            && self.closed_since.is_some_and(|since| self.clock.since(since) > long)
    }

    /// What an operator asks.
    pub(super) fn ask(&mut self, request: Request) -> Reply {
        if self.view.is_none() {
            return Reply::Outside;
        }
        match request {
            Request::Move { vip, to } => {
                let group = self.groups.iter().position(|group| group.vips.contains(&vip));
                let Some(group) = group else { return Reply::Impossible };
                if self.table[group].owner == to {
                    return Reply::Already;
                }
                let owned = self.table[group].owner != NOBODY;
                if !owned || !self.able(group, self.members()).contains(to) {
                    return Reply::Impossible;
                }
                let Ok(group) = u16::try_from(group) else { return Reply::Impossible };
                self.wanted.push(Wish { group, to, reason: Reason::Asked, ready: false });
                Reply::Begun
            }
            Request::Drain { node } => self.ask_drain(node, true),
            Request::Restore { node } => self.ask_drain(node, false),
            Request::Leave => {
                if self.leaving {
                    return Reply::Already;
                }
                self.leaving = true;
                Reply::Begun
            }
        }
    }

    fn ask_drain(&mut self, node: NodeId, drained: bool) -> Reply {
        if !self.members().contains(node) {
            return Reply::Impossible;
        }
        if self.drained.contains(node) == drained {
            return Reply::Already;
        }
        self.to_drain.push((node, drained));
        Reply::Begun
    }

    /// What each member had to do when the token passed here.
    pub fn loads(&self) -> &[Load] {
        &self.balance.told
    }

    /// By how much leases outlast the newest heartbeat that was echoed.
    pub const fn lease(&self) -> Duration {
        self.lease
    }

    /// Nodes that are to own nothing while any other can, because an operator said so.
    pub const fn drained(&self) -> NodeSet {
        self.drained
    }

    /// When something is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.settings.alone() {
            return None;
        }
        let mut due = self.probe_at;
        match &self.possession {
            Possession::Elsewhere => {}
            Possession::Holding { until, .. } => {
                due =
                    due.min(self.settling_until().map_or(*until, |settling| settling.max(*until)));
            }
            Possession::Passing { again, .. } => due = due.min(*again),
        }
        due = due.min(self.call_at());
        if self.view.is_none() {
            due = due.min(self.outside_since + self.listening());
        }
        if self.campaign.is_some() {
            due = due.min(self.clock + self.pace.interval / 4);
        }
        due = due.min(self.documents.next_deadline());
        for local in &self.locals {
            match local.claim {
                Claim::Taking { not_before } => due = due.min(not_before),
                Claim::Releasing { until, .. } => due = due.min(until),
                Claim::Idle | Claim::Expecting { .. } | Claim::Serving => {}
            }
        }
        // What was due and could not be done waits for an input, or for the next look.
        Some(due.max(self.clock + Duration::from_millis(1)))
    }
}
