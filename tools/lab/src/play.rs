//! Playing a scenario file: a lab of its own, and on it, step by step, traffic, faults, what an
//! operator types, and what must be seen.
//!
//! The same file is played with the nodes in namespaces and with the nodes booted from their image;
//! [`Nodes`] is all that differs.

mod cluster;
mod connections;
mod download;
pub mod file;
mod gaps;
mod namespaces;
mod operator;
mod secret;
mod storm;
mod wanted;

pub use namespaces::Namespaces;

use crate::faults::{self, Fault};
use crate::lifecycle::Design;
use crate::place::Place;
use crate::scenario::{Stage, log_lines};
use crate::topology::{Host, Role};
use crate::traffic::{self, Spread, Watch};
use crate::{LabError, clock, probe};
use cluster::Scene;
use connections::Connections;
use download::Download;
use file::{Check, Script, Step};
use model::config::ServiceProtocol;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How often a client asks where a check does not say it.
const REQUESTS: usize = 48;
/// How often it is looked whether something has not happened.
const GLANCE: Duration = Duration::from_millis(50);

/// The nodes of a lab, whatever they run on.
pub trait Nodes {
    /// Starts nodes that do not run, all at once, and waits until they serve.
    ///
    /// # Errors
    /// A sentence.
    fn start(&mut self, nodes: &[&Host]) -> Result<(), String>;

    /// How many datagrams a second to one address they carry with ease.
    fn ease(&self) -> u32;

    /// How many times as long as in namespaces something may take.
    fn slowness(&self) -> u32;

    /// Makes something go wrong with a node in the way that is theirs alone; nothing where it is
    /// done as with every host. What it gives is to be shown, or went wrong.
    fn own_way(&mut self, fault: &Fault) -> Option<Result<String, String>>;

    /// Where a node's own document is, if it can be changed.
    fn document(&self, node: &Host) -> Option<PathBuf>;

    /// All that a node has logged since it was started.
    fn log(&mut self, node: &str) -> String;

    /// Types on a node's console.
    ///
    /// # Errors
    /// A sentence.
    fn type_text(&mut self, node: &str, text: &str) -> Result<(), String>;

    /// All that a node's console has shown.
    fn shown(&mut self, node: &str) -> String;
}

/// A scenario that is being played.
pub struct Play<'a> {
    place: &'a Place,
    design: &'a Design,
    nodes: &'a mut dyn Nodes,
    /// How far each node's log has been searched, in octets.
    read: BTreeMap<String, usize>,
    watch: Option<Watch>,
    connections: Option<Connections>,
    scene: Scene,
}

/// How a step went: what was seen, or what went wrong.
type Outcome = Result<String, String>;

impl<'a> Play<'a> {
    /// A play on a lab that is up.
    pub fn new(place: &'a Place, design: &'a Design, nodes: &'a mut dyn Nodes) -> Play<'a> {
        let all = design.nodes().map(|(host, _)| host.name.clone());
        let first: Vec<&String> = design.first_nodes().map(|(host, _)| &host.name).collect();
        let down = all.filter(|name| !first.contains(&name)).collect();
        let scene = Scene { down, ..Scene::default() };
        Play { place, design, nodes, read: BTreeMap::new(), watch: None, connections: None, scene }
    }

    /// Plays every step, up to the first that fails, and hands out a line for each.
    ///
    /// # Errors
    /// [`LabError::Step`].
    pub fn run(&mut self, script: &Script, mut tell: impl FnMut(&str)) -> Result<(), LabError> {
        for (index, step) in script.step.iter().enumerate() {
            let name = format!("{} ({step})", index + 1);
            match self.step(step) {
                Ok(seen) if seen.is_empty() => tell(&name),
                Ok(seen) => tell(&format!("{name}: {}", seen.replace('\n', "; "))),
                Err(seen) => return Err(LabError::Step { step: name, seen }),
            }
        }
        Ok(())
    }

    /// The longest gap that a client had at the last step `probed`.
    pub fn gap(&self) -> Option<Duration> {
        self.scene.gaps.last().copied()
    }

    /// Plays one step and gives what was seen.
    ///
    /// # Errors
    /// What was seen instead of what should have been, in sentences.
    pub fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Say(_) => Ok(String::new()),
            Step::Check(check) => self.check(*check),
            Step::Web(web) => self.web(web),
            Step::Answers(answers) => self.answers(answers),
            Step::Watch(client) => self.start_watch(client),
            Step::Watched(watched) => self.end_watch(watched),
            Step::Connect(count) => self.connect(*count),
            Step::Connected(count) => self.connected(*count),
            Step::Fault(line) => self.fault(line),
            Step::Log(log) => self.wait_for_log(log),
            Step::Silent(silent) => self.silent(silent),
            Step::Console(console) => self.console(console),
            Step::Configure(change) => self.configure(change),
            Step::Probe(start) => self.start_probe(start),
            Step::Probed(probed) => self.end_probe(probed),
            Step::Gaps(wanted) => gaps::judge(&self.scene.gaps, wanted),
            Step::Download(download) => self.download(download),
            Step::Downloaded(within) => {
                let download = self.scene.download.take();
                let within = self.slow(within.0);
                download.ok_or("a step `download` must come before")?.end(within)
            }
            Step::Pick(pick) => self.pick(pick),
            Step::Owned(owned) => self.owned(owned),
            Step::Members(members) => self.members(members),
            Step::Mark(_) => self.mark(),
            Step::Since(since) => self.since(since),
            Step::Start(names) => self.start_nodes(names),
            Step::Secret(secret) => self.write_secret(secret),
            Step::Repeat(repeat) => self.repeat(repeat.times, &repeat.step),
            Step::Storm(storm) => self.storm(storm),
            Step::Flood(flood) => {
                let service = probe::service(self.design, &flood.vip)?;
                let from = self.namespace(&flood.from)?;
                let sent = storm::flood(&from, service, flood.time.0)?;
                Ok(format!("{:.0} datagrams a second", sent as f64 / flood.time.0.as_secs_f64()))
            }
            Step::Busy(busy) => {
                storm::busy(busy.threads, busy.time.0);
                Ok(String::new())
            }
            Step::Wait(time) => {
                clock::pause(time.0);
                Ok(String::new())
            }
        }
    }

    /// A step of the story that every appliance must tell.
    fn check(&mut self, check: Check) -> Outcome {
        let node = self.first_node();
        let nodes = &mut *self.nodes;
        let mut log = || nodes.log(&node);
        let (place, design) = (self.place, self.design);
        let mut stage = Stage { place, design, log: &mut log, requests: REQUESTS };
        match check {
            Check::Pings => stage.pings(),
            Check::Web => stage.web(),
            Check::Echo => stage.echo(),
            Check::Transparency => stage.transparency(),
            Check::Bulk => stage.bulk(),
        }
    }

    fn web(&self, web: &file::Web) -> Outcome {
        let service = self.service(web.service.as_deref())?;
        let host = self.namespace(&web.from)?;
        let (url, seconds) = (format!("http://{service}/"), web.patience.0.as_secs_f64());
        let spread = traffic::web_within(&host, &url, web.requests, &seconds.to_string());
        let Spread { answers, failures } = &spread;
        let enough = web.failed_at_most.is_none_or(|most| *failures <= most);
        let right = web.servers.is_none_or(|servers| answers.len() == servers);
        let without = web.without.iter().all(|server| !answers.contains_key(server));
        if enough && right && without { Ok(spread.to_string()) } else { Err(spread.to_string()) }
    }

    /// Waits until a service answers again.
    fn answers(&self, answers: &file::Answers) -> Outcome {
        let url = format!("http://{}/", self.service(answers.service.as_deref())?);
        let host = self.namespace(&answers.from)?;
        let start = clock::now();
        let answered = clock::wait_for(
            &format!("an answer of {url}"),
            self.slow(answers.within.0),
            || Ok(traffic::get(&host, &url)),
            || "no answer".into(),
        );
        let server = answered.map_err(|error| error.to_string())?;
        let took = clock::now().duration_since(start);
        Ok(format!("{server} answered after {:.1} s", took.as_secs_f64()))
    }

    fn start_watch(&mut self, client: &str) -> Outcome {
        let url = format!("http://{}/", self.service(None)?);
        self.watch = Some(Watch::start(&self.namespace(client)?, &url));
        Ok(url)
    }

    /// Ends the client that asks all the time and judges what it has seen.
    fn end_watch(&mut self, watched: &file::Watched) -> Outcome {
        let watch = self.watch.take().ok_or("nobody watches: a step `watch` must come before")?;
        let samples = watch.samples();
        let failed = samples.iter().filter(|sample| sample.answer.is_none()).count();
        let silence = longest_silence(&samples);
        let seen = format!(
            "{} requests, {failed} unanswered, at most {:.1} s without an answer",
            samples.len(),
            silence.as_secs_f64()
        );
        let few = watched.failed_at_most.is_none_or(|most| failed <= most);
        let short = watched.silence_at_most.is_none_or(|most| silence <= most.0);
        let asked = samples.len() >= watched.requests_at_least;
        if few && short && asked { Ok(seen) } else { Err(seen) }
    }

    fn connect(&mut self, count: usize) -> Outcome {
        let service = self.service(None)?;
        let opened = Connections::open(&self.namespace("client1")?, service, count)?;
        let spread = opened.spread().to_owned();
        self.connections = Some(opened);
        Ok(spread)
    }

    fn download(&mut self, download: &file::DownloadStart) -> Outcome {
        let service = self.service(download.service.as_deref())?;
        let from = self.namespace(&download.from)?;
        let lab = (self.place, &self.design.topology);
        let started = Download::start(lab, (&from, service), download.mebibytes, download.rate)?;
        self.scene.download = Some(started);
        Ok(String::new())
    }

    fn connected(&mut self, wanted: usize) -> Outcome {
        let connections = self.connections.as_mut().ok_or("a step `connect` must come before")?;
        let (alive, broken) = connections.ask();
        let colon = if broken.is_empty() { "" } else { ": " };
        let seen = format!("{alive} of {} connections answer{colon}{broken}", connections.len());
        if alive >= wanted { Ok(seen) } else { Err(seen) }
    }

    fn fault(&mut self, line: &str) -> Outcome {
        let fault = faults::parse(&self.with_names(line))?;
        if let Fault::Start { host } = &fault {
            let host = self.design.topology.host(host).map_err(|error| error.to_string())?;
            if matches!(host.role, Role::Node(_)) {
                return self.start_nodes(std::slice::from_ref(&host.name));
            }
        }
        self.note(&fault);
        let shown = match self.nodes.own_way(&fault) {
            Some(done) => done?,
            None => faults::apply(self.place, &fault).map_err(|error| error.to_string())?,
        };
        Ok(shown.trim_end().to_owned())
    }

    /// Waits for a line that comes behind the one found before.
    fn wait_for_log(&mut self, log: &file::Log) -> Outcome {
        let node = self.node(log.node.as_deref())?;
        let from = self.read.get(&node).copied().unwrap_or_default();
        let within = self.slow(log.within.0);
        let (nodes, mut seen) = (&mut *self.nodes, String::new());
        let found = clock::wait_for(
            &format!("the line `{}` in the log of {node}", log.line),
            within,
            || {
                seen = nodes.log(&node).get(from..).unwrap_or_default().to_owned();
                Ok(find_line(&seen, &log.line))
            },
            String::new,
        );
        let (line, end) = found.map_err(|error| format!("{error}{seen}"))?;
        self.read.insert(node, from + end);
        Ok(line)
    }

    /// Watches that a line does not come, from now on.
    fn silent(&mut self, silent: &file::Silent) -> Outcome {
        let node = self.node(silent.node.as_deref())?;
        let from = self.nodes.log(&node).len();
        let end = clock::now() + silent.time.0;
        while clock::now() < end {
            clock::pause(GLANCE);
            let log = self.nodes.log(&node);
            if let Some((line, _)) = find_line(log.get(from..).unwrap_or_default(), &silent.line) {
                return Err(line);
            }
        }
        Ok(String::new())
    }

    /// Where a TCP service is reached: the one of that name, or the first of IPv4.
    fn service(&self, name: Option<&str>) -> Result<SocketAddr, String> {
        let config = &self.design.config;
        let mut services: Vec<_> = config
            .services
            .iter()
            .filter(|service| service.protocol == ServiceProtocol::Tcp)
            .filter(|service| name.is_none_or(|name| service.name == name))
            .filter_map(|service| {
                let vip = config.vips.get(service.vip.index())?;
                Some(SocketAddr::new(vip.address, service.ports.first()))
            })
            .collect();
        services.sort_by_key(SocketAddr::is_ipv6);
        services.first().copied().ok_or_else(|| match name {
            Some(name) => format!("the configuration has no TCP service {name}"),
            None => "the configuration has no TCP service".into(),
        })
    }

    /// How long something may take with such nodes.
    fn slow(&self, time: Duration) -> Duration {
        time * self.nodes.slowness()
    }

    fn namespace(&self, host: &str) -> Result<String, String> {
        let host = self.design.topology.host(host).map_err(|error| error.to_string())?;
        Ok(self.place.host(&host.name))
    }

    fn node(&self, name: Option<&str>) -> Result<String, String> {
        let name = name.map_or_else(|| self.first_node(), |name| self.named(name));
        let host = self.design.topology.host(&name).map_err(|error| error.to_string())?;
        Ok(host.name.clone())
    }

    fn first_node(&self) -> String {
        "node1".into()
    }
}

/// The first line of a log that holds a text, from its stamp on, and where it ends.
fn find_line(log: &str, wanted: &str) -> Option<(String, usize)> {
    let at = log.find(wanted)?;
    let end = at + log[at..].find('\n')?;
    let start = log[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = log[start..end].trim_end();
    let stamped = log_lines(line, wanted).into_iter().next();
    Some((stamped.unwrap_or_else(|| line.to_owned()), end))
}

/// The longest time between two answers, and from the first request to the first answer.
fn longest_silence(samples: &[traffic::Sample]) -> Duration {
    let Some(first) = samples.first() else { return Duration::MAX };
    let answered = samples.iter().filter(|sample| sample.answer.is_some()).map(|one| one.ended);
    let ends = samples.last().map(|last| last.ended);
    let mut before = first.began;
    let mut longest = Duration::ZERO;
    for now in answered.chain(ends) {
        longest = longest.max(now.duration_since(before));
        before = now;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::Sample;

    #[test]
    fn a_line_is_found_whole_and_with_its_end() {
        let log = "n1> [    3.0] portico: server x down\r\n[    4.0] portico: server x up";
        let (line, end) = find_line(log, "x down").expect("it is there");
        assert_eq!(line, "[    3.0] portico: server x down");
        assert_eq!(&log[end..=end], "\n");
        assert_eq!(find_line(log, "x up"), None, "a line that is not whole yet");
        assert_eq!(find_line("other x up\n", "x up"), Some(("other x up".into(), 10)));
    }

    #[test]
    fn the_longest_silence_includes_the_beginning_and_the_end() {
        let zero = clock::now();
        let at = |milliseconds: u64| zero + Duration::from_millis(milliseconds);
        let sample = |began: u64, ended: u64, answered: bool| Sample {
            began: at(began),
            ended: at(ended),
            answer: answered.then(|| "server1".into()),
        };
        let cases = [
            (vec![sample(0, 50, true), sample(50, 60, true)], 50),
            (vec![sample(0, 10, true), sample(10, 90, false), sample(90, 95, true)], 85),
            (vec![sample(0, 10, true), sample(10, 90, false)], 80),
        ];
        for (samples, expected) in cases {
            assert_eq!(longest_silence(&samples), Duration::from_millis(expected));
        }
    }
}
