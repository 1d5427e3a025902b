//! What a running capture takes from a worker: copies of the beginnings of frames, in a ring that
//! the worker never waits for. What does not fit is counted and gone.
//!
//! ```text
//!   received ──> Tap ──> forwarder ──> Tap ──> sent
//!                 │                     │
//!                 └───── snapshots ─────┴──> whoever captures
//! ```
//!
//! Frames are looked at before the forwarder changes them, and when they leave. Without a capture
//! a worker has no tap, and all this costs a glance at that.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrayvec::ArrayVec;
use base::Instant;
use base::address::mapped;
use model::limits::CAPTURE_OCTETS;
use model::status::Direction;
use packet::arp;
use packet::headers::{self, Body, Headers, Transport};
use rtrb::Producer;

/// The beginning of a frame that passed a port.
pub struct Snapshot {
    /// When.
    pub at: Instant,
    /// Which way.
    pub direction: Direction,
    /// Octets of the whole frame.
    pub length: u32,
    /// What the whole frame was; none: it is malformed.
    pub headers: Option<Headers>,
    /// As much of it as is kept.
    pub bytes: ArrayVec<u8, CAPTURE_OCTETS>,
}

/// Which frames a capture wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// From or to this address, IPv4 being mapped.
    pub host: Option<Ipv6Addr>,
    /// From or to this TCP or UDP port.
    pub port: Option<u16>,
}

/// A worker's end of a capture.
pub struct Tap {
    /// The port that is looked at.
    pub port: usize,
    /// Which of its frames.
    pub filter: Filter,
    /// Where they go.
    pub ring: Producer<Snapshot>,
    /// Frames that were wanted, and for which the ring had no room.
    pub lost: Arc<AtomicU64>,
}

impl Tap {
    /// Looks at frames that pass a port. Neither allocates nor waits.
    #[cold]
    pub fn look<'a>(
        &mut self,
        at: Instant,
        port: usize,
        direction: Direction,
        frames: impl Iterator<Item = &'a [u8]>,
    ) {
        if port != self.port {
            return;
        }
        for frame in frames {
            let headers = headers::parse(frame).ok();
            if !self.filter.wants(headers.as_ref(), frame) {
                continue;
            }
            let kept = &frame[..frame.len().min(CAPTURE_OCTETS)];
            let bytes = ArrayVec::try_from(kept).unwrap_or_default();
            let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            if self.ring.push(Snapshot { at, direction, length, headers, bytes }).is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Filter {
    fn wants(&self, headers: Option<&Headers>, frame: &[u8]) -> bool {
        if self.host.is_none() && self.port.is_none() {
            return true;
        }
        match headers.map(|headers| headers.body) {
            Some(Body::Ip(ip)) => {
                let host = self.host.is_none_or(|host| ip.source == host || ip.destination == host);
                host && self.port.is_none_or(|port| has_port(&ip.transport, port))
            }
            Some(Body::Arp) if self.port.is_none() => arp::parse(frame).is_ok_and(|arp| {
                let of = |address| Some(mapped(IpAddr::V4(address))) == self.host;
                of(arp.sender) || of(arp.target)
            }),
            Some(Body::Arp | Body::Other(_)) | None => false,
        }
    }
}

const fn has_port(transport: &Transport, port: u16) -> bool {
    match transport {
        Transport::Tcp(tcp) => tcp.source_port == port || tcp.destination_port == port,
        Transport::Udp(udp) => udp.source_port == port || udp.destination_port == port,
        Transport::Icmp(_) | Transport::LaterFragment | Transport::Other => false,
    }
}
