//! Which flows another box would give to another server, told a few at a time.
//!
//! A hand goes round all records, as that of expiry does. A record that was looked at under the
//! present selection is not looked at again, so that in quiet times a step is a walk through
//! memory; after a change the hand goes faster. What there is no room to tell waits: the hand
//! stands still. Only where the *end* of a flow that was told finds no room something is lost; then
//! everything is told anew, and what is not repeated has ended.

use alloc::collections::VecDeque;
use core::net::Ipv6Addr;

use base::{FlowKey, Instant};
use model::limits::{EXPIRY_STEP, FLOW_NOTES, FLOWS_TOLD, FLOWS_TOLD_URGENT, TELL_STEP};

use super::record::{Record, State, Ticks};
use super::table::FlowTable;
use crate::tables::{Owner, Server, Service, Tables};

/// For those who copy flows to other boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A flow that others would give to another server has this one, at this port; none: it has
    /// ended, or is as others would have it.
    Flow {
        /// The key of the client's packets.
        key: FlowKey,
        /// Its server.
        server: Option<(Ipv6Addr, u16)>,
    },
    /// All such flows are told anew from now on.
    Telling {
        /// Counts these rounds.
        round: u8,
    },
    /// They all were.
    Told {
        /// The round.
        round: u8,
        /// The newest question that it answers.
        asked: u32,
    },
}

/// What the hand carries.
#[derive(Debug)]
pub struct Telling {
    notes: VecDeque<Note>,
    at: Instant,
    hand: u32,
    /// Records until the round is over.
    left: u32,
    /// The selection as it is.
    current: u16,
    /// The selection that all records were looked at under, and that of the round.
    selection: u16,
    looking: u16,
    /// The question to answer, and the one that is answered.
    asked: u32,
    answered: u32,
    /// Everything is told anew in this round, as an answer to this question.
    anew: Option<u32>,
    round: u8,
    /// The end of a flow was not told.
    lost: bool,
}

impl Telling {
    pub fn new() -> Self {
        Self {
            notes: VecDeque::with_capacity(FLOW_NOTES),
            at: Instant::ZERO,
            hand: 0,
            left: 0,
            current: 0,
            selection: 0,
            looking: 0,
            asked: 0,
            answered: 0,
            anew: None,
            round: 0,
            lost: false,
        }
    }

    fn is_full(&self) -> bool {
        self.notes.len() >= FLOW_NOTES
    }

    /// A flow that was told has ended.
    pub fn ended(&mut self, key: FlowKey) {
        if self.is_full() {
            self.lost = true;
        } else {
            self.notes.push_back(Note::Flow { key, server: None });
        }
    }

    fn is_urgent(&self, selection: u16) -> bool {
        self.selection != selection || self.anew.is_some() || self.must_begin()
    }

    fn must_begin(&self) -> bool {
        self.anew.is_none() && (self.lost || self.asked != self.answered)
    }
}

impl FlowTable {
    /// Everything is to be told anew; [`Note::Told`] answers with this number or a newer one.
    pub const fn ask(&mut self, asked: u32) {
        self.telling.asked = asked;
    }

    /// The next thing told.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.telling.notes.pop_front()
    }

    /// A flow that another box had told is over.
    pub fn note_end(&mut self, key: FlowKey) {
        self.telling.ended(key);
    }

    /// When there is something to look at again; none: nobody wants to know.
    pub fn tell_at(&self) -> Option<Instant> {
        let Telling { at, current, .. } = self.telling;
        let urgent = current != 0 && self.telling.is_urgent(current);
        if urgent {
            return Some(at + TELL_STEP * 2);
        }
        (current != 0 && self.used() > 0).then(|| at + EXPIRY_STEP)
    }

    /// Goes on with the round, as far as the time since the last step asks, and tells of each
    /// flow that it ends.
    #[inline]
    pub fn tell(&mut self, now: Instant, tables: &Tables, ended: impl FnMut(&Record)) {
        self.telling.current = tables.selection;
        if tables.selection != 0 && now >= self.telling.at + TELL_STEP {
            self.tell_some(now, tables, ended);
        }
    }

    fn tell_some(&mut self, now: Instant, tables: &Tables, mut ended: impl FnMut(&Record)) {
        // Never so many that frames have to wait.
        let since = now.since(self.telling.at).min(TELL_STEP * 4);
        self.telling.at = now;
        let urgent = self.telling.is_urgent(tables.selection);
        let each = if urgent { FLOWS_TOLD_URGENT } else { FLOWS_TOLD };
        let limit = u32::try_from(since.as_millis()).unwrap_or(0).saturating_mul(each);
        for _ in 0..limit.max(1) {
            if self.telling.is_full() {
                return;
            }
            if self.telling.left == 0 || self.telling.must_begin() {
                let over = self.turn(tables.selection);
                if over || self.used() == 0 {
                    return;
                }
                continue;
            }
            if self.telling.hand >= self.used() {
                self.telling.hand = 0;
            }
            let slot = self.telling.hand;
            self.telling.hand += 1;
            self.telling.left -= 1;
            self.look(slot, tables, &mut ended);
        }
    }

    /// A round is over, or has to begin. Whether there is nothing more to do in this step.
    fn turn(&mut self, selection: u16) -> bool {
        let used = self.used();
        let telling = &mut self.telling;
        if telling.left == 0 {
            telling.selection = telling.looking;
            if let Some(asked) = telling.anew.take() {
                telling.answered = asked;
                telling.notes.push_back(Note::Told { round: telling.round, asked });
            }
        }
        let over = !telling.must_begin() && telling.selection == selection;
        telling.looking = selection;
        telling.left = used;
        if telling.must_begin() && !telling.is_full() {
            telling.round = telling.round.wrapping_add(1);
            telling.anew = Some(telling.asked);
            telling.lost = false;
            telling.notes.push_back(Note::Telling { round: telling.round });
        }
        over
    }

    /// Looks at one record.
    fn look(&mut self, slot: u32, tables: &Tables, ended: &mut impl FnMut(&Record)) {
        let record = self.record(slot);
        if record.is_free() {
            return;
        }
        let (told, selection) = record.mark();
        let key = record.request_key();
        // Half-open flows are never told: whoever sends SYNs has shown nothing.
        let alive = match record.state() {
            State::Established | State::ClientFinished | State::ServerFinished | State::Replied => {
                true
            }
            State::SynSent
            | State::SynReceived
            | State::PickedUp
            | State::Closing
            | State::Reset
            | State::Unreplied => false,
        };
        if !alive {
            if told {
                self.telling.notes.push_back(Note::Flow { key, server: None });
                self.mark(slot, false, 0);
            }
            return;
        }
        let known = selection == tables.selection && !(told && self.telling.anew.is_some());
        if known && tables.copies.is_empty() {
            return;
        }
        let record = *self.record(slot);
        let Some((service, server)) = served(&record, tables) else { return };
        let copied = tables.copies.by_request(&key);
        let contradicted = copied.is_some_and(|copied| copied.server != record.server());
        if known && !contradicted {
            return;
        }
        if contradicted && is_before(record.touched, Ticks::at(tables.copies.since())) {
            // From an earlier time that the address was ours: whoever had it since knows better.
            self.mark(slot, false, 0);
            ended(&record);
            self.remove(slot, tables);
            return;
        }
        let choice = tables.choose(record.service(), &key, 0);
        let differs = service.shared || choice != Some(record.server());
        if differs {
            let endpoint = (server.address, server.port.unwrap_or(key.destination_port));
            self.telling.notes.push_back(Note::Flow { key, server: Some(endpoint) });
        } else if told || contradicted {
            // What came late from the owner before is not so.
            self.telling.notes.push_back(Note::Flow { key, server: None });
        }
        self.mark(slot, differs, tables.selection);
    }
}

/// The service and the server of a flow, if this box serves it.
fn served<'t>(record: &Record, tables: &'t Tables) -> Option<(&'t Service, &'t Server)> {
    let service = tables.service(record.service())?;
    let vip = tables.vips.get(service.vip.index())?;
    let server = tables.server(record.server()).filter(|server| server.up)?;
    (vip.owner == Owner::Us).then_some((service, server))
}

/// Whether a tick is earlier than another.
const fn is_before(tick: Ticks, other: Ticks) -> bool {
    let ahead = other.0.wrapping_sub(tick.0);
    ahead > 0 && ahead < 1 << 31
}
