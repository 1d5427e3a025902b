//! Another document says what there is: groups and addresses have other numbers from now on.

use super::claim::Local;
use super::groups::{self, Group};
use super::standby::Standbys;
use super::{Cluster, Event, draft};
use crate::config::{DocumentId, Notice, Origin};
use crate::{Ownership, Settings};
use alloc::vec;
use alloc::vec::Vec;
use base::{Instant, VipId};

impl Cluster {
    /// Goes by the staged document from now on. By number of each group: which it had before; none
    /// of one that is new, or whose addresses were of several groups.
    ///
    /// The table of owners is empty afterwards: whoever calls knows what it says by new numbers.
    pub(super) fn carry_out(&mut self, id: DocumentId, origin: Origin) -> Vec<Option<usize>> {
        let Some(staged) = self.documents.staged.take_if(|staged| staged.blob.id == id) else {
            return (0..self.groups.len()).map(Some).collect();
        };
        let settings = Settings {
            own: self.own.id,
            incarnation: self.own.incarnation,
            document: id,
            ..staged.settings
        };
        self.documents.changed(staged.blob, staged.ancestors);
        self.documents.draft = None;
        let groups = groups::of(&settings);
        let vips = same_addresses(&self.settings, &settings);
        let from: Vec<Option<usize>> =
            groups.iter().map(|group| origin_of(group, &vips, &self.groups)).collect();
        let local = |old: &Option<usize>| old.and_then(|old| self.locals.get(old).copied());
        self.locals = from.iter().map(|old| local(old).unwrap_or(Local::IDLE)).collect();
        let silent =
            |old: &Option<VipId>| self.silent.get(old.as_ref()?.index()).copied().flatten();
        self.silent = vips.iter().map(silent).collect();
        let answered =
            |old: &Option<VipId>| self.answered.get(old.as_ref()?.index()).copied().flatten();
        self.answered = vips.iter().map(answered).collect();
        self.synced = vec![false; vips.len()];
        self.standbys = Standbys::new(vips.len());
        self.probed = VipId(0);
        self.balance.renumber(&from);
        self.wanted = draft::renumbered(&self.wanted, &from);
        self.to_drain.retain(|(node, _)| settings.node(*node).is_some());
        self.flaps.retain(|node, _| settings.node(*node).is_some());
        self.table = vec![crate::wire::Entry::default(); groups.len()];
        self.pace = settings.pace();
        self.workers.renew(&groups);
        (self.groups, self.settings) = (groups, settings);
        if self.probe_at < Instant::FAR {
            self.probe_at = self.clock;
        }
        self.events.push_back(Event::Document(Notice::InForce { id, origin }));
        from
    }

    /// Tells the forwarders everything by the new numbers.
    pub(super) fn restate(&mut self) {
        let own = self.own.id;
        for (group, local) in self.groups.iter().zip(&mut self.locals) {
            local.told = local.role(own);
            let (role, generation) = (local.told, local.generation);
            for &vip in &group.vips {
                self.stated += 1;
                let number = self.stated;
                let ownership = Ownership { vip, role, generation, number };
                self.events.push_back(Event::Ownership(ownership));
            }
            local.told_by = self.stated;
        }
    }
}

/// By new address: the old one that it was.
fn same_addresses(old: &Settings, new: &Settings) -> Vec<Option<VipId>> {
    let same = |vip: &crate::VipSettings| {
        let known = old.vips.iter();
        let mut known = known.map(|known| (known.network, known.address));
        known.position(|known| known == (vip.network, vip.address)).map(VipId::from)
    };
    new.vips.iter().map(same).collect()
}

/// Which group a new one was: all of its addresses that there were before had been in that.
fn origin_of(group: &Group, vips: &[Option<VipId>], old: &[Group]) -> Option<usize> {
    let known = group.vips.iter().filter_map(|vip| vips.get(vip.index()).copied().flatten());
    let mut were = known.map(|vip| old.iter().position(|group| group.vips.contains(&vip)));
    let first = were.next()??;
    were.all(|was| was == Some(first)).then_some(first)
}
