//! The forwarder: a burst in, verdicts and frames out.

mod answer;
mod balance;
mod classify;
mod copied;
mod emit;
mod errors;
mod express;
mod fragment;
mod hand_over;
mod neighbor;
mod originate;
mod resume;
mod spread;

use alloc::boxed::Box;
use alloc::vec;
use core::mem::MaybeUninit;

use arrayvec::ArrayVec;
use base::rate::TokenBucket;
use base::{FlowBits, Frame, Instant, Offload, PortId, ServerId, ServiceId};
use model::limits::{self, BURST, NETWORKS, PORTS, SCRATCH_OCTETS};
use packet::rewrite::Translation;
use packet::{headers, plain};

use crate::counters::Counters;
use crate::flow::{Direction, FlowTable, Record, Ticks};
use crate::fragments::Fragments;
use crate::hold::Hold;
use crate::output::Output;
use crate::tables::{Port, Tables};
use crate::verdict::{DropReason, Event, HeldId, Verdict};
use crate::waiting::NeighborQueue;
use express::Ways;

/// How much a forwarder can hold. Fixed at the start; the memory there is decides it.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Flows at a time.
    pub flows: u32,
    /// Services that are counted each for itself.
    pub services: usize,
    /// Servers that are counted each for itself.
    pub servers: usize,
}

/// Whether the worker keeps up with what arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pressure {
    /// It does.
    #[default]
    None,
    /// Frames pile up, and soon some will be lost, whosever they are. Until that is over the time
    /// goes to the connections that are there: of the TCP and UDP packets that no flow record knows
    /// only the first [`limits::NEWCOMERS_UNDER_PRESSURE`] of a burst pass, so that a box that has
    /// just forgotten everything still gets on. Packets for the node's own addresses, ARP, NDP,
    /// errors about flows and later fragments are not held back.
    High,
}

/// One worker's forwarding state.
#[derive(Debug)]
pub struct Forwarder {
    flows: FlowTable,
    fragments: Fragments,
    hold: Hold,
    neighbors: NeighborQueue,
    counters: Counters,
    ways: Ways,
    /// By port: a flood on one side must not silence us on the other.
    limits: Box<[Limits]>,
    /// By network: until when this node may serve virtual addresses there.
    leases: [Instant; NETWORKS],
    pressure: Pressure,
    /// Packets of unknown flows that may still pass in this burst.
    newcomers: usize,
    /// The table generation that waiting frames were last held against.
    generation: u32,
    expired_at: Instant,
    /// A first fragment came since waiting ones were looked at.
    first_fragment_seen: bool,
    /// [`FlowTable::changes`] when the burst in hand was looked up.
    found_at: u32,
    scratch: Box<[u8]>,
}

/// How often the forwarder speaks on its own by one port.
#[derive(Debug)]
struct Limits {
    errors: TokenBucket,
    echoes: TokenBucket,
    resets: TokenBucket,
    neighbors: TokenBucket,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            errors: TokenBucket::new(limits::ICMP_ERRORS_PER_SECOND, limits::ICMP_ERRORS_BURST),
            echoes: TokenBucket::new(limits::ECHO_REPLIES_PER_SECOND, limits::ECHO_REPLIES_BURST),
            resets: TokenBucket::new(limits::RESETS_PER_SECOND, limits::RESETS_BURST),
            neighbors: TokenBucket::new(
                limits::NEIGHBOUR_ANSWERS_PER_SECOND,
                limits::NEIGHBOUR_ANSWERS_BURST,
            ),
        }
    }
}

/// What the first passes over a burst found out about a frame.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// The hash of a flow key that stands at a fixed place.
    hash: Option<u32>,
    /// A flow with this hash, which is nearly always the packet's, as things stood when the burst
    /// was looked up.
    found: Option<(u32, Direction)>,
    /// It is of IPv4.
    v4: bool,
}

/// What the handling of one frame has at hand.
struct Pass<'a> {
    now: Instant,
    /// The same, as flow records have it.
    ticks: Ticks,
    tables: &'a Tables,
    id: PortId,
    port: &'a Port,
    origin: Origin,
    out: &'a mut Output,
}

impl<'a> Pass<'a> {
    fn new(
        now: Instant,
        tables: &'a Tables,
        id: PortId,
        port: &'a Port,
        origin: Origin,
        out: &'a mut Output,
    ) -> Self {
        Self { now, ticks: Ticks::at(now), tables, id, port, origin, out }
    }
}

/// Where the frame in hand lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// In the burst, at this index.
    Received(u16),
    /// In the scratch buffer, after a wait under this number: it must be copied out to be sent.
    Held(HeldId),
}

impl Origin {
    const fn held(self) -> Option<HeldId> {
        match self {
            Self::Received(_) => None,
            Self::Held(id) => Some(id),
        }
    }
}

/// How the packets of a flow are changed, and to whom they are counted.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// The new addresses and ports.
    pub translation: Translation,
    /// The service and server; `None` for transit.
    pub owner: Option<(ServiceId, ServerId)>,
    /// Towards the server.
    pub to_server: bool,
}

impl Path {
    /// Between networks, unchanged.
    const TRANSIT: Self = Self {
        translation: Translation { source: None, destination: None },
        owner: None,
        to_server: false,
    };

    fn verdict(&self) -> Verdict {
        Verdict::Forward {
            service: self.owner.map(|(service, _)| service),
            server: self.owner.map(|(_, server)| server),
        }
    }
}

impl Forwarder {
    /// A forwarder with this capacity. `seed` is secret: it keys every hash that an outsider
    /// could aim at.
    pub fn new(capacity: Capacity, seed: u64) -> Self {
        let mut rng = base::rng::Rng::new(seed);
        Self {
            flows: FlowTable::new(capacity.flows, rng.next()),
            fragments: Fragments::new(rng.next()),
            hold: Hold::default(),
            neighbors: NeighborQueue::default(),
            counters: Counters::new(capacity.services, capacity.servers),
            ways: Ways::new(capacity.servers),
            leases: [Instant::FAR; NETWORKS],
            limits: (0..PORTS).map(|_| Limits::default()).collect(),
            pressure: Pressure::default(),
            newcomers: 0,
            generation: 0,
            expired_at: Instant::ZERO,
            first_fragment_seen: false,
            found_at: 0,
            scratch: vec![0; SCRATCH_OCTETS].into_boxed_slice(),
        }
    }

    /// From now on virtual addresses are served until these times, by network; a box that is
    /// alone serves for ever, and so does one that was told nothing.
    pub const fn set_leases(&mut self, leases: [Instant; NETWORKS]) {
        self.leases = leases;
    }

    /// From now on the worker is under this pressure.
    pub const fn set_pressure(&mut self, pressure: Pressure) {
        self.pressure = pressure;
    }

    /// Handles up to [`BURST`] frames that `port` received. `out` must be cleared; what is to be
    /// sent afterwards refers to `frames` by index.
    pub fn burst(
        &mut self,
        now: Instant,
        tables: &Tables,
        port: PortId,
        frames: &mut [Frame<'_>],
        out: &mut Output,
    ) {
        self.resume(now, tables, out);
        let count = frames.len().min(BURST);
        let frames = &mut frames[..count];
        self.counters.received += count as u64;
        let Some(info) = tables.port(port) else {
            for _ in 0..count {
                self.finish(out, Verdict::Drop(DropReason::PortDown));
            }
            return;
        };
        let mut looks = ArrayVec::new();
        self.look_up(tables, frames, &mut looks);
        let mut pass = Pass::new(now, tables, port, info, Origin::Received(0), out);
        for (index, look) in looks.iter().enumerate() {
            let Some(Frame { bytes, offload }) = frames.get_mut(index) else { break };
            #[expect(clippy::cast_possible_truncation, reason = "below BURST")]
            let at = index as u16;
            pass.origin = Origin::Received(at);
            if self.express(&mut pass, at, bytes, offload, look).is_none() {
                let verdict = self.handle(&mut pass, bytes, offload, look);
                self.finish(pass.out, verdict);
            }
        }
        if self.first_fragment_seen || self.fragments.is_due(now) {
            self.release_fragments(now, tables, out);
        }
    }

    /// What has been counted so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The flows.
    pub const fn flows(&self) -> &FlowTable {
        &self.flows
    }

    /// The memory of a new forwarder's flow table, none of it touched yet: for advice about its
    /// pages.
    pub fn flow_memory(&mut self) -> (&mut [MaybeUninit<Record>], &mut [u64]) {
        self.flows.memory()
    }

    /// Looks the flows of the whole burst up, in passes: each asks for the memory that the next
    /// one will touch, so that the waits for it overlap.
    fn look_up(
        &mut self,
        tables: &Tables,
        frames: &[Frame<'_>],
        burst: &mut ArrayVec<Look, BURST>,
    ) {
        for frame in frames.iter().take(AHEAD) {
            prefetch_frame(frame);
        }
        for (index, frame) in frames.iter().enumerate() {
            if let Some(later) = frames.get(index + AHEAD) {
                prefetch_frame(later);
            }
            let look = Look::new(plain::flow_bits(frame.bytes), &self.flows);
            if let Some(hash) = look.hash {
                self.flows.prefetch_index(hash);
            }
            burst.push(look);
        }
        for look in burst.iter_mut() {
            look.found = look.hash.and_then(|hash| self.flows.probable(hash));
        }
        for look in burst.iter() {
            if let Some((slot, _)) = look.found {
                let record = self.flows.record(slot);
                let (service, server) = (record.service(), record.server());
                tables.prefetch_service(service);
                if look.v4 {
                    self.ways.prefetch(server);
                } else {
                    tables.prefetch_server(server);
                }
                self.counters.prefetch(service, server);
            }
        }
        self.found_at = self.flows.changes();
    }

    /// Whether one more of these fits the port's rate now.
    fn may(
        &mut self,
        pass: &Pass<'_>,
        bucket: impl FnOnce(&mut Limits) -> &mut TokenBucket,
    ) -> bool {
        self.limits.get_mut(pass.id.index()).is_some_and(|limits| bucket(limits).take(pass.now))
    }

    #[inline(always)]
    fn finish(&mut self, out: &mut Output, verdict: Verdict) {
        self.counters.count(verdict);
        out.verdicts.push(verdict);
    }

    fn event(&mut self, out: &mut Output, event: Event) {
        if !out.event(event) {
            self.counters.events_lost += 1;
        }
    }
}

impl Look {
    #[inline(always)]
    fn new(key: Option<FlowBits>, flows: &FlowTable) -> Self {
        let hash = key.as_ref().map(|key| flows.hash_bits(key));
        let v4 = key.is_some_and(|key| key.source >> 32 == 0xffff);
        Self { hash, found: None, v4 }
    }

    /// Nothing is known yet.
    const NOTHING: Self = Self { hash: None, found: None, v4: false };
}

/// Frames that are asked for before they are parsed.
const AHEAD: usize = 16;

/// Brings the headers of a frame near: those of TCP over IPv4 end in the octet of this number.
#[inline]
fn prefetch_frame(frame: &Frame<'_>) {
    const LAST: usize = 53;
    for at in [0, LAST] {
        if let Some(octet) = frame.bytes.get(at) {
            base::sys::prefetch(octet);
        }
    }
}

/// The part of a frame that its IP datagram fills, Ethernet header included.
fn datagram_end(ip: &headers::Ip, bytes: &[u8]) -> usize {
    (ip.end as usize).min(bytes.len())
}

/// Octets of IP that the largest wire packet of this frame will have: what an MTU is held against.
#[inline(always)]
fn wire_size(bytes: &[u8], ip: &headers::Ip, offload: &Offload) -> u32 {
    match offload.gso {
        base::Gso::None => ip.length(),
        base::Gso::TcpV4 | base::Gso::TcpV6 | base::Gso::Udp => segment_size(bytes, ip, offload),
    }
}

/// Octets of IP in each segment of a large frame.
fn segment_size(bytes: &[u8], ip: &headers::Ip, offload: &Offload) -> u32 {
    let header = u32::from(ip.header);
    let transport = match ip.transport {
        headers::Transport::Tcp(_) => {
            let words = bytes.get(usize::from(ip.payload) + 12).map_or(5, |octet| octet >> 4);
            u32::from(words) * 4
        }
        headers::Transport::Udp(_) => 8,
        headers::Transport::Icmp(_)
        | headers::Transport::LaterFragment
        | headers::Transport::Other => 0,
    };
    u32::from(ip.payload) - header + transport + u32::from(offload.gso_size)
}
