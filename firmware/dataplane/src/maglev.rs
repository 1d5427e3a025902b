//! Maglev hashing (Eisenbud et al., NSDI 2016, §3.4): a look-up table in which every server has
//! its share of slots, and in which few slots change hands when the set of servers changes.
//!
//! Weights: a server takes its turn in a round as often as its weight, so that after every full
//! round the slots stand in the ratio of the weights. The paper's round robin gives each server a
//! slot per turn; which server stands first in a round is drawn per table size and name, so that
//! the last, incomplete round favours nobody in particular.

use alloc::vec;
use alloc::vec::Vec;

/// Slots of a table. Prime, as the permutation needs, and over 100 times the servers of a pool.
pub const SLOTS: usize = 65_537;

/// No server.
pub const NOBODY: u16 = u16::MAX;

/// A built table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maglev {
    slots: Vec<u16>,
}

/// One candidate.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// What the table holds for it. Must not be [`NOBODY`].
    pub value: u16,
    /// A hash of its name that is the same on every node: it decides which slots it prefers.
    pub identity: u64,
    /// Its share. Candidates of weight 0 get no slot.
    pub weight: u16,
}

impl Maglev {
    /// Fills a table of [`SLOTS`] entries. With no candidate of positive weight it is empty.
    pub fn build(candidates: &[Candidate]) -> Self {
        let mut turns: Vec<Turn> =
            candidates.iter().filter(|c| c.weight > 0).map(Turn::new).collect();
        if turns.is_empty() {
            return Self { slots: Vec::new() };
        }
        share_out(&mut turns);
        // The order of turns must not depend on how the caller sorted its servers.
        turns.sort_by_key(|turn| (turn.identity, turn.value));
        let mut slots = vec![NOBODY; SLOTS];
        let rounds = turns.iter().map(|turn| turn.quota).max().unwrap_or(0);
        let mut filled = 0;
        let mut round = 0;
        while filled < SLOTS {
            round += 1;
            for turn in &mut turns {
                // After `round` of `rounds` rounds a server holds that part of its quota, rounded.
                let due = due_after(turn.quota, round, rounds);
                while turn.taken < due {
                    let slot = turn.claim(&slots);
                    slots[slot] = turn.value;
                    turn.taken += 1;
                    filled += 1;
                }
            }
        }
        Self { slots }
    }

    /// The value at the slot of this hash; `None` when the table is empty.
    #[inline]
    pub fn get(&self, hash: u64) -> Option<u16> {
        if self.slots.is_empty() {
            return None;
        }
        // Multiply-shift maps the hash evenly onto the slots without a division.
        let slot = (u128::from(hash) * SLOTS as u128) >> 64;
        #[expect(clippy::cast_possible_truncation, reason = "below SLOTS by construction")]
        self.slots.get(slot as usize).copied()
    }

    /// All slots, for tests and for comparing two tables.
    pub fn slots(&self) -> &[u16] {
        &self.slots
    }
}

struct Turn {
    value: u16,
    identity: u64,
    weight: u16,
    /// Slots it will hold in the end.
    quota: usize,
    taken: usize,
    /// The next preferred slot and the stride of its permutation.
    next: usize,
    skip: usize,
}

impl Turn {
    fn new(candidate: &Candidate) -> Self {
        let mut rng = base::rng::Rng::new(candidate.identity);
        #[expect(clippy::cast_possible_truncation, reason = "below SLOTS by construction")]
        let (next, skip) =
            (rng.below(SLOTS as u64) as usize, rng.below(SLOTS as u64 - 1) as usize + 1);
        let Candidate { value, identity, weight } = *candidate;
        Self { value, identity, weight, quota: 0, taken: 0, next, skip }
    }

    /// The first free slot in the order this server prefers them.
    fn claim(&mut self, slots: &[u16]) -> usize {
        loop {
            let slot = self.next;
            self.next += self.skip;
            if self.next >= SLOTS {
                self.next -= SLOTS;
            }
            if slots[slot] == NOBODY {
                return slot;
            }
        }
    }
}

/// Gives every server its quota of slots: proportional to weight, whole numbers, the remainder to
/// the largest fractions (Hamilton's method), ties by identity.
fn share_out(turns: &mut [Turn]) {
    let total: usize = turns.iter().map(|t| usize::from(t.weight)).sum();
    let mut left = SLOTS;
    for turn in turns.iter_mut() {
        turn.quota = SLOTS * usize::from(turn.weight) / total;
        left -= turn.quota;
    }
    turns.sort_by_key(|turn| {
        let fraction = SLOTS * usize::from(turn.weight) % total;
        (core::cmp::Reverse(fraction), turn.identity, turn.value)
    });
    for turn in turns.iter_mut().take(left) {
        turn.quota += 1;
    }
}

fn due_after(quota: usize, round: usize, rounds: usize) -> usize {
    (quota * round).div_ceil(rounds).min(quota)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: u16) -> Vec<Candidate> {
        let mut rng = base::rng::Rng::new(1);
        (0..count).map(|value| Candidate { value, identity: rng.next(), weight: 1 }).collect()
    }

    fn held(table: &Maglev, value: u16) -> usize {
        table.slots().iter().filter(|&&slot| slot == value).count()
    }

    #[test]
    fn a_thousand_equal_servers_differ_by_at_most_one_slot() {
        let table = Maglev::build(&servers(1_000));
        let counts: Vec<usize> = (0..1_000).map(|value| held(&table, value)).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{least}..{most}");
        assert_eq!(counts.iter().sum::<usize>(), SLOTS);
    }

    #[test]
    fn removing_one_of_a_thousand_moves_few_other_slots() {
        let all = servers(1_000);
        let before = Maglev::build(&all);
        let mut moved = 0;
        let removals = 100;
        for removed in (0..1_000).step_by(1_000 / removals) {
            let rest: Vec<_> = all.iter().copied().filter(|c| c.value != removed).collect();
            let after = Maglev::build(&rest);
            moved += before
                .slots()
                .iter()
                .zip(after.slots())
                .filter(|(b, a)| **b != removed && a != b)
                .count();
        }
        let share = moved as f64 / removals as f64 / SLOTS as f64;
        assert!(share <= 0.0065, "{:.4} % of the other slots move", share * 100.0);
    }

    #[test]
    fn weights_are_honoured_to_one_slot() {
        let mut all = servers(7);
        for (candidate, weight) in all.iter_mut().zip([1, 2, 3, 10, 100, 1_000, 0]) {
            candidate.weight = weight;
        }
        let table = Maglev::build(&all);
        let total: f64 = all.iter().map(|c| f64::from(c.weight)).sum();
        for candidate in &all {
            let expected = SLOTS as f64 * f64::from(candidate.weight) / total;
            let got = held(&table, candidate.value) as f64;
            assert!((got - expected).abs() <= 1.0, "weight {}: {got}", candidate.weight);
        }
    }

    #[test]
    fn the_table_does_not_depend_on_the_order_of_the_servers() {
        let mut all = servers(20);
        let table = Maglev::build(&all);
        all.reverse();
        assert_eq!(Maglev::build(&all), table);
    }

    #[test]
    fn without_a_server_of_positive_weight_nobody_is_chosen() {
        assert_eq!(Maglev::build(&[]).get(7), None);
        let idle = Candidate { value: 1, identity: 1, weight: 0 };
        assert_eq!(Maglev::build(&[idle]).get(u64::MAX), None);
    }

    #[test]
    fn every_hash_finds_a_slot() {
        let table = Maglev::build(&servers(3));
        for hash in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(table.get(hash).is_some());
        }
    }
}
