//! A simulated world of servers, and a prober in it that runs `Health` to the nanosecond.

use base::time::Duration;
use base::{Instant, ServerId};
use health::{Change, Health, Outcome, Probe, Target};
use std::net::{IpAddr, Ipv4Addr};

/// Round trip to every server.
pub const ROUND_TRIP: Duration = Duration::from_micros(300);

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// How a server behaves at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Answers,
    Refuses,
    Silent,
}

pub fn target(server: u16) -> Target {
    Target {
        server: ServerId(server),
        address: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::from(server))),
        port: 80,
        interval: ms(1_000),
        timeout: ms(500),
        rise: 1,
        fall: 2,
    }
}

pub struct World {
    pub now: Instant,
    pub health: Health,
    /// By server number.
    pub manners: Vec<Manner>,
    /// When each probe was made, and for whom.
    pub probes: Vec<(Instant, Probe)>,
    pub changes: Vec<(Instant, Change)>,
    pub most_in_flight: usize,
    answers: Vec<(Instant, u64, Outcome)>,
}

impl World {
    pub fn new(seed: u64, targets: Vec<Target>) -> Self {
        let servers = targets.iter().map(|t| t.server.index() + 1).max().unwrap_or(0);
        let mut health = Health::new(seed);
        health.set_targets(Instant::ZERO, targets);
        Self {
            now: Instant::ZERO,
            health,
            manners: vec![Manner::Answers; servers],
            probes: Vec::new(),
            changes: Vec::new(),
            most_in_flight: 0,
            answers: Vec::new(),
        }
    }

    /// Lets time pass up to and including `end`.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            self.drive();
            let answer = self.answers.iter().map(|(time, ..)| *time).min();
            let next = answer.into_iter().chain(self.health.next_deadline()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next > self.now, "a deadline that nothing moves: {next}");
            self.now = next;
        }
        self.now = end;
    }

    fn drive(&mut self) {
        let due: Vec<_> = self.answers.extract_if(.., |(time, ..)| *time <= self.now).collect();
        for (_, id, outcome) in due {
            self.health.handle_result(self.now, id, outcome);
        }
        self.health.handle_timeout(self.now);
        while let Some(probe) = self.health.poll_probe(self.now) {
            assert_eq!(probe.deadline, self.now + ms(500));
            let outcome = match self.manners[probe.server.index()] {
                Manner::Answers => Some(Outcome::Succeeded { latency: ROUND_TRIP }),
                Manner::Refuses => Some(Outcome::Refused),
                Manner::Silent => None,
            };
            self.answers.extend(outcome.map(|o| (self.now + ROUND_TRIP, probe.id, o)));
            self.probes.push((self.now, probe));
        }
        self.most_in_flight = self.most_in_flight.max(self.health.in_flight());
        while let Some(change) = self.health.poll_event() {
            self.changes.push((self.now, change));
        }
    }

    /// The verdicts since the last call, without their times.
    pub fn verdicts(&mut self) -> Vec<(u16, bool)> {
        self.changes.drain(..).map(|(_, change)| (change.server.0, change.up)).collect()
    }
}
