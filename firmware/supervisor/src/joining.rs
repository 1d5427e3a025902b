//! How a box becomes a member of a cluster of several: its place in the agreement, the pulse
//! thread, and the gates that it keeps.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::Instant;
use cluster::Incarnation;
use cluster::config::{About, Record};
use cluster::introduction::TooLong;
use cluster::seal::{Secret, Secrets};
use model::config::Newcomer;
use model::limits::NETWORKS;
use netio::Wake;
use node::Plan;
use node::membership::{Beat, Council};
use rtrb::RingBuffer;

use crate::clock;
use crate::control::membership::{Membership, card};
use crate::gates::Gates;
use crate::journal::Journal;
use crate::pulse::PulseThread;
use crate::settings::Coming;
use crate::start::Place;
use crate::threads::{Manner, Threads};
use crate::watch::Pulse;
use crate::wiring::{ControlEnds, Progress, WorkerShared};

/// The pulse thread's real-time priority, above control's.
const PRIORITY: u8 = 30;
/// Orders to the pulse thread, and news from it, that may wait. Full: the newest wait where they
/// come from.
const DEPTH: usize = 256;
/// Where starts are counted, where something can be stored.
const COUNT: &str = "incarnation";

/// What the other threads have to do with it.
pub struct Ties {
    /// Every forwarder.
    pub workers: Vec<Arc<WorkerShared>>,
    /// Wakes control.
    pub control: Arc<Wake>,
    /// How far control has come.
    pub progress: Arc<Progress>,
    /// What every forwarder looks at.
    pub gates: Arc<Gates>,
    /// For everything that is drawn.
    pub seed: u64,
}

impl Ties {
    /// What forwarders and control have to do with it: gates that are open until somebody joins.
    pub fn new(workers: &[ControlEnds], control: Arc<Wake>, seed: u64) -> Self {
        Self {
            workers: workers.iter().map(|ends| ends.shared.clone()).collect(),
            control,
            progress: Arc::default(),
            gates: Arc::new(Gates::new(Instant::FAR)),
            seed,
        }
    }
}

/// Makes the box a member if others are configured, or may be one day: if it has a secret. Nothing
/// is served then that was not agreed on; without a secret and beside others nothing at all.
///
/// # Errors
/// The kernel gives no event descriptor or no random octets.
pub fn join(
    (plan, text): (&mut Plan, &str),
    (secret, newcomer): (Option<model::config::Secret>, Option<Coming>),
    (place, folder): (Place, &Path),
    ties: Ties,
    (threads, journal): (&Threads, &Journal),
) -> std::io::Result<Option<(Membership, Pulse)>> {
    if plan.config().nodes.len() < 2 && secret.is_none() {
        return Ok(None);
    }
    plan.share();
    ties.gates.set([Instant::ZERO; NETWORKS]);
    let Some(secret) = secret else {
        let others = plan.config().nodes.len() - 1;
        let detail = format!(
            "{others} other nodes are configured and node.toml has no secret, expected \
             secret = \"...\", the same on all of them; no virtual address is served"
        );
        journal.boot("cluster", detail);
        return Ok(None);
    };
    let (send, also) = (Secret::new(&secret.send), secret.other.as_deref().map(Secret::new));
    if also.is_some() {
        journal.boot("cluster", "other-secret is accepted beside the secret");
    }
    let secrets = Secrets { send, also };
    // The box's own folder is in memory, and forgotten; the other boxes remember.
    let count: Option<PathBuf> = (place == Place::Lab).then(|| folder.join(COUNT));
    let record = Record::first(text.to_owned(), About::default());
    let card = card(Incarnation(1), secrets.clone(), count.as_deref(), record.id())?;
    let (now, wake) = (clock::now(), Arc::new(Wake::new()?));
    let beat = Beat::new(now, plan.config(), plan.node(), &card, ties.seed);
    let forwarders = ties.workers.len();
    let seed = (ties.seed, forwarders);
    let mut council = Council::new(now, plan.config(), plan.node(), &card, seed);
    council.handle_record(&record);
    if let Some((brings, peers)) = &newcomer {
        come((&mut council, now), plan, (brings, peers), journal);
    }
    let (order, orders) = RingBuffer::new(DEPTH);
    let (news, heard) = RingBuffer::new(DEPTH);
    let progress = Arc::new(Progress::default());
    let gates = ties.gates.clone();
    let thread = PulseThread {
        beat,
        orders,
        news,
        wake: wake.clone(),
        control: ties.control,
        gates: ties.gates,
        workers: ties.workers,
        control_progress: ties.progress,
        progress: progress.clone(),
    };
    let manner = Manner { core: None, real_time: Some(PRIORITY) };
    threads.critical("pulse", manner, journal, move || thread.run());
    let (nodes, start) = (plan.config().nodes.len(), card.incarnation.0);
    if newcomer.is_none() {
        journal.boot("cluster", format!("{nodes} nodes configured, start {start} of this one"));
    }
    let member =
        Membership::new((council, forwarders), (order, heard), wake, gates, (secrets, count));
    Ok(Some((member, Pulse::of("pulse", progress))))
}

/// Asks boxes of a running cluster to let this one in.
fn come(
    (council, now): (&mut Council, Instant),
    plan: &Plan,
    (brings, peers): (&Newcomer, &[IpAddr]),
    journal: &Journal,
) {
    let listed: Vec<_> = peers.iter().map(ToString::to_string).collect();
    let listed = listed.join(", ");
    let detail = match council.come(now, plan.node(), brings, peers) {
        Ok(()) => format!("asks {listed} to be let in"),
        Err(TooLong) => format!(
            "the ports in node.toml are more than one question to {listed} holds: leave all but \
             one out, and add the others to [node.{}] once it is a member",
            brings.name
        ),
    };
    journal.boot("cluster", detail);
}
