//! What every group is told.

use std::path::PathBuf;

/// How to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Rounds of each comparison. At least six give a 95 % interval.
    pub rounds: usize,
    /// Few rounds and short ones: to see that everything works, not for figures.
    pub quick: bool,
    /// Whatever is drawn at random is drawn from this.
    pub seed: u64,
    /// The supervisor, built for release; needed by what is measured over wires.
    pub supervisor: Option<PathBuf>,
    /// The folder for files of our own, below the workspace's `target`.
    pub folder: PathBuf,
    /// The root of the workspace.
    pub root: PathBuf,
}
