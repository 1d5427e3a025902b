//! One flow's record and the states it can be in.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use base::{FlowKey, Instant, Protocol, ServerId, ServiceId};

use crate::tables::Server;

/// From whom a packet of a flow comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client, to the virtual address.
    Request,
    /// From the server, to the client.
    Reply,
}

/// Where a flow stands. TCP's states are what a middle box can know of both ends' (RFC 9293
/// §3.3.2); the transitions stand in [`super::tcp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// The client's SYN has passed.
    SynSent,
    /// The server's SYN-ACK has passed.
    SynReceived,
    /// Begun by a packet from the middle of a connection; one side heard so far.
    PickedUp,
    /// Both sides speak.
    Established,
    /// The client has sent its FIN.
    ClientFinished,
    /// The server has sent its FIN.
    ServerFinished,
    /// Both have.
    Closing,
    /// A reset that its receiver will believe has passed.
    Reset,
    /// UDP: the server has not answered yet.
    Unreplied,
    /// UDP: both sides speak.
    Replied,
}

/// What goes first when there is no room: in this order, never an established TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Nobody has shown that the client's address is its own.
    HalfOpen,
    /// Over, but for stragglers.
    Closing,
    /// UDP, longest idle first.
    Datagram,
    /// An established TCP connection.
    Established,
}

impl Class {
    /// How many there are.
    pub const COUNT: usize = 4;
    /// Every class that may be evicted, first to go first.
    pub const EVICTABLE: [Self; 3] = [Self::HalfOpen, Self::Closing, Self::Datagram];
}

impl State {
    /// The eviction class.
    pub const fn class(self) -> Class {
        match self {
            Self::SynSent | Self::SynReceived | Self::PickedUp => Class::HalfOpen,
            Self::Established | Self::ClientFinished | Self::ServerFinished => Class::Established,
            Self::Closing | Self::Reset => Class::Closing,
            Self::Unreplied | Self::Replied => Class::Datagram,
        }
    }

    /// How long a flow may be silent in this state. `idle` is the service's own time for
    /// established TCP connections and for UDP (defaults: RFC 5382 §5 REQ-5 and RFC 4787 §4.3
    /// REQ-5, see `model::limits`).
    pub const fn timeout(self, idle: Duration) -> Duration {
        match self {
            // A SYN is retransmitted within this (RFC 6298 back-off: 1, 3, 7, 15, 31 s).
            Self::SynSent | Self::SynReceived | Self::PickedUp => Duration::from_secs(60),
            Self::Established | Self::Unreplied | Self::Replied => idle,
            // A half-closed connection may still carry a long answer: five silent minutes.
            Self::ClientFinished | Self::ServerFinished => Duration::from_secs(300),
            // TIME-WAIT lasts a minute on the systems in use.
            Self::Closing => Duration::from_secs(60),
            Self::Reset => Duration::from_secs(10),
        }
    }
}

/// Time in eighths of a second: fine enough for idle times, wraps after 17 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticks(pub u32);

impl Ticks {
    const MILLIS: u64 = 125;

    /// The tick of an instant.
    pub const fn at(now: Instant) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "wraps after 17 years")]
        Self((now.as_millis() / Self::MILLIS) as u32)
    }

    /// Time from `earlier` to `self`, a tick's width uncertain.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.wrapping_sub(earlier.0) as u64 * Self::MILLIS)
    }

    /// Whether more than `time` has passed since `earlier`: what comparing [`Ticks::since`] says,
    /// without a division.
    #[inline(always)]
    const fn is_longer(self, earlier: Self, time: Duration) -> bool {
        const IN_SECOND: u64 = 1_000 / Ticks::MILLIS;
        const NANOS: u32 = 1_000_000_000 / IN_SECOND as u32;
        let whole = time.as_secs().saturating_mul(IN_SECOND);
        let most = whole.saturating_add((time.subsec_nanos() / NANOS) as u64);
        self.0.wrapping_sub(earlier.0) as u64 > most
    }
}

/// A flow. 64 octets, IPv6 included; addresses are IPv4-mapped where IPv4.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Record {
    pub(super) client: Ipv6Addr,
    pub(super) vip: Ipv6Addr,
    pub(super) client_port: u16,
    pub(super) vip_port: u16,
    /// Neighbors in the list of the flow's class, or the next free record.
    pub(super) previous: u32,
    pub(super) next: u32,
    pub(super) touched: Ticks,
    /// The sequence number after the last octet seen from each side (TCP).
    pub(super) client_end: u32,
    pub(super) server_end: u32,
    service: ServiceId,
    server: ServerId,
    /// The selection under which it was last found to be as others would have it, or was told to
    /// others; the highest bit: it was told.
    mark: u16,
    protocol: Protocol,
    pub(super) state: State,
}

/// What an IPv4 address has before it where it is mapped (RFC 4291 §2.5.5.2).
const MAPPED: u128 = 0xffff_0000_0000;

/// The bit of [`Record::mark`] that says so.
const TOLD: u16 = 1 << 15;

const _: () = assert!(size_of::<Record>() == model::limits::FLOW_RECORD_OCTETS);

impl Record {
    /// A flow that begins with the client's packet `key`. `selection`: that of the tables if every
    /// box with these tables would give it to this server, else 0.
    pub fn new(key: &FlowKey, service: ServiceId, server: ServerId, selection: u16) -> Self {
        let state = if key.protocol == Protocol::TCP { State::SynSent } else { State::Unreplied };
        Self {
            client: key.source,
            vip: key.destination,
            client_port: key.source_port,
            vip_port: key.destination_port,
            previous: 0,
            next: 0,
            touched: Ticks(0),
            client_end: 0,
            server_end: 0,
            service,
            server,
            mark: selection & !TOLD,
            protocol: key.protocol,
            state,
        }
    }

    /// The service it belongs to.
    pub const fn service(&self) -> ServiceId {
        self.service
    }
    /// The server it goes to.
    pub const fn server(&self) -> ServerId {
        self.server
    }
    /// Whether it was told to others, and the selection it was last looked at under.
    pub(super) const fn mark(&self) -> (bool, u16) {
        (self.mark & TOLD != 0, self.mark & !TOLD)
    }
    pub(super) const fn set_mark(&mut self, told: bool, selection: u16) {
        self.mark = selection & !TOLD | if told { TOLD } else { 0 };
    }
    /// Where it stands.
    pub const fn state(&self) -> State {
        self.state
    }
    /// TCP or UDP.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The key of the client's packets.
    pub const fn request_key(&self) -> FlowKey {
        FlowKey {
            source: self.client,
            destination: self.vip,
            source_port: self.client_port,
            destination_port: self.vip_port,
            protocol: self.protocol,
        }
    }

    /// Whether it is of this client and this virtual address, both of IPv4: what comparing
    /// [`Record::request_key`] says, word by word.
    #[inline(always)]
    pub(crate) fn is_between(
        &self,
        (client, client_port): (Ipv4Addr, u16),
        (vip, vip_port): (Ipv4Addr, u16),
        protocol: Protocol,
    ) -> bool {
        let is = |known: Ipv6Addr, address: Ipv4Addr| {
            known.to_bits() == MAPPED | u128::from(address.to_bits())
        };
        is(self.client, client)
            & is(self.vip, vip)
            & (self.client_port == client_port)
            & (self.vip_port == vip_port)
            & (self.protocol == protocol)
    }

    /// The virtual address and port of a flow of IPv4.
    #[inline(always)]
    pub(crate) const fn vip_v4(&self) -> (Ipv4Addr, u16) {
        #[expect(clippy::cast_possible_truncation, reason = "the rest says that it is IPv4")]
        let address = Ipv4Addr::from_bits(self.vip.to_bits() as u32);
        (address, self.vip_port)
    }

    /// The key of the server's packets.
    pub fn reply_key(&self, server: &Server) -> FlowKey {
        FlowKey {
            source: server.address,
            destination: self.client,
            source_port: server.port.unwrap_or(self.vip_port),
            destination_port: self.client_port,
            protocol: self.protocol,
        }
    }

    /// The server of a UDP flow has spoken.
    pub(crate) fn replied(&mut self) {
        self.state = State::Replied;
    }

    /// Silent for longer than its state allows.
    #[inline]
    pub fn is_expired(&self, now: Ticks, idle: Duration) -> bool {
        now.is_longer(self.touched, self.state.timeout(idle))
    }
}
