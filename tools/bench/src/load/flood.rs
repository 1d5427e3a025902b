//! A flood of small datagrams, from a packet socket: thirty-two frames a system call.

use crate::BenchError;
use crate::arrangement::affinity::{Place, pin};
use crate::arrangement::namespace::Namespace;
use crate::arrangement::{CLIENT, MACS, SINK, VIP};
use crate::clock;
use fixtures::Packet;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockType, bind, sendmmsg, socket,
};
use std::array::from_fn;
use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Frames a system call.
const BATCH: usize = 32;
/// Octets of a frame, without the four of the check sequence that a veth has not.
pub const FRAME: usize = 60;
/// Flows that are known, each sent in turn.
const KNOWN: usize = 1024;
/// Source addresses of new flows; each has every port.
const NEW_ADDRESSES: usize = 64;
/// Where a frame has its source port and its UDP checksum (no options: 14 + 20).
const SOURCE_PORT: usize = 34;
const CHECKSUM: usize = 40;

/// What the frames of a flood are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Datagrams of a thousand flows that repeat.
    Known,
    /// One of these, then one of a flow that was never seen.
    Mixed,
    /// Datagrams of so many flows that repeat.
    Cycle(u32),
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sent {
    /// Frames.
    pub frames: u64,
    /// How long that took.
    pub took: Duration,
}

impl Sent {
    /// Frames a second.
    pub fn rate(&self) -> f64 {
        self.frames as f64 / self.took.as_secs_f64()
    }
}

/// A generator; it keeps its place among new flows from one flood to the next.
#[derive(Debug)]
pub struct Flood {
    known: Vec<Vec<u8>>,
    new: Vec<Vec<u8>>,
    next_known: usize,
    next_new: usize,
}

impl Default for Flood {
    fn default() -> Self {
        let frame = |from: Ipv4Addr, port: usize| {
            let port = u16::try_from(port).unwrap_or_default();
            let (source, destination) = (SocketAddr::from((from, port)), (VIP, SINK).into());
            let mut packet = Packet::udp(source, destination, &[0; FRAME - 42]);
            let [own, other, ..] = MACS.map(mac);
            (packet.source_mac, packet.destination_mac) = (own, other);
            packet.build()
        };
        let known = (0..KNOWN).map(|number| frame(CLIENT, 2048 + number)).collect();
        let address = |number| Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 51, 100, 1)) + number);
        let new = (0..NEW_ADDRESSES as u32).map(|number| frame(address(number), 0)).collect();
        Self { known, new, next_known: 0, next_new: 0 }
    }
}

impl Flood {
    /// Sends from a client for a while, at a rate in frames a second or without limit, from the
    /// core of load generators.
    ///
    /// # Errors
    /// Where the packet socket does not work.
    pub fn run(
        &mut self,
        client: &Namespace,
        pattern: Pattern,
        duration: Duration,
        rate: Option<f64>,
    ) -> Result<Sent, BenchError> {
        client.run(|| {
            pin(Place::Load);
            self.send(&open("eth0")?, pattern, duration, rate)
        })?
    }

    fn send(
        &mut self,
        socket: &OwnedFd,
        pattern: Pattern,
        duration: Duration,
        rate: Option<f64>,
    ) -> Result<Sent, BenchError> {
        let mut headers = MultiHeaders::<LinkAddr>::preallocate(BATCH, None);
        let nowhere = [None; BATCH];
        let begin = clock::now();
        let mut frames = 0_u64;
        loop {
            let now = clock::now();
            if now - begin >= duration {
                return Ok(Sent { frames, took: now - begin });
            }
            let due = rate.map_or(u64::MAX, |rate| due(begin, now, rate));
            if frames + BATCH as u64 > due {
                std::hint::spin_loop();
                continue;
            }
            let batch = self.batch(pattern);
            let slices: [[IoSlice<'_>; 1]; BATCH] = batch.map(|frame| [IoSlice::new(frame)]);
            let flags = MsgFlags::empty();
            let fd = socket.as_raw_fd();
            match sendmmsg(fd, &mut headers, slices.iter(), nowhere, [], flags) {
                Ok(sent) => frames += sent.count() as u64,
                Err(nix::errno::Errno::ENOBUFS | nix::errno::Errno::EAGAIN) => {}
                Err(error) => return Err(BenchError::at("sending a flood")(error.into())),
            }
        }
    }

    /// The next frames.
    fn batch(&mut self, pattern: Pattern) -> [&[u8]; BATCH] {
        let first_known = self.next_known;
        match pattern {
            Pattern::Known => {
                self.next_known = (first_known + BATCH) % KNOWN;
                let known = &self.known;
                from_fn(|index| known[(first_known + index) % KNOWN].as_slice())
            }
            Pattern::Mixed => {
                self.next_known = (first_known + BATCH / 2) % KNOWN;
                let first_new = self.renew(BATCH / 2, usize::MAX);
                let (known, new) = (&self.known, &self.new);
                from_fn(|index| match index % 2 {
                    0 => known[(first_known + index / 2) % KNOWN].as_slice(),
                    _ => new[(first_new + index / 2) % NEW_ADDRESSES].as_slice(),
                })
            }
            Pattern::Cycle(flows) => {
                let first = self.renew(BATCH, flows as usize);
                from_fn(|index| self.new[(first + index) % NEW_ADDRESSES].as_slice())
            }
        }
    }

    /// Gives the next few frames of new flows their ports; the number of the first. After `flows`
    /// of them it begins anew.
    fn renew(&mut self, count: usize, flows: usize) -> usize {
        // Whole batches, so that every frame of one is another flow.
        let first = if self.next_new + count > flows { 0 } else { self.next_new };
        self.next_new = first + count;
        for number in first..first + count {
            let port = (number / NEW_ADDRESSES) as u16;
            set_source_port(&mut self.new[number % NEW_ADDRESSES], port);
        }
        first
    }
}

/// Frames that should have been sent by now.
fn due(begin: Instant, now: Instant, rate: f64) -> u64 {
    ((now - begin).as_secs_f64() * rate) as u64
}

/// Gives a frame another source port and a UDP checksum that is right (RFC 1624 §3).
fn set_source_port(frame: &mut [u8], port: u16) {
    let word = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let (old, sum) = (word(frame, SOURCE_PORT), word(frame, CHECKSUM));
    let mut total = u32::from(!sum) + u32::from(!old) + u32::from(port);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    let sum = match !(total as u16) {
        0 => 0xffff,
        sum => sum,
    };
    frame[SOURCE_PORT..SOURCE_PORT + 2].copy_from_slice(&port.to_be_bytes());
    frame[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

/// A packet socket that sends by an interface and receives nothing: its protocol is 0.
fn open(interface: &str) -> Result<OwnedFd, BenchError> {
    let failed =
        |what: &'static str| move |error: nix::errno::Errno| BenchError::at(what)(error.into());
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .map_err(failed("opening a packet socket"))?;
    let addresses = nix::ifaddrs::getifaddrs().map_err(failed("listing interfaces"))?;
    let link = |it: nix::ifaddrs::InterfaceAddress| {
        if it.interface_name != interface {
            return None;
        }
        // As listed it has protocol 0.
        it.address?.as_link_addr().copied()
    };
    let link = addresses.filter_map(link).next();
    let link = link.ok_or_else(|| {
        BenchError::CannotMeasure(format!("{interface}: there is no such interface"))
    })?;
    bind(socket.as_raw_fd(), &link).map_err(failed("binding a packet socket"))?;
    Ok(socket)
}

/// An Ethernet address as it is written.
fn mac(text: &str) -> base::Mac {
    let mut octets = [0; 6];
    for (octet, part) in octets.iter_mut().zip(text.split(':')) {
        *octet = u8::from_str_radix(part, 16).unwrap_or_default();
    }
    base::Mac(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Offload;
    use std::collections::HashSet;

    #[test]
    fn every_frame_of_a_flood_is_right() {
        let mut flood = Flood::default();
        for pattern in [Pattern::Known, Pattern::Mixed, Pattern::Mixed] {
            for frame in flood.batch(pattern) {
                assert_eq!(frame.len(), FRAME);
                fixtures::verify(frame, &Offload::default()).expect("sums are right");
            }
        }
    }

    #[test]
    fn a_cycle_has_as_many_flows_as_it_should() {
        for flows in [64, 1024, 10_000] {
            let (mut flood, mut seen) = (Flood::default(), HashSet::new());
            for _ in 0..1_000 {
                let batch = flood.batch(Pattern::Cycle(flows));
                seen.extend(batch.map(|frame| frame[26..38].to_vec()));
            }
            let most = flows as usize;
            assert!(seen.len() <= most && seen.len() > most - BATCH, "{} {most}", seen.len());
        }
    }

    #[test]
    fn new_flows_are_new_and_known_ones_repeat() {
        let (mut flood, mut new, mut known) = (Flood::default(), HashSet::new(), HashSet::new());
        for _ in 0..1_000 {
            for (index, frame) in flood.batch(Pattern::Mixed).into_iter().enumerate() {
                let flow = frame[26..38].to_vec();
                if index % 2 == 0 {
                    known.insert(flow);
                } else {
                    assert!(new.insert(flow), "a flow comes twice");
                }
            }
        }
        assert_eq!((known.len(), new.len()), (KNOWN, 16_000));
    }
}
