//! The cluster as one of its boxes sees it: what it is itself, and a table for each kind of thing.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base::time::Duration;
use model::status::{Cluster, Document, Lease, Move, Node, Ownership, Path, Standing};

use super::{Cell, Column, View, counter, detail, microseconds, shown, table};

const NODES: &[Column] = &[
    shown("node"),
    shown("id"),
    detail("start"),
    shown("member"),
    shown("presence"),
    shown("hears_us"),
    shown("drained"),
    shown("document"),
    detail("digest"),
    detail("weight"),
    shown("used_thousandths"),
];

const PATHS: &[Column] = &[
    shown("node"),
    shown("network"),
    shown("quiet_milliseconds"),
    shown("round_trip_microseconds"),
    shown("lost_in"),
    shown("lost_out"),
];

const VIPS: &[Column] = &[
    shown("vip"),
    shown("address"),
    shown("network"),
    shown("owner"),
    shown("served"),
    shown("used_thousandths"),
    shown("spread_over"),
];

const LEASES: &[Column] =
    &[shown("network"), shown("open"), shown("remaining_milliseconds"), shown("closings")];

const MOVES: &[Column] =
    &[shown("at"), shown("vips"), shown("from"), shown("to"), shown("reason"), detail("evidence")];

/// Of a box that is no member there is a sentence to say, and the rest is for programs.
pub(super) fn cluster(cluster: Cluster) -> View {
    let sentence = match cluster.standing {
        Standing::Alone => Some(alloc::format!(
            "{} is the only node that is configured, and serves all virtual addresses by itself",
            cluster.node
        )),
        Standing::Secretless => Some(alloc::format!(
            "{} has no secret in its node.toml, and so no place among the {} nodes that are \
             configured: it serves no virtual address",
            cluster.node,
            cluster.nodes.len()
        )),
        Standing::Newcomer => Some(alloc::format!(
            "{} asks to be let into a running cluster, as its node.toml says: show log says what \
             it is answered",
            cluster.node
        )),
        Standing::Outside | Standing::Member => None,
    };
    let digest = cluster.document.digest.clone();
    let own: Vec<(String, Cell)> = alloc::vec![
        ("node".into(), Cell::Text(cluster.node)),
        ("standing".into(), Cell::text(cluster.standing)),
        ("start".into(), Cell::Number(cluster.start.into())),
        ("view".into(), cluster.view.map_or(Cell::Nothing, Cell::Text)),
        ("members".into(), Cell::List(cluster.members)),
        ("document".into(), Cell::Text(document(cluster.document.revision, &digest))),
        ("committed_by".into(), committed_by(cluster.document)),
        ("policy".into(), Cell::text(cluster.policy)),
        ("profile".into(), Cell::text(cluster.profile)),
        ("patience_milliseconds".into(), milliseconds(cluster.patience)),
    ];
    let refused = cluster.refused.into_iter().map(counter).collect();
    let parts = alloc::vec![
        ("nodes", table(NODES, cluster.nodes, node)),
        ("paths", table(PATHS, cluster.paths, path)),
        ("vips", table(VIPS, cluster.owners, vip)),
        ("leases", table(LEASES, cluster.leases, lease)),
        ("moves", table(MOVES, cluster.moves, moved)),
        ("refused", View::Record(refused)),
    ];
    View::Parts { sentence, own, parts }
}

/// A document: its number, and the beginning of its digest.
fn document(revision: u32, digest: &str) -> String {
    alloc::format!("{revision} ({digest})")
}

/// Who committed the document in force; nobody where boxes started with it.
fn committed_by(document: Document) -> Cell {
    match (document.user.as_str(), document.node.as_str()) {
        ("", "") => Cell::Nothing,
        ("", node) => Cell::Text(node.into()),
        (_, "") => Cell::Text(document.user),
        (user, node) => Cell::Text(alloc::format!("{user} at {node}")),
    }
}

fn node(node: Node) -> Vec<Cell> {
    alloc::vec![
        Cell::Text(node.name),
        Cell::Number(node.id.into()),
        node.start.map_or(Cell::Nothing, |start| Cell::Number(start.into())),
        Cell::Flag(node.member),
        Cell::text(node.presence),
        Cell::Flag(node.hears),
        Cell::Flag(node.drained),
        node.document.as_ref().map_or(Cell::Nothing, |(it, _)| Cell::Number((*it).into())),
        node.document.map_or(Cell::Nothing, |(_, digest)| Cell::Text(digest)),
        Cell::Number(node.weight.into()),
        node.used.map_or(Cell::Nothing, |used| Cell::Number(used.into())),
    ]
}

fn path(path: Path) -> Vec<Cell> {
    alloc::vec![
        Cell::Text(path.node),
        Cell::Text(path.network),
        milliseconds(Some(path.quiet)),
        microseconds(Some(path.round_trip)),
        Cell::Number(path.lost_in.into()),
        Cell::Number(path.lost_out.into()),
    ]
}

fn vip(vip: Ownership) -> Vec<Cell> {
    alloc::vec![
        Cell::Text(vip.vip),
        Cell::Text(vip.address.to_string()),
        Cell::Text(vip.network),
        vip.owner.map_or(Cell::Nothing, Cell::Text),
        Cell::Flag(vip.served),
        vip.used.map_or(Cell::Nothing, |used| Cell::Number(used.into())),
        Cell::List(vip.spread),
    ]
}

fn lease(lease: Lease) -> Vec<Cell> {
    alloc::vec![
        Cell::Text(lease.network),
        Cell::Flag(lease.open),
        milliseconds(lease.remaining),
        Cell::Number(lease.closings.into())
    ]
}

fn moved(moved: Move) -> Vec<Cell> {
    alloc::vec![
        Cell::Time(moved.at),
        Cell::List(moved.vips),
        moved.from.map_or(Cell::Nothing, Cell::Text),
        moved.to.map_or(Cell::Nothing, Cell::Text),
        Cell::Text(moved.reason.into()),
        Cell::Text(moved.evidence),
    ]
}

fn milliseconds(time: Option<Duration>) -> Cell {
    let number = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    time.map_or(Cell::Nothing, |time| Cell::Number(number(time)))
}
