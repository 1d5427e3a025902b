//! The session at the line: a serial port, or a pseudo-terminal in the lab.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use base::Instant;
use console::{Access, Ask, Session};
use model::config::Users;
use model::operator::{Face, Origin, Reply, Request, Role};
use tokio::sync::{oneshot, watch};
use web::{Gone, Verdict};

use crate::auth::{Auth, Source};
use crate::clock;
use crate::journal::Journal;

use super::network::Rung;
use super::{Post, called, watched};

/// Looks around this often at least.
const IDLE: Duration = Duration::from_secs(1);
/// A slow line is asked again so soon.
const BEHIND: Duration = Duration::from_millis(20);
/// Octets of log that may wait for a slow line.
const LOG_BEHIND: usize = 64 << 10;
/// The number of the session at the line: there is one at a time.
const AT_THE_LINE: u64 = 1;
/// Octets read from the line at once.
const CHUNK: usize = 256;
/// A session ends when nobody types for so long.
const UNATTENDED: Duration = Duration::from_secs(15 * 60);

/// The line to a person.
pub trait Line: Read + Write + AsFd + Send {}
impl<T: Read + Write + AsFd + Send> Line for T {}

/// Who may sign in, as the session at the line knows it.
pub struct Rules {
    news: watch::Receiver<Users>,
    known: Users,
    /// The session waits for the answer to a commit of its own.
    committing: bool,
}

impl Rules {
    /// As the configuration says now and from now on.
    pub fn new(auth: &Auth) -> Self {
        let mut news = auth.users();
        let known = news.borrow_and_update().clone();
        Self { news, known, committing: false }
    }

    /// Whether the session of `user` has lost its ground since the last call: another document
    /// names another password or role, or users at all. Not yet while the session waits for a
    /// commit: it may be its own.
    fn ended(&mut self, user: Option<&str>) -> bool {
        if self.committing || !self.news.has_changed().unwrap_or(false) {
            return false;
        }
        let before = self.known.clone();
        self.accept();
        !stands(user, &before, &self.known)
    }

    /// Goes by who may sign in now.
    fn accept(&mut self) {
        self.news.borrow_and_update().clone_into(&mut self.known);
    }
}

/// Whether what a session may do rests on the same as before. `None`: nobody has signed in yet.
fn stands(user: Option<&str>, before: &Users, now: &Users) -> bool {
    let known = |users: &Users| users.list.iter().find(|known| Some(&*known.name) == user).cloned();
    match (before.is_open(), now.is_open()) {
        (true, true) => true,
        (false, false) => known(now).is_some() && known(before) == known(now),
        (true, false) | (false, true) => false,
    }
}

/// A line and whoever sits at it.
pub struct LineSession {
    /// The line; `None` without a UART.
    pub line: Option<Box<dyn Line>>,
    /// The session on it, from the first key on. Before that the line shows the log as it is, so
    /// that whoever records a boot gets it clean.
    pub session: Option<Session>,
    /// When something was typed last.
    pub typed: Instant,
    /// Judges passwords.
    pub auth: Auth,
    /// Who may sign in, and whom the session goes by.
    pub users: Rules,
    /// This node's name, the session's prompt.
    pub name: String,
    /// What the session greets with.
    pub banner: String,
    /// Lines of the log on their way out before there is a session.
    pub log: VecDeque<u8>,
    /// To control and back.
    pub post: Arc<Post>,
    /// What to show as it happens.
    pub journal: Journal,
}

impl LineSession {
    /// Serves for ever.
    pub async fn run(&mut self, rung: &Rung) {
        let (answer, answers) = channel();
        let mut pending = VecDeque::new();
        let mut verdict = None;
        let typed = self.line.as_ref().and_then(|line| watched(line.as_fd()).ok());
        self.resume(&mut pending);
        loop {
            self.follow();
            self.listen(&mut pending);
            self.ask(&mut pending, &answer, &mut verdict);
            self.stop(&answer);
            self.tell(&answers, &mut pending);
            self.speak(&mut pending);
            self.part(&mut verdict);
            if !pending.is_empty() {
                continue;
            }
            let pause = if self.is_behind() { BEHIND } else { IDLE };
            tokio::select! {
                () = rung.wait() => {}
                () = tokio::time::sleep(pause) => {}
                () = called(typed.as_ref(), IDLE) => {}
                result = judged(&mut verdict) => {
                    verdict = None;
                    let session = self.session.as_mut();
                    pending.extend(session.and_then(|session| session.login_result(result)));
                }
            }
        }
    }

    /// Has a session go on that a former life of this thread left waiting.
    fn resume(&mut self, pending: &mut VecDeque<Ask>) {
        const LOST: &str = "the console started again, what came of this is not known";
        let Some(session) = self.session.as_mut() else { return };
        pending.extend(session.reply(Reply::Refused(LOST.into())));
        pending.extend(session.login_result(Err(LOST.into())));
    }

    /// Ends the session of somebody who may not have it any more.
    fn follow(&mut self) {
        let user = self.session.as_ref().and_then(Session::user).map(|(name, _)| name);
        if self.users.ended(user)
            && let Some(session) = self.session.as_mut().filter(|session| !session.is_over())
        {
            session.end("another document says who may sign in, and as what");
        }
    }

    /// What the person types.
    fn listen(&mut self, pending: &mut VecDeque<Ask>) {
        let Some(line) = self.line.as_mut() else { return };
        let mut chunk = [0; CHUNK];
        // An error is a line that has nothing, or that nobody holds at the moment; it may come
        // back. A person's paste is bounded, so that noise on the line keeps nobody else waiting.
        for _ in 0..16 {
            // What the session has no room for stays in the line.
            let room = self.session.as_ref().map_or(CHUNK, Session::room).min(CHUNK);
            let Ok(length @ 1..) = line.read(&mut chunk[..room]) else { return };
            self.typed = clock::now();
            let mut typed = &chunk[..length];
            if self.session.is_none() {
                // Enter wakes the line; it is not an empty command.
                typed = typed.trim_ascii_start();
            }
            let access = access(&self.users.known);
            let woken = || Session::new(&self.name, &self.banner, access);
            pending.extend(self.session.get_or_insert_with(woken).input(typed));
        }
    }

    fn ask(
        &mut self,
        pending: &mut VecDeque<Ask>,
        answer: &Sender<Reply>,
        verdict: &mut Option<oneshot::Receiver<Verdict>>,
    ) {
        while let Some(ask) = pending.pop_front() {
            let Some(session) = self.session.as_mut() else { continue };
            let request = match ask {
                Ask::Request(request) => request,
                Ask::Login { user, password } => {
                    *verdict = Some(self.auth.verify(user, password, Source::Line));
                    continue;
                }
            };
            let Some(origin) = origin(session) else { continue };
            let commits = matches!(request, Request::Commit { .. });
            self.users.committing |= commits;
            if !self.post.ask(origin, request, answer.clone()) {
                self.users.committing &= !commits;
                let busy = Reply::Refused("the box is busy, ask again".into());
                pending.extend(session.reply(busy));
            }
        }
    }

    /// Has what goes on end if Ctrl-C was pressed.
    fn stop(&mut self, answer: &Sender<Reply>) {
        let Some(session) = self.session.as_mut() else { return };
        if session.take_stop()
            && let Some(origin) = origin(session)
        {
            // No room: a person presses again.
            self.post.ask(origin, Request::Stop, answer.clone());
        }
    }

    /// Ends a session that nobody uses, and parts from one that has ended.
    fn part(&mut self, verdict: &mut Option<oneshot::Receiver<Verdict>>) {
        let Some(session) = &mut self.session else { return };
        if !session.is_over() && clock::now().since(self.typed) >= UNATTENDED {
            session.end("nobody has typed for long");
        }
        if session.is_over() && session.output().is_empty() {
            self.session = None;
            self.users.committing = false;
            *verdict = None;
            self.post.part(AT_THE_LINE, Gone::Over);
        }
    }

    fn tell(&mut self, answers: &Receiver<Reply>, pending: &mut VecDeque<Ask>) {
        while let Ok(reply) = answers.try_recv() {
            // What a commit changes is in force before it is answered.
            let commits = !reply.goes_on() && std::mem::take(&mut self.users.committing);
            if commits && matches!(reply, Reply::Committed { .. }) {
                self.users.accept();
            }
            let session = self.session.as_mut();
            pending.extend(session.and_then(|session| session.reply(reply)));
        }
        while let Some(line) = self.journal.take_fresh() {
            match &mut self.session {
                Some(session) => session.notice(&line),
                None if self.log.len() < LOG_BEHIND => {
                    self.log.extend(line.into_bytes());
                    self.log.extend(b"\r\n");
                }
                None => {}
            }
        }
    }

    /// Writes as much as the line takes.
    fn speak(&mut self, pending: &mut VecDeque<Ask>) {
        loop {
            let log = self.log.as_slices().0;
            let output = match &self.session {
                Some(session) if log.is_empty() => session.output(),
                Some(_) | None => log,
            };
            if output.is_empty() {
                return;
            }
            let written = match self.line.as_mut() {
                Some(line) => line.write(output),
                None => Ok(output.len()),
            };
            match (written, &mut self.session) {
                (Ok(0) | Err(_), _) => return,
                (Ok(octets), Some(session)) if self.log.is_empty() => {
                    pending.extend(session.advance(octets));
                }
                (Ok(octets), Some(_) | None) => drop(self.log.drain(..octets)),
            }
        }
    }

    /// Whether the line has not taken everything yet.
    fn is_behind(&self) -> bool {
        let session = self.session.as_ref();
        !self.log.is_empty() || session.is_some_and(|session| !session.output().is_empty())
    }
}

/// Whether who wakes the line must say who they are.
const fn access(users: &Users) -> Access {
    match users {
        users if users.is_open() => Access::Open,
        Users { lost: true, .. } => Access::Closed,
        Users { lost: false, .. } => Access::Login,
    }
}

/// Who asks for something at the line.
fn origin(session: &Session) -> Option<Origin> {
    let (user, role) = session.user()?;
    Some(Origin { session: AT_THE_LINE, user: user.to_owned(), role, face: Face::Serial })
}

/// What became of a login, once there is one.
async fn judged(verdict: &mut Option<oneshot::Receiver<Verdict>>) -> Result<Role, String> {
    let Some(verdict) = verdict else { return std::future::pending().await };
    match verdict.await {
        Ok(Verdict::Right(role)) => Ok(role),
        Ok(Verdict::Wrong) => Err("the name or the password is wrong".into()),
        Ok(Verdict::Locked(rest)) => {
            Err(format!("too many failures, wait {} s", rest.as_secs() + 1))
        }
        Ok(Verdict::Busy) | Err(_) => Err("the box is busy, try again".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::config::User;

    fn users(list: &[(&str, &str, Role)]) -> Users {
        let user = |&(name, password, role): &(&str, &str, Role)| User {
            name: name.into(),
            password: password.into(),
            role,
        };
        Users { list: list.iter().map(user).collect(), lost: false }
    }

    #[test]
    fn a_session_ends_when_what_its_rights_rest_on_is_not_so_any_more() {
        let none = users(&[]);
        let lost = Users { lost: true, ..users(&[]) };
        let ann = users(&[("ann", "one", Role::Configure)]);
        let both = users(&[("ann", "one", Role::Configure), ("ben", "two", Role::View)]);
        let password = users(&[("ann", "other", Role::Configure)]);
        let role = users(&[("ann", "one", Role::View)]);
        // Whose session it is, who could sign in before and can now, whether it goes on.
        let rows = [
            (Some("console"), &none, &none, true),
            (Some("console"), &none, &ann, false),
            (Some("console"), &none, &lost, false),
            (Some("ann"), &ann, &both, true),
            (Some("ann"), &both, &ann, true),
            (Some("ben"), &both, &ann, false),
            (Some("ann"), &ann, &password, false),
            (Some("ann"), &ann, &role, false),
            (Some("ann"), &ann, &none, false),
            (Some("ann"), &ann, &lost, false),
            // A password that is being judged, perhaps by what was known before.
            (None, &ann, &password, false),
        ];
        for (user, before, now, goes_on) in rows {
            assert_eq!(stands(user, before, now), goes_on, "{user:?}: {before:?} then {now:?}");
        }
    }

    #[test]
    fn a_session_that_commits_the_users_itself_goes_on_and_one_that_waits_for_a_refusal_ends() {
        let sender = watch::Sender::new(users(&[]));
        let news = sender.subscribe();
        let mut rules = Rules { news, known: users(&[]), committing: true };
        sender.send_replace(users(&[("ann", "one", Role::Configure)]));
        assert!(!rules.ended(Some("console")), "its own commit may be what has come");
        let mut refused = Rules { news: rules.news.clone(), known: users(&[]), committing: false };
        assert!(refused.ended(Some("console")), "it was somebody else's");
        assert!(!refused.ended(Some("console")), "that is told once");
        rules.committing = false;
        rules.accept();
        assert!(!rules.ended(Some("console")), "it was its own");
        sender.send_replace(users(&[]));
        assert!(rules.ended(Some("console")), "the next document is another's");
    }
}
