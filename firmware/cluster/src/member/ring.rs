//! The token's way from member to member.
//!
//! ```text
//!               the whole token came, and is newer
//!   Elsewhere ──────────────────────────────────────► Holding
//!       ▲                                               │ done, and held long enough
//!       │   its receiver has it                         ▼
//!       └─────────────────────────────────────────── Passing ──┐ no answer: again, on every
//!                                                       ▲──────┘ network and through others
//! ```
//!
//! A token that was passed to somebody is never passed to anybody else: whether it arrived cannot
//! be known. If its receiver fails, a view without it takes the token's place.

use super::Cluster;
use super::sight::micros;
use crate::wire::{self, Token, TokenMessage};
use crate::{Channel, NodeSet, Peer, ViewId};
use alloc::vec::Vec;
use base::Instant;
use base::time::Duration;
use model::limits::{CLUSTER_BODY, TOKEN_PARTS};

/// Octets of a token in one message: what its envelope leaves.
const PART_OCTETS: usize = CLUSTER_BODY - 64;
/// Less often than this the token does not move, even when there is nothing to do, so that a
/// rotation of the largest ring takes half of the time after which it is missed.
const ROTATION: Duration = Duration::from_millis(120);
/// Between two passes while something is under way.
const HURRY: Duration = Duration::from_millis(1);

/// Where the token is, as far as we know.
#[derive(Clone, Debug)]
pub enum Possession {
    /// With somebody else.
    Elsewhere,
    /// Here.
    Holding {
        token: Token,
        /// When it may be passed.
        until: Instant,
    },
    /// On its way to somebody.
    Passing {
        token: Token,
        to: Peer,
        /// When it is sent again.
        again: Instant,
        tries: u32,
    },
}

/// The pieces of a token that have come.
#[derive(Clone, Debug)]
pub struct Assembly {
    view: ViewId,
    seq: u64,
    parts: Vec<Option<Vec<u8>>>,
}

impl Cluster {
    /// Takes a message about a token.
    pub(super) fn handle_token(&mut self, from: Peer, message: TokenMessage) {
        match message {
            TokenMessage::Part { view, seq, index, count, bytes } => {
                self.take_part(from, view, seq, (index, count), bytes);
            }
            TokenMessage::Ack { view, seq, lacks } => self.take_ack(from, view, seq, lacks),
        }
    }

    fn take_part(
        &mut self,
        from: Peer,
        view: ViewId,
        seq: u64,
        (index, count): (u8, u8),
        bytes: Vec<u8>,
    ) {
        let ours = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        if view == ours && seq <= self.seen {
            // Its sender does not know that it arrived.
            self.acknowledge(from, view, seq, false);
            return;
        }
        if view < ours
            || view < self.promise.id
            || usize::from(count) > TOKEN_PARTS
            || index >= count
        {
            return;
        }
        let same = self.assembly.as_ref().is_some_and(|known| {
            (known.view, known.seq, known.parts.len()) == (view, seq, count.into())
        });
        if !same {
            let older =
                self.assembly.as_ref().is_some_and(|known| (known.view, known.seq) > (view, seq));
            if older {
                return;
            }
            self.assembly = Some(Assembly { view, seq, parts: alloc::vec![None; count.into()] });
        }
        let Some(assembly) = &mut self.assembly else { return };
        assembly.parts[usize::from(index)] = Some(bytes);
        if assembly.parts.iter().any(Option::is_none) {
            return;
        }
        let bytes: Vec<u8> = assembly.parts.drain(..).flatten().flatten().collect();
        self.assembly = None;
        if let Ok(token) = wire::decode::<Token>(&bytes)
            && (token.view, token.seq) == (view, seq)
        {
            self.accept(from, token);
        }
    }

    /// Takes a token that came whole and is newer than what passed here.
    fn accept(&mut self, from: Peer, token: Token) {
        let installed = self.view.as_ref().map_or(ViewId::NONE, |view| view.id);
        // A view that we did not consent to would find us in another that still lives.
        // One that we have left is over.
        let next = token.view == self.promise.id && token.view > self.entered;
        let consented = token.view == installed || next;
        if !token.members.contains(&self.own) || !token.members.contains(&from) || !consented {
            return;
        }
        if !self.can_obey(token.document) {
            return self.documents.want(token.document, from.id);
        }
        let stale = installed != token.view || self.changed != token.changed;
        if stale && token.table.is_none() {
            self.acknowledge(from, token.view, token.seq, true);
            return;
        }
        self.acknowledge(from, token.view, token.seq, false);
        self.take(token);
    }

    /// The token is here, and what it says holds.
    pub(super) fn take(&mut self, mut token: Token) {
        let now = self.clock;
        self.seen = token.seq;
        self.token_at = now;
        self.lease = Duration::from_micros(token.lease.into());
        self.patience = Duration::from_micros(token.patience.into());
        self.fence = self.fence.max(now + Duration::from_micros(token.fence.into()));
        self.drained = token.drained;
        let renumbered = self.obey_document(&token);
        if let Some(table) = token.table.take().filter(|table| table.len() == self.groups.len()) {
            self.table = table;
            self.changed = token.changed;
        }
        let fresh = self.view.as_ref().is_none_or(|view| view.id != token.view);
        if fresh {
            self.enter(token.view, &token.members);
        }
        self.reconcile();
        if renumbered {
            self.restate();
        }
        self.permit(fresh);
        if fresh {
            self.announce_all();
        }
        self.possession = Possession::Holding { token, until: now };
        self.work();
        self.set_hold();
    }

    /// How long the token stays here.
    pub(super) fn set_hold(&mut self) {
        let hurry = self.in_hurry();
        let now = self.clock;
        let count = u32::try_from(self.members().len()).unwrap_or(1).max(1);
        let rest = (self.pace.interval / 2).min(ROTATION / count);
        if let Possession::Holding { token, until } = &mut self.possession {
            let spreading = token.seq - token.changed < 2 * u64::from(count);
            *until = match (spreading && count > 1, hurry) {
                (true, _) => now,
                (false, true) => now + HURRY.min(rest),
                (false, false) => now + rest,
            };
        }
    }

    /// Passes the token, if it has been held long enough and nothing keeps it.
    pub(super) fn pass_if_due(&mut self) {
        let now = self.clock;
        let Possession::Holding { token, until } = &self.possession else { return };
        if *until > now || self.campaign.is_some() || self.unfinished() {
            return;
        }
        let obeyed = self.report.as_ref().map_or(0, |report| report.obeyed);
        if self.settling_until().is_some_and(|until| until > now) || obeyed < self.shortened {
            return;
        }
        let Some(next) = successor(&token.members, self.own) else {
            // Alone: the token comes back at once.
            let mut token = token.clone();
            token.seq += 1;
            token.table = Some(self.table.clone());
            self.take(token);
            return;
        };
        let mut token = token.clone();
        token.seq += 1;
        token.fence = micros(self.fence.since(now));
        self.seen = token.seq;
        self.possession = Possession::Passing { token, to: next, again: now, tries: 0 };
        self.transmit_token(false);
    }

    /// Sends the token that is being passed.
    fn transmit_token(&mut self, lacks: bool) {
        let now = self.clock;
        let interval = self.pace.interval;
        let recent = 2 * self.members().len() as u64;
        let Possession::Passing { token, to, again, tries } = &mut self.possession else { return };
        *tries += 1;
        *again = now + (interval / 4) * (*tries).min(4);
        let insist = *tries > 1;
        let (to, seq, view) = (to.id, token.seq, token.view);
        let table = (lacks || seq - token.changed <= recent).then(|| self.table.clone());
        let token = Token { table, ..token.clone() };
        let Ok(bytes) = postcard::to_allocvec(&token) else { return };
        let count = u8::try_from(bytes.len().div_ceil(PART_OCTETS)).unwrap_or(u8::MAX);
        for (index, bytes) in (0..).zip(bytes.chunks(PART_OCTETS)) {
            let message = TokenMessage::Part { view, seq, index, count, bytes: bytes.to_vec() };
            self.post(to, Channel::Token, message, insist);
        }
    }

    /// Sends the token again that has not been acknowledged.
    pub(super) fn pass_again(&mut self) {
        let now = self.clock;
        if self.unfinished() {
            return;
        }
        let Possession::Passing { token, again, .. } = &self.possession else { return };
        let (view, seq) = (token.view, token.seq);
        let peers = self.report.iter().flat_map(|report| &report.peers);
        // Who says that it passed there, says that it arrived.
        let mut peers = peers.filter(|sight| sight.said.view == view);
        let arrived = peers.any(|sight| sight.said.token >= seq);
        let again = *again;
        if arrived {
            self.possession = Possession::Elsewhere;
        } else if again <= now {
            self.transmit_token(false);
        }
    }

    fn take_ack(&mut self, from: Peer, view: ViewId, seq: u64, lacks: bool) {
        let Possession::Passing { token, to, .. } = &self.possession else { return };
        if (token.view, token.seq, *to) != (view, seq, from) {
            return;
        }
        if lacks {
            self.transmit_token(true);
        } else {
            self.possession = Possession::Elsewhere;
            self.token_at = self.clock;
        }
    }

    fn acknowledge(&mut self, to: Peer, view: ViewId, seq: u64, lacks: bool) {
        self.post(to.id, Channel::Token, TokenMessage::Ack { view, seq, lacks }, false);
    }

    /// Something is under way that waits for the token.
    fn in_hurry(&self) -> bool {
        let missing = self.report.iter().flat_map(|report| &report.peers).any(|sight| {
            self.members().contains(sight.peer.id) && sight.presence != crate::Presence::Heard
        });
        let Possession::Holding { token, .. } = &self.possession else { return missing };
        missing || !token.wishes.is_empty() || token.draft.is_some() || self.any_closed()
    }

    /// A member that owns something has a closed gate: a token may open it, or take from it.
    fn any_closed(&self) -> bool {
        let owned = self.table.iter().enumerate();
        let members = self.members();
        let mut closed = owned.filter(|(_, entry)| members.contains(entry.owner));
        closed.any(|(group, entry)| !self.open(entry.owner, group))
    }

    /// Whether we hold the token or pass it to somebody.
    pub(super) const fn holds(&self) -> bool {
        match self.possession {
            Possession::Elsewhere => false,
            Possession::Holding { .. } | Possession::Passing { .. } => true,
        }
    }

    /// Whether we have consented to a view that has not come: until then the old token is dead.
    pub(super) fn unfinished(&self) -> bool {
        self.promise.id > self.entered
    }

    /// Whom the token was passed to, while that is not known to have it.
    pub(super) fn receiver(&self) -> NodeSet {
        match &self.possession {
            Possession::Passing { to, .. } => NodeSet::EMPTY.with(to.id),
            Possession::Elsewhere | Possession::Holding { .. } => NodeSet::EMPTY,
        }
    }
}

/// Who comes after a member in the ring; nobody if it is alone.
fn successor(members: &[Peer], own: Peer) -> Option<Peer> {
    let at = members.iter().position(|member| *member == own)?;
    let next = members[(at + 1) % members.len()];
    (next != own).then_some(next)
}
