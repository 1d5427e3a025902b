//! Virtual addresses that come and go by agreement with the other boxes of the cluster.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::address::mapped;
use base::{Instant, NetworkId, NodeId, PortId, VipId};
use dataplane::tables::{Owner, Peer};

use super::{Control, Said, told};
use crate::neighbors::Question;

/// How many are asked at a time.
const WITNESSES: usize = 2;

impl Control {
    /// The cluster has agreed on who serves a virtual address. What becomes ours is announced
    /// where its port works; what was ours is never mentioned again.
    pub fn handle_owner(&mut self, now: Instant, vip: VipId, owner: Owner) {
        let Some(before) = self.plan.set_owner(vip, owner).filter(|before| *before != owner) else {
            return;
        };
        self.forget_copies(vip, owner);
        self.tables.vips = Arc::new(self.plan.vips());
        self.publish_at = Some(now);
        let Some(config) = self.plan.config().vips.get(vip.index()) else { return };
        let Some(port) = self.plan.port_of(config.network) else { return };
        let address = mapped(config.address);
        if before == Owner::Us {
            self.announcer.withdraw(port, address);
        }
        let works = self.attached.get(port.index()).is_some_and(|attached| attached.up);
        if works && (before == Owner::Us || owner == Owner::Us) {
            self.said.push_back(Said::Event(told(config, owner == Owner::Us)));
        }
        self.announce_vip(now, vip);
    }

    /// Tells everybody on its network, from the first announcement on, where a virtual address
    /// is, if it is here.
    pub fn announce_vip(&mut self, now: Instant, vip: VipId) {
        let Some(config) = self.plan.config().vips.get(vip.index()) else { return };
        let Some(port) = self.plan.port_of(config.network) else { return };
        let works = self.attached.get(port.index()).is_some_and(|attached| attached.up);
        if works && self.plan.serves(vip) {
            self.announcer.claim(now, port, mapped(config.address));
        }
    }

    /// Asks those who are next to us on a network, gateways before servers, whether they hear us:
    /// [`Control::is_witness`] says whose answers count.
    pub fn ask_witnesses(&mut self, network: NetworkId) {
        let Some(port) = self.plan.port_of(network) else { return };
        for address in self.plan.witnesses(network).into_iter().take(WITNESSES) {
            let known = self.neighbors.known().find(|(at, who, _)| (*at, *who) == (port, address));
            let to = known.map(|(_, _, mac)| mac);
            self.ask(Question { port, address, to });
        }
    }

    /// The network on which an answer from there shows that we are heard, if it does.
    pub fn is_witness(&self, port: PortId, address: Ipv6Addr) -> Option<NetworkId> {
        let network = self.plan.node().ports.get(port.index())?.network;
        self.plan.witnesses(network).contains(&address).then_some(network)
    }

    /// Asks on its network who has a virtual address that we may have to take over.
    pub fn probe(&mut self, vip: VipId) {
        let Some(config) = self.plan.config().vips.get(vip.index()) else { return };
        let Some(port) = self.plan.port_of(config.network) else { return };
        let address = mapped(config.address);
        self.ask(Question { port, address, to: None });
    }

    /// The virtual address that somebody on a port said to have, if it is not ours.
    pub fn claimed(&self, port: PortId, address: Ipv6Addr) -> Option<VipId> {
        let vips = self.plan.config().vips.iter().enumerate();
        let mut theirs = vips.filter(|(id, _)| !self.plan.serves(VipId::from(*id)));
        let is = |vip: &model::config::Vip| {
            mapped(vip.address) == address && self.plan.port_of(vip.network) == Some(port)
        };
        theirs.find(|(_, vip)| is(vip)).map(|(id, _)| VipId::from(id))
    }

    /// The generation of the tables in which everything so far is carried out.
    pub fn next_generation(&self) -> u32 {
        self.tables.generation.wrapping_add(u32::from(self.publish_at.is_some()))
    }

    /// Other boxes have other places in [`Owner::Peer`]: said before the configuration that is the
    /// reason, and before [`Control::handle_peers`].
    pub fn renumber_peers(&mut self, places: &[Option<u16>]) {
        self.plan.renumber_peers(places);
    }

    /// These nodes work on the flows of addresses that are spread.
    pub fn handle_workers(&mut self, now: Instant, nodes: Vec<NodeId>) {
        if self.plan.set_workers(nodes) {
            self.tables.vips = Arc::new(self.plan.vips());
            self.tables.spreads = Arc::new(self.plan.spreads());
            self.publish_at = Some(now);
        }
    }

    /// Where the other boxes of the cluster are heard, by their place in [`Owner::Peer`].
    pub fn handle_peers(&mut self, now: Instant, peers: Vec<Peer>) {
        if *self.tables.peers != peers {
            self.tables.peers = Arc::new(peers);
            self.publish_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use core::net::IpAddr;

    use base::Mac;
    use model::config::Config;
    use model::event::Event;

    use super::*;
    use crate::plan::{Attached, Plan};

    const DOCUMENT: &str = r#"
        [cluster]
        name = "c"
        [network.outside]
        prefixes = ["192.0.2.0/24"]
        [vip.a]
        network = "outside"
        address = "192.0.2.80"
        [vip.b]
        network = "outside"
        address = "192.0.2.81"
        [node.n1]
        id = 1
        [node.n1.port.eth0]
        network = "outside"
        addresses = ["192.0.2.11/24"]
        [node.n2]
        id = 2
        [node.n2.port.eth0]
        network = "outside"
        addresses = ["192.0.2.12/24"]
    "#;

    fn control() -> Control {
        let mut plan = Plan::new(Config::parse(DOCUMENT).unwrap(), "n1", 1).unwrap();
        plan.share();
        let up = Attached { mac: Mac([2, 0, 0, 0, 0, 1]), mtu: 1_500, up: true };
        Control::new(Instant::ZERO, plan, vec![up], 1)
    }

    /// The addresses announced until `seconds`, each once, and the names of events.
    fn said(control: &mut Control, seconds: u64) -> (Vec<u8>, Vec<Event>) {
        control.handle_timeout(Instant::from_millis(seconds * 1_000));
        let (mut announced, mut events) = (Vec::new(), Vec::new());
        while let Some(said) = control.poll_said() {
            match said {
                // Octet 41 of an ARP message is the last of the address it is about.
                Said::Transmit(_, frame, _) => announced.push(frame[41]),
                Said::Event(event) => events.push(event),
            }
        }
        announced.sort_unstable();
        announced.dedup();
        (announced, events)
    }

    #[test]
    fn of_a_shared_pool_nothing_is_served_before_it_is_agreed_on() {
        let mut control = control();
        assert_eq!(said(&mut control, 0), (vec![11], vec![]));
        assert!(!control.plan().serves(VipId(0)) && !control.plan().serves(VipId(1)));
        let tables = control.poll_tables(Instant::ZERO).unwrap();
        assert!(tables.vips.iter().all(|vip| vip.owner == Owner::Nobody));
    }

    #[test]
    fn what_becomes_ours_is_announced_until_it_is_given_away() {
        let mut control = control();
        // Our primary address has been announced often enough for a minute.
        said(&mut control, 10);
        let (vip, address) = ("b".into(), IpAddr::from([192, 0, 2, 81]));
        control.handle_owner(Instant::from_millis(11_000), VipId(1), Owner::Us);
        let served = Event::VipServed { vip, address };
        assert_eq!(said(&mut control, 11), (vec![81], vec![served]));
        let tables = control.poll_tables(Instant::from_millis(11_000)).unwrap();
        assert_eq!(tables.vips[1].owner, Owner::Us);
        control.handle_owner(Instant::from_millis(12_000), VipId(1), Owner::Peer(0));
        let released = Event::VipReleased { vip: "b".into(), address };
        assert_eq!(said(&mut control, 12).1, [released]);
        let later: Vec<u8> = (13..200).flat_map(|at| said(&mut control, at).0).collect();
        assert!(!later.contains(&81) && later.contains(&11), "{later:?}");
    }

    #[test]
    fn an_agreement_that_says_the_same_again_changes_nothing() {
        let mut control = control();
        control.handle_owner(Instant::ZERO, VipId(0), Owner::Us);
        said(&mut control, 0);
        while control.poll_tables(Instant::ZERO).is_some() {}
        control.handle_owner(Instant::ZERO, VipId(0), Owner::Us);
        control.handle_owner(Instant::ZERO, VipId(9), Owner::Us);
        assert_eq!(said(&mut control, 0), (vec![], vec![]));
        assert!(control.poll_tables(Instant::ZERO).is_none());
    }

    #[test]
    fn where_peers_are_heard_is_told_to_the_forwarders_once() {
        let mut control = control();
        while control.poll_tables(Instant::from_millis(10)).is_some() {}
        let peer = Peer { stations: vec![(NetworkId(0), Mac([2, 0, 0, 0, 0, 2]))] };
        control.handle_peers(Instant::from_millis(10), vec![peer.clone()]);
        let tables = control.poll_tables(Instant::from_millis(10)).unwrap();
        assert_eq!(tables.peers.as_slice(), core::slice::from_ref(&peer));
        control.handle_peers(Instant::from_millis(10), vec![peer]);
        assert!(control.poll_tables(Instant::from_millis(10)).is_none());
    }

    #[test]
    fn owners_stay_over_changes_of_the_configuration_and_new_addresses_have_none() {
        let mut control = control();
        control.handle_owner(Instant::ZERO, VipId(1), Owner::Us);
        let text = DOCUMENT.replace("[vip.a]", "[vip.c]").replace(".80", ".82");
        let config = Config::parse(&text).unwrap();
        let node = config.node("n1").unwrap().clone();
        let measured = crate::status::Measured {
            counters: dataplane::Counters::new(0, 0),
            flows: model::status::Flows { capacity: 0, states: vec![] },
            ports: vec![],
            generation: 0,
        };
        control.reconfigure(Instant::ZERO, config, node, &measured).unwrap();
        assert!(control.plan().serves(VipId(0)), "b is the first by name now");
        assert!(!control.plan().serves(VipId(1)), "c is new");
    }
    #[test]
    fn the_nodes_of_a_spread_address_agree_on_who_works_on_which_flow() {
        let text = DOCUMENT.replace("[vip.b]", "[vip.b]\nspread = true");
        let control = |own: &str| {
            let mut plan = Plan::new(Config::parse(&text).unwrap(), own, 1).unwrap();
            plan.share();
            let up = Attached { mac: Mac([2, 0, 0, 0, 0, 1]), mtu: 1_500, up: true };
            Control::new(Instant::ZERO, plan, vec![up], 1)
        };
        let mut both = [control("n1"), control("n2")];
        let mut tables = |nodes: &[u16]| {
            both.each_mut().map(|control| {
                control.handle_workers(Instant::ZERO, nodes.iter().copied().map(NodeId).collect());
                control.poll_tables(Instant::ZERO).unwrap_or_default()
            })
        };
        let [first, second] = tables(&[1, 2]);
        assert!(first.spread(VipId(0)).is_none(), "a is not spread");
        assert!(!first.vips[0].works && first.vips[1].works && second.vips[1].works);
        let worker = |tables: &dataplane::Tables, port| {
            let request = base::FlowKey {
                source: Ipv6Addr::LOCALHOST,
                destination: Ipv6Addr::LOCALHOST,
                source_port: port,
                destination_port: 80,
                protocol: base::Protocol::TCP,
            };
            tables.spread(VipId(1)).and_then(|spread| spread.worker(&request)).unwrap()
        };
        let ours = (0..1_000).filter(|port| worker(&first, *port) == Owner::Us).count();
        assert!((400..600).contains(&ours), "{ours}");
        for port in 0..1_000 {
            let (at_first, at_second) = (worker(&first, port), worker(&second, port));
            let one = [Owner::Us, Owner::Peer(0)];
            assert!([at_first, at_second] == one || [at_second, at_first] == one);
        }
        let [first, second] = tables(&[2]);
        assert!(!first.vips[1].works && second.vips[1].works);
        assert_eq!((worker(&first, 1), worker(&second, 1)), (Owner::Peer(0), Owner::Us));
        let [first, second] = tables(&[]);
        assert!(first.spread(VipId(1)).is_none() && !second.vips[1].works);
    }
}
