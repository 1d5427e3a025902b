//! Classic capture files: read in both byte orders and both time units, written in nanoseconds.
//!
//! Reading list: draft-ietf-opsawg-pcap (the format), pcap-savefile(5).
//!
//! ```text
//!  file   | magic 4 | major 2 | minor 2 | reserved 8 | snapshot length 4 | link type 4 |
//!  record | seconds 4 | fraction 4 | captured length 4 | original length 4 | frame … |
//! ```

use alloc::vec::Vec;
use core::fmt;

use base::Instant;

use crate::bytes::array;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const ETHERNET: u32 = 1;
/// Of the link type field; above stands whether frames carry a check sequence.
const LINK_TYPE_MASK: u32 = 0xffff;
/// Enough for every frame.
const SNAPSHOT_LENGTH: u32 = 262_144;

/// Why a capture cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcapError {
    /// Shorter than the 24 octets of the file header.
    NoHeader,
    /// The first four octets are no classic capture's; pcapng is a different format.
    BadMagic(u32),
    /// A version other than 2.
    BadVersion(u16),
    /// Frames are not Ethernet (link type 1).
    NotEthernet(u32),
    /// The file ends within the record that starts at this octet.
    Truncated {
        /// Octets from the start of the file.
        offset: usize,
    },
}

impl fmt::Display for PcapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => f.write_str("shorter than a capture file's header of 24 octets"),
            Self::BadMagic(magic) => write!(
                f,
                "starts with {magic:#010x}, which is no classic capture file \
                 (pcapng is another format)"
            ),
            Self::BadVersion(major) => write!(f, "capture format version {major}, 2 is expected"),
            Self::NotEthernet(link) => write!(f, "link type {link}, 1 (Ethernet) is expected"),
            Self::Truncated { offset } => {
                write!(f, "the file ends within the record at octet {offset}")
            }
        }
    }
}

impl core::error::Error for PcapError {}

/// One captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Since the capture's own zero, usually 1970.
    pub time: Instant,
    /// As much as was captured.
    pub bytes: &'a [u8],
    /// Octets that the frame had on the wire.
    pub original_length: u32,
}

/// Iterates over the records of a capture file. After an error there is nothing more.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    file: &'a [u8],
    at: usize,
    swapped: bool,
    /// Nanoseconds in a unit of the fraction.
    unit: u64,
}

impl<'a> Reader<'a> {
    /// Reads the file header.
    ///
    /// # Errors
    /// All of [`PcapError`] but the last.
    pub fn new(file: &'a [u8]) -> Result<Self, PcapError> {
        let header: [u8; FILE_HEADER] = array(file, 0).ok_or(PcapError::NoHeader)?;
        let magic = u32::from_le_bytes(array(&header, 0).ok_or(PcapError::NoHeader)?);
        let (swapped, unit) = match magic {
            MICROSECONDS => (false, 1_000),
            NANOSECONDS => (false, 1),
            _ if magic.swap_bytes() == MICROSECONDS => (true, 1_000),
            _ if magic.swap_bytes() == NANOSECONDS => (true, 1),
            _ => return Err(PcapError::BadMagic(magic)),
        };
        let reader = Self { file, at: FILE_HEADER, swapped, unit };
        let [low, high] = array(&header, 4).ok_or(PcapError::NoHeader)?;
        let major =
            if swapped { u16::from_be_bytes([low, high]) } else { u16::from_le_bytes([low, high]) };
        if major != 2 {
            return Err(PcapError::BadVersion(major));
        }
        let link = reader.number(20).ok_or(PcapError::NoHeader)? & LINK_TYPE_MASK;
        if link != ETHERNET {
            return Err(PcapError::NotEthernet(link));
        }
        Ok(reader)
    }

    fn number(&self, at: usize) -> Option<u32> {
        let octets = array(self.file, at)?;
        Some(if self.swapped { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) })
    }

    fn record(&self) -> Option<Record<'a>> {
        let seconds = u64::from(self.number(self.at)?);
        let fraction = u64::from(self.number(self.at + 4)?);
        let length = usize::try_from(self.number(self.at + 8)?).ok()?;
        let original_length = self.number(self.at + 12)?;
        let start = self.at + RECORD_HEADER;
        let bytes = self.file.get(start..start.checked_add(length)?)?;
        let time = Instant::from_nanos(seconds * 1_000_000_000 + fraction * self.unit);
        Some(Record { time, bytes, original_length })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Record<'a>, PcapError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.file.len() {
            return None;
        }
        let Some(record) = self.record() else {
            let offset = self.at;
            self.at = self.file.len();
            return Some(Err(PcapError::Truncated { offset }));
        };
        self.at += RECORD_HEADER + record.bytes.len();
        Some(Ok(record))
    }
}

/// Writes a capture file: little-endian, nanoseconds, Ethernet.
#[derive(Clone, Debug)]
pub struct Writer {
    file: Vec<u8>,
}

impl Writer {
    /// A capture without frames.
    pub fn new() -> Self {
        let mut file = Vec::with_capacity(4096);
        file.extend(NANOSECONDS.to_le_bytes());
        file.extend(2u16.to_le_bytes());
        file.extend(4u16.to_le_bytes());
        file.extend([0; 8]);
        file.extend(SNAPSHOT_LENGTH.to_le_bytes());
        file.extend(ETHERNET.to_le_bytes());
        Self { file }
    }

    /// Appends a frame. Times beyond 2106 (32 bits of seconds) stay at the last second.
    pub fn push(&mut self, time: Instant, bytes: &[u8]) {
        self.push_part(time, bytes, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }

    /// The same for a frame of which only the beginning is there.
    pub fn push_part(&mut self, time: Instant, bytes: &[u8], original_length: u32) {
        let nanos = time.as_nanos();
        let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let fraction = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for number in [seconds, fraction, length, original_length] {
            self.file.extend(number.to_le_bytes());
        }
        self.file.extend(bytes);
    }

    /// The file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.file
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
