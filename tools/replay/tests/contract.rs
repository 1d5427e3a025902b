//! What third parties rely on: the files, their names, and what stands in them.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use base::{Instant, Mac};
use clap::Parser;
use fixtures::{Packet, at, tcp_syn, tcp_syn_ack, verify};
use packet::pcap::{Reader, Writer};
use replay::{Args, ReplayError, Summary};

const CONFIG: &str = r#"
[cluster]
name = "edge"
policy = "witness"
profile = "auto"

[network.outside]
prefixes = ["192.0.2.0/24", "2001:db8:1::/64"]
gateways = ["192.0.2.1", "2001:db8:1::1"]
[network.inside]
prefixes = ["10.0.0.0/24", "fd00::/64"]
[network.spare]
prefixes = ["10.9.0.0/24"]

[vip.www]
network = "outside"
address = "192.0.2.80"
[vip.gw]
network = "inside"
address = "10.0.0.1"
gateway = "route"

[service.web]
vip = "www"
protocol = "tcp"
ports = "80,443,8000-8099"
mode = "nat"
pool = "web"
[service.dns]
vip = "www"
protocol = "udp"
ports = "53"
mode = "nat"
pool = "dns"

[pool.web]
scheduler = "maglev"
[pool.web.server.s1]
address = "10.0.0.11"
port = 8080
[pool.web.server.s2]
address = "10.0.0.12"
port = 8080
[pool.dns]
[pool.dns.server.s1]
address = "10.0.0.13"

[node.n1]
id = 1
[node.n1.port.eth0]
network = "outside"
addresses = ["192.0.2.11/24", "2001:db8:1::11/64"]
[node.n1.port.eth1]
network = "inside"
addresses = ["10.0.0.2/24", "fd00::2/64"]
"#;

const OUTSIDE: Mac = Mac([0x02, 0, 0, 0, 1, 1]);
const INSIDE: Mac = Mac([0x02, 0, 0, 0, 1, 2]);
const ROUTER: Mac = Mac([0x02, 0, 0, 0, 2, 1]);
const S1: Mac = Mac([0x02, 0, 0, 0, 2, 11]);

/// A folder with a document, captures, and what came of them.
struct Case {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
}

impl Case {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cluster.toml"), config).unwrap();
        let mut case = Self { folder, arguments: vec!["replay".into()] };
        let config = case.path("cluster.toml");
        let out = case.path("out");
        case.say("--config", config.to_str().unwrap());
        case.say("--node", "n1");
        case.say("--out", out.to_str().unwrap());
        case
    }

    /// With every port's and neighbor's address, server s2 of the pool web being down.
    fn wired() -> Self {
        let mut case = Self::new(CONFIG);
        case.say("--mac", &format!("outside={OUTSIDE}"));
        case.say("--mac", &format!("inside={INSIDE}"));
        case.say("--neighbor", &format!("192.0.2.1={ROUTER}"));
        case.say("--neighbor", &format!("10.0.0.11={S1}"));
        case.say("--down", "web/s2");
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn say(&mut self, option: &str, value: &str) {
        self.arguments.extend([option.into(), value.into()]);
    }

    /// A capture of frames, each with its time in milliseconds.
    fn capture(&mut self, network: &str, frames: &[(u64, Vec<u8>)]) {
        let path = self.path(&format!("in-{network}-{}.pcap", self.arguments.len()));
        let mut writer = Writer::new();
        for (time, frame) in frames {
            writer.push(time_of(*time), frame);
        }
        fs::write(&path, writer.into_bytes()).unwrap();
        self.say("--in", &format!("{network}={}", path.display()));
    }

    fn run(&self) -> Result<Summary, ReplayError> {
        replay::run(Args::try_parse_from(&self.arguments).unwrap())
    }

    fn verdicts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("out/verdicts.jsonl")).unwrap();
        text.lines().map(String::from).collect()
    }

    fn sent(&self, network: &str) -> Vec<(u64, Vec<u8>)> {
        frames(&self.path(&format!("out/{network}.pcap")))
    }
}

/// Captures begin in 2023, not at zero.
fn time_of(millis: u64) -> Instant {
    Instant::from_millis(1_700_000_000_000 + millis)
}

fn frames(path: &Path) -> Vec<(u64, Vec<u8>)> {
    let file = fs::read(path).unwrap();
    let records = Reader::new(&file).unwrap().map(|record| record.unwrap());
    records.map(|r| (r.time.as_millis() - time_of(0).as_millis(), r.bytes.to_vec())).collect()
}

fn addressed(mut frame: Vec<u8>, destination: Mac, source: Mac) -> Vec<u8> {
    frame[..6].copy_from_slice(&destination.0);
    frame[6..12].copy_from_slice(&source.0);
    frame
}

fn syn() -> Vec<u8> {
    addressed(tcp_syn(at("198.51.100.7:40000"), at("192.0.2.80:80")), OUTSIDE, ROUTER)
}

fn syn_ack() -> Vec<u8> {
    addressed(tcp_syn_ack(at("10.0.0.11:8080"), at("198.51.100.7:40000")), INSIDE, S1)
}

fn line(index: usize, network: &str, verdict: &str, rest: [&str; 3]) -> String {
    let [reason, service, server] = rest.map(|word| match word {
        "" => "null".to_string(),
        word => format!("\"{word}\""),
    });
    format!(
        "{{\"index\":{index},\"network\":\"{network}\",\"verdict\":\"{verdict}\",\
         \"reason\":{reason},\"service\":{service},\"server\":{server}}}"
    )
}

#[test]
fn a_connection_goes_through_and_every_network_gets_a_file() {
    let mut case = Case::wired();
    // The reply is named first; time decides.
    case.capture("inside", &[(1, syn_ack())]);
    case.capture("outside", &[(0, syn())]);
    let summary = case.run().unwrap();
    assert_eq!((summary.frames, summary.forwarded, summary.sent), (2, 2, 2));
    assert_eq!(
        case.verdicts(),
        [
            line(0, "outside", "forward", ["", "web", "s1"]),
            line(1, "inside", "forward", ["", "web", "s1"]),
        ]
    );
    let mut to_server = tcp_syn(at("198.51.100.7:40000"), at("10.0.0.11:8080"));
    one_hop_on(&mut to_server);
    assert_eq!(case.sent("inside"), [(0, addressed(to_server, S1, INSIDE))]);
    let mut to_client = tcp_syn_ack(at("192.0.2.80:80"), at("198.51.100.7:40000"));
    one_hop_on(&mut to_client);
    assert_eq!(case.sent("outside"), [(1, addressed(to_client, ROUTER, OUTSIDE))]);
    assert_eq!(case.sent("spare"), []);
}

/// The IPv4 header after a router: TTL 64 became 63.
fn one_hop_on(frame: &mut [u8]) {
    frame[22] -= 1;
    frame[24..26].fill(0);
    let sum = !fixtures::checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn an_answer_is_a_frame_of_our_own_and_a_drop_has_its_reason() {
    let mut case = Case::wired();
    let to_closed = Packet::udp(at("198.51.100.7:5000"), at("192.0.2.80:9"), b"?").build();
    let ping = fixtures::icmp_echo(ip("198.51.100.7"), ip("192.0.2.11"), 7, 1);
    let to_console = Packet::udp(at("198.51.100.7:5000"), at("192.0.2.11:514"), b"!").build();
    let stray = addressed(syn(), Mac([2, 9, 9, 9, 9, 9]), ROUTER);
    let mut broken = syn();
    broken[24] ^= 1;
    let frames = [to_closed, ping, to_console, stray, broken];
    let frames: Vec<_> = (0..)
        .zip(frames)
        .map(|(time, frame)| {
            (time, if time < 3 { addressed(frame, OUTSIDE, ROUTER) } else { frame })
        })
        .collect();
    case.capture("outside", &frames);
    case.run().unwrap();
    assert_eq!(
        case.verdicts(),
        [
            line(0, "outside", "answer", ["", "", ""]),
            line(1, "outside", "answer", ["", "", ""]),
            line(2, "outside", "own", ["", "", ""]),
            line(3, "outside", "drop", ["not_for_us", "", ""]),
            line(4, "outside", "drop", ["bad_header_checksum", "", ""]),
        ]
    );
    let sent = case.sent("outside");
    assert_eq!(sent.iter().map(|(time, _)| *time).collect::<Vec<_>>(), [0, 1]);
    for (_, frame) in sent {
        verify(&frame, &base::Offload::NONE).unwrap();
    }
}

#[test]
fn only_neighbors_that_were_named_are_known() {
    let mut case = Case::new(CONFIG);
    case.say("--mac", &format!("outside={OUTSIDE}"));
    case.say("--down", "web/s2");
    // That the server itself speaks changes nothing.
    let arp = addressed(fixtures::arp_reply(v4("10.0.0.11"), v4("10.0.0.2")), INSIDE, S1);
    case.capture("inside", &[(0, arp)]);
    case.capture("outside", &[(1, syn())]);
    case.run().unwrap();
    let dropped = line(1, "outside", "drop", ["no_neighbor", "", ""]);
    assert_eq!(case.verdicts()[1], dropped);
    assert_eq!(case.sent("inside"), []);
}

#[test]
fn a_held_fragment_is_forwarded_after_its_first_or_dropped_without_it() {
    let mut case = Case::wired();
    case.say("--neighbor", &format!("10.0.0.13={S1}"));
    let datagram = Packet::udp(at("198.51.100.7:5000"), at("192.0.2.80:53"), &[7; 2000]);
    let datagram = Packet { dont_fragment: false, ..datagram }.build();
    let pieces = |id| {
        let pieces = fixtures::fragments(&datagram, 1000, id);
        pieces.into_iter().map(|p| addressed(p, OUTSIDE, ROUTER)).collect::<Vec<_>>()
    };
    let (whole, headless) = (pieces(1), pieces(2));
    case.capture(
        "outside",
        &[
            (0, whole[1].clone()),
            (10, headless[1].clone()),
            (20, whole[0].clone()),
            (30, whole[2].clone()),
        ],
    );
    case.run().unwrap();
    assert_eq!(
        case.verdicts(),
        [
            line(0, "outside", "forward", ["", "dns", "s1"]),
            line(1, "outside", "drop", ["fragment_timeout", "", ""]),
            line(2, "outside", "forward", ["", "dns", "s1"]),
            line(3, "outside", "forward", ["", "dns", "s1"]),
        ]
    );
    let (times, sent): (Vec<_>, Vec<_>) = case.sent("inside").into_iter().unzip();
    assert_eq!(times, [20, 20, 30]);
    verify(&fixtures::reassemble(&sent).unwrap(), &base::Offload::NONE).unwrap();
}

#[test]
fn frames_larger_than_the_mtu_are_answered_and_the_mtu_can_be_said() {
    for (mtu, verdict) in [(None, "answer"), (Some("inside=9000"), "forward")] {
        let mut case = Case::wired();
        if let Some(mtu) = mtu {
            case.say("--mtu", mtu);
        }
        let large =
            Packet::tcp(at("198.51.100.7:40000"), at("192.0.2.80:80"), fixtures::ACK, &[0; 2000]);
        case.capture("outside", &[(0, addressed(large.build(), OUTSIDE, ROUTER))]);
        case.run().unwrap();
        assert!(case.verdicts()[0].contains(verdict), "{:?}", case.verdicts());
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let run = || {
        let mut case = Case::wired();
        let frames: Vec<_> = (0..200u16)
            .map(|n| {
                let client = at(&format!("198.51.100.{}:{}", n % 250 + 1, 1000 + n));
                (u64::from(n), addressed(tcp_syn(client, at("192.0.2.80:80")), OUTSIDE, ROUTER))
            })
            .collect();
        case.capture("outside", &frames);
        case.run().unwrap();
        ["verdicts.jsonl", "inside.pcap", "outside.pcap", "spare.pcap"]
            .map(|name| fs::read(case.path("out").join(name)).unwrap())
    };
    assert_eq!(run(), run());
}

#[test]
fn ports_without_a_mac_have_the_documented_one() {
    let mut case = Case::new(CONFIG);
    let probe = Packet::udp(at("198.51.100.7:1"), at("192.0.2.11:9"), b"").build();
    let probe = addressed(probe, Mac([0x02, 0x70, 0x6f, 0x00, 0x01, 0x00]), ROUTER);
    case.capture("outside", &[(0, probe)]);
    case.run().unwrap();
    assert_eq!(case.verdicts(), [line(0, "outside", "own", ["", "", ""])]);
}

#[test]
fn an_hour_of_silence_ends_flows_as_it_would_on_the_box() {
    let mut case = Case::new(CONFIG);
    case.say("--mac", &format!("outside={OUTSIDE}"));
    case.say("--mac", &format!("inside={INSIDE}"));
    for address in ["192.0.2.1", "10.0.0.11", "10.0.0.13"] {
        case.say("--neighbor", &format!("{address}={ROUTER}"));
    }
    let syn = syn();
    let rst = Packet::tcp(at("10.0.0.11:8080"), at("198.51.100.7:40000"), fixtures::RST, &[]);
    let hour = 3_600_000;
    case.capture("outside", &[(0, syn)]);
    case.capture("inside", &[(hour, addressed(rst.build(), INSIDE, S1))]);
    case.say("--down", "web/s2");
    case.run().unwrap();
    assert_eq!(case.verdicts()[1], line(1, "inside", "drop", ["no_flow", "", ""]));
}

#[test]
fn what_does_not_fit_together_is_said_in_a_sentence() {
    type Change = fn(&mut Case);
    let cases: &[(&str, Change)] = &[
        ("no such network; there is inside, outside or spare", |c| c.capture("dmz", &[])),
        ("spare: the node n1 has no port on this network", |c| c.capture("spare", &[])),
        ("--down s1: several pools have it; say dns/s1 or web/s1", |c| c.say("--down", "s1")),
        ("--down web/s9: no such server; there is dns/s1, web/s1 or web/s2", |c| {
            c.say("--down", "web/s9");
        }),
        ("--neighbor 203.0.113.1: within no prefix", |c| {
            c.say("--neighbor", "203.0.113.1=02:00:00:00:00:01");
        }),
        ("--mac outside: said twice", |c| {
            c.say("--mac", "outside=02:00:00:00:00:01");
            c.say("--mac", "outside=02:00:00:00:00:02");
        }),
        ("is no capture to replay: shorter than", |c| {
            let path = c.path("empty.pcap");
            fs::write(&path, []).unwrap();
            c.say("--in", &format!("outside={}", path.display()));
        }),
        ("missing.pcap cannot be read", |c| {
            let path = c.path("missing.pcap");
            c.say("--in", &format!("outside={}", path.display()));
        }),
        ("no such node; there is n1", |c| c.arguments[4] = "n2".into()),
        ("cluster.toml is not a legal cluster document:", |c| {
            fs::write(c.path("cluster.toml"), "[cluster]\nnam = \"x\"\n").unwrap();
        }),
    ];
    for (expected, change) in cases {
        let mut case = Case::new(CONFIG);
        case.capture("outside", &[]);
        change(&mut case);
        let error = case.run().unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}\n{error}");
        assert!(!case.path("out").exists(), "{expected}: output in spite of the error");
    }
}

fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

fn v4(text: &str) -> std::net::Ipv4Addr {
    text.parse().unwrap()
}
