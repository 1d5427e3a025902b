//! The steps that are about several boxes: who serves what, seen from outside; what is lost while
//! they change; and what their logs say of it.

use super::download::Download;
use super::file::{Members, Owned, Pick, ProbeStart, Probed, Since, Step};
use super::{Outcome, Play, find_line, storm};
use crate::clock;
use crate::faults::Fault;
use crate::probe::{self, Probe};
use crate::topology::{Host, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the log says of each view.
const VIEW: &str = "cluster: view ";
/// So many names are told.
const MANY: usize = 8;
/// How long it is asked who has an address.
const ASKED: Duration = Duration::from_millis(400);

/// What a play knows of several boxes.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub probe: Option<Probe>,
    /// The longest gap of each probe that has ended.
    pub gaps: Vec<Duration>,
    pub download: Option<Download>,
    /// Names that steps have given to hosts.
    pub names: BTreeMap<String, String>,
    /// Nodes that were killed or never started.
    pub down: BTreeSet<String>,
    /// How long each log was at the last step `mark`.
    pub marks: BTreeMap<String, usize>,
    /// The secret that the lab began with, once it is being changed.
    pub secret: Option<String>,
}

impl Play<'_> {
    /// The nodes that run.
    fn running(&self) -> Vec<String> {
        let nodes = self.design.topology.hosts.iter().filter(|host| is_node(host));
        let up = nodes.filter(|host| !self.scene.down.contains(&host.name));
        up.map(|host| host.name.clone()).collect()
    }

    pub(super) fn start_probe(&mut self, start: &ProbeStart) -> Outcome {
        let rate = start.rate.unwrap_or_else(|| self.nodes.ease());
        let what = (start.from.as_str(), &start.vips[..], rate);
        self.scene.probe = Some(Probe::start(self.place, self.design, what)?);
        // Its first questions should not meet the first fault.
        clock::pause(Duration::from_millis(300));
        Ok(String::new())
    }

    /// Ends the probe and judges what it has seen.
    pub(super) fn end_probe(&mut self, wanted: &Probed) -> Outcome {
        let probe = self.scene.probe.take().ok_or("a step `probe` must come before")?;
        let seen = probe.end()?;
        self.scene.gaps.push(seen.gap());
        let mut wrong = Vec::new();
        let mut at_most = |what: &str, is: u128, most: Option<u128>| {
            if let Some(most) = most.filter(|most| is > *most) {
                wrong.push(format!("{what}: {is}, at most {most} would be right"));
            }
        };
        let count = |count: Option<usize>| count.map(|count| count as u128);
        let time = |time: Option<super::file::Time>| time.map(|time| time.0.as_millis());
        at_most("datagrams lost", seen.lost() as u128, count(wanted.lost_at_most));
        at_most("longest gap in ms", seen.gap().as_millis(), time(wanted.gap_at_most));
        at_most(
            "two owners at once in ms",
            seen.doubled().as_millis(),
            time(wanted.doubled_at_most),
        );
        at_most("moves of addresses", seen.moves() as u128, count(wanted.moves_at_most));
        for (vip, most) in &wanted.moves_of_at_most {
            at_most(&format!("moves of {vip}"), seen.moves_of(vip) as u128, count(Some(*most)));
        }
        at_most(
            "flows that went to another server",
            seen.changes() as u128,
            Some(wanted.changes_at_most as u128),
        );
        if seen.sent() < wanted.sent_at_least {
            wrong.push(format!("only {} datagrams were sent", seen.sent()));
        }
        let told = seen.told().trim_end().to_owned();
        if wrong.is_empty() { Ok(told) } else { Err(format!("{}\n{told}", wrong.join("\n"))) }
    }

    /// Gives names to nodes, by who answers for an address now.
    pub(super) fn pick(&mut self, pick: &Pick) -> Outcome {
        let mut told = Vec::new();
        for (name, what) in &pick.0 {
            let (others, vip) = match what.strip_prefix("not ") {
                Some(rest) => (true, rest),
                None => (false, what.as_str()),
            };
            let vip = vip.strip_prefix("owner ").unwrap_or(vip);
            let owner = self.owner(vip)?;
            let found = if others {
                let picked: Vec<&String> = self.scene.names.values().collect();
                let mut rest = self.running().into_iter().filter(|node| *node != owner);
                let free = rest.clone().find(|node| !picked.contains(&node));
                free.or_else(|| rest.next()).ok_or("no other node runs")?
            } else {
                owner
            };
            told.push(format!("{name} is {found}"));
            self.scene.names.insert(name.clone(), found);
        }
        Ok(told.join(", "))
    }

    /// The node that answers for an address.
    fn owner(&self, vip: &str) -> Result<String, String> {
        let found = clock::wait_for(
            &format!("an owner of {vip}"),
            self.slow(Duration::from_secs(10)),
            || Ok(self.owners().ok().and_then(|owners| owners.get(vip).cloned().flatten())),
            || "nobody answers, or two do".into(),
        );
        found.map_err(|error| error.to_string())
    }

    /// Who answers for each IPv4 address, where exactly one does.
    fn owners(&self) -> Result<BTreeMap<String, Option<String>>, String> {
        probe::owners_now(self.place, self.design, ASKED)
    }

    /// Waits until every address has one owner.
    pub(super) fn owned(&mut self, owned: &Owned) -> Outcome {
        let begin = clock::now();
        let mut seen = String::new();
        let found = clock::wait_for(
            "one owner of each address",
            self.slow(owned.within.0),
            || {
                let Ok(owners) = self.owners() else { return Ok(None) };
                let known: BTreeSet<&String> = owners.values().flatten().collect();
                let missing = owners.values().filter(|owner| owner.is_none()).count();
                seen = told_owners(&owners);
                let enough = known.len() >= owned.nodes_at_least;
                Ok((missing == 0 && enough).then_some(()))
            },
            String::new,
        );
        let took = clock::now().duration_since(begin).as_secs_f64();
        found.map(|()| format!("{seen}\nafter {took:.1} s")).map_err(|_| seen)
    }

    /// Waits until every node that runs is in the same view, and nobody else is.
    pub(super) fn members(&mut self, members: &Members) -> Outcome {
        let nodes = members.nodes.clone().map_or_else(
            || self.running(),
            |named| named.iter().map(|name| self.named(name)).collect(),
        );
        let wanted = members.count.unwrap_or(nodes.len());
        let (begin, within) = (clock::now(), self.slow(members.within.0));
        let (access, mut seen) = (&mut *self.nodes, BTreeMap::new());
        let found = clock::wait_for(
            "one view",
            within,
            || {
                seen = nodes.iter().map(|node| (node.clone(), view(&access.log(node)))).collect();
                let views: BTreeSet<&String> = seen.values().collect();
                let one = views.first().filter(|view| views.len() == 1 && view.contains(':'));
                let members = one.map(|view| view.split(',').count());
                Ok((members == Some(wanted)).then_some(()))
            },
            String::new,
        );
        let took = clock::now().duration_since(begin).as_secs_f64();
        let views: Vec<String> =
            seen.iter().map(|(node, view)| format!("{node}: {view}")).collect();
        match found {
            Ok(()) => {
                let view = seen.values().next().cloned().unwrap_or_default();
                Ok(format!("{view}, after {took:.1} s"))
            }
            Err(_) => Err(views.join("\n")),
        }
    }

    /// Remembers how far each log has come.
    pub(super) fn mark(&mut self) -> Outcome {
        for node in self.running() {
            let length = self.nodes.log(&node).len();
            self.scene.marks.insert(node, length);
        }
        Ok(String::new())
    }

    /// Counts lines that have come since the mark.
    pub(super) fn since(&mut self, since: &Since) -> Outcome {
        let nodes = match &since.node {
            Some(node) => vec![self.named(node)],
            None => self.running(),
        };
        let mut lines = Vec::new();
        for node in nodes {
            let log = self.nodes.log(&node);
            // A node that was started again has a new log.
            let from = self.scene.marks.get(&node).copied().filter(|mark| *mark <= log.len());
            let mut rest = log.get(from.unwrap_or_default()..).unwrap_or_default();
            while let Some((line, end)) = find_line(rest, &since.line) {
                lines.push(format!("{node}: {line}"));
                rest = &rest[end..];
            }
        }
        let few = since.at_most.is_none_or(|most| lines.len() <= most);
        let enough = lines.len() >= since.at_least;
        let count = lines.len();
        if few && enough {
            return Ok(format!("{count}"));
        }
        Err(format!("{count} lines:\n{}", lines.join("\n")))
    }

    /// Starts nodes, all at once.
    pub(super) fn start_nodes(&mut self, names: &[String]) -> Outcome {
        let names: Vec<String> = names.iter().map(|name| self.named(name)).collect();
        let mut hosts = Vec::new();
        for name in &names {
            let host = self.design.topology.host(name).map_err(|error| error.to_string())?;
            if !is_node(host) {
                return Err(format!("{name} is no node"));
            }
            self.read.remove(name);
            self.scene.marks.remove(name);
            hosts.push(host);
        }
        let begin = clock::now();
        self.nodes.start(&hosts)?;
        for name in names {
            self.scene.down.remove(&name);
        }
        let took = clock::now().duration_since(begin).as_secs_f64();
        Ok(format!("serving after {took:.1} s"))
    }

    /// Does something again and again.
    pub(super) fn repeat(&mut self, times: usize, steps: &[Step]) -> Outcome {
        let mut told = Vec::new();
        for round in 1..=times {
            for step in steps {
                match self.step(step) {
                    Ok(seen) if seen.is_empty() => {}
                    Ok(seen) => told.push(format!("\n    {round}: {step}: {seen}")),
                    Err(seen) => return Err(format!("round {round}, {step}: {seen}")),
                }
            }
        }
        Ok(told.concat())
    }

    pub(super) fn storm(&mut self, storm: &super::file::Storm) -> Outcome {
        let host = self.design.topology.host(&storm.from).map_err(|error| error.to_string())?;
        let interface = host.interfaces.first().ok_or("that host has no interface")?;
        let namespace = self.place.host(&host.name);
        let at = (interface.segment.as_str(), namespace.as_str(), interface.name.as_str());
        storm::storm(self.place, at, storm.rate, storm.time.0)
    }

    /// Gives a host the name that a step has given it, or its own.
    pub(super) fn named(&self, name: &str) -> String {
        self.scene.names.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// A line with the names that steps have given in place of what they stand for.
    pub(super) fn with_names(&self, line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(|word| self.named(word)).collect();
        words.join(" ")
    }

    /// Remembers who runs after a fault.
    pub(super) fn note(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill { host } | Fault::Stop { host } | Fault::Off { host } => {
                self.scene.down.insert(host.clone());
            }
            Fault::Start { host } => {
                self.scene.down.remove(host);
            }
            Fault::Cut(_)
            | Fault::Oneway { .. }
            | Fault::Loss { .. }
            | Fault::Delay { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. }
            | Fault::Pause { .. }
            | Fault::Hang { .. }
            | Fault::Unplug { .. }
            | Fault::Plug { .. }
            | Fault::Heal { .. }
            | Fault::List => {}
        }
    }
}

fn is_node(host: &Host) -> bool {
    matches!(host.role, Role::Node(_))
}

/// Who owns what, a line for each node, and a last one for what nobody owns, or two do.
fn told_owners(owners: &BTreeMap<String, Option<String>>) -> String {
    let mut by_node: BTreeMap<Option<&String>, Vec<&str>> = BTreeMap::new();
    for (vip, owner) in owners {
        by_node.entry(owner.as_ref()).or_default().push(vip);
    }
    let line = |(node, vips): (Option<&String>, Vec<&str>)| {
        let node = node.map_or("without one owner", String::as_str);
        format!("{node}: {}", shortened(&vips))
    };
    let (none, some): (Vec<_>, Vec<_>) = by_node.into_iter().partition(|(node, _)| node.is_none());
    some.into_iter().chain(none).map(line).collect::<Vec<String>>().join("\n")
}

/// Names, as far as there are not hundreds of them.
fn shortened(names: &[&str]) -> String {
    match names.get(MANY..).map(<[&str]>::len) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MANY].join(", ")),
    }
}

/// The last view that a log tells, with its members; in none, what else it says.
fn view(log: &str) -> String {
    let none = "this box is in no view";
    let line = log.lines().rev().find(|line| {
        // A proposal is no view yet.
        line.contains(none) || (line.contains(VIEW) && !line.contains(" proposed "))
    });
    let told = line.and_then(|line| line.split_once("cluster: ")).map(|(_, told)| told.trim());
    told.unwrap_or("no view yet").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_told_by_node_and_what_nobody_owns_comes_last() {
        let owner = |vip: &str, node: Option<&str>| (vip.to_owned(), node.map(str::to_owned));
        let owners = BTreeMap::from([
            owner("a", None),
            owner("b", Some("node2")),
            owner("c", Some("node1")),
            owner("d", Some("node2")),
        ]);
        assert_eq!(told_owners(&owners), "node1: c\nnode2: b, d\nwithout one owner: a");
        let crowd = (0..11).map(|number| owner(&format!("v{number:02}"), Some("node1"))).collect();
        assert!(told_owners(&crowd).ends_with("v07 and 3 more"), "{}", told_owners(&crowd));
    }

    #[test]
    fn the_last_view_of_a_log_counts_and_a_proposal_is_none() {
        let log = "[1] portico: cluster: view 1/1.1/1: n1, n2\r\n\
                   [2] portico: cluster: view 2/1.1/1 proposed as the token is missed: n1\r\n";
        assert_eq!(view(log), "view 1/1.1/1: n1, n2");
        let left = format!("{log}[3] portico: cluster: this box is in no view\n");
        assert_eq!(view(&left), "this box is in no view");
        assert_eq!(view(""), "no view yet");
    }
}
