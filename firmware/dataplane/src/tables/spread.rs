//! A virtual address that is hotter than one box: which box works on which flow.

use alloc::sync::Arc;
use alloc::vec::Vec;

use base::FlowKey;

use super::Owner;
use crate::maglev::{Candidate, Maglev};

/// Not secret: every box must choose alike. Another one than for servers, or each box would have
/// the clients of a few servers.
const SPREADING: u64 = 0x706f_7274_6963_6f32;

/// A box that works on flows of a spread address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The box: [`Owner::Us`] or [`Owner::Peer`].
    pub at: Owner,
    /// A hash of its name that is the same on every box.
    pub identity: u64,
    /// Its share, relative to the others'. 0: it gets none.
    pub weight: u16,
}

/// Which box works on which flow: a pure function of the flow and the boxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Values are places in `boxes`.
    maglev: Arc<Maglev>,
    boxes: Arc<Vec<Owner>>,
}

impl Spread {
    /// The function over these boxes.
    pub fn build(shares: &[Share]) -> Self {
        let shares: Vec<_> = shares.iter().filter(|share| share.weight > 0).collect();
        let candidates = (0_u16..).zip(&shares).map(|(value, share)| Candidate {
            value,
            identity: share.identity,
            weight: share.weight,
        });
        let maglev = Maglev::build(&candidates.collect::<Vec<_>>());
        let boxes = shares.iter().map(|share| share.at).collect();
        Self { maglev: Arc::new(maglev), boxes: Arc::new(boxes) }
    }

    /// The box that works on the flow of a client's packet; none: there is no box that may.
    #[inline]
    pub fn worker(&self, request: &FlowKey) -> Option<Owner> {
        let place = self.maglev.get(request.hash(SPREADING))?;
        self.boxes.get(usize::from(place)).copied()
    }

    /// Whether a box works on some of the flows.
    pub fn has(&self, at: Owner) -> bool {
        self.boxes.contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Protocol;
    use core::net::Ipv6Addr;

    const BOXES: u16 = 4;

    /// The function as the box `own` has it, over these boxes; each numbers the others anew.
    fn seen_by(own: u16, boxes: &[u16], weight: impl Fn(u16) -> u16) -> Spread {
        let shares: Vec<_> = boxes
            .iter()
            .map(|&id| {
                let at = if id == own { Owner::Us } else { Owner::Peer(id - u16::from(id > own)) };
                Share { at, identity: u64::from(id) * 0x9e37_79b9, weight: weight(id) }
            })
            .collect();
        Spread::build(&shares)
    }

    /// The number of a box, as the box `own` calls it.
    fn number(own: u16, at: Option<Owner>) -> u16 {
        match at {
            Some(Owner::Us) => own,
            Some(Owner::Peer(place)) => place + u16::from(place >= own),
            Some(Owner::Coming(_) | Owner::Nobody) | None => u16::MAX,
        }
    }

    fn flow(number: u16) -> FlowKey {
        FlowKey {
            source: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number % 50),
            destination: Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x80),
            source_port: number,
            destination_port: 80,
            protocol: Protocol::TCP,
        }
    }

    #[test]
    fn every_box_names_the_same_box_for_a_flow() {
        let views: Vec<_> = (0..BOXES).map(|own| seen_by(own, &[0, 1, 2, 3], |_| 1)).collect();
        for n in 0..5_000 {
            let named: Vec<_> =
                (0..).zip(&views).map(|(own, view)| number(own, view.worker(&flow(n)))).collect();
            assert!(named.iter().all(|id| *id == named[0] && *id < BOXES), "{named:?}");
        }
    }

    #[test]
    fn boxes_get_flows_as_their_weights_stand() {
        let spread = seen_by(0, &[0, 1, 2, 3], |id| id);
        let mut counts = [0_u32; 4];
        for n in 0..60_000 {
            counts[usize::from(number(0, spread.worker(&flow(n))))] += 1;
        }
        assert_eq!(counts[0], 0, "weight 0");
        assert!(!spread.has(Owner::Us) && spread.has(Owner::Peer(0)));
        for (id, share) in [(1, 10_000), (2, 20_000), (3, 30_000)] {
            assert!(counts[id].abs_diff(share) < share / 20, "{counts:?}");
        }
        assert_eq!(seen_by(0, &[], |_| 1).worker(&flow(1)), None);
    }

    #[test]
    fn the_flows_of_a_box_that_dies_are_nearly_all_that_change_their_box() {
        let (all, left) = (seen_by(0, &[0, 1, 2, 3], |_| 1), seen_by(0, &[0, 1, 3], |_| 1));
        let mut moved = 0;
        for n in 0..20_000 {
            let before = number(0, all.worker(&flow(n)));
            let after = number(0, left.worker(&flow(n)));
            assert_ne!(after, 2);
            moved += u32::from(before != 2 && before != after);
        }
        assert!(moved < 1_500, "{moved} of 15,000 flows of others moved");
    }

    #[test]
    fn each_box_has_clients_of_every_server() {
        let spread = seen_by(0, &[0, 1], |_| 1);
        let servers: Vec<_> = (0..4)
            .map(|value| Candidate { value, identity: u64::from(value) + 77, weight: 1 })
            .collect();
        let pool = super::super::Pool {
            maglev: Arc::new(Maglev::build(&servers)),
            members: Arc::new((0..4).map(base::ServerId).collect()),
        };
        let mut counts = [[0_u32; 4]; 2];
        for n in 0..40_000 {
            let server = pool.choose(&flow(n), 0).map_or(9, |server| server.0);
            counts[usize::from(number(0, spread.worker(&flow(n))))][usize::from(server)] += 1;
        }
        let even = |count: &u32| count.abs_diff(5_000) < 500;
        assert!(counts.iter().flatten().all(even), "{counts:?}");
    }
}
