//! `Control`: keeps the forwarders' tables true, and says what the node has to say.
//!
//! One shape as every machine here: inputs are `handle_…`, results are polled, time is an
//! argument.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use arrayvec::ArrayVec;
use base::address::{mapped, unmapped};
use base::rng::Rng;
use base::time::Duration;
use base::{Instant, Mac, NetworkId, PoolId, PortId, ServerId};
use dataplane::tables::{AddressTable, Tables};
use model::config::ServerState;
use model::event::Event;
use model::limits;
use model::status::{Cause, Health};
use packet::arp::{self, Arp, Operation};
use packet::ndp::{self, AdvertisementFlags};

use crate::announce::{Announcement, Announcer};
use crate::neighbors::{Neighbors, Question};
use crate::plan::{Attached, Plan};

mod copies;
mod ownership;
mod reconfigure;

/// Octets of the largest frame that control sends: a neighbor advertisement over Ethernet.
const FRAME: usize = 128;
/// Changed neighbors are published together, so that a crowd of them does not mean a table each.
const PUBLISH_PAUSE: Duration = Duration::from_millis(5);
/// Between two defences of an address, and between two conflicts in the log (RFC 5227 §1.1
/// DEFEND_INTERVAL).
const CONFLICT_PAUSE: Duration = Duration::from_secs(10);

/// Something control has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A frame to put on the wire; one that says where a virtual address is, only while the lease
    /// on its network lasts.
    Transmit(PortId, ArrayVec<u8, FRAME>, Option<NetworkId>),
    /// Something for the log.
    Event(Event),
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHealth {
    /// What the checks say.
    pub health: Health,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Instant,
}

/// The node's control.
#[derive(Debug)]
pub struct Control {
    plan: Plan,
    attached: Vec<Attached>,
    servers: Vec<ServerHealth>,
    neighbors: Neighbors,
    announcer: Announcer,
    tables: Tables,
    /// Something changed that the forwarders do not know yet, and when they may know it.
    publish_at: Option<Instant>,
    said: VecDeque<Said>,
    /// When each address of ours was last defended.
    defended: BTreeMap<(PortId, Ipv6Addr), Instant>,
    /// When the last conflict was reported: strangers must not fill the log.
    conflict_at: Option<Instant>,
    /// Servers that an operator drains for the time being, with their configured states.
    drained: BTreeMap<ServerId, ServerState>,
    /// Flows of our virtual addresses that other boxes had before.
    copied: copies::Copied,
    /// Where the servers of those are, and of those that may come.
    copied_servers: BTreeSet<Ipv6Addr>,
    seed: u64,
}

impl Control {
    /// Starts with the ports as they are. Announces every address that is on a port that is up.
    pub fn new(now: Instant, plan: Plan, attached: Vec<Attached>, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let numbers = (0..plan.members().len()).map(ServerId::from);
        let servers: Vec<_> = numbers.map(|id| unknown(now, &plan, id)).collect();
        let ports = plan.node().ports.len();
        let mut tables = plan.tables(&attached, |_| true);
        tables.selection = u16::from(plan.agrees());
        let mut control = Self {
            attached,
            servers,
            neighbors: Neighbors::default(),
            announcer: Announcer::new(ports, rng.next()),
            tables,
            publish_at: Some(now),
            said: VecDeque::new(),
            defended: BTreeMap::new(),
            drained: BTreeMap::new(),
            conflict_at: None,
            copied: copies::Copied::default(),
            copied_servers: BTreeSet::new(),
            seed: rng.next(),
            plan,
        };
        for port in (0..ports).map(PortId::from) {
            if control.attached.get(port.index()).is_some_and(|a| a.up) {
                control.begin_port(now, port);
            }
        }
        control
    }

    /// What is being carried out.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The ports as the machine last reported them.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// What is known of a server.
    pub fn server(&self, id: ServerId) -> Option<&ServerHealth> {
        self.servers.get(id.index())
    }

    /// Whether a server gets new flows now.
    pub fn is_usable(&self, id: ServerId) -> bool {
        let up = self.server(id).is_some_and(|server| server.health != Health::Down);
        up && self.plan.may_serve(id)
    }

    /// What is known of neighbors.
    pub const fn neighbors(&self) -> &Neighbors {
        &self.neighbors
    }

    /// A forwarder noticed something.
    pub fn handle_event(&mut self, now: Instant, event: dataplane::Event) {
        match event {
            dataplane::Event::NeighborMissing { port, address } => {
                self.neighbors.want(now, port, address);
            }
            dataplane::Event::NeighborSeen { port, address, mac, solicited } => {
                if self.is_on_link(port, address) {
                    self.neighbors.seen(now, port, address, mac, solicited);
                }
            }
            dataplane::Event::AddressConflict { port, address, mac } => {
                self.conflict(now, port, address, mac);
            }
        }
        self.after(now);
    }

    /// The machine reports a port: it came, went, gained or lost its carrier.
    pub fn handle_port(&mut self, now: Instant, port: PortId, attached: Attached) {
        let Some(known) = self.attached.get_mut(port.index()) else { return };
        let before = core::mem::replace(known, attached);
        if before == attached {
            return;
        }
        self.tables.ports = Arc::new(self.plan.ports(&self.attached));
        self.publish_at = Some(now);
        if attached.up {
            self.begin_port(now, port);
        } else {
            self.announcer.withdraw_port(port);
            self.neighbors.forget_port(now, port);
            if before.up {
                self.tell_vips(port, false);
            }
        }
        self.after(now);
    }

    /// A check came to a verdict.
    pub fn handle_server(&mut self, now: Instant, id: ServerId, up: bool, cause: Cause) {
        let Some(server) = self.servers.get_mut(id.index()) else { return };
        let health = if up { Health::Up } else { Health::Down };
        let before = core::mem::replace(server, ServerHealth { health, cause, since: now });
        let was_up = before.health != Health::Down;
        if before.health == health {
            return;
        }
        let Some((pool, config)) = self.plan.server(id) else { return };
        let (pool, server) = (pool.name.clone(), config.name.clone());
        let event = if up {
            Event::ServerUp { pool: pool.clone(), server, cause }
        } else {
            Event::ServerDown { pool: pool.clone(), server, cause }
        };
        self.said.push_back(Said::Event(event));
        if was_up != up {
            self.rebuild_pool(now, id, pool);
        }
    }

    /// Does what the time asks for.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.neighbors.handle_timeout(now);
        while let Some(announcement) = self.announcer.poll(now) {
            self.announce(announcement);
        }
        self.after(now);
    }

    /// When [`Control::handle_timeout`] or [`Control::poll_tables`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines =
            [self.neighbors.next_deadline(), self.announcer.next_deadline(), self.publish_at];
        deadlines.into_iter().flatten().min()
    }

    /// New tables for the forwarders, if anything changed and the time has come.
    pub fn poll_tables(&mut self, now: Instant) -> Option<Tables> {
        self.publish_at.filter(|&at| at <= now)?;
        self.publish_at = None;
        let known = self.neighbors.known();
        let known = known.map(|(port, address, mac)| (port.0, address, mac));
        self.tables.neighbors = Arc::new(AddressTable::build(self.seed, known));
        self.put_copies(now);
        self.tables.generation = self.tables.generation.wrapping_add(1);
        Some(self.tables.clone())
    }

    /// The next thing to say.
    pub fn poll_said(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    /// A port works: announce our addresses there and look for its next hops.
    fn begin_port(&mut self, now: Instant, port: PortId) {
        for address in self.addresses_on(port) {
            self.announcer.claim(now, port, address);
        }
        self.tell_vips(port, true);
        for (at, address) in self.plan.next_hops() {
            if at == port {
                self.neighbors.pin(now, port, mapped(address));
            }
        }
        while let Some(announcement) = self.announcer.poll(now) {
            self.announce(announcement);
        }
        self.after(now);
    }

    /// Notes that the virtual addresses on a port are answered for, or no longer.
    fn tell_vips(&mut self, port: PortId, served: bool) {
        for vip in self.plan.served_on(port) {
            self.said.push_back(Said::Event(told(vip, served)));
        }
    }

    /// Our own and virtual addresses on a port.
    fn addresses_on(&self, port: PortId) -> Vec<Ipv6Addr> {
        self.plan.addresses_on(port)
    }

    /// Whether an address may be a neighbor's on that port: only such are remembered.
    fn is_on_link(&self, port: PortId, address: Ipv6Addr) -> bool {
        let hop = self.tables.routes.find(address);
        let connected = hop.is_some_and(|hop| hop.connected && hop.port == port);
        connected || address.is_unicast_link_local()
    }

    /// What every input may have brought about.
    fn after(&mut self, now: Instant) {
        while let Some(question) = self.neighbors.poll_question() {
            self.ask(question);
        }
        if self.neighbors.take_changed() {
            self.publish_at.get_or_insert(now + PUBLISH_PAUSE);
        }
    }

    fn rebuild_pool(&mut self, now: Instant, id: ServerId, name: alloc::string::String) {
        let member = self.plan.members().get(id.index()).copied().flatten();
        let Some(pool) = member.map(|member| member.pool) else { return };
        let up = |id: ServerId| self.is_usable(id);
        let mut pools: Vec<_> = self.tables.pools.iter().cloned().collect();
        if let Some(slot) = pools.get_mut(pool.index()) {
            *slot = self.plan.pool(pool, &up);
        }
        let servers = self.plan.servers(&up);
        if pools.get(PoolId::index(pool)).is_some_and(|pool| pool.members.is_empty()) {
            self.said.push_back(Said::Event(Event::PoolEmpty { pool: name }));
        }
        self.tables.selection = self.next_selection();
        self.tables.pools = Arc::new(pools);
        self.tables.servers = Arc::new(servers);
        self.publish_at = Some(now);
    }

    fn conflict(&mut self, now: Instant, port: PortId, address: Ipv6Addr, mac: Mac) {
        // RFC 5227 §2.4 (b): defend, but each address at most once in ten seconds; every VIP has
        // one owner, so ours is the claim that counts.
        let recent = |at: &Instant| now.since(*at) < CONFLICT_PAUSE;
        if self.defended.get(&(port, address)).is_some_and(recent) {
            return;
        }
        self.defended.retain(|_, at| recent(at));
        self.defended.insert((port, address), now);
        self.announce(Announcement { port, address });
        if self.conflict_at.as_ref().is_some_and(recent) {
            return;
        }
        self.conflict_at = Some(now);
        let network = self.plan.node().ports.get(port.index());
        let network = network.and_then(|p| self.plan.config().networks.get(p.network.index()));
        let network = network.map(|n| n.name.clone()).unwrap_or_default();
        let address = unmapped(address);
        self.said.push_back(Said::Event(Event::AddressConflict { address, network, mac }));
    }

    fn announce(&mut self, announcement: Announcement) {
        let Announcement { port, address } = announcement;
        let Some(mac) = self.attached.get(port.index()).map(|attached| attached.mac) else {
            return;
        };
        let network = self.plan.node().ports.get(port.index()).map(|p| p.network);
        let vips = &mut self.tables.vips.iter();
        let lease = network.filter(|_| vips.any(|vip| vip.address == address));
        match unmapped(address) {
            IpAddr::V4(own) => {
                let arp = |operation, target_mac| Arp {
                    operation,
                    sender_mac: mac,
                    sender: own,
                    target_mac,
                    target: own,
                };
                let request = arp(Operation::Request, Mac::ZERO);
                let reply = arp(Operation::Reply, Mac::BROADCAST);
                for arp in [request, reply] {
                    self.transmit(port, lease, |out| arp::emit(out, mac, Mac::BROADCAST, &arp));
                }
            }
            IpAddr::V6(own) => {
                let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
                let to = Mac::of_multicast(IpAddr::V6(all));
                let router = network
                    .and_then(|network| self.tables.networks.get(network.index()))
                    .is_some_and(|network| network.transit);
                let flags = AdvertisementFlags { router, solicited: false, overrides: true };
                self.transmit(port, lease, |out| {
                    ndp::emit_advertisement(out, mac, to, own, all, own, flags)
                });
            }
        }
    }

    fn ask(&mut self, question: Question) {
        let Question { port, address, to } = question;
        let Some(table) = self.tables.ports.get(port.index()).cloned() else { return };
        match unmapped(address) {
            IpAddr::V4(target) => {
                let own = table.ipv4.or_else(|| self.vip4_on(port));
                // Without an address there we ask as a prober does (RFC 5227 §1.1).
                let sender = own.unwrap_or(core::net::Ipv4Addr::UNSPECIFIED);
                let operation = Operation::Request;
                let target_mac = Mac::ZERO;
                let arp = Arp { operation, sender_mac: table.mac, sender, target_mac, target };
                let destination = to.unwrap_or(Mac::BROADCAST);
                self.transmit(port, None, |out| arp::emit(out, table.mac, destination, &arp));
            }
            IpAddr::V6(target) => {
                let Some(own) = table.ipv6.or_else(|| self.vip6_on(port)) else { return };
                self.transmit(port, None, |out| {
                    ndp::emit_solicitation(out, table.mac, own, target, to)
                });
            }
        }
    }

    fn vip4_on(&self, port: PortId) -> Option<core::net::Ipv4Addr> {
        self.addresses_on(port).into_iter().find_map(|address| address.to_ipv4_mapped())
    }

    fn vip6_on(&self, port: PortId) -> Option<Ipv6Addr> {
        let mut addresses = self.addresses_on(port).into_iter();
        addresses.find(|address| address.to_ipv4_mapped().is_none())
    }

    fn transmit(
        &mut self,
        port: PortId,
        lease: Option<NetworkId>,
        build: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        let mut frame = ArrayVec::from([0; FRAME]);
        if let Some(length) = build(&mut frame) {
            frame.truncate(length);
            self.said.push_back(Said::Transmit(port, frame, lease));
        }
    }
}

/// That a virtual address is answered for, or no longer.
fn told(vip: &model::config::Vip, served: bool) -> Event {
    let (vip, address) = (vip.name.clone(), vip.address);
    if served { Event::VipServed { vip, address } } else { Event::VipReleased { vip, address } }
}

/// A server of which no check has said anything yet.
fn unknown(now: Instant, plan: &Plan, id: ServerId) -> ServerHealth {
    let checked = plan.server(id).is_some_and(|(pool, _)| pool.check.is_some());
    let cause = if checked { Cause::NotProbed } else { Cause::NotChecked };
    ServerHealth { health: Health::Unknown, cause, since: now }
}

const _: () = assert!(FRAME >= 14 + 40 + 32 && limits::VIPS > 0);

#[cfg(test)]
mod tests {
    use super::*;
    use model::config::Config;

    const PORT: PortId = PortId(0);

    fn control() -> Control {
        let text = r#"
            [cluster]
            name = "c"
            [network.outside]
            prefixes = ["192.0.2.0/24"]
            [vip.a]
            network = "outside"
            address = "192.0.2.80"
            [vip.b]
            network = "outside"
            address = "192.0.2.81"
            [node.n1]
            id = 1
            [node.n1.port.eth0]
            network = "outside"
            addresses = ["192.0.2.11/24"]
        "#;
        let plan = Plan::new(Config::parse(text).unwrap(), "n1", 1).unwrap();
        let up = Attached { mac: Mac([2, 0, 0, 0, 0, 1]), mtu: 1_500, up: true };
        Control::new(Instant::ZERO, plan, alloc::vec![up], 1)
    }

    /// How many frames defend an address, and how many lines speak of it.
    fn conflict(control: &mut Control, seconds: u64, last: u8) -> (usize, usize) {
        while control.poll_said().is_some() {}
        let address = mapped(IpAddr::from([192, 0, 2, last]));
        let mac = Mac([2, 0, 0, 0, 0, 66]);
        let event = dataplane::Event::AddressConflict { port: PORT, address, mac };
        control.handle_event(Instant::from_millis(seconds * 1_000), event);
        let said: Vec<_> = core::iter::from_fn(|| control.poll_said()).collect();
        let frames = said.iter().filter(|said| matches!(said, Said::Transmit(..))).count();
        (frames, said.len() - frames)
    }

    #[test]
    fn each_address_is_defended_and_strangers_cannot_fill_the_log() {
        let mut control = control();
        assert_eq!(conflict(&mut control, 100, 80), (2, 1));
        assert_eq!(conflict(&mut control, 101, 80), (0, 0), "not again within ten seconds");
        assert_eq!(conflict(&mut control, 101, 81), (2, 0), "defended, though not told");
        assert_eq!(conflict(&mut control, 111, 80), (2, 1));
    }
}
