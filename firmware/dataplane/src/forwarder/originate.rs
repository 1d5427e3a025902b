//! Packets of the node's own host stacks: they get their Ethernet here, as they share routes and
//! neighbors with everything else.

use base::{Instant, Offload};
use packet::headers::{self, Body, Ip};
use packet::rewrite;

use super::{Forwarder, emit};
use crate::output::Output;
use crate::tables::Tables;
use crate::verdict::{DropReason, Event, Verdict};
use crate::waiting::NextHop;

/// Octets of an Ethernet header.
const ETHERNET: usize = 14;

impl Forwarder {
    /// Sends a finished IP packet of the node's own. It is not counted as received.
    pub fn originate(
        &mut self,
        now: Instant,
        tables: &Tables,
        packet: &[u8],
        out: &mut Output,
    ) -> Verdict {
        let mut scratch = core::mem::take(&mut self.scratch);
        let verdict = match frame(&mut scratch, packet) {
            Some((length, ip)) => self.dispatch(now, tables, &mut scratch[..length], &ip, out),
            None => Verdict::Drop(DropReason::NoRoute),
        };
        self.scratch = scratch;
        self.counters.originated += u64::from(!matches!(verdict, Verdict::Drop(_)));
        if let Verdict::Drop(reason) = verdict {
            self.counters.drops[reason.index()] += 1;
        }
        verdict
    }

    fn dispatch(
        &mut self,
        now: Instant,
        tables: &Tables,
        bytes: &mut [u8],
        ip: &Ip,
        out: &mut Output,
    ) -> Verdict {
        let Some(hop) = tables.routes.find(ip.destination) else {
            return Verdict::Drop(DropReason::NoRoute);
        };
        let Some(port) = tables.port(hop.port).filter(|port| port.up) else {
            return Verdict::Drop(DropReason::PortDown);
        };
        let neighbor = tables.neighbors.get(hop.port.0, hop.next);
        rewrite::set_ethernet(bytes, neighbor.unwrap_or_default(), port.mac);
        if neighbor.is_some() {
            let build = |out: &mut [u8]| emit::copy(out, bytes, Offload::NONE);
            return match out.generate_with(hop.port, build) {
                true => Verdict::Answer,
                false => Verdict::Drop(DropReason::OutputFull),
            };
        }
        self.event(out, Event::NeighborMissing { port: hop.port, address: hop.next });
        let next = NextHop {
            port: hop.port,
            address: hop.next,
            service: None,
            server: None,
            originated: true,
        };
        self.hold_for_neighbor(now, out, bytes, Offload::NONE, next, None)
    }
}

/// The packet behind an empty Ethernet header of its family, and what is in it.
fn frame(scratch: &mut [u8], packet: &[u8]) -> Option<(usize, Ip)> {
    let length = ETHERNET + packet.len();
    let ethertype: [u8; 2] = match packet.first()? >> 4 {
        4 => [0x08, 0x00],
        6 => [0x86, 0xdd],
        _ => return None,
    };
    let frame = scratch.get_mut(..length)?;
    frame[..12].fill(0);
    frame[12..ETHERNET].copy_from_slice(&ethertype);
    frame[ETHERNET..].copy_from_slice(packet);
    match headers::parse(frame).ok()?.body {
        Body::Ip(ip) => Some((length, ip)),
        Body::Arp | Body::Other(_) => None,
    }
}
