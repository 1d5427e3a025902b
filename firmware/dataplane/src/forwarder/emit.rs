//! The last steps of a forwarded packet: TTL, MTU, next hop, new addresses, Ethernet.

use base::{Gso, Instant, Offload, PortId};
use packet::headers::{self, Body, ETHERNET_LENGTH, Headers, Ip, Version};
use packet::icmp::ErrorKind;
use packet::{checksum, rewrite, segment};

use super::{Forwarder, Origin, Pass, Path, datagram_end, wire_size};
use crate::output::{Output, Source, Transmit};
use crate::tables::Hop;
use crate::verdict::{DropReason, Event, HeldId, Verdict};
use crate::waiting::NextHop;

impl Forwarder {
    /// Forwards a packet to `hop`, changed as `path` says.
    #[inline(always)]
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
    #[inline(always)]
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
    #[inline(always)]
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
        self.leave(pass, bytes, offload, ip, hop.port, path.verdict())
    }

    /// Sends a frame that has all its addresses by `port`, in pieces if it must be. `verdict` if
    /// that succeeds.
    #[inline(always)]
    pub(super) fn leave(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        ip: &Ip,
        port: PortId,
        verdict: Verdict,
    ) -> Verdict {
        let Some(mtu) = pass.tables.port(port).map(|port| port.mtu) else {
            return Verdict::Drop(DropReason::PortDown);
        };
        if wire_size(bytes, ip, offload) > mtu {
            let mark = pass.out.mark();
            return match cut(pass, bytes, offload, port, mtu) {
                Ok(()) => {
                    self.counters.fragmented += 1;
                    verdict
                }
                Err(reason) => {
                    pass.out.rewind(mark);
                    Verdict::Drop(reason)
                }
            };
        }
        let end = datagram_end(ip, bytes);
        let sent = match pass.origin {
            Origin::Received(index) => {
                #[expect(clippy::cast_possible_truncation, reason = "a frame is below 4 GiB")]
                let source = Source::Received { index, length: end as u32 };
                let transmit = Transmit { port, source, offload: *offload };
                pass.out.transmit.try_push(transmit).is_ok()
            }
            Origin::Held(_) => {
                pass.out.generate_with(port, |out| copy(out, &bytes[..end], *offload))
            }
        };
        if sent { verdict } else { Verdict::Drop(DropReason::OutputFull) }
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
            originated: false,
        };
        let bytes = &bytes[..datagram_end(ip, bytes)];
        self.hold_for_neighbor(pass.now, pass.out, bytes, offload, next, pass.origin.held())
    }

    /// Keeps a frame until its next hop is known; of many for one neighbor the newest.
    pub(super) fn hold_for_neighbor(
        &mut self,
        now: Instant,
        out: &mut Output,
        bytes: &[u8],
        offload: Offload,
        hop: NextHop,
        again: Option<HeldId>,
    ) -> Verdict {
        if !out.resolved.is_full()
            && let Some(oldest) = self.neighbors.take_crowded(&hop)
        {
            self.hold.discard(&oldest);
            self.resolve(out, &oldest, Verdict::Drop(DropReason::HoldFull));
        }
        match self.neighbors.keep(now, &mut self.hold, bytes, offload, hop, again) {
            Some(id) => Verdict::Held(id),
            None => Verdict::Drop(DropReason::HoldFull),
        }
    }
}

/// The largest segment that is cut further on the stack: a jumbo frame.
const SEGMENT_OCTETS: usize = 9_216;

/// Cuts a packet that may be cut into pieces that fit `mtu` (RFC 791 §3.2). After an error the
/// caller takes back what was to be sent.
#[cold]
fn cut(
    pass: &mut Pass<'_>,
    bytes: &mut [u8],
    offload: &mut Offload,
    port: PortId,
    mtu: u32,
) -> Result<(), DropReason> {
    // The addresses have changed since the packet was parsed, and sums cover them.
    let ip = reparse(bytes)?;
    if offload.gso == Gso::None {
        checksum::complete(bytes, offload);
        let end = datagram_end(&ip, bytes);
        return pieces(pass, &bytes[..end], &ip, port, mtu);
    }
    // A large frame from a local peer: first the segments its sender meant, then each cut.
    let mut segment_bytes = [0; SEGMENT_OCTETS];
    for index in 0.. {
        let Some(length) = segment::segment(&mut segment_bytes, bytes, &ip, offload, index) else {
            // Not even one: a segment larger than any wire's, or an offload header that lies.
            return if index > 0 { Ok(()) } else { Err(DropReason::TooBig) };
        };
        let segment = &segment_bytes[..length];
        pieces(pass, segment, &reparse(segment)?, port, mtu)?;
    }
    Ok(())
}

fn reparse(bytes: &[u8]) -> Result<Ip, DropReason> {
    match headers::parse(bytes).map_err(DropReason::Malformed)?.body {
        Body::Ip(ip) => Ok(ip),
        Body::Arp | Body::Other(_) => Err(DropReason::UnknownEthertype),
    }
}

fn pieces(
    pass: &mut Pass<'_>,
    bytes: &[u8],
    ip: &Ip,
    port: PortId,
    mtu: u32,
) -> Result<(), DropReason> {
    let mut left = ip.payload_length() as usize;
    for index in 0.. {
        let sent = pass.out.generate(port, |out| {
            let length = segment::fragment(out, bytes, ip, mtu, index)?;
            let header = usize::from(out[ETHERNET_LENGTH] & 0xf) * 4;
            left = left.saturating_sub(length - ETHERNET_LENGTH - header);
            Some(length)
        });
        if !sent {
            let room = pass.out.has_room(mtu as usize + ETHERNET_LENGTH);
            return Err(if room { DropReason::TooBig } else { DropReason::OutputFull });
        }
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// Copies a frame into `out`.
pub(super) fn copy(out: &mut [u8], bytes: &[u8], offload: Offload) -> Option<(usize, Offload)> {
    out.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some((bytes.len(), offload))
}
