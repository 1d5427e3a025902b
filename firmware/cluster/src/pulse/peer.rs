//! One peer as its heartbeats show it.
//!
//! ```text
//!            two intervals without a heartbeat        L without one, sockets empty
//!   Heard ─────────────────────────────────► Missing ─────────────────────────► Silent
//!     ▲                                         │                                 │
//!     └─────────────────────────────────────────┴─────────────────────────────────┘
//!                                       a heartbeat
//! ```
//!
//! Time is counted by when the kernel received a heartbeat, never by when we looked at it, and
//! Silent is only entered when the sockets were empty: what waits there may be from this peer.

use crate::wire::{Echo, Heartbeat};
use crate::{PathSight, Peer, Presence};
use alloc::sync::Arc;
use alloc::vec::Vec;
use base::time::Duration;
use base::{Instant, NetworkId, NodeId};

/// What can happen to the presence of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A heartbeat of it was received.
    Heartbeat,
    /// Two intervals are over since the newest one.
    Late,
    /// The suspicion time is over since the newest one, the sockets are empty, and we ourselves
    /// were not late.
    Overdue,
}

/// Where an input leads.
pub const fn step(presence: Presence, input: Input) -> Presence {
    use Input::{Heartbeat, Late, Overdue};
    use Presence::{Heard, Missing, Silent};
    match (presence, input) {
        (Heard | Missing | Silent, Heartbeat) => Heard,
        (Heard | Missing, Late) => Missing,
        (Heard | Missing | Silent, Overdue) | (Silent, Late) => Silent,
    }
}

/// Our heartbeats whose sending times are remembered: more than any L is long.
const REMEMBERED: usize = 256;

/// When our own heartbeats were sent.
#[derive(Clone, Debug)]
pub struct Sent {
    tick: u64,
    times: [Instant; REMEMBERED],
}

impl Sent {
    pub const fn new() -> Self {
        Self { tick: 0, times: [Instant::ZERO; REMEMBERED] }
    }
    /// The number of the next heartbeat, which is sent not before `now`.
    pub fn next(&mut self, now: Instant) -> u64 {
        self.tick += 1;
        self.times[self.place(self.tick)] = now;
        self.tick
    }
    /// When the newest was sent.
    pub const fn last_at(&self) -> Instant {
        self.times[self.place(self.tick)]
    }
    /// Before when a heartbeat was surely not sent; none of one that we never sent or forgot.
    pub fn time(&self, tick: u64) -> Option<Instant> {
        let age = self.tick.checked_sub(tick)?;
        (tick > 0 && age < REMEMBERED as u64).then(|| self.times[self.place(tick)])
    }
    const fn place(&self, tick: u64) -> usize {
        (tick % REMEMBERED as u64) as usize
    }
}

/// One network that a peer and we share.
#[derive(Clone, Debug)]
pub struct Path {
    pub network: NetworkId,
    /// The newest of the peer's ticks received here, and when the kernel got it.
    tick: u64,
    pub heard_at: Instant,
    /// Bit n: tick − n was received.
    window: u64,
    /// The newest of our ticks that the peer says it received here, and when that was sent.
    echoed: u64,
    pub echoed_at: Instant,
    count: u8,
    round_trip: Duration,
}

/// What is known of one peer.
#[derive(Clone, Debug)]
pub struct Watched {
    pub id: NodeId,
    /// Which start of it; none before its first heartbeat.
    pub peer: Option<Peer>,
    pub presence: Presence,
    pub heard_at: Instant,
    /// Since when it is heard without an interruption.
    pub heard_since: Instant,
    pub said: Arc<Heartbeat>,
    pub paths: Vec<Path>,
    /// Since when it has said that it does not hear us; none: it hears us.
    pub unheard_since: Option<Instant>,
    /// How late its heartbeats are, in all but one of a thousand cases.
    pub jitter: Duration,
    /// How late its newest heartbeat was.
    pub late: Duration,
}

impl Watched {
    pub fn new(id: NodeId, networks: impl Iterator<Item = NetworkId>) -> Self {
        Self {
            id,
            peer: None,
            presence: Presence::Silent,
            heard_at: Instant::ZERO,
            heard_since: Instant::ZERO,
            said: Arc::default(),
            paths: networks.map(Path::new).collect(),
            unheard_since: None,
            jitter: Duration::ZERO,
            late: Duration::ZERO,
        }
    }

    /// Takes a heartbeat. False: it is of an earlier start, or came on a network we do not share.
    pub fn hear(
        &mut self,
        received_at: Instant,
        from: Peer,
        network: NetworkId,
        beat: Heartbeat,
        sent: &Sent,
        interval: Duration,
    ) -> bool {
        match self.peer {
            Some(known) if known.incarnation > from.incarnation => return false,
            Some(known) if known == from => {}
            Some(_) | None => {
                let networks: Vec<_> = self.paths.iter().map(|path| path.network).collect();
                *self = Self { peer: Some(from), ..Self::new(self.id, networks.into_iter()) };
            }
        }
        let newest = self.paths.iter().map(|path| path.tick).max().unwrap_or(0);
        let (last, tick) = (self.heard_at, beat.tick);
        let Some(path) = self.paths.iter_mut().find(|path| path.network == network) else {
            return false;
        };
        path.receive(beat.tick, received_at);
        for echo in &beat.echoes {
            if let Some(path) = self.paths.iter_mut().find(|p| p.network.0 == echo.network) {
                path.take_echo(received_at, *echo, sent);
            }
        }
        if beat.tick > newest {
            if newest > 0 && beat.tick - newest < 64 {
                self.measure(received_at.since(last), beat.tick - newest, interval);
            }
            self.said = Arc::new(beat);
        }
        // One that was overtaken does not show that its sender still lives.
        if tick >= newest {
            if self.presence == Presence::Silent {
                self.heard_since = received_at;
            }
            self.heard_at = self.heard_at.max(received_at);
            self.presence = step(self.presence, Input::Heartbeat);
        }
        true
    }

    /// Lets time pass. True: it is missing from now on.
    pub fn wait(&mut self, now: Instant, late: Duration) -> bool {
        let missing = self.presence == Presence::Heard && now.since(self.heard_at) > late;
        if missing {
            self.presence = step(self.presence, Input::Late);
        }
        missing
    }

    /// The sockets were empty at `drained`, and we were not late.
    pub fn judge(&mut self, drained: Instant, patience: Duration) -> bool {
        let before = self.presence;
        if drained.since(self.heard_at) > patience {
            self.presence = step(self.presence, Input::Overdue);
        }
        self.presence != before
    }

    /// What we say to it about its heartbeats.
    pub fn echoes(&self, now: Instant) -> Vec<Echo> {
        self.paths.iter().filter_map(|path| path.echo(now)).collect()
    }

    /// The sending time of the newest of our heartbeats that it has echoed, on any network.
    pub fn echoed_at(&self) -> Instant {
        self.paths.iter().map(|path| path.echoed_at).max().unwrap_or(Instant::ZERO)
    }

    /// When the newest of our heartbeats was sent that it has echoed on any network, or could have
    /// been: an interval before the next one. In the future: it has echoed all that we sent.
    /// At the beginning: that was so long ago that we do not know when.
    pub fn unechoed_since(&self, sent: &Sent, interval: Duration) -> Instant {
        let echoed = self.paths.iter().map(|path| path.echoed).max().unwrap_or(0);
        if echoed >= sent.tick {
            return Instant::FAR;
        }
        sent.time(echoed + 1).map_or(Instant::ZERO, |next| next - interval)
    }

    pub fn sights(&self) -> Vec<PathSight> {
        self.paths.iter().map(Path::sight).collect()
    }

    /// Follows the 99.9 % quantile of lateness: up by 999 parts for each sample above, down by
    /// one for each below (Robbins and Monro 1951), so that one outlier moves it little.
    fn measure(&mut self, gap: Duration, ticks: u64, interval: Duration) {
        let due = interval * u32::try_from(ticks).unwrap_or(1);
        let part = interval / 8_000;
        self.late = gap.saturating_sub(due);
        self.jitter = if self.late > self.jitter {
            self.jitter + part * 999
        } else {
            self.jitter.saturating_sub(part)
        };
    }
}

impl Path {
    pub const fn new(network: NetworkId) -> Self {
        Self {
            network,
            tick: 0,
            heard_at: Instant::ZERO,
            window: 0,
            echoed: 0,
            echoed_at: Instant::ZERO,
            count: 64,
            round_trip: Duration::ZERO,
        }
    }

    fn receive(&mut self, tick: u64, received_at: Instant) {
        if tick > self.tick {
            let ahead = tick - self.tick;
            self.window = if ahead < 64 { self.window << ahead } else { 0 } | 1;
            if self.tick == 0 {
                self.window = u64::MAX;
            }
            self.tick = tick;
            self.heard_at = self.heard_at.max(received_at);
        } else if self.tick - tick < 64 {
            self.window |= 1 << (self.tick - tick);
        }
    }

    fn echo(&self, now: Instant) -> Option<Echo> {
        let dwell = u32::try_from(now.since(self.heard_at).as_micros()).unwrap_or(u32::MAX);
        let count = u8::try_from(self.window.count_ones()).unwrap_or(64);
        (self.tick > 0).then_some(Echo { network: self.network.0, tick: self.tick, dwell, count })
    }

    fn take_echo(&mut self, received_at: Instant, echo: Echo, sent: &Sent) {
        let Some(time) = sent.time(echo.tick).filter(|_| echo.tick > self.echoed) else { return };
        self.echoed = echo.tick;
        self.echoed_at = time;
        self.count = echo.count.min(64);
        let away = received_at.since(time);
        self.round_trip = away.saturating_sub(Duration::from_micros(echo.dwell.into()));
    }

    fn sight(&self) -> PathSight {
        let lost = |received: u32| u16::try_from((64 - received.min(64)) * 1_000 / 64).unwrap_or(0);
        PathSight {
            network: self.network,
            heard_at: self.heard_at,
            lost_in: lost(self.window.count_ones()),
            lost_out: lost(self.count.into()),
            round_trip: self.round_trip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Presence::{Heard, Missing, Silent};

    #[test]
    fn every_input_in_every_presence_leads_where_the_drawing_says() {
        let table = [
            (Heard, Input::Heartbeat, Heard),
            (Heard, Input::Late, Missing),
            (Heard, Input::Overdue, Silent),
            (Missing, Input::Heartbeat, Heard),
            (Missing, Input::Late, Missing),
            (Missing, Input::Overdue, Silent),
            (Silent, Input::Heartbeat, Heard),
            (Silent, Input::Late, Silent),
            (Silent, Input::Overdue, Silent),
        ];
        for (presence, input, next) in table {
            assert_eq!(step(presence, input), next, "{presence:?} {input:?}");
        }
    }

    #[test]
    fn an_overtaken_heartbeat_does_not_keep_its_sender_alive() {
        let from = Peer { id: NodeId(2), incarnation: crate::Incarnation(1) };
        let mut watched = Watched::new(NodeId(2), [NetworkId(0), NetworkId(1)].into_iter());
        let mut hear = |at, network, tick| {
            let beat = Heartbeat { tick, ..Heartbeat::default() };
            let (sent, interval) = (Sent::new(), Duration::from_millis(20));
            let at = Instant::from_millis(at);
            watched.hear(at, from, NetworkId(network), beat, &sent, interval);
            watched.heard_at.as_millis()
        };
        assert_eq!(hear(100, 0, 5), 100);
        assert_eq!(hear(101, 1, 5), 101, "the same one on another network");
        assert_eq!(hear(180, 0, 4), 101);
        assert_eq!(hear(190, 0, 6), 190);
    }

    #[test]
    fn an_echo_counts_from_when_the_heartbeat_was_sent_and_never_backwards() {
        let mut sent = Sent::new();
        for at in 1..=3 {
            sent.next(Instant::from_millis(at * 10));
        }
        let mut path = Path::new(NetworkId(0));
        let echo = |tick| Echo { network: 0, tick, dwell: 1_000, count: 64 };
        path.take_echo(Instant::from_millis(32), echo(3), &sent);
        assert_eq!(path.echoed_at, Instant::from_millis(30));
        assert_eq!(path.round_trip, Duration::from_millis(1));
        path.take_echo(Instant::from_millis(40), echo(2), &sent);
        assert_eq!(path.echoed_at, Instant::from_millis(30));
        // A tick that we never sent, and one too old to know, prove nothing.
        path.take_echo(Instant::from_millis(50), echo(4), &sent);
        assert_eq!(path.echoed_at, Instant::from_millis(30));
        assert_eq!((sent.time(0), sent.time(4)), (None, None));
        for _ in 0..REMEMBERED {
            sent.next(Instant::from_millis(99));
        }
        assert_eq!(sent.time(3), None);
    }

    #[test]
    fn who_has_echoed_all_that_we_sent_before_we_stood_still_is_not_behind() {
        let interval = Duration::from_millis(20);
        let mut watched = Watched::new(NodeId(2), [NetworkId(0), NetworkId(1)].into_iter());
        let mut sent = Sent::new();
        let since = |watched: &Watched, sent: &Sent| watched.unechoed_since(sent, interval);
        assert_eq!(since(&watched, &sent), Instant::FAR, "nothing was sent");
        sent.next(Instant::from_millis(100));
        assert_eq!(since(&watched, &sent).as_millis(), 80, "it has not echoed the first");
        sent.next(Instant::from_millis(120));
        for (network, tick) in [(0, 1), (1, 2)] {
            let echo = Echo { network, tick, dwell: 0, count: 64 };
            watched.paths[usize::from(network)].take_echo(Instant::from_millis(125), echo, &sent);
        }
        assert_eq!(since(&watched, &sent), Instant::FAR, "on one network it has echoed all");
        // Ours stood still: what it could not echo in that time is not held against it.
        sent.next(Instant::from_millis(264));
        assert_eq!(since(&watched, &sent).as_millis(), 244);
        sent.next(Instant::from_millis(284));
        assert_eq!(since(&watched, &sent).as_millis(), 244, "the next one changes nothing");
        for _ in 0..REMEMBERED {
            sent.next(Instant::from_millis(999));
        }
        assert_eq!(since(&watched, &sent), Instant::ZERO, "longer ago than is remembered");
    }

    #[test]
    fn loss_is_seen_in_each_direction() {
        let mut path = Path::new(NetworkId(0));
        for tick in (2..=200).step_by(2) {
            path.receive(tick, Instant::from_millis(tick));
        }
        assert_eq!(path.sight().lost_in, 500);
        path.receive(199, Instant::from_millis(201));
        assert!(path.sight().lost_in < 500);
        assert_eq!(path.sight().heard_at, Instant::from_millis(200), "a late one is not newer");
    }

    #[test]
    fn jitter_follows_what_is_rarely_exceeded() {
        let interval = Duration::from_millis(20);
        let mut watched = Watched::new(NodeId(2), [NetworkId(0)].into_iter());
        watched.measure(Duration::from_secs(4), 1, interval);
        assert!(watched.jitter <= interval / 8, "one pause is not jitter: {:?}", watched.jitter);
        for round in 0..20_000 {
            let late = if round % 100 == 0 { 15 } else { 0 };
            watched.measure(interval + Duration::from_millis(late), 1, interval);
        }
        let settled = watched.jitter.as_millis();
        assert!((12..=18).contains(&settled), "1 % are 15 ms late: {settled}");
    }
}
