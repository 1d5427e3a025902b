//! A switch that learns where addresses are, and forgets what it has not seen for a while.

use super::frame::{Host, Station};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Switch {
    /// Where an address was seen last, and when.
    table: BTreeMap<Station, (Host, u64)>,
    ageing: u64,
}

impl Switch {
    /// A switch that forgets an address after `ageing` nanoseconds.
    pub const fn new(ageing: u64) -> Self {
        Self { table: BTreeMap::new(), ageing }
    }

    /// Takes note of where a frame came from.
    pub fn learn(&mut self, now: u64, source: Station, port: Host) {
        self.table.insert(source, (port, now));
    }

    /// The port of an address; `None` floods.
    pub fn port(&self, now: u64, destination: Station) -> Option<Host> {
        let (port, seen) = self.table.get(&destination)?;
        (now.saturating_sub(*seen) < self.ageing).then_some(*port)
    }

    /// Forgets what was learned on a port.
    pub fn forget(&mut self, port: Host) {
        self.table.retain(|_, (known, _)| *known != port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_follows_ages_and_forgets() {
        let mut switch = Switch::new(100);
        let station = Station::of_host(7);
        assert_eq!(switch.port(0, station), None);
        switch.learn(0, station, 3);
        assert_eq!(switch.port(99, station), Some(3));
        assert_eq!(switch.port(100, station), None);
        switch.learn(100, station, 4);
        assert_eq!(switch.port(101, station), Some(4));
        switch.forget(4);
        assert_eq!(switch.port(102, station), None);
    }
}
