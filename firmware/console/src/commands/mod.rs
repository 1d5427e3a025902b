//! What a command is, and the reference manual. The one table of them stands in `table`: parser,
//! help, completion and manual come from it; a command that is not there does not exist.

use alloc::string::String;
use core::fmt::Write;

use model::operator::{Request, Role, Topic};

use crate::parse::Confusion;

mod filters;
mod given;
mod table;

pub use filters::FILTERS;
pub use table::COMMANDS;
pub(crate) use table::GROUPS;

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Its words, joined by single spaces.
    pub name: &'static str,
    /// What follows its words.
    pub(crate) parameters: &'static [Parameter],
    /// What it does, in a line of at most 55 characters, so that a list of commands fits a screen.
    pub(crate) about: &'static str,
    /// What one should know to use it; whole sentences.
    pub(crate) manual: &'static str,
    /// Where it may be typed.
    pub mode: Mode,
    /// Whose command it is.
    pub role: Role,
    /// What happens.
    pub(crate) action: Action,
    /// It must be typed in full: it does what cannot be undone.
    pub(crate) whole: bool,
}

/// Where a command may be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Behind the prompt `>`.
    Operation,
    /// Behind the prompt `#`.
    Configuration,
}

/// Something that follows a command's words.
#[derive(Debug)]
pub struct Parameter {
    /// The word in front of it. Empty: it has none.
    pub keyword: &'static str,
    /// What stands for it in a description.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What may be typed there.
    pub kind: Kind,
    /// The command means something else without it, or nothing.
    pub optional: bool,
}

/// What may be typed for a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One word.
    Word,
    /// A path in the configuration: names joined by dots.
    Path,
    /// What may stand behind the path before it: the rest of the line.
    Value,
    /// The name of a port.
    Port,
    /// The name of a pool.
    Pool,
    /// The name of a server in the pool before it.
    Server,
    /// The name of a virtual address.
    Vip,
    /// The name of a box of the cluster.
    Node,
    /// The rest of the line.
    Text,
}

/// What was typed for the parameters of a command, in their order; what was left out is empty.
pub(crate) type Given = [String];

/// What a command does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// It asks to see something.
    Show(Topic),
    /// It asks for something that depends on what was given.
    Ask(fn(&Given) -> Result<Request, Confusion>),
    /// It begins to change the configuration.
    Configure {
        /// Though somebody else has it.
        take_over: bool,
    },
    /// It ends changing the configuration, and perhaps throws the changes away.
    Leave { discard: bool },
    /// It takes a whole document.
    Load,
    /// It does a command of operation during configuration: the one that follows.
    Run,
    /// It explains the commands whose first words follow.
    Help,
    /// It ends the session.
    Logout,
}

/// One filter: what stands behind a `|`.
#[derive(Debug)]
pub struct Filter {
    /// Its word.
    pub name: &'static str,
    /// What it does to a reply.
    pub(crate) kind: FilterKind,
    /// What it does, in a line.
    pub(crate) about: &'static str,
}

/// What a filter does to a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilterKind {
    /// It writes it as JSON.
    Json,
    /// It keeps the rows that contain the text that follows.
    Match,
    /// It keeps those that do not.
    Except,
    /// It says how many rows there are.
    Count,
    /// It writes it without pauses.
    NoPage,
}

impl FilterKind {
    /// Whether a text follows the word.
    pub(crate) const fn takes_text(self) -> bool {
        match self {
            Self::Match | Self::Except => true,
            Self::Json | Self::Count | Self::NoPage => false,
        }
    }
}

impl Command {
    /// The words with what follows them, as a description shows it.
    pub(crate) fn usage(&self) -> String {
        let mut text = String::from(self.name);
        for Parameter { keyword, name, optional, .. } in self.parameters {
            // Writing to a String does not fail.
            let _ = match (*keyword, *optional) {
                ("", false) => write!(text, " {name}"),
                ("", true) => write!(text, " [{name}]"),
                (keyword, false) => write!(text, " {keyword} {name}"),
                (keyword, true) => write!(text, " [{keyword} {name}]"),
            };
        }
        text
    }
}

/// The reference manual, in Markdown.
pub fn manual() -> String {
    let mut text = String::from(INTRODUCTION);
    for (mode, title, about) in [
        (Mode::Operation, "Commands", OPERATION),
        (Mode::Configuration, "Commands while configuring", CONFIGURATION),
    ] {
        // Writing to a String does not fail.
        let _ = write!(text, "\n## {title}\n\n{about}\n");
        for command in COMMANDS.iter().filter(|command| command.mode == mode) {
            let about = sentence(command.about);
            let _ = write!(text, "\n### {}\n\n{about}\n{}\n", command.usage(), command.manual);
            for parameter in command.parameters {
                let _ = write!(text, "\n* `{}`: {}", parameter.name, parameter.about);
            }
            if !command.parameters.is_empty() {
                text.push('\n');
            }
            if command.role != Role::View {
                let _ = write!(text, "\nRole: {}.\n", command.role);
            }
        }
    }
    text.push_str("\n## Filters\n\nA reply passes through them from left to right.\n\n");
    for filter in FILTERS {
        let argument = if filter.kind.takes_text() { " TEXT" } else { "" };
        let _ = writeln!(text, "* `| {}{argument}`: {}", filter.name, filter.about);
    }
    text
}

const INTRODUCTION: &str = "# Console reference

Words may be abbreviated as long as they stay unique, except where a command says otherwise. `?` \
shows what may follow, TAB completes, the arrow keys move in the line and through earlier lines, \
Ctrl-C gives up the line or stops the output, Ctrl-U, Ctrl-K and Ctrl-W delete to the start, to \
the end and one word, Ctrl-A and Ctrl-E go to the start and the end, Ctrl-L draws the line again.

A reply longer than a screen stops at `--More--`: space shows the next page, Enter the next line, \
`q` leaves it. `| nopage` and `| json` do not stop.

While the configuration has no `[user.NAME]`, whoever holds the serial line may do everything. \
With users the line asks for a name and a password, and each may do what the role says: `view` \
shows, `operate` also drains servers and boxes, moves virtual \
addresses and switches the box, `configure` also changes the \
configuration. Commands above one's role are not offered. A session without input for 15 minutes \
ends by itself, and so does one whose user is gone or has another password or role in a document \
that somebody else committed.

A document that is refused at the start opens nothing: each of its users that is right by itself \
can log in, wherever it stands in the text. Where the document speaks of users and none of them \
can be read, the line is closed, says so, and takes nothing. The way back in is to start the box \
with a document that is right, or with none: the documents come with the boot, so whoever can \
change them stands before the box. Without a cluster document the line is open.
";

const OPERATION: &str = "Behind the prompt `n1>`.";

const CONFIGURATION: &str = "\
Behind the prompt `n1#`, from `configure` to `exit`. What is set here changes a candidate; the box \
goes on with the running configuration until `commit`.";

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
        for mode in [Mode::Operation, Mode::Configuration] {
            let own = || COMMANDS.iter().filter(|command| command.mode == mode);
            let names: BTreeSet<&str> = own().map(|command| command.name).collect();
            assert_eq!(names.len(), own().count());
        }
        for command in COMMANDS {
            assert!(command.about.len() <= 52, "{}", command.name);
            assert!(command.name.len() <= 20, "{}", command.name);
            assert!(command.manual.ends_with('.'), "{}", command.name);
            assert!(!command.name.contains("  "), "{}", command.name);
            for parameter in command.parameters {
                assert!(parameter.about.len() <= 60, "{} {}", command.name, parameter.name);
            }
        }
    }

    #[test]
    fn a_command_is_for_the_role_that_its_request_needs() {
        let given: [String; 2] = ["192.0.2.1".into(), "1".into()];
        for command in COMMANDS {
            let needed = match command.action {
                Action::Show(topic) => Request::Show(topic).role(),
                Action::Ask(make) => make(&given).map_or(command.role, |request| request.role()),
                Action::Configure { .. } | Action::Leave { .. } | Action::Load | Action::Run => {
                    Role::Configure
                }
                Action::Help | Action::Logout if command.mode == Mode::Operation => Role::View,
                Action::Help | Action::Logout => Role::Configure,
            };
            assert_eq!(command.role, needed, "{}", command.name);
        }
    }

    #[test]
    fn the_manual_in_the_repository_is_the_one_of_the_table() {
        assert_eq!(manual(), include_str!("../../../../docs/console.md"), "docs/console.md is old");
    }
}
