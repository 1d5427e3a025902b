//! Console bytes: a whole session from its banner to its end, with a box behind it that answers
//! anything to anything.
//!
//! ```text
//!  0            1              first 0xff
//!  | choices    | foreign text | what arrives …
//! ```
//!
//! Foreign text are the names, log lines and sentences of the box, one on a line. What arrives is
//! typed, but for octets from 0xf8 on, which no terminal sends: they stand for what else happens
//! ([`happens`]).

use ::console::commands::{COMMANDS, FILTERS};
use ::console::{Access, Ask, Session};
use model::limits;
use model::operator::{Reply, Role};

use crate::Seeds;
use crate::replies::{Foreign, any_reply, fitting};
use crate::screen::Screen;

/// Octets that may wait to be sent beside a reply: `console` keeps 16 KiB and what one key adds.
const WAITING: usize = 32 << 10;
/// Octets on the screen for one octet of a reply at most: a control character as `\u0000`.
const GROWTH: usize = 6;

/// Runs one input. Panics if something is not as it must be.
pub fn input(input: &[u8]) {
    let Some((&choices, rest)) = input.split_first() else { return };
    let cut = rest.iter().position(|&octet| octet == 0xff);
    let (foreign, arrives) = match cut {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (&b""[..], rest),
    };
    let mut line = Line::new(choices, Foreign::new(foreign));
    let mut arrives = arrives;
    while let Some(&first) = arrives.first() {
        let typed = arrives.iter().position(|&octet| octet >= 0xf8).unwrap_or(arrives.len());
        if typed == 0 {
            line.happens(first, arrives.get(1).copied().unwrap_or_default());
            arrives = arrives.get(2..).unwrap_or_default();
        } else {
            arrives[..typed].chunks(line.chunk).for_each(|bytes| line.typed(bytes));
            arrives = &arrives[typed..];
        }
    }
    line.ends();
}

/// Where fuzzing starts.
pub fn seeds() -> Seeds {
    let inputs = [
        &include_bytes!("../seeds/console/operate")[..],
        include_bytes!("../seeds/console/configure"),
        include_bytes!("../seeds/console/editing"),
        include_bytes!("../seeds/console/foreign"),
    ];
    let commands = COMMANDS.iter().map(|command| format!("{}\r", command.name));
    let filters = FILTERS.iter().map(|filter| format!("| {} ", filter.name));
    let mut words: Vec<Vec<u8>> = commands.chain(filters).map(String::into_bytes).collect();
    let keys = ["\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3~", "\x1bOH", "\t", "?", "\r", "\n"];
    words.extend(keys.map(|key| key.as_bytes().to_vec()));
    words.extend((1..0x20).map(|control| vec![control]));
    words.extend((0xf8..=0xff).map(|happens| vec![happens, 1]));
    Seeds { inputs: inputs.map(<[u8]>::to_vec).into(), words }
}

/// A session, the line it is at, and the box.
struct Line {
    session: Session,
    screen: Screen,
    foreign: Foreign,
    /// What was asked and not answered.
    asked: Option<Ask>,
    /// Octets that arrive at once.
    chunk: usize,
    /// Requests are answered as soon as they are made.
    prompt_box: bool,
    /// The line takes everything at once.
    fast: bool,
    /// The most that may wait to be sent.
    bound: usize,
    /// Somebody signed in, or needs not.
    known: Option<Role>,
    /// What was sent since a password was asked for, while one is typed; nothing was told between.
    since: Vec<u8>,
}

impl Line {
    fn new(choices: u8, foreign: Foreign) -> Self {
        let access = if choices & 1 == 0 { Access::Open } else { Access::Login };
        let (name, banner) = (foreign.text(0), foreign.text(1));
        let session = Session::new(&name, &banner, access);
        let bound = WAITING + GROWTH * (name.len() + banner.len());
        let known = matches!(access, Access::Open).then_some(Role::Configure);
        let mut line = Self {
            session,
            screen: Screen::default(),
            foreign,
            asked: None,
            chunk: [1, 2, 7, 4096][usize::from(choices >> 1 & 3)],
            prompt_box: choices & 8 == 0,
            fast: choices & 16 == 0,
            bound,
            known,
            since: Vec::new(),
        };
        line.settled(None);
        line
    }

    fn typed(&mut self, bytes: &[u8]) {
        if bytes.contains(&INTERRUPT) {
            // What was not sent is given up, within a character perhaps.
            self.screen.cut();
            self.since.clear();
        }
        let ask = self.session.input(bytes);
        self.settled(ask);
    }

    /// Something other than a key.
    fn happens(&mut self, what: u8, which: u8) {
        let ask = match what {
            0xf8 => self.sent(usize::from(which)),
            0xf9 => self.sent(self.session.output().len()),
            // An answer of any kind, asked for or not.
            0xfa => {
                if matches!(self.asked, Some(Ask::Request(_))) {
                    self.asked = None;
                }
                let reply = any_reply(which, &self.foreign);
                self.replied(reply)
            }
            0xfb => {
                let text = self.foreign.text(usize::from(which));
                self.since.clear();
                self.bound += GROWTH * text.len();
                self.session.notice(&text);
                None
            }
            0xfc => self.verified(which),
            0xfd => self.answered(),
            0xfe => {
                // Nobody waits for an answer any more.
                self.asked = None;
                self.session.end("nobody has typed for long");
                assert!(self.session.is_over());
                None
            }
            _ => None,
        };
        self.settled(ask);
    }

    fn replied(&mut self, reply: Reply) -> Option<Ask> {
        self.bound += GROWTH * self.foreign.weight() + (4 << 10);
        self.session.reply(reply)
    }

    fn verified(&mut self, which: u8) -> Option<Ask> {
        let waits = matches!(self.asked, Some(Ask::Login { .. }));
        let roles = [Role::View, Role::Operate, Role::Configure];
        let result = match roles.get(usize::from(which & 3)) {
            Some(&role) => {
                if waits {
                    self.known = Some(role);
                }
                Ok(role)
            }
            None => Err(self.foreign.text(usize::from(which >> 2))),
        };
        if waits {
            self.asked = None;
        }
        self.bound += GROWTH * self.foreign.weight();
        self.session.login_result(result)
    }

    /// Answers what was asked as the box does.
    fn answered(&mut self) -> Option<Ask> {
        match self.asked.clone() {
            None => None,
            Some(Ask::Request(request)) => {
                self.asked = None;
                let reply = fitting(&request, &self.foreign);
                self.replied(reply)
            }
            Some(Ask::Login { user, .. }) => {
                let known = ["eve", "otto", "anna"].iter().position(|name| *name == user);
                self.verified(known.map_or(3, |role| u8::try_from(role).unwrap_or(3)))
            }
        }
    }

    /// The line takes some octets.
    fn sent(&mut self, octets: usize) -> Option<Ask> {
        let output = self.session.output();
        let taken = &output[..octets.min(output.len())];
        self.screen.print(taken);
        self.since.extend_from_slice(taken);
        self.session.advance(octets)
    }

    /// What must hold after everything that happens; then the box and the line do their part.
    fn settled(&mut self, ask: Option<Ask>) {
        let mut ask = ask;
        loop {
            if let Some(asked) = ask.take() {
                self.asks(&asked);
                self.asked = Some(asked);
            }
            let waiting = self.session.output().len();
            assert!(waiting <= self.bound, "{waiting} octets wait");
            assert!(self.session.room() <= 64 << 10);
            let user = self.session.user().map(|(_, role)| role);
            assert_eq!(user, self.known, "who it is");
            if self.prompt_box && self.asked.is_some() {
                ask = self.answered();
            } else if self.fast && waiting > 0 {
                ask = self.sent(waiting);
            } else {
                return;
            }
        }
    }

    /// One thing at a time is asked for, and nothing that the user may not.
    fn asks(&mut self, ask: &Ask) {
        assert!(self.asked.is_none(), "{ask:?} while {:?} is not answered", self.asked);
        assert!(!self.session.is_over(), "{ask:?} after the end");
        match ask {
            Ask::Request(request) => {
                let role = self.known.expect("somebody signed in");
                assert!(request.role() <= role, "{request:?} of a user who may {role}");
            }
            Ask::Login { user, password } => {
                assert_eq!(self.known, None);
                assert!(!user.trim().is_empty() && user.len() <= 2 * limits::CONSOLE_LINE_OCTETS);
                assert!(password.len() <= 2 * limits::CONSOLE_LINE_OCTETS);
                self.unseen(password);
            }
        }
    }

    /// A password is not shown as it is typed.
    fn unseen(&mut self, password: &str) {
        self.since.extend_from_slice(self.session.output());
        let question = b"password: ";
        let asked = self.since.windows(question.len()).rposition(|text| text == question);
        if let (Some(at), 3..) = (asked, password.len()) {
            let behind = &self.since[at + question.len()..];
            assert!(!behind.windows(password.len()).any(|text| text == password.as_bytes()));
        }
        self.since.clear();
    }

    /// The session ends as one does that nobody uses; nothing is asked for afterwards.
    fn ends(mut self) {
        self.session.notice("a line of the log");
        self.session.end("nobody has typed for long");
        assert!(self.session.is_over());
        assert_eq!(self.session.input(b"\x03show ports\r"), None);
        assert_eq!(self.session.reply(any_reply(0, &self.foreign)), None);
        self.screen.cut();
        let rest = self.session.output().len();
        assert_eq!(self.sent(rest), None);
        assert!(self.session.output().is_empty());
    }
}

const INTERRUPT: u8 = 0x03;
