//! What must come true after every fault has ended.

use crate::draw::{MILLISECOND, SECOND};
use crate::network::Segment;
use crate::plan::episode::Thread;
use crate::plant::Plant;
use crate::world::World;
use base::VipId;
use cluster::ViewId;

impl World {
    /// **one-view**: every node that runs is in one view, and nobody else is.
    pub fn check_one_view(&mut self) {
        let Some(problem) = self.views_apart() else { return self.check_one_document() };
        self.checks.fail(self.now, "one-view", || problem);
    }

    /// **config**: every node that runs has the same document in force.
    fn check_one_document(&mut self) {
        let lives = self.nodes.iter().filter_map(|node| node.life.as_ref());
        let mut documents: Vec<_> =
            lives.map(|life| (life.cluster.document(), life.peer.id.0)).collect();
        documents.sort_unstable();
        let same = documents.windows(2).all(|pair| pair[0].0 == pair[1].0);
        if !same {
            self.checks.fail(self.now, "config", || {
                let names = documents.iter().map(|(id, node)| format!(" n{node} has {id};"));
                format!("several documents are in force in one view:{}", names.collect::<String>())
            });
        }
    }

    /// Why there is not one view of everybody, if there is none.
    pub fn views_apart(&self) -> Option<String> {
        let running: Vec<_> = self.nodes.iter().filter_map(|node| node.life.as_ref()).collect();
        let first = running.first()?;
        let mut members: Vec<_> = first.members.clone();
        let mut everybody: Vec<_> = running.iter().map(|life| life.peer).collect();
        members.sort_unstable();
        everybody.sort_unstable();
        let one = running.iter().all(|life| life.view == first.view) && first.view != ViewId::NONE;
        if one && members == everybody {
            return None;
        }
        let mut views: Vec<_> = running.iter().map(|life| (life.view, life.peer)).collect();
        views.sort_unstable();
        let mut text = String::from("the nodes that run are not in one view:");
        for group in views.chunk_by(|one, other| one.0 == other.0) {
            let peers: Vec<_> = group.iter().map(|(_, peer)| peer.to_string()).collect();
            text += &format!(" {} is that of {};", group[0].0, peers.join(" "));
        }
        Some(text)
    }

    /// Who serves a VIP now.
    pub fn servers_of(&self, vip: VipId) -> Vec<usize> {
        let serves = |node: &&crate::node::Node| {
            node.machine.runs(Thread::Forward, self.now)
                && node.life.as_ref().is_some_and(|life| {
                    life.forwarder.serves(node.machine.clock.read(self.now), vip)
                })
        };
        self.nodes.iter().filter(serves).map(|node| node.index).collect()
    }

    /// **owned**: every VIP is served by one node. **announced**: the last announcement on the
    /// wire came from it.
    pub fn check_owned(&mut self) {
        for vip in (0..self.plan.vips.len()).map(VipId::from) {
            let servers = self.servers_of(vip);
            let [owner] = servers[..] else {
                let names: Vec<_> = servers.iter().map(|node| format!("n{}", node + 1)).collect();
                self.checks.fail(self.now, "owned", || {
                    format!("VIP {} is served by [{}]", vip.0, names.join(" "))
                });
                return;
            };
            let said = self.checks.announcement(vip);
            if said != Some(Segment::station(owner)) {
                let said = said.and_then(|station| station.host());
                self.checks.fail(self.now, "announced", || {
                    format!("VIP {} is at n{}, the last word was {said:?}", vip.0, owner + 1)
                });
                return;
            }
        }
    }

    /// **settled**: for `long`, no view changes, and no VIP moves that nobody asked to move.
    pub fn check_settled(&mut self, long: u64, what: &str) {
        let (installs, changes) = (self.checks.installs, self.checks.changes);
        if self.options.plant == Some(Plant::Meddler) {
            self.meddle();
        }
        self.run(self.now + long);
        if self.checks.installs != installs {
            let last = self.checks.last_install;
            self.checks.fail(self.now, "settled", || {
                format!("views change {what}; the last did at {:.6} s", last as f64 / 1e9)
            });
        }
        if self.checks.changes != changes {
            let moved = self.checks.changes - changes;
            self.checks.fail(self.now, "settled", || format!("{moved} VIPs move {what}"));
        }
    }

    /// **reached**: connections of clients that hear announcements go on.
    pub fn check_reached(&mut self) {
        let now = self.now;
        let stuck = self.flows.iter().find(|flow| {
            let proper = self.clients[flow.client].cache.hears_announcements();
            let since = flow.answered().unwrap_or_default();
            proper && now.saturating_sub(since) > SECOND + 4 * flow.pace
        });
        if let Some(flow) = stuck {
            let (client, vip, since) = (flow.client, flow.vip, flow.answered());
            let belief = self.clients[client].cache.belief(vip);
            self.checks.fail(now, "reached", || {
                format!(
                    "client {client} has had no answer from VIP {} since {:?} ms; it believes it \
                     at {belief:?}",
                    vip.0,
                    since.map(|since| since / MILLISECOND)
                )
            });
        }
    }
}
