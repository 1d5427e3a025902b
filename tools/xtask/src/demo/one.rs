//! One appliance between a client and three web servers, in QEMU or in a namespace.

use super::{clean_up_on_signals, go_on, show, watch};
use crate::appliance::Appliances;
use crate::{artifacts, packages, privilege};
use lab::Place;
use lab::lifecycle::{self, Design, Plan};
use lab::play::Nodes;
use lab::scenario::Stage;
use lab::topology::Host;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

/// How often the client asks each service.
const REQUESTS: usize = 48;
/// The server that is stopped.
const VICTIM: &str = "server2";
/// The appliance.
const NODE: &str = "node1";

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

/// The whole story, with the appliance in QEMU.
///
/// # Errors
/// A sentence.
pub(super) fn tell(
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
    let mut appliances = Appliances::new(target, place, &design, artifacts)?;
    let nodes: Vec<&Host> = design.nodes().map(|(host, _)| host).collect();
    appliances.start(&nodes)?;
    show(&appliances.boot_list(NODE).join("\n"));
    let seconds = appliances.guest(NODE)?.age().as_secs_f64();
    println!("Serving {seconds:.1} s after the machine was switched on.");
    let mut log = || appliances.log(NODE);
    play(Stage { place, design: &design, log: &mut log, requests: REQUESTS }, stopped)?;
    if !check {
        let client = place.host("client1");
        let commands = [
            format!("ip netns exec {client} curl http://192.0.2.80/"),
            format!("ip netns exec {client} curl 'http://[2001:db8:1::80]/whoami'"),
            format!("ip netns pids {} | xargs kill", place.host(VICTIM)),
        ];
        watch(&design, &mut appliances, &commands, stopped);
    }
    drop(appliances);
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
    let log = place.log(NODE);
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

/// Plays every step and prints what it shows, up to the first that fails.
fn play(mut stage: Stage<'_>, stopped: &AtomicBool) -> Result<(), String> {
    for (title, step) in STEPS {
        go_on(stopped)?;
        println!("\n{title}");
        show(&step(&mut stage)?);
    }
    Ok(())
}
