//! pulse: heartbeats and leases, in a thread that has nothing else to do.
//!
//! It sends only while every forwarder and control go on: what it shows the other boxes to be
//! alive is the whole path. Sockets are emptied before anybody is judged, and what the kernel
//! received while this thread waited for its turn counts from when it was received.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::{Instant, NetworkId, Offload, PortId};
use cluster::Orders;
use cluster::config::DocumentId;
use model::config::{Config, Node};
use model::limits::NETWORKS;
use netio::{Datagrams, Transmitter, Wake};
use node::Attached;
use node::membership::{Beat, News};
use rtrb::{Consumer, Producer};

use crate::clock;
use crate::gates::Gates;
use crate::wiring::WorkerShared;

/// Without deadlines the thread looks around this often.
const IDLE: Duration = Duration::from_millis(250);

/// Fewer datagrams than fit a socket.
const MANY: usize = 64;

/// Between two looks at how far the others have come.
const LOOK: Duration = Duration::from_millis(10);

/// What control tells the pulse thread.
pub enum Order {
    /// What the council decided.
    Orders(Orders),
    /// A port as the machine has it, with its sockets while it works.
    Port(PortId, Attached, Option<Box<Sockets>>),
    /// A gateway or server has answered on a network.
    Witness(NetworkId),
    /// Begin anew as somebody else.
    Anew(Box<Beat>),
    /// Another document is in force.
    Document(Box<(DocumentId, Config, Node)>),
}

/// The cluster's own way in and out of a port.
pub struct Sockets {
    /// In.
    pub receiver: Datagrams,
    /// Out.
    pub transmitter: Transmitter,
}

/// The pulse thread.
pub struct PulseThread {
    /// The machine.
    pub beat: Beat,
    /// From control.
    pub orders: Consumer<Order>,
    /// To control. Full: the newest wait here.
    pub news: Producer<News>,
    /// Wakes this thread.
    pub wake: Arc<Wake>,
    /// Wakes control.
    pub control: Arc<Wake>,
    /// For the forwarders.
    pub gates: Arc<Gates>,
    /// The forwarders.
    pub workers: Vec<Arc<WorkerShared>>,
    /// Grows while control makes progress.
    pub control_progress: Arc<AtomicU64>,
    /// Grows while this thread does.
    pub progress: Arc<AtomicU64>,
}

/// What the loop carries from round to round.
struct State {
    sockets: BTreeMap<PortId, (Attached, Option<Box<Sockets>>)>,
    /// News that there was no room for.
    news: VecDeque<News>,
    /// When every socket was last empty, and how many datagrams were taken until it was.
    drained: Instant,
    taken: usize,
    /// When the others were last looked at.
    looked: Instant,
    /// How far each of forwarders and control had come when all of them had last gone on, and
    /// when that was.
    seen: (Instant, Vec<u64>),
}

impl PulseThread {
    /// Beats for ever.
    pub fn run(mut self) -> ! {
        let mut state = State {
            sockets: BTreeMap::new(),
            news: VecDeque::new(),
            drained: clock::now(),
            taken: 0,
            looked: clock::now(),
            seen: (clock::now(), self.counts()),
        };
        loop {
            self.progress.fetch_add(1, Ordering::Relaxed);
            self.obey(&mut state);
            self.empty(&mut state);
            let now = clock::now();
            self.look_at_progress(now, &mut state);
            self.beat.handle_timeout(now);
            self.gates.set(self.beat.leases());
            self.send(&mut state);
            self.tell(&mut state);
            self.sleep(&state);
        }
    }

    fn obey(&mut self, state: &mut State) {
        let now = clock::now();
        while let Ok(order) = self.orders.pop() {
            match order {
                Order::Orders(orders) => self.beat.handle_orders(now, orders),
                Order::Witness(network) => self.beat.handle_witness(now, network),
                Order::Port(port, attached, sockets) => {
                    self.beat.handle_port(now, port, &attached);
                    state.sockets.insert(port, (attached, sockets));
                }
                Order::Document(document) => {
                    let (id, config, node) = *document;
                    self.beat.handle_document(now, id, &config, &node);
                }
                Order::Anew(beat) => {
                    self.gates.set([Instant::ZERO; NETWORKS]);
                    self.beat = *beat;
                    for (port, (attached, _)) in &state.sockets {
                        self.beat.handle_port(now, *port, attached);
                    }
                }
            }
        }
    }

    /// Hands in everything that has come, until nothing is left.
    fn empty(&mut self, state: &mut State) {
        state.taken = 0;
        for (port, (_, sockets)) in &mut state.sockets {
            let Some(sockets) = sockets else { continue };
            let mut taken = 0;
            while let Some(arrival) = sockets.receiver.receive() {
                let now = clock::now();
                // The clock of the day may have jumped since the stamp: nothing has waited longer
                // than since all was empty, and nothing comes from the future.
                let longest = now.since(state.drained);
                let waited = arrival.stamp.map(|stamp| clock::day().saturating_sub(stamp));
                let received_at = now - waited.unwrap_or(longest).min(longest);
                self.beat.handle_frame(received_at, now, *port, arrival.frame);
                taken += 1;
            }
            state.taken += taken;
            // A socket that has lost some was full.
            if taken > MANY && sockets.receiver.take_lost() > 0 {
                self.beat.handle_loss(clock::now());
            }
        }
        // Before the next look, so that what comes in between counts as fresh.
        state.drained = clock::now();
        self.beat.handle_drained(state.drained);
    }

    /// Forwarders and control have made progress if every one of them has since the last look.
    fn look_at_progress(&mut self, now: Instant, state: &mut State) {
        if now.since(state.looked) < LOOK {
            return;
        }
        state.looked = now;
        let counts = self.counts();
        let (at, before) = &state.seen;
        if counts.iter().zip(before).all(|(now, before)| now != before) {
            // After that look, and nobody knows how long after.
            self.beat.handle_progress(*at);
            state.seen = (now, counts);
        }
        // Whoever sleeps shows by waking up that it could.
        for worker in &self.workers {
            worker.wake.wake();
        }
        self.control.wake();
    }

    fn counts(&self) -> Vec<u64> {
        let workers = self.workers.iter().map(|worker| worker.progress.load(Ordering::Relaxed));
        workers.chain([self.control_progress.load(Ordering::Relaxed)]).collect()
    }

    /// Sends what there is to send, in one call for each port: many boxes are told at once.
    fn send(&mut self, state: &mut State) {
        let frames: Vec<_> = std::iter::from_fn(|| self.beat.poll_frame()).collect();
        if frames.is_empty() {
            return;
        }
        for (port, (_, sockets)) in &mut state.sockets {
            let Some(sockets) = sockets else { continue };
            let of_port = frames.iter().filter(|(of, _)| of == port);
            let burst: Vec<_> =
                of_port.map(|(_, frame)| (frame.as_slice(), Offload::NONE)).collect();
            if !burst.is_empty() {
                // What cannot be sent is sent again in an interval, as everything here.
                let _ = sockets.transmitter.send(&burst);
            }
        }
    }

    fn tell(&mut self, state: &mut State) {
        while let Some(news) = self.beat.poll_news() {
            // Newer reports and counts replace older ones that nobody took.
            if matches!(news, News::Report(_)) {
                state.news.retain(|old| !matches!(old, News::Report(_)));
            }
            if matches!(news, News::Refused(_)) {
                state.news.retain(|old| !matches!(old, News::Refused(_)));
            }
            state.news.push_back(news);
        }
        let mut told = false;
        while let Some(news) = state.news.pop_front() {
            match self.news.push(news) {
                Ok(()) => told = true,
                Err(rtrb::PushError::Full(news)) => {
                    state.news.push_front(news);
                    break;
                }
            }
        }
        if told {
            self.control.wake();
        }
    }

    fn sleep(&self, state: &State) {
        let now = clock::now();
        let next = self.beat.next_deadline().map_or(IDLE, |at| at.since(now));
        // Many boxes speak all the time. While all is well their datagrams wait for each other:
        // they count from when the kernel received them.
        if state.taken > 1
            && let Some(calm) = self.beat.calm()
        {
            netio::wait(&[self.wake.fd()], Some(next.min(calm)));
            self.wake.drain();
            return;
        }
        let sockets = state.sockets.values().filter_map(|(_, sockets)| sockets.as_ref());
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.wake.fd()];
        fds.extend(sockets.map(|sockets| sockets.receiver.fd()));
        netio::wait(&fds, Some(next.min(IDLE)));
        self.wake.drain();
    }
}
