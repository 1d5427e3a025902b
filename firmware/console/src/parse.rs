//! From a line to a command with its filters, and what may follow a piece of a line. Both walk
//! the table of [`crate::commands`].

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::commands::{Action, COMMANDS, Command, FILTERS, FilterKind, GROUPS};

/// A line that means something.
#[derive(Debug)]
pub(crate) enum Line {
    /// Nothing was typed.
    Empty,
    /// A command and what its reply passes through.
    Run(&'static Command, Vec<Pass>),
    /// An explanation of these commands.
    Help(Vec<&'static Command>),
}

/// One filter with what it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Json,
    Match(String),
    Count,
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
    /// `match` without a text.
    NoText,
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
            Self::NoText => f.write_str("match needs a text"),
        }
    }
}

/// Reads a whole line.
pub(crate) fn line(text: &str) -> Result<Line, Confusion> {
    let mut segments = segments(text).into_iter();
    let words: Vec<&str> = segments.next().unwrap_or_default().split_whitespace().collect();
    let filters = segments.map(filter).collect::<Result<Vec<Pass>, Confusion>>();
    if words.is_empty() {
        return match filters {
            Ok(filters) if filters.is_empty() => Ok(Line::Empty),
            Ok(_) | Err(_) => Err(Confusion::Incomplete(words_at(&all(), 0))),
        };
    }
    if let [first, rest @ ..] = &words[..]
        && let [command] = &narrow(&[first])?[..]
        && matches!(command.action, Action::Help)
    {
        return Ok(Line::Help(narrow(rest)?));
    }
    let commands = narrow(&words)?;
    let level = words.len();
    match commands.iter().find(|command| command.name.split(' ').count() == level) {
        Some(command) if command.whole && !words.iter().copied().eq(command.name.split(' ')) => {
            Err(Confusion::Abbreviated(command.name))
        }
        Some(_) if commands.len() > 1 => {
            let word = words.last().copied().unwrap_or_default();
            Err(Confusion::Ambiguous(word.to_owned(), words_at(&commands, level - 1)))
        }
        Some(command) => Ok(Line::Run(command, filters?)),
        None => match (words_at(&commands, level - 1), words.last()) {
            (could, Some(word)) if could.len() > 1 => {
                Err(Confusion::Ambiguous((*word).to_owned(), could))
            }
            _ => Err(Confusion::Incomplete(words_at(&commands, level))),
        },
    }
}

/// What may follow a piece of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The word begun, possibly empty.
    pub(crate) begun: String,
    /// Words that continue it, each with what it is for.
    pub(crate) words: Vec<(&'static str, &'static str)>,
    /// The line may end here.
    pub(crate) end: bool,
    /// A text of the operator's choice stands here.
    pub(crate) free: bool,
}

/// What may follow `before`, the piece of a line before the cursor.
pub(crate) fn options(before: &str) -> Options {
    let segments = segments(before);
    let piece = segments.last().copied().unwrap_or_default();
    let mut words: Vec<&str> = piece.split_whitespace().collect();
    let open = piece.ends_with(char::is_whitespace) || piece.is_empty();
    let begun = if open { "" } else { words.pop().unwrap_or_default() };
    if segments.len() > 1 {
        return filter_options(&words, begun);
    }
    let help = words.first().is_some_and(|first| {
        narrow(&[first])
            .is_ok_and(|found| matches!(found[..], [c] if matches!(c.action, Action::Help)))
    });
    let words = if help { words.get(1..).unwrap_or_default() } else { &words[..] };
    let Ok(commands) = narrow(words) else {
        return Options { begun: begun.to_owned(), ..Options::default() };
    };
    let level = words.len();
    let mut next = Vec::new();
    for word in words_at(&commands, level) {
        if word.starts_with(begun) {
            next.push((word, about(&commands, level, word)));
        }
    }
    let complete = commands.iter().any(|command| command.name.split(' ').count() == level);
    let end = begun.is_empty() && (complete || help);
    Options { begun: begun.to_owned(), words: next, end, free: false }
}

fn filter_options(words: &[&str], begun: &str) -> Options {
    let begun = begun.to_owned();
    let [word, ..] = words else {
        let fitting = FILTERS.iter().filter(|filter| filter.name.starts_with(&begun));
        let words = fitting.map(|filter| (filter.name, filter.about)).collect();
        return Options { begun, words, end: false, free: false };
    };
    let free = FILTERS.iter().any(|f| f.kind == FilterKind::Match && f.name.starts_with(*word));
    let end = begun.is_empty() && (words.len() > 1 || !free);
    Options { begun, words: Vec::new(), end, free }
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

fn all() -> Vec<&'static Command> {
    COMMANDS.iter().collect()
}

/// The distinct words of `commands` at a place.
fn words_at(commands: &[&'static Command], level: usize) -> Vec<&'static str> {
    let mut words: Vec<&'static str> = Vec::new();
    for word in commands.iter().filter_map(|command| command.name.split(' ').nth(level)) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The commands that begin with `words`, each of which may be abbreviated.
fn narrow(words: &[&str]) -> Result<Vec<&'static Command>, Confusion> {
    let mut commands = all();
    for (level, word) in words.iter().enumerate() {
        let at = |command: &&'static Command| command.name.split(' ').nth(level);
        let exact = commands.iter().any(|command| at(command) == Some(word));
        let fits = |command: &&'static Command| {
            at(command).is_some_and(|own| if exact { own == *word } else { own.starts_with(word) })
        };
        let left: Vec<&'static Command> = commands.iter().copied().filter(fits).collect();
        if left.is_empty() {
            return Err(Confusion::Unknown((*word).to_owned(), words_at(&commands, level)));
        }
        commands = left;
    }
    Ok(commands)
}

fn filter(segment: &str) -> Result<Pass, Confusion> {
    let segment = segment.trim();
    let (word, text) = segment.split_once(' ').unwrap_or((segment, ""));
    let names = || FILTERS.iter().map(|filter| filter.name).collect();
    if word.is_empty() {
        return Err(Confusion::Incomplete(names()));
    }
    let Some(filter) = FILTERS.iter().find(|filter| filter.name.starts_with(word)) else {
        return Err(Confusion::Unknown(word.to_owned(), names()));
    };
    let text = text.trim();
    match filter.kind {
        FilterKind::Match if text.is_empty() => Err(Confusion::NoText),
        FilterKind::Match => Ok(Pass::Match(unquoted(text).to_owned())),
        FilterKind::Json | FilterKind::Count if !text.is_empty() => {
            Err(Confusion::Unknown(text.to_owned(), Vec::new()))
        }
        FilterKind::Json => Ok(Pass::Json),
        FilterKind::Count => Ok(Pass::Count),
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// The pieces of a line between the `|` that stand outside of quotes.
fn segments(text: &str) -> Vec<&str> {
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
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    fn outcome(text: &str) -> String {
        match line(text) {
            Ok(Line::Empty) => "nothing".into(),
            Ok(Line::Run(command, filters)) => format!("{} {filters:?}", command.name),
            Ok(Line::Help(commands)) => format!("help on {}", commands.len()),
            Err(confusion) => confusion.to_string(),
        }
    }

    #[test]
    fn lines_mean_a_command_or_say_what_would() {
        for (text, meaning) in [
            ("", "nothing"),
            ("   ", "nothing"),
            ("show ports", "show ports []"),
            ("  sh  po ", "show ports []"),
            ("show ports|json", "show ports [Json]"),
            ("show log | m a b | count", "show log [Match(\"a b\"), Count]"),
            ("show log | match \"a | b\"", "show log [Match(\"a | b\")]"),
            ("help", "help on 14"),
            ("help show", "help on 11"),
            ("h sh po", "help on 1"),
            ("reboot", "reboot []"),
            ("reb", "\"reboot\" is not abbreviated: type it in full"),
            ("p", "\"poweroff\" is not abbreviated: type it in full"),
            (
                "show",
                "incomplete, expected ports, vips, services, servers, flows, counters, \
                      boot, version, config, log, neighbors",
            ),
            ("show s", "\"s\" is ambiguous: services, servers"),
            ("show v", "\"v\" is ambiguous: vips, version"),
            (
                "show x",
                "unknown word \"x\", expected ports, vips, services, servers, flows, \
                        counters, boot, version, config, log, neighbors",
            ),
            ("format c:", "unknown word \"format\", expected show, help, reboot, poweroff"),
            ("show ports eth0", "\"eth0\" is one word too many"),
            ("reboot now", "\"now\" is one word too many"),
            ("show ports |", "incomplete, expected json, match, count"),
            ("show ports | xml", "unknown word \"xml\", expected json, match, count"),
            ("show ports | match", "match needs a text"),
            ("show ports | json x", "\"x\" is one word too many"),
            ("| json", "incomplete, expected show, help, reboot, poweroff"),
        ] {
            assert_eq!(outcome(text), meaning, "{text:?}");
        }
    }

    #[test]
    fn what_may_follow_is_known_at_every_place() {
        for (before, words, end, free) in [
            ("", "show help reboot poweroff", false, false),
            ("s", "show", false, false),
            ("show se", "services servers", false, false),
            ("show ports", "ports", false, false),
            ("show ports ", "", true, false),
            ("help ", "show help reboot poweroff", true, false),
            ("help show b", "boot", false, false),
            ("show ports | ", "json match count", false, false),
            ("show ports | c", "count", false, false),
            ("show ports | match ", "", false, true),
            ("show ports | match x", "", false, true),
            ("show ports | json ", "", true, false),
            ("nonsense ", "", false, false),
        ] {
            let options = options(before);
            let names: Vec<&str> = options.words.iter().map(|(word, _)| *word).collect();
            assert_eq!(names.join(" "), words, "{before:?}");
            assert_eq!((options.end, options.free), (end, free), "{before:?}");
        }
    }
}
