//! What strangers send: floods, lies and rubbish.

mod wire;

use base::Instant;
use base::rng::Rng;
use hoststack::{Capacity, ConnectionState, End, HostStack};
use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, Icmpv6DstUnreachable, Icmpv6Packet, Icmpv6Repr,
    IpAddress, IpProtocol, IpRepr, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, TcpControl,
    TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wire::{DELAY, OUTSIDE, V4, V6, Wire, address, ms, no_loss, stack, tcp_flags};

/// A TCP segment as an IP packet with right checksums.
fn segment(
    source: SocketAddr,
    destination: SocketAddr,
    control: TcpControl,
    sequence: i32,
    acknowledgement: Option<i32>,
) -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: source.port(),
        dst_port: destination.port(),
        control,
        seq_number: TcpSeqNumber(sequence),
        ack_number: acknowledgement.map(TcpSeqNumber),
        window_len: 1_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let (from, to) = (IpAddress::from(source.ip()), IpAddress::from(destination.ip()));
    let ip = IpRepr::new(from, to, IpProtocol::Tcp, tcp.buffer_len(), 64);
    let mut packet = vec![0; ip.buffer_len()];
    let sums = ChecksumCapabilities::default();
    ip.emit(&mut packet[..], &sums);
    let mut view = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
    tcp.emit(&mut view, &from, &to, &sums);
    packet
}

fn syn(source: SocketAddr, destination: SocketAddr, sequence: i32) -> Vec<u8> {
    segment(source, destination, TcpControl::Syn, sequence, None)
}

/// An ICMP destination unreachable about a packet.
fn unreachable(from: IpAddr, about: &[u8], code: u8) -> Vec<u8> {
    let sums = ChecksumCapabilities::default();
    match from {
        IpAddr::V4(from) => {
            let quoted = Ipv4Packet::new_checked(about).expect("our own packet");
            let header = Ipv4Repr::parse(&quoted, &sums).expect("our own packet");
            let icmp = Icmpv4Repr::DstUnreachable {
                reason: Icmpv4DstUnreachable::from(code),
                header,
                data: &quoted.payload()[..8],
            };
            let ip = Ipv4Repr {
                src_addr: from,
                dst_addr: quoted.src_addr(),
                next_header: IpProtocol::Icmp,
                payload_len: icmp.buffer_len(),
                hop_limit: 64,
            };
            let mut packet = vec![0; ip.buffer_len() + icmp.buffer_len()];
            ip.emit(&mut Ipv4Packet::new_unchecked(&mut packet[..]), &sums);
            icmp.emit(&mut Icmpv4Packet::new_unchecked(&mut packet[ip.buffer_len()..]), &sums);
            packet
        }
        IpAddr::V6(from) => {
            let quoted = Ipv6Packet::new_checked(about).expect("our own packet");
            let icmp = Icmpv6Repr::DstUnreachable {
                reason: Icmpv6DstUnreachable::from(code),
                header: Ipv6Repr::parse(&quoted).expect("our own packet"),
                data: quoted.payload(),
            };
            let ip = Ipv6Repr {
                src_addr: from,
                dst_addr: quoted.src_addr(),
                next_header: IpProtocol::Icmpv6,
                payload_len: icmp.buffer_len(),
                hop_limit: 64,
            };
            let mut packet = vec![0; ip.buffer_len() + icmp.buffer_len()];
            ip.emit(&mut Ipv6Packet::new_unchecked(&mut packet[..]));
            let mut view = Icmpv6Packet::new_unchecked(&mut packet[ip.buffer_len()..]);
            icmp.emit(&ip.src_addr, &ip.dst_addr, &mut view, &sums);
            packet
        }
    }
}

fn drain(stack: &mut HostStack, now: Instant) -> Vec<Vec<u8>> {
    let mut out = [0; 9216];
    core::iter::from_fn(|| stack.poll_transmit(now, &mut out).map(|(_, n)| n))
        .map(|length| vec![0; length])
        .collect()
}

#[test]
fn a_flood_of_requests_stays_bounded_and_honest_clients_still_get_in() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let mut rng = Rng::new(1);
    let mut opened = 0;
    for round in 0..200 {
        // 30 requests from addresses that never confirm, in the time that a client needs.
        for _ in 0..30 {
            let spoofed = Ipv4Addr::from_bits(0x0a00_0000 | rng.below(1 << 24) as u32);
            let source = SocketAddr::new(IpAddr::V4(spoofed), 1 + rng.below(65_535) as u16);
            let packet = syn(source, address(V4[1], 80), rng.next() as i32);
            let now = wire.now;
            wire.hosts[1].handle_packet(now, OUTSIDE, &packet).unwrap();
            drain(&mut wire.hosts[1], now);
        }
        let now = wire.now;
        let client = wire.hosts[0].connect(now, address(V4[1], 80)).unwrap();
        wire.run(DELAY * 3);
        if let Some(server) = wire.hosts[1].accept(80) {
            assert_eq!(wire.state(0, client), Some(ConnectionState::Open), "round {round}");
            opened += 1;
            let now = wire.now;
            wire.hosts[1].abort(now, server);
        }
        let now = wire.now;
        wire.hosts[0].abort(now, client);
        wire.flush();
        assert!(wire.hosts[1].sockets() <= Capacity::FACES.backlog + Capacity::FACES.lingering);
    }
    assert_eq!(opened, 200);
    assert!(wire.hosts[1].counters().half_open_dropped > 5_000);
    wire.run(ms(10_001));
    assert_eq!(wire.hosts[1].sockets(), 0, "half-open ones are forgotten");
}

#[test]
fn a_backlog_of_open_connections_refuses_more_and_drops_none() {
    let capacity = Capacity { backlog: 3, ..Capacity::FACES };
    let mut wire = Wire::with([Capacity::FACES, capacity], no_loss());
    wire.hosts[1].listen(80).unwrap();
    let now = wire.now;
    let clients: Vec<_> =
        (0..5).map(|_| wire.hosts[0].connect(now, address(V4[1], 80)).unwrap()).collect();
    // All five ask before the first confirms: the newest three stay.
    wire.run(ms(900));
    let open = |wire: &Wire, n: usize| wire.state(0, clients[n]) == Some(ConnectionState::Open);
    assert_eq!((0..5).filter(|&n| wire.hosts[1].accept(80).is_some() && n < 9).count(), 3);
    assert_eq!((0..5).filter(|&n| open(&wire, n)).count(), 3);
    let more: Vec<_> = (0..4)
        .map(|_| {
            let now = wire.now;
            let client = wire.hosts[0].connect(now, address(V4[1], 80)).unwrap();
            wire.run(ms(50));
            wire.state(0, client).unwrap()
        })
        .collect();
    let refused = ConnectionState::Ended(End::Refused);
    assert_eq!(
        more,
        [ConnectionState::Open, ConnectionState::Open, ConnectionState::Open, refused]
    );
    assert_eq!(wire.hosts[1].counters().backlog_full, 1);
}

#[test]
fn a_repeated_request_meets_the_connection_that_it_made() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let client = wire.hosts[0].connect(wire.now, address(V4[1], 80)).unwrap();
    wire.flush();
    let request = wire.log[0].1.clone();
    for _ in 0..5 {
        wire.hosts[1].handle_packet(wire.now, OUTSIDE, &request).unwrap();
    }
    assert_eq!(wire.hosts[1].sockets(), 1);
    wire.run(ms(100));
    assert_eq!(wire.state(0, client), Some(ConnectionState::Open));
    assert!(wire.hosts[1].accept(80).is_some());
}

#[test]
fn released_connections_are_bounded() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    for _ in 0..100 {
        let (client, server) = wire.open(address(V4[1], 80));
        let now = wire.now;
        wire.hosts[1].release(now, server);
        wire.run(ms(10));
        let now = wire.now;
        wire.hosts[0].release(now, client);
        wire.run(ms(10));
    }
    // The server said goodbye first, so TIME-WAIT is its to keep.
    assert_eq!(wire.hosts[1].sockets(), Capacity::FACES.lingering);
    assert_eq!(wire.hosts[1].counters().lingering_dropped, 68);
    assert_eq!(wire.hosts[0].sockets(), 0);
    wire.run(ms(15_001));
    assert_eq!(wire.hosts[1].sockets(), 0);
}

#[test]
fn a_connection_in_time_wait_gives_way_to_a_new_request() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let (client, server) = wire.open(address(V4[1], 80));
    let (local, remote) = wire.hosts[0].ends(client).unwrap();
    let now = wire.now;
    wire.hosts[1].release(now, server);
    wire.run(ms(10));
    wire.hosts[0].close(client);
    wire.run(ms(10));
    assert_eq!(wire.hosts[1].sockets(), 1);
    let now = wire.now;
    wire.hosts[1].handle_packet(now, OUTSIDE, &syn(local, remote, 77)).unwrap();
    let mut out = [0; 1500];
    let (_, length) = wire.hosts[1].poll_transmit(now, &mut out).unwrap();
    assert_eq!(tcp_flags(&out[..length]), Some(0x12), "SYN and ACK");
}

#[test]
fn icmp_errors_end_what_is_being_opened_if_they_quote_its_syn() {
    let router = ["192.0.2.254", "2001:db8::fe"].map(|text| text.parse::<IpAddr>().unwrap());
    for (family, code, lie, expected) in [
        (0, 3, false, Some(End::Refused)),
        (0, 2, false, Some(End::Refused)),
        (0, 0, false, Some(End::Unreachable)),
        (0, 1, false, Some(End::Unreachable)),
        (0, 13, false, Some(End::Unreachable)),
        (0, 4, false, None),
        (0, 3, true, None),
        (1, 4, false, Some(End::Refused)),
        (1, 0, false, Some(End::Unreachable)),
        (1, 1, false, Some(End::Unreachable)),
        (1, 3, false, Some(End::Unreachable)),
        (1, 4, true, None),
    ] {
        let mut wire = Wire::new(Box::new(|_, _| true));
        let client = wire.hosts[0].connect(wire.now, address([V4, V6][family][1], 80)).unwrap();
        wire.flush();
        let mut about = wire.log[0].1.clone();
        if lie {
            let sequence = [20, 40][family] + 4;
            about[sequence] ^= 1;
        }
        let mut error = unreachable(router[family], &about, code);
        wire.hosts[0].handle_packet(wire.now, OUTSIDE, &error).unwrap();
        let state = expected.map_or(ConnectionState::Connecting, ConnectionState::Ended);
        assert_eq!(wire.state(0, client), Some(state), "{family} {code} {lie}");
        // The same with a wrong checksum does nothing.
        let mut wire = Wire::new(Box::new(|_, _| true));
        let client = wire.hosts[0].connect(wire.now, address([V4, V6][family][1], 80)).unwrap();
        wire.flush();
        *error.last_mut().unwrap() ^= 1;
        wire.hosts[0].handle_packet(wire.now, OUTSIDE, &error).unwrap();
        assert_eq!(wire.state(0, client), Some(ConnectionState::Connecting));
    }
}

#[test]
fn icmp_errors_do_not_touch_an_open_connection() {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).unwrap();
    let (client, _) = wire.open(address(V4[1], 80));
    let about = wire.log[0].1.clone();
    let error = unreachable(V4[1].parse().unwrap(), &about, 3);
    let now = wire.now;
    wire.hosts[0].handle_packet(now, OUTSIDE, &error).unwrap();
    assert_eq!(wire.state(0, client), Some(ConnectionState::Open));
}

#[test]
fn packets_for_others_are_ignored_even_where_the_last_octets_agree() {
    let mut stack = stack(1, Capacity::FACES);
    stack.listen(80).unwrap();
    let v4 = SocketAddr::new("192.0.2.1".parse().unwrap(), 1_000);
    let v6 = SocketAddr::new("2001:db8::1".parse().unwrap(), 1_000);
    for (source, destination) in [
        (v4, "192.0.2.3"),
        (v4, "192.0.2.255"),
        (v4, "255.255.255.255"),
        (v4, "224.0.0.1"),
        (v6, "2001:db8:ffff::2"),
        (v6, "ff02::1"),
        (v6, "ff02::1:ff00:2"),
        (v6, "::1"),
    ] {
        let packet = syn(source, address(destination, 80), 1);
        stack.handle_packet(Instant::ZERO, OUTSIDE, &packet).unwrap();
        assert!(drain(&mut stack, Instant::ZERO).is_empty(), "{destination}");
        assert_eq!(stack.sockets(), 0);
    }
    assert_eq!(stack.counters().ignored, 8);
    let elsewhere = base::NetworkId(9);
    stack.handle_packet(Instant::ZERO, elsewhere, &syn(v4, address(V4[1], 80), 1)).unwrap();
    assert_eq!((stack.counters().ignored, stack.sockets()), (9, 0));
}

#[test]
fn a_fragment_is_not_taken_for_a_whole_segment() {
    let mut stack = stack(1, Capacity::FACES);
    stack.listen(80).unwrap();
    let mut packet = syn(address(V4[0], 1_000), address(V4[1], 80), 1);
    packet[6] = 0x20;
    Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
    stack.handle_packet(Instant::ZERO, OUTSIDE, &packet).unwrap();
    assert_eq!((stack.sockets(), stack.counters().ignored), (0, 1));
}

#[test]
fn a_reset_of_a_half_open_connection_frees_its_place() {
    let mut stack = stack(1, Capacity::FACES);
    stack.listen(80).unwrap();
    let (client, server) = (address(V4[0], 1_000), address(V4[1], 80));
    stack.handle_packet(Instant::ZERO, OUTSIDE, &syn(client, server, 1)).unwrap();
    drain(&mut stack, Instant::ZERO);
    assert_eq!(stack.sockets(), 1);
    let reset = segment(client, server, TcpControl::Rst, 2, None);
    stack.handle_packet(Instant::ZERO, OUTSIDE, &reset).unwrap();
    assert_eq!(stack.sockets(), 0);
}

/// A remote end, and the numbers that the next segment from there should carry.
#[derive(Clone, Copy)]
struct Peer {
    end: SocketAddr,
    sequence: u32,
    acknowledgement: u32,
}

/// The remote end as the last segment to it shows it.
fn peer(wire: &Wire, end: SocketAddr) -> Peer {
    let number = |bytes: &[u8]| u32::from_be_bytes(*bytes.first_chunk().expect("our own packet"));
    let to = |packet: &&(usize, Vec<u8>)| {
        let tcp = if packet.1[0] >> 4 == 4 { 20 } else { 40 };
        packet.0 == 1 && packet.1[tcp + 2..tcp + 4] == end.port().to_be_bytes()
    };
    let Some((_, last)) = wire.log.iter().rfind(to) else {
        return Peer { end, sequence: 0, acknowledgement: 0 };
    };
    let tcp = if last[0] >> 4 == 4 { 20 } else { 40 };
    let one = u32::from(last[tcp + 13] & 3 != 0);
    let acknowledgement = number(&last[tcp + 4..]).wrapping_add(one);
    Peer { end, sequence: number(&last[tcp + 8..]), acknowledgement }
}

/// A stack with a listener, a UDP port, and connections in several states.
fn busy() -> (HostStack, Vec<Peer>) {
    let mut wire = Wire::new(no_loss());
    wire.hosts[1].listen(80).expect("our own packet");
    wire.hosts[1].bind(53).expect("our own packet");
    let mut ends = vec![address(V4[0], 9), address(V6[0], 9)];
    for host in [V4[1], V6[1]] {
        let (client, server) = wire.open(address(host, 80));
        ends.push(wire.hosts[0].ends(client).expect("our own packet").0);
        let (client, _) = wire.open(address(host, 80));
        ends.push(wire.hosts[0].ends(client).expect("our own packet").0);
        wire.hosts[1].close(server);
        wire.run(ms(10));
    }
    wire.run(ms(10));
    let peers = ends.into_iter().map(|end| peer(&wire, end)).collect();
    let [_, stack] = wire.hosts;
    (stack, peers)
}

#[derive(Clone, Debug)]
struct Forged {
    source: usize,
    port: u16,
    flags: u8,
    /// Relative to what would be right.
    sequence: u32,
    acknowledgement: u32,
    window: u16,
    options: Vec<u8>,
    payload: Vec<u8>,
    protocol: u8,
    /// Octets changed after the checksums were made right, and a cut.
    damage: Vec<(usize, u8)>,
    cut: Option<usize>,
}

fn near() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(0u32), 2 => 0u32..3_000, 1 => (1u32..3_000).prop_map(u32::wrapping_neg),
        1 => any::<u32>()]
}

fn forged() -> impl Strategy<Value = Forged> {
    let port = prop_oneof![6 => Just(80), 1 => Just(53), 1 => any::<u16>()];
    let protocol = prop_oneof![4 => Just(6u8), 2 => Just(17), 1 => Just(1), 1 => Just(58),
        1 => Just(0), 1 => Just(44), 1 => any::<u8>()];
    let octets = |most| prop::collection::vec(any::<u8>(), 0..most);
    (
        0usize..6,
        port,
        any::<u8>(),
        (near(), near()),
        any::<u16>(),
        octets(40),
        octets(600),
        protocol,
        prop::collection::vec((0usize..100, any::<u8>()), 0..3),
        prop::option::weighted(0.1, 0usize..200),
    )
        .prop_map(
            |(source, port, flags, numbers, window, options, payload, protocol, damage, cut)| {
                let (sequence, acknowledgement) = numbers;
                Forged {
                    source,
                    port,
                    flags,
                    sequence,
                    acknowledgement,
                    window,
                    options,
                    payload,
                    protocol,
                    damage,
                    cut,
                }
            },
        )
}

impl Forged {
    /// The packet with right lengths and checksums, then damaged.
    fn packet(&self, peers: &[Peer]) -> Vec<u8> {
        let peer = peers[self.source];
        let source = peer.end;
        let (own, length) = match source.ip() {
            IpAddr::V4(_) => (V4[1], 20),
            IpAddr::V6(_) => (V6[1], 40),
        };
        let own: IpAddr = own.parse().expect("an address");
        let mut upper = Vec::new();
        match self.protocol {
            6 => {
                let mut options = self.options.clone();
                options.resize(options.len().next_multiple_of(4), 0);
                upper.extend(source.port().to_be_bytes());
                upper.extend(self.port.to_be_bytes());
                upper.extend(peer.sequence.wrapping_add(self.sequence).to_be_bytes());
                let acknowledgement = peer.acknowledgement.wrapping_add(self.acknowledgement);
                upper.extend(acknowledgement.to_be_bytes());
                upper.extend([((5 + options.len() / 4) as u8) << 4, self.flags]);
                upper.extend(self.window.to_be_bytes());
                upper.extend([0; 4]);
                upper.extend(options);
            }
            17 => {
                upper.extend(source.port().to_be_bytes());
                upper.extend(self.port.to_be_bytes());
                upper.extend((8 + self.payload.len() as u16).to_be_bytes());
                upper.extend([0; 2]);
            }
            _ => upper.extend(&self.options),
        }
        upper.extend(&self.payload);
        let (from, to) = (IpAddress::from(source.ip()), IpAddress::from(own));
        match self.protocol {
            6 => TcpPacket::new_unchecked(&mut upper[..]).fill_checksum(&from, &to),
            17 => UdpPacket::new_unchecked(&mut upper[..]).fill_checksum(&from, &to),
            _ => {}
        }
        let ip = IpRepr::new(from, to, IpProtocol::from(self.protocol), upper.len(), 64);
        let mut packet = vec![0; length];
        ip.emit(&mut packet[..], &ChecksumCapabilities::default());
        packet.extend(upper);
        for &(place, octet) in &self.damage {
            if let Some(target) = packet.get_mut(place) {
                *target = octet;
            }
        }
        let header = usize::from(packet[0] & 0x0f) * 4;
        let whole = length == 20 && header <= packet.len();
        if whole && self.damage.iter().any(|(_, octet)| octet % 2 == 0) {
            Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
        }
        packet.truncate(self.cut.unwrap_or(usize::MAX));
        packet
    }
}

proptest! {
    #[test]
    fn nothing_that_comes_in_can_hurt(
        packets in prop::collection::vec((forged(), 0u64..3_000), 1..60)
    ) {
        let (mut stack, peers) = busy();
        let mut now = Instant::from_millis(100);
        let capacity = Capacity::FACES;
        let most = capacity.connections + capacity.backlog + capacity.lingering + 1;
        for (forged, wait) in packets {
            now += ms(wait);
            stack.handle_timeout(now);
            prop_assert!(drain(&mut stack, now).len() < 1_000);
            prop_assert!(stack.next_deadline(now).is_none_or(|deadline| deadline > now));
            let packet = forged.packet(&peers);
            stack.handle_packet(now, OUTSIDE, &packet).unwrap();
            prop_assert!(drain(&mut stack, now).len() < 1_000);
            while stack.poll_event().is_some() {}
            prop_assert!(stack.sockets() <= most);
        }
    }

    #[test]
    fn rubbish_is_ignored(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..20)
    ) {
        let mut stack = stack(1, Capacity::FACES);
        stack.listen(80).unwrap();
        for mut packet in packets {
            stack.handle_packet(Instant::ZERO, OUTSIDE, &packet).unwrap();
            // Towards us, at least.
            if packet.len() >= 40 {
                match packet[0] >> 4 {
                    4 => packet[16..20].copy_from_slice(&Ipv4Addr::new(192, 0, 2, 2).octets()),
                    _ => {
                        packet[0] = 0x60;
                        let own: Ipv6Addr = V6[1].parse().unwrap();
                        packet[24..40].copy_from_slice(&own.octets());
                        let length = packet.len() as u16 - 40;
                        packet[4..6].copy_from_slice(&length.to_be_bytes());
                    }
                }
                stack.handle_packet(Instant::ZERO, OUTSIDE, &packet).unwrap();
            }
            drain(&mut stack, Instant::ZERO);
        }
        prop_assert!(stack.sockets() <= Capacity::FACES.backlog);
    }
}

#[test]
fn udp_from_a_stranger_fills_no_more_than_its_buffer() {
    let mut stack = stack(1, Capacity::FACES);
    stack.bind(53).unwrap();
    let (source, own) = (address(V4[0], 1_000), address(V4[1], 53));
    let udp = UdpRepr { src_port: 1_000, dst_port: 53 };
    let (from, to) = (IpAddress::from(source.ip()), IpAddress::from(own.ip()));
    let ip = IpRepr::new(from, to, IpProtocol::Udp, 8 + 1_000, 64);
    let mut packet = vec![0; 20 + 8 + 1_000];
    let sums = ChecksumCapabilities::default();
    ip.emit(&mut packet[..], &sums);
    let mut view = UdpPacket::new_unchecked(&mut packet[20..]);
    udp.emit(&mut view, &from, &to, 1_000, |payload| payload.fill(7), &sums);
    for _ in 0..1_000 {
        stack.handle_packet(Instant::ZERO, OUTSIDE, &packet).unwrap();
    }
    let mut out = [0; 1_500];
    let waiting = core::iter::from_fn(|| stack.receive_datagram(53, &mut out)).count();
    assert!((10..=16).contains(&waiting), "{waiting}");
}
