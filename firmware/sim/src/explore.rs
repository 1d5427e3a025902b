//! A bounded model check of calls, consent, token and merge: three nodes, one disturbance, and then
//! *every* combination of what can become of the next messages between the control threads, and of
//! a node that dies between two of them. Where seeds search wide, this searches without a hole.

use crate::check::Violation;
use crate::draw::SECOND;
use crate::network::Impairment;
use crate::options::Options;
use crate::plan::{Episode, Kind, Plan};
use crate::world::World;
use model::Policy;

/// Three nodes are the fewest that have a majority, a minority and a bystander.
const NODES: usize = 3;
/// When the disturbance comes, and when the messages begin whose fate is decided.
const DISTURBED: u64 = SECOND;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    IsLost,
    ArrivesTwice,
}

/// The fates of the first messages after a time.
#[derive(Clone, Debug)]
pub(crate) struct Fates {
    pub from: u64,
    pub messages: Vec<Fate>,
    /// This node dies when so many messages were sent.
    pub death: Option<(usize, usize)>,
}

/// What was disturbed at first.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    ColdStart,
    Death(usize),
    /// A node was cut off, and is reached again.
    Merge(usize),
}

/// What an exploration came to.
#[derive(Debug)]
pub struct Explored {
    /// Worlds that were run.
    pub worlds: u64,
    /// The first promise that was broken, and in which world.
    pub violation: Option<(String, Violation)>,
}

/// Runs every world with `depth` messages whose fate is open.
pub fn explore(depth: usize) -> Explored {
    let mut explored = Explored { worlds: 0, violation: None };
    let mut disturbances = vec![Disturbance::ColdStart];
    disturbances.extend((0..NODES).flat_map(|n| [Disturbance::Death(n), Disturbance::Merge(n)]));
    let deaths = (0..depth).flat_map(|after| (0..NODES).map(move |node| Some((after, node))));
    let deaths: Vec<_> = std::iter::once(None).chain(deaths).collect();
    for policy in [Policy::Quorum, Policy::Witness] {
        for disturbance in &disturbances {
            for messages in combinations(depth) {
                for death in &deaths {
                    let name = format!("{policy:?} {disturbance:?} {messages:?} {death:?}");
                    let fates =
                        Fates { from: DISTURBED, messages: messages.clone(), death: *death };
                    explored.worlds += 1;
                    if let Some(violation) = play(policy, *disturbance, fates) {
                        explored.violation = Some((name, violation));
                        return explored;
                    }
                }
            }
        }
    }
    explored
}

/// Every combination of fates of so many messages.
fn combinations(depth: usize) -> Vec<Vec<Fate>> {
    (0..depth).fold(vec![Vec::new()], |shorter, _| {
        let longer = shorter.into_iter().flat_map(|fates| {
            [Fate::Arrives, Fate::IsLost, Fate::ArrivesTwice].map(|fate| {
                let mut fates = fates.clone();
                fates.push(fate);
                fates
            })
        });
        longer.collect()
    })
}

/// One world: the safety promises all along, and in the end one view that owns everything.
fn play(policy: Policy, disturbance: Disturbance, fates: Fates) -> Option<Violation> {
    let mut plan = Plan::quiet(1, NODES, NODES);
    plan.policy = policy;
    plan.flows.clear();
    match disturbance {
        Disturbance::ColdStart => plan.starts = vec![DISTURBED; NODES],
        Disturbance::Death(node) => plan.episodes.push(Episode {
            from: DISTURBED,
            until: 2 * SECOND,
            kind: Kind::Off { node, remembers: true },
        }),
        Disturbance::Merge(node) => {
            let others = (0..NODES).filter(|other| *other != node);
            let pairs = others.flat_map(|other| [(node, other), (other, node)]).collect();
            let kind = Kind::Links { network: None, pairs, impairment: Impairment::Cut };
            plan.episodes.push(Episode { from: DISTURBED / 2, until: DISTURBED, kind });
        }
    }
    let options = Options { fates: Some(fates), ..Options::default() };
    let mut world = World::new(plan, options);
    world.heal();
    world.run(3 * SECOND);
    // Who fell twice is held back for a second; then there are two more.
    world.run(world.now + 3 * SECOND);
    world.check_one_view();
    world.check_owned();
    world.checks.violation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_becomes_of_the_next_message_no_promise_is_broken() {
        let explored = explore(1);
        assert!(explored.violation.is_none(), "{:?}", explored.violation);
        assert_eq!(explored.worlds, 2 * 7 * 3 * 4);
    }

    #[test]
    #[ignore = "takes a minute; `cargo xtask test --all` runs it"]
    fn whatever_becomes_of_the_next_three_messages_no_promise_is_broken() {
        let explored = explore(3);
        assert!(explored.violation.is_none(), "{:?}", explored.violation);
        assert_eq!(explored.worlds, 2 * 7 * 27 * 10);
    }

    #[test]
    fn every_fate_of_every_message_is_tried() {
        assert_eq!(combinations(0), [Vec::new()]);
        assert_eq!(combinations(4).len(), 81);
    }
}
