//! Who should own what: pure functions of what all members know.

use crate::NodeSet;
use alloc::vec::Vec;
use base::NodeId;

/// Nobody, where an owner is named.
pub const NOBODY: NodeId = NodeId(0);

/// A node that can own groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: NodeId,
    /// Its share relative to the others'; 0: it owns only what nobody else can.
    pub weight: u16,
}

/// What is asked of a group's placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Who owns it; [`NOBODY`]: it is to be given away.
    pub owner: NodeId,
    /// Who can own it.
    pub able: NodeSet,
    /// Who should, if able.
    pub prefer: Option<NodeId>,
}

/// Gives every group without an owner to a candidate: to the preferred one, else to the one that
/// has the least for its weight, the lowest id first among equals. The result names the new owner
/// of each group that had none and found one.
pub fn adopt(places: &[Place], candidates: &[Candidate]) -> Vec<(usize, NodeId)> {
    let owned = |id| places.iter().filter(|place| place.owner == id).count();
    let mut counts: Vec<usize> = candidates.iter().map(|candidate| owned(candidate.id)).collect();
    let mut adopted = Vec::new();
    for (index, place) in places.iter().enumerate() {
        if place.owner != NOBODY {
            continue;
        }
        let able = |at: &usize| place.able.contains(candidates[*at].id);
        let preferred = candidates.iter().position(|c| Some(c.id) == place.prefer).filter(able);
        let chosen = preferred.or_else(|| {
            let costs = (0..candidates.len()).filter(able);
            costs.min_by_key(|&at| {
                let Candidate { id, weight } = candidates[at];
                let share = if weight == 0 {
                    usize::MAX
                } else {
                    (counts[at] + 1) * 1_000_000 / usize::from(weight)
                };
                (share, id)
            })
        });
        if let Some(at) = chosen {
            counts[at] += 1;
            adopted.push((index, candidates[at].id));
        }
    }
    adopted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u16]) -> NodeSet {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn what_has_no_owner_goes_to_who_has_least_for_its_weight() {
        let place = |owner, able: &[u16], prefer: Option<u16>| Place {
            owner: NodeId(owner),
            able: set(able),
            prefer: prefer.map(NodeId),
        };
        let candidates =
            [(1, 1), (2, 1), (3, 2)].map(|(id, weight)| Candidate { id: NodeId(id), weight });
        let places = [
            place(1, &[1, 2, 3], None),
            place(0, &[1, 2, 3], None),
            place(0, &[1, 2, 3], None),
            place(0, &[1, 2, 3], None),
            place(0, &[1, 2], None),
            place(0, &[1, 2, 3], Some(1)),
            place(0, &[2], Some(1)),
            place(0, &[], None),
        ];
        let adopted = adopt(&places, &candidates);
        let adopted: Vec<_> = adopted.into_iter().map(|(index, id)| (index, id.0)).collect();
        assert_eq!(adopted, [(1, 3), (2, 2), (3, 3), (4, 1), (5, 1), (6, 2)]);
        let lazy = [Candidate { id: NodeId(4), weight: 0 }];
        assert_eq!(adopt(&[place(0, &[4], None)], &lazy), [(0, NodeId(4))]);
    }
}
