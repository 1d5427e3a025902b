//! What each virtual address has this box do, measured once a second for the cluster's balance.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base::Instant;
use node::load::{Meter, Speeds};

use super::{ControlThread, State};

/// Between two measurements.
const EVERY: Duration = Duration::from_secs(1);

/// How far control is with it.
#[derive(Debug, Default)]
pub struct Load {
    meter: Meter,
    /// When the forwarders are asked next.
    due: Instant,
    /// They have been asked, and not all have answered.
    asked: bool,
    /// By VIP: thousandths of what this box can carry.
    pub vips: Vec<u16>,
}

impl Load {
    /// When there is something to do next.
    pub const fn due(&self) -> Instant {
        self.due
    }
}

impl ControlThread {
    /// Asks the forwarders what they have done, and tells the cluster.
    pub(super) fn look_at_load(&mut self, now: Instant, state: &mut State) {
        if self.member.is_none() {
            return;
        }
        if now >= state.load.due {
            state.load.due = now + EVERY;
            state.load.asked = true;
            for worker in &self.workers {
                worker.shared.wanted.store(true, Ordering::Release);
                worker.shared.wake.wake();
            }
        }
        let fresh = self.workers.iter().all(|it| !it.shared.wanted.load(Ordering::Acquire));
        if !state.load.asked || !fresh {
            return;
        }
        state.load.asked = false;
        self.collect(state);
        let speeds = self.speeds();
        let State { load, measured, busy, .. } = state;
        let Some(vips) = load.meter.measure(now, &self.control, measured, *busy, &speeds) else {
            return;
        };
        if let Some(member) = &mut self.member {
            member.handle_load(now, &vips);
        }
        load.vips = vips;
    }

    /// What each port can carry, in octets a second. Virtual ones often do not say.
    fn speeds(&self) -> Speeds {
        let ports = self.control.plan().node().ports.iter();
        let speed = |interface: &str| {
            let path = format!("/sys/class/net/{interface}/speed");
            let megabits: u64 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
            (megabits > 0).then_some(megabits * 1_000_000 / 8)
        };
        ports.map(|port| speed(&port.interface)).collect()
    }
}
