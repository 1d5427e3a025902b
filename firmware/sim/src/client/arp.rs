//! The ARP cache of a client or router, with the habits such caches have in the field: some hear
//! gratuitous requests only, some replies only, some nothing; some keep what they learned last for
//! a while whatever they hear; some never forget.

use crate::draw::{Draw, MILLISECOND, SECOND};
use crate::network::frame::Station;
use base::VipId;

/// How a cache behaves.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Believes a gratuitous ARP in request form.
    pub hears_requests: bool,
    /// Believes one in reply form, or a reply it did not ask for.
    pub hears_replies: bool,
    /// After an update, others are ignored for so long.
    pub lock: u64,
    /// What was learned is asked for again after so long.
    pub age: u64,
    /// Without an answer from its station for so long, the cache asks again.
    pub doubt: u64,
}

impl Habits {
    /// Habits as they are met.
    pub fn drawn(draw: &mut Draw) -> Self {
        let (hears_requests, hears_replies) =
            draw.pick(&[(true, true), (true, true), (true, false), (false, true), (false, false)]);
        let lock = if draw.chance(300) { draw.between(0, SECOND) } else { 0 };
        let age = draw.pick(&[30 * SECOND, 60 * SECOND, 300 * SECOND, 14_400 * SECOND]);
        let doubt = draw.between(3 * SECOND, 10 * SECOND);
        Self { hears_requests, hears_replies, lock, age, doubt }
    }

    /// The habits of a host that does everything right: its gaps are the cluster's own.
    pub const PROPER: Self = Self {
        hears_requests: true,
        hears_replies: true,
        lock: 0,
        age: 300 * SECOND,
        doubt: 5 * SECOND,
    };
}

/// What a cache knows of one address.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    at: Option<Station>,
    learned: u64,
    asked: Option<u64>,
    /// When the station last did what was expected of it.
    confirmed: u64,
}

/// An ARP cache over the virtual addresses.
#[derive(Debug)]
pub(crate) struct Cache {
    habits: Habits,
    entries: Vec<Entry>,
}

/// How an address was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Answer,
    GratuitousRequest,
    GratuitousReply,
}

impl Cache {
    /// A cache that knows nothing.
    pub fn new(habits: Habits, vips: usize) -> Self {
        Self { habits, entries: vec![Entry::default(); vips] }
    }

    /// Where packets to the address go, and whether the cache asks for it now.
    pub fn resolve(&mut self, now: u64, vip: VipId) -> (Option<Station>, bool) {
        let Some(entry) = self.entries.get_mut(vip.index()) else { return (None, false) };
        let old = now.saturating_sub(entry.learned) > self.habits.age;
        let doubted = now.saturating_sub(entry.confirmed) > self.habits.doubt;
        let wants = entry.at.is_none() || old || doubted;
        let may = entry.asked.is_none_or(|asked| now.saturating_sub(asked) > 500 * MILLISECOND);
        if wants && may {
            entry.asked = Some(now);
        }
        (entry.at, wants && may)
    }

    /// Hears where an address is. Returns whether it believes it.
    pub fn hear(&mut self, now: u64, vip: VipId, at: Station, how: Heard) -> bool {
        let Some(entry) = self.entries.get_mut(vip.index()) else { return false };
        let asked = entry.asked.is_some_and(|asked| now.saturating_sub(asked) < SECOND);
        let believes = match how {
            Heard::Answer => asked || self.habits.hears_replies,
            Heard::GratuitousRequest => self.habits.hears_requests,
            Heard::GratuitousReply => self.habits.hears_replies,
        };
        let locked = entry.at.is_some()
            && entry.at != Some(at)
            && now.saturating_sub(entry.learned) < self.habits.lock;
        if !believes || locked {
            return false;
        }
        *entry = Entry { at: Some(at), learned: now, asked: None, confirmed: now };
        true
    }

    /// An answer came from the station: there is no need to doubt it.
    pub fn confirm(&mut self, now: u64, vip: VipId) {
        if let Some(entry) = self.entries.get_mut(vip.index()) {
            entry.confirmed = now;
        }
    }

    /// Where it believes the address to be.
    pub fn belief(&self, vip: VipId) -> Option<Station> {
        self.entries.get(vip.index()).and_then(|entry| entry.at)
    }

    /// Whether it believes every announcement at once.
    pub const fn is_proper(&self) -> bool {
        self.habits.hears_requests && self.habits.hears_replies && self.habits.lock == 0
    }

    /// Whether it hears any gratuitous ARP at all.
    pub const fn hears_announcements(&self) -> bool {
        self.habits.hears_requests || self.habits.hears_replies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: VipId = VipId(0);

    #[test]
    fn habits_decide_what_is_believed() {
        let deaf = Habits { hears_requests: false, hears_replies: false, ..Habits::PROPER };
        let slow = Habits { lock: SECOND, ..Habits::PROPER };
        let cases = [
            ("a proper cache", Habits::PROPER, Heard::GratuitousRequest, true),
            ("a proper cache", Habits::PROPER, Heard::GratuitousReply, true),
            ("a deaf one", deaf.clone(), Heard::GratuitousRequest, false),
            ("a deaf one", deaf, Heard::Answer, false),
            ("a locked one", slow, Heard::GratuitousReply, false),
        ];
        for (name, habits, how, believed) in cases {
            let mut cache = Cache::new(habits, 1);
            assert_eq!(cache.resolve(0, VIP), (None, true), "{name}");
            assert!(cache.hear(1, VIP, Station::of_host(1), Heard::Answer), "{name}");
            let later = 500 * MILLISECOND;
            assert_eq!(cache.hear(later, VIP, Station::of_host(2), how), believed, "{name}");
        }
    }

    #[test]
    fn silence_makes_a_cache_ask_again() {
        let mut cache = Cache::new(Habits::PROPER, 1);
        cache.resolve(0, VIP);
        cache.hear(1, VIP, Station::of_host(1), Heard::Answer);
        assert_eq!(cache.resolve(5 * SECOND, VIP), (Some(Station::of_host(1)), false));
        assert_eq!(cache.resolve(5 * SECOND + 2, VIP), (Some(Station::of_host(1)), true));
    }
}
