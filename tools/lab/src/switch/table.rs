//! Which station is behind which port: learned from what each port sends, and forgotten when it
//! has been silent (IEEE 802.1Q-2018 §8.8).

use base::{Instant, Mac};
use std::collections::HashMap;
use std::time::Duration;

/// How long a silent station is remembered (IEEE 802.1Q-2018 table 8-6, recommended value).
pub const AGEING: Duration = Duration::from_secs(300);
/// The most stations. A flood of made-up addresses must not push real ones out, nor grow us.
const STATIONS: usize = 8192;

/// The stations that were heard.
#[derive(Debug, Default)]
pub struct Table {
    stations: HashMap<[u8; 6], (usize, Instant)>,
}

impl Table {
    /// Notes that a station sent something into a port. It may have moved there.
    pub fn learn(&mut self, now: Instant, station: Mac, port: usize) {
        if station.is_group() {
            return;
        }
        if self.stations.len() >= STATIONS && !self.stations.contains_key(&station.0) {
            self.stations.retain(|_, (_, heard)| now.since(*heard) < AGEING);
            if self.stations.len() >= STATIONS {
                return;
            }
        }
        self.stations.insert(station.0, (port, now));
    }

    /// The port behind which a station is; nothing for groups, and for those never or not lately
    /// heard, which all ports get.
    pub fn find(&self, now: Instant, station: Mac) -> Option<usize> {
        let (port, heard) = self.stations.get(&station.0)?;
        (now.since(*heard) < AGEING).then_some(*port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_station_is_remembered_moves_and_is_forgotten() {
        let mut table = Table::default();
        let start = Instant::from_millis(1000);
        assert_eq!(table.find(start, ONE), None);
        table.learn(start, ONE, 3);
        assert_eq!(table.find(start + AGEING - Duration::from_nanos(1), ONE), Some(3));
        assert_eq!(table.find(start + AGEING, ONE), None);
        table.learn(start, ONE, 4);
        assert_eq!(table.find(start, ONE), Some(4));
    }

    #[test]
    fn a_group_is_behind_no_port() {
        let mut table = Table::default();
        let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
        table.learn(Instant::ZERO, group, 1);
        assert_eq!(table.find(Instant::ZERO, group), None);
    }

    #[test]
    fn made_up_stations_neither_grow_the_table_nor_push_others_out() {
        let mut table = Table::default();
        table.learn(Instant::ZERO, ONE, 1);
        for number in 0..100_000_u32 {
            let [a, b, c, d] = number.to_be_bytes();
            table.learn(Instant::ZERO, Mac([6, 0, a, b, c, d]), 2);
        }
        assert_eq!(table.stations.len(), STATIONS);
        assert_eq!(table.find(Instant::ZERO, ONE), Some(1));
        // Once those are old, there is room again.
        let other = Mac([2, 0, 0, 0, 0, 2]);
        table.learn(Instant::ZERO + AGEING, other, 3);
        assert_eq!(table.find(Instant::ZERO + AGEING, other), Some(3));
    }
}
