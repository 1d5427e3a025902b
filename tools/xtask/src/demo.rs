//! `cargo xtask demo`: appliances, booted from their image, between real clients and real servers.
//! Three of them and then a fourth, or one alone. And the story of one on a lab, for
//! `cargo xtask test`.

mod cluster;
mod one;

use crate::appliance::{self, Appliances};
use crate::{artifacts, packages, privilege};
use clap::Args;
use lab::lifecycle::{self, Design};
use lab::play::Nodes;
use lab::{Place, clock, network};
use nix::sys::signal::{SigSet, Signal};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use one::run_in_lab;

/// How often the serial lines are looked at when a person watches.
const GLANCE: Duration = Duration::from_millis(100);

/// What is shown.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Unattended: end after the story, with success or failure
    #[arg(long)]
    check: bool,
    /// One appliance alone, and what it does for the servers behind it
    #[arg(long)]
    one: bool,
    /// The supervisor binary; by default it is built
    #[arg(long)]
    supervisor: Option<PathBuf>,
}

/// Boots appliances, tells the story, and stays until Ctrl-C; with `check`, ends after the story.
///
/// # Errors
/// A sentence. Everything is removed in any case.
pub fn run(root: &Path, demo: &Demo) -> Result<ExitCode, String> {
    privilege::check()?;
    packages::need(&[packages::LAB, packages::IMAGE, packages::QEMU])
        .map_err(|missing| missing.to_string())?;
    println!("Building the supervisor and its image.");
    let supervisor = match &demo.supervisor {
        Some(path) => path.clone(),
        None => artifacts::supervisor(root)?,
    };
    let artifacts = appliance::image(root, &supervisor)?;
    // Built before we become root, so that what cargo writes stays ours.
    let more = format!("--supervisor={}", supervisor.display());
    let more = if demo.supervisor.is_none() { vec![more.as_str()] } else { vec![] };
    if let Some(code) = privilege::again_as_root(&more)? {
        return Ok(code);
    }
    let begin = clock::now();
    let target = root.join("target");
    let place = Place::named(&target, "demo");
    let stopped = clean_up_on_signals(&place)?;
    let told = if demo.one {
        one::tell(&target, &place, &artifacts, demo.check, &stopped)
    } else {
        let story = root.join(cluster::STORY);
        cluster::tell((&target, &place), (&story, &supervisor, &artifacts), demo.check, &stopped)
    };
    let removed = lifecycle::down(&place).map_err(|error| error.to_string());
    if stopped.load(Ordering::Relaxed) {
        println!("\nStopped; everything is removed.");
        return Ok(if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    told?;
    removed?;
    let took = clock::since(begin).as_secs_f64();
    println!("\nAll of it worked; everything is removed. It took {took:.0} s.");
    Ok(ExitCode::SUCCESS)
}

/// An error once we were told to stop.
fn go_on(stopped: &AtomicBool) -> Result<(), String> {
    if stopped.load(Ordering::Relaxed) { Err("stopped".into()) } else { Ok(()) }
}

/// Prints what was seen.
fn show(seen: &str) {
    for line in seen.lines() {
        println!("  {line}");
    }
}

/// Shows what the appliances say until we are told to stop.
fn watch(
    design: &Design,
    appliances: &mut Appliances<'_>,
    commands: &[String],
    stopped: &AtomicBool,
) {
    println!("\nThey run on. As root, in another terminal, try:");
    for command in commands {
        println!("  {command}");
    }
    println!("What they say is shown here; Ctrl-C ends everything.");
    let nodes: Vec<&String> = design.nodes().map(|(host, _)| &host.name).collect();
    let mut shown: BTreeMap<&String, usize> = BTreeMap::new();
    for node in &nodes {
        shown.insert(node, appliances.log(node).len());
    }
    while !stopped.load(Ordering::Relaxed) {
        for node in &nodes {
            let (text, from) = (appliances.log(node), shown.get(node).copied().unwrap_or_default());
            // Whole lines, as those of several come mixed.
            let new = text.get(from..).unwrap_or_default();
            let end = new.rfind('\n').map_or(0, |newline| newline + 1);
            for line in new[..end].lines().filter(|line| !line.trim().is_empty()) {
                println!("{node}: {}", line.trim_end());
            }
            shown.insert(node, from + end);
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
