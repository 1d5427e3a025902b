//! Boxes on two cables, in simulated time.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use base::time::Duration;
use base::{FlowKey, Instant, Mac, NodeId, PortId, Protocol, VipId};
use cluster::config::{About, DocumentId, Record};
use cluster::flows::{Endpoint, Flow};
use cluster::introduction::{self, Answer, Visit};
use cluster::seal::{Refusal, Secret, Secrets};
use cluster::{Incarnation, Presence, Report};
use core::net::Ipv4Addr;
use dataplane::flow::Note;
use dataplane::tables::Owner;
use model::config::{Config, NodeDocument};
use model::limits::NETWORKS;
use model::status::{self, Standing};
use proptest::prelude::*;

use super::*;
use crate::plan::Attached;

const DOCUMENT: &str = r#"
    [cluster]
    name = "edge"
    profile = "normal"
    [network.inside]
    prefixes = ["fd00::/64"]
    [network.outside]
    prefixes = ["192.0.2.0/24"]
    gateways = ["192.0.2.1"]
    [vip.a]
    network = "outside"
    address = "192.0.2.80"
    [vip.b]
    network = "outside"
    address = "192.0.2.81"
"#;
const NODE: &str = r#"
    [node.nX]
    id = X
    [node.nX.port.eth0]
    network = "outside"
    addresses = ["192.0.2.1X/24"]
    [node.nX.port.eth1]
    network = "inside"
    addresses = ["fd00::1X/64"]
"#;

fn text(nodes: u8) -> alloc::string::String {
    let nodes = (1..=nodes).map(|id| NODE.replace('X', &alloc::format!("{id}")));
    core::iter::once(DOCUMENT.into()).chain(nodes).collect()
}

fn config(nodes: u8) -> Config {
    Config::parse(&text(nodes)).unwrap()
}

/// One box.
struct Front {
    beat: Beat,
    council: Council,
    owners: Vec<Owner>,
    report: Option<Report>,
    outrun: Option<Incarnation>,
    /// What its forwarder tells whenever it is asked.
    flows: Vec<Note>,
    /// By virtual address: what its forwarder knows of others' flows.
    copies: Vec<Vec<(Flow, Endpoint)>>,
    /// Its cables lead nowhere.
    cut: bool,
    /// Who wants to be let in.
    visits: Vec<(Visit, Way)>,
    /// What became of its own asking.
    introduced: Vec<introduction::Event>,
}

impl Front {
    fn new(config: &Config, id: u8, incarnation: u32, secret: &str) -> Self {
        Self::with(config, id, (incarnation, DocumentId::default()), secret)
    }

    fn with(
        config: &Config,
        id: u8,
        (incarnation, document): (u32, DocumentId),
        secret: &str,
    ) -> Self {
        let node = config.nodes.iter().find(|node| node.id == id).unwrap();
        let card = Card {
            incarnation: Incarnation(incarnation),
            salt: [id + 16 * u8::try_from(incarnation).unwrap(); 16],
            secrets: Secrets::one(Secret::new(secret)),
            document,
        };
        let (now, seed) = (Instant::ZERO, u64::from(id));
        let mut front = Self {
            beat: Beat::new(now, config, node, &card, seed),
            council: Council::new(now, config, node, &card, (seed, 1)),
            owners: vec![Owner::Nobody; config.vips.len()],
            report: None,
            outrun: None,
            flows: vec![],
            copies: vec![vec![]; config.vips.len()],
            cut: false,
            visits: vec![],
            introduced: vec![],
        };
        for port in 0..2 {
            let mac = Mac([2, 0, 0, 0, id, port]);
            let attached = Attached { mac, mtu: 1_500, up: true };
            front.beat.handle_port(now, PortId(port.into()), &attached);
            front.council.handle_port(PortId(port.into()), &attached);
        }
        front
    }

    /// One millisecond of both threads, which are punctual. Frames that leave, by port.
    fn step(&mut self, now: Instant) -> Vec<(PortId, Vec<u8>)> {
        self.beat.handle_progress(now);
        self.beat.handle_drained(now);
        self.beat.handle_timeout(now);
        self.council.handle_timeout(now);
        loop {
            let mut idle = true;
            while let Some(news) = self.beat.poll_news() {
                idle = false;
                match &news {
                    News::Report(report) => self.report = Some(report.clone()),
                    News::Outrun(known) => self.outrun = Some(*known),
                    News::Refused(_) | News::Admitted(_) | News::Heard(_) | News::Ask(_) => {}
                }
                self.council.handle_news(now, news);
            }
            while let Some(agreed) = self.council.poll_agreed() {
                idle = false;
                self.obey(now, agreed);
            }
            if idle {
                break;
            }
        }
        let beats = core::iter::from_fn(|| self.beat.poll_frame()).collect::<Vec<_>>();
        beats.into_iter().chain(core::iter::from_fn(|| self.council.poll_frame())).collect()
    }

    fn obey(&mut self, now: Instant, agreed: Agreed) {
        match agreed {
            Agreed::Orders(orders) => self.beat.handle_orders(now, orders),
            Agreed::Owner(vip, owner, number) => {
                self.owners[vip.index()] = owner;
                self.copied(vip);
                self.council.handle_settled(now, number);
            }
            Agreed::Probe(vip) => self.council.handle_probe(now, vip, None),
            // The gateway is there and answers at once.
            Agreed::Ask(network) if !self.cut => self.beat.handle_witness(now, network),
            Agreed::Tell(asked) => {
                for flow in self.flows.clone() {
                    self.council.handle_note(now, 0, &flow);
                }
                let told = Note::Told { round: 0, asked };
                self.council.handle_note(now, 0, &told);
            }
            Agreed::Synced(vip) => {
                self.copied(vip);
                self.council.handle_synced(now, vip);
            }
            Agreed::Copies(vip) => self.copied(vip),
            Agreed::Visit(visit, way) => self.visits.push((*visit, way)),
            Agreed::Introduced(event) => self.introduced.push(*event),
            Agreed::InForce(it) => self.beat.handle_document(now, it.id, &it.config, &it.node),
            Agreed::Ask(_)
            | Agreed::Judge(..)
            | Agreed::Decided(..)
            | Agreed::Removed(_)
            | Agreed::Announce(_)
            | Agreed::Peers(_)
            | Agreed::Note(_)
            | Agreed::Workers(_)
            | Agreed::Outrun(_) => {}
        }
    }

    fn copied(&mut self, vip: VipId) {
        self.copies[vip.index()] = self.council.copies(vip).collect();
    }

    /// Its forwarder tells of a flow to a virtual address.
    fn tell(&mut self, now: Instant, vip: [u8; 4], client_port: u16, server: Option<u8>) {
        let mapped = |octets: [u8; 4]| Ipv4Addr::from(octets).to_ipv6_mapped();
        let key = FlowKey {
            source: mapped([198, 51, 100, 7]),
            destination: mapped(vip),
            source_port: client_port,
            destination_port: 80,
            protocol: Protocol::TCP,
        };
        let server = server.map(|last| (mapped([10, 0, 0, last]), 8_080));
        self.council.handle_note(now, 0, &Note::Flow { key, server });
    }

    /// As the kernel sorts: by the kind in a datagram's second octet.
    fn hear(&mut self, now: Instant, port: PortId, frame: &mut [u8]) {
        let ip = if frame[12] == 0x08 { 20 } else { 40 };
        match frame.get(14 + ip + 8 + 1) {
            Some(0 | 0x80) => self.beat.handle_frame(now, now, port, frame),
            _ => self.council.handle_frame(now, port, frame),
        }
    }

    fn presence(&self, of: u16) -> Option<Presence> {
        let peers = &self.report.as_ref()?.peers;
        peers.iter().find(|sight| sight.peer.id == NodeId(of)).map(|sight| sight.presence)
    }
}

/// Cables of a millisecond between all boxes.
struct Cables {
    now: Instant,
    under_way: VecDeque<(PortId, usize, Vec<u8>)>,
    frames: usize,
    broadcasts: usize,
}

impl Cables {
    fn new() -> Self {
        Self { now: Instant::ZERO, under_way: VecDeque::new(), frames: 0, broadcasts: 0 }
    }

    fn run(&mut self, fronts: &mut [Front], milliseconds: u64) {
        for _ in 0..milliseconds {
            self.now += Duration::from_millis(1);
            for (port, sender, frame) in core::mem::take(&mut self.under_way) {
                let lists = frame[..6] == [0xff; 6];
                self.frames += 1;
                self.broadcasts += usize::from(lists);
                if fronts[sender].cut {
                    continue;
                }
                for (place, front) in fronts.iter_mut().enumerate() {
                    if place != sender && !front.cut {
                        front.hear(self.now, port, &mut frame.clone());
                    }
                }
            }
            for (place, front) in fronts.iter_mut().enumerate() {
                let frames = front.step(self.now);
                self.under_way.extend(frames.into_iter().map(|(port, it)| (port, place, it)));
            }
        }
    }
}

fn fronts(count: u8) -> Vec<Front> {
    let config = config(count);
    (1..=count).map(|id| Front::new(&config, id, 1, "the tests' secret")).collect()
}

/// Which box owns each VIP in its own eyes.
fn owners(fronts: &[Front]) -> Vec<Vec<usize>> {
    let vips = 0..fronts[0].owners.len();
    let owning = |vip: usize| {
        let places = fronts.iter().enumerate();
        places.filter(move |(_, front)| front.owners[vip] == Owner::Us).map(|(place, _)| place)
    };
    vips.map(|vip| owning(vip).collect()).collect()
}

#[test]
fn a_box_alone_owns_everything_for_ever_and_says_nothing() {
    let mut fronts = fronts(1);
    let mut cables = Cables::new();
    cables.run(&mut fronts, 2_000);
    assert_eq!(fronts[0].owners, [Owner::Us, Owner::Us]);
    assert_eq!(fronts[0].beat.leases()[..2], [Instant::FAR; 2]);
    assert_eq!(fronts[0].beat.leases()[2..], [Instant::ZERO; NETWORKS - 2]);
    assert_eq!(cables.frames, 0);
}

#[test]
fn boxes_that_start_find_each_other_and_share_the_addresses() {
    let mut fronts = fronts(3);
    let mut cables = Cables::new();
    cables.run(&mut fronts, 5_000);
    for (place, front) in fronts.iter().enumerate() {
        for other in (1..=3).filter(|other| usize::from(*other) != place + 1) {
            assert_eq!(front.presence(other), Some(Presence::Heard), "{place} hears {other}");
        }
        assert!(front.beat.leases()[..2].iter().all(|lease| *lease > cables.now), "{place}");
    }
    let owners = owners(&fronts);
    assert!(owners.iter().all(|of| of.len() == 1), "{owners:?}");
    for (vip, of) in owners.iter().enumerate() {
        let others = fronts.iter().enumerate().filter(|(place, _)| *place != of[0]);
        for (place, front) in others {
            // A box counts the others without itself.
            let expected = if of[0] < place { of[0] } else { of[0] - 1 };
            assert_eq!(front.owners[vip], Owner::Peer(u16::try_from(expected).unwrap()));
        }
    }
    let before = cables.broadcasts;
    cables.run(&mut fronts, 1_000);
    assert_eq!(cables.broadcasts, before, "every station is known");
}

#[test]
fn what_a_box_that_falls_silent_owned_is_owned_by_another() {
    let mut fronts = fronts(3);
    let mut cables = Cables::new();
    cables.run(&mut fronts, 5_000);
    let dead = owners(&fronts)[0][0];
    fronts[dead].cut = true;
    cables.run(&mut fronts, 500);
    let lease = fronts[dead].beat.leases()[1];
    assert!(lease <= cables.now, "the silent one may serve no longer");
    let alive: Vec<_> = owners(&fronts)[0].iter().copied().filter(|at| *at != dead).collect();
    assert_eq!(alive.len(), 1, "{:?}", owners(&fronts));
}

/// The control of a box that carries out what its council has decided.
fn control(front: &Front, config: &Config, id: u8, now: Instant) -> crate::Control {
    let name = alloc::format!("n{id}");
    let mut plan = crate::Plan::new(config.clone(), &name, 1).unwrap();
    plan.share();
    let up = Attached { mac: Mac([2; 6]), mtu: 1_500, up: true };
    let mut control = crate::Control::new(now, plan, vec![up; 2], 1);
    for (vip, owner) in front.owners.iter().enumerate() {
        control.handle_owner(now, base::VipId::from(vip), *owner);
    }
    control
}

/// The cluster as such a box sees it.
fn shown(front: &Front, config: &Config, id: u8, now: Instant) -> status::Cluster {
    let control = control(front, config, id, now);
    show(now, &control, Some((&front.council, &front.beat.leases())), status::Document::default())
}

/// What is answered to an operator at the box of this place.
fn ask(
    fronts: &mut [Front],
    config: &Config,
    (place, now): (usize, Instant),
    wanted: Wanted<'_>,
) -> Result<alloc::string::String, alloc::string::String> {
    let control = control(&fronts[place], config, u8::try_from(place + 1).unwrap(), now);
    request(now, &control, Some(&mut fronts[place].council), wanted)
}

#[test]
fn any_box_takes_the_order_to_move_an_address_or_to_drain_a_box() {
    let (config, mut fronts, mut cables) = (config(3), fronts(3), Cables::new());
    cables.run(&mut fronts, 5_000);
    let from = owners(&fronts)[0][0];
    let (to, third) = ((from + 1) % 3, (from + 2) % 3);
    let name = |place: usize| alloc::format!("n{}", place + 1);
    let wanted = Wanted::Move { vip: "a", to: &name(to) };
    // A box that neither has it nor gets it.
    let told = ask(&mut fronts, &config, (third, cables.now), wanted).unwrap();
    let expected = alloc::format!("a moves from {} to {}; connections go on", name(from), name(to));
    assert_eq!(told, expected);
    cables.run(&mut fronts, 1_000);
    assert_eq!(owners(&fronts)[0], [to]);
    let again = ask(&mut fronts, &config, (from, cables.now), wanted).unwrap_err();
    assert_eq!(again, alloc::format!("a is served by {} already", name(to)));

    let drain = Wanted::Drain(&name(to));
    ask(&mut fronts, &config, (third, cables.now), drain).unwrap();
    cables.run(&mut fronts, 1_000);
    assert!(owners(&fronts).iter().all(|of| of.len() == 1 && of[0] != to), "{:?}", owners(&fronts));
    let seen = shown(&fronts[from], &config, u8::try_from(from + 1).unwrap(), cables.now);
    let drained: Vec<bool> = seen.nodes.iter().map(|node| node.drained).collect();
    assert_eq!(drained, [0, 1, 2].map(|place| place == to));
    for (wanted, why) in [
        (wanted, "is drained, restore node"),
        (drain, "is drained already"),
        (Wanted::Restore(&name(third)), "is not drained"),
    ] {
        let told = ask(&mut fronts, &config, (from, cables.now), wanted).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
    ask(&mut fronts, &config, (from, cables.now), Wanted::Restore(&name(to))).unwrap();
    cables.run(&mut fronts, 1_000);
    assert!(ask(&mut fronts, &config, (third, cables.now), drain).is_ok());
}

#[test]
fn what_cannot_be_asked_of_the_cluster_is_refused_with_its_reason() {
    let text = alloc::format!(
        "{DOCUMENT}{}{}",
        NODE.replace('X', "1"),
        NODE.replace('X', "2").split("[node.n2.port.eth0]").next().unwrap()
    );
    let text = text + "[node.n2.port.eth1]\nnetwork = \"inside\"\naddresses = [\"fd00::12/64\"]\n";
    let unattached = Config::parse(&text).unwrap();
    let (both, now) = (config(2), Instant::from_millis(3_000));
    let mut fronts = fronts(2);
    let to = |vip, to| Wanted::Move { vip, to };
    let told = ask(&mut fronts, &both, (0, now), to("a", "n2")).unwrap_err();
    assert!(told.starts_with("this node has agreed with nobody yet"), "{told}");
    let mut cables = Cables::new();
    cables.run(&mut fronts, 3_000);
    if owners(&fronts)[0] != [0] {
        ask(&mut fronts, &both, (0, now), to("a", "n1")).unwrap();
        cables.run(&mut fronts, 1_000);
    }
    let rows = [
        (&both, to("www", "n2"), "there is no virtual address www, only a, b"),
        (&both, to("a", "n9"), "there is no node n9, only n1, n2"),
        (&both, Wanted::Drain("n9"), "there is no node n9, only n1, n2"),
        (&unattached, to("a", "n2"), "n2 is not attached to outside, where a is answered for"),
    ];
    for (config, wanted, why) in rows {
        assert_eq!(ask(&mut fronts, config, (0, now), wanted), Err(why.into()));
    }
    fronts[1].cut = true;
    cables.run(&mut fronts, 2_000);
    for (wanted, why) in [
        (to("a", "n2"), "n2 is no member of the cluster now: it is off or not heard"),
        (Wanted::Restore("n2"), "n2 is no member of the cluster now: it is off or not heard"),
        (
            Wanted::Drain("n1"),
            "nobody else could serve: n1 is the only member of the cluster that is not drained",
        ),
    ] {
        assert_eq!(ask(&mut fronts, &both, (0, cables.now), wanted), Err(why.into()));
    }
    let alone = config(1);
    let control = control(&fronts[0], &alone, 1, now);
    let told = request(now, &control, None, Wanted::Drain("n1")).unwrap_err();
    assert!(told.starts_with("n1 is the only node that is configured"), "{told}");
}

#[test]
fn an_operator_sees_on_every_box_who_is_there_and_who_serves_what() {
    let (config, mut fronts, mut cables) = (config(3), fronts(3), Cables::new());
    let before = shown(&fronts[0], &config, 1, cables.now);
    assert_eq!((before.standing, before.view), (Standing::Outside, None));
    assert!(before.owners.iter().all(|vip| vip.owner.is_none() && !vip.served));
    assert!(before.leases.iter().all(|lease| !lease.open && lease.remaining.is_none()));
    cables.run(&mut fronts, 5_000);
    let seen: Vec<_> =
        (1..=3).zip(&fronts).map(|(id, it)| shown(it, &config, id, cables.now)).collect();
    for seen_by in &seen {
        assert_eq!((&seen_by.view, &seen_by.members), (&seen[0].view, &seen[0].members));
        assert!(seen_by.standing == Standing::Member && seen_by.members.len() == 3, "{seen_by:?}");
        assert!(seen_by.nodes.iter().all(|node| node.member && node.hears), "{seen_by:?}");
        assert_eq!(seen_by.paths.len(), 4, "two others on two networks");
        assert!(seen_by.paths.iter().all(|path| path.quiet < Duration::from_millis(100)));
        assert!(seen_by.leases.iter().all(|lease| lease.open && lease.remaining.is_some()));
        for (vip, same) in seen_by.owners.iter().zip(&seen[0].owners) {
            assert!(vip.owner.is_some() && vip.owner == same.owner, "{vip:?} {same:?}");
            assert_eq!(vip.served, vip.owner.as_ref() == Some(&seen_by.node), "{vip:?}");
        }
    }
    fronts[2].cut = true;
    cables.run(&mut fronts, 2_000);
    let left = shown(&fronts[0], &config, 1, cables.now);
    assert_ne!(left.view, seen[0].view);
    assert_eq!((left.members.len(), left.owners.len()), (2, 2));
    let gone = &left.nodes[2];
    assert_eq!((gone.member, gone.presence, gone.hears), (false, status::Presence::Silent, false));
    assert!(left.owners.iter().all(|vip| vip.owner.as_deref().is_some_and(|it| it != "n3")));
    let alone = shown(&fronts[2], &config, 3, cables.now);
    // Its outside has a gateway to ask, and that does not answer; its inside has nobody.
    assert!(!alone.leases[0].open, "{alone:?}");
    assert!(alone.owners.iter().all(|vip| !vip.served), "{alone:?}");
}

#[test]
fn a_box_that_is_no_member_says_why() {
    for (nodes, standing) in [(1, Standing::Alone), (3, Standing::Secretless)] {
        let mut plan = crate::Plan::new(config(nodes), "n1", 1).unwrap();
        if nodes > 1 {
            plan.share();
        }
        let up = Attached { mac: Mac([2; 6]), mtu: 1_500, up: true };
        let control = crate::Control::new(Instant::ZERO, plan, vec![up; 2], 1);
        let shown = show(Instant::from_millis(9), &control, None, status::Document::default());
        assert_eq!((shown.standing, shown.nodes.len()), (standing, usize::from(nodes)));
        let alone = standing == Standing::Alone;
        assert_eq!(shown.members.len(), usize::from(alone));
        assert!(shown.leases.iter().all(|it| it.open == alone && it.remaining.is_none()));
        assert!(shown.owners.iter().all(|it| it.served == alone && it.owner.is_some() == alone));
    }
}

#[test]
fn who_takes_an_address_over_knows_the_flows_that_its_owner_told() {
    let mut fronts = fronts(3);
    let mut cables = Cables::new();
    cables.run(&mut fronts, 5_000);
    let dead = owners(&fronts)[0][0];
    let vip = [192, 0, 2, 80];
    for port in 0..100 {
        fronts[dead].tell(cables.now, vip, port, Some(11));
    }
    fronts[dead].tell(cables.now, vip, 99, None);
    cables.run(&mut fronts, 50);
    fronts[dead].cut = true;
    cables.run(&mut fronts, 800);
    let heir = (0..3).find(|at| *at != dead && fronts[*at].owners[0] == Owner::Us).unwrap();
    assert_eq!(fronts[heir].copies[0].len(), 99);
    // Its own heir, the third, has them, too.
    let third = 3 - dead - heir;
    let counts = fronts[heir].council.flows().counts();
    assert_eq!(fronts[third].council.flows().len(), 99, "{counts:?}");
}

#[test]
fn an_address_that_is_moved_brings_its_flows_along() {
    let mut fronts = fronts(2);
    let mut cables = Cables::new();
    cables.run(&mut fronts, 5_000);
    let from = owners(&fronts)[0][0];
    for port in 0..100 {
        fronts[from].tell(cables.now, [192, 0, 2, 80], port, Some(11));
    }
    let to = NodeId(u16::try_from(2 - from).unwrap());
    let request = cluster::Request::Move { vip: VipId(0), to };
    fronts[from].council.handle_request(cables.now, request);
    // As soon as a frame may come here, it is known what to do with it.
    while fronts[1 - from].owners[0] != Owner::Us {
        cables.run(&mut fronts, 1);
        assert!(cables.now < Instant::from_millis(8_000), "{:?}", owners(&fronts));
    }
    assert_eq!(fronts[1 - from].copies[0].len(), 100);
}

#[test]
fn a_box_with_another_secret_is_nobody() {
    let config = config(2);
    let mut fronts =
        vec![Front::new(&config, 1, 1, "the secret"), Front::new(&config, 2, 1, "a guess")];
    Cables::new().run(&mut fronts, 3_000);
    for front in &fronts {
        assert!(front.report.as_ref().is_none_or(|report| report.peers.is_empty()));
        let reasons: Vec<_> = front.beat.refused().iter().map(|(reason, _)| *reason).collect();
        let told: Vec<_> = front.council.refused().map(|(reason, _)| reason).collect();
        assert!(reasons.iter().all(|reason| told.contains(reason)), "{reasons:?} {told:?}");
        let expected = [Refusal::UnknownKey, Refusal::BadSeal, Refusal::NotAdmitted];
        assert!(!reasons.is_empty() && reasons.iter().all(|it| expected.contains(it)));
    }
}

#[test]
fn a_box_that_forgot_how_often_it_started_is_told_so() {
    let config = config(2);
    let start = |id, incarnation| Front::new(&config, id, incarnation, "the secret");
    let mut fronts = vec![start(1, 4), start(2, 1)];
    let mut cables = Cables::new();
    cables.run(&mut fronts, 3_000);
    fronts[0] = start(1, 1);
    cables.run(&mut fronts, 1_000);
    assert_eq!(fronts[0].outrun, Some(Incarnation(4)));
    fronts[0] = start(1, 5);
    cables.run(&mut fronts, 5_000);
    assert_eq!(fronts[1].presence(1), Some(Presence::Heard));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn frames_from_anybody_neither_panic_nor_are_answered(
        mut frame in prop::collection::vec(any::<u8>(), 0..200),
        port in 0_u16..3,
    ) {
        let mut fronts = fronts(2);
        let now = Instant::from_millis(5);
        fronts[0].step(now);
        fronts[0].beat.handle_frame(now, now, PortId(port), &mut frame.clone());
        fronts[0].council.handle_frame(now, PortId(port), &mut frame);
        prop_assert!(fronts[0].beat.poll_frame().is_none());
        prop_assert!(fronts[0].council.poll_frame().is_none());
    }
}

const NEWCOMER: &str = r#"
    name = "n2"
    id = 2
    secret = "the tests' secret"
    peers = ["192.0.2.11"]
    [port.eth0]
    network = "outside"
    addresses = ["192.0.2.12/24"]
    [port.eth1]
    network = "inside"
    addresses = ["fd00::12/64"]
"#;

/// A member, and a box that has nothing but its own document.
struct Arrival {
    cables: Cables,
    fronts: Vec<Front>,
    config: Config,
    record: Record,
}

impl Arrival {
    fn new(document: &str, newcomer: &str) -> Self {
        let secret = "the tests' secret";
        let config = Config::parse(document).unwrap();
        let record = Record::first(document.into(), About::default());
        let mut member = Front::with(&config, 1, (1, record.id()), secret);
        member.council.handle_record(&record);
        let own = NodeDocument::parse(newcomer).unwrap();
        let brings = own.newcomer().unwrap();
        let alone = Config::parse(&brings.alone()).unwrap();
        let mut coming = Front::new(&alone, alone.nodes[0].id, 2, secret);
        coming.council.come(Instant::ZERO, &alone.nodes[0], &brings, &own.peers).unwrap();
        Self { cables: Cables::new(), fronts: vec![member, coming], config, record }
    }

    /// The member does what its control thread would; the first thing the newcomer is told.
    fn run(&mut self, milliseconds: u64) -> Option<introduction::Event> {
        for _ in 0..milliseconds {
            self.cables.run(&mut self.fronts, 1);
            let member = &mut self.fronts[0];
            for (visit, way) in core::mem::take(&mut member.visits) {
                let answer = match member.council.receive(&self.config, &visit) {
                    Reception::Answer(answer) => answer,
                    Reception::Listed => {
                        let record = &self.record;
                        member.council.welcome(self.cables.now, record.id(), || record.clone())
                    }
                    Reception::Propose(newcomer) => match newcomer.enter(&self.record.text) {
                        Ok((text, config)) => {
                            let record = self.record.next(text, About::default());
                            let node = config.node("n1").unwrap();
                            let now = self.cables.now;
                            member.council.propose(now, &record, &config, node).unwrap();
                            member.council.handle_record(&record);
                            (self.record, self.config) = (record, config);
                            Answer::Soon
                        }
                        Err(why) => Answer::Outside { why },
                    },
                };
                member.council.answer(&visit, &way, answer);
            }
            if let Some(event) = self.fronts[1].introduced.pop() {
                return Some(event);
            }
        }
        None
    }
}

#[test]
fn a_box_with_nothing_but_the_secret_and_an_address_becomes_a_member() {
    let mut arrival = Arrival::new(&text(1), NEWCOMER);
    let seen = shown(&arrival.fronts[1], &arrival.config, 1, arrival.cables.now);
    assert_eq!(seen.standing, Standing::Newcomer);
    let Some(introduction::Event::Welcome { record, .. }) = arrival.run(1_000) else {
        panic!("nobody let it in");
    };
    assert!(arrival.cables.now < Instant::from_millis(500), "{:?}", arrival.cables.now);
    assert_eq!(*record, arrival.record);
    let config = Config::parse(&record.text).unwrap();
    assert_eq!(config.nodes.len(), 2);
    let mut joined = Front::with(&config, 2, (2, record.id()), "the tests' secret");
    joined.council.handle_record(&record);
    arrival.fronts[1] = joined;
    arrival.cables.run(&mut arrival.fronts, 5_000);
    let members = |front: &Front| front.council.members().count();
    assert_eq!(arrival.fronts.iter().map(members).collect::<Vec<_>>(), [2, 2]);
    let mut owners = owners(&arrival.fronts);
    owners.sort();
    assert_eq!(owners, [[0], [1]], "each has its share");
}

#[test]
fn a_newcomer_is_told_why_it_is_not_let_in() {
    let listed = text(1).replace("name = \"edge\"", "name = \"edge\"\nnewcomers = \"listed\"");
    let rows = [
        (text(1), ("id = 2", "id = 1"), "node \"n1\" has id 1 already"),
        (text(1), ("\"n2\"", "\"n1\""), "the name of the box that was asked"),
        (text(1), ("2.12/", "2.80/"), "192.0.2.80 is the address of"),
    ];
    for (document, (from, to), expected) in rows {
        let mut arrival = Arrival::new(&document, &NEWCOMER.replace(from, to));
        match arrival.run(1_000) {
            Some(introduction::Event::Outside { why, .. }) if why.contains(expected) => {}
            other => panic!("{expected}: {other:?}"),
        }
        assert_eq!(arrival.record.generation, 0, "nothing was changed");
    }
    let mut arrival = Arrival::new(&listed, NEWCOMER);
    let told = arrival.run(1_000);
    assert!(matches!(told, Some(introduction::Event::Unlisted { id: 2, .. })), "{told:?}");
    assert_eq!(arrival.record.generation, 0, "nothing was changed");
}
