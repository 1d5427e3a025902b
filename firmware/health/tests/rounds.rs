//! Whole lives of servers in simulated time: when verdicts fall, and how many probes run.

mod world;

use base::time::Duration;
use base::{Instant, ServerId};
use health::{Change, Health, IN_FLIGHT, IN_FLIGHT_DOWN, Outcome, Standing, Target};
use world::{Manner, ROUND_TRIP, World, at, ms, target};

const SERVER: ServerId = ServerId(0);

/// Fails one server at many moments of its interval and gives the longest time to the verdict.
fn longest_detection(manner: Manner, target: Target) -> Duration {
    let mut longest = Duration::ZERO;
    for moment in 0..200 {
        let mut world = World::new(moment, vec![target]);
        let failure = at(5_000 + 7 * moment);
        world.run_until(failure);
        assert_eq!(world.verdicts(), [(0, true)]);
        world.manners[0] = manner;
        world.run_until(failure + ms(5_000));
        let (when, change) = world.changes[0];
        assert!(!change.up);
        longest = longest.max(when.since(failure));
    }
    longest
}

#[test]
fn a_new_server_is_served_and_probed_at_once_and_its_first_answer_is_a_verdict() {
    let mut world = World::new(1, vec![target(0)]);
    let status = world.health.status(SERVER).unwrap();
    assert!(status.served());
    assert_eq!(status.standing, Standing::Unknown { failures: 0 });
    world.run_until(at(10));
    assert_eq!(world.probes[0].0, Instant::ZERO);
    let change = Change {
        server: SERVER,
        up: true,
        cause: Outcome::Succeeded { latency: ROUND_TRIP },
        latency: Some(ROUND_TRIP),
    };
    assert_eq!(world.changes, [(Instant::ZERO + ROUND_TRIP, change)]);
}

#[test]
fn a_new_server_that_never_answered_goes_down_after_as_many_failures_as_any() {
    let mut world = World::new(1, vec![target(0)]);
    world.manners[0] = Manner::Refuses;
    world.run_until(at(99));
    assert!(world.health.status(SERVER).unwrap().served());
    world.run_until(at(101));
    assert_eq!(world.verdicts(), [(0, false)]);
}

#[test]
fn a_refusing_server_is_down_within_the_interval_whatever_fall_is() {
    for fall in [1, 2, 3, 5, 10] {
        let longest = longest_detection(Manner::Refuses, Target { fall, ..target(0) });
        assert!(longest <= ms(950) + ROUND_TRIP, "fall {fall}: {longest:?}");
        // The bound is not idle: some moment comes near it.
        assert!(longest >= ms(700), "fall {fall}: {longest:?}");
    }
}

#[test]
fn a_silent_server_is_down_within_interval_and_time_out_whatever_fall_is() {
    for fall in [1, 2, 3, 5, 10] {
        let longest = longest_detection(Manner::Silent, Target { fall, ..target(0) });
        assert!(longest <= ms(950 + 500), "fall {fall}: {longest:?}");
        assert!(longest >= ms(700 + 500), "fall {fall}: {longest:?}");
    }
}

#[test]
fn rounds_are_jittered_between_70_and_85_percent_of_the_interval() {
    let mut world = World::new(3, vec![target(0)]);
    world.run_until(at(300_000));
    let gaps: Vec<u128> =
        world.probes.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_millis()).collect();
    assert!(gaps.iter().all(|gap| (700..=850).contains(gap)), "{gaps:?}");
    for bin in 0..5 {
        let range = 700 + 30 * bin..730 + 30 * bin;
        assert!(gaps.iter().filter(|gap| range.contains(*gap)).count() > 40, "{range:?}");
    }
}

#[test]
fn one_lost_probe_is_doubled_and_changes_nothing() {
    let mut world = World::new(1, vec![target(0)]);
    world.run_until(at(650));
    world.manners[0] = Manner::Silent;
    while world.probes.len() == 1 {
        world.run_until(world.now + ms(1));
    }
    world.manners[0] = Manner::Answers;
    let lost = world.probes[1].0;
    world.run_until(lost + ms(3_000));
    assert_eq!(world.probes[2].0, lost + ms(100), "the second probe of the round");
    assert_eq!(world.verdicts(), [(0, true)], "only the first verdict");
    assert_eq!(world.health.status(SERVER).unwrap().standing, Standing::Up);
}

#[test]
fn a_server_comes_back_after_rise_successes() {
    for rise in [1, 2, 3] {
        let mut world = World::new(1, vec![Target { rise, ..target(0) }]);
        world.run_until(at(2_000));
        world.manners[0] = Manner::Refuses;
        world.run_until(at(20_000));
        assert_eq!(world.verdicts(), [(0, true), (0, false)]);
        world.manners[0] = Manner::Answers;
        let seen = world.probes.len();
        world.run_until(at(30_000));
        let (when, change) = world.changes[0];
        assert!(change.up);
        assert_eq!(when, world.probes[seen + usize::from(rise) - 1].0 + ROUND_TRIP);
    }
}

#[test]
fn a_flapping_server_must_prove_itself_longer_each_time() {
    let mut world = World::new(1, vec![target(0)]);
    world.run_until(at(5_000));
    let mut needed = Vec::new();
    for _ in 0..8 {
        world.manners[0] = Manner::Refuses;
        world.run_until(world.now + ms(1_000));
        let proof = world.health.status(SERVER).unwrap().needed;
        world.verdicts();
        world.manners[0] = Manner::Answers;
        let start = world.now;
        while world.changes.is_empty() {
            world.run_until(world.now + ms(1));
        }
        let took = world.changes[0].0.since(start).as_millis();
        let least = 700 * (u128::from(proof) - 1);
        assert!((least..=850 * u128::from(proof) + 1).contains(&took), "{proof}: {took}");
        // Falls again five seconds after it came up.
        world.run_until(world.now + ms(5_000));
        needed.push(proof);
    }
    assert_eq!(needed, [1, 2, 4, 8, 16, 32, 32, 32]);
}

#[test]
fn a_void_outcome_is_repeated_soon_and_does_not_count() {
    let mut health = Health::new(1);
    health.set_targets(at(0), vec![target(0)]);
    let mut now = at(0);
    for _ in 0..50 {
        let probe = health.poll_probe(now).unwrap();
        health.handle_result(now + ms(1), probe.id, Outcome::Void);
        assert_eq!(health.poll_event(), None);
        let again = health.next_deadline().unwrap();
        assert_eq!(again, now + ms(1) + ms(100));
        now = again;
    }
    assert_eq!(health.status(SERVER).unwrap().standing, Standing::Unknown { failures: 0 });
}

#[test]
fn a_time_out_that_is_noticed_late_is_void() {
    for (late, expected) in [
        (0, Standing::Unknown { failures: 1 }),
        (125, Standing::Unknown { failures: 1 }),
        (126, Standing::Unknown { failures: 0 }),
        (9_000, Standing::Unknown { failures: 0 }),
    ] {
        let mut health = Health::new(1);
        health.set_targets(at(0), vec![target(0)]);
        health.poll_probe(at(0)).unwrap();
        health.handle_timeout(at(500 + late));
        assert_eq!(health.status(SERVER).unwrap().standing, expected, "{late} ms late");
    }
}

#[test]
fn a_delay_voids_what_ran_meanwhile_but_not_what_has_time_to_spare() {
    let mut health = Health::new(1);
    let patient = Target { timeout: ms(5_000), fall: 1, ..target(1) };
    health.set_targets(at(0), vec![target(0), patient]);
    let ids: Vec<u64> =
        core::iter::from_fn(|| health.poll_probe(at(0))).map(|probe| probe.id).collect();
    assert_eq!(ids.len(), 2);
    health.handle_delay(at(200), ms(200));
    assert!(!health.is_running(ids[0]));
    assert!(health.is_running(ids[1]));
    assert_eq!(health.poll_event(), None);
    // What arrives for the void probe afterwards is nobody's.
    health.handle_result(at(201), ids[0], Outcome::Refused);
    assert_eq!(health.status(SERVER).unwrap().standing, Standing::Unknown { failures: 0 });
}

#[test]
fn new_targets_keep_what_is_known_of_unchanged_servers() {
    let mut world = World::new(1, vec![target(0), target(1), target(2)]);
    world.manners[1] = Manner::Refuses;
    world.run_until(at(3_000));
    let kept = world.health.status(ServerId(1)).unwrap();
    assert!(!kept.served());
    let moved = Target { port: 81, ..target(2) };
    world.health.set_targets(world.now, vec![target(1), moved, target(3)]);
    assert_eq!(world.health.status(ServerId(0)), None, "gone");
    assert_eq!(world.health.status(ServerId(1)), Some(kept), "unchanged");
    for server in [2, 3] {
        let status = world.health.status(ServerId(server)).unwrap();
        assert_eq!(status.standing, Standing::Unknown { failures: 0 }, "new");
    }
    let retimed = Target { interval: ms(200), ..target(1) };
    world.health.set_targets(world.now, vec![retimed]);
    assert_eq!(world.health.status(ServerId(1)).unwrap().standing, Standing::Down);
}

#[test]
fn probes_of_a_server_that_went_away_are_forgotten_and_make_room() {
    let mut health = Health::new(1);
    health.set_targets(at(0), (0..200).map(target).collect());
    let ids: Vec<u64> = core::iter::from_fn(|| health.poll_probe(at(0))).map(|p| p.id).collect();
    assert_eq!(ids.len(), IN_FLIGHT);
    health.set_targets(at(1), (100..101).map(target).collect());
    assert_eq!(health.in_flight(), 0);
    assert!(!health.is_running(ids[0]));
    assert_eq!(health.poll_probe(at(1)).unwrap().server, ServerId(100));
    health.handle_result(at(2), ids[0], Outcome::Refused);
    assert_eq!(health.in_flight(), 1);
}

#[test]
fn a_thousand_servers_are_watched_with_few_probes_in_flight() {
    let mut world = World::new(1, (0..1_000).map(target).collect());
    world.run_until(at(10_000));
    assert_eq!(world.verdicts().len(), 1_000);
    assert!(world.most_in_flight <= IN_FLIGHT);
    // Every server was looked at at least once an interval, though all started at one moment.
    let mut last = vec![Instant::ZERO; 1_000];
    for (when, probe) in &world.probes {
        assert!(when.since(last[probe.server.index()]) <= ms(1_000));
        last[probe.server.index()] = *when;
    }
}

#[test]
fn silent_servers_that_are_down_do_not_keep_the_others_from_being_watched() {
    let mut world = World::new(1, (0..1_000).map(target).collect());
    world.manners[..400].fill(Manner::Silent);
    world.run_until(at(20_000));
    assert_eq!(world.verdicts().iter().filter(|(_, up)| !up).count(), 400);
    let failure = world.now;
    world.manners[999] = Manner::Refuses;
    world.run_until(failure + ms(950) + ROUND_TRIP);
    assert_eq!(world.verdicts(), [(999, false)]);
    let down = world.health.in_flight();
    assert!((1..=IN_FLIGHT_DOWN + 2).contains(&down), "{down}");
}

#[test]
fn only_the_newest_verdict_about_a_server_is_told() {
    let mut health = Health::new(1);
    health.set_targets(at(0), vec![Target { fall: 1, ..target(0) }]);
    let mut now = at(0);
    for outcome in [Outcome::Refused, Outcome::Succeeded { latency: ms(1) }, Outcome::TimedOut] {
        let probe = health.poll_probe(now).unwrap();
        health.handle_result(now, probe.id, outcome);
        now = health.next_deadline().unwrap();
    }
    let change = Change { server: SERVER, up: false, cause: Outcome::TimedOut, latency: None };
    assert_eq!(health.poll_event(), Some(change));
    assert_eq!(health.poll_event(), None);
}

#[test]
fn the_same_seed_probes_at_the_same_moments() {
    let moments = |seed| {
        let mut world = World::new(seed, (0..5).map(target).collect());
        world.run_until(at(10_000));
        world.probes
    };
    assert_eq!(moments(7), moments(7));
    assert_ne!(moments(7), moments(8));
}
