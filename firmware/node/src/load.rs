//! What each virtual address has a node do, for the balance of the cluster.
//!
//! The load of an address is the largest of three shares, in thousandths of what this node can
//! carry: of the busiest forwarder's time, by its share of the frames; of the table of flows; of
//! its port's speed, where that is known. What is not forwarded for a service counts for none.

use alloc::vec::Vec;

use crate::Control;
use crate::status::{Measured, service as traffic};
use base::Instant;
use base::time::Duration;

/// What a port can carry, where its speed is known: octets a second by place of the port.
pub type Speeds = Vec<Option<u64>>;

/// Compares measurements with those before.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    before: Option<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    /// Of the busiest forwarder.
    busy: Duration,
    /// All frames that came in.
    frames: u64,
    vips: Vec<Sums>,
}

/// What the services of one address have counted.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    frames: u64,
    octets_in: u64,
    octets_out: u64,
    flows: u64,
}

impl Meter {
    /// The load of each virtual address since the last call, by [`base::VipId`]. `busy`: how long
    /// the busiest forwarder has been at work since its start. None the first time, and when
    /// counting has begun anew.
    pub fn measure(
        &mut self,
        now: Instant,
        control: &Control,
        measured: &Measured,
        busy: Duration,
        speeds: &[Option<u64>],
    ) -> Option<Vec<u16>> {
        let sample = Sample {
            at: now,
            busy,
            frames: measured.counters.received,
            vips: sums(control, measured),
        };
        let before = self.before.replace(sample.clone())?;
        let time = now.since(before.at);
        if time.is_zero() || before.vips.len() != sample.vips.len() {
            return None;
        }
        let of = |part: u64, whole: u64| (part.saturating_mul(1_000) / whole.max(1)).min(1_000);
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let micros = |time: Duration| nanos(time) / 1_000;
        let worked = of(micros(busy.saturating_sub(before.busy)), micros(time));
        let frames = sample.frames.saturating_sub(before.frames);
        let plan = control.plan();
        let loads = sample.vips.iter().zip(&before.vips).zip(&plan.config().vips);
        let loads = loads.map(|((now, before), vip)| {
            let grown = |now: u64, before: u64| now.saturating_sub(before);
            let core = of(worked * grown(now.frames, before.frames), frames.max(1) * 1_000);
            let table = of(now.flows, measured.flows.capacity);
            let octets = grown(now.octets_in, before.octets_in)
                .max(grown(now.octets_out, before.octets_out));
            let port = plan.port_of(vip.network);
            let speed = port.and_then(|port| speeds.get(port.index()).copied().flatten());
            let wire = speed.map_or(0, |speed| {
                of(octets.saturating_mul(1_000) / micros(time).div_ceil(1_000).max(1), speed)
            });
            u16::try_from(core.max(table).max(wire)).unwrap_or(u16::MAX)
        });
        Some(loads.collect())
    }
}

fn sums(control: &Control, measured: &Measured) -> Vec<Sums> {
    let mut sums = alloc::vec![Sums::default(); control.plan().config().vips.len()];
    for (id, service) in control.plan().services() {
        let traffic = traffic(measured, id);
        if let Some(sum) = sums.get_mut(service.vip.index()) {
            sum.frames += traffic.packets_in + traffic.packets_out;
            sum.octets_in += traffic.bytes_in;
            sum.octets_out += traffic.bytes_out;
            sum.flows += u64::from(traffic.active);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use base::Mac;
    use dataplane::Counters;
    use model::config::Config;
    use model::status::Flows;

    use super::*;
    use crate::Plan;
    use crate::plan::Attached;

    const DOCUMENT: &str = r#"
        [cluster]
        name = "c"
        [network.outside]
        prefixes = ["192.0.2.0/24"]
        [vip.a]
        network = "outside"
        address = "192.0.2.80"
        [vip.b]
        network = "outside"
        address = "192.0.2.81"
        [vip.c]
        network = "outside"
        address = "192.0.2.82"
        [service.one]
        vip = "a"
        protocol = "udp"
        ports = "53"
        pool = "p"
        [service.two]
        vip = "b"
        protocol = "udp"
        ports = "53"
        pool = "p"
        [pool.p]
        [pool.p.server.s]
        address = "192.0.2.9"
        [node.n1]
        id = 1
        [node.n1.port.eth0]
        network = "outside"
        addresses = ["192.0.2.11/24"]
    "#;

    fn measured() -> Measured {
        Measured {
            counters: Counters::new(2, 1),
            flows: Flows { capacity: 1_000, states: vec![] },
            ports: vec![],
            generation: 0,
        }
    }

    #[test]
    fn the_largest_of_an_addresss_shares_is_its_load() {
        let plan = Plan::new(Config::parse(DOCUMENT).unwrap(), "n1", 1).unwrap();
        let up = Attached { mac: Mac([2, 0, 0, 0, 0, 1]), mtu: 1_500, up: true };
        let control = Control::new(Instant::ZERO, plan, vec![up], 1);
        let places: Vec<usize> =
            control.plan().services().into_iter().map(|(id, _)| id.index()).collect();
        let second = |n: u64| Instant::from_millis(n * 1_000);
        let busy = Duration::from_millis;
        let mut meter = Meter::default();
        let first = measured();
        assert_eq!(meter.measure(second(1), &control, &first, busy(0), &[None]), None);
        // Half of the time for 1,000 frames, of which 800 are for a and 100 for b.
        let mut then = measured();
        then.counters.received = 1_000;
        let (a, b) = (places[0], places[1]);
        then.counters.services[a].packets_in = 700;
        then.counters.services[a].packets_out = 100;
        then.counters.services[b].packets_in = 100;
        // And b has 70 of the 1,000 flows that fit.
        then.counters.services[b].active = 70;
        let loads = meter.measure(second(2), &control, &then, busy(500), &[None]);
        assert_eq!(loads, Some(vec![400, 70, 0]));
        // A port of a million octets a second, of which b's clients get 600,000 in two seconds.
        then.counters.services[b].bytes_in = 100;
        then.counters.services[b].bytes_out = 600_000;
        let loads = meter.measure(second(4), &control, &then, busy(500), &[Some(1_000_000)]);
        assert_eq!(loads, Some(vec![0, 300, 0]));
        // The same numbers at the same time say nothing.
        assert_eq!(meter.measure(second(4), &control, &then, busy(900), &[None]), None);
    }

    #[test]
    fn counts_that_begin_anew_make_no_load() {
        let plan = Plan::new(Config::parse(DOCUMENT).unwrap(), "n1", 1).unwrap();
        let up = Attached { mac: Mac([2, 0, 0, 0, 0, 1]), mtu: 1_500, up: true };
        let control = Control::new(Instant::ZERO, plan, vec![up], 1);
        let mut meter = Meter::default();
        let mut many = measured();
        many.counters.received = 1_000;
        many.counters.services[0].packets_in = 900;
        let time = Duration::from_secs(9);
        meter.measure(Instant::from_millis(1), &control, &many, time, &[]);
        let loads = meter.measure(Instant::from_millis(1_001), &control, &measured(), time, &[]);
        assert_eq!(loads, Some(vec![0, 0, 0]));
    }
}
