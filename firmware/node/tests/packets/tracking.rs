//! How long a connection's record lives: as long as both ends believe in it, and no longer.

use std::time::Duration;

use dataplane::flow::Class;
use fixtures::{ACK, FIN, PSH, RST, SYN};

use crate::common::{CLIENT, Lab, inside, outside, to_outside};
use crate::table::{hop, tcp_at, udp};

const VIP: &str = "192.0.2.80:80";
const SERVER: &str = "10.0.0.11:8080";
const PASSED: &str = "forward web/s1";

fn client(lab: &mut Lab, flags: u8, numbers: [u32; 2]) -> String {
    lab.receive(&outside(&tcp_at(CLIENT, VIP, flags, numbers))).verdict
}

fn server(lab: &mut Lab, flags: u8, numbers: [u32; 2]) -> String {
    lab.receive(&inside(&tcp_at(SERVER, CLIENT, flags, numbers))).verdict
}

/// A connection: the client is at 1,001, the server at 5,001.
fn connected() -> Lab {
    let mut lab = Lab::new();
    assert_eq!(client(&mut lab, SYN, [1_000, 0]), PASSED);
    assert_eq!(server(&mut lab, SYN | ACK, [5_000, 1_001]), PASSED);
    assert_eq!(client(&mut lab, ACK, [1_001, 5_001]), PASSED);
    lab
}

/// A connection that both ends have closed: 1,002 and 5,002.
fn closed() -> Lab {
    let mut lab = connected();
    assert_eq!(client(&mut lab, FIN | ACK, [1_001, 5_001]), PASSED);
    assert_eq!(server(&mut lab, FIN | ACK, [5_001, 1_002]), PASSED);
    assert_eq!(client(&mut lab, ACK, [1_002, 5_002]), PASSED);
    lab
}

fn minutes(lab: &mut Lab, minutes: u64) -> u32 {
    lab.wait(Duration::from_secs(60 * minutes));
    lab.flows()
}

#[test]
fn an_established_connection_may_be_silent_for_two_hours() {
    let mut lab = connected();
    assert_eq!(minutes(&mut lab, 123), 1);
    assert_eq!(client(&mut lab, ACK, [1_000, 5_001]), PASSED, "a keep-alive");
    assert_eq!(minutes(&mut lab, 123), 1);
    assert_eq!(minutes(&mut lab, 2), 0);
    assert_eq!(lab.count("flows_expired"), 1);
}

#[test]
fn a_refused_connection_is_forgotten_at_once() {
    for numbers in [[0, 1_001], [0, 77]] {
        let mut lab = Lab::new();
        client(&mut lab, SYN, [1_000, 0]);
        assert_eq!(server(&mut lab, RST | ACK, numbers), PASSED);
        lab.wait(Duration::from_secs(20));
        // One that acknowledges another SYN is not believed.
        assert_eq!(lab.flows(), u32::from(numbers[1] != 1_001));
    }
}

#[test]
fn of_datagrams_flows_the_one_longest_silent_makes_room() {
    let mut lab = Lab::with_flows(64);
    let ask = |lab: &mut Lab, port: u16| {
        lab.receive(&outside(&udp(&format!("203.0.113.1:{port}"), "192.0.2.80:53", b"q")))
    };
    (0..64).for_each(|port| drop(ask(&mut lab, port)));
    lab.wait(Duration::from_secs(10));
    // The first spoke again: the second goes, and it alone.
    ask(&mut lab, 0);
    ask(&mut lab, 1_000);
    assert_eq!((lab.flows(), lab.count("flows_evicted")), (64, 1));
    let created = lab.count("flows_created");
    ask(&mut lab, 0);
    (2..64).for_each(|port| drop(ask(&mut lab, port)));
    assert_eq!(lab.count("flows_created"), created);
    ask(&mut lab, 1);
    assert_eq!(lab.count("flows_created"), created + 1);
}

#[test]
fn a_syn_without_answer_is_forgotten_after_a_minute() {
    let mut lab = Lab::new();
    client(&mut lab, SYN, [1_000, 0]);
    lab.wait(Duration::from_secs(55));
    assert_eq!(lab.flows(), 1);
    lab.wait(Duration::from_secs(10));
    assert_eq!(lab.flows(), 0);
}

#[test]
fn resets_end_a_connection_only_with_the_exact_number() {
    type Send = fn(&mut Lab, u8, [u32; 2]) -> String;
    let rows: [(&str, Send, u8, [u32; 2], u32); 8] = [
        ("the client's, exact", client, RST, [1_001, 0], 0),
        ("the client's, exact, with ACK", client, RST | ACK, [1_001, 5_001], 0),
        ("the client's, one beyond", client, RST, [1_002, 0], 1),
        ("the client's, one before", client, RST, [1_000, 0], 1),
        ("in the client's name, guessed", client, RST, [0x8000_0000, 0], 1),
        ("the server's, exact", server, RST, [5_001, 0], 0),
        ("the server's, one beyond", server, RST, [5_002, 0], 1),
        ("the server's, of an old connection", server, RST | ACK, [0, 77], 1),
    ];
    for (name, send, flags, numbers, left) in rows {
        let mut lab = connected();
        assert_eq!(send(&mut lab, flags, numbers), PASSED, "{name}: its receiver judges it");
        assert_eq!(minutes(&mut lab, 1), left, "{name}");
    }
}

#[test]
fn a_closed_connection_is_not_revived_by_stragglers() {
    for (name, straggle) in [
        ("a late ACK", (|lab| client(lab, ACK, [1_002, 5_002])) as fn(&mut Lab) -> String),
        ("a repeated FIN of the client", |lab| client(lab, FIN | ACK, [1_001, 5_001])),
        ("a repeated FIN of the server", |lab| server(lab, FIN | ACK, [5_001, 1_002])),
        ("late data of the server", |lab| server(lab, PSH | ACK, [4_000, 1_001])),
        ("an old SYN-ACK", |lab| server(lab, SYN | ACK, [5_000, 1_001])),
    ] {
        let mut lab = closed();
        lab.wait(Duration::from_secs(55));
        assert_eq!(straggle(&mut lab), PASSED, "{name} reaches its receiver");
        lab.wait(Duration::from_secs(10));
        assert_eq!(lab.flows(), 0, "{name}");
    }
}

#[test]
fn a_half_closed_connection_waits_five_minutes_for_the_rest() {
    let mut lab = connected();
    client(&mut lab, FIN | ACK, [1_001, 5_001]);
    assert_eq!(minutes(&mut lab, 4), 1);
    assert_eq!(server(&mut lab, PSH | ACK, [5_001, 1_002]), PASSED);
    assert_eq!(minutes(&mut lab, 4), 1);
    assert_eq!(minutes(&mut lab, 2), 0);
}

#[test]
fn the_same_ports_connect_again_right_after_a_close_or_reset() {
    let reset = || {
        let mut lab = connected();
        client(&mut lab, RST, [1_001, 0]);
        lab
    };
    for mut lab in [closed(), reset()] {
        assert_eq!(client(&mut lab, SYN, [900, 0]), PASSED);
        assert_eq!((lab.flows(), lab.count("flows_created")), (1, 2));
        assert_eq!(server(&mut lab, SYN | ACK, [70, 901]), PASSED);
        assert_eq!(client(&mut lab, ACK, [901, 71]), PASSED);
        assert_eq!(minutes(&mut lab, 100), 1, "it is established anew");
    }
}

#[test]
fn an_old_syn_changes_nothing() {
    let mut lab = connected();
    assert_eq!(client(&mut lab, SYN, [1_000, 0]), PASSED);
    // The server challenges it (RFC 5961 §4).
    assert_eq!(server(&mut lab, ACK, [5_001, 1_001]), PASSED);
    assert_eq!((minutes(&mut lab, 100), lab.count("flows_created")), (1, 1));
    // A second SYN does not make a reset's number good.
    assert_eq!(client(&mut lab, SYN, [0x7000_0000, 0]), PASSED);
    assert_eq!(client(&mut lab, RST, [0x7000_0001, 0]), PASSED);
    assert_eq!(minutes(&mut lab, 10), 1);
}

#[test]
fn a_server_that_forgot_takes_the_clients_new_syn() {
    let mut lab = connected();
    assert_eq!(client(&mut lab, SYN, [0x7000_0000, 0]), PASSED);
    assert_eq!(server(&mut lab, SYN | ACK, [0x9000_0000, 0x7000_0001]), PASSED);
    assert_eq!(client(&mut lab, ACK, [0x7000_0001, 0x9000_0001]), PASSED);
    assert_eq!(minutes(&mut lab, 100), 1);
    assert_eq!(client(&mut lab, RST, [0x7000_0001, 0]), PASSED);
    assert_eq!(minutes(&mut lab, 1), 0);
}

#[test]
fn nobody_establishes_a_connection_without_having_heard_the_server() {
    let mut lab = Lab::new();
    client(&mut lab, SYN, [1_000, 0]);
    assert_eq!(server(&mut lab, SYN | ACK, [0xabcd_0000, 1_001]), PASSED);
    let established = |lab: &Lab| lab.forwarder.flows().count(Class::Established);
    for guess in [0, 1_001, 0x1234_5678, 0xabcd_0000] {
        assert_eq!(client(&mut lab, ACK, [1_001, guess]), PASSED);
        assert_eq!(established(&lab), 0, "{guess:#x}");
    }
    assert_eq!(client(&mut lab, FIN | ACK, [1_001, 7]), PASSED);
    assert_eq!(client(&mut lab, PSH, [1_001, 0xabcd_0001]), PASSED, "without the ACK bit");
    assert_eq!(established(&lab), 0);
    assert_eq!(client(&mut lab, ACK, [1_001, 0xabcd_0001]), PASSED);
    assert_eq!(established(&lab), 1);
}

#[test]
fn established_connections_survive_a_flood_and_newcomers_replace_the_half_open() {
    let mut lab = Lab::with_flows(64);
    for port in 0..32 {
        let client = format!("198.51.100.7:{}", 1_000 + port);
        lab.receive(&outside(&tcp_at(&client, VIP, SYN, [1, 0])));
        lab.receive(&inside(&tcp_at(SERVER, &client, SYN | ACK, [1, 2])));
        lab.receive(&outside(&tcp_at(&client, VIP, ACK, [2, 2])));
    }
    for n in 0..1_000 {
        let client = format!("203.0.113.{}:{}", n % 250, 1_000 + n);
        assert_eq!(lab.receive(&outside(&tcp_at(&client, VIP, SYN, [1, 0]))).verdict, PASSED);
        // Nor do acknowledgements out of nowhere help.
        let client = format!("203.0.113.{}:{}", n % 250, 5_000 + n);
        assert_eq!(lab.receive(&outside(&tcp_at(&client, VIP, ACK, [1, 7]))).verdict, PASSED);
        lab.receive(&outside(&udp(&client, "192.0.2.80:53", b"q")));
    }
    assert_eq!((lab.flows(), lab.forwarder.flows().count(Class::Established)), (64, 32));
    for port in 0..32 {
        let client = format!("198.51.100.7:{}", 1_000 + port);
        let created = lab.count("flows_created");
        assert_eq!(lab.receive(&outside(&tcp_at(&client, VIP, ACK, [2, 2]))).verdict, PASSED);
        assert_eq!(lab.count("flows_created"), created);
    }
}

#[test]
fn when_every_record_is_an_established_connection_newcomers_are_turned_away() {
    let mut lab = Lab::with_flows(64);
    for port in 0..65 {
        let client = format!("198.51.100.7:{}", 1_000 + port);
        let verdict = lab.receive(&outside(&tcp_at(&client, VIP, SYN, [1, 0]))).verdict;
        assert_eq!(verdict, if port < 64 { PASSED } else { "drop flow_table_full" });
        lab.receive(&inside(&tcp_at(SERVER, &client, SYN | ACK, [1, 2])));
        lab.receive(&outside(&tcp_at(&client, VIP, ACK, [2, 2])));
    }
}

#[test]
fn a_connection_goes_on_after_a_restart_whoever_speaks_first() {
    type Send = fn(&mut Lab, u8, [u32; 2]) -> String;
    let rows: [[(Send, [u32; 2]); 2]; 2] = [
        [(client, [1_001, 5_001]), (server, [5_001, 1_001])],
        [(server, [5_001, 1_001]), (client, [1_001, 5_001])],
    ];
    for [(first, numbers), (second, answer)] in rows {
        let mut lab = connected();
        lab.restart();
        assert_eq!(lab.flows(), 0);
        assert_eq!(first(&mut lab, PSH | ACK, numbers), PASSED);
        assert_eq!((lab.flows(), lab.count("flows_picked_up")), (1, 1));
        assert_eq!(second(&mut lab, PSH | ACK, answer), PASSED);
        assert_eq!((minutes(&mut lab, 100), lab.count("flows_created")), (1, 1));
        assert_eq!(client(&mut lab, RST, [1_001, 0]), PASSED);
        assert_eq!(minutes(&mut lab, 1), 0, "the numbers are known again");
    }
}

#[test]
fn a_reply_through_a_range_is_picked_up_after_a_restart() {
    let mut lab = Lab::new();
    let reply = lab.receive(&inside(&tcp_at("10.0.0.13:8042", CLIENT, ACK, [5, 6])));
    assert_eq!(reply.verdict, "forward range/r1");
    let expected = to_outside(&hop(tcp_at("192.0.2.80:8042", CLIENT, ACK, [5, 6])));
    assert_eq!(reply.sent[0].bytes, expected.bytes);
    let reply = lab.receive(&inside(&udp("10.0.0.13:27003", CLIENT, b"state")));
    assert_eq!(reply.verdict, "forward game/r1");
}

#[test]
fn a_reply_that_nobody_can_place_is_dropped() {
    let mut lab = Lab::new();
    // From a port that two services share.
    let verdict = |lab: &mut Lab, from: &str, flags| {
        lab.receive(&inside(&tcp_at(from, CLIENT, flags, [5, 6]))).verdict
    };
    assert_eq!(verdict(&mut lab, "10.0.0.14:9000", ACK), "drop no_flow");
    // A SYN-ACK to nobody's SYN, and a reset of nobody's connection.
    assert_eq!(verdict(&mut lab, SERVER, SYN | ACK), "drop no_flow");
    assert_eq!(verdict(&mut lab, SERVER, RST | ACK), "drop no_flow");
    assert_eq!(lab.flows(), 0);
}

#[test]
fn a_datagrams_flow_lasts_two_minutes_from_its_last() {
    let mut lab = Lab::new();
    let ask = |lab: &mut Lab| lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q"))).verdict;
    assert_eq!(ask(&mut lab), "forward dns/d1");
    lab.wait(Duration::from_secs(115));
    let answer = lab.receive(&inside(&udp("10.0.0.12:5353", CLIENT, b"a")));
    assert_eq!(answer.verdict, "forward dns/d1");
    lab.wait(Duration::from_secs(115));
    assert_eq!((lab.flows(), ask(&mut lab).as_str()), (1, "forward dns/d1"));
    lab.wait(Duration::from_secs(126));
    assert_eq!(lab.flows(), 0);
}

#[test]
fn a_flow_that_is_silent_for_too_long_is_over_even_if_nobody_looked() {
    // So many flows that the round through all of them has not come to this one.
    let mut lab = Lab::new();
    for port in 0..1_000 {
        lab.receive(&outside(&udp(&format!("203.0.113.1:{port}"), "192.0.2.80:53", b"q")));
    }
    client(&mut lab, SYN, [1_000, 0]);
    server(&mut lab, SYN | ACK, [5_000, 1_001]);
    client(&mut lab, ACK, [1_001, 5_001]);
    lab.sleep(Duration::from_secs(7_500));
    let before = lab.count("flows_expired");
    assert_eq!(client(&mut lab, ACK, [1_001, 5_001]), PASSED);
    assert!((before + 2..900).contains(&lab.count("flows_expired")));
    assert_eq!(lab.count("flows_picked_up"), 1);
    // With few it has.
    let mut lab = connected();
    lab.sleep(Duration::from_secs(7_500));
    assert_eq!((client(&mut lab, ACK, [1_001, 5_001]).as_str(), lab.flows()), (PASSED, 1));
    assert_eq!((lab.count("flows_expired"), lab.count("flows_picked_up")), (1, 1));
    // Another's SYN that comes so late does not meet the old connection either.
    let mut lab = connected();
    lab.sleep(Duration::from_secs(7_500));
    assert_eq!(client(&mut lab, SYN, [1_000, 0]), PASSED);
    assert_eq!((lab.count("flows_created"), minutes(&mut lab, 2)), (2, 0));
}

#[test]
fn only_the_server_that_the_agreed_table_names_is_believed_after_a_restart() {
    let mut picked_up = [0, 0];
    for port in 3_000..3_040 {
        let client = format!("198.51.100.7:{port}");
        let mut lab = Lab::new();
        let request = lab.receive(&outside(&tcp_at(&client, "192.0.2.80:100", ACK, [1, 1])));
        lab.restart();
        for (server, name) in [("10.0.0.21:8080", "pair/p1"), ("10.0.0.22:8080", "pair/p2")] {
            let reply = lab.receive(&inside(&tcp_at(server, &client, ACK, [1, 1]))).verdict;
            let chosen = request.verdict == format!("forward {name}");
            assert_eq!(reply, if chosen { &request.verdict } else { "drop no_flow" });
            picked_up[usize::from(name == "pair/p2")] += u32::from(chosen);
        }
    }
    assert!(picked_up.iter().all(|&times| times > 5), "{picked_up:?}");
}
