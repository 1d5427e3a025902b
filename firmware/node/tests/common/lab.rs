//! The node: configuration, tables, forwarder, and time that a test lets pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::address::mapped;
use base::{FlowKey, Frame, Instant, Mac, Offload, ServerId, VipId};
use dataplane::flow::Note;
use dataplane::tables::{AddressTable, Copied, Copies, Owner, Peer, Server, Share, Spread, Tables};
use dataplane::{Capacity, Event, Forwarder, HeldId, Output, OwnTarget, Source, Verdict};
use model::Config;
use model::config::{Gateway, ServerState};
use model::limits::NETWORKS;
use node::{Attached, Plan};

use super::{INSIDE, OUTSIDE, PEER, Port, ROUTER, Wire, mac_of};

/// The document of every test here.
pub const CONFIG: &str = include_str!("cluster.toml");
/// Not secret.
const SEED: u64 = 7;

/// A frame that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// By which port.
    pub port: Port,
    /// The frame.
    pub bytes: Vec<u8>,
    /// What its sender still has to do.
    pub offload: Offload,
}

/// What one frame brought about.
#[derive(Clone, Debug)]
pub struct Seen {
    /// In words: `forward web/s1`, `transit`, `answer`, `own faces`, `held`, `drop REASON`.
    pub verdict: String,
    /// Frames that left.
    pub sent: Vec<Sent>,
    /// For the control thread.
    pub events: Vec<Event>,
}

/// The node.
pub struct Lab {
    config: Config,
    plan: Plan,
    attached: Vec<Attached>,
    down: Vec<ServerId>,
    /// Virtual addresses, by their place, that are not this node's.
    given: Vec<(usize, Owner)>,
    /// Virtual addresses that are spread, by their place.
    spreads: BTreeMap<usize, Vec<Share>>,
    /// The number of the selection; 0: the node is alone.
    selection: u16,
    /// Flows that other boxes had.
    copies: Vec<Copied>,
    /// Stations of the second of the other boxes, once it is heard.
    second: Option<[Mac; 2]>,
    neighbors: BTreeMap<(u16, std::net::Ipv6Addr), Mac>,
    /// What the forwarder sees.
    pub tables: Tables,
    /// Under test.
    pub forwarder: Forwarder,
    out: Output,
    now: Instant,
    received: u64,
    /// Frames that wait.
    held: Vec<HeldId>,
    /// Whether every frame that leaves must be sound. What comes in damaged may leave so.
    pub judges: bool,
    /// Final verdicts of frames that waited, in words.
    pub resolved: Vec<String>,
}

impl Lab {
    /// The node as configured, all ports up, gateways and servers known but for `ghost`.
    pub fn new() -> Self {
        Self::with_flows(4_096)
    }

    /// The node with room for so many flows.
    pub fn with_flows(flows: u32) -> Self {
        let config = Config::parse(CONFIG).expect("a legal document");
        let plan = Plan::new(config.clone(), "n1", SEED).expect("n1 is a node of it");
        let attached = [OUTSIDE, INSIDE].map(|mac| Attached { mac, mtu: 1_500, up: true });
        // Some more, for what a test adds.
        let (services, servers) = (config.services.len() + 16, plan.members().len() + 16);
        let capacity = Capacity { flows, services, servers };
        let mut neighbors = BTreeMap::new();
        for (port, address) in plan.next_hops() {
            let mac = if port == Port::Outside.id() { ROUTER } else { mac_of(address) };
            neighbors.insert((port.0, mapped(address)), mac);
        }
        let mut lab = Self {
            config,
            attached: attached.to_vec(),
            down: vec![],
            given: vec![],
            spreads: BTreeMap::new(),
            selection: 0,
            copies: vec![],
            second: None,
            neighbors,
            tables: Tables::default(),
            forwarder: Forwarder::new(capacity, SEED),
            out: Output::default(),
            now: Instant::from_millis(1_000),
            received: 0,
            held: vec![],
            judges: true,
            resolved: vec![],
            plan,
        };
        lab.forget_neighbor(Port::Inside, "10.0.0.66");
        lab
    }

    /// The same document, changed: ids stay.
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.plan = Plan::new(self.config.clone(), "n1", SEED).expect("n1 is a node of it");
        self.publish();
    }

    /// Sets what the operator says of a server.
    pub fn set_state(&mut self, name: &str, state: ServerState) {
        let (pool, server) = name.split_once('/').expect("POOL/NAME");
        self.reconfigure(|config| {
            let pool = config.pools.iter_mut().find(|p| p.name == pool).expect("a pool");
            pool.servers.iter_mut().find(|s| s.name == server).expect("a server").state = state;
        });
    }

    /// No virtual address is a gateway any more.
    pub fn close_gateways(&mut self) {
        self.reconfigure(|config| config.vips.iter_mut().for_each(|v| v.gateway = Gateway::Off));
    }

    /// The checks say that a server failed, or works again.
    pub fn set_up(&mut self, name: &str, up: bool) {
        let (pool, server) = name.split_once('/').expect("POOL/NAME");
        let id = self.plan.find_server(pool, server).expect("a server");
        self.down.retain(|&other| other != id);
        if !up {
            self.down.push(id);
        }
        self.publish();
    }

    /// The largest IP packet of a port.
    pub fn set_mtu(&mut self, port: Port, mtu: u32) {
        self.attached[port.id().index()].mtu = mtu;
        self.publish();
    }

    /// A port gains or loses its carrier.
    pub fn set_port(&mut self, port: Port, up: bool) {
        self.attached[port.id().index()].up = up;
        self.publish();
    }

    /// A neighbor is known from now on.
    pub fn learn_neighbor(&mut self, port: Port, address: &str) {
        let address = address.parse().expect("an address");
        self.neighbors.insert((port.id().0, mapped(address)), mac_of(address));
        self.publish();
    }

    /// A neighbor is not known any more.
    pub fn forget_neighbor(&mut self, port: Port, address: &str) {
        let address = mapped(address.parse().expect("an address"));
        self.neighbors.remove(&(port.id().0, address));
        self.publish();
    }

    /// Another box of the cluster, which is heard on both networks, serves a virtual address, or
    /// nobody does.
    pub fn give_away(&mut self, vip: &str, owner: Owner) {
        let place = self.config.vips.iter().position(|it| it.name == vip).expect("a VIP");
        self.given.retain(|(known, _)| *known != place);
        self.given.push((place, owner));
        self.publish();
    }

    /// These boxes work on the flows of a virtual address, of which each has a number; none: it is
    /// not spread.
    pub fn spread(&mut self, vip: &str, boxes: &[(Owner, u64)]) {
        let place = self.config.vips.iter().position(|it| it.name == vip).expect("a VIP");
        let share = |&(at, identity)| Share { at, identity, weight: 1 };
        self.spreads.remove(&place);
        if !boxes.is_empty() {
            self.spreads.insert(place, boxes.iter().map(share).collect());
        }
        self.publish();
    }

    /// The second of the other boxes is heard from these stations, too.
    pub fn learn_peer(&mut self, stations: [Mac; 2]) {
        self.second = Some(stations);
        self.publish();
    }

    /// Others copy the node's flows from now on.
    pub fn is_followed(&mut self) {
        self.selection = 1;
        self.publish();
    }

    /// What the forwarder has told since, in words: `CLIENT: SERVER` or `over`.
    pub fn told(&mut self) -> Vec<String> {
        let notes = core::iter::from_fn(|| self.forwarder.poll_note());
        notes.map(|note| words_of(&note)).collect()
    }

    /// Another box had flows of our addresses, and chose these servers for them.
    pub fn copy(&mut self, notes: &[Note]) {
        for note in notes {
            let Note::Flow { key, server: Some((address, port)) } = *note else { continue };
            let vip = self.tables.vips.iter().position(|vip| vip.address == key.destination);
            let vip = VipId::from(vip.expect("a virtual address"));
            let services = &self.tables.services;
            let found = services.find(vip, key.protocol, key.destination_port).expect("a service");
            let pool = self.tables.service(found.service).expect("a service").pool;
            let is = |server: &Server| {
                (server.pool, server.address) == (pool, address)
                    && server.port.unwrap_or(key.destination_port) == port
            };
            let server = self.tables.servers.iter().position(is).expect("a server");
            self.copies.push(Copied {
                request: key,
                endpoint: (address, port),
                service: found.service,
                server: ServerId::from(server),
            });
        }
        self.publish();
    }

    /// The leases of both networks end then.
    pub fn lease_until(&mut self, until: Instant) {
        self.forwarder.set_leases([until; NETWORKS]);
    }

    /// New tables, as control would hand them over.
    fn publish(&mut self) {
        let generation = self.tables.generation + 1;
        let down = &self.down;
        self.tables = self.plan.tables(&self.attached, |id| !down.contains(&id));
        self.tables.generation = generation;
        self.selection += u16::from(self.selection != 0);
        self.tables.selection = self.selection;
        self.tables.copies = Arc::new(Copies::build(self.now, SEED, self.copies.clone()));
        let mut vips = self.tables.vips.to_vec();
        self.given.iter().for_each(|&(place, owner)| vips[place].owner = owner);
        let mut spreads = vec![None; vips.len()];
        for (&place, shares) in &self.spreads {
            vips[place].works = shares.iter().any(|share| share.at == Owner::Us);
            spreads[place] = Some(Spread::build(shares));
        }
        self.tables.spreads = Arc::new(spreads);
        self.tables.vips = Arc::new(vips);
        let stations = |macs: [Mac; 2]| {
            let ports = self.tables.ports.iter().zip(macs);
            Peer { stations: ports.map(|(port, mac)| (port.network, mac)).collect() }
        };
        let second = self.second.map(stations).unwrap_or_default();
        self.tables.peers = Arc::new(vec![stations(PEER), second]);
        let entries = self.neighbors.iter().map(|(&(port, address), &mac)| (port, address, mac));
        self.tables.neighbors = Arc::new(AddressTable::build(SEED, entries));
    }

    /// A restart: the forwarder has forgotten everything.
    pub fn restart(&mut self) {
        *self = Self { tables: self.tables.clone(), now: self.now, ..Self::new() };
    }

    /// One frame arrives.
    pub fn receive(&mut self, wire: &Wire) -> Seen {
        let mut bytes = wire.bytes.clone();
        self.out.clear();
        self.received += 1;
        let mut frames = [Frame { bytes: &mut bytes, offload: wire.offload }];
        let port = wire.port.id();
        self.forwarder.burst(self.now, &self.tables, port, &mut frames, &mut self.out);
        assert_eq!(self.out.verdicts.len(), 1, "one frame, one verdict");
        let verdict = self.out.verdicts[0];
        if let Verdict::Held(id) = verdict {
            assert!(!self.held.contains(&id), "a number names one frame");
            self.held.push(id);
        }
        self.collect(Some(verdict), &bytes)
    }

    /// Frames arrive by one port in one burst: what became of each, in words.
    pub fn receive_burst(&mut self, port: Port, wires: &[Wire]) -> Vec<String> {
        let mut bytes: Vec<_> = wires.iter().map(|wire| wire.bytes.clone()).collect();
        self.out.clear();
        self.received += wires.len() as u64;
        let frames = bytes.iter_mut().zip(wires);
        let mut frames: Vec<_> =
            frames.map(|(bytes, wire)| Frame { bytes, offload: wire.offload }).collect();
        self.forwarder.burst(self.now, &self.tables, port.id(), &mut frames, &mut self.out);
        self.check_counters();
        self.out.verdicts.iter().map(|verdict| self.words(*verdict)).collect()
    }

    /// How many frames left because of the last burst.
    pub fn left(&self) -> usize {
        self.out.transmit.len()
    }

    /// Time passes, and what it brings about happens.
    pub fn wait(&mut self, duration: Duration) -> Seen {
        let until = self.now + duration;
        let mut all = Seen { verdict: String::new(), sent: vec![], events: vec![] };
        loop {
            let due = self.forwarder.next_deadline().filter(|&due| due <= until);
            self.now = due.unwrap_or(until).max(self.now);
            self.out.clear();
            self.forwarder.handle_timeout(self.now, &self.tables, &mut self.out);
            let seen = self.collect(None, &[]);
            all.sent.extend(seen.sent);
            all.events.extend(seen.events);
            if due.is_none() {
                return all;
            }
        }
    }

    /// Time passes and nobody looks.
    pub fn sleep(&mut self, duration: Duration) {
        self.now += duration;
    }

    fn collect(&mut self, verdict: Option<Verdict>, received: &[u8]) -> Seen {
        let mut sent = vec![];
        for transmit in &self.out.transmit {
            let bytes = match transmit.source {
                Source::Received { length, .. } => received[..length as usize].to_vec(),
                Source::Generated { .. } => self.out.bytes(transmit.source).to_vec(),
            };
            let port = if transmit.port.0 == 0 { Port::Outside } else { Port::Inside };
            if self.judges
                && let Err(why) = fixtures::verify(&bytes, &transmit.offload)
            {
                panic!("a frame that leaves is wrong: {why}\n{bytes:02x?}");
            }
            sent.push(Sent { port, bytes, offload: transmit.offload });
        }
        let resolved: Vec<_> = self.out.resolved.iter().copied().collect();
        for (id, verdict) in resolved {
            let known = self.held.iter().position(|&held| held == id);
            self.held.swap_remove(known.expect("a frame is resolved once, and was held"));
            assert!(!matches!(verdict, Verdict::Held(_)), "a final verdict is final");
            let words = self.words(verdict);
            self.resolved.push(words);
        }
        self.check_counters();
        Seen {
            verdict: verdict.map_or_else(String::new, |verdict| self.words(verdict)),
            sent,
            events: self.out.events.iter().copied().collect(),
        }
    }

    /// Every frame is counted exactly once under its final verdict, or waits.
    fn check_counters(&self) {
        let counters = self.forwarder.counters();
        let decided = counters.balanced + counters.transit + counters.answered + counters.own;
        let decided = decided + counters.handed_over;
        let dropped: u64 = counters.drops.iter().sum();
        assert_eq!(counters.received, self.received);
        assert_eq!(decided + dropped + self.held.len() as u64, self.received, "{counters:?}");
        let active: u32 = counters.services.iter().map(|traffic| traffic.active).sum();
        assert_eq!(active, self.forwarder.flows().len(), "each flow is its service's");
        let active: u32 = counters.servers.iter().map(|traffic| traffic.active).sum();
        assert_eq!(active, self.forwarder.flows().len(), "each flow is its server's");
    }

    /// A verdict in words.
    pub fn words(&self, verdict: Verdict) -> String {
        match verdict {
            Verdict::Forward { service: None, server: None } => "transit".into(),
            Verdict::Forward { service, server } => {
                let service = self.config.services.get(service.expect("both or none").index());
                let server = self.plan.server(server.expect("both or none"));
                // What a test adds has no name here.
                let service = service.map_or("?", |service| service.name.as_str());
                let server = server.map_or("?", |(_, server)| server.name.as_str());
                format!("forward {service}/{server}")
            }
            Verdict::Answer => "answer".into(),
            Verdict::HandedOver => "handed over".into(),
            Verdict::Own(OwnTarget::Probes) => "own probes".into(),
            Verdict::Own(OwnTarget::Faces) => "own faces".into(),
            Verdict::Drop(reason) => format!("drop {}", reason.name()),
            Verdict::Held(_) => "held".into(),
        }
    }

    /// How many flows there are.
    pub fn flows(&self) -> u32 {
        self.forwarder.flows().len()
    }

    /// How many frames wait.
    pub fn waiting(&self) -> usize {
        self.held.len()
    }

    /// What is counted under a name, drops included.
    pub fn count(&self, name: &str) -> u64 {
        let counters = self.forwarder.counters();
        let mut all = counters.named().chain(counters.named_drops());
        all.find(|(known, _)| *known == name).expect("a counter of that name").1
    }

    /// Now.
    pub const fn now(&self) -> Instant {
        self.now
    }
}

fn words_of(note: &Note) -> String {
    let end = |address, port| std::net::SocketAddr::new(base::address::unmapped(address), port);
    match note {
        Note::Flow { key: FlowKey { source, source_port, .. }, server } => {
            let server = server.map(|(address, port)| end(address, port).to_string());
            let server = server.unwrap_or_else(|| "over".into());
            format!("{}: {server}", end(*source, *source_port))
        }
        Note::Telling { .. } => "telling".into(),
        Note::Told { asked, .. } => format!("told {asked}"),
    }
}
