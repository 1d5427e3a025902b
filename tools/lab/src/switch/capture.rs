//! Writing what passes to a file that tcpdump and Wireshark read.

use super::pipe::Copied;
use crate::clock;
use base::{Instant, Offload};
use packet::{checksum, pcap};
use std::io;
use std::path::PathBuf;

/// Octets of frames in one capture. It is kept in memory until it is written.
const ROOM: usize = 64 << 20;

/// A capture that goes on.
#[derive(Debug)]
pub struct Capture {
    /// Where it is written.
    pub file: PathBuf,
    /// When it ends.
    pub until: Instant,
    /// The port whose frames are wanted, in both directions; without: what all ports send.
    pub at: Option<usize>,
    /// Whom to tell when it is done.
    pub client: PathBuf,
    writer: pcap::Writer,
    octets: usize,
    frames: u64,
    missing: u64,
}

impl Capture {
    /// Begins with nothing.
    pub fn new(file: PathBuf, until: Instant, at: Option<usize>, client: PathBuf) -> Capture {
        let writer = pcap::Writer::new();
        Capture { file, until, at, client, writer, octets: 0, frames: 0, missing: 0 }
    }

    /// Notes a frame that a port sends, before anything becomes of it.
    pub fn sent(&mut self, from: usize, bytes: &[u8], offload: Offload) {
        if self.at.is_none_or(|at| at == from) {
            self.push(bytes, offload);
        }
    }

    /// Notes a frame that a port gets, after all that became of it.
    pub fn received(&mut self, to: usize, bytes: &[u8], offload: Offload) {
        if self.at == Some(to) {
            self.push(bytes, offload);
        }
    }

    /// Writes the file and gives how many frames are in it, and how many found no room.
    ///
    /// # Errors
    /// As the file system says.
    pub fn finish(self) -> io::Result<(u64, u64)> {
        std::fs::write(&self.file, self.writer.into_bytes())?;
        Ok((self.frames, self.missing))
    }

    fn push(&mut self, bytes: &[u8], offload: Offload) {
        if self.octets + bytes.len() > ROOM {
            self.missing += 1;
            return;
        }
        let mut copy = Copied { bytes: bytes.to_vec(), offload };
        // A checksum that somebody is still to finish would be shown as a wrong one. Where the
        // offload header does not fit the frame, it is shown as it is.
        let _ = checksum::complete(&mut copy.bytes, &mut copy.offload);
        self.writer.push(clock::time_of_day(), &copy.bytes);
        self.octets += bytes.len();
        self.frames += 1;
    }
}
