//! The main thread after start-up: reaps, listens to signals and the power button, feeds the
//! watchdog while the data path makes progress, and carries out the end.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use base::Instant;
use init::power::Way;
use init::signals::Signal;
use init::watchdog::Watchdog;
use model::event::Event;

use crate::boot::Machine;
use crate::clock;
use crate::control::Ending;
use crate::journal::Journal;
use crate::threads::Threads;
use crate::wiring::Progress;

/// Looks around this often.
const ROUND: Duration = Duration::from_secs(1);
/// A critical thread that made no progress for so long is stuck: the watchdog is not fed.
const STUCK: Duration = Duration::from_secs(8);

/// Looking around later than this, the main thread knows nothing about the others.
const LATE: Duration = Duration::from_secs(3);

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The machine starts again.
    Restart,
    /// The machine goes off.
    PowerOff,
    /// A critical thread died; its last words are in the journal.
    Died,
}

/// Something that must go on.
pub struct Pulse {
    /// What it is.
    pub name: String,
    /// When it last showed that it goes on.
    pub progress: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Pulse {
    /// That of a thread which says itself how far it has come.
    pub fn of(name: &str, progress: Arc<Progress>) -> Self {
        Self { name: name.to_owned(), progress: Arc::new(move || progress.at()) }
    }
}

/// Watches until the end.
pub fn watch(
    mut machine: Machine,
    pulses: &[Pulse],
    threads: &mut Threads,
    ending: &Ending,
    journal: &Journal,
) -> (End, Machine) {
    let mut said_stuck = None;
    let mut looked = clock::now();
    let mut seen: Vec<_> = pulses.iter().map(|_| (Instant::ZERO, clock::now())).collect();
    loop {
        let end = listen(&mut machine, journal).or(match ending.get() {
            Ending::REBOOT => Some(End::Restart),
            Ending::POWER_OFF => Some(End::PowerOff),
            _ => None,
        });
        let end = end.or_else(|| threads.tend(journal).then_some(End::Died));
        if let Some(end) = end {
            if end != End::Died {
                ending.part();
            }
            return (end, machine);
        }
        let now = clock::now();
        if now.since(looked) > LATE {
            // The whole machine stood still: the others have not had their turn either.
            seen.iter_mut().for_each(|(_, since)| *since = now);
        }
        looked = now;
        let mut stuck = None;
        for (pulse, (shown, since)) in pulses.iter().zip(&mut seen) {
            let current = (pulse.progress)();
            if current != *shown {
                (*shown, *since) = (current, now);
            }
            if now.since(*since) > STUCK {
                stuck = Some(pulse.name.as_str());
            }
        }
        match stuck {
            None => feed(&mut machine.watchdog, journal),
            Some(name) if said_stuck != Some(name) => {
                let detail = format!("{name} makes no progress; the watchdog is not fed");
                journal.boot("watchdog", detail);
            }
            Some(_) => {}
        }
        said_stuck = stuck;
    }
}

/// Ends as PID 1: the machine restarts or goes off.
pub fn leave(end: End, machine: Machine, journal: &Journal) -> ! {
    let way = match end {
        End::Restart | End::Died => Way::Restart,
        End::PowerOff => Way::PowerOff,
    };
    journal.note(&match end {
        End::Restart | End::Died => Event::Rebooting,
        End::PowerOff => Event::PoweringOff,
    });
    // The last lines reach the serial line before the machine is gone.
    netio::wait(&[], Some(Duration::from_millis(300)));
    if way == Way::PowerOff
        && let Some(watchdog) = machine.watchdog
    {
        // A power-off in order must not be bitten; if this fails the bite is a restart.
        let _ = watchdog.disarm();
    }
    loop {
        let Err(error) = init::power::leave(way);
        journal.boot("leaving", error.to_string());
        netio::wait(&[], Some(ROUND));
    }
}

/// Waits up to a round for the outside. Whether it asks for an end.
fn listen(machine: &mut Machine, journal: &Journal) -> Option<End> {
    let mut fds = ArrayVec::<BorrowedFd<'_>, 2>::new();
    fds.extend(machine.signals.as_ref().map(AsFd::as_fd));
    fds.extend(machine.button.as_ref().map(AsFd::as_fd));
    netio::wait(&fds, Some(ROUND));
    drop(fds);
    let mut end = None;
    while let Some(Ok(Some(signal))) = machine.signals.as_mut().map(|signals| signals.receive()) {
        match signal {
            Signal::Interrupt => end = Some(End::Restart),
            Signal::Terminate | Signal::PowerFailure => end = Some(End::PowerOff),
            Signal::Child => {
                init::children::reap();
            }
        }
    }
    if machine.button.as_mut().is_some_and(|button| button.was_pressed()) {
        journal.boot("power button", "pressed");
        end = Some(End::PowerOff);
    }
    end
}

fn feed(watchdog: &mut Option<Watchdog>, journal: &Journal) {
    if let Some(Err(error)) = watchdog.as_mut().map(Watchdog::feed) {
        journal.boot("watchdog", format!("cannot be fed: {error}"));
        *watchdog = None;
    }
}
