//! Who is signed in. Bounded; the one that was silent longest gives way.

use std::collections::BTreeMap;

use base::Instant;
use base::time::Duration;
use model::limits;
use model::operator::Role;

use crate::secret::Hash;

/// One person, or one program, that has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its number, by which the rest of the box knows it. Not given twice.
    pub number: u64,
    /// As whom.
    pub user: String,
    /// What it may do.
    pub role: Role,
    /// What a request that changes something must carry beside the cookie.
    pub token: String,
    /// When it signed in.
    since: Instant,
    /// When it last asked for something.
    used: Instant,
    /// It was told that nobody is there; not again before somebody is.
    silent: bool,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.since(self.used) >= limits::WEB_SESSION_IDLE
            || now.since(self.since) >= limits::WEB_SESSION_LIFETIME
    }
}

/// All that are signed in, by the digest of what they show.
#[derive(Debug, Default)]
pub struct Sessions {
    all: BTreeMap<Hash, Session>,
    next: u64,
    /// Those that are over and nobody was told of.
    over: Vec<u64>,
}

impl Sessions {
    /// Begins one.
    pub fn begin(&mut self, now: Instant, key: Hash, user: &str, role: Role, token: String) {
        self.sweep(now);
        if self.all.len() >= limits::WEB_SESSIONS {
            let oldest = self.all.iter().min_by_key(|(_, session)| session.used);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.end(&key);
            }
        }
        self.next += 1;
        let session = Session {
            number: FIRST + self.next,
            user: user.into(),
            role,
            token,
            since: now,
            used: now,
            silent: false,
        };
        // A program may have been judged twice at the same time.
        self.end(&key);
        self.all.insert(key, session);
    }

    /// The session that somebody shows the key of, who counts as heard from.
    pub fn find(&mut self, now: Instant, key: &Hash) -> Option<Session> {
        self.sweep(now);
        let session = self.all.get_mut(key)?;
        (session.used, session.silent) = (now, false);
        Some(session.clone())
    }

    /// Whether it still lasts. Looking on is using: an open page keeps its session.
    pub fn lasts(&mut self, now: Instant, number: u64) -> bool {
        self.sweep(now);
        let session = self.all.values_mut().find(|session| session.number == number);
        session.map(|session| (session.used, session.silent) = (now, false)).is_some()
    }

    /// Ends one.
    pub fn end(&mut self, key: &Hash) {
        self.over.extend(self.all.remove(key).map(|session| session.number));
    }

    /// Ends those of a user.
    pub fn end_user(&mut self, user: &str) {
        self.retain(|session| session.user != user);
    }

    /// Ends all of them.
    pub fn end_all(&mut self) {
        self.retain(|_| false);
    }

    /// Ends those that nobody used for too long.
    pub fn sweep(&mut self, now: Instant) {
        self.retain(|session| !session.is_over(now));
    }

    /// Those that have become silent since this was asked last.
    pub fn take_silent(&mut self, now: Instant) -> Vec<u64> {
        let long = |session: &&mut Session| {
            !session.silent && now.since(session.used) >= limits::WEB_SESSION_SILENT
        };
        let silent = self.all.values_mut().filter(long);
        let tell = |session: &mut Session| {
            session.silent = true;
            session.number
        };
        silent.map(tell).collect()
    }

    /// Which are over since this was asked last.
    pub fn take_over(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.over)
    }

    fn retain(&mut self, stays: impl Fn(&Session) -> bool) {
        self.all.retain(|_, session| {
            let stays = stays(session);
            if !stays {
                self.over.push(session.number);
            }
            stays
        });
    }
}

/// The numbers of the web face's sessions begin behind this; other faces stay below.
const FIRST: u64 = 1 << 32;

/// For how long a cookie is worth keeping.
pub const LIFETIME: Duration = limits::WEB_SESSION_LIFETIME;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn key(number: usize) -> Hash {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn begin(sessions: &mut Sessions, now: Instant, number: usize, user: &str) {
        sessions.begin(now, key(number), user, Role::View, "t".into());
    }

    #[test]
    fn a_session_ends_when_nobody_uses_it() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, at(0), 1, "ann");
        let idle = limits::WEB_SESSION_IDLE.as_secs();
        assert!(sessions.find(at(idle - 1), &key(1)).is_some());
        assert!(sessions.find(at(2 * idle - 2), &key(1)).is_some());
        assert_eq!(sessions.find(at(3 * idle - 2), &key(1)), None);
    }

    #[test]
    fn a_session_ends_after_its_lifetime_however_busy() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, at(0), 1, "ann");
        let lifetime = limits::WEB_SESSION_LIFETIME.as_secs();
        for now in (0..lifetime).step_by(60) {
            assert!(sessions.lasts(at(now), FIRST + 1), "{now}");
        }
        assert!(!sessions.lasts(at(lifetime), FIRST + 1));
    }

    #[test]
    fn the_longest_silent_gives_way() {
        let mut sessions = Sessions::default();
        for number in 0..limits::WEB_SESSIONS {
            begin(&mut sessions, at(number as u64), number, "ann");
        }
        assert!(sessions.find(at(100), &key(0)).is_some());
        begin(&mut sessions, at(101), 1_000, "bob");
        assert!(sessions.find(at(102), &key(0)).is_some());
        assert_eq!(sessions.find(at(102), &key(1)), None);
        assert!(sessions.find(at(102), &key(1_000)).is_some());
        assert_eq!(sessions.all.len(), limits::WEB_SESSIONS);
    }

    #[test]
    fn whatever_ends_a_session_it_is_told_once() {
        let mut sessions = Sessions::default();
        for (number, user) in [(1, "ann"), (2, "bob"), (3, "cid"), (4, "dan")] {
            begin(&mut sessions, at(0), number, user);
        }
        sessions.end(&key(1));
        sessions.end(&key(1));
        assert_eq!(sessions.take_over(), [FIRST + 1]);
        sessions.end_user("bob");
        assert_eq!(sessions.take_over(), [FIRST + 2]);
        assert!(sessions.find(at(10), &key(3)).is_some());
        sessions.sweep(at(limits::WEB_SESSION_IDLE.as_secs() + 5));
        assert_eq!(sessions.take_over(), [FIRST + 4], "the one that was not used");
        begin(&mut sessions, at(20), 3, "cid");
        assert_eq!(sessions.take_over(), [FIRST + 3], "the one whose place it took");
        sessions.end_all();
        assert_eq!(sessions.take_over(), [FIRST + 5]);
        assert!(sessions.take_over().is_empty());
    }

    #[test]
    fn a_session_that_becomes_silent_is_told_of_once_until_somebody_is_there_again() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, at(0), 1, "ann");
        begin(&mut sessions, at(0), 2, "bob");
        let long = limits::WEB_SESSION_SILENT.as_secs();
        assert!(sessions.lasts(at(long - 1), FIRST + 2), "a page that is open");
        assert!(sessions.take_silent(at(long - 1)).is_empty());
        assert_eq!(sessions.take_silent(at(long)), [FIRST + 1]);
        assert!(sessions.take_silent(at(long + 1)).is_empty(), "once");
        assert!(sessions.find(at(long + 2), &key(1)).is_some(), "it is not over");
        assert_eq!(sessions.take_silent(at(2 * long + 2)), [FIRST + 1, FIRST + 2]);
    }

    #[test]
    fn all_sessions_of_a_user_can_be_ended() {
        let mut sessions = Sessions::default();
        begin(&mut sessions, at(0), 1, "ann");
        begin(&mut sessions, at(0), 2, "bob");
        begin(&mut sessions, at(0), 3, "ann");
        sessions.end_user("ann");
        assert_eq!(sessions.find(at(1), &key(1)), None);
        assert_eq!(sessions.find(at(1), &key(3)), None);
        assert_eq!(sessions.find(at(1), &key(2)).map(|session| session.user).unwrap(), "bob");
    }
}
