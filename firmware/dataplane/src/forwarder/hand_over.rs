//! Virtual addresses of other boxes: whose they are, and how packets for them get there.
//!
//! Packets for an address that moved come to its old box until every station has learned where it
//! is now, and a server's replies come to the box that has the servers' gateway address, whoever
//! serves the client. Both go one hop further on the same network, to the box that serves the
//! address: only the Ethernet addresses change. A packet that comes from another box of the
//! cluster is never handed over again, so there are no loops.

use base::{Instant, Offload, ServiceId, VipId};
use packet::headers::{Headers, Ip};
use packet::rewrite;

use super::{Forwarder, Pass};
use crate::tables::{Owner, Vip};
use crate::verdict::{DropReason, Verdict};

impl Forwarder {
    /// Whether this node may serve a virtual address now.
    #[inline]
    pub(super) fn may_serve(&self, now: Instant, vip: &Vip) -> bool {
        let lease = self.leases.get(vip.network.index()).copied().unwrap_or(Instant::ZERO);
        vip.owner == Owner::Us && now < lease
    }

    /// Who serves a virtual address if this node does not.
    #[inline]
    pub(super) fn elsewhere_served(&self, pass: &Pass<'_>, id: VipId) -> Option<Owner> {
        let vip = pass.tables.vips.get(id.index())?;
        if self.may_serve(pass.now, vip) {
            return None;
        }
        Some(match vip.owner {
            // Ours, and the lease is over.
            Owner::Us | Owner::Nobody => Owner::Nobody,
            Owner::Peer(place) => Owner::Peer(place),
        })
    }

    /// The same, of the address of a service. A service that was removed has none any more, and
    /// its last flows are served where they are.
    #[inline]
    pub(super) fn served_elsewhere(&self, pass: &Pass<'_>, service: ServiceId) -> Option<Owner> {
        self.elsewhere_served(pass, pass.tables.service(service)?.vip)
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
            Owner::Us | Owner::Nobody => None,
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
