//! Replies of a box whose names, lines and sentences somebody else chose.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base::time::{Duration, Instant};
use base::{Mac, Prefix};
use model::config::{
    Config, Gateway, Mode, Policy, PortRanges, Profile, ServerState, ServiceProtocol,
};
use model::event::Severity;
use model::operator::{Face, Reply, Request, Role, Topic};
use model::status::{
    BootStep, Candidate, Cause, Cluster, Counter, Document, Flows, Health, Holder, Lease, Link,
    LogEntry, Move, Neighbor, NeighborState, Node, Ownership, Path, Port, Presence, Revision,
    Server, Service, Session, Standing, Traffic, Unconfirmed, Version, Vip,
};

/// Rows of a table: more than a screen has.
const ROWS: usize = 30;

/// Texts of somebody else's choice.
#[derive(Debug)]
pub struct Foreign {
    texts: Vec<String>,
    octets: usize,
}

impl Foreign {
    /// A text for each line, whatever the octets are.
    pub fn new(octets: &[u8]) -> Self {
        let all = String::from_utf8_lossy(octets);
        let texts: Vec<String> = all.split('\n').map(str::to_owned).collect();
        Self { texts, octets: all.len() + 1 }
    }

    /// One of them.
    pub fn text(&self, which: usize) -> String {
        self.texts[which % self.texts.len()].clone()
    }

    /// Octets of a reply made of them at most.
    pub fn weight(&self) -> usize {
        // There are replies of six tables.
        6 * ROWS * (6 * self.octets + 512)
    }

    /// One and many, by the number of texts.
    fn rows(&self) -> usize {
        if self.texts.len() % 3 == 2 { ROWS } else { self.texts.len().min(ROWS) }
    }

    fn table<T>(&self, row: impl Fn(&Self, usize) -> T) -> Vec<T> {
        (0..self.rows()).map(|at| row(self, at)).collect()
    }
}

/// What makes a reply of each kind.
type Maker = fn(&Foreign) -> Reply;

/// What shows each topic.
const SHOWN: &[(Topic, Maker)] = &[
    (Topic::Ports, |foreign| Reply::Ports(foreign.table(port))),
    (Topic::Vips, |foreign| Reply::Vips(foreign.table(vip))),
    (Topic::Services, |foreign| Reply::Services(foreign.table(service))),
    (Topic::Servers, |foreign| Reply::Servers(foreign.table(server))),
    (Topic::Flows, |foreign| {
        Reply::Flows(Flows { capacity: 1 << 20, states: foreign.table(counter) })
    }),
    (Topic::Counters, |foreign| Reply::Counters(foreign.table(counter))),
    (Topic::Boot, |foreign| Reply::Boot(foreign.table(step))),
    (Topic::Version, version),
    (Topic::Config, |foreign| Reply::Config(foreign.texts.join("\n"))),
    (Topic::Log, |foreign| Reply::Log(foreign.table(entry))),
    (Topic::Revisions, |foreign| Reply::Revisions(foreign.table(revision))),
    (Topic::Sessions, |foreign| Reply::Sessions(foreign.table(session))),
    (Topic::Candidate, candidate),
    (Topic::Neighbors, |foreign| Reply::Neighbors(foreign.table(neighbor))),
    (Topic::Cluster, cluster),
];

/// What else is answered.
const OTHER: &[Maker] = &[
    |foreign| Reply::Done(foreign.text(0)),
    |foreign| Reply::Refused(foreign.text(0)),
    |foreign| Reply::Lines(foreign.texts.clone()),
    |foreign| {
        Config::parse(&foreign.texts.join("\n"))
            .map_or_else(Reply::Problems, |_| Reply::Problems(Vec::new()))
    },
    |_| Reply::Committed { revision: u32::MAX, saved: false, confirm_by: Some(at(7)) },
    |_| Reply::Committed { revision: 0, saved: true, confirm_by: None },
];

/// A reply of any kind.
pub fn any_reply(kind: u8, foreign: &Foreign) -> Reply {
    let kind = usize::from(kind) % (SHOWN.len() + OTHER.len());
    match SHOWN.get(kind) {
        Some((_, make)) => make(foreign),
        None => OTHER[kind - SHOWN.len()](foreign),
    }
}

/// A reply of a kind that the request gets.
pub fn fitting(request: &Request, foreign: &Foreign) -> Reply {
    if let Request::Show(topic) = request {
        let shown = SHOWN.iter().find(|(shown, _)| shown == topic);
        return shown
            .map_or_else(|| Reply::Lines(foreign.texts.clone()), |(_, make)| make(foreign));
    }
    if let Request::ShowCandidate { .. } = request {
        return Reply::Lines(foreign.texts.clone());
    }
    // One kind for each text: an input that wants another one has another text.
    OTHER[foreign.octets % OTHER.len()](foreign)
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn address(which: usize) -> IpAddr {
    match which % 2 {
        0 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80)),
        _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 1)),
    }
}

fn port(foreign: &Foreign, which: usize) -> Port {
    let link = [Link::Up, Link::Down, Link::Absent][which % 3];
    let traffic = Traffic { frames: u64::MAX, octets: 1 << which };
    Port {
        name: foreign.text(which),
        interface: foreign.text(which + 1),
        vlan: (which.is_multiple_of(2)).then_some(4094),
        network: foreign.text(which + 2),
        mac: (which.is_multiple_of(3)).then_some(Mac([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        link,
        addresses: vec![Prefix { address: address(which), length: 24 }; which % 3],
        received: traffic,
        sent: traffic,
        dropped: 0,
        unsent: u64::MAX,
    }
}

fn vip(foreign: &Foreign, which: usize) -> Vip {
    Vip {
        name: foreign.text(which),
        address: address(which),
        network: foreign.text(which + 1),
        served: which.is_multiple_of(2),
        gateway: [Gateway::Route, Gateway::Off][which % 2],
        services: u32::MAX,
        flows: 1 << which,
    }
}

fn service(foreign: &Foreign, which: usize) -> Service {
    Service {
        name: foreign.text(which),
        vip: foreign.text(which + 1),
        address: address(which),
        protocol: [ServiceProtocol::Tcp, ServiceProtocol::Udp][which % 2],
        ports: PortRanges::all(),
        mode: Mode::Nat,
        pool: foreign.text(which + 2),
        usable: 0,
        servers: u32::MAX,
        flows: u64::MAX,
        total: u64::MAX,
    }
}

fn server(foreign: &Foreign, which: usize) -> Server {
    Server {
        pool: foreign.text(which / 3),
        name: foreign.text(which),
        address: address(which),
        port: (which.is_multiple_of(2)).then_some(8080),
        weight: 1000,
        state: [ServerState::Up, ServerState::Draining, ServerState::Disabled][which % 3],
        health: [Health::Unknown, Health::Up, Health::Down][which % 3],
        cause: [Cause::NotProbed, Cause::Answered(Duration::MAX), Cause::TimedOut][which % 3],
        since: at(which as u64),
        flows: u64::MAX,
        total: 1 << which,
    }
}

fn counter(foreign: &Foreign, which: usize) -> Counter {
    Counter { name: foreign.text(which), value: u64::MAX >> which }
}

fn step(foreign: &Foreign, which: usize) -> BootStep {
    BootStep { at: at(1), name: foreign.text(which), detail: foreign.text(which + 1) }
}

fn version(foreign: &Foreign) -> Reply {
    Reply::Version(Version {
        version: foreign.text(0),
        kernel: foreign.text(1),
        board: foreign.text(2),
        cluster: foreign.text(3),
        node: foreign.text(4),
        uptime: Duration::from_secs(1 << 40),
    })
}

fn revision(foreign: &Foreign, which: usize) -> Revision {
    Revision {
        number: u32::MAX,
        at: at(which as u64),
        user: foreign.text(which),
        face: [None, Some(Face::Serial), Some(Face::Web)][which % 3],
        comment: foreign.text(which + 1),
        changes: 0,
        confirmed: which.is_multiple_of(2),
    }
}

fn session(foreign: &Foreign, which: usize) -> Session {
    Session {
        number: u64::MAX,
        user: foreign.text(which),
        role: [Role::View, Role::Operate, Role::Configure][which % 3],
        face: Face::Web,
        since: at(1),
        configures: which % 2 == 1,
    }
}

fn candidate(foreign: &Foreign) -> Reply {
    let (user, face) = (foreign.text(0), Face::Serial);
    let holder = Holder { session: 1, user: user.clone(), face, since: at(1) };
    let confirm_by = at(7);
    let waits = Unconfirmed { revision: 2, session: 1, user, face, confirm_by };
    let many = foreign.rows() > 1;
    Reply::Candidate(Candidate { holder: Some(holder), unconfirmed: many.then_some(waits) })
}

fn entry(foreign: &Foreign, which: usize) -> LogEntry {
    let severity = [Severity::Information, Severity::Warning, Severity::Error][which % 3];
    LogEntry { at: at(1), name: "boot_step", severity, line: foreign.text(which) }
}

fn neighbor(foreign: &Foreign, which: usize) -> Neighbor {
    Neighbor {
        address: address(which),
        port: foreign.text(which),
        network: foreign.text(which + 1),
        mac: (which.is_multiple_of(2)).then_some(Mac([0xff; 6])),
        state: [NeighborState::Incomplete, NeighborState::Reachable, NeighborState::Probe]
            [which % 3],
    }
}

const STANDINGS: [Standing; 5] = [
    Standing::Member,
    Standing::Outside,
    Standing::Alone,
    Standing::Secretless,
    Standing::Newcomer,
];

fn cluster(foreign: &Foreign) -> Reply {
    let presences = [Presence::Own, Presence::Heard, Presence::Missing, Presence::Silent];
    Reply::Cluster(Box::new(Cluster {
        node: foreign.text(0),
        standing: STANDINGS[foreign.octets % STANDINGS.len()],
        start: u32::MAX,
        view: foreign.rows().is_multiple_of(2).then(|| foreign.text(1)),
        members: foreign.texts.clone(),
        document: Document {
            revision: u32::MAX,
            digest: foreign.text(0),
            user: foreign.text(1),
            node: foreign.text(2),
            comment: foreign.text(3),
        },
        nodes: foreign.table(|foreign, which| Node {
            name: foreign.text(which),
            id: u8::MAX,
            start: (which.is_multiple_of(2)).then_some(u32::MAX),
            member: which.is_multiple_of(3),
            presence: presences[which % 4],
            hears: which.is_multiple_of(2),
            drained: which.is_multiple_of(3),
            document: which.is_multiple_of(2).then(|| (u32::MAX, foreign.text(which))),
            weight: u16::MAX,
            used: which.is_multiple_of(2).then_some(u32::MAX),
        }),
        paths: foreign.table(|foreign, which| Path {
            node: foreign.text(which),
            network: foreign.text(which + 1),
            quiet: Duration::ZERO,
            round_trip: Duration::MAX,
            lost_in: u16::MAX,
            lost_out: 0,
        }),
        owners: foreign.table(|foreign, which| Ownership {
            vip: foreign.text(which),
            address: address(which),
            network: foreign.text(which + 1),
            owner: (which.is_multiple_of(2)).then(|| foreign.text(which + 2)),
            served: which.is_multiple_of(3),
            used: which.is_multiple_of(3).then_some(u16::MAX),
            spread: if which.is_multiple_of(2) { vec![foreign.text(which)] } else { vec![] },
        }),
        leases: foreign.table(|foreign, which| Lease {
            network: foreign.text(which),
            open: which.is_multiple_of(2),
            remaining: (which.is_multiple_of(2)).then_some(Duration::MAX),
            closings: u32::MAX,
        }),
        moves: foreign.table(|foreign, which| Move {
            at: at(which as u64),
            vips: foreign.texts.clone(),
            from: which.is_multiple_of(2).then(|| foreign.text(which)),
            to: which.is_multiple_of(3).then(|| foreign.text(which)),
            reason: "takeover",
            evidence: foreign.text(which + 1),
        }),
        patience: Some(Duration::MAX),
        profile: Profile::Auto,
        policy: Policy::Witness,
        refused: foreign.table(counter),
    }))
}
