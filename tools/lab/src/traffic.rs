//! Real clients: curl and socat in a client's namespace, and what they saw.

use crate::clock;
use crate::command::{run_in, this_program};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a client waits for one answer, in seconds, as curl and socat take it.
const PATIENCE: &str = "2";

/// How many answers came from whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    /// Answers by the name of the server that gave them.
    pub answers: BTreeMap<String, usize>,
    /// Requests without an answer.
    pub failures: usize,
}

impl Spread {
    /// Counts one request.
    fn add(&mut self, answer: Option<String>) {
        match answer {
            Some(name) => *self.answers.entry(name).or_default() += 1,
            None => self.failures += 1,
        }
    }

    /// Whether every request was answered, and each of `servers` answered at least one.
    pub fn is_whole(&self, servers: usize) -> bool {
        self.failures == 0 && self.answers.len() == servers
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.answers.values().sum::<usize>() + self.failures;
        let parts: Vec<String> =
            self.answers.iter().map(|(name, count)| format!("{name} {count}")).collect();
        write!(f, "{all} requests: {}; {} unanswered", parts.join(", "), self.failures)
    }
}

/// Asks a web service `count` times, each on a connection of its own.
pub fn web(namespace: &str, url: &str, count: usize) -> Spread {
    web_within(namespace, url, count, PATIENCE)
}

/// As [`web`], with so many seconds for each answer.
pub fn web_within(namespace: &str, url: &str, count: usize, seconds: &str) -> Spread {
    let mut spread = Spread::default();
    for _ in 0..count {
        spread.add(get_within(namespace, url, seconds));
    }
    spread
}

/// How long an answer to a datagram is waited for. Generous: a busy machine stalls, and what is
/// asked here is whether an answer comes, not when.
pub const DATAGRAM_PATIENCE: Duration = Duration::from_secs(5);

/// Asks an echo service `count` times at once, each from a port of its own. An answer counts only
/// where it holds what was sent.
pub fn echo(namespace: &str, service: SocketAddr, count: usize) -> Spread {
    let (service, times) = (service.to_string(), count.to_string());
    let arguments = ["lab", "udp-ask", &service, &times];
    let heard = run_in(namespace, &this_program(), &arguments).unwrap_or_default();
    let mut lines = heard.lines();
    let mut spread = Spread::default();
    for _ in 0..count {
        let answer = lines.next().filter(|who| !who.is_empty());
        spread.add(answer.map(str::to_owned));
    }
    spread
}

/// The body a web service gives, without the final line end; nothing where it gave none.
pub fn get(namespace: &str, url: &str) -> Option<String> {
    get_within(namespace, url, PATIENCE)
}

/// As [`get`], with so many seconds for the answer.
fn get_within(namespace: &str, url: &str, seconds: &str) -> Option<String> {
    let arguments = ["--silent", "--fail", "--max-time", seconds, url];
    let body = run_in(namespace, "curl", &arguments).ok()?;
    let body = body.trim_end();
    (!body.is_empty()).then(|| body.to_owned())
}

/// One request of a [`Watch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When it was sent.
    pub began: Instant,
    /// When it was answered or given up.
    pub ended: Instant,
    /// Who answered.
    pub answer: Option<String>,
}

/// A client that asks without pause until it is told to stop.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    samples: Arc<Mutex<Vec<Sample>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts to ask.
    pub fn start(namespace: &str, url: &str) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let samples = Arc::new(Mutex::new(Vec::new()));
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&samples));
        let (namespace, url) = (namespace.to_owned(), url.to_owned());
        let ask = move || {
            while !stopped.load(Ordering::Relaxed) {
                let began = clock::now();
                let answer = get(&namespace, &url);
                let sample = Sample { began, ended: clock::now(), answer };
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            }
        };
        Watch { stop, samples, thread: Some(std::thread::spawn(ask)) }
    }

    /// What has been seen so far.
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It asks for at most two more seconds; a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

/// How long after `from` requests still went wrong: the end of the last one that failed, or
/// nothing where none did.
pub fn last_failure(samples: &[Sample], from: Instant) -> Option<Duration> {
    let failed = samples.iter().filter(|sample| sample.answer.is_none() && sample.ended >= from);
    failed.map(|sample| sample.ended.duration_since(from)).max()
}

/// How long after `from` the first answer of `server` came to a request sent after `from`.
pub fn first_answer(samples: &[Sample], from: Instant, server: &str) -> Option<Duration> {
    let of_server = |sample: &&Sample| sample.answer.as_deref() == Some(server);
    let mut after = samples.iter().filter(|sample| sample.began >= from).filter(of_server);
    after.next().map(|sample| sample.ended.duration_since(from))
}

/// Moves `octets` through a service and back and tells how fast it was in MB/s: downloads a file
/// of that size, or uploads one where `upload` names it.
///
/// # Errors
/// A sentence where the transfer failed or carried another number of octets.
pub fn transfer(
    namespace: &str,
    url: &str,
    upload: Option<&str>,
    octets: u64,
) -> Result<f64, String> {
    let what = if upload.is_some() {
        "%{size_upload} %{speed_upload}"
    } else {
        "%{size_download} %{speed_download}"
    };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "curl", "--silent", "--show-error", "--fail"]);
    command.args(["--max-time", "120", "--output", "/dev/null", "--write-out", what]);
    if let Some(file) = upload {
        command.args(["--upload-file", file, "--request", "POST", "--header", "Expect:"]);
    }
    let output = command
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("curl cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut numbers = said.split(' ').filter_map(|number| number.trim().parse::<f64>().ok());
    match (output.status.success(), numbers.next(), numbers.next()) {
        (true, Some(size), Some(speed)) if size as u64 == octets => Ok(speed / 1e6),
        _ => Err(format!("{url}: {octets} octets were to be moved; curl said {said} {complaint}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_read_by_time() {
        let zero = clock::now();
        let at = |milliseconds: u64| zero + Duration::from_millis(milliseconds);
        let sample = |began: u64, ended: u64, answer: Option<&str>| Sample {
            began: at(began),
            ended: at(ended),
            answer: answer.map(str::to_owned),
        };
        let samples = [
            sample(0, 10, None),
            sample(10, 20, Some("server2")),
            sample(20, 130, None),
            sample(130, 140, Some("server1")),
            sample(140, 250, None),
            sample(250, 260, Some("server2")),
        ];
        assert_eq!(last_failure(&samples, at(15)), Some(Duration::from_millis(235)));
        assert_eq!(last_failure(&samples, at(255)), None);
        assert_eq!(first_answer(&samples, at(15), "server2"), Some(Duration::from_millis(245)));
        assert_eq!(first_answer(&samples, at(15), "server3"), None);
    }

    #[test]
    fn a_spread_is_whole_when_everybody_answered() {
        let mut spread = Spread::default();
        spread.add(Some("server1".into()));
        spread.add(Some("server2".into()));
        assert!(spread.is_whole(2));
        assert!(!spread.is_whole(3));
        assert_eq!(spread.to_string(), "2 requests: server1 1, server2 1; 0 unanswered");
        spread.add(None);
        assert!(!spread.is_whole(2));
    }
}
