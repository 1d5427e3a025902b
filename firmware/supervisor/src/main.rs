//! The supervisor: the one program on the box. As PID 1 it is all of user space; with
//! `--node DIR` it is an ordinary process in a network namespace of the lab.
//!
//! Its duties: start the machine ([`boot`]), read what it is told to be ([`settings`]), wire the
//! threads ([`wiring`]) and start them, then watch over them ([`watch`]). What the threads decide
//! is decided in `node`, `dataplane`, `probe` and `console`; here is only who runs when.

mod auth;
mod boot;
mod clock;
mod control;
mod faces;
mod forward;
mod gates;
mod joining;
mod journal;
mod others;
mod ports;
mod probes;
mod pty;
mod pulse;
mod settings;
mod size;
mod start;
mod stream;
mod tap;
mod threads;
mod watch;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;

use journal::Journal;
use watch::End;

/// The folder of the documents on the box, from the archive behind the image's own.
const BOX_FOLDER: &str = "/config";

fn main() -> ExitCode {
    let journal = Journal::default();
    if init::is_pid_one() {
        let machine = boot::machine(&journal);
        let folder = PathBuf::from(BOX_FOLDER);
        let (end, machine) = start::run(start::Place::Box, &folder, machine, &journal);
        watch::leave(end, machine, &journal);
    }
    let folder = match node_folder(std::env::args().skip(1)) {
        Ok(folder) => folder,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    let machine = boot::process(&journal);
    let (end, _) = start::run(start::Place::Lab, &folder, machine, &journal);
    match end {
        End::Restart | End::PowerOff => ExitCode::SUCCESS,
        End::Died => ExitCode::FAILURE,
    }
}

/// The folder that `--node` names.
fn node_folder(mut arguments: impl Iterator<Item = String>) -> Result<PathBuf, String> {
    let usage = "usage: portico-supervisor --node DIR\n\
        DIR holds cluster.toml and node.toml; the console is linked there as DIR/console.\n\
        As process 1 the supervisor takes no arguments and reads /config.";
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (Some("--node"), Some(folder), None) => {
            let folder = PathBuf::from(folder);
            if folder.is_dir() {
                Ok(folder)
            } else {
                Err(format!("{}: there is no such folder\n{usage}", folder.display()))
            }
        }
        _ => Err(usage.to_owned()),
    }
}
