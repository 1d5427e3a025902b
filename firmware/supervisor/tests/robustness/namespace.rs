//! Network namespaces for tests: anonymous, so that they cannot collide, and gone with the last
//! descriptor, so that nothing is left behind however a test ends.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace of its own.
pub struct Namespace(File);

impl Namespace {
    /// An empty one. Its IPv6 addresses survive a link that goes down, and are usable at once.
    pub fn new() -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make a namespace");
            File::open("/proc/thread-self/ns/net").expect("a thread's own namespace is there")
        };
        let namespace = Self(thread::spawn(make).join().expect("making one does not panic"));
        for (setting, value) in [("accept_dad", "0"), ("keep_addr_on_down", "1")] {
            for which in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv6/conf/{which}/{setting}");
                namespace.run(|| std::fs::write(&path, value).expect("the setting is there"));
            }
        }
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs something with this namespace as its world.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| match scope.spawn(|| self.enter(work)).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Starts a thread in this namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let inside = Self(self.0.try_clone().expect("a descriptor is left"));
        thread::spawn(move || inside.enter(work))
    }

    fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        setns(&self.0, CloneFlags::CLONE_NEWNET).expect("the namespace exists");
        work()
    }

    /// Runs `ip` with the words of a line.
    pub fn ip(&self, line: &str) {
        let mut command = Command::new("ip");
        command.args(line.split_whitespace());
        let output = self.run(|| command.output().expect("iproute2 is installed"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {line}: {said}");
    }

    /// What a command prints, however it ends.
    pub fn output(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words);
        let output = self.run(|| command.output().expect("the program is installed"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A path by which other processes find this namespace.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// A cable between two namespaces: a veth pair; the other's end is up.
pub fn cable(one: (&Namespace, &str), other: (&Namespace, &str)) {
    let (name, peer, path) = (one.1, other.1, other.0.path());
    one.0.ip(&format!("link add {name} type veth peer name {peer} netns {path}"));
    other.0.ip(&format!("link set {peer} up"));
}
