//! faces: the console, the web page, and the node's own endpoint on the network. May be slow or
//! start again without anyone noticing.
//!
//! One thread with one asynchronous runtime. Its tasks: the driver of the host stack
//! ([`network`]), the session at the line ([`line`]), the web page ([`web`]), and what operators
//! asked for that goes on for a while ([`errands`]). All of them are woken by one bell, which the
//! workers (packets), control (replies) and the journal (lines) ring.

mod capture;
mod describe;
mod errands;
mod line;
mod network;
mod ping;
mod web;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::web::Gone;
use base::NetworkId;
use hoststack::Attachment;
use model::config::Config;
use model::operator::{Origin, Reply, Request};
use netio::Wake;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};

use crate::auth::Auth;
use crate::control::{Asker, Question};
use crate::journal::Journal;
use crate::stream::Network;
use crate::wiring::StackEnds;

pub use capture::{Capture, Kept};
pub use errands::{Errand, Errands, Order, Work};
pub use line::{Line, LineSession, Rules};
pub use network::send_all;

/// Where the faces are, as the configuration says; it may change at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Where {
    /// The node's places on its networks.
    pub attachments: Vec<Attachment>,
    /// The networks on which the web page is served.
    pub management: Vec<NetworkId>,
}

/// How the faces hear of a configuration.
#[derive(Clone)]
pub struct News {
    /// Judges passwords.
    pub auth: Auth,
    /// Where the faces are.
    pub places: Arc<watch::Sender<Where>>,
}

impl News {
    /// Has the faces do as a configuration says, from now on.
    pub fn tell(&self, config: &Config, attachments: Vec<Attachment>) {
        let networks = config.networks.iter().enumerate();
        let managed = networks.filter(|(_, network)| network.management);
        let management = managed.map(|(id, _)| NetworkId::from(id)).collect();
        self.auth.set_users(&config.users);
        self.places.send_replace(Where { attachments, management });
    }
}

/// What the faces thread works with.
pub struct Faces {
    /// The session at the line.
    pub line: LineSession,
    /// Where the node's own TCP and UDP are.
    pub places: watch::Receiver<Where>,
    /// The node's own TCP and UDP.
    pub network: Network,
    /// To and from the workers.
    pub ends: StackEnds,
    /// To control and back.
    pub post: Arc<Post>,
    /// What goes on for a while.
    pub errands: Errands,
    /// Judges passwords.
    pub auth: Auth,
    /// This node's name.
    pub name: String,
    /// Where events go.
    pub journal: Journal,
}

impl Faces {
    /// Serves for ever.
    pub fn run(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                self.journal.boot("faces", format!("no runtime: {error}"));
                return;
            }
        };
        let site = web::Page {
            network: self.network.clone(),
            captured: self.errands.kept.subscribe(),
            places: self.places.clone(),
            post: self.post.clone(),
            auth: self.auth.clone(),
            name: self.name.clone(),
            journal: self.journal.clone(),
        };
        let bell = &network::Rung::default();
        let (line, post, errands) = (&mut self.line, &self.post, &mut self.errands);
        let driver = network::drive(&self.network, &mut self.ends, &mut self.places, post, bell);
        runtime.block_on(async {
            tokio::join!(driver, line.run(bell), site.run(), errands.run());
        });
    }
}

/// A reply on its way from control, and to whom.
type Awaited = (Receiver<Reply>, oneshot::Sender<Reply>);

/// Carries requests to control, and replies back.
pub struct Post {
    asker: Asker,
    /// Tells control of sessions that nobody is in any more.
    parting: Sender<(u64, Gone)>,
    /// Wakes control.
    control: Arc<Wake>,
    /// Wakes this thread.
    wake: Arc<Wake>,
    /// Replies on their way.
    pending: Mutex<Vec<Awaited>>,
}

impl Post {
    /// Between control and the thread that `wake` wakes.
    pub fn new(
        asker: Asker,
        parting: Sender<(u64, Gone)>,
        control: Arc<Wake>,
        wake: Arc<Wake>,
    ) -> Self {
        Self { asker, parting, control, wake, pending: Mutex::default() }
    }

    /// Asks control; whoever is at `answer` gets the reply, and this thread is woken. Whether
    /// there is room for the question.
    pub fn ask(&self, origin: Origin, request: Request, answer: Sender<Reply>) -> bool {
        let question = Question { origin, request, answer, wake: self.wake.clone() };
        let asked = self.asker.try_send(question).is_ok();
        if asked {
            self.control.wake();
        }
        asked
    }

    /// A session is over: it holds nothing any more, and what it committed and did not confirm
    /// returns. Or nobody is in it for now: it keeps nobody else from the candidate.
    pub fn part(&self, session: u64, gone: Gone) {
        // Control lives as long as the program.
        let _ = self.parting.send((session, gone));
        self.control.wake();
    }

    /// The same for a task that waits for its reply alone. Who asks bounds how many wait.
    fn carry(&self, origin: Origin, request: Request, answer: oneshot::Sender<Reply>) {
        let (sender, reply) = channel();
        if self.ask(origin, request, sender) {
            self.pending().push((reply, answer));
        }
    }

    /// Hands out the replies that have come.
    fn deliver(&self) {
        let waiting = std::mem::take(&mut *self.pending());
        for (reply, answer) in waiting {
            match reply.try_recv() {
                // Who asked may have gone.
                Ok(reply) => drop(answer.send(reply)),
                Err(TryRecvError::Empty) if !answer.is_closed() => {
                    self.pending().push((reply, answer));
                }
                Err(_) => {}
            }
        }
    }

    fn pending(&self) -> MutexGuard<'_, Vec<Awaited>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A descriptor for the runtime to watch: a copy of its own of somebody's.
#[expect(deprecated, reason = "the descriptor is owned, which is what the successor asks for")]
fn watched(fd: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd.try_clone_to_owned()?, Interest::READABLE)
}

/// Until the descriptor says something new; without one, `otherwise`.
async fn called(fd: Option<&AsyncFd<OwnedFd>>, otherwise: Duration) {
    match fd {
        // What it said is forgotten before it is looked at, so nothing is missed. A terminal that
        // hangs up says so once, not all the time.
        Some(fd) => {
            if let Ok(mut ready) = fd.readable().await {
                ready.clear_ready();
            }
        }
        None => tokio::time::sleep(otherwise).await,
    }
}
