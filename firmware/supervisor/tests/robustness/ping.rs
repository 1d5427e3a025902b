//! Pings from the box: who is there, who is not, and who cannot be asked.

use std::io::Write;
use std::time::Duration;

use crate::lab::{Lab, now, open_console, read_until, wake};

#[test]
fn the_box_asks_hosts_on_its_networks_and_behind_its_gateway() {
    let Some(mut lab) = Lab::new("ping") else { return };
    lab.client.ip("address add 198.51.100.7/32 dev lo");
    lab.client.ip("address add 2001:db8:7::7/128 dev lo");
    for (target, source) in [
        ("192.0.2.101", "192.0.2.11"),
        ("2001:db8:1::101", "2001:db8:1::11"),
        ("10.0.0.12", "10.0.0.201"),
        ("fd00::12", "fd00::201"),
        ("198.51.100.7", "192.0.2.11"),
        ("2001:db8:7::7", "2001:db8:1::11"),
    ] {
        let told = lab.type_in(&format!("ping {target} count 2\r"));
        for sequence in [1, 2] {
            let answer = format!(" {sequence}  {target} answered {source} in ");
            assert!(told.contains(&answer), "{told}");
        }
        assert!(told.contains("2 sent, 2 received, 0 % lost; shortest "), "{told}");
    }
    let told = lab.type_in("ping 192.0.2.101 count 1 | json\r");
    let echo = told.lines().find(|line| line.contains("sequence")).expect("an answer");
    let echo: serde_json::Value = serde_json::from_str(echo).expect("JSON");
    assert_eq!((&echo["outcome"], &echo["from"]), (&"answered".into(), &"192.0.2.101".into()));
    assert!(echo["microseconds"].as_u64().is_some_and(|time| (1..2_000_000).contains(&time)));
    lab.assert_sound();
}

#[test]
fn who_does_not_answer_or_cannot_be_asked_is_told_in_a_sentence() {
    let Some(mut lab) = Lab::new("ping_nobody") else { return };
    lab.client.ip("route add unreachable 203.0.113.0/24");
    lab.client.run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")).expect("a router");
    for (target, sentence) in [
        ("192.0.2.200 count 1", "no answer to 192.0.2.11 from 192.0.2.200 within 2 s"),
        ("192.0.2.200 count 1", "1 sent, 0 received, 100 % lost"),
        ("203.0.113.9 count 1", " says that 203.0.113.9 cannot be reached"),
        ("192.0.2.11", "192.0.2.11 is not asked: this is an address of this box itself"),
        ("192.0.2.80", "192.0.2.80 is not asked: it is the box's own virtual one, www"),
        ("224.0.0.5", "224.0.0.5 is not asked: this is no address that a host can have"),
        ("fe80::1", "fe80::1 is not asked: every network has its own fe80::1"),
    ] {
        let told = lab.type_in(&format!("ping {target}\r"));
        assert!(told.contains(sentence), "{sentence:?} is not in {told:?}");
    }
    lab.assert_sound();
}

#[test]
fn a_ping_ends_with_ctrl_c_and_nothing_waits_for_it() {
    let Some(mut lab) = Lab::new("ping_ends") else { return };
    let mut console = open_console(&lab.path("console"));
    wake(&mut console);
    console.write_all(b"ping 192.0.2.101 count 20\r").expect("it takes a line");
    read_until(&mut console, " 2  192.0.2.101 answered");
    assert!(lab.echoes(), "forwarding goes on");
    let pressed = now();
    console.write_all(b"\x03").expect("it takes a key");
    let told = read_until(&mut console, "n1> ");
    assert!(now() - pressed < Duration::from_secs(10), "not at once");
    assert!(told.contains(" sent, ") && !told.contains("20 sent"), "{told}");
    // The question and the key that ends it may come at once.
    console.write_all(b"ping 192.0.2.200 count 20\r\x03").expect("it takes a line");
    let told = read_until(&mut console, "lost");
    assert!(told.contains("1 sent, 0 received"), "{told}");
    drop(console);
    let version = lab.show("version");
    assert_eq!(version["node"], "n1", "{version}");
    lab.assert_sound();
}
