//! Network namespaces for tests: anonymous, so that they cannot collide, and gone with the last
//! descriptor, so that nothing is left behind however a test ends.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use base::{Mac, Offload};
use netio::{PortOptions, Receiver, Transmitter};
use nix::sched::{CloneFlags, setns, unshare};

/// Whether this process may make namespaces; says so where it may not.
pub fn is_root(test: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("{test}: skipped, because it makes network namespaces and needs root for that");
    }
    root
}

/// A network namespace of its own.
pub struct Namespace(File);

impl Namespace {
    /// An empty one, with its loopback interface down.
    pub fn new() -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make a namespace");
            File::open("/proc/thread-self/ns/net").expect("a thread's own namespace is there")
        };
        Self(thread::spawn(make).join().expect("making a namespace does not panic"))
    }

    /// Runs something with this namespace as its world.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let within = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).expect("the namespace exists");
            work()
        };
        thread::scope(|scope| match scope.spawn(within).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Runs `ip` with the words of a line.
    pub fn ip(&self, line: &str) {
        assert!(self.try_ip(line), "ip {line}");
    }

    /// Runs `ip` and says whether it was content.
    pub fn try_ip(&self, line: &str) -> bool {
        let mut command = Command::new("ip");
        command.args(line.split_whitespace());
        self.run(|| command.status().expect("iproute2 is installed").success())
    }

    /// What a command prints.
    pub fn output(&self, program: &str, line: &str) -> String {
        let mut command = Command::new(program);
        command.args(line.split_whitespace());
        let output = self.run(|| command.output().expect("the program is installed"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A path by which other processes find this namespace.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// A cable between two namespaces: a veth pair, both ends up.
pub fn cable(one: (&Namespace, &str), other: (&Namespace, &str)) {
    let (name, peer, path) = (one.1, other.1, other.0.path());
    one.0.ip(&format!("link add {name} type veth peer name {peer} netns {path}"));
    one.0.ip(&format!("link set {name} up"));
    other.0.ip(&format!("link set {peer} up"));
}

/// Two namespaces with a cable between the interfaces `near` and `far`.
pub fn pair() -> (Namespace, Namespace) {
    let (near, far) = (Namespace::new(), Namespace::new());
    cable((&near, "near"), (&far, "far"));
    (near, far)
}

/// A port for one worker.
pub fn open(namespace: &Namespace, options: PortOptions<'_>) -> (Receiver, Transmitter) {
    namespace.run(|| netio::open(&options).unwrap().pop().unwrap())
}

/// A port for one worker and untagged frames.
pub fn plain(namespace: &Namespace, interface: &str) -> (Receiver, Transmitter) {
    open(namespace, PortOptions::new(interface))
}

/// Asks again until the answer is yes, for some seconds; a busy machine may take its time.
pub fn eventually(mut question: impl FnMut() -> bool) -> bool {
    (0..500).any(|_| {
        question() || {
            netio::wait(&[], Some(Duration::from_millis(20)));
            false
        }
    })
}

/// Octets and offload header of received frames, until `enough` says so or some seconds are over.
/// Only frames with [`TEST_TYPE`] or what `wanted` picks are kept.
pub fn collect(
    receiver: &mut Receiver,
    wanted: impl Fn(&[u8]) -> bool,
    enough: usize,
) -> Vec<(Vec<u8>, Offload)> {
    let mut seen = Vec::new();
    for _ in 0..200 {
        netio::wait(&[receiver.fd()], Some(Duration::from_millis(50)));
        for frame in receiver.batch(64).frames() {
            if wanted(frame.bytes) {
                seen.push((frame.bytes.to_vec(), frame.offload));
            }
        }
        if seen.len() >= enough {
            break;
        }
    }
    seen
}

/// Frames that wait after nothing has come for a while: for "and nothing else".
pub fn drain(receiver: &mut Receiver, wanted: impl Fn(&[u8]) -> bool) -> usize {
    let mut count = 0;
    while netio::wait(&[receiver.fd()], Some(Duration::from_millis(200))).readable != 0 {
        count += receiver.batch(64).frames().iter().filter(|frame| wanted(frame.bytes)).count();
    }
    count
}

/// An Ethernet type for local experiments (IEEE 802): nobody else sends it.
pub const TEST_TYPE: u16 = 0x88b5;

/// A frame of [`TEST_TYPE`] with a number in it, of a length.
pub fn test_frame(number: u32, length: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(length);
    frame.extend(Mac::BROADCAST.0);
    frame.extend([0x02, 0, 0, 0, 0, 0x77]);
    frame.extend(TEST_TYPE.to_be_bytes());
    frame.extend(number.to_be_bytes());
    frame.resize(length.max(18), (number % 251) as u8);
    frame
}

/// The number in a frame of [`TEST_TYPE`].
pub fn number_of(frame: &[u8]) -> Option<u32> {
    is_test(frame).then(|| u32::from_be_bytes([frame[14], frame[15], frame[16], frame[17]]))
}

/// Whether a frame is one of ours.
pub fn is_test(frame: &[u8]) -> bool {
    frame.len() >= 18 && frame[12..14] == TEST_TYPE.to_be_bytes()
}

/// Sends one finished frame.
pub fn send(transmitter: &mut Transmitter, frame: &[u8]) -> netio::Sent {
    transmitter.send(&[(frame, Offload::NONE)])
}
