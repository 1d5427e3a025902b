//! Cables that are pulled, cards that vanish.

use std::time::Duration;

use crate::lab::{Lab, pause};
use crate::traffic::{self, Echo, pings};

#[test]
fn a_pulled_cable_is_noted_the_other_port_works_on_and_traffic_resumes_by_itself() {
    let Some(mut lab) = Lab::new("a_pulled_cable") else { return };
    let mut echo = lab.client.run(|| Echo::open(traffic::VIPS[0]));
    lab.client.ip("link set eth0 down");
    lab.wait_for_log("port eth0 link down");
    assert_eq!(pings(&lab.server, "10.0.0.1", 5), 5);
    // What a server sends to the lost side is dropped under its own name.
    lab.server.run(|| {
        let socket = std::net::UdpSocket::bind("10.0.0.11:0").expect("a port");
        socket.send_to(b"anybody?", "192.0.2.101:9").expect("the gateway is there");
    });
    let ports = lab.show("ports");
    assert_eq!(ports[0]["link"], "down", "{ports}");
    assert_eq!(ports[1]["link"], "up", "{ports}");
    lab.wait_until("a counted drop", || lab.counter("drop.port_down") > 0);
    lab.client.ip("link set eth0 up");
    lab.wait_until("the end of the fault in the log", || {
        lab.log().matches("port eth0 link up").count() == 2
    });
    lab.wait_until("traffic of both families", || lab.echoes());
    lab.client.run(|| echo.round());
    lab.assert_sound();
}

#[test]
fn a_card_that_vanishes_and_comes_back_is_taken_up_again_while_the_other_never_stalls() {
    let Some(mut lab) = Lab::new("a_card_that_vanishes") else { return };
    let meanwhile = std::thread::scope(|scope| {
        let meanwhile = scope.spawn(|| pings(&lab.server, "10.0.0.1", 60));
        pause(Duration::from_millis(500));
        lab.node.ip("link del eth0");
        lab.wait_for_log("port eth0 lost: the interface is gone");
        let ports = lab.show("ports");
        assert_eq!(ports[0]["link"], "absent", "{ports}");
        pause(Duration::from_secs(1));
        lab.plug_client();
        lab.wait_until("that the port is opened again", || {
            lab.log().matches("port eth0 opened").count() == 2
        });
        lab.wait_until("traffic of both families", || lab.echoes());
        meanwhile.join().expect("ping runs")
    });
    assert!(meanwhile >= 57, "{meanwhile} of 60");
    // Once more, with everything at once: a race must not leave the port dead.
    for _ in 0..3 {
        lab.node.ip("link del eth0");
        lab.plug_client();
        lab.wait_until("traffic of both families", || lab.echoes());
    }
    lab.assert_sound();
}

#[test]
fn a_port_that_is_missing_at_the_start_is_opened_when_it_appears() {
    let node = "name = \"n1\"\n";
    let Some(mut lab) = Lab::wired("a_missing_port", crate::lab::CLUSTER, node) else { return };
    lab.node.ip("link del eth1");
    lab.start();
    lab.wait_for_log("port eth1 lost: there is no such interface");
    assert_eq!(pings(&lab.client, "192.0.2.11", 3), 3);
    assert!(!lab.log().contains("boot: serving"), "nobody can be served yet");
    lab.plug_server();
    lab.wait_for_log("boot: serving");
    lab.assert_sound();
}
