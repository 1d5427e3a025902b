//! What time and new tables bring about: waiting frames go on, idle flows end.

use base::{Frame, Instant, Offload};
use core::time::Duration;

use model::limits::{EXPIRY_ROUND, EXPIRY_STEP, RELEASES_PER_CALL};

use super::{Forwarder, Origin, Parsed, Pass, emit};
use crate::output::Output;
use crate::tables::Tables;
use crate::verdict::{DropReason, HeldId, Verdict};

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
        let expiry = (!self.flows.is_empty()).then(|| self.expired_at + EXPIRY_STEP);
        waiting.into_iter().flatten().chain(expiry).min()
    }

    /// The steps that precede every burst; cheap when nothing is due.
    pub(super) fn resume(&mut self, now: Instant, tables: &Tables, out: &mut Output) {
        if !self.neighbors.is_empty() {
            self.release_neighbors(now, tables, out);
        }
        if now >= self.expired_at + EXPIRY_STEP {
            self.expire(now, tables);
        }
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
            let mut bytes = core::mem::take(&mut self.scratch);
            let length = self.hold.release(&waiting, &mut bytes);
            let hop = waiting.reason;
            let verdict = match known(hop.port, hop.address) {
                Some(mac) => {
                    bytes[..6].copy_from_slice(&mac.0);
                    let frame = &bytes[..length];
                    let build = |out: &mut [u8]| emit::copy(out, frame, waiting.offload);
                    match out.generate_with(hop.port, build) {
                        true => Verdict::Forward { service: hop.service, server: hop.server },
                        false => Verdict::Drop(DropReason::OutputFull),
                    }
                }
                None => Verdict::Drop(DropReason::NoNeighbor),
            };
            self.scratch = bytes;
            self.resolve(out, waiting.id, verdict);
        }
        // More are due: look again at the next call.
        self.generation = self.generation.wrapping_sub(1);
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
                    let origin = Origin::Scratch;
                    let mut pass = Pass { now, tables, id, port, origin, out };
                    let mut frame = Frame { bytes: &mut bytes[..length], offload: waiting.offload };
                    self.again(&mut pass, &mut frame)
                }
                None => Verdict::Drop(DropReason::PortDown),
            };
            self.scratch = bytes;
            self.resolve(out, waiting.id, verdict);
        }
        self.first_fragment_seen = true;
    }

    fn again(&mut self, pass: &mut Pass<'_>, frame: &mut Frame<'_>) -> Verdict {
        let parsed = Parsed::new(frame.bytes, &self.flows);
        let mut offload: Offload = frame.offload;
        self.handle(pass, frame.bytes, &mut offload, &parsed)
    }

    /// Gives the final verdict on a held frame.
    fn resolve(&mut self, out: &mut Output, id: HeldId, verdict: Verdict) {
        self.counters.count(verdict);
        // Room was checked before the frame was taken.
        let _ = out.resolved.try_push((id, verdict));
    }
}
