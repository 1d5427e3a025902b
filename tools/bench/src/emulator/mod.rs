//! Portico beside IPVS, the kernel's own balancer.
//!
//! A host's kernel need not have IPVS, so both are measured in a guest with Debian's full kernel,
//! emulated, on a processor that counts: each instruction takes a nanosecond of the guest's time.
//! What comes out is how many instructions the whole guest executes for a frame, a connection, a
//! megabyte that goes through the front layer, the kernel's share and those of client and server
//! included. They hardly vary from round to round, however busy the host is.
//!
//! ```text
//!   host: initramfs ── QEMU ── serial line ──▶ Measured, one a line ──▶ rows
//!   guest: process 1 builds the ways (guest/ground.rs) and does the work (guest/work.rs)
//! ```

pub mod guest;
mod initramfs;
mod plan;
mod rows;

use crate::{BenchError, Options, Row};
use plan::{DONE, FAILED, MEASURED, Measured, Pace, Plan, Work};
use qemu_tests::{Accelerator, Guest, Limit, Machine, Turn};
use std::time::Duration;

/// The guest's memory in MiB.
const MEMORY: u32 = 1024;
/// Rounds differ by so little that more of them say nothing new.
const MOST_ROUNDS: usize = 7;
/// From one measurement to the next, and to the first one.
const PATIENCE: Limit = Limit(Duration::from_secs(120));
/// Errors only on the serial line; a panic ends the guest.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 ipv6.disable=1";

/// Measures the group `ipvs`.
///
/// # Errors
/// [`BenchError`]: what is missing, or what the guest said went wrong.
pub fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let plan = plan(options);
    let options = Options { folder: options.folder.join("ipvs"), ..options.clone() };
    let bootable = initramfs::build(&options, &plan)?;
    let turn = Turn::take(&options.root.join("target")).map_err(BenchError::at("the turn"))?;
    let mut machine = Machine::new(bootable.kernel, bootable.initramfs, COMMAND_LINE);
    machine.memory = MEMORY;
    machine.watchdog = false;
    machine.accelerator = Accelerator::Counting;
    let mut guest = machine.start(&turn).map_err(|error| problem(&error))?;
    let measured = listen(&mut guest, &plan)?;
    Ok(rows::rows(&measured))
}

/// As much of each work as takes the emulator a second or two.
fn plan(options: &Options) -> Plan {
    let amount = |work| match work {
        Work::Frames(Pace::Bursts) => 4096,
        Work::Frames(Pace::Single) => 1024,
        Work::Connections(Pace::Bursts) => 256,
        Work::Connections(Pace::Single) => 128,
        Work::Bulk => 32 << 20,
    };
    let share = if options.quick { 4 } else { 1 };
    let amounts = Work::ALL.map(|work| (work, amount(work) / share));
    let rounds = options.rounds.min(MOST_ROUNDS);
    Plan { rounds, seed: options.seed, amounts: amounts.into() }
}

/// Collects what the guest tells until it is done.
fn listen(guest: &mut Guest, plan: &Plan) -> Result<Vec<Measured>, BenchError> {
    let expected = plan.rounds * plan.amounts.len() * plan::Way::ALL.len();
    let mut measured = Vec::with_capacity(expected);
    loop {
        let heard = guest.expect("\n", PATIENCE).map_err(|silence| problem(&silence))?;
        let line = heard.trim();
        if let Some((_, told)) = line.split_once(MEASURED) {
            measured.push(serde_json::from_str(told).map_err(|error| problem(&error))?);
        } else if let Some((_, why)) = line.split_once(FAILED) {
            return Err(problem(&format!("in the guest: {why}\n{}", guest.transcript())));
        } else if line.contains(DONE) {
            return Ok(measured);
        }
    }
}

fn problem(what: &dyn std::fmt::Display) -> BenchError {
    BenchError::CannotMeasure(what.to_string())
}
