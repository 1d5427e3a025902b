//! Faults with a beginning and an end, and what operators do meanwhile.

use super::{Class, Plan};
use crate::draw::{Draw, MILLISECOND, SECOND};
use crate::network::Impairment;

/// From the order to leave until the node stops.
pub(crate) const DEPARTURE: u64 = SECOND;

/// A fault from its beginning to its end.
#[derive(Clone, Debug)]
pub(crate) struct Episode {
    pub from: u64,
    pub until: u64,
    pub kind: Kind,
}

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Directed links between hosts of one network, or of every one, are impaired.
    Links { network: Option<usize>, pairs: Vec<(usize, usize)>, impairment: Impairment },
    /// The node is off. `remembers`: it finds what it had stored when it starts again.
    Off { node: usize, remembers: bool },
    /// All of the node stands still.
    Pause { node: usize, how: Pause },
    /// One of its threads does.
    Hang { node: usize, thread: Thread },
    /// Its cable to a network is pulled.
    Carrier { node: usize, network: usize },
    /// An operator asks for a move.
    Move { vip: usize, to: usize },
    /// The node leaves in an orderly way and stops; it starts again at the end.
    Leave { node: usize },
    /// An operator commits a document at a node; `unfit` is a node that cannot carry it out.
    Edit { node: usize, unfit: Option<usize> },
    /// There are other servers from now on.
    Servers,
}

/// How a node stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Its program does; the kernel goes on receiving.
    Process,
    /// The whole machine does, and the clock goes on.
    Machine,
    /// The whole machine does, with its clock.
    MachineAndClock,
}

/// The threads of a node that the cluster depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thread {
    Pulse,
    Control,
    Forward,
}

impl Thread {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pulse, Self::Control, Self::Forward];
}

/// The episodes of a plan, in the order in which they begin.
pub(super) fn drawn(plan: &Plan) -> Vec<Episode> {
    let mut episodes = Vec::new();
    for class in plan.classes.iter() {
        let mut draw = Draw::new(plan.seed, class.name());
        for _ in 0..draw.between(1, 5) {
            let Some((kind, longest)) = kind(plan, class, &mut draw) else { continue };
            let from = draw.between(SECOND, plan.heal - SECOND);
            let long = draw.heavy_tail(100 * MILLISECOND, longest).max(shortest(&kind));
            episodes.push(Episode { from, until: (from + long).min(plan.heal), kind });
        }
    }
    episodes.sort_by_key(|episode| episode.from);
    episodes
}

/// How long something lasts at least: a leaving node hands over before it stops.
const fn shortest(kind: &Kind) -> u64 {
    match kind {
        Kind::Leave { .. } => DEPARTURE + 200 * MILLISECOND,
        Kind::Links { .. }
        | Kind::Off { .. }
        | Kind::Pause { .. }
        | Kind::Hang { .. }
        | Kind::Carrier { .. }
        | Kind::Move { .. }
        | Kind::Edit { .. }
        | Kind::Servers => 0,
    }
}

/// What happens in an episode of a class, and how long it may last; nothing for classes that are
/// in the air all the time.
fn kind(plan: &Plan, class: Class, draw: &mut Draw) -> Option<(Kind, u64)> {
    let node = draw.below(plan.nodes);
    let kind = match class {
        Class::Loss => {
            let loss = u16::try_from(draw.between(50, 900)).unwrap_or(900);
            (links(plan, draw, Impairment::Loss(loss)), 8 * SECOND)
        }
        Class::Delay => {
            let more = draw.pick(&[1, 5, 20, 60]) * MILLISECOND;
            (links(plan, draw, Impairment::Delay(more)), 5 * SECOND)
        }
        Class::Partition => (links(plan, draw, Impairment::Cut), 8 * SECOND),
        Class::Crash => {
            let remembers = !(plan.classes.has(Class::Amnesia) && draw.chance(500));
            (Kind::Off { node, remembers }, 6 * SECOND)
        }
        Class::Pause => {
            let how = draw.pick(&[Pause::Process, Pause::Machine, Pause::MachineAndClock]);
            (Kind::Pause { node, how }, 4 * SECOND)
        }
        Class::Hang => (Kind::Hang { node, thread: draw.pick(&Thread::ALL) }, 4 * SECOND),
        Class::Carrier => (Kind::Carrier { node, network: draw.below(plan.networks) }, 5 * SECOND),
        Class::Moves => (Kind::Move { vip: draw.below(plan.vips.len()), to: node }, MILLISECOND),
        Class::Joins => (Kind::Leave { node }, 5 * SECOND),
        Class::Edits => {
            let unfit = draw.chance(200).then(|| draw.below(plan.nodes));
            (Kind::Edit { node, unfit }, MILLISECOND)
        }
        Class::Servers => (Kind::Servers, MILLISECOND),
        Class::Reorder
        | Class::Duplicate
        | Class::Corrupt
        | Class::Replay
        | Class::Forge
        | Class::Amnesia
        | Class::LateTimers
        | Class::ClockRates
        | Class::KeyRotation => return None,
    };
    Some(kind)
}

/// A shape of links that are impaired: between halves, around one node, in one direction, so that
/// one node bridges two halves, or so that each sees a majority and no two the same.
fn links(plan: &Plan, draw: &mut Draw, impairment: Impairment) -> Kind {
    let network = if draw.chance(400) { Some(draw.below(plan.networks)) } else { None };
    let nodes = plan.nodes;
    let clients = plan.clients.iter().filter(|client| client.network == 0).count();
    let with_clients = draw.chance(400);
    let hosts = if with_clients { nodes + clients } else { nodes };
    let mut order: Vec<usize> = (0..hosts).collect();
    draw.shuffle(&mut order);
    let place = |host: usize| order.iter().position(|other| *other == host).unwrap_or(host);
    let half = hosts.div_ceil(2);
    let shape = draw.below(7);
    let one = draw.below(nodes);
    let other = draw.below(hosts);
    let broken = |from: usize, to: usize| match shape {
        // Halves.
        0 => (place(from) < half) != (place(to) < half),
        // One node is alone.
        1 => from == one || to == one,
        // Nobody hears one node; one node hears nobody.
        2 => from == one,
        3 => to == one,
        // Halves with a bridge.
        4 => (place(from) < half) != (place(to) < half) && from != order[0] && to != order[0],
        // Each sees its neighbors on a ring that make up a majority.
        5 => {
            let apart = place(from).abs_diff(place(to));
            apart.min(hosts - apart) > hosts.div_ceil(4)
        }
        // One pair, one way or both.
        _ => (from, to) == (one, other) || ((to, from) == (one, other) && place(one) % 2 == 0),
    };
    let every = (0..hosts).flat_map(|from| (0..hosts).map(move |to| (from, to)));
    let pairs = every.filter(|(from, to)| from != to && broken(*from, *to)).collect();
    Kind::Links { network, pairs, impairment }
}
