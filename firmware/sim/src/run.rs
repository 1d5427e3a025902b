//! One seed from its first event to its last: faults first, then rest, then one more trial.

use crate::check::Violation;
use crate::draw::SECOND;
use crate::options::Options;
use crate::plan::Plan;
use crate::world::World;

/// What became of one seed.
#[derive(Debug)]
pub struct Outcome {
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What the world was like.
    pub summary: String,
    /// Simulated seconds.
    pub seconds: u64,
    /// Events that happened.
    pub events: u64,
}

/// Runs one seed.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let plan = Plan::new(seed, options.without);
    if options.trace {
        println!("seed {seed}: {}", plan.summary());
    }
    run_plan(plan, options)
}

/// Runs one plan.
pub(crate) fn run_plan(plan: Plan, options: &Options) -> Outcome {
    let summary = plan.summary();
    let mut world = World::new(plan, options.clone());
    world.run(world.plan.heal);
    world.trial();
    Outcome {
        violation: world.checks.violation,
        summary,
        seconds: world.now / SECOND,
        events: world.events,
    }
}
