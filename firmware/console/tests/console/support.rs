//! A terminal that obeys what every terminal obeys, and a box that answers.
use std::net::IpAddr;

use base::time::{Duration, Instant};
use base::{Mac, Prefix};
use console::{Ask, Session};
use model::Config;
use model::event::Severity;
use model::operator::{Face, Reply, Request, Role, Topic};
use model::status::{
    BootStep, Candidate, CaptureEnd, Captured, Cause, Cluster, Counter, Direction, Echo,
    EchoOutcome, Flows, Frame, Health, Lease, Link, LogEntry, Move, Neighbor, NeighborState, Node,
    Ownership, Path, Pinged, Port, Presence, Revision, Server, Service, Standing, Traffic,
    Unconfirmed, Version, Vip,
};
use model::{Gateway, Mode, ServerState, ServiceProtocol};

/// A screen of 80 columns without an end. It knows printable characters, CR, LF, BS and BEL;
/// anything else is what a real one could misunderstand, and fails the test.
#[derive(Default)]
pub struct Terminal {
    pub lines: Vec<Vec<char>>,
    pub column: usize,
    pub bells: usize,
}

impl Terminal {
    pub fn print(&mut self, bytes: &[u8]) {
        for character in std::str::from_utf8(bytes).expect("output is UTF-8").chars() {
            self.character(character);
        }
    }

    fn character(&mut self, character: char) {
        if self.lines.is_empty() {
            self.lines.push(Vec::new());
        }
        let line = self.lines.last_mut().unwrap();
        match character {
            '\r' => self.column = 0,
            '\n' => self.lines.push(Vec::new()),
            '\u{8}' => self.column = self.column.checked_sub(1).expect("no way left of the margin"),
            '\u{7}' => self.bells += 1,
            control if control.is_control() => panic!("{control:?} is sent to the terminal"),
            other => {
                line.resize(line.len().max(self.column + 1), ' ');
                line[self.column] = other;
                self.column += 1;
            }
        }
    }

    pub fn last(&self) -> String {
        self.line(self.lines.len().saturating_sub(1))
    }

    pub fn line(&self, index: usize) -> String {
        let text: String = self.lines.get(index).into_iter().flatten().collect();
        text.trim_end().to_string()
    }
}

/// Sends what a session has to say to a terminal.
pub fn flush(session: &mut Session, terminal: &mut Terminal) -> Option<Ask> {
    let output = session.output().to_vec();
    terminal.print(&output);
    session.advance(output.len())
}

/// Types, answers every request as the box of this file does, and shows it all.
pub fn type_in(session: &mut Session, terminal: &mut Terminal, bytes: &[u8]) {
    let mut ask = session.input(bytes);
    loop {
        ask = match ask {
            Some(ask) => carry(session, ask),
            None if session.output().is_empty() => return,
            None => flush(session, terminal),
        };
    }
}

/// Carries what a session asks for.
pub fn carry(session: &mut Session, ask: Ask) -> Option<Ask> {
    match ask {
        Ask::Request(Request::Ping { target, count }) => {
            let replies = pings(target, count).into_iter();
            replies.map(|reply| session.reply(reply)).fold(None, Option::or)
        }
        Ask::Request(Request::Capture { port, packets, .. }) => {
            let replies = frames(port, packets).into_iter();
            replies.map(|reply| session.reply(reply)).fold(None, Option::or)
        }
        Ask::Request(request) => session.reply(answer(request)),
        Ask::Login { user, password } => session.login_result(verify(&user, &password)),
    }
}

/// Three people; each has the name of the role as password.
fn verify(user: &str, password: &str) -> Result<Role, String> {
    let known = [("eve", Role::View), ("otto", Role::Operate), ("anna", Role::Configure)];
    let role = known.into_iter().find(|(name, _)| *name == user).map(|(_, role)| role);
    let proven = role.filter(|role| role.word() == password);
    proven.ok_or_else(|| "this name and this password do not belong together".into())
}

pub fn answer(request: Request) -> Reply {
    match request {
        Request::Show(Topic::Ports) => Reply::Ports(ports()),
        Request::Show(Topic::Vips) => Reply::Vips(vips()),
        Request::Show(Topic::Services) => Reply::Services(services()),
        Request::Show(Topic::Servers) => Reply::Servers(servers()),
        Request::Show(Topic::Flows) => Reply::Flows(Flows {
            capacity: 1 << 20,
            states: counters(&[("half-open", 2), ("established", 40), ("closing", 1)]),
        }),
        Request::Show(Topic::Counters) => Reply::Counters(counters(&[
            ("forwarded", 123_456_789),
            ("dropped.bad_ipv4_checksum", 3),
            ("dropped.no_neighbour", 0),
        ])),
        Request::Show(Topic::Boot) => {
            Reply::Boot(vec![step(1_204, "modules", "14 loaded"), step(2_134, "serving", "2 VIPs")])
        }
        Request::Show(Topic::Version) => Reply::Version(Version {
            version: "0.1.0".into(),
            kernel: "6.1.0".into(),
            board: "".into(),
            cluster: "edge".into(),
            node: "n1".into(),
            uptime: Duration::from_millis(3_600_250),
        }),
        Request::Show(Topic::Config) => {
            Reply::Config("[cluster]\nname = \"edge\" # the \u{1b}[2Jfirst\n".into())
        }
        Request::Show(Topic::Log) => Reply::Log(vec![
            entry(2_134, "[    2.134] portico: boot: serving: 2 VIPs"),
            entry(9_001, "[    9.001] portico: server web/s1 down: refused"),
        ]),
        Request::Reboot => Reply::Done("rebooting".into()),
        Request::PowerOff => Reply::Refused("the image is being written".into()),
        Request::Show(Topic::Cluster) => Reply::Cluster(Box::new(cluster())),
        Request::Show(Topic::Neighbors) => Reply::Neighbors(neighbors()),
        Request::Show(Topic::Revisions) => Reply::Revisions(revisions()),
        Request::Show(Topic::Sessions) => Reply::Sessions(sessions()),
        Request::Show(Topic::Candidate) => Reply::Candidate(candidate()),
        Request::DrainServer { pool, server, drain } => {
            let state = if drain { "drained" } else { "used again" };
            Reply::Done(format!("server {pool}/{server} is {state}"))
        }
        Request::MoveVip { vip, node } if vip == "gw" => {
            Reply::Refused(format!("{node} is not attached to inside, where gw is answered for"))
        }
        Request::MoveVip { vip, node } => {
            Reply::Done(format!("{vip} moves from n1 to {node}; connections go on"))
        }
        Request::DrainNode { node, drain } => {
            let state = if drain { "gives away what it serves" } else { "has its share again" };
            Reply::Done(format!("{node} {state}"))
        }
        other @ (Request::Ping { .. } | Request::Capture { .. } | Request::Stop) => {
            panic!("{other:?} has several answers")
        }
        change @ (Request::ConfigureEnter { .. }
        | Request::ConfigureExit { .. }
        | Request::Set { .. }
        | Request::Delete { .. }
        | Request::ShowCandidate { .. }
        | Request::Compare
        | Request::CommitCheck
        | Request::Commit { .. }
        | Request::CommitConfirm
        | Request::Rollback { .. }
        | Request::Replace { .. }) => configure(change),
    }
}

/// A host that answers more slowly each time, and not the third time; nobody leads to others.
fn pings(target: IpAddr, count: u16) -> Vec<Reply> {
    if target.is_ipv4() && target.to_string().starts_with("198.") {
        let sentence = format!("{target} is not asked: no network and no gateway leads to it");
        return vec![Reply::Refused(sentence)];
    }
    let source = if target.is_ipv4() { "192.0.2.11" } else { "2001:db8:1::11" };
    let time = |sequence: u16| Duration::from_micros(u64::from(sequence) * 400);
    let echo = |sequence: u16| {
        let outcome = match sequence {
            3 => EchoOutcome::Silent,
            5 => EchoOutcome::Unreachable("192.0.2.1".parse().unwrap()),
            6 => EchoOutcome::Expired("192.0.2.1".parse().unwrap()),
            answered => EchoOutcome::Answered(time(answered)),
        };
        Reply::Echo(Echo { sequence, target, source: source.parse().unwrap(), outcome })
    };
    let round_trips = Some([time(1), time(2), time(4)]);
    let received = count - count / 3;
    let summary = Pinged { target, sent: count, received, round_trips };
    (1..=count).map(echo).chain([Reply::Pinged(summary)]).collect()
}

/// Three frames, unless fewer are wanted.
fn frames(port: String, packets: u16) -> Vec<Reply> {
    let (client, web) = ("192.0.2.101:40000", "192.0.2.80:80");
    let (client6, web6) = ("[2001:db8:1:ffff:ffff:ffff:ffff:101]:40000", "[2001:db8:1::80]:80");
    let all = [
        (Direction::In, client, web, 74, "SYN"),
        (Direction::Out, web, client, 74, "SYN ACK"),
        (Direction::In, client6, web6, 1_514, "PSH ACK"),
    ];
    let frame = |(place, (direction, source, destination, length, detail)): (u64, _)| {
        let at = Instant::from_millis(12_345 + place);
        let (source, destination): (&str, &str) = (source, destination);
        let (source, destination) = (source.into(), destination.into());
        let (protocol, detail) = ("tcp".into(), str::to_string(detail));
        Reply::Frame(Frame { at, direction, source, destination, protocol, length, detail })
    };
    let enough = usize::from(packets).min(all.len());
    let end = if enough == all.len() { CaptureEnd::Time } else { CaptureEnd::Packets };
    let (frames, time) = (enough as u32, Duration::from_millis(10_020));
    let captured = Captured { port, frames, lost: u64::from(packets) % 2, time, end };
    (0..).zip(all).take(enough).map(frame).chain([Reply::Captured(captured)]).collect()
}

/// An entry of the log.
pub fn entry(milliseconds: u64, line: &str) -> LogEntry {
    let (at, line) = (Instant::from_millis(milliseconds), line.into());
    LogEntry { at, name: "boot-step", severity: Severity::Information, line }
}

/// Somebody at the page committed and has to confirm; nobody changes anything now.
fn candidate() -> Candidate {
    let user = String::from("anna");
    let confirm_by = Instant::from_millis(180_000);
    let unconfirmed = Unconfirmed { revision: 7, session: 2, user, face: Face::Web, confirm_by };
    Candidate { holder: None, unconfirmed: Some(unconfirmed) }
}

/// A box whose candidate always differs from what is in force, in the same way.
fn configure(request: Request) -> Reply {
    match request {
        Request::ConfigureEnter { .. } => {
            Reply::Done("the configuration is yours to change".into())
        }
        Request::ConfigureExit { discard } if !discard => Reply::Refused(
            "there are changes that are not committed: commit or discard them".into(),
        ),
        Request::ConfigureExit { .. } => {
            Reply::Done("the configuration is free to be changed by others".into())
        }
        Request::Set { path, .. } | Request::Delete { path } if path.contains("wieght") => {
            Reply::Refused(format!("{path}: unknown key, did you mean weight?"))
        }
        Request::Set { .. } | Request::Delete { .. } | Request::Replace { .. } => {
            Reply::Done("the candidate is changed".into())
        }
        Request::Rollback { .. } => Reply::Done("the candidate is changed".into()),
        Request::ShowCandidate { path } if path.is_empty() => lines(CANDIDATE),
        Request::ShowCandidate { .. } => lines("scheduler = \"maglev\""),
        Request::Compare => lines("+ set pool.web.server.s3.address = \"10.0.0.13\""),
        Request::CommitCheck => match Config::parse("[cluster]\n") {
            Err(problems) => Reply::Problems(problems),
            Ok(_) => panic!("a cluster needs a name"),
        },
        Request::Commit { confirmed, .. } => Reply::Committed {
            revision: 7,
            saved: false,
            confirm_by: confirmed.map(|minutes| Instant::from_millis(u64::from(minutes) * 60_000)),
        },
        Request::CommitConfirm => Reply::Done("revision 7 stays".into()),
        other @ (Request::Show(_)
        | Request::Reboot
        | Request::PowerOff
        | Request::Ping { .. }
        | Request::Capture { .. }
        | Request::Stop
        | Request::DrainServer { .. }
        | Request::MoveVip { .. }
        | Request::DrainNode { .. }) => panic!("{other:?} changes no configuration"),
    }
}

const CANDIDATE: &str = "\
[cluster]
name = \"edge\"

[network.inside]
prefixes = [\"10.0.0.0/24\"]

[pool.web]
scheduler = \"maglev\"

[pool.web.server.s1]
address = \"10.0.0.11\"
";

fn lines(text: &str) -> Reply {
    Reply::Lines(text.lines().map(str::to_string).collect())
}

fn step(milliseconds: u64, name: &str, detail: &str) -> BootStep {
    let at = Instant::from_millis(milliseconds);
    BootStep { at, name: name.into(), detail: detail.into() }
}

fn counters(list: &[(&str, u64)]) -> Vec<Counter> {
    list.iter().map(|&(name, value)| Counter { name: name.into(), value }).collect()
}

pub fn ports() -> Vec<Port> {
    let prefix = |text: &str| -> Prefix { text.parse().unwrap() };
    vec![
        Port {
            name: "eth0".into(),
            interface: "eth0".into(),
            vlan: None,
            network: "outside".into(),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            mtu: 1500,
            link: Link::Up,
            addresses: vec![prefix("192.0.2.11/24"), prefix("2001:db8:1::11/64")],
            received: Traffic { frames: 1_000_000, octets: 1_234_567_890 },
            sent: Traffic { frames: 900_000, octets: 1_000_000_000 },
            dropped: 3,
            unsent: 0,
        },
        Port {
            name: "in".into(),
            interface: "eth1".into(),
            vlan: Some(10),
            network: "inside".into(),
            mac: None,
            mtu: 0,
            link: Link::Absent,
            addresses: Vec::new(),
            received: Traffic::default(),
            sent: Traffic::default(),
            dropped: 0,
            unsent: 0,
        },
    ]
}

fn vips() -> Vec<Vip> {
    let vip = |name: &str, address: &str, network: &str, gateway| Vip {
        name: name.into(),
        address: address.parse().unwrap(),
        network: network.into(),
        served: true,
        gateway,
        services: 1,
        flows: 43,
    };
    vec![
        vip("gw", "10.0.0.1", "inside", Gateway::Route),
        vip("www6", "2001:db8:1::80", "outside", Gateway::Off),
    ]
}

fn services() -> Vec<Service> {
    vec![Service {
        name: "web".into(),
        vip: "www".into(),
        address: "192.0.2.80".parse().unwrap(),
        protocol: ServiceProtocol::Tcp,
        ports: "80,443,8000-8099".parse().unwrap(),
        mode: Mode::Nat,
        pool: "web".into(),
        usable: 1,
        servers: 2,
        flows: 43,
        total: 100_000,
    }]
}

fn servers() -> Vec<Server> {
    let server = |name: &str, health, cause, since| Server {
        pool: "web".into(),
        name: name.into(),
        address: "10.0.0.11".parse().unwrap(),
        port: Some(8080),
        weight: 1,
        state: ServerState::Up,
        health,
        cause,
        since: Instant::from_millis(since),
        flows: 43,
        total: 50_000,
    };
    let answered = Cause::Answered(Duration::from_micros(400));
    vec![
        server("s1", Health::Up, answered, 2_500),
        server("s2", Health::Down, Cause::Refused, 9_001),
    ]
}

fn neighbors() -> Vec<Neighbor> {
    let neighbor = |address: &str, mac, state| Neighbor {
        address: address.parse().unwrap(),
        port: "eth1".into(),
        network: "inside".into(),
        mac,
        state,
    };
    vec![
        neighbor("10.0.0.11", Some(Mac([2, 0, 0, 0, 0, 0x11])), NeighborState::Reachable),
        neighbor("fd00::12", None, NeighborState::Incomplete),
    ]
}

fn revisions() -> Vec<Revision> {
    let revision = |number, user: &str, face, comment: &str| Revision {
        number,
        at: Instant::from_millis(u64::from(number) * 60_000),
        user: user.into(),
        face,
        comment: comment.into(),
        changes: number,
        confirmed: true,
    };
    let face = Some(Face::Serial);
    let later = (2..=60).rev().map(|number| revision(number, "anna", face, "one more server"));
    later.chain([revision(1, "", None, "as the box started")]).collect()
}

fn sessions() -> Vec<model::status::Session> {
    vec![model::status::Session {
        number: 1,
        user: "anna".into(),
        role: Role::Configure,
        face: Face::Serial,
        since: Instant::from_millis(60_000),
        configures: true,
    }]
}

/// Two of three boxes that serve, while one is not heard.
pub fn cluster() -> Cluster {
    let node = |id: u8, presence, start| Node {
        name: format!("n{id}"),
        id,
        start,
        member: id < 3,
        presence,
        hears: id < 3,
        drained: id == 2,
        document: start.map(|_| (5, "9f86d081884c".into())),
        weight: 1,
        used: start.map(|_| u32::from(id) * 125),
    };
    let path = |network: &str, microseconds, lost_in| Path {
        node: "n2".into(),
        network: network.into(),
        quiet: Duration::from_millis(17),
        round_trip: Duration::from_micros(microseconds),
        lost_in,
        lost_out: 0,
    };
    let owner = |vip: &str, address: &str, owner: Option<&str>| Ownership {
        vip: vip.into(),
        address: address.parse().unwrap(),
        network: "outside".into(),
        owner: owner.map(Into::into),
        served: owner == Some("n1"),
        used: (owner == Some("n1")).then_some(125),
        spread: if vip == "www" { vec!["n1".into(), "n2".into()] } else { vec![] },
    };
    let lease = |network: &str, remaining: Option<u64>| Lease {
        network: network.into(),
        open: remaining.is_some(),
        remaining: remaining.map(Duration::from_millis),
        closings: 1,
    };
    Cluster {
        node: "n1".into(),
        standing: Standing::Member,
        start: 4,
        view: Some("7/2.1/1".into()),
        members: vec!["n2".into(), "n1".into()],
        document: model::status::Document {
            revision: 5,
            digest: "9f86d081884c".into(),
            user: "anna".into(),
            node: "n2".into(),
            comment: "one more server".into(),
        },
        nodes: vec![
            node(1, Presence::Own, Some(4)),
            node(2, Presence::Heard, Some(1)),
            node(3, Presence::Silent, None),
        ],
        paths: vec![path("outside", 310, 15), path("inside", 290, 0)],
        owners: vec![
            owner("www", "192.0.2.80", Some("n1")),
            owner("www6", "2001:db8:1::80", Some("n2")),
            owner("mail", "192.0.2.25", None),
        ],
        leases: vec![lease("outside", Some(71)), lease("inside", None)],
        moves: vec![Move {
            at: Instant::from_millis(9_094),
            vips: vec!["www6".into()],
            from: Some("n3".into()),
            to: Some("n2".into()),
            reason: "takeover",
            evidence: "n3 was heard last 94 ms before".into(),
        }],
        patience: Some(Duration::from_millis(80)),
        profile: model::Profile::Auto,
        policy: model::Policy::Witness,
        refused: counters(&[("not-admitted", 3)]),
    }
}
