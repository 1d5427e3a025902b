//! Random lives against a plain model: counters of consecutive outcomes, nothing else.

use base::time::Duration;
use base::{Instant, ServerId};
use health::{Health, IN_FLIGHT, Outcome, Probe, Target};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

const SERVERS: u16 = 4;

#[derive(Clone, Debug)]
enum Step {
    /// Time passes to the next deadline, plus this much.
    Wait(u64),
    /// The n-th running probe ends so.
    End(usize, Outcome),
    /// An outcome for a probe that does not run.
    Stray(u64, Outcome),
    /// The targets are set again, unchanged.
    SetAgain,
    Delay(u64),
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Succeeded { latency: Duration::from_millis(1) }),
        3 => Just(Outcome::Refused),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Unreachable),
        1 => Just(Outcome::Void),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..50).prop_map(Step::Wait),
        8 => (0usize..16, outcome()).prop_map(|(n, o)| Step::End(n, o)),
        1 => (1_000_000u64..1_000_100, outcome()).prop_map(|(id, o)| Step::Stray(id, o)),
        1 => Just(Step::SetAgain),
        1 => (0u64..300).prop_map(Step::Delay),
    ]
}

/// What the documentation promises about one server.
#[derive(Clone, Debug)]
struct Model {
    served: bool,
    known: bool,
    failures: u32,
    successes: u32,
    /// Outcomes of probes made before the last success or verdict do not count.
    barrier: u64,
    falls: u32,
    since: Instant,
}

impl Model {
    /// Gives the verdict, if this outcome is one.
    fn outcome(
        &mut self,
        now: Instant,
        next_id: u64,
        id: u64,
        o: Outcome,
        t: &Target,
    ) -> Option<bool> {
        if id < self.barrier || o == Outcome::Void {
            return None;
        }
        let success = matches!(o, Outcome::Succeeded { .. });
        if success || !self.served {
            self.barrier = next_id;
        }
        if success {
            self.failures = 0
        } else {
            self.failures += 1
        }
        if success {
            self.successes += 1
        } else {
            self.successes = 0
        }
        let needed = u32::from(t.rise) << self.falls.saturating_sub(1);
        if self.served && self.failures >= u32::from(t.fall) {
            let calm = now.since(self.since).as_nanos() / (t.interval * 30).as_nanos();
            self.falls =
                (self.falls.saturating_sub(u32::try_from(calm).expect("short lives")) + 1).min(6);
            (self.served, self.barrier) = (false, next_id);
        } else if success && self.served && !self.known {
        } else if !self.served && self.successes >= needed {
            self.served = true;
        } else {
            return None;
        }
        (self.known, self.failures, self.successes, self.since) = (true, 0, 0, now);
        Some(self.served)
    }
}

fn targets(rise: u8, fall: u8) -> Vec<Target> {
    (0..SERVERS)
        .map(|n| Target {
            server: ServerId(n),
            address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            port: 80 + n,
            interval: Duration::from_millis(100),
            timeout: Duration::from_millis(80),
            rise,
            fall,
        })
        .collect()
}

struct Pair {
    now: Instant,
    targets: Vec<Target>,
    health: Health,
    models: Vec<Model>,
    running: BTreeMap<u64, Probe>,
    next_id: u64,
}

impl Pair {
    fn ended(&mut self, id: u64, outcome: Outcome) {
        let Some(probe) = self.running.remove(&id) else { return };
        let n = probe.server.index();
        let expected =
            self.models[n].outcome(self.now, self.next_id, id, outcome, &self.targets[n]);
        // The newest verdict only is told, so it is taken after every single outcome.
        self.health.handle_result(self.now, id, outcome);
        let told = self.health.poll_event();
        assert_eq!(told.map(|c| (c.server, c.up)), expected.map(|up| (probe.server, up)));
        let status = self.health.status(probe.server).expect("it is watched");
        assert_eq!(status.served(), self.models[n].served);
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Wait(more) => {
                let next = self.health.next_deadline().expect("there is always something to do");
                self.now = self.now.max(next + Duration::from_millis(more));
                let late: Vec<_> = self
                    .running
                    .values()
                    .filter(|p| p.deadline <= self.now)
                    .map(|p| (p.id, self.now.since(p.deadline) > Duration::from_millis(20)))
                    .collect();
                for (id, void) in late {
                    self.ended(id, if void { Outcome::Void } else { Outcome::TimedOut });
                }
                self.health.handle_timeout(self.now);
            }
            Step::End(n, outcome) => {
                if let Some(id) = self.running.keys().nth(n).copied() {
                    self.ended(id, outcome);
                }
            }
            Step::Stray(id, outcome) => self.health.handle_result(self.now, id, outcome),
            Step::SetAgain => self.health.set_targets(self.now, self.targets.clone()),
            Step::Delay(millis) => {
                self.health.handle_delay(self.now, Duration::from_millis(millis));
                if millis > 20 {
                    self.running.clear();
                }
            }
        }
        while let Some(probe) = self.health.poll_probe(self.now) {
            assert_eq!(probe.id, self.next_id);
            self.next_id += 1;
            let alike = self.running.values().filter(|p| p.server == probe.server);
            let fresh = alike.filter(|p| p.id >= self.models[probe.server.index()].barrier).count();
            let most =
                if self.models[probe.server.index()].served { self.targets[0].fall } else { 1 };
            assert!(fresh < usize::from(most), "a round has too many probes");
            self.running.insert(probe.id, probe);
        }
        assert_eq!(self.health.in_flight(), self.running.len());
        assert!(self.running.len() <= IN_FLIGHT);
        assert!(self.running.keys().all(|&id| self.health.is_running(id)));
        assert!(self.health.next_deadline().expect("probing never ends") > self.now);
        assert_eq!(self.health.poll_event(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn verdicts_are_those_of_a_plain_count(
        seed: u64,
        rise in 1u8..4,
        fall in 1u8..5,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let targets = targets(rise, fall);
        let mut health = Health::new(seed);
        health.set_targets(Instant::ZERO, targets.clone());
        let model = Model {
            served: true, known: false, failures: 0, successes: 0, barrier: 0, falls: 0,
            since: Instant::ZERO,
        };
        let models = vec![model; usize::from(SERVERS)];
        let mut pair = Pair {
            now: Instant::ZERO, targets, health, models, running: BTreeMap::new(), next_id: 0,
        };
        for step in steps {
            pair.apply(step);
        }
    }
}
