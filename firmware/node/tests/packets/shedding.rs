//! A worker that is behind keeps the connections that are there and turns newcomers away.

use dataplane::Pressure;
use dataplane::tables::Owner;
use fixtures::{ACK, Packet, SYN, arp_request};
use model::limits::NEWCOMERS_UNDER_PRESSURE;

use crate::common::{CLIENT, Lab, Port, Wire, inside, outside};
use crate::table::{ip, tcp, udp};

const NEWCOMER: &str = "198.51.100.99:7";
const SERVER: &str = "10.0.0.11:8080";

/// A node with one connection, under pressure, whose newcomers of this burst have passed already.
fn pressed() -> Lab {
    let mut lab = Lab::new();
    lab.receive(&outside(&tcp(CLIENT, "192.0.2.80:80", SYN, b"")));
    lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q")));
    lab.forwarder.set_pressure(Pressure::High);
    lab
}

/// A burst of newcomers, as many as may pass, and this frame behind them.
fn behind_newcomers(lab: &mut Lab, frame: Wire) -> String {
    let before = lab.count("shed");
    let newcomer = |n: usize| {
        let from = format!("203.0.{before}.{}:5", n + 1);
        outside(&udp(&from, "192.0.2.80:53", b"q"))
    };
    let port = frame.port;
    let mut burst: Vec<Wire> = match port {
        Port::Outside => (0..NEWCOMERS_UNDER_PRESSURE).map(newcomer).collect(),
        Port::Inside => {
            vec![inside(&udp("10.0.0.77:5", "203.0.113.1:6", b"x")); NEWCOMERS_UNDER_PRESSURE]
        }
    };
    burst.push(frame);
    let verdicts = lab.receive_burst(port, &burst);
    for verdict in &verdicts[..NEWCOMERS_UNDER_PRESSURE] {
        assert!(verdict.starts_with("forward") || verdict == "transit", "{verdict}");
    }
    verdicts[NEWCOMERS_UNDER_PRESSURE].clone()
}

#[test]
fn under_pressure_known_flows_go_first() {
    let own = "192.0.2.11:514";
    let router = "192.0.2.1".parse().expect("an address");
    let vip = "192.0.2.80".parse().expect("an address");
    let ping = Packet::echo(ip("198.51.100.7"), ip("192.0.2.80"), false, 1, 1, b"x");
    let rows: [(&str, Wire, &str); 10] = [
        ("a known connection", outside(&tcp(CLIENT, "192.0.2.80:80", ACK, b"x")), "forward web/s1"),
        ("its server", inside(&tcp(SERVER, CLIENT, SYN | ACK, b"")), "forward web/s1"),
        ("a known datagram", outside(&udp(CLIENT, "192.0.2.80:53", b"q")), "forward dns/d1"),
        ("a new connection", outside(&tcp(NEWCOMER, "192.0.2.80:80", SYN, b"")), "drop shed"),
        ("the middle of one", outside(&tcp(NEWCOMER, "192.0.2.80:80", ACK, b"")), "drop shed"),
        ("a new datagram", outside(&udp(NEWCOMER, "192.0.2.80:53", b"q")), "drop shed"),
        ("a forgotten reply", inside(&tcp(SERVER, NEWCOMER, ACK, b"")), "drop shed"),
        ("transit", inside(&udp("10.0.0.77:5", "203.0.113.1:7", b"x")), "drop shed"),
        ("the node's own address", outside(&udp(NEWCOMER, own, b"log")), "own faces"),
        ("a ping", outside(&ping), "answer"),
    ];
    for (what, frame, expected) in rows {
        assert_eq!(behind_newcomers(&mut pressed(), frame), expected, "{what}");
    }
    let arp = Wire::raw(Port::Outside, arp_request(router, vip));
    assert_eq!(behind_newcomers(&mut pressed(), arp), "answer");
}

#[test]
fn what_another_box_has_to_work_on_is_passed_on_under_pressure_too() {
    let mut gateway = pressed();
    gateway.give_away("www", Owner::Peer(0));
    let rows: [(&str, Wire); 5] = [
        ("a server's packet", inside(&tcp(SERVER, NEWCOMER, ACK, b""))),
        ("from a port of several services", inside(&tcp("10.0.0.14:9000", NEWCOMER, ACK, b""))),
        ("a server's datagram", inside(&udp("10.0.0.12:5353", NEWCOMER, b"a"))),
        ("the middle of a connection", outside(&tcp(NEWCOMER, "192.0.2.80:80", ACK, b""))),
        ("a client's datagram", outside(&udp(NEWCOMER, "192.0.2.80:53", b"q"))),
    ];
    for (what, frame) in rows {
        let burst = vec![frame.clone(); 3 * NEWCOMERS_UNDER_PRESSURE];
        for verdict in gateway.receive_burst(frame.port, &burst) {
            assert_eq!(verdict, "handed over", "{what}");
        }
    }
    assert_eq!(gateway.count("shed"), 0);
    let routed = inside(&udp("10.0.0.77:5", "203.0.113.1:7", b"x"));
    assert_eq!(behind_newcomers(&mut gateway, routed), "drop shed", "it is still under pressure");
}

#[test]
fn what_is_shed_is_counted_and_welcome_again_when_the_pressure_is_over() {
    let mut lab = pressed();
    let frame = || outside(&tcp(NEWCOMER, "192.0.2.80:80", SYN, b""));
    for n in 1..=3 {
        assert_eq!(behind_newcomers(&mut lab, frame()), "drop shed");
        assert_eq!(lab.count("shed"), n);
    }
    lab.forwarder.set_pressure(Pressure::None);
    assert_eq!(behind_newcomers(&mut lab, frame()), "forward web/s1");
}

#[test]
fn the_rest_of_a_datagram_that_was_shed_does_not_wait_for_its_beginning() {
    let mut lab = pressed();
    let large = Packet { dont_fragment: false, ..udp(NEWCOMER, "192.0.2.80:53", &[1; 2_000]) };
    let pieces = fixtures::fragments(&outside(&large).bytes, 1_000, 9);
    let raw = |piece: usize| Wire::raw(Port::Outside, pieces[piece].clone());
    assert_eq!(behind_newcomers(&mut lab, raw(0)), "drop shed");
    assert_eq!(lab.receive(&raw(1)).verdict, "drop shed");
}
