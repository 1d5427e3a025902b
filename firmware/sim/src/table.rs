//! How cost and times grow with nodes and addresses, in simulated time.

use crate::draw::{MICROSECOND, MILLISECOND, SECOND};
use crate::options::Options;
use crate::plan::Plan;
use crate::world::World;
use base::VipId;

const NODES: [usize; 5] = [2, 4, 8, 16, 32];
const VIPS: [usize; 3] = [10, 100, 1_000];
/// Worlds of each size.
const SEEDS: u64 = 3;
/// Between two looks at whether something has come true.
const LOOK: u64 = 500 * MICROSECOND;
/// What has not come true by then is given up.
const PATIENCE: u64 = 20 * SECOND;

/// What was measured of one size.
#[derive(Default)]
struct Row {
    /// From the power switch of all nodes at once to one view that owns every VIP.
    form: Vec<u64>,
    /// Without an owner, for each VIP of a node that died.
    gaps: Vec<u64>,
    /// From the return of that node to one view with it.
    join: Vec<u64>,
    /// Datagrams that each node sends in a second at rest.
    datagrams: Vec<u64>,
    /// Octets that each node sends in a second at rest, bodies alone.
    octets: Vec<u64>,
}

/// Measures and hands each line of the table to `line` as soon as it is known.
pub fn table(line: impl Fn(&str)) {
    line(
        "| nodes | VIPs | formed, ms | gap of a dead node's VIPs, ms: median / longest | returned, \
         ms | datagrams/s of a node | kbit/s of a node |",
    );
    line("|--:|--:|--:|--:|--:|--:|--:|");
    for nodes in NODES {
        for vips in VIPS {
            let mut row = Row::default();
            for seed in 0..SEEDS {
                measure(seed, nodes, vips, &mut row);
            }
            let (longest, gap) = (row.gaps.iter().max().copied(), median(&mut row.gaps));
            line(&format!(
                "| {nodes} | {vips} | {} | {} / {} | {} | {} | {} |",
                milliseconds(median(&mut row.form)),
                milliseconds(gap),
                milliseconds(longest),
                milliseconds(median(&mut row.join)),
                median(&mut row.datagrams).unwrap_or(0),
                median(&mut row.octets).unwrap_or(0) * 8 / 1_000,
            ));
        }
    }
}

/// One world of a size: it forms, rests, loses a node, and gets it back.
fn measure(seed: u64, nodes: usize, vips: usize, row: &mut Row) {
    let mut world = World::new(Plan::quiet(seed, nodes, vips), Options::default());
    world.heal();
    row.form.extend(until(&mut world, |world| world.is_whole()));
    world.run(world.now + 2 * SECOND);
    let before = (world.checks.datagrams, world.checks.octets);
    world.run(world.now + 5 * SECOND);
    let per_node = |sent: u64| sent / 5 / u64::try_from(nodes).unwrap_or(1);
    row.datagrams.push(per_node(world.checks.datagrams - before.0));
    row.octets.push(per_node(world.checks.octets - before.1));
    world.checks.gaps.clear();
    world.switch_off(0, true);
    world.run(world.now + SECOND);
    let moved = world.checks.gaps.iter().filter(|gap| gap.moved);
    row.gaps.extend(moved.map(|gap| gap.long));
    world.switch_on(0);
    row.join.extend(until(&mut world, |world| world.is_whole()));
}

/// How long it took until something came true, if it did.
fn until(world: &mut World, holds: impl Fn(&World) -> bool) -> Option<u64> {
    let start = world.now;
    while world.now < start + PATIENCE {
        world.run(world.now + LOOK);
        if holds(world) {
            return Some(world.now - start);
        }
    }
    None
}

impl World {
    /// Whether all nodes run in one view, and every VIP has one owner.
    fn is_whole(&self) -> bool {
        let all = self.nodes.iter().all(|node| node.life.is_some());
        let owned = |vip: usize| self.servers_of(VipId::from(vip)).len() == 1;
        all && self.views_apart().is_none() && (0..self.plan.vips.len()).all(owned)
    }
}

fn median(of: &mut [u64]) -> Option<u64> {
    of.sort_unstable();
    of.get(of.len() / 2).copied()
}

fn milliseconds(nanos: Option<u64>) -> String {
    nanos.map_or("never".into(), |nanos| format!("{:.1}", nanos as f64 / MILLISECOND as f64))
}
