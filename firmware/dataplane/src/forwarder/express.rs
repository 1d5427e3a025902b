//! The short way of what nearly all frames are: a whole packet of TCP data or UDP over IPv4, of a
//! known flow that nothing has happened to.
//!
//! It decides nothing of its own. Whatever is not as usual (another protocol or address family,
//! options, fragments, large segments, a state that changes, a server or lease that is gone, a
//! next hop that is not known) is left to [`Forwarder::handle`] before anything is changed, and
//! what it does to a frame is what would be done there. What is to be known of a server lies
//! together in one place ([`Ways`]), so that there are fewer lines of memory to wait for.

use alloc::boxed::Box;
use alloc::vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use base::{Gso, Mac, NetworkId, Offload, PortId, ServerId, ServiceId};
use packet::headers::Transport;
use packet::plain::{self, End, Plain};

use super::{Forwarder, Look, Pass};
use crate::flow::{Direction, Effect, Record, State, is_data, track};
use crate::output::{Source, Transmit};
use crate::tables::{self, Tables};
use crate::verdict::Verdict;

impl Forwarder {
    /// Sends a frame of the burst on if nothing about it is unusual, and says so. `None`: nothing
    /// was done.
    #[inline(always)]
    pub(super) fn express(
        &mut self,
        pass: &mut Pass<'_>,
        index: u16,
        bytes: &mut [u8],
        offload: &Offload,
        look: &Look,
    ) -> Option<()> {
        let (slot, direction) = look.found?;
        if self.found_at != self.flows.changes()
            || offload.gso != Gso::None
            || pass.out.transmit.is_full()
        {
            return None;
        }
        let plain = plain::parse(bytes)?;
        if plain.station != pass.port.mac {
            return None;
        }
        let tables = pass.tables;
        let record = self.flows.record(slot);
        let (service_id, server_id) = (record.service(), record.server());
        let service = tables.service(service_id)?;
        let vip = tables.vips.get(service.vip.index())?;
        let serves = self.may_serve(pass.now, vip) || self.may_work(pass.now, vip);
        let way = self.ways.of(tables, server_id)?;
        let usual = match direction {
            Direction::Request => way.up & is_request(record, &plain),
            Direction::Reply => {
                (way.link == NOWHERE || way.link == pass.port.network.0)
                    & is_reply(record, way, &plain)
            }
        };
        if !usual
            || !serves
            || record.is_expired(pass.ticks, service.idle)
            || !is_steady(record, direction, &plain.transport)
        {
            return None;
        }
        let (new, hop) = match direction {
            Direction::Request => {
                let port = way.port.unwrap_or(plain.destination.1);
                ((End::Destination, way.address, port), way.hop)
            }
            Direction::Reply => {
                let hop = self.ways.back(tables, plain.destination.0)?;
                let (vip, port) = record.vip_v4();
                ((End::Source, vip, port), hop)
            }
        };
        if plain.length > hop.mtu {
            return None;
        }
        let usual = Usual { slot, direction, plain, new, hop, owner: (service_id, server_id) };
        self.go_on(pass, index, bytes, offload, &usual);
        Some(())
    }

    /// Nothing stands in the way of a packet any more.
    #[inline(always)]
    fn go_on(
        &mut self,
        pass: &mut Pass<'_>,
        index: u16,
        bytes: &mut [u8],
        offload: &Offload,
        usual: &Usual,
    ) {
        let Usual { slot, direction, plain, new, hop, owner: (service, server) } = usual;
        let effect = match &plain.transport {
            Transport::Tcp(tcp) => self.flows.update(*slot, |flow| track(flow, *direction, tcp)),
            Transport::Udp(_)
            | Transport::Icmp(_)
            | Transport::LaterFragment
            | Transport::Other => Effect::Refresh,
        };
        if effect == Effect::Refresh {
            self.flows.touch(*slot, pass.ticks);
        }
        plain::send_on(bytes, plain, offload, *new, [hop.to, hop.from]);
        let octets = u32::from(plain.length);
        self.counters.count_traffic(*service, *server, *direction == Direction::Request, octets);
        let length = octets + packet::headers::ETHERNET_LENGTH as u32;
        let source = Source::Received { index, length };
        // There is room, as was seen before.
        let transmit = Transmit { port: hop.port, source, offload: *offload };
        let _ = pass.out.transmit.try_push(transmit);
        self.counters.balanced += 1;
        // Put where it belongs at once: a copy of what was just written in parts has to wait.
        let verdict = Verdict::Forward { service: Some(*service), server: Some(*server) };
        pass.out.verdicts.push(verdict);
    }
}

/// A packet about which nothing is unusual, and what is to be done with it.
struct Usual {
    slot: u32,
    direction: Direction,
    plain: Plain,
    /// What replaces which end.
    new: (End, Ipv4Addr, u16),
    hop: Hop,
    owner: (ServiceId, ServerId),
}

/// Whether a packet leaves its flow in the state that it is in.
#[inline(always)]
fn is_steady(record: &Record, direction: Direction, transport: &Transport) -> bool {
    match transport {
        Transport::Tcp(tcp) => is_data(record, tcp),
        Transport::Udp(_) => record.state() == State::Replied || direction == Direction::Request,
        Transport::Icmp(_) | Transport::LaterFragment | Transport::Other => false,
    }
}

/// Whether a packet is a client's of this flow.
#[inline(always)]
fn is_request(record: &Record, plain: &Plain) -> bool {
    record.is_between(plain.source, plain.destination, plain.protocol)
}

/// Whether a packet is the server's of this flow, to which `way` leads.
#[inline(always)]
fn is_reply(record: &Record, way: &Way, plain: &Plain) -> bool {
    let (vip, vip_port) = record.vip_v4();
    let server = (way.address, way.port.unwrap_or(vip_port));
    (plain.source == server) & record.is_between(plain.destination, (vip, vip_port), plain.protocol)
}

/// [`Way::link`] of a server that is on no link.
const NOWHERE: u16 = u16::MAX;

/// What packets of flows need to know of their servers, gathered from the tables when it is asked
/// for first, and good until there are other tables.
#[derive(Debug)]
pub(super) struct Ways {
    servers: Box<[Way]>,
    /// How the last packet to a client left: mostly by the same gateway as the next. Which tables
    /// that was found in, whose link-layer address was wanted there, and the way.
    back: (Option<u32>, PortId, Ipv6Addr, Hop),
}

/// One server, and how to get there.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))] // one cache line
pub(super) struct Way {
    /// That of the tables it was gathered from. `None`: of none.
    generation: Option<u32>,
    address: Ipv4Addr,
    /// `None`: the port that the client asked for.
    port: Option<u16>,
    /// The network from which its packets come, or [`NOWHERE`]: from any.
    link: u16,
    up: bool,
    hop: Hop,
}

/// Where a frame goes, and what that takes.
#[derive(Clone, Copy, Debug)]
struct Hop {
    /// Whose Ethernet address that is, and ours.
    to: Mac,
    from: Mac,
    port: PortId,
    /// Largest IP packet, in octets; 0 where there is no way.
    mtu: u16,
}

impl Ways {
    /// For so many servers, of whom nothing is known yet.
    pub fn new(servers: usize) -> Self {
        let hop = Hop::NONE;
        let address = Ipv4Addr::UNSPECIFIED;
        let unknown = Way { generation: None, address, port: None, link: NOWHERE, up: false, hop };
        let back = (None, PortId(0), Ipv6Addr::UNSPECIFIED, hop);
        Self { servers: vec![unknown; servers].into_boxed_slice(), back }
    }

    /// The way to a server of IPv4. `None`: it has another family, or is one too many.
    #[inline(always)]
    fn of(&mut self, tables: &Tables, server: ServerId) -> Option<&Way> {
        let way = self.servers.get_mut(server.index())?;
        if way.generation != Some(tables.generation) {
            *way = Way::gather(tables, server)?;
        }
        Some(way)
    }

    /// The way to a client, if it is open and the neighbor is known.
    #[inline(always)]
    fn back(&mut self, tables: &Tables, client: Ipv4Addr) -> Option<Hop> {
        let hop = tables.routes.find(client.to_ipv6_mapped())?;
        let (generation, port, next, way) = self.back;
        if (generation, port, next) == (Some(tables.generation), hop.port, hop.next) {
            return Some(way);
        }
        let way = Hop::by(tables, hop)?;
        self.back = (Some(tables.generation), hop.port, hop.next, way);
        Some(way)
    }

    /// Brings what is known of a server near.
    #[inline(always)]
    pub fn prefetch(&self, server: ServerId) {
        if let Some(way) = self.servers.get(server.index()) {
            base::sys::prefetch(way);
        }
    }
}

impl Way {
    #[cold]
    fn gather(tables: &Tables, id: ServerId) -> Option<Self> {
        let server = tables.server(id)?;
        let address = server.address.to_ipv4_mapped()?;
        let hop = tables.routes.find(server.address).and_then(|hop| Hop::by(tables, hop));
        Some(Self {
            generation: Some(tables.generation),
            address,
            port: server.port,
            link: server.link.map_or(NOWHERE, |NetworkId(link)| link),
            up: server.up,
            hop: hop.unwrap_or(Hop::NONE),
        })
    }
}

impl Hop {
    const NONE: Self = Self { to: Mac([0; 6]), from: Mac([0; 6]), port: PortId(0), mtu: 0 };

    /// What it takes to get to a next hop, if its port is up and it is known.
    fn by(tables: &Tables, hop: tables::Hop) -> Option<Self> {
        let port = tables.port(hop.port).filter(|port| port.up)?;
        let to = tables.neighbors.get(hop.port.0, hop.next)?;
        let mtu = u16::try_from(port.mtu).unwrap_or(u16::MAX);
        Some(Self { to, from: port.mac, port: hop.port, mtu })
    }
}
