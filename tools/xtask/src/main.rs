//! The verbs that people type: `cargo xtask VERB`.
//!
//! Each verb sees to the programs of the host that it needs, does its work, and says what failed in
//! a sentence. Rust work is left to cargo, so that this crate stays small and quick to build.
#![forbid(unsafe_code)]

mod appliance;
mod artifacts;
mod bench;
mod browser;
mod demo;
mod fuzz;
mod packages;
mod privilege;
mod scenario;
mod sim;
mod tidy;
mod verify;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Build, check and try Portico",
    disable_version_flag = true
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Boot appliances between real clients and real servers, and show what they do
    Demo(demo::Demo),
    /// The story of one appliance on a lab (`test` runs this)
    #[command(hide = true)]
    LabScenario,
    /// The page in a real browser, on a lab of its own (`test --all` runs this)
    BrowserTest(browser::Browser),
    /// Check everything: format, lints, gates, unit tests, one lab and one QEMU scenario
    Test {
        /// Also what takes long: run before a release
        #[arg(long)]
        all: bool,
    },
    /// Throw made-up inputs at everything that takes octets from outside (see docs/testing.md)
    Fuzz(fuzz::Fuzz),
    /// Check the gates that the tree enforces on itself (see STYLE.md)
    Tidy,
    /// Build the image of a board: kernel, initramfs and manifest in target/images
    Image {
        /// A file of the folder board, without its ending
        board: String,
        /// Also write `initrd`: the initramfs with the cluster.toml and node.toml of this folder
        #[arg(long, value_name = "DIR")]
        config: Option<PathBuf>,
    },
    /// Real appliances, servers and clients in network namespaces
    Lab {
        #[command(subcommand)]
        verb: LabVerb,
    },
    /// Check a cluster configuration and print every problem with its place
    Check {
        /// The file to check
        file: PathBuf,
    },
    /// Measure: figures beside what one would pick instead, in one run (see docs/performance.md)
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed on to the bench tool; try --help
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Whole clusters in simulated time, decided by seeds, with every promise checked
    #[command(disable_help_flag = true)]
    Sim {
        /// Handed on to the simulator; try --help
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the forwarder over captures: what would the box do with these frames?
    #[command(disable_help_flag = true)]
    Replay {
        /// Handed on to the replay tool; try --help
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// The verbs of the lab, and the one that needs the image as well.
#[derive(Subcommand)]
enum LabVerb {
    /// Play a scenario file on a lab of its own: topology, traffic, faults, expectations
    Run(scenario::Run),
    #[command(flatten)]
    Other(lab::cli::Verb),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Demo(demo) => demo::run(&root(), &demo),
        Verb::LabScenario => demo::run_in_lab(&root()),
        Verb::BrowserTest(told) => browser::run(&root(), told),
        Verb::Test { all } => verify::run(&root(), all),
        Verb::Fuzz(arguments) => fuzz::run(&root(), &arguments),
        Verb::Tidy => tidy(),
        Verb::Image { board, config } => {
            artifacts::print_image(&root(), &board, config.as_deref()).map(|()| ExitCode::SUCCESS)
        }
        Verb::Lab { verb: LabVerb::Run(run) } => scenario::run(&root(), &run),
        Verb::Lab { verb: LabVerb::Other(verb) } => run_lab(verb),
        Verb::Check { file } => {
            cargo_run("portico", &["check".into(), file.to_string_lossy().into_owned()])
        }
        Verb::Bench { arguments } => bench::run(&root(), &arguments),
        Verb::Sim { arguments } => sim::run(&root(), &arguments),
        Verb::Replay { arguments } => cargo_run("portico-replay", &arguments),
    };
    outcome.unwrap_or_else(|problem| {
        eprintln!("xtask: {problem}");
        ExitCode::FAILURE
    })
}

/// The root of the tree: cargo says at run time where this crate stands, so that a tree that was
/// moved checks itself and not the place where it was built.
pub(crate) fn root() -> PathBuf {
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let start = crate_folder.or_else(|| std::env::current_dir().ok()).unwrap_or_default();
    let is_root =
        |folder: &&Path| folder.join("firmware").is_dir() && folder.join("board").is_dir();
    start.ancestors().find(is_root).unwrap_or(&start).to_path_buf()
}

/// Prints what the gates find.
fn tidy() -> Result<ExitCode, String> {
    let findings =
        tidy::run(&root()).map_err(|error| format!("the tree cannot be listed: {error}"))?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} findings", findings.len());
    Ok(ExitCode::FAILURE)
}

/// Sees to programs, the supervisor and root, then lets the lab do its verb.
fn run_lab(verb: lab::cli::Verb) -> Result<ExitCode, String> {
    use lab::cli::Verb;
    let place = lab::Place::standard(&root().join("target"));
    let mut more = Vec::new();
    if let Verb::Up(up) = &verb {
        privilege::check()?;
        packages::need(&[packages::LAB]).map_err(|missing| missing.to_string())?;
        if up.supervisor.is_none() && !privilege::is_root() {
            // Built before we become root, so that what cargo writes stays ours.
            more.push(format!("--supervisor={}", artifacts::supervisor(&root())?.display()));
        }
    }
    if !matches!(verb, Verb::UdpEcho { .. } | Verb::Switch { .. }) {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        if let Some(code) = privilege::again_as_root(&more)? {
            return Ok(code);
        }
    }
    let supervisor = || artifacts::supervisor(&root()).map_err(lab::LabError::NoSupervisor);
    lab::cli::run(&place, verb, supervisor).map_err(|error| error.to_string())
}

/// Runs another tool of the workspace in the person's folder and takes over how it ended.
fn cargo_run(package: &str, arguments: &[String]) -> Result<ExitCode, String> {
    let status = Command::new(cargo())
        .args(["run", "--quiet", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .args(["--package", package, "--"])
        .args(arguments)
        .status()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// The cargo that runs us.
pub(crate) fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
