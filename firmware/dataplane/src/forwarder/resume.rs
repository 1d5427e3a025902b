//! What time and new tables bring about: waiting frames go on, idle flows end.

use base::{Frame, Instant, Mac, Offload};
use core::time::Duration;

use model::limits::{
    EXPIRY_IDLE_STEP, EXPIRY_ROUND, EXPIRY_STEP, NEWCOMERS_UNDER_PRESSURE, RELEASES_PER_CALL,
};
use packet::headers::{self, Body, Headers};
use packet::rewrite;

use super::{Forwarder, Look, Origin, Pass, Pressure};
use crate::hold::Waiting;
use crate::output::Output;
use crate::tables::Tables;
use crate::verdict::{DropReason, HeldId, Verdict};
use crate::waiting::NextHop;

impl Forwarder {
    /// To be called when [`Forwarder::next_deadline`] has come or tables have changed and no
    /// burst is at hand.
    pub fn handle_timeout(&mut self, now: Instant, tables: &Tables, out: &mut Output) {
        self.resume(now, tables, out);
        self.release_fragments(now, tables, out);
    }

    /// When [`Forwarder::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = [self.neighbors.next_deadline(), self.fragments.next_deadline()];
        let expiry = (!self.flows.is_empty()).then(|| self.expired_at + EXPIRY_IDLE_STEP);
        waiting.into_iter().flatten().chain(expiry).chain(self.flows.tell_at()).min()
    }

    /// The steps that precede every burst; cheap when nothing is due.
    pub(super) fn resume(&mut self, now: Instant, tables: &Tables, out: &mut Output) {
        self.newcomers = match self.pressure {
            Pressure::None => usize::MAX,
            Pressure::High => NEWCOMERS_UNDER_PRESSURE,
        };
        if !self.neighbors.is_empty() {
            self.release_neighbors(now, tables, out);
        }
        if now >= self.expired_at + EXPIRY_STEP {
            self.expire(now, tables);
        }
        let counters = &mut self.counters;
        self.flows.tell(now, tables, |record| {
            counters.count_flow(record.service(), record.server(), -1);
        });
    }

    /// Goes on with the round through all records, as far as the time since the last step asks.
    fn expire(&mut self, now: Instant, tables: &Tables) {
        let since = now.since(self.expired_at).min(Duration::from_secs(1));
        self.expired_at = now;
        let share = u64::from(self.flows.used()) * since.as_millis() as u64
            / EXPIRY_ROUND.as_millis() as u64;
        let counters = &mut self.counters;
        let limit = u32::try_from(share + 1).unwrap_or(u32::MAX);
        self.flows.expire(now, limit, tables, |record| {
            counters.flows_expired += 1;
            counters.count_flow(record.service(), record.server(), -1);
        });
    }

    /// Sends what waited for a neighbor that is known now; gives up what has waited too long.
    fn release_neighbors(&mut self, now: Instant, tables: &Tables, out: &mut Output) {
        let changed = self.generation != tables.generation;
        self.generation = tables.generation;
        let due = self.neighbors.next_deadline().is_some_and(|until| until <= now);
        if !changed && !due {
            return;
        }
        for _ in 0..RELEASES_PER_CALL {
            if out.transmit.is_full() || out.resolved.is_full() {
                return;
            }
            let known = |port: base::PortId, address| tables.neighbors.get(port.0, address);
            let Some(waiting) = self
                .neighbors
                .take(|w| w.until <= now || known(w.reason.port, w.reason.address).is_some())
            else {
                return;
            };
            let verdict = match known(waiting.reason.port, waiting.reason.address) {
                Some(mac) => self.depart_late(now, tables, out, &waiting, mac),
                None => {
                    self.hold.discard(&waiting);
                    Verdict::Drop(DropReason::NoNeighbor)
                }
            };
            self.resolve(out, &waiting, verdict);
        }
        // More are due: look again at the next call.
        self.generation = self.generation.wrapping_sub(1);
    }

    /// Sends a frame that waited for its neighbor, by the port as it is now.
    fn depart_late(
        &mut self,
        now: Instant,
        tables: &Tables,
        out: &mut Output,
        waiting: &Waiting<NextHop>,
        mac: Mac,
    ) -> Verdict {
        let mut scratch = core::mem::take(&mut self.scratch);
        let length = self.hold.release(waiting, &mut scratch);
        let bytes = &mut scratch[..length];
        let NextHop { port: id, service, server, originated, .. } = waiting.reason;
        let sent = if originated { Verdict::Answer } else { Verdict::Forward { service, server } };
        let verdict = match (tables.port(id).filter(|port| port.up), headers::parse(bytes)) {
            (Some(port), Ok(Headers { body: Body::Ip(ip), .. })) => {
                rewrite::set_ethernet(bytes, mac, port.mac);
                let origin = Origin::Held(waiting.id);
                let mut pass = Pass::new(now, tables, id, port, origin, out);
                let mut offload = waiting.offload;
                self.leave(&mut pass, bytes, &mut offload, &ip, id, sent)
            }
            (Some(_), Ok(_)) => Verdict::Drop(DropReason::UnknownEthertype),
            (Some(_), Err(why)) => Verdict::Drop(DropReason::Malformed(why)),
            (None, _) => Verdict::Drop(DropReason::PortDown),
        };
        self.scratch = scratch;
        verdict
    }

    /// Sends fragments whose first has come; gives up what has waited too long.
    pub(super) fn release_fragments(&mut self, now: Instant, tables: &Tables, out: &mut Output) {
        self.first_fragment_seen = false;
        for _ in 0..RELEASES_PER_CALL {
            if out.transmit.is_full() || out.resolved.is_full() {
                self.first_fragment_seen = true;
                return;
            }
            let fragments = &self.fragments;
            let ready = fragments
                .waiting()
                .find(|w| w.until <= now || fragments.find(now, &w.reason.key).is_some())
                .map(|w| w.id);
            let Some(id) = ready else { return };
            let Some(waiting) = self.fragments.take(|w| w.id == id) else { return };
            let mut bytes = core::mem::take(&mut self.scratch);
            let length = self.hold.release(&waiting, &mut bytes);
            let verdict = match tables.port(waiting.reason.port) {
                Some(port) => {
                    let id = waiting.reason.port;
                    let origin = Origin::Held(waiting.id);
                    let mut pass = Pass::new(now, tables, id, port, origin, out);
                    let mut frame = Frame { bytes: &mut bytes[..length], offload: waiting.offload };
                    self.again(&mut pass, &mut frame)
                }
                None => Verdict::Drop(DropReason::PortDown),
            };
            self.scratch = bytes;
            if !matches!(verdict, Verdict::Held(_)) {
                self.decide(out, waiting.id, verdict);
            }
        }
        self.first_fragment_seen = true;
    }

    fn again(&mut self, pass: &mut Pass<'_>, frame: &mut Frame<'_>) -> Verdict {
        let mut offload: Offload = frame.offload;
        self.handle(pass, frame.bytes, &mut offload, &Look::NOTHING)
    }

    /// Gives the final verdict on a frame that waited for a neighbor. The node's own packets were
    /// never received: only their loss is counted.
    pub(super) fn resolve(
        &mut self,
        out: &mut Output,
        waiting: &Waiting<NextHop>,
        verdict: Verdict,
    ) {
        if waiting.reason.originated {
            if let Verdict::Drop(reason) = verdict {
                self.counters.drops[reason.index()] += 1;
            }
            return;
        }
        self.decide(out, waiting.id, verdict);
    }

    /// Gives the final verdict on a frame that was received and waited.
    fn decide(&mut self, out: &mut Output, id: HeldId, verdict: Verdict) {
        self.counters.count(verdict);
        // Room was checked before the frame was taken.
        let _ = out.resolved.try_push((id, verdict));
    }
}
