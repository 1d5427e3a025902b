//! People at the page, each of whom is a curl.

use crate::arrangement::affinity::{Place, pin};
use crate::arrangement::namespace::Namespace;
use crate::{BenchError, clock};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where the page is: the node's own address outside.
const SITE: &str = "https://192.0.2.2";
/// How long something of the page is waited for.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long pages get to come alive, and the time between two looks.
const ALIVE: Duration = Duration::from_secs(20);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Gets something of the page on a connection of its own; how long that took from the start of the
/// program to the last octet. What does not come took [`PATIENCE`].
///
/// # Errors
/// Where curl cannot be run.
pub fn get(client: &Namespace, credentials: &str, path: &str) -> Result<Duration, BenchError> {
    let (address, patience) = (format!("{SITE}{path}"), PATIENCE.as_secs().to_string());
    let words = ["-s", "-f", "-k", "-m", &patience, "-u", credentials, "-o", "/dev/null", &address];
    let begin = clock::now();
    let ended = client.run(|| Command::new("curl").args(words).stdin(Stdio::null()).status())?;
    let took = clock::now() - begin;
    let answered = ended.map_err(BenchError::at("curl"))?.success();
    Ok(if answered { took.min(PATIENCE) } else { PATIENCE })
}

/// Pages that look at the live overview; they end when this is dropped.
#[derive(Debug)]
pub struct Viewers {
    viewers: Vec<(Child, PathBuf)>,
}

impl Viewers {
    /// Opens so many, on the core of the load, and waits until each has seen something.
    ///
    /// # Errors
    /// Where one does not.
    pub fn open(
        client: &Namespace,
        credentials: &str,
        count: usize,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let mut viewers = Self { viewers: Vec::new() };
        for number in 0..count {
            let path = folder.join(format!("viewer{number}"));
            let output = File::create(&path).map_err(BenchError::at(path.display()))?;
            let mut command = Command::new("curl");
            command.args(["-s", "-k", "-N", "-u", credentials, &format!("{SITE}/api/v1/live")]);
            command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
            let started = client.run(move || {
                pin(Place::Load);
                command.spawn()
            })?;
            viewers.viewers.push((started.map_err(BenchError::at("curl"))?, path));
        }
        let end = clock::now() + ALIVE;
        while viewers.snapshots().contains(&0) {
            if clock::now() >= end {
                let seen = viewers.snapshots();
                let silent = seen.iter().filter(|seen| **seen == 0).count();
                let why = format!("{silent} of {count} live pages show nothing");
                return Err(BenchError::CannotMeasure(why));
            }
            clock::pause(BETWEEN_LOOKS);
        }
        Ok(viewers)
    }

    /// Snapshots that each has seen so far.
    pub fn snapshots(&self) -> Vec<usize> {
        let count = |(_, path): &(Child, PathBuf)| {
            let text = std::fs::read(path).unwrap_or_default();
            text.windows(6).filter(|window| window == b"data: ").count()
        };
        self.viewers.iter().map(count).collect()
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        for (child, path) in &mut self.viewers {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
            let _ = std::fs::remove_file(path);
        }
    }
}
