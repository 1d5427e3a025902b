//! Where the node is attached, and which way leads to an address.

use alloc::vec::Vec;
use base::{NetworkId, Prefix};
use core::net::{IpAddr, Ipv6Addr};

/// The node's place on one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Which network.
    pub network: NetworkId,
    /// The node's own addresses there, each with the length of the prefix on the link. At most
    /// [`crate::ADDRESSES`]; what exceeds that is ignored.
    pub addresses: Vec<Prefix>,
    /// Who forwards to elsewhere; the first of each family counts.
    pub gateways: Vec<IpAddr>,
    /// Octets of the longest IP packet, 576–9,216 (others are moved into that range).
    pub mtu: u16,
}

/// The network to leave by for `remote`, and the source address to use.
///
/// A network that has the destination on its link wins, the longest prefix first. Else the first
/// network with a gateway of the family; the source is then the address that shares a link with
/// the gateway. (The first rules of RFC 6724 §5, for a node whose networks do not overlap.)
pub fn route(attachments: &[Attachment], remote: IpAddr) -> Option<(NetworkId, IpAddr)> {
    let on_link = attachments
        .iter()
        .flat_map(|place| place.addresses.iter().map(move |own| (place.network, own)))
        .filter(|(_, own)| own.contains(remote))
        .max_by_key(|(_, own)| own.length)
        .map(|(network, own)| (network, own.address));
    on_link.or_else(|| attachments.iter().find_map(|place| through_gateway(place, remote)))
}

fn through_gateway(place: &Attachment, remote: IpAddr) -> Option<(NetworkId, IpAddr)> {
    let alike = |address: IpAddr| address.is_ipv4() == remote.is_ipv4();
    let gateway = place.gateways.iter().copied().find(|&gateway| alike(gateway))?;
    let beside = place.addresses.iter().find(|own| own.contains(gateway));
    // A link-local gateway (RFC 4861 §6.3.4) shares no prefix with a global address.
    let any = || place.addresses.iter().find(|own| alike(own.address) && !link_local(own.address));
    beside
        .filter(|own| !link_local(own.address))
        .or_else(any)
        .map(|own| (place.network, own.address))
}

const fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => Ipv6Addr::is_unicast_link_local(&v6),
    }
}

/// Whether a node may have this address.
pub const fn is_usable(address: IpAddr) -> bool {
    let broadcast = match address {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some(),
    };
    !(broadcast || address.is_multicast() || address.is_unspecified() || address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(network: u16, addresses: &[&str], gateways: &[&str]) -> Attachment {
        Attachment {
            network: NetworkId(network),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            gateways: gateways.iter().map(|text| text.parse().unwrap()).collect(),
            mtu: 1500,
        }
    }

    #[test]
    fn the_connected_network_comes_before_the_gateway() {
        let places = [
            place(0, &["192.0.2.11/24", "2001:db8:1::11/64"], &["192.0.2.1", "2001:db8:1::1"]),
            place(1, &["10.0.0.2/8", "fd00::2/64"], &[]),
            place(2, &["10.9.0.2/16", "10.9.9.2/24"], &[]),
        ];
        for (remote, expected) in [
            ("192.0.2.77", Some((0, "192.0.2.11"))),
            ("10.1.2.3", Some((1, "10.0.0.2"))),
            ("10.9.1.1", Some((2, "10.9.0.2"))),
            ("10.9.9.1", Some((2, "10.9.9.2"))),
            ("198.51.100.1", Some((0, "192.0.2.11"))),
            ("fd00::99", Some((1, "fd00::2"))),
            ("2001:db8:ffff::1", Some((0, "2001:db8:1::11"))),
        ] {
            let expected = expected.map(|(n, a): (u16, &str)| (NetworkId(n), a.parse().unwrap()));
            assert_eq!(route(&places, remote.parse().unwrap()), expected, "{remote}");
        }
        assert_eq!(route(&places[1..], "198.51.100.1".parse().unwrap()), None);
    }

    #[test]
    fn a_link_local_gateway_is_reached_from_a_global_address() {
        let places = [place(0, &["fe80::11/64", "2001:db8:1::11/64"], &["fe80::1"])];
        let source = "2001:db8:1::11".parse().unwrap();
        let remote = "2001:db8:ffff::1".parse().unwrap();
        assert_eq!(route(&places, remote), Some((NetworkId(0), source)));
    }
}
