//! What becomes of flows when servers fail, return, drain, or are asked twice.

use std::collections::BTreeSet;

use fixtures::{ACK, RST, SYN, Upper};
use model::config::ServerState;

use crate::common::{CLIENT, Lab, inside, outside, to_inside, to_outside};
use crate::table::{Case, Step, check, hop, ours, tcp, tcp_at, udp};

#[test]
fn a_live_flow_of_a_failed_server_is_reset_and_its_next_syn_goes_elsewhere() {
    for failed in ["p1", "p2"] {
        // A client whose flow goes to the server that will fail.
        let mut lab = Lab::new();
        let client = client_of(&mut lab, "192.0.2.80:100", failed, SYN);
        lab.set_up(&format!("pair/{failed}"), false);

        let seen = lab.receive(&outside(&tcp_at(&client, "192.0.2.80:100", ACK, [8, 99])));
        let mut reset = ours(tcp_at("192.0.2.80:100", &client, RST, [99, 0]));
        if let Upper::Tcp { window, .. } = &mut reset.upper {
            *window = 0;
        }
        assert_eq!(seen.verdict, "answer");
        assert_eq!(seen.sent[0].bytes, to_outside(&reset).bytes);
        assert_eq!((lab.flows(), lab.count("flows_failed"), lab.count("resets")), (0, 1, 1));

        let other = if failed == "p1" { "p2" } else { "p1" };
        let again = lab.receive(&outside(&tcp(&client, "192.0.2.80:100", SYN, b"")));
        assert_eq!(again.verdict, format!("forward pair/{other}"));
    }
}

#[test]
fn a_syn_or_datagram_of_a_failed_servers_flow_goes_to_another_at_once() {
    let mut lab = Lab::new();
    let client = client_of(&mut lab, "192.0.2.80:100", "p1", SYN);
    lab.set_up("pair/p1", false);
    let again = lab.receive(&outside(&tcp(&client, "192.0.2.80:100", SYN, b"")));
    assert_eq!(again.verdict, "forward pair/p2");

    for (vip, pool, service) in
        [("192.0.2.80:100", "pair", "pair-udp"), ("[2001:db8:1::80]:100", "pair6", "pair6")]
    {
        let mut lab = Lab::new();
        let send = |lab: &mut Lab, port: u16| {
            let client = match pool {
                "pair" => format!("198.51.100.7:{port}"),
                _ => format!("[2001:db8:9::7]:{port}"),
            };
            lab.receive(&outside(&udp(&client, vip, b"q"))).verdict
        };
        let before: Vec<_> = (0..50).map(|port| send(&mut lab, 1_000 + port)).collect();
        lab.set_up(&format!("{pool}/p2"), false);
        let after: Vec<_> = (0..50).map(|port| send(&mut lab, 1_000 + port)).collect();
        assert!(after.iter().all(|verdict| *verdict == format!("forward {service}/p1")));
        let moved = before.iter().filter(|v| **v == format!("forward {service}/p2")).count();
        assert!((10..40).contains(&moved), "both served before: {moved}");
        assert_eq!(lab.count("flows_failed"), moved as u64);
    }
}

#[test]
fn the_last_words_of_a_failed_server_reach_the_client() {
    check(vec![Case {
        name: "a reply of a server that is marked down",
        given: vec![
            outside(&tcp(CLIENT, "192.0.2.80:80", SYN, b"")).into(),
            Step::Do(|lab| lab.set_up("web/s1", false)),
        ],
        frame: inside(&tcp("10.0.0.11:8080", CLIENT, RST | ACK, b"")),
        verdict: "forward web/s1",
        out: vec![to_outside(&hop(tcp("192.0.2.80:80", CLIENT, RST | ACK, b"")))],
    }]);
}

#[test]
fn flows_of_other_servers_do_not_move_when_one_fails_or_returns() {
    let mut lab = Lab::new();
    let send = |lab: &mut Lab, port: u16| {
        let client = format!("198.51.100.7:{port}");
        lab.receive(&outside(&tcp(&client, "192.0.2.80:100", ACK, b""))).verdict
    };
    let before: Vec<_> = (0..200).map(|port| send(&mut lab, 1_000 + port)).collect();
    assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 2, "both serve");
    lab.set_up("pair/p1", false);
    for (port, server) in before.iter().enumerate() {
        if server == "forward pair/p2" {
            assert_eq!(send(&mut lab, 1_000 + port as u16), *server);
        }
    }
    lab.set_up("pair/p1", true);
    for (port, server) in before.iter().enumerate() {
        if server == "forward pair/p2" {
            assert_eq!(send(&mut lab, 1_000 + port as u16), *server);
        }
    }
}

#[test]
fn a_draining_server_keeps_its_flows_and_gets_no_new_ones() {
    for state in [Some(ServerState::Draining), None] {
        let mut lab = Lab::new();
        let client = client_of(&mut lab, "192.0.2.80:100", "p1", SYN);
        match state {
            Some(state) => lab.set_state("pair/p1", state),
            // A weight of 0 says the same.
            None => lab.reconfigure(|config| {
                let pool = config.pools.iter_mut().find(|p| p.name == "pair").unwrap();
                pool.servers.iter_mut().find(|s| s.name == "p1").unwrap().weight = 0;
            }),
        }
        let data = lab.receive(&outside(&tcp(&client, "192.0.2.80:100", ACK, b"more")));
        assert_eq!(data.verdict, "forward pair/p1");
        assert_eq!(
            data.sent[0].bytes,
            to_inside(&hop(tcp(&client, "10.0.0.21:8080", ACK, b"more"))).bytes
        );
        for port in 1_000..1_100 {
            let client = format!("203.0.113.5:{port}");
            let new = lab.receive(&outside(&tcp(&client, "192.0.2.80:100", SYN, b"")));
            assert_eq!(new.verdict, "forward pair/p2");
        }
    }
}

#[test]
fn a_server_taken_down_or_disabled_by_the_operator_has_failed() {
    for state in [ServerState::Down, ServerState::Disabled] {
        let mut lab = Lab::new();
        lab.receive(&outside(&tcp(CLIENT, "192.0.2.80:80", SYN, b"")));
        lab.set_state("web/s1", state);
        assert_eq!(
            lab.receive(&outside(&tcp(CLIENT, "192.0.2.80:80", ACK, b""))).verdict,
            "answer"
        );
        assert_eq!(lab.flows(), 0);
    }
}

#[test]
fn one_client_port_cannot_reach_one_server_port_through_two_services() {
    let through = |port: u16| outside(&tcp(CLIENT, &format!("192.0.2.80:{port}"), SYN, b""));
    let other = outside(&tcp("198.51.100.7:40001", "192.0.2.80:91", SYN, b""));
    check(vec![
        Case {
            name: "the second would be mixed up with the first",
            given: vec![through(90).into()],
            frame: through(91),
            verdict: "drop tuple_collision",
            out: vec![],
        },
        Case {
            name: "another port of the client is no problem",
            given: vec![through(90).into()],
            frame: other,
            verdict: "forward twin-b/t1",
            out: vec![to_inside(&hop(tcp("198.51.100.7:40001", "10.0.0.14:9000", SYN, b"")))],
        },
        Case {
            name: "the reply is the first one's",
            given: vec![through(90).into(), through(91).into()],
            frame: inside(&tcp("10.0.0.14:9000", CLIENT, SYN | ACK, b"")),
            verdict: "forward twin-a/t1",
            out: vec![to_outside(&hop(tcp("192.0.2.80:90", CLIENT, SYN | ACK, b"")))],
        },
    ]);
}

#[test]
fn the_second_service_takes_another_server_if_there_is_one() {
    let mut lab = Lab::new();
    let mut through = |client: &str, port: u16| {
        let vip = format!("192.0.2.80:{port}");
        lab.receive(&outside(&tcp(client, &vip, SYN, b""))).verdict
    };
    let mut placed = 0;
    for port in 0..100 {
        let client = format!("198.51.100.7:{}", 1_000 + port);
        let (first, second) = (through(&client, 102), through(&client, 103));
        if second != "drop tuple_collision" {
            placed += 1;
            let of = |verdict: &str| verdict.rsplit('/').next().unwrap_or_default().to_string();
            assert_ne!(of(&first), of(&second));
        }
    }
    // Four draws between two servers: one in sixteen never meets the other.
    assert!(placed > 80, "{placed}");
}

/// A client whose flow to `vip` goes to `server`.
fn client_of(lab: &mut Lab, vip: &str, server: &str, flags: u8) -> String {
    for port in 2_000..2_100 {
        let client = format!("198.51.100.7:{port}");
        let seen = lab.receive(&outside(&tcp(&client, vip, flags, b"")));
        if seen.verdict.ends_with(server) {
            let mut alone = Lab::new();
            alone.receive(&outside(&tcp(&client, vip, flags, b"")));
            *lab = alone;
            return client;
        }
    }
    panic!("none of a hundred flows goes to {server}")
}
