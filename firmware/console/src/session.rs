//! One person at one line.
//!
//! ```text
//!            name and password                 Enter: a request
//!   Login ─────────────────────> Waiting <────────────────────── Typing ───logout──> Over
//!     ▲                           │ │ │   reply, or who it is     ▲ │ ▲ ▲ │ load
//!     └──────── not that ─────────┘ │ └───────────────────────────┘ │ │ │ ▼
//!                                   │  a long reply                 │ │ └─Pasting
//!                                   └─────────────> Paging ──q──────┼─┘    │ Ctrl-D
//!                                                                   ▼      ▼
//!                                                                  Waiting again
//! ```
//!
//! What is typed while Waiting waits too.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::{fmt, mem};

use model::limits;
use model::operator::{Reply, Request, Role};

use crate::commands::Mode;
use crate::editor::Editor;
use crate::keys::{Decoder, Key};
use crate::login::Login;
use crate::lookup;
use crate::options::Options;
use crate::pager::{self, Pager};
use crate::parse::{Pass, Scope};
use crate::paste::{Paste, Pasted};

mod typing;

/// Octets of output beyond which the line counts as far behind: 17 s of it at 9600 baud. Then
/// notices are left out and keys wait, so that nobody can make the output grow by typing.
const BEHIND: usize = 16 << 10;
/// Octets that may wait to be looked at: a pasted list of commands.
const AHEAD: usize = 64 << 10;

/// Whether somebody must say who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No: whoever holds the line may do everything.
    Open,
    /// Yes, with a name and a password.
    Login,
    /// Nobody is let in: who may be is not known.
    Closed,
}

/// What a session needs from whoever carries it.
#[derive(Clone, PartialEq, Eq)]
pub enum Ask {
    /// This to be carried, and [`Session::reply`] with the answer.
    Request(Request),
    /// This to be verified, and [`Session::login_result`] with what came out.
    Login {
        /// Who they say they are.
        user: String,
        /// The proof.
        password: String,
    },
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => request.fmt(f),
            // A password belongs in no log.
            Self::Login { user, .. } => write!(f, "Login({user:?})"),
        }
    }
}

/// One person at one line. It owns what is to be sent until the line takes it.
#[derive(Debug)]
pub struct Session {
    name: String,
    state: State,
    /// Who it is, once that is known.
    user: Option<(String, Role)>,
    mode: Mode,
    decoder: Decoder,
    editor: Editor,
    /// Typed and not looked at.
    ahead: VecDeque<u8>,
    /// Ctrl-C was pressed while a reply was waited for.
    stop: bool,
    out: Vec<u8>,
    sent: usize,
}

#[derive(Debug)]
enum State {
    Login(Login),
    Typing,
    Waiting(Waiting),
    Paging(Pager),
    Pasting(Paste),
    Over,
}

/// What a session waits for, and what is to be done then.
#[derive(Debug)]
enum Waiting {
    /// Whether this user is who they say.
    Login(String),
    /// A reply, to be shown through these filters; then the session is in that mode, unless the
    /// reply is a refusal. Before it may come others, which say what goes on.
    Reply(Vec<Pass>, Mode, Parts),
    /// What may follow the piece of a line; this key wants to know.
    Options(Options, Wish),
    /// A reply that nobody wants any more.
    Nothing,
}

/// What was told while something goes on.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    /// Rows that passed the filters.
    rows: usize,
    /// Rows that were left out, because the line was far behind.
    left_out: usize,
}

/// What is to be done with what may follow.
#[derive(Clone, Copy, Debug)]
enum Wish {
    /// TAB: to type as much of it as is sure.
    Complete,
    /// `?`: to list it.
    Explain,
}

impl Session {
    /// A session that greets with `banner`, lines of text, and prompts with `name`.
    pub fn new(name: &str, banner: &str, access: Access) -> Self {
        let printable = |text: &str| -> String {
            text.chars().filter(|c| c.is_ascii_graphic()).take(limits::NAME_OCTETS).collect()
        };
        let mut session = Self {
            name: printable(name),
            state: State::Typing,
            user: None,
            mode: Mode::Operation,
            decoder: Decoder::default(),
            editor: Editor::new(String::new()),
            ahead: VecDeque::new(),
            stop: false,
            out: Vec::new(),
            sent: 0,
        };
        session.line("");
        for text in banner.lines() {
            session.line(text);
        }
        match access {
            Access::Open => {
                session.line("no login is needed: the configuration has no user");
                session.user = Some(("console".into(), Role::Configure));
            }
            Access::Login => session.state = State::Login(Login::default()),
            Access::Closed => {
                session.line("login: refused. The document has users, none of whom could be read;");
                session.line("the log says why. Start the box with a document that is right, or");
                session.line("with none: then whoever holds this line may do everything.");
                session.state = State::Over;
            }
        }
        session.enter(Mode::Operation);
        session.prompt();
        session
    }

    /// Takes bytes that arrived. What is asked for is to be answered; until then what is typed
    /// waits, up to [`Self::room`]. So it does while the line is far behind with the output.
    pub fn input(&mut self, bytes: &[u8]) -> Option<Ask> {
        let mut ask = None;
        for &byte in bytes {
            if byte == INTERRUPT {
                self.ahead.clear();
                self.interrupt();
            } else if self.room() > 0 {
                self.ahead.push_back(byte);
            } else if let State::Pasting(paste) = &mut self.state {
                paste.lost = true;
            }
            ask = ask.or_else(|| self.work());
        }
        ask
    }

    /// Whether what was asked for is to end, since the last call: Ctrl-C was pressed. The reply is
    /// waited for all the same.
    pub fn take_stop(&mut self) -> bool {
        mem::take(&mut self.stop)
    }

    /// How many octets [`Self::input`] takes now without losing any.
    pub fn room(&self) -> usize {
        AHEAD.saturating_sub(self.ahead.len())
    }

    /// Shows the answer to the last request, and goes on with what was typed meanwhile. A reply
    /// that nobody asked for is ignored.
    pub fn reply(&mut self, reply: Reply) -> Option<Ask> {
        match self.take_waiting() {
            None => {}
            Some(login @ Waiting::Login(_)) => self.state = State::Waiting(login),
            Some(Waiting::Reply(filters, mode, mut parts)) if reply.goes_on() => {
                self.show_part(reply, &filters, &mut parts);
                self.state = State::Waiting(Waiting::Reply(filters, mode, parts));
            }
            Some(Waiting::Reply(filters, mode, parts)) => self.show(reply, &filters, mode, parts),
            Some(Waiting::Options(options, wish)) => {
                self.grant(&lookup::fill(options, reply), wish);
            }
            Some(Waiting::Nothing) => self.prompt(),
        }
        self.work()
    }

    /// Tells what became of a login: the user's role, or a sentence that says why not.
    pub fn login_result(&mut self, result: Result<Role, String>) -> Option<Ask> {
        match (self.take_waiting(), result) {
            (Some(Waiting::Login(user)), Ok(role)) => {
                self.user = Some((user, role));
                self.prompt();
            }
            (Some(Waiting::Login(_)), Err(sentence)) => {
                self.state = State::Login(Login::default());
                self.line(&sentence);
                self.prompt();
            }
            (Some(other), _) => self.state = State::Waiting(other),
            (None, _) => {}
        }
        self.work()
    }

    /// What was waited for; then it is typing again.
    fn take_waiting(&mut self) -> Option<Waiting> {
        let State::Waiting(waiting) = &mut self.state else { return None };
        let waiting = mem::replace(waiting, Waiting::Nothing);
        self.state = State::Typing;
        Some(waiting)
    }

    /// Who it is: a name and what they may do. Nobody before a login.
    pub fn user(&self) -> Option<(&str, Role)> {
        self.user.as_ref().map(|(user, role)| (user.as_str(), *role))
    }

    /// Ends the session and says why.
    pub fn end(&mut self, why: &str) {
        self.clear_line();
        self.line(&alloc::format!("the session ends: {why}"));
        self.state = State::Over;
    }

    /// Whether the session has ended. What [`Self::output`] has left is still to be sent.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Writes a line of the log between what is typed. Left out while the line is far behind, and
    /// while a document is pasted.
    pub fn notice(&mut self, text: &str) {
        if self.output().len() > BEHIND || matches!(self.state, State::Pasting(_)) {
            return;
        }
        self.clear_line();
        self.line(text);
        self.prompt();
    }

    /// What is to be sent.
    pub fn output(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// Tells that the first `octets` of [`Self::output`] were sent. What was typed while the line
    /// was far behind is looked at now, and may ask for something.
    pub fn advance(&mut self, octets: usize) -> Option<Ask> {
        self.sent = self.out.len().min(self.sent.saturating_add(octets));
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        self.work()
    }

    fn work(&mut self) -> Option<Ask> {
        while !matches!(self.state, State::Waiting(_)) && self.output().len() <= BEHIND {
            let byte = self.ahead.pop_front()?;
            if let Some(ask) = self.byte(byte) {
                return Some(ask);
            }
        }
        None
    }

    fn byte(&mut self, byte: u8) -> Option<Ask> {
        if let State::Pasting(paste) = &mut self.state {
            return match paste.byte(byte, &mut self.out) {
                Pasted::More => None,
                Pasted::Document(text) => {
                    let request = Request::Replace { text };
                    self.ask(request, Vec::new(), Mode::Configuration)
                }
                Pasted::Refused(sentence) => {
                    self.line(sentence);
                    self.state = State::Typing;
                    self.prompt();
                    None
                }
            };
        }
        let key = self.decoder.byte(byte)?;
        match &mut self.state {
            State::Typing => return self.key(key),
            State::Login(login) => {
                let (user, password) = login.key(key, &mut self.out)?;
                self.state = State::Waiting(Waiting::Login(user.clone()));
                return Some(Ask::Login { user, password });
            }
            State::Paging(pager) => {
                if !pager.key(key, &mut self.out) {
                    self.state = State::Typing;
                    self.prompt();
                }
            }
            State::Pasting(_) | State::Waiting(_) | State::Over => {}
        }
        None
    }

    /// Ctrl-C: no more output, an empty line.
    fn interrupt(&mut self) {
        self.out.truncate(self.sent);
        if let State::Paging(_) = self.state {
            pager::wipe(&mut self.out);
        }
        self.out.extend_from_slice(b"^C\r\n");
        self.decoder = Decoder::default();
        match &mut self.state {
            State::Waiting(waiting @ Waiting::Options(..)) => {
                *waiting = Waiting::Nothing;
                self.editor.key(Key::Interrupt);
                return;
            }
            State::Waiting(waiting) => {
                self.stop |= matches!(waiting, Waiting::Reply(..));
                return;
            }
            State::Over => return,
            State::Login(login) => *login = Login::default(),
            State::Paging(_) | State::Pasting(_) => self.state = State::Typing,
            State::Typing => drop(self.editor.key(Key::Interrupt)),
        }
        self.prompt();
    }

    /// Writes on an empty line what asks for the next key.
    fn prompt(&mut self) {
        match &self.state {
            // The line stands on the screen while it is found out what may follow.
            State::Typing | State::Waiting(Waiting::Options(..)) => {
                self.editor.draw_anew(&mut self.out);
            }
            State::Login(login) => login.draw(&mut self.out),
            State::Paging(pager) => pager.draw(&mut self.out),
            State::Waiting(Waiting::Login(_) | Waiting::Nothing | Waiting::Reply(..))
            | State::Pasting(_)
            | State::Over => {}
        }
    }

    /// Clears the line of the screen that asks for the next key.
    fn clear_line(&mut self) {
        match &self.state {
            State::Typing | State::Waiting(Waiting::Options(..)) => {
                self.editor.wipe(&mut self.out);
            }
            State::Login(login) => login.wipe(&mut self.out),
            State::Paging(_) => pager::wipe(&mut self.out),
            State::Waiting(Waiting::Login(_) | Waiting::Nothing | Waiting::Reply(..))
            | State::Pasting(_)
            | State::Over => {}
        }
    }

    fn scope(&self) -> Scope {
        let role = self.user.as_ref().map_or(Role::View, |(_, role)| *role);
        Scope { mode: self.mode, role }
    }

    fn bell(&mut self) {
        self.out.push(0x07);
    }

    fn line(&mut self, text: &str) {
        let text = text.chars().map(|c| if c.is_control() { '?' } else { c });
        self.out.extend_from_slice(text.collect::<String>().as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}

const INTERRUPT: u8 = 0x03;
