//! Flows that another box would give to another server: told, copied, and gone on with.

use std::time::Duration;

use base::FlowKey;
use dataplane::flow::Note;
use dataplane::tables::Owner;
use fixtures::{ACK, FIN, PSH, RST, SYN};
use model::config::ServerState;
use model::limits::FLOW_NOTES;

use crate::common::{Lab, Wire, inside, outside};
use crate::table::{tcp, tcp_at, udp};

const PAIR: &str = "192.0.2.80:100";
const PAIR6: &str = "[2001:db8:1::80]:100";

/// Longer than a round through a few records takes.
const ROUND: Duration = Duration::from_millis(50);

/// A node whose flows others copy.
fn followed() -> Lab {
    let mut lab = Lab::new();
    lab.is_followed();
    // Whoever gives a forwarder new tables lets it look at them.
    lab.wait(ROUND);
    lab
}

/// A connection of a client that the node gives to this server of the pair: both sides speak.
fn connect(lab: &mut Lab, wanted: &str) -> String {
    for port in 10_000.. {
        let client = format!("198.51.100.7:{port}");
        let server = format!("{wanted}:8080");
        let seen = lab.receive(&outside(&tcp(&client, PAIR, SYN, b"")));
        if lab.receive(&inside(&tcp(&server, &client, SYN | ACK, b""))).verdict == seen.verdict {
            establish(lab, &client, PAIR, &server);
            return client;
        }
    }
    unreachable!("one of two servers is chosen for some client")
}

/// The two speak; their numbers begin at 1,000 and 5,000.
fn establish(lab: &mut Lab, client: &str, vip: &str, server: &str) {
    lab.receive(&outside(&tcp_at(client, vip, SYN, [1_000, 0])));
    lab.receive(&inside(&tcp_at(server, client, SYN | ACK, [5_000, 1_001])));
    lab.receive(&outside(&tcp_at(client, vip, ACK, [1_001, 5_001])));
}

fn notes(lab: &mut Lab) -> Vec<Note> {
    core::iter::from_fn(|| lab.forwarder.poll_note()).collect()
}

#[test]
fn a_connection_is_told_when_others_would_give_it_to_another_server_and_only_then() {
    let mut lab = followed();
    let first = connect(&mut lab, "10.0.0.21");
    connect(&mut lab, "10.0.0.22");
    lab.wait(ROUND);
    assert_eq!(lab.told(), [] as [&str; 0], "the function names these servers");
    lab.set_state("pair/p1", ServerState::Draining);
    lab.wait(ROUND);
    assert_eq!(lab.told(), [format!("{first}: 10.0.0.21:8080")]);
    lab.wait(ROUND);
    assert_eq!(lab.told(), [] as [&str; 0], "once");
    lab.set_state("pair/p1", ServerState::Up);
    lab.wait(ROUND);
    assert_eq!(lab.told(), [format!("{first}: over")], "it is as others would have it");
}

#[test]
fn the_end_of_what_was_told_is_told() {
    let server = "10.0.0.21:8080";
    let finished = |client: &str| {
        vec![
            outside(&tcp_at(client, PAIR, FIN | ACK, [1_001, 5_001])),
            inside(&tcp_at(server, client, FIN | ACK, [5_001, 1_002])),
        ]
    };
    let reset = |client: &str| vec![inside(&tcp_at(server, client, RST, [5_001, 0]))];
    for both in [true, false] {
        let mut lab = followed();
        let client = connect(&mut lab, "10.0.0.21");
        lab.set_state("pair/p1", ServerState::Draining);
        lab.wait(ROUND);
        lab.told();
        let ending: Vec<Wire> = if both { finished(&client) } else { reset(&client) };
        for wire in ending {
            lab.receive(&wire);
        }
        lab.wait(ROUND);
        assert_eq!(lab.told(), [format!("{client}: over")], "both have finished: {both}");
    }
    let mut lab = followed();
    let client = connect(&mut lab, "10.0.0.21");
    lab.set_state("pair/p1", ServerState::Draining);
    lab.wait(ROUND);
    lab.told();
    lab.sleep(Duration::from_secs(7_500));
    lab.wait(Duration::from_secs(5));
    assert_eq!(lab.told(), [format!("{client}: over")], "silent for too long");
}

#[test]
fn half_open_flows_are_never_told() {
    let mut lab = followed();
    for n in 0..2_000_u16 {
        let client = format!("198.51.{}.{}:1000", n >> 8, n & 0xff);
        lab.receive(&outside(&tcp(&client, "192.0.2.80:102", SYN, b"")));
        lab.receive(&outside(&tcp(&client, "192.0.2.80:90", ACK, b"x")));
        lab.receive(&outside(&udp(&client, "192.0.2.80:100", b"x")));
    }
    lab.set_state("pair/p1", ServerState::Draining);
    lab.wait(Duration::from_secs(2));
    assert_eq!(lab.told(), [] as [&str; 0]);
}

#[test]
fn connections_of_services_that_share_a_server_port_are_told_at_once() {
    let mut lab = followed();
    let client = "198.51.100.7:5000";
    establish(&mut lab, client, "192.0.2.80:90", "10.0.0.14:9000");
    lab.wait(ROUND);
    let told = notes(&mut lab);
    assert_eq!(told.len(), 1, "{told:?}");
    // After a crash only the server speaks, and nobody could name the client's side.
    let reply = inside(&tcp("10.0.0.14:9000", client, PSH | ACK, b"x"));
    let mut heir = Lab::new();
    assert_eq!(heir.receive(&reply).verdict, "drop no_flow");
    heir.copy(&told);
    assert_eq!(heir.receive(&reply).verdict, "forward twin-a/t1");
    // Elsewhere a box that serves some address would have got it instead.
    let mut heir = Lab::new();
    heir.give_away("www6", Owner::Peer(0));
    heir.copy(&told);
    assert_eq!(heir.receive(&reply).verdict, "forward twin-a/t1");
}

#[test]
fn whoever_takes_over_goes_on_with_the_server_that_was_copied() {
    let mut old = followed();
    let client = connect(&mut old, "10.0.0.21");
    old.set_state("pair/p1", ServerState::Draining);
    old.wait(ROUND);
    let told = notes(&mut old);
    let heir = |copied: bool| {
        let mut heir = followed();
        heir.set_state("pair/p1", ServerState::Draining);
        if copied {
            heir.copy(&told);
        }
        heir
    };
    let data = outside(&tcp(&client, PAIR, PSH | ACK, b"x"));
    let reply = inside(&tcp("10.0.0.21:8080", &client, PSH | ACK, b"x"));
    let again = outside(&tcp(&client, PAIR, SYN, b""));
    assert_eq!(heir(false).receive(&data).verdict, "forward pair/p2", "the reason for copies");
    assert_eq!(heir(false).receive(&reply).verdict, "drop no_flow");
    assert_eq!(heir(true).receive(&data).verdict, "forward pair/p1");
    assert_eq!(heir(true).receive(&reply).verdict, "forward pair/p1");
    // And tells its own heir.
    let mut lab = heir(true);
    lab.receive(&data);
    lab.receive(&reply);
    lab.wait(ROUND);
    assert_eq!(lab.told(), [format!("{client}: 10.0.0.21:8080")]);
    // A connection that begins is another one.
    let mut lab = heir(true);
    assert_eq!(lab.receive(&again).verdict, "forward pair/p2");
    assert_eq!(lab.told(), [format!("{client}: over")]);
    // And a server that has failed is not gone on with.
    let mut lab = heir(true);
    lab.set_up("pair/p1", false);
    assert_eq!(lab.receive(&data).verdict, "forward pair/p2");
    // Somebody elsewhere who speaks in the server's name is not believed.
    let forged = outside(&tcp("10.0.0.21:8080", &client, PSH | ACK, b"x"));
    assert_ne!(heir(true).receive(&forged).verdict, "forward pair/p1");
    // What another box serves goes there.
    let mut lab = heir(true);
    lab.give_away("www", Owner::Peer(0));
    assert_eq!(lab.receive(&reply).verdict, "handed over");
    assert_eq!(lab.receive(&data).verdict, "handed over");
}

#[test]
fn datagrams_go_on_too_over_ipv6() {
    let mut old = followed();
    let mut client = String::new();
    for port in 10_000..10_200 {
        client = format!("[2001:db8:9::7]:{port}");
        if old.receive(&outside(&udp(&client, PAIR6, b"q"))).verdict == "forward pair6/p1" {
            break;
        }
    }
    old.set_state("pair6/p1", ServerState::Draining);
    old.wait(ROUND);
    assert_eq!(old.told(), [] as [&str; 0], "no server has answered");
    old.receive(&inside(&udp("[fd00::21]:8080", &client, b"a")));
    old.wait(ROUND);
    let told = notes(&mut old);
    assert_eq!(told.len(), 1);
    let mut heir = Lab::new();
    heir.set_state("pair6/p1", ServerState::Draining);
    heir.copy(&told);
    let question = outside(&udp(&client, PAIR6, b"q"));
    assert_eq!(heir.receive(&question).verdict, "forward pair6/p1");
    let mut heir = Lab::new();
    heir.set_state("pair6/p1", ServerState::Draining);
    heir.copy(&told);
    let answer = inside(&udp("[fd00::21]:8080", &client, b"a"));
    assert_eq!(heir.receive(&answer).verdict, "forward pair6/p1");
}

#[test]
fn a_node_that_is_asked_tells_everything_anew() {
    let mut lab = followed();
    lab.forwarder.ask_for_flows(3);
    lab.wait(ROUND);
    assert_eq!(lab.told(), ["telling", "told 3"], "nothing");
    let client = connect(&mut lab, "10.0.0.21");
    lab.set_state("pair/p1", ServerState::Draining);
    lab.wait(ROUND);
    let flow = format!("{client}: 10.0.0.21:8080");
    assert_eq!(lab.told(), [flow.as_str()]);
    lab.forwarder.ask_for_flows(4);
    lab.wait(ROUND);
    assert_eq!(lab.told(), ["telling".into(), flow, "told 4".into()]);
}

#[test]
fn what_there_is_no_room_to_tell_waits_and_a_lost_end_is_made_good() {
    let flows = u16::try_from(FLOW_NOTES).expect("a small number") + 100;
    let mut lab = followed();
    let client = |n: u16| format!("198.51.{}.{}:1000", n >> 8, n & 0xff);
    for n in 0..flows {
        lab.receive(&outside(&udp(&client(n), "192.0.2.80:53", b"q")));
        lab.receive(&inside(&udp("10.0.0.12:5353", &client(n), b"a")));
    }
    lab.set_state("dns/d1", ServerState::Draining);
    lab.wait(Duration::from_secs(2));
    let first = lab.told();
    lab.wait(ROUND);
    let rest = lab.told();
    assert_eq!((first.len(), rest.len()), (FLOW_NOTES, 100));
    // All of them end while nobody takes what is told.
    lab.sleep(Duration::from_secs(130));
    lab.wait(Duration::from_secs(5));
    assert_eq!(lab.flows(), 0);
    let ends = lab.told();
    assert_eq!(ends.len(), FLOW_NOTES);
    assert!(ends.iter().all(|end| end.ends_with("over")));
    lab.wait(ROUND);
    assert_eq!(lab.told(), ["telling", "told 0"], "what is not repeated has ended");
}

#[test]
fn a_record_from_an_earlier_time_gives_way_to_a_copy() {
    let mut lab = followed();
    let client = connect(&mut lab, "10.0.0.21");
    lab.give_away("www", Owner::Peer(0));
    lab.wait(Duration::from_secs(1));
    // There the connection ended, and the same client's next one got the other server.
    let key = key_of("10.0.0.21");
    let server = Some((base::address::mapped([10, 0, 0, 22].into()), 8_080));
    lab.copy(&[Note::Flow { key, server }]);
    lab.give_away("www", Owner::Us);
    lab.wait(ROUND);
    let data = outside(&tcp(&client, PAIR, PSH | ACK, b"x"));
    assert_eq!(lab.receive(&data).verdict, "forward pair/p2");
}

#[test]
fn a_copy_that_comes_late_and_says_otherwise_than_our_own_flow_is_told_to_be_over() {
    let mut lab = followed();
    let client = connect(&mut lab, "10.0.0.21");
    lab.wait(ROUND);
    assert_eq!(lab.told(), [""; 0], "it is where everybody would look for it");
    let server = Some((base::address::mapped([10, 0, 0, 22].into()), 8_080));
    lab.copy(&[Note::Flow { key: key_of("10.0.0.21"), server }]);
    lab.wait(Duration::from_millis(10));
    let data = outside(&tcp(&client, PAIR, PSH | ACK, b"x"));
    assert_eq!(lab.receive(&data).verdict, "forward pair/p1", "our own flow goes on");
    lab.wait(ROUND);
    let told = lab.told();
    assert!(told.iter().any(|note| note.ends_with("over")), "{told:?}");
}

#[test]
fn a_flow_of_another_boxs_address_is_forgotten_after_a_minute() {
    let mut lab = followed();
    connect(&mut lab, "10.0.0.21");
    lab.give_away("www", Owner::Peer(0));
    let before = lab.flows();
    lab.wait(Duration::from_secs(50));
    assert_eq!(lab.flows(), before, "it may come back");
    lab.wait(Duration::from_secs(20));
    assert_eq!(lab.flows(), 0);
}

/// The key of the connection that [`connect`] makes to a server.
fn key_of(server: &str) -> FlowKey {
    let mut other = followed();
    connect(&mut other, server);
    other.set_state("pair/p1", ServerState::Draining);
    other.wait(ROUND);
    match notes(&mut other)[0] {
        Note::Flow { key, .. } => key,
        Note::Telling { .. } | Note::Told { .. } => unreachable!("a flow was told"),
    }
}
