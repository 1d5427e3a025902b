//! How nodes get to know each other's starts: greetings with a challenge.
//!
//! ```text
//!      A                                          B
//!      │ ── greeting: challenge a, asks ────────> │  authentic, but perhaps a recording
//!      │ <──────── greeting: echo a, challenge b, asks
//!      │  B lives: admitted                       │
//!      │ ── greeting: echo b ───────────────────> │  A lives: admitted
//! ```
//!
//! A challenge is the receiver's salt and a number of its own that is used up by the echo: an echo
//! is never right twice. All greetings have one length, so that an answer is never longer than
//! what asked for it, and what does not ask is not answered, so that two nodes do not greet for
//! ever. Whoever drives a [`Greeter`] sends [`Greeter::greet`] now and then to peers that are not
//! admitted or seem not to have admitted us.
//!
//! A greeting also says the highest incarnation of the other's earlier starts that its sender has
//! known. A node
//! that has lost what it stored, and so began with an incarnation that it had before, hears it
//! and starts again above it ([`Greeting::Outrun`]): incarnations of a node only grow.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use base::{NetworkId, NodeId};
use chacha20poly1305::XChaCha20Poly1305;

use super::guard::check;
use super::header::Header;
use super::{Admission, Identity, Refusal, Salt, Secrets, keys};
use crate::Incarnation;

/// The channel of greetings in headers, beside those of [`crate::Channel`].
pub const CHANNEL: u8 = 0x80;

/// Octets of a greeting's body.
const BODY: usize = 38;

/// Whether a datagram is a greeting, so that it goes to a [`Greeter`] and not to a
/// [`super::Guard`]. It need not be authentic.
pub fn is_greeting(datagram: &[u8]) -> bool {
    datagram.get(1) == Some(&CHANNEL)
}

/// Which node a datagram claims to be from, which is where an answer goes. It need not be
/// authentic.
pub fn sender(datagram: &[u8]) -> Option<NodeId> {
    Header::read(datagram).ok().map(|header| header.sender)
}

/// Greets, and judges greetings.
pub struct Greeter {
    identity: Identity,
    /// For each secret that we accept, the one that we send with first: its mark and its key.
    keys: Vec<(u8, XChaCha20Poly1305)>,
    counter: u64,
    peers: BTreeMap<NodeId, Known>,
}

/// What a greeting led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Nothing.
    Heard,
    /// This start of its sender lives. It is for every [`super::Guard`] of this node.
    Admitted(Admission),
    /// The sender has known a start of ours with this incarnation, ours is not higher, and it is
    /// no recording: we must start again with a higher one.
    Outrun(Incarnation),
}

/// What we know of a peer.
#[derive(Clone, Copy, Default)]
struct Known {
    admission: Option<Admission>,
    /// The highest incarnation that was admitted.
    highest: Incarnation,
    /// The challenge that the peer has to repeat; the next one once it has. Begins at 1.
    used: u64,
}

impl Known {
    const fn challenge(&self) -> u64 {
        self.used + 1
    }
}

/// What a greeting says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Body {
    /// For the receiver to repeat, with the sender's salt.
    challenge: u64,
    /// The receiver's salt and challenge, repeated; zeros: not known.
    echo: (Salt, u64),
    /// The highest incarnation of the receiver that the sender has admitted, other than the one
    /// that it speaks to; 0: none.
    known: Incarnation,
    /// The sender has not admitted the receiver, and wants an echo.
    asks: bool,
}

impl Greeter {
    /// A greeter that knows the nodes `peers` and has admitted none.
    pub fn new(
        identity: Identity,
        secrets: &Secrets,
        peers: impl IntoIterator<Item = NodeId>,
    ) -> Self {
        let own = identity.node;
        let peers = peers.into_iter().filter(|&node| node != own);
        Self {
            keys: greeting_keys(secrets),
            peers: peers.map(|node| (node, Known::default())).collect(),
            counter: 0,
            identity,
        }
    }

    /// Appends a greeting for `to` on `network` to `out`. Without effect for unknown nodes and
    /// networks.
    pub fn greet(&mut self, network: NetworkId, to: NodeId, out: &mut Vec<u8>) {
        self.write(network, to, (Salt::default(), 0), out);
    }

    /// Judges a greeting that came from `network`; an answer, if it asks for one, is appended to
    /// `answer`.
    ///
    /// # Errors
    /// Why it was refused; nothing was changed then but the datagram's octets.
    pub fn handle(
        &mut self,
        network: NetworkId,
        datagram: &mut [u8],
        answer: &mut Vec<u8>,
    ) -> Result<Greeting, Refusal> {
        let header = check(&self.identity, network, datagram)?;
        if !self.peers.contains_key(&header.sender) {
            return Err(Refusal::UnknownSender);
        }
        let body = self.open(&header, datagram)?;
        let Some(peer) = self.peers.get_mut(&header.sender) else {
            return Err(Refusal::UnknownSender);
        };
        let start =
            Admission { node: header.sender, incarnation: header.incarnation, salt: header.salt };
        let lives = body.echo == (self.identity.salt, peer.challenge());
        let mut result = Greeting::Heard;
        if lives && body.known >= self.identity.incarnation {
            result = Greeting::Outrun(body.known);
        } else if lives && (header.incarnation > peer.highest || peer.is_admitted(&start)) {
            peer.used += 1;
            peer.highest = header.incarnation;
            peer.admission = Some(start);
            result = Greeting::Admitted(start);
        }
        // This start of ours has no future once it was outrun: answering it would go on for ever.
        if body.asks && !matches!(result, Greeting::Outrun(_)) {
            self.write(network, header.sender, (header.salt, body.challenge), answer);
        }
        Ok(result)
    }

    /// Seals and accepts with these secrets from now on.
    pub fn set_secrets(&mut self, secrets: &Secrets) {
        self.keys = greeting_keys(secrets);
    }

    /// Knows these nodes from now on. Those that stay keep what is known of them.
    pub fn set_peers(&mut self, peers: impl IntoIterator<Item = NodeId>) {
        let mut old = core::mem::take(&mut self.peers);
        let own = self.identity.node;
        let peers = peers.into_iter().filter(|&node| node != own);
        self.peers = peers.map(|node| (node, old.remove(&node).unwrap_or_default())).collect();
    }

    fn write(&mut self, network: NetworkId, to: NodeId, echo: (Salt, u64), out: &mut Vec<u8>) {
        let Some(&tag) = self.identity.networks.get(network.index()) else { return };
        let Some(peer) = self.peers.get(&to) else { return };
        let Some((mark, key)) = self.keys.first() else { return };
        self.counter += 1;
        let header = Header {
            channel: CHANNEL,
            key: *mark,
            cluster: self.identity.cluster,
            network: tag,
            sender: self.identity.node,
            receiver: to,
            incarnation: self.identity.incarnation,
            counter: self.counter,
            salt: self.identity.salt,
        };
        let admitted = peer.admission.is_some_and(|known| known.salt == echo.0);
        let body = Body {
            challenge: peer.challenge(),
            echo,
            known: if admitted { Incarnation(0) } else { peer.highest },
            asks: !admitted,
        };
        // Nobody's salt is known to be right yet.
        keys::seal(
            key,
            &header.long_nonce().into(),
            (&header, &Salt::default()),
            &body.write(),
            out,
        );
    }

    fn open(&self, header: &Header, datagram: &mut [u8]) -> Result<Body, Refusal> {
        let mut refusal = Refusal::UnknownKey;
        for (_, key) in self.keys.iter().filter(|(mark, _)| *mark == header.key) {
            // A copy: a second secret may have the same mark.
            let mut copy = [0; super::OVERHEAD + BODY];
            if copy.len() != datagram.len() {
                return Err(Refusal::Malformed);
            }
            copy.copy_from_slice(datagram);
            match keys::open(key, &header.long_nonce().into(), &Salt::default(), &mut copy) {
                Ok(body) => return Body::read(body).ok_or(Refusal::Malformed),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

impl Known {
    fn is_admitted(&self, start: &Admission) -> bool {
        self.admission.as_ref() == Some(start)
    }
}

impl Body {
    fn write(&self) -> [u8; BODY] {
        let mut octets = [0; BODY];
        octets[..8].copy_from_slice(&self.challenge.to_be_bytes());
        octets[8..24].copy_from_slice(&self.echo.0);
        octets[24..32].copy_from_slice(&self.echo.1.to_be_bytes());
        octets[32..36].copy_from_slice(&self.known.0.to_be_bytes());
        octets[36] = u8::from(self.asks);
        octets
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let octets = octets.first_chunk::<BODY>()?;
        let number =
            |at: usize| u64::from_be_bytes(core::array::from_fn(|index| octets[at + index]));
        Some(Self {
            challenge: number(0),
            echo: (core::array::from_fn(|index| octets[8 + index]), number(24)),
            known: Incarnation(u32::from_be_bytes(core::array::from_fn(|index| {
                octets[32 + index]
            }))),
            asks: octets[36] != 0,
        })
    }
}

fn greeting_keys(secrets: &Secrets) -> Vec<(u8, XChaCha20Poly1305)> {
    secrets.accepted().map(|secret| (secret.mark(), keys::greeting_key(secret))).collect()
}
