//! A node in memory: real tables of a generated document, a forwarder full of flows.

use super::load::Load;
use crate::BenchError;
use base::address::mapped;
use base::{Instant, Mac, Offload, PortId, ServerId};
use dataplane::tables::AddressTable;
use dataplane::{Capacity, Forwarder, Output, Tables};
use model::Config;
use node::{Attached, Plan};
use packet::headers::{self, Body, Headers, Ip};
use packet::rewrite::{self, Endpoint, Translation};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The port of the clients.
pub const OUTSIDE: PortId = PortId(0);
/// The port of the servers.
pub const INSIDE: PortId = PortId(1);

/// Not secret.
const SEED: u64 = 7;
/// Services at one virtual address.
const SERVICES_PER_VIP: u16 = 100;
/// Servers of one pool, where there are so many.
pub const SERVERS_PER_POOL: u32 = 10;
/// The port of the first service of an address.
const FIRST_PORT: u16 = 1_000;
/// Flows of one client address.
const FLOWS_PER_CLIENT: u16 = 50_000;
/// The first port of a client.
const FIRST_CLIENT_PORT: u16 = 10_000;
/// The first client's address.
const FIRST_CLIENT: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);
const OUTSIDE_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const INSIDE_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
const PEER_MAC: Mac = Mac([2, 0, 0, 0, 0, 3]);

/// The two ports as the machine has them.
pub const ATTACHED: [Attached; 2] = [
    Attached { mac: OUTSIDE_MAC, mtu: 1_500, up: true },
    Attached { mac: INSIDE_MAC, mtu: 1_500, up: true },
];

/// The document of a node with so many services and as many servers, ten to a pool.
pub fn document(services: u32) -> String {
    let pools = services.div_ceil(SERVERS_PER_POOL);
    let mut text = String::from(
        "[cluster]\nname = \"bench\"\npolicy = \"witness\"\nprofile = \"auto\"\n\
         [network.outside]\nprefixes = [\"198.18.0.0/16\"]\ngateways = [\"198.18.255.1\"]\n\
         [network.inside]\nprefixes = [\"10.0.0.0/8\"]\n\
         [vip.gate]\nnetwork = \"inside\"\naddress = \"10.255.0.1\"\ngateway = \"route\"\n\
         [node.n1]\nid = 1\n\
         [node.n1.port.eth0]\nnetwork = \"outside\"\naddresses = [\"198.18.255.2/16\"]\n\
         [node.n1.port.eth1]\nnetwork = \"inside\"\naddresses = [\"10.255.0.2/8\"]\n",
    );
    // Writing to a string cannot fail.
    for vip in 0..services.div_ceil(u32::from(SERVICES_PER_VIP)) {
        let address = virtual_address(vip);
        let _ = writeln!(text, "[vip.v{vip}]\nnetwork = \"outside\"\naddress = \"{address}\"");
    }
    for number in 0..services {
        let (vip, port) = place(number);
        let pool = number % pools;
        let address = server_address(number);
        let _ = write!(
            text,
            "[service.s{number}]\nvip = \"v{vip}\"\nprotocol = \"tcp\"\nports = \"{port}\"\n\
             mode = \"nat\"\npool = \"p{pool}\"\n\
             [pool.p{pool}.server.b{number}]\naddress = \"{address}\"\nport = 8080\n"
        );
    }
    text
}

/// The virtual address of this number.
fn virtual_address(vip: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 1)) + vip)
}

/// The address of the server of this number.
fn server_address(server: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + server)
}

/// The number of a service's virtual address, and its port there.
fn place(service: u32) -> (u32, u16) {
    let port = service % u32::from(SERVICES_PER_VIP);
    (service / u32::from(SERVICES_PER_VIP), FIRST_PORT + u16::try_from(port).unwrap_or_default())
}

/// Real tables of the document, every next hop known.
fn tables(services: u32) -> Result<Tables, BenchError> {
    let failed = |why: &str| BenchError::CannotMeasure(format!("{services} services: {why}"));
    let config = Config::parse(&document(services)).map_err(|problems| {
        failed(&problems.first().map(ToString::to_string).unwrap_or_default())
    })?;
    let plan = Plan::new(config, "n1", SEED).ok_or_else(|| failed("no node n1"))?;
    let mut tables = plan.tables(&ATTACHED, |_| true);
    let hops = plan.next_hops();
    let hops = hops.iter().map(|&(port, address)| (port.0, mapped(address), PEER_MAC));
    tables.neighbors = Arc::new(AddressTable::build(SEED, hops));
    Ok(tables)
}

/// A segment to copy, and its parse.
struct Template {
    bytes: Vec<u8>,
    ip: Ip,
}

impl Template {
    /// A segment as an Ethernet frame of the least length. `sent` are the octets sent before it.
    fn new(
        receiver: Mac,
        flags: u8,
        sequence: u32,
        acknowledgement: u32,
        data: &[u8],
    ) -> Result<Self, BenchError> {
        let any = fixtures::at("192.0.2.1:1");
        let mut packet = fixtures::Packet::tcp(any, any, flags, data);
        packet.destination_mac = receiver;
        packet.source_mac = PEER_MAC;
        if let fixtures::Upper::Tcp { sequence: s, acknowledgement: a, .. } = &mut packet.upper {
            (*s, *a) = (sequence, acknowledgement);
        }
        let mut bytes = packet.build();
        bytes.resize(60, 0);
        match headers::parse(&bytes) {
            Ok(Headers { body: Body::Ip(ip), .. }) => Ok(Self { bytes, ip }),
            other => Err(BenchError::CannotMeasure(format!("not a segment: {other:?}"))),
        }
    }

    /// Writes it to the start of `slot`, between these ends.
    fn write(&self, slot: &mut [u8], source: Endpoint, destination: Endpoint) -> usize {
        let place = &mut slot[..self.bytes.len()];
        place.copy_from_slice(&self.bytes);
        let ends = Translation { source: Some(source), destination: Some(destination) };
        rewrite::translate(place, &self.ip, &Offload::NONE, &ends);
        place.len()
    }
}

/// What a frame of a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client opens.
    Syn,
    /// The server answers.
    SynAck,
    /// The client acknowledges, with data.
    Request,
    /// The server acknowledges, with data.
    Reply,
    /// The client resets.
    Reset,
}

impl Step {
    /// By which port it comes in.
    pub const fn port(self) -> PortId {
        match self {
            Self::Syn | Self::Request | Self::Reset => OUTSIDE,
            Self::SynAck | Self::Reply => INSIDE,
        }
    }
}

/// The node, its flows, and time.
pub struct Scene {
    /// Of the generated document.
    pub tables: Tables,
    /// Under test.
    pub forwarder: Forwarder,
    /// Where its results go.
    pub out: Output,
    /// Simulated.
    pub now: Instant,
    services: u32,
    /// By flow: the server it goes to.
    servers: Vec<ServerId>,
    templates: [Template; 5],
}

impl Scene {
    /// A node with so many services and servers and room for `capacity` flows; none yet.
    pub fn new(services: u32, capacity: u32) -> Result<Self, BenchError> {
        let capacity = Capacity {
            flows: capacity,
            services: model::limits::SERVICES,
            servers: model::limits::SERVERS,
        };
        let mut forwarder = Forwarder::new(capacity, SEED);
        // Where there are none, the figures are those of small pages.
        let (records, index) = forwarder.flow_memory();
        let _ = init::memory::advise_huge_pages(records);
        let _ = init::memory::advise_huge_pages(index);
        let (client, server) = (0x1000_0000, 0x2000_0000);
        let (syn, ack, rst) = (fixtures::SYN, fixtures::ACK, fixtures::RST);
        let templates = [
            Template::new(OUTSIDE_MAC, syn, client, 0, b"")?,
            Template::new(INSIDE_MAC, syn | ack, server, client + 1, b"")?,
            Template::new(OUTSIDE_MAC, ack, client + 1, server + 1, b"123456")?,
            Template::new(INSIDE_MAC, ack, server + 1, client + 7, b"123456")?,
            Template::new(OUTSIDE_MAC, rst, client + 7, 0, b"")?,
        ];
        Ok(Self {
            tables: tables(services)?,
            forwarder,
            out: Output::default(),
            now: Instant::from_millis(1_000),
            services,
            servers: Vec::new(),
            templates,
        })
    }

    /// A node whose table is full of established flows.
    pub fn filled(load: &mut Load, services: u32, flows: u32) -> Result<Self, BenchError> {
        let mut scene = Self::new(services, flows)?;
        load.establish(&mut scene, flows)?;
        Ok(scene)
    }

    /// How many flows there are.
    pub fn flows(&self) -> u32 {
        u32::try_from(self.servers.len()).unwrap_or(u32::MAX)
    }

    /// The next flow has begun, at this server.
    pub fn begun(&mut self, server: ServerId) {
        self.servers.push(server);
    }

    /// Only the first flows are left.
    pub fn truncate(&mut self, flows: u32) {
        self.servers.truncate(flows as usize);
    }

    /// Writes a frame of a flow to the start of `slot`; its length.
    pub fn write(&self, slot: &mut [u8], flow: u32, step: Step) -> usize {
        let address = u32::from(FIRST_CLIENT) + flow / u32::from(FLOWS_PER_CLIENT);
        let port = u16::try_from(flow % u32::from(FLOWS_PER_CLIENT)).unwrap_or_default();
        let client = Endpoint {
            address: Ipv4Addr::from(address).to_ipv6_mapped(),
            port: FIRST_CLIENT_PORT + port,
        };
        let template = &self.templates[step as usize];
        match step {
            Step::Syn | Step::Request | Step::Reset => {
                // Neighboring flows belong to services far apart.
                let (vip, port) = place(flow.wrapping_mul(0x9e37_79b1) % self.services);
                let address = virtual_address(vip).to_ipv6_mapped();
                template.write(slot, client, Endpoint { address, port })
            }
            Step::SynAck | Step::Reply => {
                let server = &self.tables.servers[self.servers[flow as usize].index()];
                let port = server.port.unwrap_or_default();
                template.write(slot, Endpoint { address: server.address, port }, client)
            }
        }
    }
}
