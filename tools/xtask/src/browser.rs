//! The browser test: a lab of its own with a page, the way to it, and Debian's Chromium driven by
//! the files of `tools/browser-test`.

use crate::{artifacts, demo, packages, privilege};
use clap::Args;
use lab::Place;
use lab::lifecycle::{self, Plan};
use lab::relay::Relay;
use lab::topology::Counts;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What the verb is told.
#[derive(Args)]
pub struct Browser {
    /// The supervisor binary; by default it is built
    #[arg(long)]
    supervisor: Option<PathBuf>,
    /// Only bring the lab up and say where the page is, until Ctrl-C: for who writes such tests
    #[arg(long)]
    hold: bool,
    /// How many boxes such a lab has
    #[arg(long, default_value_t = 1, requires = "hold")]
    nodes: usize,
}

/// What is tested, and in a lab of how many boxes.
const TESTS: [(usize, &str); 2] = [(1, "page.test.js"), (3, "cluster.test.js")];

/// Brings the lab up, tests the page, takes the lab down.
///
/// # Errors
/// A sentence for what is missing or could not be started. Tests that fail are no error but a code.
pub fn run(root: &Path, told: Browser) -> Result<ExitCode, String> {
    privilege::check()?;
    packages::need(&[packages::LAB, packages::BROWSER]).map_err(|missing| missing.to_string())?;
    let supervisor = match told.supervisor {
        Some(path) => path,
        None => artifacts::supervisor(root)?,
    };
    if let Some(code) = privilege::again_as_root(&[])? {
        return Ok(code);
    }
    let folder = root.join("tools/browser-test");
    if !told.hold {
        libraries(&folder)?;
    }
    let place = Place::named(&root.join("target"), "browser");
    let stopped = demo::clean_up_on_signals(&place)?;
    if told.hold {
        return with_page(&place, told.nodes, &supervisor, |url| {
            println!("{url} is the page of node1; Ctrl-C ends it");
            while !stopped.load(Ordering::Relaxed) {
                lab::clock::pause(Duration::from_millis(200));
            }
            Ok(ExitCode::SUCCESS)
        });
    }
    let shots = root.join("target/browser/shots");
    for (nodes, file) in TESTS {
        let code = with_page(&place, nodes, &supervisor, |url| test(&folder, file, url, &shots))?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings a lab with so many boxes up, does something with the page of its first, takes it down.
fn with_page(
    place: &Place,
    nodes: usize,
    supervisor: &Path,
    work: impl FnOnce(&str) -> Result<ExitCode, String>,
) -> Result<ExitCode, String> {
    let counts = Counts { nodes: Some(nodes), ..Counts::default() };
    let plan = Plan { users: true, counts, ..Plan::default() };
    let sentence = |error: lab::LabError| error.to_string();
    let done = plan.design().map_err(sentence).and_then(|design| {
        lifecycle::up(place, &design, supervisor).map_err(sentence)?;
        let relay = Relay::open(place, "node1", 0).map_err(sentence)?;
        let url = relay.url();
        std::thread::spawn(move || relay.run().map_err(|error| eprintln!("relay: {error}")));
        work(&url)
    });
    let removed = lifecycle::down(place).map_err(sentence);
    done.and_then(|code| removed.map(|_| code))
}

/// Sees to the libraries that the lock file names, as it names them.
fn libraries(folder: &Path) -> Result<(), String> {
    let arguments = ["ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
    let status = Command::new("npm").args(arguments).current_dir(folder).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!(
            "the libraries of the browser test could not be fetched: npm says why above; with a \
             network `npm ci` in {} does it",
            folder.display()
        )),
        Err(error) => Err(format!("npm cannot be run: {error}")),
    }
}

/// Runs the tests of a file against a page; pictures of what they saw go to a folder.
fn test(folder: &Path, file: &str, url: &str, shots: &Path) -> Result<ExitCode, String> {
    let status = Command::new("npm")
        .args(["--silent", "test", "--", file])
        .current_dir(folder)
        .env("PORTICO_PAGE", url)
        .env("PORTICO_SHOTS", shots)
        .status()
        .map_err(|error| format!("npm cannot be run: {error}"))?;
    println!("pictures of what the tests saw: {}", shots.display());
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
