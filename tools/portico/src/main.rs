//! The host tool: checks documents before a box gets them, and prints the manuals.
#![forbid(unsafe_code)]

mod check;
mod password;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Checks configurations of Portico boxes and prints their manuals.
#[derive(Parser)]
#[command(name = "portico", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check documents; every problem is printed as `line:column path: what, what is expected`.
    ///
    /// With several files each line begins with the file's name. Exits with 1 if there is any
    /// problem.
    Check {
        /// Treat the files as node documents; without it, those named node.toml are.
        #[arg(long)]
        node: bool,
        /// The documents; - is the standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Ask for a password and print its hash, as the line for `[user.NAME]` of a document.
    Password,
    /// Print a manual in Markdown.
    Manual {
        /// Which one.
        #[arg(value_enum, default_value_t = Manual::Console)]
        which: Manual,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Manual {
    /// The commands of the console.
    Console,
    /// The keys of the configuration.
    Configuration,
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let result = match Arguments::parse().verb {
        Verb::Check { node, files } => check::files(&mut out, &files, node),
        Verb::Password => match password::line() {
            Ok(line) => writeln!(out, "{line}").map(|()| true),
            Err(problem) => {
                eprintln!("portico: {problem}");
                return ExitCode::FAILURE;
            }
        },
        Verb::Manual { which } => {
            let text = match which {
                Manual::Console => console::manual(),
                Manual::Configuration => model::config::manual(),
            };
            out.write_all(text.as_bytes()).map(|()| true)
        }
    };
    match result.and_then(|good| out.flush().map(|()| good)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever read the output had enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("portico: cannot write the output: {error}");
            ExitCode::FAILURE
        }
    }
}
