//! Captures from the box: both directions, filters, an end, and nothing that forwarding notices.

use std::io::Write;
use std::time::Duration;

use crate::lab::{Lab, now, open_console, read_until, wake};
use crate::traffic;

/// A request through the box and back.
fn echo(lab: &Lab) {
    lab.client.run(|| assert!(traffic::udp_echo("192.0.2.80", b"captured?")));
}

#[test]
fn a_capture_shows_both_directions_of_both_ports() {
    let Some(mut lab) = Lab::new("capture") else { return };
    for (port, there, back) in [
        ("eth0", "in  192.0.2.101:", "out 192.0.2.80:7 > 192.0.2.101:"),
        ("eth1", "out 192.0.2.101:", "in  10.0.0.1"),
    ] {
        let mut console = open_console(&lab.path("console"));
        wake(&mut console);
        let line = format!("capture {port} host 192.0.2.101 port 7 seconds 60\r");
        console.write_all(line.as_bytes()).expect("it takes a line");
        read_until(&mut console, "\n");
        // The workers have to hear of it first.
        crate::lab::pause(Duration::from_millis(500));
        echo(&lab);
        let way = read_until(&mut console, there);
        assert!(!way.contains("arp") && !way.contains(":80 "), "{way}");
        let rest = read_until(&mut console, "\n");
        assert!(rest.contains(":7 udp 51"), "{rest}");
        let answer = read_until(&mut console, back) + &read_until(&mut console, "\n");
        assert!(answer.contains(" udp 51"), "{answer}");
        let pressed = now();
        console.write_all(b"\x03").expect("it takes a key");
        let told = read_until(&mut console, "n1> ");
        assert!(now() - pressed < Duration::from_secs(10), "not at once");
        assert!(told.contains(&format!("frames of {port} in ")), "{told}");
        assert!(told.contains("s, none lost"), "{told}");
    }
    lab.assert_sound();
}

#[test]
fn a_capture_ends_when_it_has_enough_and_says_what_it_cannot_do() {
    let Some(mut lab) = Lab::new("capture_ends") else { return };
    let told = lab.type_in("capture eth9\r");
    assert!(told.contains("there is no port eth9, expected eth0, eth1"), "{told}");
    // The checks of the servers pass this port all the time.
    let told = lab.type_in("capture eth1 packets 5 seconds 60\r");
    assert_eq!(told.matches(" > ").count(), 5, "{told}");
    assert!(told.contains("5 frames of eth1 in "), "{told}");
    assert!(told.contains("; more were not asked for"), "{told}");
    let told = lab.type_in("capture eth0 seconds 1 port 9\r");
    assert!(told.contains("0 frames of eth0 in 1."), "{told}");
    let told = lab.type_in("capture eth1 packets 3 | json\r");
    let frames = told.lines().filter(|line| line.contains("\"protocol\":\"tcp\"")).count();
    assert!((1..=3).contains(&frames), "{told}");
    lab.assert_sound();
}
