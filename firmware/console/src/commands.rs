//! The one table of commands and filters. Parser, help, completion and the reference manual
//! come from it; a command that is not here does not exist.

use alloc::string::String;
use core::fmt::Write;

use model::operator::{Request, Topic};

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Its words, joined by single spaces.
    pub name: &'static str,
    /// What it does, in a line of at most 55 characters, so that a list of commands fits a screen.
    pub about: &'static str,
    /// What one should know to use it; whole sentences.
    pub manual: &'static str,
    /// What happens.
    pub action: Action,
    /// It must be typed in full: it does what cannot be undone.
    pub whole: bool,
}

/// What a command does.
#[derive(Clone, Debug)]
pub enum Action {
    /// It asks for something.
    Ask(Request),
    /// It explains the commands whose first words follow.
    Help,
}

/// One filter: what stands behind a `|`.
#[derive(Debug)]
pub struct Filter {
    /// Its word.
    pub name: &'static str,
    /// What it does to a reply.
    pub kind: FilterKind,
    /// What it does, in a line.
    pub about: &'static str,
}

/// What a filter does to a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterKind {
    /// It writes it as JSON.
    Json,
    /// It keeps the rows that contain the text that follows.
    Match,
    /// It says how many rows there are.
    Count,
}

const fn show(
    name: &'static str,
    about: &'static str,
    manual: &'static str,
    topic: Topic,
) -> Command {
    Command { name, about, manual, action: Action::Ask(Request::Show(topic)), whole: false }
}

/// Every command, in the order of the manual.
pub static COMMANDS: &[Command] = &[
    show(
        "show ports",
        "ports with link, traffic and drops",
        "One row for each port of this box. Received and sent are frames since start; dropped \
         are frames that came in and were not passed on, whose reasons stand in show counters. \
         JSON has interface, VLAN, octets and \
         frames that could not be sent as well.",
        Topic::Ports,
    ),
    show(
        "show vips",
        "virtual addresses, and whether they are served here",
        "One row for each virtual address of the cluster. One that is served answers ARP and \
         neighbour solicitations on its network from this box.",
        Topic::Vips,
    ),
    show(
        "show services",
        "services with usable servers and flows",
        "One row for each service. Usable servers are those that get new flows. JSON has mode, \
         pool and the total of flows as well.",
        Topic::Services,
    ),
    show(
        "show servers",
        "servers with health, its cause, and flows",
        "One row for each server of each pool. State is what the configuration says of it, \
         health what the checks say. JSON has weight, the total of flows, and since when the \
         health is what it is, in seconds since the kernel started.",
        Topic::Servers,
    ),
    show(
        "show flows",
        "flows by state",
        "How many flows there are in each state, and how many there may be.",
        Topic::Flows,
    ),
    show(
        "show counters",
        "everything that is counted",
        "Every counter of the box by name, since start. A frame that is dropped is counted under \
         the name of its reason.",
        Topic::Counters,
    ),
    show(
        "show boot",
        "how the box started, step by step",
        "The steps of starting up, each with the time at which it was done in seconds since \
         the kernel started.",
        Topic::Boot,
    ),
    show(
        "show version",
        "what runs here",
        "Versions of firmware and kernel, board, cluster, node, and the time since start.",
        Topic::Version,
    ),
    show(
        "show config",
        "the configuration in force",
        "The cluster document as it was read.",
        Topic::Config,
    ),
    show(
        "show log",
        "what happened",
        "The lines of the log that the box remembers, oldest first.",
        Topic::Log,
    ),
    show(
        "show neighbors",
        "stations on the networks of this box",
        "One row for each station that the box knows or asks for: gateways and servers of the \
         configuration always, others while packets go to them. One that is incomplete has not \
         answered.",
        Topic::Neighbors,
    ),
    Command {
        name: "help",
        about: "explain commands: help, help show, help show ports",
        manual: "Without words it lists all commands; with the first words of a command it \
                 explains those that begin with them. The key ? does so at any place in a line, \
                 and TAB completes a word.",
        action: Action::Help,
        whole: false,
    },
    Command {
        name: "reboot",
        about: "start the box again",
        manual: "The box stops serving in order and starts again. Not abbreviated.",
        action: Action::Ask(Request::Reboot),
        whole: true,
    },
    Command {
        name: "poweroff",
        about: "switch the box off",
        manual: "The box stops serving in order and goes off. Not abbreviated.",
        action: Action::Ask(Request::PowerOff),
        whole: true,
    },
];

/// What the commands with a common first word do, for that word.
pub(crate) static GROUPS: &[(&str, &str)] = &[("show", "see what the box is like")];

/// Every filter.
pub static FILTERS: &[Filter] = &[
    Filter { name: "json", kind: FilterKind::Json, about: "write the reply as JSON" },
    Filter {
        name: "match",
        kind: FilterKind::Match,
        about: "keep rows that contain TEXT, in small or capital letters",
    },
    Filter { name: "count", kind: FilterKind::Count, about: "say how many rows there are" },
];

/// The reference manual, in Markdown.
pub fn manual() -> String {
    let mut text = String::from(
        "# Console reference\n\
         \n\
         Words may be abbreviated as long as they stay unique, except where a command says \
         otherwise. `?` shows what may follow, TAB completes, the arrow keys move in the line \
         and through earlier lines, Ctrl-C gives up the line or stops the output, Ctrl-U, \
         Ctrl-K and Ctrl-W delete to the start, to the end and one word, Ctrl-A and Ctrl-E go \
         to the start and the end, Ctrl-L draws the line again.\n\
         \n\
         ## Commands\n",
    );
    for command in COMMANDS {
        // Writing to a String does not fail.
        let _ = write!(text, "\n### {}\n\n{}\n", command.name, sentence(command.about));
        let _ = writeln!(text, "{}", command.manual);
    }
    text.push_str("\n## Filters\n\nA reply passes through them from left to right.\n\n");
    for filter in FILTERS {
        let argument = if filter.kind == FilterKind::Match { " TEXT" } else { "" };
        let _ = writeln!(text, "* `| {}{argument}`: {}", filter.name, filter.about);
    }
    text
}

/// A line as a sentence: first letter large, stop at the end.
fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_command_explains_itself_in_the_space_there_is() {
        let names: BTreeSet<&str> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        for command in COMMANDS {
            assert!(command.about.len() <= 55, "{}", command.name);
            assert!(command.name.len() <= 20, "{}", command.name);
            assert!(command.manual.ends_with('.'), "{}", command.name);
            assert!(!command.name.contains("  "), "{}", command.name);
        }
    }

    #[test]
    fn the_manual_in_the_repository_is_the_one_of_the_table() {
        assert_eq!(manual(), include_str!("../../../docs/console.md"), "docs/console.md is old");
    }
}
