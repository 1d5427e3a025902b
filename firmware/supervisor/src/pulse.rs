//! pulse: heartbeats and leases, in a thread that has nothing else to do.
//!
//! It sends only while every forwarder and control go on: what it shows the other boxes to be
//! alive is the whole path. Sockets are emptied before anybody is judged, and what the kernel
//! received while this thread waited for its turn counts from when it was received.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
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
use crate::wiring::{Progress, WorkerShared};

/// Without deadlines the thread looks around this often.
const IDLE: Duration = Duration::from_millis(250);

/// Fewer datagrams than fit a socket.
const MANY: usize = 64;

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
    /// How far control has come.
    pub control_progress: Arc<Progress>,
    /// How far this thread has.
    pub progress: Arc<Progress>,
}

/// What the loop carries from round to round.
struct State {
    sockets: BTreeMap<PortId, (Attached, Option<Box<Sockets>>)>,
    /// News that there was no room for.
    news: VecDeque<News>,
    /// When every socket was last empty, and how many datagrams were taken until it was.
    drained: Instant,
    taken: usize,
}

impl PulseThread {
    /// Beats for ever.
    pub fn run(mut self) -> ! {
        let mut state = State {
            sockets: BTreeMap::new(),
            news: VecDeque::new(),
            drained: clock::now(),
            taken: 0,
        };
        loop {
            self.progress.made(clock::now());
            self.obey(&mut state);
            self.empty(&mut state);
            let now = clock::now();
            self.beat.handle_progress(self.slowest());
            self.beat.handle_timeout(now);
            self.gates.set(self.beat.leases());
            self.send(&mut state);
            let told = self.tell(&mut state);
            self.rouse(now, told);
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

    /// When forwarders and control had all made progress.
    fn slowest(&self) -> Instant {
        let workers = self.workers.iter().map(|worker| worker.progress.at());
        workers.fold(self.control_progress.at(), Instant::min)
    }

    /// Whoever sleeps shows by waking up that it could: once for each heartbeat, or little more.
    /// `told`: control is awake.
    fn rouse(&self, now: Instant, told: bool) {
        let doze = self.beat.interval() * 3 / 4;
        for worker in &self.workers {
            if now.since(worker.progress.at()) >= doze {
                worker.wake.wake();
            }
        }
        if !told && now.since(self.control_progress.at()) >= doze {
            self.control.wake();
        }
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

    /// Whether control was told anything.
    fn tell(&mut self, state: &mut State) -> bool {
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
        told
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
