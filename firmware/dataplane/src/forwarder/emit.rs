//! The last steps of a forwarded packet: TTL, MTU, next hop, new addresses, Ethernet.

use base::{Gso, Offload};
use packet::headers::{Headers, Ip, Version};
use packet::icmp::ErrorKind;
use packet::{checksum, rewrite, segment};

use super::{Forwarder, Origin, Pass, Path, datagram_end, wire_size};
use crate::output::{Source, Transmit};
use crate::tables::Hop;
use crate::verdict::{DropReason, Event, Verdict};
use crate::waiting::NextHop;

impl Forwarder {
    /// Forwards a packet to `hop`, changed as `path` says.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "what parsing and look-up found, passed once")]
    pub(super) fn send(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        path: &Path,
        hop: Hop,
    ) -> Verdict {
        if let Err(verdict) = self.fits(pass, bytes, offload, headers, ip, hop) {
            return verdict;
        }
        rewrite::translate(bytes, ip, offload, &path.translation);
        self.depart(pass, bytes, offload, ip, path, hop)
    }

    /// Whether a router may send this packet on to `hop` (RFC 1812 §5.2.1.2); otherwise what
    /// became of it.
    #[inline]
    pub(super) fn fits(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &[u8],
        offload: &Offload,
        headers: &Headers,
        ip: &Ip,
        hop: Hop,
    ) -> Result<(), Verdict> {
        if ip.ttl <= 1 {
            let kind = ErrorKind::TimeExceeded;
            return Err(self.error_or(pass, bytes, headers, ip, kind, DropReason::TimeToLive));
        }
        let Some(port) = pass.tables.port(hop.port).filter(|port| port.up) else {
            return Err(Verdict::Drop(DropReason::PortDown));
        };
        let must_fit = ip.version == Version::V6 || ip.dont_fragment;
        if must_fit && wire_size(bytes, ip, offload) > port.mtu {
            let kind = ErrorKind::FragmentationNeeded { mtu: port.mtu };
            return Err(self.error_or(pass, bytes, headers, ip, kind, DropReason::TooBig));
        }
        Ok(())
    }

    /// Sends a packet whose addresses are final.
    #[inline]
    pub(super) fn depart(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        ip: &Ip,
        path: &Path,
        hop: Hop,
    ) -> Verdict {
        rewrite::decrement_ttl(bytes, ip);
        let Some(port) = pass.tables.port(hop.port) else {
            return Verdict::Drop(DropReason::PortDown);
        };
        let neighbor = pass.tables.neighbors.get(hop.port.0, hop.next);
        rewrite::set_ethernet(bytes, neighbor.unwrap_or_default(), port.mac);
        if let Some((service, server)) = path.owner {
            let octets = ip.end - u32::from(ip.header);
            self.counters.count_traffic(service, server, path.to_server, octets);
        }
        if neighbor.is_none() {
            return self.wait_for_neighbor(pass, bytes, *offload, ip, path, hop);
        }
        if wire_size(bytes, ip, offload) > port.mtu {
            return self.cut(pass, bytes, offload, ip, path, hop);
        }
        let end = datagram_end(ip, bytes);
        let sent = match pass.origin {
            Origin::Received(index) => {
                #[expect(clippy::cast_possible_truncation, reason = "a frame is below 4 GiB")]
                let source = Source::Received { index, length: end as u32 };
                let transmit = Transmit { port: hop.port, source, offload: *offload };
                pass.out.transmit.try_push(transmit).is_ok()
            }
            Origin::Scratch => {
                pass.out.generate_with(hop.port, |out| copy(out, &bytes[..end], *offload))
            }
        };
        if sent { path.verdict() } else { Verdict::Drop(DropReason::OutputFull) }
    }

    /// Cuts a packet that may be cut into pieces that fit the port's MTU (RFC 791 §3.2).
    fn cut(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        ip: &Ip,
        path: &Path,
        hop: Hop,
    ) -> Verdict {
        let Some(mtu) = pass.tables.port(hop.port).map(|port| port.mtu) else {
            return Verdict::Drop(DropReason::PortDown);
        };
        self.counters.fragmented += 1;
        if offload.gso == Gso::None {
            checksum::complete(bytes, offload);
            let end = datagram_end(ip, bytes);
            return match pieces(pass, &bytes[..end], ip, mtu, hop) {
                true => path.verdict(),
                false => Verdict::Drop(DropReason::OutputFull),
            };
        }
        // A large frame from a local peer: first the segments its sender meant, then each cut.
        let mut segment_bytes = [0; SEGMENT_OCTETS];
        for index in 0.. {
            let Some(length) = segment::segment(&mut segment_bytes, bytes, ip, offload, index)
            else {
                break;
            };
            let Ok(headers) = packet::headers::parse(&segment_bytes[..length]) else {
                return Verdict::Drop(DropReason::OutputFull);
            };
            let packet::headers::Body::Ip(ip) = headers.body else {
                return Verdict::Drop(DropReason::OutputFull);
            };
            if !pieces(pass, &segment_bytes[..length], &ip, mtu, hop) {
                return Verdict::Drop(DropReason::OutputFull);
            }
        }
        path.verdict()
    }

    fn wait_for_neighbor(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &[u8],
        offload: Offload,
        ip: &Ip,
        path: &Path,
        hop: Hop,
    ) -> Verdict {
        self.event(pass.out, Event::NeighborMissing { port: hop.port, address: hop.next });
        let next = NextHop {
            port: hop.port,
            address: hop.next,
            service: path.owner.map(|(service, _)| service),
            server: path.owner.map(|(_, server)| server),
        };
        let bytes = &bytes[..datagram_end(ip, bytes)];
        match self.neighbors.keep(pass.now, &mut self.hold, bytes, offload, next) {
            Some(id) => Verdict::Held(id),
            None => Verdict::Drop(DropReason::HoldFull),
        }
    }
}

/// The largest segment that is cut further on the stack: a jumbo frame.
const SEGMENT_OCTETS: usize = 9_216;

fn pieces(pass: &mut Pass<'_>, bytes: &[u8], ip: &Ip, mtu: u32, hop: Hop) -> bool {
    let mut any = false;
    for index in 0.. {
        let mut past_end = false;
        let sent = pass.out.generate(hop.port, |out| {
            let length = segment::fragment(out, bytes, ip, mtu, index);
            past_end = length.is_none();
            length
        });
        if !sent {
            return any && past_end;
        }
        any = true;
    }
    any
}

/// Copies a frame into `out`.
pub(super) fn copy(out: &mut [u8], bytes: &[u8], offload: Offload) -> Option<(usize, Offload)> {
    out.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some((bytes.len(), offload))
}
