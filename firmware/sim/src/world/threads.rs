//! The pulse and control threads of a node, each composed around its machine as the real program
//! composes it: drain, hand in, decide, send.

use super::{Event, World};
use crate::draw::SECOND;
use crate::network::Segment;
use crate::network::frame::{Body, Content, Datagram, Frame, Station};
use crate::node::life::{Life, id, index};
use crate::node::sealing::{Refusal, Sealing};
use crate::plan::episode::{DEPARTURE, Thread};
use crate::plant::Plant;
use base::{Instant, NetworkId, VipId};
use cluster::wire::{self, Control, Routed};
use cluster::{Channel, Event as Decision, Ownership, Peer, Request, Role};
use std::rc::Rc;

impl World {
    /// A node is switched on, unless a fault keeps it off.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].off > 0 || self.nodes[node].life.is_some() {
            return;
        }
        let seed = self.draw.seed();
        let state = &mut self.nodes[node];
        state.boot(self.now);
        let now = state.machine.clock.read(self.now);
        // Without the seal there is no greeting that could tell a node to outrun its past, so
        // nothing is forgotten then.
        let incarnation = if self.plan.sealed { state.stored } else { state.boots };
        state.life = Some(Life::new(now, node, state.boots, incarnation, seed, &self.plan));
        if let Some(sealing) = self.nodes[node].life.as_mut().and_then(|life| life.sealing.as_mut())
        {
            sealing.rotate(self.rotated[node]);
        }
        self.checks.boots(node);
        self.say(|| format!("n{} starts as incarnation {incarnation}", node + 1));
        for (network, pulled) in self.nodes[node].pulled.clone().into_iter().enumerate() {
            if pulled > 0 {
                self.nodes[node].carrier_news.push_back((network, false));
            }
        }
        for thread in Thread::ALL {
            self.wake_soon(node, thread);
        }
    }

    /// The pulse thread runs.
    pub(super) fn step_pulse(&mut self, node: usize) {
        let now = self.pulse_clock(node);
        if self.options.plant != Some(Plant::NeverDrains) || self.events.is_multiple_of(8) {
            self.drain_pulse(node, now);
        }
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
        if let Some(orders) = life.orders.take() {
            life.pulse.handle_orders(now, orders);
        }
        life.pulse.handle_drained(now);
        if life.pulse.next_deadline().is_some_and(|deadline| deadline <= now) {
            life.pulse.handle_timeout(now);
        }
        self.send_pulse(node, now);
        self.publish(node, now);
        self.sleep_pulse(node);
    }

    /// The clock as the pulse thread reads it.
    fn pulse_clock(&self, node: usize) -> Instant {
        self.nodes[node].machine.clock.read(self.now)
    }

    /// Empties the pulse thread's sockets.
    fn drain_pulse(&mut self, node: usize, now: Instant) {
        let state = &mut self.nodes[node];
        let Some(life) = &mut state.life else { return };
        while let Some(received) = state.machine.pulse_socket.pop_front() {
            let (stamp, network, datagram) = received;
            let opened = open(life, &datagram, network, Thread::Pulse);
            if let Some((from, _, body)) = self.checks.opened(self.now, node, &datagram, opened) {
                life.pulse.handle_heartbeat(stamp, now, from, network, &body);
            }
        }
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

    /// A node hears that it has begun with an incarnation that it had before.
    fn start_again(&mut self, node: usize, known: u32) {
        self.say(|| format!("n{} must outrun incarnation {known}", node + 1));
        self.checks.node_ends(self.now, &self.nodes[node]);
        let state = &mut self.nodes[node];
        state.stop();
        state.stored = known;
        self.queue.push(self.now + SECOND / 100, Event::Start { node });
    }

    /// When the pulse thread runs next.
    fn sleep_pulse(&mut self, node: usize) {
        let state = &self.nodes[node];
        let Some(life) = &state.life else { return };
        let greeting = life.sealing.as_ref().map(Sealing::next_greeting);
        let deadline = life.pulse.next_deadline().into_iter().chain(greeting).min();
        self.sleep(node, Thread::Pulse, deadline);
    }

    /// Plans a wake-up for a deadline on the node's clock; timers are never early.
    fn sleep(&mut self, node: usize, thread: Thread, deadline: Option<Instant>) {
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
            life.cluster.handle_report(now, report);
        }
        while let Some((_, network, datagram)) = state.machine.control_socket.pop_front() {
            let opened = open(life, &datagram, network, Thread::Control);
            if let Some((from, channel, body)) = self.checks.opened(world, node, &datagram, opened)
            {
                life.cluster.handle_message(now, from, network, channel, &body);
            }
        }
        while let Some(generation) = life.settled.pop_front() {
            life.cluster.handle_settled(now, generation);
        }
        while let Some((vip, mac)) = life.probe_answers.pop_front() {
            life.cluster.handle_probe(now, vip, Some(mac));
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
        self.send_control(node);
        let deadline = self.nodes[node].life.as_ref().and_then(|life| life.cluster.next_deadline());
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
                Decision::Ownership(ownership) => {
                    life.tables.push_back(ownership);
                    self.wake_soon(node, Thread::Forward);
                }
                Decision::Probe(vip) => {
                    life.cluster.handle_probe(now, vip, None);
                    self.probe(node, vip);
                }
                Decision::Announce(vip) => {
                    life.announcing[vip.index()] = 0;
                    let boot = life.boot;
                    self.queue.push(self.now, Event::Announce { node, boot, vip, turn: 0 });
                }
                Decision::View { id, members } => {
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
                Decision::Conflict { vip, mac } => {
                    self.say(|| format!("n{}: VIP {} is at {mac:?}", node + 1, vip.0));
                }
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
            if transmit.channel == Channel::Control {
                self.say(|| match wire::decode::<Routed<Control>>(&transmit.body) {
                    Ok(said) => format!("n{} -> n{}: {:?}", node + 1, to + 1, said.message),
                    Err(wire::Malformed) => format!("n{} -> n{}: malformed", node + 1, to + 1),
                });
            }
            let Some(life) = &mut self.nodes[node].life else { return };
            let content = life.wrap(transmit);
            self.send_datagram(node, to, network, content);
        }
    }

    /// Puts a datagram on a network.
    fn send_datagram(&mut self, from: usize, to: usize, network: NetworkId, content: Content) {
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

    /// New tables are obeyed by the data plane.
    pub(super) fn apply_tables(&mut self, node: usize) {
        let mut newest = None;
        loop {
            let Some(life) = &mut self.nodes[node].life else { return };
            let Some(ownership) = life.tables.pop_front() else { break };
            newest = newest.max(Some(ownership.generation));
            self.apply(node, ownership);
        }
        let Some(life) = &mut self.nodes[node].life else { return };
        if let Some(generation) = newest {
            life.settled.push_back(generation);
            self.wake_soon(node, Thread::Control);
        }
    }

    /// One VIP gets another role.
    fn apply(&mut self, node: usize, ownership: Ownership) {
        let Ownership { vip, role, generation } = ownership;
        let state = &mut self.nodes[node];
        let clock = state.machine.clock.read(self.now);
        let Some(life) = &mut state.life else { return };
        let (_, before) = life.forwarder.role(vip);
        let served = life.forwarder.serves(clock, vip);
        if generation < before && self.options.plant != Some(Plant::StaleTables) {
            return;
        }
        life.forwarder.apply(vip, role, generation);
        let serves = life.forwarder.serves(clock, vip);
        let owns = matches!(role, Role::Owner { .. });
        self.say(|| format!("n{} is {role:?} of VIP {} by {generation}", node + 1, vip.0));
        self.checks.obeys(self.now, node, vip, before, generation, owns);
        if serves && !served {
            self.checks.begins(self.now, node, vip, None, &self.nodes);
        } else if served && !serves {
            self.checks.ends(self.now, node, vip);
        }
    }

    /// A gate gets another end of its lease.
    fn set_gate(&mut self, node: usize, network: NetworkId, until: Instant) {
        let now = self.now;
        let state = &mut self.nodes[node];
        let clock = state.machine.clock.read(now);
        let Some(life) = &mut state.life else { return };
        let Some(gate) = life.forwarder.gates.get_mut(network.index()) else { return };
        let before = *gate;
        if *gate == until {
            return;
        }
        if self.options.plant == Some(Plant::EternalLease) && before != Instant::ZERO {
            return;
        }
        *gate = until;
        if until <= clock && before > clock {
            self.say(|| format!("n{} closes its gate on network {}", node + 1, network.0));
            for vip in self.held(node, network) {
                self.checks.ends(now, node, vip);
            }
        } else if until > clock && before <= clock {
            let lapsed = self.nodes[node].machine.clock.world(before).min(now);
            let lapsed = (before != Instant::ZERO).then_some(lapsed);
            self.say(|| format!("n{} opens its gate on network {}", node + 1, network.0));
            for vip in self.held(node, network) {
                self.checks.begins(now, node, vip, lapsed, &self.nodes);
            }
        }
        if until > clock {
            self.checks.renews(now, node, &self.nodes);
        }
    }

    /// The VIPs that a node's table lets it answer for on a network.
    fn held(&self, node: usize, network: NetworkId) -> Vec<VipId> {
        let Some(life) = &self.nodes[node].life else { return Vec::new() };
        let there = |vip: &VipId| self.plan.vips[vip.index()].network == network.index();
        life.forwarder.held().filter(there).collect()
    }

    /// A node that stood still goes on.
    pub(super) fn check_resumed(&mut self, node: usize) {
        if self.nodes[node].machine.runs(Thread::Forward, self.now) {
            self.checks.resumes(self.now, node, &self.nodes);
        }
    }

    /// An operator asks some running node for a move.
    pub(crate) fn ask_to_move(&mut self, vip: usize, to: usize) {
        let Some(node) = self.nodes.iter().position(|node| node.life.is_some()) else { return };
        self.ask(node, Request::Move { vip: VipId::from(vip), to: id(to) });
    }

    /// Asks one node.
    pub(super) fn ask(&mut self, node: usize, request: Request) {
        let Some(life) = &mut self.nodes[node].life else { return };
        life.requests.push_back(request);
        self.wake_soon(node, Thread::Control);
    }

    /// A node that was told to leave stops.
    pub(super) fn depart(&mut self, node: usize, boot: u32) {
        if self.nodes[node].boots == boot {
            self.say(|| format!("n{} has left", node + 1));
            self.checks.node_ends(self.now, &self.nodes[node]);
            self.nodes[node].stop();
        }
    }

    /// A node is told to leave, and stops a while after.
    pub(super) fn ask_to_leave(&mut self, node: usize) {
        self.nodes[node].off += 1;
        self.ask(node, Request::Leave);
        let boot = self.nodes[node].boots;
        self.queue.push(self.now + DEPARTURE, Event::Depart { node, boot });
    }
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
