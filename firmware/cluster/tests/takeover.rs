//! Nodes that fail, are cut off and come back, in simulated time.

mod world;

use base::time::Duration;
use base::{NodeId, VipId};
use cluster::Reason;
use model::Policy;
use world::{World, id, settings};

const POLICIES: [Policy; 3] = [Policy::Witness, Policy::Available, Policy::Quorum];

/// Whether a node's lease holds anywhere.
fn may_serve(world: &World, node: u16) -> bool {
    let leases = world.nodes[&base::NodeId(node)].pulse.leases();
    leases.iter().any(|lease| world.now < lease.until)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_cold_start_ends_in_one_view_in_which_every_vip_is_owned() {
    for policy in POLICIES {
        for nodes in [2, 3, 5] {
            let mut world = World::new(settings(nodes, 2, 4, policy));
            world.run(seconds(2));
            let all: Vec<u16> = (1..=nodes).collect();
            world.assert_view(&all);
            world.assert_owned();
            assert!(world.overlaps.is_empty(), "{policy:?} {nodes}: {:?}", world.overlaps);
        }
    }
}

#[test]
fn a_node_that_dies_is_replaced_within_100_ms_and_nobody_serves_beside_it() {
    for policy in POLICIES {
        for nodes in [3, 5] {
            for dead in 1..=nodes {
                let mut world = World::new(settings(nodes, 2, 4, policy));
                world.run(seconds(2));
                world.gap();
                world.node(dead).dead = true;
                world.run(seconds(1));
                let rest: Vec<u16> = (1..=nodes).filter(|n| *n != dead).collect();
                world.assert_view(&rest);
                world.assert_owned();
                let gap = world.gap();
                let milliseconds = gap.as_millis();
                assert!(milliseconds <= 100, "{policy:?} {dead} of {nodes}: {milliseconds} ms");
                assert!(world.overlaps.is_empty(), "{:?}", world.overlaps);
            }
        }
    }
}

#[test]
fn who_is_cut_off_stops_before_its_successor_begins() {
    let mut world = World::new(settings(3, 2, 4, Policy::Quorum));
    world.run(seconds(2));
    for cut in 1..=3 {
        let rest: Vec<u16> = (1..=3).filter(|n| *n != cut).collect();
        world.part(&[cut], &rest);
        world.run(seconds(1));
        world.assert_view(&rest);
        world.assert_owned();
        world.cut.clear();
        world.run(seconds(3));
        world.assert_view(&[1, 2, 3]);
        world.assert_owned();
    }
    assert!(world.overlaps.is_empty(), "{:?}", world.overlaps);
}

#[test]
fn one_broken_pair_among_three_changes_nothing() {
    for one_way in [false, true] {
        let mut world = World::new(settings(3, 2, 4, Policy::Witness));
        world.run(seconds(2));
        world.gap();
        let views: usize = world.nodes.values().map(|node| node.views).sum();
        world.cut(1, 2);
        if !one_way {
            world.cut(2, 1);
        }
        world.run(seconds(5));
        world.assert_view(&[1, 2, 3]);
        world.assert_owned();
        assert_eq!(world.nodes.values().map(|node| node.views).sum::<usize>(), views);
        assert_eq!(world.gap(), Duration::ZERO);
    }
}

#[test]
fn a_node_that_starts_again_is_taken_in_within_a_second() {
    let mut world = World::new(settings(3, 1, 3, Policy::Witness));
    world.run(seconds(2));
    world.node(2).dead = true;
    world.run(seconds(1));
    world.start(base::NodeId(2), 2);
    world.run(seconds(1));
    world.assert_view(&[1, 2, 3]);
    world.assert_owned();
    assert!(world.overlaps.is_empty());
}

#[test]
fn gates_open_in_a_new_view_only_when_the_forwarders_obey_its_owners() {
    let mut world = World::new(settings(3, 2, 2, Policy::Available));
    world.run(seconds(2));
    world.part(&[1], &[2, 3]);
    world.run(seconds(2));
    world.node(1).stuck = true;
    world.cut.clear();
    world.run(seconds(2));
    world.assert_view(&[1, 2, 3]);
    assert!(!may_serve(&world, 1), "its forwarders may hold what others own by now");
    world.node(1).stuck = false;
    world.run(seconds(1));
    assert!(may_serve(&world, 1));
    world.assert_owned();
}

#[test]
fn a_restart_faster_than_suspicion_is_noticed() {
    for n in 1..=3 {
        let mut world = World::new(settings(3, 1, 3, Policy::Quorum));
        world.run(seconds(2));
        world.start(base::NodeId(n), 2);
        world.run(seconds(2));
        world.assert_view(&[1, 2, 3]);
        world.assert_owned();
        assert!(world.overlaps.is_empty());
    }
}

#[test]
fn thirty_percent_of_loss_moves_nothing_for_good_and_nobody_serves_twice() {
    for nodes in [2, 3, 4] {
        let mut world = World::new(settings(nodes, 2, 2, Policy::Quorum));
        world.run(seconds(2));
        world.loss = 300;
        world.run(seconds(10));
        world.loss = 0;
        world.run(seconds(2));
        let all: Vec<u16> = (1..=nodes).collect();
        world.assert_view(&all);
        world.assert_owned();
        assert!(world.overlaps.is_empty(), "{nodes}: {:?}", world.overlaps);
    }
}

#[test]
fn who_does_not_hear_one_way_never_becomes_a_second_owner() {
    for policy in POLICIES {
        for nodes in [2, 3] {
            for (from, to) in [(1, 2), (2, 1)] {
                let mut world = World::new(settings(nodes, 2, 2, policy));
                world.run(seconds(2));
                for other in (1..=nodes).filter(|n| *n != to) {
                    world.cut(if nodes == 2 { from } else { other }, to);
                }
                world.run(seconds(3));
                world.cut.clear();
                world.run(seconds(3));
                assert!(world.overlaps.is_empty(), "{policy:?} {from}: {:?}", world.overlaps);
                world.assert_view(&(1..=nodes).collect::<Vec<u16>>());
                world.assert_owned();
            }
        }
    }
}

#[test]
fn the_survivor_of_two_goes_on_without_a_gap_in_what_it_owns() {
    for policy in [Policy::Witness, Policy::Available] {
        let mut world = World::new(settings(2, 1, 2, policy));
        world.run(seconds(2));
        world.assert_owned();
        let own = (0..2).map(VipId).find(|vip| world.serving(*vip) == [world::id(1)]);
        let own = own.expect("each has one");
        world.gap();
        world.node(2).dead = true;
        world.run(seconds(1));
        world.assert_view(&[1]);
        world.assert_owned();
        assert_eq!(world.longest.get(&own).copied().unwrap_or_default(), Duration::ZERO);
        assert!(world.gap().as_millis() <= 180);
    }
}

#[test]
fn who_hears_nobody_and_no_witness_stops() {
    let mut world = World::new(settings(2, 1, 2, Policy::Witness));
    world.run(seconds(2));
    world.node(2).dead = true;
    world.mute_witness.insert(base::NetworkId(0));
    world.run(seconds(1));
    assert!((0..2).all(|vip| world.serving(VipId(vip)).is_empty()));
}

#[test]
fn who_takes_over_says_for_whom_and_since_when_that_is_not_heard() {
    let mut world = World::new(settings(3, 1, 3, Policy::Witness));
    world.run(Duration::from_secs(2));
    let dead = world.serving(VipId(0))[0];
    let left: Vec<u16> = (1..=3).filter(|node| id(*node) != dead).collect();
    left.iter().for_each(|node| world.node(*node).moves.clear());
    let killed = world.now;
    world.node(dead.0).dead = true;
    world.run(Duration::from_secs(1));
    for node in left {
        let told = &world.node(node).moves;
        assert!(told.len() == 1 && told[0].vips == [VipId(0)], "{node}: {told:?}");
        assert_eq!((told[0].from, told[0].reason), (Some(dead), Reason::Takeover));
        assert!(told[0].heard.is_some_and(|heard| heard <= killed + Duration::from_millis(1)));
    }
}

#[test]
fn who_stands_by_for_a_vip_is_who_takes_it_over() {
    for nodes in [2, 3, 5] {
        for dead in 1..=nodes {
            let mut world = World::new(settings(nodes, 2, 8, Policy::Witness));
            world.run(seconds(3));
            let told = world.node(1).standbys.clone();
            for other in 1..=nodes {
                assert_eq!(world.node(other).standbys, told, "{other} of {nodes}");
            }
            let serves = |world: &World, id, vip| world.serving(vip) == [NodeId(id)];
            let vips = (0..8).map(VipId::from);
            let owned: Vec<_> = vips.filter(|vip| serves(&world, dead, *vip)).collect();
            assert!(!owned.is_empty());
            world.node(dead).dead = true;
            world.run(seconds(1));
            for vip in owned {
                let heir = told[vip.index()].expect("somebody is left");
                assert!(serves(&world, heir.0, vip), "{vip:?} of {dead} goes to {heir:?}");
            }
        }
    }
}

#[test]
fn whoever_starts_again_before_it_was_missed_leaves_its_addresses_to_those_that_have_the_flows() {
    let mut world = World::new(settings(3, 1, 3, Policy::Witness));
    world.run(Duration::from_secs(2));
    let owner = world.serving(VipId(0))[0];
    world.start(owner, 2);
    let mut next = Vec::new();
    for _ in 0..200 {
        world.run(Duration::from_millis(5));
        next = world.serving(VipId(0));
        if !next.is_empty() {
            break;
        }
    }
    assert!(next.len() == 1 && next[0] != owner, "{owner:?} starts again, then {next:?} serves");
    world.run(Duration::from_secs(3));
    world.assert_view(&[1, 2, 3]);
    let owned = (0..3).filter(|vip| world.serving(VipId(*vip)) == [owner]).count();
    assert_eq!(owned, 1, "and it has its share again, by a move");
    assert!(world.overlaps.is_empty());
}
