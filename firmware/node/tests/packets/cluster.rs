//! Virtual addresses that another box of the cluster serves: we are silent about them, and their
//! packets go one hop further.

use std::time::Duration;

use base::address::mapped;
use base::{Gso, Offload};
use dataplane::Event;
use dataplane::tables::Owner;
use fixtures::{ACK, PSH, Packet, SENDER, SYN, arp_request, fragments, neighbor_solicitation};
use model::limits::BURST;

use crate::common::{
    CLIENT, CLIENT6, INSIDE, Lab, OUTSIDE, PEER, Port, ROUTER, Wire, inside, mac_of, outside,
    to_inside, to_outside, with_macs,
};
use crate::table::{Case, Step, check, hop, ip, may_be_cut, tcp, udp};

const VIP: &str = "192.0.2.80:80";
const SERVER: &str = "10.0.0.11:8080";

/// The peer that is heard serves the clients' addresses; the servers' gateways stay ours.
fn peer_serves(lab: &mut Lab) {
    lab.give_away("www", Owner::Peer(0));
    lab.give_away("www6", Owner::Peer(0));
}

/// A peer that was never heard does.
fn silent_peer_serves(lab: &mut Lab) {
    lab.give_away("www", Owner::Peer(1));
}

fn nobody_serves(lab: &mut Lab) {
    lab.give_away("www", Owner::Nobody);
}

fn lease_is_over(lab: &mut Lab) {
    lab.lease_until(lab.now());
}

fn lease_lasts(lab: &mut Lab) {
    lab.lease_until(lab.now() + Duration::from_nanos(1));
}

/// The same frame as we pass it on.
fn passed(wire: &Wire) -> Wire {
    let (to, from) = match wire.port {
        Port::Outside => (PEER[0], OUTSIDE),
        Port::Inside => (PEER[1], INSIDE),
    };
    Wire { bytes: with_macs(wire.bytes.clone(), to, from), ..wire.clone() }
}

/// The same frame as the peer passes it on to us.
fn from_peer(wire: &Wire) -> Wire {
    let (to, from) = match wire.port {
        Port::Outside => (OUTSIDE, PEER[0]),
        Port::Inside => (INSIDE, PEER[1]),
    };
    Wire { bytes: with_macs(wire.bytes.clone(), to, from), ..wire.clone() }
}

fn handed(name: &'static str, given: Vec<Step>, frame: Wire) -> Case {
    let out = vec![passed(&frame)];
    Case { name, given, frame, verdict: "handed over", out }
}

fn dropped(name: &'static str, given: Vec<Step>, frame: Wire) -> Case {
    Case { name, given, frame, verdict: "drop not_serving", out: vec![] }
}

#[test]
fn what_comes_for_a_peers_address_goes_on_to_the_peer_unchanged() {
    let with = || vec![Step::Do(peer_serves)];
    let echo = fixtures::icmp_echo(ip("198.51.100.7"), ip("192.0.2.80"), 1, 1);
    let echo = Wire::raw(Port::Outside, with_macs(echo, OUTSIDE, ROUTER));
    let last_hop = Packet { ttl: 1, ..tcp(CLIENT, VIP, ACK, b"x") };
    check(vec![
        handed("a new connection", with(), outside(&tcp(CLIENT, VIP, SYN, b""))),
        handed("over IPv6", with(), outside(&tcp(CLIENT6, "[2001:db8:1::80]:80", SYN, b""))),
        handed("a datagram", with(), outside(&udp(CLIENT, "192.0.2.80:53", b"q"))),
        handed("the middle of a connection", with(), outside(&tcp(CLIENT, VIP, ACK, b"x"))),
        handed(
            "to a port without service",
            with(),
            outside(&tcp(CLIENT, "192.0.2.80:99", SYN, b"")),
        ),
        handed("an echo request", with(), echo),
        handed("a hop is no router's", with(), outside(&last_hop)),
        handed("a server's own packet to it", with(), inside(&tcp("10.0.0.11:9", VIP, SYN, b""))),
    ]);
}

#[test]
fn a_servers_reply_goes_to_the_box_that_serves_its_client() {
    let with = || vec![Step::Do(peer_serves)];
    check(vec![
        handed("of a connection", with(), inside(&tcp(SERVER, CLIENT, SYN | ACK, b""))),
        handed("over IPv6", with(), inside(&tcp("[fd00::11]:8080", CLIENT6, ACK, b"x"))),
        handed("a datagram", with(), inside(&udp("10.0.0.12:5353", CLIENT, b"a"))),
        Case {
            name: "what is no service's is routed here",
            given: with(),
            frame: inside(&udp("10.0.0.12:99", "203.0.113.5:7", b"x")),
            verdict: "transit",
            out: vec![to_outside(&hop(udp("10.0.0.12:99", "203.0.113.5:7", b"x")))],
        },
    ]);
}

#[test]
fn a_reply_from_a_port_of_several_services_goes_to_every_box_that_serves_one() {
    let reply = inside(&tcp("10.0.0.14:9000", CLIENT, SYN | ACK, b""));
    let mut lab = Lab::new();
    assert_eq!(lab.receive(&reply).verdict, "drop no_flow", "all is ours, and nobody knows it");
    peer_serves(&mut lab);
    let seen = lab.receive(&reply);
    assert_eq!(seen.verdict, "handed over");
    let sent: Vec<_> = seen.sent.iter().map(|it| it.bytes.clone()).collect();
    assert_eq!(sent, [passed(&reply).bytes]);
    assert_eq!(lab.receive(&from_peer(&reply)).verdict, "drop no_flow", "once");
    lab.learn_peer([mac_of(ip("10.0.0.202")); 2]);
    lab.give_away("www6", Owner::Peer(1));
    let sent: Vec<_> = lab.receive(&reply).sent.into_iter().map(|it| it.bytes).collect();
    let other = with_macs(reply.bytes.clone(), mac_of(ip("10.0.0.202")), INSIDE);
    assert_eq!(sent, [passed(&reply).bytes, other], "and no box that serves nothing");
}

#[test]
fn such_a_reply_reaches_the_old_box_of_an_address_that_is_coming_to_us() {
    let reply = inside(&tcp("10.0.0.14:9000", CLIENT, SYN | ACK, b""));
    let mut lab = Lab::new();
    lab.give_away("www", Owner::Coming(0));
    let seen = lab.receive(&reply);
    assert_eq!(seen.verdict, "handed over");
    let sent: Vec<_> = seen.sent.iter().map(|it| it.bytes.clone()).collect();
    assert_eq!(sent, [passed(&reply).bytes]);
}

#[test]
fn beside_large_replies_in_a_burst_every_box_gets_its_copy_of_the_small_ones() {
    let mut lab = Lab::new();
    peer_serves(&mut lab);
    lab.learn_peer([mac_of(ip("10.0.0.202")); 2]);
    lab.give_away("www6", Owner::Peer(1));
    let offload = Offload { gso: Gso::TcpV4, gso_size: 1_448, ..Offload::NONE };
    let reply = |data: &[u8]| inside(&tcp("10.0.0.14:9000", CLIENT, ACK, data));
    let large = Wire { offload, ..reply(&[7; 65_160]) };
    for number in [2, 8, 40] {
        let mut burst = vec![large.clone(); number];
        burst.resize(BURST, reply(b"x"));
        let verdicts = lab.receive_burst(Port::Inside, &burst);
        assert!(verdicts.iter().all(|verdict| verdict == "handed over"));
        let small = 2 * (BURST - number);
        assert!(lab.left() >= small + number, "{number} large ones: {} left", lab.left());
        assert!(number > 8 || lab.left() == 2 * BURST, "as many as a batch holds are copied too");
    }
}

#[test]
fn nothing_is_handed_over_twice_or_to_nobody() {
    let syn = || outside(&tcp(CLIENT, VIP, SYN, b""));
    let reply = || inside(&tcp(SERVER, CLIENT, SYN | ACK, b""));
    check(vec![
        dropped("what a peer passed on", vec![Step::Do(peer_serves)], from_peer(&syn())),
        dropped("a reply that a peer passed on", vec![Step::Do(peer_serves)], from_peer(&reply())),
        dropped("for a peer that was never heard", vec![Step::Do(silent_peer_serves)], syn()),
        dropped("for nobody's address", vec![Step::Do(nobody_serves)], syn()),
        dropped("a reply for nobody's address", vec![Step::Do(nobody_serves)], reply()),
        dropped("after the lease", vec![Step::Do(lease_is_over)], syn()),
        dropped("a reply after the lease", vec![Step::Do(lease_is_over)], reply()),
        Case {
            name: "within the lease",
            given: vec![Step::Do(lease_lasts)],
            frame: syn(),
            verdict: "forward web/s1",
            out: vec![to_inside(&hop(tcp(CLIENT, SERVER, SYN, b"")))],
        },
        Case {
            name: "what a peer passes on is served where the address is",
            given: vec![],
            frame: from_peer(&syn()),
            verdict: "forward web/s1",
            out: vec![to_inside(&hop(tcp(CLIENT, SERVER, SYN, b"")))],
        },
        Case {
            name: "and so is a reply",
            given: vec![Step::Frame(syn())],
            frame: from_peer(&reply()),
            verdict: "forward web/s1",
            out: vec![to_outside(&hop(tcp(VIP, CLIENT, SYN | ACK, b"")))],
        },
    ]);
}

#[test]
fn the_packets_of_known_flows_follow_an_address_that_moves_and_come_back_with_it() {
    let mut lab = Lab::new();
    let syn = outside(&tcp(CLIENT, VIP, SYN, b""));
    let data = outside(&tcp(CLIENT, VIP, ACK | PSH, b"x"));
    let reply = inside(&tcp(SERVER, CLIENT, SYN | ACK, b""));
    assert_eq!(lab.receive(&syn).verdict, "forward web/s1");
    peer_serves(&mut lab);
    for frame in [&data, &reply] {
        let seen = lab.receive(frame);
        assert_eq!(seen.verdict, "handed over");
        assert_eq!(seen.sent[0].bytes, passed(frame).bytes);
    }
    assert_eq!(lab.flows(), 1, "it may come back");
    lab.give_away("www", Owner::Us);
    assert_eq!(lab.receive(&reply).verdict, "forward web/s1");
    assert_eq!(lab.count("flows_created"), 1);
}

#[test]
fn while_an_address_comes_to_us_what_its_old_box_hands_over_is_served_and_nothing_else() {
    let coming = |lab: &mut Lab| lab.give_away("www", Owner::Coming(0));
    let with = || vec![Step::Do(coming)];
    let syn = || outside(&tcp(CLIENT, VIP, SYN, b""));
    let arp = arp_request([192, 0, 2, 9].into(), [192, 0, 2, 80].into());
    let from_stranger = |wire: Wire| {
        let bytes = with_macs(wire.bytes.clone(), OUTSIDE, SENDER);
        Wire { bytes, ..wire }
    };
    check(vec![
        Case {
            name: "handed over to us",
            given: with(),
            frame: from_peer(&syn()),
            verdict: "forward web/s1",
            out: vec![to_inside(&hop(tcp(CLIENT, SERVER, SYN, b"")))],
        },
        handed("not from the old box", with(), from_stranger(syn())),
        Case {
            name: "the question where it is",
            given: with(),
            frame: Wire::raw(Port::Outside, arp),
            verdict: "drop neighbor_not_ours",
            out: vec![],
        },
    ]);
}

#[test]
fn a_known_flow_is_served_by_the_box_that_a_peer_hands_it_to() {
    let mut lab = Lab::new();
    lab.receive(&outside(&tcp(CLIENT, VIP, SYN, b"")));
    peer_serves(&mut lab);
    let reply = from_peer(&inside(&tcp(SERVER, CLIENT, SYN | ACK, b"")));
    let seen = lab.receive(&reply);
    assert_eq!(seen.verdict, "forward web/s1", "the gateway's box does not know of the move yet");
    lease_is_over(&mut lab);
    assert_eq!(lab.receive(&reply).verdict, "drop not_serving");
}

#[test]
fn a_box_that_took_an_address_over_goes_on_with_its_connections() {
    let mut old = Lab::new();
    let mut new = Lab::new();
    nobody_serves(&mut new);
    old.receive(&outside(&tcp(CLIENT, VIP, SYN, b"")));
    nobody_serves(&mut old);
    new.give_away("www", Owner::Us);
    let data = new.receive(&outside(&tcp(CLIENT, VIP, ACK | PSH, b"x")));
    assert_eq!(data.verdict, "forward web/s1", "the agreed table names the same server");
}

#[test]
fn fragments_stay_together_on_their_way_to_a_peer() {
    let data = [0x42; 2_500];
    let request = outside(&may_be_cut(udp(CLIENT, "192.0.2.80:53", &data)));
    let reply = inside(&may_be_cut(udp("10.0.0.12:5353", CLIENT, &data)));
    for whole in [request, reply] {
        let mut lab = Lab::new();
        peer_serves(&mut lab);
        for bytes in fragments(&whole.bytes, 1_000, 0xfeed) {
            let piece = Wire { bytes, ..whole.clone() };
            let seen = lab.receive(&piece);
            assert_eq!(seen.verdict, "handed over");
            assert_eq!(seen.sent[0].bytes, passed(&piece).bytes);
        }
    }
}

#[test]
fn a_reply_whose_later_fragments_overtake_the_first_arrives_whole() {
    let mut lab = Lab::new();
    peer_serves(&mut lab);
    let whole = inside(&may_be_cut(udp("10.0.0.12:5353", CLIENT, &[0x42; 2_500])));
    let pieces = fragments(&whole.bytes, 1_000, 0xfeed);
    let piece = |index: usize| Wire { bytes: pieces[index].clone(), ..whole.clone() };
    assert_eq!(lab.receive(&piece(1)).verdict, "held");
    let seen = lab.receive(&piece(0));
    let passed: Vec<_> = [0, 1].map(|index| passed(&piece(index)).bytes).into();
    assert_eq!(seen.verdict, "handed over");
    assert_eq!(seen.sent.iter().map(|sent| sent.bytes.clone()).collect::<Vec<_>>(), passed);
    assert_eq!(lab.resolved, ["handed over"]);
}

#[test]
fn we_neither_answer_for_a_peers_address_nor_fight_over_it() {
    type Given = fn(&mut Lab);
    let arp = |sender: &str, target: &str| {
        let [sender, target] = [sender, target].map(|text| text.parse().expect("an IPv4 address"));
        Wire::raw(Port::Outside, arp_request(sender, target))
    };
    let ask6 = |target: &str| {
        let [sender, target] =
            ["2001:db8:1::9", target].map(|text| text.parse().expect("an IPv6 address"));
        Wire::raw(Port::Outside, neighbor_solicitation(sender, target))
    };
    let rows: [(&str, Given, Wire, &str); 7] = [
        ("ours", lease_lasts, arp("192.0.2.9", "192.0.2.80"), "answer"),
        ("ours over IPv6", lease_lasts, ask6("2001:db8:1::80"), "answer"),
        ("a peer's", peer_serves, arp("192.0.2.9", "192.0.2.80"), "drop neighbor_not_ours"),
        ("a peer's over IPv6", peer_serves, ask6("2001:db8:1::80"), "drop neighbor_not_ours"),
        ("nobody's", nobody_serves, arp("192.0.2.9", "192.0.2.80"), "drop neighbor_not_ours"),
        ("no longer ours", lease_is_over, arp("192.0.2.9", "192.0.2.80"), "drop neighbor_not_ours"),
        ("a primary address", lease_is_over, arp("192.0.2.9", "192.0.2.11"), "answer"),
    ];
    for (name, given, frame, verdict) in rows {
        let mut lab = Lab::new();
        given(&mut lab);
        assert_eq!(lab.receive(&frame).verdict, verdict, "{name}");
    }
    let announcement = arp("192.0.2.80", "192.0.2.80");
    let address = mapped(ip("192.0.2.80"));
    let conflict =
        |event: &Event| matches!(event, Event::AddressConflict { address: a, .. } if *a == address);
    let mut lab = Lab::new();
    assert!(lab.receive(&announcement).events.iter().any(conflict), "two of us");
    peer_serves(&mut lab);
    assert!(!lab.receive(&announcement).events.iter().any(conflict), "the peer's own");
}

#[test]
fn errors_about_a_peers_flows_follow_them() {
    let mut lab = Lab::new();
    let syn = outside(&tcp(CLIENT, VIP, SYN, b""));
    let request = lab.receive(&syn).sent[0].bytes.clone();
    peer_serves(&mut lab);
    let error =
        Packet::icmp_error(ip("10.0.0.9"), ip("198.51.100.7"), [3, 4], 1_400, &request[14..]);
    let frame = Wire::raw(Port::Inside, with_macs(error.build(), INSIDE, SENDER));
    let seen = lab.receive(&frame);
    assert_eq!(seen.verdict, "handed over");
    assert_eq!(seen.sent[0].bytes, passed(&frame).bytes);
}
