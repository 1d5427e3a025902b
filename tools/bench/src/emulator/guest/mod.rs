//! The guest: process 1 of a kernel with everything, which builds the ways, does the work along
//! each in turn, and tells on the serial line what it took.

mod ground;
mod meter;
mod serve;
mod work;

use super::plan::{DONE, FAILED, MEASURED, Measured, PLAN_PATH, Plan, Way, Work};
use crate::{BenchError, clock};
use base::rng::Rng;
use ground::{Ground, SETTLE};
use init::modules::ModuleList;
use init::power;
use meter::Meter;
use serve::{Servers, leave_the_processor_to_others};
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use work::Client;

/// Everything that process 1 of the guest does; then the power goes off.
pub fn run_as_pid_one() -> ExitCode {
    match measure() {
        Ok(()) => println!("{DONE}"),
        Err(error) => {
            let log = std::fs::read_to_string("/node/log").unwrap_or_default();
            println!("{log}\n{FAILED}{error}");
        }
    }
    match power::leave(power::Way::PowerOff) {
        Ok(never) => match never {},
        Err(error) => {
            println!("{FAILED}{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), BenchError> {
    let failed = |error: &dyn std::error::Error| BenchError::CannotMeasure(error.to_string());
    init::mounts::mount_all().map_err(|error| failed(&error))?;
    let modules = ModuleList::of_running_kernel().map_err(|error| failed(&error))?;
    for module in &modules.modules {
        module.load().map_err(|error| failed(&error))?;
    }
    let plan = std::fs::read_to_string(PLAN_PATH).map_err(BenchError::at(PLAN_PATH))?;
    let plan: Plan = serde_json::from_str(&plan).map_err(|error| failed(&error))?;
    let mut ways = Vec::new();
    for way in Way::ALL {
        let ground = Ground::build(way)?;
        let servers = Servers::start(&ground)?;
        ways.push((ground, servers));
    }
    clock::pause(SETTLE);
    leave_the_processor_to_others();
    let mut rng = Rng::new(plan.seed);
    for round in 0..plan.rounds {
        for &(work, amount) in &plan.amounts {
            shuffle(&mut ways, &mut rng);
            for (ground, servers) in &mut ways {
                let measured = measure_one(ground, servers, round, work, amount)?;
                let line = serde_json::to_string(&measured).map_err(|error| failed(&error))?;
                println!("{MEASURED}{line}");
            }
        }
    }
    Ok(())
}

fn measure_one(
    ground: &mut Ground,
    servers: &Servers,
    round: usize,
    work: Work,
    amount: u64,
) -> Result<Measured, BenchError> {
    ground.set_running(true)?;
    clock::pause(SETTLE);
    let (items, instructions) = ground.as_client(|| {
        let client = Client::ready(ground, servers, round, work)?;
        let meter = Meter::start()?;
        let items = client.work(amount)?;
        Ok((items, meter.stop()?))
    })?;
    ground.set_running(false)?;
    Ok(Measured { round, way: ground.way(), work, items, instructions })
}

/// Another order, each as likely (Fisher and Yates).
fn shuffle<T>(list: &mut [T], rng: &mut Rng) {
    for last in (1..list.len()).rev() {
        let other = usize::try_from(rng.below(last as u64 + 1)).unwrap_or(0);
        list.swap(last, other);
    }
}

/// Runs a program with some input until it ends.
fn run(program: &str, arguments: &[&str], input: &str) -> Result<(), BenchError> {
    let line = || format!("{program} {}", arguments.join(" "));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(BenchError::at(line()))?;
    if let Some(mut to) = child.stdin.take() {
        to.write_all(input.as_bytes()).map_err(BenchError::at(line()))?;
    }
    let output = child.wait_with_output().map_err(BenchError::at(line()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(BenchError::CannotMeasure(format!("{} failed: {}", line(), said.trim())))
}
