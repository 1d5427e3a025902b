//! Appliances in emulated machines, between the namespaces of a lab: where the lab's node would be,
//! one is plugged in by taps, or by datagram sockets into the lab's switches.

use crate::artifacts;
use image::Artifacts;
use lab::faults::Fault;
use lab::lifecycle::{self, Design, node_document};
use lab::play::Nodes;
use lab::probe::stations;
use lab::scenario::log_lines;
use lab::topology::{Host, Role};
use lab::{Place, network, switches};
use qemu_tests::{Accelerator, End, Guest, Limit, Machine, Port, Turn, Wire};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The board that runs in QEMU.
const BOARD: &str = "qemu-x86_64";
/// What the appliance says last when it boots.
const SERVING: &str = "boot: serving";
/// What every line of its boot list holds.
const BOOT: &str = "portico: boot:";

/// An appliance that is switched on.
pub struct Appliance {
    /// The machine; it is switched off when dropped.
    pub guest: Guest,
    /// The right to run one.
    _turn: Turn,
}

/// Builds the supervisor and the image of the board.
///
/// # Errors
/// A sentence.
pub fn build(root: &Path) -> Result<Artifacts, String> {
    image(root, &artifacts::supervisor(root)?)
}

/// Builds the image of the board with a supervisor that was built before.
///
/// # Errors
/// A sentence.
pub fn image(root: &Path, supervisor: &Path) -> Result<Artifacts, String> {
    artifacts::image(root, BOARD, supervisor)
}

/// Plugs an appliance into the place of the lab's first node and switches it on.
///
/// # Errors
/// A sentence.
pub fn switch_on(
    target: &Path,
    place: &Place,
    design: &Design,
    artifacts: &Artifacts,
) -> Result<Appliance, String> {
    let is_node = |host: &&Host| matches!(host.role, Role::Node(_));
    let node = design.topology.hosts.iter().find(is_node).ok_or("the lab has no node")?;
    let turn = take_turn(target)?;
    let taps = network::add_taps(place, node).map_err(|error| error.to_string())?;
    let wires = taps.into_iter().map(Wire::Tap).collect();
    let machine = machine((place, design, None), node, artifacts, wires, &turn)?;
    let guest = machine.start(&turn).map_err(|error| error.to_string())?;
    Ok(Appliance { guest, _turn: turn })
}

/// Waits for the right to run emulated machines.
fn take_turn(target: &Path) -> Result<Turn, String> {
    Turn::take(target).map_err(|error| format!("{}: {error}", target.display()))
}

/// The machine that is a node of a lab, with its documents and wires.
fn machine(
    (place, design, secret): (&Place, &Design, Option<&str>),
    node: &Host,
    artifacts: &Artifacts,
    wires: Vec<Wire>,
    turn: &Turn,
) -> Result<Machine, String> {
    let initrd = with_config((place, design, secret), node, &artifacts.initramfs)?;
    let mut machine = Machine::new(&artifacts.kernel, initrd, &artifacts.command_line);
    // Without ports it boots far enough to tell whether this host's KVM can be trusted.
    machine.accelerator = Accelerator::best(&machine, BOOT, turn);
    let port = |(index, wire): (usize, Wire)| Port {
        mac: stations::of_guest(&design.topology, &node.name, index),
        wire,
    };
    machine.ports = wires.into_iter().enumerate().map(port).collect();
    machine.namespace = Some(place.host(&node.name));
    Ok(machine)
}

/// The nodes of a lab that is wired with switches, each an emulated machine.
pub struct Appliances<'a> {
    place: &'a Place,
    design: &'a Design,
    artifacts: &'a Artifacts,
    guests: BTreeMap<String, Guest>,
    secret: String,
    turn: Turn,
}

impl<'a> Appliances<'a> {
    /// Without any of them yet.
    ///
    /// # Errors
    /// A sentence.
    pub fn new(
        target: &Path,
        place: &'a Place,
        design: &'a Design,
        artifacts: &'a Artifacts,
    ) -> Result<Appliances<'a>, String> {
        let turn = take_turn(target)?;
        let secret = lifecycle::secret().map_err(|error| error.to_string())?;
        Ok(Appliances { place, design, artifacts, guests: BTreeMap::new(), secret, turn })
    }
}

impl Appliances<'_> {
    /// Switches a machine on; what ran before is switched off first.
    fn switch_on(&mut self, node: &Host) -> Result<(), String> {
        let wire = |index| {
            let (remote, local) = switches::guest_sockets(self.place, node, index);
            Wire::Datagrams { local, remote }
        };
        let wires = (0..node.interfaces.len()).map(wire).collect();
        let lab = (self.place, self.design, Some(self.secret.as_str()));
        let machine = machine(lab, node, self.artifacts, wires, &self.turn)?;
        self.guests.remove(&node.name);
        let guest = machine.start(&self.turn).map_err(|error| error.to_string())?;
        self.guests.insert(node.name.clone(), guest);
        Ok(())
    }

    /// The machine that is a node.
    ///
    /// # Errors
    /// A sentence where it is switched off.
    pub fn guest(&mut self, node: &str) -> Result<&mut Guest, String> {
        self.guests.get_mut(node).ok_or_else(|| format!("{node} is switched off"))
    }

    /// Pulls or plugs the cable of a machine to a network.
    fn set_link(&mut self, node: &str, network: &str, up: bool) -> Result<String, String> {
        let host = self.design.topology.host(node).map_err(|error| error.to_string())?;
        let port = host.interfaces.iter().position(|one| one.segment == network);
        let port = port.ok_or_else(|| format!("{node} is not on {network}"))?;
        let set = self.guest(node)?.set_link(port, up);
        set.map(|()| String::new()).map_err(|error| error.to_string())
    }

    /// Presses the power button and waits until the machine is off.
    fn stop(&mut self, node: &str) -> Result<String, String> {
        let guest = self.guest(node)?;
        guest.press_power_button().map_err(|error| error.to_string())?;
        let end = guest.wait_for_end(Limit::BOOT).map_err(|error| error.to_string())?;
        self.guests.remove(node);
        match end {
            End::PowerOff => Ok(String::new()),
            End::Restart | End::Watchdog | End::Other(_) => Err(format!("{node} ended: {end:?}")),
        }
    }

    /// Switches a machine off by its mains.
    fn cut_power(&mut self, node: &str) -> Result<String, String> {
        let guest = self.guests.remove(node);
        guest.map(|_| String::new()).ok_or_else(|| format!("{node} is switched off"))
    }
}

impl Nodes for Appliances<'_> {
    fn start(&mut self, nodes: &[&Host]) -> Result<(), String> {
        nodes.iter().try_for_each(|node| self.switch_on(node))?;
        for node in nodes {
            let served = self.guest(&node.name)?.expect(SERVING, Limit::BOOT);
            served.map_err(|silence| silence.to_string())?;
        }
        Ok(())
    }

    fn own_way(&mut self, fault: &Fault) -> Option<Result<String, String>> {
        match fault {
            Fault::Unplug { host, network } => Some(self.set_link(host, network, false)),
            Fault::Plug { host, network } => Some(self.set_link(host, network, true)),
            Fault::Stop { host } if self.guests.contains_key(host) => Some(self.stop(host)),
            Fault::Kill { host } | Fault::Off { host } if self.guests.contains_key(host) => {
                Some(self.cut_power(host))
            }
            Fault::Hang { .. } => {
                Some(Err("the threads of an emulated machine cannot be stopped by name".into()))
            }
            Fault::Stop { .. }
            | Fault::Kill { .. }
            | Fault::Off { .. }
            | Fault::Cut(_)
            | Fault::Oneway { .. }
            | Fault::Loss { .. }
            | Fault::Delay { .. }
            | Fault::Duplicate { .. }
            | Fault::Reorder { .. }
            | Fault::Pause { .. }
            | Fault::Start { .. }
            | Fault::Heal { .. }
            | Fault::List => None,
        }
    }

    fn log(&mut self, node: &str) -> String {
        self.guests.get(node).map(Guest::transcript).unwrap_or_default()
    }

    fn type_text(&mut self, node: &str, text: &str) -> Result<(), String> {
        let guest = self.guests.get_mut(node).ok_or_else(|| format!("{node} is switched off"))?;
        guest.type_text(text).map_err(|error| error.to_string())
    }

    fn shown(&mut self, node: &str) -> String {
        self.log(node)
    }
}

impl Appliance {
    /// Waits until it serves and gives its boot list.
    ///
    /// # Errors
    /// A sentence with the last it said.
    pub fn wait_until_serving(&mut self) -> Result<Vec<String>, String> {
        self.guest.expect(SERVING, Limit::BOOT).map_err(|silence| silence.to_string())?;
        // The rest of that line.
        self.guest.expect("\n", Limit::ANSWER).map_err(|silence| silence.to_string())?;
        Ok(log_lines(&self.guest.transcript(), BOOT))
    }
}

/// The image's root file system with the documents of a node appended.
fn with_config(
    (place, design, secret): (&Place, &Design, Option<&str>),
    node: &Host,
    initramfs: &Path,
) -> Result<PathBuf, String> {
    let name = match &node.role {
        Role::Node(name) => name.clone(),
        Role::Server { .. } | Role::Client => node.name.clone(),
    };
    let document = node_document(&name, secret);
    let cluster = design.cluster.as_bytes();
    let files = [("/config/cluster.toml", cluster), ("/config/node.toml", document.as_bytes())];
    let path = place.folder.join(format!("initrd-{}", node.name));
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let image = std::fs::read(initramfs).map_err(|error| failed(initramfs, error))?;
    std::fs::write(&path, image::with_config(&image, &files))
        .map_err(|error| failed(&path, error))?;
    Ok(path)
}
