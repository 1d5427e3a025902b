//! Seals what a thread sends and opens what it hears, on the channels that are its own.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use base::{NetworkId, NodeId};
use chacha20poly1305::ChaCha20Poly1305;
use model::limits::CLUSTER_BODY;

use super::header::{Header, OVERHEAD};
use super::window::Window;
use super::{Admission, Identity, Refusal, Secret, Secrets, keys};
use crate::{Channel, Peer};

/// One thread's half of the seal. Two guards of a node must not have a channel in common: each
/// counts its nonces by itself.
pub struct Guard {
    identity: Identity,
    secrets: Secrets,
    channels: Vec<Channel>,
    /// By channel as in `channels`.
    sending: Vec<Sending>,
    /// The nodes of the configuration but ourselves; `None`: not admitted.
    peers: BTreeMap<NodeId, Option<Admitted>>,
}

/// What was opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened<'d> {
    /// Who sealed it.
    pub from: Peer,
    /// On which channel.
    pub channel: Channel,
    /// What it said.
    pub body: &'d [u8],
}

struct Sending {
    key: ChaCha20Poly1305,
    /// The last counter that was used on any network.
    counter: u64,
}

struct Admitted {
    admission: Admission,
    /// For each secret that we accept: its mark, and its keys by channel.
    keys: Vec<(u8, Vec<ChaCha20Poly1305>)>,
    /// By channel, then by network.
    windows: Vec<Vec<Window>>,
}

impl Guard {
    /// The guard of these channels, which knows the nodes `peers` and has admitted none.
    pub fn new(
        identity: Identity,
        secrets: Secrets,
        channels: &[Channel],
        peers: impl IntoIterator<Item = NodeId>,
    ) -> Self {
        let own = identity.node;
        let peers = peers.into_iter().filter(|&node| node != own).map(|node| (node, None));
        let mut guard = Self {
            channels: channels.to_vec(),
            sending: Vec::new(),
            peers: peers.collect(),
            identity,
            secrets,
        };
        guard.sending = guard.sending_keys(|_| 0);
        guard
    }

    /// Appends `body`, sealed for the start of a node that was admitted, on one network, to `out`.
    /// Without effect if none was, the channel is not this guard's, the network not one of the
    /// identity's, or the body longer than [`CLUSTER_BODY`]: nobody would accept it.
    pub fn seal(
        &mut self,
        channel: Channel,
        network: NetworkId,
        to: NodeId,
        body: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Some(place) = self.place(channel) else { return };
        let Some(&tag) = self.identity.networks.get(network.index()) else { return };
        let Some(Some(receiver)) = self.peers.get(&to) else { return };
        if body.len() > CLUSTER_BODY {
            return;
        }
        let sending = &mut self.sending[place];
        sending.counter += 1;
        let header = Header {
            channel: channel as u8,
            key: self.secrets.send.mark(),
            cluster: self.identity.cluster,
            network: tag,
            sender: self.identity.node,
            receiver: to,
            incarnation: self.identity.incarnation,
            counter: sending.counter,
            salt: self.identity.salt,
        };
        let bound = (&header, &receiver.admission.salt);
        keys::seal(&sending.key, &header.nonce().into(), bound, body, out);
    }

    /// Opens a datagram that came from `network`, in place.
    ///
    /// # Errors
    /// Why it was refused; nothing was changed then but the datagram's octets.
    pub fn open<'d>(
        &mut self,
        network: NetworkId,
        datagram: &'d mut [u8],
    ) -> Result<Opened<'d>, Refusal> {
        let header = check(&self.identity, network, datagram)?;
        let own = &self.identity.salt;
        let place = self.channels.iter().position(|&channel| channel as u8 == header.channel);
        let place = place.ok_or(Refusal::Malformed)?;
        let peer = self.peers.get_mut(&header.sender).ok_or(Refusal::UnknownSender)?;
        let peer = peer.as_mut().filter(|peer| peer.admission.is_of(&header));
        let peer = peer.ok_or(Refusal::NotAdmitted)?;
        let window = &mut peer.windows[place][network.index()];
        if !window.is_new(header.counter) {
            return Err(Refusal::Replayed);
        }
        // One secret has this mark, but for one pair of secrets in 256.
        let mut marked = peer.keys.iter().filter(|(mark, _)| *mark == header.key);
        let key = match (marked.next(), marked.next()) {
            (None, _) => return Err(Refusal::UnknownKey),
            (Some((_, keys)), None) => &keys[place],
            (Some((_, first)), Some((_, second))) => {
                let mut copy = datagram.to_vec();
                let opens =
                    keys::open(&first[place], &header.nonce().into(), own, &mut copy).is_ok();
                if opens { &first[place] } else { &second[place] }
            }
        };
        let body = keys::open(key, &header.nonce().into(), own, datagram)?;
        window.accept(header.counter);
        let from = Peer { id: header.sender, incarnation: header.incarnation };
        Ok(Opened { from, channel: self.channels[place], body })
    }

    /// From now on this start of a node counts, and no other. Its windows are new; the same
    /// admission again changes nothing.
    pub fn admit(&mut self, admission: Admission) {
        let keys = self.receiving_keys(&admission);
        let windows = self.channels.iter();
        let windows = windows.map(|_| self.identity.networks.iter().map(|_| Window::default()));
        let windows = windows.map(Iterator::collect).collect();
        let Some(place) = self.peers.get_mut(&admission.node) else { return };
        if place.as_ref().is_none_or(|known| known.admission != admission) {
            *place = Some(Admitted { admission, keys, windows });
        }
    }

    /// Sends and accepts with these secrets from now on. What was admitted stays so, and no
    /// counter begins anew.
    pub fn set_secrets(&mut self, secrets: Secrets) {
        let counters: Vec<u64> = self.sending.iter().map(|sending| sending.counter).collect();
        self.secrets = secrets;
        self.sending = self.sending_keys(|place| counters[place]);
        let admissions = self.peers.values().flatten().map(|peer| peer.admission);
        for admission in admissions.collect::<Vec<_>>() {
            let keys = self.receiving_keys(&admission);
            if let Some(Some(peer)) = self.peers.get_mut(&admission.node) {
                peer.keys = keys;
            }
        }
    }

    /// Knows these nodes from now on. Those that stay keep their admission.
    pub fn set_peers(&mut self, peers: impl IntoIterator<Item = NodeId>) {
        let mut old = core::mem::take(&mut self.peers);
        let own = self.identity.node;
        let peers = peers.into_iter().filter(|&node| node != own);
        self.peers = peers.map(|node| (node, old.remove(&node).flatten())).collect();
    }

    /// Which node seals here.
    pub const fn own(&self) -> NodeId {
        self.identity.node
    }

    /// Which start of a node counts.
    pub fn admitted(&self, node: NodeId) -> Option<Peer> {
        let peer = self.peers.get(&node)?.as_ref()?;
        Some(Peer { id: node, incarnation: peer.admission.incarnation })
    }

    fn place(&self, channel: Channel) -> Option<usize> {
        self.channels.iter().position(|&own| own == channel)
    }

    fn sending_keys(&self, counter: impl Fn(usize) -> u64) -> Vec<Sending> {
        let own = self.identity.admission();
        let channels = self.channels.iter().enumerate();
        let sending = channels.map(|(place, &channel)| Sending {
            key: keys::channel_key(&self.secrets.send, &own, channel as u8),
            counter: counter(place),
        });
        sending.collect()
    }

    fn receiving_keys(&self, from: &Admission) -> Vec<(u8, Vec<ChaCha20Poly1305>)> {
        let of = |secret: &Secret| {
            let channels = self.channels.iter();
            channels.map(|&channel| keys::channel_key(secret, from, channel as u8)).collect()
        };
        self.secrets.accepted().map(|secret| (secret.mark(), of(secret))).collect()
    }
}

/// The header of a datagram that claims to be for us, on this network.
pub(super) fn check(
    identity: &Identity,
    network: NetworkId,
    datagram: &[u8],
) -> Result<Header, Refusal> {
    let header = Header::read(datagram)?;
    if datagram.len() > CLUSTER_BODY + OVERHEAD {
        return Err(Refusal::Malformed);
    }
    if header.cluster != identity.cluster {
        return Err(Refusal::OtherCluster);
    }
    if header.receiver != identity.node || header.sender == identity.node {
        return Err(Refusal::NotForUs);
    }
    if identity.networks.get(network.index()) != Some(&header.network) {
        return Err(Refusal::OtherNetwork);
    }
    Ok(header)
}

impl Admission {
    /// Whether this start of the node sent it.
    fn is_of(&self, header: &Header) -> bool {
        (self.incarnation, self.salt) == (header.incarnation, header.salt)
    }
}

impl Identity {
    fn admission(&self) -> Admission {
        Admission { node: self.node, incarnation: self.incarnation, salt: self.salt }
    }
}
