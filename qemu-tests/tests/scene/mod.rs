//! The scene of every test with the real image: one appliance between a client and two servers.
//!
//! ```text
//!   client                  [ appliance ]                   servers
//!   192.0.2.100     ──────  .11  outside                    10.0.0.11, .12
//!   2001:db8:1::100         ::11         inside  ──────     fd00::11, ::12
//!                           VIPs 192.0.2.80, 2001:db8:1::80; gateways 10.0.0.1, fd00::1
//! ```

pub mod echo;

use std::path::PathBuf;

use image::Options;
use qemu_tests::{Accelerator, Guest, Host, Limit, Machine, Port, Turn, Wire};

const BOARD: &str = "qemu-x86_64";

/// What the appliance is told to be.
pub const CLUSTER: &str = include_str!("cluster.toml");
const NODE: &str = "name = \"n1\"\n";

/// Three hosts, wired once the appliance has been booted.
pub struct Scene {
    pub client: Host,
    pub servers: Host,
    /// What is switched on; a test may change it before.
    pub machine: Machine,
    place: Host,
    turn: Turn,
}

impl Scene {
    /// Builds image and hosts; the name keeps scenes of several tests apart.
    pub fn new(name: &str) -> Self {
        let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo"));
        let workspace = here.parent().expect("the crate lies in the workspace");
        let turn = Turn::take(&workspace.join("target")).expect("a lock in the target folder");
        let supervisor = image::build_supervisor(workspace).expect("the supervisor builds");
        let image = image::build(&Options::new(workspace, BOARD, &supervisor));
        let image = image.expect("the image builds");
        let initramfs = std::fs::read(&image.initramfs).expect("the initramfs");
        let files =
            [("/config/cluster.toml", CLUSTER.as_bytes()), ("/config/node.toml", NODE.as_bytes())];
        let initrd = image.initramfs.with_file_name(format!("initrd-test-{name}"));
        std::fs::write(&initrd, image::with_config(&initramfs, &files)).expect("the initrd");

        let host = |role| Host::new(&format!("{name}-{role}")).expect("a network namespace");
        let place = host("node");
        let mut machine = Machine::new(&image.kernel, initrd, image.command_line.as_str());
        machine.memory = 192;
        machine.namespace = Some(place.name().to_owned());
        let port =
            |mac: &str, tap: &str| Port { mac: mac.to_owned(), wire: Wire::Tap(tap.to_owned()) };
        machine.ports =
            vec![port("52:54:00:00:01:01", "outside"), port("52:54:00:00:01:02", "inside")];
        machine.accelerator = Accelerator::best(&machine, "boot: serving: ", &turn);
        Self { client: host("client"), servers: host("servers"), machine, place, turn }
    }

    /// Switches the appliance on, wires it, and waits until it serves; what it told until then.
    pub fn boot(&self) -> (Guest, String) {
        let mut guest = self.start();
        let told = guest.expect("boot: serving: ", Limit::BOOT);
        (guest, told.expect("the appliance comes to serve"))
    }

    /// Switches the appliance on and wires it.
    pub fn start(&self) -> Guest {
        let guest = self.machine.start(&self.turn).expect("the guest starts");
        let outside = ["192.0.2.100/24", "2001:db8:1::100/64"];
        self.client.attach("outside", &self.place, &outside).expect("the client is wired");
        let inside = ["10.0.0.11/24", "10.0.0.12/24", "fd00::11/64", "fd00::12/64"];
        self.servers.attach("inside", &self.place, &inside).expect("the servers are wired");
        for gateway in ["10.0.0.1", "fd00::1"] {
            self.servers.route_by(gateway).expect("the servers' gateway");
        }
        guest
    }
}
