//! A cluster document that is being edited: its keys and values as they were written, whether or
//! not they fit together. [`super::Config`] is what comes of it when they do.
//!
//! A document is written down in one way only: keys before tables, both sorted, arrays in a line.
//! Comments do not survive.

mod complete;
mod diff;
mod edit;
mod path;

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Report};
use super::raw;

pub use complete::complete;
pub use diff::{Difference, diff};
pub use edit::EditError;

use path::written;

/// A document that is being edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    root: Table,
}

/// Keys and what stands behind them.
type Table = BTreeMap<String, Value>;

/// What stands behind a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Table(Table),
    Text(String),
    Array(Vec<Value>),
    /// A number, a date or `true`, as it is written.
    Literal(String),
}

impl Document {
    /// Reads a document without asking what its keys mean.
    ///
    /// # Errors
    /// Every place where it is no TOML, or that it is too long. Never empty.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut report = Report::new(text);
        let root = raw::document(&mut report, text).map(|root| Self { root: table(&root) });
        report.finish(root)
    }

    /// The document in TOML.
    pub fn render(&self) -> String {
        let mut text = String::new();
        render_table(&mut text, &mut Vec::new(), &self.root);
        text
    }

    /// What stands at a path, in TOML: a table with all that is in it, or the line of one key.
    /// `None`: nothing does, or the path is none. An empty path is the whole document.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut names = path::parse(path)?;
        let value = self.find(&names)?;
        let mut text = String::new();
        match value {
            Found::Table(table) => render_table(&mut text, &mut names, table),
            Found::Value(value) => {
                let name = names.last().map(|name| path::key(name)).unwrap_or_default();
                text = format!("{name} = {}\n", inline(value));
            }
        }
        Some(text)
    }

    /// What stands at a path.
    fn find(&self, names: &[String]) -> Option<Found<'_>> {
        let mut table = &self.root;
        for (index, name) in names.iter().enumerate() {
            match table.get(name)? {
                Value::Table(inner) => table = inner,
                value @ (Value::Text(_) | Value::Array(_) | Value::Literal(_)) => {
                    return (index + 1 == names.len()).then_some(Found::Value(value));
                }
            }
        }
        Some(Found::Table(table))
    }
}

enum Found<'d> {
    Table(&'d Table),
    Value(&'d Value),
}

fn table(read: &DeTable<'_>) -> Table {
    let entries = read.iter();
    entries.map(|(key, value)| (key.get_ref().to_string(), self::value(value.get_ref()))).collect()
}

fn value(read: &DeValue<'_>) -> Value {
    match read {
        DeValue::Table(inner) => Value::Table(table(inner)),
        DeValue::Array(elements) => {
            Value::Array(elements.iter().map(|element| value(element.get_ref())).collect())
        }
        DeValue::String(text) => Value::Text(text.to_string()),
        // A hexadecimal number loses its base in `as_str`.
        DeValue::Integer(number) => Value::Literal(number.to_string()),
        DeValue::Float(number) => Value::Literal(number.to_string()),
        DeValue::Boolean(flag) => Value::Literal(flag.to_string()),
        DeValue::Datetime(time) => Value::Literal(time.to_string()),
    }
}

/// A table with its header, where one is needed, and everything in it.
fn render_table(out: &mut String, names: &mut Vec<String>, table: &Table) {
    let is_table = |value: &Value| matches!(value, Value::Table(_));
    let has_values = table.values().any(|value| !is_table(value));
    if !names.is_empty() && (has_values || table.is_empty()) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("[{}]\n", written(names)));
    }
    for (name, value) in table.iter().filter(|(_, value)| !is_table(value)) {
        out.push_str(&format!("{} = {}\n", path::key(name), inline(value)));
    }
    for (name, value) in table {
        if let Value::Table(inner) = value {
            names.push(name.clone());
            render_table(out, names, inner);
            names.pop();
        }
    }
}

/// A value within a line.
fn inline(value: &Value) -> String {
    match value {
        Value::Text(text) => path::quoted(text),
        Value::Literal(literal) => literal.clone(),
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(inline).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Table(inner) => {
            let entries = inner.iter();
            let entries =
                entries.map(|(key, value)| format!("{} = {}", path::key(key), inline(value)));
            let entries: Vec<String> = entries.collect();
            if entries.is_empty() { "{}".into() } else { format!("{{ {} }}", entries.join(", ")) }
        }
    }
}
