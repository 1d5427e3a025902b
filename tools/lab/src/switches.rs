//! The switches of a lab: starting one for each segment, and asking them.

use crate::network::{GATEWAY, Wiring, plug};
use crate::place::Place;
use crate::process::{self, Process};
use crate::switch::control::{self, Answer, Order};
use crate::switch::process::{Cable, Port, READY, Setup};
use crate::topology::{Host, Role, Segment, Topology};
use crate::{LabError, clock, lifecycle};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a switch may take to start. Generous: machines are shared.
const START_LIMIT: Duration = Duration::from_secs(15);
/// The longest path of a socket, in octets (unix(7): 108 with the zero at the end).
const LONGEST_PATH: usize = 107;

/// The name of the process that is the switch of a segment.
fn process_name(segment: &str) -> String {
    format!("switch-{segment}")
}

/// The two sockets of a guest's cable: where the switch receives, and where QEMU does.
pub fn guest_sockets(place: &Place, host: &Host, index: usize) -> (PathBuf, PathBuf) {
    let path = |end: &str| place.folder.join(format!("{}-{end}.socket", plug(host, index)));
    (path("switch"), path("guest"))
}

/// Starts the switches of a lab, where it is wired with some, and waits until they are ready.
///
/// # Errors
/// [`LabError`] of the first that does not start.
pub fn start(place: &Place, topology: &Topology, wiring: Wiring) -> Result<(), LabError> {
    let Wiring::Switch { seed, guests } = wiring else { return Ok(()) };
    for segment in &topology.segments {
        let setup = Setup {
            socket: control::socket(place, &segment.name),
            seed,
            ports: ports(place, topology, segment, guests),
        };
        check_paths(&setup)?;
        let name = process_name(&segment.name);
        let file = place.folder.join(format!("{name}.json"));
        let text = serde_json::to_vec_pretty(&setup).map_err(std::io::Error::other);
        text.and_then(|text| std::fs::write(&file, text)).map_err(LabError::file(&file))?;
        let arguments = ["lab", "switch", &file.to_string_lossy()];
        Process::start(place, &name, &place.segment(&segment.name), place.program(), &arguments)?;
    }
    topology.segments.iter().try_for_each(|segment| wait_until_ready(place, segment))
}

/// The ports of a segment's switch.
fn ports(place: &Place, topology: &Topology, segment: &Segment, guests: bool) -> Vec<Port> {
    let mut ports = Vec::new();
    for host in &topology.hosts {
        let is_guest = guests && matches!(host.role, Role::Node(_));
        let interfaces = host.interfaces.iter().enumerate();
        for (index, _) in interfaces.filter(|(_, one)| one.segment == segment.name) {
            let cable = if is_guest {
                let (local, remote) = guest_sockets(place, host, index);
                Cable::Datagrams { local, remote }
            } else {
                Cable::Veth(plug(host, index))
            };
            ports.push(Port { host: host.name.clone(), cable });
        }
    }
    if !segment.addresses.is_empty() {
        ports.push(Port { host: GATEWAY.into(), cable: Cable::Veth(GATEWAY.into()) });
    }
    ports
}

/// Says which path of a socket is too long, before the kernel says only that one is.
fn check_paths(setup: &Setup) -> Result<(), LabError> {
    let of_ports = setup.ports.iter().flat_map(|port| match &port.cable {
        Cable::Veth(_) => Vec::new(),
        Cable::Datagrams { local, remote } => vec![local, remote],
    });
    match of_ports.chain([&setup.socket]).find(|path| path.as_os_str().len() > LONGEST_PATH) {
        None => Ok(()),
        Some(path) => Err(LabError::Wiring(format!(
            "{} is too long for a socket, which may have {LONGEST_PATH} octets; \
             move the tree to a shorter folder",
            path.display()
        ))),
    }
}

/// Waits until a switch takes frames and orders.
fn wait_until_ready(place: &Place, segment: &Segment) -> Result<(), LabError> {
    let name = process_name(&segment.name);
    let log = place.log(&name);
    clock::wait_for(
        &format!("the start of {name}"),
        START_LIMIT,
        || {
            if process::tail(&log, 1) == READY {
                return Ok(Some(()));
            }
            if Process::find(place, &name).is_none() {
                return Err(LabError::Died { what: name.clone(), log: process::tail(&log, 20) });
            }
            Ok(None)
        },
        || process::tail(&log, 20),
    )
}

/// Captures what passes a segment into a file and says what came.
///
/// # Errors
/// [`LabError::NotUp`], [`LabError::NoSwitch`], [`LabError::Switch`].
pub fn capture(
    place: &Place,
    segment: &str,
    file: &Path,
    time: Duration,
    at: Option<String>,
) -> Result<String, LabError> {
    let topology = lifecycle::topology(place)?;
    if !topology.segments.iter().any(|known| known.name == segment) {
        let known: Vec<&str> = topology.segments.iter().map(|one| one.name.as_str()).collect();
        let known = known.join(", ");
        return Err(LabError::Fault(format!("there is no network {segment}; there are {known}")));
    }
    let absolute = std::path::absolute(file).map_err(LabError::file(file))?;
    let order = Order::Capture { file: absolute, time, at };
    match control::ask(place, segment, &order, time)? {
        Answer::Captured { frames, missing: 0 } => {
            Ok(format!("{frames} frames are in {}", file.display()))
        }
        Answer::Captured { frames, missing } => Ok(format!(
            "{frames} frames are in {}; {missing} more found no room in it",
            file.display()
        )),
        answer @ (Answer::Done | Answer::Links(_) | Answer::Refused(_)) => {
            let why = format!("it answered a capture with {answer:?}");
            Err(LabError::Switch { segment: segment.into(), why })
        }
    }
}
