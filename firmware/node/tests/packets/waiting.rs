//! Packets whose next hop's Ethernet address is not known wait for it, but not for long.

use std::time::Duration;

use base::address::mapped;
use dataplane::Event;
use fixtures::{ACK, fragments};

use crate::common::{CLIENT, Lab, Port, Wire, inside, outside, to_inside};
use crate::table::{hop, ip, may_be_cut, tcp, udp};

const DARK: &str = "192.0.2.80:130";

fn ask(lab: &mut Lab, port: u16) -> crate::common::Seen {
    lab.receive(&outside(&udp(&format!("198.51.100.7:{port}"), DARK, b"q")))
}

#[test]
fn a_packet_waits_is_asked_for_and_goes_when_its_neighbor_is_known() {
    let mut lab = Lab::new();
    let seen = ask(&mut lab, 1);
    assert_eq!((seen.verdict.as_str(), seen.sent.len()), ("held", 0));
    let (port, address) = (Port::Inside.id(), mapped(ip("10.0.0.66")));
    assert_eq!(seen.events, [Event::NeighborMissing { port, address }]);
    ask(&mut lab, 2);
    lab.wait(Duration::from_secs(1));
    lab.learn_neighbor(Port::Inside, "10.0.0.66");
    // The next burst of any kind sends them first.
    let seen = lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q")));
    let expected = [
        to_inside(&hop(udp("198.51.100.7:1", "10.0.0.66:130", b"q"))),
        to_inside(&hop(udp("198.51.100.7:2", "10.0.0.66:130", b"q"))),
        to_inside(&hop(udp(CLIENT, "10.0.0.12:5353", b"q"))),
    ];
    let sent: Vec<_> = seen.sent.into_iter().map(|sent| sent.bytes).collect();
    assert_eq!(sent, expected.map(|wire| wire.bytes));
    assert_eq!(lab.resolved, ["forward dark/ghost"; 2]);
}

#[test]
fn a_packet_whose_neighbor_stays_silent_is_dropped_after_three_seconds() {
    let mut lab = Lab::new();
    ask(&mut lab, 1);
    lab.wait(Duration::from_millis(2_900));
    assert_eq!(lab.waiting(), 1);
    assert!(lab.wait(Duration::from_millis(100)).sent.is_empty());
    assert_eq!(lab.resolved, ["drop no_neighbor"]);
    assert_eq!(lab.count("no_neighbor"), 1);
}

#[test]
fn of_many_packets_for_one_neighbor_the_newest_wait() {
    const MOST: u16 = model::limits::NEIGHBOUR_WAIT_FRAMES_EACH as u16;
    let mut lab = Lab::new();
    for port in 1..=MOST + 6 {
        assert_eq!(ask(&mut lab, port).verdict, "held");
    }
    assert_eq!(lab.resolved, ["drop hold_full"; 6]);
    lab.learn_neighbor(Port::Inside, "10.0.0.66");
    let sent = lab.wait(Duration::ZERO).sent;
    let ports: Vec<_> =
        sent.iter().map(|s| u16::from_be_bytes([s.bytes[34], s.bytes[35]])).collect();
    assert_eq!(ports, (7..=MOST + 6).collect::<Vec<_>>());
}

#[test]
fn many_silent_neighbors_fill_no_more_than_their_room() {
    let mut lab = Lab::new();
    for host in 0..300u16 {
        let to = format!("10.0.0.{}:7", 90 + host % 160);
        lab.receive(&outside(&udp(&format!("198.51.100.7:{}", 1 + host), &to, b"x")));
    }
    assert_eq!(lab.waiting(), 256);
    assert_eq!(lab.count("hold_full"), 44);
    lab.wait(Duration::from_secs(4));
    assert_eq!((lab.waiting(), lab.count("no_neighbor")), (0, 256));
}

#[test]
fn a_frame_too_large_to_wait_is_dropped() {
    let mut lab = Lab::new();
    lab.forget_neighbor(Port::Inside, "10.0.0.11");
    lab.set_mtu(Port::Inside, 9_000);
    let seen = lab.receive(&outside(&tcp(CLIENT, "192.0.2.80:80", ACK, &[0; 4_000])));
    assert_eq!(seen.verdict, "drop hold_full");
}

#[test]
fn a_waiting_packet_goes_nowhere_when_its_port_goes_down() {
    let mut lab = Lab::new();
    ask(&mut lab, 1);
    lab.learn_neighbor(Port::Inside, "10.0.0.66");
    lab.set_port(Port::Inside, false);
    assert!(lab.wait(Duration::from_secs(4)).sent.is_empty());
    assert_eq!(lab.resolved, ["drop port_down"]);
}

#[test]
fn replies_wait_for_the_router_too() {
    let mut lab = Lab::new();
    lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q")));
    lab.forget_neighbor(Port::Outside, "192.0.2.1");
    let seen = lab.receive(&inside(&udp("10.0.0.12:5353", CLIENT, b"a")));
    assert_eq!(seen.verdict, "held");
    lab.wait(Duration::from_secs(4));
    assert_eq!(lab.resolved, ["drop no_neighbor"]);
}

#[test]
fn room_is_used_again() {
    let mut lab = Lab::new();
    for port in 0..2_000 {
        assert_eq!(ask(&mut lab, port).verdict, "held", "{port}");
        if port % 3 == 0 {
            lab.wait(Duration::from_secs(4));
        }
    }
    lab.wait(Duration::from_secs(4));
    assert_eq!(lab.count("no_neighbor") + lab.count("hold_full"), 2_000);
}

#[test]
fn what_has_waited_in_vain_is_decided_even_if_only_frames_come() {
    let mut lab = Lab::new();
    ask(&mut lab, 1);
    let large = may_be_cut(udp(CLIENT, "192.0.2.80:53", &[1; 2_000]));
    let later = fragments(&outside(&large).bytes, 1_000, 1).remove(1);
    assert_eq!(lab.receive(&Wire::raw(Port::Outside, later)).verdict, "held");
    lab.sleep(Duration::from_secs(4));
    lab.receive(&outside(&udp(CLIENT, "192.0.2.80:53", b"q")));
    assert_eq!(lab.resolved, ["drop no_neighbor", "drop fragment_timeout"]);
}
