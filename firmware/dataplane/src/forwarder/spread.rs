//! Virtual addresses that are hotter than one box: the owner gives flows away.
//!
//! The owner of a spread address answers for it, and everything for it comes to its owner first. A
//! pure function of the flow and of the boxes that share the work (`tables/spread.rs`) says which
//! box works on it; what another one works on goes one hop further on the same network, as what
//! comes for a moved address does (`hand_over.rs`). Nothing is remembered about it: the owner's
//! part of the work is one look-up that finds no record, and new Ethernet addresses. The box that
//! works on a flow sends its packets to the server by itself, and the server's to the client. A
//! server's packets come in where the servers' gateway is, and that box asks the same function.
//!
//! A flow that is known, or was copied, is served where it is known, whatever the function says. So
//! the connections that the owner had when the address was spread stay with it. When the function
//! changes, the box that it names now goes on with a connection in its middle, with the same
//! server, as a box does that takes an address over. Of a flow whose server is not the one that the
//! selection function names nobody can say where it is: every box gets the server's packets, and
//! the one whose flow it is knows it.

use base::{FlowKey, Mac, Offload, ServerId, ServiceId, VipId};
use packet::headers::{Headers, Ip};

use super::{Forwarder, Pass};
use crate::tables::{Owner, ReplyMatch, Tables};
use crate::verdict::Verdict;

/// Where a server's packet belongs that no flow of ours knows.
pub(super) enum Whose {
    /// It is for this box.
    Ours,
    /// It is for another box.
    Of(Owner),
    /// Nobody can say: it is for whoever knows its flow.
    Anybodys,
}

impl Forwarder {
    /// Gives the packet of a client that no flow of ours knows to the box that works on its flow.
    /// `None`: that is this one, the address is not spread, or we are not its owner.
    pub(super) fn spread(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        vip: VipId,
    ) -> Option<Verdict> {
        let key = ip.flow_key()?;
        let worker = self.worker_of(pass, vip, headers.source, &key)?;
        if pass.tables.copies.by_request(&key).is_some() {
            return None;
        }
        let verdict = self.hand_over(pass, bytes, offload, headers, ip, worker);
        self.handed_fragment(pass, ip, worker, verdict);
        Some(verdict)
    }

    /// The other box that works on the flow of a client's packet, which came to us as the owner
    /// from outside the cluster.
    #[inline]
    pub(super) fn worker_of(
        &self,
        pass: &Pass<'_>,
        id: VipId,
        source: Mac,
        request: &FlowKey,
    ) -> Option<Owner> {
        let spread = pass.tables.spread(id)?;
        let vip = pass.tables.vips.get(id.index())?;
        if !self.may_serve(pass.now, vip) || pass.tables.is_peer(pass.port.network, source) {
            return None;
        }
        spread.worker(request).filter(|worker| is_heard(pass, *worker))
    }

    /// Where a server's packet belongs that no flow of ours knows.
    pub(super) fn whose_reply(
        &self,
        pass: &Pass<'_>,
        headers: &Headers,
        key: &FlowKey,
        found: ReplyMatch,
    ) -> Whose {
        let ReplyMatch::One { service, server, port } = found else { return Whose::Anybodys };
        let of = (service, server, port);
        if let Some(whose) = self.whose_spread_reply(pass, headers.source, key, of) {
            return whose;
        }
        match self.served_elsewhere(pass, service, headers.source, false) {
            Some(owner) => Whose::Of(owner),
            None => Whose::Ours,
        }
    }

    /// The same of a spread address. `None`: it is not spread, or another box says that it is ours.
    fn whose_spread_reply(
        &self,
        pass: &Pass<'_>,
        source: Mac,
        key: &FlowKey,
        (service, server, port): (ServiceId, ServerId, u16),
    ) -> Option<Whose> {
        let tables = pass.tables;
        let id = tables.service(service)?.vip;
        let spread = tables.spread(id)?;
        if tables.is_peer(pass.port.network, source) {
            return None;
        }
        let request = request_of(tables, key, service, port)?;
        if tables.choose(service, &request, 0) != Some(server) {
            return Some(Whose::Anybodys);
        }
        let worker = spread.worker(&request)?;
        if worker == Owner::Us && self.may_work(pass.now, tables.vips.get(id.index())?) {
            return Some(Whose::Ours);
        }
        is_heard(pass, worker).then_some(Whose::Of(worker))
    }
}

/// The key of the client's packets whose server answers with such a packet.
pub(super) fn request_of(
    tables: &Tables,
    reply: &FlowKey,
    service: ServiceId,
    port: u16,
) -> Option<FlowKey> {
    let vip = tables.vips.get(tables.service(service)?.vip.index())?;
    Some(FlowKey {
        source: reply.destination,
        destination: vip.address,
        source_port: reply.destination_port,
        destination_port: port,
        protocol: reply.protocol,
    })
}

/// Whether it is another box, which is heard where the packet came in.
fn is_heard(pass: &Pass<'_>, worker: Owner) -> bool {
    let Owner::Peer(place) = worker else { return false };
    let peer = pass.tables.peers.get(usize::from(place));
    peer.is_some_and(|peer| peer.station(pass.port.network).is_some())
}
