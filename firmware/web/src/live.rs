//! The live overview: one snapshot for everybody who looks, made only while somebody does.
//!
//! A snapshot is made every second, or less often when making it takes more than a fifth of the
//! time or sending it more than [`limits::WEB_LIVE_OCTETS_PER_SECOND`] over all viewers. Whoever is
//! slow skips snapshots; nothing is queued for anybody.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base::Instant;
use base::time::Duration;
use bytes::Bytes;
use model::limits;
use model::operator::{Reply, Request, Topic};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::facts;
use crate::site::Site;

/// Time between two snapshots.
const INTERVAL: Duration = Duration::from_secs(1);
/// The part of the time that making snapshots may take; most of it is waiting for the workers.
const SHARE: u32 = 5;
/// The longest time between two, whatever they take. The page takes five for silence.
const LONGEST: Duration = Duration::from_secs(3);

/// Where snapshots are given out.
pub struct Broadcast {
    sender: watch::Sender<Option<Bytes>>,
    wanted: Notify,
}

impl Default for Broadcast {
    fn default() -> Self {
        Self { sender: watch::Sender::new(None), wanted: Notify::new() }
    }
}

/// A snapshot, if there is one, and where the next will be.
type News = (watch::Receiver<Option<Bytes>>, Option<Bytes>);

/// One viewer's view.
pub struct Live {
    next: Pin<Box<dyn Future<Output = News> + Send>>,
    site: Arc<Site>,
    session: u64,
    over: bool,
}

impl Live {
    /// A view for a session, which ends with it.
    pub fn new(site: Arc<Site>, session: u64) -> Self {
        let mut receiver = site.live.sender.subscribe();
        site.live.wanted.notify_one();
        // Those who come later need not wait for the next snapshot.
        receiver.mark_changed();
        Self { next: Box::pin(next(receiver)), site, session, over: false }
    }

    /// The next event.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            let (receiver, snapshot) = ready!(self.next.as_mut().poll(context));
            self.next = Box::pin(next(receiver));
            let now = self.site.now();
            if !self.site.sessions(|sessions| sessions.lasts(now, self.session)) {
                self.over = true;
                return Poll::Ready(Some(Bytes::from_static(b"event: over\ndata: {}\n\n")));
            }
            if snapshot.is_some() {
                return Poll::Ready(snapshot);
            }
        }
    }
}

async fn next(mut receiver: watch::Receiver<Option<Bytes>>) -> News {
    // An error means that the site is gone; there is nothing more to come then.
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    let snapshot = receiver.borrow_and_update().clone();
    (receiver, snapshot)
}

impl Site {
    /// Looks after what is shared, for ever: snapshots while somebody looks, sessions that end.
    pub async fn sample(self: Arc<Self>) {
        tokio::join!(self.make_snapshots(), self.sweep());
    }

    /// Makes snapshots for ever, while somebody looks.
    async fn make_snapshots(&self) {
        let mut before = None;
        loop {
            if self.live.sender.receiver_count() == 0 {
                // What is old is not shown to the next who looks.
                self.live.sender.send_replace(None);
                before = None;
                self.live.wanted.notified().await;
                continue;
            }
            let began = self.now();
            let mut length = 0;
            if let Some(sample) = self.gather().await {
                let event = Bytes::from(format!("data: {}\n\n", sample.render(before.as_ref())));
                length = event.len();
                self.live.sender.send_replace(Some(event));
                before = Some(sample);
            }
            let cost = self.now().since(began);
            tokio::time::sleep(pause(cost, length * self.live.sender.receiver_count())).await;
        }
    }

    /// Asks for everything that is shown.
    async fn gather(&self) -> Option<Sample> {
        // All at once: control measures for all of them at once, too.
        let replies = tokio::join!(
            self.look(Topic::Ports),
            self.look(Topic::Vips),
            self.look(Topic::Services),
            self.look(Topic::Servers),
            self.look(Topic::Flows),
            self.look(Topic::Version),
            self.look(Topic::Log),
            self.look(Topic::Candidate),
            self.look(Topic::Cluster),
        );
        let (ports, vips, services, servers, flows, version, log, candidate, cluster) = replies;
        let (Ok(Reply::Ports(ports)), Ok(Reply::Vips(vips))) = (ports, vips) else { return None };
        let Ok(Reply::Services(services)) = services else { return None };
        let Ok(Reply::Servers(servers)) = servers else { return None };
        let (Ok(Reply::Flows(flows)), Ok(Reply::Version(version))) = (flows, version) else {
            return None;
        };
        let Ok(Reply::Log(mut log)) = log else { return None };
        let log = log.split_off(log.len().saturating_sub(limits::WEB_LOG_LINES));
        let Ok(Reply::Candidate(candidate)) = candidate else { return None };
        let Ok(Reply::Cluster(cluster)) = cluster else { return None };
        let cluster = *cluster;
        let at = self.now();
        Some(Sample { at, ports, vips, services, servers, flows, version, log, candidate, cluster })
    }

    async fn look(&self, topic: Topic) -> Result<Reply, crate::site::Busy> {
        self.ask(None, Request::Show(topic)).await
    }
}

/// How long to wait after a snapshot that took `cost` to make and sends so many octets.
fn pause(cost: Duration, octets: usize) -> Duration {
    let sending = Duration::from_secs(octets as u64) / limits::WEB_LIVE_OCTETS_PER_SECOND;
    INTERVAL.saturating_sub(cost).max(cost * (SHARE - 1)).max(sending).min(LONGEST)
}

/// Everything that is shown, as it was at one moment.
struct Sample {
    at: Instant,
    ports: Vec<model::status::Port>,
    vips: Vec<model::status::Vip>,
    services: Vec<model::status::Service>,
    servers: Vec<model::status::Server>,
    flows: model::status::Flows,
    version: model::status::Version,
    log: Vec<model::status::LogEntry>,
    candidate: model::status::Candidate,
    cluster: model::status::Cluster,
}

/// What grew, each under its kind and names.
type Totals<'s> = HashMap<(&'static str, &'s str, &'s str), u64>;

impl Sample {
    fn totals(&self) -> Totals<'_> {
        let ports = self.ports.iter().flat_map(|port| {
            [
                (("received", port.name.as_str(), ""), port.received.octets),
                (("sent", port.name.as_str(), ""), port.sent.octets),
                (("frames", port.name.as_str(), ""), port.received.frames),
            ]
        });
        let services = self.services.iter().map(|s| (("service", s.name.as_str(), ""), s.total));
        let servers =
            self.servers.iter().map(|s| (("server", s.pool.as_str(), s.name.as_str()), s.total));
        ports.chain(services).chain(servers).collect()
    }

    /// The virtual addresses, each with the other node that has it, if one does.
    fn vips(&self) -> Value {
        let mut rows = rows(&self.vips, facts::vip, |_| []);
        let owners = self.cluster.owners.iter().map(Some).chain(std::iter::repeat(None));
        for (row, owner) in rows.as_array_mut().into_iter().flatten().zip(owners) {
            // Both are in the order of the configuration, unless it changed in between.
            let same = owner.filter(|owner| row["vip"] == *owner.vip);
            let name = same.and_then(|owner| owner.owner.as_ref());
            row["elsewhere"] = json!(name.filter(|name| **name != self.cluster.node));
        }
        rows
    }

    /// The snapshot as JSON, with rates where there is something to compare it with.
    fn render(&self, before: Option<&Self>) -> Value {
        let past = before.map(|before| (self.at.since(before.at), before.totals()));
        // A count that became smaller began anew.
        let rate = |kind, name, other, now: u64| -> Option<u64> {
            let (time, totals) = past.as_ref()?;
            let grown = now.checked_sub(*totals.get(&(kind, name, other))?)?;
            let nanos = time.as_nanos().max(1);
            u64::try_from(u128::from(grown) * 1_000_000_000 / nanos).ok()
        };
        let ports = rows(&self.ports, facts::port, |port| {
            let (received, sent) = (port.received, port.sent);
            [
                ("received_octets_per_second", rate("received", &port.name, "", received.octets)),
                ("sent_octets_per_second", rate("sent", &port.name, "", sent.octets)),
                ("received_per_second", rate("frames", &port.name, "", received.frames)),
            ]
        });
        let services = rows(&self.services, facts::service, |service| {
            [("flows_per_second", rate("service", &service.name, "", service.total))]
        });
        let servers = rows(&self.servers, facts::server, |server| {
            [("flows_per_second", rate("server", &server.pool, &server.name, server.total))]
        });
        let nodes = rows(&self.cluster.nodes, facts::node, |node| {
            let owners = self.cluster.owners.iter();
            let owned = owners.filter(|vip| vip.owner.as_ref() == Some(&node.name)).count();
            [("vips", u64::try_from(owned).ok())]
        });
        let up = |server: &&model::status::Server| server.health != model::status::Health::Down;
        json!({
            "at": facts::seconds(self.at),
            "version": facts::version(&self.version),
            "flows": facts::flows(&self.flows),
            "ports": ports,
            "vips": self.vips(),
            "services": services,
            "servers": servers,
            "nodes": nodes,
            "count": {
                "nodes": self.cluster.nodes.len(),
                "ports": self.ports.len(),
                "vips": self.vips.len(),
                "vips_served": self.vips.iter().filter(|vip| vip.served).count(),
                "services": self.services.len(),
                "services_usable": self.services.iter().filter(|s| s.usable > 0).count(),
                "servers": self.servers.len(),
                "servers_up": self.servers.iter().filter(up).count(),
            },
            "log": facts::events(&self.log),
            "candidate": facts::candidate(&self.candidate),
        })
    }
}

/// The first rows of a table, each with what `more` knows of it. The rest is counted by the caller.
fn rows<'s, T, const N: usize>(
    all: &'s [T],
    fact: impl Fn(&T) -> Value,
    more: impl Fn(&'s T) -> [(&'static str, Option<u64>); N],
) -> Value {
    let shown = all.iter().take(limits::WEB_LIVE_ROWS).map(|row| {
        let mut fact = fact(row);
        for (name, value) in more(row) {
            fact[name] = json!(value);
        }
        fact
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_each_node_of_the_cluster_with_the_vips_that_it_owns() {
        use model::status::{Cluster, Flows, Node, Ownership, Presence, Standing, Version};
        let node = |name: &str, presence| Node {
            name: name.into(),
            id: 1,
            start: None,
            member: true,
            presence,
            hears: true,
            drained: false,
            document: None,
            weight: 1,
            used: None,
        };
        let vip = || model::status::Vip {
            name: "www".into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            network: "outside".into(),
            served: false,
            gateway: model::config::Gateway::Off,
            services: 0,
            flows: 0,
        };
        let owned = |owner: Option<&str>| Ownership {
            vip: "www".into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            network: "outside".into(),
            owner: owner.map(Into::into),
            served: false,
            used: None,
            spread: vec![],
        };
        let cluster = Cluster {
            node: "n1".into(),
            standing: Standing::Member,
            start: 1,
            view: None,
            members: vec![],
            document: model::status::Document::default(),
            nodes: vec![node("n1", Presence::Own), node("n2", Presence::Heard)],
            paths: vec![],
            owners: vec![owned(Some("n2")), owned(Some("n1")), owned(None)],
            leases: vec![],
            moves: vec![],
            patience: None,
            profile: model::Profile::Auto,
            policy: model::Policy::Witness,
            refused: vec![],
        };
        let empty = String::new;
        let version = Version {
            version: empty(),
            kernel: empty(),
            board: empty(),
            cluster: empty(),
            node: empty(),
            uptime: Duration::ZERO,
        };
        let snapshot = Sample {
            at: Instant::ZERO,
            ports: vec![],
            vips: vec![vip(), vip(), vip()],
            services: vec![],
            servers: vec![],
            flows: Flows { capacity: 0, states: vec![] },
            version,
            log: vec![],
            candidate: model::status::Candidate { holder: None, unconfirmed: None },
            cluster,
        }
        .render(None);
        assert_eq!(snapshot["count"]["nodes"], 2);
        let seen =
            [0, 1].map(|at| (&snapshot["nodes"][at]["node"], &snapshot["nodes"][at]["vips"]));
        assert_eq!(seen, [(&json!("n1"), &json!(1)), (&json!("n2"), &json!(1))]);
        let elsewhere = [0, 1, 2].map(|at| &snapshot["vips"][at]["elsewhere"]);
        assert_eq!(elsewhere, [&json!("n2"), &Value::Null, &Value::Null]);
    }

    #[test]
    fn snapshots_become_rarer_when_they_cost_more() {
        let ms = Duration::from_millis;
        let octets = limits::WEB_LIVE_OCTETS_PER_SECOND as usize;
        for (cost, octets, expected) in [
            (ms(0), 0, ms(1_000)),
            (ms(30), 8_000 * 50, ms(970)),
            (ms(400), 0, ms(1_600)),
            (ms(10), octets * 2, ms(2_000)),
            (ms(5_000), octets * 100, LONGEST),
        ] {
            assert_eq!(pause(cost, octets), expected, "{cost:?} {octets}");
        }
    }
}
