//! Links that go down, come up and vanish under open ports; keeping the kernel's stack away.

use std::net::UdpSocket;
use std::time::Duration;

use crate::common::{
    cable, collect, drain, eventually, is_root, is_test, number_of, pair, plain, send, test_frame,
};
use base::{Mac, Offload};
use netio::{
    Link, LinkError, LinkEvent, LinkMonitor, LinkState, Memberships, PortOptions, Sent, quiet,
};

/// The next event, waited for.
fn next(monitor: &mut LinkMonitor) -> Option<LinkEvent> {
    let mut event = None;
    eventually(|| {
        netio::wait(&[monitor.fd()], Some(Duration::from_millis(20)));
        event = monitor.poll();
        event.is_some()
    });
    event
}

#[test]
fn a_link_is_read_and_a_missing_one_named() {
    if !is_root("a_link_is_read_and_a_missing_one_named") {
        return;
    }
    let (near, _far) = pair();
    near.ip("link set near address 02:00:00:00:00:11 mtu 1400");
    let link = near.run(|| Link::read("near").unwrap());
    assert_eq!(link.mac, Mac([2, 0, 0, 0, 0, 0x11]));
    assert_eq!((link.mtu, link.up, link.carrier), (1400, true, true));
    let long = "a-name-that-no-interface-can-have";
    for name in ["nothing0", long, ""] {
        let error = near.run(|| Link::read(name).unwrap_err());
        assert!(matches!(error, LinkError::Missing { .. }), "{name}: {error}");
        let error = near.run(|| netio::open(&PortOptions::new(name)).unwrap_err());
        assert!(matches!(error, netio::OpenError::NoInterface { .. }), "{name}: {error}");
        assert!(near.run(|| quiet(name)).is_err());
    }
    let error = near.run(|| Link::read("lo").unwrap_err());
    assert!(matches!(error, LinkError::NotEthernet { .. }), "{error}");
}

#[test]
fn a_link_goes_down_and_comes_up_under_an_open_port() {
    if !is_root("a_link_goes_down_and_comes_up_under_an_open_port") {
        return;
    }
    let (near, far) = pair();
    let (mut receiver, mut back) = plain(&near, "near");
    let (_own, mut transmitter) = plain(&far, "far");
    assert_eq!(send(&mut transmitter, &test_frame(1, 60)).sent, 1);
    assert_eq!(collect(&mut receiver, is_test, 1).len(), 1);

    near.ip("link set near down");
    let frames = [test_frame(2, 60), test_frame(3, 60), test_frame(4, 60)];
    let burst: Vec<(&[u8], Offload)> = frames.iter().map(|f| (&f[..], Offload::NONE)).collect();
    assert_eq!(back.send(&burst), Sent { link_down: 3, ..Sent::default() });
    let readiness = netio::wait(&[receiver.fd()], Some(Duration::from_secs(5)));
    assert_eq!(readiness.failed, 1, "the socket tells that its link went down");
    let readiness = netio::wait(&[receiver.fd()], Some(Duration::from_millis(50)));
    assert_eq!((readiness.failed, readiness.readable), (0, 0), "and tells it once");
    assert!(receiver.batch(64).is_empty());

    near.ip("link set near up");
    assert!(eventually(|| near.run(|| Link::read("near").unwrap().carrier)));
    assert_eq!(send(&mut transmitter, &test_frame(5, 60)).sent, 1);
    let seen = collect(&mut receiver, is_test, 1);
    assert_eq!(seen.first().and_then(|(frame, _)| number_of(frame)), Some(5));
    assert_eq!(back.send(&burst).sent, 3);
}

#[test]
fn a_port_that_is_opened_while_the_link_is_down_works_when_it_comes_up() {
    if !is_root("a_port_that_is_opened_while_the_link_is_down_works_when_it_comes_up") {
        return;
    }
    let (near, far) = pair();
    near.ip("link set near down");
    let (mut receiver, mut back) = plain(&near, "near");
    let (_own, mut transmitter) = plain(&far, "far");
    assert_eq!(send(&mut back, &test_frame(1, 60)).link_down, 1);
    near.ip("link set near up");
    assert!(eventually(|| near.run(|| Link::read("near").unwrap().carrier)));
    assert_eq!(send(&mut transmitter, &test_frame(2, 60)).sent, 1);
    assert_eq!(collect(&mut receiver, is_test, 1).len(), 1);
}

#[test]
fn a_link_without_carrier_takes_no_frames_and_does_not_hold_the_sender_up() {
    if !is_root("a_link_without_carrier_takes_no_frames_and_does_not_hold_the_sender_up") {
        return;
    }
    let (near, far) = pair();
    let (_own, mut transmitter) = plain(&near, "near");
    far.ip("link set far down");
    assert!(eventually(|| near.run(|| !Link::read("near").unwrap().carrier)));
    let frame = test_frame(1, 60);
    let burst = [(&frame[..], Offload::NONE); 150];
    assert_eq!(transmitter.send(&burst), Sent { queue_full: 150, ..Sent::default() });
    far.ip("link set far up");
    assert!(eventually(|| near.run(|| Link::read("near").unwrap().carrier)));
    assert_eq!(transmitter.send(&burst).sent, 150);
}

#[test]
fn an_interface_vanishes_under_an_open_port() {
    if !is_root("an_interface_vanishes_under_an_open_port") {
        return;
    }
    let (near, far) = pair();
    let (mut receiver, mut back) = plain(&near, "near");
    let (_own, mut transmitter) = plain(&far, "far");
    let mut monitor = near.run(|| LinkMonitor::open(&["near"]).unwrap());
    let mut groups = near.run(|| Memberships::open("near").unwrap());
    groups.set(&[Mac([0x33, 0x33, 0, 0, 0, 1])]).unwrap();
    assert!(matches!(next(&mut monitor).unwrap().state, LinkState::Up(_)));
    assert_eq!(send(&mut transmitter, &test_frame(1, 60)).sent, 1);

    near.ip("link del near");
    let frame = test_frame(2, 60);
    let burst = [(&frame[..], Offload::NONE); 3];
    assert_eq!(back.send(&burst), Sent { vanished: 3, ..Sent::default() });
    let mut last = None;
    while last != Some(LinkState::Vanished) {
        last = Some(next(&mut monitor).expect("the monitor tells that it is gone").state);
    }
    let before = receiver.statistics();
    netio::wait(&[receiver.fd()], Some(Duration::from_millis(50)));
    let readiness = netio::wait(&[receiver.fd()], Some(Duration::from_millis(50)));
    assert_eq!(readiness.failed, 0, "no spinning on a dead socket");
    drain(&mut receiver, is_test);
    assert!(receiver.statistics().received >= before.received);
    groups.set(&[]).unwrap_or_else(|error| assert!(error.to_string().contains("33:33")));

    // Another of the same name is another interface: the monitor tells, and a new port works.
    cable((&near, "near"), (&far, "far"));
    while !matches!(last, Some(LinkState::Up(_))) {
        last = Some(next(&mut monitor).expect("the monitor tells that it is back").state);
    }
    assert_eq!(back.send(&burst).vanished, 3, "the old port stays dead");
    let (mut receiver, _) = plain(&near, "near");
    let (_own, mut transmitter) = plain(&far, "far");
    assert_eq!(send(&mut transmitter, &test_frame(3, 60)).sent, 1);
    assert!(!collect(&mut receiver, is_test, 1).is_empty());
}

#[test]
fn the_monitor_tells_how_links_are_and_every_change_once() {
    if !is_root("the_monitor_tells_how_links_are_and_every_change_once") {
        return;
    }
    let (near, far) = pair();
    let mut monitor = near.run(|| LinkMonitor::open(&["near", "later"]).unwrap());
    let told = [next(&mut monitor).unwrap(), next(&mut monitor).unwrap()];
    assert!(matches!(told[0].state, LinkState::Up(link) if link.mtu == 1500), "{told:?}");
    assert_eq!((told[1].name.as_str(), told[1].state), ("later", LinkState::Vanished));

    let state = |monitor: &mut LinkMonitor| {
        let event = next(monitor).expect("a change is told");
        assert_eq!(event.name, "near");
        event.state
    };
    far.ip("link set far down");
    assert_eq!(state(&mut monitor), LinkState::Down, "the carrier is lost");
    far.ip("link set far up");
    assert!(matches!(state(&mut monitor), LinkState::Up(_)));
    near.ip("link set near mtu 1400");
    assert!(matches!(state(&mut monitor), LinkState::Up(link) if link.mtu == 1400));
    near.ip("link set near down");
    assert_eq!(state(&mut monitor), LinkState::Down);
    near.ip("link set near name renamed");
    near.ip("link add later type veth peer name end");
    // It was down already, so its new name is no change to tell.
    assert_eq!(next(&mut monitor).unwrap().name, "later");
}

#[test]
fn news_that_overflow_the_monitor_are_asked_for() {
    if !is_root("news_that_overflow_the_monitor_are_asked_for") {
        return;
    }
    let (near, _far) = pair();
    let mut monitor = near.run(|| LinkMonitor::open(&["near"]).unwrap());
    assert!(next(&mut monitor).is_some());
    // Far more messages than its socket holds, then the change that matters.
    let mut batch = String::new();
    for round in 0..3000 {
        batch += &format!("link set lo mtu {}\n", 60_000 + round % 2);
    }
    let path = std::env::temp_dir().join(format!("netio-batch-{}", std::process::id()));
    std::fs::write(&path, batch).unwrap();
    near.ip(&format!("-batch {}", path.display()));
    std::fs::remove_file(&path).unwrap();
    near.ip("link set near down");
    assert_eq!(next(&mut monitor).map(|event| event.state), Some(LinkState::Down));
}

#[test]
fn groups_are_joined_and_left_and_end_with_their_owner() {
    if !is_root("groups_are_joined_and_left_and_end_with_their_owner") {
        return;
    }
    let (near, _far) = pair();
    near.run(|| quiet("near").unwrap());
    let all_nodes = Mac::of_multicast("ff02::1".parse().unwrap());
    let solicited = Mac::of_multicast("ff02::1:ff00:80".parse().unwrap());
    let shown = |mac: Mac| near.output("ip", "maddr show dev near").contains(&mac.to_string());
    let mut groups = near.run(|| Memberships::open("near").unwrap());
    assert!(!shown(all_nodes) && !shown(solicited), "IPv6 is off and has joined none");
    groups.set(&[all_nodes, solicited]).unwrap();
    groups.set(&[all_nodes, solicited]).unwrap();
    assert!(shown(all_nodes) && shown(solicited));
    groups.set(&[all_nodes]).unwrap();
    assert!(shown(all_nodes) && !shown(solicited));
    let promiscuous = || near.output("ip", "-details link show dev near").contains("promiscuity 1");
    groups.set_promiscuous(true).unwrap();
    assert!(promiscuous());
    groups.set_promiscuous(false).unwrap();
    assert!(!promiscuous());
    drop(groups);
    assert!(!shown(all_nodes));
}

#[test]
fn the_kernels_stack_is_silent_while_the_port_sees_everything() {
    if !is_root("the_kernels_stack_is_silent_while_the_port_sees_everything") {
        return;
    }
    let (near, far) = pair();
    near.ip("addr add 10.9.1.1/24 dev near");
    near.ip("addr add 10.9.1.3/24 dev near");
    near.ip("addr add 2001:db8:9::1/64 dev near nodad");
    far.ip("addr add 10.9.1.2/24 dev far");
    let answers = || far.output("ping", "-c 1 -W 5 10.9.1.1").contains(" 0% packet loss");
    assert!(answers(), "before, the kernel answers");

    near.ip("link set near down");
    for _ in 0..2 {
        near.run(|| quiet("near").unwrap());
        let addresses = near.output("ip", "addr show dev near");
        assert!(!addresses.contains("inet"), "{addresses}");
        assert!(addresses.contains("NOARP") && addresses.contains("UP"), "{addresses}");
    }
    assert!(eventually(|| near.run(|| Link::read("near").unwrap().carrier)));
    let filters = near.output("tc", "filter show dev near ingress");
    assert_eq!(filters.matches("direct-action").count(), 1, "{filters}");

    // Even with an address and ARP it does not answer, because nothing reaches it.
    near.ip("addr add 10.9.1.1/24 dev near");
    near.ip("link set near arp on");
    let mac = near.run(|| Link::read("near").unwrap().mac);
    far.ip(&format!("neigh replace 10.9.1.1 lladdr {mac} dev far"));
    let (mut receiver, _) = plain(&near, "near");
    let socket = far.run(|| UdpSocket::bind("10.9.1.2:0").unwrap());
    socket.connect("10.9.1.1:9").unwrap();
    socket.send(b"is anybody there").unwrap();
    let is_ours = |frame: &[u8]| frame.windows(16).any(|octets| octets == b"is anybody there");
    assert_eq!(collect(&mut receiver, is_ours, 1).len(), 1, "the port sees the datagram");
    // An open kernel would refuse port 9 with an ICMP error by now.
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let silence = socket.recv(&mut [0; 8]).unwrap_err().kind();
    assert_eq!(silence, std::io::ErrorKind::WouldBlock, "no answer at all");
}
