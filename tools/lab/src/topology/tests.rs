use super::*;
use crate::default_config;

fn wire(text: &str, counts: Counts) -> Result<Topology, LabError> {
    let config = Config::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    Topology::new(&config, counts)
}

fn names(topology: &Topology) -> Vec<&str> {
    topology.hosts.iter().map(|host| host.name.as_str()).collect()
}

#[test]
fn the_default_is_wired_as_people_expect() {
    let topology = wire(&default_config::cluster(1, 3), Counts::default()).expect("it is legal");
    assert_eq!(names(&topology), ["node1", "server1", "server2", "server3", "client1"]);
    let host = |name: &str| topology.host(name).expect("it is there");
    let interface = |name: &str, index: usize| {
        let interface = &host(name).interfaces[index];
        (interface.name.as_str(), interface.segment.as_str(), interface.addresses.join(" "))
    };
    assert_eq!(interface("node1", 0), ("eth0", "outside", String::new()));
    assert_eq!(interface("node1", 1), ("eth1", "inside", String::new()));
    assert_eq!(interface("server1", 0), ("eth0", "inside", "10.0.0.11/24 fd00::11/64".into()));
    let client = ("eth0", "outside", "192.0.2.101/24 2001:db8:1::101/64".to_owned());
    assert_eq!(interface("client1", 0), client);
    let addresses = |texts: &[&str]| -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    };
    assert_eq!(host("server1").gateways, addresses(&["10.0.0.1", "fd00::1"]));
    assert_eq!(host("client1").gateways, addresses(&["192.0.2.1", "2001:db8:1::1"]));
    assert_eq!(host("server1").role, Role::Server { tcp: vec![8080], udp: vec![7] });
    assert_eq!(topology.segments[1].addresses, ["192.0.2.1/24", "2001:db8:1::1/64"]);
    assert_eq!(topology.vips.len(), 4);
}

#[test]
fn more_servers_and_clients_get_addresses_that_nobody_has() {
    let counts = Counts { nodes: None, servers: Some(5), clients: Some(3) };
    let topology = wire(&default_config::cluster(1, 3), counts).expect("it is legal");
    let all: Vec<&String> =
        topology.hosts.iter().flat_map(|h| &h.interfaces).flat_map(|i| &i.addresses).collect();
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!(all.len(), 16);
    assert_eq!(distinct.len(), all.len(), "{all:?}");
    let last = &topology.host("server5").expect("it is there").interfaces[0];
    assert_eq!(last.addresses, ["10.0.0.15/24", "fd00::15/64"]);
}

#[test]
fn a_free_address_is_never_one_that_is_taken() {
    let text = default_config::cluster(1, 1).replace("192.0.2.80", "192.0.2.101");
    let topology = wire(&text, Counts::default()).expect("it is legal");
    let client = &topology.host("client1").expect("it is there").interfaces[0];
    assert_eq!(client.addresses, ["192.0.2.102/24", "2001:db8:1::101/64"]);
}

#[test]
fn what_cannot_be_wired_is_said() {
    let text = default_config::cluster(1, 1);
    let vlan = text.replace("[node.n1.port.eth1]\n", "[node.n1.port.eth1]\nvlan = 10\n");
    let cases = [
        (wire(&text, Counts { nodes: Some(2), ..Counts::default() }), "2 nodes, the configuration"),
        (wire(&text, Counts { clients: Some(0), ..Counts::default() }), "0 clients, it can have"),
        (wire(&vlan, Counts::default()), "port eth1 of node n1 is VLAN 10"),
    ];
    for (wired, expected) in cases {
        let said = wired.expect_err("it cannot be wired").to_string();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_server_without_a_port_listens_where_the_service_does() {
    let text = default_config::cluster(1, 1)
        .replace("port = 8080\n", "")
        .replace("ports = \"80\"", "ports = \"80,8000-8999\"");
    let topology = wire(&text, Counts::default()).expect("it is legal");
    let Role::Server { tcp, .. } = &topology.host("server1").expect("it is there").role else {
        panic!("a server is a server");
    };
    assert_eq!(tcp.len(), LISTENERS);
    assert_eq!(tcp[..3], [80, 8000, 8001]);
}

#[test]
fn the_last_host_of_a_prefix_is_not_its_broadcast_address() {
    let prefix: Prefix = "10.0.0.0/30".parse().expect("a prefix");
    assert_eq!(nth(&prefix, 2), Some("10.0.0.2".parse().expect("an address")));
    assert_eq!(nth(&prefix, 3), None);
    assert_eq!(nth(&prefix, 4), None);
}
