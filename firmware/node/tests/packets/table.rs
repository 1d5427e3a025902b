//! A row of a packet table, and how it is checked.

use std::fs;
use std::path::PathBuf;

use fixtures::{Packet, at};
use packet::pcap::Writer;

use crate::common::{Lab, Port, Seen, Wire};

/// `{name, given, frame in, verdict, frames out}`.
pub struct Case {
    /// A sentence.
    pub name: &'static str,
    /// What happened before.
    pub given: Vec<Step>,
    /// The frame in question.
    pub frame: Wire,
    /// In the words of [`Lab::words`].
    pub verdict: &'static str,
    /// What leaves because of it, in order.
    pub out: Vec<Wire>,
}

/// Something that happens before the frame in question.
pub enum Step {
    /// A frame comes; nothing is asked of it.
    Frame(Wire),
    /// The node is changed.
    Do(fn(&mut Lab)),
}

impl From<Wire> for Step {
    fn from(wire: Wire) -> Self {
        Self::Frame(wire)
    }
}

/// Checks every row on a node of its own.
pub fn check(rows: Vec<Case>) {
    let failed: Vec<_> = rows.iter().filter_map(|row| run(row).err()).collect();
    assert!(failed.is_empty(), "\n\n{}\n", failed.join("\n\n"));
}

fn run(row: &Case) -> Result<(), String> {
    let mut lab = Lab::new();
    for step in &row.given {
        match step {
            Step::Frame(wire) => drop(lab.receive(wire)),
            Step::Do(change) => change(&mut lab),
        }
    }
    let seen = lab.receive(&row.frame);
    let mut wrong = vec![];
    if seen.verdict != row.verdict {
        wrong.push(format!("  verdict: {}, expected {}", seen.verdict, row.verdict));
    }
    let (found, expected) = (seen.sent.len(), row.out.len());
    if found != expected {
        wrong.push(format!("  {found} frames left, expected {expected}"));
    }
    for (index, (found, expected)) in seen.sent.iter().zip(&row.out).enumerate() {
        if found.port != expected.port {
            wrong.push(format!("  frame {index} left {:?}", found.port));
        }
        if found.offload != expected.offload {
            wrong.push(format!("  frame {index}: {:?}", found.offload));
        }
        if found.bytes != expected.bytes {
            wrong.push(format!(
                "  frame {index}, differing from octet {} on:\n    {}\n  expected\n    {}",
                first_difference(&found.bytes, &expected.bytes),
                hex(&found.bytes),
                hex(&expected.bytes)
            ));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let place = capture(row, &seen);
    Err(format!("{}\n{}\n  see {}", row.name, wrong.join("\n"), place.display()))
}

fn first_difference(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}

fn hex(bytes: &[u8]) -> String {
    let mut text: String = bytes.iter().take(160).map(|octet| format!("{octet:02x}")).collect();
    if bytes.len() > 160 {
        text.push_str(&format!("… ({} octets)", bytes.len()));
    }
    text
}

/// The frame in question at second 1, the expected frames at second 2, those seen at second 3.
fn capture(row: &Case, seen: &Seen) -> PathBuf {
    let mut writer = Writer::new();
    let second = |n: u64| base::Instant::from_millis(n * 1_000);
    writer.push(second(1), &row.frame.bytes);
    row.out.iter().for_each(|wire| writer.push(second(2), &wire.bytes));
    seen.sent.iter().for_each(|sent| writer.push(second(3), &sent.bytes));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("packets");
    let path = folder.join(format!("{}.pcap", row.name.replace(' ', "-")));
    let written = fs::create_dir_all(&folder);
    if let Err(why) = written.and_then(|()| fs::write(&path, writer.into_bytes())) {
        eprintln!("{}: {why}", path.display());
    }
    path
}

/// A TCP segment.
pub fn tcp(from: &str, to: &str, flags: u8, data: &[u8]) -> Packet {
    Packet::tcp(at(from), at(to), flags, data)
}

/// A TCP segment with these numbers.
pub fn tcp_at(from: &str, to: &str, flags: u8, [sequence, acknowledgement]: [u32; 2]) -> Packet {
    let mut packet = tcp(from, to, flags, b"");
    if let fixtures::Upper::Tcp { sequence: s, acknowledgement: a, .. } = &mut packet.upper {
        (*s, *a) = (sequence, acknowledgement);
    }
    packet
}

/// A UDP datagram.
pub fn udp(from: &str, to: &str, data: &[u8]) -> Packet {
    Packet::udp(at(from), at(to), data)
}

/// An IP address.
pub fn ip(text: &str) -> std::net::IpAddr {
    text.parse().expect("an IP address")
}

/// The packet one hop on.
pub fn hop(packet: Packet) -> Packet {
    Packet { ttl: packet.ttl - 1, ..packet }
}

/// The packet without the DF bit.
pub fn may_be_cut(packet: Packet) -> Packet {
    Packet { dont_fragment: false, ..packet }
}

/// A whole packet of the box's own: no identification, as it is never fragmented (RFC 6864 §4.1).
pub fn ours(packet: Packet) -> Packet {
    Packet { identification: 0, ..packet }
}

/// An ICMP error of ours about `about`, from `source`, with the precedence of internetwork
/// control (RFC 1812 §4.3.2.5) and as much of it as 576 or 1,280 octets hold.
pub fn our_error(source: &str, code: [u8; 2], parameter: u32, about: &Wire) -> Packet {
    let source = ip(source);
    let quoted = &about.bytes[14..];
    let (destination, length, room) = if source.is_ipv4() {
        let from: [u8; 4] = quoted[12..16].try_into().expect("an IPv4 header");
        let length = u16::from_be_bytes([quoted[2], quoted[3]]);
        (std::net::IpAddr::from(from), usize::from(length), 576 - 28)
    } else {
        let from: [u8; 16] = quoted[8..24].try_into().expect("an IPv6 header");
        let length = u16::from_be_bytes([quoted[4], quoted[5]]);
        (std::net::IpAddr::from(from), 40 + usize::from(length), 1280 - 48)
    };
    let quote = &quoted[..length.min(room)];
    let error = Packet::icmp_error(source, destination, code, parameter, quote);
    Packet { class: 0xc0, ..ours(error) }
}

/// A frame of ours to whoever sent `to`.
pub fn back(port: Port, packet: &Packet, to: &Wire) -> Wire {
    let mac: [u8; 6] = to.bytes[6..12].try_into().expect("an Ethernet header");
    Wire::raw(port, crate::common::with_macs(packet.build(), base::Mac(mac), port.mac()))
}
