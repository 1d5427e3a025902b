//! Planned moves, draining, leaving, levelling and the suspicion time, in simulated time.

mod world;

use base::VipId;
use base::time::Duration;
use cluster::{Reason, Reply, Request, Role};
use model::Policy;
use world::{World, id, settings};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn owned_by(world: &World, node: u16) -> usize {
    let vips = 0..world.settings.vips.len();
    vips.filter(|vip| world.serving(VipId::from(*vip)) == [id(node)]).count()
}

#[test]
fn a_move_leaves_no_time_without_an_owner_that_a_client_could_notice() {
    let mut world = World::new(settings(3, 2, 3, Policy::Witness));
    world.run(seconds(2));
    world.gap();
    let from = world.serving(VipId(0))[0];
    let to = id(1 + from.0 % 3);
    let now = world.now;
    let request = Request::Move { vip: VipId(0), to };
    assert_eq!(world.node(2).cluster.handle_request(now, request), Reply::Begun);
    world.run(seconds(1));
    assert_eq!(world.serving(VipId(0)), [to]);
    assert!(world.gap() < Duration::from_millis(1), "frames are passed on meanwhile");
    assert!(world.overlaps.is_empty());
    assert_eq!(world.node(2).cluster.handle_request(now, request), Reply::Already);
    let nobody = Request::Move { vip: VipId(0), to: id(9) };
    assert_eq!(world.node(2).cluster.handle_request(now, nobody), Reply::Impossible);
}

#[test]
fn a_newcomer_gets_its_share_at_once() {
    let mut world = World::new(settings(4, 1, 12, Policy::Witness));
    world.node(4).dead = true;
    world.run(seconds(2));
    assert_eq!([1, 2, 3].map(|node| owned_by(&world, node)), [4, 4, 4]);
    world.gap();
    world.start(id(4), 2);
    world.run(seconds(2));
    world.assert_view(&[1, 2, 3, 4]);
    assert_eq!([1, 2, 3, 4].map(|node| owned_by(&world, node)), [3, 3, 3, 3]);
    assert!(world.gap() < Duration::from_millis(1));
    assert!(world.overlaps.is_empty());
}

#[test]
fn a_drained_node_owns_nothing_until_it_is_restored() {
    let mut world = World::new(settings(3, 1, 6, Policy::Witness));
    world.run(seconds(2));
    world.gap();
    let now = world.now;
    let drain = Request::Drain { node: id(3) };
    assert_eq!(world.node(1).cluster.handle_request(now, drain), Reply::Begun);
    world.run(seconds(2));
    assert_eq!([1, 2, 3].map(|node| owned_by(&world, node)), [3, 3, 0]);
    let restore = Request::Restore { node: id(3) };
    assert_eq!(world.node(2).cluster.handle_request(now, restore), Reply::Begun);
    world.run(seconds(2));
    assert_eq!([1, 2, 3].map(|node| owned_by(&world, node)), [2, 2, 2]);
    assert!(world.gap() < Duration::from_millis(1));
    assert!(world.overlaps.is_empty());
}

#[test]
fn a_drained_node_stays_so_over_a_restart_and_serves_only_where_no_other_can() {
    let mut world = World::new(settings(3, 1, 6, Policy::Witness));
    world.run(seconds(2));
    let now = world.now;
    let drain = Request::Drain { node: id(3) };
    assert_eq!(world.node(1).cluster.handle_request(now, drain), Reply::Begun);
    world.run(seconds(1));
    world.node(3).dead = true;
    world.run(seconds(1));
    world.start(id(3), 2);
    world.run(seconds(4));
    world.assert_view(&[1, 2, 3]);
    assert_eq!([1, 2, 3].map(|node| owned_by(&world, node)), [3, 3, 0]);
    world.node(1).dead = true;
    world.run(seconds(1));
    assert_eq!([2, 3].map(|node| owned_by(&world, node)), [6, 0]);
    world.node(2).dead = true;
    world.run(seconds(2));
    assert_eq!(owned_by(&world, 3), 6, "rather than nobody");
    world.start(id(2), 2);
    world.run(seconds(4));
    assert_eq!([2, 3].map(|node| owned_by(&world, node)), [6, 0], "until another can");
}

#[test]
fn every_node_is_told_of_a_move_with_its_reason() {
    let mut world = World::new(settings(3, 1, 3, Policy::Witness));
    world.run(seconds(2));
    let from = world.serving(VipId(0))[0];
    let (to, third) = (id(1 + from.0 % 3), id(1 + (from.0 + 1) % 3));
    (1..=3).for_each(|node| world.node(node).moves.clear());
    let now = world.now;
    let request = Request::Move { vip: VipId(0), to };
    assert_eq!(world.node(third.0).cluster.handle_request(now, request), Reply::Begun);
    world.run(seconds(1));
    for node in 1..=3 {
        // What levelling makes of the gap is another move.
        let told = &mut world.node(node).moves;
        told.retain(|moved| moved.vips == [VipId(0)]);
        assert_eq!(told.len(), 1, "{node}: {told:?}");
        assert_eq!((told[0].from, told[0].to), (Some(from), Some(to)));
        assert_eq!(told[0].reason, Reason::Asked);
    }
}

#[test]
fn who_leaves_hands_everything_over_first() {
    for leaver in 1..=3 {
        let mut world = World::new(settings(3, 1, 6, Policy::Quorum));
        world.run(seconds(2));
        world.gap();
        let now = world.now;
        assert_eq!(world.node(leaver).cluster.handle_request(now, Request::Leave), Reply::Begun);
        world.run(seconds(2));
        let rest: Vec<u16> = (1..=3).filter(|node| *node != leaver).collect();
        world.assert_view(&rest);
        world.assert_owned();
        assert!(world.gap() < Duration::from_millis(1), "{leaver}");
    }
}

#[test]
fn who_has_left_still_passes_on_what_comes_to_it() {
    for leaver in 1..=3 {
        let mut world = World::new(settings(3, 1, 6, Policy::Witness));
        world.run(seconds(2));
        let all = (0..6).map(VipId);
        let mine: Vec<VipId> = all.filter(|vip| world.serving(*vip) == [id(leaver)]).collect();
        let now = world.now;
        assert_eq!(world.node(leaver).cluster.handle_request(now, Request::Leave), Reply::Begun);
        world.run(seconds(1));
        assert_eq!(world.node(leaver).view.1, [], "it is in no view any more");
        for vip in &mine {
            let to = world.serving(*vip)[0];
            assert_eq!(world.node(leaver).roles[vip].1, Role::Releasing { to }, "{leaver}");
        }
        for vip in (0..6).map(VipId).filter(|vip| !mine.contains(vip)) {
            let owner = Some(world.serving(vip)[0]);
            assert_eq!(world.node(leaver).roles[&vip].1, Role::Other { owner }, "{leaver}");
        }
        // Not for ever, and whoever comes again owns nothing by that.
        world.run(seconds(12));
        for vip in &mine {
            assert!(matches!(world.node(leaver).roles[vip].1, Role::Other { .. }), "{leaver}");
        }
        assert!(world.overlaps.is_empty());
    }
}

#[test]
fn the_busiest_gives_away_until_the_nodes_are_near_to_each_other() {
    let mut world = World::new(settings(2, 1, 8, Policy::Witness));
    world.run(seconds(2));
    // The four of one node carry 200 thousandths each, those of the other 50.
    let heavy: Vec<VipId> =
        (0..8).map(VipId).filter(|vip| world.serving(*vip) == [id(1)]).collect();
    assert_eq!(heavy.len(), 4);
    let load: Vec<u16> =
        (0..8).map(|vip| if heavy.contains(&VipId(vip)) { 200 } else { 50 }).collect();
    for _ in 0..100 {
        let now = world.now;
        for node in [1, 2] {
            world.node(node).cluster.handle_load(now, &load);
        }
        world.run(seconds(1));
    }
    let used = |node: u16| -> u32 {
        let owned = (0..8).filter(|vip| world.serving(VipId(*vip)) == [id(node)]);
        owned.map(|vip| u32::from(load[usize::from(vip)])).sum()
    };
    let (a, b) = (used(1), used(2));
    assert!(a.abs_diff(b) <= 200, "{a} and {b} of 1,000");
    assert_eq!(a + b, 1_000);
    assert!(world.overlaps.is_empty());
}

#[test]
fn one_flooded_vip_does_not_wander() {
    let mut world = World::new(settings(3, 1, 3, Policy::Witness));
    world.run(seconds(2));
    let owners: Vec<_> = (0..3).map(|vip| world.serving(VipId(vip))).collect();
    for _ in 0..90 {
        let now = world.now;
        for node in 1..=3 {
            world.node(node).cluster.handle_load(now, &[1_000, 10, 10]);
        }
        world.run(seconds(1));
    }
    assert_eq!(owners, (0..3).map(|vip| world.serving(VipId(vip))).collect::<Vec<_>>());
}

#[test]
fn who_is_preferred_gets_back_what_says_so() {
    let mut settings = settings(3, 1, 3, Policy::Witness);
    settings.vips[0].prefer = Some(id(2));
    settings.vips[0].back = true;
    let mut world = World::new(settings);
    world.run(seconds(2));
    assert_eq!(world.serving(VipId(0)), [id(2)]);
    world.node(2).dead = true;
    world.run(seconds(1));
    assert_ne!(world.serving(VipId(0)), [id(2)]);
    world.gap();
    world.start(id(2), 2);
    world.run(seconds(3));
    assert_eq!(world.serving(VipId(0)), [id(2)]);
    assert!(world.gap() < Duration::from_millis(1));
}

#[test]
fn who_is_cut_off_closes_and_comes_back() {
    let mut world = World::new(settings(3, 1, 6, Policy::Quorum));
    world.run(seconds(2));
    world.part(&[3], &[1, 2]);
    world.run(seconds(1));
    world.assert_view(&[1, 2]);
    assert_eq!(owned_by(&world, 3), 0);
    world.cut.clear();
    world.run(seconds(2));
    world.assert_view(&[1, 2, 3]);
    assert_eq!([1, 2, 3].map(|node| owned_by(&world, node)), [2, 2, 2]);
    assert!(world.overlaps.is_empty());
}

#[test]
fn every_member_knows_who_works_on_flows_of_spread_addresses() {
    let mut world = World::new(settings(3, 2, 2, Policy::Witness));
    let workers = |world: &mut World, of: &[u16]| {
        let known: Vec<_> = of.iter().map(|node| world.node(*node).workers).collect();
        assert!(known.windows(2).all(|pair| pair[0] == pair[1]), "{known:?}");
        known[0].iter().map(|node| node.0).collect::<Vec<_>>()
    };
    world.run(seconds(2));
    assert_eq!(workers(&mut world, &[1, 2, 3]), [1, 2, 3]);
    let now = world.now;
    world.node(1).cluster.handle_request(now, Request::Drain { node: id(3) });
    world.run(seconds(1));
    assert_eq!(workers(&mut world, &[1, 2, 3]), [1, 2], "who is drained gets nothing");
    world.node(1).cluster.handle_request(now, Request::Restore { node: id(3) });
    world.run(seconds(1));
    assert_eq!(workers(&mut world, &[1, 2, 3]), [1, 2, 3]);
    world.node(2).dead = true;
    world.run(Duration::from_millis(300));
    assert_eq!(workers(&mut world, &[1, 3]), [1, 3], "who is dead does not");
    world.start(id(2), 2);
    world.run(seconds(3));
    assert_eq!(workers(&mut world, &[1, 2, 3]), [1, 2, 3]);
    for other in [1, 3] {
        world.cut.insert((id(2), id(other), base::NetworkId(1)));
        world.cut.insert((id(other), id(2), base::NetworkId(1)));
    }
    world.mute_witness.insert(base::NetworkId(1));
    world.run(seconds(1));
    assert_eq!(workers(&mut world, &[1, 3]), [1, 3], "a flow needs both networks");
}

#[test]
fn a_box_that_fell_gets_its_share_again_however_often_it_fell_and_whatever_there_is_to_do() {
    for loads in [[0, 0, 0], [150, 150, 150], [900, 0, 0], [300, 200, 100]] {
        let mut world = World::new(settings(3, 1, 3, Policy::Witness));
        world.run(seconds(20));
        for round in 2..8 {
            load(&mut world, &loads);
            let victim = world.serving(VipId(0))[0];
            world.node(victim.0).dead = true;
            world.run(seconds(3));
            world.start(victim, round);
            for _ in 0..40 {
                world.run(seconds(1));
                load(&mut world, &loads);
            }
            assert_eq!(owned_by(&world, victim.0), 1, "{loads:?}, round {round}");
        }
    }
}

#[test]
fn whoever_owns_nothing_among_busy_nodes_gets_its_share_once_it_can_have_one() {
    let mut world = World::new(settings(3, 1, 6, Policy::Witness));
    world.run(seconds(2));
    let now = world.now;
    let drain = Request::Drain { node: id(3) };
    assert_eq!(world.node(1).cluster.handle_request(now, drain), Reply::Begun);
    for _ in 0..40 {
        world.run(seconds(1));
        load(&mut world, &[150; 6]);
    }
    assert_eq!([1, 2, 3].map(|node| owned_by(&world, node)), [3, 3, 0]);
    let (now, restore) = (world.now, Request::Restore { node: id(3) });
    assert_eq!(world.node(2).cluster.handle_request(now, restore), Reply::Begun);
    world.run(seconds(3));
    assert_eq!([1, 2, 3].map(|node| owned_by(&world, node)), [2, 2, 2]);
}

/// What each node measures of the addresses that it serves.
fn load(world: &mut World, of: &[u16]) {
    let now = world.now;
    for node in 1..=3 {
        let served = |vip: usize| world.serving(VipId::from(vip)) == [id(node)];
        let measured = of.iter().enumerate();
        let measured: Vec<u16> =
            measured.map(|(vip, load)| if served(vip) { *load } else { 0 }).collect();
        world.node(node).cluster.handle_load(now, &measured);
    }
}

#[test]
fn whoever_has_no_weight_gives_back_what_it_had_to_take_over() {
    for load in [0, 300] {
        let mut settings = settings(3, 1, 3, Policy::Witness);
        settings.nodes[2].weight = 0;
        let mut world = World::new(settings);
        world.run(seconds(2));
        assert_eq!(owned_by(&world, 3), 0);
        world.node(1).dead = true;
        world.node(2).dead = true;
        world.run(seconds(3));
        assert_eq!(owned_by(&world, 3), 3, "nobody else can");
        world.start(id(1), 2);
        for _ in 0..20 {
            world.run(seconds(1));
            self::load(&mut world, &[load; 3]);
        }
        assert_eq!(owned_by(&world, 3), 0, "load {load}");
        assert_eq!(owned_by(&world, 1), 3);
    }
}
