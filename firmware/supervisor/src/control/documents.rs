//! One document for all boxes: what a commit at one of them means to the others, and when it is in
//! force here.

use std::sync::Arc;

use base::{Instant, NodeId};
use cluster::config::{Decision, DocumentId, Record, Unfit};
use model::config::{Config, Node};
use model::event::Event;
use model::operator::{Reply, Request};
use model::{Policy, config};
use node::membership::InForce;
use node::revisions::{Apply, Proposal};

use super::newcomers::Entering;
use super::questions::deliver;
use super::{ControlThread, Ending, Question, State};
use crate::pulse::Order;

/// Documents that may come into force: one of ours, one of somebody else.
const KEPT: usize = 2;
/// Problems of a document that its author is told.
const TOLD: usize = 3;

/// Why a box that asks to be let in commits nothing.
const NOT_LET_IN: &str = "this box asks to be let into a running cluster, as its node.toml says, \
                          and takes the cluster's document then: commit at a box of the cluster. \
                          `show log` says what it is answered";

/// What waits for the other boxes.
#[derive(Default)]
pub struct Waiting {
    /// Documents that may come into force.
    records: Vec<Record>,
    /// Who committed the one that we proposed.
    question: Option<(DocumentId, Question)>,
    /// The newcomer that we proposed last.
    pub(super) entering: Option<Entering>,
}

impl Waiting {
    fn keep(&mut self, record: Record) {
        let id = record.id();
        self.records.retain(|known| known.id() != id);
        if self.records.len() >= KEPT {
            self.records.remove(0);
        }
        self.records.push(record);
    }
}

impl ControlThread {
    /// Proposes a document to the other boxes.
    ///
    /// # Errors
    /// Why it was not proposed, for people.
    pub(super) fn propose(
        &mut self,
        now: Instant,
        proposal: Proposal,
        state: &State,
    ) -> Result<DocumentId, String> {
        let Proposal { record, apply: Apply { config, node } } = proposal;
        self.judge_config(&config, &node, state)?;
        if let Some(why) = too_many(self.control.plan().config(), &config) {
            return Err(why);
        }
        let id = record.id();
        let Some(member) = &mut self.member else { return Err(alone_without_secret()) };
        if member.council.is_newcomer() {
            return Err(NOT_LET_IN.into());
        }
        self.waiting.keep(record.clone());
        let proposed = member.council.propose(now, &record, &config, &node);
        proposed.map(|()| id).map_err(|why| self.unfit(why))
    }

    /// Keeps the question of a commit until the other boxes have answered.
    pub(super) fn wait_for_decision(&mut self, id: DocumentId, question: Question) {
        self.waiting.question = Some((id, question));
    }

    /// Why a document is not proposed.
    fn unfit(&self, why: Unfit) -> String {
        match why {
            Unfit::Outside => "this box is part of no view of the cluster, so that nothing can be \
                               agreed on: nothing was changed. `show cluster` says whom it hears"
                .into(),
            Unfit::Busy => "the commit before is still being agreed on, try again in some \
                            seconds: nothing was changed"
                .into(),
            Unfit::Overtaken(by) => format!(
                "a commit at {} is on its way: nothing of yours was changed. When it is in force, \
                 `compare` shows how your candidate differs from it",
                self.name_of(by)
            ),
            Unfit::Stale => "another document came into force meanwhile: nothing was changed, \
                             try again"
                .into(),
            Unfit::Malformed => "the document and its history are too long to be given to the \
                                 other boxes: nothing was changed"
                .into(),
        }
    }

    fn name_of(&self, id: NodeId) -> String {
        named(&self.control.plan().config().nodes, id)
    }

    /// A document of another box is to be judged: it is read first.
    pub(super) fn judge(&mut self, record: Arc<Record>, from: NodeId) {
        self.waiting.keep(Record::clone(&record));
        self.desk.read(record, from, &self.control.plan().node().name);
    }

    /// Says whether this box could carry out a document of another, which was read.
    pub(super) fn judged(
        &mut self,
        now: Instant,
        record: &Record,
        from: NodeId,
        read: Result<(Config, Node), String>,
        state: &State,
    ) {
        let verdict = read.and_then(|(config, node)| {
            self.judge_config(&config, &node, state)?;
            Ok((config, node))
        });
        if let Err(reason) = &verdict {
            let (node, reason) = (self.name_of(from), reason.clone());
            self.journal.note(&Event::ConfigUnfit { node, reason });
        }
        if let Some(member) = &mut self.member {
            member.council.handle_judged(now, record.id(), verdict);
        }
        self.confer(now, state);
    }

    fn judge_config(&self, config: &Config, node: &Node, state: &State) -> Result<(), String> {
        if let Some(why) = beyond(self.control.plan().config(), config) {
            return Err(why);
        }
        let rehearsed = self.control.rehearse(config.clone(), node.clone(), &state.measured);
        rehearsed.map_err(|why| why.to_string())
    }

    /// Another document is in force: carries it out, before anything that goes by its numbers.
    pub(super) fn put_in_force(&mut self, now: Instant, in_force: InForce, state: &State) {
        let InForce { id, origin, places, config, node } = in_force;
        self.control.renumber_peers(&places);
        let apply = Apply { config: config.clone(), node: node.clone() };
        if let Err(why) = self.apply(now, apply, state) {
            // It was possible when it was judged. What follows goes by numbers that this box does
            // not have: it begins anew, with the others' document.
            let first = why.to_string();
            let document = "the document of the cluster".into();
            self.journal.note(&Event::ConfigFailed { document, problems: 1, first });
            self.ending.ask(Ending::REBOOT);
            return;
        }
        let found = self.waiting.records.iter().position(|record| record.id() == id);
        if let Some(at) = found {
            let record = self.waiting.records.remove(at);
            self.desk.with(|engine| engine.adopt(now, &record, origin));
        }
        let record = self.desk.with(|engine| engine.record(now));
        if let Some(member) = &mut self.member {
            member.council.handle_record(&record);
            member.forget_ports(node.ports.len());
            member.order(Order::Document(Box::new((id, config, node))));
        }
    }

    /// What this box proposed is decided: whoever committed it is told.
    pub(super) fn decided(&mut self, id: DocumentId, decision: &Decision) {
        self.entered(id, decision);
        let Some((_, question)) = self.waiting.question.take_if(|(asked, _)| *asked == id) else {
            return;
        };
        let nodes = self.control.plan().config().nodes.clone();
        let name = |id: NodeId| named(&nodes, id);
        let reply = self.desk.with(|engine| engine.decided(decision, name));
        deliver(question, reply);
    }

    /// Carries out by this box alone what comes of a request, where there is nobody to agree with.
    pub(super) fn refuse_alone(&self, then: &Config) -> Option<String> {
        let now = self.control.plan().config();
        let several = now.nodes.len() > 1 || then.nodes.len() > 1;
        let same = (&now.cluster, &now.networks, &now.vips, &now.nodes)
            == (&then.cluster, &then.networks, &then.vips, &then.nodes);
        (self.member.is_none() && several && !same).then(alone_without_secret)
    }
}

/// The name of a node among others.
pub fn named(nodes: &[Node], id: NodeId) -> String {
    let known = nodes.iter().find(|node| NodeId(node.id.into()) == id);
    known.map_or_else(|| format!("node {}", id.0), |node| node.name.clone())
}

/// What a document says, and the box of this name in it.
pub fn read(record: &Record, name: &str) -> Result<(Config, Node), String> {
    let config = Config::parse(&record.text).map_err(|problems| {
        let told: Vec<_> = problems.iter().take(TOLD).map(ToString::to_string).collect();
        let more = problems.len().saturating_sub(TOLD);
        let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
        format!("{}{rest}", told.join("; "))
    })?;
    let node = config.node(name).cloned();
    let node = node.ok_or_else(|| format!("it has no [node.{name}], which this box is"))?;
    Ok((config, node))
}

/// Whether a request may have to wait for the other boxes.
pub fn may_wait(request: &Request) -> bool {
    matches!(request, Request::Commit { .. } | Request::CommitConfirm)
}

/// The answer while nothing else is known.
pub fn unanswered() -> Reply {
    Reply::Refused("the other boxes have not answered".into())
}

fn alone_without_secret() -> String {
    "this box has no secret in its node.toml, and so cannot agree with other nodes: give the same \
     secret to all of them and start them; then [cluster], networks, virtual addresses and nodes \
     can be changed at each of them"
        .into()
}

/// Why a configuration cannot follow another one while the boxes run.
pub fn beyond(now: &Config, then: &Config) -> Option<String> {
    if now.nodes.len() < 2 && then.nodes.len() < 2 {
        return None;
    }
    if now.cluster.name != then.cluster.name {
        return Some(
            "the name of a cluster of several nodes cannot be changed while it runs: by it they \
             know each other. Start all of them with the new document"
                .into(),
        );
    }
    let names = |config: &Config| -> Vec<String> {
        config.networks.iter().map(|network| network.name.clone()).collect()
    };
    if names(now) != names(then) {
        return Some(
            "networks of a cluster of several nodes cannot be added, removed or renamed while it \
             runs, that is not built yet; what they say can be changed. Start all nodes with the \
             new document"
                .into(),
        );
    }
    let same_name = |node: &&config::Node| {
        now.nodes.iter().any(|known| known.name == node.name && known.id != node.id)
    };
    if let Some(node) = then.nodes.iter().find(same_name) {
        let name = &node.name;
        return Some(format!(
            "the id of [node.{name}] cannot be changed while it runs: by it the others know it. \
             Remove the node, commit, and add it again"
        ));
    }
    None
}

/// Why somebody must not propose a document: under `quorum` the majorities of the old nodes and of
/// the new ones must have a node in common.
fn too_many(now: &Config, then: &Config) -> Option<String> {
    let ids = |config: &Config| -> Vec<u8> { config.nodes.iter().map(|node| node.id).collect() };
    let (before, after) = (ids(now), ids(then));
    let new = after.iter().filter(|id| !before.contains(id)).count();
    let gone = before.iter().filter(|id| !after.contains(id)).count();
    let quorum = [now.cluster.policy, then.cluster.policy].contains(&Policy::Quorum);
    (quorum && before.len() > 1 && new + gone > 1).then(|| {
        "under the policy quorum nodes are added and removed one at a time, a commit for each: two \
         majorities must have a node in common"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"
        [cluster]
        name = "edge"
        [network.outside]
        prefixes = ["192.0.2.0/24"]
        [vip.www]
        network = "outside"
        address = "192.0.2.80"
        [pool.web]
        [node.n1]
        id = 1
        [node.n1.port.eth0]
        network = "outside"
        addresses = ["192.0.2.11/24"]
    "#;
    const TWO: &str = r#"
        [node.n2]
        id = 2
        [node.n2.port.eth0]
        network = "outside"
        addresses = ["192.0.2.12/24"]
    "#;

    fn config(text: &str) -> Config {
        Config::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn what_boxes_know_each_other_by_is_not_changed_while_they_run() {
        let (alone, both) = (ONE.to_owned(), format!("{ONE}{TWO}"));
        let rows = [
            ("a box alone", &alone, "\"edge\"", "\"other\"", None),
            ("a pool", &both, "[pool.web]", "[pool.mail]", None),
            ("an address", &both, ".80", ".81", None),
            ("what a network says", &both, "prefixes", "management = true\nprefixes", None),
            ("the policy", &both, "name = \"edge\"", "name = \"edge\"\npolicy = \"quorum\"", None),
            ("the name", &both, "\"edge\"", "\"other\"", Some("the name of a cluster")),
            ("a network's name", &both, "outside", "public", Some("networks of a cluster")),
            ("an id", &both, "id = 2", "id = 3", Some("the id of [node.n2]")),
            ("another node", &both, "n2", "n9", None),
        ];
        for (what, before, from, to, expected) in rows {
            let told = beyond(&config(before), &config(&before.replace(from, to)));
            match (expected, &told) {
                (None, None) => {}
                (Some(part), Some(sentence)) if sentence.starts_with(part) => {}
                _ => panic!("{what}: {told:?}"),
            }
        }
        assert_eq!(beyond(&config(&alone), &config(&both)), None, "one becomes several");
        assert_eq!(beyond(&config(&both), &config(&alone)), None, "several become one");
        let quorum = both.replace("name = \"edge\"", "name = \"edge\"\npolicy = \"quorum\"");
        let other = quorum.replace("n2", "n9").replace("id = 2", "id = 9");
        assert!(too_many(&config(&quorum), &config(&other)).is_some(), "one goes, one comes");
        assert_eq!(too_many(&config(&both), &config(&both.replace("n2", "n9"))), None);
    }
}
