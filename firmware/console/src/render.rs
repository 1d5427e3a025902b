//! Writing a [`View`] down: as text for 80 columns, or as JSON (RFC 8259). Lines end in CR LF.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};

use crate::view::{Cell, Column, View};

/// Columns of a screen that are used.
pub(crate) const WIDTH: usize = 79;
/// How far the second line of a row that needs several is indented.
const INDENT: usize = 4;

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(true) => f.write_str("yes"),
            Self::Flag(false) => f.write_str("no"),
            Self::Nothing => f.write_str("-"),
            Self::List(elements) if elements.is_empty() => f.write_str("-"),
            Self::List(elements) => f.write_str(&elements.join(" ")),
            Self::Time(at) => {
                write!(f, "{}.{:03}", at.as_millis() / 1_000, at.as_millis() % 1_000)
            }
        }
    }
}

/// A view as text. What comes from outside cannot control the terminal.
pub(crate) fn text(view: &View) -> String {
    let mut out = String::new();
    match view {
        View::Table { rows, .. } if rows.is_empty() => line(&mut out, "none"),
        View::Table { columns, rows } => table(&mut out, columns, rows),
        View::Record(fields) if fields.is_empty() => line(&mut out, "none"),
        View::Record(fields) => record(&mut out, fields),
        View::Parts { sentence: Some(text), .. } => sentence(&mut out, text),
        View::Parts { sentence: None, own, parts } => {
            record(&mut out, own);
            for (name, part) in parts.iter().filter(|(_, part)| !part.is_empty()) {
                if !out.is_empty() {
                    line(&mut out, "");
                }
                line(&mut out, &alloc::format!("{name}:"));
                out.push_str(&self::text(part));
            }
            if out.is_empty() {
                line(&mut out, "none");
            }
        }
        View::Lines(lines) => lines.iter().for_each(|text| line(&mut out, text)),
        View::Events(events) => events.iter().for_each(|(text, _)| event(&mut out, text)),
        View::Summary(text, _) => event(&mut out, text),
        View::Problems(problems) => {
            problems.iter().for_each(|problem| sentence(&mut out, problem));
            line(&mut out, "nothing was changed");
        }
        View::Sentence(_, text) => sentence(&mut out, text),
        View::Count(count) => line(&mut out, &count.to_string()),
    }
    out
}

/// Names and values, in as many lines as each value takes.
fn record(out: &mut String, fields: &[(String, Cell)]) {
    let width = fields.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    for (name, cell) in fields {
        line(out, &alloc::format!("{name:width$}  {cell}"));
    }
}

/// A line; what comes from outside cannot control the terminal.
pub(crate) fn line(out: &mut String, text: &str) {
    out.extend(text.trim_end().chars().map(|c| if c.is_control() && c != '\t' { '?' } else { c }));
    out.push_str("\r\n");
}

/// A line as it is, if it fits; else as a sentence.
fn event(out: &mut String, text: &str) {
    if width(text) <= WIDTH { line(out, text) } else { sentence(out, text) }
}

/// A sentence in as many lines as it takes; an empty one in none.
fn sentence(out: &mut String, text: &str) {
    for (index, piece) in wrapped(text, WIDTH - 2).iter().enumerate() {
        let indent = if index == 0 { 0 } else { 2 };
        line(out, &alloc::format!("{:indent$}{piece}", ""));
    }
}

/// A paragraph in lines of so many columns.
pub(crate) fn wrapped(paragraph: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.into()),
        }
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A table whose columns are as wide as their widest value. Where they do not fit side by side,
/// every row takes as many lines as it needs, each column always in the same place.
fn table(out: &mut String, columns: &[Column], rows: &[Vec<Cell>]) {
    let seen: Vec<usize> = (0..columns.len()).filter(|&index| !columns[index].detail).collect();
    let heads: Vec<String> = seen.iter().map(|&index| columns[index].name.into()).collect();
    let values = |row: &Vec<Cell>| -> Vec<String> {
        let cells = seen.iter().map(|&index| row.get(index).unwrap_or(&Cell::Nothing));
        cells.map(ToString::to_string).collect()
    };
    let lines: Vec<Vec<String>> = core::iter::once(heads).chain(rows.iter().map(values)).collect();
    let mut widths = alloc::vec![0; seen.len()];
    for (widest, text) in lines.iter().flat_map(|line| widths_of(line)) {
        widths[widest] = widths[widest].max(text);
    }
    let right: Vec<bool> = seen.iter().map(|&column| is_number(rows, column)).collect();
    for row in &lines {
        write_row(out, row, &widths, &right);
    }
}

/// The width of each value of a row, with its place.
fn widths_of(row: &[String]) -> impl Iterator<Item = (usize, usize)> {
    row.iter().map(|text| width(text)).enumerate()
}

fn write_row(out: &mut String, row: &[String], widths: &[usize], right: &[bool]) {
    let mut text = String::new();
    let mut used = 0;
    for ((value, &wide), &right) in row.iter().zip(widths).zip(right) {
        if used > 0 && used + 2 + wide > WIDTH {
            line(out, &text);
            text = " ".repeat(INDENT);
            used = INDENT;
        } else if used > 0 {
            text.push_str("  ");
            used += 2;
        }
        let padding = " ".repeat(wide.saturating_sub(width(value)));
        if right {
            text.push_str(&padding);
        }
        text.push_str(value);
        if !right {
            text.push_str(&padding);
        }
        used += wide;
    }
    line(out, &text);
}

/// Whether a column holds numbers only: they stand under each other's ends.
fn is_number(rows: &[Vec<Cell>], column: usize) -> bool {
    rows.iter().filter_map(|row| row.get(column)).all(|cell| match cell {
        Cell::Number(_) | Cell::Nothing | Cell::Time(_) => true,
        Cell::Text(_) | Cell::Flag(_) | Cell::List(_) => false,
    })
}

/// A view as JSON: a table is an array of objects, one on a line; names and values are an object;
/// lines are an array of strings; what goes on is an object on a line for each event.
pub(crate) fn json(view: &View) -> String {
    let mut out = String::new();
    match view {
        View::Table { columns, rows } => {
            let names = || columns.iter().map(|column| column.name);
            let rows = rows.iter().map(|row| object(names().zip(row)));
            array(&mut out, rows);
        }
        View::Record(fields) => {
            out.push_str(&object(fields.iter().map(|(name, cell)| (name, cell))));
        }
        View::Parts { own, parts, .. } => {
            let own = own.iter().map(|(name, cell)| (name.as_str(), value(cell)));
            let parts = parts.iter().map(|(name, part)| (*name, json(part).trim_end().into()));
            members(&mut out, own.chain(parts));
        }
        View::Events(events) => {
            let objects: Vec<String> = events
                .iter()
                .map(|(_, fields)| object(fields.iter().map(|(name, cell)| (name, cell))))
                .collect();
            if objects.is_empty() {
                return out;
            }
            out.push_str(&objects.join("\r\n"));
        }
        View::Summary(_, fields) => {
            out.push_str(&object(fields.iter().map(|(name, cell)| (name, cell))));
        }
        View::Lines(lines) | View::Problems(lines) => {
            array(&mut out, lines.iter().map(|text| quoted(text)))
        }
        View::Sentence(name, sentence) => {
            out.push_str(&object([(name, &Cell::Text(sentence.clone()))].into_iter()));
        }
        View::Count(count) => {
            let _ = write!(out, "{{\"count\":{count}}}");
        }
    }
    out.push_str("\r\n");
    out
}

fn array(out: &mut String, elements: impl Iterator<Item = String>) {
    out.push('[');
    for (index, element) in elements.enumerate() {
        out.push_str(if index == 0 { "\r\n" } else { ",\r\n" });
        out.push_str(&element);
    }
    out.push_str("\r\n]");
}

fn object<'c>(fields: impl Iterator<Item = (impl AsRef<str>, &'c Cell)>) -> String {
    let mut out = String::new();
    members(&mut out, fields.map(|(name, cell)| (name, value(cell))));
    out
}

/// An object of names and JSON.
fn members(out: &mut String, members: impl Iterator<Item = (impl AsRef<str>, String)>) {
    out.push('{');
    for (index, (name, json)) in members.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}{}:{json}", quoted(name.as_ref()));
    }
    out.push('}');
}

fn value(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => quoted(text),
        Cell::Number(_) | Cell::Time(_) => cell.to_string(),
        Cell::Flag(flag) => flag.to_string(),
        Cell::Nothing => "null".into(),
        Cell::List(elements) => {
            let elements: Vec<String> = elements.iter().map(|text| quoted(text)).collect();
            alloc::format!("[{}]", elements.join(","))
        }
    }
}

/// A JSON string (RFC 8259 §7). Every control character is escaped, DEL and the C1 set too, which
/// a terminal would obey.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
