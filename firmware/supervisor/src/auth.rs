//! Who may sign in: passwords are judged one at a time, by a thread that runs when nobody else
//! wants to, and not at all for a while after failures.
//!
//! A failure counts against the user's name and against the source; a hundred passwords for one
//! name from many places wait as much as one for a hundred names from one place. Names that do
//! not exist are judged like those that do, so that time tells nothing. The serial line counts by
//! itself: strangers on the network cannot lock out whoever stands before the box.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::Output;
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use base::Instant;
use init::thread::Priority;
use model::config::{User, Users};
use model::limits;
use model::operator::Role;
use tokio::sync::{oneshot, watch};
use web::Verdict;

use crate::clock;
use crate::journal::Journal;
use crate::threads::{Manner, Threads};

/// A password that nobody has, for names that do not exist: it costs what one costs by default.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LWhhcy1pdA$\
    c9jbcNE3JwbeiaJ/CaKmYwwPj7kZBUbjsWFp7gX3QZ0";

/// Where an attempt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// From the serial line.
    Line,
    /// From the network.
    Address(IpAddr),
}

/// The way to the judge. Clones share it.
#[derive(Clone)]
pub struct Auth {
    jobs: SyncSender<Job>,
    users: Arc<watch::Sender<Users>>,
}

struct Job {
    user: String,
    password: String,
    source: Source,
    answer: oneshot::Sender<Verdict>,
}

impl Auth {
    /// Starts the judge's thread. Until [`Self::set_users`] nobody may sign in.
    pub fn start(threads: &Threads, journal: &Journal) -> Self {
        let (jobs, waiting) = sync_channel(limits::SIGN_IN_QUEUE);
        let users = Arc::new(watch::Sender::new(Users::default()));
        let (known, gate) = (users.clone(), Mutex::new(Gate::default()));
        let complaints = journal.clone();
        threads.restartable("sign-in", Manner::default(), journal, move || {
            if let Err(error) = init::thread::set_priority(Priority::Idle) {
                complaints.boot("sign-in", format!("not at idle priority: {error}"));
            }
            judge(&waiting, &known, &gate);
        });
        Self { jobs, users }
    }

    /// Says who may sign in from now on.
    pub fn set_users(&self, users: &Users) {
        self.users.send_if_modified(|known| {
            let changed = known != users;
            users.clone_into(known);
            changed
        });
    }

    /// Who may sign in, and news of it.
    pub fn users(&self) -> watch::Receiver<Users> {
        self.users.subscribe()
    }

    /// Has a password judged. The verdict comes when there is time for it.
    pub fn verify(
        &self,
        user: String,
        password: String,
        source: Source,
    ) -> oneshot::Receiver<Verdict> {
        let (answer, verdict) = oneshot::channel();
        self.submit(user, password, source, answer);
        verdict
    }

    /// The same, with the verdict sent to `answer`.
    pub fn submit(
        &self,
        user: String,
        password: String,
        source: Source,
        answer: oneshot::Sender<Verdict>,
    ) {
        let job = Job { user, password, source, answer };
        if let Err(error) = self.jobs.try_send(job) {
            let (std::sync::mpsc::TrySendError::Full(job)
            | std::sync::mpsc::TrySendError::Disconnected(job)) = error;
            // Who asked may have gone.
            let _ = job.answer.send(Verdict::Busy);
        }
    }
}

/// Judges for ever.
fn judge(jobs: &Receiver<Job>, users: &watch::Sender<Users>, gate: &Mutex<Gate>) {
    let mut memory = Vec::new();
    while let Ok(Job { user, password, source, answer }) = jobs.recv() {
        if answer.is_closed() {
            continue;
        }
        // Whoever panicked held nothing half done.
        let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = match gate.wait(clock::now(), &user, source) {
            Some(rest) => Verdict::Locked(rest),
            None => {
                let known = users.borrow().list.iter().find(|known| known.name == user).cloned();
                let role = right(known.as_ref(), &password, &mut memory);
                gate.judged(clock::now(), &user, source, role.is_some());
                role.map_or(Verdict::Wrong, Verdict::Right)
            }
        };
        let _ = answer.send(verdict);
    }
}

/// The role of the user whose password this is. `memory` is kept from one to the next: taken anew
/// each time, it would leave holes that the allocator does not fill again.
fn right(user: Option<&User>, password: &str, memory: &mut Vec<Block>) -> Option<Role> {
    let digest = user.map_or(NOBODY, |user| user.password.as_str());
    let digest = PasswordHash::new(digest).ok()?;
    let (salt, expected) = (digest.salt?, digest.hash?);
    let params = Params::try_from(&digest).ok()?;
    if params.m_cost() > limits::SIGN_IN_MEMORY_KIB || params.t_cost() > limits::SIGN_IN_ROUNDS {
        return None;
    }
    let blocks = params.block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..expected.len())?;
    let judge = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let memory = &mut memory[..blocks];
    judge.hash_password_into_with_memory(password.as_bytes(), &salt, output, memory).ok()?;
    // Comparing two of this type takes a time that says nothing.
    let right = Output::new(output).ok()? == expected;
    user.filter(|_| right).map(|user| user.role)
}

/// Who has to wait, and how long. Time comes in.
#[derive(Debug, Default)]
pub struct Gate {
    names: BTreeMap<(String, bool), Failures>,
    sources: BTreeMap<Source, Failures>,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    /// The wait after the last of them: none for the first few, then doubling.
    fn pause(self) -> Duration {
        let Some(more) = self.count.checked_sub(limits::SIGN_IN_FAILURES) else {
            return Duration::ZERO;
        };
        (limits::SIGN_IN_PAUSE * 2_u32.saturating_pow(more.min(16))).min(limits::SIGN_IN_PAUSE_MAX)
    }

    fn rest(self, now: Instant) -> Duration {
        (self.last + self.pause()).since(now)
    }
}

impl Gate {
    /// How long this user or this source has to wait; `None`: not at all.
    pub fn wait(&self, now: Instant, user: &str, source: Source) -> Option<Duration> {
        let name = self.names.get(&name(user, source)).map(|failures| failures.rest(now));
        let source = self.sources.get(&wide(source)).map(|failures| failures.rest(now));
        name.max(source).filter(|rest| !rest.is_zero())
    }

    /// Notes a verdict.
    pub fn judged(&mut self, now: Instant, user: &str, source: Source, right: bool) {
        let (name, source) = (name(user, source), wide(source));
        if right {
            self.names.remove(&name);
            self.sources.remove(&source);
        } else {
            note(&mut self.names, now, name);
            note(&mut self.sources, now, source);
        }
    }
}

/// A user's name, as it is counted.
fn name(user: &str, source: Source) -> (String, bool) {
    (user.to_owned(), source == Source::Line)
}

/// A source, as it is counted: a host has as many IPv6 addresses as it likes, but one /64
/// (RFC 4291 §2.5.1).
fn wide(source: Source) -> Source {
    match source {
        Source::Address(IpAddr::V6(address)) => {
            let network = u128::from(address) >> 64 << 64;
            Source::Address(IpAddr::V6(Ipv6Addr::from(network)))
        }
        Source::Address(IpAddr::V4(_)) | Source::Line => source,
    }
}

fn note<K: Ord + Clone>(all: &mut BTreeMap<K, Failures>, now: Instant, key: K) {
    // Twice the longest wait: who comes back right after it has not been forgotten.
    all.retain(|_, failures| now.since(failures.last) < limits::SIGN_IN_PAUSE_MAX * 2);
    if all.len() >= limits::SIGN_IN_REMEMBERED && !all.contains_key(&key) {
        let oldest = all.iter().min_by_key(|(_, failures)| failures.last);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            all.remove(&key);
        }
    }
    let failures = all.entry(key).or_insert(Failures { count: 0, last: now });
    *failures = Failures { count: failures.count.saturating_add(1), last: now };
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Source = Source::Address(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn address(text: &str) -> Source {
        Source::Address(text.parse().unwrap())
    }

    #[test]
    fn the_fifth_failure_closes_the_gate_and_each_further_one_for_longer() {
        let mut gate = Gate::default();
        for second in 0..5 {
            assert_eq!(gate.wait(at(second), "ann", HOME), None);
            gate.judged(at(second), "ann", HOME, false);
        }
        assert_eq!(gate.wait(at(4), "ann", HOME), Some(Duration::from_secs(10)));
        assert_eq!(gate.wait(at(13), "ann", HOME), Some(Duration::from_secs(1)));
        assert_eq!(gate.wait(at(14), "ann", HOME), None);
        gate.judged(at(14), "ann", HOME, false);
        assert_eq!(gate.wait(at(14), "ann", HOME), Some(Duration::from_secs(20)));
        let mut now = 14;
        for _ in 0..20 {
            now += gate.wait(at(now), "ann", HOME).unwrap().as_secs();
            gate.judged(at(now), "ann", HOME, false);
        }
        assert_eq!(gate.wait(at(now), "ann", HOME), Some(limits::SIGN_IN_PAUSE_MAX));
    }

    #[test]
    fn a_success_forgets_what_was_before() {
        let mut gate = Gate::default();
        for _ in 0..4 {
            gate.judged(at(0), "ann", HOME, false);
        }
        gate.judged(at(0), "ann", HOME, true);
        gate.judged(at(0), "ann", HOME, false);
        assert_eq!(gate.wait(at(0), "ann", HOME), None);
    }

    #[test]
    fn neither_many_places_nor_many_names_help() {
        let mut gate = Gate::default();
        for host in 1..=5 {
            gate.judged(at(0), "ann", address(&format!("192.0.2.{host}")), false);
        }
        assert!(gate.wait(at(0), "ann", address("192.0.2.77")).is_some());
        assert!(gate.wait(at(0), "bob", address("192.0.2.77")).is_none());
        for host in 1..=5 {
            let source = address(&format!("2001:db8::{host}"));
            gate.judged(at(0), &format!("user{host}"), source, false);
        }
        assert!(gate.wait(at(0), "bob", address("2001:db8::9")).is_some());
        assert!(gate.wait(at(0), "bob", address("2001:db8:0:1::9")).is_none());
    }

    #[test]
    fn strangers_cannot_lock_out_who_stands_before_the_box() {
        let mut gate = Gate::default();
        for _ in 0..9 {
            gate.judged(at(0), "ann", HOME, false);
        }
        assert_eq!(gate.wait(at(0), "ann", Source::Line), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut gate = Gate::default();
        for number in 0..2_000 {
            let source = address(&format!("10.0.{}.{}", number / 250, number % 250));
            gate.judged(at(number), &format!("user{number}"), source, false);
            assert!(gate.names.len() <= limits::SIGN_IN_REMEMBERED);
            assert!(gate.sources.len() <= limits::SIGN_IN_REMEMBERED);
        }
        assert!(gate.names.contains_key(&("user1999".into(), false)));
    }

    #[test]
    fn a_password_is_its_owners_alone() {
        let digest = "$argon2id$v=19$m=64,t=1,p=1$c29tZS1zYWx0$";
        let params = Params::new(64, 1, 1, None).unwrap();
        let judge = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut output = [0; 32];
        judge.hash_password_into(b"correct horse", b"some-salt", &mut output).unwrap();
        let output = Output::new(&output).unwrap();
        let password = format!("{digest}{output}");
        let user = User { name: "ann".into(), password, role: Role::Operate };
        let mut memory = Vec::new();
        assert_eq!(right(Some(&user), "correct horse", &mut memory), Some(Role::Operate));
        assert_eq!(right(Some(&user), "Correct horse", &mut memory), None);
        assert_eq!(right(None, "correct horse", &mut memory), None);
        let greedy = User { password: user.password.replace("m=64", "m=99999999"), ..user };
        assert_eq!(right(Some(&greedy), "correct horse", &mut memory), None);
        assert!(PasswordHash::new(NOBODY).is_ok());
    }
}
