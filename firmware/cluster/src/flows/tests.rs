//! An owner and a follower, and a network between them that loses, doubles and reorders.

use super::*;
use crate::Incarnation;
use alloc::vec;
use proptest::prelude::*;

const VIP: VipId = VipId(0);
const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80);
const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x81);
const OWNER: NodeId = NodeId(1);
const FOLLOWER: NodeId = NodeId(2);

/// A flow of a client.
pub fn flow(n: u16) -> Flow {
    let client = core::net::Ipv4Addr::new(198, 51, 100, 7).to_ipv6_mapped();
    Flow { client, client_port: n, port: 80, protocol: Protocol::TCP }
}

/// A server.
pub fn server(n: u8) -> Endpoint {
    let address = core::net::Ipv4Addr::new(10, 0, 0, n).to_ipv6_mapped();
    Endpoint { address, port: 8_080 }
}

/// What becomes of a datagram, by a number between 0 and 255.
#[derive(Clone, Copy)]
struct Weather {
    lost: u8,
    doubled: u8,
    late: u8,
}

const FINE: Weather = Weather { lost: 0, doubled: 0, late: 0 };

struct World {
    now: Instant,
    nodes: [Flows; 2],
    starts: [u32; 2],
    /// When, to whom, between which starts of the two, and what.
    wires: Vec<(Instant, usize, [u32; 2], Vec<u8>)>,
    weather: Weather,
    rng: base::rng::Rng,
    synced: [bool; 2],
    asked: u32,
    datagrams: usize,
}

impl World {
    fn new() -> Self {
        let node = || Flows::new(Instant::ZERO, Incarnation(1), &[ADDRESS], 1);
        let mut world = Self {
            now: Instant::from_millis(1_000),
            nodes: [node(), node()],
            starts: [1; 2],
            wires: vec![],
            weather: FINE,
            rng: base::rng::Rng::new(1),
            synced: [false; 2],
            asked: 0,
            datagrams: 0,
        };
        world.part(0, Part::Owner);
        world
    }

    fn part(&mut self, at: usize, part: Part) {
        self.nodes[at].handle_part(self.now, VIP, part);
    }

    fn follow(&mut self, arrives: bool) {
        self.part(1, Part::Follower { owner: OWNER, arrives });
    }

    fn tell(&mut self, n: u16, server: Option<Endpoint>) {
        self.nodes[0].handle_flow(self.now, 0, ADDRESS, &flow(n), server);
    }

    fn restart(&mut self, at: usize) {
        self.starts[at] += 1;
        self.nodes[at] = Flows::new(self.now, Incarnation(self.starts[at]), &[ADDRESS], 1);
        match at {
            0 => self.part(0, Part::Owner),
            _ => self.follow(false),
        }
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.deliver();
            for at in 0..2 {
                self.nodes[at].handle_timeout(self.now);
                while let Some((to, body)) = self.nodes[at].poll_transmit() {
                    assert!(body.len() <= model::limits::CLUSTER_BODY);
                    assert_eq!(to, [FOLLOWER, OWNER][at]);
                    self.datagrams += 1;
                    self.send(1 - at, body);
                }
                while let Some(event) = self.nodes[at].poll_event() {
                    match event {
                        Event::Tell(asked) => self.asked = asked,
                        Event::Synced(_) => self.synced[at] = true,
                        Event::Changed(_) => {}
                    }
                }
            }
        }
    }

    fn send(&mut self, to: usize, body: Vec<u8>) {
        let mut fate = || (self.rng.next() & 0xff) as u8;
        let (lost, doubled, late) = (fate(), fate(), fate());
        if lost < self.weather.lost {
            return;
        }
        let wait = if late < self.weather.late { 1 + u64::from(late) } else { 1 };
        let at = self.now + Duration::from_millis(wait);
        if doubled < self.weather.doubled {
            let later = at + Duration::from_millis(7);
            self.wires.push((later, to, self.starts, body.clone()));
        }
        self.wires.push((at, to, self.starts, body));
    }

    fn deliver(&mut self) {
        let now = self.now;
        let due: Vec<_> = self.wires.extract_if(.., |(at, ..)| *at <= now).collect();
        // What was sealed by or for another start does not open.
        for (_, to, _, body) in due.into_iter().filter(|(_, _, starts, _)| *starts == self.starts) {
            let id = [OWNER, FOLLOWER][1 - to];
            let from = Peer { id, incarnation: Incarnation(self.starts[1 - to]) };
            self.nodes[to].handle_message(now, from, &body);
        }
    }

    fn all(&self, at: usize) -> Vec<(Flow, Endpoint)> {
        let shard = &self.nodes[at].places[0].shard;
        shard.iter().map(|(flow, server, _)| (*flow, *server)).collect()
    }
}

#[test]
fn what_an_owner_tells_is_copied_within_thirty_milliseconds() {
    let mut world = World::new();
    world.follow(false);
    world.run(600);
    world.tell(1, Some(server(1)));
    world.tell(2, Some(server(2)));
    world.run(30);
    assert_eq!(world.all(1), [(flow(1), server(1)), (flow(2), server(2))]);
    world.tell(1, None);
    world.tell(2, Some(server(3)));
    world.run(30);
    assert_eq!(world.all(1), [(flow(2), server(3))]);
}

#[test]
fn a_hundred_thousand_flows_are_copied_to_a_newcomer_in_a_second() {
    let mut world = World::new();
    for n in 0..100_000_u32 {
        let mut flow = flow((n & 0xffff) as u16);
        flow.port = (n >> 16) as u16;
        world.nodes[0].handle_flow(world.now, 0, ADDRESS, &flow, Some(server(1)));
    }
    world.follow(false);
    world.run(1_000);
    assert_eq!(world.nodes[1].len(), 100_000);
    let counts = world.nodes[0].counts();
    assert!(counts.octets < 100_000 * 10, "{counts:?}");
    assert_eq!((counts.resent, world.nodes[1].counts().given_up), (0, 0));
}

#[test]
fn a_hundred_thousand_connections_a_second_cost_sixteen_megabits_where_all_are_copied() {
    let mut world = World::new();
    world.follow(false);
    world.run(600);
    let before = world.nodes[0].counts();
    // Each lasts for a tenth of a second.
    let at = |n: u32| Flow { port: (n >> 16) as u16, ..flow((n & 0xffff) as u16) };
    for n in 0..110_000_u32 {
        let (now, to) = (world.now, server((n % 7) as u8));
        if n < 100_000 {
            world.nodes[0].handle_flow(now, 0, ADDRESS, &at(n), Some(to));
        }
        if let Some(old) = n.checked_sub(10_000) {
            world.nodes[0].handle_flow(now, 0, ADDRESS, &at(old), None);
        }
        if n % 100 == 0 {
            world.run(1);
        }
    }
    world.run(200);
    assert!(world.all(1).is_empty());
    let counts = world.nodes[0].counts();
    let datagrams = (counts.sent - before.sent) * model::limits::CLUSTER_ENVELOPE as u64;
    let bits = (counts.octets - before.octets + datagrams) * 8;
    assert!(bits <= 16_000_000, "{bits} bits, {counts:?}");
    assert_eq!((counts.refused, counts.resent), (0, 0));
}

#[test]
fn nothing_to_tell_costs_two_datagrams_in_half_a_second() {
    let mut world = World::new();
    world.follow(false);
    world.run(1_000);
    world.datagrams = 0;
    world.run(10_000);
    assert!(world.datagrams <= 42, "{}", world.datagrams);
}

#[test]
fn an_address_arrives_once_the_forwarders_of_its_owner_were_asked() {
    let mut world = World::new();
    world.run(5);
    world.nodes[0].handle_told(world.now, 0, 0, world.asked);
    world.follow(true);
    world.run(200);
    assert!(!world.synced[1], "the owner's forwarder has not answered");
    world.tell(1, Some(server(1)));
    let (now, asked) = (world.now, world.asked);
    world.nodes[0].handle_told(now, 0, 0, asked);
    world.run(60);
    assert!(world.synced[1]);
    assert_eq!(world.all(1), [(flow(1), server(1))]);
}

#[test]
fn an_address_does_not_wait_for_its_flows_for_ever() {
    let mut world = World::new();
    world.weather = Weather { lost: 255, ..FINE };
    world.follow(true);
    world.run(950);
    assert!(!world.synced[1]);
    world.run(100);
    assert!(world.synced[1]);
}

#[test]
fn a_new_owner_keeps_what_was_copied_until_it_must_be_silent() {
    let mut world = World::new();
    world.follow(false);
    world.tell(1, Some(server(1)));
    let udp = Flow { protocol: Protocol::UDP, ..flow(2) };
    world.nodes[0].handle_flow(world.now, 0, ADDRESS, &udp, Some(server(2)));
    world.run(300);
    world.part(1, Part::Owner);
    let copies = |world: &World| world.nodes[1].copies(VIP).map(|(flow, _)| flow).collect();
    let both: Vec<_> = copies(&world);
    assert_eq!(both, [flow(1), udp]);
    // A forwarder knows one of them now: it is ours, and has not changed.
    world.nodes[1].handle_flow(world.now, 0, ADDRESS, &flow(1), Some(server(1)));
    assert_eq!(copies(&world), [udp]);
    world.nodes[1].handle_flow(world.now, 0, ADDRESS, &flow(1), None);
    world.now += UDP_IDLE_DEFAULT;
    world.run(50);
    assert_eq!(copies(&world), []);
    assert!(world.all(1).is_empty());
}

#[test]
fn what_a_forwarder_told_while_the_address_was_here_is_a_copy_afterwards() {
    let mut world = World::new();
    world.follow(false);
    world.tell(1, Some(server(1)));
    world.run(300);
    let copies = |world: &World| world.nodes[1].copies(VIP).count();
    // For a moment both own it, as two parts of a cluster do that was parted.
    world.part(1, Part::Owner);
    world.nodes[1].handle_flow(world.now, 0, ADDRESS, &flow(1), Some(server(1)));
    assert_eq!(copies(&world), 0, "the forwarder knows it");
    world.follow(false);
    world.run(300);
    assert_eq!(copies(&world), 1, "it may forget it");
    world.part(1, Part::Owner);
    assert_eq!(copies(&world), 1);
}

#[test]
fn what_the_old_owner_says_last_still_reaches_the_new_one() {
    let mut world = World::new();
    world.follow(true);
    world.run(300);
    world.tell(1, Some(server(1)));
    world.part(1, Part::Owner);
    world.run(50);
    assert_eq!(world.all(1), [(flow(1), server(1))]);
    world.run(3_000);
    assert!(world.nodes[1].places[0].follow.is_none(), "but not for ever");
}

#[test]
fn what_a_forwarder_does_not_repeat_has_ended() {
    let mut world = World::new();
    let now = world.now;
    world.tell(1, Some(server(1)));
    world.tell(2, Some(server(1)));
    world.nodes[0].handle_telling(0, 1);
    world.tell(2, Some(server(1)));
    world.nodes[0].handle_told(now, 0, 1, 1);
    world.run(20);
    assert_eq!(world.all(0), [(flow(2), server(1))]);
}

#[test]
fn an_address_that_is_no_concern_of_ours_is_forgotten_in_the_end() {
    let mut world = World::new();
    world.follow(false);
    world.tell(1, Some(server(1)));
    world.run(300);
    world.part(1, Part::None);
    world.run(5_000);
    assert_eq!(world.nodes[1].len(), 1, "views may flap");
    world.run(6_000);
    assert_eq!(world.nodes[1].len(), 0);
}

#[test]
fn an_address_that_gets_another_number_keeps_its_flows() {
    let mut world = World::new();
    world.follow(false);
    world.tell(1, Some(server(1)));
    world.run(300);
    let now = world.now;
    world.nodes[0].set_vips(now, &[OTHER, ADDRESS]);
    world.nodes[0].handle_flow(now, 0, ADDRESS, &flow(2), Some(server(2)));
    assert_eq!(world.nodes[0].places[1].shard.len(), 2);
    // The two do not change at one moment.
    world.run(600);
    assert_eq!(world.all(1), [(flow(1), server(1)), (flow(2), server(2))]);
    world.nodes[1].set_vips(world.now, &[OTHER, ADDRESS]);
    world.nodes[0].handle_flow(world.now, 0, ADDRESS, &flow(2), None);
    world.run(600);
    let copied: Vec<_> = world.nodes[1].copies(VipId(1)).collect();
    assert_eq!(copied, [(flow(1), server(1))]);
}

#[test]
fn a_follower_of_an_earlier_start_is_not_taken_for_one_of_this() {
    let mut world = World::new();
    world.follow(false);
    world.tell(1, Some(server(1)));
    world.run(300);
    // The new start counts its streams and changes as the one before did.
    world.restart(0);
    world.tell(2, Some(server(2)));
    world.run(700);
    assert_eq!(world.all(1), [(flow(2), server(2))]);
}

#[test]
fn more_flows_than_the_limit_are_counted_and_not_copied() {
    let mut world = World::new();
    world.nodes[0].live = FLOW_COPIES;
    world.tell(1, Some(server(1)));
    assert_eq!((world.nodes[0].len(), world.nodes[0].counts().refused), (0, 1));
}

#[test]
fn only_the_owner_is_believed_and_only_an_owner_answers() {
    let mut world = World::new();
    world.follow(false);
    world.tell(1, Some(server(1)));
    world.run(300);
    let segment = |from, to| wire::Segment {
        vip: ADDRESS.into(),
        stream: 99,
        from,
        to,
        digest: None,
        sure: false,
        servers: vec![],
        changes: vec![],
    };
    let body = crate::wire::encode(&Message::Copies(vec![segment(0, 0)])).unwrap();
    let stranger = Peer { id: NodeId(3), incarnation: Incarnation(1) };
    world.nodes[1].handle_message(world.now, stranger, &body);
    assert_eq!(world.nodes[1].len(), 1);
    let (vip, start) = (ADDRESS.into(), Incarnation(1));
    let want = wire::Want { vip, start, stream: 0, have: 0, gap: false, sure: false };
    let body = crate::wire::encode(&Message::Wants(vec![want; 3])).unwrap();
    world.nodes[1].handle_message(world.now, stranger, &body);
    world.nodes[1].handle_timeout(world.now + TICK);
    assert!(world.nodes[1].subscribers.is_empty());
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Deed {
    Tell(u16, u8),
    End(u16),
    Wait(u64),
    RestartOwner,
    RestartFollower,
    Flap,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => (0..40_u16, 0..4_u8).prop_map(|(n, to)| Deed::Tell(n, to)),
        4 => (0..40_u16).prop_map(Deed::End),
        4 => (0..80_u64).prop_map(Deed::Wait),
        1 => Just(Deed::RestartOwner),
        1 => Just(Deed::RestartFollower),
        1 => Just(Deed::Flap),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// What the follower has at any time the owner had at some time; once it is quiet, the two
    /// have the same.
    #[test]
    fn a_copy_is_equal_or_absent(
        deeds in proptest::collection::vec(deed(), 1..120),
        (lost, doubled, late) in (0..160_u8, 0..100_u8, 0..100_u8),
        seed in any::<u64>(),
    ) {
        let mut world = World::new();
        world.rng = base::rng::Rng::new(seed);
        world.weather = Weather { lost, doubled, late };
        world.follow(false);
        let mut told: Vec<(Flow, Endpoint)> = vec![];
        for deed in deeds {
            match deed {
                Deed::Tell(n, to) => {
                    told.push((flow(n), server(to)));
                    world.tell(n, Some(server(to)));
                }
                Deed::End(n) => world.tell(n, None),
                Deed::Wait(millis) => world.run(millis),
                Deed::RestartOwner => world.restart(0),
                Deed::RestartFollower => world.restart(1),
                Deed::Flap => {
                    world.part(1, Part::None);
                    world.follow(false);
                }
            }
            for copy in world.all(1) {
                prop_assert!(told.contains(&copy), "{copy:?} was never so");
            }
        }
        world.weather = FINE;
        world.run(2_000);
        prop_assert_eq!(world.all(1), world.all(0));
        prop_assert_eq!(world.nodes[1].counts().given_up, 0, "digests only catch what is a fault");
        // And from one to the other nothing is left to say.
        let digest = world.nodes[0].places[0].shard.digest();
        prop_assert_eq!(world.nodes[1].places[0].shard.digest(), digest);
    }

    #[test]
    fn any_message_from_anybody_does_no_harm(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        id in 1..4_u16,
    ) {
        let mut world = World::new();
        world.follow(true);
        world.tell(1, Some(server(1)));
        world.run(100);
        let from = Peer { id: NodeId(id), incarnation: Incarnation(1) };
        for at in 0..2 {
            world.nodes[at].handle_message(world.now, from, &body);
        }
        world.nodes[0].handle_timeout(world.now + TICK);
        world.nodes[1].handle_timeout(world.now + TICK);
        prop_assert!(world.nodes[0].subscribers.len() <= 3);
    }
}
