//! faces: the console, and the node's own endpoint on the network. May be slow or start again
//! without anyone noticing.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TrySendError, channel};
use std::time::Duration;

use arrayvec::ArrayVec;
use base::Instant;
use console::{Access, Ask, Session};
use hoststack::HostStack;
use model::operator::{Face, Origin, Reply};
use netio::Wake;

use crate::clock;
use crate::control::{Asker, Question};
use crate::journal::Journal;
use crate::wiring::{PACKET_OCTETS, Packet, StackEnds};

/// Looks around this often at least.
const IDLE: Duration = Duration::from_secs(1);
/// Octets of log that may wait for a slow line.
const LOG_BEHIND: usize = 64 << 10;
/// Octets read from the line at once.
const CHUNK: usize = 256;
/// A session ends when nobody types for so long.
const UNATTENDED: Duration = Duration::from_secs(15 * 60);

/// The line to a person: a serial port, or a pseudo-terminal in the lab.
pub trait Line: Read + Write + AsFd + Send {}
impl<T: Read + Write + AsFd + Send> Line for T {}

/// What the faces thread works with.
pub struct Faces {
    /// The line; `None` without a UART.
    pub line: Option<Box<dyn Line>>,
    /// The session on it, from the first key on. Before that the line shows the log as it is, so
    /// that whoever records a boot gets it clean.
    pub session: Option<Session>,
    /// When something was typed last.
    pub typed: Instant,
    /// This node's name, the session's prompt.
    pub name: String,
    /// What the session greets with.
    pub banner: String,
    /// Lines of the log on their way out before there is a session.
    pub log: VecDeque<u8>,
    /// The node's own TCP and UDP.
    pub stack: HostStack,
    /// To and from the workers.
    pub ends: StackEnds,
    /// To control.
    pub asker: Asker,
    /// Wakes control.
    pub control: Arc<Wake>,
    /// What to show as it happens.
    pub journal: Journal,
}

impl Faces {
    /// Serves for ever.
    pub fn run(&mut self) {
        let (answer, answers) = channel();
        let mut pending = VecDeque::new();
        loop {
            self.serve_stack();
            self.listen(&mut pending);
            self.ask(&mut pending, &answer);
            self.tell(&answers, &mut pending);
            self.speak(&mut pending);
            self.part();
            if pending.is_empty() {
                self.sleep();
            }
        }
    }

    fn serve_stack(&mut self) {
        let now = clock::now();
        for worker in &mut self.ends.from_workers {
            while let Ok(packet) = worker.pop() {
                // Full: as on a wire.
                let _ = self.stack.handle_packet(now, packet.network, &packet.bytes);
            }
        }
        self.stack.handle_timeout(now);
        if send_all(&mut self.ends, |out| self.stack.poll_transmit(now, out)) {
            self.ends.worker.wake.wake();
        }
        // Nothing listens yet: connections end in a reset, and their events mean nothing.
        while self.stack.poll_event().is_some() {}
    }

    /// What the person types.
    fn listen(&mut self, pending: &mut VecDeque<Ask>) {
        let Some(line) = self.line.as_mut() else { return };
        let mut chunk = [0; CHUNK];
        // What the session has no room for stays in the line.
        let room = self.session.as_ref().map_or(CHUNK, Session::room).min(CHUNK);
        // An error is a line that nobody holds at the moment; it may come back.
        let Ok(length) = line.read(&mut chunk[..room]) else { return };
        if length == 0 {
            return;
        }
        self.typed = clock::now();
        let mut typed = &chunk[..length];
        if self.session.is_none() {
            // Enter wakes the line; it is not an empty command.
            typed = typed.trim_ascii_start();
        }
        let woken = || Session::new(&self.name, &self.banner, Access::Open);
        pending.extend(self.session.get_or_insert_with(woken).input(typed));
    }

    fn ask(&mut self, pending: &mut VecDeque<Ask>, answer: &Sender<Reply>) {
        while let Some(ask) = pending.pop_front() {
            let Some(session) = self.session.as_mut() else { continue };
            let request = match ask {
                Ask::Request(request) => request,
                Ask::Login { .. } => {
                    let nobody = "nobody can log in here".to_owned();
                    pending.extend(session.login_result(Err(nobody)));
                    continue;
                }
            };
            let Some((user, role)) = session.user() else { continue };
            let origin = Origin { session: 1, user: user.to_owned(), role, face: Face::Serial };
            let (answer, wake) = (answer.clone(), self.ends.wake.clone());
            let question = Question { origin, request, answer, wake };
            match self.asker.try_send(question) {
                Ok(()) => self.control.wake(),
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    let busy = Reply::Refused("the box is busy, ask again".into());
                    pending.extend(session.reply(busy));
                }
            }
        }
    }

    /// Ends a session that nobody uses, and parts from one that has ended.
    fn part(&mut self) {
        let Some(session) = &mut self.session else { return };
        if !session.is_over() && clock::now().since(self.typed) >= UNATTENDED {
            session.idle();
        }
        if session.is_over() && session.output().is_empty() {
            self.session = None;
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

    fn sleep(&mut self) {
        let now = clock::now();
        let next = self.stack.next_deadline(now).map_or(IDLE, |at| at.since(now));
        let mut fds = ArrayVec::<BorrowedFd<'_>, 2>::new();
        fds.push(self.ends.wake.fd());
        fds.extend(self.line.as_ref().map(|line| line.as_fd()));
        // A slow line is asked again soon; a line that nobody holds is not waited for.
        let limit = if self.is_behind() { Duration::from_millis(20) } else { IDLE };
        let ready = netio::wait(&fds, Some(next.min(limit)));
        if ready.failed != 0 {
            // A hung-up terminal is readable all the time: look at it now and then only.
            netio::wait(&fds[..1], Some(Duration::from_millis(200)));
        }
        self.ends.wake.drain();
    }
}

/// Moves packets of a host stack into the queue to the first worker. Whether there were any.
pub fn send_all(
    ends: &mut StackEnds,
    mut poll: impl FnMut(&mut [u8]) -> Option<(base::NetworkId, usize)>,
) -> bool {
    let mut any = false;
    let mut buffer = [0; PACKET_OCTETS];
    while !ends.to_worker.is_full() {
        let Some((network, length)) = poll(&mut buffer) else { break };
        let Ok(bytes) = ArrayVec::try_from(&buffer[..length]) else { continue };
        any |= ends.to_worker.push(Packet { network, bytes }).is_ok();
    }
    any
}
