//! ICMP errors about packets of flows: they follow the flow they quote (RFC 5508 §4, RFC 1812
//! §5.3.8 in spirit), with the quoted packet as its receiver sent it.

use base::{FlowKey, Offload, Protocol};
use packet::headers::{Headers, Ip, Transport, Version};
use packet::icmp::{self, OuterTranslation, Quoted};
use packet::rewrite::{Endpoint, Translation};

use super::classify::is_link_local;
use super::{Forwarder, Pass, Path};
use crate::flow::Direction;
use crate::tables::{ANYWHERE, Role};
use crate::verdict::{DropReason, Verdict};

impl Forwarder {
    /// Handles an ICMP error that quotes a packet of a flow. `None`: it is no error, or quotes
    /// nothing of ours, and its own destination decides.
    pub(super) fn icmp_error(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Option<Verdict> {
        if !matches!(ip.protocol, Protocol::ICMP | Protocol::ICMPV6) || ip.fragment.is_some() {
            return None;
        }
        if is_redirect(ip) {
            return Some(Verdict::Drop(DropReason::Redirect));
        }
        let quoted = match icmp::quoted(bytes, ip)? {
            Ok(quoted) => quoted,
            Err(why) => return Some(Verdict::Drop(DropReason::Malformed(why))),
        };
        let key = answer_key(&quoted)?;
        // An error is for whoever sent the quoted packet. One for anybody else is forged, and
        // following the flow would carry it where its sender could not.
        if quoted.source != ip.destination {
            let known = self.flows.find(&key, self.flows.hash(&key), pass.tables).is_some();
            return known.then_some(Verdict::Drop(DropReason::NoFlow));
        }
        let hash = self.flows.hash(&key);
        let Some((slot, direction)) = self.flows.find(&key, hash, pass.tables) else {
            let ours = pass.tables.services.is_server(quoted.destination)
                && pass
                    .tables
                    .services
                    .find_reply(quoted.destination, quoted.protocol, key.source_port)
                    .is_some();
            if let Some(Role::Virtual(vip)) = pass.tables.addresses.get(ANYWHERE, ip.destination)
                && let Some(worker) = self.worker_of(pass, vip, headers.source, &key)
            {
                return Some(self.hand_over(pass, bytes, offload, headers, ip, worker));
            }
            return ours.then_some(Verdict::Drop(DropReason::NoFlow));
        };
        Some(self.translated_error(pass, bytes, offload, headers, ip, &quoted, slot, direction))
    }

    #[expect(clippy::too_many_arguments, reason = "what parsing and look-up found, passed once")]
    fn translated_error(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        quoted: &Quoted,
        slot: u32,
        direction: Direction,
    ) -> Verdict {
        let record = *self.flows.record(slot);
        if let Some(owner) = self.served_elsewhere(pass, record.service(), headers.source, true) {
            return self.hand_over(pass, bytes, offload, headers, ip, owner);
        }
        let Some(server) = pass.tables.server(record.server()) else {
            return Verdict::Drop(DropReason::NoServer);
        };
        let key = record.request_key();
        let virtual_end = Endpoint { address: key.destination, port: key.destination_port };
        let port = server.port.unwrap_or(key.destination_port);
        let server_end = Endpoint { address: server.address, port };
        let (outer, inner) = match direction {
            // It comes from the client's side about a reply: the server sent that from itself.
            Direction::Request => (
                OuterTranslation { source: None, destination: Some(server_end.address) },
                Translation { source: Some(server_end), destination: None },
            ),
            // From the servers' side about a request: the client sent that to the virtual
            // address, and knows no other.
            Direction::Reply => (
                OuterTranslation { source: Some(virtual_end.address), destination: None },
                Translation { source: None, destination: Some(virtual_end) },
            ),
        };
        if outer.source.is_none() && is_link_local(ip.source) {
            return Verdict::Drop(DropReason::LinkLocalSource);
        }
        let destination = outer.destination.unwrap_or(ip.destination);
        let Some(hop) = pass.tables.routes.find(destination) else {
            return Verdict::Drop(DropReason::NoRoute);
        };
        if let Err(verdict) = self.fits(pass, bytes, offload, headers, ip, hop) {
            return verdict;
        }
        icmp::translate_error(bytes, ip, offload, quoted, &outer, &inner);
        let path = Path {
            translation: Translation { source: None, destination: None },
            owner: Some((record.service(), record.server())),
            to_server: direction == Direction::Request,
        };
        self.depart(pass, bytes, offload, ip, &path, hop)
    }
}

/// IPv6's is a message of neighbor discovery.
fn is_redirect(ip: &Ip) -> bool {
    const REDIRECT: u8 = 5;
    let is = |kind| kind == REDIRECT && ip.version == Version::V4;
    matches!(ip.transport, Transport::Icmp(icmp) if is(icmp.kind))
}

/// The key that a packet in answer to the quoted one would have: what its flow is found by.
fn answer_key(quoted: &Quoted) -> Option<FlowKey> {
    Some(FlowKey {
        source: quoted.destination,
        destination: quoted.source,
        source_port: quoted.destination_port?,
        destination_port: quoted.source_port?,
        protocol: quoted.protocol,
    })
}
