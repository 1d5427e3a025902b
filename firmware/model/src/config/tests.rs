//! Documents as an operator writes them, right and wrong.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::*;

/// The format as it is published; it must be read as it stands.
pub(super) const EXAMPLE: &str = include_str!("../../tests/example.toml");

fn problems(text: &str) -> Vec<String> {
    match Config::parse(text) {
        Ok(config) => panic!("read without a problem: {config:?}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

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
