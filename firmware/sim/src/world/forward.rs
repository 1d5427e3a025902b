//! The forwarding thread of a node: tables are applied, frames decided, and the addresses a node
//! owns are answered for and announced.

use super::{Event, World};
use crate::draw::{MICROSECOND, MILLISECOND, SECOND};
use crate::network::Segment;
use crate::network::frame::{Body, Content, Datagram, Frame, Host, Packet, Station};
use crate::node::forwarder::Verdict;
use crate::plan::episode::Thread;
use crate::plant::Plant;
use base::{NetworkId, VipId};

/// When a new owner announces a VIP, after the first time; after that, every minute.
const ANNOUNCEMENTS: [u64; 5] =
    [0, 50 * MILLISECOND, 200 * MILLISECOND, 1_100 * MILLISECOND, 5 * SECOND];
/// Announcements a second on one port, and how many at once.
const ANNOUNCEMENT_GAP: u64 = SECOND / 200;
const ANNOUNCEMENT_BURST: u64 = 50;

impl World {
    /// A frame reaches a node's interface.
    pub(super) fn arrive_at_node(&mut self, network: usize, node: Host, frame: Frame) {
        if self.nodes[node].machine.is_frozen() {
            self.nodes[node].machine.keep(network, frame);
            return;
        }
        if self.nodes[node].life.is_none() {
            return;
        }
        if let Body::Datagram(datagram) = &frame.body {
            let datagram = datagram.clone();
            let thread = datagram.thread();
            let machine = &mut self.nodes[node].machine;
            if machine.receive(self.now, thread, network, datagram.clone()) {
                self.note_received(node, &datagram, thread);
            }
            let rests = self.nodes[node].machine.pulse_rests > self.now;
            if thread != Thread::Pulse || !rests {
                self.wake_soon(node, thread);
            }
            return;
        }
        if self.nodes[node].machine.runs(Thread::Forward, self.now) {
            self.decide(network, node, &frame);
        } else {
            self.nodes[node].machine.enqueue(network, frame);
            self.wake_soon(node, Thread::Forward);
        }
    }

    /// Tells the checkers whom a node could hear now.
    fn note_received(&mut self, node: usize, datagram: &Datagram, thread: Thread) {
        let Content::Plain { sender, .. } = &datagram.content else { return };
        let running = self.nodes[datagram.from].life.as_ref().map(|life| life.peer);
        if running == Some(*sender) {
            let machine = &self.nodes[node].machine;
            let stamp = (thread == Thread::Pulse).then(|| machine.clock.read(self.now));
            self.checks.received(self.now, node, (datagram.from, datagram.sent), stamp);
        }
    }

    /// The forwarding thread runs: new tables first, then the frames that wait.
    pub(super) fn step_forward(&mut self, node: usize) {
        self.apply_tables(node);
        self.tell(node);
        while let Some((network, frame)) = self.nodes[node].machine.ring.pop_front() {
            self.decide(network, node, &frame);
        }
    }

    /// Decides about one frame, by the tables and by the node's own clock.
    fn decide(&mut self, network: usize, node: Host, frame: &Frame) {
        let machine = &self.nodes[node].machine;
        let clock = machine.clock.read(self.now);
        let Some(life) = &mut self.nodes[node].life else { return };
        let own = Segment::station(node);
        match &frame.body {
            Body::Ask { vip, probe } if frame.source != own => {
                if !life.forwarder.serves(clock, *vip) {
                    return;
                }
                let destination = if *probe { Station::BROADCAST } else { frame.source };
                let body = Body::Answer { vip: *vip, at: own };
                self.send(network, node, Frame { source: own, destination, body });
            }
            Body::Packet(packet) => {
                let verdict = life.forwarder.forward(clock, node, *packet);
                self.tell_soon(node);
                self.carry_out(network, node, frame, verdict);
            }
            Body::Answer { vip, at } => {
                life.probe_answers.push_back((*vip, at.mac()));
                self.wake_soon(node, Thread::Control);
            }
            Body::WitnessAnswer => {
                life.witness_answers.push_back(NetworkId::from(network));
                self.wake_soon(node, Thread::Pulse);
            }
            Body::Announcement { .. } | Body::Ask { .. } | Body::WitnessAsk => {}
            Body::Datagram(_) | Body::Reply(_) => {}
        }
    }

    /// Answers a packet, passes it on, or lets it fall.
    fn carry_out(&mut self, network: usize, node: Host, frame: &Frame, verdict: Verdict) {
        let source = Segment::station(node);
        let Body::Packet(packet) = &frame.body else { return };
        match verdict {
            Verdict::Drop => {}
            Verdict::Answer(mut reply) => {
                // Who works on a flow that the owner passed to it does not answer for the VIP.
                let life = self.nodes[node].life.as_ref();
                if life.is_some_and(|life| life.forwarder.holds(packet.vip)) {
                    self.checks.serves(self.now, node, packet.vip, &self.nodes);
                }
                self.nodes[node].done.served += 1;
                self.check_installed(node, packet, reply.server);
                match self.options.plant {
                    Some(Plant::Resets) if packet.number.is_multiple_of(64) => reply.server = None,
                    Some(Plant::BlackHole) if packet.number > 64 => return,
                    Some(Plant::OwnSelection) => reply.server = u16::try_from(node).ok(),
                    Some(_) | None => {}
                }
                let Some(client) = self.clients.get(usize::from(packet.client)) else { return };
                let destination = Segment::station(client.host);
                let network = client.network.index();
                self.send(network, node, Frame { source, destination, body: Body::Reply(reply) });
            }
            Verdict::PassTo(next) => {
                if self.is_planted(Plant::DropsWhatItReleased) {
                    return;
                }
                self.nodes[node].done.passed += 1;
                let mut packet = *packet;
                packet.passed_by = u8::try_from(node).ok();
                let destination = Segment::station(next);
                self.send(network, node, Frame { source, destination, body: Body::Packet(packet) });
            }
        }
    }

    /// **install-order**: no packet for a VIP is accepted before its flows are known, all those
    /// that control had when it made the VIP this node's.
    fn check_installed(&mut self, node: usize, packet: &Packet, server: Option<u16>) {
        let owed =
            self.nodes[node].life.as_ref().and_then(|life| life.owed.get(&packet.flow_name()));
        // A connection's last packet may come twice, and is of no connection then.
        let wrong = |owed: &u16| Some(*owed) != server && !packet.closes;
        if let Some(owed) = owed.copied().filter(wrong) {
            self.checks.fail(self.now, "install-order", || {
                format!(
                    "n{} had a copy of {packet:?} with server {owed}, and took {server:?}",
                    node + 1
                )
            });
        }
    }

    /// A node announces a VIP, if it serves it at that very moment, and plans the next time.
    pub(super) fn announce(&mut self, node: usize, boot: u32, vip: VipId, turn: usize) {
        let state = &mut self.nodes[node];
        let Some(life) = state.life.as_mut().filter(|life| life.boot == boot) else { return };
        let now = self.now;
        if !life.tables.is_empty() {
            // The forwarding thread has not obeyed yet.
            self.queue.push(now + MILLISECOND, Event::Announce { node, boot, vip, turn });
            return;
        }
        if !life.forwarder.holds(vip) || life.announcing[vip.index()] != turn {
            return;
        }
        let next = ANNOUNCEMENTS.get(turn + 1).map_or(60 * SECOND, |at| at - ANNOUNCEMENTS[turn]);
        life.announcing[vip.index()] = turn + 1;
        let runs = state.machine.runs(Thread::Forward, now);
        let serves = life.forwarder.serves(state.machine.clock.read(now), vip);
        let network = self.plan.vips[vip.index()].network;
        let slot = &mut life.announcement_slots[network];
        *slot = (*slot).max(now.saturating_sub(ANNOUNCEMENT_BURST * ANNOUNCEMENT_GAP));
        if *slot > now {
            // The port has announced enough for now.
            life.announcing[vip.index()] = turn;
            let at = *slot + MICROSECOND;
            self.queue.push(at, Event::Announce { node, boot, vip, turn });
            return;
        }
        *slot += ANNOUNCEMENT_GAP;
        self.queue.push(now + next, Event::Announce { node, boot, vip, turn: turn + 1 });
        if !(runs && serves) || self.options.plant == Some(Plant::NeverAnnounces) {
            return;
        }
        let source = Segment::station(node);
        for reply in [false, true] {
            let body = Body::Announcement { vip, at: source, reply };
            self.send(network, node, Frame { source, destination: Station::BROADCAST, body });
        }
    }
}
