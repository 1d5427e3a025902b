//! Heartbeats, who is heard, and the leases.
//!
//! Runs on a real-time thread of its own. Whoever runs it empties its sockets, hands in what they
//! held ([`Pulse::handle_heartbeat`]), says whether they lost anything ([`Pulse::handle_loss`]) and
//! then that they are empty ([`Pulse::handle_drained`]): only then may a silence become a
//! suspicion.

mod gate;
mod grant;
mod lateness;
mod peer;
mod settings;
mod suspicion;

use crate::identity::supersedes;
use crate::wire::{self, Heartbeat, Reach, Standing};
use crate::{
    Channel, GateSight, Lease, NodeSet, Orders, Pace, Peer, Presence, Report, Settings, Sight,
    Transmit, ViewId,
};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use base::rng::Rng;
use base::time::Duration;
use base::{Instant, NetworkId};
use gate::{Gate, State};
use lateness::Lateness;
use model::{Policy, Profile};
use peer::{Sent, Watched};

/// Peers that are not heard for this long …
const LOST: Duration = Duration::from_secs(10);
/// … get every so many heartbeats only: enough to find each other.
const BEACON: u64 = 5;
/// Between two questions to the witnesses of a network while nobody is missing.
const WITNESS_INTERVAL: Duration = Duration::from_millis(100);

/// The machine behind heartbeats and leases.
#[derive(Clone, Debug)]
pub struct Pulse {
    own: Peer,
    policy: Policy,
    pace: Pace,
    /// The profile's interval, while it is longer than what present leases allow.
    slower: Option<Duration>,
    /// How many nodes are configured, ourselves among them.
    configured: usize,
    /// By network: whether it has witnesses.
    witnesses: Vec<bool>,
    /// By id, ascending.
    peers: Vec<Watched>,
    gates: Vec<Gate>,
    leases: Vec<Lease>,
    /// How often any of them ended; at first they are all ended by the first.
    closings: u64,
    orders: Orders,
    sent: Sent,
    next_beat: Instant,
    /// Until then heartbeats are sent at four times the rate: somebody was left out, and may
    /// have to hear of it soon.
    hurry_until: Instant,
    /// With a profile that chooses L by what it measures.
    lateness: Option<Lateness>,
    /// When forwarders and control were last seen to make progress.
    progress_at: Instant,
    /// Since when we may not accuse anybody, because we were late.
    late_at: Option<Instant>,
    /// When datagrams were lost here last.
    lost_at: Option<Instant>,
    /// The view in which we must not serve, and until when that holds unless it is said again.
    barred: Option<(ViewId, Instant)>,
    suspects: NodeSet,
    out: VecDeque<Transmit>,
    questions: VecDeque<NetworkId>,
    report_due: bool,
}

impl Pulse {
    /// Hears nobody and may serve nowhere, unless no other node is configured.
    pub fn new(now: Instant, settings: &Settings, seed: u64) -> Self {
        let pace = settings.pace();
        let own = Peer { id: settings.own, incarnation: settings.incarnation };
        let attached = settings.networks_of(own.id);
        let shared = |id| {
            let theirs = settings.networks_of(id);
            attached.iter().copied().filter(|network| theirs.contains(network))
        };
        let peers = settings.others().iter().map(|id| Watched::new(id, shared(id))).collect();
        let offset = Rng::new(seed).below(u64::try_from(pace.interval.as_nanos()).unwrap_or(1));
        Self {
            own,
            policy: settings.policy,
            pace,
            slower: None,
            configured: settings.nodes.len(),
            witnesses: settings.networks.iter().map(|network| network.witnesses).collect(),
            peers,
            gates: attached.iter().map(|network| Gate::new(*network)).collect(),
            leases: attached
                .iter()
                .map(|&network| Lease { network, until: Instant::ZERO })
                .collect(),
            closings: 1,
            orders: Orders::outside(pace.start, settings.document),
            sent: Sent::new(),
            next_beat: now + Duration::from_nanos(offset),
            hurry_until: now,
            lateness: (settings.profile == Profile::Auto).then(|| Lateness::new(now)),
            progress_at: now,
            late_at: None,
            lost_at: None,
            barred: None,
            suspects: NodeSet::EMPTY,
            out: VecDeque::new(),
            questions: VecDeque::new(),
            report_due: true,
        }
    }

    /// Takes a heartbeat that the kernel received at `received_at`. One that cannot be decoded
    /// changes nothing. What follows from it is found by [`Pulse::handle_drained`].
    pub fn handle_heartbeat(
        &mut self,
        received_at: Instant,
        now: Instant,
        from: Peer,
        network: NetworkId,
        body: &[u8],
    ) {
        self.notice_lateness(now);
        let Ok(beat) = wire::decode::<Heartbeat>(body) else { return };
        let Self { peers, sent, pace, .. } = self;
        let Some(watched) = peers.iter_mut().find(|watched| watched.id == from.id) else { return };
        let before = (watched.presence, watched.peer, watched.said.clone());
        if !watched.hear(received_at.min(now), from, network, beat, sent, pace.interval) {
            return;
        }
        let hears_us = watched.said.hears.contains(self.own.id);
        watched.unheard_since =
            if hears_us { None } else { watched.unheard_since.or(Some(received_at)) };
        let (presence, known, said) = before;
        let news = presence != watched.presence
            || known != watched.peer
            || !watched.said.says_the_same_as(&said);
        // Where the token was matters once it may be with somebody who is gone; until then the
        // next regular report is early enough.
        let passed = (watched.said.token, watched.said.holds) != (said.token, said.holds);
        let news = news || passed && !self.suspects.is_empty();
        if let Some(lateness) = &mut self.lateness {
            lateness.note(now, watched.late);
        }
        let echoed = watched.echoed_at();
        if self.late_at.is_some_and(|late| echoed > late) {
            self.late_at = None;
        }
        self.report_due |= news;
        self.yield_to(now, from);
    }

    /// The kernel had no room for datagrams that came while we did not look: whom we do not hear
    /// may have spoken. To be said before [`Pulse::handle_drained`].
    pub fn handle_loss(&mut self, now: Instant) {
        self.late_at = Some(now);
        self.lost_at = Some(now);
    }

    /// Every socket was empty at `now`, and everything from them has been handed in.
    pub fn handle_drained(&mut self, now: Instant) {
        self.notice_lateness(now);
        if self.late_at.is_none() {
            for watched in &mut self.peers {
                self.report_due |= watched.judge(now, self.orders.patience);
            }
        }
        self.review(now);
    }

    /// Obeys what the other machine decided; an older order than the last changes nothing.
    pub fn handle_orders(&mut self, now: Instant, orders: Orders) {
        if orders.revision <= self.orders.revision {
            return;
        }
        let hurry = orders.view != self.orders.view
            || orders.standing != self.orders.standing
            || orders.muted != self.orders.muted;
        // That only the token was here again is told with the next regular report, unless somebody
        // waits for it.
        let paced = (orders.lease, orders.patience) != (self.orders.lease, self.orders.patience);
        self.report_due |= hurry || paced || !self.suspects.is_empty();
        let left_out = self.orders.members.iter().any(|peer| !orders.members.contains(peer));
        if left_out && orders.standing == Standing::Member {
            self.hurry_until = now + self.pace.interval;
            self.next_beat = self.next_beat.min(now + self.pace.interval / 4);
        }
        self.orders = orders;
        self.slow_down();
        self.review(now);
        if hurry {
            self.beat(now);
        }
    }

    /// The carrier of a network's port came or went.
    pub fn handle_carrier(&mut self, now: Instant, network: NetworkId, up: bool) {
        if let Some(gate) = self.gates.iter_mut().find(|gate| gate.network == network)
            && gate.carrier != up
        {
            gate.carrier = up;
            self.report_due = true;
            self.review(now);
            self.beat(now);
        }
    }

    /// Every forwarder and control have made progress: only while that is so, we say we live.
    pub fn handle_progress(&mut self, now: Instant) {
        self.progress_at = self.progress_at.max(now);
    }

    /// A witness of a network has answered a question of [`Pulse::poll_probe`].
    pub fn handle_witness(&mut self, now: Instant, network: NetworkId) {
        if let Some(gate) = self.gates.iter_mut().find(|gate| gate.network == network) {
            gate.answered_at = Some(gate.asked_at);
        }
        self.review(now);
    }

    /// Sends what is due and closes what has run out.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.notice_lateness(now);
        if now >= self.next_beat {
            if let Some(lateness) = &mut self.lateness {
                lateness.note(now, now.since(self.next_beat));
            }
            let hurry = now < self.hurry_until;
            let interval = if hurry { self.pace.interval / 4 } else { self.pace.interval };
            self.next_beat += interval;
            if self.next_beat <= now {
                self.next_beat = now + interval;
            }
            self.ask_witnesses(now);
            self.beat(now);
            self.report_due = true;
        }
        self.review(now);
    }

    /// When [`Pulse::handle_timeout`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.peers.is_empty() {
            return None;
        }
        let closing = self.gates.iter().filter(|gate| gate.open()).map(Gate::until);
        let silent = self.peers.iter().filter(|peer| peer.presence != Presence::Silent);
        let patience = self.orders.patience + Duration::from_nanos(1);
        let missing = self.pace.interval * 2 + Duration::from_nanos(1);
        let silent = silent.map(|peer| match peer.presence {
            Presence::Heard => peer.heard_at + missing.min(patience),
            Presence::Missing | Presence::Silent => peer.heard_at + patience,
        });
        closing.chain([self.next_beat]).chain(silent).min()
    }

    /// From one heartbeat to the next.
    pub const fn interval(&self) -> Duration {
        self.pace.interval
    }

    /// The next heartbeat to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// A network whose witnesses are to be asked now, by ARP or NDP.
    pub fn poll_probe(&mut self) -> Option<NetworkId> {
        self.questions.pop_front()
    }

    /// What is seen, if it changed since the last report or an interval is over. Only the newest
    /// counts.
    pub fn poll_report(&mut self) -> Option<Report> {
        if !core::mem::take(&mut self.report_due) {
            return None;
        }
        let peers = self.peers.iter().filter_map(|watched| {
            Some(Sight {
                peer: watched.peer?,
                heard_at: watched.heard_at,
                heard_since: watched.heard_since,
                presence: watched.presence,
                deaf: self.is_deaf(watched),
                said: watched.said.clone(),
                paths: watched.sights(),
            })
        });
        let peers: Vec<Sight> = peers.collect();
        let jitter = self.peers.iter().map(|watched| watched.jitter).max().unwrap_or_default();
        let interval = self.pace.interval;
        let worst = self.lateness.map_or(Duration::ZERO, |lateness| lateness.wanted(interval));
        let wanted = (interval * 3 + jitter * 4).max(worst);
        let wanted = wanted.clamp(self.pace.floor, self.pace.ceiling);
        let gates = self.gates.iter().map(|gate| GateSight {
            network: gate.network,
            open: gate.open(),
            closings: gate.closings,
            reach: self.reach(gate, self.progress_at),
        });
        let gates = gates.collect();
        let sober = self.late_at.is_none();
        let (obeyed, closings) = (self.orders.revision, self.closings);
        Some(Report { obeyed, peers, gates, closings, sober, wanted })
    }

    /// What is known of a peer, in this start of it.
    fn watched(&self, peer: Peer) -> Option<&Watched> {
        let at = self.peers.binary_search_by_key(&peer.id, |watched| watched.id).ok()?;
        self.peers.get(at).filter(|watched| watched.peer == Some(peer))
    }

    /// Until when this node may serve, for each network it is attached to.
    pub fn leases(&self) -> &[Lease] {
        &self.leases
    }

    /// We did nothing for more than half of the suspicion time: whom we do not hear may have
    /// spoken, and we accuse nobody until we have heard a fresh echo, or have been punctual for
    /// as long as a suspicion takes.
    fn notice_lateness(&mut self, now: Instant) {
        let patience = self.orders.patience;
        if now.since(self.next_beat) > patience / 2 {
            self.late_at = Some(now);
        } else if self.late_at.is_some_and(|late| now.since(late) > patience) {
            self.late_at = None;
        }
    }

    /// Closes our gates where `from` serves in a view that we are not in and must give way to.
    fn yield_to(&mut self, now: Instant, from: Peer) {
        let Some(watched) = self.watched(from) else { return };
        let said = &watched.said;
        let ours = self.orders.view;
        let foreign = said.standing != Standing::Outside
            && said.view != ours
            && !said.members.contains(self.own.id);
        if self.orders.standing == Standing::Outside || !foreign {
            return;
        }
        let members: NodeSet = self.orders.members.iter().map(|peer| peer.id).collect();
        let was_ours = self.orders.members.contains(&from);
        let most = said.members.len() * 2 >= members.len();
        let excluded = was_ours && said.view > ours && most;
        let serves = said.gates.iter().any(|gate| gate.open);
        let outranked = supersedes((said.view, said.members), (ours, members));
        let bar = match watched.unheard_since {
            None => serves && outranked,
            // It cannot know of us, and will claim what we own (see `Cluster::pursue`) three
            // intervals after it has agreed on its view, at the earliest. That we are not heard
            // yet, just after a heal, is said for an interval at most.
            Some(since) => {
                let deaf = watched.heard_at.since(since) > self.pace.interval * 3 / 2;
                serves && (deaf || was_ours && said.view > ours)
            }
        };
        if excluded || bar {
            self.barred = Some((ours, now + self.orders.patience * 3));
        }
    }

    /// Judges every gate anew and publishes the leases.
    fn review(&mut self, now: Instant) {
        let late = self.pace.interval * 2;
        for watched in &mut self.peers {
            self.report_due |= watched.wait(now, late);
        }
        if self.barred.is_some_and(|(view, until)| view != self.orders.view || until <= now) {
            self.barred = None;
        }
        let grant = self.grant(now);
        for index in 0..self.gates.len() {
            let gate = &self.gates[index];
            let input = gate::Input {
                now,
                granted: self.granted(grant, gate),
                permitted: self.orders.permitted,
                next: self.closings + 1,
                allowed: self.allowed(gate, now),
            };
            let was_open = gate.open();
            let state = gate::step(gate.state, input);
            let gate = &mut self.gates[index];
            gate.state = state;
            self.report_due |= was_open != gate.open();
            if was_open && !gate.open() {
                gate.closings += 1;
                self.closings += 1;
            }
            self.leases[index].until = match state {
                State::Closed { .. } => Instant::ZERO,
                State::Open { until } => until,
            };
        }
        let suspects = self.suspected();
        if suspects != self.suspects {
            self.suspects = suspects;
            self.report_due = true;
            self.beat(now);
        }
    }

    fn ask_witnesses(&mut self, now: Instant) {
        let members = |w: &&Watched| w.peer.is_some_and(|p| self.orders.members.contains(&p));
        let missing = self.peers.iter().filter(members).any(|w| w.presence != Presence::Heard);
        let hurry = missing || self.orders.members.len() <= 2;
        let interval = if hurry { self.pace.interval } else { WITNESS_INTERVAL };
        for gate in &mut self.gates {
            let has_some = self.witnesses.get(gate.network.index()).is_some_and(|some| *some);
            // Half an interval early: the next look is a whole one later.
            if has_some && now.since(gate.asked_at) + self.pace.interval / 2 >= interval {
                gate.asked_at = now;
                self.questions.push_back(gate.network);
            }
        }
    }

    /// One heartbeat to every peer, unless something on this node has stopped.
    fn beat(&mut self, now: Instant) {
        if now.since(self.progress_at) > self.orders.patience / 2 || self.peers.is_empty() {
            return;
        }
        let tick = self.sent.next(now);
        let gates = self.gates.iter().map(|gate| wire::Gate {
            network: gate.network.0,
            open: gate.open(),
            reach: self.reach(gate, now),
        });
        let hears = self.peers.iter().filter(|w| w.presence != Presence::Silent).map(|w| w.id);
        let common = Heartbeat {
            tick,
            standing: self.orders.standing,
            view: self.orders.view,
            members: self.orders.members.iter().map(|peer| peer.id).collect(),
            token: self.orders.token,
            holds: self.orders.holds,
            suspects: self.suspects,
            hears: hears.collect(),
            muted: self.orders.muted,
            document: self.orders.document,
            gates: gates.collect(),
            echoes: Vec::new(),
        };
        for watched in &self.peers {
            let member = watched.peer.is_some_and(|peer| self.orders.members.contains(&peer));
            let lost = now.since(watched.heard_at) > LOST;
            if !member && lost && !tick.is_multiple_of(BEACON) {
                continue;
            }
            let echoed = member && !self.orders.muted.contains(watched.id);
            let echoes = if echoed { watched.echoes(now) } else { Vec::new() };
            let Some(body) = wire::encode(&Heartbeat { echoes, ..common.clone() }) else {
                continue;
            };
            for path in &watched.paths {
                let body = body.clone();
                let (to, network, channel) = (watched.id, path.network, Channel::Heartbeat);
                self.out.push_back(Transmit { to, network, channel, body });
            }
        }
    }

    /// How we are reached on a network.
    fn reach(&self, gate: &Gate, now: Instant) -> Reach {
        let lease = self.orders.lease;
        let echoed = self.peers.iter().flat_map(|watched| &watched.paths).any(|path| {
            path.network == gate.network
                && path.echoed_at > Instant::ZERO
                && now.since(path.echoed_at) < lease
        });
        if echoed {
            Reach::Peers
        } else if gate.answered_at.is_some_and(|at| now.since(at) < lease.max(WITNESS_INTERVAL * 2))
        {
            Reach::Witness
        } else {
            Reach::Nobody
        }
    }
}
