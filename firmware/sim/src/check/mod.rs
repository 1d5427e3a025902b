//! What must hold, looked at from outside: nothing here asks a node what it believes where its
//! data plane or its messages can be looked at instead.

mod liveness;
mod messages;
mod serving;
mod views;

use crate::draw::MILLISECOND;
use crate::network::frame::Station;
use crate::plan::Plan;
use base::time::Duration;
use base::{Instant, VipId};
use cluster::config::DocumentId;
use cluster::{OwnershipGeneration, Pace, Peer, ViewId};
use messages::Seals;
use model::Policy;
pub(crate) use serving::Gap;
use std::collections::HashMap;
use std::fmt;
use views::View;

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// When, in nanoseconds of the world's time.
    pub at: u64,
    /// Which promise: the checker's name.
    pub checker: &'static str,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.6} s: {}: {}", self.at as f64 / 1e9, self.checker, self.text)
    }
}

/// Everything the checkers remember.
pub(crate) struct Checks {
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// How long VIPs were without an owner, each time.
    pub gaps: Vec<Gap>,
    /// Takeovers and moves: how often some node began to serve what another had served before.
    pub changes: u64,
    /// Views that were installed, over all nodes.
    pub installs: u64,
    /// Connections that faults broke because a flow had another server than all would choose.
    pub broken: u64,
    /// Overlaps that a stopped clock excuses: no lease can prevent them.
    pub excused: u64,
    policy: Policy,
    /// Who cannot hear each other for so long may both serve, unless the policy is `quorum`.
    deaf_after: u64,
    /// When a view was installed last, anywhere.
    pub last_install: u64,
    /// Datagrams that nodes sent.
    pub datagrams: u64,
    /// Octets in them.
    pub octets: u64,
    /// The shortest suspicion time of the profile.
    floor: Duration,
    /// The longest lease of the profile, in nanoseconds.
    longest_lease: u64,
    sealed: bool,
    nodes: usize,
    vips: Vec<VipRecord>,
    views: HashMap<ViewId, View>,
    /// The last time a datagram of one node came to another, row by row.
    heard: Vec<u64>,
    /// Since when they hear each other without a longer silence, likewise.
    contact: Vec<u64>,
    /// Until when less than half of what they say to each other arrives, both ways, likewise.
    faint: Vec<u64>,
    /// When the newest heartbeats were sent and, by the kernel's stamp, received, likewise.
    stamps: Vec<(u64, Instant)>,
    /// How often each node fell out of a view, and when it did last.
    falls: Vec<(u32, u64)>,
    seals: Seals,
    /// Who passed which token on.
    tokens: HashMap<(ViewId, u64), Peer>,
    /// The document that each token named.
    documents: HashMap<(ViewId, u64), DocumentId>,
}

/// What is known of a VIP.
#[derive(Clone, Debug, Default)]
struct VipRecord {
    /// Which node served it last, and in which of its starts.
    last: Option<usize>,
    /// When that ended, if it was seen to end.
    ended: Option<u64>,
    /// The statements about owners that were obeyed last.
    obeyed: Vec<(OwnershipGeneration, usize)>,
    /// Where the last announcement on the wire said it is.
    announced: Option<Station>,
}

impl Checks {
    /// Checkers for the world of a plan.
    pub fn new(plan: &Plan) -> Self {
        let Pace { floor, ceiling, .. } = Pace::of(plan.profile);
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            violation: None,
            gaps: Vec::new(),
            changes: 0,
            installs: 0,
            broken: 0,
            excused: 0,
            policy: plan.policy,
            deaf_after: nanos(floor) / 2,
            last_install: 0,
            datagrams: 0,
            octets: 0,
            floor,
            longest_lease: nanos(ceiling) + 50 * MILLISECOND,
            sealed: plan.sealed,
            nodes: plan.nodes,
            vips: vec![VipRecord::default(); plan.vips.len()],
            views: HashMap::new(),
            heard: vec![0; plan.nodes * plan.nodes],
            contact: vec![0; plan.nodes * plan.nodes],
            faint: vec![0; plan.nodes * plan.nodes],
            stamps: vec![(0, Instant::ZERO); plan.nodes * plan.nodes],
            falls: vec![(0, 0); plan.nodes],
            seals: Seals::default(),
            tokens: HashMap::new(),
            documents: HashMap::new(),
        }
    }

    /// A promise is broken. Only the first one counts.
    pub fn fail(&mut self, at: u64, checker: &'static str, text: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { at, checker, text: text() });
        }
    }

    /// A node could hear another at this moment.
    fn note_heard(&mut self, now: u64, from: usize, to: usize) {
        let (one, other) = (from * self.nodes + to, to * self.nodes + from);
        let last = self.heard[one].max(self.heard[other]);
        if now.saturating_sub(last) > self.deaf_after {
            self.contact[one] = now;
            self.contact[other] = now;
        }
        self.heard[one] = now;
    }

    /// From now on two nodes hardly hear each other, or do.
    pub fn note_faint(&mut self, now: u64, one: usize, other: usize, faint: bool) {
        let until = &mut self.faint[one * self.nodes + other];
        *until = match (faint, *until) {
            (true, _) => u64::MAX,
            (false, u64::MAX) => now,
            (false, until) => until,
        };
    }

    /// Whether two nodes do not hear each other on any network, either way, or have only just
    /// begun to: what each does then, it did without the other. Where most of what they say is
    /// lost both ways, nothing that one asks the other may be answered, and that is the same.
    fn apart(&self, now: u64, one: usize, other: usize) -> bool {
        let (there, back) = (one * self.nodes + other, other * self.nodes + one);
        let last = self.heard[there].max(self.heard[back]);
        now.saturating_sub(last) > self.deaf_after
            || now.saturating_sub(self.faint[there]) < self.deaf_after * 4
            || now.saturating_sub(self.contact[there]) < self.deaf_after * 4
    }

    /// Somebody announces a VIP.
    pub fn announced(&mut self, vip: VipId, at: Station) {
        if let Some(record) = self.vips.get_mut(vip.index()) {
            record.announced = Some(at);
        }
    }

    /// Where the last announcement said a VIP is.
    pub fn announcement(&self, vip: VipId) -> Option<Station> {
        self.vips.get(vip.index()).and_then(|record| record.announced)
    }
}
