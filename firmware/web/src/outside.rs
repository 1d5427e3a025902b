//! What the web face needs of the program around it: the time, answers to requests, and judgement
//! of passwords. Channels are bounded; full means "busy, ask again".

use std::net::IpAddr;
use std::sync::Arc;

use base::Instant;
use base::time::Duration;
use model::operator::{Origin, Reply, Request, Role};
use tokio::sync::{mpsc, oneshot, watch};

/// The ways out of this room.
#[derive(Clone)]
pub struct Outside {
    /// Reads the program's clock.
    pub clock: fn() -> Instant,
    /// Carries requests to control.
    pub queries: mpsc::Sender<Query>,
    /// Judges passwords.
    pub attempts: mpsc::Sender<Attempt>,
    /// Hears which sessions nobody is in any more. Must not wait for anything.
    pub part: Arc<dyn Fn(u64, Gone) + Send + Sync>,
    /// The file of the last capture (draft-ietf-opsawg-pcap), if there was one.
    pub captured: watch::Receiver<Option<Arc<[u8]>>>,
}

/// What has become of who was in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The session is over.
    Over,
    /// Nothing was heard of them for a while. They may come back.
    Silent,
}

/// What somebody asks.
#[derive(Debug)]
pub struct Query {
    /// Who asks.
    pub origin: Origin,
    /// What.
    pub request: Request,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Reply>,
}

/// Somebody wants to sign in.
pub struct Attempt {
    /// As whom.
    pub user: String,
    /// With which password.
    pub password: String,
    /// From where.
    pub source: IpAddr,
    /// Where the verdict goes.
    pub answer: oneshot::Sender<Verdict>,
}

/// What becomes of an [`Attempt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the user, who may do this much.
    Right(Role),
    /// It is not, or there is no such user.
    Wrong,
    /// Too many failures: nothing is judged for so long.
    Locked(Duration),
    /// Too many attempts wait already.
    Busy,
}
