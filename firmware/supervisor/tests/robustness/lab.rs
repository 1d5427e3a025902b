//! One supervisor between a client and a server host.
//!
//! ```text
//!   client eth0 ──── eth0 node eth1 ──── eth0 server (three servers' addresses)
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base::Mac;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::namespace::{Namespace, cable};
use crate::traffic;

/// How long anything may take that should happen soon.
pub const SOON: Duration = Duration::from_secs(20);
/// Two labs at once would only make each other late.
static TURN: Mutex<()> = Mutex::new(());

/// Everything, and its end when dropped.
pub struct Lab {
    pub client: Namespace,
    pub node: Namespace,
    pub server: Namespace,
    pub folder: tempfile::TempDir,
    supervisor: Option<Child>,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// A lab in which everything works; `None`, and a line that says so, where this process may
    /// not make one.
    pub fn new(test: &str) -> Option<Self> {
        let mut lab = Self::wired(test, CLUSTER, "name = \"n1\"\n")?;
        lab.start();
        lab.wait_for_log("boot: serving");
        lab.wait_until("a whole round trip", || lab.echoes());
        Some(lab)
    }

    /// Wires, servers and documents; the supervisor is not started.
    pub fn wired(test: &str, cluster: &str, node: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("{test}: skipped, because it makes network namespaces and needs root");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = Self {
            client: Namespace::new(),
            node: Namespace::new(),
            server: Namespace::new(),
            folder: tempfile::tempdir().expect("a folder"),
            supervisor: None,
            _turn: turn,
        };
        lab.plug_client();
        lab.plug_server();
        traffic::serve(&lab.server);
        std::fs::write(lab.path("cluster.toml"), cluster).expect("written");
        std::fs::write(lab.path("node.toml"), node).expect("written");
        Some(lab)
    }

    /// Plugs the client in; it is the segment's gateway as well.
    pub fn plug_client(&self) {
        cable((&self.node, "eth0"), (&self.client, "eth0"));
        for address in ["192.0.2.101/24", "192.0.2.1/24", "2001:db8:1::101/64", "2001:db8:1::1/64"]
        {
            self.client.ip(&format!("address add {address} dev eth0"));
        }
    }

    /// Plugs the servers in; their gateway is the node.
    pub fn plug_server(&self) {
        cable((&self.node, "eth1"), (&self.server, "eth0"));
        for number in traffic::SERVERS {
            self.server.ip(&format!("address add 10.0.0.{number}/24 dev eth0"));
            self.server.ip(&format!("address add fd00::{number}/64 dev eth0"));
        }
        self.server.ip("route add default via 10.0.0.1");
        self.server.ip("route add default via fd00::1");
    }

    /// Starts the supervisor. Its log goes on where the last one's ended.
    pub fn start(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.path("log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico-supervisor"));
        command.arg("--node").arg(self.folder.path());
        command.stdin(Stdio::null()).stderr(log.expect("a log"));
        self.supervisor = Some(self.node.run(|| command.spawn().expect("it starts")));
    }

    /// Sends the supervisor a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it runs");
    }

    /// Kills the supervisor as a crash would.
    pub fn crash(&mut self) {
        if let Some(mut child) = self.supervisor.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    pub fn pid(&self) -> Pid {
        let child = self.supervisor.as_ref().expect("it was started");
        Pid::from_raw(i32::try_from(child.id()).expect("a number of a process"))
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.path("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn wait_for_log(&self, text: &str) {
        self.wait_until(&format!("the line \"{text}\""), || self.log().contains(text));
    }

    pub fn wait_until(&self, what: &str, mut look: impl FnMut() -> bool) {
        let end = now() + SOON;
        while !look() {
            assert!(now() < end, "{what}: not within {SOON:?}\n{}", self.log());
            pause(Duration::from_millis(50));
        }
    }

    /// Whether both families' UDP gets through to a server and back.
    pub fn echoes(&self) -> bool {
        self.client.run(|| traffic::VIPS.iter().all(|vip| traffic::udp_echo(vip, b"there?")))
    }

    /// Nothing broke that should not have.
    pub fn assert_sound(&mut self) {
        let child = self.supervisor.as_mut().expect("it was started");
        let ended = child.try_wait().expect("it can be asked");
        let log = self.log();
        assert!(ended.is_none(), "it ended: {ended:?}\n{log}");
        for word in ["panic", "restarted:", "no progress"] {
            assert!(!log.contains(word), "{word}\n{log}");
        }
        self.wait_until("a whole round trip", || self.echoes());
    }

    /// Octets of memory that the supervisor has in hand.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        let kilo: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
        kilo << 10
    }

    /// What the console answers, as JSON.
    pub fn show(&self, topic: &str) -> serde_json::Value {
        let text = self.type_in(&format!("show {topic} | json\r"));
        let start = text.find(['{', '[']).unwrap_or_else(|| panic!("no JSON in {text:?}"));
        let end = text.rfind(['}', ']']).unwrap_or_else(|| panic!("no JSON in {text:?}"));
        serde_json::from_str(&text[start..=end])
            .unwrap_or_else(|error| panic!("{topic}: {error} in {text:?}"))
    }

    /// One counter.
    pub fn counter(&self, name: &str) -> u64 {
        let all = self.show("counters");
        all[name].as_u64().unwrap_or_else(|| panic!("no counter {name} in {all}"))
    }

    /// Types a line and gives what follows, up to the next prompt.
    pub fn type_in(&self, line: &str) -> String {
        let mut console = open_console(&self.path("console"));
        wake(&mut console);
        console.write_all(line.as_bytes()).expect("it takes a line");
        read_until(&mut console, "\n");
        read_until(&mut console, "n1> ")
    }

    /// Types lines that configure, each once the one before is done.
    pub fn type_in_all(&self, lines: &[&str]) {
        let mut console = open_console(&self.path("console"));
        wake(&mut console);
        for line in lines {
            console.write_all(format!("{line}\r").as_bytes()).expect("it takes a line");
            read_until(&mut console, "\n");
            let prompt = if line.starts_with("exit") { "n1> " } else { "n1# " };
            let told = read_until(&mut console, prompt);
            assert!(!told.contains("nothing was changed"), "{line}: {told}");
        }
    }

    /// The Ethernet address of one of the node's ports.
    pub fn mac(&self, port: &str) -> Mac {
        self.node.run(|| netio::Link::read(port).expect("the port is there").mac)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the supervisor's log:\n{}", self.log());
        }
        self.crash();
    }
}

/// Opens the terminal of a supervisor, as soon as it has linked it.
pub fn open_console(path: &Path) -> File {
    let flags = nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags);
    let end = now() + SOON;
    loop {
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && now() < end => {
                pause(Duration::from_millis(50));
            }
            opened => return opened.expect("the console is there"),
        }
    }
}

/// Presses Ctrl-C and Enter until there is a prompt and nothing else: whatever was typed and shown
/// before is done with then.
pub fn wake(console: &mut File) {
    let end = now() + SOON;
    let mut seen = Vec::new();
    while !seen.ends_with(b"n1> ") {
        let shown = String::from_utf8_lossy(&seen);
        assert!(now() < end, "no prompt comes, but {shown:?}");
        // What it does not take now it takes the next time.
        let _ = console.write(b"\x03\x15\r");
        seen.clear();
        let mut chunk = [0; 4096];
        while wait_readable(console, 300) {
            let Ok(length @ 1..) = console.read(&mut chunk) else { break };
            seen.extend_from_slice(&chunk[..length]);
        }
    }
}

/// Reads until a text has come. The text is not part of the answer.
pub fn read_until(console: &mut File, text: &str) -> String {
    let end = now() + SOON;
    let mut seen = Vec::new();
    loop {
        let mut octet = [0];
        match console.read(&mut octet) {
            Ok(1) => seen.push(octet[0]),
            Ok(_) | Err(_) => {
                let shown = String::from_utf8_lossy(&seen);
                assert!(now() < end, "{text:?} does not come, but {shown:?}");
                wait_readable(console, 100);
            }
        }
        if seen.ends_with(text.as_bytes()) {
            seen.truncate(seen.len() - text.len());
            return String::from_utf8_lossy(&seen).into_owned();
        }
    }
}

/// Reads until nothing has come for a moment.
pub fn drain(console: &mut File) {
    let mut chunk = [0; 4096];
    while wait_readable(console, 150) && console.read(&mut chunk).is_ok_and(|length| length > 0) {}
}

fn wait_readable(console: &File, milliseconds: u16) -> bool {
    let mut fds = [PollFd::new(console.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(milliseconds)).is_ok_and(|ready| ready > 0)
}

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "other processes give no event to wait for")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// One node, two networks, three servers in one host, a VIP of each family on either side.
pub const CLUSTER: &str = include_str!("cluster.toml");
