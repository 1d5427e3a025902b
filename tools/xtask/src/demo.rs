//! `cargo xtask demo`: one appliance, booted from its image, between a real client and three real
//! web servers. And the same story on a lab, for `cargo xtask test`.

use crate::{appliance, artifacts, packages, privilege};
use lab::lifecycle::{self, Design, Plan};
use lab::scenario::Stage;
use lab::{Place, clock, network};
use nix::sys::signal::{SigSet, Signal};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the client asks each service.
const REQUESTS: usize = 48;
/// The server that is stopped.
const VICTIM: &str = "server2";
/// How often the serial line is looked at when a person watches.
const GLANCE: Duration = Duration::from_millis(100);

/// A step of the story: what it shows, and how.
type Step<'a> = (&'a str, fn(&mut Stage<'_>) -> Result<String, String>);

/// What an appliance must do, in the order in which it is shown.
const STEPS: [Step<'_>; 6] = [
    ("It answers for its addresses.", |stage| stage.pings()),
    ("curl through the VIPs, a connection for each request.", |stage| stage.web()),
    ("Datagrams through the VIPs.", |stage| stage.echo()),
    ("The servers see who asks.", |stage| stage.transparency()),
    ("Large transfers.", |stage| stage.bulk()),
    ("A server is killed and started again while the client asks on.", |stage| {
        stage.stop_and_return(VICTIM)
    }),
];

/// Boots an appliance, tells the story, and stays until Ctrl-C; with `check`, ends after the story.
///
/// # Errors
/// A sentence. Everything is removed in any case.
pub fn run(root: &Path, check: bool) -> Result<ExitCode, String> {
    privilege::check()?;
    packages::need(&[packages::LAB, packages::IMAGE, packages::QEMU])
        .map_err(|missing| missing.to_string())?;
    println!("Building the supervisor and its image.");
    let artifacts = appliance::build(root)?;
    if let Some(code) = privilege::again_as_root(&[])? {
        return Ok(code);
    }
    let target = root.join("target");
    let place = Place::named(&target, "demo");
    let stopped = clean_up_on_signals(&place)?;
    let told = tell(&target, &place, &artifacts, check, &stopped);
    let removed = lifecycle::down(&place).map_err(|error| error.to_string());
    if stopped.load(Ordering::Relaxed) {
        println!("\nStopped; everything is removed.");
        return Ok(if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    told?;
    removed?;
    println!("\nAll of it worked; everything is removed.");
    Ok(ExitCode::SUCCESS)
}

/// The whole story, with the appliance in QEMU.
fn tell(
    target: &Path,
    place: &Place,
    artifacts: &image::Artifacts,
    check: bool,
    stopped: &AtomicBool,
) -> Result<(), String> {
    let design = design()?;
    let lock = lifecycle::prepare(place, &design).map_err(|error| error.to_string())?;
    go_on(stopped)?;
    println!("\nThe appliance boots:");
    let mut appliance = appliance::switch_on(target, place, &design, artifacts)?;
    for line in appliance.wait_until_serving()? {
        println!("  {line}");
    }
    let seconds = appliance.guest.age().as_secs_f64();
    println!("Serving {seconds:.1} s after the machine was switched on.");
    let guest = &mut appliance.guest;
    let mut log = || guest.transcript();
    play(Stage { place, design: &design, log: &mut log, requests: REQUESTS }, stopped)?;
    if !check {
        watch(place, &mut log, stopped);
    }
    drop(appliance);
    drop(lock);
    Ok(())
}

/// The same story on a lab of its own, with the supervisor in a namespace.
///
/// # Errors
/// A sentence. Everything is removed in any case; logs stay.
pub fn run_in_lab(root: &Path) -> Result<ExitCode, String> {
    privilege::check()?;
    packages::need(&[packages::LAB]).map_err(|missing| missing.to_string())?;
    let supervisor = artifacts::supervisor(root)?;
    if let Some(code) = privilege::again_as_root(&[])? {
        return Ok(code);
    }
    let place = Place::named(&root.join("target"), "scenario");
    let design = design()?;
    let log = place.log("node1");
    let mut log = || String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
    let stopped = clean_up_on_signals(&place)?;
    let up = lifecycle::up(&place, &design, &supervisor).map_err(|error| error.to_string());
    let told = up.and_then(|()| {
        let stage = Stage { place: &place, design: &design, log: &mut log, requests: REQUESTS };
        play(stage, &stopped)
    });
    let removed = lifecycle::down(&place).map_err(|error| error.to_string());
    told.and(removed.map(drop)).map(|()| ExitCode::SUCCESS)
}

/// The default lab.
fn design() -> Result<Design, String> {
    Plan::default().design().map_err(|error| error.to_string())
}

/// An error once we were told to stop.
fn go_on(stopped: &AtomicBool) -> Result<(), String> {
    if stopped.load(Ordering::Relaxed) { Err("stopped".into()) } else { Ok(()) }
}

/// Plays every step and prints what it shows, up to the first that fails.
fn play(mut stage: Stage<'_>, stopped: &AtomicBool) -> Result<(), String> {
    for (title, step) in STEPS {
        go_on(stopped)?;
        println!("\n{title}");
        for line in step(&mut stage)?.lines() {
            println!("  {line}");
        }
    }
    Ok(())
}

/// Shows what the appliance says until we are told to stop.
fn watch(place: &Place, log: &mut dyn FnMut() -> String, stopped: &AtomicBool) {
    let client = place.host("client1");
    println!("\nThe appliance runs on. As root, in another terminal, try:");
    for command in [
        format!("ip netns exec {client} curl http://192.0.2.80/"),
        format!("ip netns exec {client} curl 'http://[2001:db8:1::80]/whoami'"),
        format!("ip netns pids {} | xargs kill", place.host(VICTIM)),
    ] {
        println!("  {command}");
    }
    println!("What it says is shown here; Ctrl-C ends everything.");
    let mut shown = log().len();
    while !stopped.load(Ordering::Relaxed) {
        let text = log();
        if let Some(new) = text.get(shown..).filter(|new| !new.is_empty()) {
            print!("{new}");
            shown = text.len();
        }
        clock::pause(GLANCE);
    }
}

/// Sees to it that Ctrl-C and the like end the story: the lab's processes are ended for as long as
/// we are there, so that whatever waits for one of them goes on and finds the flag set. What we
/// start inherits that these signals are held back; only nginx lets them through again.
///
/// # Errors
/// A sentence.
pub fn clean_up_on_signals(place: &Place) -> Result<Arc<AtomicBool>, String> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().map_err(|error| format!("signals cannot be held back: {error}"))?;
    let stopped = Arc::new(AtomicBool::new(false));
    let (flag, place) = (Arc::clone(&stopped), place.clone());
    std::thread::spawn(move || {
        if signals.wait().is_err() {
            return;
        }
        flag.store(true, Ordering::Relaxed);
        loop {
            // Who removes the lab will say what could not be ended.
            let _ = network::end_processes(&place);
            clock::pause(GLANCE);
        }
    });
    Ok(stopped)
}
