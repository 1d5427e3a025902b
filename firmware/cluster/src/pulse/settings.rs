//! Another document says who there is and how fast failures are detected. Whom we hear, what was
//! echoed and what is granted stay as they are.

use super::Pulse;
use super::gate::{Gate, State};
use super::lateness::Lateness;
use super::peer::{Path, Watched};
use crate::{Lease, Pace, Settings};
use base::{Instant, NetworkId};
use model::Profile;

impl Pulse {
    /// Goes by another document. Nodes that stay are heard as before, and leases of networks that
    /// stay hold; a network that is new to us opens with a token, as after a closing.
    pub fn handle_settings(&mut self, now: Instant, settings: &Settings) {
        let pace = settings.pace();
        let began = self.peers.is_empty();
        // Fewer heartbeats only once leases last for some of them, see `slow_down`.
        let interval = if began { pace.interval } else { pace.interval.min(self.pace.interval) };
        self.slower = (interval < pace.interval).then_some(pace.interval);
        self.pace = Pace { interval, ..pace };
        self.next_beat = self.next_beat.min(now + interval);
        let auto = settings.profile == Profile::Auto;
        self.lateness = auto.then(|| self.lateness.unwrap_or_else(|| Lateness::new(now)));
        self.policy = settings.policy;
        self.configured = settings.nodes.len();
        self.witnesses = settings.networks.iter().map(|network| network.witnesses).collect();
        let attached = settings.networks_of(self.own.id);
        let mut old = core::mem::take(&mut self.peers);
        let peers = settings.others().iter().map(|id| {
            let theirs = settings.networks_of(id);
            let shared = attached.iter().copied().filter(|network| theirs.contains(network));
            match old.iter().position(|watched| watched.id == id) {
                Some(at) => old.swap_remove(at).with_networks(shared),
                None => Watched::new(id, shared),
            }
        });
        self.peers = peers.collect();
        self.review_gates(attached);
        if began && !self.peers.is_empty() {
            // We served alone and nobody had to be asked: until the first answers come, they would
            // have been as good as that.
            self.next_beat = now;
            for gate in &mut self.gates {
                gate.answered_at = Some(now);
            }
            self.beat(now);
        }
        self.report_due = true;
        self.review(now);
    }

    /// The members have agreed on leases that are long enough for the profile's heartbeats.
    pub(super) fn slow_down(&mut self) {
        let long = self.orders.lease >= self.pace.floor;
        if let Some(interval) = self.slower.take_if(|_| long) {
            self.pace.interval = interval;
        }
    }

    fn review_gates(&mut self, attached: &[NetworkId]) {
        let fresh =
            |gates: &[Gate], network: &NetworkId| gates.iter().all(|gate| gate.network != *network);
        for network in attached {
            if fresh(&self.gates, network) {
                self.closings += 1;
                let state = State::Closed { number: self.closings };
                self.gates.push(Gate { state, ..Gate::new(*network) });
            }
        }
        self.gates.retain(|gate| attached.contains(&gate.network));
        let lease = |gate: &Gate| Lease { network: gate.network, until: gate.until() };
        self.leases = self.gates.iter().map(lease).collect();
    }
}

impl Watched {
    /// The same peer, on these networks.
    fn with_networks(mut self, networks: impl Iterator<Item = NetworkId>) -> Self {
        let mut old = core::mem::take(&mut self.paths);
        self.paths = networks
            .map(|network| match old.iter().position(|path| path.network == network) {
                Some(at) => old.swap_remove(at),
                None => Path::new(network),
            })
            .collect();
        self
    }
}
