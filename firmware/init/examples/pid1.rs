//! The smallest PID 1: runs every chore of this crate once, prints what came of it and how many
//! seconds after kernel start, then waits for a reason to leave.
//!
//! It serves to bring up a board's image without the appliance: give its binary to the image
//! builder in place of the supervisor. `pid1=hang` on the kernel's command line makes it stop when
//! its chores are done without feeding the watchdog again, `pid1=exit` makes it end.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use init::power::Way;
use init::signals::{Signal, Signals};
use init::watchdog::Watchdog;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

fn main() {
    let signals = Signals::take();
    let mounts = init::mounts::mount_all();
    say("pid 1", format_args!("release {:?}", init::kernel::release()));
    say("mounts", format_args!("{mounts:?}"));
    say("crash policy", format_args!("{:?}", init::kernel::set_crash_policy(10)));
    let watchdog = load_modules();
    say("last module", format_args!("{:?}", init::modules::forbid_more()));
    say("ctrl-alt-del", format_args!("{:?}", init::power::catch_ctrl_alt_delete()));
    let button = init::button::PowerButton::open();
    say("button", format_args!("{:?}", button.as_ref().map(|button| button.devices().to_vec())));
    say("entropy", format_args!("{:?}", init::entropy::seed(Duration::from_secs(1))));
    say("hostname", format_args!("{:?}", init::kernel::set_hostname("portico")));
    say("files", format_args!("{:?}", init::limits::allow_open_files(65_536)));
    say("core dumps", format_args!("{:?}", init::limits::forbid_core_dumps()));
    say("resident", format_args!("{:?}", init::memory::keep_resident()));
    say("cores", format_args!("{:?}", init::thread::cores()));
    say("memory", format_args!("{:?}", init::memory::Memory::read()));
    let config = std::fs::read_dir("/config").map(|folder| folder.count());
    say("config", format_args!("{config:?} files"));
    let ports = std::fs::read_dir("/sys/class/net")
        .map(|folder| folder.filter_map(|entry| Some(entry.ok()?.file_name())).collect::<Vec<_>>());
    say("ports", format_args!("{ports:?}"));
    let line = init::kernel::command_line().unwrap_or_default();
    match init::kernel::argument(&line, "pid1") {
        Some("hang") => hang(watchdog),
        Some("exit") => return say("exiting", format_args!("as I was told")),
        Some(_) | None => {}
    }
    match (signals, button) {
        (Ok(signals), Ok(button)) => wait_and_leave(signals, button, watchdog),
        failed => say("stuck", format_args!("{failed:?}")),
    }
}

/// Loads the list and arms the first watchdog that appears.
fn load_modules() -> Option<Watchdog> {
    let list = match init::modules::ModuleList::of_running_kernel() {
        Ok(list) => list,
        Err(error) => {
            say("modules", format_args!("{error}"));
            return None;
        }
    };
    let mut watchdog = None;
    for module in &list.modules {
        let outcome = module.load();
        say("module", format_args!("{}: {outcome:?}", module.name()));
        if watchdog.is_none() {
            watchdog = Watchdog::arm(Path::new(Watchdog::FIRST), Duration::from_secs(30)).ok();
        }
    }
    say("watchdog", format_args!("{:?}", watchdog.as_ref().map(|w| (w.name(), w.timeout()))));
    watchdog
}

/// Does nothing for ever, with a watchdog that has little patience.
fn hang(patient: Option<Watchdog>) -> ! {
    // Opening it again is refused while it is open; dropping it leaves it armed.
    drop(patient);
    let armed = Watchdog::arm(Path::new(Watchdog::FIRST), Duration::from_secs(3));
    say("hanging", format_args!("{:?}", armed.as_ref().map(Watchdog::timeout)));
    loop {
        std::thread::park();
    }
}

fn wait_and_leave(
    mut signals: Signals,
    mut button: init::button::PowerButton,
    mut watchdog: Option<Watchdog>,
) {
    say("waiting", format_args!("for the power button or Ctrl-Alt-Delete"));
    loop {
        let mut watched = [
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(button.as_fd(), PollFlags::POLLIN),
        ];
        let polled = poll(&mut watched, PollTimeout::from(5000u16));
        if let Some(fed) = watchdog.as_mut().map(Watchdog::feed) {
            fed.unwrap_or_else(|error| say("watchdog", format_args!("{error}")));
        }
        if let Err(error) = polled {
            say("poll", format_args!("{error}"));
        }
        let way = match signals.receive() {
            Ok(Some(Signal::Interrupt)) => Some(Way::Restart),
            Ok(Some(Signal::Terminate | Signal::PowerFailure)) => Some(Way::PowerOff),
            Ok(Some(Signal::Child)) => {
                say("children", format_args!("{}", init::children::reap()));
                None
            }
            Ok(None) | Err(_) => button.was_pressed().then_some(Way::PowerOff),
        };
        if let Some(way) = way {
            say("leaving", format_args!("{way:?}"));
            if let Some(Err(error)) =
                (way == Way::PowerOff).then(|| watchdog.take().map(Watchdog::disarm)).flatten()
            {
                say("watchdog", format_args!("{error}"));
            }
            let Err(error) = init::power::leave(way);
            say("leaving", format_args!("{error}"));
        }
    }
}

/// One line with the seconds since kernel start, as `/proc/uptime` has them.
fn say(step: &str, what: std::fmt::Arguments<'_>) {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = uptime.split(' ').next().unwrap_or("?");
    // A console that has gone away must not end PID 1, as println! would.
    let _ = writeln!(std::io::stdout(), "[{seconds:>8}] pid1: {step}: {what}");
}
