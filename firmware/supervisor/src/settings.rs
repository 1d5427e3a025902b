//! The documents: what this box is told to be, and what it does when it was told nonsense.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;

use model::config::{
    Cluster, Config, Newcomer, Newcomers, Node, NodeDocument, Policy, Problem, Profile, Secret,
    Users,
};
use model::event::Event;

use crate::journal::Journal;

/// The cluster document's file name.
pub const CLUSTER: &str = "cluster.toml";
/// The node document's file name.
pub const NODE: &str = "node.toml";

/// What the box carries out.
pub struct Settings {
    /// The configuration: the document's, or what of it can be used.
    pub config: Config,
    /// This node's name in it.
    pub name: String,
    /// The cluster document as it was read.
    pub text: String,
    /// What only the boxes of the cluster know.
    pub secret: Option<Secret>,
    /// What the box brings to a running cluster, and whom it asks to let it in.
    pub newcomer: Option<Coming>,
}

/// What the box brings to a running cluster, and whom it asks to let it in.
pub type Coming = (Newcomer, Vec<IpAddr>);

impl Settings {
    /// The secret, and what a box without a cluster document goes by.
    pub fn introduction(&self) -> (Option<Secret>, Option<Coming>) {
        (self.secret.clone(), self.newcomer.clone())
    }
}

/// Reads the documents of a folder. Whatever is wrong with them is in the journal afterwards.
///
/// # Errors
/// Not even this node's own addresses are known: who may log in all the same.
pub fn load(folder: &Path, journal: &Journal) -> Result<Settings, Users> {
    let loaded = documents(folder, journal).ok_or_else(|| users(folder));
    let users = match &loaded {
        Ok(settings) => &settings.config.users,
        Err(users) => users,
    };
    if users.lost {
        journal.boot(
            "config",
            "nobody can log in: no user of the refused document could be read; start with a \
             document that is right, or with none",
        );
    }
    loaded
}

/// Who may log in if the cluster document is of no other use. A document that is there and
/// cannot be read may have had users.
fn users(folder: &Path) -> Users {
    match std::fs::read(folder.join(CLUSTER)) {
        Ok(octets) => Users::salvage(&String::from_utf8_lossy(&octets)),
        Err(error) => Users { list: Vec::new(), lost: error.kind() != ErrorKind::NotFound },
    }
}

fn documents(folder: &Path, journal: &Journal) -> Option<Settings> {
    let document = read(folder, NODE).and_then(|text| parsed(NODE, NodeDocument::parse(&text)));
    let document = match document {
        Ok(document) => document,
        Err(refusal) => return refuse(journal, &refusal, None),
    };
    if let Some(newcomer) = document.newcomer().filter(|_| !folder.join(CLUSTER).exists()) {
        return come(journal, newcomer, document);
    }
    let NodeDocument { name, secret, .. } = document;
    let text = match read(folder, CLUSTER) {
        Ok(text) => text,
        Err(refusal) => return refuse(journal, &refusal, None),
    };
    let refusal = match parsed(CLUSTER, Config::parse(&text)) {
        Ok(config) if config.node(&name).is_some() => {
            let servers: usize = config.pools.iter().map(|pool| pool.servers.len()).sum();
            let (vips, services) = (config.vips.len(), config.services.len());
            journal.note(&Event::ConfigLoaded { vips, services, servers });
            journal.boot("config", format!("{CLUSTER}, node {name}"));
            return Some(Settings { config, name, text, secret, newcomer: None });
        }
        Ok(config) => Refusal::stranger(&name, &config),
        Err(refusal) => refusal,
    };
    let rest = Config::salvage(&text, &name);
    let newcomer = None;
    refuse(journal, &refusal, rest.map(|config| Settings { config, name, text, secret, newcomer }))
}

/// A box that has no cluster document, and asks for one: until it has it, it has its own addresses.
fn come(journal: &Journal, newcomer: Newcomer, document: NodeDocument) -> Option<Settings> {
    let text = newcomer.alone();
    match parsed(NODE, Config::parse(&text)) {
        Ok(config) => {
            let NodeDocument { name, secret, peers, .. } = document;
            journal.boot("config", format!("{NODE}, no {CLUSTER}, node {name}"));
            Some(Settings { config, name, text, secret, newcomer: Some((newcomer, peers)) })
        }
        Err(Refusal { document, problems }) => {
            // The places are those of a document that was made of this one.
            let place = |problem: &String| match problem.split_once(' ') {
                Some((_, rest)) => rest.to_owned(),
                None => problem.clone(),
            };
            let problems = problems.iter().map(place).collect();
            refuse(journal, &Refusal { document, problems }, None)
        }
    }
}

/// Why a document cannot be used.
struct Refusal {
    document: &'static str,
    problems: Vec<String>,
}

impl Refusal {
    /// The document does not know this node.
    fn stranger(name: &str, config: &Config) -> Self {
        let known: Vec<_> = config.nodes.iter().map(|node| node.name.as_str()).collect();
        let known = known.join(", ");
        let problem = format!("there is no node \"{name}\", expected one of: {known}");
        Self { document: CLUSTER, problems: vec![problem] }
    }
}

fn read(folder: &Path, document: &'static str) -> Result<String, Refusal> {
    let path = folder.join(document);
    std::fs::read_to_string(&path).map_err(|error| {
        let cluster = document == CLUSTER && error.kind() == std::io::ErrorKind::NotFound;
        let hint = if cluster {
            ", expected it, or peers in node.toml that let this box into their cluster"
        } else {
            ""
        };
        let problem = format!("{} cannot be read: {error}{hint}", path.display());
        Refusal { document, problems: vec![problem] }
    })
}

fn parsed<T>(document: &'static str, result: Result<T, Vec<Problem>>) -> Result<T, Refusal> {
    result.map_err(|problems| {
        let problems = problems.iter().map(Problem::to_string).collect();
        Refusal { document, problems }
    })
}

/// Says everything that is wrong, and what happens now.
fn refuse(journal: &Journal, refusal: &Refusal, rest: Option<Settings>) -> Option<Settings> {
    let Refusal { document, problems } = refusal;
    let first = problems.first().cloned().unwrap_or_default();
    let event =
        Event::ConfigFailed { document: (*document).into(), problems: problems.len(), first };
    journal.note(&event);
    for problem in problems.iter().skip(1) {
        journal.boot("config", format!("{document}:{problem}"));
    }
    journal.boot(
        "config",
        match &rest {
            Some(_) => "failure config: this node's own addresses, no VIPs",
            None => "failure config: no addresses, no VIPs; this console only",
        },
    );
    rest
}

/// The configuration of a box that has not been told anything: a name, a console, no ports.
pub fn nothing(users: Users) -> (Config, Node) {
    let cluster = Cluster {
        name: "none".into(),
        policy: Policy::Witness,
        profile: Profile::Auto,
        newcomers: Newcomers::Welcome,
    };
    let config = Config {
        cluster,
        networks: Vec::new(),
        vips: Vec::new(),
        services: Vec::new(),
        pools: Vec::new(),
        nodes: Vec::new(),
        users,
    };
    (config, Node { name: "portico".into(), id: 1, weight: 1, ports: Vec::new() })
}
