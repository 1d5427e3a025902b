//! What goes on for a while at an operator's request, each in a task of its own, and tells what it
//! meets as it meets it.
//!
//! Control decides whether and hands it over ([`Order::Begin`]), so that it has nothing to wait
//! for; what is told goes straight to whoever asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use model::limits;
use model::operator::Reply;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::control::Question;
use crate::stream::Network;

use super::capture::{self, Capture, Kept};
use super::ping;

/// What control wants of this room.
pub enum Order {
    /// Something to begin.
    Begin(Errand),
    /// What this session asked for to end.
    Stop(u64),
}

/// Something that goes on for a while.
pub struct Errand {
    /// Who asked for it, and how.
    pub question: Question,
    /// What it is.
    pub work: Work,
}

/// What can go on.
pub enum Work {
    /// To ask a host whether it is there, so many times.
    Ping {
        /// Whom.
        target: IpAddr,
        /// How many times.
        count: u16,
    },
    /// To look at the frames of a port.
    Capture(Box<Capture>),
}

/// The ways to those that go on.
pub struct Errands {
    /// From control.
    pub orders: mpsc::Receiver<Order>,
    /// The node's own endpoint.
    pub network: Network,
    /// Where the file of the last capture is kept.
    pub kept: Kept,
}

/// To whoever asked for it.
pub struct Teller(Question);

impl Teller {
    /// Tells a reply. Whether anybody is there to hear it.
    pub fn tell(&self, reply: Reply) -> bool {
        let heard = self.0.answer.send(reply).is_ok();
        self.0.wake.wake();
        heard
    }
}

impl Errands {
    /// Serves for ever.
    pub async fn run(&mut self) {
        let mut tasks = JoinSet::new();
        let mut stops = BTreeMap::<u64, Arc<Notify>>::new();
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    Some(Order::Begin(errand)) => self.begin(errand, &mut tasks, &mut stops),
                    Some(Order::Stop(session)) => {
                        stops.get(&session).inspect(|stop| stop.notify_one());
                    }
                    // Control lives as long as the program.
                    None => return std::future::pending().await,
                },
                Some(ended) = tasks.join_next() => {
                    if let Ok(session) = ended {
                        stops.remove(&session);
                    }
                }
            }
        }
    }

    fn begin(
        &self,
        Errand { question, work }: Errand,
        tasks: &mut JoinSet<u64>,
        stops: &mut BTreeMap<u64, Arc<Notify>>,
    ) {
        let (session, teller) = (question.origin.session, Teller(question));
        if stops.contains_key(&session) || stops.len() >= limits::ERRANDS {
            let sentence = "too many of these go on already, end one first";
            teller.tell(Reply::Refused(sentence.into()));
            return;
        }
        let stop = Arc::new(Notify::new());
        stops.insert(session, stop.clone());
        let (network, kept) = (self.network.clone(), self.kept.clone());
        tasks.spawn(async move {
            match work {
                Work::Ping { target, count } => {
                    ping::run(&network, &teller, (target, count), &stop).await;
                }
                Work::Capture(capture) => capture::run(&teller, *capture, &stop, &kept).await,
            }
            session
        });
    }
}
