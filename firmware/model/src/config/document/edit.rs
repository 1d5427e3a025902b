//! Changing one key: the schema says what may stand there, and a wrong value is refused at once.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::super::problem::{Report, clip};
use super::super::raw;
use super::super::read::{Place, suggestion};
use super::super::schema::{CLUSTER_DOCUMENT, Key, Kind, Section};
use super::path::{self, written};
use super::{Document, Table, Value};
use crate::limits;

/// Why a key was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The path is no dotted key.
    NoPath(String),
    /// The schema has no such key; the path as far as it goes, and what would be legal.
    Unknown(String, String),
    /// The key is known and not built yet.
    Later(String),
    /// The path ends at a table, or at the name that is to follow one.
    Incomplete(String),
    /// The value is wrong: why, and what would be legal.
    Value(String, String, String),
    /// Nothing stands there.
    Absent(String),
    /// The document would be longer than a document may be.
    TooLong,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPath(text) => write!(
                f,
                "\"{text}\" is no path, expected names joined by dots such as vip.www.address"
            ),
            Self::Unknown(path, legal) => write!(f, "{path}: unknown key, {legal}"),
            Self::Later(path) => write!(f, "{path}: not built yet, leave it out"),
            Self::Incomplete(path) => {
                write!(f, "{path}: this is a table, expected the path of a key in it")
            }
            Self::Value(path, what, legal) => write!(f, "{path}: {what}, {legal}"),
            Self::Absent(path) => write!(f, "{path}: nothing is set there"),
            Self::TooLong => write!(
                f,
                "the document would be longer than {} octets, expected less",
                limits::DOCUMENT_OCTETS
            ),
        }
    }
}

impl core::error::Error for EditError {}

/// What the schema has at a path.
enum Target {
    /// A key with a value.
    Value(&'static Key),
    /// A table with keys of its own.
    Section,
    /// Tables by name.
    Names,
}

impl Document {
    /// Sets a key. The value is TOML, or what a person types instead: a bare word, a number, a
    /// list with commas. A table is made by setting it to nothing.
    ///
    /// # Errors
    /// Says what is wrong with the path or the value. How values fit together is not looked at.
    pub fn set(&mut self, path: &str, value: &str) -> Result<(), EditError> {
        let names = names(path)?;
        let value = match target(&names)? {
            Target::Value(key) => typed(&key.kind, value.trim()),
            Target::Section if matches!(value.trim(), "" | "{}") => Value::Table(Table::new()),
            Target::Section | Target::Names => {
                return Err(EditError::Incomplete(written(&names)));
            }
        };
        check(&names, &value)?;
        let mut changed = self.clone();
        changed.put(&names, value).ok_or_else(|| EditError::NoPath(clip(path)))?;
        if changed.render().len() > limits::DOCUMENT_OCTETS {
            return Err(EditError::TooLong);
        }
        *self = changed;
        Ok(())
    }

    /// Removes a key, or a table with all that is in it.
    ///
    /// # Errors
    /// Nothing stands there, or the path is none.
    pub fn delete(&mut self, path: &str) -> Result<(), EditError> {
        let names = names(path)?;
        let Some((last, above)) = names.split_last() else {
            return Err(EditError::NoPath(clip(path)));
        };
        let absent = || EditError::Absent(written(&names));
        let table = self.table_mut(above).ok_or_else(absent)?;
        table.remove(last).ok_or_else(absent)?;
        // Where names stood and none does there is nothing left to say.
        if table.is_empty()
            && matches!(target(above), Ok(Target::Names))
            && let Some((container, above)) = above.split_last()
            && let Some(table) = self.table_mut(above)
        {
            table.remove(container);
        }
        Ok(())
    }

    fn put(&mut self, names: &[String], value: Value) -> Option<()> {
        let (last, above) = names.split_last()?;
        let mut table = &mut self.root;
        for name in above {
            let inner = table.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
            table = inner.as_table_mut()?;
        }
        match (table.get(last), &value) {
            // A table that is there already keeps what is in it.
            (Some(Value::Table(_)), Value::Table(_)) => {}
            _ => {
                table.insert(last.clone(), value);
            }
        }
        Some(())
    }

    fn table_mut(&mut self, names: &[String]) -> Option<&mut Table> {
        let mut table = &mut self.root;
        for name in names {
            table = table.get_mut(name)?.as_table_mut()?;
        }
        Some(table)
    }
}

impl Value {
    const fn as_table_mut(&mut self) -> Option<&mut Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Text(_) | Self::Array(_) | Self::Literal(_) => None,
        }
    }
}

fn names(path: &str) -> Result<Vec<String>, EditError> {
    let names = path::parse(path).filter(|names| !names.is_empty());
    names.ok_or_else(|| EditError::NoPath(clip(path)))
}

/// What the schema has at a path.
fn target(names: &[String]) -> Result<Target, EditError> {
    let mut section: &'static Section = &CLUSTER_DOCUMENT;
    let mut names_left = names.iter().enumerate();
    while let Some((at, name)) = names_left.next() {
        let here = || written(names.get(..=at).unwrap_or_default());
        let Some(key) = section.key(name) else {
            return Err(EditError::Unknown(here(), suggestion(name, section)));
        };
        match key.kind {
            Kind::Later => return Err(EditError::Later(here())),
            Kind::Table(inner) => section = inner,
            Kind::Tables(inner, _) => {
                section = inner;
                // The operator's own name.
                if names_left.next().is_none() {
                    return Ok(Target::Names);
                }
            }
            Kind::Name
            | Kind::Reference(_)
            | Kind::Interface
            | Kind::Address
            | Kind::Addresses(_)
            | Kind::Prefixes { .. }
            | Kind::Integer { .. }
            | Kind::Time { .. }
            | Kind::Ports
            | Kind::Boolean
            | Kind::Password
            | Kind::Secret
            | Kind::Word(_) => {
                return match names_left.next() {
                    None => Ok(Target::Value(key)),
                    Some(_) => {
                        let legal = "expected nothing behind a value".to_string();
                        Err(EditError::Unknown(written(names), legal))
                    }
                };
            }
        }
    }
    Ok(Target::Section)
}

/// A value as it was typed, as far as the kind of key says how to take it.
fn typed(kind: &Kind, text: &str) -> Value {
    let read = toml_value(text);
    if let Some(value) = &read
        && !matches!(value, Value::Literal(_))
    {
        return value.clone();
    }
    match kind {
        // As it was read: what was typed may go on with a comment.
        Kind::Integer { .. } | Kind::Boolean => read.unwrap_or(Value::Literal(text.into())),
        Kind::Addresses(_) | Kind::Prefixes { .. } => {
            let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
            Value::Array(parts.map(|part| Value::Text(part.into())).collect())
        }
        Kind::Name
        | Kind::Reference(_)
        | Kind::Interface
        | Kind::Address
        | Kind::Time { .. }
        | Kind::Ports
        | Kind::Password
        | Kind::Secret
        | Kind::Word(_)
        | Kind::Table(_)
        | Kind::Tables(..)
        | Kind::Later => Value::Text(text.into()),
    }
}

/// The value, if the text is one in TOML.
fn toml_value(text: &str) -> Option<Value> {
    if text.contains('\n') {
        return None;
    }
    let mut document = Document::parse(&format!("value = {text}")).ok()?;
    document.root.remove("value").filter(|_| document.root.is_empty())
}

/// Whether the schema allows the value: the checks of a whole document, on one that has nothing
/// else.
fn check(names: &[String], value: &Value) -> Result<(), EditError> {
    let mut alone = Document::default();
    let path = written(names);
    alone.put(names, value.clone()).ok_or_else(|| EditError::NoPath(path.clone()))?;
    if let Value::Literal(literal) = value
        && toml_value(literal).is_none()
    {
        // Not even a value: let the schema say so about the text.
        alone.put(names, Value::Text(literal.clone()));
    }
    let text = alone.render();
    let mut report = Report::new(&text);
    raw::read(&mut report, &text);
    let Err(problems) = report.finish(Some(())) else { return Ok(()) };
    // What else a document needs is missing here, of course. A problem names its place in the
    // reader's way, which cuts what is long.
    let mut place = Place { at: 0, path: String::new() };
    let mut places = Vec::new();
    for name in names {
        place.path = place.key(name);
        places.push(place.path.clone());
    }
    let ours = problems.into_iter().find(|problem| {
        let within = problem.path.strip_prefix(&place.path);
        places.contains(&problem.path) || within.is_some_and(|rest| rest.starts_with('['))
    });
    match ours {
        Some(problem) => Err(EditError::Value(problem.path, problem.what, problem.legal)),
        None => Ok(()),
    }
}
