//! What this node does about one group of VIPs.
//!
//! ```text
//!                 ┌───────────────── handed ─────────────────┐
//!                 │                                          ▼
//!   Idle ── expect ──► Expecting ── handed ──────────────► Serving
//!    │ ▲                                                    │  ▲
//!    │ └────────────── over, lost, dropped ◄── Releasing ◄──┘  │ ready: leases run out,
//!    └── claimed ──► Taking ─────────────── release, lost      │ probes unanswered
//!                      └───────────────────────────────────────┘
//! ```
//!
//! *dropped*, because we are in no view any more, leads to Idle from everywhere but Releasing: who
//! leaves in order hears of the view without it before clients hear of the new owner. Whoever
//! enters a view again begins with Idle.
//!
//! *handed*: the token names us owner and the one before has released. *claimed*: it names us and
//! nobody has released, so we wait until every lease that may cover the group has run out, and
//! probe. *kept*: a new view names us as the one before did; that is *claimed* for who had nothing,
//! and nothing for everybody else. *lost*: it names somebody else. *doubt* leads from Serving back
//! to Taking: our lease ended where a token does not prove that nobody has taken our place.

use super::Cluster;
use super::call::margin;
use crate::placement::NOBODY;
use crate::wire::Origin;
use crate::{Event, NodeSet, Ownership, OwnershipGeneration, Role};
use base::time::Duration;
use base::{Instant, Mac, NodeId, VipId};
use model::Policy;

/// How long the previous owner passes on what still comes to it: as long as an ARP cache that
/// missed every announcement but the last of the first burst stays wrong.
const DRAIN: Duration = Duration::from_secs(10);
/// VIPs that one node asks for in half an interval: with ordinary intervals a small part of what a
/// network carries, and 500 VIPs within two intervals.
const QUESTIONS: usize = 128;

/// What we do about a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing.
    Idle,
    /// It will be moved here.
    Expecting {
        from: NodeId,
        /// The forwarders know.
        settled: bool,
    },
    /// It is ours as soon as nobody else can be serving it.
    Taking { not_before: Instant },
    /// We serve it.
    Serving,
    /// We have stopped serving it and pass on what comes.
    Releasing {
        to: NodeId,
        /// The forwarders have stopped.
        settled: bool,
        until: Instant,
    },
}

/// What can happen to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The token names us, and the one before has released.
    Handed,
    /// The token names us, and somebody may still be serving.
    Claimed { not_before: Instant },
    /// A new view names us because we had it, or should have had it, before.
    Kept { not_before: Instant },
    /// Our lease ended where a token does not prove that nobody has taken our place.
    Doubt { not_before: Instant },
    /// The token names somebody else, or nobody.
    Lost { to: NodeId, until: Instant },
    /// It is to be moved here.
    Expect { from: NodeId },
    /// It is not to be moved here any more.
    Forget,
    /// We give it to somebody.
    Release { to: NodeId, until: Instant },
    /// Every forwarder obeys.
    Settled,
    /// Nobody else can be serving it.
    Ready,
    /// Nothing comes any more that would have to be passed on.
    Over,
    /// We are in no view any more.
    Dropped,
}

/// Where an input leads.
pub fn step(claim: Claim, input: Input) -> Claim {
    use Claim::{Expecting, Idle, Releasing, Serving, Taking};
    use Input::{
        Claimed, Doubt, Dropped, Expect, Forget, Handed, Kept, Lost, Over, Ready, Release, Settled,
    };
    match (claim, input) {
        (_, Handed) => Serving,
        (_, Claimed { not_before }) | (Idle | Expecting { .. }, Kept { not_before }) => {
            Taking { not_before }
        }
        (Taking { .. } | Serving | Releasing { .. }, Kept { .. }) => claim,
        (Serving, Doubt { not_before }) => Taking { not_before },
        (Idle | Expecting { .. } | Taking { .. } | Releasing { .. }, Doubt { .. }) => claim,
        (Serving | Releasing { .. }, Lost { to, until }) if to != NOBODY => {
            Releasing { to, settled: true, until }
        }
        // What it has handed over it still passes on: who has it now is not known everywhere yet.
        (Releasing { to, until, .. }, Dropped) => Releasing { to, settled: true, until },
        (_, Lost { .. } | Dropped) => Idle,
        (Expecting { from: known, .. }, Expect { from }) if known == from => claim,
        (Idle | Expecting { .. } | Releasing { .. }, Expect { from }) => {
            Expecting { from, settled: false }
        }
        (Taking { .. } | Serving, Expect { .. }) => claim,
        (Expecting { .. }, Forget) => Idle,
        (Idle | Taking { .. } | Serving | Releasing { .. }, Forget) => claim,
        (Serving, Release { to, until }) => Releasing { to, settled: false, until },
        (Idle | Expecting { .. } | Taking { .. } | Releasing { .. }, Release { .. }) => claim,
        (Expecting { from, .. }, Settled) => Expecting { from, settled: true },
        (Releasing { to, until, .. }, Settled) => Releasing { to, settled: true, until },
        (Idle | Taking { .. } | Serving, Settled) => claim,
        (Taking { .. }, Ready) => Serving,
        (Idle | Expecting { .. } | Serving | Releasing { .. }, Ready) => claim,
        (Releasing { settled: true, .. }, Over) => Idle,
        (Idle | Expecting { .. } | Taking { .. } | Serving | Releasing { .. }, Over) => claim,
    }
}

/// A group as this node treats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub claim: Claim,
    /// The newest statement about its owner that we obeyed.
    pub generation: OwnershipGeneration,
    /// Who the table says owns it, and who had it before.
    pub owner: NodeId,
    pub previous: NodeId,
    /// What the forwarders were told last, and by which statement.
    pub told: Role,
    pub told_by: u64,
}

/// What a token allows as soon as the forwarders obey what it says about owners: a gate that opens
/// before may serve what has another owner by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The closings that were known when the token passed here.
    pub closings: u64,
    /// The last statement that the forwarders must obey first.
    pub after: u64,
}

impl Local {
    pub const IDLE: Self = Self {
        claim: Claim::Idle,
        generation: OwnershipGeneration::NONE,
        owner: NOBODY,
        previous: NOBODY,
        told: Role::Other { owner: None },
        told_by: 0,
    };

    pub fn role(&self, own: NodeId) -> Role {
        let somebody = |id: NodeId| (id != NOBODY && id != own).then_some(id);
        match self.claim {
            Claim::Idle | Claim::Taking { .. } => Role::Other { owner: somebody(self.owner) },
            Claim::Expecting { from, .. } => Role::Expecting { from },
            Claim::Serving => Role::Owner { previous: somebody(self.previous) },
            Claim::Releasing { to, .. } => Role::Releasing { to },
        }
    }
}

impl Cluster {
    /// Lets something happen to a group, and tells the forwarders what that means for them.
    pub(super) fn drive(&mut self, group: usize, input: Input) {
        let local = &mut self.locals[group];
        local.claim = step(local.claim, input);
        let (role, generation) = (local.role(self.own.id), local.generation);
        if core::mem::replace(&mut local.told, role) == role {
            return;
        }
        for vip in self.groups[group].vips.clone() {
            self.stated += 1;
            let number = self.stated;
            self.events.push_back(Event::Ownership(Ownership { vip, role, generation, number }));
            if matches!(role, Role::Owner { .. }) {
                self.events.push_back(Event::Announce(vip));
            }
        }
        self.locals[group].told_by = self.stated;
    }

    /// Brings what we do into line with the table.
    pub(super) fn reconcile(&mut self) {
        let until = self.clock + DRAIN;
        for group in 0..self.groups.len() {
            let entry = self.table[group];
            let local = self.locals[group];
            if entry.generation <= local.generation {
                continue;
            }
            self.locals[group].generation = entry.generation;
            if self.locals[group].owner != entry.owner && entry.origin == Origin::Handed {
                self.balance.moved(group, self.clock);
            }
            // Who joins learns what has been so for long, and need not be told.
            let known = local.owner != NOBODY || entry.owner == self.own.id;
            if known && local.owner != entry.owner {
                let before = if local.owner == NOBODY { entry.previous } else { local.owner };
                self.tell_move(group, before);
            }
            self.locals[group].owner = entry.owner;
            self.locals[group].previous = entry.previous;
            let not_before = self.fence;
            let input = match entry.origin {
                _ if entry.owner != self.own.id => Input::Lost { to: entry.owner, until },
                Origin::Handed => Input::Handed,
                Origin::Claimed => Input::Claimed { not_before },
                Origin::Kept => Input::Kept { not_before },
            };
            self.drive(group, input);
        }
    }

    /// Stops everything: we are in no view. Who has left in order still knows whose the others'
    /// addresses are: replies for them come to it until every server has learned where its gateway
    /// is now.
    pub(super) fn release_all(&mut self) {
        for group in 0..self.groups.len() {
            if !self.leaving {
                self.locals[group].owner = NOBODY;
            }
            self.drive(group, Input::Dropped);
        }
    }

    /// Tells everybody again where the VIPs are that we serve.
    pub(super) fn announce_all(&mut self) {
        for (group, local) in self.groups.iter().zip(&self.locals) {
            if local.claim == Claim::Serving {
                self.events.extend(group.vips.iter().map(|vip| Event::Announce(*vip)));
            }
        }
    }

    /// One bit for each group that we serve.
    pub(super) fn owned_bits(&self) -> alloc::vec::Vec<u8> {
        let mut bits = alloc::vec![0; self.groups.len().div_ceil(8)];
        for (group, local) in self.locals.iter().enumerate() {
            if local.claim == Claim::Serving {
                bits[group / 8] |= 1 << (group % 8);
            }
        }
        bits
    }

    /// The forwarders obey every statement up to one.
    pub(super) fn settle(&mut self, number: u64) {
        self.obeyed = self.obeyed.max(number);
        for group in 0..self.groups.len() {
            if self.locals[group].told_by <= number {
                self.drive(group, Input::Settled);
            }
        }
        self.grant_permit();
    }

    /// A token has passed here and lets gates open. One that waits for the forwarders in this view
    /// is not replaced: it would wait for ever where owners are named without end.
    pub(super) fn permit(&mut self, fresh: bool) {
        if fresh {
            self.permitted = 0;
            self.permit = None;
        }
        let closings = self.report.as_ref().map_or(0, |report| report.closings);
        self.permit.get_or_insert(Permit { closings, after: self.stated });
        self.grant_permit();
    }

    fn grant_permit(&mut self) {
        if let Some(Permit { closings, after }) = self.permit
            && after <= self.obeyed
        {
            self.permitted = closings;
            self.permit = None;
        }
    }

    /// Until when the token waits for the forwarders: what they stop serving can then be handed
    /// over with it.
    pub(super) fn settling_until(&self) -> Option<Instant> {
        let waits = |claim: Claim| match claim {
            Claim::Releasing { settled: false, until, .. } => {
                Some(until - DRAIN + self.pace.interval)
            }
            Claim::Releasing { settled: true, .. }
            | Claim::Idle
            | Claim::Expecting { .. }
            | Claim::Taking { .. }
            | Claim::Serving => None,
        };
        self.locals.iter().filter_map(|local| waits(local.claim)).max()
    }

    /// When a release that begins now is over.
    pub(super) fn drained_at(&self) -> Instant {
        self.clock + DRAIN
    }

    /// A question about a VIP left, or somebody answered one.
    pub(super) fn take_probe(&mut self, vip: VipId, answered: Option<Mac>) {
        let now = self.clock;
        let group = self.groups.iter().position(|group| group.vips.contains(&vip));
        // In a minority, silence proves something only where a witness shows that we are reached.
        let heard = !self.careful || group.is_some_and(|group| self.open(self.own.id, group));
        let Some(silent) = self.silent.get_mut(vip.index()) else { return };
        match answered {
            None if heard => {
                silent.get_or_insert(now);
            }
            None => *silent = None,
            Some(mac) => {
                *silent = None;
                self.answered[vip.index()] = Some(now);
                let due = |claim| match claim {
                    Claim::Taking { not_before } => not_before <= now,
                    Claim::Idle
                    | Claim::Expecting { .. }
                    | Claim::Serving
                    | Claim::Releasing { .. } => false,
                };
                if group.is_some_and(|group| due(self.locals[group].claim)) {
                    self.events.push_back(Event::Conflict { vip, mac });
                }
            }
        }
    }

    /// Opens what nobody else can be serving, and asks for what we may have to take over.
    pub(super) fn pursue(&mut self) {
        let now = self.clock;
        let (pause, needed) = self.caution();
        let settled = self.view.as_ref().is_some_and(|view| now.since(view.since) >= pause);
        let rival = !settled || self.rival_serves();
        for group in 0..self.groups.len() {
            match self.locals[group].claim {
                Claim::Taking { not_before } if not_before <= now && !rival => {
                    let mut vips = self.groups[group].vips.iter();
                    let silent = vips.all(|vip| {
                        self.silent[vip.index()].is_some_and(|since| now.since(since) >= needed)
                            && !self.lives(*vip)
                    });
                    if silent {
                        self.drive(group, Input::Ready);
                    }
                }
                Claim::Releasing { until, .. } if until <= now => self.drive(group, Input::Over),
                Claim::Idle
                | Claim::Expecting { .. }
                | Claim::Taking { .. }
                | Claim::Serving
                | Claim::Releasing { .. } => {}
            }
        }
        if self.probe_at <= now {
            self.probe();
        }
    }

    /// How old the view must be before anything is claimed in it, and for how long nobody must
    /// have answered.
    ///
    /// In a minority, those who hear us and whom we do not hear must have closed before. One who
    /// was in our view before closes with the first heartbeat of the new one, and several are sent
    /// in its first interval ([`crate::Pulse::handle_orders`]); others need to hear twice that they
    /// are not heard, and one that stands still does not hear it before its lease has run out. Who
    /// is suspected was asked for from its second missing heartbeat on.
    fn caution(&self) -> (Duration, Duration) {
        let interval = self.pace.interval;
        match (self.careful, self.kin) {
            (false, _) => (Duration::ZERO, interval),
            (true, true) => (interval, self.patience.saturating_sub(interval * 2).max(interval)),
            (true, false) => (self.strangers_lease().max(interval * 3), self.patience),
        }
    }

    /// How long a lease may last of somebody who served when it was heard last and is not in our
    /// view, from when it was told of that view: it may have agreed on any L with others. Who has
    /// not been heard for longer than two such leases is taken for gone.
    fn strangers_lease(&self) -> Duration {
        let members = self.members();
        let longest = self.pace.ceiling + margin(self.pace.ceiling) + self.pace.interval;
        let mut peers = self.report.iter().flat_map(|report| &report.peers);
        let stranger = peers.any(|sight| {
            let serves = sight.said.gates.iter().any(|gate| gate.open);
            let recent = self.clock.since(sight.heard_at) < longest * 2;
            serves && recent && !members.contains(sight.peer.id)
        });
        if stranger { longest } else { Duration::ZERO }
    }

    /// Whether somebody has answered for a VIP so short ago that its lease may last. With a quorum
    /// every lease that the fence does not cover has run out.
    fn lives(&self, vip: VipId) -> bool {
        let length = self.patience + margin(self.patience);
        self.settings.policy != Policy::Quorum
            && self.answered[vip.index()].is_some_and(|at| self.clock.since(at) < length)
    }

    /// Whether somebody who serves is heard and is not in our view: it may own what we would claim,
    /// whatever became of its answers to our questions. With a quorum its leases have run out.
    fn rival_serves(&self) -> bool {
        if self.settings.policy == Policy::Quorum {
            return false;
        }
        let members = self.members();
        let mut peers = self.report.iter().flat_map(|report| &report.peers);
        peers.any(|sight| {
            sight.presence == crate::Presence::Heard
                && !members.contains(sight.peer.id)
                && sight.said.gates.iter().any(|gate| gate.open)
        })
    }

    /// Asks for the VIPs of groups that we take, and of those that would be ours if who is not
    /// heard now were gone: the silence that a claim needs has then passed when it comes to it.
    fn probe(&mut self) {
        let now = self.clock;
        let mut wanted: alloc::vec::Vec<usize> = self.inheritance();
        let taking = |local: &Local| matches!(local.claim, Claim::Taking { .. });
        wanted.extend((0..self.groups.len()).filter(|group| taking(&self.locals[*group])));
        let vips = wanted.iter().flat_map(|group| self.groups[*group].vips.iter().copied());
        let mut vips: alloc::vec::Vec<VipId> = vips.collect();
        vips.sort_unstable();
        vips.dedup();
        if vips.is_empty() {
            self.silent.fill(None);
            self.probe_at = Instant::FAR;
            return;
        }
        for index in 0..self.silent.len() {
            if vips.binary_search(&VipId::from(index)).is_err() {
                self.silent[index] = None;
            }
        }
        let start = vips.partition_point(|vip| *vip <= self.probed);
        let count = vips.len().min(QUESTIONS);
        for vip in vips.iter().cycle().skip(start).take(count) {
            self.events.push_back(Event::Probe(*vip));
            self.probed = *vip;
        }
        self.probe_at = now + self.pace.interval / 2;
    }

    /// Lets probing begin, if there is something to ask for.
    pub(super) fn begin_probing(&mut self) {
        if self.probe_at == Instant::FAR {
            self.probe_at = self.clock;
        }
    }

    /// Groups that would be ours if the members that are not heard now were gone.
    fn inheritance(&self) -> alloc::vec::Vec<usize> {
        let members = self.members();
        let peers = self.report.iter().flat_map(|report| &report.peers);
        let gone = peers.filter(|sight| sight.presence != crate::Presence::Heard || sight.deaf);
        let gone: NodeSet = gone.map(|sight| sight.peer.id).collect();
        let rest = members.difference(gone);
        if rest == members {
            return alloc::vec::Vec::new();
        }
        let adopted = self.adoption(rest);
        adopted.into_iter().filter(|(_, id)| *id == self.own.id).map(|(group, _)| group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_in_every_state_leads_where_the_drawing_says() {
        let (a, b) = (NodeId(1), NodeId(2));
        let (early, late) = (Instant::from_millis(5), Instant::from_millis(50));
        let idle = Claim::Idle;
        let serve = Claim::Serving;
        let expect = Claim::Expecting { from: a, settled: false };
        let ready = Claim::Expecting { from: a, settled: true };
        let other = Claim::Expecting { from: b, settled: false };
        let take = Claim::Taking { not_before: early };
        let again = Claim::Taking { not_before: late };
        let give = Claim::Releasing { to: a, settled: false, until: early };
        let given = Claim::Releasing { to: a, settled: true, until: early };
        let lost = Claim::Releasing { to: b, settled: true, until: late };
        let leave = Claim::Releasing { to: b, settled: false, until: late };
        let states = [idle, expect, ready, take, serve, give, given];
        let not_before = late;
        let until = late;
        // A row is an input, a column the state that it finds.
        #[rustfmt::skip]
        let table: [(Input, [Claim; 7]); 14] = [
            (Input::Handed,                    [serve; 7]),
            (Input::Claimed { not_before },    [again; 7]),
            (Input::Kept { not_before },       [again, again, again, take, serve, give, given]),
            (Input::Doubt { not_before },      [idle, expect, ready, take, again, give, given]),
            (Input::Lost { to: b, until },     [idle, idle, idle, idle, lost, lost, lost]),
            (Input::Lost { to: NOBODY, until }, [idle; 7]),
            (Input::Expect { from: a },       [expect, expect, ready, take, serve, expect, expect]),
            (Input::Expect { from: b },        [other, other, other, take, serve, other, other]),
            (Input::Forget,                    [idle, idle, idle, take, serve, give, given]),
            (Input::Release { to: b, until },  [idle, expect, ready, take, leave, give, given]),
            (Input::Settled,                   [idle, ready, ready, take, serve, given, given]),
            (Input::Ready,                     [idle, expect, ready, serve, serve, give, given]),
            (Input::Over,                      [idle, expect, ready, take, serve, give, idle]),
            (Input::Dropped,                   [idle, idle, idle, idle, idle, given, given]),
        ];
        for (input, next) in table {
            for (state, next) in states.into_iter().zip(next) {
                assert_eq!(step(state, input), next, "{state:?} {input:?}");
            }
        }
    }
}
