//! The lease of one network.
//!
//! ```text
//!      a token passed after this closing was known, the lease would hold, nothing forbids it
//!   Closed ───────────────────────────────────────────────────────────────────► Open { until }
//!     ▲                                                                            │
//!     └────────────────────────────────────────────────────────────────────────────┘
//!         until is past · no carrier · barred · others are reached there and we are not
//! ```
//!
//! A gate that closed stays closed until a token has passed after that, even if an echo comes late
//! that would have kept it open: the others may have begun to act without us.

use base::{Instant, NetworkId};

/// Whether we may serve on a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No; and not before a token passes at a node that knows of this closing.
    Closed {
        /// Which closing it was, counted over all networks.
        number: u64,
    },
    /// Strictly before this.
    Open {
        /// The end of the lease.
        until: Instant,
    },
}

/// What is known when a gate is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    pub now: Instant,
    /// The end of the lease that echoes, peers and witnesses grant; in the past: none.
    pub granted: Instant,
    /// The closings that were known when the last token passed.
    pub permitted: u64,
    /// The number of the next closing.
    pub next: u64,
    /// Nothing forbids to serve here: carrier, reach, no view that excludes us.
    pub allowed: bool,
}

/// Where an input leads.
pub fn step(state: State, input: Input) -> State {
    let Input { now, granted, permitted, next, allowed } = input;
    match state {
        State::Open { until } if until <= now || granted <= now || !allowed => {
            State::Closed { number: next }
        }
        State::Open { .. } => State::Open { until: granted },
        State::Closed { number } if allowed && granted > now && permitted >= number => {
            State::Open { until: granted }
        }
        State::Closed { .. } => state,
    }
}

/// One network's gate.
#[derive(Clone, Debug)]
pub struct Gate {
    pub network: NetworkId,
    pub state: State,
    /// How often it closed; at first it is closed.
    pub closings: u32,
    pub carrier: bool,
    /// When the witnesses there were asked last, and when they were asked what they answered.
    pub asked_at: Instant,
    pub answered_at: Option<Instant>,
}

impl Gate {
    pub const fn new(network: NetworkId) -> Self {
        Self {
            network,
            state: State::Closed { number: 1 },
            closings: 1,
            carrier: true,
            asked_at: Instant::ZERO,
            answered_at: None,
        }
    }
    pub const fn open(&self) -> bool {
        match self.state {
            State::Open { .. } => true,
            State::Closed { .. } => false,
        }
    }
    pub const fn until(&self) -> Instant {
        match self.state {
            State::Open { until } => until,
            State::Closed { .. } => Instant::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_in_every_state_leads_where_the_drawing_says() {
        let at = Instant::from_millis;
        let closed = |number| State::Closed { number };
        let open = |until| State::Open { until: at(until) };
        let now = at(100);
        // State, granted until, closings permitted, allowed, next state; the next closing is 7.
        let table = [
            (closed(3), 150, 3, true, open(150)),
            (closed(3), 150, 4, true, open(150)),
            (closed(3), 150, 2, true, closed(3)),
            (closed(3), 150, 3, false, closed(3)),
            (closed(3), 100, 3, true, closed(3)),
            (closed(3), 50, 3, false, closed(3)),
            (open(120), 150, 3, true, open(150)),
            (open(120), 110, 3, true, open(110)),
            (open(120), 100, 3, true, closed(7)),
            (open(120), 150, 3, false, closed(7)),
            // It ran out before we looked: what was granted meanwhile comes too late.
            (open(100), 150, 3, true, closed(7)),
            (open(100), 50, 3, false, closed(7)),
        ];
        for (state, granted, permitted, allowed, next) in table {
            let input = Input { now, granted: at(granted), permitted, next: 7, allowed };
            assert_eq!(step(state, input), next, "{state:?} {input:?}");
        }
    }
}
