//! Membership and ownership: what the members agree on.

mod alone;
mod balance;
mod call;
mod claim;
mod document;
mod draft;
mod flap;
mod groups;
mod owner;
mod pacing;
mod renumber;
mod ring;
mod sight;
mod standby;
mod watch;
mod workers;

use crate::config::Notice;
use crate::config::message::DocumentMessage;
use crate::wire::{self, Entry, Routed, Standing, Wish};
use crate::{
    Channel, Moved, NodeSet, Orders, OwnershipGeneration, Pace, Peer, Report, Settings, Transmit,
    ViewId,
};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;
use balance::Balance;
use base::rng::Rng;
use base::time::Duration;
use base::{Instant, Mac, NetworkId, NodeId, VipId};
use call::{Campaign, Consent, Promise};
use claim::{Local, Permit};
use document::Documents;
use flap::Flap;
use groups::Group;
use ring::{Assembly, Possession};
use standby::Standbys;
use workers::Workers;

/// What the data plane of this node has to do with a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Another node answers for it, or nobody does.
    Other {
        /// Who, as far as is agreed: what comes here for it is passed to that node.
        owner: Option<NodeId>,
    },
    /// It answers for it while the lease of its network holds, and passes packets of flows it does
    /// not know to the previous owner, if there is one.
    Owner {
        /// Who had it before, and may know flows that we do not.
        previous: Option<NodeId>,
    },
    /// It no longer answers for it, and passes every frame for it to its next owner.
    Releasing {
        /// The next owner.
        to: NodeId,
    },
    /// It does not answer for it yet, but takes frames for it that the owner passes on.
    Expecting {
        /// The owner.
        from: NodeId,
    },
}

/// A role that is to be obeyed, unless a higher generation was obeyed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Of which VIP.
    pub vip: VipId,
    /// As what.
    pub role: Role,
    /// How new the statement is.
    pub generation: OwnershipGeneration,
    /// Which of this machine's statements it is: each is one more than the one before.
    pub number: u64,
}

/// What an operator can ask of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Move a VIP and its group to a node.
    Move {
        /// Which.
        vip: VipId,
        /// To whom.
        to: NodeId,
    },
    /// Move everything off a node, and let it own nothing until further notice.
    Drain {
        /// Which.
        node: NodeId,
    },
    /// Let a drained node own VIPs again.
    Restore {
        /// Which.
        node: NodeId,
    },
    /// Hand everything over and leave the cluster: what is done before this node stops.
    Leave,
}

/// What became of a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is under way; events tell how it goes.
    Begun,
    /// It is so already.
    Already,
    /// We are in no view, so nothing can be agreed on.
    Outside,
    /// There is no such VIP or node, or it could not own what it is asked to own.
    Impossible,
}

/// What the cluster decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To be handed to [`crate::Pulse`].
    Orders(Orders),
    /// To be obeyed by every forwarder, then told with [`Cluster::handle_settled`].
    Ownership(Ownership),
    /// Ask by ARP or NDP who has a VIP, and tell with [`Cluster::handle_probe`].
    Probe(VipId),
    /// Who would own each VIP, by its number, if its owner failed.
    Standbys(Vec<Option<NodeId>>),
    /// The members that work on flows of addresses that are spread.
    Workers(NodeSet),
    /// Tell everybody on its network that a VIP is here: gratuitous ARP in both forms, or an
    /// unsolicited advertisement with the override flag, and again as the pacing says.
    Announce(VipId),
    /// A view was agreed on; [`ViewId::NONE`]: we have left ours.
    View {
        /// Its id.
        id: ViewId,
        /// Its members.
        members: Vec<Peer>,
    },
    /// We have proposed a view.
    Called {
        /// Its id.
        id: ViewId,
        /// Its members.
        members: Vec<Peer>,
        /// As the holder of the token; otherwise because we missed it.
        held: bool,
    },
    /// Every healthy observer suspects these members.
    Condemned(NodeSet),
    /// A group has another owner.
    Moved(Moved),
    /// A VIP is ours, but somebody else answers for it: we do not claim it.
    Conflict {
        /// Which.
        vip: VipId,
        /// Who answers.
        mac: Mac,
    },
    /// Something about the document in force, or another one.
    Document(Notice),
}

/// An agreed membership.
#[derive(Clone, Debug)]
struct View {
    id: ViewId,
    /// In the order of the ring.
    members: Vec<Peer>,
    /// When we entered it.
    since: Instant,
}

/// The machine behind membership and ownership.
#[derive(Clone, Debug)]
pub struct Cluster {
    own: Peer,
    settings: Settings,
    pace: Pace,
    groups: Vec<Group>,
    rng: Rng,
    /// The latest time that was handed in.
    clock: Instant,

    // What is seen.
    report: Option<Report>,
    condemned: NodeSet,
    flaps: BTreeMap<NodeId, Flap>,

    // What is agreed on.
    view: Option<View>,
    /// The newest view that we were ever in.
    entered: ViewId,
    outside_since: Instant,
    table: Vec<Entry>,
    /// The number of the token that brought the table.
    changed: u64,
    lease: Duration,
    patience: Duration,
    /// When every lease has run out that a node outside the view may hold.
    fence: Instant,
    drained: NodeSet,
    /// The view is of the minority, or the first one: claims want more silence.
    careful: bool,
    /// Whoever is not in the view was in the one before: it stops as soon as it hears us.
    kin: bool,

    // The token.
    possession: Possession,
    assembly: Option<Assembly>,
    seen: u64,
    /// The closings of leases that were known when a token passed here, once the forwarders have
    /// obeyed what that token and its view say about owners.
    permitted: u64,
    permit: Option<Permit>,
    /// Statements for the forwarders: given out, and obeyed.
    stated: u64,
    obeyed: u64,
    /// By network: how often the lease there has ended, as we have considered it.
    closings: BTreeMap<NetworkId, u32>,
    token_at: Instant,

    // The next view.
    promise: Promise,
    /// What we had promised before that.
    previous: Promise,
    /// The highest view that we ever consented to.
    highest: ViewId,
    consent: Option<Consent>,
    campaign: Option<Campaign>,
    epoch: u64,
    attempt: u32,
    retry_at: Instant,

    // What we own, or will.
    locals: Vec<Local>,
    /// By VIP: its flows are here, as far as they have to be before it may move here.
    synced: Vec<bool>,
    standbys: Standbys,
    workers: Workers,
    /// By VIP: since when questions about it are not answered.
    silent: Vec<Option<Instant>>,
    /// By VIP: when somebody answered a question about it last.
    answered: Vec<Option<Instant>>,
    probe_at: Instant,
    probed: VipId,
    wanted: Vec<Wish>,
    /// Members that are to own nothing, or something again, as soon as the token is here.
    to_drain: Vec<(NodeId, bool)>,
    balance: Balance,
    /// The token's number when L was changed last, and when we saw that.
    paced: (u64, Instant),
    /// The orders that shortened our leases last: the token waits until they are obeyed.
    shortened: u64,
    /// Since when a lease that we need is closed.
    closed_since: Option<Instant>,
    leaving: bool,
    documents: Documents,

    orders: Orders,
    events: VecDeque<Event>,
    out: VecDeque<Transmit>,
}

impl Cluster {
    /// In no view, unless no other node is configured: then everything is owned at once.
    pub fn new(now: Instant, settings: &Settings, seed: u64) -> Self {
        let own = Peer { id: settings.own, incarnation: settings.incarnation };
        let (pace, groups) = (settings.pace(), groups::of(settings));
        let (count, workers) = (groups.len(), Workers::new(&groups));
        let mut cluster = Self {
            own,
            settings: settings.clone(),
            pace,
            groups,
            rng: Rng::new(seed),
            clock: now,
            report: None,
            condemned: NodeSet::EMPTY,
            flaps: BTreeMap::new(),
            view: None,
            entered: ViewId::NONE,
            outside_since: now,
            table: vec![Entry::default(); count],
            changed: 0,
            lease: pace.start,
            patience: pace.start,
            // An earlier start of ours may have echoed somebody until now.
            fence: now + pace.ceiling + call::margin(pace.ceiling),
            drained: NodeSet::EMPTY,
            careful: true,
            kin: false,
            possession: Possession::Elsewhere,
            assembly: None,
            seen: 0,
            permitted: 0,
            permit: None,
            stated: 0,
            obeyed: 0,
            closings: BTreeMap::new(),
            token_at: now,
            promise: Promise::NONE,
            previous: Promise::NONE,
            highest: ViewId::NONE,
            consent: None,
            campaign: None,
            epoch: 0,
            attempt: 0,
            retry_at: now,
            locals: vec![Local::IDLE; count],
            synced: vec![false; settings.vips.len()],
            standbys: Standbys::new(settings.vips.len()),
            workers,
            silent: vec![None; settings.vips.len()],
            answered: vec![None; settings.vips.len()],
            probe_at: Instant::FAR,
            probed: VipId(0),
            wanted: Vec::new(),
            to_drain: Vec::new(),
            balance: Balance::new(count),
            paced: (0, now),
            shortened: 0,
            closed_since: None,
            leaving: false,
            documents: Documents::default(),
            orders: Orders::outside(pace.start, settings.document),
            events: VecDeque::new(),
            out: VecDeque::new(),
        };
        if settings.alone() {
            cluster.rule_alone();
        }
        cluster.order();
        cluster
    }

    /// Takes what the other machine sees. A newer report replaces an older one.
    pub fn handle_report(&mut self, now: Instant, report: Report) {
        self.clock = self.clock.max(now);
        self.report = Some(report);
        self.turn();
    }

    /// Takes a message from a peer. One that cannot be decoded, is not for us or comes from
    /// nobody we know changes nothing.
    pub fn handle_message(
        &mut self,
        now: Instant,
        from: Peer,
        _network: NetworkId,
        channel: Channel,
        body: &[u8],
    ) {
        self.clock = self.clock.max(now);
        match channel {
            Channel::Token => {
                if let Ok(routed) = wire::decode::<Routed<wire::TokenMessage>>(body)
                    && self.is_for_us(from, channel, &routed, body)
                {
                    self.handle_token(routed.origin, routed.message);
                }
            }
            Channel::Control => {
                if let Ok(routed) = wire::decode::<Routed<wire::Control>>(body)
                    && self.is_for_us(from, channel, &routed, body)
                {
                    self.handle_control(routed.origin, routed.message);
                }
            }
            Channel::Document => {
                if let Ok(routed) = wire::decode::<Routed<DocumentMessage>>(body)
                    && self.is_for_us(from, channel, &routed, body)
                {
                    self.handle_document(routed.origin, routed.message);
                }
            }
            // Those are for other machines.
            Channel::Heartbeat | Channel::Flow => return,
        }
        self.turn();
    }

    /// A question of [`Event::Probe`] was sent (`None`), or somebody answered one.
    pub fn handle_probe(&mut self, now: Instant, vip: VipId, answered: Option<Mac>) {
        self.clock = self.clock.max(now);
        self.take_probe(vip, answered);
        self.turn();
    }

    /// Every forwarder obeys the statement with this [`Ownership::number`] and all before it.
    pub fn handle_settled(&mut self, now: Instant, number: u64) {
        self.clock = self.clock.max(now);
        self.settle(number);
        if matches!(self.possession, Possession::Holding { .. }) {
            self.work();
            self.set_hold();
        }
        self.turn();
    }

    /// What an operator asks.
    pub fn handle_request(&mut self, now: Instant, request: Request) -> Reply {
        self.clock = self.clock.max(now);
        let reply = self.ask(request);
        self.turn();
        reply
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = self.clock.max(now);
        self.turn();
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next decision.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Everything that may be due, after every input.
    fn turn(&mut self) {
        if self.settings.alone() {
            return self.order();
        }
        self.watch();
        self.consent_if_ready();
        self.install_if_agreed();
        self.govern();
        self.canvass();
        self.install_if_agreed();
        self.pass_if_due();
        self.pass_again();
        self.pursue();
        self.tell_standbys();
        self.tell_workers();
        self.look_at_documents();
        self.order();
    }

    /// Tells the other machine what holds now, if that has changed.
    fn order(&mut self) {
        let unfinished = self.unfinished();
        let (lease, patience) = if unfinished {
            let promised = self.promise.patience;
            (self.lease.min(promised), self.patience.max(promised))
        } else {
            (self.lease, self.patience)
        };
        let (view, members) = match &self.view {
            Some(view) => (view.id, view.members.clone()),
            None => (ViewId::NONE, Vec::new()),
        };
        let standing = match (&self.view, self.leaving) {
            (_, true) => Standing::Leaving,
            (Some(_), false) => Standing::Member,
            (None, false) => Standing::Outside,
        };
        let orders = Orders {
            revision: self.orders.revision,
            standing,
            view,
            members,
            token: self.seen,
            holds: self.holds(),
            permitted: self.permitted,
            lease,
            patience,
            muted: self.muted(),
            document: self.settings.document,
        };
        if orders != self.orders {
            if orders.lease < self.orders.lease {
                self.shortened = self.orders.revision + 1;
            }
            self.orders = Orders { revision: self.orders.revision + 1, ..orders };
            self.events.push_back(Event::Orders(self.orders.clone()));
        }
    }
}
