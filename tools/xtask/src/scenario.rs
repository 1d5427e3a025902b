//! `cargo xtask lab run FILE --on netns|qemu`: a scenario file, played on a lab of its own.

use crate::appliance::{self, Appliances};
use crate::demo::clean_up_on_signals;
use crate::{artifacts, packages, privilege};
use clap::{Args, ValueEnum};
use lab::lifecycle::{self, Design};
use lab::play::file::Script;
use lab::play::{Namespaces, Nodes, Play};
use lab::topology::Host;
use lab::{Place, clock};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Which file is played, and on what.
#[derive(Debug, Args)]
pub struct Run {
    /// The scenario file; tools/lab/scenarios has some
    file: PathBuf,
    /// What the nodes run on: namespaces, or emulated machines that boot the image
    #[arg(long, default_value = "netns")]
    on: Substrate,
    /// The name of the lab; labs of different names do not disturb each other
    #[arg(long, default_value = "run")]
    name: String,
    /// The supervisor binary; by default it is built
    #[arg(long)]
    supervisor: Option<PathBuf>,
}

/// What nodes run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Substrate {
    Netns,
    Qemu,
}

/// Plays a scenario and tells each step; everything is removed in any case, logs stay.
///
/// # Errors
/// A sentence, with the step that failed.
pub fn run(root: &Path, run: &Run) -> Result<ExitCode, String> {
    let script = Script::read(&run.file).map_err(|error| error.to_string())?;
    let design = script.design(run.on == Substrate::Qemu).map_err(|error| error.to_string())?;
    privilege::check()?;
    let wanted: &[&[packages::Program]] = match run.on {
        Substrate::Netns => &[packages::LAB],
        Substrate::Qemu => &[packages::LAB, packages::IMAGE, packages::QEMU],
    };
    packages::need(wanted).map_err(|missing| missing.to_string())?;
    let target = root.join("target");
    let place = Place::named(&target, &run.name);
    println!("{}", script.title);
    let begin = clock::now();
    let supervisor = match &run.supervisor {
        Some(path) => path.clone(),
        None => artifacts::supervisor(root)?,
    };
    // Built before we become root, so that what cargo writes stays ours.
    let more = format!("--supervisor={}", supervisor.display());
    let more = if run.supervisor.is_none() { vec![more.as_str()] } else { vec![] };
    if let Some(code) = privilege::again_as_root(&more)? {
        return Ok(code);
    }
    match run.on {
        Substrate::Netns => {
            let build = || {
                lifecycle::up(&place, &design, &supervisor).map_err(|error| error.to_string())?;
                Ok(Namespaces::new(&place))
            };
            on_stage(&place, &design, &script, build)?;
        }
        Substrate::Qemu => {
            let built = appliance::image(root, &supervisor)?;
            let build = || {
                let lock = lifecycle::prepare(&place, &design);
                drop(lock.map_err(|error| error.to_string())?);
                let mut nodes = Appliances::new(&target, &place, &design, &built)?;
                let first: Vec<&Host> = design.first_nodes().map(|(host, _)| host).collect();
                nodes.start(&first)?;
                Ok(nodes)
            };
            on_stage(&place, &design, &script, build)?;
        }
    }
    let took = clock::now().duration_since(begin).as_secs_f64();
    println!("all of it is as it should be, after {took:.0} s");
    Ok(ExitCode::SUCCESS)
}

/// Builds a lab, plays on it, and removes it.
fn on_stage<N: Nodes>(
    place: &Place,
    design: &Design,
    script: &Script,
    build: impl FnOnce() -> Result<N, String>,
) -> Result<(), String> {
    let _stopped = clean_up_on_signals(place)?;
    let played = build().and_then(|mut nodes| {
        let mut play = Play::new(place, design, &mut nodes);
        play.run(script, |line| println!("  {line}")).map_err(|error| error.to_string())
    });
    let removed = lifecycle::down(place).map_err(|error| error.to_string());
    played.and(removed.map(drop))
}
