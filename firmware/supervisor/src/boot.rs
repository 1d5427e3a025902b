//! The boot list: what PID 1 does, in order, what each step needs, and what happens when it
//! fails. Every step stamps the time since kernel start into the journal.
//!
//! | step | needs | when it fails |
//! | --- | --- | --- |
//! | signals | – | no restart by Ctrl-Alt-Delete, no end by signal; serve |
//! | mounts | – | serve as far as the rest goes |
//! | crash policy | mounts | a kernel panic does not restart the box; serve |
//! | modules | mounts | the ports whose drivers are missing stay away; serve |
//! | watchdog | modules | a hang is not noticed from outside; serve |
//! | power button, Ctrl-Alt-Delete | modules | switch the box off by console; serve |
//! | limits, memory | – | serve |
//! | entropy | – | flow hashes can be guessed until the next start; serve |
//! | console | mounts | no console; serve |
//!
//! "Serve" everywhere: a box that comes up with one thing missing and says so is worth more than
//! one that does not come up.

use std::path::Path;
use std::time::Duration;

use init::button::PowerButton;
use init::console::Console;
use init::memory::Memory;
use init::modules::{Loaded, ModuleList};
use init::signals::Signals;
use init::watchdog::Watchdog;

use crate::journal::Journal;

/// Seconds after which a panicked kernel starts again.
const PANIC_SECONDS: u32 = 10;
/// How long the watchdog waits for a sign of life.
const WATCHDOG: Duration = Duration::from_secs(30);
/// How long the boot waits for randomness: serving is worth more than a better seed.
const ENTROPY: Duration = Duration::from_millis(500);
/// Descriptors: sockets of 32 ports and 16 workers, thrice.
const OPEN_FILES: u64 = 4_096;

/// What the boot list leaves behind for the main thread.
#[derive(Default)]
pub struct Machine {
    /// Signals, if they can be read.
    pub signals: Option<Signals>,
    /// The watchdog, if there is one.
    pub watchdog: Option<Watchdog>,
    /// The power button, if there is one.
    pub button: Option<PowerButton>,
}

/// Runs the list as PID 1.
pub fn machine(journal: &Journal) -> Machine {
    let mut machine = Machine::default();
    journal.boot("pid 1", concat!("portico ", env!("CARGO_PKG_VERSION")));
    signals(journal, &mut machine);
    report(
        journal,
        "mounts",
        init::mounts::mount_all().map(|m| format!("{} mounted", m.fresh.len())),
    );
    report(
        journal,
        "crash policy",
        init::kernel::set_crash_policy(PANIC_SECONDS)
            .map(|()| format!("restart {PANIC_SECONDS} s after a panic")),
    );
    modules(journal, &mut machine);
    report(
        journal,
        "ctrl-alt-del",
        init::power::catch_ctrl_alt_delete().map(|()| "restarts in order".to_owned()),
    );
    match PowerButton::open() {
        Ok(button) => {
            journal.boot("power button", format!("{} found", button.devices().len()));
            machine.button = Some(button);
        }
        Err(error) => journal.boot("power button", format!("missing: {error}")),
    }
    report(journal, "core dumps", init::limits::forbid_core_dumps().map(|()| "off".to_owned()));
    report(journal, "memory", init::memory::keep_resident().map(|()| "locked".to_owned()));
    machine
}

/// What a supervisor that is not PID 1 needs of the list.
pub fn process(journal: &Journal) -> Machine {
    let mut machine = Machine::default();
    journal.boot("process", concat!("portico ", env!("CARGO_PKG_VERSION")));
    signals(journal, &mut machine);
    machine
}

/// What both need.
pub fn common(journal: &Journal) -> u64 {
    if let Err(error) = init::limits::allow_open_files(OPEN_FILES) {
        journal.boot("open files", format!("at the default: {error}"));
    }
    match init::entropy::seed(ENTROPY) {
        Ok(seed) if seed.unguessable => seed.value,
        Ok(seed) => {
            journal.boot("entropy", "weak: flow hashes may be guessed until the next start");
            seed.value
        }
        Err(error) => {
            journal.boot("entropy", format!("none, hashes are guessable: {error}"));
            0
        }
    }
}

/// Octets that can be had now.
pub fn available_memory(journal: &Journal) -> u64 {
    match Memory::read() {
        Ok(memory) => memory.available,
        Err(error) => {
            let assumed = 128 << 20;
            journal.boot("memory", format!("assuming {assumed} octets: {error}"));
            assumed
        }
    }
}

/// The serial line, if the kernel has one.
pub fn console(journal: &Journal) -> Option<Console> {
    let path = init::console::device();
    match Console::open(&path) {
        Ok(Some(console)) => {
            journal.boot("console", path.display().to_string());
            Some(console)
        }
        Ok(None) => {
            journal.boot("console", format!("none: nobody is behind {}", path.display()));
            None
        }
        Err(error) => {
            journal.boot("console", format!("none: {error}"));
            None
        }
    }
}

fn signals(journal: &Journal, machine: &mut Machine) {
    match Signals::take() {
        Ok(signals) => machine.signals = Some(signals),
        Err(error) => journal.boot("signals", format!("not caught: {error}")),
    }
}

/// Loads the board's modules, arms the first watchdog that appears, then closes the door.
fn modules(journal: &Journal, machine: &mut Machine) {
    let list = match ModuleList::of_running_kernel() {
        Ok(list) => list,
        Err(error) => {
            journal.boot("modules", format!("none: {error}"));
            return;
        }
    };
    let (mut fresh, mut failed) = (0, 0);
    for module in &list.modules {
        match module.load() {
            Ok(Loaded::Fresh | Loaded::Already) => fresh += 1,
            Ok(Loaded::NoSuchDevice) => {}
            Err(error) => {
                failed += 1;
                journal.boot("modules", format!("{} is missing: {error}", module.name()));
            }
        }
        if machine.watchdog.is_none() {
            machine.watchdog = Watchdog::arm(Path::new(Watchdog::FIRST), WATCHDOG).ok();
        }
    }
    journal.boot("modules", format!("{fresh} loaded, {failed} failed"));
    match &machine.watchdog {
        Some(watchdog) => journal
            .boot("watchdog", format!("{}, {} s", watchdog.name(), watchdog.timeout().as_secs())),
        None => journal.boot("watchdog", "none: a hang will not be noticed"),
    }
    report(journal, "no more modules", init::modules::forbid_more().map(|()| "locked".to_owned()));
}

fn report<E: std::fmt::Display>(journal: &Journal, step: &str, result: Result<String, E>) {
    match result {
        Ok(detail) => journal.boot(step, detail),
        Err(error) => journal.boot(step, format!("failed: {error}")),
    }
}
