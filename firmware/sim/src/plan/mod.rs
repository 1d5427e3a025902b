//! What a seed decides: how large the cluster is, who its clients are, and what goes wrong when.

pub(crate) mod class;
pub(crate) mod episode;

use crate::client::arp::Habits;
use crate::draw::{Draw, MICROSECOND, MILLISECOND, SECOND};
use crate::network::Weather;
pub(crate) use class::{Class, Classes};
pub(crate) use episode::{Episode, Kind};
use model::{Policy, Profile};

/// Everything about a world that is known before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub seed: u64,
    pub classes: Classes,
    pub nodes: usize,
    pub networks: usize,
    pub vips: Vec<VipPlan>,
    pub policy: Policy,
    pub profile: Profile,
    /// Whether datagrams are sealed; without it none is forged, replayed or damaged.
    pub sealed: bool,
    pub weather: Weather,
    /// After how long switches forget.
    pub ageing: u64,
    /// Parts per million by which the clock of each node is wrong.
    pub rates: Vec<i64>,
    /// When each node is started first.
    pub starts: Vec<u64>,
    pub stalls: Stalls,
    pub clients: Vec<ClientPlan>,
    pub flows: Vec<FlowPlan>,
    /// Thousandths of what a node can carry that each VIP takes; none: nothing is measured.
    pub loads: Vec<u16>,
    pub episodes: Vec<Episode>,
    /// When every fault has ended.
    pub heal: u64,
    /// What is tried after that.
    pub after: After,
}

/// How late threads run.
#[derive(Clone, Debug)]
pub(crate) struct Stalls {
    /// A thread is usually late by up to twice this.
    pub usual: u64,
    /// Wake-ups per million that stall the whole node, for 50 to 150 ms.
    pub long: u32,
    /// Wake-ups per million that stall one thread, for up to 30 ms.
    pub short: u32,
}

/// A virtual address.
#[derive(Clone, Debug)]
pub(crate) struct VipPlan {
    pub network: usize,
    pub group: u16,
    pub prefer: Option<usize>,
    pub back: bool,
    /// Its flows are shared among nodes.
    pub spread: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ClientPlan {
    pub network: usize,
    pub habits: Habits,
    pub gateway: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowPlan {
    pub client: usize,
    pub vip: usize,
    pub pace: u64,
}

/// What a healed cluster is put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing but rest: nothing may move.
    Rest,
    /// The silent death of one node.
    Strike { node: usize },
    /// Planned moves of a VIP from node to node.
    Moves,
    /// A broken link between two nodes that stays: views settle, and if there are three nodes
    /// nothing moves.
    BrokenPair { first: usize, second: usize },
}

impl Plan {
    /// The plan of a seed, without the classes in `without`.
    pub fn new(seed: u64, without: Classes) -> Self {
        let mut draw = Draw::new(seed, "plan");
        let classes = Classes::drawn(&mut Draw::new(seed, "classes")).without(without);
        let nodes = draw.pick(&[1, 2, 2, 3, 3, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 11, 16]);
        let networks = draw.pick(&[1, 1, 1, 2, 2, 3]);
        let vips = vips(&mut draw, nodes, networks);
        let policy = draw.pick(&[Policy::Quorum, Policy::Witness, Policy::Available]);
        let profile = draw.pick(&[
            Profile::Normal,
            Profile::Normal,
            Profile::Normal,
            Profile::Fast,
            Profile::Vm,
        ]);
        // Sealing costs the simulator more than all the rest together, so large worlds do without.
        let sealed = draw.chance(600) && nodes * networks <= 10;
        let clients = clients(&mut draw, networks);
        let flows = flows(&mut draw, &clients, &vips);
        let safety = draw.between(4, 16) * SECOND;
        let starts = starts(&mut draw, nodes, classes);
        let after = after(&mut draw, nodes);
        let mut plan = Self {
            seed,
            classes,
            nodes,
            networks,
            vips,
            policy,
            profile,
            sealed,
            weather: weather(&mut Draw::new(seed, "weather"), classes, sealed),
            ageing: draw.pick(&[SECOND, 20 * SECOND, 300 * SECOND]),
            rates: (0..nodes).map(|_| rate(&mut draw, classes)).collect(),
            starts,
            stalls: stalls(&mut draw, classes),
            clients,
            flows,
            loads: Vec::new(),
            episodes: Vec::new(),
            heal: safety,
            after,
        };
        plan.episodes = episode::drawn(&plan);
        let mut draw = Draw::new(seed, "spread");
        // Nodes that share a VIP do not copy the flows that they work on.
        let spreads = draw.chance(300) && !classes.has(Class::Servers);
        plan.vips.iter_mut().for_each(|vip| vip.spread = spreads && draw.chance(500));
        plan
    }

    /// A cluster at rest on one quiet network, with profile `normal`.
    pub fn quiet(seed: u64, nodes: usize, vips: usize) -> Self {
        let mut plan = Self::new(seed, Classes::EVERY);
        let client = ClientPlan { network: 0, habits: Habits::PROPER, gateway: true };
        let flow = |vip| FlowPlan { client: 0, vip, pace: 10 * MILLISECOND };
        let vip = |vip| VipPlan {
            network: 0,
            group: u16::try_from(vip).unwrap_or_default(),
            prefer: None,
            back: false,
            spread: false,
        };
        plan.nodes = nodes;
        plan.networks = 1;
        plan.vips = (0..vips).map(vip).collect();
        plan.policy = Policy::Witness;
        plan.profile = Profile::Normal;
        plan.sealed = false;
        plan.rates = vec![0; nodes];
        plan.starts = vec![MILLISECOND; nodes];
        plan.clients = vec![client];
        plan.flows = (0..vips.min(6)).map(flow).collect();
        plan.episodes = Vec::new();
        plan.weather = Weather::CALM;
        plan.stalls = Stalls { usual: 20 * MICROSECOND, long: 0, short: 0 };
        plan
    }

    /// One line that says what the world is like.
    pub fn summary(&self) -> String {
        format!(
            "{} nodes, {} networks, {} VIPs, {} clients, {:?}, {:?}, {}, faults: {}; then {:?}",
            self.nodes,
            self.networks,
            self.vips.len(),
            self.clients.len(),
            self.policy,
            self.profile,
            if self.sealed { "sealed" } else { "in clear" },
            self.classes,
            self.after,
        )
    }
}

/// VIPs on any of the networks. Some move together; some have a node they prefer.
fn vips(draw: &mut Draw, nodes: usize, networks: usize) -> Vec<VipPlan> {
    let most = draw.pick(&[4, 16, 64, 256]);
    let count = 1 + draw.below(most);
    let grouped = draw.chance(200);
    let preferring = draw.chance(200);
    let vips = (0..count).map(|vip| {
        let group = if grouped { draw.below(vip + 1) } else { vip };
        VipPlan {
            network: draw.below(networks),
            group: u16::try_from(group).unwrap_or_default(),
            prefer: (preferring && draw.chance(500)).then(|| draw.below(nodes)),
            back: draw.chance(500),
            spread: false,
        }
    });
    vips.collect()
}

/// A gateway and up to two more hosts on each network.
fn clients(draw: &mut Draw, networks: usize) -> Vec<ClientPlan> {
    let mut clients = Vec::new();
    for network in 0..networks {
        clients.push(ClientPlan { network, habits: Habits::drawn(draw), gateway: true });
        clients.push(ClientPlan { network, habits: Habits::PROPER, gateway: false });
        if draw.chance(500) {
            clients.push(ClientPlan { network, habits: Habits::drawn(draw), gateway: false });
        }
    }
    clients
}

/// Connections from every client to some of the VIPs of its network.
fn flows(draw: &mut Draw, clients: &[ClientPlan], vips: &[VipPlan]) -> Vec<FlowPlan> {
    let mut flows = Vec::new();
    for (client, plan) in clients.iter().enumerate() {
        let mut own: Vec<usize> =
            (0..vips.len()).filter(|vip| vips[*vip].network == plan.network).collect();
        draw.shuffle(&mut own);
        let pace = draw.between(5, 40) * MILLISECOND;
        flows.extend(own.into_iter().take(6).map(|vip| FlowPlan { client, vip, pace }));
    }
    flows
}

/// All nodes at once, or each when it likes.
fn starts(draw: &mut Draw, nodes: usize, classes: Classes) -> Vec<u64> {
    let spread = if classes.has(Class::Joins) { 4 * SECOND } else { 20 * MILLISECOND };
    (0..nodes).map(|_| draw.between(MILLISECOND, spread)).collect()
}

fn rate(draw: &mut Draw, classes: Classes) -> i64 {
    if !classes.has(Class::ClockRates) {
        return 0;
    }
    i64::try_from(draw.below(1_001)).unwrap_or_default() - 500
}

/// As measured on a crowded machine: stalls of 50 to 150 ms come now and then.
fn stalls(draw: &mut Draw, classes: Classes) -> Stalls {
    let usual = draw.between(5, 100) * MICROSECOND;
    if !classes.has(Class::LateTimers) {
        return Stalls { usual, long: 0, short: 0 };
    }
    let long = draw.pick(&[0, 10, 30, 100]);
    let short = draw.pick(&[0, 100, 1_000, 5_000]);
    Stalls { usual, long, short }
}

fn weather(draw: &mut Draw, classes: Classes, sealed: bool) -> Weather {
    let mut weather = Weather { delay: draw.between(10, 400) * MICROSECOND, ..Weather::CALM };
    if classes.has(Class::Delay) {
        weather.tail = draw.pick(&[1_000, 10_000, 50_000]);
        weather.most = draw.pick(&[20, 50, 300]) * MILLISECOND;
    }
    if classes.has(Class::Reorder) {
        weather.reordered = draw.pick(&[10, 100, 500]);
    }
    if classes.has(Class::Duplicate) {
        weather.duplicated = draw.pick(&[5, 50, 300]);
    }
    if classes.has(Class::Loss) {
        weather.lost = draw.pick(&[1, 10, 50, 200]);
    }
    if classes.has(Class::Corrupt) && sealed {
        weather.corrupted = draw.pick(&[1, 20, 100]);
    }
    weather
}

fn after(draw: &mut Draw, nodes: usize) -> After {
    let first = draw.below(nodes);
    let second = (first + 1 + draw.below(nodes.saturating_sub(1))) % nodes;
    match draw.below(4) {
        1 if nodes > 1 => After::Strike { node: first },
        2 if nodes > 1 => After::Moves,
        3 if nodes > 1 => After::BrokenPair { first, second },
        _ => After::Rest,
    }
}
