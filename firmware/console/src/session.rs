//! One person at one line.
//!
//! ```text
//!             Enter: a request                    reply
//!   Typing ────────────────────> Waiting ─────────────────────> Typing
//!     │ ▲                         what is typed meanwhile waits too
//!     └─┘ keys, and lines that the console answers itself
//! ```

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use model::limits;
use model::operator::{Reply, Request};

use crate::commands::{Action, Command};
use crate::editor::{Done, Editor};
use crate::keys::{Decoder, Key};
use crate::parse::{self, Line, Options, Pass};
use crate::render;
use crate::view::view;

/// Octets of output beyond which the line counts as far behind: 17 s of it at 9600 baud. Then
/// notices are left out and keys wait, so that nobody can make the output grow by typing.
const BEHIND: usize = 16 << 10;

/// One person at one line. It owns what is to be sent until the line takes it.
#[derive(Debug)]
pub struct Session {
    decoder: Decoder,
    editor: Editor,
    /// The filters of the request that is not answered yet.
    waiting: Option<Vec<Pass>>,
    /// Typed while waiting.
    ahead: VecDeque<u8>,
    out: Vec<u8>,
    sent: usize,
}

impl Session {
    /// A session that greets with `banner`, lines of text, and prompts with `name`.
    pub fn new(name: &str, banner: &str) -> Self {
        let printable = |text: &str| -> String {
            text.chars().filter(|c| c.is_ascii_graphic()).take(limits::NAME_OCTETS).collect()
        };
        let mut session = Self {
            decoder: Decoder::default(),
            editor: Editor::new(format!("{}> ", printable(name))),
            waiting: None,
            ahead: VecDeque::new(),
            out: Vec::new(),
            sent: 0,
        };
        session.line("");
        for text in banner.lines() {
            session.line(text);
        }
        session.editor.draw_anew(&mut session.out);
        session
    }

    /// Takes bytes that arrived. A request is to be carried, and answered by [`Self::reply`];
    /// until then what is typed waits, up to a line of it. So it does while the line is far
    /// behind with the output.
    pub fn input(&mut self, bytes: &[u8]) -> Option<Request> {
        let mut request = None;
        for &byte in bytes {
            if byte == INTERRUPT {
                self.ahead.clear();
                self.interrupt();
            } else if self.ahead.len() < limits::CONSOLE_LINE_OCTETS {
                self.ahead.push_back(byte);
            }
            request = request.or_else(|| self.work());
        }
        request
    }

    /// Shows the answer to the last request, and goes on with what was typed meanwhile. A reply
    /// that nobody asked for is ignored.
    pub fn reply(&mut self, reply: Reply) -> Option<Request> {
        let filters = self.waiting.take()?;
        let (view, json) = view(reply, &filters);
        let text = if json { render::json(&view) } else { render::text(&view) };
        self.out.extend_from_slice(text.as_bytes());
        self.editor.draw_anew(&mut self.out);
        self.work()
    }

    /// Writes a line of the log between what is typed. Left out while the line is far behind.
    pub fn notice(&mut self, text: &str) {
        if self.output().len() > BEHIND {
            return;
        }
        if self.waiting.is_some() {
            return self.line(text);
        }
        self.editor.wipe(&mut self.out);
        self.line(text);
        self.editor.draw_anew(&mut self.out);
    }

    /// What is to be sent.
    pub fn output(&self) -> &[u8] {
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// Tells that the first `octets` of [`Self::output`] were sent. What was typed while the line
    /// was far behind is looked at now, and may ask for something.
    pub fn advance(&mut self, octets: usize) -> Option<Request> {
        self.sent = self.out.len().min(self.sent.saturating_add(octets));
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        self.work()
    }

    fn work(&mut self) -> Option<Request> {
        while self.waiting.is_none() && self.output().len() <= BEHIND {
            let byte = self.ahead.pop_front()?;
            let Some(key) = self.decoder.byte(byte) else { continue };
            if let Some(request) = self.key(key) {
                return Some(request);
            }
        }
        None
    }

    fn key(&mut self, key: Key) -> Option<Request> {
        let before = self.editor.before_cursor();
        match key {
            Key::Tab => self.complete(&before),
            Key::Character(b'?') if !parse::options(&before).free => {
                self.out.extend_from_slice(b"?\r\n");
                self.explain(&parse::options(&before));
                self.editor.draw_anew(&mut self.out);
            }
            Key::Redraw => {
                self.out.extend_from_slice(b"\r\n");
                self.editor.draw_anew(&mut self.out);
            }
            edit @ (Key::Character(_)
            | Key::Enter
            | Key::Backspace
            | Key::Delete
            | Key::Left
            | Key::Right
            | Key::Up
            | Key::Down
            | Key::Home
            | Key::End
            | Key::Interrupt
            | Key::EraseToStart
            | Key::EraseToEnd
            | Key::EraseWord) => return self.edit(edit),
        }
        None
    }

    fn edit(&mut self, key: Key) -> Option<Request> {
        match self.editor.key(key) {
            Done::Edited => self.editor.draw(&mut self.out),
            Done::Nothing => self.bell(),
            Done::GivenUp => self.interrupt(),
            Done::Line(line) => {
                self.out.extend_from_slice(b"\r\n");
                return self.run(&line);
            }
        }
        None
    }

    fn run(&mut self, line: &str) -> Option<Request> {
        match parse::line(line) {
            Ok(Line::Empty) => {}
            Ok(Line::Help(commands)) => self.help(&commands),
            Ok(Line::Run(command, filters)) => match &command.action {
                Action::Ask(request) => {
                    self.waiting = Some(filters);
                    return Some(request.clone());
                }
                Action::Help => self.help(&[command]),
            },
            Err(confusion) => {
                for line in wrapped(&format!("{confusion}")) {
                    self.line(&line);
                }
            }
        }
        self.editor.draw_anew(&mut self.out);
        None
    }

    fn complete(&mut self, before: &str) {
        let options = parse::options(before);
        let begun = options.begun.len();
        let common = match &options.words[..] {
            [] => return self.bell(),
            [(only, _)] => format!("{only} "),
            [(first, _), rest @ ..] => {
                let shared = |(word, _): &(&str, &str)| {
                    first.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count()
                };
                let length = rest.iter().map(shared).min().unwrap_or(0);
                first.get(..length).unwrap_or_default().into()
            }
        };
        if common.len() > begun {
            if !self.editor.insert(common.get(begun..).unwrap_or_default()) {
                self.bell();
            }
            self.editor.draw(&mut self.out);
        } else {
            self.out.extend_from_slice(b"\r\n");
            self.explain(&options);
            self.editor.draw_anew(&mut self.out);
        }
    }

    /// Lists what may follow.
    fn explain(&mut self, options: &Options) {
        for (word, about) in &options.words {
            self.line(&format!("  {word:14}  {about}"));
        }
        if options.free {
            self.line("  TEXT            a text of your choice");
        }
        if options.end {
            self.line("  |               pass the reply through a filter");
            self.line("  <Enter>         do it");
        }
        if options.words.is_empty() && !options.free && !options.end {
            self.line("  nothing is known that goes on like this");
        }
    }

    /// One command in full, several in a line each.
    fn help(&mut self, commands: &[&'static Command]) {
        if let [command] = commands {
            self.line(&format!("{}: {}", command.name, command.about));
            for line in wrapped(command.manual) {
                self.line(&format!("  {line}"));
            }
            return;
        }
        for command in commands {
            self.line(&format!("  {:20}  {}", command.name, command.about));
        }
        self.line("  ... | json, | match TEXT, | count filter a reply; ? and TAB help on the way");
    }

    /// Ctrl-C: no more output, an empty line.
    fn interrupt(&mut self) {
        self.out.truncate(self.sent);
        self.out.extend_from_slice(b"^C\r\n");
        self.decoder = Decoder::default();
        if self.waiting.is_none() {
            self.editor.key(Key::Interrupt);
            self.editor.draw_anew(&mut self.out);
        }
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

/// A paragraph in lines that fit the screen.
fn wrapped(paragraph: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= 76 => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.into()),
        }
    }
    lines
}
