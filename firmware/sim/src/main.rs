//! `portico-sim`: whole clusters in simulated time, decided by seeds.
#![forbid(unsafe_code)]

use clap::Parser;
use sim::{Options, run, sweep};
use std::ops::Range;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask sim", about = "Whole clusters in simulated time, decided by seeds")]
struct Arguments {
    /// Run every seed of a range: the second number is not run itself
    #[arg(long, value_name = "A..B", value_parser = range, conflicts_with = "seed")]
    seeds: Option<Range<u64>>,
    /// Run one seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print what happens in that one
    #[arg(long, conflicts_with = "seeds")]
    trace: bool,
    /// Find the fault classes that the failure of that one needs
    #[arg(long, requires = "seed", conflicts_with = "trace")]
    shrink: bool,
    /// Run a small world with a planted bug, to see its checker find it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["seed", "seeds"])]
    plant: Option<String>,
    /// Three nodes, one disturbance, and every combination of what can become of so many messages
    #[arg(long, value_name = "MESSAGES", conflicts_with_all = ["seed", "seeds"])]
    explore: Option<usize>,
    /// Leave a class of faults out
    #[arg(long, value_name = "CLASS")]
    without: Vec<String>,
    /// Seeds that run at a time; by default one on each core
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Print how cost and times grow with nodes and addresses
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    table: bool,
}

fn main() -> ExitCode {
    match act(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("sim: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn act(arguments: &Arguments) -> Result<bool, String> {
    let mut options = Options::default();
    options.trace = arguments.trace;
    for name in &arguments.without {
        options = options.without(name)?;
    }
    if arguments.table {
        sim::table(|line| println!("{line}"));
        return Ok(true);
    }
    if let Some(depth) = arguments.explore {
        return Ok(explored(depth));
    }
    if let Some(name) = &arguments.plant {
        return planted(name, arguments.trace);
    }
    if let Some(seed) = arguments.seed {
        return Ok(one(seed, arguments.shrink, options));
    }
    let seeds = arguments.seeds.clone().unwrap_or(0..100);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(many(seeds, arguments.jobs.unwrap_or(cores), &options))
}

/// Runs one seed. Returns whether every promise was kept.
fn one(seed: u64, shrink: bool, options: Options) -> bool {
    let options = if shrink { sim::shrink(seed, &options) } else { options };
    let outcome = run(seed, &options);
    println!("seed {seed}: {}", outcome.summary);
    let Some(violation) = outcome.violation else {
        println!("every promise was kept in {} s", outcome.seconds);
        return true;
    };
    println!("{violation}");
    if shrink {
        println!("again: {}", options.command(seed));
    }
    false
}

/// Runs every world of a depth. Returns whether every promise was kept in each.
fn explored(depth: usize) -> bool {
    let explored = sim::explore(depth);
    println!("{} worlds", explored.worlds);
    if let Some((world, violation)) = &explored.violation {
        println!("{world}: {violation}");
    }
    explored.violation.is_none()
}

/// Runs a planted bug. Returns whether its checker has found it.
fn planted(name: &str, trace: bool) -> Result<bool, String> {
    let (outcome, checker) = sim::run_planted(name, trace)?;
    let found = outcome.violation.as_ref().is_some_and(|violation| violation.checker == checker);
    let text = outcome.violation.map_or("nothing was found".to_owned(), |found| found.to_string());
    println!("{text}");
    println!("{}", if found { "found, as it must be" } else { "NOT found by its checker" });
    Ok(found)
}

/// Runs many seeds. Returns whether every promise was kept in each.
fn many(seeds: Range<u64>, jobs: usize, options: &Options) -> bool {
    let commit = std::env::var("PORTICO_COMMIT").unwrap_or_else(|_| "an unknown commit".into());
    let wanted = seeds.end.saturating_sub(seeds.start);
    let report = |seed, failure: &str| println!("commit {commit}, seed {seed}: {failure}");
    let progress = |done: u64| {
        if done.is_multiple_of(100) {
            eprintln!("{done} of {wanted} seeds");
        }
    };
    let summary = sweep(seeds, jobs, options, report, progress);
    println!(
        "{} of {wanted} seeds, {} s simulated, {} million events: {} failed",
        summary.seeds,
        summary.seconds,
        summary.events / 1_000_000,
        summary.failures.len(),
    );
    if let Some(seed) = summary.failures.keys().next() {
        println!("look at one: cargo xtask sim --seed {seed} --trace");
    }
    summary.failures.is_empty() && summary.seeds == wanted
}

/// A range of seeds as it is typed.
fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("two numbers with .. between: 0..100")?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
    let (from, to) = (number(from)?, number(to)?);
    if from < to { Ok(from..to) } else { Err("the first number must be below the second".into()) }
}
