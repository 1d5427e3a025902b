//! What may follow a piece of a line: for TAB and `?`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::commands::{Action, Command, FILTERS, GROUPS, Kind, Mode, Parameter};
use crate::parse::{Next, Scope, after, depth, narrow, next, segments, split, words_at};

/// What may follow a piece of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The word begun, possibly empty.
    pub(crate) begun: String,
    /// Words that continue it.
    pub(crate) words: Vec<Choice>,
    /// The line may end here.
    pub(crate) end: bool,
    /// Something of the operator's choice stands here: its name and what it is.
    pub(crate) free: Option<(&'static str, String)>,
    /// Something that only the box knows would say which words.
    pub(crate) lookup: Option<Lookup>,
}

/// A word that may follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) word: String,
    pub(crate) about: String,
}

/// What is to be looked up to know which words may follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Paths in the configuration.
    Path,
    /// What may stand behind this path.
    Value(String),
    /// Names of ports.
    Port,
    /// Names of pools.
    Pool,
    /// Names of this pool's servers.
    Server(String),
    /// Names of virtual addresses.
    Vip,
    /// Names of boxes.
    Node,
}

impl Options {
    /// Whether a character that otherwise asks for help belongs to a text.
    pub(crate) fn is_text(&self) -> bool {
        match &self.lookup {
            // Behind a path, ? says what may stand there, until something is typed.
            Some(Lookup::Value(_)) => !self.begun.is_empty(),
            Some(
                Lookup::Path
                | Lookup::Port
                | Lookup::Pool
                | Lookup::Server(_)
                | Lookup::Vip
                | Lookup::Node,
            ) => false,
            None => self.free.as_ref().is_some_and(|(name, _)| *name == "TEXT"),
        }
    }
}

/// What may follow `before`, the piece of a line before the cursor.
pub(crate) fn options(before: &str, scope: Scope) -> Options {
    let segments = segments(before);
    let piece = segments.last().copied().unwrap_or_default();
    if segments.len() > 1 {
        return filter_options(piece);
    }
    let mut words: Vec<&str> = piece.split_whitespace().collect();
    let open = piece.ends_with(char::is_whitespace) || piece.is_empty();
    let begun = if open { "" } else { words.pop().unwrap_or_default() };
    let mut offered = scope.commands();
    let mut help = false;
    if let [first, rest @ ..] = &words[..]
        && let Ok(found) = narrow(&[first], &offered)
        && let [command] = &found.commands[..]
    {
        match command.action {
            Action::Run => {
                let rest = piece.trim_start().get(first.len()..).unwrap_or_default();
                return options(rest.trim_start(), Scope { mode: Mode::Operation, ..scope });
            }
            Action::Help => {
                help = true;
                words = rest.to_vec();
            }
            Action::Show(_)
            | Action::Ask(_)
            | Action::Configure { .. }
            | Action::Leave { .. }
            | Action::Load
            | Action::Logout => {}
        }
    }
    let nothing = || Options { begun: begun.to_owned(), ..Options::default() };
    match narrow(&words, &offered) {
        Ok(found) => offered = found.commands,
        Err(_) => return nothing(),
    }
    let level = words.len();
    let named = offered.iter().find(|command| depth(command) <= level).copied();
    let mut found = nothing();
    for word in words_at(&offered, level) {
        if word.starts_with(begun) {
            found.words.push(choice(word, about(&offered, level, word)));
        }
    }
    found.end = begun.is_empty() && help;
    match named {
        Some(command) if !help => parameter_options(command, after(piece, depth(command)), found),
        Some(_) | None => found,
    }
}

/// What may follow a command's words and `rest`.
fn parameter_options(command: &'static Command, rest: &str, mut found: Options) -> Options {
    let mut given = alloc::vec![String::new(); command.parameters.len()];
    let mut rest = rest.trim_start();
    loop {
        let (word, behind) = split(rest);
        // The word that is typed at the moment ends with the text.
        let typing = word.len() == rest.len();
        let (place, parameter, text) = match next(command, &given, word) {
            Next::Positional(place, parameter) => (place, parameter, rest),
            Next::Keyword(place, parameter) if !typing => (place, parameter, behind),
            Next::Keyword(..) | Next::Nothing(_) => {
                return keyword_options(command, &given, word, found);
            }
        };
        let (value, behind) = split(text);
        let to_the_end = matches!(parameter.kind, Kind::Text | Kind::Value);
        if value.len() == text.len() || to_the_end {
            return value_options(parameter, &given, text, found);
        }
        if let Some(slot) = given.get_mut(place) {
            value.clone_into(slot);
        }
        rest = behind;
        found.words.clear();
    }
}

/// What may follow where a parameter is being typed.
fn value_options(
    parameter: &'static Parameter,
    given: &[String],
    text: &str,
    mut found: Options,
) -> Options {
    let before = || given.first().cloned().unwrap_or_default();
    found.lookup = match parameter.kind {
        Kind::Path => Some(Lookup::Path),
        Kind::Value => Some(Lookup::Value(before())),
        Kind::Port => Some(Lookup::Port),
        Kind::Pool => Some(Lookup::Pool),
        Kind::Server => Some(Lookup::Server(before())),
        Kind::Vip => Some(Lookup::Vip),
        Kind::Node => Some(Lookup::Node),
        Kind::Word | Kind::Text => None,
    };
    text.clone_into(&mut found.begun);
    found.free = Some((parameter.name, parameter.about.to_owned()));
    found.end = text.is_empty() && parameter.optional && parameter.keyword.is_empty();
    found
}

/// Keywords that continue `word`.
fn keyword_options(
    command: &'static Command,
    given: &[String],
    word: &str,
    mut found: Options,
) -> Options {
    let open = command.parameters.iter().zip(given).filter(|(_, given)| given.is_empty());
    let mut complete = true;
    for (parameter, _) in open {
        complete &= parameter.optional;
        if !parameter.keyword.is_empty() && parameter.keyword.starts_with(word) {
            found.words.push(choice(parameter.keyword, parameter.about));
        }
    }
    found.end = word.is_empty() && complete;
    found
}

fn filter_options(piece: &str) -> Options {
    let (word, text) = split(piece.trim_start());
    let begins = |filter: &&crate::commands::Filter| filter.name.starts_with(word);
    if word.len() == piece.trim_start().len() {
        let fitting = FILTERS.iter().filter(begins);
        let words = fitting.map(|filter| choice(filter.name, filter.about)).collect();
        return Options { begun: word.to_owned(), words, ..Options::default() };
    }
    let takes_text = FILTERS.iter().find(begins).is_some_and(|filter| filter.kind.takes_text());
    Options {
        begun: text.to_owned(),
        end: if takes_text { text.ends_with(' ') } else { text.is_empty() },
        free: takes_text.then(|| ("TEXT", "a text of your choice".to_owned())),
        ..Options::default()
    }
}

fn choice(word: &str, about: &str) -> Choice {
    Choice { word: word.to_owned(), about: about.to_owned() }
}

/// What a word is for: the command's own line, or what all commands that share it do.
fn about(commands: &[&'static Command], level: usize, word: &str) -> &'static str {
    let mut with =
        commands.iter().filter(|command| command.name.split(' ').nth(level) == Some(word));
    match (with.next(), with.next()) {
        (Some(command), None) => command.about,
        _ => GROUPS.iter().find(|(group, _)| *group == word).map_or("", |(_, about)| about),
    }
}

#[cfg(test)]
mod tests;
