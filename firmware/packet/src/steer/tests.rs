use core::net::IpAddr;
use std::net::SocketAddr;

use base::address::mapped;
use fixtures::{ACK, Packet, at, fragments, icmp_error, tcp, tcp_syn, udp};

use super::*;

const CASTS: [[&str; 3]; 2] = [
    ["198.51.100.7:40000", "192.0.2.80:80", "10.0.0.11:8080"],
    ["[2001:db8:7::7]:40000", "[2001:db8:1::80]:80", "[fd00::11]:8080"],
];

fn of(frame: &[u8], vip: SocketAddr) -> u16 {
    worker(frame, |address| address == mapped(vip.ip()), 1009)
}

fn by(address: IpAddr, port: u16) -> u16 {
    of_endpoint(mapped(address), port, 1009)
}

#[test]
fn the_hash_is_the_one_written_down() {
    // Computed apart from this code, by the formula in the header of the kernel program.
    for (address, port, workers, expected) in [
        ("198.51.100.7", 40000, 8, slow("198.51.100.7", 40000, 8)),
        ("2001:db8:7::7", 443, 5, slow("2001:db8:7::7", 443, 5)),
        ("2001:db8:7::7", 0, 1, 0),
        ("192.0.2.1", 1, 0, 0),
    ] {
        let address = mapped(address.parse().unwrap());
        assert_eq!(of_endpoint(address, port, workers), expected, "{address}");
    }
}

fn slow(address: &str, port: u64, workers: u64) -> u16 {
    let octets = mapped(address.parse().unwrap()).octets();
    let mut x = port;
    for word in octets.chunks(4) {
        x ^= word.iter().fold(0u64, |number, &octet| number * 256 + u64::from(octet));
    }
    x = x * 0x9e37_79b1 % (1 << 32);
    x ^= x / 65_536;
    (x * workers / (1 << 32)) as u16
}

#[test]
fn both_directions_on_both_sides_meet_at_one_worker() {
    for [client, vip, server] in CASTS.map(|cast| cast.map(at)) {
        let expected = by(client.ip(), client.port());
        for (name, frame) in [
            ("client to VIP", tcp_syn(client, vip)),
            ("server to client", tcp(server, client, ACK, b"x")),
            ("UDP from the client", udp(client, vip, b"x")),
            ("UDP from the server", udp(server, client, b"x")),
        ] {
            assert_eq!(of(&frame, vip), expected, "{name}");
        }
    }
}

#[test]
fn errors_follow_the_flow_they_are_about() {
    for [client, vip, server] in CASTS.map(|cast| cast.map(at)) {
        let kind = if client.is_ipv4() { [3, 3] } else { [1, 4] };
        let router = if client.is_ipv4() { at("203.0.113.1:0") } else { at("[2001:db8:9::1]:0") };
        let expected = by(client.ip(), client.port());
        let sent = udp(vip, client, b"x");
        let received = udp(client, server, b"x");
        let from_outside = icmp_error(router.ip(), vip.ip(), kind, 0, &sent, 8);
        let from_server = icmp_error(server.ip(), client.ip(), kind, 0, &received, 8);
        assert_eq!(of(&from_outside, vip), expected);
        assert_eq!(of(&from_server, vip), expected);
        let cut = icmp_error(router.ip(), vip.ip(), kind, 0, &sent, 7);
        assert_eq!(of(&cut, vip), 0, "a quote too short");
    }
}

#[test]
fn pings_and_fragments_go_by_address_alone() {
    for [client, vip, server] in CASTS.map(|cast| cast.map(at)) {
        let expected = by(client.ip(), 0);
        let ping = fixtures::icmp_echo(client.ip(), vip.ip(), 7, 7);
        let pong = fixtures::icmp_echo_reply(vip.ip(), client.ip(), 7, 7);
        assert_eq!((of(&ping, vip), of(&pong, vip)), (expected, expected));
        for piece in fragments(&Packet::udp(client, vip, &[1; 100]).build(), 56, 1) {
            assert_eq!(of(&piece, vip), expected);
        }
        for piece in fragments(&Packet::udp(server, client, &[1; 100]).build(), 56, 1) {
            assert_eq!(of(&piece, vip), expected);
        }
    }
}

#[test]
fn what_concerns_all_workers_goes_to_the_first() {
    let vip = at("192.0.2.80:0");
    let link_local = "fe80::1".parse().unwrap();
    for (name, frame) in [
        ("ARP", fixtures::arp_request([192, 0, 2, 1].into(), [192, 0, 2, 80].into())),
        ("NDP", fixtures::neighbor_solicitation(link_local, link_local)),
        ("nothing", [].to_vec()),
        ("another type", [[2; 12].as_slice(), &[0x88, 0xcc], &[0; 46]].concat()),
        ("malformed", tcp_syn(at("198.51.100.7:9"), vip)[..40].to_vec()),
    ] {
        assert_eq!(of(&frame, vip), 0, "{name}");
    }
}

#[test]
fn clients_spread_over_the_workers() {
    for workers in [2u16, 3, 7, 16] {
        let mut counts = std::vec![0u32; usize::from(workers)];
        let vip = mapped("192.0.2.80".parse().unwrap());
        for host in 1..=100u8 {
            for port in 0..64u16 {
                let address = mapped([198, 51, 100, host].into());
                assert_ne!(address, vip);
                counts[usize::from(of_endpoint(address, 32_768 + port * 17, workers))] += 1;
            }
        }
        let fair = 6400 / u32::from(workers);
        assert!(counts.iter().all(|&n| n > fair * 3 / 4 && n < fair * 5 / 4), "{counts:?}");
    }
}
