//! Loads in simulated time: who carries how much, and what moves because of it.

use crate::draw::SECOND;
use crate::options::Options;
use crate::plan::Plan;
use crate::world::World;
use base::VipId;
use model::Profile;

/// What nodes carry together, in thousandths of what one can.
const TOTAL: f64 = 2_000.0;

/// Loads of so many VIPs by Zipf's law: the n-th has the n-th part of what the first has.
fn zipf(vips: usize) -> Vec<u16> {
    let whole: f64 = (1..=vips).map(|rank| 1.0 / rank as f64).sum();
    (1..=vips).map(|rank| (TOTAL / whole / rank as f64) as u16).collect()
}

fn world(nodes: usize, loads: Vec<u16>, late: Option<usize>) -> World {
    let mut plan = Plan::quiet(1, nodes, loads.len());
    plan.loads = loads;
    if let Some(node) = late {
        plan.starts[node] = 60 * SECOND;
    }
    World::new(plan, Options::default())
}

/// What each node carries, in thousandths of what it can, and how many VIPs that are.
fn carried(world: &World) -> Vec<(u32, usize)> {
    let mut carried = vec![(0, 0); world.plan.nodes];
    for (vip, load) in world.plan.loads.iter().enumerate() {
        for node in world.servers_of(VipId::from(vip)) {
            carried[node].0 += u32::from(*load);
            carried[node].1 += 1;
        }
    }
    carried
}

/// Points of a thousand between the busiest node and the least busy one.
fn apart(world: &World) -> u32 {
    let carried = carried(world);
    let loads = || carried.iter().map(|(load, _)| *load);
    loads().max().unwrap_or(0) - loads().min().unwrap_or(0)
}

/// That no connection was broken, or waited longer than for a packet that was lost once.
fn assert_unnoticed(world: &World) {
    assert!(world.checks.violation.is_none(), "{:?}", world.checks.violation);
    for flow in &world.flows {
        assert!(flow.longest_wait <= flow.pace * 3, "a connection waited {}", flow.longest_wait);
    }
}

fn forget_waits(world: &mut World) {
    for flow in &mut world.flows {
        flow.longest_wait = 0;
    }
}

#[test]
fn four_nodes_come_within_ten_points_in_five_minutes_under_zipfs_load() {
    let mut world = world(4, zipf(64), None);
    world.run(5 * SECOND);
    forget_waits(&mut world);
    let (before, moved) = (apart(&world), world.checks.changes);
    assert!(before > 200, "the loads are uneven at first: {:?}", carried(&world));
    world.run(world.now + 300 * SECOND);
    println!("{before} -> {}, {} moves", apart(&world), world.checks.changes - moved);
    assert!(apart(&world) <= 100, "{:?}", carried(&world));
    assert_unnoticed(&world);
}

#[test]
fn a_newcomer_among_busy_nodes_has_its_share_in_ten_seconds() {
    let mut world = world(4, zipf(64), Some(3));
    world.run(60 * SECOND);
    forget_waits(&mut world);
    world.run(70 * SECOND);
    let (load, count) = carried(&world)[3];
    println!("{load} thousandths, {count} VIPs");
    assert!((14..=17).contains(&count), "{:?}", carried(&world));
    assert!((300..=700).contains(&load), "{:?}", carried(&world));
    world.run(world.now + 300 * SECOND);
    assert!(apart(&world) <= 100, "{:?}", carried(&world));
    assert_unnoticed(&world);
}

#[test]
fn a_flood_on_one_vip_moves_nothing_else_and_changes_no_view() {
    let mut world = world(4, vec![50; 16], None);
    world.run(20 * SECOND);
    forget_waits(&mut world);
    let (moved, views) = (world.checks.changes, world.checks.installs);
    let owner = world.servers_of(VipId(0));
    world.plan.loads[0] = 3_000;
    world.run(world.now + 60 * SECOND);
    world.plan.loads[0] = 50;
    world.run(world.now + 60 * SECOND);
    assert_eq!(world.checks.changes, moved, "{owner:?} {:?}", carried(&world));
    assert_eq!(world.checks.installs, views);
    assert_unnoticed(&world);
}

/// Three nodes, each of which stalls as a whole for 50 to 150 ms about once in two seconds.
fn stalling(profile: Profile) -> World {
    let mut plan = Plan::quiet(3, 3, 8);
    plan.profile = profile;
    plan.stalls.long = 1_000;
    let mut world = World::new(plan, Options::default());
    world.run(10 * SECOND);
    world
}

/// VIPs that changed their owner, and times without one, within so many seconds.
fn unrest(world: &mut World, seconds: u64) -> (u64, usize) {
    let (changes, gaps) = (world.checks.changes, world.checks.gaps.len());
    world.run(world.now + seconds * SECOND);
    (world.checks.changes - changes, world.checks.gaps.len() - gaps)
}

#[test]
fn with_auto_nodes_that_stall_serve_without_a_gap_and_with_normal_they_do_not() {
    let mut auto = stalling(Profile::Auto);
    let (moved, gaps) = unrest(&mut auto, 120);
    let (moved_normal, gaps_normal) = unrest(&mut stalling(Profile::Normal), 120);
    println!("auto: {moved} moves, {gaps} gaps; normal: {moved_normal} moves, {gaps_normal} gaps");
    assert!(auto.checks.violation.is_none(), "{:?}", auto.checks.violation);
    assert_eq!((moved, gaps), (0, 0));
    assert!(gaps_normal > 0, "the stalls are such that they matter");
}
