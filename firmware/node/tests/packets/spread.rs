//! A virtual address that is spread: its owner gives flows away, and each is served by the box that
//! works on it.

use base::{FlowKey, Protocol};
use dataplane::Pressure;
use dataplane::flow::Note;
use dataplane::tables::Owner;
use fixtures::{ACK, FIN, PSH, Packet, RST, SENDER, SYN, at, fragments};
use model::config::ServerState;

use crate::common::{
    INSIDE, Lab, OUTSIDE, PEER, Port, ROUTER, Wire, inside, mac_of, outside, to_inside, to_outside,
    with_macs,
};
use crate::table::{hop, ip, may_be_cut, tcp, tcp_at, udp};

const PAIR: &str = "192.0.2.80:100";
const DNS: &str = "192.0.2.80:53";

/// The box that owns the address, and its number.
const OWNER: u64 = 11;
/// The other box that works on its flows.
const WORKER: u64 = 22;

/// A box that owns the address and shares the work with the other one, which does not.
fn owner() -> Lab {
    let mut lab = Lab::new();
    lab.spread("www", &[(Owner::Us, OWNER), (Owner::Peer(0), WORKER)]);
    lab
}

/// That other box. The servers' gateway is the owner's.
fn worker() -> Lab {
    let mut lab = Lab::new();
    lab.give_away("www", Owner::Peer(0));
    lab.give_away("gw", Owner::Peer(0));
    lab.spread("www", &[(Owner::Us, WORKER), (Owner::Peer(0), OWNER)]);
    lab
}

/// A box that has the servers' gateway and nothing to do with the address: the owner is the first
/// of the other two, the one that works on its flows the second.
fn bystander() -> Lab {
    let mut lab = Lab::new();
    lab.learn_peer(SECOND);
    lab.give_away("www", Owner::Peer(0));
    lab.spread("www", &[(Owner::Peer(0), OWNER), (Owner::Peer(1), WORKER)]);
    lab
}

const SECOND: [base::Mac; 2] = [base::Mac([2, 0x75, 0, 0, 0, 0]), base::Mac([2, 0x75, 0, 0, 0, 1])];

/// A client whose flow the function gives to this box, as `lab` has it. Each number has another.
fn client(lab: &Lab, to: &str, protocol: Protocol, works: Owner, number: usize) -> String {
    let vip = lab.tables.vips.iter().position(|vip| vip.address == mapped(to));
    let spread = lab.tables.spreads[vip.expect("a virtual address")].as_ref().expect("spread");
    let request = |port| FlowKey {
        source: base::address::mapped(ip("198.51.100.7")),
        destination: mapped(to),
        source_port: port,
        destination_port: at(to).port(),
        protocol,
    };
    let mut ports = (10_000..).filter(|&port| spread.worker(&request(port)) == Some(works));
    format!("198.51.100.7:{}", ports.nth(number).expect("a port"))
}

fn mapped(to: &str) -> std::net::Ipv6Addr {
    base::address::mapped(at(to).ip())
}

fn theirs(lab: &Lab) -> String {
    client(lab, PAIR, Protocol::TCP, Owner::Peer(0), 0)
}

fn ours(lab: &Lab) -> String {
    client(lab, PAIR, Protocol::TCP, Owner::Us, 0)
}

/// The same frame as we pass it on.
fn passed(wire: &Wire) -> Vec<u8> {
    passed_to(wire, PEER)
}

fn passed_to(wire: &Wire, station: [base::Mac; 2]) -> Vec<u8> {
    let (to, from) = match wire.port {
        Port::Outside => (station[0], OUTSIDE),
        Port::Inside => (station[1], INSIDE),
    };
    with_macs(wire.bytes.clone(), to, from)
}

/// The same frame as the other box passes it on to us.
fn from_peer(wire: &Wire) -> Wire {
    let (to, from) = match wire.port {
        Port::Outside => (OUTSIDE, PEER[0]),
        Port::Inside => (INSIDE, PEER[1]),
    };
    Wire { bytes: with_macs(wire.bytes.clone(), to, from), ..wire.clone() }
}

#[track_caller]
fn assert_passed(lab: &mut Lab, wire: &Wire) {
    let seen = lab.receive(wire);
    assert_eq!(seen.verdict, "handed over");
    let sent: Vec<_> = seen.sent.iter().map(|sent| (sent.port, sent.bytes.clone())).collect();
    assert_eq!(sent, [(wire.port, passed(wire))]);
}

#[track_caller]
fn assert_sent(lab: &mut Lab, wire: &Wire, out: &Wire) {
    let seen = lab.receive(wire);
    assert!(seen.verdict.starts_with("forward "), "{}", seen.verdict);
    let sent: Vec<_> = seen.sent.iter().map(|sent| (sent.port, sent.bytes.clone())).collect();
    assert_eq!(sent, [(out.port, out.bytes.clone())]);
}

/// The server that a box gives a connection to: `10.0.0.21:8080`.
fn server_of(verdict: &str) -> &'static str {
    match verdict {
        "forward pair/p1" => "10.0.0.21:8080",
        "forward pair/p2" => "10.0.0.22:8080",
        other => panic!("no server of the pair: {other}"),
    }
}

#[test]
fn the_owner_serves_its_own_part_and_passes_the_other_on_unchanged_and_unremembered() {
    let mut lab = owner();
    for number in 0..50 {
        let client = |works| client(&lab, PAIR, Protocol::TCP, works, number);
        let (mine, other) = (client(Owner::Us), client(Owner::Peer(0)));
        let verdict = lab.receive(&outside(&tcp(&mine, PAIR, SYN, b""))).verdict;
        assert!(verdict.starts_with("forward pair/"), "{verdict}");
        for flags in [SYN, ACK, ACK | PSH, ACK | FIN, RST] {
            assert_passed(&mut lab, &outside(&tcp(&other, PAIR, flags, b"")));
        }
        let datagram = |works| self::client(&lab, DNS, Protocol::UDP, works, number);
        let other = datagram(Owner::Peer(0));
        assert_passed(&mut lab, &outside(&udp(&other, DNS, b"q")));
    }
    assert_eq!(lab.flows(), 50);
}

#[test]
fn both_ways_of_a_flow_lead_by_the_box_that_works_on_it() {
    let (mut a, mut b) = (owner(), worker());
    let client = theirs(&a);
    let syn = tcp_at(&client, PAIR, SYN, [1_000, 0]);
    assert_passed(&mut a, &outside(&syn));
    let verdict = b.receive(&from_peer(&outside(&syn))).verdict;
    let server = server_of(&verdict);
    let reply = |flags, numbers| tcp_at(server, &client, flags, numbers);
    let translated = |flags, numbers| to_outside(&hop(tcp_at(PAIR, &client, flags, numbers)));
    // It comes in where the servers' gateway is.
    let syn_ack = (SYN | ACK, [5_000, 1_001]);
    assert_passed(&mut a, &inside(&reply(syn_ack.0, syn_ack.1)));
    assert_sent(
        &mut b,
        &from_peer(&inside(&reply(syn_ack.0, syn_ack.1))),
        &translated(syn_ack.0, syn_ack.1),
    );
    let ack = tcp_at(&client, PAIR, ACK, [1_001, 5_001]);
    assert_passed(&mut a, &outside(&ack));
    let to_server = to_inside(&hop(tcp_at(&client, server, ACK, [1_001, 5_001])));
    assert_sent(&mut b, &from_peer(&outside(&ack)), &to_server);
    assert_eq!((a.flows(), b.flows()), (0, 1));
    assert_eq!(b.count("flows_picked_up"), 0, "it has seen all of it");
}

#[test]
fn a_reply_goes_to_the_box_that_works_on_its_flow_and_not_to_the_owner() {
    let mut lab = bystander();
    for number in 0..20 {
        for (works, station) in [(Owner::Peer(0), PEER), (Owner::Peer(1), SECOND)] {
            let client = client(&lab, DNS, Protocol::UDP, works, number);
            let reply = inside(&udp("10.0.0.12:5353", &client, b"a"));
            let seen = lab.receive(&reply);
            assert_eq!(seen.verdict, "handed over");
            assert_eq!(seen.sent[0].bytes, passed_to(&reply, station));
        }
    }
    let client = client(&lab, DNS, Protocol::UDP, Owner::Peer(1), 0);
    let request = outside(&udp(&client, DNS, b"q"));
    assert_passed(&mut lab, &request);
}

#[test]
fn where_the_gateway_is_the_workers_own_a_reply_needs_no_hop() {
    let mut lab = worker();
    let client = ours(&lab);
    let verdict = lab.receive(&from_peer(&outside(&tcp(&client, PAIR, SYN, b"")))).verdict;
    let reply = inside(&tcp(server_of(&verdict), &client, SYN | ACK, b""));
    let out = to_outside(&hop(tcp(PAIR, &client, SYN | ACK, b"")));
    assert_sent(&mut lab, &reply, &out);
    lab.restart();
    let reply = inside(&tcp(server_of(&verdict), &client, ACK, b"x"));
    assert_sent(&mut lab, &reply, &to_outside(&hop(tcp(PAIR, &client, ACK, b"x"))));
}

#[test]
fn who_is_not_the_owner_serves_what_another_box_passes_to_it_and_nothing_else() {
    let syn = |lab: &Lab| outside(&tcp(&ours(lab), PAIR, SYN, b""));
    let mut lab = worker();
    let wire = syn(&lab);
    assert_passed(&mut lab, &wire);
    let stranger = Wire { bytes: with_macs(wire.bytes.clone(), OUTSIDE, SENDER), ..wire.clone() };
    assert_passed(&mut lab, &stranger);
    lab.lease_until(lab.now());
    assert_eq!(lab.receive(&from_peer(&wire)).verdict, "drop not_serving", "no lease");
    let mut lab = worker();
    assert!(lab.receive(&from_peer(&wire)).verdict.starts_with("forward pair/"));
    lab.lease_until(lab.now());
    assert_eq!(lab.receive(&from_peer(&wire)).verdict, "drop not_serving", "nor for known flows");
    let mut lab = worker();
    lab.spread("www", &[]);
    assert_eq!(lab.receive(&from_peer(&wire)).verdict, "drop not_serving", "not spread");
    let mut lab = worker();
    lab.spread("www", &[(Owner::Peer(0), OWNER)]);
    assert_eq!(lab.receive(&from_peer(&wire)).verdict, "drop not_serving", "has no part in it");
    let mut lab = worker();
    lab.give_away("www", Owner::Nobody);
    assert!(lab.receive(&from_peer(&wire)).verdict.starts_with("forward pair/"), "owner unknown");
    let other = client(&lab, PAIR, Protocol::TCP, Owner::Us, 1);
    let wire = outside(&tcp(&other, PAIR, SYN, b""));
    assert_eq!(lab.receive(&wire).verdict, "drop not_serving");
}

#[test]
fn what_a_box_passed_to_the_owner_is_served_there_whatever_the_function_says() {
    let mut lab = owner();
    let wire = from_peer(&outside(&tcp(&theirs(&lab), PAIR, SYN, b"")));
    let verdict = lab.receive(&wire).verdict;
    assert!(verdict.starts_with("forward pair/"), "{verdict}");
}

#[test]
fn nobody_is_given_flows_who_is_not_heard_on_the_network() {
    let mut lab = owner();
    lab.spread("www", &[(Owner::Us, OWNER), (Owner::Peer(1), WORKER)]);
    for number in 0..20 {
        let client = client(&lab, PAIR, Protocol::TCP, Owner::Peer(1), number);
        let verdict = lab.receive(&outside(&tcp(&client, PAIR, SYN, b""))).verdict;
        let reply = inside(&tcp(server_of(&verdict), &client, SYN | ACK, b""));
        assert_eq!(lab.receive(&reply).verdict, verdict);
    }
    lab.spread("www", &[]);
    assert_eq!(lab.count("handed_over"), 0);
}

#[test]
fn connections_that_the_owner_has_when_it_begins_to_spread_stay_with_it() {
    let mut lab = Lab::new();
    lab.spread("www", &[(Owner::Us, OWNER), (Owner::Peer(0), WORKER)]);
    let client = theirs(&lab);
    lab.spread("www", &[]);
    let verdict = lab.receive(&outside(&tcp_at(&client, PAIR, SYN, [1_000, 0]))).verdict;
    lab.spread("www", &[(Owner::Us, OWNER), (Owner::Peer(0), WORKER)]);
    let server = server_of(&verdict);
    for wire in [
        inside(&tcp_at(server, &client, SYN | ACK, [5_000, 1_001])),
        outside(&tcp_at(&client, PAIR, ACK, [1_001, 5_001])),
        outside(&tcp_at(&client, PAIR, ACK | FIN, [1_001, 5_001])),
        inside(&tcp_at(server, &client, ACK | FIN, [5_001, 1_002])),
    ] {
        assert_eq!(lab.receive(&wire).verdict, verdict);
    }
    // The next one of that name is another connection.
    assert_passed(&mut lab, &outside(&tcp_at(&client, PAIR, SYN, [9_000, 0])));
    assert_eq!(lab.flows(), 0);
}

#[test]
fn the_box_that_the_function_names_now_goes_on_with_a_connection_at_the_same_server() {
    // One box has had it from the beginning; then it dies, or the other joins, or the address is
    // not spread any more.
    let (a, mut b) = (owner(), worker());
    for number in 0..10 {
        let client = client(&a, PAIR, Protocol::TCP, Owner::Peer(0), number);
        let verdict = b.receive(&from_peer(&outside(&tcp(&client, PAIR, SYN, b"")))).verdict;
        let server = server_of(&verdict);
        let (data, reply) = (tcp(&client, PAIR, ACK, b"x"), tcp(server, &client, ACK, b"y"));
        let to_client = to_outside(&hop(tcp(PAIR, &client, ACK, b"y")));
        for alone in [&[(Owner::Us, OWNER)][..], &[]] {
            let mut a = owner();
            a.spread("www", alone);
            assert_sent(&mut a, &outside(&data), &to_inside(&hop(tcp(&client, server, ACK, b"x"))));
            assert_sent(&mut a, &inside(&reply), &to_client);
            let mut a = owner();
            a.spread("www", alone);
            assert_sent(&mut a, &inside(&reply), &to_client);
        }
        let mut newcomer = worker();
        let request = from_peer(&outside(&data));
        let out = to_inside(&hop(tcp(&client, server, ACK, b"x")));
        assert_sent(&mut newcomer, &request, &out);
        let mut newcomer = worker();
        assert_sent(&mut newcomer, &from_peer(&inside(&reply)), &to_client);
    }
}

#[test]
fn an_answer_to_a_syn_that_another_box_passed_is_not_lost_when_the_function_changes() {
    let mut lab = worker();
    let client = ours(&lab);
    let verdict = worker().receive(&from_peer(&outside(&tcp(&client, PAIR, SYN, b"")))).verdict;
    let server = server_of(&verdict);
    let syn_ack = from_peer(&inside(&tcp_at(server, &client, SYN | ACK, [5_000, 1_001])));
    let out = to_outside(&hop(tcp_at(PAIR, &client, SYN | ACK, [5_000, 1_001])));
    assert_sent(&mut lab, &syn_ack, &out);
    let ack = from_peer(&outside(&tcp_at(&client, PAIR, ACK, [1_001, 5_001])));
    assert_eq!(lab.receive(&ack).verdict, verdict);
    assert_eq!(lab.flows(), 1);
    let other = if server == "10.0.0.21:8080" { "10.0.0.22:8080" } else { "10.0.0.21:8080" };
    let mut lab = worker();
    let wrong = from_peer(&inside(&tcp_at(other, &client, SYN | ACK, [5_000, 1_001])));
    assert_eq!(lab.receive(&wrong).verdict, "drop no_flow", "no SYN was ever passed to that one");
}

#[test]
fn replies_of_a_server_that_the_selection_does_not_name_reach_the_box_that_knows_their_flow() {
    let (mut a, mut b) = (owner(), worker());
    let client = theirs(&a);
    let verdict = b.receive(&from_peer(&outside(&tcp(&client, PAIR, SYN, b"")))).verdict;
    let server = server_of(&verdict);
    let name = if server == "10.0.0.21:8080" { "pair/p1" } else { "pair/p2" };
    for lab in [&mut a, &mut b] {
        lab.set_state(name, ServerState::Draining);
    }
    let reply = inside(&tcp(server, &client, SYN | ACK, b""));
    assert_passed(&mut a, &reply);
    assert_eq!(b.receive(&from_peer(&reply)).verdict, verdict);
    let data = outside(&tcp(&client, PAIR, ACK, b"x"));
    assert_passed(&mut a, &data);
    assert_eq!(b.receive(&from_peer(&data)).verdict, verdict);
    assert_eq!(worker().receive(&from_peer(&reply)).verdict, verdict, "no such change there");
    let mut stranger = worker();
    stranger.set_state(name, ServerState::Draining);
    assert_eq!(stranger.receive(&from_peer(&reply)).verdict, "drop no_flow", "it knows nothing");
}

#[test]
fn a_flow_that_was_copied_to_the_owner_is_served_by_it_and_so_is_the_next_one_of_that_name() {
    let mut lab = owner();
    let client = theirs(&lab);
    let fresh = worker().receive(&from_peer(&outside(&tcp(&client, PAIR, SYN, b"")))).verdict;
    let other = if server_of(&fresh) == "10.0.0.21:8080" { "10.0.0.22" } else { "10.0.0.21" };
    let key = FlowKey {
        source: mapped(&client),
        destination: mapped(PAIR),
        source_port: at(&client).port(),
        destination_port: 100,
        protocol: Protocol::TCP,
    };
    let server = Some((base::address::mapped(ip(other)), 8_080));
    lab.copy(&[Note::Flow { key, server }]);
    let mut next = owner();
    next.copy(&[Note::Flow { key, server }]);
    // As long as the copy is there nobody else could be given its packets.
    assert_eq!(next.receive(&outside(&tcp(&client, PAIR, SYN, b""))).verdict, fresh);
    assert_eq!(next.receive(&outside(&tcp(&client, PAIR, ACK, b"x"))).verdict, fresh);
    let out = to_inside(&hop(tcp(&client, &format!("{other}:8080"), ACK, b"x")));
    assert_sent(&mut lab, &outside(&tcp(&client, PAIR, ACK, b"x")), &out);
}

#[test]
fn an_error_from_outside_goes_where_the_flow_is() {
    let mut a = owner();
    let (client, mut b) = (theirs(&a), worker());
    let verdict = b.receive(&from_peer(&outside(&tcp(&client, PAIR, SYN, b"")))).verdict;
    let quoted = tcp(PAIR, &client, ACK, b"0123456789").build();
    let error =
        Packet::icmp_error(ip("203.0.113.1"), ip("192.0.2.80"), [3, 4], 1_300, &quoted[14..]);
    let wire = Wire::raw(Port::Outside, with_macs(error.build(), OUTSIDE, ROUTER));
    assert_passed(&mut a, &wire);
    let seen = b.receive(&from_peer(&wire));
    assert_eq!(seen.verdict, verdict);
    assert_eq!(seen.sent[0].port, Port::Inside);
    assert_eq!(seen.sent[0].bytes[..6], mac_of(at(server_of(&verdict)).ip()).0);
    let mut stranger = worker();
    assert_eq!(stranger.receive(&from_peer(&wire)).verdict, "drop no_service");
}

#[test]
fn the_fragments_of_a_datagram_stay_together() {
    let lab = owner();
    let client = client(&lab, DNS, Protocol::UDP, Owner::Peer(0), 0);
    let whole = outside(&may_be_cut(udp(&client, DNS, &[0x42; 2_500])));
    let pieces: Vec<_> = fragments(&whole.bytes, 1_000, 0xfeed)
        .into_iter()
        .map(|bytes| Wire { bytes, ..whole.clone() })
        .collect();
    let (mut a, mut b) = (owner(), worker());
    for piece in &pieces {
        assert_passed(&mut a, piece);
        assert_eq!(b.receive(&from_peer(piece)).verdict, "forward dns/d1");
    }
    let mut a = owner();
    assert_eq!(a.receive(&pieces[1]).verdict, "held", "it has overtaken the first");
    let sent: Vec<_> = a.receive(&pieces[0]).sent.into_iter().map(|sent| sent.bytes).collect();
    assert_eq!(sent, [passed(&pieces[0]), passed(&pieces[1])]);
    let mut b = worker();
    assert_eq!(b.receive(&from_peer(&pieces[1])).verdict, "held");
    assert_eq!(b.receive(&from_peer(&pieces[0])).sent.len(), 2);
}

#[test]
fn an_owner_under_pressure_goes_on_passing_flows_of_others() {
    let mut lab = owner();
    let client = theirs(&lab);
    lab.forwarder.set_pressure(Pressure::High);
    let wires: Vec<_> = (0..64).map(|_| outside(&tcp(&client, PAIR, ACK, b"x"))).collect();
    let verdicts = lab.receive_burst(Port::Outside, &wires);
    assert!(verdicts.iter().all(|verdict| verdict == "handed over"), "{verdicts:?}");
}
