//! `portico-bench`: figures that anyone can repeat. `cargo xtask bench` builds it and hands on.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // In the guest that the group `ipvs` boots.
    if std::process::id() == 1 {
        return bench::emulator::guest::run_as_pid_one();
    }
    // The echo of a lab's servers is the program that built the lab.
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = bench::failover::echo(&words) {
        return code;
    }
    match bench::run(&bench::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
