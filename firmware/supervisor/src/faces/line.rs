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
use tokio::sync::oneshot;
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
            let access = access(&self.auth.users().borrow());
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
            if !self.post.ask(origin, request, answer.clone()) {
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
            session.idle();
        }
        if session.is_over() && session.output().is_empty() {
            self.session = None;
            *verdict = None;
            self.post.part(AT_THE_LINE, Gone::Over);
        }
    }

    fn tell(&mut self, answers: &Receiver<Reply>, pending: &mut VecDeque<Ask>) {
        while let Ok(reply) = answers.try_recv() {
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
