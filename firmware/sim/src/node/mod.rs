//! A node: a machine, and the program that runs on it.

pub(crate) mod copies;
pub(crate) mod flows;
pub(crate) mod forwarder;
pub(crate) mod life;
pub(crate) mod machine;
pub(crate) mod sealing;

use crate::clock::Clock;
use crate::plan::Plan;
use base::time::Duration;
use cluster::Pace;
use life::Life;
use machine::Machine;
use std::collections::VecDeque;

/// A node, on or off.
pub(crate) struct Node {
    /// Its number in the world, from 0; its name is one higher.
    pub index: usize,
    pub machine: Machine,
    /// The program, while it runs.
    pub life: Option<Life>,
    /// The incarnation that is stored.
    pub stored: u32,
    /// How often it was started, ever.
    pub boots: u32,
    /// How many faults want it to be off.
    pub off: u32,
    /// How many faults pull its cable to each network.
    pub pulled: Vec<u32>,
    /// Changes of carrier that its program has not heard of.
    pub carrier_news: VecDeque<(usize, bool)>,
    /// What its data plane has done.
    pub done: Done,
    /// Until then its leases may be live though others count on their end: its clock stood still.
    excused_until: u64,
    rate: i64,
    longest_lease: Duration,
}

/// Packets of clients that a data plane had to do with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Given to a server, whose answers went back by the same node.
    pub served: u64,
    /// Passed on to another node.
    pub passed: u64,
}

impl Node {
    /// A node that is off.
    pub fn new(index: usize, plan: &Plan) -> Self {
        let rate = plan.rates[index];
        Self {
            index,
            machine: Machine::new(Clock::new(0, 0, rate)),
            life: None,
            stored: 0,
            boots: 0,
            off: 0,
            pulled: vec![0; plan.networks],
            carrier_news: VecDeque::new(),
            done: Done::default(),
            excused_until: 0,
            rate,
            longest_lease: Pace::of(plan.profile).ceiling,
        }
    }

    /// The program ends; what the kernel kept for it is gone.
    pub fn stop(&mut self) {
        self.life = None;
        self.machine.empty();
        self.carrier_news.clear();
    }

    /// What it had stored is lost.
    pub fn forget(&mut self) {
        self.stored = 0;
    }

    /// It is switched on: its clock begins anew.
    pub fn boot(&mut self, now: u64) {
        self.boots += 1;
        self.stored += 1;
        if !self.machine.is_frozen() {
            self.machine.clock = Clock::new(now, 0, self.rate);
        }
        self.excused_until = 0;
    }

    /// Its clock stood still and goes on now: its leases end later than others can know.
    pub fn excuse(&mut self, now: u64) {
        let until = self.machine.clock.read(now) + self.longest_lease;
        self.excused_until = self.excused_until.max(self.machine.clock.world(until));
    }

    /// Whether its leases may be live though others count on their end.
    pub fn is_excused(&self, now: u64) -> bool {
        self.machine.clock.is_stopped() || now < self.excused_until
    }
}
