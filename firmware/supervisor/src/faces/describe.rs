//! A captured frame in words.

use std::net::{IpAddr, Ipv6Addr};

use base::Protocol;
use base::address::unmapped;
use model::status::Frame;
use packet::arp::{self, Operation};
use packet::headers::{Body, Headers, Ip, TcpFlags, Transport, Version};

use crate::tap::Snapshot;

/// What is said of a frame.
pub fn describe(snapshot: &Snapshot) -> Frame {
    let said = match &snapshot.headers {
        Some(headers) => match &headers.body {
            Body::Ip(ip) => packet(ip),
            Body::Arp => arp(headers, &snapshot.bytes),
            Body::Other(kind) => {
                let protocol = format!("{kind:#06x}");
                Said { protocol, ..between(headers) }
            }
        },
        None => Said { protocol: "malformed".into(), ..Said::default() },
    };
    let Said { source, destination, protocol, detail } = said;
    let (at, direction, length) = (snapshot.at, snapshot.direction, snapshot.length);
    Frame { at, direction, source, destination, protocol, length, detail }
}

struct Said {
    source: String,
    destination: String,
    protocol: String,
    detail: String,
}

impl Default for Said {
    fn default() -> Self {
        let nobody = || "?".to_owned();
        Self {
            source: nobody(),
            destination: nobody(),
            protocol: String::new(),
            detail: String::new(),
        }
    }
}

fn between(headers: &Headers) -> Said {
    let (source, destination) = (headers.source.to_string(), headers.destination.to_string());
    Said { source, destination, ..Said::default() }
}

fn arp(headers: &Headers, bytes: &[u8]) -> Said {
    let detail = match arp::parse(bytes) {
        Ok(arp) if arp.sender == arp.target => format!("{} is at {}", arp.sender, arp.sender_mac),
        Ok(arp) => match arp.operation {
            Operation::Request => format!("who has {}, asks {}", arp.target, arp.sender),
            Operation::Reply => format!("{} is at {}", arp.sender, arp.sender_mac),
        },
        Err(_) => "malformed".into(),
    };
    Said { protocol: "arp".into(), detail, ..between(headers) }
}

fn packet(ip: &Ip) -> Said {
    let host = |address: Ipv6Addr| unmapped(address).to_string();
    let (mut source, mut destination) = (host(ip.source), host(ip.destination));
    let (protocol, mut detail) = match ip.transport {
        Transport::Tcp(tcp) => {
            source = end(ip.source, tcp.source_port);
            destination = end(ip.destination, tcp.destination_port);
            ("tcp".into(), flags(tcp.flags))
        }
        Transport::Udp(udp) => {
            source = end(ip.source, udp.source_port);
            destination = end(ip.destination, udp.destination_port);
            ("udp".into(), String::new())
        }
        Transport::Icmp(icmp) => {
            let name = if ip.version == Version::V4 { "icmp" } else { "icmp6" };
            (name.into(), message(ip.version, icmp.kind, icmp.code))
        }
        Transport::LaterFragment | Transport::Other => (protocol(ip.protocol), String::new()),
    };
    if let Some(fragment) = ip.fragment {
        let space = if detail.is_empty() { "" } else { " " };
        detail += &format!("{space}fragment at {}", fragment.offset);
    }
    Said { source, destination, protocol, detail }
}

/// Address and port (RFC 5952 §6).
fn end(address: Ipv6Addr, port: u16) -> String {
    match unmapped(address) {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

fn protocol(protocol: Protocol) -> String {
    match protocol {
        Protocol::TCP => "tcp".into(),
        Protocol::UDP => "udp".into(),
        Protocol::ICMP => "icmp".into(),
        Protocol::ICMPV6 => "icmp6".into(),
        Protocol(number) => format!("protocol {number}"),
    }
}

fn flags(flags: TcpFlags) -> String {
    let names = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::PSH, "PSH"),
        (TcpFlags::ACK, "ACK"),
        (TcpFlags::URG, "URG"),
        (TcpFlags::ECE, "ECE"),
        (TcpFlags::CWR, "CWR"),
    ];
    let set = names.iter().filter(|(flag, _)| flags.contains(*flag));
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

/// The messages that one looks for (RFC 792, RFC 4443 §2.1, RFC 4861 §4).
fn message(version: Version, kind: u8, code: u8) -> String {
    let name = match (version, kind) {
        (Version::V4, 8) | (Version::V6, 128) => "echo request",
        (Version::V4, 0) | (Version::V6, 129) => "echo reply",
        (Version::V4, 11) | (Version::V6, 3) => "time exceeded",
        (Version::V4, 3) if code == 4 => "fragmentation needed",
        (Version::V6, 2) => "packet too big",
        (Version::V4, 3) | (Version::V6, 1) => return format!("unreachable, code {code}"),
        (Version::V6, 133) => "router solicitation",
        (Version::V6, 134) => "router advertisement",
        (Version::V6, 135) => "neighbor solicitation",
        (Version::V6, 136) => "neighbor advertisement",
        (Version::V4 | Version::V6, _) => return format!("type {kind}, code {code}"),
    };
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrayvec::ArrayVec;
    use base::Instant;
    use fixtures::{ACK, Packet, SYN, at, fragments};
    use model::status::Direction;
    use packet::headers;

    fn said(frame: &[u8]) -> String {
        let kept = &frame[..frame.len().min(model::limits::CAPTURE_OCTETS)];
        let snapshot = Snapshot {
            at: Instant::from_millis(12_345),
            direction: Direction::In,
            length: u32::try_from(frame.len()).unwrap(),
            headers: headers::parse(frame).ok(),
            bytes: ArrayVec::try_from(kept).unwrap(),
        };
        describe(&snapshot).to_string()
    }

    #[test]
    fn every_kind_of_frame_has_its_words() {
        let (client, web) = ("198.51.100.7:40000", "192.0.2.80:80");
        let (client6, dns) = ("[2001:db8:9::7]:99", "[2001:db8:1::80]:53");
        let ip = |text: &str| at(&format!("{text}:0")).ip();
        let large =
            Packet { dont_fragment: false, ..Packet::udp(at(client), at(web), &[1; 2_000]) };
        let pieces = fragments(&large.build(), 1_000, 7);
        let router = "192.0.2.1".parse().unwrap();
        for (frame, expected) in [
            (
                Packet::tcp(at(client), at(web), SYN | ACK, &[0; 1_000]).build(),
                "198.51.100.7:40000 > 192.0.2.80:80 tcp 1054 SYN ACK",
            ),
            (
                Packet::udp(at(client6), at(dns), b"q").build(),
                "[2001:db8:9::7]:99 > [2001:db8:1::80]:53 udp 63",
            ),
            (
                fixtures::icmp_echo(ip("192.0.2.1"), ip("192.0.2.11"), 1, 1),
                "192.0.2.1 > 192.0.2.11 icmp 50 echo request",
            ),
            (pieces[1].clone(), "198.51.100.7 > 192.0.2.80 udp 1034 fragment at 1000"),
            (
                fixtures::arp_request(router, "192.0.2.80".parse().unwrap()),
                "arp 60 who has 192.0.2.80, asks 192.0.2.1",
            ),
            (b"short".to_vec(), "? > ? malformed 5"),
        ] {
            let line = said(&frame);
            let end = line.strip_prefix("12.345000 in  ").expect("time and direction");
            assert!(end.ends_with(expected), "{end:?} is not {expected:?}");
        }
    }
}
