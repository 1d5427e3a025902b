//! What nodes tell each other: the bodies of sealed datagrams, encoded with postcard.
//!
//! Decoding never panics, and what it allocates is bounded by the octets that came. Golden bytes
//! at the end of the file pin each message.

use crate::config::{DocumentId, Draft};
use crate::identity::node_id;
use crate::{NodeSet, OwnershipGeneration, Peer, Reason, ViewId};
use alloc::vec::Vec;
use base::NodeId;
use model::limits::CLUSTER_BODY;
use serde::{Deserialize, Serialize};

/// What a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// In no view, and wants to be in one.
    #[default]
    Outside,
    /// In a view.
    Member,
    /// In a view, and wants to be in none.
    Leaving,
}

/// How well a node is reached on one network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reach {
    /// Nobody shows that what the node sends there arrives.
    #[default]
    Nobody,
    /// A witness answers it there.
    Witness,
    /// A peer echoes what it sends there.
    Peers,
}

/// A network as its sender sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The network's number.
    pub network: u16,
    /// Whether the sender's lease there holds.
    pub open: bool,
    /// Whether the sender is reached there.
    pub reach: Reach,
}

/// What was received from the one to whom a heartbeat goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// The network's number.
    pub network: u16,
    /// The newest tick received there.
    pub tick: u64,
    /// Microseconds that it waited for this echo.
    pub dwell: u32,
    /// How many came there of the last 64 up to it.
    pub count: u8,
}

/// Sent to every peer on every network we share with it, once in an interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Counts the sender's heartbeats, the same on all networks.
    pub tick: u64,
    /// What the sender is.
    pub standing: Standing,
    /// Its view.
    pub view: ViewId,
    /// Who is in it.
    pub members: NodeSet,
    /// The newest token of it that passed the sender.
    pub token: u64,
    /// The sender holds the token, or passes it to somebody.
    pub holds: bool,
    /// Of whom it hears nothing, or who does not hear it.
    pub suspects: NodeSet,
    /// Whom it hears.
    pub hears: NodeSet,
    /// Whom it does not echo, because it consented to a view without them.
    pub muted: NodeSet,
    /// The document in force at the sender.
    pub document: DocumentId,
    /// The sender's networks.
    pub gates: Vec<Gate>,
    /// What it received from the one this goes to; nothing if it must not say.
    pub echoes: Vec<Echo>,
}

/// A message between the control threads, on its way. Where two members do not hear each other, a
/// third that hears both passes it on, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed<M> {
    /// Who wrote it.
    pub origin: Peer,
    /// For whom it is.
    #[serde(with = "node_id")]
    pub target: NodeId,
    /// What it says.
    pub message: M,
}

/// What goes over [`crate::Channel::Token`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenMessage {
    /// A piece of an encoded [`Token`].
    Part {
        /// The token's view.
        view: ViewId,
        /// The token's number.
        seq: u64,
        /// Which piece.
        index: u8,
        /// Of how many.
        count: u8,
        /// Its octets.
        bytes: Vec<u8>,
    },
    /// The whole token has arrived.
    Ack {
        /// The token's view.
        view: ViewId,
        /// The token's number.
        seq: u64,
        /// It cannot be taken: the receiver does not have the table that it left out.
        lacks: bool,
    },
}

/// How a group came to its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Nobody released it: the owner waits until every lease that may cover it has run out, and
    /// probes.
    #[default]
    Claimed,
    /// The previous owner released it: the new one opens at once.
    Handed,
    /// The owner had it before the view, and goes on as it was.
    Kept,
}

/// Who owns a group of VIPs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Nobody: node 0.
    #[serde(with = "node_id")]
    pub owner: NodeId,
    /// Who had it before, and may know its flows; nobody: node 0.
    #[serde(with = "node_id")]
    pub previous: NodeId,
    /// How new this is.
    pub generation: OwnershipGeneration,
    /// How it came to its owner.
    pub origin: Origin,
    /// Why.
    pub reason: Reason,
}

/// A planned move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Which group.
    pub group: u16,
    /// To whom.
    #[serde(with = "node_id")]
    pub to: NodeId,
    /// Why.
    pub reason: Reason,
    /// The receiver expects it.
    pub ready: bool,
}

/// How much a member has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Whose.
    #[serde(with = "node_id")]
    pub node: NodeId,
    /// Its weight.
    pub weight: u16,
    /// Thousandths of what it can carry.
    pub used: u32,
}

/// What passes from member to member. Whoever holds it may change what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its view.
    pub view: ViewId,
    /// Grows by one with each pass.
    pub seq: u64,
    /// The members, in the order of the ring.
    pub members: Vec<Peer>,
    /// Microseconds by which members count their own leases.
    pub lease: u32,
    /// Microseconds of silence after which members suspect each other.
    pub patience: u32,
    /// The token's number when one of these two was changed last.
    pub paced: u64,
    /// The longest suspicion time that a member has asked for in this rotation and the last.
    pub wanted: [u32; 2],
    /// Microseconds until every lease has run out that an excluded node may hold.
    pub fence: u32,
    /// The last number given to a naming of owners in this view.
    pub number: u32,
    /// Members that are to own nothing.
    pub drained: NodeSet,
    /// The document in force.
    pub document: DocumentId,
    /// The token's number when it came into force in this view; 0: before this view.
    pub committed: u64,
    /// What is to take its place.
    pub draft: Option<Draft>,
    /// Moves under way.
    pub wishes: Vec<Wish>,
    /// What each member has to do.
    pub loads: Vec<Load>,
    /// The token's number when the table was changed last.
    pub changed: u64,
    /// The owner of each group, unless everybody has it already.
    pub table: Option<Vec<Entry>>,
}

/// What goes over [`crate::Channel::Control`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Control {
    /// A proposal of a view, to everybody in it.
    Call(Call),
    /// Consent to it.
    Grant(Grant),
    /// No consent to it.
    Deny(Deny),
    /// It will never be: who consented may forget that.
    Withdraw(ViewId),
}

/// A proposal of a view: by the holder of the token, or by one who misses it (a "911").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its id.
    pub id: ViewId,
    /// Its members, in the order of the ring.
    pub members: Vec<Peer>,
    /// The view that the proposer is in; [`ViewId::NONE`]: in none.
    pub base: ViewId,
    /// Who is in that.
    pub base_members: NodeSet,
    /// The newest token of it that passed the proposer.
    pub seq: u64,
    /// The proposer holds the token.
    pub held: bool,
    /// Members are left out that some still hear, because nothing else ends a deadlock.
    pub forced: bool,
    /// Microseconds of the longest suspicion time in use.
    pub patience: u32,
    /// The document by which owners are numbered in it.
    pub document: DocumentId,
}

/// Consent: whoever sends it takes no token of an older view any more, and echoes nobody who is
/// left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// To which view.
    pub id: ViewId,
    /// Microseconds until the last lease has run out that the sender's echoes may have granted to
    /// a node that is left out.
    pub fence: u32,
    /// Members of the new view that the sender has not echoed for a while, because of a consent
    /// that came to nothing as far as it knows.
    pub doubted: NodeSet,
    /// One bit for each group that the sender owned in another view than the proposer's.
    pub owns: Vec<u8>,
}

/// Why there is no consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objection {
    /// The sender has consented to a view with a higher id, or to this one of somebody else.
    Promised,
    /// A newer token has passed the sender, or it holds the token.
    Newer,
    /// The sender hears somebody who is left out.
    Heard,
    /// The sender's view does not give way to the proposer's.
    Foreign,
    /// The sender does not have the proposer's document.
    Document,
}

/// No consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deny {
    /// To which view.
    pub id: ViewId,
    /// Why.
    pub objection: Objection,
    /// The highest view that the sender has consented to.
    pub promised: ViewId,
}

impl Heartbeat {
    /// Whether two heartbeats of one sender differ in nothing but numbers that always grow, and in
    /// where the token was.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.standing == other.standing
            && self.view == other.view
            && self.members == other.members
            && self.suspects == other.suspects
            && self.hears == other.hears
            && self.muted == other.muted
            && self.document == other.document
            && self.gates == other.gates
    }
}

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The octets of a message; none if they would not fit a datagram, which no message of legal
/// settings does.
pub fn encode<T: Serialize>(message: &T) -> Option<Vec<u8>> {
    postcard::to_allocvec(message).ok().filter(|body| body.len() <= CLUSTER_BODY)
}

/// The message in a body.
///
/// # Errors
/// The body is none of ours, or is followed by something.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        Ok((_, _)) | Err(_) => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Incarnation;
    use crate::config::Digest;
    use alloc::vec;
    use proptest::prelude::*;

    fn peer(id: u16) -> Peer {
        Peer { id: NodeId(id), incarnation: Incarnation(300) }
    }

    fn document() -> DocumentId {
        DocumentId { generation: 3, digest: Digest([7; 16]) }
    }

    fn view() -> ViewId {
        ViewId { epoch: 5, proposer: peer(1), attempt: 2 }
    }

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            tick: 1_000,
            standing: Standing::Member,
            view: view(),
            members: [NodeId(1), NodeId(2)].into_iter().collect(),
            token: 77,
            holds: true,
            suspects: NodeSet::EMPTY,
            hears: NodeSet::EMPTY.with(NodeId(2)),
            muted: NodeSet::EMPTY,
            document: document(),
            gates: vec![Gate { network: 1, open: true, reach: Reach::Peers }],
            echoes: vec![Echo { network: 1, tick: 999, dwell: 400, count: 64 }],
        }
    }

    fn token() -> Token {
        let generation = OwnershipGeneration { view: view(), number: 3 };
        let (owner, previous, origin) = (NodeId(2), NodeId(1), Origin::Handed);
        Token {
            view: view(),
            seq: 9,
            members: vec![peer(1), peer(2)],
            lease: 80_000,
            patience: 80_000,
            paced: 1,
            wanted: [80_000, 0],
            fence: 0,
            number: 3,
            drained: NodeSet::EMPTY,
            document: document(),
            committed: 0,
            draft: None,
            wishes: vec![Wish { group: 4, to: NodeId(1), reason: Reason::Asked, ready: false }],
            loads: vec![Load { node: NodeId(1), weight: 1, used: 250 }],
            changed: 8,
            table: Some(vec![Entry { owner, previous, generation, origin, reason: Reason::Asked }]),
        }
    }

    /// The octets of each message: who changes them speaks another protocol than the nodes that
    /// have not been updated yet, and must give it another version in the header.
    #[test]
    fn each_message_has_the_octets_that_it_always_had() {
        let call = Call {
            id: view(),
            members: vec![peer(1)],
            base: ViewId::NONE,
            base_members: NodeSet::EMPTY,
            seq: 0,
            held: false,
            forced: false,
            patience: 80_000,
            document: document(),
        };
        let grant = Grant {
            id: view(),
            fence: 300,
            doubted: NodeSet::EMPTY.with(NodeId(3)),
            owns: vec![5],
        };
        let deny = Deny { id: view(), objection: Objection::Newer, promised: view() };
        let routed = |message| Routed { origin: peer(1), target: NodeId(2), message };
        let ack = TokenMessage::Ack { view: view(), seq: 9, lacks: false };
        let part =
            TokenMessage::Part { view: view(), seq: 9, index: 0, count: 1, bytes: vec![1, 2, 3] };
        let table = [
            (encode(&heartbeat()), HEARTBEAT),
            (encode(&token()), TOKEN),
            (encode(&routed(Control::Call(call))), CALL),
            (encode(&routed(Control::Grant(grant))), GRANT),
            (encode(&routed(Control::Deny(deny))), DENY),
            (encode(&routed(Control::Withdraw(view()))), WITHDRAW),
            (encode(&Routed { origin: peer(1), target: NodeId(2), message: ack }), ACK),
            (encode(&Routed { origin: peer(1), target: NodeId(2), message: part }), PART),
        ];
        for (octets, golden) in table {
            let hex: alloc::string::String =
                octets.unwrap().iter().map(|octet| alloc::format!("{octet:02x}")).collect();
            assert_eq!(hex, golden);
        }
    }

    const HEARTBEAT: &str = concat!(
        "e807010501ac02020201024d0100010200",
        "0307070707070707070707070707070707",
        "010101020101e707900340",
    );
    const TOKEN: &str = concat!(
        "0501ac0202090201ac0202ac0280f10480f1040180f104000003",
        "00",
        "0307070707070707070707070707070707",
        "0000",
        "010401",
        "0300010101fa0108010102010501ac0202030103",
    );
    const CALL: &str = concat!(
        "01ac0202000501ac02020101ac02000000000000000080f104",
        "0307070707070707070707070707070707",
    );
    const GRANT: &str = "01ac0202010501ac0202ac0201030105";
    const DENY: &str = "01ac0202020501ac0202010501ac0202";
    const WITHDRAW: &str = "01ac0202030501ac0202";
    const ACK: &str = "01ac0202010501ac02020900";
    const PART: &str = "01ac0202000501ac020209000103010203";

    #[test]
    fn the_largest_messages_fit() {
        use model::limits::{NETWORKS, NODES, TOKEN_PARTS, VIPS};
        let all: NodeSet = (240..240 + NODES as u16).map(NodeId).collect();
        let high = Peer { id: NodeId(255), incarnation: Incarnation(u32::MAX) };
        let id = ViewId { epoch: u64::MAX, proposer: high, attempt: u32::MAX };
        let gate = Gate { network: 15, open: true, reach: Reach::Peers };
        let echo = Echo { network: 15, tick: u64::MAX, dwell: u32::MAX, count: 64 };
        let beat = Heartbeat {
            tick: u64::MAX,
            view: id,
            members: all,
            token: u64::MAX,
            suspects: all,
            hears: all,
            muted: all,
            gates: vec![gate; NETWORKS],
            echoes: vec![echo; NETWORKS],
            ..heartbeat()
        };
        assert!(encode(&beat).is_some());
        let owns = vec![0xff; VIPS.div_ceil(8)];
        let grant = Control::Grant(Grant { id, fence: u32::MAX, doubted: all, owns });
        assert!(encode(&Routed { origin: high, target: NodeId(255), message: grant }).is_some());
        // Epochs and numbers that a century of trouble would not reach.
        let view = ViewId { epoch: 1 << 20, proposer: peer(255), attempt: 1 << 13 };
        let generation = OwnershipGeneration { view, number: 1 << 20 };
        let (owner, previous, origin) = (NodeId(255), NodeId(254), Origin::Handed);
        let entry = Entry { owner, previous, generation, origin, reason: Reason::Asked };
        let token = Token { table: Some(vec![entry; VIPS]), ..token() };
        let octets = postcard::to_allocvec(&token).unwrap().len();
        assert!(octets <= TOKEN_PARTS * (CLUSTER_BODY - 64), "{octets}");
    }

    proptest! {
        #[test]
        fn any_octets_decode_or_do_not(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Heartbeat>(&octets);
            let _ = decode::<Token>(&octets);
            let _ = decode::<Routed<TokenMessage>>(&octets);
            let _ = decode::<Routed<Control>>(&octets);
        }

        #[test]
        fn a_changed_octet_never_panics(at in 0_usize..400, to in any::<u8>()) {
            for octets in [encode(&heartbeat()), encode(&token())].into_iter().flatten() {
                let mut octets = octets;
                let length = octets.len();
                octets[at % length] = to;
                let _ = decode::<Heartbeat>(&octets);
                let _ = decode::<Token>(&octets);
            }
        }
    }
}
