//! What happened, for those who look later (`show log`) and those who watch now (serial line,
//! standard error).

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::event::Event;
use model::limits::LOG_LINES;
use model::status::{BootStep, LogEntry};
use netio::Wake;

use crate::clock;

/// The journal. Clones share it. Forwarders never touch it: it locks and allocates.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    entries: VecDeque<LogEntry>,
    boot: Vec<BootStep>,
    /// Lines that the console has not shown yet.
    fresh: VecDeque<String>,
    /// Who shows the lines; until there is somebody they go to standard error.
    console: Option<Arc<Wake>>,
}

impl Journal {
    /// Notes an event, now.
    pub fn note(&self, event: &Event) {
        let now = clock::now();
        let entry = event.entry(now);
        let line = entry.line.clone();
        let mut pages = self.lock();
        if let Event::BootStep { step, detail } = event {
            let (name, detail) = (step.clone(), detail.clone());
            pages.boot.push(BootStep { at: now, name, detail });
        }
        pages.entries.push_back(entry);
        if pages.entries.len() > LOG_LINES {
            pages.entries.pop_front();
        }
        if let Some(console) = pages.console.clone() {
            console.wake();
            pages.fresh.push_back(line);
            if pages.fresh.len() > LOG_LINES {
                pages.fresh.pop_front();
            }
        } else {
            // Nobody may be listening there; nothing depends on it.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Notes a step of starting up.
    pub fn boot(&self, step: &str, detail: impl Into<String>) {
        self.note(&Event::BootStep { step: step.to_owned(), detail: detail.into() });
    }

    /// Everything kept, oldest first.
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// The steps of starting up.
    pub fn boot_steps(&self) -> Vec<BootStep> {
        self.lock().boot.clone()
    }

    /// From now on a console shows new lines: it is woken for each.
    pub fn move_to_console(&self, console: Arc<Wake>) {
        self.lock().console = Some(console);
    }

    /// The next line that the console has not shown.
    pub fn take_fresh(&self) -> Option<String> {
        self.lock().fresh.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        // A thread that panicked while it held the lock left whole lines behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
