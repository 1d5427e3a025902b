//! Captures in, one sequence of frames out.

use std::fs;
use std::path::PathBuf;

use base::{Instant, PortId};
use packet::pcap::Reader;

use crate::args::NetworkCapture;
use crate::error::ReplayError;
use crate::setup::World;

/// A capture file in memory.
pub struct Capture {
    path: PathBuf,
    port: PortId,
    network: String,
    file: Vec<u8>,
}

/// A frame that the node receives.
pub struct Input<'a> {
    /// As the capture says it.
    pub time: Instant,
    /// Where it comes in.
    pub port: PortId,
    /// The network's name.
    pub network: &'a str,
    /// As much as was captured.
    pub bytes: &'a [u8],
    /// The capture holds only the beginning.
    pub cut_short: bool,
}

/// Reads all files; every network is one that the node has a port on.
pub fn read(given: &[NetworkCapture], world: &World) -> Result<Vec<Capture>, ReplayError> {
    let read = |of: &NetworkCapture| {
        let port = world.port(&of.network)?;
        let file = fs::read(&of.path)
            .map_err(|source| ReplayError::Read { path: of.path.clone(), source })?;
        Ok(Capture { path: of.path.clone(), port, network: of.network.clone(), file })
    };
    given.iter().map(read).collect()
}

/// All frames by time; at the same time in the order in which the captures were named, then in
/// which they stand there.
pub fn merge(captures: &[Capture]) -> Result<Vec<Input<'_>>, ReplayError> {
    let mut frames = Vec::new();
    for capture in captures {
        let bad = |source| ReplayError::Capture { path: capture.path.clone(), source };
        for record in Reader::new(&capture.file).map_err(bad)? {
            let record = record.map_err(bad)?;
            frames.push(Input {
                time: record.time,
                port: capture.port,
                network: &capture.network,
                bytes: record.bytes,
                cut_short: (record.bytes.len() as u64) < u64::from(record.original_length),
            });
        }
    }
    frames.sort_by_key(|frame| frame.time);
    Ok(frames)
}
