//! What machine to emulate, and the QEMU command that does.
//!
//! Reading list: `qemu-system-x86_64(1)`, of it `-netdev tap`, `-netdev dgram`, `-action`,
//! `-device i6300esb`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::accelerator::Accelerator;
use crate::guest::{Guest, GuestError};
use crate::turn::Turn;

/// A machine to be.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The compressed kernel.
    pub kernel: PathBuf,
    /// The root file system, configuration appended.
    pub initrd: PathBuf,
    /// The kernel's command line.
    pub command_line: String,
    /// Memory in MiB.
    pub memory: u32,
    /// Processor cores.
    pub cores: u32,
    /// Whether it has a hardware watchdog, which restarts it.
    pub watchdog: bool,
    /// Network ports; the guest finds them in this order.
    pub ports: Vec<Port>,
    /// The network namespace to run in, by `ip-netns(8)`'s name.
    pub namespace: Option<String>,
    /// Who executes its instructions.
    pub accelerator: Accelerator,
}

/// A virtio network port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its hardware address, as in `52:54:00:00:00:01`.
    pub mac: String,
    /// Where its cable goes.
    pub wire: Wire,
}

/// The other end of a port's cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A tap interface that exists in the machine's namespace, offloads included.
    Tap(String),
    /// A pair of datagram sockets, one frame a datagram: QEMU's own and the peer's.
    Datagrams {
        /// Where QEMU receives.
        local: PathBuf,
        /// Where it sends to.
        remote: PathBuf,
    },
    /// Nothing: the port has no link partner, but its link is up.
    Unplugged,
}

impl Machine {
    /// A machine of 256 MiB and one core with a watchdog and without ports, by software emulation.
    pub fn new(
        kernel: impl Into<PathBuf>,
        initrd: impl Into<PathBuf>,
        command_line: impl Into<String>,
    ) -> Self {
        Self {
            kernel: kernel.into(),
            initrd: initrd.into(),
            command_line: command_line.into(),
            memory: 256,
            cores: 1,
            watchdog: true,
            ports: Vec::new(),
            namespace: None,
            accelerator: Accelerator::Software,
        }
    }

    /// Switches it on. It runs until it ends by itself or the [`Guest`] is dropped, and dies with
    /// the thread that started it.
    ///
    /// # Errors
    /// [`GuestError`]; nothing is left running.
    pub fn start(&self, _turn: &Turn) -> Result<Guest, GuestError> {
        Guest::start(self)
    }

    /// The program and its arguments, the monitor being served at `monitor`.
    pub(crate) fn command(&self, monitor: &Path) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(namespace) = &self.namespace {
            words.extend(["ip", "netns", "exec", namespace].map(OsString::from));
        }
        // No emulator may outlive a test that was killed.
        words.extend(["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"].map(OsString::from));
        let mut add = |flag: &str, value: OsString| words.extend([flag.into(), value]);
        add("-machine", "q35".into());
        add("-accel", self.accelerator.argument().into());
        add("-cpu", self.accelerator.processor().into());
        if let Some(counting) = self.accelerator.counting() {
            add("-icount", counting.into());
        }
        add("-m", self.memory.to_string().into());
        add("-smp", self.cores.to_string().into());
        add("-kernel", self.kernel.clone().into());
        add("-initrd", self.initrd.clone().into());
        add("-append", self.command_line.clone().into());
        add("-display", "none".into());
        add("-monitor", "none".into());
        // The defaults would be a network card, a screen, a floppy and a CD drive.
        add("-vga", "none".into());
        add("-chardev", "stdio,id=serial,signal=off".into());
        add("-serial", "chardev:serial".into());
        let mut socket = OsString::from("socket,id=monitor,server=on,wait=off,path=");
        socket.push(escaped(monitor));
        add("-chardev", socket);
        add("-mon", "chardev=monitor,mode=control".into());
        if self.watchdog {
            add("-device", "i6300esb".into());
        }
        for (index, port) in self.ports.iter().enumerate() {
            add("-netdev", netdev(index, &port.wire));
            add("-device", format!("virtio-net-pci,netdev=port{index},mac={}", port.mac).into());
        }
        if self.ports.is_empty() {
            add("-nic", "none".into());
        }
        words.extend(["-nodefaults", "-no-reboot"].map(OsString::from));
        words
    }
}

fn netdev(index: usize, wire: &Wire) -> OsString {
    match wire {
        Wire::Tap(name) => {
            format!("tap,id=port{index},ifname={name},script=no,downscript=no,vhost=off").into()
        }
        Wire::Datagrams { local, remote } => {
            let mut value = OsString::from(format!("dgram,id=port{index},local.type=unix"));
            value.push(",local.path=");
            value.push(escaped(local));
            value.push(",remote.type=unix,remote.path=");
            value.push(escaped(remote));
            value
        }
        Wire::Unplugged => format!("hubport,id=port{index},hubid={index}").into(),
    }
}

/// QEMU's lists of options are separated by commas; a comma in a value is written twice.
fn escaped(path: &Path) -> OsString {
    path.to_string_lossy().replace(',', ",,").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(machine: &Machine) -> String {
        let words = machine.command(Path::new("/tmp/a,b/monitor"));
        words.join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn a_machine_in_a_namespace_is_started_there_and_dies_with_its_starter() {
        let mut machine = Machine::new("/k", "/i", "console=ttyS0 quiet");
        assert!(line(&machine).starts_with("setpriv --pdeathsig KILL qemu-system-x86_64 "));
        machine.namespace = Some("portico-node1".to_owned());
        assert!(line(&machine).starts_with("ip netns exec portico-node1 setpriv "));
    }

    #[test]
    fn ports_come_in_order_with_their_wires() {
        let mut machine = Machine::new("/k", "/i", "");
        let port = |mac: &str, wire| Port { mac: mac.to_owned(), wire };
        let (local, remote) = (PathBuf::from("/l"), PathBuf::from("/r"));
        machine.ports = vec![
            port("52:54:00:00:00:01", Wire::Tap("tap0".to_owned())),
            port("52:54:00:00:00:02", Wire::Datagrams { local, remote }),
        ];
        let line = line(&machine);
        let tap = line.find("tap,id=port0,ifname=tap0,script=no").expect("the tap");
        let socket = line
            .find("dgram,id=port1,local.type=unix,local.path=/l,remote.type=unix,remote.path=/r")
            .expect("the sockets");
        assert!(tap < socket, "{line}");
        assert!(line.contains("virtio-net-pci,netdev=port1,mac=52:54:00:00:00:02"), "{line}");
    }

    #[test]
    fn only_a_counting_machine_counts() {
        let mut machine = Machine::new("/k", "/i", "");
        assert!(!line(&machine).contains("-icount"));
        machine.accelerator = Accelerator::Counting;
        assert!(line(&machine).contains("-accel tcg,thread=single -cpu max,erms=off,fsrm=off"));
        assert!(line(&machine).contains("-icount shift=0,sleep=off"));
    }

    #[test]
    fn a_comma_in_a_path_is_doubled() {
        assert!(line(&Machine::new("/k", "/i", "")).contains("path=/tmp/a,,b/monitor"));
    }
}
