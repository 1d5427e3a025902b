//! Servers come and go, and flows keep theirs: what the three threads of a node do about copies.

use super::{Event, World};
use crate::draw::MILLISECOND;
use crate::network::frame::{Content, Name};
use crate::node::copies::Note;
use crate::node::life::{Settled, Table, index};
use crate::plan::episode::Thread;
use crate::plant::Plant;
use base::time::Duration;
use base::{Instant, VipId};
use cluster::flows;
use cluster::{Channel, Ownership, Transmit};

/// Between two times that a forwarding thread tells of flows.
const TELLING: Duration = Duration::from_millis(10);

impl World {
    /// There are other servers: each node's checks find that out at a time of their own.
    pub(super) fn change_servers(&mut self) {
        self.servers += 1;
        for node in 0..self.plan.nodes {
            let at = self.now + self.draw.between(1, 100 * MILLISECOND);
            self.queue.push(at, Event::Servers { node });
        }
    }

    /// A node has found out which servers there are.
    pub(super) fn find_servers(&mut self, node: usize) {
        let Some(life) = &mut self.nodes[node].life else { return };
        life.forwarder.flows.set_servers(self.servers);
        self.tell_soon(node);
    }

    /// The forwarding thread of a node has something to tell.
    pub(super) fn tell_soon(&mut self, node: usize) {
        let clock = self.nodes[node].machine.clock.read(self.now);
        let Some(life) = &mut self.nodes[node].life else { return };
        if life.copying.is_none() || !life.forwarder.flows.fresh || life.tell_at.is_some() {
            return;
        }
        let at = clock + TELLING;
        life.tell_at = Some(at);
        self.sleep(node, Thread::Forward, Some(at));
    }

    /// The forwarding thread tells what is due.
    pub(super) fn tell(&mut self, node: usize) {
        let clock = self.nodes[node].machine.clock.read(self.now);
        let twisted = self.is_planted(Plant::TwistedCopies);
        let Some(life) = &mut self.nodes[node].life else { return };
        if let Some(asked) = life.asked.take() {
            life.forwarder.flows.ask(asked);
        }
        if let Some(at) = life.tell_at.filter(|at| clock < *at) {
            // The clock has stood still since the wake-up was planned.
            return self.sleep(node, Thread::Forward, Some(at));
        }
        if life.tell_at.is_some() {
            life.tell_at = None;
            let mut notes = life.forwarder.tell();
            for note in &mut notes {
                if twisted && let Note::Flow { server: Some(server), .. } = note {
                    *server += 1;
                }
            }
            life.notes.extend(&notes);
            for note in notes {
                self.say(|| format!("n{} tells {note:?}", node + 1));
            }
            self.wake_soon(node, Thread::Control);
        }
        self.tell_soon(node);
    }

    /// The control thread takes what the forwarding thread told and obeyed, and does what is due.
    pub(super) fn step_copies(&mut self, node: usize, now: Instant) {
        let Some(life) = &mut self.nodes[node].life else { return };
        while let Some(settled) = life.settled.pop_front() {
            match settled {
                Settled::Owner(number) => life.cluster.handle_settled(now, number),
                Settled::Copies(vip) => life.cluster.handle_synced(now, vip),
            }
        }
        let Some(copying) = &mut life.copying else { return };
        while let Some(note) = life.notes.pop_front() {
            copying.note(now, note);
        }
        copying.flows.handle_timeout(now);
    }

    /// Hands on what a VIP's new owner is, with the copies that belong to it.
    pub(super) fn hand_on(&mut self, node: usize, now: Instant, ownership: Ownership) {
        let Some(life) = &mut self.nodes[node].life else { return };
        let vip = ownership.vip;
        let expects = matches!(ownership.role, cluster::Role::Expecting { .. });
        let mut flows = Vec::new();
        match &mut life.copying {
            Some(copying) => {
                if !copying.own(now, &ownership) {
                    return;
                }
                let ours = matches!(ownership.role, cluster::Role::Owner { .. });
                if ours || expects {
                    flows = copying.of(vip);
                }
                if ours {
                    // What is known from an earlier time as owner holds until it is looked at.
                    let known = |name: &Name| life.forwarder.flows.known(*name).is_some();
                    let new = flows.iter().filter(|(name, _)| !known(name));
                    life.owed.extend(new.copied());
                }
            }
            // The data plane of this world copies no flows.
            None if expects => life.cluster.handle_synced(now, vip),
            None => {}
        }
        if self.options.plant == Some(Plant::LateCopies) {
            flows.clear();
        }
        life.tables.push_back(Table::Owner(ownership, flows));
        self.wake_soon(node, Thread::Forward);
    }

    /// Carries out what the machine of copies decided, and sends what it has to say.
    pub(super) fn carry_out_copies(&mut self, node: usize) {
        let late = self.options.plant == Some(Plant::LateCopies);
        let mut wakes = false;
        let mut datagrams = Vec::new();
        let Some(life) = &mut self.nodes[node].life else { return };
        let Some(copying) = &mut life.copying else { return };
        while let Some(event) = copying.flows.poll_event() {
            wakes = true;
            match event {
                flows::Event::Tell(asked) => life.asked = Some(asked),
                flows::Event::Synced(vip) | flows::Event::Changed(vip) => {
                    let flows = if late { Vec::new() } else { copying.of(vip) };
                    let arrives = matches!(event, flows::Event::Synced(_));
                    // Control has heard of others since.
                    life.owed.retain(|name, _| name.vip != vip);
                    life.tables.push_back(Table::Copies { vip, flows, arrives });
                }
            }
        }
        while let Some((to, body)) = copying.flows.poll_transmit() {
            let sights = life.newest.iter().flat_map(|report| &report.peers);
            let sight = sights.into_iter().find(|sight| sight.peer.id == to);
            let newest = sight.and_then(|it| it.paths.iter().max_by_key(|path| path.heard_at));
            let Some(network) = newest.map(|path| path.network) else { continue };
            datagrams.push(Transmit { channel: Channel::Flow, network, to, body });
        }
        let wrapped: Vec<(_, _, Content)> = datagrams
            .into_iter()
            .map(|transmit| (index(transmit.to), transmit.network, life.wrap(transmit)))
            .collect();
        for (to, network, content) in wrapped {
            self.send_datagram(node, to, network, content);
        }
        if wakes {
            self.wake_soon(node, Thread::Forward);
        }
    }

    /// **replica**: who copies a VIP's flows has those of its owner, and no others. What is told
    /// has a moment to arrive.
    pub fn check_replicas(&mut self) {
        let lacking = self.lacking_copies();
        self.run(self.now + 300 * MILLISECOND);
        let still = self.lacking_copies().into_iter().find(|it| lacking.contains(it));
        if let Some((name, server, owner, node)) = self.wrong_copy().or(still) {
            self.checks.fail(self.now, "replica", || {
                let (owner, node) = (owner + 1, node + 1);
                format!("{name:?} is with server {server} at n{owner}, and its copy at n{node} not")
            });
        }
    }

    /// A copy that names another server than the owner's data plane.
    fn wrong_copy(&self) -> Option<(Name, u16, usize, usize)> {
        self.followers().into_iter().find_map(|(vip, owner, node)| {
            let serving = self.nodes[owner].life.as_ref()?;
            let copies = self.nodes[node].life.as_ref()?.copying.as_ref()?.of(vip);
            copies.into_iter().find_map(|(name, server)| {
                let known = serving.forwarder.flows.known(name)?;
                (known != server).then_some((name, known, owner, node))
            })
        })
    }

    /// Flows of owners that others would get wrong, and that are not where they should be copied.
    fn lacking_copies(&self) -> Vec<(Name, u16, usize, usize)> {
        let mut lacking = Vec::new();
        for (vip, owner, node) in self.followers() {
            let serving = self.nodes[owner].life.as_ref();
            let copying = self.nodes[node].life.as_ref().and_then(|life| life.copying.as_ref());
            let (Some(serving), Some(copying)) = (serving, copying) else { continue };
            let copies = copying.of(vip);
            let differing = serving.forwarder.flows.differing(vip);
            let missing = differing.filter(|it| !copies.contains(it));
            lacking.extend(missing.map(|(name, server)| (name, server, owner, node)));
        }
        lacking
    }

    /// Each VIP with its owner and a node that copies its flows.
    fn followers(&self) -> Vec<(VipId, usize, usize)> {
        let mut followers = Vec::new();
        for vip in (0..self.plan.vips.len()).map(VipId::from) {
            let [owner] = self.servers_of(vip)[..] else { continue };
            let follows = |node: &usize| {
                let life = self.nodes[*node].life.as_ref();
                let copying = life.and_then(|life| life.copying.as_ref());
                let followed = copying.and_then(|copying| copying.followed(vip));
                *node != owner && followed.map(index) == Some(owner)
            };
            let nodes = (0..self.plan.nodes).filter(follows);
            followers.extend(nodes.map(|node| (vip, owner, node)));
        }
        followers
    }
}
