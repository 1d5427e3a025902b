//! view-agreement, no-overlap: who is with whom.

use super::Checks;
use crate::draw::SECOND;
use crate::node::Node;
use cluster::{Peer, ViewId};
use model::Policy;

/// What is known of a view, apart from its name.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The members, in the order of the ring.
    members: Vec<Peer>,
    /// When it was first installed anywhere.
    since: u64,
}

impl Checks {
    /// A node installs a view.
    ///
    /// **view-agreement**: one id, one content; ids strictly rise at each node.
    pub fn installs(
        &mut self,
        now: u64,
        node: usize,
        before: ViewId,
        view: ViewId,
        members: Vec<Peer>,
    ) {
        self.installs += 1;
        self.last_install = now;
        if view == ViewId::NONE {
            return;
        }
        if view <= before {
            self.fail(now, "view-agreement", || {
                format!("n{} installs {view} after {before}", node + 1)
            });
        }
        if !self.views.contains_key(&view) {
            self.note_falls(now, before, &members);
        }
        let known =
            self.views.entry(view).or_insert_with(|| View { members: members.clone(), since: now });
        if known.members != members {
            let known = known.members.clone();
            self.fail(now, "view-agreement", || {
                format!("n{} takes {view} to be {members:?}, others {known:?}", node + 1)
            });
        }
    }

    /// Counts who is no longer a member: nodes that keep falling are held back for a while.
    fn note_falls(&mut self, now: u64, before: ViewId, members: &[Peer]) {
        let Some(old) = self.views.get(&before) else { return };
        for gone in old.members.iter().filter(|old| !members.iter().any(|new| new.id == old.id)) {
            let node = usize::from(gone.id.0).saturating_sub(1);
            if let Some((falls, last)) = self.falls.get_mut(node) {
                *falls += 1;
                *last = now;
            }
        }
    }

    /// Until when a node may be held back at the longest: a second after its second fall, and
    /// twice as long after each further one, up to a minute.
    pub fn held_until(&self, node: usize) -> u64 {
        let (falls, last) = self.falls[node];
        let pause = match falls {
            0 | 1 => 0,
            more => (SECOND << (more - 2).min(6)).min(60 * SECOND),
        };
        last + pause
    }

    /// A node's lease was renewed.
    ///
    /// **no-overlap**: once a view without a node is installed, of half as many as its own or
    /// more, nobody of both renews its lease for longer than the one it had: its leases in the old
    /// view run out with the suspicion time.
    pub fn renews(&mut self, now: u64, node: usize, nodes: &[Node]) {
        let Some(life) = &nodes[node].life else { return };
        if nodes[node].is_excused(now) || life.members.len() < 2 {
            return;
        }
        for (other, state) in nodes.iter().enumerate().filter(|(other, _)| *other != node) {
            let Some(its) = &state.life else { continue };
            if its.view <= life.view || !life.members.contains(&its.peer) {
                continue;
            }
            let Some(view) = self.views.get(&its.view) else { continue };
            let old = now.saturating_sub(view.since) > self.longest_lease;
            if !old || view.members.iter().any(|member| member.id == life.peer.id) {
                continue;
            }
            // Without a quorum fewer than half may go on for themselves; the others do, too.
            let few = view.members.len() * 2 < life.members.len();
            if self.policy != Policy::Quorum && (few || self.apart(now, node, other)) {
                continue;
            }
            let (ours, theirs) = (life.view, its.view);
            self.fail(now, "no-overlap", || {
                format!(
                    "n{} renews its lease in {ours}, though its member n{} is in {theirs} without \
                     it",
                    node + 1,
                    other + 1
                )
            });
        }
    }
}
