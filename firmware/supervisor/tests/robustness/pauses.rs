//! The supervisor stands still, or dies and starts again.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::lab::{Lab, pause};
use crate::traffic::{Echo, Trickle, VIPS};

#[test]
fn after_a_pause_connections_go_on_and_no_server_was_taken_out() {
    let Some(mut lab) = Lab::new("after_a_pause") else { return };
    let mut echoes = lab.client.run(|| VIPS.map(Echo::open));
    let mut trickles = lab.client.run(|| VIPS.map(Trickle::open));
    // The second is longer than what the watch over the threads allows each of them.
    for seconds in [3, 10] {
        lab.signal(Signal::SIGSTOP);
        pause(Duration::from_secs(seconds));
        lab.signal(Signal::SIGCONT);
        lab.client.run(|| {
            echoes.iter_mut().for_each(Echo::round);
            trickles.iter_mut().for_each(|trickle| trickle.read(8 << 10));
        });
    }
    // Probes that were late would have come to their verdicts by now.
    pause(Duration::from_secs(1));
    assert!(!lab.log().contains(" down"), "{}", lab.log());
    lab.assert_sound();
}

#[test]
fn connections_outlive_a_kill_and_restart_of_the_supervisor() {
    let Some(mut lab) = Lab::new("connections_outlive") else { return };
    // Several of each, so that all servers have some.
    let mut echoes: Vec<_> =
        lab.client.run(|| (0..12).map(|number| Echo::open(VIPS[number % 2])).collect());
    let mut trickles = lab.client.run(|| VIPS.map(Trickle::open));
    lab.crash();
    pause(Duration::from_millis(500));
    lab.start();
    lab.wait_until("the second start", || lab.log().matches("boot: serving").count() == 2);
    lab.client.run(|| {
        echoes.iter_mut().for_each(Echo::round);
        trickles.iter_mut().for_each(|trickle| trickle.read(16 << 10));
    });
    lab.assert_sound();
}
