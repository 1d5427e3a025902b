//! The flows that a data plane knows, and what it tells of them: each packet's flow keeps its
//! server, and those that other nodes would give to another server are told, as
//! `dataplane/src/flow/tell.rs` does.

use super::copies::Note;
use crate::network::frame::{Name, Packet};
use base::VipId;
use std::collections::BTreeMap;

/// A flow that passed here.
#[derive(Clone, Copy, Debug)]
struct Record {
    server: u16,
    /// More than its first packet came: what is half open is not told.
    established: bool,
    told: bool,
    /// The servers' generation under which it was looked at.
    looked: Option<u32>,
    /// Which of the node's times as owner it is of.
    tenure: u32,
}

/// The flows of a data plane.
#[derive(Debug, Default)]
pub(crate) struct Known {
    records: BTreeMap<Name, Record>,
    copies: BTreeMap<Name, u16>,
    /// Which servers there are, as far as this node has heard.
    servers: u32,
    /// How often each VIP has become this node's.
    tenures: BTreeMap<VipId, u32>,
    /// The question of control that is to be answered, and the one that was.
    asked: u32,
    answered: u32,
    round: u8,
    /// Flows that were told and have ended.
    ended: Vec<Name>,
    /// There may be something to tell.
    pub fresh: bool,
}

impl Known {
    /// The servers are others.
    pub fn set_servers(&mut self, servers: u32) {
        (self.servers, self.fresh) = (servers, true);
    }

    /// Control wants everything told anew.
    pub fn ask(&mut self, asked: u32) {
        (self.asked, self.fresh) = (asked, true);
    }

    /// Control knows these copies of a VIP's flows.
    pub fn set_copies(&mut self, vip: VipId, copies: &[(Name, u16)]) {
        self.copies.retain(|name, _| name.vip != vip);
        self.copies.extend(copies.iter().copied());
        self.fresh = true;
    }

    /// A VIP has become this node's.
    pub fn begin(&mut self, vip: VipId) {
        *self.tenures.entry(vip).or_default() += 1;
        self.fresh = true;
    }

    /// The server of a packet's flow: the one it has, else the one another node gave it, else the
    /// one that everybody would choose.
    pub fn server(&mut self, packet: Packet) -> u16 {
        let name = packet.flow_name();
        let tenure = self.tenures.get(&name.vip).copied().unwrap_or_default();
        let chosen = select(name, self.servers);
        let copied = self.copies.get(&name).copied();
        let new = Record {
            server: copied.unwrap_or(chosen),
            established: false,
            told: false,
            looked: None,
            tenure,
        };
        let record = self.records.entry(name).or_insert(new);
        if record.established == packet.opens || record.tenure != tenure {
            self.fresh = true;
        }
        record.established |= !packet.opens;
        record.tenure = tenure;
        let server = record.server;
        if packet.closes
            && let Some(record) = self.records.remove(&name)
            && (record.told || copied.is_some())
        {
            self.copies.remove(&name);
            self.ended.push(name);
        }
        server
    }

    /// The server that a flow has here, if it is known.
    pub fn known(&self, name: Name) -> Option<u16> {
        self.records.get(&name).map(|record| record.server)
    }

    /// What is to be told of flows of VIPs that this node owns.
    pub fn tell(&mut self, owns: impl Fn(VipId) -> bool) -> Vec<Note> {
        self.fresh = false;
        let ended = std::mem::take(&mut self.ended).into_iter();
        let mut notes: Vec<_> = ended.map(|name| Note::Flow { name, server: None }).collect();
        let anew = self.asked != self.answered;
        if anew {
            self.round = self.round.wrapping_add(1);
            notes.push(Note::Telling { round: self.round });
        }
        let (copies, tenures, servers) = (&self.copies, &self.tenures, self.servers);
        // From an earlier time that the VIP was ours: whoever had it since knows better.
        self.records.retain(|name, record| {
            let earlier = tenures.get(&name.vip).is_some_and(|now| record.tenure < *now);
            !(earlier && copies.get(name).is_some_and(|copied| *copied != record.server))
        });
        for (name, record) in &mut self.records {
            // What came late from the owner before, and our own flow says otherwise.
            let contradicted = copies.get(name).is_some_and(|copied| *copied != record.server);
            let looked = record.looked == Some(servers) && !(anew && record.told) && !contradicted;
            if !record.established || looked || !owns(name.vip) {
                continue;
            }
            let differs = record.server != select(*name, servers);
            if differs || record.told || contradicted {
                let server = differs.then_some(record.server);
                notes.push(Note::Flow { name: *name, server });
            }
            (record.told, record.looked) = (differs, Some(servers));
        }
        if anew {
            self.answered = self.asked;
            notes.push(Note::Told { round: self.round, asked: self.asked });
        }
        notes
    }

    /// The established flows of a VIP that other nodes would get wrong.
    pub fn differing(&self, vip: VipId) -> impl Iterator<Item = (Name, u16)> {
        let of_vip = self.records.iter().filter(move |(name, record)| {
            name.vip == vip && record.established && record.server != select(**name, self.servers)
        });
        of_vip.map(|(name, record)| (*name, record.server))
    }
}

/// The server that every node chooses for a flow, as long as it knows of the same servers. With
/// each generation of servers a quarter of all flows would be given to another one.
pub(crate) fn select(name: Name, servers: u32) -> u16 {
    let parts = [u64::from(name.vip.0), u64::from(name.client), u64::from(name.connection)];
    let hash = parts.into_iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, part| {
        // The finalizer of splitmix64: every bit of a part reaches every bit of the hash.
        let mixed = (hash ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    });
    let usual = u16::try_from(hash >> 48).unwrap_or_default() % 16;
    let moved = servers > 0 && (hash >> 32) % 4 == u64::from(servers % 4);
    (usual + u16::from(moved) * u16::try_from(1 + servers % 15).unwrap_or(1)) % 16
}
