//! A large file that is fetched slowly while something goes wrong, by curl, and its checksum.

use crate::place::Place;
use crate::topology::{Role, Topology};
use crate::{clock, servers};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The most MiB of a file.
const LARGEST: u64 = 1024;

/// A download that is going on.
#[derive(Debug)]
pub struct Download {
    child: Child,
    file: PathBuf,
    began: Instant,
    mebibytes: u64,
}

impl Download {
    /// Gives every server a file of so many MiB and starts to fetch it, at most `rate` MiB a
    /// second.
    ///
    /// # Errors
    /// A sentence.
    pub fn start(
        (place, topology): (&Place, &Topology),
        (namespace, service): (&str, SocketAddr),
        mebibytes: u64,
        rate: Option<u32>,
    ) -> Result<Download, String> {
        if !(1..=LARGEST).contains(&mebibytes) {
            return Err(format!("a file of {mebibytes} MiB; it can have 1 to {LARGEST}"));
        }
        let name = format!("numbers-{mebibytes}M");
        let file = place.folder.join(&name);
        let told = |error: std::io::Error| format!("{}: {error}", file.display());
        if !file.exists() {
            fill(&file, mebibytes).map_err(told)?;
        }
        for host in &topology.hosts {
            let link = servers::files(place, &host.name).join(&name);
            if matches!(host.role, Role::Server { .. }) && !link.exists() {
                std::fs::hard_link(&file, &link).map_err(told)?;
            }
        }
        let limit = rate.map(|rate| format!("--limit-rate {rate}M")).unwrap_or_default();
        // An end that came too early has another checksum, and so need not be told apart.
        let script = format!(
            "curl --silent --show-error --fail --max-time 600 {limit} http://{service}/{name} \
             | sha256sum"
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "sh", "-c", &script]).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.map_err(|error| format!("curl cannot be run: {error}"))?;
        Ok(Download { child, file, began: clock::now(), mebibytes })
    }

    /// Whether it still goes on.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end and gives how fast it was; its checksum must be the file's.
    ///
    /// # Errors
    /// A sentence.
    pub fn end(mut self, within: Duration) -> Result<String, String> {
        let end = clock::now() + within;
        while self.runs() && clock::now() < end {
            clock::pause(Duration::from_millis(50));
        }
        if self.runs() {
            // Its group is ours; the shell ends with the pipe that is closed here.
            let _ = self.child.kill();
            return Err(format!("the download is not done after {} s", within.as_secs()));
        }
        let took = clock::since(self.began).as_secs_f64();
        let (mut said, mut complaint) = (String::new(), String::new());
        let read = |pipe: Option<&mut dyn Read>, text: &mut String| {
            pipe.map_or(Ok(0), |pipe| pipe.read_to_string(text))
        };
        let first = read(self.child.stdout.as_mut().map(|pipe| pipe as &mut dyn Read), &mut said);
        let second =
            read(self.child.stderr.as_mut().map(|pipe| pipe as &mut dyn Read), &mut complaint);
        first.and(second).map_err(|error| format!("what curl said: {error}"))?;
        let right = checksum(&self.file)?;
        let got = said.split_whitespace().next().unwrap_or_default();
        if got != right {
            return Err(format!("the download's checksum is {got} and not {right}: {complaint}"));
        }
        let speed = self.mebibytes as f64 / took;
        Ok(format!("{} MiB in {took:.1} s ({speed:.1} MiB/s), checksum right", self.mebibytes))
    }
}

/// Numbers one after the other, so that no part is like another.
fn fill(file: &Path, mebibytes: u64) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    for number in 0..mebibytes << 17 {
        out.write_all(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())?;
    }
    out.flush()
}

fn checksum(file: &Path) -> Result<String, String> {
    let output = Command::new("sha256sum").arg(file).output();
    let output = output.map_err(|error| format!("sha256sum cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let sum = said.split_whitespace().next().map(str::to_owned);
    sum.ok_or_else(|| format!("{} has no checksum", file.display()))
}
