//! How a view is agreed on: a call, the consent of everybody in it, a token.
//!
//! ```text
//!   proposer                              everybody else in the view it proposes
//!      │ ──────────── Call ───────────────────► │ stops to echo whom it leaves out (Pulse obeys),
//!      │                                        │ takes no older token any more
//!      │ ◄─── Grant { fence } or Deny ───────── │
//!      │ all granted: a token with the new view goes round
//! ```
//!
//! The holder of the token calls when a member failed or somebody is to be taken in. Whoever
//! misses the token calls too, the "911": at once when its holder is condemned, else after a
//! while. A receiver that holds the token or has seen a newer one denies that.

use super::Cluster;
use super::claim::Input;
use super::ring::Possession;
use super::sight::{ids, micros};
use crate::identity::supersedes;
use crate::wire::{Call, Control, Deny, Grant, Objection, Standing, Token};
use crate::{Channel, Event, NodeSet, Peer, Presence, ViewId};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use base::time::Duration;
use base::{Instant, NodeId};
use model::Policy;

/// Without a token for so long, a member calls, whatever it knows.
pub const MISSED: Duration = Duration::from_millis(250);

/// How far apart proposals that collided are repeated, at most.
const COLLISION: Duration = Duration::from_millis(20);

/// The highest view that we have consented to.
#[derive(Clone, Debug)]
pub struct Promise {
    pub id: ViewId,
    pub members: Vec<Peer>,
    pub patience: Duration,
    /// When we gave it.
    pub at: Instant,
}

impl Promise {
    pub const NONE: Self =
        Self { id: ViewId::NONE, members: Vec::new(), patience: Duration::ZERO, at: Instant::ZERO };
}

/// Consent that waits until the other machine has stopped to echo those who are left out.
#[derive(Clone, Copy, Debug)]
pub struct Consent {
    pub id: ViewId,
    pub to: NodeId,
    /// The orders that say so.
    pub revision: u64,
    /// The members whom we have not echoed for a while before.
    pub doubted: NodeSet,
    /// The proposer is in the same view.
    pub related: bool,
    /// When the last lease runs out that our echoes granted; none: not obeyed yet.
    pub fence: Option<Instant>,
}

/// Our own proposal.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub call: Call,
    grants: BTreeMap<NodeId, (Instant, Grant)>,
    again: Instant,
    until: Instant,
}

impl Cluster {
    /// Takes a message about a view.
    pub(super) fn handle_control(&mut self, from: Peer, message: Control) {
        match message {
            Control::Call(call) => self.take_call(from, &call),
            Control::Grant(grant) => {
                let now = self.clock;
                if let Some(campaign) = &mut self.campaign
                    && campaign.call.id == grant.id
                    && campaign.call.members.contains(&from)
                {
                    let fence = now + Duration::from_micros(grant.fence.into());
                    campaign.grants.insert(from.id, (fence, grant));
                }
            }
            Control::Deny(deny) => {
                self.epoch = self.epoch.max(deny.promised.epoch);
                if self.campaign.as_ref().is_some_and(|campaign| campaign.call.id == deny.id) {
                    self.abandon(deny.objection);
                }
            }
            Control::Withdraw(id) if id.proposer == from => self.forget(id),
            Control::Withdraw(_) => {}
        }
    }

    /// Gives up our proposal. As only we could make a view of it, everybody may forget it.
    fn abandon(&mut self, objection: Objection) {
        let Some(Campaign { call, .. }) = self.campaign.take() else { return };
        self.forget(call.id);
        let own = self.own.id;
        for member in call.members.iter().filter(|member| member.id != own) {
            self.post(member.id, Channel::Control, Control::Withdraw(call.id), false);
        }
        // A few times as long as a call takes, so that who collided does not do so again.
        let unit = u64::try_from(self.pace.interval.min(COLLISION).as_nanos()).unwrap_or(1);
        let pause = Duration::from_nanos(unit / 4 + self.rng.below(unit));
        self.retry_at = match objection {
            Objection::Promised | Objection::Heard => self.clock + pause,
            Objection::Newer | Objection::Foreign | Objection::Document => self.clock + pause * 4,
        };
    }

    /// A view that we consented to will never be: what we promised before holds again, but we
    /// still consent to nothing that is not higher.
    fn forget(&mut self, id: ViewId) {
        if self.promise.id == id && id > self.entered {
            self.promise = core::mem::replace(&mut self.previous, Promise::NONE);
            self.consent = None;
        }
    }

    fn take_call(&mut self, from: Peer, call: &Call) {
        if call.id.proposer != from || !call.members.contains(&self.own) || from == self.own {
            return;
        }
        let installed = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        if call.id <= installed {
            return;
        }
        if let Some(consent) = self.consent.filter(|consent| consent.id == call.id) {
            // Asked again: the grant got lost, or is not ready yet.
            if consent.fence.is_some() {
                self.send_grant(consent);
            }
            return;
        }
        match self.judge(call) {
            Ok(()) => {
                self.abandon(Objection::Promised);
                self.consent_to(call, from.id);
            }
            Err(objection) => {
                let promised = self.highest;
                let deny = Deny { id: call.id, objection, promised };
                self.post(from.id, Channel::Control, Control::Deny(deny), false);
            }
        }
    }

    /// Whether we can consent to a view.
    fn judge(&self, call: &Call) -> Result<(), Objection> {
        if call.id <= self.highest {
            return Err(Objection::Promised);
        }
        if !self.has_document(call) {
            return Err(Objection::Document);
        }
        let Some(view) = &self.view else {
            // Who begins a cluster must not overlook one that lives.
            let lives = |sight: &&crate::Sight| {
                sight.presence != Presence::Silent && sight.said.standing == Standing::Member
            };
            let mut peers = self.report.iter().flat_map(|report| &report.peers);
            let overlooks = call.base == ViewId::NONE && peers.any(|sight| lives(&sight));
            return if overlooks { Err(Objection::Foreign) } else { Ok(()) };
        };
        let ours = ids(&view.members);
        let related = call.base == view.id;
        if related {
            let holding = matches!(self.possession, Possession::Holding { .. });
            if holding || call.seq < self.seen {
                return Err(Objection::Newer);
            }
            let mut left_out = view.members.iter().filter(|member| !call.members.contains(member));
            let suspected = self.suspected();
            let heard = left_out.any(|left| {
                let again = call.members.iter().any(|member| member.id == left.id);
                let gone = self.leaves(left.id) || self.went_on(left);
                !again && !suspected.contains(left.id) && !gone
            });
            return if heard && !call.forced { Err(Objection::Heard) } else { Ok(()) };
        }
        if supersedes((call.base, call.base_members), (view.id, ours)) {
            Ok(())
        } else {
            Err(Objection::Foreign)
        }
    }

    fn leaves(&self, id: NodeId) -> bool {
        self.sight(id).is_some_and(|sight| sight.said.standing == Standing::Leaving)
    }

    /// Promises a view and stops to echo who is left out.
    fn consent_to(&mut self, call: &Call, to: NodeId) {
        let view = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        let doubted = self.muted();
        let related = call.base == view;
        let patience = Duration::from_micros(call.patience.into());
        let (id, members, at) = (call.id, call.members.clone(), self.clock);
        self.epoch = self.epoch.max(id.epoch);
        self.highest = id;
        self.previous =
            core::mem::replace(&mut self.promise, Promise { id, members, patience, at });
        self.order();
        let revision = self.orders.revision;
        self.consent = Some(Consent { id, to, revision, doubted, related, fence: None });
    }

    /// Sends the consent that the other machine has made true.
    pub(super) fn consent_if_ready(&mut self) {
        let Some(report) = &self.report else { return };
        let Some(consent) = self.consent else { return };
        if consent.fence.is_some() || report.obeyed < consent.revision {
            return;
        }
        let consent = Consent { fence: Some(self.own_fence()), ..consent };
        self.consent = Some(consent);
        if consent.to != self.own.id {
            self.send_grant(consent);
        }
    }

    /// When every lease has run out that our echoes may have granted to somebody who is not in the
    /// view we consented to.
    fn own_fence(&self) -> Instant {
        let members = self.view.as_ref().map_or(&[][..], |view| &view.members);
        let left_out = members.iter().filter(|member| !self.promise.members.contains(member));
        let length = self.patience.max(self.promise.patience);
        let ends = left_out.filter_map(|member| {
            let sight = self.sight(member.id).filter(|sight| sight.peer == *member);
            // Heard in an earlier start: its newer one is not echoed, and this one is gone.
            sight.map(|sight| sight.heard_at + length + margin(length))
        });
        ends.fold(self.fence, Instant::max)
    }

    fn send_grant(&mut self, consent: Consent) {
        let fence = consent.fence.unwrap_or(self.clock).since(self.clock);
        let owns = if consent.related { Vec::new() } else { self.owned_bits() };
        let (id, doubted) = (consent.id, consent.doubted);
        let grant = Grant { id, fence: micros(fence) + 1, doubted, owns };
        self.post(consent.to, Channel::Control, Control::Grant(grant), false);
    }

    /// Members whom we do not echo, because we consented to a view without them that has not come.
    pub(super) fn muted(&self) -> NodeSet {
        let Some(view) = self.view.as_ref().filter(|view| self.promise.id > view.id) else {
            return NodeSet::EMPTY;
        };
        let muted = view.members.iter().filter(|member| !self.promise.members.contains(member));
        muted.map(|member| member.id).collect()
    }

    /// Proposes a view.
    pub(super) fn call(&mut self, members: Vec<Peer>, forced: bool) {
        let (base, base_members) = match &self.view {
            Some(view) => (view.id, ids(&view.members)),
            None => (ViewId::NONE, NodeSet::EMPTY),
        };
        let peers = self.report.iter().flat_map(|report| &report.peers);
        let theirs = peers.map(|sight| sight.said.view.epoch).max().unwrap_or(0);
        self.epoch = self.epoch.max(theirs).max(self.highest.epoch) + 1;
        self.attempt += 1;
        let id = ViewId { epoch: self.epoch, proposer: self.own, attempt: self.attempt };
        let held = matches!(self.possession, Possession::Holding { .. });
        let patience = micros(self.patience);
        let seq = self.seen;
        let document = self.settings.document;
        let call = Call { id, members, base, base_members, seq, held, forced, patience, document };
        self.consent_to(&call, self.own.id);
        let until = self.clock + self.patience + self.pace.interval * 3;
        self.events.push_back(Event::Called { id, members: call.members.clone(), held });
        let grants = BTreeMap::new();
        self.campaign = Some(Campaign { call, grants, again: self.clock, until });
        self.canvass();
    }

    /// Sends the call to who has not answered; gives up when that takes too long.
    pub(super) fn canvass(&mut self) {
        let now = self.clock;
        let Some(campaign) = &mut self.campaign else { return };
        if campaign.until <= now {
            self.abandon(Objection::Promised);
            return;
        }
        if campaign.again > now {
            return;
        }
        let first = campaign.again + self.pace.interval > campaign.until;
        campaign.again = now + self.pace.interval / 4;
        let call = campaign.call.clone();
        let missing = call
            .members
            .iter()
            .filter(|member| member.id != self.own.id && !campaign.grants.contains_key(&member.id));
        let missing: Vec<NodeId> = missing.map(|member| member.id).collect();
        for id in missing {
            self.post(id, Channel::Control, Control::Call(call.clone()), !first);
        }
    }

    /// Makes the view that everybody has consented to.
    pub(super) fn install_if_agreed(&mut self) {
        let Some(campaign) = &self.campaign else { return };
        let others = campaign.call.members.iter().filter(|member| member.id != self.own.id);
        let granted = others.clone().all(|member| campaign.grants.contains_key(&member.id));
        let own = self.consent.filter(|own| own.id == campaign.call.id && own.fence.is_some());
        let (true, Some(own)) = (granted, own) else { return };
        let Some(Campaign { call, grants, .. }) = self.campaign.take() else { return };
        let fences = grants.values().map(|(fence, _)| *fence).chain(own.fence);
        let fence = fences.fold(self.fence, Instant::max);
        let mut doubted = own.doubted;
        let mut owned = BTreeMap::new();
        for (id, (_, grant)) in &grants {
            doubted = doubted.union(grant.doubted);
            owned.insert(*id, grant.owns.clone());
        }
        self.fence = fence;
        let (table, number) = self.inherit(&call, doubted, &owned);
        let old = match &self.possession {
            Possession::Holding { token, .. } | Possession::Passing { token, .. } => Some(token),
            Possession::Elsewhere => None,
        };
        let kept = ids(&call.members);
        let wishes = old.map_or_else(Vec::new, |token| token.wishes.clone());
        let draft = old.and_then(|token| token.draft);
        let token = Token {
            view: call.id,
            seq: 1,
            members: call.members,
            lease: micros(self.lease),
            patience: micros(self.patience),
            paced: 1,
            wanted: [0; 2],
            fence: micros(fence.since(self.clock)) + 1,
            number,
            drained: self.drained,
            document: self.settings.document,
            committed: u64::from(self.documents.spreads(self.seen, self.members().len())),
            draft,
            wishes: wishes.into_iter().filter(|wish| kept.contains(wish.to)).collect(),
            loads: old.map_or_else(Vec::new, |token| token.loads.clone()),
            changed: 1,
            table: Some(table),
        };
        self.take(token);
    }

    /// Enters a view: forgets what belonged to the one before.
    pub(super) fn enter(&mut self, id: ViewId, members: &[Peer]) {
        let now = self.clock;
        let lost: Vec<Peer> = self.view.iter().flat_map(|view| &view.members).copied().collect();
        for peer in lost.iter().filter(|peer| !ids(members).contains(peer.id)) {
            if !self.leaves(peer.id) {
                self.flaps.entry(peer.id).or_default().fell(now);
            }
        }
        let joined = members.iter().any(|peer| !lost.contains(peer));
        let majority = self.settings.majority(members.len());
        self.careful = !majority || lost.is_empty();
        let known = ids(&lost).union(ids(members));
        if !lost.is_empty() {
            self.balance.came(ids(members).difference(ids(&lost)), now);
        }
        self.kin = self.settings.nodes.iter().all(|node| known.contains(node.id));
        self.entered = id;
        self.view = Some(super::View { id, members: members.to_vec(), since: now });
        self.highest = self.highest.max(id);
        if self.promise.id < id {
            self.promise =
                Promise { id, members: members.to_vec(), patience: self.patience, at: now };
        }
        self.consent = None;
        self.campaign = None;
        self.events.push_back(Event::View { id, members: members.to_vec() });
        for group in 0..self.groups.len() {
            if lost.is_empty() {
                // What was released before we were in no view may have been served by others since.
                self.drive(group, Input::Over);
            }
            // What stopped in the view before may have been taken by those who are not in this one,
            // or in a view that one who comes from there was in.
            if (self.strangers() || joined) && !self.open(self.own.id, group) {
                self.doubt(group);
            }
        }
    }

    /// Leaves the view, because the others have gone on without us.
    pub(super) fn drop_out(&mut self) {
        let now = self.clock;
        // Our echoes may have granted leases until now.
        self.fence = self.fence.max(now + self.patience + margin(self.patience));
        self.view = None;
        self.campaign = None;
        self.consent = None;
        self.possession = Possession::Elsewhere;
        self.outside_since = now;
        self.seen = 0;
        // Whatever was asked of this view is decided without us.
        self.documents.draft = None;
        self.release_all();
        self.events.push_back(Event::View { id: ViewId::NONE, members: vec![] });
    }

    /// Whether a view with so many members may be formed at all.
    pub(super) fn lawful(&self, members: &[Peer]) -> bool {
        let alone_but_heard = members.len() == 1
            && self.view.as_ref().is_some_and(|view| {
                let heard = self.heard();
                view.members.iter().any(|member| heard.contains(member.id))
            });
        match self.settings.policy {
            Policy::Quorum => self.settings.majority(members.len()),
            // Who is heard and does not hear us goes on without us.
            Policy::Witness | Policy::Available => !alone_but_heard,
        }
    }
}

/// What is added to L before a lease counts as run out: two clocks, each at most 500 millionths
/// wrong, and the granularity of both.
pub fn margin(length: Duration) -> Duration {
    Duration::from_millis(1) + length / 500
}
