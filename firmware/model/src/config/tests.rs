//! Documents as an operator writes them, right and wrong.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::*;
use crate::limits;

/// The format as it is published; it must be read as it stands.
const EXAMPLE: &str = include_str!("../../tests/example.toml");

#[test]
fn the_published_example_is_read_as_it_stands() {
    let config = Config::parse(EXAMPLE).unwrap();
    assert_eq!(config.cluster.name, "edge");
    assert_eq!(config.cluster.policy, Policy::Witness);
    assert_eq!(config.networks[0].name, "inside");
    assert_eq!(config.networks[1].gateways.len(), 2);
    let [gw, www] = &config.vips[..] else { panic!("two VIPs") };
    assert_eq!((gw.gateway, gw.network.index(), gw.group.as_str()), (Gateway::Route, 0, "gw"));
    assert_eq!((www.gateway, www.network.index()), (Gateway::Off, 1));
    assert_eq!(www.address.to_string(), "192.0.2.80");
    let [web] = &config.services[..] else { panic!("one service") };
    assert_eq!((web.vip.index(), web.pool.index(), web.protocol), (1, 0, ServiceProtocol::Tcp));
    assert_eq!(web.ports.to_string(), "80,443,8000-8099");
    assert_eq!(web.idle, None);
    let check = config.pools[0].check.unwrap();
    assert_eq!((check.interval, check.timeout), (Duration::from_secs(1), Duration::from_secs(1)));
    let [s1] = &config.pools[0].servers[..] else { panic!("one server") };
    assert_eq!((s1.port, s1.weight, s1.state), (Some(8080), 1, ServerState::Up));
    let [n1] = &config.nodes[..] else { panic!("one node") };
    assert_eq!((n1.id, n1.ports[1].interface.as_str()), (1, "eth1"));
    assert_eq!(n1.ports[0].addresses[1].to_string(), "2001:db8:1::11/64");
}

/// The example with one piece of it written otherwise.
fn with(old: &str, new: &str) -> String {
    assert_eq!(EXAMPLE.matches(old).count(), 1, "{old:?} stands there once");
    EXAMPLE.replace(old, new)
}

/// The problems of a document without their places: `path: what`.
fn problems(text: &str) -> Vec<String> {
    match Config::parse(text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|p| format!("{}: {}", p.path, p.what)).collect(),
    }
}

#[test]
fn each_kind_of_mistake_is_told_once_and_where() {
    let server = "[pool.web.server.s1]\naddress = \"10.0.0.11\"";
    for (old, new, expected) in [
        // Keys and types.
        ("name = \"edge\"", "", "cluster.name: missing"),
        ("name = \"edge\"", "name = 5", "cluster.name: an integer stands here"),
        ("name = \"edge\"", "name = \"a b\"", "cluster.name: \"a b\" is not a name"),
        ("policy = ", "polcy = ", "cluster.polcy: unknown key \"polcy\""),
        ("\"witness\"", "\"wittness\"", "cluster.policy: \"wittness\" is unknown"),
        ("\"nat\"", "\"full-nat\"", "service.web.mode: \"full-nat\" is not built yet"),
        ("\"route\"", "\"masquerade\"", "vip.gw.gateway: \"masquerade\" is not built yet"),
        ("id = 1", "id = 0", "node.n1.id: 0 is out of range"),
        ("id = 1", "id = 256", "node.n1.id: 256 is out of range"),
        ("id = 1", "id = true", "node.n1.id: a boolean stands here"),
        ("weight = 1", "weight = -1", "pool.web.server.s1.weight: -1 is out of range"),
        ("weight = 1", "weight = 0x1000", "pool.web.server.s1.weight: 0x1000 is out of range"),
        ("id = 1", "id = 1\nbond = 1", "node.n1.bond: unknown key \"bond\""),
        (
            "[node.n1.port.eth0]",
            "[node.n1.port.eth0]\nbond = []",
            "node.n1.port.eth0.bond: not built yet",
        ),
        ("\"1s\"", "\"1 s\"", "pool.web.check.interval: \"1 s\" is not a duration"),
        ("\"1s\"", "\"1ms\"", "pool.web.check.interval: 1ms is too short"),
        ("\"1s\"", "\"2h\"", "pool.web.check.interval: 2h is too long"),
        (
            "\"1s\"",
            "\"1s\"\ntimeout = \"2s\"",
            "pool.web.check.timeout: 2s is longer than the interval",
        ),
        ("8000-8099", "80-90", "service.web.ports: port 80 is named twice"),
        ("\"80,443,8000-8099\"", "80", "service.web.ports: an integer stands here"),
        // References.
        ("pool = \"web\"", "pool = \"wbe\"", "service.web.pool: there is no pool \"wbe\""),
        ("vip = \"www\"", "vip = \"w\"", "service.web.vip: there is no vip \"w\""),
        // Networks.
        (
            "\"192.0.2.0/24\"",
            "\"192.0.2.5/24\"",
            "network.outside.prefixes[0]: \"192.0.2.5/24\" has host bits, its network is \
             192.0.2.0/24",
        ),
        (
            "\"fd00::/64\"",
            "\"10.0.0.128/25\"",
            "network.inside.prefixes[1]: 10.0.0.128/25 overlaps 10.0.0.0/24 of network \
             \"inside\"\nnode.n1.port.eth1.addresses[1]: fd00::2 is in no prefix of network \
              \"inside\"",
        ),
        ("[\"10.0.0.0/24\", \"fd00::/64\"]", "[]", "network.inside.prefixes: 0 elements"),
        (
            "\"192.0.2.1\"",
            "\"198.51.100.1\"",
            "network.outside.gateways[0]: 198.51.100.1 is in no prefix of network \"outside\"",
        ),
        (
            "\"2001:db8:1::1\"",
            "\"192.0.2.2\"",
            "network.outside.gateways[1]: 192.0.2.1 is an IPv4 gateway already, two are not \
             built yet",
        ),
        (
            "\"192.0.2.1\"",
            "\"192.0.2.80\"",
            "network.outside.gateways[0]: 192.0.2.80 is the address of VIP \"www\"",
        ),
        (
            "\"192.0.2.1\"",
            "\"192.0.2.11\"",
            "network.outside.gateways[0]: 192.0.2.11 is the address of node \"n1\"",
        ),
        // VIPs.
        (
            "\"192.0.2.80\"",
            "\"192.0.2.256\"",
            "vip.www.address: \"192.0.2.256\" is not an IP address",
        ),
        (
            "\"192.0.2.80\"",
            "\"224.0.0.1\"",
            "vip.www.address: \"224.0.0.1\" is a multicast address",
        ),
        (
            "\"192.0.2.80\"",
            "\"192.0.2.255\"",
            "vip.www.address: 192.0.2.255 is the broadcast address",
        ),
        (
            "\"192.0.2.80\"",
            "\"192.0.2.0\"",
            "vip.www.address: 192.0.2.0 is the network's own address",
        ),
        (
            "\"192.0.2.80\"",
            "\"10.0.0.9\"",
            "vip.www.address: 10.0.0.9 is in no prefix of network \"outside\"",
        ),
        (
            "\"192.0.2.80\"",
            "\"192.0.2.11\"",
            "vip.www.address: 192.0.2.11 is the address of node \"n1\" already",
        ),
        (
            "[vip.gw]",
            "[vip.dup]\nnetwork = \"outside\"\naddress = \"192.0.2.80\"\n[vip.gw]",
            "vip.www.address: 192.0.2.80 is the address of VIP \"dup\" already",
        ),
        // Services and servers.
        (
            "[pool.web]",
            "[service.x]\nvip = \"www\"\nprotocol = \"tcp\"\nports = \"443\"\npool = \"web\"\n\
             [pool.web]",
            "service.x.ports: port 443 is served by service \"web\" too",
        ),
        (
            "\"10.0.0.11\"",
            "\"fd00::11\"",
            "service.web.pool: server \"s1\" of the pool is IPv6, the VIP is IPv4",
        ),
        (
            "\"10.0.0.11\"",
            "\"192.0.2.80\"",
            "pool.web.server.s1.address: 192.0.2.80 is the address of VIP \"www\"",
        ),
        (
            "\"10.0.0.11\"",
            "\"10.0.0.2\"",
            "pool.web.server.s1.address: 10.0.0.2 is the address of node \"n1\"",
        ),
        (
            "\"10.0.0.11\"",
            "\"10.0.0.255\"",
            "pool.web.server.s1.address: 10.0.0.255 is the broadcast address",
        ),
        (
            server,
            "[pool.web.server.s0]\naddress = \"10.0.0.11\"\nport = 8080\n[pool.web.server.s1]\n\
             address = \"10.0.0.11\"",
            "pool.web.server.s1.address: another server of the pool has 10.0.0.11 and the same \
             port already",
        ),
        // Users. A password that stands where its hash belongs is not told on.
        (
            "[node.n1]",
            "[user.ann]\npassword = \"hunter2\"\nrole = \"root\"\n[node.n1]",
            "user.ann.password: this is no password's hash\nuser.ann.role: \"root\" is unknown",
        ),
        (
            "[network.inside]",
            "[network.inside]\nmanagement = 1",
            "network.inside.management: an integer stands here",
        ),
        // Nodes.
        ("[node.n1]", "[node.n0]\nid = 1\n[node.n1]", "node.n1.id: node \"n0\" has id 1 already"),
        (
            "\"10.0.0.2/24\"",
            "\"10.0.0.2/25\"",
            "node.n1.port.eth1.addresses[0]: 10.0.0.2/25 has not the prefix length of its network",
        ),
        (
            "\"10.0.0.2/24\"",
            "\"10.0.1.2/24\"",
            "node.n1.port.eth1.addresses[0]: 10.0.1.2 is in no prefix of network \"inside\"",
        ),
        (
            "[node.n1.port.eth1]",
            "[node.n1.port.eth1]\ninterface = \"eth0\"",
            "node.n1.port.eth1: port eth0 has this interface and VLAN already",
        ),
        (
            "[node.n1.port.eth1]",
            "[node.n1.port.a-port-of-its-own]",
            "node.n1.port.a-port-of-its-own: \"a-port-of-its-own\" is not an interface's name",
        ),
        (
            "[node.n1.port.eth1]",
            "[node.n1.port.eth2]\nnetwork = \"outside\"\naddresses = [\"192.0.2.12/24\"]\n\
             [node.n1.port.eth1]",
            "node.n1.port.eth2.network: port eth0 is on network \"outside\" already, bundles of \
             ports are not built yet",
        ),
    ] {
        assert_eq!(problems(&with(old, new)).join("\n"), expected, "{new}");
    }
}

#[test]
fn every_problem_is_told_at_once_with_line_and_column() {
    let text = "[cluster]\nnam = \"edge\"\n\n[vip.www]\n  address = \"192.0.2.300\"\n\
                [node.n1]\nid = 1\n[node.n2]\n\"ä\".x = 1\nid = 1\n";
    let told: Vec<String> = Config::parse(text)
        .unwrap_err()
        .iter()
        .map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.path))
        .collect();
    assert_eq!(
        told,
        [
            "1:1 cluster.name",
            "2:1 cluster.nam",
            "4:6 vip.www.network",
            "5:13 vip.www.address",
            "9:1 node.n2.\"ä\"",
            "10:6 node.n2.id",
        ]
    );
    let first = &Config::parse(text).unwrap_err()[1];
    assert_eq!(first.to_string(), "2:1 cluster.nam: unknown key \"nam\", did you mean \"name\"?");
}

#[test]
fn syntax_errors_are_all_told_and_have_no_echo() {
    let text = with("name = \"edge\"", "name = edge")
        .replace("address = \"10.0.0.11\"", "address = 10.0.0.11")
        .replace("id = 1", "id = ")
        .replace("\"tcp\"              #", "\"sctp\"             #");
    let told = problems(&text);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with("cluster: "), "{told:?}");
    assert_eq!(told[1], "service.web.protocol: \"sctp\" is unknown");
    assert!(told[2].starts_with("pool.web.server.s1: invalid float"), "{told:?}");
    assert!(told[3].starts_with("node.n1: "), "{told:?}");
}

#[test]
fn what_stands_twice_is_told() {
    let told = problems(&with("id = 1", "id = 1\nid = 2"));
    assert_eq!(told, ["node.n1: duplicate key"]);
    let told = problems(&with("[pool.web]\n", "[vip.www]\n[pool.web]\n"));
    assert_eq!(told, ["vip.www: duplicate key"]);
}

#[test]
fn a_name_cannot_smuggle_control_characters_into_a_message() {
    let twin = "[network.\"b\\u001bad\"]\nprefixes = [\"10.0.0.0/24\"]\n[network.inside]";
    for told in problems(&with("[network.inside]", twin)) {
        assert!(!told.chars().any(char::is_control), "{told:?}");
    }
}

#[test]
fn an_empty_document_is_refused() {
    for text in ["", "\n\n# nothing\n"] {
        assert_eq!(problems(text), ["cluster: missing"]);
    }
}

/// A document that says only what it must, and with `defaults` what the schema says besides.
fn least(defaults: bool) -> String {
    let said = |keys: &[schema::Key]| -> String {
        let value = |key: &schema::Key| match key.default {
            schema::Default::Value(value) if defaults => {
                let plain = ["true", "false"].contains(&value) || value.parse::<u16>().is_ok();
                let bare = value.starts_with('[') || plain;
                let quote = if bare { "" } else { "\"" };
                Some(format!("{} = {quote}{value}{quote}\n", key.name))
            }
            schema::Default::Required | schema::Default::Value(_) | schema::Default::Means(_) => {
                None
            }
        };
        keys.iter().filter_map(value).collect()
    };
    let section = |path: &str| -> &'static schema::Section {
        path.split('.').fold(&schema::CLUSTER_DOCUMENT, |section, name| {
            match section.key(name).map(|key| key.kind) {
                Some(schema::Kind::Table(child) | schema::Kind::Tables(child, _)) => child,
                other => panic!("{path}: {other:?}"),
            }
        })
    };
    let mut text = String::new();
    for (header, path, required) in [
        ("cluster", "cluster", "name = \"c\""),
        ("network.n", "network", "prefixes = [\"192.0.2.0/24\"]"),
        ("vip.v", "vip", "network = \"n\"\naddress = \"192.0.2.80\""),
        ("service.s", "service", "vip = \"v\"\nprotocol = \"udp\"\nports = \"53\"\npool = \"p\""),
        ("pool.p", "pool", ""),
        ("pool.p.check", "pool.check", ""),
        ("pool.p.server.a", "pool.server", "address = \"192.0.2.9\""),
        ("node.b", "node", "id = 7"),
        ("node.b.port.eth0", "node.port", "network = \"n\"\naddresses = [\"192.0.2.2/24\"]"),
        ("user.u", "user", "password = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA\""),
    ] {
        text.push_str(&format!("[{header}]\n{required}\n{}", said(section(path).keys)));
    }
    text
}

#[test]
fn defaults_are_what_the_schema_says() {
    let said = least(true);
    for key in [
        "policy",
        "profile",
        "gateways",
        "gateway",
        "mode",
        "scheduler",
        "kind",
        "interval",
        "rise",
        "fall",
        "weight",
        "state",
        "management",
        "role",
    ] {
        assert!(said.contains(&format!("\n{key} = ")), "{key} has a default in the schema");
    }
    let config = Config::parse(&least(false)).unwrap();
    assert_eq!(config, Config::parse(&said).unwrap());
    // What the schema says in words.
    assert_eq!(config.vips[0].group, "v");
    assert_eq!(config.pools[0].check.unwrap().timeout, Duration::from_secs(1));
    assert_eq!(config.nodes[0].ports[0].interface, "eth0");
    let short = least(false).replace("[pool.p.check]", "[pool.p.check]\ninterval = \"200ms\"");
    let check = Config::parse(&short).unwrap().pools[0].check.unwrap();
    assert_eq!(check.timeout, Duration::from_millis(200));
}

/// Two nodes, of which the second has no port inside.
fn owned(lines: &str, more: &str) -> String {
    EXAMPLE.replace("group = \"www\"", "").replace("[vip.www]", &format!("[vip.www]\n{lines}"))
        + "[node.n2]\nid = 2\nweight = 3\n[node.n2.port.eth0]\nnetwork = \"outside\"\n\
           addresses = [\"192.0.2.12/24\", \"2001:db8:1::12/64\"]\n"
        + more
}

#[test]
fn a_vip_may_say_which_node_is_to_own_it() {
    let choice = |lines: &str| {
        let config = Config::parse(&owned(lines, "")).unwrap();
        let www = config.vips.iter().find(|vip| vip.name == "www").unwrap();
        assert_eq!(config.node("n2").map(|node| node.weight), Some(3));
        assert_eq!(config.node("n1").map(|node| node.weight), Some(1));
        www.owner
    };
    let (n1, n2) = (base::NodeId(1), base::NodeId(2));
    for (lines, expected) in [
        ("", Choice::Any),
        ("prefer = \"n2\"", Choice::Prefer { node: n2, back: false }),
        ("prefer = \"n1\"\nreturn = true", Choice::Prefer { node: n1, back: true }),
        ("pin = \"n2\"", Choice::Pin(n2)),
    ] {
        assert_eq!(choice(lines), expected, "{lines}");
    }
}

#[test]
fn an_owner_that_cannot_be_or_that_contradicts_another_is_a_problem() {
    let gw = |lines: &str| owned("", "").replace("[vip.gw]", &format!("[vip.gw]\n{lines}"));
    let grouped = |lines: &str| {
        let text = owned("group = \"gw\"\nprefer = \"n1\"", "");
        text.replace("[vip.gw]", &format!("[vip.gw]\n{lines}"))
    };
    for (text, told) in [
        (owned("prefer = \"n3\"", ""), "vip.www.prefer: there is no node \"n3\""),
        (owned("pin = \"n7\"", ""), "vip.www.pin: there is no node \"n7\""),
        (
            gw("prefer = \"n2\""),
            "vip.gw.prefer: node \"n2\" is not attached to network \"inside\" of VIP \"gw\"",
        ),
        (gw("pin = \"n2\""), "vip.gw.pin: node \"n2\" is not attached to network \"inside\""),
        (
            owned("group = \"gw\"\nprefer = \"n2\"", ""),
            "vip.www.prefer: node \"n2\" is not attached to network \"inside\" of VIP \"gw\"",
        ),
        (
            owned("prefer = \"n1\"\npin = \"n1\"", ""),
            "vip.www.pin: it has a preferred owner as well, which says nothing beside a pinned one",
        ),
        (owned("return = true", ""), "vip.www.return: it prefers no node to which it could return"),
        (grouped("pin = \"n1\""), "vip.www: VIP \"gw\" of the same group says something else"),
    ] {
        let problems = problems(&text);
        assert!(problems.len() == 1 && problems[0].starts_with(told), "{told}: {problems:?}");
    }
    assert!(Config::parse(&grouped("prefer = \"n1\"")).is_ok(), "both say the same");
}

#[test]
fn an_address_whose_flows_cannot_be_told_is_not_spread() {
    let ports = "ports = \"80,443,8000-8099\"";
    let one = with(ports, "ports = \"80\"");
    let www = |lines: &str| one.replace("[vip.www]", &format!("[vip.www]\n{lines}"));
    let spread = |text: &str| {
        let config = Config::parse(text).unwrap();
        config.vips.iter().find(|vip| vip.name == "www").unwrap().spread
    };
    assert!(spread(&www("spread = true")));
    assert!(!spread(&www("spread = false")) && !spread(EXAMPLE), "it is a choice");
    let gateway = one.replace("[vip.gw]", "[vip.gw]\nspread = true");
    let problems = problems(&gateway);
    assert!(
        problems.len() == 1 && problems[0].starts_with("vip.gw.spread: it is a gateway"),
        "{problems:?}"
    );
    let twin = |port: &str, of: &str| {
        www("spread = true")
            + &format!(
                "[service.twin]\nvip = \"www\"\nprotocol = \"tcp\"\nports = \"{port}\"\n\
                 mode = \"nat\"\npool = \"{of}\"\n\
                 [pool.other.server.w1]\naddress = \"10.0.0.199\"\nport = 8080\n"
            )
    };
    let folded = EXAMPLE.replace("[vip.www]", "[vip.www]\nspread = true");
    for text in [twin("81", "web"), twin("8000-8001", "other"), folded] {
        let problems = self::problems(&text);
        let told = "vip.www.spread: the port of server \"";
        assert!(problems.len() == 1 && problems[0].starts_with(told), "{problems:?}");
    }
    assert!(spread(&twin("81", "other")), "another server of the same port is another");
}

#[test]
fn every_word_of_the_schema_that_is_built_is_accepted_and_no_other() {
    fn tables(section: &'static schema::Section, found: &mut Vec<&'static schema::Section>) {
        found.push(section);
        for key in section.keys {
            if let schema::Kind::Table(child) | schema::Kind::Tables(child, _) = key.kind {
                tables(child, found);
            }
        }
    }
    let mut sections = Vec::new();
    tables(&schema::CLUSTER_DOCUMENT, &mut sections);
    let mut words = 0;
    let said = least(true);
    for section in sections {
        for key in section.keys {
            let (schema::Kind::Word(list), schema::Default::Value(default)) =
                (key.kind, key.default)
            else {
                continue;
            };
            for word in list {
                let old = format!("\n{} = \"{default}\"", key.name);
                assert_eq!(said.matches(&old).count(), 1, "{old}");
                let new = format!("\n{} = \"{}\"", key.name, word.name);
                let result = Config::parse(&said.replace(&old, &new));
                assert_eq!(result.is_ok(), !word.later, "{new}: {result:?}");
                if !word.later && word.name != default {
                    let plain = Config::parse(&said).unwrap();
                    assert_ne!(result.unwrap(), plain, "{new} changes nothing");
                }
                words += 1;
            }
        }
    }
    assert!(words > 30, "{words} words");
}

#[test]
fn a_probe_goes_to_the_nearest_port_that_is_named() {
    let service = |name: &str, protocol: &str, ports: &str| {
        format!(
            "[service.{name}]\nvip = \"v\"\nprotocol = \"{protocol}\"\nports = \"{ports}\"\n\
             pool = \"p\"\n"
        )
    };
    let plain = least(false);
    let probe = |text: &str| {
        let config = Config::parse(text).unwrap();
        config.probe_port(PoolId(0), &config.pools[0].servers[0])
    };
    assert_eq!(probe(&plain), Some(53), "the service's");
    assert_eq!(probe(&format!("{plain}{}", service("t", "tcp", "8080,80"))), Some(80), "TCP first");
    assert_eq!(probe(&plain.replace("\"53\"", "\"all\"")), None, "all ports name none");
    let server = plain.replace("[pool.p.server.a]", "[pool.p.server.a]\nport = 5");
    assert_eq!(probe(&server), Some(5), "the server's");
    let check = server.replace("[pool.p.check]", "[pool.p.check]\nport = 6");
    assert_eq!(probe(&check), Some(6), "the check's");
    assert_eq!(probe(&plain.replace("[pool.p.check]\n", "")), None, "there is no check");
}

#[test]
fn one_document_cannot_hold_more_than_the_limits() {
    let many = |limit: usize, line: &dyn Fn(usize) -> String| -> String {
        core::iter::once(least(false)).chain((0..=limit).map(line)).collect()
    };
    let networks =
        many(limits::NETWORKS, &|n| format!("[network.x{n}]\nprefixes = [\"10.{n}.0.0/16\"]\n"));
    assert_eq!(problems(&networks), ["network: 18 of them"]);
    let nodes = many(limits::NODES, &|n| format!("[node.x{n}]\nid = {}\n", n + 100));
    assert_eq!(problems(&nodes), ["node: 18 of them"]);
    let large = format!("{}# {}", least(false), "x".repeat(limits::DOCUMENT_OCTETS));
    assert_eq!(problems(&large).len(), 1);
    assert!(problems(&large)[0].starts_with("document: 41"), "{:?}", problems(&large));
    let wrong = "?\n".repeat(2 * limits::PROBLEMS);
    let told = problems(&wrong);
    assert_eq!(told.len(), limits::PROBLEMS + 1);
    assert!(told[limits::PROBLEMS].ends_with("further problems are not listed"), "{told:?}");
}

#[test]
fn guesses_of_what_was_meant_end_where_they_would_take_long() {
    let vips = (0..1_000).map(|n| {
        let address = format!("10.1.{}.{}", n / 250, n % 250 + 1);
        format!("[vip.address-{n}]\nnetwork = \"n\"\naddress = \"{address}\"\n")
    });
    let head = "[cluster]\nname = \"c\"\n[network.n]\nprefixes = [\"10.0.0.0/8\"]\n[pool.p]\n";
    let service = |n: usize| {
        format!(
            "[service.s{n}]\nvip = \"adress-{n}\"\nprotocol = \"tcp\"\nports = \"{n}\"\n\
             pool = \"p\"\n"
        )
    };
    let right: String = core::iter::once(head.to_string()).chain(vips).collect();
    let guessed = |services: usize| {
        let text = (1..=services).fold(right.clone(), |text, n| text + &service(n));
        let told = Config::parse(&text).unwrap_err();
        assert_eq!(told.len(), services.min(limits::PROBLEMS + 1), "{:?}", told.first());
        told.iter().filter(|problem| problem.legal.starts_with("did you mean")).count()
    };
    assert_eq!(guessed(20), 20);
    assert_eq!(guessed(500), 20, "20,000 names are compared");
    assert!(guessed(2_000) <= 20);
}

#[test]
fn what_is_salvaged_has_legal_names_in_their_order() {
    let more = "[network.\"\\u0001\"]\nprefixes = [\"203.0.113.0/24\"]\n[user.\"a b\"]\n\
                password = \"$argon2id$x\"\n[user.ann]\npassword = \"$argon2id$x\"\n\
                [node.n1.port.\"\\u0001\"]\nnetwork = \"inside\"\n";
    let config = Config::salvage(&format!("{EXAMPLE}{more}"), "n1").unwrap();
    let networks: Vec<&str> = config.networks.iter().map(|network| network.name.as_str()).collect();
    assert_eq!(networks, ["inside", "outside"]);
    let ports: Vec<&str> = config.nodes[0].ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(ports, ["eth0", "eth1"]);
    let users: Vec<&str> = config.users.list.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(users, ["ann"]);
    assert_eq!(config.vips, []);
}

#[test]
fn a_refused_document_lets_in_whom_it_meant_to_and_never_everybody() {
    let ann = "[user.ann]\npassword = \"$argon2id$ann\"\nrole = \"configure\"\n";
    let bob = "[user.bob]\npassword = \"$argon2id$bob\"\n";
    let far = "# \n".repeat(limits::SYNTAX_WINDOW_OCTETS / 2);
    let large = "# ".repeat(limits::DOCUMENT_OCTETS);
    let rows: [(&str, String, &[&str], bool); 16] = [
        ("nothing of users", "?\n".into(), &[], false),
        ("an empty document", String::new(), &[], false),
        ("a comment about them", "# [user.ann]\n?\n".into(), &[], false),
        ("a key that only begins so", "[users.ann]\n?\n".into(), &[], false),
        ("both", format!("{ann}{bob}[vip.x]\n?\n"), &["ann", "bob"], false),
        ("far behind an error", format!("?\n{far}{ann}"), &["ann"], false),
        ("in a document too large", format!("{large}\n{ann}"), &["ann"], false),
        ("within what is never closed", format!("a = \"\"\"\n{ann}"), &["ann"], false),
        ("a wrong name", ann.replace("ann]", "\"a b\"]"), &[], true),
        ("a wrong hash", ann.replace("$argon2", "$1$"), &[], true),
        ("one of them wrong", format!("{ann}{}", bob.replace('$', "")), &["ann"], false),
        ("a header that is cut off", "[user.an".into(), &[], true),
        ("dotted keys", "?\nuser.ann.role = \"view\"\n".into(), &[], true),
        ("a table within a line", "user = { ann = { role = \"view\" } }".into(), &[], true),
        ("blanks and quotes", "?\n[ \"user\" . ann ]\n".into(), &[], true),
        ("escapes", "[\"\\u0075ser\".ann]\n".into(), &[], true),
    ];
    for (what, text, names, lost) in rows {
        let users = Users::salvage(&text);
        let kept: Vec<&str> = users.list.iter().map(|user| user.name.as_str()).collect();
        assert_eq!((kept.as_slice(), users.lost), (names, lost), "{what}");
        assert_eq!(users.is_open(), names.is_empty() && !lost, "{what}");
    }
    let wrong = format!("{ann}?\n").replace("\"configure", "\"configur");
    let users = Users::salvage(&wrong).list;
    assert_eq!(users[0].role, Role::View, "a role that cannot be read is the least");
}

#[test]
fn a_node_document_says_which_node_this_is() {
    assert_eq!(NodeDocument::parse("name = \"n1\"").unwrap().name, "n1");
    let known = NodeDocument::parse("name = \"n1\"\nsecret = \"0123456789abcdef\"").unwrap();
    let secret = |other: Option<&str>| Secret {
        send: "0123456789abcdef".into(),
        other: other.map(Into::into),
    };
    assert_eq!(known.secret, Some(secret(None)));
    assert!(!alloc::format!("{known:?}").contains("0123"), "it is never shown");
    let text = "name = \"n1\"\nsecret = \"0123456789abcdef\"\nother-secret = \"fedcba9876543210\"";
    let changing = NodeDocument::parse(text).unwrap();
    assert_eq!(changing.secret, Some(secret(Some("fedcba9876543210"))));
    let shown = alloc::format!("{changing:?}");
    assert!(!shown.contains("0123") && !shown.contains("fedc"), "neither is shown: {shown}");
    for (text, told) in [
        ("", "1:1 name: missing"),
        ("name = 1", "1:8 name: an integer stands here"),
        ("name = \"n1\"\nnode = 1", "2:1 node: unknown key \"node\""),
        ("name = n1", "1:8 document: "),
        ("name = \"n1\"\nsecret = \"short\"", "2:10 secret: this is too short or too long"),
        (
            "name = \"n1\"\nother-secret = \"0123456789abcdef\"",
            "2:16 other-secret: there is no secret beside it, expected a key secret",
        ),
        (
            "name = \"n1\"\nsecret = \"0123456789abcdef\"\nother-secret = \"0123456789abcdef\"",
            "3:16 other-secret: the same as the secret, expected another one, or none",
        ),
    ] {
        let problems = NodeDocument::parse(text).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].to_string().starts_with(told), "{}", problems[0]);
    }
}

#[test]
fn a_node_document_with_peers_says_what_the_box_brings() {
    let text = "name = \"n4\"\nsecret = \"0123456789abcdef\"\npeers = [\"192.0.2.11\"]\n\
                [port.eth0]\nnetwork = \"outside\"\naddresses = [\"192.0.2.14/24\"]\n";
    let newcomer = NodeDocument::parse(text).unwrap().newcomer().unwrap();
    assert_eq!((newcomer.name.as_str(), newcomer.id, newcomer.ports.len()), ("n4", None, 1));
    assert_eq!(NodeDocument::parse("name = \"n1\"").unwrap().newcomer(), None);
    for (from, to, told) in [
        ("secret = \"0123456789abcdef\"\n", "", "2:10 peers: a box without a secret is let in by"),
        ("192.0.2.11", "198.51.100.1", "3:10 peers[0]: 198.51.100.1 is on no network of this box"),
        ("192.0.2.11", "192.0.2.14", "3:10 peers[0]: 192.0.2.14 is this box itself"),
        ("network = \"outside\"\n", "", "4:7 port.eth0.network: missing"),
        ("[port.eth0]", "id = 256\n[port.eth0]", "4:6 id: 256 is out of range"),
    ] {
        let problems = NodeDocument::parse(&text.replace(from, to)).unwrap_err();
        assert!(problems[0].to_string().starts_with(told), "{told}: {problems:?}");
    }
}
