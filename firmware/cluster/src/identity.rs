//! Who is who, and which agreement is newer.

use base::NodeId;
use core::cmp::Reverse;
use core::fmt;
use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which start of a node: grows with each. A node that started again has forgotten what it
/// promised, and is somebody else to its peers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u32);

/// One start of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// Which node.
    #[serde(with = "node_id")]
    pub id: NodeId,
    /// Which start of it.
    pub incarnation: Incarnation,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id.0, self.incarnation.0)
    }
}

/// Names one agreed membership. Ids are ordered: whoever has consented to one consents to no lower
/// one, and to none twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ViewId {
    /// One more than the highest that the proposer knew of.
    pub epoch: u64,
    /// Who proposed it, in which of its starts.
    pub proposer: Peer,
    /// Which of its proposals in this epoch.
    pub attempt: u32,
}

impl ViewId {
    /// Lower than the id of every view: what a node has before its first one.
    pub const NONE: Self = Self {
        epoch: 0,
        proposer: Peer { id: NodeId(0), incarnation: Incarnation(0) },
        attempt: 0,
    };
}

impl Default for ViewId {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.epoch, self.proposer, self.attempt)
    }
}

/// Which of two statements about the owner of a VIP is the newer: a data plane never obeys one
/// that is lower than the last it obeyed. A merged view exceeds both it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OwnershipGeneration {
    /// The view in which the owner was named.
    pub view: ViewId,
    /// How many namings came before it in that view.
    pub number: u32,
}

impl OwnershipGeneration {
    /// Lower than every other.
    pub const NONE: Self = Self { view: ViewId::NONE, number: 0 };
}

impl Default for OwnershipGeneration {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for OwnershipGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.view, self.number)
    }
}

/// Whether a view takes the place of another where they meet.
///
/// Of two that share a member the newer one does: the shared member has left the older. Of two
/// that do not, the one with more members absorbs the other, then the one with the higher epoch,
/// then the one with the lowest id among its members.
pub fn supersedes(view: (ViewId, NodeSet), other: (ViewId, NodeSet)) -> bool {
    if !view.1.intersection(other.1).is_empty() {
        return view.0 > other.0;
    }
    let rank =
        |(id, members): (ViewId, NodeSet)| (members.len(), id.epoch, Reverse(members.first()));
    rank(view) > rank(other)
}

/// A set of nodes. Ids are below 256 (`model::limits::NODES` and the schema see to it); a higher
/// one is never in a set.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct NodeSet([u64; 4]);

impl NodeSet {
    /// No node.
    pub const EMPTY: Self = Self([0; 4]);

    /// Whether the node is in the set.
    pub const fn contains(self, id: NodeId) -> bool {
        let at = id.index();
        at < 256 && self.0[at / 64] >> (at % 64) & 1 == 1
    }
    /// Puts a node in.
    pub const fn insert(&mut self, id: NodeId) {
        let at = id.index();
        if at < 256 {
            self.0[at / 64] |= 1 << (at % 64);
        }
    }
    /// Takes a node out.
    pub const fn remove(&mut self, id: NodeId) {
        let at = id.index();
        if at < 256 {
            self.0[at / 64] &= !(1 << (at % 64));
        }
    }
    /// The set with one node more.
    #[must_use]
    pub const fn with(mut self, id: NodeId) -> Self {
        self.insert(id);
        self
    }
    /// The set without a node.
    #[must_use]
    pub const fn without(mut self, id: NodeId) -> Self {
        self.remove(id);
        self
    }
    /// Those in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] | other.0[i]))
    }
    /// Those in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & other.0[i]))
    }
    /// Those in this set and not in the other.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| self.0[i] & !other.0[i]))
    }
    /// Whether every node of this set is in the other.
    pub fn is_subset(self, other: Self) -> bool {
        self.difference(other).is_empty()
    }
    /// Whether nobody is in it.
    pub fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }
    /// How many are in it.
    pub fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
    /// The nodes, by id.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let mut words = self.0;
        core::iter::from_fn(move || {
            let at = words.iter().position(|word| *word != 0)?;
            let bit = words[at].trailing_zeros() as usize;
            words[at] &= words[at] - 1;
            Some(NodeId::from(at * 64 + bit))
        })
    }
    /// The node with the lowest id.
    pub fn first(self) -> Option<NodeId> {
        self.iter().next()
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<T: IntoIterator<Item = NodeId>>(nodes: T) -> Self {
        nodes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|id| id.0)).finish()
    }
}

/// On the wire: the ids, in order, one octet each.
impl Serialize for NodeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for id in self.iter() {
            list.serialize_element(&u8::try_from(id.0).unwrap_or(0))?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for NodeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ids;
        impl<'de> Visitor<'de> for Ids {
            type Value = NodeSet;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("node ids in ascending order")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NodeSet, A::Error> {
                let mut set = NodeSet::EMPTY;
                let mut last = None;
                while let Some(id) = list.next_element::<u8>()? {
                    if last.is_some_and(|last| last >= id) {
                        return Err(de::Error::custom("ids out of order"));
                    }
                    last = Some(id);
                    set.insert(NodeId(id.into()));
                }
                Ok(set)
            }
        }
        deserializer.deserialize_seq(Ids)
    }
}

/// A node's id on the wire.
pub mod node_id {
    use super::{Deserialize, Deserializer, NodeId, Serialize, Serializer};

    /// As the number it is.
    pub fn serialize<S: Serializer>(id: &NodeId, serializer: S) -> Result<S::Ok, S::Error> {
        id.0.serialize(serializer)
    }
    /// From the number it is.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
        u16::deserialize(deserializer).map(NodeId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_was_put_into_it_and_travels_as_a_list_of_ids() {
        let mut set: NodeSet = [NodeId(200), NodeId(3), NodeId(64)].into_iter().collect();
        set.remove(NodeId(64));
        assert_eq!(set.iter().map(|id| id.0).collect::<alloc::vec::Vec<_>>(), [3, 200]);
        assert!(!set.with(NodeId(300)).contains(NodeId(300)));
        let bytes = postcard::to_allocvec(&set).unwrap();
        assert_eq!(bytes, [2, 3, 200]);
        assert_eq!(postcard::from_bytes::<NodeSet>(&bytes).unwrap(), set);
        assert!(postcard::from_bytes::<NodeSet>(&[2, 3, 3]).is_err());
    }

    #[test]
    fn the_larger_view_absorbs_the_smaller_unless_it_is_what_that_one_left() {
        let view = |epoch, members: &[u16]| {
            let proposer = Peer { id: NodeId(1), incarnation: Incarnation(1) };
            let members = members.iter().copied().map(NodeId).collect();
            (ViewId { epoch, proposer, attempt: 1 }, members)
        };
        let rows = [
            (view(5, &[1, 2, 3]), view(9, &[4, 5])),
            (view(9, &[4, 5]), view(5, &[1, 2])),
            (view(5, &[1, 4]), view(5, &[2, 3])),
            // Three of five went on; what they left is larger and older.
            (view(6, &[1, 2, 3]), view(5, &[1, 2, 3, 4, 5])),
        ];
        for (higher, lower) in rows {
            assert!(supersedes(higher, lower), "{higher:?} {lower:?}");
            assert!(!supersedes(lower, higher), "{higher:?} {lower:?}");
        }
    }

    #[test]
    fn the_epoch_decides_before_the_proposer_and_the_proposer_before_the_attempt() {
        let id = |epoch, node, incarnation, attempt| ViewId {
            epoch,
            proposer: Peer { id: NodeId(node), incarnation: Incarnation(incarnation) },
            attempt,
        };
        let rising = [ViewId::NONE, id(1, 9, 9, 9), id(2, 1, 1, 1), id(2, 1, 1, 2), id(2, 1, 2, 1)];
        assert!(rising.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
