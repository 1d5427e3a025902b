//! What the configuration says, in the cluster's words.

use alloc::vec::Vec;

use base::{NetworkId, NodeId};
use cluster::config::DocumentId;
use cluster::seal::{Identity, Salt, Secrets, tag};
use cluster::{Incarnation, NetworkSettings, NodeSettings, Settings, VipSettings};
use model::config::{Choice, Config, Node};

pub(super) use crate::plan::id;

/// Who this node is, for this start of it.
#[derive(Clone, Debug)]
pub struct Card {
    /// Which start.
    pub incarnation: Incarnation,
    /// Octets that were drawn at random for it.
    pub salt: Salt,
    /// What all nodes know.
    pub secrets: Secrets,
    /// The document that the node begins with.
    pub document: DocumentId,
}

impl Card {
    /// Who this node is, for those that it seals for.
    pub fn identity(&self, config: &Config, node: &Node) -> Identity {
        Identity {
            cluster: tag(&config.cluster.name),
            node: id(node),
            incarnation: self.incarnation,
            salt: self.salt,
            networks: config.networks.iter().map(|network| tag(&network.name)).collect(),
        }
    }
}

/// What the cluster has to know of a configuration, as `node` sees it.
pub fn settings(
    config: &Config,
    node: &Node,
    (incarnation, document): (Incarnation, DocumentId),
) -> Settings {
    let nodes = config.nodes.iter().map(|node| NodeSettings {
        id: id(node),
        networks: node.ports.iter().map(|port| port.network).collect(),
        weight: node.weight,
    });
    let networks = config.networks.iter().enumerate().map(|(place, network)| {
        let here = |address| config.network_of(address) == Some(NetworkId::from(place));
        let mut servers = config.pools.iter().flat_map(|pool| &pool.servers);
        let servers = servers.any(|server| here(server.address));
        NetworkSettings { witnesses: !network.gateways.is_empty() || servers }
    });
    let vips = config.vips.iter().map(|vip| {
        let first = config.vips.iter().position(|other| other.group == vip.group);
        let (prefer, pin, back) = match vip.owner {
            Choice::Any => (None, None, false),
            Choice::Prefer { node, back } => (Some(node), None, back),
            Choice::Pin(node) => (None, Some(node), false),
        };
        VipSettings {
            network: vip.network,
            address: vip.address,
            group: u16::try_from(first.unwrap_or_default()).unwrap_or(u16::MAX),
            prefer,
            pin,
            back,
        }
    });
    Settings {
        own: id(node),
        incarnation,
        document,
        policy: config.cluster.policy,
        profile: config.cluster.profile,
        nodes: nodes.collect(),
        networks: networks.collect(),
        vips: vips.collect(),
    }
}

/// The nodes of a configuration.
pub(super) fn ids(config: &Config) -> Vec<NodeId> {
    config.nodes.iter().map(id).collect()
}
