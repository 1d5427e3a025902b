//! What we say ourselves: echo replies, ICMP errors, resets. All at a bounded rate, all to the
//! station the packet came from.

use base::address::unmapped;
use base::{Offload, Protocol};
use core::net::IpAddr;
use packet::headers::{Headers, Ip, TcpFlags, Transport, Version};
use packet::icmp::{self, ErrorKind, Reply};
use packet::rewrite::Endpoint;
use packet::tcp;

use super::{Forwarder, Origin, Pass, datagram_end, emit};
use crate::output::{Source, Transmit};
use crate::verdict::{DropReason, Verdict};

impl Forwarder {
    /// Answers an echo request to an address of ours (RFC 792, RFC 4443 §4.2).
    pub(super) fn echo(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Verdict {
        if !self.may(pass, |limits| &mut limits.echoes) {
            return Verdict::Drop(DropReason::RateLimited);
        }
        let mac = pass.port.mac;
        if !icmp::echo_reply_in_place(bytes, ip, offload, mac, headers.source) {
            return Verdict::Drop(DropReason::Malformed(packet::Malformed::BadChecksum));
        }
        let end = datagram_end(ip, bytes);
        let sent = match pass.origin {
            Origin::Received(index) => {
                #[expect(clippy::cast_possible_truncation, reason = "a frame is below 4 GiB")]
                let source = Source::Received { index, length: end as u32 };
                let transmit = Transmit { port: pass.id, source, offload: *offload };
                pass.out.transmit.try_push(transmit).is_ok()
            }
            Origin::Held(_) => {
                pass.out.generate_with(pass.id, |out| emit::copy(out, &bytes[..end], *offload))
            }
        };
        if sent { Verdict::Answer } else { Verdict::Drop(DropReason::OutputFull) }
    }

    /// Sends an ICMP error about a packet if one is due; otherwise the packet is dropped for
    /// `reason`.
    pub(super) fn error_or(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &[u8],
        headers: &Headers,
        ip: &Ip,
        kind: ErrorKind,
        reason: DropReason,
    ) -> Verdict {
        if !icmp::may_answer(bytes, headers) {
            return Verdict::Drop(reason);
        }
        let own = match (kind, ip.version) {
            // As a host, from the address that was spoken to (RFC 4443 §2.2 (a)).
            (ErrorKind::PortUnreachable, _) => Some(unmapped(ip.destination)),
            // As a router, from the address of the port it came in by (RFC 1812 §4.3.2.4).
            (_, Version::V4) => pass.port.ipv4.map(IpAddr::V4),
            (_, Version::V6) => pass.port.ipv6.map(IpAddr::V6),
        };
        let Some(source) = own.or_else(|| self.vip_there(pass, ip)) else {
            return Verdict::Drop(reason);
        };
        if !self.may(pass, |limits| &mut limits.errors) {
            return Verdict::Drop(DropReason::RateLimited);
        }
        let reply = Reply { source_mac: pass.port.mac, destination_mac: headers.source, source };
        let bytes = &bytes[..datagram_end(ip, bytes)];
        let built =
            pass.out.generate(pass.id, |out| icmp::build_error(out, bytes, ip, kind, &reply));
        if !built {
            return Verdict::Drop(reason);
        }
        self.counters.icmp_errors += 1;
        Verdict::Answer
    }

    /// Nothing is offered at this port of a virtual address: say so as a host would (RFC 9293
    /// §3.10.7.1, RFC 1122 §3.2.2.1).
    pub(super) fn no_service(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &[u8],
        headers: &Headers,
        ip: &Ip,
    ) -> Verdict {
        self.refuse(pass, bytes, headers, ip, DropReason::NoService)
    }

    /// Tells a client that it will not be served: a reset, or "port unreachable".
    pub(super) fn refuse(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &[u8],
        headers: &Headers,
        ip: &Ip,
        reason: DropReason,
    ) -> Verdict {
        match ip.protocol {
            Protocol::TCP => self.reset(pass, headers, ip, reason),
            Protocol::UDP => {
                let kind = ErrorKind::PortUnreachable;
                self.error_or(pass, bytes, headers, ip, kind, reason)
            }
            _ => Verdict::Drop(reason),
        }
    }

    /// Answers a segment with a reset, as a host does for a connection it does not have.
    fn reset(
        &mut self,
        pass: &mut Pass<'_>,
        headers: &Headers,
        ip: &Ip,
        reason: DropReason,
    ) -> Verdict {
        let Transport::Tcp(segment) = ip.transport else {
            return Verdict::Drop(reason);
        };
        if segment.flags.contains(TcpFlags::RST) {
            return Verdict::Drop(reason);
        }
        if !self.may(pass, |limits| &mut limits.resets) {
            return Verdict::Drop(DropReason::RateLimited);
        }
        let counts = |flag| u32::from(segment.flags.contains(flag));
        // RFC 9293 §3.10.7.1: with an ACK its number is ours; without, ours is 0 and we
        // acknowledge all that came.
        let (sequence, acknowledgement, flags) = if segment.flags.contains(TcpFlags::ACK) {
            (segment.acknowledgement, 0, TcpFlags::RST)
        } else {
            let octets = segment.payload_length + counts(TcpFlags::SYN) + counts(TcpFlags::FIN);
            (0, segment.sequence.wrapping_add(octets), TcpFlags::RST | TcpFlags::ACK)
        };
        let reset = tcp::Segment {
            source_mac: pass.port.mac,
            destination_mac: headers.source,
            source: Endpoint { address: ip.destination, port: segment.destination_port },
            destination: Endpoint { address: ip.source, port: segment.source_port },
            sequence,
            acknowledgement,
            flags,
            window: 0,
        };
        if !pass.out.generate(pass.id, |out| tcp::build(out, &reset)) {
            return Verdict::Drop(DropReason::OutputFull);
        }
        self.counters.resets += 1;
        Verdict::Answer
    }

    /// A port without a primary address of the family speaks from a virtual one it serves.
    fn vip_there(&self, pass: &Pass<'_>, ip: &Ip) -> Option<IpAddr> {
        let family = |address: &IpAddr| address.is_ipv4() == (ip.version == Version::V4);
        let here = pass.tables.vips.iter().filter(|vip| vip.network == pass.port.network);
        let here = here.filter(|vip| self.may_serve(pass.now, vip));
        here.map(|vip| unmapped(vip.address)).find(family)
    }
}
