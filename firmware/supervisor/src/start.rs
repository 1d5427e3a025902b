//! From the documents to running threads.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::time::Duration;

use base::Mac;
use base::rng::Rng;
use dataplane::Forwarder;
use hoststack::HostStack;
use model::config::{Config, Users};
use model::limits;
use model::status::Version;
use node::revisions::{Apply, Engine};
use node::{Attached, Control, Plan};
use tokio::sync::mpsc;

use crate::auth::Auth;
use crate::boot::{self, Machine};
use crate::clock;
use crate::control::documents::Waiting;
use crate::control::{ControlThread, Ending, desk};
use crate::faces::{Errands, Faces, Kept, Line, LineSession, News, Order, Post, Rules};
use crate::forward::{Worker, empty_measurements};
use crate::gates::Gates;
use crate::joining::{Ties, join};
use crate::journal::Journal;
use crate::others::{Others, attachments};
use crate::ports::Doors;
use crate::probes::Probes;
use crate::pty::Pty;
use crate::settings::{self, Settings};
use crate::size::{Size, size};
use crate::stream::Network;
use crate::threads::{Manner, Threads};
use crate::watch::{End, Pulse, watch};
use crate::wiring::{StackEnds, Wiring, WorkerEnds, wire};

/// Where the supervisor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As PID 1 of a box that is all its own.
    Box,
    /// As a process among others.
    Lab,
}

/// Control's real-time priority.
const CONTROL_PRIORITY: u8 = 20;
/// How long a worker that is pinned to a core looks for frames before it sleeps.
const SPIN: Duration = Duration::from_micros(50);
/// Operators' questions that may wait.
const QUESTIONS: usize = 64;
/// A network interface that the machine has not shown yet.
const ABSENT: Attached = Attached { mac: Mac::ZERO, mtu: 1_500, up: false };

/// Starts everything and watches until the end.
pub fn run(place: Place, folder: &Path, machine: Machine, journal: &Journal) -> (End, Machine) {
    let seed = boot::common(journal);
    let settings = settings::load(folder, journal);
    if let Ok(settings) = &settings
        && place == Place::Box
        && let Err(error) = init::kernel::set_hostname(&settings.name)
    {
        journal.boot("hostname", format!("not set: {error}"));
    }
    let line = line(place, folder, journal);
    let mut threads = Threads::default();
    let ending = Arc::new(Ending::default());
    let started = start((place, folder), settings, line, seed, &threads, &ending, journal);
    match started {
        Ok(pulses) => watch(machine, &pulses, &mut threads, &ending, journal),
        Err(error) => {
            journal.boot("threads", format!("cannot start: {error}"));
            (End::Died, machine)
        }
    }
}

fn start(
    (place, folder): (Place, &Path),
    settings: Result<Settings, Users>,
    line: Option<Box<dyn Line>>,
    seed: u64,
    threads: &Threads,
    ending: &Arc<Ending>,
    journal: &Journal,
) -> std::io::Result<Vec<Pulse>> {
    let mut rng = Rng::new(seed);
    let known = settings.as_ref().map_or((None, None), Settings::introduction);
    let (mut plan, text) = plan(settings, rng.next());
    let ports = plan.node().ports.len();
    let (crew, size) = crew(place, ports, journal);
    let Wiring { workers, control: control_ends, control_wake, probes, faces } =
        wire(crew.workers)?;
    // The boot list so far stands on the line already; what follows is the faces' to write.
    (place == Place::Box && line.is_some()).then(|| journal.move_to_console(faces.wake.clone()));
    let ties = Ties::new(&control_ends, control_wake.clone(), rng.next());
    let mut pulses = crew.set_to_work(workers, &size, &ties.gates, &mut rng, threads, journal);
    let progress = ties.progress.clone();
    pulses.push(Pulse::of("control", progress.clone()));
    let joined = join((&mut plan, &text), known, (place, folder), ties, (threads, journal))?;
    let (member, pulse) = joined.unzip();
    pulses.extend(pulse);
    let ((verdict_sender, verdicts), (renewer, renewals)) = (channel(), channel());
    let probes_wake = probes.wake.clone();
    let of_control = (verdict_sender, control_wake.clone(), renewals);
    let mut prober = Probes::new(attachments(&plan), probes, of_control, rng.next());
    let (asker, questions) = sync_channel(QUESTIONS);
    let now = clock::now();
    let version = version(place, &plan);
    let news = News { auth: Auth::start(threads, journal), places: Arc::default() };
    news.tell(plan.config(), attachments(&plan));
    let (parting, ended) = channel();
    let post = Post::new(asker, parting, control_wake.clone(), faces.wake.clone());
    let greeting = (version.node.clone(), banner(&version, &plan));
    let (orders, ordered) = mpsc::channel(limits::ERRANDS);
    let mut face = face(line, greeting, (post, ordered), &news, faces, journal, rng.next());
    #[expect(clippy::cast_possible_truncation, reason = "at most limits::WORKERS")]
    let doors = Doors::new(&plan, crew.workers as u16, size.memory);
    let engine = engine(text, &plan, member.is_some());
    let (desk, clerk) = desk(engine, control_wake.clone());
    threads.critical("documents", Manner::default(), journal, move || clerk.run());
    let control = ControlThread {
        control: Control::new(now, plan, vec![ABSENT; ports], rng.next()),
        doors,
        workers: control_ends,
        wake: control_wake,
        verdicts,
        questions,
        orders,
        running: None,
        ended,
        desk,
        others: Others { probes: renewer, probes_wake, faces: news },
        progress,
        member,
        waiting: Waiting::default(),
        journal: journal.clone(),
        version,
        ending: ending.clone(),
    };
    threads.critical("control", control_manner(place), journal, move || control.run());
    threads.restartable("probes", Manner::default(), journal, move || prober.run());
    threads.restartable("faces", Manner::default(), journal, move || face.run());
    Ok(pulses)
}

/// The configuration and its changes, which are `shared` with other boxes or this one's alone.
fn engine(text: String, plan: &Plan, shared: bool) -> Engine {
    let start = Apply { config: plan.config().clone(), node: plan.node().clone() };
    let mut engine = Engine::new(clock::now(), text, start);
    engine.share(shared);
    engine
}

/// Who forwards, and how much each of them can hold.
fn crew(place: Place, ports: usize, journal: &Journal) -> (Crew, Size) {
    let cores = init::thread::cores().unwrap_or_else(|_| vec![0]);
    let crew = Crew::of(place, &cores);
    let size = size(boot::available_memory(journal), crew.workers, ports);
    let (workers, flows) = (crew.workers, size.capacity.flows);
    journal.boot("forwarding", format!("{workers} workers, {flows} flows each"));
    (crew, size)
}

fn control_manner(place: Place) -> Manner {
    let real_time = (place == Place::Box).then_some(CONTROL_PRIORITY);
    Manner { core: None, real_time }
}

/// How many forward, and where.
struct Crew {
    workers: usize,
    cores: Vec<usize>,
    spin: Duration,
}

impl Crew {
    /// On a box the first core takes interrupts and everything else, the others one worker each;
    /// a single core takes all. In the lab the cores belong to clients and servers as well.
    fn of(place: Place, cores: &[usize]) -> Self {
        let spin = if cores.len() < 2 { Duration::ZERO } else { SPIN };
        if place == Place::Lab || cores.len() < 2 {
            return Self { workers: 1, cores: Vec::new(), spin };
        }
        let cores = cores[1..].to_vec();
        Self { workers: cores.len().min(limits::WORKERS), cores, spin }
    }

    /// Starts the workers.
    fn set_to_work(
        &self,
        workers: Vec<WorkerEnds>,
        size: &Size,
        gates: &Arc<Gates>,
        rng: &mut Rng,
        threads: &Threads,
        journal: &Journal,
    ) -> Vec<Pulse> {
        let mut pulses = Vec::new();
        for (number, ends) in workers.into_iter().enumerate() {
            let shared = ends.shared.clone();
            *shared.measured.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                Some(empty_measurements(size.capacity.services, size.capacity.servers));
            let progress = move || shared.progress.at();
            let name = format!("forward-{number}");
            pulses.push(Pulse { name: name.clone(), progress: Arc::new(progress) });
            let forwarder = forwarder(size, rng.next(), journal);
            let worker = Worker::new(ends, forwarder, gates.clone(), self.spin);
            let manner = Manner { core: self.core(number), real_time: None };
            threads.critical(&name, manner, journal, move || worker.run());
        }
        pulses
    }

    fn core(&self, worker: usize) -> Option<usize> {
        self.cores.get(worker).copied()
    }
}

/// A forwarder whose table of flows lies in huge pages where there are some.
fn forwarder(size: &Size, seed: u64, journal: &Journal) -> Forwarder {
    let mut forwarder = Forwarder::new(size.capacity, seed);
    let (records, index) = forwarder.flow_memory();
    let advised = init::memory::advise_huge_pages(records)
        .and_then(|()| init::memory::advise_huge_pages(index));
    if let Err(error) = advised {
        journal.boot("flows", format!("in pages of the usual size: {error}"));
    }
    forwarder
}

/// The plan; without settings that of a box that has nothing but a console.
fn plan(settings: Result<Settings, Users>, seed: u64) -> (Plan, String) {
    let node = |config: &Config, name: &str| config.node(name).cloned();
    let users = match settings {
        Ok(Settings { config, name, text, .. }) => {
            if let Some(node) = node(&config, &name) {
                return (Plan::of(config, node, seed), text);
            }
            config.users
        }
        Err(users) => users,
    };
    let (config, node) = settings::nothing(users);
    (Plan::of(config, node, seed), String::new())
}

/// The console and the page, which hear `news`.
fn face(
    line: Option<Box<dyn Line>>,
    (name, banner): (String, String),
    (post, orders): (Post, mpsc::Receiver<Order>),
    news: &News,
    ends: StackEnds,
    journal: &Journal,
    seed: u64,
) -> Faces {
    let (now, post) = (clock::now(), Arc::new(post));
    let line = LineSession {
        line,
        session: None,
        typed: now,
        auth: news.auth.clone(),
        users: Rules::new(&news.auth),
        name: name.clone(),
        banner,
        log: VecDeque::new(),
        post: post.clone(),
        journal: journal.clone(),
    };
    // The stack hears where it is like everybody else.
    let local_ports = limits::LOCAL_PORT_FIRST..=limits::LOCAL_PORT_LAST;
    let network = Network::new(HostStack::new(now, Vec::new(), local_ports, seed));
    Faces {
        line,
        errands: Errands { orders, network: network.clone(), kept: Kept::default() },
        network,
        places: news.places.subscribe(),
        ends,
        post,
        auth: news.auth.clone(),
        name,
        journal: journal.clone(),
    }
}

fn line(place: Place, folder: &Path, journal: &Journal) -> Option<Box<dyn Line>> {
    match place {
        Place::Box => {
            let console = boot::console(journal)?;
            Some(Box::new(console))
        }
        Place::Lab => match Pty::open(&folder.join("console")) {
            Ok(pty) => Some(Box::new(pty)),
            Err(error) => {
                journal.boot("console", format!("none: {error}"));
                None
            }
        },
    }
}

fn version(place: Place, plan: &Plan) -> Version {
    let board = std::fs::read_to_string("/etc/portico/board").unwrap_or_default();
    Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: init::kernel::release().unwrap_or_default(),
        board: if place == Place::Box { board.trim().to_owned() } else { String::new() },
        cluster: plan.config().cluster.name.clone(),
        node: plan.node().name.clone(),
        uptime: Duration::ZERO,
    }
}

fn banner(version: &Version, plan: &Plan) -> String {
    let ports = plan.node().ports.iter();
    let addresses = ports.flat_map(|port| port.addresses.iter()).map(ToString::to_string);
    let addresses: Vec<_> = addresses.collect();
    let Version { version, kernel, node, cluster, .. } = version;
    let addresses = addresses.join(", ");
    format!("Portico {version}, node {node} of {cluster}, Linux {kernel}\n{addresses}\n? for help")
}
