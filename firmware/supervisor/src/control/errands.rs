//! What goes on for a while at an operator's request: control says whether, and hands it over to
//! the faces, who have the time.

use std::net::IpAddr;

use base::Instant;
use model::limits::PING_COUNT;
use model::operator::{Reply, Request};

use super::questions::deliver;
use super::{ControlThread, Question};
use crate::faces::{Errand, Order, Work};

/// The faces have more to do than they take.
const CROWDED: &str = "the box is busy, ask again";

impl ControlThread {
    /// Hands a question over; `None`, or the question, if it is about nothing that goes on.
    pub(super) fn hand_over(&mut self, now: Instant, question: Question) -> Option<Question> {
        if let Some(engine) = self.desk.home() {
            engine.session_seen(now, &question.origin);
        }
        let work = match &question.request {
            Request::Stop => {
                // Nobody waits for an answer of its own; without room a person presses again.
                let _ = self.orders.try_send(Order::Stop(question.origin.session));
                return None;
            }
            Request::Ping { target, count } => {
                let work = Work::Ping { target: *target, count: *count };
                self.may_ping(*target, *count).map(|()| work)
            }
            Request::Capture { .. } => self.capture(&question),
            Request::Show(_)
            | Request::Reboot
            | Request::PowerOff
            | Request::DrainServer { .. }
            | Request::MoveVip { .. }
            | Request::DrainNode { .. }
            | Request::ConfigureEnter { .. }
            | Request::ConfigureExit { .. }
            | Request::Set { .. }
            | Request::Delete { .. }
            | Request::ShowCandidate { .. }
            | Request::Compare
            | Request::CommitCheck
            | Request::Commit { .. }
            | Request::CommitConfirm
            | Request::Rollback { .. }
            | Request::Replace { .. } => return Some(question),
        };
        match (work, self.orders.try_reserve()) {
            (Ok(work), Ok(place)) => place.send(Order::Begin(Errand { question, work })),
            (Ok(_), Err(_)) => deliver(question, Reply::Refused(CROWDED.into())),
            (Err(why), _) => deliver(question, Reply::Refused(why)),
        }
        None
    }

    fn may_ping(&self, target: IpAddr, count: u16) -> Result<(), String> {
        if !(1..=PING_COUNT).contains(&count) {
            return Err(format!("{count} times: from 1 to {PING_COUNT} is possible"));
        }
        if let Some(vip) = self.control.plan().config().vips.iter().find(|v| v.address == target) {
            let name = &vip.name;
            return Err(format!("{target} is not asked: it is the box's own virtual one, {name}"));
        }
        match target {
            IpAddr::V6(address) if address.is_unicast_link_local() => Err(format!(
                "{target} is not asked: every network has its own {target}, and this does not say \
                 which is meant"
            )),
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(()),
        }
    }
}
