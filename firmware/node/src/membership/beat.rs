//! The pulse thread's half: heartbeats, greetings, leases.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use base::time::Duration;
use base::{Instant, NetworkId, NodeId, PortId};
use cluster::config::DocumentId;
use cluster::seal::{Greeter, Greeting, Guard, Refusal, greeter};
use cluster::{Channel, Incarnation, Orders, Presence, Pulse};
use model::config::{Config, Node};
use model::limits::NETWORKS;

use super::News;
use super::framing::{Framing, Station};
use super::settings::{Card, ids, settings};
use crate::plan::Attached;

/// Between two greetings of one node. A box that starts is known after one of these.
const GREETING: Duration = Duration::from_millis(200);
/// How long a node that was admitted may not hear us before it is greeted again.
const UNHEARD: Duration = Duration::from_secs(1);

/// The pulse thread's machine.
pub struct Beat {
    pulse: Pulse,
    guard: Guard,
    greeter: Greeter,
    framing: Framing,
    networks: Vec<NetworkId>,
    /// The other nodes, and when each was first found not to hear us.
    peers: Vec<(NodeId, Option<Instant>)>,
    greet_at: Option<Instant>,
    frames: VecDeque<(PortId, Vec<u8>)>,
    news: VecDeque<News>,
    /// Datagrams that were refused, by reason.
    refused: Vec<(Refusal, u64)>,
    /// Some were refused since the council was told how many.
    untold: bool,
    /// Which start of this node it is.
    incarnation: Incarnation,
}

impl Beat {
    /// The machine of `node`, which hears nobody yet.
    pub fn new(now: Instant, config: &Config, node: &Node, card: &Card, seed: u64) -> Self {
        let identity = card.identity(config, node);
        let own = identity.node;
        let secrets = &card.secrets;
        let others = ids(config).into_iter().filter(|id| *id != own);
        let peers: Vec<_> = others.map(|id| (id, None)).collect();
        let nodes = peers.iter().map(|(id, _)| *id);
        Self {
            pulse: Pulse::new(
                now,
                &settings(config, node, (card.incarnation, card.document)),
                seed,
            ),
            guard: Guard::new(
                identity.clone(),
                secrets.clone(),
                &[Channel::Heartbeat],
                nodes.clone(),
            ),
            greeter: Greeter::new(identity, secrets, nodes),
            framing: Framing::new(config, node),
            networks: node.ports.iter().map(|port| port.network).collect(),
            greet_at: (!peers.is_empty()).then_some(now),
            peers,
            frames: VecDeque::new(),
            news: VecDeque::new(),
            refused: Vec::new(),
            untold: false,
            incarnation: card.incarnation,
        }
    }

    /// A frame that the kernel received at `received_at` by `port`.
    pub fn handle_frame(
        &mut self,
        received_at: Instant,
        now: Instant,
        port: PortId,
        frame: &mut [u8],
    ) {
        let Some((network, mac, datagram)) = self.framing.read(port, frame) else { return };
        if greeter::is_greeting(datagram) {
            let mut answer = Vec::new();
            let sender = greeter::sender(datagram);
            match self.greeter.handle(network, datagram, &mut answer) {
                Ok(Greeting::Heard) => {}
                Ok(Greeting::Admitted(admission)) => {
                    self.guard.admit(admission);
                    self.news.push_back(News::Admitted(admission));
                }
                Ok(Greeting::Outrun(known)) => self.news.push_back(News::Outrun(known)),
                Err(refusal) => return self.refuse(refusal),
            }
            if let (Some(to), false) = (sender, answer.is_empty()) {
                self.frames.extend(self.framing.frame(to, network, &answer));
            }
            return;
        }
        match self.guard.open(network, datagram) {
            Ok(opened) => {
                let station = Station { node: opened.from.id, network, mac };
                self.pulse.handle_heartbeat(received_at, now, opened.from, network, opened.body);
                if self.framing.learn(station) {
                    self.news.push_back(News::Heard(station));
                }
            }
            Err(refusal) => self.refuse(refusal),
        }
        self.after();
    }

    /// The kernel lost frames for want of room since the sockets were empty last.
    pub fn handle_loss(&mut self, now: Instant) {
        self.pulse.handle_loss(now);
    }

    /// Every socket was empty at `now`, and every frame from them has been handed in.
    pub fn handle_drained(&mut self, now: Instant) {
        self.pulse.handle_drained(now);
        self.after();
    }

    /// Another document is in force.
    pub fn handle_document(&mut self, now: Instant, id: DocumentId, config: &Config, node: &Node) {
        let incarnation = self.incarnation;
        self.pulse.handle_settings(now, &settings(config, node, (incarnation, id)));
        let own = self.guard.own();
        let peers: Vec<_> = ids(config).into_iter().filter(|id| *id != own).collect();
        self.guard.set_peers(peers.iter().copied());
        self.greeter.set_peers(peers.iter().copied());
        self.framing.renew(config, node);
        self.networks = node.ports.iter().map(|port| port.network).collect();
        let unheard = |id: &NodeId| {
            self.peers.iter().find(|(known, _)| known == id).and_then(|(_, unheard)| *unheard)
        };
        self.peers = peers.iter().map(|id| (*id, unheard(id))).collect();
        self.greet_at = (!self.peers.is_empty()).then_some(now);
        self.after();
    }

    /// What the council decided.
    pub fn handle_orders(&mut self, now: Instant, orders: Orders) {
        self.pulse.handle_orders(now, orders);
        self.after();
    }

    /// The machine reports a port.
    pub fn handle_port(&mut self, now: Instant, port: PortId, attached: &Attached) {
        self.framing.set_port(port, attached);
        if let Some(network) = self.framing.network(port) {
            self.pulse.handle_carrier(now, network, attached.up);
        }
        self.after();
    }

    /// Every forwarder and control have made progress.
    pub fn handle_progress(&mut self, now: Instant) {
        self.pulse.handle_progress(now);
    }

    /// A gateway or server has answered on a network.
    pub fn handle_witness(&mut self, now: Instant, network: NetworkId) {
        self.pulse.handle_witness(now, network);
        self.after();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.pulse.handle_timeout(now);
        if self.greet_at.is_some_and(|at| at <= now) {
            self.greet_at = Some(now + GREETING);
            self.greet(now);
        }
        self.after();
    }

    /// When [`Beat::handle_timeout`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.pulse.next_deadline(), self.greet_at].into_iter().flatten().min()
    }

    /// From one heartbeat to the next.
    pub const fn interval(&self) -> Duration {
        self.pulse.interval()
    }

    /// For how long what comes in may wait, because all is well.
    pub fn calm(&self) -> Option<Duration> {
        self.pulse.calm()
    }

    /// The next frame to send.
    pub fn poll_frame(&mut self) -> Option<(PortId, Vec<u8>)> {
        self.frames.pop_front()
    }

    /// The next thing for the council.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// By network: until when this node may serve virtual addresses there. Networks without a
    /// port: not at all.
    pub fn leases(&self) -> [Instant; NETWORKS] {
        let mut leases = [Instant::ZERO; NETWORKS];
        for lease in self.pulse.leases() {
            if let Some(place) = leases.get_mut(lease.network.index()) {
                *place = lease.until;
            }
        }
        leases
    }

    /// How many datagrams were refused, by reason.
    pub fn refused(&self) -> &[(Refusal, u64)] {
        &self.refused
    }

    fn after(&mut self) {
        if let Some(report) = self.pulse.poll_report() {
            self.watch_ears(&report);
            self.news.push_back(News::Report(report));
            if core::mem::take(&mut self.untold) {
                self.news.push_back(News::Refused(self.refused.clone()));
            }
        }
        while let Some(network) = self.pulse.poll_probe() {
            self.news.push_back(News::Ask(network));
        }
        while let Some(transmit) = self.pulse.poll_transmit() {
            let mut datagram = Vec::new();
            let (to, network) = (transmit.to, transmit.network);
            self.guard.seal(transmit.channel, network, to, &transmit.body, &mut datagram);
            if !datagram.is_empty() {
                self.frames.extend(self.framing.frame(to, network, &datagram));
            }
        }
    }

    /// Notes since when peers that we hear do not hear us.
    fn watch_ears(&mut self, report: &cluster::Report) {
        let own = self.guard.own();
        for (id, unheard) in &mut self.peers {
            let sight = report.peers.iter().find(|sight| sight.peer.id == *id);
            let deaf = sight.filter(|sight| {
                sight.presence != Presence::Silent && !sight.said.hears.contains(own)
            });
            *unheard = deaf.map(|sight| unheard.unwrap_or(sight.heard_at));
        }
    }

    /// Greets those that are not admitted, and those that seem not to have admitted us.
    fn greet(&mut self, now: Instant) {
        for (id, unheard) in &self.peers {
            let stranger = self.guard.admitted(*id).is_none();
            if !stranger && unheard.is_none_or(|since| now.since(since) < UNHEARD) {
                continue;
            }
            for &network in &self.networks {
                let mut greeting = Vec::new();
                self.greeter.greet(network, *id, &mut greeting);
                self.frames.extend(self.framing.frame(*id, network, &greeting));
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.untold = true;
        match self.refused.iter_mut().find(|(known, _)| *known == refusal) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((refusal, 1)),
        }
    }
}
