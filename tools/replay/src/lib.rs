//! What would the box do with this capture?
//!
//! Runs the forwarder alone over capture files: frames of all captures merged by time, simulated
//! time from the capture, every virtual address owned. The same input gives the same bytes.
//!
//! ```text
//!  NETWORK=CAPTURE … ── input ──> frames in order ── drive ──> Forwarder ──> DIR/NETWORK.pcap
//!                                      ^                           └───────> DIR/verdicts.jsonl
//!  CLUSTER.toml, --neighbor, --mac, --down ── setup ──> tables
//! ```
#![forbid(unsafe_code)]

mod args;
mod drive;
mod error;
mod input;
mod setup;
mod verdicts;

use std::fmt;
use std::fs;
use std::path::Path;

pub use args::{Args, Neighbor, NetworkCapture, NetworkMac, NetworkMtu};
pub use error::ReplayError;

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames read from the captures.
    pub frames: usize,
    /// Those of which the capture holds only the beginning; they count as malformed.
    pub cut_short: usize,
    /// Frames forwarded.
    pub forwarded: usize,
    /// Frames answered by a frame of the box's own.
    pub answered: usize,
    /// Frames for the node's own addresses.
    pub own: usize,
    /// Frames dropped.
    pub dropped: usize,
    /// Frames sent: written to the output captures.
    pub sent: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, cut_short, forwarded, answered, own, dropped, sent } = self;
        write!(
            f,
            "{frames} frames: {forwarded} forwarded, {answered} answered, {own} own, \
             {dropped} dropped; {sent} frames sent"
        )?;
        if *cut_short > 0 {
            write!(f, " ({cut_short} frames were not captured whole and count as malformed)")?;
        }
        Ok(())
    }
}

/// Replays the captures and writes the output files.
///
/// # Errors
/// What could not be read, does not fit together, or could not be written. Output files are
/// written last: after an error in the input there are none.
pub fn run(args: Args) -> Result<Summary, ReplayError> {
    let config = setup::read_config(&args.config)?;
    let world = setup::build(config, &args)?;
    let captures = input::read(&args.captures, &world)?;
    let frames = input::merge(&captures)?;
    let outcome = drive::drive(&world, &frames);

    fs::create_dir_all(&args.out)
        .map_err(|source| ReplayError::Write { path: args.out.clone(), source })?;
    for (network, file) in world.networks().zip(outcome.sent) {
        write(&args.out.join(format!("{network}.pcap")), &file.into_bytes())?;
    }
    let lines = verdicts::lines(&world, &frames, &outcome.verdicts);
    write(&args.out.join("verdicts.jsonl"), lines.as_bytes())?;
    Ok(verdicts::summarize(&frames, &outcome.verdicts, outcome.sent_frames))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ReplayError> {
    fs::write(path, bytes).map_err(|source| ReplayError::Write { path: path.into(), source })
}
