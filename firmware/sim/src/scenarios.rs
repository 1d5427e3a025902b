//! Failures that have a name, each under every policy: what happened in the field, and what a seed
//! has found once. A seed's world changes with the simulator; these do not.

use crate::draw::{MILLISECOND, SECOND};
use crate::network::Impairment;
use crate::options::Options;
use crate::plan::episode::{Pause, Thread};
use crate::plan::{After, Episode, Kind, Plan};
use crate::run::run_plan;
use model::{Policy, Profile};

/// When the first fault begins.
const START: u64 = 2 * SECOND;

fn episode(after: u64, long: u64, kind: Kind) -> Episode {
    Episode { from: START + after, until: START + after + long, kind }
}

fn cut(pairs: &[(usize, usize)]) -> Kind {
    Kind::Links { network: None, pairs: pairs.to_vec(), impairment: Impairment::Cut }
}

fn loss(pairs: &[(usize, usize)], loss: u16) -> Kind {
    Kind::Links { network: None, pairs: pairs.to_vec(), impairment: Impairment::Loss(loss) }
}

/// Plays episodes in a quiet cluster under every policy, with what is tried after them.
fn play(nodes: usize, profile: Profile, episodes: &[Episode], after: After) {
    for policy in [Policy::Quorum, Policy::Witness, Policy::Available] {
        for seed in 0..2 {
            let mut plan = Plan::quiet(seed, nodes, 8);
            plan.policy = policy;
            plan.profile = profile;
            plan.after = after;
            plan.episodes = episodes.to_vec();
            plan.heal = episodes.iter().map(|one| one.until).max().unwrap_or(START) + SECOND / 10;
            let outcome = run_plan(plan, &Options::default());
            let violation = outcome.violation;
            assert!(violation.is_none(), "{policy:?}, seed {seed}, {episodes:?}: {violation:?}");
        }
    }
}

fn all_links_of(node: usize, nodes: usize) -> Vec<(usize, usize)> {
    (0..nodes)
        .filter(|other| *other != node)
        .flat_map(|other| [(node, other), (other, node)])
        .collect()
}

/// Gates that opened in a merged view before the data plane knew its owners (213, 219, 321),
/// or on what somebody outside of the view had claimed meanwhile (387, 507). Who stood still took
/// others for deaf that had nothing to echo meanwhile (581). A copy that was the owner's own flow
/// for a time was none afterwards (755), one that came late stayed beside a flow that said
/// otherwise (1657), and whoever started again took its addresses back without their flows (1204).
/// Whoever left alone agreed with itself on nobody (876), whoever was deaf served before a stranger
/// that stood still had closed (927), and members that had gone on with another document were asked
/// for ever (1364). Whoever had stood still handed on what others had taken meanwhile (2188), and
/// stayed for ever in a view that was over (2169).
#[test]
fn seeds_that_have_found_something_once_keep_every_promise() {
    for seed in [213, 219, 321, 387, 507, 581, 755, 876, 927, 1204, 1364, 1657, 2169, 2188, 2563] {
        let outcome = crate::run::run(seed, &Options::default());
        assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
    }
}

#[test]
fn a_cold_start_of_all_nodes_ends_in_one_view() {
    for nodes in [1, 2, 3, 5, 8] {
        play(nodes, Profile::Normal, &[], After::Rest);
    }
}

#[test]
fn a_node_that_dies_is_replaced_and_taken_back() {
    for node in 0..3 {
        play(3, Profile::Normal, &[], After::Strike { node });
    }
}

#[test]
fn planned_moves_lose_nothing() {
    play(3, Profile::Normal, &[], After::Moves);
}

#[test]
fn a_broken_pair_among_three_moves_nothing() {
    play(3, Profile::Normal, &[], After::BrokenPair { first: 0, second: 1 });
    play(3, Profile::Normal, &[], After::BrokenPair { first: 2, second: 1 });
}

#[test]
fn a_pause_makes_no_second_owner_however_long_it_is() {
    for how in [Pause::Process, Pause::Machine, Pause::MachineAndClock] {
        for long in [50, 150, 1_000, 4_000] {
            let pause = Kind::Pause { node: 0, how };
            let pause = episode(0, long * MILLISECOND, pause);
            play(3, Profile::Normal, &[pause], After::Rest);
        }
    }
}

#[test]
fn a_thread_that_hangs_alone_makes_no_second_owner() {
    for thread in Thread::ALL {
        for profile in [Profile::Fast, Profile::Normal] {
            let hang = episode(0, 700 * MILLISECOND, Kind::Hang { node: 1, thread });
            play(3, profile, &[hang], After::Rest);
        }
    }
}

#[test]
fn a_node_that_nobody_hears_makes_no_second_owner() {
    let pairs = [(0, 1), (0, 2)];
    play(3, Profile::Normal, &[episode(0, 2 * SECOND, cut(&pairs))], After::Rest);
    play(3, Profile::Normal, &[episode(0, 2 * SECOND, loss(&pairs, 800))], After::Rest);
}

#[test]
fn one_way_loss_between_two_makes_no_second_owner() {
    for pairs in [[(0, 1)], [(1, 0)]] {
        play(2, Profile::Normal, &[episode(0, 2 * SECOND, cut(&pairs))], After::Rest);
    }
}

#[test]
fn a_node_that_hears_nobody_makes_no_second_owner() {
    let pairs = [(1, 0), (2, 0)];
    for kind in [cut(&pairs), loss(&pairs, 800)] {
        play(3, Profile::Normal, &[episode(0, 2 * SECOND, kind)], After::Rest);
    }
}

#[test]
fn halves_bridges_and_rings_of_majorities_merge_again() {
    let halves = [(0, 2), (0, 3), (1, 2), (1, 3), (2, 0), (3, 0), (2, 1), (3, 1)];
    play(4, Profile::Normal, &[episode(0, SECOND, cut(&halves))], After::Rest);
    // Node 4 bridges the halves.
    play(5, Profile::Normal, &[episode(0, SECOND, cut(&halves))], After::Rest);
    let ring = [(0, 2), (2, 0), (1, 3), (3, 1), (2, 4), (4, 2), (3, 0), (0, 3), (4, 1), (1, 4)];
    play(5, Profile::Normal, &[episode(0, SECOND, cut(&ring))], After::Rest);
}

#[test]
fn a_cable_that_is_pulled_and_put_back_brings_no_second_owner() {
    for long in [120, 700, 3_000] {
        let carrier = Kind::Carrier { node: 1, network: 0 };
        play(4, Profile::Normal, &[episode(0, long * MILLISECOND, carrier)], After::Rest);
    }
}

#[test]
fn a_lone_node_that_is_reached_again_yields() {
    for nodes in [3, 4] {
        let alone = cut(&all_links_of(1, nodes));
        play(nodes, Profile::Normal, &[episode(0, 2 * SECOND, alone)], After::Rest);
    }
}

#[test]
fn a_rolling_restart_of_all_goes_unnoticed() {
    let restarts: Vec<_> = (0..3_u64)
        .map(|node| episode(node * 4 * SECOND, 2 * SECOND, Kind::Leave { node: node as usize }))
        .collect();
    play(3, Profile::Normal, &restarts, After::Rest);
}

#[test]
fn several_nodes_may_die_at_once_and_in_a_row() {
    let off = |node| Kind::Off { node, remembers: true };
    let at_once: Vec<_> = (0..4).map(|node| episode(0, SECOND, off(node))).collect();
    play(5, Profile::Normal, &at_once, After::Rest);
    let in_a_row: Vec<_> = (0..4_u64)
        .map(|node| episode(node * 50 * MILLISECOND, 2 * SECOND, off(node as usize)))
        .collect();
    play(5, Profile::Normal, &in_a_row, After::Rest);
}
