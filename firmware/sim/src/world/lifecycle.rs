//! Starts and ends of nodes, and what operators ask of them.

use super::{Event, World};
use crate::draw::SECOND;
use crate::node::life::{Life, id};
use crate::plan::episode::{DEPARTURE, Thread};
use base::VipId;
use cluster::{Incarnation, Peer, Request};

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
        self.find_servers(node);
        let peer = Peer { id: id(node), incarnation: Incarnation(incarnation) };
        self.checks.boots(node, peer);
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

    /// A node hears that it has begun with an incarnation that it had before.
    pub(super) fn start_again(&mut self, node: usize, known: u32) {
        self.say(|| format!("n{} must outrun incarnation {known}", node + 1));
        self.checks.node_ends(self.now, &self.nodes[node]);
        let state = &mut self.nodes[node];
        state.stop();
        state.stored = known;
        self.queue.push(self.now + SECOND / 100, Event::Start { node });
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
