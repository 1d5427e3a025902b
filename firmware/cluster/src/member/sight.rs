//! What the members see of each other, and how a message gets from one to another.

use super::Cluster;
use super::groups::Group;
use crate::wire::{self, Reach, Routed, Standing};
use crate::{Channel, NodeSet, Peer, Presence, Sight, Transmit};
use alloc::vec::Vec;
use base::time::Duration;
use base::{Instant, NetworkId, NodeId};
use serde::Serialize;

impl Cluster {
    pub(super) fn sight(&self, id: NodeId) -> Option<&Sight> {
        self.report.as_ref()?.peers.iter().find(|sight| sight.peer.id == id)
    }

    /// The members of our view; nobody outside.
    pub(super) fn members(&self) -> NodeSet {
        self.view.as_ref().map_or(NodeSet::EMPTY, |view| ids(&view.members))
    }

    /// Whom we hear.
    pub(super) fn heard(&self) -> NodeSet {
        let peers = self.report.iter().flat_map(|report| &report.peers);
        peers
            .filter(|sight| sight.presence != Presence::Silent)
            .map(|sight| sight.peer.id)
            .collect()
    }

    /// Whom a node hears, as far as it told us.
    pub(super) fn hears(&self, id: NodeId) -> NodeSet {
        if id == self.own.id {
            return self.heard();
        }
        let sight = self.sight(id).filter(|sight| sight.presence != Presence::Silent);
        sight.map_or(NodeSet::EMPTY, |sight| sight.said.hears)
    }

    /// Whether two nodes hear each other, as far as we can tell: of one that we do not hear, the
    /// other says whether it is heard by it.
    pub(super) fn linked(&self, a: NodeId, b: NodeId) -> bool {
        let heard = self.heard().with(self.own.id);
        match (heard.contains(a), heard.contains(b)) {
            (true, true) => self.hears(a).contains(b) && self.hears(b).contains(a),
            (true, false) => a != self.own.id && self.vouches(a, b),
            (false, true) => b != self.own.id && self.vouches(b, a),
            (false, false) => false,
        }
    }

    /// Whether a node that we hear says that it hears another, and is heard by it.
    fn vouches(&self, witness: NodeId, other: NodeId) -> bool {
        self.sight(witness).is_some_and(|sight| {
            sight.said.hears.contains(other) && !sight.said.suspects.contains(other)
        })
    }

    /// Members of whom we hear nothing, who do not hear us, or who have started again.
    pub(super) fn suspected(&self) -> NodeSet {
        let Some(view) = &self.view else { return NodeSet::EMPTY };
        let others = view.members.iter().filter(|member| member.id != self.own.id);
        let suspect = |member: &&Peer| {
            let Some(sight) = self.sight(member.id) else { return self.overdue() };
            if sight.peer == **member {
                sight.presence == Presence::Silent || sight.deaf
            } else {
                sight.peer.incarnation > member.incarnation
            }
        };
        others.filter(suspect).map(|member| member.id).collect()
    }

    /// Whether a member of which we never heard anything should have been heard by now.
    fn overdue(&self) -> bool {
        let Some(view) = &self.view else { return false };
        self.clock.since(view.since) > self.patience
    }

    /// The cut rule: members that everybody suspects whom we do not suspect.
    ///
    /// If only some suspect a member, a link has failed and the member stays.
    pub(super) fn condemned(&self) -> NodeSet {
        let suspected = self.suspected();
        if suspected.is_empty() {
            return suspected;
        }
        let view = self.view.as_ref().map_or(crate::ViewId::NONE, |view| view.id);
        let observers = self.members().difference(suspected).without(self.own.id);
        let agrees = |observer: NodeId, suspect: NodeId| {
            self.sight(observer).is_none_or(|sight| {
                sight.said.view != view || sight.said.suspects.contains(suspect)
            })
        };
        suspected.iter().filter(|x| observers.iter().all(|observer| agrees(observer, *x))).collect()
    }

    /// The members that can reach us, by as many hops as it takes.
    pub(super) fn component(&self) -> NodeSet {
        let members = self.members();
        let mut reached = NodeSet::EMPTY.with(self.own.id);
        loop {
            let more = members.difference(reached);
            let next = more.iter().find(|id| reached.iter().any(|known| self.linked(known, *id)));
            match next {
                Some(id) => reached.insert(id),
                None => return reached,
            }
        }
    }

    /// How a node is reached on a network, and whether it may serve there.
    fn gate(&self, id: NodeId, network: NetworkId) -> (bool, Reach) {
        let Some(report) = &self.report else { return (false, Reach::Nobody) };
        if id == self.own.id {
            let gate = report.gates.iter().find(|gate| gate.network == network);
            return gate.map_or((false, Reach::Nobody), |gate| (gate.open, gate.reach));
        }
        let gates = self.sight(id).map_or(&[][..], |sight| &sight.said.gates);
        let gate = gates.iter().find(|gate| gate.network == network.0);
        gate.map_or((false, Reach::Nobody), |gate| (gate.open, gate.reach))
    }

    /// Whether a node is reached on a network as well as anybody: it should not own a VIP where
    /// nobody shows that its frames arrive, while they arrive from others.
    pub(super) fn reached(&self, id: NodeId, network: NetworkId) -> bool {
        let (open, reach) = self.gate(id, network);
        open || reach > Reach::Nobody
            || self.members().iter().all(|other| self.gate(other, network).1 == Reach::Nobody)
    }

    /// Whether a node's lease on a network holds.
    pub(super) fn is_open(&self, id: NodeId, network: NetworkId) -> bool {
        self.gate(id, network).0
    }

    /// Whether a member's lease holds on every network of a group.
    pub(super) fn open(&self, id: NodeId, group: usize) -> bool {
        self.groups[group].networks.iter().all(|network| self.gate(id, *network).0)
    }

    /// Who can own a group.
    pub(super) fn able(&self, group: usize, among: NodeSet) -> NodeSet {
        let group = &self.groups[group];
        self.fitness(&group.networks).able(group, among)
    }

    /// Which nodes can own what is on these networks.
    pub(super) fn fitness(&self, networks: &[NetworkId]) -> Fitness {
        let fit = |id: &NodeId| {
            *id == self.own.id && !self.leaving
                || self.sight(*id).is_some_and(|sight| sight.said.standing != Standing::Leaving)
        };
        let nodes = self.settings.nodes.iter().map(|node| node.id);
        let fit: NodeSet = nodes.filter(fit).collect();
        let reached = |network: NetworkId| {
            fit.iter().filter(|id| self.reached(*id, network)).collect::<NodeSet>()
        };
        let reached = networks.iter().map(|&network| (network, reached(network))).collect();
        Fitness { fit, drained: self.drained, reached }
    }

    /// Whether a message is for us; one for somebody else is passed on, if it came from its
    /// author and we hear whom it is for.
    pub(super) fn is_for_us<M>(
        &mut self,
        from: Peer,
        channel: Channel,
        routed: &Routed<M>,
        body: &[u8],
    ) -> bool {
        if routed.target == self.own.id {
            return routed.origin != self.own;
        }
        if routed.origin == from && self.heard().contains(routed.target) {
            self.send(routed.target, channel, body, false);
        }
        false
    }

    /// Sends a message to a node: directly, or through somebody who hears it and us. `insist`: on
    /// every network and every way there is, because it was not answered.
    pub(super) fn post<M: Serialize>(
        &mut self,
        to: NodeId,
        channel: Channel,
        message: M,
        insist: bool,
    ) {
        let Some(body) = wire::encode(&Routed { origin: self.own, target: to, message }) else {
            return;
        };
        let direct = self.linked(self.own.id, to);
        if direct || insist {
            self.send(to, channel, &body, insist);
        }
        if !direct {
            let via = self.heard().without(to);
            let via = via.iter().find(|z| self.linked(self.own.id, *z) && self.linked(*z, to));
            match via {
                Some(via) => self.send(via, channel, &body, insist),
                None if !insist => self.send(to, channel, &body, true),
                None => {}
            }
        }
    }

    /// Sends octets to a node, on the network where it was heard last, or on all.
    pub(super) fn send(&mut self, to: NodeId, channel: Channel, body: &[u8], everywhere: bool) {
        let ours = self.settings.networks_of(self.own.id);
        let theirs = self.settings.networks_of(to);
        let mut shared: Vec<(Instant, NetworkId)> = ours
            .iter()
            .filter(|network| theirs.contains(network))
            .map(|&network| {
                let paths = self.sight(to).map_or(&[][..], |sight| &sight.paths);
                let path = paths.iter().find(|path| path.network == network);
                (path.map_or(Instant::ZERO, |path| path.heard_at), network)
            })
            .collect();
        shared.sort_unstable_by(|a, b| b.cmp(a));
        let count = if everywhere { shared.len() } else { 1 };
        for (_, network) in shared.into_iter().take(count) {
            self.out.push_back(Transmit { to, network, channel, body: body.to_vec() });
        }
    }
}

/// Which nodes can own what, found out at once for all groups that are asked about.
pub struct Fitness {
    /// Those that are here and do not leave.
    fit: NodeSet,
    /// Those that are to own nothing, if others can.
    drained: NodeSet,
    /// By network, those that are reached there as well as anybody.
    reached: Vec<(NetworkId, NodeSet)>,
}

impl Fitness {
    /// Who can own a group when there is need: a drained member where no other can.
    pub fn able_at_all(&self, group: &Group, among: NodeSet) -> NodeSet {
        let able = self.able(group, among);
        if able.is_empty() { self.fit(group, among) } else { able }
    }

    /// Who can own a group.
    pub fn able(&self, group: &Group, among: NodeSet) -> NodeSet {
        self.fit(group, among.difference(self.drained))
    }

    fn fit(&self, group: &Group, among: NodeSet) -> NodeSet {
        let fit = group.eligible.intersection(among).intersection(self.fit);
        let on = |network: &NetworkId| {
            let known = self.reached.iter().find(|(known, _)| known == network);
            known.map_or(NodeSet::EMPTY, |(_, reached)| *reached)
        };
        group.networks.iter().map(on).fold(fit, NodeSet::intersection)
    }
}

/// The ids of peers.
pub fn ids(peers: &[Peer]) -> NodeSet {
    peers.iter().map(|peer| peer.id).collect()
}

/// A duration on the wire.
pub fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
