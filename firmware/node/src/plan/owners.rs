//! Who serves which virtual address, as far as this node knows.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::address::mapped;
use base::{NetworkId, PortId, VipId};
use dataplane::tables::{Owner, Vip};

use super::Plan;

impl Plan {
    /// From now on nothing is served that was not agreed on with other boxes.
    pub fn share(&mut self) {
        self.shared = true;
        self.owners.fill(Owner::Nobody);
    }

    /// Whether who serves what is agreed on with other boxes.
    pub const fn agrees(&self) -> bool {
        self.shared
    }

    /// Who serves a virtual address from now on. Who did before; none if there is no such address.
    pub fn set_owner(&mut self, vip: VipId, owner: Owner) -> Option<Owner> {
        self.owners.get_mut(vip.index()).map(|it| core::mem::replace(it, owner))
    }

    /// Whether this node serves a virtual address, as far as the cluster has agreed.
    pub fn serves(&self, vip: VipId) -> bool {
        self.owners.get(vip.index()) == Some(&Owner::Us)
    }

    /// Other boxes have other places in [`Owner::Peer`] from now on.
    pub fn renumber_peers(&mut self, places: &[Option<u16>]) {
        let place = |old: u16| places.get(usize::from(old)).copied().flatten();
        for owner in &mut self.owners {
            *owner = match *owner {
                Owner::Us | Owner::Nobody => *owner,
                Owner::Peer(old) => place(old).map_or(Owner::Nobody, Owner::Peer),
                Owner::Coming(old) => place(old).map_or(Owner::Nobody, Owner::Coming),
            };
        }
    }

    /// Who serves an address that may have been there before; a new one nobody yet, where that
    /// must be agreed on.
    pub(super) fn owner_of(&self, new: &model::config::Vip) -> Owner {
        let known = |vip: &model::config::Vip| (vip.network, vip.address);
        let place = self.config.vips.iter().position(|vip| known(vip) == known(new));
        let known = place.and_then(|place| self.owners.get(place)).copied();
        known.unwrap_or(if self.shared { Owner::Nobody } else { Owner::Us })
    }

    /// The virtual addresses that this node serves on a port.
    pub fn served_on(&self, port: PortId) -> impl Iterator<Item = &model::config::Vip> {
        let vips = self.config.vips.iter().enumerate();
        let served = vips.filter(move |(id, vip)| {
            self.port_of(vip.network) == Some(port) && self.serves(VipId::from(*id))
        });
        served.map(|(_, vip)| vip)
    }

    /// Whose answers show that we are heard on a network: its gateways, else the servers there.
    pub fn witnesses(&self, network: NetworkId) -> Vec<Ipv6Addr> {
        let gateways = self.config.networks.get(network.index()).map(|it| &it.gateways);
        let gateways: Vec<_> = gateways.into_iter().flatten().map(|it| mapped(*it)).collect();
        if !gateways.is_empty() {
            return gateways;
        }
        let servers = self.config.pools.iter().flat_map(|pool| &pool.servers);
        let here = servers.filter(|it| self.config.network_of(it.address) == Some(network));
        here.map(|server| mapped(server.address)).collect()
    }

    /// The virtual addresses, and who serves them.
    pub fn vips(&self) -> Vec<Vip> {
        let vips = self.config.vips.iter().zip(&self.owners).enumerate();
        let vip = |(id, (vip, &owner)): (usize, (&model::config::Vip, &Owner))| Vip {
            address: mapped(vip.address),
            network: vip.network,
            owner,
            works: self.works(VipId::from(id)),
        };
        vips.map(vip).collect()
    }
}
