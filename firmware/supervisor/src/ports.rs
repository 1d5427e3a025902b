//! The doors: opens the ports of the configuration, watches their links, and hands what was
//! opened to the workers.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::BorrowedFd;

use base::address::mapped;
use base::{Instant, Mac, PortId};
use model::event::Event;
use netio::{Apart, Link, LinkMonitor, LinkState, Memberships, Memory, PortOptions, Steering};
use node::{Attached, Plan};

use crate::wiring::{Door, PortChange};

/// A port that could not be opened is tried again after this.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// What happened to a port.
pub enum Change {
    /// For the node's control.
    Attached(PortId, Attached),
    /// For one worker.
    Door(usize, PortChange),
    /// For the journal.
    Event(Event),
}

/// All ports of this box.
pub struct Doors {
    ports: Vec<Port>,
    monitor: Option<LinkMonitor>,
    steering: Option<Steering>,
    workers: u16,
    memory: Memory,
    changes: VecDeque<Change>,
}

struct Port {
    name: String,
    interface: String,
    vlan: Option<u16>,
    groups: Vec<Mac>,
    addresses: Vec<IpAddr>,
    /// The kernel's number of the interface that the door leads to.
    open: Option<u32>,
    memberships: Option<Memberships>,
    apart: Option<Apart>,
    last: Option<Attached>,
    retry_at: Option<Instant>,
    /// The failure is in the journal already.
    reported: bool,
}

impl Port {
    /// A port of a plan, not open yet.
    fn new(plan: &Plan, id: PortId) -> Option<Self> {
        let port = plan.node().ports.get(id.index())?;
        Some(Self {
            name: port.name.clone(),
            interface: port.interface.clone(),
            vlan: port.vlan,
            groups: groups(plan, id),
            addresses: port.addresses.iter().map(|prefix| prefix.address).collect(),
            open: None,
            memberships: None,
            apart: None,
            last: None,
            retry_at: None,
            reported: false,
        })
    }
}

impl Port {
    /// Hears other groups and has other addresses from now on.
    fn answer_to(&mut self, groups: Vec<Mac>, addresses: Vec<IpAddr>) -> Result<(), String> {
        (self.groups, self.addresses) = (groups, addresses);
        if let Some(joined) = &mut self.memberships {
            joined.set(&self.groups).map_err(|error| error.to_string())?;
        }
        let set = self.apart.as_ref().map(|apart| apart.set(&self.addresses));
        set.unwrap_or(Ok(())).map_err(|error| error.to_string())
    }
}

impl Doors {
    /// Prepares the ports of a plan; nothing is open yet.
    pub fn new(plan: &Plan, workers: u16, memory: Memory) -> Self {
        let ports = 0..plan.node().ports.len();
        let mut doors = Self {
            ports: ports.filter_map(|id| Port::new(plan, PortId::from(id))).collect(),
            monitor: None,
            steering: None,
            workers,
            memory,
            changes: VecDeque::new(),
        };
        doors.prepare(plan);
        doors
    }

    /// Has the ports of another plan from now on. Those that are the same pieces of the machine
    /// stay open; the others are closed, and opened as what they are now.
    pub fn reconfigure(&mut self, now: Instant, plan: &Plan) {
        if let Some(steering) = &mut self.steering
            && let Err(error) = steering.set_virtual(&virtual_addresses(plan))
        {
            self.complain("*", &error.to_string());
        }
        let new = (0..plan.node().ports.len()).filter_map(|id| Port::new(plan, PortId::from(id)));
        let new: Vec<_> = new.collect();
        let is_same = |old: &Port, new: &Port| {
            (&old.name, &old.interface, old.vlan) == (&new.name, &new.interface, new.vlan)
        };
        let all_same = new.len() == self.ports.len()
            && self.ports.iter().zip(&new).all(|(old, new)| is_same(old, new));
        for (id, new) in new.into_iter().enumerate() {
            match self.ports.get_mut(id) {
                Some(old) if is_same(old, &new) => {
                    if let Err(reason) = old.answer_to(new.groups, new.addresses) {
                        let name = old.name.clone();
                        self.complain(&name, &reason);
                    }
                }
                Some(_) => {
                    self.shut(id);
                    self.ports[id] = new;
                }
                None => self.ports.push(new),
            }
        }
        for id in plan.node().ports.len()..self.ports.len() {
            self.shut(id);
        }
        self.ports.truncate(plan.node().ports.len());
        if !all_same {
            // It tells each link's state anew, and so opens what is not open.
            self.watch();
            self.handle(now);
        }
    }

    /// Closes a port that the plan has no more. Control knows.
    fn shut(&mut self, id: usize) {
        self.ports[id].last = None;
        if self.ports[id].open.take().is_some() {
            self.close(id);
        }
    }

    /// Readable when a link changed.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.monitor.as_ref().map(LinkMonitor::fd)
    }

    /// Looks at the links, and tries again what failed.
    pub fn handle(&mut self, now: Instant) {
        while let Some(event) = self.monitor.as_mut().and_then(LinkMonitor::poll) {
            for id in 0..self.ports.len() {
                if self.ports[id].interface == event.name {
                    self.link(now, id, event.state);
                }
            }
        }
        for id in 0..self.ports.len() {
            if self.ports[id].retry_at.is_some_and(|at| at <= now) {
                self.open(now, id);
            }
        }
    }

    /// When [`Doors::handle`] has something to try again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.ports.iter().filter_map(|port| port.retry_at).min()
    }

    /// The next thing to pass on.
    pub fn poll(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    fn prepare(&mut self, plan: &Plan) {
        self.watch();
        if self.workers < 2 {
            return;
        }
        let addresses = virtual_addresses(plan);
        let steering = Steering::new(self.workers)
            .and_then(|mut steering| steering.set_virtual(&addresses).map(|()| steering));
        match steering {
            Ok(steering) => self.steering = Some(steering),
            Err(error) => {
                // One worker serves them all: slower, but every flow finds its record.
                self.workers = 1;
                let reason = format!("{error}; one worker forwards everything");
                self.complain("*", &reason);
            }
        }
    }

    /// Watches the links of all ports.
    fn watch(&mut self) {
        let interfaces: Vec<_> = self.ports.iter().map(|port| port.interface.as_str()).collect();
        match LinkMonitor::open(&interfaces) {
            Ok(monitor) => self.monitor = Some(monitor),
            Err(error) => self.complain("*", &error.to_string()),
        }
    }

    fn link(&mut self, now: Instant, id: usize, state: LinkState) {
        let port = &mut self.ports[id];
        match state {
            LinkState::Vanished => {
                port.retry_at = None;
                if port.open.take().is_some() {
                    (port.memberships, port.apart) = (None, None);
                    self.complain_once(id, "the interface is gone");
                    self.close(id);
                } else {
                    self.complain_once(id, "there is no such interface");
                }
            }
            LinkState::Up(link) if port.open == Some(link.index) => self.tell(id, &link, true),
            LinkState::Down if port.open.is_some() => match Link::read(&port.interface) {
                Ok(link) if port.open == Some(link.index) => self.tell(id, &link, false),
                // Another interface has the name now, and the news of it was lost.
                Ok(_) => self.open(now, id),
                Err(_) => port.retry_at = Some(now),
            },
            LinkState::Up(_) | LinkState::Down => self.open(now, id),
        }
    }

    /// Makes an interface a port: keeps the kernel away from it, joins its groups, opens its
    /// sockets for every worker.
    fn open(&mut self, now: Instant, id: usize) {
        self.ports[id].retry_at = None;
        match self.try_open(id) {
            Ok((link, doors)) => {
                for (worker, door) in doors.into_iter().enumerate() {
                    let change = PortChange { port: PortId::from(id), door: Some(Box::new(door)) };
                    self.changes.push_back(Change::Door(worker, change));
                }
                let port = &mut self.ports[id];
                port.open = Some(link.index);
                port.reported = false;
                port.last = None;
                let event =
                    Event::PortOpened { port: port.name.clone(), mac: link.mac, mtu: link.mtu };
                self.changes.push_back(Change::Event(event));
                self.tell(id, &link, link.up && link.carrier);
            }
            Err(reason) => {
                self.complain_once(id, &reason);
                if self.ports[id].open.take().is_some() {
                    self.close(id);
                }
                self.ports[id].retry_at = Some(now + RETRY);
            }
        }
    }

    fn try_open(&mut self, id: usize) -> Result<(Link, Vec<Door>), String> {
        let port = &mut self.ports[id];
        netio::quiet(&port.interface).map_err(|error| error.to_string())?;
        let mut memberships =
            Memberships::open(&port.interface).map_err(|error| error.to_string())?;
        memberships.set(&port.groups).map_err(|error| error.to_string())?;
        if port.vlan.is_some() {
            // A card may filter tags that nobody announced to it.
            memberships.set_promiscuous(true).map_err(|error| error.to_string())?;
        }
        let group = u16::try_from(id).unwrap_or(u16::MAX);
        let options = PortOptions {
            vlan: port.vlan,
            workers: self.workers,
            steering: self.steering.as_ref().map(|steering| (steering, group)),
            memory: self.memory,
            ..PortOptions::new(&port.interface)
        };
        let workers = netio::open(&options).map_err(|error| error.to_string())?;
        let (apart, own) =
            Apart::open(&options, &port.addresses, &workers).map_err(|error| error.to_string())?;
        let link = Link::read(&port.interface).map_err(|error| error.to_string())?;
        (port.memberships, port.apart) = (Some(memberships), Some(apart));
        let own = std::iter::once(Some(own)).chain(std::iter::repeat_with(|| None));
        let doors = workers.into_iter().zip(own);
        let door = |((receiver, transmitter), own)| Door { receiver, own, transmitter };
        Ok((link, doors.map(door).collect()))
    }

    /// Reports a port as it is, if that is news.
    fn tell(&mut self, id: usize, link: &Link, up: bool) {
        let port = &mut self.ports[id];
        let attached = Attached { mac: link.mac, mtu: link.mtu, up };
        let before = port.last.replace(attached);
        if before == Some(attached) {
            return;
        }
        self.changes.push_back(Change::Attached(PortId::from(id), attached));
        let name = port.name.clone();
        match (before.map(|before| before.up), up) {
            (Some(false) | None, true) => {
                self.changes.push_back(Change::Event(Event::LinkUp { port: name }));
            }
            (Some(true) | None, false) => {
                self.changes.push_back(Change::Event(Event::LinkDown { port: name }));
            }
            (Some(true), true) | (Some(false), false) => {}
        }
    }

    fn close(&mut self, id: usize) {
        let port = PortId::from(id);
        for worker in 0..usize::from(self.workers) {
            let change = PortChange { port, door: None };
            self.changes.push_back(Change::Door(worker, change));
        }
        if let Some(last) = self.ports[id].last.take() {
            let attached = Attached { up: false, ..last };
            self.changes.push_back(Change::Attached(port, attached));
        }
    }

    fn complain_once(&mut self, id: usize, reason: &str) {
        if !std::mem::replace(&mut self.ports[id].reported, true) {
            let name = self.ports[id].name.clone();
            self.complain(&name, reason);
        }
    }

    fn complain(&mut self, port: &str, reason: &str) {
        let event = Event::PortLost { port: port.to_owned(), reason: reason.to_owned() };
        self.changes.push_back(Change::Event(event));
    }
}

fn virtual_addresses(plan: &Plan) -> Vec<Ipv6Addr> {
    plan.config().vips.iter().map(|vip| mapped(vip.address)).collect()
}

/// The multicast groups that a port must hear: all nodes, and the solicited-node group of each
/// IPv6 address that is answered for there (RFC 4291 §2.8).
fn groups(plan: &Plan, port: PortId) -> Vec<Mac> {
    let Some(config) = plan.node().ports.get(port.index()) else { return Vec::new() };
    let own = config.addresses.iter().map(|prefix| prefix.address);
    let vips = plan.config().vips.iter().filter(|vip| vip.network == config.network);
    let addresses = own.chain(vips.map(|vip| vip.address));
    let solicited = addresses.filter_map(|address| match address {
        IpAddr::V6(address) => Some(packet::ndp::solicited_node(address)),
        IpAddr::V4(_) => None,
    });
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    solicited.chain([all_nodes]).map(|group| Mac::of_multicast(IpAddr::V6(group))).collect()
}
