//! A terminal that obeys what every terminal obeys, and a box that answers.
use base::time::{Duration, Instant};
use base::{Mac, Prefix};
use console::Session;
use model::operator::{Reply, Request, Topic};
use model::status::{
    BootStep, Cause, Counter, Flows, Health, Link, Neighbor, NeighborState, Port, Server, Service,
    Traffic, Version, Vip,
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
pub fn flush(session: &mut Session, terminal: &mut Terminal) -> Option<Request> {
    let output = session.output().to_vec();
    terminal.print(&output);
    session.advance(output.len())
}

/// Types, answers every request as the box of this file does, and shows it all.
pub fn type_in(session: &mut Session, terminal: &mut Terminal, bytes: &[u8]) {
    let mut request = session.input(bytes);
    loop {
        request = match request {
            Some(request) => session.reply(answer(request)),
            None if session.output().is_empty() => return,
            None => flush(session, terminal),
        };
    }
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
            "[    2.134] portico: boot: serving: 2 VIPs".into(),
            "[    9.001] portico: server web/s1 down: refused".into(),
        ]),
        Request::Reboot => Reply::Done("rebooting".into()),
        Request::PowerOff => Reply::Refused("the image is being written".into()),
        Request::Show(Topic::Neighbors) => Reply::Neighbors(neighbors()),
        Request::Show(Topic::Revisions) => Reply::Revisions(vec![]),
        Request::Show(Topic::Sessions) => Reply::Sessions(vec![]),
        Request::DrainServer { .. }
        | Request::ConfigureEnter
        | Request::ConfigureExit { .. }
        | Request::Set { .. }
        | Request::Delete { .. }
        | Request::ShowCandidate { .. }
        | Request::Compare
        | Request::CommitCheck
        | Request::Commit { .. }
        | Request::CommitConfirm
        | Request::Rollback { .. }
        | Request::Replace { .. } => Reply::Done(format!("{request:?}")),
    }
}

fn neighbors() -> Vec<Neighbor> {
    let neighbor = |address: &str, mac, state, port: &str, network: &str| Neighbor {
        address: address.parse().unwrap(),
        port: port.into(),
        network: network.into(),
        mac,
        state,
    };
    let mac = Some(base::Mac([2, 0, 0, 0, 0, 1]));
    vec![
        neighbor("192.0.2.1", mac, NeighborState::Reachable, "eth0", "outside"),
        neighbor("fd00::11", None, NeighborState::Incomplete, "eth1", "inside"),
    ]
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
