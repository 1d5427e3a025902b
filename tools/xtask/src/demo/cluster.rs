//! Several appliances that share virtual addresses. The story is a scenario file; first its part up
//! to the failure is played in namespaces, for a figure that says something about the product and
//! not about an emulator.

use super::{go_on, show, watch};
use crate::appliance::Appliances;
use lab::Place;
use lab::lifecycle::{self, Design};
use lab::network::Wiring;
use lab::play::file::{Script, Step};
use lab::play::{Namespaces, Nodes, Play};
use lab::topology::Host;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Where the story stands.
pub(super) const STORY: &str = "tools/lab/scenarios/cluster/story.toml";

/// The whole story, with the appliances in QEMU.
///
/// # Errors
/// A sentence.
pub(super) fn tell(
    (target, place): (&Path, &Place),
    (story, supervisor, artifacts): (&Path, &Path, &image::Artifacts),
    check: bool,
    stopped: &AtomicBool,
) -> Result<(), String> {
    let script = Script::read(story).map_err(|error| error.to_string())?;
    println!("\nFirst the failure alone, in namespaces of this machine, for a figure to compare.");
    let gap = gap_in_namespaces(place, &script, supervisor, stopped)?;
    println!("  longest gap with the profile `normal`: {:.0} ms", gap.as_secs_f64() * 1e3);
    let design = design(&script, true)?;
    let lock = lifecycle::prepare(place, &design).map_err(|error| error.to_string())?;
    go_on(stopped)?;
    let mut appliances = Appliances::new(target, place, &design, artifacts)?;
    let first: Vec<&Host> = design.first_nodes().map(|(host, _)| host).collect();
    println!("\n{} appliances boot, each an emulated machine.", first.len());
    appliances.start(&first)?;
    for node in first {
        let boot = appliances.boot_list(&node.name).pop().unwrap_or_default();
        println!("  {}: {boot}", node.name);
    }
    let mut play = Play::new(place, &design, &mut appliances);
    for step in &script.step {
        go_on(stopped)?;
        tell_step(&mut play, step)?;
        if matches!(step, Step::Downloaded(_)) {
            show(&format!("in namespaces, the same kill: longest gap {} ms", gap.as_millis()));
        }
    }
    drop(play);
    if !check {
        let client = place.host("client1");
        let commands = [
            format!("ip netns exec {client} curl http://192.0.2.80/"),
            format!("ip netns exec {client} ping 192.0.2.82"),
            format!("ip netns pids {} | xargs kill -9", place.host("node2")),
        ];
        watch(&design, &mut appliances, &commands, stopped);
    }
    drop(appliances);
    drop(lock);
    Ok(())
}

/// Plays a step and shows what was seen.
fn tell_step(play: &mut Play<'_>, step: &Step) -> Result<(), String> {
    if let Step::Say(text) = step {
        println!("\n{text}");
        return Ok(());
    }
    let seen = play.step(step).map_err(|seen| format!("{step}: {seen}"))?;
    show(&seen);
    Ok(())
}

/// The longest gap of the story's failure where the nodes are namespaces.
fn gap_in_namespaces(
    place: &Place,
    script: &Script,
    supervisor: &Path,
    stopped: &AtomicBool,
) -> Result<Duration, String> {
    let design = design(script, false)?;
    lifecycle::up(place, &design, supervisor).map_err(|error| error.to_string())?;
    let mut nodes = Namespaces::new(place);
    let mut play = Play::new(place, &design, &mut nodes);
    let mut steps = script.step.iter();
    while play.gap().is_none() {
        go_on(stopped)?;
        let step = steps.next().ok_or("the story has no step `probed`")?;
        play.step(step).map_err(|seen| format!("{step}: {seen}"))?;
    }
    let gap = play.gap().unwrap_or_default();
    lifecycle::down(place).map_err(|error| error.to_string())?;
    Ok(gap)
}

/// What the story is played on: bridges, which carry large segments whole.
fn design(script: &Script, guests: bool) -> Result<Design, String> {
    let mut design = script.design(guests).map_err(|error| error.to_string())?;
    design.wiring = Wiring::Bridge;
    Ok(design)
}
