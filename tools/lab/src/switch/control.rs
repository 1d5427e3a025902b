//! What can be asked of a running switch, and asking it: one datagram of JSON to its socket, one
//! back.

use super::pipe::{Counts, Faults, Share};
use crate::LabError;
use crate::place::Place;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The most octets of an order or an answer.
pub const LARGEST: usize = 128 * 1024;
/// How long an answer may take. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often this process has asked, so that each time has an address of its own.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// An end of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// One host.
    Host(String),
    /// The segment: whoever is there.
    Segment,
}

/// One direction between two ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Who sends.
    pub from: End,
    /// Who receives.
    pub to: End,
}

impl Link {
    /// The other direction.
    pub fn back(&self) -> Link {
        Link { from: self.to.clone(), to: self.from.clone() }
    }

    /// A seed of its own for each link (FNV-1a over its ends), so that what happens on one does
    /// not depend on how much is going on elsewhere.
    pub fn seed(&self, seed: u64) -> u64 {
        let text = self.show("");
        text.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// `node1 → outside`, with the name of the segment.
    pub fn show(&self, segment: &str) -> String {
        let name = |end: &End| match end {
            End::Host(name) => name.clone(),
            End::Segment => segment.to_owned(),
        };
        format!("{} → {}", name(&self.from), name(&self.to))
    }
}

/// A change of one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// No frame passes any more.
    Cut,
    /// This share is lost.
    Loss(Share),
    /// Every frame takes so long.
    Delay {
        /// The middle.
        delay: Duration,
        /// How far from it at most.
        jitter: Duration,
    },
    /// This share arrives twice.
    Duplicate(Share),
    /// This share is overtaken.
    Reorder(Share),
}

/// What a switch is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Change a fault of some links.
    Change(Vec<Link>, Change),
    /// End all faults, or those of some links.
    Heal(Option<Vec<Link>>),
    /// Tell the faults.
    List,
    /// Write what passes to a file, and answer when that is done.
    Capture {
        /// The file.
        file: PathBuf,
        /// For how long.
        time: Duration,
        /// What this host sends and receives; without: what all send.
        at: Option<String>,
    },
}

/// What a switch answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// These are the links with faults.
    Links(Vec<LinkState>),
    /// A capture was written.
    Captured {
        /// Frames in it.
        frames: u64,
        /// Frames that found no room in it.
        missing: u64,
    },
    /// It could not be done.
    Refused(String),
}

/// A link with faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Which one.
    pub link: Link,
    /// What it does to frames.
    pub faults: Faults,
    /// What it did.
    pub counts: Counts,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { entered, lost, duplicated, reordered } = self;
        write!(f, "{entered} frames, {lost} lost, {duplicated} twice, {reordered} overtaken")
    }
}

/// Where the switch of a segment is asked.
pub fn socket(place: &Place, segment: &str) -> PathBuf {
    place.folder.join(format!("switch-{segment}.socket"))
}

/// Asks the switch of a segment and waits for its answer, `time` longer than usual.
///
/// # Errors
/// [`LabError::NoSwitch`] where none runs, [`LabError::Switch`] with why it refused.
pub fn ask(
    place: &Place,
    segment: &str,
    order: &Order,
    time: Duration,
) -> Result<Answer, LabError> {
    let server = socket(place, segment);
    if !server.exists() {
        return Err(LabError::NoSwitch);
    }
    let (process, number) = (std::process::id(), ASKED.fetch_add(1, Ordering::Relaxed));
    let own = place.folder.join(format!("ask-{process}-{number}.socket"));
    // One of a process of our number that was killed.
    let _ = std::fs::remove_file(&own);
    let answer = exchange(&own, &server, order, time);
    // What stays is removed with the lab.
    let _ = std::fs::remove_file(&own);
    match answer.map_err(LabError::file(&server))? {
        Answer::Refused(why) => Err(LabError::Switch { segment: segment.into(), why }),
        answer @ (Answer::Done | Answer::Links(_) | Answer::Captured { .. }) => Ok(answer),
    }
}

/// Sends an order and receives the answer.
fn exchange(own: &Path, server: &Path, order: &Order, time: Duration) -> std::io::Result<Answer> {
    let socket = UnixDatagram::bind(own)?;
    socket.set_read_timeout(Some(PATIENCE + time))?;
    socket.send_to(&serde_json::to_vec(order)?, server)?;
    let mut buffer = vec![0; LARGEST];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(serde_json::from_slice(&buffer[..length])?)
}
