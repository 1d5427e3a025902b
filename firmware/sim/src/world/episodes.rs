//! Faults begin and end; in the end all of them are healed.

use super::{Event, World};
use crate::draw::MILLISECOND;
use crate::network::Segment;
use crate::plan::Kind;
use crate::plan::episode::{Pause, Thread};

impl World {
    /// A fault begins.
    pub(super) fn begin(&mut self, episode: usize) {
        let kind = self.plan.episodes[episode].kind.clone();
        self.say(|| format!("fault: {kind:?}"));
        match kind {
            Kind::Links { network, pairs, impairment } => {
                self.on_links(network, &pairs, |segment, from, to| {
                    segment.impair(from, to, impairment);
                });
                self.tell_faint();
            }
            Kind::Off { node, remembers } => self.switch_off(node, remembers),
            Kind::Pause { node, how } => self.pause(node, how),
            Kind::Hang { node, thread } => self.nodes[node].machine.hold(thread),
            Kind::Carrier { node, network } => self.set_carrier(node, network, false),
            Kind::Move { vip, to } => self.ask_to_move(vip, to),
            Kind::Leave { node } => self.ask_to_leave(node),
            Kind::Edit { node, unfit } => self.edit(node, unfit),
            Kind::Servers => self.change_servers(),
        }
    }

    /// A fault ends.
    pub(super) fn end(&mut self, episode: usize) {
        let kind = self.plan.episodes[episode].kind.clone();
        self.say(|| format!("over: {kind:?}"));
        match kind {
            Kind::Links { network, pairs, impairment } => {
                self.on_links(network, &pairs, |segment, from, to| {
                    segment.relieve(from, to, impairment);
                });
                self.tell_faint();
            }
            Kind::Off { node, .. } => self.switch_on(node),
            Kind::Pause { node, how } => self.resume(node, how),
            Kind::Hang { node, thread } => self.let_go(node, thread),
            Kind::Carrier { node, network } => self.set_carrier(node, network, true),
            Kind::Move { .. } | Kind::Edit { .. } | Kind::Servers => {}
            Kind::Leave { node } => self.switch_on(node),
        }
    }

    /// Tells the checkers who hardly hears whom, on any network.
    fn tell_faint(&mut self) {
        let (now, nodes) = (self.now, self.nodes.len());
        for (one, other) in (0..nodes).flat_map(|one| (0..nodes).map(move |other| (one, other))) {
            let faint = self.segments.iter().all(|segment| {
                let there = one < segment.hosts() && other < segment.hosts();
                !there || segment.is_faint(one, other)
            });
            self.checks.note_faint(now, one, other, faint);
        }
    }

    /// Does something to links of one network or of all; hosts that a network does not have are
    /// left out.
    fn on_links(
        &mut self,
        network: Option<usize>,
        pairs: &[(usize, usize)],
        apply: impl Fn(&mut Segment, usize, usize),
    ) {
        for (number, segment) in self.segments.iter_mut().enumerate() {
            if network.is_some_and(|only| only != number) {
                continue;
            }
            for (from, to) in pairs {
                if *from < segment.hosts() && *to < segment.hosts() {
                    apply(segment, *from, *to);
                }
            }
        }
    }

    /// The node has no power from now on; so several faults at a time may want it.
    pub(crate) fn switch_off(&mut self, node: usize, remembers: bool) {
        self.nodes[node].off += 1;
        if !remembers {
            self.nodes[node].forget();
        }
        self.checks.node_ends(self.now, &self.nodes[node]);
        self.nodes[node].stop();
    }

    /// One fault fewer wants the node to be off.
    pub(crate) fn switch_on(&mut self, node: usize) {
        let off = &mut self.nodes[node].off;
        *off = off.saturating_sub(1);
        if *off == 0 && self.nodes[node].life.is_none() {
            let at = self.now + self.draw.between(1, 50) * MILLISECOND;
            self.queue.push(at, Event::Start { node });
        }
    }

    /// The node stands still.
    fn pause(&mut self, node: usize, how: Pause) {
        let machine = &mut self.nodes[node].machine;
        for thread in Thread::ALL {
            machine.hold(thread);
        }
        match how {
            Pause::Process => {}
            Pause::Machine => machine.freeze(self.now, false),
            Pause::MachineAndClock => machine.freeze(self.now, true),
        }
    }

    /// The node goes on, and its kernel sees what has waited meanwhile.
    fn resume(&mut self, node: usize, how: Pause) {
        if how != Pause::Process {
            let held = self.nodes[node].machine.thaw(self.now);
            if how == Pause::MachineAndClock {
                self.nodes[node].excuse(self.now);
            }
            for (network, frame) in held {
                self.arrive_at_node(network, node, frame);
            }
        }
        for thread in Thread::ALL {
            self.let_go(node, thread);
        }
    }

    /// A thread that was held may run again.
    fn let_go(&mut self, node: usize, thread: Thread) {
        self.nodes[node].machine.release(thread);
        self.wake_soon(node, thread);
        if thread == Thread::Forward {
            self.check_resumed(node);
        }
    }

    /// Pulls a cable, or puts it back.
    fn set_carrier(&mut self, node: usize, network: usize, up: bool) {
        let pulled = &mut self.nodes[node].pulled[network];
        *pulled = if up { pulled.saturating_sub(1) } else { *pulled + 1 };
        let up = *pulled == 0;
        self.segments[network].set_carrier(node, up);
        self.nodes[node].carrier_news.push_back((network, up));
        self.wake_soon(node, Thread::Pulse);
    }

    /// From now on nothing goes wrong.
    pub fn heal(&mut self) {
        self.say(|| "healed".to_owned());
        self.foul = false;
        for segment in &mut self.segments {
            segment.clear();
        }
    }
}
