//! Two hosts on a switch, and datagrams between them.

use lab::lifecycle::{self, Plan};
use lab::network::Wiring;
use lab::topology::Counts;
use lab::{Lock, Place, clock, command, faults, switches};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::BTreeSet;
use std::fs::File;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Datagrams of one measurement.
pub const COUNT: usize = 1000;
/// Octets of one, which tell it from other traffic in a capture.
const LENGTH: usize = 333;
/// So many are sent at a time, with a pause behind them: no queue may overflow.
const BURST: usize = 25;
const PAUSE: Duration = Duration::from_millis(2);
/// How long the last datagram is waited for.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long it is waited once all have come, for those that come twice.
const GLANCE: Duration = Duration::from_millis(60);
/// How long captures go on: longer than a measurement takes.
const CAPTURED: Duration = Duration::from_secs(3);

const ADDRESSES: [&str; 2] = ["10.0.0.11", "10.0.0.12"];

/// One lab at a time: measurements would disturb each other.
static TURN: Mutex<()> = Mutex::new(());

/// The lab of one test; taken down when dropped.
pub struct Bench {
    place: Place,
    /// Nothing once the test has crashed.
    lock: Option<Lock>,
    _turn: std::sync::MutexGuard<'static, ()>,
}

/// What came of one measurement, in the order it came: its number, and how long it took.
pub struct Heard(Vec<(u32, Duration)>);

impl Heard {
    pub fn numbers(&self) -> Vec<u32> {
        self.0.iter().map(|(number, _)| *number).collect()
    }

    pub fn distinct(&self) -> usize {
        self.numbers().into_iter().collect::<BTreeSet<_>>().len()
    }

    pub fn fastest(&self) -> Duration {
        self.0.iter().map(|(_, took)| *took).min().expect("something came")
    }
}

impl Bench {
    /// Builds the lab; nothing where we may not, which is said.
    pub fn new(name: &str) -> Option<Bench> {
        if !nix::unistd::Uid::effective().is_root() {
            println!("skipped: the lab makes network namespaces and needs root for that");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let program = PathBuf::from(env!("CARGO_BIN_EXE_xtask"));
        let target = std::env::temp_dir().join("portico-fault-tests");
        let place = Place::named(&target, &format!("fault-{name}")).with_program(&program);
        let counts = Counts { servers: Some(2), ..Counts::default() };
        let mut design = Plan { counts, ..Plan::default() }.design().expect("the default is legal");
        design.wiring = Wiring::Switch { seed: 1, guests: false };
        let lock = lifecycle::prepare(&place, &design).expect("the lab is built");
        let bench = Bench { place, lock: Some(lock), _turn: turn };
        bench.make_acquainted();
        Some(bench)
    }

    /// Tells the two hosts each other's MAC for good, so that no fault is one of finding it.
    fn make_acquainted(&self) {
        let hosts = [0, 1].map(|index| self.namespace(index));
        let macs = hosts.clone().map(|host| {
            let file = "/sys/class/net/eth0/address";
            command::run_in(&host, "cat", &[file]).expect("it has a MAC").trim().to_owned()
        });
        for (host, other) in [(0, 1), (1, 0)] {
            let line = ["neighbour", "replace", ADDRESSES[other], "lladdr", &macs[other]];
            let line = [&line[..], &["dev", "eth0", "nud", "permanent"]].concat();
            command::run_in(&hosts[host], "ip", &line).expect("it learns");
        }
    }

    fn namespace(&self, index: usize) -> String {
        self.place.host(&format!("server{}", index + 1))
    }

    /// Does what is typed behind `lab fault` and gives what it shows.
    pub fn fault(&self, line: &str) -> String {
        let fault = faults::parse(line).expect("it is one");
        faults::apply(&self.place, &fault).expect("it can be had")
    }

    /// Datagrams from server1 to server2.
    pub fn forth(&self) -> Heard {
        self.measure(0, 1)
    }

    /// Datagrams from server2 to server1.
    pub fn back(&self) -> Heard {
        self.measure(1, 0)
    }

    fn measure(&self, from: usize, to: usize) -> Heard {
        let receiver = socket(&self.namespace(to), ADDRESSES[to]);
        setsockopt(&receiver, sockopt::RcvBufForce, &(16 << 20)).expect("room for all of them");
        receiver.set_read_timeout(Some(GLANCE)).expect("a limit");
        let sender = socket(&self.namespace(from), ADDRESSES[from]);
        sender.connect(receiver.local_addr().expect("it is bound")).expect("a route");
        let start = clock::now();
        let sending = AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..COUNT {
                    let mut datagram = [0; LENGTH];
                    let sent = nanoseconds(start);
                    datagram[..4].copy_from_slice(&(number as u32).to_be_bytes());
                    datagram[4..12].copy_from_slice(&sent.to_be_bytes());
                    sender.send(&datagram).expect("it goes out");
                    if number % BURST == BURST - 1 {
                        clock::pause(PAUSE);
                    }
                }
                sending.store(false, Ordering::SeqCst);
            });
            let (mut heard, mut buffer) = (Heard(Vec::new()), [0; LENGTH]);
            let mut last = clock::now();
            loop {
                let was_sending = sending.load(Ordering::SeqCst);
                match receiver.recv(&mut buffer) {
                    Ok(length) => {
                        assert_eq!(length, LENGTH);
                        let number = u32::from_be_bytes(*buffer.first_chunk().expect("four"));
                        let sent = u64::from_be_bytes(*buffer[4..].first_chunk().expect("eight"));
                        let took = Duration::from_nanos(nanoseconds(start) - sent);
                        heard.0.push((number, took));
                        last = clock::now();
                    }
                    Err(_) if was_sending => last = clock::now(),
                    Err(_) if heard.distinct() == COUNT || last + PATIENCE < clock::now() => {
                        return heard;
                    }
                    Err(_) => {}
                }
            }
        })
    }

    /// How long the echo of server1 was silent at most while something was done, seen from server2,
    /// which asks all the time.
    pub fn longest_silence_of_server1(&self, what: impl FnOnce()) -> Duration {
        let socket = self.asker(Duration::from_millis(20));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                let (mut last, mut longest, mut buffer) = (None, Duration::ZERO, [0; 64]);
                // Once more behind the end, so that the silence has one.
                let mut ended = false;
                while !ended {
                    ended = done.load(Ordering::SeqCst) && last.is_some();
                    socket.send(b"there?").expect("it goes out");
                    while socket.recv(&mut buffer).is_err() {
                        socket.send(b"there?").expect("it goes out");
                    }
                    let now = clock::now();
                    longest = longest.max(last.map_or(Duration::ZERO, |last| now - last));
                    last = Some(now);
                }
                longest
            });
            clock::pause(Duration::from_millis(100));
            what();
            done.store(true, Ordering::SeqCst);
            watch.join().expect("it does not panic")
        })
    }

    /// Whether the echo of server1 answers.
    pub fn server1_answers(&self) -> bool {
        let socket = self.asker(Duration::from_millis(100));
        (0..20).any(|_| {
            // A refusal of an earlier one may be told here.
            let _ = socket.send(b"there?");
            let answered = socket.recv(&mut [0; 64]).is_ok();
            if !answered {
                clock::pause(Duration::from_millis(50));
            }
            answered
        })
    }

    fn asker(&self, patience: Duration) -> UdpSocket {
        let socket = socket(&self.namespace(1), ADDRESSES[1]);
        socket.set_read_timeout(Some(patience)).expect("a limit");
        socket.connect((ADDRESSES[0], 7)).expect("a route");
        socket
    }

    /// Captures a measurement, on the segment and at server2: how many datagrams are in each, and
    /// how many server2 heard.
    pub fn captured(&self) -> (usize, usize, usize) {
        let file = |name: &str| self.place.folder.join(name);
        let (segment, host) = (file("segment.pcap"), file("host.pcap"));
        let capture = |file: &Path, at: Option<String>| {
            switches::capture(&self.place, "inside", file, CAPTURED, at).expect("it is written");
        };
        let heard = std::thread::scope(|scope| {
            scope.spawn(|| capture(&segment, None));
            scope.spawn(|| capture(&host, Some("server2".into())));
            clock::pause(Duration::from_millis(500));
            self.forth().distinct()
        });
        (datagrams(&segment), datagrams(&host), heard)
    }

    /// Ends the test as a crash would: nothing is taken down.
    pub fn crash(mut self) -> Place {
        self.lock = None;
        self.place.clone()
    }
}

/// How many datagrams of a measurement are in a capture.
fn datagrams(file: &Path) -> usize {
    let (file, length) = (file.to_string_lossy(), LENGTH.to_string());
    let arguments = ["-nn", "-r", &file, "udp", "and", "greater", &length];
    command::run("tcpdump", &arguments).expect("it can be read").lines().count()
}

/// A socket on a host.
fn socket(namespace: &str, address: &str) -> UdpSocket {
    let path = Path::new("/run/netns").join(namespace);
    let address = address.to_owned();
    let open = move || {
        let namespace = File::open(path).expect("the namespace is there");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter it");
        UdpSocket::bind((address.as_str(), 0)).expect("a port")
    };
    std::thread::spawn(open).join().expect("it does not panic")
}

fn nanoseconds(since: Instant) -> u64 {
    clock::now().duration_since(since).as_nanos() as u64
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.lock.take().is_some() {
            // A test that fails has said why already; the next one of its name removes the rest.
            let _ = lifecycle::down(&self.place);
            let _ = std::fs::remove_dir_all(&self.place.folder);
        }
    }
}
