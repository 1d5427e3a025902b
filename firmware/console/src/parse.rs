//! From a line to a command with what was given to it and its filters. It walks the table of
//! [`crate::commands`]; so does [`crate::options`], which says what may follow.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use model::operator::Role;

use crate::commands::{Action, COMMANDS, Command, FILTERS, FilterKind, Kind, Mode, Parameter};

/// Where a line is typed, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) mode: Mode,
    pub(crate) role: Role,
}

impl Scope {
    /// The commands that are offered there.
    pub(crate) fn commands(self) -> Vec<&'static Command> {
        let offered = |command: &&Command| command.mode == self.mode && command.role <= self.role;
        COMMANDS.iter().filter(offered).collect()
    }
}

/// A line that means something.
#[derive(Debug)]
pub(crate) enum Line {
    /// Nothing was typed.
    Empty,
    /// A command, what was given to it, and what its reply passes through.
    Run(&'static Command, Vec<String>, Vec<Pass>),
    /// An explanation of these commands.
    Help(Vec<&'static Command>),
}

/// One filter with what it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Json,
    Match(String),
    Except(String),
    Count,
    NoPage,
}

/// Why a line means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Confusion {
    /// A word that does not belong here, and those that do.
    Unknown(String, Vec<&'static str>),
    /// A word that could be several.
    Ambiguous(String, Vec<&'static str>),
    /// More words are needed: one of these.
    Incomplete(Vec<&'static str>),
    /// The command must be typed in full.
    Abbreviated(&'static str),
    /// A parameter was not given.
    Missing(&'static str),
    /// A parameter was not given, nor the word in front of it.
    MissingWord(&'static str, &'static str),
    /// What was given for a parameter is not what may stand there.
    Illegal { given: String, legal: String },
    /// A filter without its text.
    NoText(&'static str),
    /// The command is for a higher role.
    NotAllowed(&'static str, Role),
}

impl fmt::Display for Confusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word, legal) if legal.is_empty() => {
                write!(f, "\"{word}\" is one word too many")
            }
            Self::Unknown(word, legal) => {
                write!(f, "unknown word \"{word}\", expected {}", legal.join(", "))
            }
            Self::Ambiguous(word, could) => {
                write!(f, "\"{word}\" is ambiguous: {}", could.join(", "))
            }
            Self::Incomplete(next) => write!(f, "incomplete, expected {}", next.join(", ")),
            Self::Abbreviated(name) => write!(f, "\"{name}\" is not abbreviated: type it in full"),
            Self::Missing(name) => write!(f, "incomplete, expected {name}"),
            Self::MissingWord(word, name) => write!(f, "incomplete, expected {word} {name}"),
            Self::Illegal { given, legal } => write!(f, "\"{given}\" does not fit: {legal}"),
            Self::NoText(name) => write!(f, "{name} needs a text"),
            Self::NotAllowed(name, role) => write!(f, "\"{name}\" needs the role {role}"),
        }
    }
}

/// Reads a whole line.
pub(crate) fn line(text: &str, scope: Scope) -> Result<Line, Confusion> {
    let offered = read(text, scope, &scope.commands());
    let Err(Confusion::Unknown(..)) = offered else { return offered };
    // A word that is not offered may be one of a higher role: that is another sentence.
    let highest = Scope { role: Role::Configure, ..scope };
    match read(text, highest, &highest.commands()) {
        Ok(Line::Run(command, ..)) if command.role > scope.role => {
            Err(Confusion::NotAllowed(command.name, command.role))
        }
        Ok(_) | Err(_) => offered,
    }
}

fn read(text: &str, scope: Scope, commands: &[&'static Command]) -> Result<Line, Confusion> {
    let mut segments = segments(text).into_iter();
    let piece = segments.next().unwrap_or_default();
    let filters = segments.map(filter).collect::<Result<Vec<Pass>, Confusion>>();
    let words: Vec<&str> = piece.split_whitespace().collect();
    if words.is_empty() {
        return match filters {
            Ok(filters) if filters.is_empty() => Ok(Line::Empty),
            Ok(_) | Err(_) => Err(Confusion::Incomplete(words_at(commands, 0))),
        };
    }
    if let [first, rest @ ..] = &words[..]
        && let Ok(found) = narrow(&[first], commands)
        && let [command] = &found.commands[..]
    {
        match command.action {
            Action::Help => return Ok(Line::Help(narrow(rest, commands)?.commands)),
            Action::Run => {
                let scope = Scope { mode: Mode::Operation, ..scope };
                return run(text, first, scope);
            }
            Action::Show(_)
            | Action::Ask(_)
            | Action::Configure { .. }
            | Action::Leave { .. }
            | Action::Load
            | Action::Logout => {}
        }
    }
    let Narrowed { commands, level } = narrow(&words, commands)?;
    let word = words.get(level.saturating_sub(1)).copied().unwrap_or_default();
    match commands.iter().find(|command| depth(command) == level) {
        Some(command) if commands.iter().any(|other| !other.name.starts_with(command.name)) => {
            Err(Confusion::Ambiguous(word.to_owned(), words_at(&commands, level - 1)))
        }
        Some(command) if command.whole && !words.iter().copied().eq(command.name.split(' ')) => {
            Err(Confusion::Abbreviated(command.name))
        }
        Some(command) => Ok(Line::Run(command, given(command, after(piece, level))?, filters?)),
        None => match words_at(&commands, level - 1) {
            could if could.len() > 1 => Err(Confusion::Ambiguous(word.to_owned(), could)),
            _ => Err(Confusion::Incomplete(words_at(&commands, level))),
        },
    }
}

/// What stands behind `run`, as a line of operation.
fn run(text: &str, first: &str, scope: Scope) -> Result<Line, Confusion> {
    let rest = text.trim_start().get(first.len()..).unwrap_or_default();
    match line(rest, scope)? {
        Line::Empty => Err(Confusion::Incomplete(words_at(&scope.commands(), 0))),
        Line::Run(Command { action: Action::Configure { .. } | Action::Logout, name, .. }, ..) => {
            Err(Confusion::Unknown((*name).to_owned(), Vec::new()))
        }
        meaning @ (Line::Run(..) | Line::Help(_)) => Ok(meaning),
    }
}

/// What was typed for each parameter of a command, from the `rest` of its line.
fn given(command: &'static Command, rest: &str) -> Result<Vec<String>, Confusion> {
    let mut given = alloc::vec![String::new(); command.parameters.len()];
    let mut rest = rest.trim();
    while !rest.is_empty() {
        let (word, behind) = split(rest);
        let (place, parameter, text) = match next(command, &given, word) {
            Next::Positional(place, parameter) => (place, parameter, rest),
            Next::Keyword(place, parameter) => (place, parameter, behind),
            Next::Nothing(keywords) => {
                let nothing_yet = given.iter().all(String::is_empty);
                let mut legal = if nothing_yet { longer(command) } else { Vec::new() };
                legal.extend(keywords);
                return Err(Confusion::Unknown(word.to_owned(), legal));
            }
        };
        let (value, behind) = match parameter.kind {
            Kind::Text => (unquoted(text), ""),
            Kind::Value => (text, ""),
            Kind::Word
            | Kind::Path
            | Kind::Port
            | Kind::Pool
            | Kind::Server
            | Kind::Vip
            | Kind::Node => split(text),
        };
        if value.is_empty() {
            return Err(Confusion::Missing(parameter.name));
        }
        if let Some(slot) = given.get_mut(place) {
            value.clone_into(slot);
        }
        rest = behind;
    }
    let missing = command.parameters.iter().zip(&given).find(|(p, g)| !p.optional && g.is_empty());
    match missing {
        Some((Parameter { keyword: "", name, .. }, _)) => Err(Confusion::Missing(name)),
        Some((Parameter { keyword, name, .. }, _)) => Err(Confusion::MissingWord(keyword, name)),
        None => Ok(given),
    }
}

/// The words that make another command of this one.
fn longer(command: &'static Command) -> Vec<&'static str> {
    let begins = |other: &&Command| {
        other.mode == command.mode
            && other.name.strip_prefix(command.name).is_some_and(|rest| rest.starts_with(' '))
    };
    words_at(&COMMANDS.iter().filter(begins).collect::<Vec<_>>(), depth(command))
}

/// What a word is for a command that was given some of its parameters.
pub(crate) enum Next {
    /// The parameter of this place.
    Positional(usize, &'static Parameter),
    /// The word in front of the parameter of this place.
    Keyword(usize, &'static Parameter),
    /// Nothing; these words would be something.
    Nothing(Vec<&'static str>),
}

/// What `word` is behind what was `given`.
pub(crate) fn next(command: &'static Command, given: &[String], word: &str) -> Next {
    let open = || {
        let parameters = command.parameters.iter().enumerate();
        parameters.zip(given).filter(|(_, given)| given.is_empty()).map(|(open, _)| open)
    };
    if let Some((place, parameter)) = open().find(|(_, parameter)| parameter.keyword.is_empty()) {
        return Next::Positional(place, parameter);
    }
    match open().find(|(_, parameter)| parameter.keyword.starts_with(word)) {
        Some((place, parameter)) => Next::Keyword(place, parameter),
        None => Next::Nothing(open().map(|(_, parameter)| parameter.keyword).collect()),
    }
}

/// The first word of a trimmed text, and the rest behind it.
pub(crate) fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// What stands behind so many words.
pub(crate) fn after(text: &str, words: usize) -> &str {
    (0..words).fold(text.trim_start(), |text, _| split(text).1)
}

/// How many words a command's name has.
pub(crate) fn depth(command: &Command) -> usize {
    command.name.split(' ').count()
}

/// The distinct words of `commands` at a place.
pub(crate) fn words_at(commands: &[&'static Command], level: usize) -> Vec<&'static str> {
    let mut words: Vec<&'static str> = Vec::new();
    for word in commands.iter().filter_map(|command| command.name.split(' ').nth(level)) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// Commands that begin with some words.
pub(crate) struct Narrowed {
    pub(crate) commands: Vec<&'static Command>,
    /// How many of the words are their names'; those behind are parameters of the one command.
    pub(crate) level: usize,
}

/// The commands that begin with `words`, each of which may be abbreviated.
pub(crate) fn narrow(words: &[&str], commands: &[&'static Command]) -> Result<Narrowed, Confusion> {
    let mut commands = commands.to_vec();
    for (level, word) in words.iter().enumerate() {
        let at = |command: &&'static Command| command.name.split(' ').nth(level);
        let exact = commands.iter().any(|command| at(command) == Some(word));
        let fits = |command: &&'static Command| {
            at(command).is_some_and(|own| if exact { own == *word } else { own.starts_with(word) })
        };
        let left: Vec<&'static Command> = commands.iter().copied().filter(fits).collect();
        if left.is_empty() {
            let whole = commands.iter().find(|command| depth(command) == level);
            return match whole.filter(|command| !command.parameters.is_empty()) {
                Some(command) => Ok(Narrowed { commands: alloc::vec![*command], level }),
                None => Err(Confusion::Unknown((*word).to_owned(), words_at(&commands, level))),
            };
        }
        commands = left;
    }
    Ok(Narrowed { commands, level: words.len() })
}

fn filter(segment: &str) -> Result<Pass, Confusion> {
    let (word, text) = split(segment.trim());
    let names = || FILTERS.iter().map(|filter| filter.name).collect();
    if word.is_empty() {
        return Err(Confusion::Incomplete(names()));
    }
    let Some(filter) = FILTERS.iter().find(|filter| filter.name.starts_with(word)) else {
        return Err(Confusion::Unknown(word.to_owned(), names()));
    };
    if text.is_empty() && filter.kind.takes_text() {
        return Err(Confusion::NoText(filter.name));
    }
    if !text.is_empty() && !filter.kind.takes_text() {
        return Err(Confusion::Unknown(text.to_owned(), Vec::new()));
    }
    Ok(match filter.kind {
        FilterKind::Match => Pass::Match(unquoted(text).to_owned()),
        FilterKind::Except => Pass::Except(unquoted(text).to_owned()),
        FilterKind::Json => Pass::Json,
        FilterKind::Count => Pass::Count,
        FilterKind::NoPage => Pass::NoPage,
    })
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// The pieces of a line between the `|` that stand outside of quotes.
pub(crate) fn segments(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let split = |character| {
        if character == '"' {
            quoted = !quoted;
        }
        character == '|' && !quoted
    };
    text.split(split).collect()
}

#[cfg(test)]
mod tests;
