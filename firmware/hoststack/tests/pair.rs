//! Two stacks talk to each other in simulated time, with and without losses.

mod wire;

use base::Instant;
use base::rng::Rng;
use hoststack::{
    BindError, Capacity, ConnectError, ConnectionState, DatagramError, End, Event, Full,
    ListenError, ReceiveError, SendError,
};
use wire::{DELAY, Loss, OUTSIDE, V4, V6, Wire, address, attachment, ms, no_loss, tcp_flags};

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Loses so many packets of a hundred.
fn random_loss(seed: u64, percent: u64) -> Loss {
    let mut rng = Rng::new(seed);
    Box::new(move |_, _| rng.below(100) < percent)
}

/// Sends `length` octets each way at once and checks them at the other end.
fn exchange(wire: &mut Wire, host: &str, length: usize) {
    wire.hosts[1].listen(80).expect("a free port");
    let (client, server) = wire.open(address(host, 80));
    let handles = [client, server];
    let data: Vec<Vec<u8>> =
        (0..2).map(|side| (0..length).map(|i| (i * 7 + i / 251 + side) as u8).collect()).collect();
    let mut sent = [0; 2];
    let mut received = [Vec::new(), Vec::new()];
    let mut finished = [false; 2];
    wire.until(ms(600_000), |wire| {
        for side in 0..2 {
            let stack = &mut wire.hosts[side];
            if sent[side] < length {
                sent[side] += stack
                    .send(handles[side], &data[side][sent[side]..])
                    .expect("an open connection");
                if sent[side] == length {
                    stack.close(handles[side]);
                }
            }
            let mut out = [0; 4096];
            while !finished[side] {
                match stack.receive(handles[side], &mut out) {
                    Ok(0) => break,
                    Ok(n) => received[side].extend_from_slice(&out[..n]),
                    Err(error) => {
                        assert_eq!(error, ReceiveError::Finished);
                        finished[side] = true;
                    }
                }
            }
        }
        finished == [true; 2]
    });
    assert!(received[0] == data[1] && received[1] == data[0]);
    for (host, handle) in wire.hosts.iter_mut().zip(handles) {
        host.release(wire.now, handle);
    }
    wire.run(ms(16_000));
    assert_eq!([wire.hosts[0].sockets(), wire.hosts[1].sockets()], [0, 0]);
}

#[test]
fn data_passes_both_ways_over_ipv4_and_ipv6() {
    for host in [V4[1], V6[1]] {
        exchange(&mut Wire::new(no_loss()), host, 64 << 10);
    }
}

#[test]
fn data_passes_both_ways_although_packets_are_lost() {
    for seed in 0..6 {
        let host = if seed % 2 == 0 { V4[1] } else { V6[1] };
        exchange(&mut Wire::new(random_loss(seed, 10)), host, 64 << 10);
    }
}

#[test]
fn a_connection_opens_within_one_round_trip_and_both_sides_are_told() {
    for (own, host) in [(V4[0], V4[1]), (V6[0], V6[1])] {
        let mut wire = Wire::new(no_loss());
        wire.hosts[1].listen(80).unwrap();
        let client = wire.hosts[0].connect(wire.now, address(host, 80)).unwrap();
        assert_eq!(wire.state(0, client), Some(ConnectionState::Connecting));
        let took = wire.until(ms(1_000), |w| w.state(0, client) == Some(ConnectionState::Open));
        assert_eq!(took, DELAY * 2);
        assert_eq!(wire.hosts[0].poll_event(), Some(Event::Connection(client)));
        wire.run(DELAY);
        assert_eq!(wire.hosts[1].poll_event(), Some(Event::Incoming(80)));
        let server = wire.hosts[1].accept(80).unwrap();
        let (local, remote) = wire.hosts[0].ends(client).unwrap();
        assert_eq!(local.ip(), own.parse::<std::net::IpAddr>().unwrap());
        assert!((61_000..=65_535).contains(&local.port()));
        assert_eq!(wire.hosts[1].ends(server), Some((remote, local)));
    }
}

#[test]
fn a_port_that_nobody_listens_on_refuses() {
    for host in [V4[1], V6[1]] {
        let mut wire = Wire::new(no_loss());
        let client = wire.hosts[0].connect(wire.now, address(host, 81)).unwrap();
        let refused = Some(ConnectionState::Ended(End::Refused));
        let took = wire.until(ms(1_000), |wire| wire.state(0, client) == refused);
        assert_eq!(took, DELAY * 2);
        assert_eq!(wire.hosts[0].poll_event(), Some(Event::Connection(client)));
        assert_eq!(wire.hosts[0].sockets(), 0);
    }
}

#[test]
fn a_port_is_listened_on_where_it_is_confined_to_and_refuses_elsewhere() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(443).expect("a free port");
    wire.hosts[1].confine(443, &[]);
    let now = wire.now;
    let refused = wire.hosts[0].connect(now, address(V4[1], 443)).expect("a route");
    wire.run(ms(1_000));
    let end = Some(ConnectionState::Ended(End::Refused));
    assert_eq!(wire.hosts[0].state(refused), end);
    wire.hosts[1].confine(443, &[OUTSIDE]);
    wire.open(address(V4[1], 443));
}

#[test]
fn a_host_that_does_not_answer_times_out() {
    let mut wire = Wire::new(Box::new(|_, _| true));
    let client = wire.hosts[0].connect(wire.now, address(V4[1], 80)).unwrap();
    let over = Some(ConnectionState::Ended(End::TimedOut));
    let took = wire.until(ms(60_000), |wire| wire.state(0, client) == over);
    assert_eq!(took, ms(20_000));
    // After 0, 1, 3, 7 and 15 seconds (RFC 6298 §2, §5.5).
    assert_eq!(wire.log.iter().filter(|(_, p)| tcp_flags(p) == Some(SYN)).count(), 5);
    assert_eq!(wire.log.len(), 5);
    wire.run(ms(10_000));
    assert_eq!((wire.log.len(), wire.hosts[0].sockets()), (5, 0));
}

#[test]
fn an_open_connection_whose_other_end_vanishes_times_out() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let (client, _) = wire.open(address(V4[1], 80));
    wire.loss = Box::new(|_, _| true);
    let over = Some(ConnectionState::Ended(End::TimedOut));
    let took = wire.until(ms(60_000), |wire| wire.state(0, client) == over);
    assert!((34_000..=36_000).contains(&took.as_millis()), "{took:?}");
    assert_eq!(wire.hosts[0].send(client, b"x"), Err(SendError::Ended(End::TimedOut)));
}

#[test]
fn an_idle_connection_is_kept() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let (client, server) = wire.open(address(V4[1], 80));
    wire.run(ms(300_000));
    assert_eq!(wire.state(0, client), Some(ConnectionState::Open));
    assert_eq!(wire.state(1, server), Some(ConnectionState::Open));
}

#[test]
fn an_abort_resets_the_other_end() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let (client, server) = wire.open(address(V4[1], 80));
    let now = wire.now;
    wire.hosts[0].abort(now, client);
    assert_eq!(wire.state(0, client), None);
    wire.run(DELAY * 2);
    assert_eq!(wire.state(1, server), Some(ConnectionState::Ended(End::Reset)));
    let mut out = [0; 10];
    assert_eq!(wire.hosts[1].receive(server, &mut out), Err(ReceiveError::Ended(End::Reset)));
    assert_eq!([wire.hosts[0].sockets(), wire.hosts[1].sockets()], [0, 0]);
}

#[test]
fn an_abort_at_the_syn_ack_leaves_no_trace_at_the_server() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let client = wire.hosts[0].connect(wire.now, address(V4[1], 80)).unwrap();
    wire.flush();
    wire.run(DELAY);
    let (_, syn_ack) = wire.log.last().cloned().unwrap();
    assert_eq!(tcp_flags(&syn_ack), Some(SYN | ACK));
    wire.run(DELAY - std::time::Duration::from_nanos(1));
    let now = wire.now + std::time::Duration::from_nanos(1);
    wire.hosts[0].handle_packet(now, OUTSIDE, &syn_ack).unwrap();
    assert_eq!(wire.state(0, client), Some(ConnectionState::Open));
    wire.hosts[0].abort(now, client);
    wire.run(ms(100));
    let flags: Vec<_> = wire.log.iter().filter_map(|(_, packet)| tcp_flags(packet)).collect();
    assert_eq!(&flags[..3], &[SYN, SYN | ACK, RST | ACK]);
    assert_eq!(wire.hosts[1].accept(80), None);
    assert_eq!(wire.hosts[1].sockets(), 0);
}

#[test]
fn a_release_with_unread_data_resets_and_one_without_says_goodbye() {
    for (unread, end) in [(true, End::Reset), (false, End::Closed)] {
        let mut wire = Wire::new(no_loss());
        wire.hosts[1].listen(80).unwrap();
        let (client, server) = wire.open(address(V6[1], 80));
        wire.hosts[0].send(client, b"hello").unwrap();
        wire.run(DELAY * 3);
        let mut out = [0; 10];
        if !unread {
            assert_eq!(wire.hosts[1].receive(server, &mut out), Ok(5));
        }
        let now = wire.now;
        wire.hosts[1].release(now, server);
        wire.run(ms(100));
        if !unread {
            assert_eq!(wire.hosts[0].receive(client, &mut out), Err(ReceiveError::Finished));
            wire.hosts[0].close(client);
            wire.run(ms(100));
        }
        assert_eq!(wire.state(0, client), Some(ConnectionState::Ended(end)), "unread: {unread}");
    }
}

#[test]
fn data_that_came_before_the_goodbye_can_be_read_after_it() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let (client, server) = wire.open(address(V4[1], 80));
    wire.hosts[1].close(server);
    wire.run(ms(50));
    wire.hosts[0].send(client, b"last words").unwrap();
    wire.hosts[0].close(client);
    wire.run(ms(50));
    assert_eq!(wire.state(0, client), Some(ConnectionState::Ended(End::Closed)));
    let mut out = [0; 100];
    assert_eq!(wire.hosts[1].receive(server, &mut out), Ok(10));
    assert_eq!(wire.hosts[1].receive(server, &mut out), Err(ReceiveError::Finished));
}

#[test]
fn what_cannot_be_connected_to_is_refused_with_its_reason() {
    let mut wire = Wire::new(no_loss());
    let stack = &mut wire.hosts[0];
    for (host, port, reason) in [
        ("198.51.100.1", 80, ConnectError::NoRoute),
        ("2001:db8:1::1", 80, ConnectError::NoRoute),
        (V4[0], 80, ConnectError::OwnAddress),
        (V4[1], 0, ConnectError::Unaddressable),
        ("0.0.0.0", 80, ConnectError::Unaddressable),
        ("224.0.0.1", 80, ConnectError::Unaddressable),
        ("255.255.255.255", 80, ConnectError::Unaddressable),
        ("::", 80, ConnectError::Unaddressable),
        ("ff02::1", 80, ConnectError::Unaddressable),
        ("::ffff:192.0.2.2", 80, ConnectError::Unaddressable),
    ] {
        assert_eq!(stack.connect(Instant::ZERO, address(host, port)), Err(reason), "{host}");
    }
    for _ in 0..Capacity::FACES.connections {
        stack.connect(Instant::ZERO, address(V4[1], 80)).unwrap();
    }
    assert_eq!(stack.connect(Instant::ZERO, address(V4[1], 80)), Err(ConnectError::TooMany));
    assert_eq!(stack.sockets(), Capacity::FACES.connections);
}

#[test]
fn local_ports_are_taken_in_turn_within_their_range() {
    let mut wire = Wire::new(no_loss());
    let mut ports = Vec::new();
    for _ in 0..5_000 {
        let client = wire.hosts[0].connect(Instant::ZERO, address(V4[1], 80)).unwrap();
        ports.push(wire.hosts[0].ends(client).unwrap().0.port());
        wire.hosts[0].abort(Instant::ZERO, client);
    }
    assert!(ports.iter().all(|port| (61_000..=65_535).contains(port)));
    let mut first: Vec<_> = ports[..4_536].to_vec();
    first.sort_unstable();
    first.dedup();
    assert_eq!(first.len(), 4_536, "no port twice before all were used");
}

#[test]
fn listening_twice_or_on_port_zero_is_refused() {
    let mut wire = Wire::new(no_loss());
    let stack = &mut wire.hosts[0];
    assert_eq!(stack.listen(0), Err(ListenError::Zero));
    assert_eq!(stack.listen(80), Ok(()));
    assert_eq!(stack.listen(80), Err(ListenError::InUse));
    for port in 1..16 {
        assert_eq!(stack.listen(port), Ok(()));
    }
    assert_eq!(stack.listen(99), Err(ListenError::TooMany));
    stack.unlisten(Instant::ZERO, 80);
    assert_eq!(stack.listen(99), Ok(()));
}

#[test]
fn datagrams_pass_over_both_families() {
    for (own, host) in [(V4[0], V4[1]), (V6[0], V6[1])] {
        let mut wire = Wire::new(no_loss());
        wire.hosts[0].bind(5_000).unwrap();
        wire.hosts[1].bind(123).unwrap();
        wire.hosts[0].send_datagram(5_000, address(host, 123), b"what time is it?").unwrap();
        wire.run(DELAY);
        assert_eq!(wire.hosts[1].poll_event(), Some(Event::Datagram(123)));
        let mut out = [0; 100];
        let datagram = wire.hosts[1].receive_datagram(123, &mut out).unwrap();
        assert_eq!(&out[..datagram.length], b"what time is it?");
        assert_eq!(datagram.remote, address(own, 5_000));
        assert_eq!(datagram.local, host.parse::<std::net::IpAddr>().unwrap());
        assert_eq!(wire.hosts[1].receive_datagram(123, &mut out), None);
        wire.hosts[1].send_datagram(123, datagram.remote, b"late").unwrap();
        wire.run(DELAY);
        let answer = wire.hosts[0].receive_datagram(5_000, &mut out[..2]).unwrap();
        assert_eq!((answer.length, &out[..2]), (4, &b"la"[..]));
    }
}

#[test]
fn datagrams_that_cannot_be_sent_are_refused_with_their_reason() {
    let mut wire = Wire::new(no_loss());
    let stack = &mut wire.hosts[0];
    let remote = address(V4[1], 123);
    assert_eq!(stack.send_datagram(1, remote, b""), Err(DatagramError::NotBound));
    assert_eq!(stack.bind(0), Err(BindError::Zero));
    stack.bind(1).unwrap();
    assert_eq!(stack.bind(1), Err(BindError::InUse));
    for (remote, length, expected) in [
        (remote, 1_472, Ok(())),
        (remote, 1_473, Err(DatagramError::TooLong)),
        (address(V6[1], 123), 1_452, Ok(())),
        (address(V6[1], 123), 1_453, Err(DatagramError::TooLong)),
        (address("198.51.100.1", 1), 1, Err(DatagramError::NoRoute)),
        (address(V4[0], 1), 1, Err(DatagramError::Unaddressable)),
        (address(V4[1], 0), 1, Err(DatagramError::Unaddressable)),
    ] {
        assert_eq!(stack.send_datagram(1, remote, &vec![0; length]), expected, "{remote}");
    }
    let refused = (0..100).map(|_| stack.send_datagram(1, remote, b"x")).find(Result::is_err);
    assert_eq!(refused, Some(Err(DatagramError::Full)));
}

#[test]
fn a_datagram_to_a_closed_port_is_answered_with_port_unreachable_at_a_bounded_rate() {
    for (host, kind, code) in [(V4[1], 3, 3), (V6[1], 1, 4)] {
        let mut wire = Wire::new(no_loss());
        wire.hosts[0].bind(5_000).unwrap();
        for _ in 0..200 {
            wire.hosts[0].send_datagram(5_000, address(host, 9), b"x").unwrap();
            wire.flush();
        }
        wire.run(DELAY);
        let offset = if host == V4[1] { 20 } else { 40 };
        let answers: Vec<_> = wire.log.iter().filter(|(sender, _)| *sender == 1).collect();
        assert!(answers.iter().all(|(_, p)| p[offset..offset + 2] == [kind, code]));
        assert_eq!(answers.len(), 50);
        assert_eq!(wire.hosts[1].counters().errors_withheld, 150);
    }
}

#[test]
fn a_full_queue_takes_no_packet_until_it_is_emptied() {
    let mut wire = Wire::new(no_loss());
    let mut syn = [0; 1500];
    wire.hosts[0].connect(wire.now, address(V4[1], 80)).unwrap();
    let (_, length) = wire.hosts[0].poll_transmit(wire.now, &mut syn).unwrap();
    let stack = &mut wire.hosts[1];
    for _ in 0..Capacity::FACES.packets {
        assert_eq!(stack.handle_packet(wire.now, OUTSIDE, &syn[..length]), Ok(()));
    }
    assert_eq!(stack.handle_packet(wire.now, OUTSIDE, &syn[..length]), Err(Full));
    assert_eq!(stack.counters().refused, 1);
    let mut out = [0; 1500];
    assert!(stack.poll_transmit(wire.now, &mut out).is_some());
    assert_eq!(stack.handle_packet(wire.now, OUTSIDE, &syn[..length]), Ok(()));
}

#[test]
fn connections_survive_a_new_configuration_that_keeps_their_address() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let (four, _) = wire.open(address(V4[1], 80));
    let (six, server) = wire.open(address(V6[1], 80));
    let mut changed = attachment(0);
    changed.addresses.remove(0);
    changed.addresses.push("192.0.2.77/24".parse().unwrap());
    let now = wire.now;
    wire.hosts[0].reconfigure(now, vec![changed]);
    assert_eq!(wire.state(0, four), Some(ConnectionState::Ended(End::AddressGone)));
    assert_eq!(wire.state(0, six), Some(ConnectionState::Open));
    wire.hosts[0].send(six, b"still here").unwrap();
    wire.run(ms(100));
    let mut out = [0; 100];
    assert_eq!(wire.hosts[1].receive(server, &mut out), Ok(10));
    let now = wire.now;
    wire.hosts[0].reconfigure(now, vec![]);
    assert_eq!(wire.state(0, six), Some(ConnectionState::Ended(End::AddressGone)));
    assert_eq!(wire.hosts[0].sockets(), 0);
    assert_eq!(wire.hosts[0].connect(now, address(V4[1], 80)), Err(ConnectError::NoRoute));
}
