//! Fragments: the first decides, later ones follow, early ones wait.

use base::Offload;
use packet::headers::{Headers, Ip, Transport};

use super::{Forwarder, Pass, Path};
use crate::fragments::{DatagramKey, Fate, Orphan};
use crate::tables::Owner;
use crate::verdict::{DropReason, Verdict};

impl Forwarder {
    /// Remembers where the first fragment of a datagram went. Those that wait for it are sent
    /// after the burst's next look at them, see [`Forwarder::resume`].
    pub(super) fn first_fragment(
        &mut self,
        pass: &Pass<'_>,
        ip: &Ip,
        path: &Path,
        verdict: Verdict,
    ) {
        let Some(key) = datagram(ip) else { return };
        if ip.transport == Transport::LaterFragment {
            return;
        }
        let fate = match verdict {
            Verdict::Drop(reason) => Fate::Drop(reason),
            Verdict::Forward { .. }
            | Verdict::Answer
            | Verdict::HandedOver
            | Verdict::Own(_)
            | Verdict::Held(_) => Fate::Follow(*path),
        };
        self.fragments.learn(pass.now, key, fate);
        self.first_fragment_seen = true;
    }

    /// The rest of a datagram shares the end of its first fragment.
    pub(super) fn note_refused_fragment(&mut self, pass: &Pass<'_>, ip: &Ip, verdict: Verdict) {
        let Some(key) = datagram(ip) else { return };
        if ip.transport == Transport::LaterFragment {
            return;
        }
        let reason = match verdict {
            Verdict::Drop(reason) => reason,
            Verdict::Answer => DropReason::NoService,
            Verdict::Forward { .. } | Verdict::HandedOver | Verdict::Own(_) | Verdict::Held(_) => {
                return;
            }
        };
        self.fragments.learn(pass.now, key, Fate::Drop(reason));
        self.first_fragment_seen = true;
    }

    /// The rest of a datagram goes to the box that its first fragment was handed over to.
    pub(super) fn handed_fragment(
        &mut self,
        pass: &Pass<'_>,
        ip: &Ip,
        owner: Owner,
        verdict: Verdict,
    ) {
        let Some(key) = datagram(ip) else { return };
        let fate = match verdict {
            Verdict::Drop(reason) => Fate::Drop(reason),
            Verdict::Forward { .. }
            | Verdict::Answer
            | Verdict::HandedOver
            | Verdict::Own(_)
            | Verdict::Held(_) => Fate::HandOver(owner),
        };
        self.fragments.learn(pass.now, key, fate);
        self.first_fragment_seen = true;
    }

    /// A fragment without ports, from or to a service.
    pub(super) fn later_fragment(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Verdict {
        let Some(key) = datagram(ip) else {
            return Verdict::Drop(DropReason::NoFlow);
        };
        match self.fragments.find(pass.now, &key) {
            Some(Fate::Follow(path)) if path.owner.is_none() => {
                self.transit(pass, bytes, offload, headers, ip)
            }
            Some(Fate::Follow(path)) => self.pass_on(pass, bytes, offload, headers, ip, &path),
            Some(Fate::Drop(reason)) => Verdict::Drop(reason),
            Some(Fate::HandOver(owner)) => self.hand_over(pass, bytes, offload, headers, ip, owner),
            None if pass.origin.held().is_some() => Verdict::Drop(DropReason::FragmentTimeout),
            None => {
                let orphan = Orphan { key, port: pass.id };
                let hold = &mut self.hold;
                match self.fragments.keep(pass.now, hold, bytes, *offload, orphan) {
                    Some(id) => Verdict::Held(id),
                    None => Verdict::Drop(DropReason::HoldFull),
                }
            }
        }
    }
}

fn datagram(ip: &Ip) -> Option<DatagramKey> {
    let fragment = ip.fragment?;
    Some(DatagramKey {
        source: ip.source,
        destination: ip.destination,
        protocol: ip.protocol,
        identification: fragment.identification,
    })
}
