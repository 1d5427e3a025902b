//! Watching a cluster from outside: a client that sends to the virtual addresses all the time, and
//! neighbors that ask all the time who has them.

pub mod owners;
pub mod stations;
pub mod stream;

use crate::clock;
use crate::lifecycle::Design;
use crate::place::Place;
use crate::topology::{Role, Vip};
use model::config::ServiceProtocol;
use owners::{Inquiry, Owners, Record};
use stations::Stations;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use stream::{Gap, Stream, Track};

/// Questions a second for each address, as long as there are few.
const QUESTIONS: u32 = 100;
/// And for all addresses of a segment together: half of what a box answers.
const ALL_QUESTIONS: u32 = 1000;
/// Sender addresses in turn. An answer may come as late as they last.
const SENDERS: usize = 16;

/// Runs of lost datagrams that are told one by one.
const GAPS_TOLD: usize = 5;

/// What watches.
#[derive(Debug)]
pub struct Probe {
    stream: Stream,
    services: Vec<(String, SocketAddr)>,
    owners: Vec<(Vec<String>, Owners)>,
    stations: Stations,
}

/// What was seen of one service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its VIP's name.
    pub vip: String,
    /// What became of the datagrams to it.
    pub track: Track,
}

/// What was seen of the owners of one address.
#[derive(Debug, Clone)]
pub struct Address {
    /// Its name.
    pub vip: String,
    /// Who answered.
    pub record: Record,
}

/// What was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Of services, in the order they were named.
    pub services: Vec<Service>,
    /// Of IPv4 addresses.
    pub addresses: Vec<Address>,
    stations: Stations,
}

impl Probe {
    /// Starts to send from a client to the UDP services of some VIPs (of all, where none is named)
    /// and to ask for every IPv4 VIP on its segment.
    ///
    /// # Errors
    /// A sentence where a VIP has no UDP service, or a segment nobody to ask from.
    pub fn start(
        place: &Place,
        design: &Design,
        (from, vips, rate): (&str, &[String], u32),
    ) -> Result<Probe, String> {
        let services = services(design, vips)?;
        let sockets: Vec<SocketAddr> = services.iter().map(|(_, socket)| *socket).collect();
        let owners = Probe::neighbors(place, design)?;
        let stations = Stations::of(place, &design.topology).map_err(|error| error.to_string())?;
        Ok(Probe {
            stream: Stream::start(&place.host(from), &sockets, rate),
            services,
            owners,
            stations,
        })
    }

    /// Starts to ask on each segment for its IPv4 VIPs; each with their names.
    fn neighbors(place: &Place, design: &Design) -> Result<Vec<(Vec<String>, Owners)>, String> {
        let mut owners = Vec::new();
        for segment in &design.topology.segments {
            let of_segment = design.topology.vips.iter().filter(|vip| vip.segment == segment.name);
            let of_segment: Vec<&Vip> = of_segment.filter(|vip| vip.address.is_ipv4()).collect();
            if !of_segment.is_empty() {
                let (host, inquiry) = inquiry(design, &segment.name, &of_segment)?;
                let names = of_segment.iter().map(|vip| vip.name.clone()).collect();
                owners.push((names, Owners::start(&place.host(&host), inquiry)));
            }
        }
        Ok(owners)
    }

    /// Ends it and gives what was seen.
    ///
    /// # Errors
    /// A sentence where somebody could not even watch.
    pub fn end(self) -> Result<Seen, String> {
        let tracks = self.stream.end()?;
        let named = self.services.into_iter().zip(tracks);
        let services = named.map(|((vip, _), track)| Service { vip, track }).collect();
        let mut addresses = Vec::new();
        for (names, owners) in self.owners {
            let records = names.into_iter().zip(owners.end()?);
            addresses.extend(records.map(|(vip, record)| Address { vip, record }));
        }
        Ok(Seen { services, addresses, stations: self.stations })
    }
}

impl Seen {
    /// Datagrams without an answer, over all services.
    pub fn lost(&self) -> usize {
        self.services.iter().map(|service| service.track.lost()).sum()
    }

    /// Datagrams that were sent.
    pub fn sent(&self) -> usize {
        self.services.iter().map(|service| service.track.sent.len()).sum()
    }

    /// The longest gap of any service.
    pub fn gap(&self) -> Duration {
        self.services.iter().map(|service| service.track.longest()).max().unwrap_or_default()
    }

    /// How often a flow went to another server.
    pub fn changes(&self) -> usize {
        self.services.iter().map(|service| service.track.changes()).sum()
    }

    /// The longest time during which two boxes answered for one address.
    pub fn doubled(&self) -> Duration {
        self.addresses.iter().map(|address| address.record.doubled()).max().unwrap_or_default()
    }

    /// How often addresses went to another owner.
    pub fn moves(&self) -> usize {
        self.addresses.iter().map(|one| one.record.owners().len().saturating_sub(1)).sum()
    }

    /// How often one address went to another owner.
    pub fn moves_of(&self, vip: &str) -> usize {
        let of_vip = self.addresses.iter().filter(|address| address.vip == vip);
        of_vip.map(|address| address.record.owners().len().saturating_sub(1)).sum()
    }

    /// All of it in a few lines.
    pub fn told(&self) -> String {
        let mut text = String::new();
        for Service { vip, track } in &self.services {
            let (sent, lost) = (track.sent.len(), track.lost());
            // Writing to a string cannot fail.
            let _ = write!(text, "{vip}: {lost} of {sent} lost, {}", gap(track.longest()));
            let _ = write!(text, ", by {:?}", track.spread());
            for Gap { from, lost, .. } in track.gaps().iter().take(GAPS_TOLD) {
                let _ = write!(text, "; {lost} from {:.3} s", from.as_secs_f64());
            }
            text.push('\n');
        }
        let several =
            |address: &&Address| address.record.owners().len() != 1 || address.record.doubles() > 0;
        for Address { vip, record } in self.addresses.iter().filter(several) {
            let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
            let owner = |(since, mac): (Duration, _)| {
                format!("{} from {}", self.stations.name(mac), seconds(since))
            };
            let owners: Vec<String> = record.changes().into_iter().map(owner).collect();
            let _ = write!(text, "{vip}: {}", owners.join(", "));
            let _ = write!(text, "; nobody for {} ms at most", record.silent().as_millis());
            if let Some((at, both)) = record.first_double() {
                let answer = |(mac, came): &(_, Duration)| {
                    let waited = came.saturating_sub(at).as_secs_f64() * 1e3;
                    format!("{} after {waited:.1} ms", self.stations.name(*mac))
                };
                let both: Vec<String> = both.iter().map(answer).collect();
                let (count, longest) = (record.doubles(), record.doubled().as_millis());
                let _ = write!(
                    text,
                    "; two owners for {longest} ms; {count} questions answered twice, first that \
                     of {}, by {}",
                    seconds(at),
                    both.join(" and ")
                );
            }
            text.push('\n');
        }
        text
    }
}

/// A gap as people read it.
pub fn gap(longest: Duration) -> String {
    match longest {
        Duration::MAX => "without an answer at the end".into(),
        longest => format!("longest gap {:.0} ms", longest.as_secs_f64() * 1e3),
    }
}

/// Who answers for each IPv4 VIP now, by name; nobody where two do.
///
/// # Errors
/// As [`Probe::start`].
pub fn owners_now(
    place: &Place,
    design: &Design,
    time: Duration,
) -> Result<BTreeMap<String, Option<String>>, String> {
    let stations = Stations::of(place, &design.topology).map_err(|error| error.to_string())?;
    let named = |answers: Vec<base::Mac>| match answers[..] {
        [mac] => Some(stations.name(mac)),
        _ => None,
    };
    Ok(answers_now(place, design, time)?.into_iter().map(|(vip, all)| (vip, named(all))).collect())
}

/// How many boxes answer for each IPv4 VIP now.
///
/// # Errors
/// As [`Probe::start`].
pub fn answering(
    place: &Place,
    design: &Design,
    time: Duration,
) -> Result<BTreeMap<String, usize>, String> {
    let answers = answers_now(place, design, time)?;
    Ok(answers.into_iter().map(|(vip, all)| (vip, all.len())).collect())
}

/// Who answered the last question for each IPv4 VIP, after some time of asking.
fn answers_now(
    place: &Place,
    design: &Design,
    time: Duration,
) -> Result<BTreeMap<String, Vec<base::Mac>>, String> {
    let probe = Probe::neighbors(place, design)?;
    clock::pause(time);
    let mut answers = BTreeMap::new();
    for (names, asked) in probe {
        for (vip, record) in names.into_iter().zip(asked.end()?) {
            let last = record.questions.last().into_iter().flat_map(|question| &question.answers);
            answers.insert(vip, last.map(|(mac, _)| *mac).collect());
        }
    }
    Ok(answers)
}

/// Where the UDP service of a VIP is reached.
///
/// # Errors
/// A sentence where it has none.
pub fn service(design: &Design, vip: &str) -> Result<SocketAddr, String> {
    let found = services(design, &[vip.to_owned()])?;
    found.first().map(|(_, socket)| *socket).ok_or_else(|| format!("{vip} has no UDP service"))
}

/// The UDP services of some VIPs.
fn services(design: &Design, vips: &[String]) -> Result<Vec<(String, SocketAddr)>, String> {
    let config = &design.config;
    let udp = config.services.iter().filter(|one| one.protocol == ServiceProtocol::Udp);
    let all: Vec<(String, SocketAddr)> = udp
        .filter_map(|service| {
            let vip = config.vips.get(service.vip.index())?;
            Some((vip.name.clone(), SocketAddr::new(vip.address, service.ports.first())))
        })
        .collect();
    if vips.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        let found = all.iter().find(|(vip, _)| vip == name).cloned();
        found.ok_or_else(|| format!("the VIP {name} has no UDP service to be probed"))
    };
    vips.iter().map(find).collect()
}

/// Who asks on a segment, and what.
fn inquiry(design: &Design, segment: &str, vips: &[&Vip]) -> Result<(String, Inquiry), String> {
    let hosts = design.topology.hosts.iter().filter(|host| !matches!(host.role, Role::Node(_)));
    let asker = hosts
        .filter_map(|host| {
            let interface = host.interfaces.iter().find(|one| one.segment == segment)?;
            let v4 = |text: &String| text.split_once('/')?.0.parse::<Ipv4Addr>().ok();
            interface.addresses.iter().find_map(v4).map(|own| (host, interface, own))
        })
        .next();
    let (host, interface, own) =
        asker.ok_or_else(|| format!("nobody on {segment} can ask who has an address"))?;
    let addresses: Vec<Ipv4Addr> = vips.iter().filter_map(|vip| v4(vip.address)).collect();
    let many = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let inquiry = Inquiry {
        interface: interface.name.clone(),
        senders: senders(design, own),
        vips: addresses,
        rate: QUESTIONS.min(ALL_QUESTIONS / many).max(1),
    };
    Ok((host.name.clone(), inquiry))
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// Addresses beside a host's own that nobody has: the highest of its last octet.
fn senders(design: &Design, own: Ipv4Addr) -> Vec<Ipv4Addr> {
    let ports = design.config.nodes.iter().flat_map(|node| &node.ports);
    let nodes = ports.flat_map(|port| &port.addresses).map(|prefix| prefix.address.to_string());
    let hosts = design.topology.hosts.iter().flat_map(|host| &host.interfaces);
    let hosts = hosts.flat_map(|one| &one.addresses);
    let gateways = design.topology.segments.iter().flat_map(|segment| &segment.addresses);
    let bare = |text: &String| text.split('/').next().unwrap_or_default().to_owned();
    let vips = design.topology.vips.iter().map(|vip| vip.address.to_string());
    let taken: BTreeSet<String> =
        hosts.chain(gateways).map(bare).chain(nodes).chain(vips).collect();
    let [a, b, c, _] = own.octets();
    let all = (1..=254).rev().map(|last| Ipv4Addr::new(a, b, c, last));
    all.filter(|one| !taken.contains(&one.to_string())).take(SENDERS).collect()
}
