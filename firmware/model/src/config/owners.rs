//! Which node is to own which virtual address: nodes that are there and attached, and no two that
//! contradict each other.

use alloc::format;
use alloc::vec::Vec;

use base::NodeId;

use super::Choice;
use super::check::{Links, find};
use super::problem::Report;
use super::raw::{Raw, Vip};
use super::read::At;

/// What each VIP says of its owner.
pub(super) fn check(report: &mut Report<'_>, raw: &Raw, links: &Links) -> Vec<Choice> {
    let nodes: Vec<&str> = raw.nodes.iter().map(|node| node.name.as_str()).collect();
    let mut choices: Vec<Choice> = Vec::new();
    for (place, vip) in raw.vips.iter().enumerate() {
        let prefer = named(report, raw, links, (place, "prefer", &vip.prefer), &nodes);
        let pin = named(report, raw, links, (place, "pin", &vip.pin), &nodes);
        if let (Some(_), Some(At { at, .. })) = (&vip.prefer, &vip.pin) {
            let what = "it has a preferred owner as well, which says nothing beside a pinned one";
            report.wrong(*at, vip.place.key("pin"), what, "expected prefer or pin");
        }
        if vip.back && vip.prefer.is_none() {
            let what = "it prefers no node to which it could return";
            report.wrong(vip.place.at, vip.place.key("return"), what, "expected a key prefer");
        }
        let choice = match (pin, prefer) {
            (Some(node), _) => Choice::Pin(node),
            (None, Some(node)) => Choice::Prefer { node, back: vip.back },
            (None, None) => Choice::Any,
        };
        if choice != Choice::Any {
            let mut before = raw.vips.iter().zip(&choices);
            let other = before.find(|(other, known)| {
                group(other) == group(vip) && **known != Choice::Any && **known != choice
            });
            if let Some((other, _)) = other {
                let what = format!("VIP \"{}\" of the same group says something else", other.name);
                let legal = "expected one VIP to speak for its group, or all to say the same";
                report.wrong(vip.place.at, &vip.place.path, what, legal);
            }
        }
        choices.push(choice);
    }
    choices
}

/// The node that a VIP names, which must be attached to the network of every VIP of the group.
fn named(
    report: &mut Report<'_>,
    raw: &Raw,
    links: &Links,
    (place, key, reference): (usize, &'static str, &Option<At<alloc::string::String>>),
    nodes: &[&str],
) -> Option<NodeId> {
    let vip = raw.vips.get(place)?;
    let index = find(report, &vip.place, (key, "node"), nodes, reference)?;
    let (node, At { at, .. }) = (raw.nodes.get(index)?, reference.as_ref()?);
    let attached = links.ports.get(index)?;
    for (other, network) in raw.vips.iter().zip(&links.networks) {
        if group(other) == group(vip) && network.is_some() && !attached.contains(network) {
            let network = network.and_then(|network| raw.networks.get(network));
            let network = network.map_or("", |network| network.name.as_str());
            let what = format!(
                "node \"{}\" is not attached to network \"{network}\" of VIP \"{}\"",
                node.name, other.name
            );
            report.wrong(*at, vip.place.key(key), what, "expected a node that has a port there");
            break;
        }
    }
    Some(NodeId(node.id.as_ref()?.value))
}

fn group(vip: &Vip) -> &str {
    vip.group.as_deref().unwrap_or(&vip.name)
}
