//! What an operator asks of the cluster, by names, and what is answered.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base::{Instant, NodeId, VipId};
use cluster::{Reply, Request};
use dataplane::tables::Owner;
use model::config::{Choice, Node, Vip};

use super::council::Council;
use super::settings::id;
use crate::Control;

/// What an operator wants to have changed, by the names in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'n> {
    /// A virtual address with its group to be served by another node.
    Move {
        /// Its name.
        vip: &'n str,
        /// The node's name.
        to: &'n str,
    },
    /// A node to serve nothing until further notice.
    Drain(&'n str),
    /// A drained node to serve again.
    Restore(&'n str),
}

/// Asks the cluster. Any member takes an order for any other: what is wanted goes with the token.
///
/// # Errors
/// A sentence that says why it cannot be.
pub fn request(
    now: Instant,
    control: &Control,
    council: Option<&mut Council>,
    wanted: Wanted<'_>,
) -> Result<String, String> {
    let config = control.plan().config();
    let Some(council) = council else {
        let own = &control.plan().node().name;
        return Err(if config.nodes.len() < 2 {
            format!("{own} is the only node that is configured, so there is no other to serve")
        } else {
            format!(
                "{own} has no secret in its node.toml, and so no place in the cluster: ask another \
                 node"
            )
        });
    };
    let asked = Asked { control, council };
    match wanted {
        Wanted::Move { vip, to } => asked.move_vip(now, vip, to),
        Wanted::Drain(node) => asked.drain(now, node),
        Wanted::Restore(node) => asked.restore(now, node),
    }
}

/// What the answers are made of.
struct Asked<'c> {
    control: &'c Control,
    council: &'c mut Council,
}

impl<'c> Asked<'c> {
    fn move_vip(self, now: Instant, vip: &str, to: &str) -> Result<String, String> {
        let (place, vip) = self.vip(vip)?;
        let to = self.member(to)?;
        let from = self.owner(place);
        if from == Some(id(to)) {
            return Err(format!("{} is served by {} already", vip.name, to.name));
        }
        let Some(from) = from.map(|from| self.name(from)) else {
            return Err(format!(
                "nobody serves {} at the moment: show cluster says whether a node is about to take \
                 it over",
                vip.name
            ));
        };
        let group = self.group(vip);
        for vip in group.iter().copied() {
            self.may_own(vip, to)?;
        }
        if self.council.drained().contains(id(to)) {
            let to = &to.name;
            return Err(format!("{to} is drained, restore node {to} lets it serve again"));
        }
        let with: Vec<&str> = group.iter().map(|vip| vip.name.as_str()).collect();
        let with: Vec<&str> = with.into_iter().filter(|name| *name != vip.name).collect();
        let with = if with.is_empty() {
            String::new()
        } else {
            format!(", with it {} of the same group", with.join(", "))
        };
        let name = &vip.name;
        let moves = format!("{name} moves from {from} to {}{with}; connections go on", to.name);
        let request = Request::Move { vip: place, to: id(to) };
        match self.council.handle_request(now, request) {
            Reply::Begun => Ok(moves),
            Reply::Already => Err(format!("{} is served by {} already", vip.name, to.name)),
            Reply::Outside => Err(outside()),
            Reply::Impossible => Err(format!(
                "{} is not reached on every network of {} at the moment, so it stays at {from}",
                to.name, vip.name
            )),
        }
    }

    fn drain(self, now: Instant, node: &str) -> Result<String, String> {
        let (name, node) = (node.to_owned(), id(self.member(node)?));
        let drained = self.council.drained();
        let others = self.council.members().filter(|id| *id != node && !drained.contains(*id));
        if others.count() == 0 {
            return Err(format!(
                "nobody else could serve: {name} is the only member of the cluster that is not \
                 drained"
            ));
        }
        match self.council.handle_request(now, Request::Drain { node }) {
            Reply::Begun => Ok(format!(
                "{name} gives away what it serves, connections go on; restore node {name} ends it"
            )),
            Reply::Already => Err(format!("{name} is drained already")),
            Reply::Outside | Reply::Impossible => Err(outside()),
        }
    }

    fn restore(self, now: Instant, node: &str) -> Result<String, String> {
        let (name, node) = (node.to_owned(), id(self.member(node)?));
        match self.council.handle_request(now, Request::Restore { node }) {
            Reply::Begun => Ok(format!("{name} serves again, its share is moved to it soon")),
            Reply::Already => Err(format!("{name} is not drained")),
            Reply::Outside | Reply::Impossible => Err(outside()),
        }
    }

    fn vip(&self, name: &str) -> Result<(VipId, &'c Vip), String> {
        let vips = &self.control.plan().config().vips;
        let place = vips.iter().position(|vip| vip.name == name);
        let found = place.and_then(|place| Some((VipId::from(place), vips.get(place)?)));
        found.ok_or_else(|| {
            let names: Vec<&str> = vips.iter().map(|vip| vip.name.as_str()).collect();
            unknown("virtual address", name, &names)
        })
    }

    /// A node that takes part now.
    fn member(&self, name: &str) -> Result<&'c Node, String> {
        let nodes = &self.control.plan().config().nodes;
        let Some(node) = nodes.iter().find(|node| node.name == name) else {
            let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            return Err(unknown("node", name, &names));
        };
        if self.council.view().is_none() {
            return Err(outside());
        }
        if !self.council.members().any(|member| member == id(node)) {
            return Err(format!("{name} is no member of the cluster now: it is off or not heard"));
        }
        Ok(node)
    }

    fn may_own(&self, vip: &Vip, node: &Node) -> Result<(), String> {
        let config = self.control.plan().config();
        if !node.ports.iter().any(|port| port.network == vip.network) {
            let network = config.networks.get(vip.network.index());
            let network = network.map_or("its network", |network| network.name.as_str());
            return Err(format!(
                "{} is not attached to {network}, where {} is answered for",
                node.name, vip.name
            ));
        }
        // One address speaks for its group.
        let pinned = self.group(vip).into_iter().find_map(|vip| match vip.owner {
            Choice::Pin(node) => Some((vip, node)),
            Choice::Any | Choice::Prefer { .. } => None,
        });
        match pinned.filter(|(_, pinned)| *pinned != id(node)) {
            Some((vip, pinned)) => Err(format!(
                "{} is pinned to {} by the configuration (vip.{}.pin)",
                vip.name,
                self.name(pinned),
                vip.name
            )),
            None => Ok(()),
        }
    }

    /// The addresses that have the same owner as this one, itself among them.
    fn group(&self, vip: &Vip) -> Vec<&'c Vip> {
        let vips = self.control.plan().config().vips.iter();
        vips.filter(|other| other.group == vip.group).collect()
    }

    fn owner(&self, vip: VipId) -> Option<NodeId> {
        match self.control.plan().vips().get(vip.index())?.owner {
            Owner::Us => Some(id(self.control.plan().node())),
            Owner::Peer(place) | Owner::Coming(place) => self.council.peer(place),
            Owner::Nobody => None,
        }
    }

    fn name(&self, node: NodeId) -> String {
        let nodes = &self.control.plan().config().nodes;
        let known = nodes.iter().find(|known| id(known) == node);
        known.map_or_else(|| format!("node {}", node.0), |known| known.name.clone())
    }
}

fn outside() -> String {
    "this node has agreed with nobody yet, or not any more: ask again when show cluster says \
     member"
        .to_owned()
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match known {
        [] => format!("there is no {what} {name}, and no other"),
        known => format!("there is no {what} {name}, only {}", known.join(", ")),
    }
}
