//! Metrics in Prometheus' text format, version 0.0.4
//! (prometheus.io/docs/instrumenting/exposition_formats), named as
//! prometheus.io/docs/practices/naming says: a unit at the end, `_total` for what only grows.

use std::fmt::{Display, Write};

use model::operator::{Reply, Topic};
use model::status::{Cluster, Counter, Flows, Health, Link, Port, Server, Service, Vip};

/// What has to be asked for, in the order of [`text`]'s replies.
pub const TOPICS: [Topic; 8] = [
    Topic::Version,
    Topic::Ports,
    Topic::Vips,
    Topic::Services,
    Topic::Servers,
    Topic::Flows,
    Topic::Counters,
    Topic::Cluster,
];

/// The format's name in a Content-Type.
pub const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of the replies to [`TOPICS`].
pub fn text(replies: &[Reply]) -> String {
    let mut page = Page::default();
    for reply in replies {
        match reply {
            Reply::Version(version) => {
                let labels = [("version", &version.version), ("node", &version.node)];
                let labels = labels.map(|(name, value)| (name, value.as_str()));
                page.one("portico_build_info", GAUGE, "What runs, as labels.", &labels, 1);
                let help = "Seconds since the kernel started.";
                page.one("portico_uptime_seconds", GAUGE, help, &[], version.uptime.as_secs());
            }
            Reply::Ports(ports) => page.ports(ports),
            Reply::Vips(vips) => page.vips(vips),
            Reply::Services(services) => page.services(services),
            Reply::Servers(servers) => page.servers(servers),
            Reply::Flows(flows) => page.flows(flows),
            Reply::Counters(counters) => page.counters(counters),
            Reply::Boot(_)
            | Reply::Config(_)
            | Reply::Log(_)
            | Reply::Done(_)
            | Reply::Refused(_)
            | Reply::Lines(_)
            | Reply::Problems(_)
            | Reply::Committed { .. }
            | Reply::Revisions(_)
            | Reply::Sessions(_)
            | Reply::Candidate(_)
            | Reply::Echo(_)
            | Reply::Pinged(_)
            | Reply::Frame(_)
            | Reply::Captured(_)
            | Reply::Neighbors(_) => {}
            Reply::Cluster(cluster) => page.cluster(cluster),
        }
    }
    page.0
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

#[derive(Default)]
struct Page(String);

impl Page {
    /// The lines that introduce a metric.
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(text));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }

    fn one(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) {
        self.head(name, kind, help);
        self.sample(name, labels, value);
    }

    /// A metric with a sample for each of `all`.
    fn each<'t, T, const N: usize>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        all: &'t [T],
        row: impl Fn(&'t T) -> ([(&'static str, &'t str); N], u64),
    ) {
        self.head(name, kind, help);
        for item in all {
            let (labels, value) = row(item);
            self.sample(name, &labels, value);
        }
    }

    fn ports(&mut self, all: &[Port]) {
        let metric = ("portico_port_up", GAUGE, "Whether the port has a carrier.");
        self.each(metric, all, |p| (port(p), u64::from(p.link == Link::Up)));
        let metric = ("portico_port_receive_bytes_total", COUNTER, "Octets of frames received.");
        self.each(metric, all, |p| (port(p), p.received.octets));
        let metric = ("portico_port_transmit_bytes_total", COUNTER, "Octets of frames sent.");
        self.each(metric, all, |p| (port(p), p.sent.octets));
        let metric = ("portico_port_receive_packets_total", COUNTER, "Frames received.");
        self.each(metric, all, |p| (port(p), p.received.frames));
        let metric = ("portico_port_transmit_packets_total", COUNTER, "Frames sent.");
        self.each(metric, all, |p| (port(p), p.sent.frames));
        let help = "Frames received and not passed on.";
        self.each(("portico_port_receive_drop_total", COUNTER, help), all, |p| {
            (port(p), p.dropped)
        });
        let help = "Frames that should have been sent and were not.";
        self.each(("portico_port_transmit_drop_total", COUNTER, help), all, |p| {
            (port(p), p.unsent)
        });
    }

    fn vips(&mut self, all: &[Vip]) {
        let help = "Whether this box answers for the VIP.";
        self.each(("portico_vip_served", GAUGE, help), all, |v| (vip(v), u64::from(v.served)));
        self.each(("portico_vip_flows", GAUGE, "Flows now."), all, |v| (vip(v), v.flows));
    }

    fn services(&mut self, all: &[Service]) {
        self.each(("portico_service_flows", GAUGE, "Flows now."), all, |s| (service(s), s.flows));
        let metric = ("portico_service_flows_total", COUNTER, "Flows begun.");
        self.each(metric, all, |s| (service(s), s.total));
        let metric = ("portico_service_servers", GAUGE, "Servers of the service's pool.");
        self.each(metric, all, |s| (service(s), s.servers.into()));
        let metric = ("portico_service_servers_usable", GAUGE, "Servers that get new flows.");
        self.each(metric, all, |s| (service(s), s.usable.into()));
    }

    fn servers(&mut self, all: &[Server]) {
        let help = "Whether the server is not known to be down.";
        let up = |s: &Server| u64::from(s.health != Health::Down);
        self.each(("portico_server_up", GAUGE, help), all, |s| (server(s), up(s)));
        self.each(("portico_server_flows", GAUGE, "Flows now."), all, |s| (server(s), s.flows));
        let metric = ("portico_server_flows_total", COUNTER, "Flows begun.");
        self.each(metric, all, |s| (server(s), s.total));
        let metric = ("portico_server_weight", GAUGE, "Share of new flows.");
        self.each(metric, all, |s| (server(s), s.weight.into()));
    }

    fn flows(&mut self, flows: &Flows) {
        let help = "Flows that there may be.";
        self.one("portico_flows_capacity", GAUGE, help, &[], flows.capacity);
        let metric = ("portico_flows", GAUGE, "Flows now, by state.");
        self.each(metric, &flows.states, |s| ([("state", s.name.as_str())], s.value));
    }

    fn cluster(&mut self, cluster: &Cluster) {
        let help = "Nodes that are configured.";
        self.one("portico_cluster_nodes", GAUGE, help, &[], cluster.nodes.len());
        let help = "Nodes of the view that this box is part of; 0: it is part of none.";
        self.one("portico_cluster_members", GAUGE, help, &[], cluster.members.len());
        let owned = cluster.owners.iter().filter(|vip| vip.owner.as_ref() == Some(&cluster.node));
        let help = "VIPs that this box owns.";
        self.one("portico_cluster_vips_owned", GAUGE, help, &[], owned.count());
        let metric = ("portico_cluster_lease_open", GAUGE, "Whether this box may serve there.");
        self.each(metric, &cluster.leases, |lease| {
            ([("network", lease.network.as_str())], u64::from(lease.open))
        });
        let metric = ("portico_cluster_lease_closings_total", COUNTER, "How often it has ended.");
        self.each(metric, &cluster.leases, |lease| {
            ([("network", lease.network.as_str())], u64::from(lease.closings))
        });
    }

    fn counters(&mut self, all: &[Counter]) {
        let metric = ("portico_events_total", COUNTER, "What the forwarders count, by name.");
        self.each(metric, all, |c| ([("event", c.name.as_str())], c.value));
    }
}

fn port(port: &Port) -> [(&'static str, &str); 2] {
    [("port", &port.name), ("network", &port.network)]
}

fn vip(vip: &Vip) -> [(&'static str, &str); 1] {
    [("vip", &vip.name)]
}

fn service(service: &Service) -> [(&'static str, &str); 1] {
    [("service", &service.name)]
}

fn server(server: &Server) -> [(&'static str, &str); 2] {
    [("pool", &server.pool), ("server", &server.name)]
}

/// A label's value: `\`, `"` and line feeds are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::status::Traffic;

    #[test]
    fn a_port_is_a_sample_of_each_of_its_metrics() {
        let port = Port {
            name: "eth0".into(),
            interface: "eth0".into(),
            vlan: None,
            network: "a\"b".into(),
            mac: None,
            mtu: 1_500,
            link: Link::Up,
            addresses: Vec::new(),
            received: Traffic { frames: 7, octets: 700 },
            sent: Traffic { frames: 8, octets: 800 },
            dropped: 1,
            unsent: 2,
        };
        let page = text(&[Reply::Ports(vec![port])]);
        for line in [
            "# TYPE portico_port_receive_bytes_total counter",
            "portico_port_up{port=\"eth0\",network=\"a\\\"b\"} 1",
            "portico_port_receive_bytes_total{port=\"eth0\",network=\"a\\\"b\"} 700",
            "portico_port_transmit_drop_total{port=\"eth0\",network=\"a\\\"b\"} 2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

    #[test]
    fn of_a_cluster_the_members_are_counted_and_what_this_box_owns_of_its_addresses() {
        let owned = |owner: Option<&str>| model::status::Ownership {
            vip: "www".into(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            network: "outside".into(),
            owner: owner.map(Into::into),
            served: false,
            used: None,
            spread: vec![],
        };
        let lease = |network: &str, open| model::status::Lease {
            network: network.into(),
            open,
            remaining: None,
            closings: 2,
        };
        let cluster = Cluster {
            node: "n1".into(),
            standing: model::status::Standing::Member,
            start: 1,
            view: Some("1/1.1/1".into()),
            members: vec!["n1".into(), "n2".into()],
            document: model::status::Document::default(),
            nodes: vec![],
            paths: vec![],
            owners: vec![owned(Some("n1")), owned(Some("n2")), owned(None)],
            leases: vec![lease("outside", true), lease("inside", false)],
            moves: vec![],
            patience: None,
            profile: model::Profile::Auto,
            policy: model::Policy::Witness,
            refused: vec![],
        };
        let page = text(&[Reply::Cluster(Box::new(cluster))]);
        for line in [
            "portico_cluster_members 2",
            "portico_cluster_vips_owned 1",
            "portico_cluster_lease_open{network=\"outside\"} 1",
            "portico_cluster_lease_open{network=\"inside\"} 0",
            "portico_cluster_lease_closings_total{network=\"inside\"} 2",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

    #[test]
    fn every_metric_is_introduced_once() {
        let flows = Flows { capacity: 9, states: vec![] };
        let page = text(&[Reply::Servers(vec![]), Reply::Services(vec![]), Reply::Flows(flows)]);
        let mut heads: Vec<_> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = heads.len();
        heads.sort_unstable();
        heads.dedup();
        assert_eq!(heads.len(), all);
        assert!(page.ends_with('\n'));
    }
}
