//! What can go wrong in a lab, each with a sentence for people.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a lab verb failed. Whatever it had built by then is taken down by the next `up` or `down`.
#[derive(Debug)]
pub enum LabError {
    /// Namespaces need root.
    NotRoot,
    /// Another lab verb is at work on the same lab.
    Busy {
        /// The lock file it holds.
        lock: PathBuf,
    },
    /// The configuration is not legal; each problem has its place.
    Config {
        /// The file, or `the default configuration`.
        source: String,
        /// Every problem, one a line.
        problems: Vec<String>,
    },
    /// The configuration is legal, but the lab cannot wire it.
    Wiring(String),
    /// There is no supervisor to run; with the reason.
    NoSupervisor(String),
    /// A file or folder.
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A command of the host failed.
    Command {
        /// The command as one would type it.
        command: String,
        /// What it said, or why it did not start.
        said: String,
    },
    /// A process that should be running is not.
    Died {
        /// Which one.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// Something did not happen in time.
    TooLate {
        /// What was waited for.
        what: String,
        /// For how many seconds.
        seconds: u64,
        /// What was seen instead.
        seen: String,
    },
    /// There is no running lab.
    NotUp,
    /// There is no way to the page of a host.
    NoPage {
        /// Which one.
        host: String,
        /// Why not, and what would help.
        why: String,
    },
    /// No host of that name.
    UnknownHost {
        /// The name asked for.
        name: String,
        /// The hosts that there are.
        known: Vec<String>,
    },
    /// The lab has bridges, which know no faults.
    NoSwitch,
    /// A switch could not do what it was asked.
    Switch {
        /// Whose switch.
        segment: String,
        /// Its words.
        why: String,
    },
    /// A fault that makes no sense in this lab.
    Fault(String),
    /// A scenario file is not legal.
    Scenario {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// A step of a scenario failed.
    Step {
        /// Which one, from 1, and what it does.
        step: String,
        /// What was seen.
        seen: String,
    },
}

impl LabError {
    /// A [`LabError::File`] for `path`, for use with `map_err`.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> LabError + use<> {
        let path = path.to_path_buf();
        move |source| LabError::File { path, source }
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabError::NotRoot => {
                write!(f, "the lab makes network namespaces, which needs root; run it with sudo")
            }
            LabError::Busy { lock } => write!(
                f,
                "another verb is at work on this lab (it holds {}); wait for it, or end it",
                lock.display()
            ),
            LabError::Config { source, problems } => {
                write!(f, "{source} is not legal:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            LabError::Wiring(what) => write!(f, "the lab cannot wire this: {what}"),
            LabError::NoSupervisor(why) => write!(f, "there is no supervisor to run: {why}"),
            LabError::File { path, source } => write!(f, "{}: {source}", path.display()),
            LabError::Command { command, said } => write!(f, "`{command}` failed: {}", said.trim()),
            LabError::Died { what, log } => {
                write!(f, "{what} has ended; the last lines of its log:\n{log}")
            }
            LabError::TooLate { what, seconds, seen } => {
                write!(f, "{what} did not happen within {seconds} s; seen instead:\n{seen}")
            }
            LabError::NoPage { host, why } => write!(f, "no way to the page of {host}: {why}"),
            LabError::NotUp => write!(f, "no lab is up; start one with `cargo xtask lab up`"),
            LabError::UnknownHost { name, known } => {
                write!(f, "there is no host {name}; there are {}", known.join(", "))
            }
            LabError::NoSwitch => write!(
                f,
                "this lab is wired with bridges, which cannot lose, delay or capture frames; \
                 start one with `cargo xtask lab up --wiring switch`"
            ),
            LabError::Switch { segment, why } => write!(f, "the switch of {segment}: {why}"),
            LabError::Fault(what) => write!(f, "{what}"),
            LabError::Scenario { file, what } => write!(f, "{}: {what}", file.display()),
            LabError::Step { step, seen } => write!(f, "step {step} failed: {seen}"),
        }
    }
}

impl std::error::Error for LabError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LabError::File { source, .. } => Some(source),
            LabError::NotRoot
            | LabError::Busy { .. }
            | LabError::Config { .. }
            | LabError::Wiring(_)
            | LabError::NoSupervisor(_)
            | LabError::Command { .. }
            | LabError::Died { .. }
            | LabError::TooLate { .. }
            | LabError::NotUp
            | LabError::NoPage { .. }
            | LabError::UnknownHost { .. }
            | LabError::NoSwitch
            | LabError::Switch { .. }
            | LabError::Fault(_)
            | LabError::Scenario { .. }
            | LabError::Step { .. } => None,
        }
    }
}
