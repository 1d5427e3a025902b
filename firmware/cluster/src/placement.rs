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

/// Levels what nodes own: moves groups from who has most for its weight to who has least, until
/// no move would bring them nearer to each other. `movable` tells which groups may move; at most
/// `limit` do. Each result is a group and its new owner.
pub fn level(
    places: &[Place],
    candidates: &[Candidate],
    movable: impl Fn(usize) -> bool,
    limit: usize,
) -> Vec<(usize, NodeId)> {
    let mut owners: Vec<NodeId> = places.iter().map(|place| place.owner).collect();
    let mut moves = Vec::new();
    let share = |count: usize, weight: u16| count * 1_000_000 / usize::from(weight.max(1));
    let candidates: Vec<&Candidate> = candidates.iter().filter(|c| c.weight > 0).collect();
    while moves.len() < limit {
        let count = |id: NodeId| owners.iter().filter(|owner| **owner == id).count();
        let counts: Vec<usize> = candidates.iter().map(|candidate| count(candidate.id)).collect();
        // The pair whose distance shrinks most, and the first group that can go that way.
        let mut best: Option<(usize, usize, NodeId)> = None;
        for (from, giver) in candidates.iter().enumerate() {
            for (to, taker) in candidates.iter().enumerate() {
                let high = share(counts[from], giver.weight);
                let low = share(counts[to] + 1, taker.weight);
                if from == to || high <= low || best.is_some_and(|(gain, ..)| gain >= high - low) {
                    continue;
                }
                let moved = |group: usize| moves.iter().any(|(known, _)| *known == group);
                let group = (0..places.len()).find(|&group| {
                    let Place { able, prefer, .. } = places[group];
                    owners[group] == giver.id
                        && able.contains(taker.id)
                        && prefer != Some(giver.id)
                        && movable(group)
                        && !moved(group)
                });
                if let Some(group) = group {
                    best = Some((high - low, group, taker.id));
                }
            }
        }
        let Some((_, group, to)) = best else { break };
        owners[group] = to;
        moves.push((group, to));
    }
    moves
}

/// Which of a node's groups to give to the node with the least to do, so that the two come nearest
/// to each other: the one whose load is nearest to half of the distance `apart` (thousandths), but
/// none that would only turn it round.
pub fn relieve(loads: &[(usize, u32)], apart: u32) -> Option<usize> {
    let fits = loads.iter().filter(|(_, load)| *load > 0 && *load < apart);
    fits.min_by_key(|(group, load)| (load.abs_diff(apart / 2), *group)).map(|(group, _)| *group)
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

    #[test]
    fn levelling_brings_counts_within_one_and_respects_who_is_preferred() {
        let candidates =
            [(1, 1), (2, 1), (3, 1)].map(|(id, weight)| Candidate { id: NodeId(id), weight });
        let place = |owner, prefer: Option<u16>| Place {
            owner: NodeId(owner),
            able: set(&[1, 2, 3]),
            prefer: prefer.map(NodeId),
        };
        let places: Vec<Place> = (0..9).map(|n| place(1 + n % 2, None)).collect();
        let moves = level(&places, &candidates, |_| true, 32);
        let mut owners: Vec<u16> = places.iter().map(|place| place.owner.0).collect();
        for (group, to) in &moves {
            owners[*group] = to.0;
        }
        let counts = [1, 2, 3].map(|id| owners.iter().filter(|owner| **owner == id).count());
        assert_eq!((counts, moves.len()), ([3, 3, 3], 3));
        assert_eq!(level(&places, &candidates, |_| true, 2).len(), 2);
        assert_eq!(level(&places, &candidates, |_| false, 32), []);
        let preferred: Vec<Place> = (0..6).map(|_| place(1, Some(1))).collect();
        assert_eq!(level(&preferred, &candidates, |_| true, 32), []);
        // Four to one differ by what one move only turns round.
        let weighted = [(1, 4), (2, 1)].map(|(id, weight)| Candidate { id: NodeId(id), weight });
        let places: Vec<Place> = (0..5).map(|n| place(1 + n / 4, None)).collect();
        assert_eq!(level(&places, &weighted, |_| true, 32), []);
    }

    #[test]
    fn the_load_nearest_to_half_of_the_distance_goes_and_a_flood_stays() {
        let loads = [(0, 900), (1, 120), (2, 60), (3, 0)];
        assert_eq!(relieve(&loads, 300), Some(1));
        assert_eq!(relieve(&loads, 100), Some(2));
        assert_eq!(relieve(&[(0, 900)], 800), None);
    }
}
