//! Appliances in emulated machines, between the namespaces of a lab: where the lab's node would be,
//! one is plugged in by taps, or by datagram sockets into the lab's switches.

use crate::artifacts;
use image::Artifacts;
use lab::faults::Fault;
use lab::lifecycle::{self, Design, node_document};
use lab::network::Wiring;
use lab::play::Nodes;
use lab::probe::stations;
use lab::scenario::log_lines;
use lab::topology::{Host, Role};
use lab::{Place, network, switches};
use qemu_tests::{Accelerator, End, Guest, Limit, Machine, Port, Turn, Wire};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The board that runs in QEMU.
const BOARD: &str = "qemu-x86_64";
/// The memory of a machine that is one of several, in MiB.
const ONE_OF_SEVERAL: u32 = 192;
/// For several that boot at once on few cores which others use as well.
const BOOTS: Limit = Limit(Duration::from_secs(180));
/// What the appliance says last when it boots.
const SERVING: &str = "boot: serving";
/// What every line of its boot list holds.
const BOOT: &str = "portico: boot:";

/// Builds the image of the board with a supervisor that was built before.
///
/// # Errors
/// A sentence.
pub fn image(root: &Path, supervisor: &Path) -> Result<Artifacts, String> {
    artifacts::image(root, BOARD, supervisor)
}

/// Waits for the right to run emulated machines.
fn take_turn(target: &Path) -> Result<Turn, String> {
    Turn::take(target).map_err(|error| format!("{}: {error}", target.display()))
}

/// The nodes of a lab, each an emulated machine.
pub struct Appliances<'a> {
    place: &'a Place,
    design: &'a Design,
    artifacts: &'a Artifacts,
    guests: BTreeMap<String, Guest>,
    /// The taps of nodes that were switched on before.
    taps: BTreeMap<String, Vec<String>>,
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
        let (guests, taps) = (BTreeMap::new(), BTreeMap::new());
        Ok(Appliances { place, design, artifacts, guests, taps, secret, turn })
    }
}

impl Appliances<'_> {
    /// Switches a machine on; what ran before is switched off first.
    fn switch_on(&mut self, node: &Host) -> Result<(), String> {
        let wires = self.wires(node)?;
        let machine = self.machine(node, wires)?;
        self.guests.remove(&node.name);
        let guest = machine.start(&self.turn).map_err(|error| error.to_string())?;
        self.guests.insert(node.name.clone(), guest);
        Ok(())
    }

    /// What the ports of a machine are plugged into: taps where the lab is wired with bridges,
    /// sockets of its switches otherwise.
    fn wires(&mut self, node: &Host) -> Result<Vec<Wire>, String> {
        if self.design.wiring != Wiring::Bridge {
            let wire = |index| {
                let (remote, local) = switches::guest_sockets(self.place, node, index);
                Wire::Datagrams { local, remote }
            };
            return Ok((0..node.interfaces.len()).map(wire).collect());
        }
        if !self.taps.contains_key(&node.name) {
            let taps = network::add_taps(self.place, node).map_err(|error| error.to_string())?;
            self.taps.insert(node.name.clone(), taps);
        }
        let taps = self.taps.get(&node.name).into_iter().flatten();
        Ok(taps.cloned().map(Wire::Tap).collect())
    }

    /// The machine that is a node of the lab, with its documents and wires.
    fn machine(&self, node: &Host, wires: Vec<Wire>) -> Result<Machine, String> {
        let initrd = self.with_documents(node)?;
        let artifacts = self.artifacts;
        let mut machine = Machine::new(&artifacts.kernel, initrd, &artifacts.command_line);
        if self.design.nodes().nth(1).is_some() {
            machine.memory = ONE_OF_SEVERAL;
        }
        // Without ports it boots far enough to tell whether this host's KVM can be trusted.
        machine.accelerator = Accelerator::best(&machine, BOOT, &self.turn);
        let port = |(index, wire): (usize, Wire)| Port {
            mac: stations::of_guest(&self.design.topology, &node.name, index),
            wire,
        };
        machine.ports = wires.into_iter().enumerate().map(port).collect();
        machine.namespace = Some(self.place.host(&node.name));
        Ok(machine)
    }

    /// The image's root file system with the documents of a node appended.
    fn with_documents(&self, node: &Host) -> Result<PathBuf, String> {
        let name = match &node.role {
            Role::Node(name) => name.clone(),
            Role::Server { .. } | Role::Client => node.name.clone(),
        };
        let document = node_document(&name, Some(&self.secret));
        let cluster = self.design.document(node).as_bytes();
        let files = [("/config/cluster.toml", cluster), ("/config/node.toml", document.as_bytes())];
        let path = self.place.folder.join(format!("initrd-{}", node.name));
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        let initramfs = &self.artifacts.initramfs;
        let image = std::fs::read(initramfs).map_err(|error| failed(initramfs, error))?;
        std::fs::write(&path, image::with_config(&image, &files))
            .map_err(|error| failed(&path, error))?;
        Ok(path)
    }

    /// The boot list of a node.
    pub fn boot_list(&mut self, node: &str) -> Vec<String> {
        log_lines(&self.log(node), BOOT)
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
            let served = self.guest(&node.name)?.expect(SERVING, BOOTS);
            served.map_err(|silence| silence.to_string())?;
            // The rest of that line.
            let line = self.guest(&node.name)?.expect("\n", Limit::ANSWER);
            line.map_err(|silence| silence.to_string())?;
        }
        Ok(())
    }

    fn ease(&self) -> u32 {
        100
    }

    fn slowness(&self) -> u32 {
        3
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

    fn document(&self, _node: &Host) -> Option<PathBuf> {
        // It is in the image.
        None
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
