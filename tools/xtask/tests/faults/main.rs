//! Each fault of the lab does what it says: measured with datagrams between real hosts.
//!
//! The hosts are server1 and server2 of a lab whose appliance is not started. Bounds of time are
//! generous in one direction only: a busy machine makes things later, never earlier.

mod bench;

use bench::{Bench, COUNT};
use std::time::Duration;

/// How many hundredths a share of [`COUNT`] datagrams may be off.
const TOLERANCE: f64 = 0.05;

fn near(count: usize, share: f64) -> bool {
    (count as f64 / COUNT as f64 - share).abs() <= TOLERANCE
}

#[test]
fn a_share_of_the_frames_is_lost_in_both_directions_or_in_one() {
    let Some(bench) = Bench::new("loss") else { return };
    assert_eq!(bench.forth().distinct(), COUNT, "nothing is lost without a fault");
    bench.fault("loss server1 server2 80%");
    for heard in [bench.forth(), bench.back()] {
        assert!(near(heard.distinct(), 0.2), "{} of {COUNT} came", heard.distinct());
    }
    bench.fault("heal");
    bench.fault("loss server1 server2 80% --oneway");
    let heard = bench.forth();
    assert!(near(heard.distinct(), 0.2), "{} of {COUNT} came", heard.distinct());
    assert_eq!(bench.back().distinct(), COUNT);
    let listed = bench.fault("list");
    assert!(listed.contains("server1 → server2        loss 80% ("), "{listed}");
}

#[test]
fn a_cut_stops_both_directions_and_a_one_way_cut_only_one() {
    let Some(bench) = Bench::new("cut") else { return };
    let cases = [
        ("cut server1 server2", [0, 0]),
        ("cut server1 inside", [0, 0]),
        ("oneway server1 server2", [0, COUNT]),
        ("oneway server2 inside", [COUNT, 0]),
        ("oneway inside server2", [0, COUNT]),
        ("cut server1 node1", [COUNT, COUNT]),
    ];
    for (fault, expected) in cases {
        bench.fault(fault);
        assert_eq!([bench.forth().distinct(), bench.back().distinct()], expected, "{fault}");
        bench.fault("heal");
        assert_eq!(bench.forth().distinct(), COUNT, "healed from {fault}");
    }
}

#[test]
fn a_share_of_the_frames_comes_twice() {
    let Some(bench) = Bench::new("twice") else { return };
    bench.fault("duplicate server1 server2 30%");
    let heard = bench.forth();
    assert_eq!(heard.distinct(), COUNT, "none is lost");
    let twice = heard.numbers().len() - COUNT;
    assert!(near(twice, 0.3), "{twice} of {COUNT} came twice");
}

#[test]
fn a_share_of_the_frames_is_overtaken() {
    let Some(bench) = Bench::new("reorder") else { return };
    bench.fault("reorder server1 server2 20%");
    let heard = bench.forth();
    assert_eq!(heard.numbers().len(), COUNT, "none is lost or doubled");
    let overtaken = heard.numbers().windows(2).filter(|pair| pair[0] > pair[1]).count();
    // The frame that overtakes is not held back itself: of 120, 20 are.
    assert!(near(overtaken, 20.0 / 120.0), "{overtaken} of {COUNT} were overtaken");
    bench.fault("heal");
    assert!(bench.forth().numbers().is_sorted());
}

#[test]
fn frames_are_delayed_and_stay_in_order() {
    let Some(bench) = Bench::new("delay") else { return };
    bench.fault("delay server1 server2 200ms 50ms --oneway");
    let heard = bench.forth();
    assert_eq!(heard.distinct(), COUNT);
    assert!(heard.numbers().is_sorted());
    let fastest = heard.fastest();
    assert!(fastest >= Duration::from_millis(150), "{fastest:?}");
    assert!(fastest < Duration::from_millis(1500), "{fastest:?}");
    assert!(bench.back().fastest() < Duration::from_millis(100));
}

#[test]
fn a_pause_is_a_gap_of_that_length_and_a_killed_host_is_silent_until_it_is_started() {
    let Some(bench) = Bench::new("pause") else { return };
    let gap = bench.longest_silence_of_server1(|| {
        bench.fault("pause server1 2s");
    });
    assert!(gap >= Duration::from_millis(1900), "{gap:?}");
    assert!(gap < Duration::from_secs(8), "{gap:?}");
    bench.fault("kill server1");
    assert!(!bench.server1_answers());
    bench.fault("start server1");
    assert!(bench.server1_answers());
}

#[test]
fn a_capture_holds_what_passed() {
    let Some(bench) = Bench::new("capture") else { return };
    bench.fault("loss server1 server2 50% --oneway");
    let (sent, reached, heard) = bench.captured();
    assert_eq!(sent, COUNT, "all that was sent is in the segment's capture");
    assert_eq!(reached, heard, "what reached a host is in the capture at the host");
    assert!(near(heard, 0.5), "{heard} of {COUNT} came");
}

#[test]
fn what_a_crash_leaves_is_removed() {
    let Some(bench) = Bench::new("crash") else { return };
    let place = bench.crash();
    let sockets = || {
        let files = std::fs::read_dir(&place.folder).expect("the lab's folder");
        let paths = files.filter_map(|file| Some(file.ok()?.path()));
        paths.filter(|path| path.extension().is_some_and(|one| one == "socket")).count()
    };
    let processes = || lab::network::processes_of(&place).expect("they can be listed").len();
    assert!(sockets() > 0);
    assert!(processes() > 0);
    lab::lifecycle::down(&place).expect("it can be removed");
    assert_eq!(sockets(), 0);
    assert_eq!(processes(), 0);
    assert_eq!(lab::network::namespaces(&place).expect("they can be listed"), [""; 0]);
    std::fs::remove_dir_all(&place.folder).expect("nothing is in use");
}
