//! The command line.

use crate::Options;
use clap::Parser;
use std::path::PathBuf;

/// Rounds of a comparison unless told otherwise.
const ROUNDS: usize = 15;
/// And where it must be quick.
const QUICK_ROUNDS: usize = 3;

/// Figures that anyone can repeat, beside what one would pick instead, in one run
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", after_help = crate::groups::help())]
pub struct Arguments {
    /// The groups to measure; all of them where none is named
    #[arg(value_name = "NAME")]
    pub groups: Vec<String>,
    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
    /// Rounds of each comparison [default: 15]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: Option<u16>,
    /// Three short rounds: to see that everything works, not for figures
    #[arg(long)]
    pub quick: bool,
    /// What everything random is drawn from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The supervisor to measure
    #[arg(long, hide = true)]
    supervisor: Option<PathBuf>,
    /// The root of the workspace
    #[arg(long, hide = true, default_value = ".")]
    root: PathBuf,
}

impl Arguments {
    /// What the groups are told.
    pub fn options(&self) -> Options {
        // Programs that we start look for our files from elsewhere.
        let root = std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        let usual = if self.quick { QUICK_ROUNDS } else { ROUNDS };
        Options {
            rounds: self.rounds.map_or(usual, usize::from),
            quick: self.quick,
            seed: self.seed,
            supervisor: self.supervisor.clone(),
            folder: root.join("target/bench"),
            root,
        }
    }
}
