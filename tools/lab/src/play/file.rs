//! What stands in a scenario file. `docs/lab.md` shows it to people.

use crate::LabError;
use crate::default_config::{self, Extent};
use crate::faults;
use crate::lifecycle::{Design, Plan, SERVERS};
use crate::network::Wiring;
use crate::topology::Counts;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use super::wanted::{
    Busy, Configure, DownloadStart, Flood, Gaps, Members, Owned, Pick, ProbeStart, Probed, Repeat,
    SecretOf, Since, Storm,
};

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What it shows, in a sentence.
    pub title: String,
    /// What it is played on.
    #[serde(default)]
    pub lab: Lab,
    /// What happens, in order.
    pub step: Vec<Step>,
}

/// The lab of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lab {
    /// The cluster document, beside the scenario file; by default one is made.
    config: Option<PathBuf>,
    /// How many appliances.
    nodes: Option<usize>,
    /// How many back-end servers.
    servers: Option<usize>,
    /// How many clients.
    clients: Option<usize>,
    /// How many of the nodes run at first; the others are started by steps.
    running: Option<usize>,
    /// How many of the nodes stand in the document that those start with; by default all.
    known: Option<usize>,
    /// In the document that is made: how fast failures are detected. With emulated machines it is
    /// always `emulated`: they stall for as long as others are not given to fail.
    profile: Option<String>,
    /// The same: what a node does that does not hear the others.
    policy: Option<String>,
    /// The same: how many groups of outside VIPs, with services each.
    groups: Option<usize>,
    /// The same: how many more outside VIPs, without services, as one group.
    crowd: usize,
    /// The same: how many of the nodes, the last ones, have no document and do not stand in the
    /// others'. They are started by steps.
    newcomers: usize,
    /// What decides which frames are lost.
    seed: u64,
}

impl Default for Lab {
    fn default() -> Lab {
        Lab {
            config: None,
            nodes: None,
            servers: None,
            clients: None,
            running: None,
            known: None,
            profile: None,
            policy: None,
            groups: None,
            crowd: 0,
            newcomers: 0,
            seed: 1,
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// What the steps that follow show.
    Say(String),
    /// Something that every appliance must do.
    Check(Check),
    /// Requests, each on a connection of its own.
    Web(Web),
    /// A service answers within a time.
    Answers(Answers),
    /// This client asks without pause from now on.
    Watch(String),
    /// It ends, and this must be true of what it has seen.
    Watched(Watched),
    /// So many connections are opened, which stay open.
    Connect(usize),
    /// At least so many of them still work, with the same server.
    Connected(usize),
    /// What is typed behind `lab fault`.
    Fault(String),
    /// A line comes in the log of a node.
    Log(Log),
    /// A line does not come for a time.
    Silent(Silent),
    /// A command on the console of a node.
    Console(Console),
    /// A change of the configuration, typed on the console of a node and committed.
    Configure(Configure),
    /// Datagrams to VIPs at a steady rate, and questions who has each address, from now on.
    Probe(ProbeStart),
    /// They end, and this must be true of what was seen.
    Probed(Probed),
    /// The longest gaps of all probes so far, and this must be true of them.
    Gaps(Gaps),
    /// A large file is fetched from now on.
    Download(DownloadStart),
    /// It is whole, after this time at the latest.
    Downloaded(Time),
    /// Names for nodes, by what they own now.
    Pick(Pick),
    /// Every address has one owner.
    Owned(Owned),
    /// The nodes that run are in one view.
    Members(Members),
    /// `since` counts from here.
    Mark(bool),
    /// So many lines have come in the logs.
    Since(Since),
    /// Nodes are started, all at once.
    Start(Vec<String>),
    /// A node's document has another secret from now on.
    Secret(SecretOf),
    /// The same several times.
    Repeat(Repeat),
    /// Datagrams of ill will at the cluster's port.
    Storm(Storm),
    /// A service is flooded.
    Flood(Flood),
    /// The machine is kept busy.
    Busy(Busy),
    /// Nothing, for a time.
    Wait(Time),
}

/// Something that every appliance must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Every VIP answers a ping.
    Pings,
    /// Every TCP service is answered by every server.
    Web,
    /// Every UDP service is answered by every server.
    Echo,
    /// Servers see the client's own address.
    Transparency,
    /// Large files come whole, down and up.
    Bulk,
}

/// A time as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Time, D::Error> {
        let text = String::deserialize(input)?;
        faults::duration(&text).map(Time).map_err(serde::de::Error::custom)
    }
}

pub(super) fn client1() -> String {
    "client1".into()
}

pub(super) fn ten_seconds() -> Time {
    Time(Duration::from_secs(10))
}

/// Requests to a TCP service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// How many.
    pub requests: usize,
    /// Who asks.
    #[serde(default = "client1")]
    pub from: String,
    /// Which service; by default the first.
    pub service: Option<String>,
    /// How many may stay without an answer.
    pub failed_at_most: Option<usize>,
    /// How long each waits for its answer. Generous: a busy machine stalls.
    #[serde(default = "ten_seconds")]
    pub patience: Time,
    /// How many servers answer.
    pub servers: Option<usize>,
    /// Servers that do not answer.
    #[serde(default)]
    pub without: Vec<String>,
}

/// A TCP service answers again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// Who asks.
    #[serde(default = "client1")]
    pub from: String,
    /// Which service; by default the first.
    pub service: Option<String>,
    /// How long it may take.
    pub within: Time,
}

/// What must be true of a watch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// How many requests were made.
    #[serde(default)]
    pub requests_at_least: usize,
    /// How many of them had no answer.
    pub failed_at_most: Option<usize>,
    /// How long there was none.
    pub silence_at_most: Option<Time>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Whose; by default the first node's.
    pub node: Option<String>,
    /// What it holds.
    pub line: String,
    /// How long it may take.
    #[serde(default = "ten_seconds")]
    pub within: Time,
}

/// A line that must not come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silent {
    /// Whose; by default the first node's.
    pub node: Option<String>,
    /// What it would hold.
    pub line: String,
    /// How long it is watched for.
    #[serde(rename = "for")]
    pub time: Time,
}

/// A command on a console.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Whose; by default the first node's.
    pub node: Option<String>,
    /// What is typed; Enter follows.
    #[serde(rename = "type")]
    pub type_: String,
    /// What must be shown.
    #[serde(default)]
    pub shows: Vec<String>,
    /// What must not be shown.
    #[serde(default)]
    pub hides: Vec<String>,
    /// How long it may take.
    #[serde(default = "ten_seconds")]
    pub within: Time,
}

impl Script {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// [`LabError::File`], [`LabError::Scenario`] with line and column.
    pub fn read(path: &Path) -> Result<Script, LabError> {
        let text = std::fs::read_to_string(path).map_err(LabError::file(path))?;
        let wrong = |what: String| LabError::Scenario { file: path.into(), what };
        let mut script: Script = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        for (index, step) in script.step.iter().enumerate() {
            check(step).map_err(|what| wrong(format!("step {}: {what}", index + 1)))?;
        }
        let beside = |file: &PathBuf| path.parent().unwrap_or(Path::new("")).join(file);
        script.lab.config = script.lab.config.as_ref().map(beside);
        Ok(script)
    }

    /// The lab that it is played on; its nodes are `guests` or namespaces.
    ///
    /// # Errors
    /// As [`Plan::design`].
    pub fn design(&self, guests: bool) -> Result<Design, LabError> {
        let lab = self.lab.clone();
        let counts = Counts { nodes: lab.nodes, servers: lab.servers, clients: lab.clients };
        let extent = Extent {
            profile: if guests { Some("emulated".to_owned()) } else { lab.profile },
            policy: lab.policy,
            groups: lab.groups.unwrap_or(1),
            crowd: lab.crowd,
            newcomers: lab.newcomers,
        };
        let servers = lab.servers.unwrap_or(SERVERS);
        let early = lab.known.map(|known| default_config::extended(known, servers, &extent));
        let plan = Plan { config: lab.config, counts, users: false, extent };
        let mut design = plan.design()?;
        design.wiring = Wiring::Switch { seed: lab.seed, guests };
        design.running = lab.running.or(design.running);
        design.early = early.or(design.early);
        Ok(design)
    }
}

/// Whether the faults of a step can be typed.
fn check(step: &Step) -> Result<(), String> {
    match step {
        Step::Fault(line) => faults::parse(line).map(drop),
        Step::Repeat(repeat) => repeat.step.iter().try_for_each(check),
        Step::Check(_)
        | Step::Web(_)
        | Step::Answers(_)
        | Step::Watch(_)
        | Step::Watched(_)
        | Step::Connect(_)
        | Step::Connected(_)
        | Step::Log(_)
        | Step::Silent(_)
        | Step::Say(_)
        | Step::Console(_)
        | Step::Configure(_)
        | Step::Probe(_)
        | Step::Probed(_)
        | Step::Gaps(_)
        | Step::Download(_)
        | Step::Downloaded(_)
        | Step::Pick(_)
        | Step::Owned(_)
        | Step::Members(_)
        | Step::Mark(_)
        | Step::Since(_)
        | Step::Start(_)
        | Step::Secret(_)
        | Step::Storm(_)
        | Step::Flood(_)
        | Step::Busy(_)
        | Step::Wait(_) => Ok(()),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Say(text) => write!(f, "{text}"),
            Step::Check(check) => write!(f, "check {check:?}"),
            Step::Web(web) => write!(f, "{} requests from {}", web.requests, web.from),
            Step::Answers(answers) => write!(f, "an answer within {:?}", answers.within.0),
            Step::Watch(client) => write!(f, "{client} asks on"),
            Step::Watched(_) => write!(f, "what it has seen"),
            Step::Connect(count) => write!(f, "open {count} connections"),
            Step::Connected(count) => write!(f, "at least {count} connections work"),
            Step::Fault(line) => write!(f, "fault {line}"),
            Step::Log(log) => write!(f, "the log says `{}`", log.line),
            Step::Silent(silent) => {
                write!(f, "no `{}` in the log for {:?}", silent.line, silent.time.0)
            }
            Step::Console(console) => write!(f, "console: {}", console.type_),
            Step::Configure(change) => write!(f, "commit at {}", change.node),
            Step::Probe(_) => write!(f, "datagrams to the VIPs, questions who has them"),
            Step::Probed(_) => write!(f, "what became of them"),
            Step::Gaps(_) => write!(f, "the longest gap of each probe"),
            Step::Download(one) => write!(f, "{} MiB are fetched", one.mebibytes),
            Step::Downloaded(_) => write!(f, "they are whole"),
            Step::Pick(_) => write!(f, "who is who"),
            Step::Owned(_) => write!(f, "every address has one owner"),
            Step::Members(_) => write!(f, "one view"),
            Step::Mark(_) => write!(f, "mark"),
            Step::Since(since) => write!(f, "lines `{}` since the mark", since.line),
            Step::Start(names) => write!(f, "start {}", names.join(", ")),
            Step::Repeat(repeat) => write!(f, "{} times", repeat.times),
            Step::Storm(storm) => write!(f, "ill will, {} datagrams a second", storm.rate),
            Step::Flood(flood) => write!(f, "flood {} for {:?}", flood.vip, flood.time.0),
            Step::Secret(secret) => {
                let SecretOf { node, send, accept } = secret;
                write!(f, "{node} seals with the {send:?} secret")?;
                accept.map_or(Ok(()), |accept| write!(f, ", and accepts the {accept:?} one"))
            }
            Step::Busy(busy) => write!(f, "{} busy threads for {:?}", busy.threads, busy.time.0),
            Step::Wait(time) => write!(f, "wait {:?}", time.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Script, String> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("x.toml");
        std::fs::write(&path, text).expect("written");
        Script::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_scenario_is_read_step_by_step() {
        let text = r#"
            title = "a"
            [lab]
            servers = 2
            [[step]]
            check = "web"
            [[step]]
            fault = "loss node1 outside 80%"
            [[step]]
            silent = { line = "down", for = "1.5s" }
            [[step]]
            wait = "10ms"
        "#;
        let script = read(text).expect("it is legal");
        assert_eq!(script.lab, Lab { servers: Some(2), ..Lab::default() });
        let names: Vec<String> = script.step.iter().map(ToString::to_string).collect();
        let expected = [
            "check Web",
            "fault loss node1 outside 80%",
            "no `down` in the log for 1.5s",
            "wait 10ms",
        ];
        assert_eq!(names, expected);
        let design = script.design(true).expect("the default");
        assert_eq!(design.wiring, Wiring::Switch { seed: 1, guests: true });
    }

    #[test]
    fn nodes_that_come_later_are_unknown_to_the_first() {
        let text = r#"
            title = "a"
            [lab]
            nodes = 4
            running = 3
            known = 3
            profile = "normal"
            [[step]]
            configure = { node = "node2", lines = ["set node.n4.id 4"] }
        "#;
        let script = read(text).expect("it is legal");
        let design = script.design(false).expect("it can be built");
        let document = |node: &str| design.document(design.topology.host(node).expect("a node"));
        for node in ["node1", "node2", "node3"] {
            assert!(!document(node).contains("[node.n4]"), "{node}");
        }
        assert!(document("node4").contains("[node.n4]"));
        let all: String = document("node4").split("\n[node.n4]").take(1).collect();
        assert!(document("node1").starts_with(&all), "they differ in nothing else");
        let guests = script.design(true).expect("it can be built");
        assert!(guests.cluster.contains("profile = \"emulated\""), "whatever the file says");
    }

    #[test]
    fn every_scenario_of_clusters_is_legal_on_both_substrates() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/cluster");
        let mut count = 0;
        for entry in std::fs::read_dir(&folder).expect("the scenarios are there") {
            let path = entry.expect("an entry").path();
            let script = Script::read(&path).unwrap_or_else(|wrong| panic!("{wrong}"));
            for guests in [false, true] {
                script.design(guests).unwrap_or_else(|wrong| panic!("{wrong}"));
            }
            count += 1;
        }
        assert!(count > 15, "only {count} files were found");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let cases = [
            ("title = \"a\"\n[[step]]\njump = 1\n", "line 3"),
            ("title = \"a\"\n[[step]]\nwait = \"5\"\n", "5 is no time; 100ms, 1.5s or 2m would be"),
            ("title = \"a\"\n[[step]]\nfault = \"heal node1\"\n", "step 1: "),
            ("title = \"a\"\n[[step]]\nweb = { request = 1 }\n", "unknown field `request`"),
            ("title = \"a\"\n", "missing field `step`"),
        ];
        for (text, expected) in cases {
            let said = read(text).expect_err("it is wrong");
            assert!(said.contains("x.toml: ") && said.contains(expected), "{said}");
        }
    }
}
