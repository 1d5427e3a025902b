//! What an operator sees of the cluster.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base::{Instant, NetworkId, NodeId, VipId};
use cluster::config::DocumentId;
use cluster::{Moved, Reason};
use dataplane::tables::Owner;
use model::config::{Config, Node};
use model::limits::NETWORKS;
use model::status::{self, Counter, Standing};

use super::council::Council;
use super::settings::id;
use crate::Control;

/// By network: until when the forwarders may serve virtual addresses there.
pub type Gates = [Instant; NETWORKS];

/// The cluster as this node sees it. `council`: none while it is no member of anything.
pub fn show(
    now: Instant,
    control: &Control,
    council: Option<(&Council, &Gates)>,
    document: status::Document,
) -> status::Cluster {
    let (config, node) = (control.plan().config(), control.plan().node());
    let show = Show { now, control, council };
    let view = show.council().and_then(Council::view);
    let members = view.map_or(&[][..], |(_, members)| members);
    let standing = match (council, view) {
        (Some((council, _)), _) if council.is_newcomer() => Standing::Newcomer,
        (_, _) if config.nodes.len() < 2 => Standing::Alone,
        (Some(_), Some(_)) => Standing::Member,
        (Some(_), None) => Standing::Outside,
        (None, _) => Standing::Secretless,
    };
    let is_member = |of: &Node| members.iter().any(|member| member.id == id(of));
    let refused = show.council().into_iter().flat_map(Council::refused);
    status::Cluster {
        node: node.name.clone(),
        standing,
        start: show.council().map_or(0, |council| council.incarnation().0),
        view: view.map(|(id, _)| format!("{id}")),
        members: match standing {
            Standing::Alone => alloc::vec![node.name.clone()],
            Standing::Newcomer => Vec::new(),
            Standing::Secretless | Standing::Outside | Standing::Member => {
                members.iter().map(|member| show.name(member.id)).collect()
            }
        },
        nodes: config.nodes.iter().map(|of| show.node(of, is_member(of), &document)).collect(),
        document,
        paths: show.paths(),
        owners: show.owners(),
        leases: node.ports.iter().map(|port| show.lease(port.network)).collect(),
        moves: Vec::new(),
        patience: show.council().map(Council::lease),
        profile: config.cluster.profile,
        policy: config.cluster.policy,
        refused: refused
            .map(|(reason, value)| Counter { name: reason.name().to_owned(), value })
            .collect(),
    }
}

/// A change of owners, in the words of the configuration.
pub fn moved(now: Instant, config: &Config, moved: &Moved) -> status::Move {
    let name = |node: NodeId| node_name(config, node);
    let vips = moved.vips.iter().filter_map(|vip| config.vips.get(vip.index()));
    let percent = |thousandths: u32| thousandths.div_ceil(10);
    let from = moved.from.map_or_else(|| "nobody".to_owned(), name);
    let to = moved.to.map_or_else(|| "nobody".to_owned(), name);
    let evidence = match (moved.reason, moved.heard, moved.used) {
        (Reason::Vacant, ..) => "nobody had it".to_owned(),
        (Reason::Takeover, Some(heard), _) => {
            format!(
                "{from} is no member any more, it was heard {} ms ago",
                now.since(heard).as_millis()
            )
        }
        (Reason::Takeover, None, _) => format!("{from} is no member any more"),
        (Reason::Joined, ..) => format!("{to} had it where it comes from"),
        (Reason::Asked, ..) => "an operator asked for it".to_owned(),
        (Reason::Drained, ..) => format!("an operator drains {from}"),
        (Reason::Left, ..) => format!("{from} leaves in order"),
        (Reason::Unreached, ..) => format!("{from} is not reached on its network"),
        (Reason::Preferred, ..) => format!("{to} is preferred, and is back"),
        (Reason::Levelled, ..) => format!("{from} had more of them than {to} for its weight"),
        (Reason::Relieved, _, Some([busy, idle])) => {
            format!("{from} had {} % to do, {to} {} %", percent(busy), percent(idle))
        }
        (Reason::Relieved, _, None) => format!("{from} had more to do than {to}"),
    };
    status::Move {
        at: now,
        vips: vips.map(|vip| vip.name.clone()).collect(),
        from: moved.from.map(name),
        to: moved.to.map(name),
        reason: moved.reason.word(),
        evidence,
    }
}

fn node_name(config: &Config, node: NodeId) -> String {
    let known = config.nodes.iter().find(|it| id(it) == node);
    known.map_or_else(|| format!("{}", node.0), |known| known.name.clone())
}

/// What all parts are made of.
#[derive(Clone, Copy)]
struct Show<'c> {
    now: Instant,
    control: &'c Control,
    council: Option<(&'c Council, &'c Gates)>,
}

impl<'c> Show<'c> {
    fn council(&self) -> Option<&'c Council> {
        self.council.map(|(council, _)| council)
    }

    /// Every other node that was heard since our start.
    fn sights(&self) -> &'c [cluster::Sight] {
        self.council().and_then(Council::report).map_or(&[], |report| &report.peers)
    }

    fn node(&self, of: &Node, viewed: bool, document: &status::Document) -> status::Node {
        let own = of.id == self.control.plan().node().id;
        let sight = self.sights().iter().find(|sight| sight.peer.id == id(of));
        let presence = match sight.map(|sight| sight.presence) {
            _ if own => status::Presence::Own,
            Some(cluster::Presence::Heard) => status::Presence::Heard,
            Some(cluster::Presence::Missing) => status::Presence::Missing,
            Some(cluster::Presence::Silent) | None => status::Presence::Silent,
        };
        let start = match self.council() {
            Some(council) if own => Some(council.incarnation()),
            Some(_) | None => sight.map(|sight| sight.peer.incarnation),
        };
        let hears = sight.is_some_and(|it| it.presence != cluster::Presence::Silent && !it.deaf);
        let heard = sight.map(|sight| sight.said.document);
        let said = heard.map(|id| (revision(id), alloc::format!("{}", id.digest)));
        let document = if own { Some((document.revision, document.digest.clone())) } else { said };
        status::Node {
            name: of.name.clone(),
            document,
            id: of.id,
            start: start.map(|start| start.0),
            member: viewed || (own && self.control.plan().config().nodes.len() < 2),
            presence,
            hears: own || hears,
            weight: of.weight,
            used: self.council().and_then(|council| council.used(id(of))),
            drained: self.council().is_some_and(|council| council.drained().contains(id(of))),
        }
    }

    fn paths(&self) -> Vec<status::Path> {
        let paths = self.sights().iter().flat_map(|sight| {
            sight.paths.iter().map(|path| status::Path {
                node: self.name(sight.peer.id),
                network: self.network(path.network),
                quiet: self.now.since(path.heard_at),
                round_trip: path.round_trip,
                lost_in: path.lost_in,
                lost_out: path.lost_out,
            })
        });
        paths.collect()
    }

    fn owners(&self) -> Vec<status::Ownership> {
        let plan = self.control.plan();
        let vips = plan.config().vips.iter().zip(plan.vips()).enumerate();
        let owners = vips.map(|(place, (vip, served))| {
            let owner = match served.owner {
                Owner::Us => Some(plan.node().name.clone()),
                // Who gives it to us has it until then.
                Owner::Peer(peer) | Owner::Coming(peer) => {
                    let node = self.council().and_then(|council| council.peer(peer));
                    node.map(|node| self.name(node))
                }
                Owner::Nobody => None,
            };
            let port = plan.port_of(vip.network);
            let attached = port.and_then(|port| self.control.attached().get(port.index()));
            let may = self.lease(vip.network).open && plan.serves(VipId::from(place));
            status::Ownership {
                vip: vip.name.clone(),
                address: vip.address,
                network: self.network(vip.network),
                owner,
                served: may && attached.is_some_and(|attached| attached.up),
                used: None,
                spread: if vip.spread {
                    plan.workers().map(|(node, _)| node.name.clone()).collect()
                } else {
                    Vec::new()
                },
            }
        });
        owners.collect()
    }

    fn lease(&self, network: NetworkId) -> status::Lease {
        let alone = self.control.plan().config().nodes.len() < 2;
        let gate = self.council.and_then(|(_, gates)| gates.get(network.index()).copied());
        let until = gate.unwrap_or(if alone { Instant::FAR } else { Instant::ZERO });
        let open = self.now < until;
        let counted = open && until < Instant::FAR;
        let remaining = counted.then(|| until.since(self.now));
        let gates = self.council().and_then(Council::report).into_iter().flat_map(|it| &it.gates);
        let closings = gates.filter(|gate| gate.network == network).map(|gate| gate.closings);
        let closings = closings.sum();
        status::Lease { network: self.network(network), open, remaining, closings }
    }

    fn name(&self, node: NodeId) -> String {
        node_name(self.control.plan().config(), node)
    }

    fn network(&self, network: NetworkId) -> String {
        let known = self.control.plan().config().networks.get(network.index());
        known.map(|network| network.name.clone()).unwrap_or_default()
    }
}

/// The number that a document has for people.
fn revision(id: DocumentId) -> u32 {
    u32::try_from(id.generation.saturating_add(1)).unwrap_or(u32::MAX)
}
