//! Explanations, as text for 80 columns: of commands, and of what may follow.

use alloc::format;
use alloc::string::String;

use crate::commands::Command;
use crate::options::Options;
use crate::render;

/// One command in full, several in a line each.
pub(crate) fn commands(commands: &[&'static Command]) -> String {
    let mut out = String::new();
    if let [command] = commands {
        let head = format!("{}: {}", command.usage(), command.about);
        for (place, line) in render::wrapped(&head, render::WIDTH - 4).iter().enumerate() {
            let indent = if place == 0 { 0 } else { 4 };
            render::line(&mut out, &format!("{:indent$}{line}", ""));
        }
        for line in render::wrapped(command.manual, render::WIDTH - 2) {
            render::line(&mut out, &format!("  {line}"));
        }
        for parameter in command.parameters {
            render::line(&mut out, &format!("  {:8}  {}", parameter.name, parameter.about));
        }
        return out;
    }
    for command in commands {
        render::line(&mut out, &format!("  {:20}  {}", command.name, command.about));
    }
    let filters = "  | json, match TEXT, except TEXT, count, nopage filter a reply; ? and \
                   TAB help";
    render::line(&mut out, filters);
    out
}

/// What may follow.
pub(crate) fn options(options: &Options) -> String {
    let mut out = String::new();
    // Of a path only the name that is being chosen.
    let above = options.begun.rfind('.').map_or("", |dot| &options.begun[..=dot]);
    for choice in &options.words {
        let name = choice.word.strip_prefix(above).unwrap_or(&choice.word);
        described(&mut out, name, &choice.about);
    }
    if let Some((name, about)) = options.free.as_ref().filter(|_| options.words.is_empty()) {
        described(&mut out, name, about);
    }
    if options.end {
        render::line(&mut out, "  |               pass the reply through a filter");
        render::line(&mut out, "  <Enter>         do it");
    }
    if out.is_empty() {
        render::line(&mut out, "  nothing is known that goes on like this");
    }
    out
}

/// A word and what it is for, in as many lines as that takes.
fn described(out: &mut String, word: &str, about: &str) {
    const INDENT: usize = 18;
    let mut head = format!("  {word:14}  ");
    for piece in render::wrapped(about, render::WIDTH - INDENT) {
        if head.chars().count() + piece.chars().count() > render::WIDTH {
            render::line(out, &head);
            head = " ".repeat(INDENT);
        }
        render::line(out, &format!("{head}{piece}"));
        head = " ".repeat(INDENT);
    }
    if about.is_empty() {
        render::line(out, &head);
    }
}
