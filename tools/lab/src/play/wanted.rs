//! What stands in the steps of a scenario file that are about several boxes.

use super::file::{Step, Time, client1, ten_seconds};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Datagrams to the UDP services of VIPs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeStart {
    /// Who sends.
    #[serde(default = "client1")]
    pub from: String,
    /// To which; by default to all that have a UDP service.
    #[serde(default)]
    pub vips: Vec<String>,
    /// How many a second to each; by default as many as such nodes carry with ease.
    pub rate: Option<u32>,
}

/// What must be true of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probed {
    /// How many datagrams were sent.
    #[serde(default)]
    pub sent_at_least: usize,
    /// How many stayed without an answer.
    pub lost_at_most: Option<usize>,
    /// How long a client had no answer.
    pub gap_at_most: Option<Time>,
    /// How long two boxes answered for one address at once.
    pub doubled_at_most: Option<Time>,
    /// How often addresses went to another owner, all together.
    pub moves_at_most: Option<usize>,
    /// How often these did.
    #[serde(default)]
    pub moves_of_at_most: BTreeMap<String, usize>,
    /// How often a flow went to another server.
    #[serde(default)]
    pub changes_at_most: usize,
}

/// A change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configure {
    /// On whose console.
    pub node: String,
    /// What is typed between `configure` and `commit`.
    pub lines: Vec<String>,
}

/// What must be true of the longest gaps that probes saw, one a probe.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gaps {
    /// How many probes there were.
    pub probes_at_least: usize,
    /// What half of the gaps do not exceed.
    pub median_at_most: Option<Time>,
    /// What nine of ten do not exceed.
    pub nine_of_ten_at_most: Option<Time>,
}

/// A large file that is fetched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DownloadStart {
    /// Who fetches.
    #[serde(default = "client1")]
    pub from: String,
    /// From which service; by default the first.
    pub service: Option<String>,
    /// How large it is.
    pub mebibytes: u64,
    /// How many MiB a second at most.
    pub rate: Option<u32>,
}

/// Names for nodes: `owner www`, `not owner www`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pick(pub BTreeMap<String, String>);

/// Every IPv4 VIP has one owner.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owned {
    /// How long it may take.
    #[serde(default = "ten_seconds")]
    pub within: Time,
    /// How many nodes own some.
    #[serde(default)]
    pub nodes_at_least: usize,
}

/// Nodes are in one view.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// Which; by default all that run.
    pub nodes: Option<Vec<String>>,
    /// How many members it has; by default as many as these.
    pub count: Option<usize>,
    /// How long it may take.
    #[serde(default = "ten_seconds")]
    pub within: Time,
}

/// Lines of the logs since the last mark.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Since {
    /// What they hold.
    pub line: String,
    /// Whose; by default those of all nodes that run.
    pub node: Option<String>,
    /// How many.
    #[serde(default)]
    pub at_least: usize,
    /// How many.
    pub at_most: Option<usize>,
}

/// Steps that are done several times.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// How often.
    pub times: usize,
    /// What.
    pub step: Vec<Step>,
}

/// Recorded, forged and meaningless datagrams at the cluster's port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// Who sends.
    #[serde(default = "client1")]
    pub from: String,
    /// How many a second.
    pub rate: u32,
    /// For how long.
    #[serde(rename = "for")]
    pub time: Time,
}

/// Small datagrams to a UDP service, as fast as they can be sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flood {
    /// Who sends.
    #[serde(default = "client1")]
    pub from: String,
    /// To which VIP.
    pub vip: String,
    /// For how long.
    #[serde(rename = "for")]
    pub time: Time,
}

/// Threads that compute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Busy {
    /// How many.
    pub threads: usize,
    /// For how long.
    #[serde(rename = "for")]
    pub time: Time,
}

/// What a node seals with from its next start on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretOf {
    /// The node, or the name that was picked for one.
    pub node: String,
    /// What it seals with, and accepts.
    pub send: Known,
    /// What it accepts besides.
    pub accept: Option<Known>,
}

/// One of two secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Known {
    /// The one that the lab began with.
    Old,
    /// The other one.
    New,
}
