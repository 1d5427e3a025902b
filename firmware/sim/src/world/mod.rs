//! The world: nodes, clients and networks under one queue of events, with checkers that look at
//! all of it from outside after every step.

mod copies;
mod documents;
mod episodes;
mod forward;
mod hostile;
mod lifecycle;
mod tables;
mod threads;
mod traffic;
mod trials;

use crate::check::Checks;
use crate::client::arp::Cache;
use crate::client::{Client, Flow};
use crate::draw::{Draw, MICROSECOND, MILLISECOND, SECOND};
use crate::network::frame::{Body, Frame, Host};
use crate::network::{Arrival, Segment};
use crate::node::Node;
use crate::node::machine::Wake;
use crate::options::Options;
use crate::plan::Plan;
use crate::plan::episode::Thread;
use crate::plant::Plant;
use crate::queue::Queue;
use base::{NetworkId, VipId};
use hostile::Recorder;

/// A whole cluster with its surroundings.
pub(crate) struct World {
    pub now: u64,
    pub plan: Plan,
    pub options: Options,
    pub nodes: Vec<Node>,
    pub segments: Vec<Segment>,
    pub clients: Vec<Client>,
    pub flows: Vec<Flow>,
    pub checks: Checks,
    /// How many events have happened.
    pub events: u64,
    pub queue: Queue<Event>,
    recorder: Recorder,
    /// How far each node has come with the change of the secret.
    rotated: Vec<usize>,
    /// Messages whose fate was decided.
    fated: usize,
    draw: Draw,
    /// Whether stalls and hostile datagrams still come.
    foul: bool,
    /// Everything has settled after that: now no connection may break for any reason.
    settled: bool,
    /// The generation of servers.
    servers: u32,
    /// Until when some node may refuse a document that it could not carry out.
    unfit_until: u64,
    /// Room for arrivals, used again for every frame.
    arrivals: Vec<Arrival>,
}

/// What can happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// A frame reaches a host.
    Arrive {
        network: usize,
        to: Host,
        frame: Frame,
    },
    /// A thread of a node may run.
    Wake {
        node: usize,
        thread: Thread,
    },
    /// A node is switched on.
    Start {
        node: usize,
    },
    /// A flow sends its next packet.
    Tick {
        flow: u32,
    },
    /// A node announces a VIP, for the n-th time.
    Announce {
        node: usize,
        boot: u32,
        vip: VipId,
        turn: usize,
    },
    /// A node that was told to leave stops.
    Depart {
        node: usize,
        boot: u32,
    },
    /// A node loses its power, and has it again a second later.
    Dies {
        node: usize,
    },
    Returns {
        node: usize,
    },
    /// A fault begins, or ends.
    Begin {
        episode: usize,
    },
    End {
        episode: usize,
    },
    /// A node finds out which servers there are.
    Servers {
        node: usize,
    },
    /// Somebody sends something that was recorded or invented.
    Inject,
    /// The next step of a change of the secret.
    Rotate {
        step: usize,
    },
}

impl World {
    /// The world of a plan, before anything has happened.
    pub fn new(plan: Plan, options: Options) -> Self {
        let mut draw = Draw::new(plan.seed, "world");
        let segments: Vec<Segment> = (0..plan.networks)
            .map(|network| {
                let clients = plan.clients.iter().filter(|client| client.network == network);
                let hosts = plan.nodes + clients.count();
                let draw = Draw::new(draw.seed(), "network");
                Segment::new(hosts, plan.weather.clone(), plan.ageing, draw)
            })
            .collect();
        let mut hosts = vec![plan.nodes; plan.networks];
        let clients = plan
            .clients
            .iter()
            .map(|client| {
                let host = hosts[client.network];
                hosts[client.network] += 1;
                Client {
                    network: NetworkId::from(client.network),
                    host,
                    cache: Cache::new(client.habits.clone(), plan.vips.len()),
                    gateway: client.gateway,
                }
            })
            .collect();
        let flows = (0_u32..)
            .zip(&plan.flows)
            .map(|(name, flow)| Flow::new(flow.client, VipId::from(flow.vip), name, flow.pace))
            .collect();
        let nodes = (0..plan.nodes).map(|node| Node::new(node, &plan)).collect();
        let checks = Checks::new(&plan);
        let recorder = Recorder::new(plan.seed);
        let mut world = Self {
            now: 0,
            options,
            nodes,
            segments,
            clients,
            flows,
            checks,
            events: 0,
            queue: Queue::new(),
            recorder,
            rotated: vec![0; plan.nodes],
            fated: 0,
            draw,
            foul: true,
            settled: false,
            servers: 0,
            unfit_until: 0,
            arrivals: Vec::new(),
            plan,
        };
        world.schedule_plan();
        world
    }

    /// Puts everything in the queue that the plan foresees.
    fn schedule_plan(&mut self) {
        for node in 0..self.plan.nodes {
            self.queue.push(self.plan.starts[node], Event::Start { node });
        }
        for episode in 0..self.plan.episodes.len() {
            let (from, until) =
                (self.plan.episodes[episode].from, self.plan.episodes[episode].until);
            self.queue.push(from, Event::Begin { episode });
            self.queue.push(until, Event::End { episode });
        }
        for flow in 0..u32::try_from(self.flows.len()).unwrap_or(u32::MAX) {
            let at = self.draw.between(MILLISECOND, 40 * MILLISECOND);
            self.queue.push(at, Event::Tick { flow });
        }
        self.schedule_hostile();
    }

    /// Lets the world go on until a time, or until a checker objects.
    pub fn run(&mut self, until: u64) {
        while self.checks.violation.is_none() {
            let Some((at, event)) = self.queue.pop(until) else { break };
            self.now = at;
            self.events += 1;
            self.handle(event);
        }
        self.now = self.now.max(until);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Arrive { network, to, frame } => self.arrive(network, to, frame),
            Event::Wake { node, thread } => self.wake(node, thread),
            Event::Start { node } => self.start(node),
            Event::Tick { flow } => self.tick(flow),
            Event::Announce { node, boot, vip, turn } => self.announce(node, boot, vip, turn),
            Event::Dies { node } => {
                self.switch_off(node, true);
                self.queue.push(self.now + SECOND, Event::Returns { node });
            }
            Event::Returns { node } => self.switch_on(node),
            Event::Depart { node, boot } => self.depart(node, boot),
            Event::Begin { episode } => self.begin(episode),
            Event::End { episode } => self.end(episode),
            Event::Servers { node } => self.find_servers(node),
            Event::Inject => self.inject(),
            Event::Rotate { step } => self.rotate(step),
        }
    }

    /// Puts a frame on a network.
    fn send(&mut self, network: usize, from: Host, frame: Frame) {
        if let Body::Announcement { vip, at, .. } = &frame.body {
            self.checks.announced(*vip, *at);
        }
        self.recorder.record(network, &frame);
        let mut arrivals = std::mem::take(&mut self.arrivals);
        self.segments[network].carry(self.now, from, frame, &mut arrivals);
        for (at, to, frame) in arrivals.drain(..) {
            self.queue.push(at, Event::Arrive { network, to, frame });
        }
        self.arrivals = arrivals;
    }

    /// A frame reaches the interface of a host.
    fn arrive(&mut self, network: usize, to: Host, frame: Frame) {
        let own = Segment::station(to);
        let wanted = frame.destination == own || frame.destination.is_broadcast();
        if !wanted || !self.segments[network].has_carrier(to) {
            return;
        }
        if to < self.plan.nodes {
            self.arrive_at_node(network, to, frame);
        } else {
            self.arrive_at_client(network, to, &frame);
        }
    }

    /// Wakes a thread soon: as soon as threads usually come to run.
    fn wake_soon(&mut self, node: usize, thread: Thread) {
        let usual = self.plan.stalls.usual;
        let late = self.draw.between(usual / 4, usual);
        self.wake_at(node, thread, self.now + MICROSECOND + late);
    }

    /// Wakes a thread at a time of the world's.
    fn wake_at(&mut self, node: usize, thread: Thread, at: u64) {
        if self.nodes[node].machine.request(thread, at) {
            self.queue.push(at, Event::Wake { node, thread });
        }
    }

    /// A thread may run, unless it is late.
    fn wake(&mut self, node: usize, thread: Thread) {
        if self.foul {
            self.stall_now_and_then(node, thread);
        }
        match self.nodes[node].machine.wake(thread, self.now) {
            Wake::Void => {}
            Wake::Later(at) => self.queue.push(at, Event::Wake { node, thread }),
            Wake::Now => match thread {
                Thread::Pulse => self.step_pulse(node),
                Thread::Control => self.step_control(node),
                Thread::Forward => self.step_forward(node),
            },
        }
    }

    /// Stalls as they are measured on crowded machines: mostly short ones of one thread, now and
    /// then one of the whole machine.
    fn stall_now_and_then(&mut self, node: usize, thread: Thread) {
        if self.draw.rarely(self.plan.stalls.long) {
            let until = self.now + self.draw.between(50, 150) * MILLISECOND;
            for thread in Thread::ALL {
                self.nodes[node].machine.stall(thread, until);
            }
            self.say(|| format!("n{} stalls", node + 1));
        } else if self.draw.rarely(self.plan.stalls.short) {
            let until = self.now + self.draw.heavy_tail(MILLISECOND, 30 * MILLISECOND);
            self.nodes[node].machine.stall(thread, until);
        }
    }

    /// Whether a bug was planted.
    fn is_planted(&self, plant: Plant) -> bool {
        self.options.plant == Some(plant)
    }

    /// Adds a line to the trace, if there is one.
    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.options.trace {
            println!("{:>12.6} {}", self.now as f64 / 1e9, text());
        }
    }
}
