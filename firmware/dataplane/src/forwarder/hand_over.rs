//! Virtual addresses of other boxes: whose they are, and how packets for them get there.
//!
//! Packets for an address that moved come to its old box until every station has learned where it
//! is now, and a server's replies come to the box that has the servers' gateway address, whoever
//! serves the client. Both go one hop further on the same network, to the box that serves the
//! address: only the Ethernet addresses change. A packet that comes from another box of the
//! cluster is never handed over again, so there are no loops: where its flow is known it is served,
//! as both boxes may have to do that while an address moves.

use base::{Instant, Mac, Offload, ServiceId, VipId};
use model::limits::{OUTPUT_ARENA_SMALL, OUTPUT_SMALL_FRAME};
use packet::headers::{Headers, Ip};
use packet::rewrite;

use super::{Forwarder, Pass, datagram_end, emit};
use crate::tables::{Owner, Vip};
use crate::verdict::{DropReason, Verdict};

impl Forwarder {
    /// Whether this node answers for a virtual address now.
    #[inline]
    pub(super) fn may_serve(&self, now: Instant, vip: &Vip) -> bool {
        vip.owner == Owner::Us && self.has_lease(now, vip)
    }

    /// Whether this node works on flows of a virtual address that is spread, whoever owns it.
    #[inline]
    pub(super) fn may_work(&self, now: Instant, vip: &Vip) -> bool {
        vip.works && self.has_lease(now, vip)
    }

    fn has_lease(&self, now: Instant, vip: &Vip) -> bool {
        self.leases.get(vip.network.index()).is_some_and(|&until| now < until)
    }

    /// Who serves what came from the station `source` for a virtual address, if this node does
    /// not. `known`: a flow of ours knows it.
    #[inline]
    pub(super) fn elsewhere_served(
        &self,
        pass: &Pass<'_>,
        id: VipId,
        source: Mac,
        known: bool,
    ) -> Option<Owner> {
        let vip = pass.tables.vips.get(id.index())?;
        if self.may_serve(pass.now, vip) || known && self.may_work(pass.now, vip) {
            return None;
        }
        self.handed_to_us(pass, vip, source, known)
    }

    /// The seldom rest of [`Self::elsewhere_served`].
    #[cold]
    fn handed_to_us(&self, pass: &Pass<'_>, vip: &Vip, source: Mac, known: bool) -> Option<Owner> {
        let network = pass.port.network;
        if !self.has_lease(pass.now, vip) {
            return Some(match vip.owner {
                // Ours, and the lease is over.
                Owner::Us | Owner::Nobody => Owner::Nobody,
                Owner::Peer(place) | Owner::Coming(place) => Owner::Peer(place),
            });
        }
        if (known || vip.works) && pass.tables.is_peer(network, source) {
            return None;
        }
        match vip.owner {
            Owner::Us | Owner::Nobody => Some(Owner::Nobody),
            Owner::Peer(place) => Some(Owner::Peer(place)),
            Owner::Coming(place) => {
                let old = pass.tables.peers.get(usize::from(place));
                let by_it = old.and_then(|peer| peer.station(network)) == Some(source);
                (!by_it).then_some(Owner::Peer(place))
            }
        }
    }

    /// The same, of the address of a service. A service that was removed has none any more, and
    /// its last flows are served where they are.
    #[inline]
    pub(super) fn served_elsewhere(
        &self,
        pass: &Pass<'_>,
        service: ServiceId,
        source: Mac,
        known: bool,
    ) -> Option<Owner> {
        self.elsewhere_served(pass, pass.tables.service(service)?.vip, source, known)
    }

    /// Passes on a reply of which nobody can say whose client it is for, because its server's port
    /// belongs to several services: every box that serves a virtual address gets it, and the one
    /// whose flow it is knows it. `None`: there is no such box, or one of them passed it to us.
    pub(super) fn hand_to_all(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Option<Verdict> {
        let network = pass.port.network;
        if pass.tables.is_peer(network, headers.source) {
            return None;
        }
        let end = datagram_end(ip, bytes);
        let mut last = None;
        for (place, peer) in pass.tables.peers.iter().enumerate() {
            let place = u16::try_from(place).ok()?;
            let Some(station) = peer.station(network) else { continue };
            let at = Owner::Peer(place);
            let mut spreads = pass.tables.spreads.iter().flatten();
            // Until an address has come to us its old box serves it.
            let serves = |vip: &Vip| vip.owner == at || vip.owner == Owner::Coming(place);
            let owns = pass.tables.vips.iter().any(serves);
            if !owns && !spreads.any(|spread| spread.has(at)) {
                continue;
            }
            if let Some((_, before)) = last.replace((place, station)) {
                // A large one is sent again by its server; it must not cost many small ones theirs.
                let spared = if end > OUTPUT_SMALL_FRAME { OUTPUT_ARENA_SMALL } else { 0 };
                if !pass.out.has_room(end + spared) {
                    continue;
                }
                rewrite::set_ethernet(bytes, before, pass.port.mac);
                let offload = *offload;
                pass.out.generate_with(pass.id, |out| emit::copy(out, &bytes[..end], offload));
            }
        }
        let (place, _) = last?;
        let owner = Owner::Peer(place);
        let verdict = self.hand_over(pass, bytes, offload, headers, ip, owner);
        Some(verdict)
    }

    /// Passes a packet on to the box that serves its virtual address.
    pub(super) fn hand_over(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        owner: Owner,
    ) -> Verdict {
        let network = pass.port.network;
        let peer = match owner {
            Owner::Peer(place) => pass.tables.peers.get(usize::from(place)),
            Owner::Us | Owner::Coming(_) | Owner::Nobody => None,
        };
        let station = peer.and_then(|peer| peer.station(network));
        let Some(station) = station.filter(|_| !pass.tables.is_peer(network, headers.source))
        else {
            return Verdict::Drop(DropReason::NotServing);
        };
        rewrite::set_ethernet(bytes, station, pass.port.mac);
        self.leave(pass, bytes, offload, ip, pass.id, Verdict::HandedOver)
    }
}
