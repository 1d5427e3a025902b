//! Another configuration while flows are under way: no flow is moved, reset or lost.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use base::address::mapped;
use base::{Instant, ServerId};
use dataplane::Event;
use fixtures::{ACK, SYN};
use model::Config;
use model::config::document::Document;
use model::event::Event as Happened;
use model::status::{Cause, Flows, Health};
use node::status::Measured;
use node::{Attached, Control, Plan, Said};

use crate::common::{INSIDE, Lab, OUTSIDE, Port, ROUTER, mac_of, outside};
use crate::table::tcp;

const VIP: &str = "192.0.2.80:100";

/// A node whose forwarder gets its tables from its control.
struct Node {
    document: Document,
    control: Control,
    lab: Lab,
    now: Instant,
}

impl Node {
    fn new() -> Self {
        let text = include_str!("../common/cluster.toml");
        let now = Instant::from_millis(1_000);
        let plan = Plan::new(Config::parse(text).unwrap(), "n1", 7).unwrap();
        let attached = [OUTSIDE, INSIDE].map(|mac| Attached { mac, mtu: 1_500, up: true });
        let control = Control::new(now, plan, attached.to_vec(), 7);
        let document = Document::parse(text).unwrap();
        let mut node = Self { document, control, lab: Lab::new(), now };
        node.learn();
        node
    }

    /// Every next hop answers.
    fn learn(&mut self) {
        for (port, address) in self.control.plan().next_hops() {
            let mac = if port == Port::Outside.id() { ROUTER } else { mac_of(address) };
            let (address, solicited) = (mapped(address), true);
            let seen = Event::NeighborSeen { port, address, mac, solicited };
            self.control.handle_event(self.now, seen);
        }
        self.now += std::time::Duration::from_millis(10);
        if let Some(tables) = self.control.poll_tables(self.now) {
            self.lab.tables = tables;
        }
    }

    fn measured(&self) -> Measured {
        Measured {
            counters: self.lab.forwarder.counters().clone(),
            flows: Flows { capacity: 0, states: vec![] },
            ports: vec![],
            generation: self.lab.tables.generation,
        }
    }

    /// Sets and deletes keys, and carries that out.
    fn commit(&mut self, set: &[(&str, &str)], delete: &[&str]) {
        for path in delete {
            self.document.delete(path).unwrap();
        }
        for (path, value) in set {
            self.document.set(path, value).unwrap();
        }
        let config = Config::parse(&self.document.render()).unwrap();
        let n1 = config.node("n1").unwrap().clone();
        let before = self.lab.tables.generation;
        self.control.reconfigure(self.now, config, n1, &self.measured()).unwrap();
        self.lab.tables = self.control.poll_tables(self.now).expect("the tables are new");
        assert_eq!(self.lab.tables.generation, before + 1, "one swap");
        assert!(self.control.poll_tables(self.now).is_none(), "and no other at once");
        self.learn();
    }

    /// Where a client's segment goes.
    fn server_of(&mut self, client: u16, vip: &str, flags: u8) -> IpAddr {
        let client = format!("198.51.100.7:{client}");
        let seen = self.lab.receive(&outside(&tcp(&client, vip, flags, b"")));
        assert_eq!(seen.sent.len(), 1, "{}", seen.verdict);
        assert_eq!(seen.sent[0].port, Port::Inside, "{}", seen.verdict);
        let bytes = &seen.sent[0].bytes;
        let octets: [u8; 4] = bytes[30..34].try_into().expect("an IPv4 header");
        IpAddr::from(octets)
    }

    /// Begins flows of the service of two servers.
    fn begin(&mut self, clients: std::ops::Range<u16>) -> BTreeMap<u16, IpAddr> {
        clients.map(|client| (client, self.server_of(client, VIP, SYN))).collect()
    }

    /// Every flow is where it was.
    fn assert_undisturbed(&mut self, flows: &BTreeMap<u16, IpAddr>, after: &str) {
        for (&client, &server) in flows {
            assert_eq!(self.server_of(client, VIP, ACK), server, "{client} after {after}");
        }
        assert_eq!(self.lab.count("resets"), 0);
        assert_eq!(self.lab.count("flows_failed"), 0);
    }

    fn events(&mut self) -> Vec<Happened> {
        let said = std::iter::from_fn(|| self.control.poll_said());
        let event = |said| match said {
            Said::Event(event) => Some(event),
            Said::Transmit(..) => None,
        };
        said.filter_map(event).collect()
    }

    fn number(&self, server: &str) -> ServerId {
        self.control.plan().find_server("pair", server).expect("a server")
    }
}

fn address(server: &str, node: &Node) -> IpAddr {
    let (_, server) = node.control.plan().server(node.number(server)).unwrap();
    server.address
}

#[test]
fn flows_stay_where_they_are_through_every_kind_of_change() {
    let mut node = Node::new();
    let flows = node.begin(1_000..1_200);
    let (p1, p2) = (address("p1", &node), address("p2", &node));
    assert!(flows.values().any(|at| *at == p1) && flows.values().any(|at| *at == p2));
    for (set, delete, what) in [
        // A name that sorts first moves the place of every other in the document.
        (&[("pool.pair.server.a0.address", "10.0.0.77")][..], &[][..], "a new server"),
        (&[("pool.pair.server.p1.weight", "9")], &[], "another weight"),
        (&[("pool.pair.server.p2.state", "draining")], &[], "a drained server"),
        (&[], &["pool.pair.server.p2"], "a removed server"),
        (
            &[
                ("vip.a.network", "outside"),
                ("vip.a.address", "192.0.2.99"),
                ("service.a.vip", "a"),
                ("service.a.protocol", "tcp"),
                ("service.a.ports", "100"),
                ("service.a.pool", "pair"),
            ],
            &[],
            "a new VIP and service",
        ),
        (&[("pool.a.server.a.address", "10.0.0.78")], &[], "a new pool"),
        (&[], &["service.pair"], "the service's removal"),
    ] {
        node.commit(set, delete);
        node.assert_undisturbed(&flows, what);
    }
    // New flows go to who is there now: p2 is not.
    let new = (2_000..2_200).map(|client| node.server_of(client, "192.0.2.99:100", SYN));
    let new: Vec<_> = new.collect();
    let a0 = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 77));
    assert!(new.contains(&a0) && new.contains(&p1) && !new.contains(&p2), "{new:?}");
}

#[test]
fn a_drained_server_gets_no_new_flow_and_is_put_back() {
    let mut node = Node::new();
    let flows = node.begin(1_000..1_100);
    let p1 = address("p1", &node);
    assert!(node.control.drain(node.now, "pair", "p1", true));
    node.lab.tables = node.control.poll_tables(node.now).unwrap();
    assert!(node.begin(2_000..2_100).values().all(|at| *at != p1));
    assert!(node.control.drain(node.now, "pair", "p1", false));
    node.lab.tables = node.control.poll_tables(node.now).unwrap();
    assert!(node.begin(3_000..3_100).values().any(|at| *at == p1));
    node.assert_undisturbed(&flows, "a drain");
    assert!(!node.control.drain(node.now, "pair", "p9", true), "there is none");
}

#[test]
fn the_number_of_a_removed_server_is_free_only_when_its_flows_have_ended() {
    let mut node = Node::new();
    let flows = node.begin(1_000..1_100);
    let number = node.number("p1");
    node.commit(&[], &["pool.pair.server.p1"]);
    node.commit(&[("pool.pair.server.n1.address", "10.0.0.71")], &[]);
    assert_ne!(node.number("n1"), number, "flows refer to it");
    node.assert_undisturbed(&flows, "a new server");
    // An hour and more without a packet: all of them end.
    node.lab.wait(std::time::Duration::from_secs(10_000));
    assert_eq!(node.lab.flows(), 0);
    node.commit(&[("pool.pair.server.n2.address", "10.0.0.72")], &[]);
    assert_eq!(node.number("n2"), number);
}

#[test]
fn a_server_that_comes_back_has_its_number_and_flows_again() {
    let mut node = Node::new();
    let flows = node.begin(1_000..1_100);
    let (number, back) = (node.number("p1"), address("p1", &node).to_string());
    let port = node.document.get("pool.pair.server.p1.port");
    node.commit(&[], &["pool.pair.server.p1"]);
    let mut set = vec![("pool.pair.server.p1.address", back.as_str())];
    let port = port.map(|line| line.trim_start_matches("port = ").trim().to_owned());
    set.extend(port.iter().map(|port| ("pool.pair.server.p1.port", port.as_str())));
    node.commit(&set, &[]);
    assert_eq!(node.number("p1"), number);
    node.assert_undisturbed(&flows, "its return");
}

#[test]
fn health_and_neighbors_survive_and_vips_are_announced_and_released() {
    let mut node = Node::new();
    let number = node.number("p1");
    node.control.handle_server(node.now, number, false, Cause::Refused);
    let known = node.control.neighbors().known().count();
    node.events();
    node.commit(&[("vip.a.network", "outside"), ("vip.a.address", "192.0.2.99")], &[]);
    let (vip, address) = ("a".to_owned(), "192.0.2.99".parse().unwrap());
    assert_eq!(node.events(), [Happened::VipServed { vip: vip.clone(), address }]);
    assert_eq!(node.control.server(number).unwrap().health, Health::Down);
    assert_eq!(node.control.neighbors().known().count(), known);
    node.commit(&[], &["vip.a"]);
    assert_eq!(node.events(), [Happened::VipReleased { vip, address }]);
}
