//! Making things go wrong, and right again: the verbs of `lab fault`.
//!
//! A link is named by its two ends: two hosts, or a host and a network, which stands for whoever is
//! there. A fault of a link concerns both of its directions, unless it says `--oneway`.

pub mod cables;
mod hang;

use crate::network::{self, GATEWAY};
use crate::place::Place;
use crate::switch::control::{self, Answer, Change, End, Link, Order};
use crate::switch::pipe::Share;
use crate::topology::{Role, Topology};
use crate::{LabError, clock, lifecycle};
use clap::{Args, Parser, Subcommand};
use nix::sys::signal::Signal;
use std::fmt::Write;
use std::time::Duration;

/// How long an orderly end may take. Generous: machines are shared.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A fault, or its end.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Fault {
    /// Let no frame pass: `cut node1 outside`, `cut client1 node1`
    Cut(Ends),
    /// Let no frame pass in one direction: `oneway node1 server1` (from, to)
    Oneway {
        /// Who is not heard any more
        from: String,
        /// Who does not hear
        to: String,
    },
    /// Lose a share of the frames: `loss node1 outside 80%`
    Loss {
        /// Which link
        #[command(flatten)]
        ends: Ends,
        /// As `30%`; `0%` ends it
        share: Share,
    },
    /// Delay every frame: `delay node1 outside 100ms 20ms`
    Delay {
        /// Which link
        #[command(flatten)]
        ends: Ends,
        /// For how long: `100ms`, `2s`; `0ms` ends it
        #[arg(value_parser = duration)]
        delay: Duration,
        /// Up to so much longer or shorter; frames stay in order
        #[arg(value_parser = duration, default_value = "0ms")]
        jitter: Duration,
    },
    /// Let a share of the frames arrive twice: `duplicate node1 outside 10%`
    Duplicate {
        /// Which link
        #[command(flatten)]
        ends: Ends,
        /// As `10%`; `0%` ends it
        share: Share,
    },
    /// Let a share of the frames be overtaken by the next: `reorder node1 outside 10%`
    Reorder {
        /// Which link
        #[command(flatten)]
        ends: Ends,
        /// As `10%`; `0%` ends it
        share: Share,
    },
    /// Stop every process of a host for a while, as a stall would: `pause node1 4s`
    Pause {
        /// `node1`, `server1`
        host: String,
        /// For how long
        #[arg(value_parser = duration)]
        time: Duration,
    },
    /// Stop one thread of a host's program, as a deadlock would: `hang node1 control 2s`
    Hang {
        /// `node1`
        host: String,
        /// As the kernel calls it: `control`, `pulse`, `forward-0`
        thread: String,
        /// For how long
        #[arg(value_parser = duration)]
        time: Duration,
    },
    /// Pull a cable, so that both ends lose carrier: `unplug node1 outside`
    Unplug {
        /// `node1`
        host: String,
        /// `outside`
        network: String,
    },
    /// Put a cable back: `plug node1 outside`
    Plug {
        /// `node1`
        host: String,
        /// `outside`
        network: String,
    },
    /// Ask what runs on a host to end in order, and wait for that: `stop node1`
    Stop {
        /// `node1`, `server1`
        host: String,
    },
    /// Kill what runs on a host and pull all of its cables, as the loss of power does: `off node1`
    Off {
        /// `node1`
        host: String,
    },
    /// Kill every process of a host, as a crash would: `kill node1`
    Kill {
        /// `node1`, `server1`
        host: String,
    },
    /// Start again what a host runs: `start node1`
    Start {
        /// `node1`, `server1`
        host: String,
    },
    /// End the faults of all links, or of one, and let stopped processes go on
    Heal {
        /// One end
        #[arg(requires = "second")]
        first: Option<String>,
        /// The other end
        second: Option<String>,
    },
    /// Show the faults of links, and what they did
    List,
}

/// A fault as it is typed behind `lab fault`.
#[derive(Debug, Parser)]
#[command(name = "lab fault", disable_help_flag = true, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    fault: Fault,
}

/// Reads a fault as it is typed behind `lab fault`: `loss node1 outside 80%`.
///
/// # Errors
/// A sentence, for people.
pub fn parse(line: &str) -> Result<Fault, String> {
    let words = ["lab fault"].into_iter().chain(line.split_whitespace());
    let parsed = Line::try_parse_from(words).map_err(|error| error.to_string());
    parsed.map(|line| line.fault)
}

/// A link, by its ends.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Ends {
    /// A host, `gateway`, or a network
    first: String,
    /// Another one
    second: String,
    /// Only what goes from the first to the second
    #[arg(long)]
    oneway: bool,
}

/// Reads `100ms`, `1.5s`, `2m`.
///
/// # Errors
/// A sentence.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no time; 100ms, 1.5s or 2m would be");
    let at = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| wrong())
}

/// Does what a fault says and gives what is to be shown.
///
/// # Errors
/// [`LabError::NotUp`], [`LabError::NoSwitch`], [`LabError::Fault`] where there is no such link,
/// [`LabError::UnknownHost`], and as starting a host fails.
pub fn apply(place: &Place, fault: &Fault) -> Result<String, LabError> {
    let topology = lifecycle::topology(place)?;
    let change = |ends: &Ends, change: Change| {
        for (segment, links) in links(&topology, ends)? {
            ask(place, &segment, &Order::Change(links, change))?;
        }
        Ok(String::new())
    };
    match fault {
        Fault::Cut(ends) => change(ends, Change::Cut),
        Fault::Oneway { from, to } => {
            let ends = Ends { first: from.clone(), second: to.clone(), oneway: true };
            change(&ends, Change::Cut)
        }
        Fault::Loss { ends, share } => change(ends, Change::Loss(*share)),
        Fault::Delay { ends, delay, jitter } => {
            change(ends, Change::Delay { delay: *delay, jitter: *jitter })
        }
        Fault::Duplicate { ends, share } => change(ends, Change::Duplicate(*share)),
        Fault::Reorder { ends, share } => change(ends, Change::Reorder(*share)),
        Fault::Pause { host, time } => pause(place, &topology, host, *time),
        Fault::Hang { host, thread, time } => {
            let namespace = place.host(&topology.host(host)?.name);
            hang::hang(&namespace, thread, *time).map(|()| String::new())
        }
        Fault::Unplug { host, network } => {
            cables::set(place, topology.host(host)?, Some(network), false)
        }
        Fault::Plug { host, network } => {
            cables::set(place, topology.host(host)?, Some(network), true)
        }
        Fault::Stop { host } => stop(place, &topology, host),
        Fault::Off { host } => {
            let found = topology.host(host)?;
            // In this order: it must not see its cables go and tell the others.
            let count = network::signal_processes(&[place.host(&found.name)], Signal::SIGKILL)?;
            cables::set(place, found, None, false)?;
            some_processes(host, count)
        }
        Fault::Kill { host } => {
            let namespace = place.host(&topology.host(host)?.name);
            let count = network::signal_processes(&[namespace], Signal::SIGKILL)?;
            some_processes(host, count)
        }
        Fault::Start { host } => {
            lifecycle::start_again(place, topology.host(host)?)?;
            Ok(String::new())
        }
        Fault::Heal { first, second } => {
            heal(place, &topology, first.as_deref().zip(second.as_deref()))
        }
        Fault::List => list(place, &topology),
    }
}

/// The directions that a link has on each segment it is part of.
fn links(topology: &Topology, ends: &Ends) -> Result<Vec<(String, Vec<Link>)>, LabError> {
    let Ends { first, second, oneway } = ends;
    let end = |name: &str| match topology.segments.iter().any(|one| one.name == name) {
        true => End::Segment,
        false => End::Host(name.to_owned()),
    };
    let link = Link { from: end(first), to: end(second) };
    if link.from == link.to {
        return Err(LabError::Fault(format!("{first} and {second} are no two ends of a link")));
    }
    let mut places: Option<Vec<String>> = None;
    for (name, end) in [(first, &link.from), (second, &link.to)] {
        let here = match end {
            End::Segment => vec![name.clone()],
            End::Host(host) => segments_of(topology, host)?,
        };
        places = Some(match places {
            None => here,
            Some(before) => before.into_iter().filter(|one| here.contains(one)).collect(),
        });
    }
    let places = places.unwrap_or_default();
    if places.is_empty() {
        return Err(LabError::Fault(format!("{first} and {second} are on no common network")));
    }
    let directions = if *oneway { vec![link] } else { vec![link.back(), link] };
    Ok(places.into_iter().map(|place| (place, directions.clone())).collect())
}

/// The segments that a host is on.
fn segments_of(topology: &Topology, name: &str) -> Result<Vec<String>, LabError> {
    if name == GATEWAY {
        let with = topology.segments.iter().filter(|segment| !segment.addresses.is_empty());
        return Ok(with.map(|segment| segment.name.clone()).collect());
    }
    match topology.host(name) {
        Ok(host) => Ok(host.interfaces.iter().map(|one| one.segment.clone()).collect()),
        Err(_) => {
            let hosts = topology.hosts.iter().map(|host| host.name.clone());
            let segments = topology.segments.iter().map(|segment| segment.name.clone());
            let known = hosts.chain([GATEWAY.to_owned()]).chain(segments).collect();
            Err(LabError::UnknownHost { name: name.into(), known })
        }
    }
}

/// Asks one switch.
fn ask(place: &Place, segment: &str, order: &Order) -> Result<Answer, LabError> {
    control::ask(place, segment, order, Duration::ZERO)
}

/// Stops the processes of a host for a while.
fn pause(
    place: &Place,
    topology: &Topology,
    host: &str,
    time: Duration,
) -> Result<String, LabError> {
    let namespace = [place.host(&topology.host(host)?.name)];
    let count = network::signal_processes(&namespace, Signal::SIGSTOP)?;
    clock::pause(time);
    network::signal_processes(&namespace, Signal::SIGCONT)?;
    some_processes(host, count)
}

/// Asks the processes of a host to end and waits until they have.
fn stop(place: &Place, topology: &Topology, host: &str) -> Result<String, LabError> {
    let namespace = [place.host(&topology.host(host)?.name)];
    let count = network::signal_processes(&namespace, Signal::SIGTERM)?;
    let begin = clock::now();
    clock::wait_for(
        &format!("the orderly end of {host}"),
        STOP_LIMIT,
        || Ok((network::signal_processes(&namespace, None)? == 0).then_some(())),
        || "it still runs".into(),
    )?;
    let took = clock::now().duration_since(begin).as_secs_f64();
    some_processes(host, count).map(|_| format!("ended after {took:.1} s\n"))
}

/// An error where there was nobody to do something to.
fn some_processes(host: &str, count: usize) -> Result<String, LabError> {
    match count {
        0 => Err(LabError::Fault(format!("nothing runs on {host}"))),
        _ => Ok(String::new()),
    }
}

/// Ends faults.
fn heal(
    place: &Place,
    topology: &Topology,
    ends: Option<(&str, &str)>,
) -> Result<String, LabError> {
    if let Some((first, second)) = ends {
        let ends = Ends { first: first.into(), second: second.into(), oneway: false };
        for (segment, links) in links(topology, &ends)? {
            ask(place, &segment, &Order::Heal(Some(links)))?;
        }
        return Ok(String::new());
    }
    for segment in &topology.segments {
        match ask(place, &segment.name, &Order::Heal(None)) {
            // A lab of bridges has no faults of links to end.
            Err(LabError::NoSwitch) | Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    let hosts = topology.hosts.iter().filter(|host| !matches!(host.role, Role::Client));
    let namespaces: Vec<String> = hosts.map(|host| place.host(&host.name)).collect();
    network::signal_processes(&namespaces, Signal::SIGCONT)?;
    Ok(String::new())
}

/// The faults of all links.
fn list(place: &Place, topology: &Topology) -> Result<String, LabError> {
    let mut text = String::new();
    for segment in &topology.segments {
        let name = &segment.name;
        if let Answer::Links(links) = ask(place, name, &Order::List)? {
            for one in links {
                let link = one.link.show(name);
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{name:<10} {link:<24} {} ({})", one.faults, one.counts);
            }
        }
    }
    Ok(if text.is_empty() { "no link has a fault\n".into() } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::default_config;
    use crate::topology::Counts;
    use model::config::Config;

    fn ends(first: &str, second: &str, oneway: bool) -> Ends {
        Ends { first: first.into(), second: second.into(), oneway }
    }

    fn shown(first: &str, second: &str, oneway: bool) -> Result<Vec<String>, String> {
        let config = Config::parse(&default_config::cluster(1, 2)).expect("it is legal");
        let topology = Topology::new(&config, Counts::default()).expect("it can be wired");
        let links = links(&topology, &ends(first, second, oneway));
        let all =
            links.map_err(|error| error.to_string())?.into_iter().flat_map(|(place, links)| {
                links.into_iter().map(move |link| format!("{place}: {}", link.show(&place)))
            });
        Ok(all.collect())
    }

    #[test]
    fn faults_are_typed_as_they_are_spoken_of() {
        let share = "80%".parse().expect("a share");
        let milliseconds = Duration::from_millis;
        let node = ends("node1", "outside", false);
        let cases = [
            ("cut node1 outside", Fault::Cut(node.clone())),
            ("loss node1 outside 80%", Fault::Loss { ends: node.clone(), share }),
            (
                "loss node1 outside 80% --oneway",
                Fault::Loss { ends: ends("node1", "outside", true), share },
            ),
            (
                "delay node1 outside 100ms 20ms",
                Fault::Delay { ends: node, delay: milliseconds(100), jitter: milliseconds(20) },
            ),
            ("pause node1 1.5s", Fault::Pause { host: "node1".into(), time: milliseconds(1500) }),
            ("heal", Fault::Heal { first: None, second: None }),
            (
                "hang node2 control 2s",
                Fault::Hang {
                    host: "node2".into(),
                    thread: "control".into(),
                    time: milliseconds(2000),
                },
            ),
            ("off node1", Fault::Off { host: "node1".into() }),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line), Ok(expected), "{line}");
        }
        for line in ["", "heal node1", "loss node1 outside 80", "pause node1", "trip node1"] {
            parse(line).expect_err(line);
        }
    }

    #[test]
    fn a_link_is_found_by_its_two_ends() {
        let cases = [
            (
                "node1",
                "outside",
                false,
                vec!["outside: outside → node1", "outside: node1 → outside"],
            ),
            ("node1", "server1", true, vec!["inside: node1 → server1"]),
            ("outside", "client1", true, vec!["outside: outside → client1"]),
            ("gateway", "client1", true, vec!["outside: gateway → client1"]),
        ];
        for (first, second, oneway, expected) in cases {
            assert_eq!(shown(first, second, oneway).expect("there is one"), expected);
        }
    }

    #[test]
    fn a_link_that_is_none_is_refused_with_a_reason() {
        let cases = [
            ("client1", "server1", "client1 and server1 are on no common network"),
            ("client1", "inside", "client1 and inside are on no common network"),
            ("node1", "node1", "node1 and node1 are no two ends of a link"),
            ("inside", "outside", "no two ends of a link"),
            ("node7", "outside", "there is no host node7; there are node1, server1, server2, "),
        ];
        for (first, second, expected) in cases {
            let said = shown(first, second, false).expect_err("there is none");
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn times_are_read_with_their_unit() {
        let milliseconds = Duration::from_millis;
        for (text, expected) in [("100ms", 100), ("1.5s", 1500), ("2m", 120_000), ("0ms", 0)] {
            assert_eq!(duration(text), Ok(milliseconds(expected)));
        }
        for text in ["", "5", "s", "-1s", "1h", "1 s"] {
            duration(text).expect_err(text);
        }
    }
}
