//! What becomes of a line being typed: a request, an explanation, a refusal.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use model::operator::{Reply, Request};

use super::{Ask, BEHIND, Parts, Session, State, Waiting, Wish};
use crate::commands::{Action, Command, Mode};
use crate::editor::Done;
use crate::help;
use crate::keys::Key;
use crate::lookup;
use crate::options::{self, Choice, Options};
use crate::pager::Pager;
use crate::parse::{self, Confusion, Line, Pass};
use crate::paste::Paste;
use crate::render;
use crate::view::{View, view};

impl Session {
    pub(super) fn key(&mut self, key: Key) -> Option<Ask> {
        let options = || options::options(&self.editor.before_cursor(), self.scope());
        match key {
            Key::Tab => {
                let options = options();
                return self.wish(options, Wish::Complete);
            }
            Key::Character(b'?') if !options().is_text() => {
                let options = options();
                self.out.push(b'?');
                return self.wish(options, Wish::Explain);
            }
            Key::Redraw => {
                self.out.extend_from_slice(b"\r\n");
                self.prompt();
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

    fn edit(&mut self, key: Key) -> Option<Ask> {
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

    fn run(&mut self, line: &str) -> Option<Ask> {
        match parse::line(line, self.scope()) {
            Ok(Line::Empty) => self.prompt(),
            Ok(Line::Help(commands)) => self.page(help::commands(&commands)),
            Ok(Line::Run(command, given, filters)) => return self.act(command, &given, filters),
            Err(confusion) => self.refuse(&confusion),
        }
        None
    }

    fn act(
        &mut self,
        command: &'static Command,
        given: &[String],
        filters: Vec<Pass>,
    ) -> Option<Ask> {
        match command.action {
            Action::Show(topic) => return self.ask(Request::Show(topic), filters, self.mode),
            Action::Ask(make) => match make(given) {
                Ok(request) => return self.ask(request, filters, self.mode),
                Err(confusion) => self.refuse(&confusion),
            },
            Action::Configure { take_over } => {
                let request = Request::ConfigureEnter { take_over };
                return self.ask(request, filters, Mode::Configuration);
            }
            Action::Leave { discard } => {
                return self.ask(Request::ConfigureExit { discard }, filters, Mode::Operation);
            }
            Action::Load => {
                self.line("type or paste a document; Ctrl-D ends it, Ctrl-C gives it up");
                self.state = State::Pasting(Paste::default());
            }
            Action::Help | Action::Run => self.page(help::commands(&[command])),
            Action::Logout => {
                self.line("the session ends");
                self.state = State::Over;
            }
        }
        None
    }

    pub(super) fn ask(&mut self, request: Request, filters: Vec<Pass>, mode: Mode) -> Option<Ask> {
        self.stop = false;
        self.state = State::Waiting(Waiting::Reply(filters, mode, Parts::default()));
        Some(Ask::Request(request))
    }

    fn refuse(&mut self, confusion: &Confusion) {
        for line in render::wrapped(&format!("{confusion}"), render::WIDTH) {
            self.line(&line);
        }
        self.prompt();
    }

    /// Shows one of several replies at once: a person waits for them.
    pub(super) fn show_part(&mut self, reply: Reply, filters: &[Pass], parts: &mut Parts) {
        let (view, json) = view(reply, filters);
        if let View::Count(rows) = view {
            parts.rows += rows;
        } else if self.output().len() > BEHIND {
            parts.left_out += 1;
        } else {
            let text = if json { render::json(&view) } else { render::text(&view) };
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    /// Shows a reply; what is not refused leads to `mode`.
    pub(super) fn show(&mut self, reply: Reply, filters: &[Pass], mode: Mode, parts: Parts) {
        if !matches!(reply, Reply::Refused(_) | Reply::Problems(_)) {
            self.enter(mode);
        }
        if parts.left_out > 0 {
            let left_out = parts.left_out;
            self.line(&format!(
                "{left_out} lines were left out: the line is slower than they came"
            ));
        }
        let (mut view, json) = view(reply, filters);
        if let View::Count(rows) = &mut view {
            *rows += parts.rows;
        }
        let text = if json { render::json(&view) } else { render::text(&view) };
        if json || filters.contains(&Pass::NoPage) {
            self.out.extend_from_slice(text.as_bytes());
            self.prompt();
        } else {
            self.page(text);
        }
    }

    /// Shows a text, page by page if it is longer than the screen.
    fn page(&mut self, text: String) {
        match Pager::begin(text, &mut self.out) {
            Some(pager) => self.state = State::Paging(pager),
            None => self.prompt(),
        }
    }

    pub(super) fn enter(&mut self, mode: Mode) {
        self.mode = mode;
        let sign = match mode {
            Mode::Operation => '>',
            Mode::Configuration => '#',
        };
        self.editor.set_prompt(format!("{}{sign} ", self.name));
    }

    /// Finds out what may follow, if need be, and does something with it.
    fn wish(&mut self, options: Options, wish: Wish) -> Option<Ask> {
        let Some(lookup) = &options.lookup else {
            self.grant(&options, wish);
            return None;
        };
        let request = lookup::request(lookup);
        self.state = State::Waiting(Waiting::Options(options, wish));
        Some(Ask::Request(request))
    }

    pub(super) fn grant(&mut self, options: &Options, wish: Wish) {
        match wish {
            Wish::Complete => self.complete(options),
            Wish::Explain => self.explain(options),
        }
    }

    fn explain(&mut self, options: &Options) {
        self.out.extend_from_slice(b"\r\n");
        self.page(help::options(options));
    }

    /// Completes the word that was begun as far as it is sure, or lists what it could be.
    fn complete(&mut self, options: &Options) {
        let begun = options.begun.len();
        let common = match &options.words[..] {
            [] => return self.bell(),
            // A path may go on behind its dot.
            [only] if only.word.ends_with('.') => only.word.clone(),
            [only] => format!("{} ", only.word),
            [first, rest @ ..] => {
                let shared = |choice: &Choice| {
                    let both = first.word.bytes().zip(choice.word.bytes());
                    both.take_while(|(a, b)| a == b).count()
                };
                let length = rest.iter().map(shared).min().unwrap_or(0);
                first.word.get(..length).unwrap_or_default().into()
            }
        };
        if common.len() > begun {
            if !self.editor.insert(common.get(begun..).unwrap_or_default()) {
                self.bell();
            }
            self.editor.draw(&mut self.out);
        } else {
            self.explain(options);
        }
    }
}
