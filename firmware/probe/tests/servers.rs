//! A prober in a simulated network of servers that answer, refuse, keep silent, and come back.

use base::rng::Rng;
use base::time::Duration;
use base::{Instant, NetworkId, ServerId};
use health::{Change, IN_FLIGHT, Outcome, Target};
use hoststack::Attachment;
use probe::{ATTEMPTS, LOCAL_PORTS, Prober};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpAddress, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet, TcpControl};
use smoltcp::wire::{TcpPacket, TcpRepr};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const INSIDE: NetworkId = NetworkId(3);
/// From the prober to a server, and back again.
const DELAY: Duration = Duration::from_micros(200);
const ROUND_TRIP: Duration = Duration::from_micros(400);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Answers,
    Refuses,
    Silent,
    /// The router says that there is no such host.
    Unreachable,
    /// Loses this many packets of a hundred.
    Lossy(u64),
}

/// Even servers have IPv4 addresses, odd ones IPv6.
fn address(server: u16) -> IpAddr {
    if server.is_multiple_of(2) {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_1000 + u32::from(server)))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits((0xfd00 << 112) + 0x1000 + u128::from(server)))
    }
}

fn target(server: u16) -> Target {
    Target {
        server: ServerId(server),
        address: address(server),
        port: 8_080,
        interval: ms(1_000),
        timeout: ms(1_000),
        rise: 1,
        fall: 1,
    }
}

fn attachments() -> Vec<Attachment> {
    let prefixes = ["10.0.0.2/16", "fd00::2/64"];
    let addresses = prefixes.iter().map(|text| text.parse().expect("a prefix")).collect();
    vec![Attachment { network: INSIDE, addresses, gateways: vec![], mtu: 1500 }]
}

/// A TCP segment that the prober sent.
struct Segment {
    server: u16,
    tcp: TcpRepr<'static>,
    from: IpAddress,
    to: IpAddress,
}

fn read(packet: &[u8]) -> Segment {
    let sums = ChecksumCapabilities::default();
    let (from, to, payload) = if packet[0] >> 4 == 4 {
        let ip = Ipv4Packet::new_checked(packet).expect("an IPv4 packet");
        assert!(ip.verify_checksum());
        (ip.src_addr().into(), ip.dst_addr().into(), ip.payload())
    } else {
        let ip = Ipv6Packet::new_checked(packet).expect("an IPv6 packet");
        (ip.src_addr().into(), ip.dst_addr().into(), ip.payload())
    };
    let view = TcpPacket::new_checked(payload).expect("a TCP segment");
    let tcp = TcpRepr::parse(&view, &from, &to, &sums).expect("a right checksum");
    assert!(tcp.payload.is_empty());
    let server = (0..1_100).find(|&n| address(n) == IpAddr::from(to)).expect("a server");
    Segment { server, tcp: TcpRepr { payload: &[], ..tcp }, from, to }
}

fn reply(asked: &Segment, control: TcpControl) -> Vec<u8> {
    let tcp = TcpRepr {
        src_port: asked.tcp.dst_port,
        dst_port: asked.tcp.src_port,
        control,
        seq_number: smoltcp::wire::TcpSeqNumber(4_711),
        ack_number: Some(asked.tcp.seq_number + 1),
        window_len: 1_000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        timestamp: None,
        ..asked.tcp
    };
    let ip = IpRepr::new(asked.to, asked.from, IpProtocol::Tcp, tcp.buffer_len(), 64);
    let sums = ChecksumCapabilities::default();
    let mut packet = vec![0; ip.buffer_len()];
    ip.emit(&mut packet[..], &sums);
    let mut view = TcpPacket::new_unchecked(&mut packet[ip.header_len()..]);
    tcp.emit(&mut view, &asked.to, &asked.from, &sums);
    packet
}

/// ICMP "address unreachable" or "host unreachable" about a packet, from a router.
fn unreachable(about: &[u8]) -> Vec<u8> {
    use smoltcp::wire::{Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, Ipv4Repr};
    use smoltcp::wire::{Icmpv6DstUnreachable, Icmpv6Packet, Icmpv6Repr, Ipv6Repr};
    let sums = ChecksumCapabilities::default();
    if about[0] >> 4 == 4 {
        let quoted = Ipv4Packet::new_checked(about).expect("a packet");
        let icmp = Icmpv4Repr::DstUnreachable {
            reason: Icmpv4DstUnreachable::HostUnreachable,
            header: Ipv4Repr::parse(&quoted, &sums).expect("a packet"),
            data: &quoted.payload()[..8],
        };
        let (from, to) = (Ipv4Addr::new(10, 0, 0, 1).into(), quoted.src_addr().into());
        let ip = IpRepr::new(from, to, IpProtocol::Icmp, icmp.buffer_len(), 64);
        let mut packet = vec![0; ip.buffer_len()];
        ip.emit(&mut packet[..], &sums);
        icmp.emit(&mut Icmpv4Packet::new_unchecked(&mut packet[20..]), &sums);
        return packet;
    }
    let quoted = Ipv6Packet::new_checked(about).expect("a packet");
    let icmp = Icmpv6Repr::DstUnreachable {
        reason: Icmpv6DstUnreachable::AddrUnreachable,
        header: Ipv6Repr::parse(&quoted).expect("a packet"),
        data: quoted.payload(),
    };
    let from = "fd00::1".parse().expect("an address");
    let to = quoted.src_addr();
    let ip =
        IpRepr::new(IpAddress::Ipv6(from), to.into(), IpProtocol::Icmpv6, icmp.buffer_len(), 64);
    let mut packet = vec![0; ip.buffer_len()];
    ip.emit(&mut packet[..], &sums);
    icmp.emit(&from, &to, &mut Icmpv6Packet::new_unchecked(&mut packet[40..]), &sums);
    packet
}

struct World {
    now: Instant,
    prober: Prober,
    manners: Vec<Manner>,
    /// Arrival at the prober.
    flying: BTreeSet<(Instant, u64, Vec<u8>)>,
    count: u64,
    rng: Rng,
    /// What the prober sent to each server.
    sent: Vec<(Instant, u16, TcpControl, bool)>,
    changes: Vec<(Instant, Change)>,
    most_in_flight: usize,
    most_sockets: usize,
}

impl World {
    fn new(seed: u64, servers: u16, edit: impl Fn(Target) -> Target) -> Self {
        let mut prober = Prober::new(Instant::ZERO, attachments(), seed);
        prober.set_targets(Instant::ZERO, (0..servers).map(|n| edit(target(n))).collect());
        Self {
            now: Instant::ZERO,
            prober,
            manners: vec![Manner::Answers; usize::from(servers)],
            flying: BTreeSet::new(),
            count: 0,
            rng: Rng::new(seed),
            sent: Vec::new(),
            changes: Vec::new(),
            most_in_flight: 0,
            most_sockets: 0,
        }
    }

    fn exchange(&mut self) {
        let mut out = [0; 1500];
        while let Some((network, length)) = self.prober.poll_transmit(self.now, &mut out) {
            assert_eq!(network, INSIDE);
            let packet = &out[..length];
            let segment = read(packet);
            assert!(LOCAL_PORTS.contains(&segment.tcp.src_port));
            let acknowledges = segment.tcp.ack_number.is_some();
            self.sent.push((self.now, segment.server, segment.tcp.control, acknowledges));
            if segment.tcp.control != TcpControl::Syn {
                continue;
            }
            let answer = match self.manners[usize::from(segment.server)] {
                Manner::Answers => Some(reply(&segment, TcpControl::Syn)),
                Manner::Refuses => Some(reply(&segment, TcpControl::Rst)),
                Manner::Silent => None,
                Manner::Unreachable => Some(unreachable(packet)),
                Manner::Lossy(percent) => {
                    (self.rng.below(100) >= percent).then(|| reply(&segment, TcpControl::Syn))
                }
            };
            if let Some(answer) = answer {
                self.flying.insert((self.now + DELAY * 2, self.count, answer));
                self.count += 1;
            }
        }
        while let Some(change) = self.prober.poll_change() {
            self.changes.push((self.now, change));
        }
        self.most_in_flight = self.most_in_flight.max(self.prober.in_flight());
        self.most_sockets = self.most_sockets.max(self.prober.sockets());
    }

    fn run_until(&mut self, end: Instant) {
        loop {
            self.exchange();
            let arrival = self.flying.first().map(|(arrival, ..)| *arrival);
            let deadline = self.prober.next_deadline(self.now);
            let next = deadline.into_iter().chain(arrival).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            // A deadline that has come already is work for now; it must not come back.
            self.now = self.now.max(next);
            self.arrive();
            self.prober.handle_timeout(self.now);
        }
        self.now = end;
    }

    /// Hands over the packets that have arrived, and sends what they call for.
    fn arrive(&mut self) {
        while let Some((arrival, ..)) = self.flying.first()
            && *arrival <= self.now
            && let Some((_, _, packet)) = self.flying.pop_first()
        {
            self.prober.handle_packet(self.now, INSIDE, &packet).expect("room");
            self.exchange();
        }
    }

    fn verdicts(&mut self) -> Vec<(Duration, u16, bool, Outcome)> {
        let verdict = |(time, change): (Instant, Change)| {
            (time.since(Instant::ZERO), change.server.0, change.up, change.cause)
        };
        self.changes.drain(..).map(verdict).collect()
    }

    fn sent_to(&self, server: u16) -> Vec<(Instant, TcpControl, bool)> {
        let to = self.sent.iter().filter(|(_, to, ..)| *to == server);
        to.map(|&(time, _, control, acknowledges)| (time, control, acknowledges)).collect()
    }
}

const ANSWERED: Outcome = Outcome::Succeeded { latency: ROUND_TRIP };

#[test]
fn a_server_that_answers_is_up_after_one_round_trip_and_sees_a_reset_and_nothing_else() {
    let mut world = World::new(1, 2, |target| target);
    world.run_until(at(600));
    assert_eq!(
        world.verdicts(),
        [(ROUND_TRIP, 0, true, ANSWERED), (ROUND_TRIP, 1, true, ANSWERED)]
    );
    let answered = Instant::ZERO + ROUND_TRIP;
    for server in 0..2 {
        assert_eq!(
            world.sent_to(server),
            [(at(0), TcpControl::Syn, false), (answered, TcpControl::Rst, true)]
        );
    }
    assert_eq!(world.prober.sockets(), 0);
}

#[test]
fn a_refusal_and_an_icmp_error_are_verdicts_after_one_round_trip() {
    let mut world = World::new(1, 4, |target| target);
    world.manners =
        vec![Manner::Refuses, Manner::Refuses, Manner::Unreachable, Manner::Unreachable];
    world.run_until(at(600));
    let outcomes = [Outcome::Refused, Outcome::Refused, Outcome::Unreachable, Outcome::Unreachable];
    let expected: Vec<_> =
        (0..4).map(|n| (ROUND_TRIP, n, false, outcomes[usize::from(n)])).collect();
    assert_eq!(world.verdicts(), expected);
    assert!((0..4).all(|server| world.sent_to(server).len() == 1));
}

#[test]
fn a_silent_server_is_asked_three_times_and_is_down_when_the_time_is_up() {
    let mut world = World::new(1, 2, |target| target);
    world.manners = vec![Manner::Silent; 2];
    world.run_until(at(1_000));
    let late = Outcome::TimedOut;
    assert_eq!(world.verdicts(), [(ms(1_000), 0, false, late), (ms(1_000), 1, false, late)]);
    let asked: Vec<_> = [0, 250, 500].map(|time| (at(time), TcpControl::Syn, false)).into();
    assert_eq!(world.sent_to(0)[..ATTEMPTS], asked);
}

#[test]
fn with_a_higher_fall_each_verdict_comes_at_the_same_bound() {
    for (fall, silent, refusing) in [(1, 1_000, 0), (2, 1_100, 100), (3, 1_100, 100)] {
        let mut world = World::new(1, 2, |target| Target { fall, ..target });
        world.manners = vec![Manner::Silent, Manner::Refuses];
        world.run_until(at(1_500));
        assert_eq!(
            world.verdicts(),
            [
                (ms(refusing) + ROUND_TRIP, 1, false, Outcome::Refused),
                (ms(silent), 0, false, Outcome::TimedOut)
            ],
            "fall {fall}"
        );
    }
}

#[test]
fn a_server_that_fails_is_down_in_time_whenever_it_fails() {
    for (manner, bound) in [
        (Manner::Refuses, ms(850) + ROUND_TRIP),
        (Manner::Unreachable, ms(850) + ROUND_TRIP),
        (Manner::Silent, ms(850) + ms(1_000)),
    ] {
        let mut longest = Duration::ZERO;
        for moment in 0..40 {
            let mut world = World::new(moment, 1, |target| target);
            let failure = at(3_000 + 23 * moment);
            world.run_until(failure);
            world.verdicts();
            world.manners[0] = manner;
            world.run_until(failure + ms(3_000));
            let verdicts = world.verdicts();
            assert_eq!(verdicts.len(), 1);
            longest = longest.max(verdicts[0].0 - failure.since(Instant::ZERO));
        }
        assert!(longest <= bound, "{manner:?} {longest:?}");
        assert!(longest >= bound - ms(250), "{manner:?} {longest:?}");
    }
}

#[test]
fn a_server_that_comes_back_is_up_at_its_next_probe() {
    let mut world = World::new(5, 1, |target| target);
    world.run_until(at(2_000));
    world.manners[0] = Manner::Refuses;
    world.run_until(at(10_000));
    assert_eq!(world.verdicts().len(), 2);
    let asked = world.sent.len();
    world.manners[0] = Manner::Answers;
    world.run_until(at(12_000));
    let (time, _, control, _) = world.sent[asked];
    assert_eq!(control, TcpControl::Syn);
    assert!(time.since(at(10_000)) <= ms(850));
    let up = time.since(Instant::ZERO) + ROUND_TRIP;
    assert_eq!(world.verdicts(), [(up, 0, true, ANSWERED)]);
}

#[test]
fn lost_packets_take_no_server_out() {
    let mut world = World::new(5, 20, |target| target);
    world.run_until(at(1_000));
    assert_eq!(world.verdicts().len(), 20);
    world.manners = vec![Manner::Lossy(5); 20];
    // 1,500 probes; three losses in a row are one in 8,000.
    world.run_until(at(60_000));
    assert_eq!(world.verdicts(), []);
    let syn = world.sent.iter().filter(|(_, _, control, _)| *control == TcpControl::Syn).count();
    assert!(syn > 1_500);
}

#[test]
fn a_thousand_servers_are_watched_with_bounded_probes_and_sockets() {
    let mut world = World::new(9, 1_000, |target| target);
    for server in (0..1_000).step_by(10) {
        world.manners[server] = Manner::Refuses;
    }
    world.run_until(at(3_000));
    let verdicts = world.verdicts();
    assert_eq!(verdicts.len(), 1_000);
    assert_eq!(verdicts.iter().filter(|(_, _, up, _)| !up).count(), 100);
    // All at one moment, 64 at a time, a round trip each.
    assert!(verdicts.iter().all(|(time, ..)| *time <= ROUND_TRIP * 16));
    assert_eq!(world.most_in_flight, IN_FLIGHT);
    assert!(world.most_sockets <= IN_FLIGHT * ATTEMPTS + IN_FLIGHT);
    // A rack of thirty goes dark; nobody else is touched.
    world.manners[500..530].fill(Manner::Silent);
    world.run_until(at(5_000));
    let down = world.verdicts();
    assert!(down.iter().all(|(_, server, up, _)| (500..530).contains(server) && !up));
    assert_eq!(down.len(), 27, "three of them were down already");
    assert!(world.most_sockets <= IN_FLIGHT * ATTEMPTS + IN_FLIGHT);
}

#[test]
fn a_prober_that_ran_late_takes_silence_for_nothing() {
    let mut world = World::new(1, 2, |target| target);
    world.manners[1] = Manner::Silent;
    world.run_until(at(100));
    assert_eq!(world.verdicts().len(), 1);
    // Announced was the second attempt, at 250 ms. Nothing happens for 2 s.
    assert_eq!(world.prober.next_deadline(world.now), Some(at(250)));
    world.now = at(2_250);
    world.prober.handle_timeout(world.now);
    world.exchange();
    assert_eq!(world.verdicts(), [], "the probe is void");
    let asked = world.sent_to(1);
    assert_eq!(asked.len(), 1, "and its connections are gone");
    world.run_until(at(3_349));
    assert_eq!(world.verdicts(), []);
    // Repeated a gap later, and judged a full time-out after that.
    world.run_until(at(3_351));
    assert_eq!(world.verdicts(), [(ms(2_250 + 100 + 1_000), 1, false, Outcome::TimedOut)]);
}

#[test]
fn a_delay_within_the_time_of_a_probe_makes_it_void_too() {
    for (awake, verdict) in [(499, 1_000), (501, 501 + 100 + 1_000), (900, 900 + 100 + 1_000)] {
        let mut world = World::new(1, 1, |target| target);
        world.manners[0] = Manner::Silent;
        world.run_until(at(100));
        assert_eq!(world.prober.next_deadline(world.now), Some(at(250)));
        world.now = at(awake);
        world.prober.handle_timeout(world.now);
        world.run_until(at(3_000));
        assert_eq!(world.verdicts(), [(ms(verdict), 0, false, Outcome::TimedOut)], "{awake}");
    }
}

#[test]
fn what_arrived_while_the_prober_was_late_still_counts() {
    let mut world = World::new(1, 2, |target| target);
    world.manners[1] = Manner::Refuses;
    world.exchange();
    assert!(world.prober.next_deadline(world.now).is_some());
    world.now = at(5_000);
    world.arrive();
    world.prober.handle_timeout(world.now);
    world.exchange();
    let verdicts: Vec<_> = world.verdicts().into_iter().map(|(_, n, up, _)| (n, up)).collect();
    assert_eq!(verdicts, [(0, true), (1, false)]);
}

#[test]
fn a_node_without_a_way_to_a_server_does_not_judge_it() {
    let mut world = World::new(1, 2, |target| target);
    let none = vec![];
    world.prober.reconfigure(world.now, none);
    world.run_until(at(20_000));
    assert_eq!(world.verdicts(), []);
    assert!(world.prober.status(ServerId(0)).expect("watched").served());
    world.prober.reconfigure(world.now, attachments());
    world.run_until(at(20_101));
    assert_eq!(world.verdicts().len(), 2);
}

#[test]
fn probes_of_targets_that_went_away_are_given_up() {
    let mut world = World::new(1, 10, |target| target);
    world.manners = vec![Manner::Silent; 10];
    world.run_until(at(600));
    assert_eq!(world.prober.sockets(), 10 * ATTEMPTS);
    world.prober.set_targets(world.now, vec![target(3)]);
    assert_eq!((world.prober.in_flight(), world.prober.sockets()), (1, ATTEMPTS));
    world.run_until(at(1_000));
    assert_eq!(world.verdicts(), [(ms(1_000), 3, false, Outcome::TimedOut)]);
    assert_eq!(world.prober.status(ServerId(0)), None);
}

#[test]
fn an_answer_that_comes_too_late_is_met_with_a_reset() {
    let mut world = World::new(1, 1, |target| Target { timeout: ms(100), ..target });
    world.manners[0] = Manner::Silent;
    let mut out = [0; 1500];
    let (_, length) = world.prober.poll_transmit(world.now, &mut out).expect("a SYN");
    let answer = reply(&read(&out[..length]), TcpControl::Syn);
    world.run_until(at(300));
    assert_eq!(world.verdicts().len(), 1);
    world.prober.handle_packet(world.now, INSIDE, &answer).expect("room");
    world.exchange();
    let last = world.sent_to(0).pop().expect("sent");
    assert_eq!((last.0, last.1), (at(300), TcpControl::Rst));
    assert_eq!(world.verdicts(), []);
}
