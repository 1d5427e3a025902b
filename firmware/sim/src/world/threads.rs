//! The pulse and control threads of a node, each composed around its machine as the real program
//! composes it: drain, hand in, decide, send.

use super::{Event, World};
use crate::draw::SECOND;
use crate::explore::Fate;
use crate::network::Segment;
use crate::network::frame::{Body, Content, Datagram, Frame, Station};
use crate::node::life::{Life, id, index, settings};
use crate::node::sealing::{Refusal, Sealing};
use crate::plan::episode::Thread;
use crate::plant::Plant;
use base::time::Duration;
use base::{Instant, NetworkId, VipId};
use cluster::config::About;
use cluster::wire::{self, Control, Routed, Token, TokenMessage};
use cluster::{Channel, Event as Decision, Peer, Transmit};
use std::rc::Rc;

impl World {
    /// The pulse thread runs.
    pub(super) fn step_pulse(&mut self, node: usize) {
        let now = self.pulse_clock(node);
        let idle = self.is_planted(Plant::SeldomDrains) && self.now % SECOND > SECOND / 2;
        let taken = if idle { 0 } else { self.drain_pulse(node, now) };
        let world = self.now;
        let state = &mut self.nodes[node];
        let Some(life) = &mut state.life else { return };
        while let Some((network, up)) = state.carrier_news.pop_front() {
            life.pulse.handle_carrier(now, NetworkId::from(network), up);
        }
        while let Some(network) = life.witness_answers.pop_front() {
            life.pulse.handle_witness(now, network);
        }
        if Thread::ALL.iter().all(|thread| state.machine.runs(*thread, world)) {
            life.pulse.handle_progress(now);
        }
        if let Some(settings) = life.settings.take() {
            life.pulse.handle_settings(now, &settings);
        }
        if let Some(orders) = life.orders.take() {
            life.pulse.handle_orders(now, orders);
        }
        life.pulse.handle_drained(now);
        if life.pulse.next_deadline().is_some_and(|deadline| deadline <= now) {
            life.pulse.handle_timeout(now);
        }
        self.send_pulse(node, now);
        self.publish(node, now);
        self.sleep_pulse(node, now, taken);
    }

    /// The clock as the pulse thread reads it.
    fn pulse_clock(&self, node: usize) -> Instant {
        self.nodes[node].machine.clock.read(self.now)
    }

    /// Empties the pulse thread's sockets. Returns how many datagrams there were.
    fn drain_pulse(&mut self, node: usize, now: Instant) -> usize {
        let state = &mut self.nodes[node];
        let Some(life) = &mut state.life else { return 0 };
        let taken = state.machine.pulse_socket.len();
        while let Some(received) = state.machine.pulse_socket.pop_front() {
            let (stamp, network, datagram) = received;
            if self.options.plant == Some(Plant::ForgetfulWindow)
                && let Some(sealing) = &mut life.sealing
            {
                sealing.forget_windows();
            }
            let opened = open(life, &datagram, network, Thread::Pulse);
            if let Some((from, _, body)) = self.checks.opened(self.now, node, &datagram, opened) {
                life.pulse.handle_heartbeat(stamp, now, from, network, &body);
            }
        }
        if std::mem::take(&mut state.machine.pulse_lost) {
            life.pulse.handle_loss(now);
        }
        taken
    }

    /// Sends what the pulse thread has to send: heartbeats, greetings, questions to witnesses.
    fn send_pulse(&mut self, node: usize, now: Instant) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let mut datagrams = Vec::new();
        while let Some(transmit) = life.pulse.poll_transmit() {
            let (to, network) = (transmit.to, transmit.network);
            datagrams.push((index(to), network, life.wrap(transmit)));
        }
        let hears_us = life.hears_us;
        if let Some(sealing) = &mut life.sealing {
            for (to, network, octets) in sealing.greet(now, |peer| hears_us.contains(peer)) {
                datagrams.push((index(to), network, Content::Sealed(octets)));
            }
            for (to, network, octets) in sealing.answers.drain(..) {
                datagrams.push((index(to), network, Content::Sealed(octets)));
            }
        }
        let questions: Vec<NetworkId> = std::iter::from_fn(|| life.pulse.poll_probe()).collect();
        for (to, network, content) in datagrams {
            self.send_datagram(node, to, network, content);
        }
        for network in questions {
            let source = Segment::station(node);
            let frame = Frame { source, destination: Station::BROADCAST, body: Body::WitnessAsk };
            self.send(network.index(), node, frame);
        }
    }

    /// Publishes the leases to the forwarding thread, and the report to control.
    fn publish(&mut self, node: usize, now: Instant) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let report = life.pulse.poll_report();
        let reports = report.is_some();
        if let Some(report) = report {
            let own = life.peer.id;
            let hearing = report.peers.iter().filter(|sight| sight.said.hears.contains(own));
            life.hears_us = hearing.map(|sight| sight.peer.id).collect();
            self.checks.accuses(self.now, node, now, &report);
            life.report = Some(report);
        }
        let leases = life.pulse.leases().to_vec();
        for lease in leases {
            self.set_gate(node, lease.network, lease.until);
        }
        if reports {
            self.wake_soon(node, Thread::Control);
        }
        let outrun = self.nodes[node].life.as_ref().and_then(|life| life.sealing.as_ref()?.outrun);
        if let Some(known) = outrun {
            self.start_again(node, known.0);
        }
    }

    /// When the pulse thread runs next: at a deadline, or when something comes. Where many speak
    /// and all is well, what comes waits for more.
    fn sleep_pulse(&mut self, node: usize, now: Instant, taken: usize) {
        let state = &mut self.nodes[node];
        let Some(life) = &state.life else { return };
        let greeting = life.sealing.as_ref().map(Sealing::next_greeting);
        let calm = life.pulse.calm().filter(|_| taken > 1).map(|calm| now + calm);
        let deadline = life.pulse.next_deadline().into_iter().chain(greeting).chain(calm).min();
        let clock = &state.machine.clock;
        let rests = deadline.filter(|_| calm.is_some() && !clock.is_stopped());
        state.machine.pulse_rests = rests.map_or(0, |until| clock.world(until));
        self.sleep(node, Thread::Pulse, deadline);
    }

    /// Plans a wake-up for a deadline on the node's clock; timers are never early.
    pub(super) fn sleep(&mut self, node: usize, thread: Thread, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let machine = &self.nodes[node].machine;
        if machine.clock.is_stopped() {
            return;
        }
        let usual = self.plan.stalls.usual;
        let at = machine.clock.world(deadline).max(self.now) + self.draw.between(1, usual);
        self.wake_at(node, thread, at);
    }

    /// The control thread runs.
    pub(super) fn step_control(&mut self, node: usize) {
        let world = self.now;
        let state = &mut self.nodes[node];
        let now = state.machine.clock.read(world);
        let Some(life) = &mut state.life else { return };
        if let Some(report) = life.report.take() {
            life.newest = life.copying.is_some().then(|| report.clone());
            life.cluster.handle_report(now, report);
        }
        while let Some((_, network, datagram)) = state.machine.control_socket.pop_front() {
            if node == 0 && self.options.plant == Some(Plant::LostCalls) {
                continue;
            }
            let opened = open(life, &datagram, network, Thread::Control);
            if let Some((from, channel, body)) = self.checks.opened(world, node, &datagram, opened)
            {
                match &mut life.copying {
                    Some(copying) if channel == Channel::Flow => {
                        copying.flows.handle_message(now, from, &body);
                    }
                    Some(_) | None => {
                        life.cluster.handle_message(now, from, network, channel, &body);
                    }
                }
            }
        }
        self.step_copies(node, now);
        let Some(life) = &mut self.nodes[node].life else { return };
        while let Some((vip, mac)) = life.probe_answers.pop_front() {
            life.cluster.handle_probe(now, vip, Some(mac));
        }
        if !self.plan.loads.is_empty() && now >= life.measure_at {
            life.measure_at = now + Duration::from_secs(1);
            let vips = self.plan.loads.iter().enumerate();
            let served = |vip| life.forwarder.serves(now, VipId::from(vip));
            let loads: Vec<u16> =
                vips.map(|(vip, load)| if served(vip) { *load } else { 0 }).collect();
            life.cluster.handle_load(now, &loads);
        }
        while let Some(text) = life.edits.pop_front() {
            let settings = settings(&self.plan, node, life.peer.incarnation);
            let record = life.record.next(text, About::default());
            if life.cluster.propose(now, &record, settings).is_ok() {
                life.judged = Some(record);
            }
        }
        let requests: Vec<_> = life.requests.drain(..).collect();
        let replies: Vec<_> = requests
            .into_iter()
            .map(|request| (request, life.cluster.handle_request(now, request)))
            .collect();
        if life.cluster.next_deadline().is_some_and(|deadline| deadline <= now) {
            life.cluster.handle_timeout(now);
        }
        for (request, reply) in replies {
            self.say(|| format!("n{} is asked {request:?}: {reply:?}", node + 1));
        }
        self.carry_out_decisions(node, now);
        self.carry_out_copies(node);
        self.send_control(node);
        let deadline = self.nodes[node].life.as_ref().and_then(Life::control_deadline);
        self.sleep(node, Thread::Control, deadline);
    }

    /// Does what the cluster decided.
    fn carry_out_decisions(&mut self, node: usize, now: Instant) {
        loop {
            let Some(life) = &mut self.nodes[node].life else { return };
            let Some(decision) = life.cluster.poll_event() else { return };
            match decision {
                Decision::Orders(orders) => {
                    life.patience = orders.patience;
                    life.orders = Some(orders);
                    self.wake_soon(node, Thread::Pulse);
                }
                Decision::Workers(workers) => {
                    life.workers = Some(workers);
                    self.wake_soon(node, Thread::Forward);
                }
                Decision::Standbys(standbys) => {
                    if let Some(copying) = &mut life.copying {
                        copying.stand_by(now, standbys);
                    }
                }
                Decision::Ownership(ownership) => self.hand_on(node, now, ownership),
                Decision::Probe(vip) => {
                    life.cluster.handle_probe(now, vip, None);
                    self.probe(node, vip);
                }
                Decision::Announce(vip) => {
                    life.announcing[vip.index()] = 0;
                    let boot = life.boot;
                    self.queue.push(self.now, Event::Announce { node, boot, vip, turn: 0 });
                }
                Decision::View { id, mut members } => {
                    if node == 0 && self.options.plant == Some(Plant::ForgedView) {
                        members.pop();
                    }
                    let before = life.highest_view;
                    life.view = id;
                    life.highest_view = before.max(id);
                    life.members = members.clone();
                    self.say(|| format!("n{} installs view {id} of {}", node + 1, names(&members)));
                    self.checks.installs(self.now, node, before, id, members);
                }
                Decision::Called { id, members, held } => self.say(|| {
                    let why = if held { "as the holder" } else { "as it misses the token" };
                    format!("n{} calls for view {id} of {}, {why}", node + 1, names(&members))
                }),
                Decision::Condemned(nodes) => {
                    self.say(|| format!("n{} condemns {nodes:?}", node + 1));
                }
                Decision::Moved(moved) => self.say(|| format!("n{}: {moved:?}", node + 1)),
                Decision::Conflict { vip, mac } => {
                    self.say(|| format!("n{}: VIP {} is at {mac:?}", node + 1, vip.0));
                }
                Decision::Document(notice) => self.heed(node, now, notice),
            }
        }
    }

    /// Asks a network who has an address.
    fn probe(&mut self, node: usize, vip: VipId) {
        let source = Segment::station(node);
        let body = Body::Ask { vip, probe: true };
        let network = self.plan.vips[vip.index()].network;
        self.send(network, node, Frame { source, destination: Station::BROADCAST, body });
    }

    /// Sends what the control thread has to send.
    fn send_control(&mut self, node: usize) {
        loop {
            let Some(life) = &mut self.nodes[node].life else { return };
            let Some(transmit) = life.cluster.poll_transmit() else { return };
            let (to, network) = (index(transmit.to), transmit.network);
            self.checks.sends(self.now, node, &transmit);
            if self.options.trace && transmit.channel == Channel::Control {
                let said = wire::decode::<Routed<Control>>(&transmit.body);
                let said = said.map_or_else(|_| "?".to_owned(), |said| brief(&said.message));
                self.say(|| format!("n{} -> n{}: {said}", node + 1, to + 1));
            }
            let twin = self.options.plant == Some(Plant::TwinToken) && node == 0;
            if let Some(twin) = twin.then(|| forged_token(&transmit)).flatten() {
                self.checks.sends(self.now, 1, &twin);
            }
            let other = self.options.plant == Some(Plant::TwinDocument) && node == 0;
            if let Some(other) = other.then(|| misnamed_token(&transmit)).flatten() {
                self.checks.sends(self.now, node, &other);
            }
            match self.next_fate(node) {
                Fate::IsLost => continue,
                Fate::Arrives => {}
                Fate::ArrivesTwice => {
                    let Some(life) = &mut self.nodes[node].life else { return };
                    let content = life.wrap(transmit.clone());
                    self.send_datagram(node, to, network, content);
                }
            }
            let Some(life) = &mut self.nodes[node].life else { return };
            let content = life.wrap(transmit);
            self.send_datagram(node, to, network, content);
        }
    }

    /// What becomes of a message that a node sends now.
    fn next_fate(&mut self, node: usize) -> Fate {
        let Some(fates) = &self.options.fates else { return Fate::Arrives };
        if self.now < fates.from {
            return Fate::Arrives;
        }
        let number = self.fated;
        self.fated += 1;
        let fate = fates.messages.get(number).copied().unwrap_or(Fate::Arrives);
        if let Some((after, dies)) = fates.death
            && after == number
        {
            // The sender dies once it has sent; the others at this very moment.
            let at = self.now + u64::from(dies == node);
            self.queue.push(at, Event::Dies { node: dies });
        }
        fate
    }

    /// Puts a datagram on a network.
    pub(super) fn send_datagram(
        &mut self,
        from: usize,
        to: usize,
        network: NetworkId,
        content: Content,
    ) {
        let sent = self.now;
        let datagram = Rc::new(Datagram { from, sent, content });
        self.checks.sealed(&datagram);
        let frame = Frame {
            source: Segment::station(from),
            destination: Segment::station(to),
            body: Body::Datagram(datagram),
        };
        self.send(network.index(), from, frame);
    }
}

/// A message, for people.
fn brief(message: &Control) -> String {
    if let Control::Call(call) = message {
        return format!("call {} of {}", call.id, names(&call.members));
    }
    if let Control::Deny(deny) = message {
        return format!("deny {}, {:?}", deny.id, deny.objection);
    }
    if let Control::Grant(grant) = message {
        return format!(
            "grant {}, fence {} µs, doubted {:?}",
            grant.id, grant.fence, grant.doubted
        );
    }
    format!("{message:?}")
}

/// The token of node 1 as if node 2 had passed it on.
fn forged_token(transmit: &Transmit) -> Option<Transmit> {
    if transmit.channel != Channel::Token {
        return None;
    }
    let mut routed = wire::decode::<Routed<TokenMessage>>(&transmit.body).ok()?;
    routed.origin.id = id(1);
    Some(Transmit { body: wire::encode(&routed)?, ..transmit.clone() })
}

/// The token as if another document were in force.
fn misnamed_token(transmit: &Transmit) -> Option<Transmit> {
    let mut routed = wire::decode::<Routed<TokenMessage>>(&transmit.body).ok()?;
    let TokenMessage::Part { bytes, count: 1, .. } = &mut routed.message else { return None };
    let mut token = wire::decode::<Token>(bytes).ok()?;
    token.document = token.document.next("planted");
    *bytes = wire::encode(&token)?;
    Some(Transmit { body: wire::encode(&routed)?, ..transmit.clone() })
}

/// Peers, for people.
fn names(peers: &[Peer]) -> String {
    let names: Vec<_> = peers.iter().map(ToString::to_string).collect();
    names.join(" ")
}

/// Opens a datagram, if there is a seal; without one it says itself who sent it.
fn open(
    life: &mut Life,
    datagram: &Datagram,
    network: NetworkId,
    thread: Thread,
) -> Result<Option<(Peer, Channel, Vec<u8>)>, Refusal> {
    match (&datagram.content, &mut life.sealing) {
        (Content::Plain { sender, channel, body }, _) => {
            Ok(Some((*sender, *channel, body.clone())))
        }
        (Content::Sealed(octets), Some(sealing)) => {
            let mut octets = octets.clone();
            match thread {
                Thread::Pulse => sealing.open_pulse(network, &mut octets),
                Thread::Control | Thread::Forward => {
                    sealing.open_control(network, &mut octets).map(Some)
                }
            }
        }
        (Content::Sealed(_), None) => Ok(None),
    }
}
