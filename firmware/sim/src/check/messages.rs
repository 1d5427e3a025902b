//! authentic, token-unique and no-self-harm: what was sent, opened and concluded.

use super::Checks;
use crate::network::frame::{Content, Datagram};
use crate::node::life::id;
use crate::node::sealing::Refusal;
use base::Instant;
use cluster::wire::{self, Routed, Token, TokenMessage};
use cluster::{Channel, Peer, Presence, Report, Transmit};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

/// What was sealed by whom, and who has opened it.
#[derive(Debug, Default)]
pub(super) struct Seals {
    /// Digests of everything that nodes sealed.
    sealed: HashMap<u64, usize>,
    /// Digests of what was accepted, with who accepted it, ever.
    accepted: HashSet<(u64, usize)>,
}

impl Checks {
    /// A node sends a datagram.
    pub fn sealed(&mut self, datagram: &Datagram) {
        self.datagrams += 1;
        let octets = match &datagram.content {
            Content::Plain { body, .. } => body,
            Content::Sealed(octets) => {
                self.seals.sealed.insert(digest(octets), datagram.from);
                octets
            }
        };
        self.octets += u64::try_from(octets.len()).unwrap_or(0);
    }

    /// A node sends a message of its control thread.
    ///
    /// **token-unique**: of all tokens of one view, no two have the same number: whoever passes
    /// one on has received the one before, and nobody else has.
    pub fn sends(&mut self, now: u64, node: usize, transmit: &Transmit) {
        if transmit.channel != Channel::Token {
            return;
        }
        let Ok(message) = wire::decode::<Routed<TokenMessage>>(&transmit.body) else { return };
        let TokenMessage::Part { view, seq, count, bytes, .. } = &message.message else { return };
        if message.origin.id != id(node) {
            return;
        }
        if *count == 1
            && let Ok(token) = wire::decode::<Token>(bytes)
        {
            self.names_document(now, &token);
        }
        let known = *self.tokens.entry((*view, *seq)).or_insert(message.origin);
        if known != message.origin {
            self.fail(now, "token-unique", || {
                format!(
                    "{} passes on token {seq} of view {view}, and so did {}",
                    message.origin, known
                )
            });
        }
    }

    /// **config**: a token names one document, and in a view it changes only where the token says
    /// that it was committed.
    fn names_document(&mut self, now: u64, token: &Token) {
        let Token { view, seq, document, committed, .. } = token;
        let known = *self.documents.entry((*view, *seq)).or_insert(*document);
        let before = seq.checked_sub(1).and_then(|last| self.documents.get(&(*view, last)));
        // Committed by its sender: the number of the token that came to it.
        let moved = before.is_some_and(|before| before != document) && committed + 1 != *seq;
        if known != *document || moved {
            self.fail(now, "config", || {
                format!("token {seq} of view {view} names document {document}, before {known}")
            });
        }
    }

    /// A node opens a datagram, or refuses it. Returns what it goes on with.
    ///
    /// **authentic**: what is accepted was sealed by the node that it claims to be from, octet by
    /// octet, and no node accepts it twice, not even after it was started again.
    pub fn opened(
        &mut self,
        now: u64,
        node: usize,
        datagram: &Datagram,
        opened: Result<Option<(Peer, Channel, Vec<u8>)>, Refusal>,
    ) -> Option<(Peer, Channel, Vec<u8>)> {
        let opened = opened.ok()??;
        let Content::Sealed(octets) = &datagram.content else { return Some(opened) };
        self.note_heard(now, datagram.from, node);
        let digest = digest(octets);
        let claimed = usize::from(opened.0.id.0).checked_sub(1);
        if self.seals.sealed.get(&digest).copied() != claimed {
            self.fail(now, "authentic", || {
                format!("n{} accepts a datagram that {} never sealed", node + 1, opened.0)
            });
        } else if !self.seals.accepted.insert((digest, node)) {
            self.fail(now, "authentic", || {
                format!("n{} accepts a datagram of {} twice", node + 1, opened.0)
            });
        }
        Some(opened)
    }

    /// The kernel of a node received a datagram in clear, of the start of another that runs.
    /// One that was overtaken on its way says nothing new.
    pub fn received(
        &mut self,
        now: u64,
        node: usize,
        (from, sent): (usize, u64),
        stamp: Option<Instant>,
    ) {
        self.note_heard(now, from, node);
        let overtaken = sent <= self.stamps[from * self.nodes + node].0;
        if let Some(stamp) = stamp.filter(|_| !overtaken) {
            self.stamps[from * self.nodes + node] = (sent, stamp);
        }
    }

    /// A node is switched on, and its clock begins anew.
    pub fn boots(&mut self, node: usize, peer: Peer) {
        // A start that has forgotten which one it is may give the names of views once more.
        self.views.retain(|view, _| view.proposer != peer);
        self.tokens.retain(|(view, _), _| view.proposer != peer);
        self.documents.retain(|(view, _), _| view.proposer != peer);
        for record in &mut self.vips {
            record.obeyed.retain(|(generation, _)| generation.view.proposer != peer);
        }
        for from in 0..self.nodes {
            self.stamps[from * self.nodes + node] = (0, Instant::ZERO);
        }
    }

    /// A node's pulse reports what it sees.
    ///
    /// **no-self-harm**: whom it calls silent, it has not heard for the profile's suspicion time
    /// by the time stamps of its own kernel, whether it looked at them or not.
    pub fn accuses(&mut self, now: u64, node: usize, clock: Instant, report: &Report) {
        for sight in &report.peers {
            let accused = usize::from(sight.peer.id.0).saturating_sub(1);
            if sight.presence != Presence::Silent || accused >= self.nodes || self.sealed {
                continue;
            }
            let (_, heard) = self.stamps[accused * self.nodes + node];
            if heard != Instant::ZERO && clock.since(heard) < self.floor {
                self.fail(now, "no-self-harm", || {
                    format!(
                        "n{} calls {} silent, from which its kernel had a heartbeat {:?} ago",
                        node + 1,
                        sight.peer,
                        clock.since(heard)
                    )
                });
            }
        }
    }
}

fn digest(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    octets.hash(&mut hasher);
    hasher.finish()
}
