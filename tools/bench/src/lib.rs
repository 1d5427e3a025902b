//! Figures that anyone can repeat: what Portico does beside what a user would pick instead, in one
//! run, on one machine.
//!
//! A *group* measures one kind of thing and gives [`Row`]s. A row holds the samples of a quantity,
//! those of a peer from the same rounds, and perhaps a bar. Rounds are interleaved (A B A B …), so
//! that what the machine does to one it does to the other; what is compared is the ratio within a
//! round, and what is told is its median with a 95 % interval. A figure never fails a run.
//!
//! A group is a function of [`Options`] and has a line in [`groups`].
#![forbid(unsafe_code)]

mod arguments;
pub mod arrangement;
pub mod clock;
pub mod emulator;
mod error;
pub mod failover;
pub mod groups;
pub mod load;
mod memory;
mod options;
mod report;
mod rounds;
mod row;
pub mod statistics;

use std::process::ExitCode;

pub use arguments::Arguments;
pub use error::BenchError;
pub use options::Options;
pub use report::{Arrangement, Report};
pub use row::{Bar, Of, Peer, Row, Side, Unit};

/// Measures what was asked for and prints it.
///
/// # Errors
/// [`BenchError`] where a group is unknown. A group that fails is told and makes the run fail;
/// the others are measured all the same.
pub fn run(arguments: &Arguments) -> Result<ExitCode, BenchError> {
    let chosen = groups::choose(&arguments.groups)?;
    let options = arguments.options();
    let mut report = Report::new(Arrangement::read(), &options);
    if !arguments.json {
        print!("{}", report.head());
    }
    for group in chosen {
        let (begin, load) = (clock::now(), Arrangement::load());
        eprintln!("bench: {} ({})", group.name, group.about);
        match (group.run)(&options) {
            Ok(rows) => report.add(group.name, rows),
            Err(error) => report.fail(group.name, &error),
        }
        report.took(group.name, clock::now() - begin, &load);
        if !arguments.json {
            print!("{}", report.last());
        }
    }
    if arguments.json {
        print!("{}", report.json());
    }
    Ok(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
