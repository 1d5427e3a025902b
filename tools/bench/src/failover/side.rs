//! One cluster of three hosts in a lab of its own: what is done to it, and what a client sees.

use super::{keepalived, probed, told};
use crate::{BenchError, Options};
use lab::faults::Fault;
use lab::lifecycle::{self, Design};
use lab::play::{Namespaces, Nodes};
use lab::probe::stream::{Stream, Track};
use lab::topology::Host;
use lab::{LabError, Place, clock, command, faults, network, probe};
use nix::sys::signal::Signal;
use std::time::Duration;

/// Datagrams a second.
const RATE: u32 = 1000;
/// What is sent before something happens: neighbors are resolved by then.
const BEFORE: Duration = Duration::from_millis(300);
/// How long it is asked who answers.
const ASKED: Duration = Duration::from_millis(100);
/// How long owners and members may take to settle. A box that has failed often waits.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);
/// What is begun when a box has joined is done by then.
const SETTLED: Duration = Duration::from_millis(1200);
/// The address whose owner fails.
const VIP: &str = "www";
/// What a log says of a view.
const VIEW: &str = "cluster: view ";

/// What runs on the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Portico with a profile.
    Portico(&'static str),
    /// keepalived with an interval of its adverts.
    Keepalived(Duration),
}

/// A cluster in its lab; taken down when dropped.
#[derive(Debug)]
pub struct Side {
    /// What runs.
    pub kind: Kind,
    place: Place,
    design: Design,
    nodes: Namespaces,
    /// Who took the address over in the last planned move: nothing has failed since.
    heir: Option<String>,
}

/// What a client saw of one event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The longest time during which what it sent stayed without an answer.
    pub gap: Duration,
    /// How many datagrams did.
    pub lost: usize,
}

impl Kind {
    /// How it is called in the table.
    pub fn label(self) -> String {
        match self {
            Self::Portico(profile) => format!("Portico {profile}"),
            Self::Keepalived(advert) if advert >= Duration::from_secs(1) => {
                "keepalived default".into()
            }
            Self::Keepalived(advert) => format!("keepalived {} ms", advert.as_millis()),
        }
    }

    /// How it is called in names of namespaces.
    fn name(self) -> String {
        match self {
            Self::Portico(profile) => format!("fo-{profile}"),
            Self::Keepalived(advert) => format!("fo-k{}", advert.as_millis()),
        }
    }

    /// When whatever a failure brings about is over.
    fn afterwards(self) -> Duration {
        match self {
            Self::Portico(_) => Duration::from_millis(1000),
            Self::Keepalived(advert) => advert * 4 + Duration::from_millis(600),
        }
    }
}

impl Side {
    /// Builds the lab and starts everything, until the address has one owner.
    ///
    /// # Errors
    /// What could not be built.
    pub fn up(options: &Options, kind: Kind) -> Result<Side, BenchError> {
        let place = Place::named(&options.folder, &kind.name());
        let profile = match kind {
            Kind::Portico(profile) => profile,
            Kind::Keepalived(_) => "normal",
        };
        let design = super::design(profile)?;
        let nodes = Namespaces::new(&place);
        let mut side = Side { kind, place, design, nodes, heir: None };
        match kind {
            Kind::Portico(_) => {
                let supervisor = options.supervisor.clone().unwrap_or_default();
                lifecycle::up(&side.place, &side.design, &supervisor).map_err(told)?;
            }
            Kind::Keepalived(advert) => {
                drop(lifecycle::prepare(&side.place, &side.design).map_err(told)?);
                for (host, _) in side.design.nodes() {
                    keepalived::prepare(&side.place, &side.design, host)?;
                }
                for (host, _) in side.design.nodes() {
                    keepalived::start(&side.place, &side.design, host, advert)?;
                }
            }
        }
        side.settle()?;
        Ok(side)
    }

    /// Waits until every host is part of it again and gives who answers for the address.
    ///
    /// # Errors
    /// Where that does not come.
    pub fn settle(&mut self) -> Result<String, BenchError> {
        if let Kind::Portico(_) = self.kind {
            let names: Vec<String> =
                self.design.nodes().map(|(host, _)| host.name.clone()).collect();
            let mut seen = Vec::new();
            let nodes = &mut self.nodes;
            let found = clock::wait_for(
                "one view of all boxes",
                SETTLE_LIMIT,
                || {
                    seen = names.iter().map(|name| last_view(&nodes.log(name))).collect();
                    let one = seen.iter().all(|view| *view == seen[0]);
                    Ok((one && seen[0].split(',').count() == names.len()).then_some(()))
                },
                String::new,
            );
            found.map_err(|_| BenchError::CannotMeasure(format!("no one view: {seen:?}")))?;
            clock::pause(SETTLED);
        }
        self.owner()
    }

    /// The host that alone answers for the address.
    ///
    /// # Errors
    /// Where nobody does, or two go on to.
    pub fn owner(&self) -> Result<String, BenchError> {
        let found = clock::wait_for(
            "one owner",
            SETTLE_LIMIT,
            || {
                let owners = probe::owners_now(&self.place, &self.design, ASKED);
                Ok(owners.ok().and_then(|owners| owners.get(VIP).cloned().flatten()))
            },
            || "nobody answers, or two do".into(),
        );
        found.map_err(told)
    }

    /// The owner falls silent at once and for good: no frame of it passes any more, and then all
    /// that runs on it is killed. No cable loses its carrier, as behind a switch.
    ///
    /// # Errors
    /// Where nobody took over, or something could not be done.
    pub fn silence(&mut self) -> Result<Seen, BenchError> {
        let owner = match self.heir.take() {
            Some(heir) => heir,
            None => self.settle()?,
        };
        let seen = self.watched(|side| {
            let host = side.design.topology.host(&owner)?;
            wire(&side.place, host, false)?;
            network::signal_processes(&[side.place.host(&owner)], Signal::SIGKILL).map(drop)
        })?;
        let heir = self.owner()?;
        self.start(&owner)?;
        differ(&owner, &heir)?;
        Ok(seen)
    }

    /// Only the program of the owner is killed; gives how many hosts answer for the address then.
    ///
    /// # Errors
    /// What could not be done.
    pub fn kill(&mut self) -> Result<(Seen, usize), BenchError> {
        let owner = self.settle()?;
        let seen = self.watched(|side| {
            network::signal_processes(&[side.place.host(&owner)], Signal::SIGKILL).map(drop)
        })?;
        // Behind the probe: questions change what a client with two answers believes.
        let answering = probe::answering(&self.place, &self.design, ASKED);
        let answering = answering.map_err(BenchError::CannotMeasure)?;
        self.start(&owner)?;
        Ok((seen, answering.get(VIP).copied().unwrap_or_default()))
    }

    /// The owner hands the address over as one would before maintenance: an order to move it, or
    /// the orderly end of keepalived.
    ///
    /// # Errors
    /// Where nobody took over, or something could not be done.
    pub fn hand_over(&mut self) -> Result<Seen, BenchError> {
        let owner = self.settle()?;
        let other = self.design.nodes().find(|(host, _)| host.name != owner);
        let other = other.map(|(_, name)| name.clone()).unwrap_or_default();
        let seen = self.watched(|side| match side.kind {
            Kind::Portico(_) => {
                let line = format!("move vip {VIP} to {other}\r");
                side.nodes.type_text(&owner, &line).map_err(LabError::Fault)
            }
            Kind::Keepalived(_) => {
                let fault = Fault::Stop { host: owner.clone() };
                faults::apply(&side.place, &fault).map(drop)
            }
        })?;
        let heir = self.owner()?;
        if let Kind::Keepalived(_) = self.kind {
            self.start(&owner)?;
        }
        differ(&owner, &heir)?;
        self.heir = Some(heir);
        Ok(seen)
    }

    /// The silence after which the others take over, as a member shows it.
    ///
    /// # Errors
    /// Where no console shows it.
    pub fn patience(&mut self) -> Result<Duration, BenchError> {
        let node = "node1";
        let wrong = |said: String| BenchError::CannotMeasure(format!("the console: {said}"));
        let from = self.nodes.shown(node).len();
        self.nodes.type_text(node, "show cluster | json\r").map_err(wrong)?;
        let (nodes, mut seen) = (&mut self.nodes, String::new());
        let found = clock::wait_for(
            "the patience of a cluster",
            Duration::from_secs(10),
            || {
                seen = nodes.shown(node).get(from..).unwrap_or_default().to_owned();
                Ok(patience(&seen))
            },
            || "it is not shown".into(),
        );
        found.map_err(told)
    }

    /// Starts what runs on a host again, with its cables.
    fn start(&mut self, name: &str) -> Result<(), BenchError> {
        let host = self.design.topology.host(name).map_err(told)?;
        if let Kind::Keepalived(_) = self.kind {
            // Before it is heard again: it must not answer for what another host has by now.
            self.forget(name);
        }
        wire(&self.place, host, true).map_err(told)?;
        match self.kind {
            Kind::Portico(_) => self.nodes.start(&[host]).map_err(BenchError::CannotMeasure),
            Kind::Keepalived(advert) => keepalived::start(&self.place, &self.design, host, advert),
        }
    }

    /// Takes the virtual addresses from a host whose keepalived was killed: what a machine that
    /// starts has not.
    fn forget(&self, name: &str) {
        let namespace = self.place.host(name);
        for vip in self.design.topology.vips.iter().filter(|vip| vip.address.is_ipv4()) {
            let device = if vip.segment == "outside" { "eth0" } else { "eth1" };
            let address = format!("{}/24", vip.address);
            let arguments = ["-netns", &namespace, "address", "delete", &address, "dev", device];
            // It may not have it.
            let _ = command::run("ip", &arguments);
        }
    }

    /// Does something while a client sends all the time, and gives what the client saw.
    fn watched(
        &mut self,
        what: impl FnOnce(&mut Self) -> Result<(), LabError>,
    ) -> Result<Seen, BenchError> {
        let service = probed(&self.design);
        let stream = Stream::start(&self.place.host("client1"), &[service], RATE);
        clock::pause(BEFORE);
        let done = what(self);
        clock::pause(self.kind.afterwards());
        let tracks = stream.end().map_err(BenchError::CannotMeasure)?;
        done.map_err(told)?;
        let track = tracks.first().cloned().unwrap_or_default();
        seen(&track).ok_or_else(|| {
            let sent = track.sent.len();
            BenchError::CannotMeasure(format!(
                "{}: {sent} sent, no answer at the end",
                self.kind.label()
            ))
        })
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // What cannot be removed now is removed when the same lab is built again.
        let _ = lifecycle::down(&self.place);
    }
}

/// Joins the cables of a host to their segments, or leaves them without, so that no frame passes.
fn wire(place: &Place, host: &Host, joined: bool) -> Result<(), LabError> {
    for (index, interface) in host.interfaces.iter().enumerate() {
        let (segment, plug) = (place.segment(&interface.segment), network::plug(host, index));
        let mut arguments = vec!["-netns", &segment, "link", "set", &plug];
        arguments.extend(if joined { &["master", network::BRIDGE][..] } else { &["nomaster"] });
        command::run("ip", &arguments)?;
    }
    Ok(())
}

/// Another host must have taken over, or nothing was measured.
fn differ(owner: &str, heir: &str) -> Result<(), BenchError> {
    if owner == heir {
        return Err(BenchError::CannotMeasure(format!("{owner} still answers for the address")));
    }
    Ok(())
}

/// What a track tells; nothing where it ends without an answer.
fn seen(track: &Track) -> Option<Seen> {
    let gap = track.longest();
    (gap < Duration::MAX && !track.sent.is_empty()).then(|| Seen { gap, lost: track.lost() })
}

/// The last view that a log tells, with its members.
fn last_view(log: &str) -> String {
    let line = log.lines().rev().find(|line| line.contains(VIEW) && !line.contains(" proposed "));
    line.and_then(|line| line.split_once(VIEW))
        .map(|(_, view)| view.trim().to_owned())
        .unwrap_or_default()
}

/// The patience in what `show cluster | json` shows.
fn patience(shown: &str) -> Option<Duration> {
    let (_, rest) = shown.split_once("\"patience_milliseconds\":")?;
    let digits: String =
        rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let milliseconds: f64 = digits.parse().ok()?;
    Some(Duration::from_secs_f64(milliseconds / 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_without_an_answer_at_the_end_has_seen_nothing_that_counts() {
        let milliseconds = Duration::from_millis;
        let track = |answered: &[Option<u16>]| Track {
            sent: (0..answered.len() as u64).map(milliseconds).collect(),
            answered: answered.to_vec(),
            servers: vec!["server1".into()],
        };
        let some = track(&[Some(0), None, None, Some(0), None, Some(0)]);
        assert_eq!(seen(&some), Some(Seen { gap: milliseconds(2), lost: 3 }));
        assert_eq!(seen(&track(&[Some(0), None])), None);
        assert_eq!(seen(&track(&[])), None);
    }

    #[test]
    fn the_last_view_and_the_patience_are_found() {
        let log = "[1] portico: cluster: view 1/1.1/1: n1, n2\r\n\
                   [2] portico: cluster: view 2/1.1/1 proposed as the token is missed: n1\r\n";
        assert_eq!(last_view(log), "1/1.1/1: n1, n2");
        assert_eq!(last_view(""), "");
        let shown = "show\r\n{\"patience_milliseconds\": 80, \"profile\":\"normal\"}";
        assert_eq!(patience(shown), Some(Duration::from_millis(80)));
        assert_eq!(patience("{\"patience_milliseconds\": null}"), None);
    }

    #[test]
    fn kinds_are_called_as_in_the_table() {
        let labels = [
            Kind::Portico("fast"),
            Kind::Keepalived(Duration::from_secs(1)),
            Kind::Keepalived(Duration::from_millis(20)),
        ]
        .map(Kind::label);
        assert_eq!(labels, ["Portico fast", "keepalived default", "keepalived 20 ms"]);
    }
}
