//! One line being typed, and drawing it: only what changed is sent, with printable characters,
//! backspace, and nothing that a terminal could understand in its own way. A line longer than
//! the screen is wide is shown in a window that follows the cursor.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use model::limits;

use crate::keys::Key;

/// Columns that are used. The last one of 80 stays free: terminals differ in what they do there.
const COLUMNS: usize = 79;

/// What a key did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It changed the line, or nothing.
    Edited,
    /// It could not do what it does: the bell.
    Nothing,
    /// The line is finished.
    Line(String),
    /// The line is given up.
    GivenUp,
}

/// One line being typed. Everything in it is printable ASCII.
#[derive(Debug)]
pub(crate) struct Editor {
    prompt: String,
    line: Vec<u8>,
    cursor: usize,
    /// The first character of the line that is shown.
    window: usize,
    /// What stands on the screen behind the prompt.
    shown: Vec<u8>,
    /// Where the terminal's cursor is, from the prompt's end.
    column: usize,
    history: VecDeque<Vec<u8>>,
    /// The line of the history that is shown, counted from the newest, and the line typed before.
    recalled: Option<(usize, Vec<u8>)>,
}

impl Editor {
    pub(crate) fn new(prompt: String) -> Self {
        Self {
            prompt,
            line: Vec::new(),
            cursor: 0,
            window: 0,
            shown: Vec::new(),
            column: 0,
            history: VecDeque::new(),
            recalled: None,
        }
    }

    /// Prompts in another way from the next line on.
    pub(crate) fn set_prompt(&mut self, prompt: String) {
        self.prompt = prompt;
    }

    /// What stands before the cursor.
    pub(crate) fn before_cursor(&self) -> String {
        self.line.iter().take(self.cursor).map(|&octet| char::from(octet)).collect()
    }

    /// Types `text` at the cursor; false when the line is full.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        text.bytes().all(|octet| self.character(octet) == Done::Edited)
    }

    /// Does what a key does. Tab is not the editor's.
    pub(crate) fn key(&mut self, key: Key) -> Done {
        match key {
            Key::Character(octet) => self.character(octet),
            Key::Enter => self.finish(),
            Key::Interrupt => {
                self.clear();
                Done::GivenUp
            }
            Key::Backspace if self.cursor > 0 => self.erase(self.cursor - 1, self.cursor),
            Key::Delete if self.cursor < self.line.len() => {
                self.erase(self.cursor, self.cursor + 1)
            }
            Key::Left if self.cursor > 0 => self.go(self.cursor - 1),
            Key::Right if self.cursor < self.line.len() => self.go(self.cursor + 1),
            Key::Home => self.go(0),
            Key::End => self.go(self.line.len()),
            Key::EraseToStart => self.erase(0, self.cursor),
            Key::EraseToEnd => self.erase(self.cursor, self.line.len()),
            Key::EraseWord => self.erase(self.word_start(), self.cursor),
            Key::Up => self.recall(true),
            Key::Down => self.recall(false),
            Key::Redraw => Done::Edited,
            Key::Backspace | Key::Delete | Key::Left | Key::Right | Key::Tab => Done::Nothing,
        }
    }

    /// Brings the screen from what it shows to what it should show.
    pub(crate) fn draw(&mut self, out: &mut Vec<u8>) {
        let width = COLUMNS.saturating_sub(self.prompt.len()).max(8);
        let hidden = self.window > 0 && self.cursor <= self.window;
        if hidden || self.cursor > self.window + width {
            self.window = self.cursor.saturating_sub(width / 2);
        }
        let end = self.line.len().min(self.window + width);
        let wanted = self.line.get(self.window..end).unwrap_or_default();
        let same = wanted.iter().zip(&self.shown).take_while(|(new, old)| new == old).count();
        let mut column = self.column;
        if wanted != self.shown {
            // Only up to where they differ; from there on everything is written anew.
            travel(out, &mut column, same, &self.shown);
            out.extend_from_slice(wanted.get(same..).unwrap_or_default());
            let rest = self.shown.len().saturating_sub(wanted.len());
            out.extend(core::iter::repeat_n(b' ', rest));
            column = wanted.len() + rest;
        }
        travel(out, &mut column, self.cursor - self.window, wanted);
        self.shown = wanted.to_vec();
        self.column = column;
    }

    /// Writes prompt and line on an empty line of the screen.
    pub(crate) fn draw_anew(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prompt.as_bytes());
        self.shown.clear();
        self.column = 0;
        self.draw(out);
    }

    /// Clears the line of the screen that holds prompt and line.
    pub(crate) fn wipe(&mut self, out: &mut Vec<u8>) {
        out.push(b'\r');
        out.extend(core::iter::repeat_n(b' ', self.prompt.len() + self.shown.len()));
        out.push(b'\r');
        self.shown.clear();
        self.column = 0;
    }

    fn character(&mut self, octet: u8) -> Done {
        let legal = octet.is_ascii_graphic() || octet == b' ';
        if !legal || self.line.len() >= limits::CONSOLE_LINE_OCTETS {
            return Done::Nothing;
        }
        self.line.insert(self.cursor, octet);
        self.cursor += 1;
        Done::Edited
    }

    fn finish(&mut self) -> Done {
        let line = core::mem::take(&mut self.line);
        self.clear();
        let empty = line.iter().all(|&octet| octet == b' ');
        if !empty && self.history.back() != Some(&line) {
            if self.history.len() == limits::CONSOLE_HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(line.clone());
        }
        Done::Line(line.into_iter().map(char::from).collect())
    }

    fn clear(&mut self) {
        self.line.clear();
        self.cursor = 0;
        self.window = 0;
        self.shown.clear();
        self.column = 0;
        self.recalled = None;
    }

    fn go(&mut self, cursor: usize) -> Done {
        self.cursor = cursor;
        Done::Edited
    }

    fn erase(&mut self, from: usize, to: usize) -> Done {
        self.line.drain(from..to);
        self.go(from)
    }

    fn word_start(&self) -> usize {
        let before = self.line.get(..self.cursor).unwrap_or_default();
        let word = before.iter().rposition(|&octet| octet != b' ').map_or(0, |last| last + 1);
        let space = before.iter().take(word).rposition(|&octet| octet == b' ');
        space.map_or(0, |space| space + 1)
    }

    fn recall(&mut self, older: bool) -> Done {
        let (age, typed) = match (self.recalled.take(), older) {
            (None, true) => (0, core::mem::take(&mut self.line)),
            (Some((age, typed)), true) if age + 1 < self.history.len() => (age + 1, typed),
            (Some((age, typed)), false) if age > 0 => (age - 1, typed),
            (Some((_, typed)), false) => {
                self.line = typed;
                return self.go(self.line.len());
            }
            (recalled @ Some(_), true) | (recalled @ None, false) => {
                self.recalled = recalled;
                return Done::Nothing;
            }
        };
        match self.history.iter().rev().nth(age) {
            Some(line) => {
                self.line.clone_from(line);
                self.recalled = Some((age, typed));
                self.go(self.line.len())
            }
            None => {
                self.line = typed;
                Done::Nothing
            }
        }
    }
}

/// Moves the terminal's cursor: back with backspaces, forth by writing again what stands there.
fn travel(out: &mut Vec<u8>, column: &mut usize, to: usize, text: &[u8]) {
    out.extend(core::iter::repeat_n(0x08, column.saturating_sub(to)));
    out.extend_from_slice(text.get(*column..to).unwrap_or_default());
    *column = to;
}
