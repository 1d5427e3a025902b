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
use core::net::Ipv4Addr;

use base::{FlowKey, Gso, Mac, NetworkId, Offload, PortId, ServerId};
use packet::headers::Transport;
use packet::plain::{self, End};

use super::{Forwarder, Look, Pass};
use crate::flow::{Direction, Effect, Record, State, is_data, track};
use crate::output::{Source, Transmit};
use crate::tables::Tables;
use crate::verdict::Verdict;

impl Forwarder {
    /// Sends a frame of the burst on if nothing about it is unusual. `None`: nothing was done.
    #[inline(always)]
    pub(super) fn express(
        &mut self,
        pass: &mut Pass<'_>,
        index: u16,
        bytes: &mut [u8],
        offload: &Offload,
        look: &Look,
    ) -> Option<Verdict> {
        let (slot, direction) = look.found?;
        if self.found_at != self.flows.changes()
            || offload.gso != Gso::None
            || pass.out.transmit.is_full()
        {
            return None;
        }
        let plain = plain::parse(bytes)?;
        if plain.destination != pass.port.mac {
            return None;
        }
        let tables = pass.tables;
        let record = self.flows.record(slot);
        let (service_id, server_id) = (record.service(), record.server());
        let way = self.ways.of(tables, server_id)?;
        let usual = match direction {
            Direction::Request => way.up & record.request_key().is(&plain.key),
            Direction::Reply => {
                (way.link == NOWHERE || way.link == pass.port.network.0)
                    & way.reply_key(record).is(&plain.key)
            }
        };
        let service = tables.service(service_id)?;
        let vip = tables.vips.get(service.vip.index())?;
        let serves = self.may_serve(pass.now, vip) || self.may_work(pass.now, vip);
        if !usual
            || !serves
            || record.is_expired(pass.ticks, service.idle)
            || !is_steady(record, direction, &plain.transport)
        {
            return None;
        }
        let request = record.request_key();
        let (end, address, port, hop) = match direction {
            Direction::Request => {
                let port = way.port_of(&request);
                (End::Destination, way.address.to_ipv6_mapped(), port, way.hop)
            }
            Direction::Reply => {
                let hop = Hop::to(tables, &plain.key)?;
                (End::Source, request.destination, request.destination_port, hop)
            }
        };
        if plain.length > hop.mtu {
            return None;
        }
        // Nothing stands in the way any more.
        let effect = match &plain.transport {
            Transport::Tcp(tcp) => self.flows.update(slot, |flow| track(flow, direction, tcp)),
            Transport::Udp(_)
            | Transport::Icmp(_)
            | Transport::LaterFragment
            | Transport::Other => Effect::Refresh,
        };
        if effect == Effect::Refresh {
            self.flows.touch(slot, pass.ticks);
        }
        plain::send_on(bytes, &plain, offload, (end, address, port), hop.stations);
        let to_server = direction == Direction::Request;
        let octets = u32::from(plain.length);
        self.counters.count_traffic(service_id, server_id, to_server, octets);
        let length = octets + packet::headers::ETHERNET_LENGTH as u32;
        let source = Source::Received { index, length };
        let transmit = Transmit { port: hop.port, source, offload: *offload };
        // There is room, as was seen above.
        let _ = pass.out.transmit.try_push(transmit);
        Some(Verdict::Forward { service: Some(service_id), server: Some(server_id) })
    }
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

/// [`Way::link`] of a server that is on no link.
const NOWHERE: u16 = u16::MAX;

/// What packets of flows need to know of their servers, gathered from the tables when it is asked
/// for first, and good until there are other tables.
#[derive(Debug)]
pub(super) struct Ways(Box<[Way]>);

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
    /// The Ethernet addresses: whose it is, and ours.
    stations: [u8; 12],
    port: PortId,
    /// Largest IP packet, in octets; 0 where there is no way.
    mtu: u16,
}

impl Ways {
    /// For so many servers, of whom nothing is known yet.
    pub fn new(servers: usize) -> Self {
        let hop = Hop { stations: [0; 12], port: PortId(0), mtu: 0 };
        let address = Ipv4Addr::UNSPECIFIED;
        let unknown =
            Way { generation: None, address, port: None, link: NOWHERE, up: false, hop };
        Self(vec![unknown; servers].into_boxed_slice())
    }

    /// The way to a server of IPv4. `None`: it has another family, or is one too many.
    #[inline(always)]
    fn of(&mut self, tables: &Tables, server: ServerId) -> Option<Way> {
        let way = self.0.get_mut(server.index())?;
        if way.generation != Some(tables.generation) {
            *way = Way::gather(tables, server)?;
        }
        Some(*way)
    }

    /// Brings what is known of a server near.
    #[inline(always)]
    pub fn prefetch(&self, server: ServerId) {
        if let Some(way) = self.0.get(server.index()) {
            base::sys::prefetch(way);
        }
    }
}

impl Way {
    #[cold]
    fn gather(tables: &Tables, id: ServerId) -> Option<Self> {
        let server = tables.server(id)?;
        let address = server.address.to_ipv4_mapped()?;
        let hop = Hop::find(tables, server.address);
        Some(Self {
            generation: Some(tables.generation),
            address,
            port: server.port,
            link: server.link.map_or(NOWHERE, |NetworkId(link)| link),
            up: server.up,
            hop: hop.unwrap_or(Hop { stations: [0; 12], port: PortId(0), mtu: 0 }),
        })
    }

    /// The port of the server that a flow with this key has.
    #[inline(always)]
    fn port_of(&self, request: &FlowKey) -> u16 {
        self.port.unwrap_or(request.destination_port)
    }

    /// The key of its packets of a flow, as [`Record::reply_key`] has it.
    #[inline(always)]
    fn reply_key(&self, record: &Record) -> FlowKey {
        let request = record.request_key();
        FlowKey {
            source: self.address.to_ipv6_mapped(),
            source_port: self.port_of(&request),
            destination: request.source,
            destination_port: request.source_port,
            protocol: request.protocol,
        }
    }
}

impl Hop {
    /// The way to whoever a packet is for.
    #[inline(always)]
    fn to(tables: &Tables, key: &FlowKey) -> Option<Self> {
        Self::find(tables, key.destination)
    }

    /// The way to an address, if it is open and the neighbor is known.
    #[inline(always)]
    fn find(tables: &Tables, address: core::net::Ipv6Addr) -> Option<Self> {
        let hop = tables.routes.find(address)?;
        let port = tables.port(hop.port).filter(|port| port.up)?;
        let Mac(to) = tables.neighbors.get(hop.port.0, hop.next)?;
        let mut stations = [0; 12];
        for (place, octet) in stations.iter_mut().zip(to.into_iter().chain(port.mac.0)) {
            *place = octet;
        }
        let mtu = u16::try_from(port.mtu).unwrap_or(u16::MAX);
        Some(Self { stations, port: hop.port, mtu })
    }
}
