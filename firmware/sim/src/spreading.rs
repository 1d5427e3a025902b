//! A VIP that is hotter than one node, in simulated time: what nodes carry together, and what
//! becomes of its connections when the nodes that share it change.

use crate::draw::{MILLISECOND, SECOND};
use crate::options::Options;
use crate::plan::{FlowPlan, Plan};
use crate::world::{Event, World};
use base::VipId;

const HOT: VipId = VipId(0);
/// Whose owner has the servers' gateway.
const GATEWAY: VipId = VipId(1);
/// Connections of the hot VIP.
const FLOWS: usize = 2_000;
/// Between two packets of one.
const PACE: u64 = 20 * MILLISECOND;

fn world(nodes: usize, spread: bool) -> World {
    let mut plan = Plan::quiet(5, nodes, 2);
    plan.vips[HOT.index()].spread = spread;
    plan.vips[HOT.index()].prefer = Some(0);
    plan.vips[GATEWAY.index()].prefer = Some(1);
    plan.flows = (0..FLOWS).map(|_| FlowPlan { client: 0, vip: 0, pace: PACE }).collect();
    let mut world = World::new(plan, Options::default());
    world.run(3 * SECOND);
    forget(&mut world);
    world
}

fn forget(world: &mut World) {
    world.flows.iter_mut().for_each(|flow| flow.longest_wait = 0);
    world.nodes.iter_mut().for_each(|node| node.done = Default::default());
}

/// What each node was given to serve since, in thousandths of all.
fn shares(world: &World) -> Vec<u64> {
    let all: u64 = world.nodes.iter().map(|node| node.done.served).sum();
    world.nodes.iter().map(|node| node.done.served * 1_000 / all.max(1)).collect()
}

/// What the nodes carry together when the busiest is full, as a multiple of what one carries.
///
/// To serve is two pieces of work, the client's packet and the server's; passing one on costs a
/// part of a piece. With `gateway` the servers' packets come in at that VIP's owner, and those of
/// flows of others are passed on once more; otherwise they come to the node that serves the flow.
fn carried(world: &World, pass: f64, gateway: bool) -> f64 {
    let all: u64 = world.nodes.iter().map(|node| node.done.served).sum();
    let enters = world.servers_of(GATEWAY);
    let work = world.nodes.iter().map(|node| {
        let passed = if gateway && enters == [node.index] { all - node.done.served } else { 0 };
        2.0 * node.done.served as f64 + pass * (node.done.passed + passed) as f64
    });
    2.0 * all as f64 / work.fold(0.0, f64::max)
}

fn assert_unbroken(world: &World, wait: u64) {
    assert!(world.checks.violation.is_none(), "{:?}", world.checks.violation);
    let longest = world.flows.iter().map(|flow| flow.longest_wait).max();
    assert!(longest.is_some_and(|longest| longest <= wait), "{longest:?} ns without an answer");
    let now = world.now;
    let lost = world
        .flows
        .iter()
        .filter(|flow| flow.answered().is_none_or(|answered| now - answered > PACE * 3));
    assert_eq!(lost.count(), 0, "connections that nobody answers any more");
}

#[test]
fn four_nodes_share_the_flows_of_a_hot_vip_and_its_owner_passes_on_what_is_not_its_own() {
    let mut one = world(4, false);
    one.run(one.now + 5 * SECOND);
    assert_eq!(shares(&one), [1_000, 0, 0, 0]);
    let mut four = world(4, true);
    four.run(four.now + 5 * SECOND);
    assert!(shares(&four).iter().all(|share| (225..=275).contains(share)), "{:?}", shares(&four));
    let passed: Vec<u64> = four.nodes.iter().map(|node| node.done.passed).collect();
    assert!(passed[0] > 0 && passed[1..] == [0, 0, 0], "{passed:?}");
    for pass in [0.0, 0.1, 0.25, 0.5, 0.75, 1.0] {
        let [through, direct] = [true, false].map(|gateway| carried(&four, pass, gateway));
        println!("a hop {pass} of the work: {through:.2}, with replies direct {direct:.2}");
    }
    assert!(carried(&four, 0.0, true) >= 3.6, "the flows are shared evenly");
    assert!(carried(&four, 1.0, true) > 1.5, "even if a hop cost as much as the work itself");
    assert_unbroken(&four, PACE * 2);
}

#[test]
fn connections_go_on_when_a_vip_is_spread_and_when_it_is_not_any_more() {
    let mut world = world(4, false);
    for spread in [true, false, true] {
        world.plan.vips[HOT.index()].spread = spread;
        world.edit(2, None);
        world.run(world.now + 2 * SECOND);
        // Where the worker has the document a little later than the owner, a packet may be lost.
        assert_unbroken(&world, PACE * 3);
        forget(&mut world);
        world.run(world.now + SECOND);
        assert_eq!(shares(&world).iter().all(|share| *share > 200), spread, "{:?}", shares(&world));
    }
}

#[test]
fn connections_go_on_when_a_node_that_shares_them_dies_and_when_it_returns() {
    for dies in [2, 0] {
        let mut world = world(4, true);
        world.queue.push(world.now + SECOND, Event::Dies { node: dies });
        world.run(world.now + 2 * SECOND - 10 * MILLISECOND);
        // Until the silence is judged, and the owner, if it is that, is another.
        assert_unbroken(&world, 200 * MILLISECOND);
        forget(&mut world);
        world.run(world.now + 3 * SECOND);
        assert_unbroken(&world, PACE * 3);
        forget(&mut world);
        world.run(world.now + SECOND);
        assert!(shares(&world)[dies] > 200, "it has its part again: {:?}", shares(&world));
    }
}

#[test]
fn a_drained_node_has_no_part_in_a_spread_vip() {
    let mut world = world(3, true);
    let drained = cluster::Request::Drain { node: crate::node::life::id(2) };
    let life = world.nodes[0].life.as_mut().expect("it runs");
    life.requests.push_back(drained);
    world.run(world.now + 2 * SECOND);
    assert_unbroken(&world, PACE * 2);
    forget(&mut world);
    world.run(world.now + SECOND);
    let shares = shares(&world);
    assert!(shares[2] == 0 && shares[0] > 400 && shares[1] > 400, "{shares:?}");
}
