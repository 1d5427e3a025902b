//! Replies as JSON, under the names that the console's `| json` has.

use base::Instant;
use model::operator::{Reply, Topic};
use model::status;
use serde_json::{Map, Value, json};

/// What can be seen, by the last part of its address. The words are the console's.
pub const TOPICS: &[(&str, Topic)] = &[
    ("ports", Topic::Ports),
    ("vips", Topic::Vips),
    ("services", Topic::Services),
    ("servers", Topic::Servers),
    ("flows", Topic::Flows),
    ("counters", Topic::Counters),
    ("boot", Topic::Boot),
    ("version", Topic::Version),
    ("config", Topic::Config),
    ("log", Topic::Log),
    ("revisions", Topic::Revisions),
    ("sessions", Topic::Sessions),
    ("candidate", Topic::Candidate),
    ("neighbors", Topic::Neighbors),
    ("cluster", Topic::Cluster),
];

/// A reply to [`model::operator::Request::Show`]; `None` if it is none.
pub fn value(reply: &Reply) -> Option<Value> {
    Some(match reply {
        Reply::Ports(ports) => list(ports, port),
        Reply::Vips(vips) => list(vips, vip),
        Reply::Services(services) => list(services, service),
        Reply::Servers(servers) => list(servers, server),
        Reply::Flows(flows) => self::flows(flows),
        Reply::Counters(counters) => Value::Object(counters.iter().map(counter).collect()),
        Reply::Boot(steps) => list(steps, boot_step),
        Reply::Version(version) => self::version(version),
        Reply::Config(text) => text.lines().collect(),
        Reply::Lines(lines) => json!(lines),
        Reply::Log(entries) => entries.iter().map(|entry| json!(entry.line)).collect(),
        Reply::Candidate(candidate) => self::candidate(candidate),
        Reply::Revisions(revisions) => list(revisions, revision),
        Reply::Sessions(sessions) => list(sessions, session),
        Reply::Neighbors(neighbors) => list(neighbors, neighbor),
        Reply::Cluster(cluster) => self::cluster(cluster),
        Reply::Done(_)
        | Reply::Refused(_)
        | Reply::Problems(_)
        | Reply::Committed { .. }
        | Reply::Echo(_)
        | Reply::Pinged(_)
        | Reply::Frame(_)
        | Reply::Captured(_) => return None,
    })
}

fn list<T>(all: &[T], fact: impl Fn(&T) -> Value) -> Value {
    all.iter().map(fact).collect()
}

/// Seconds since the kernel started.
pub fn seconds(at: Instant) -> Value {
    // Exact for centuries: a double has 53 bits, milliseconds of a thousand years have 45.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 ms")]
    let seconds = at.as_millis() as f64 / 1_000.0;
    json!(seconds)
}

/// A port.
pub fn port(port: &status::Port) -> Value {
    let addresses: Vec<String> = port.addresses.iter().map(ToString::to_string).collect();
    json!({
        "port": port.name,
        "network": port.network,
        "link": port.link.word(),
        "interface": port.interface,
        "vlan": port.vlan,
        "mac": port.mac.map(|mac| mac.to_string()),
        "mtu": port.mtu,
        "received": port.received.frames,
        "sent": port.sent.frames,
        "dropped": port.dropped,
        "unsent": port.unsent,
        "received_octets": port.received.octets,
        "sent_octets": port.sent.octets,
        "addresses": addresses,
    })
}

/// A virtual address.
pub fn vip(vip: &status::Vip) -> Value {
    json!({
        "vip": vip.name,
        "address": vip.address,
        "network": vip.network,
        "served": vip.served,
        "gateway": vip.gateway.to_string(),
        "services": vip.services,
        "flows": vip.flows,
    })
}

/// A service.
pub fn service(service: &status::Service) -> Value {
    json!({
        "service": service.name,
        "vip": service.vip,
        "address": service.address,
        "protocol": service.protocol.to_string(),
        "ports": service.ports.to_string(),
        "mode": service.mode.to_string(),
        "pool": service.pool,
        "usable": service.usable,
        "servers": service.servers,
        "flows": service.flows,
        "total": service.total,
    })
}

/// A server.
pub fn server(server: &status::Server) -> Value {
    json!({
        "pool": server.pool,
        "server": server.name,
        "address": server.address,
        "port": server.port,
        "weight": server.weight,
        "state": server.state.to_string(),
        "health": server.health.word(),
        "flows": server.flows,
        "total": server.total,
        "since": seconds(server.since),
        "cause": server.cause.to_string(),
    })
}

/// The flows.
pub fn flows(flows: &status::Flows) -> Value {
    let own = [("flows", flows.total()), ("capacity", flows.capacity)];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
    Value::Object(own.chain(flows.states.iter().map(counter)).collect::<Map<_, _>>())
}

fn counter(counter: &status::Counter) -> (String, Value) {
    (counter.name.clone(), json!(counter.value))
}

fn boot_step(step: &status::BootStep) -> Value {
    json!({ "at": seconds(step.at), "step": step.name, "result": step.detail })
}

/// What runs.
pub fn version(version: &status::Version) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    json!({
        "version": text(&version.version),
        "kernel": text(&version.kernel),
        "board": text(&version.board),
        "cluster": text(&version.cluster),
        "node": text(&version.node),
        "uptime": seconds(Instant::ZERO + version.uptime),
    })
}

fn revision(revision: &status::Revision) -> Value {
    json!({
        "revision": revision.number,
        "at": seconds(revision.at),
        "user": (!revision.user.is_empty()).then_some(&revision.user),
        "face": revision.face.map(model::operator::Face::word),
        "changes": revision.changes,
        "confirmed": revision.confirmed,
        "comment": revision.comment,
    })
}

fn session(session: &status::Session) -> Value {
    json!({
        "session": session.number,
        "user": session.user,
        "role": session.role.word(),
        "face": session.face.word(),
        "since": seconds(session.since),
        "configures": session.configures,
    })
}

/// Who changes the configuration, and what waits to be confirmed.
pub fn candidate(candidate: &status::Candidate) -> Value {
    let holder = candidate.holder.as_ref().map(|holder| {
        json!({
            "session": holder.session,
            "user": holder.user,
            "face": holder.face.word(),
            "since": seconds(holder.since),
        })
    });
    let unconfirmed = candidate.unconfirmed.as_ref().map(|commit| {
        json!({
            "revision": commit.revision,
            "session": commit.session,
            "user": commit.user,
            "face": commit.face.word(),
            "confirm_by": seconds(commit.confirm_by),
        })
    });
    json!({ "holder": holder, "unconfirmed": unconfirmed })
}

/// The log, taken apart: when, the name of the event, how much it wants attention, and what the
/// line says behind the time.
pub fn events(entries: &[status::LogEntry]) -> Value {
    let text = |line: &str| match line.split_once("portico: ") {
        Some((_, text)) => text.to_owned(),
        None => line.to_owned(),
    };
    let event = |entry: &status::LogEntry| {
        json!({
            "at": seconds(entry.at),
            "event": entry.name,
            "severity": entry.severity.word(),
            "text": text(&entry.line),
        })
    };
    entries.iter().map(event).collect()
}

fn neighbor(neighbor: &status::Neighbor) -> Value {
    json!({
        "address": neighbor.address,
        "mac": neighbor.mac.map(|mac| mac.to_string()),
        "state": neighbor.state.word(),
        "port": neighbor.port,
        "network": neighbor.network,
    })
}

/// The cluster as this box sees it.
fn cluster(cluster: &status::Cluster) -> Value {
    json!({
        "node": cluster.node,
        "standing": cluster.standing.word(),
        "start": cluster.start,
        "view": cluster.view,
        "members": cluster.members,
        "document": {
            "revision": cluster.document.revision,
            "digest": cluster.document.digest,
            "user": cluster.document.user,
            "node": cluster.document.node,
            "comment": cluster.document.comment,
        },
        "policy": cluster.policy.word(),
        "profile": cluster.profile.word(),
        "patience_milliseconds": cluster.patience.map(|time| count(time.as_millis())),
        "nodes": list(&cluster.nodes, node),
        "paths": list(&cluster.paths, |path| {
            json!({
                "node": path.node,
                "network": path.network,
                "quiet_milliseconds": count(path.quiet.as_millis()),
                "round_trip_microseconds": count(path.round_trip.as_micros()),
                "lost_in": path.lost_in,
                "lost_out": path.lost_out,
            })
        }),
        "vips": list(&cluster.owners, |vip| {
            json!({
                "vip": vip.vip,
                "address": vip.address,
                "network": vip.network,
                "owner": vip.owner,
                "served": vip.served,
                "used_thousandths": vip.used,
                "spread_over": vip.spread,
            })
        }),
        "leases": list(&cluster.leases, |lease| {
            json!({
                "network": lease.network,
                "open": lease.open,
                "remaining_milliseconds": lease.remaining.map(|left| count(left.as_millis())),
                "closings": lease.closings,
            })
        }),
        "moves": list(&cluster.moves, moved),
        "refused": Value::Object(cluster.refused.iter().map(counter).collect()),
    })
}

/// A node of the cluster.
pub fn node(node: &status::Node) -> Value {
    json!({
        "node": node.name,
        "id": node.id,
        "start": node.start,
        "member": node.member,
        "presence": node.presence.word(),
        "hears_us": node.hears,
        "drained": node.drained,
        "document": node.document.as_ref().map(|(revision, digest)| {
            json!({ "revision": revision, "digest": digest })
        }),
        "weight": node.weight,
        "used_thousandths": node.used,
    })
}

/// A change of owners.
pub fn moved(moved: &status::Move) -> Value {
    json!({
        "at": seconds(moved.at),
        "vips": moved.vips,
        "from": moved.from,
        "to": moved.to,
        "reason": moved.reason,
        "evidence": moved.evidence,
    })
}

fn count(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
