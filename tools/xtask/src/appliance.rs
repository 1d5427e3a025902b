//! One appliance in an emulated machine, between the namespaces of a lab: it is plugged in by taps
//! where the lab's node would be.

use crate::artifacts;
use image::Artifacts;
use lab::lifecycle::{Design, node_document};
use lab::scenario::log_lines;
use lab::topology::{Host, Role};
use lab::{Place, network};
use qemu_tests::{Accelerator, Guest, Limit, Machine, Port, Turn, Wire};
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
    artifacts::image(root, BOARD, &artifacts::supervisor(root)?)
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
    let initrd = with_config(place, node, &design.cluster, &artifacts.initramfs)?;
    let taps = network::add_taps(place, node).map_err(|error| error.to_string())?;
    let turn = Turn::take(target).map_err(|error| format!("{}: {error}", target.display()))?;
    let mut machine = Machine::new(&artifacts.kernel, initrd, &artifacts.command_line);
    // Without ports it boots far enough to tell whether this host's KVM can be trusted.
    machine.accelerator = Accelerator::best(&machine, BOOT, &turn);
    let port = |(index, tap): (usize, String)| Port {
        mac: format!("52:54:00:70:00:{:02x}", index + 1),
        wire: Wire::Tap(tap),
    };
    machine.ports = taps.into_iter().enumerate().map(port).collect();
    machine.namespace = Some(place.host(&node.name));
    let guest = machine.start(&turn).map_err(|error| error.to_string())?;
    Ok(Appliance { guest, _turn: turn })
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
    place: &Place,
    node: &Host,
    cluster: &str,
    initramfs: &Path,
) -> Result<PathBuf, String> {
    let name = match &node.role {
        Role::Node(name) => name.clone(),
        Role::Server { .. } | Role::Client => node.name.clone(),
    };
    let document = node_document(&name);
    let files =
        [("/config/cluster.toml", cluster.as_bytes()), ("/config/node.toml", document.as_bytes())];
    let path = place.folder.join("initrd");
    let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let image = std::fs::read(initramfs).map_err(|error| failed(initramfs, error))?;
    std::fs::write(&path, image::with_config(&image, &files))
        .map_err(|error| failed(&path, error))?;
    Ok(path)
}
