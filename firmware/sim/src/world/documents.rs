//! Operators commit documents, and nodes carry them out.
//!
//! All documents say the same of the cluster: what is looked at is which of them is in force where.
//! Which VIPs are spread is what the plan says when one comes into force.
//! What they may change is looked at in `cluster/tests/documents.rs`.

use super::World;
use crate::node::life::settings;
use crate::plan::episode::Thread;
use base::Instant;
use cluster::config::{Notice, UNFIT};

impl World {
    /// An operator commits a document at a node, if it runs.
    pub fn edit(&mut self, node: usize, unfit: Option<usize>) {
        let at = self.now;
        let Some(life) = &mut self.nodes[node].life else { return };
        let but = unfit.map_or_else(String::new, |unfit| format!(", not for {unfit}"));
        life.edits.push_back(format!("n{} at {at}{but}", node + 1));
        self.wake_soon(node, Thread::Control);
    }

    /// Does what the cluster says about documents.
    pub(super) fn heed(&mut self, node: usize, now: Instant, notice: Notice) {
        self.say(|| match &notice {
            Notice::Judge { record, from } => {
                format!("n{} judges {:?} of n{}", node + 1, record.text, from.0)
            }
            Notice::InForce { .. } | Notice::Decided { .. } | Notice::Removed { .. } => {
                format!("n{}: {notice:?}", node + 1)
            }
        });
        let plan = &self.plan;
        let Some(life) = &mut self.nodes[node].life else { return };
        let settings = settings(plan, node, life.peer.incarnation);
        match notice {
            Notice::Judge { record, .. } => {
                // What stands in a node's way is a fault, and ends like all others.
                let unfit = self.foul && record.text.ends_with(&format!("not for {node}"));
                if unfit {
                    self.unfit_until =
                        self.now + u64::try_from(UNFIT.as_nanos()).unwrap_or(u64::MAX);
                }
                life.judged = Some((*record).clone());
                let verdict = if unfit { Err("no such port".into()) } else { Ok(settings) };
                life.cluster.handle_judged(now, record.id(), verdict);
            }
            Notice::InForce { id, .. } => {
                if let Some(record) = life.judged.take().filter(|record| record.id() == id) {
                    life.record = record;
                }
                life.cluster.handle_record(&life.record);
                life.forwarder.set_spread(&plan.vips);
                life.settings = Some(settings);
                self.wake_soon(node, Thread::Pulse);
            }
            Notice::Decided { .. } | Notice::Removed { .. } => {}
        }
    }
}
