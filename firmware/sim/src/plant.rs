//! Bugs that are built into a world on purpose. Each proves that a checker can fail: a checker
//! that has never failed has proved nothing. They stand at the boundary of the nodes: the data
//! plane, the sockets, the clock, the wire, an operator. The nodes' own code has none.

use crate::draw::{MILLISECOND, SECOND};
use crate::network::Impairment;
use crate::options::Options;
use crate::plan::episode::Thread;
use crate::plan::{After, Class, Classes, Episode, Kind, Plan};
use crate::run::{Outcome, run_plan};
use model::Policy;

macro_rules! plants {
    ($($(#[$doc:meta])* $name:ident => $checker:literal,)*) => {
        /// A planted bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Plant {
            $($(#[$doc])* $name,)*
        }

        impl Plant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name, for people.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The checker that must find it.
            pub const fn caught_by(self) -> &'static str {
                match self {
                    $(Self::$name => $checker,)*
                }
            }
        }
    };
}

plants! {
    /// Data planes never see a lease end.
    EternalLease => "one-owner",
    /// The same on a node whose forwarding thread hangs meanwhile.
    EternalLeaseOfAHungNode => "fencing",
    /// The data plane's gate is renewed by nobody's leave.
    OwnLease => "no-overlap",
    /// Sockets are not always drained before somebody is judged.
    SeldomDrains => "no-self-harm",
    /// A queue hands an old statement about an owner to the data plane again.
    StaleTables => "generation",
    /// What makes one node an owner reaches another one, too.
    TwinTables => "generation",
    /// A member is lost from a view on its way to one node.
    ForgedView => "view-agreement",
    /// Somebody passes on a token that is not his.
    TwinToken => "token-unique",
    /// Windows against replays forget what they saw.
    ForgetfulWindow => "authentic",
    /// A data plane resets connections now and then.
    Resets => "no-reset",
    /// Every node selects servers in its own way.
    OwnSelection => "no-reset",
    /// What is told of a flow names another server.
    TwistedCopies => "replica",
    /// A data plane serves a VIP before it knows the flows that were copied.
    LateCopies => "install-order",
    /// Owners announce nothing.
    NeverAnnounces => "announced",
    /// No call for a view reaches one node.
    LostCalls => "one-view",
    /// One data plane never hears that it owns something.
    LostTables => "owned",
    /// All data planes lose it, once a node has died.
    LateLostTables => "taken-over",
    /// Data planes answer for their VIPs and drop what comes.
    BlackHole => "reached",
    /// An old owner drops what it should pass on.
    DropsWhatItReleased => "no-gap",
    /// Somebody passes on a token that names another document.
    TwinDocument => "config",
    /// Somebody moves VIPs though nothing happens.
    Meddler => "settled",
    /// Somebody moves VIPs when two nodes no longer hear each other.
    MeddlerInABrokenPair => "broken-pair",
}

impl Plan {
    /// A small quiet world in which a planted bug must show: under `quorum` one of three nodes is
    /// cut off for a second, then comes what follows in every world.
    pub fn stage(plant: Plant) -> Self {
        let mut plan = Self::quiet(1, 3, 6);
        plan.policy = Policy::Quorum;
        plan.heal = 5 * SECOND;
        let after = [
            (Plant::LateLostTables, After::Strike { node: 1 }),
            (Plant::OwnSelection, After::Strike { node: 1 }),
            (Plant::DropsWhatItReleased, After::Moves),
            (Plant::MeddlerInABrokenPair, After::BrokenPair { first: 0, second: 1 }),
        ];
        let after = after.into_iter().find(|(needed_by, _)| *needed_by == plant);
        plan.after = after.map_or(After::Rest, |(_, after)| after);
        if plant == Plant::ForgetfulWindow {
            plan.sealed = true;
            plan.weather.duplicated = 100;
        }
        if plant == Plant::DropsWhatItReleased {
            // A move takes less than a millisecond: only quick connections notice.
            for flow in &mut plan.flows {
                flow.pace = MILLISECOND / 4;
            }
        }
        let copies = matches!(plant, Plant::TwistedCopies | Plant::LateCopies);
        if copies {
            plan.classes = Classes::NONE.with(Class::Servers);
            plan.flows = plan.flows.repeat(8);
        }
        if plant == Plant::OwnLease {
            plan.vips.truncate(1);
            plan.flows.truncate(1);
            plan.vips[0].prefer = Some(1);
        }
        let others = (1..3).flat_map(|other| [(0, other), (other, 0)]);
        let cut =
            Kind::Links { network: None, pairs: others.collect(), impairment: Impairment::Cut };
        let hang = |thread| Kind::Hang { node: 0, thread };
        let kinds = if plant == Plant::EternalLease {
            // Its control would release what it owns, and it would answer a probe of the address.
            vec![cut, hang(Thread::Control)]
        } else if plant == Plant::EternalLeaseOfAHungNode {
            vec![hang(Thread::Forward)]
        } else {
            vec![cut]
        };
        let episode = |kind| Episode { from: 3 * SECOND, until: 4 * SECOND, kind };
        plan.episodes = kinds.into_iter().map(episode).collect();
        if copies {
            let from = 2 * SECOND;
            plan.episodes.push(Episode { from, until: from + MILLISECOND, kind: Kind::Servers });
        }
        plan
    }
}

/// Runs a small world with a planted bug. Returns what became of it, and the checker that has to
/// find the bug.
///
/// # Errors
/// The names that there are, if it is none of them.
pub fn run_planted(name: &str, trace: bool) -> Result<(Outcome, &'static str), String> {
    let plant = Plant::ALL.iter().copied().find(|plant| plant.name() == name).ok_or_else(|| {
        let names: Vec<_> = Plant::ALL.iter().map(|plant| plant.name()).collect();
        format!("no bug is called {name:?}; there are: {}", names.join(", "))
    })?;
    let options = Options { plant: Some(plant), trace, ..Options::default() };
    Ok((run_plan(Plan::stage(plant), &options), plant.caught_by()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_is_caught_by_its_checker_and_nothing_is_found_without_it() {
        for plant in Plant::ALL {
            let honest = run_plan(Plan::stage(*plant), &Options::default());
            assert!(honest.violation.is_none(), "{plant:?} not planted: {:?}", honest.violation);
            let planted = Options { plant: Some(*plant), ..Options::default() };
            let caught = run_plan(Plan::stage(*plant), &planted).violation;
            let checker = caught.as_ref().map(|violation| violation.checker);
            assert_eq!(checker, Some(plant.caught_by()), "{plant:?}: {caught:?}");
        }
    }
}
