//! What is wrong with a document, and where.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::limits;

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1.
    pub line: u32,
    /// Character in the line, counted from 1.
    pub column: u32,
    /// The key or table, as a dotted TOML key; `document` for the document as a whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What would be legal.
    pub legal: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, path, what, legal } = self;
        write!(f, "{line}:{column} {path}: {what}, {legal}")
    }
}

impl core::error::Error for Problem {}

/// Names that are compared for the guesses of one report: some ten milliseconds.
const COMPARISONS: usize = 20_000;

/// Problems as they are found, by octet offset; places are counted at the end, if at all.
pub(super) struct Report<'t> {
    text: &'t str,
    found: Vec<Found>,
    unlisted: usize,
    /// There are syntax errors: what is absent may be what could not be read.
    damaged: bool,
    /// Names that may still be compared to guess what was meant.
    comparisons: usize,
}

struct Found {
    at: usize,
    /// None for a syntax error: no key could be read.
    path: Option<String>,
    what: String,
    legal: String,
}

impl<'t> Report<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new(), unlisted: 0, damaged: false, comparisons: COMPARISONS }
    }

    /// Text that is no TOML.
    pub(super) fn syntax(&mut self, at: usize, what: String, legal: String) {
        self.damaged = true;
        if self.found.last().is_none_or(|last| last.at != at) {
            self.keep(Found { at, path: None, what, legal });
        }
    }

    /// Something is there and wrong.
    pub(super) fn wrong(
        &mut self,
        at: usize,
        path: impl fmt::Display,
        what: impl fmt::Display,
        legal: impl fmt::Display,
    ) {
        if self.is_full() {
            self.unlisted += 1;
            return;
        }
        let path = Some(path.to_string());
        self.keep(Found { at, path, what: what.to_string(), legal: legal.to_string() });
    }

    /// Whether what is found from now on is only counted.
    pub(super) const fn is_full(&self) -> bool {
        self.found.len() >= limits::PROBLEMS
    }

    /// Whether so many names may be compared to guess what was meant. A document with thousands of
    /// wrong names among thousands of right ones is not looked at for minutes.
    pub(super) const fn may_compare(&mut self, names: usize) -> bool {
        let left = if self.is_full() { None } else { self.comparisons.checked_sub(names) };
        match left {
            Some(left) => {
                self.comparisons = left;
                true
            }
            None => false,
        }
    }

    /// Something is not there. In a damaged document that says nothing.
    pub(super) fn absent(
        &mut self,
        at: usize,
        path: impl fmt::Display,
        what: impl fmt::Display,
        legal: impl fmt::Display,
    ) {
        if !self.damaged {
            self.wrong(at, path, what, legal);
        }
    }

    /// The value if nothing was found, else every problem in the order of their places.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.found.is_empty() => return Ok(value),
            Some(_) => {}
            None if self.found.is_empty() => {
                self.wrong(0, "document", "it cannot be read", "expected a complete document");
            }
            None => {}
        }
        self.found.sort_by_key(|found| found.at);
        let places = Places::of(self.text);
        let syntax = self.found.iter().filter(|found| found.path.is_none());
        let broken: BTreeSet<usize> = syntax.map(|found| places.line(found.at)).collect();
        let mut told: BTreeSet<usize> = BTreeSet::new();
        // What else is wrong on a line that could not be read is the echo of that.
        self.found.retain(|found| {
            let line = places.line(found.at);
            !broken.contains(&line) || (found.path.is_none() && told.insert(line))
        });
        let mut problems: Vec<Problem> =
            self.found.drain(..).map(|found| places.problem(found)).collect();
        if self.unlisted > 0 {
            let what = format!("{} further problems are not listed", self.unlisted);
            let legal = "correct the first ones and check again".to_owned();
            let path = Some("document".to_owned());
            problems.push(places.problem(Found { at: self.text.len(), path, what, legal }));
        }
        Err(problems)
    }

    fn keep(&mut self, found: Found) {
        if self.is_full() {
            self.unlisted += 1;
        } else {
            self.found.push(found);
        }
    }
}

/// A piece of the document as a message quotes it: one line, bounded.
pub(super) fn clip(text: &str) -> String {
    let mut clipped = String::new();
    for character in text.chars() {
        if clipped.len() + character.len_utf8() > limits::QUOTE_OCTETS {
            clipped.push('…');
            break;
        }
        clipped.push(if character.is_control() { '\u{fffd}' } else { character });
    }
    clipped
}

/// Where the lines of a text begin, and its table headers.
struct Places<'t> {
    text: &'t str,
    lines: Vec<usize>,
    headers: Vec<(usize, &'t str)>,
}

impl<'t> Places<'t> {
    fn of(text: &'t str) -> Self {
        let (mut lines, mut headers) = (Vec::new(), Vec::new());
        let mut start = 0;
        for line in text.split('\n') {
            lines.push(start);
            if let Some(rest) = line.trim_start().strip_prefix('[') {
                let name = rest.split([']', '#', '=', ',']).next().unwrap_or_default();
                headers.push((start, name.trim_matches(|c: char| c == '[' || c.is_whitespace())));
            }
            start += line.len() + 1;
        }
        Self { text, lines, headers }
    }

    /// The line that holds an offset, counted from 0.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|&start| start <= at).saturating_sub(1)
    }

    /// The table whose header stands nearest above: the place of what no key belongs to.
    fn table_above(&self, at: usize) -> String {
        let after = self.headers.partition_point(|&(start, _)| start <= at);
        match after.checked_sub(1).and_then(|index| self.headers.get(index)) {
            Some((_, name)) if !name.is_empty() => clip(name),
            Some(_) | None => "document".to_owned(),
        }
    }

    fn problem(&self, found: Found) -> Problem {
        let line = self.line(found.at);
        let start = self.lines.get(line).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..found.at).unwrap_or_default();
        // Characters, not octets: continuation octets of UTF-8 do not count.
        let column = before.iter().filter(|&&octet| octet & 0xc0 != 0x80).count();
        let counted = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
        let path = found.path.unwrap_or_else(|| self.table_above(found.at));
        let (line, column) = (counted(line), counted(column));
        Problem { line, column, path, what: found.what, legal: found.legal }
    }
}
