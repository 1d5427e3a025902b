//! Threads, and what the death of each means: a critical one ends the box, the others start
//! again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::journal::Journal;
use init::thread::Priority;
use model::event::Event;

/// Before a task is started again for the first time; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Every thread of the program but the main one.
pub struct Threads {
    deaths: Receiver<Death>,
    obituary: Sender<Death>,
}

/// How a thread runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// On this core only.
    pub core: Option<usize>,
    /// At this real-time priority.
    pub real_time: Option<u8>,
}

struct Death {
    name: String,
    words: String,
}

impl Default for Threads {
    fn default() -> Self {
        let (obituary, deaths) = channel();
        Self { deaths, obituary }
    }
}

impl Threads {
    /// Starts a thread whose end is the end of the box: without it the box would look alive and
    /// not serve.
    pub fn critical(
        &self,
        name: &str,
        manner: Manner,
        journal: &Journal,
        body: impl FnOnce() + Send + 'static,
    ) {
        let (obituary, complaints) = (self.obituary.clone(), journal.clone());
        let title = name.to_owned();
        let body = move || {
            settle(&title, manner, &complaints);
            let words = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(()) => "it returned".to_owned(),
                Err(panic) => last_words(panic.as_ref()),
            };
            // The receiver lives as long as the program.
            let _ = obituary.send(Death { name: title, words });
        };
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        if let Err(error) = spawned {
            let _ = self.obituary.send(Death { name: name.to_owned(), words: error.to_string() });
        }
    }

    /// Starts a thread that is started again when it panics, with growing pauses: consoles and
    /// probes may fail without the data path noticing.
    pub fn restartable(
        &self,
        name: &str,
        manner: Manner,
        journal: &Journal,
        mut body: impl FnMut() + Send + 'static,
    ) {
        let (journal_inside, title) = (journal.clone(), name.to_owned());
        let run = move || {
            settle(&title, manner, &journal_inside);
            let mut pause = FIRST_PAUSE;
            loop {
                let reason = match catch_unwind(AssertUnwindSafe(&mut body)) {
                    Ok(()) => "it returned".to_owned(),
                    Err(panic) => last_words(panic.as_ref()),
                };
                journal_inside.note(&Event::TaskRestarted { task: title.clone(), reason });
                netio::wait(&[], Some(pause));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        if let Err(error) = spawned {
            let _ = self.obituary.send(Death { name: name.to_owned(), words: error.to_string() });
        }
    }

    /// Notes deaths. Whether there was one.
    pub fn tend(&mut self, journal: &Journal) -> bool {
        let mut died = false;
        while let Ok(Death { name, words }) = self.deaths.try_recv() {
            journal.note(&Event::TaskDied { task: name, reason: words });
            died = true;
        }
        died
    }
}

/// Gives the calling thread its core and priority.
fn settle(name: &str, manner: Manner, journal: &Journal) {
    if let Some(core) = manner.core
        && let Err(error) = init::thread::pin(core)
    {
        journal.boot(name, format!("not pinned to core {core}: {error}"));
    }
    if let Some(level) = manner.real_time
        && let Err(error) = init::thread::set_priority(Priority::RealTime(level))
    {
        journal.boot(name, format!("without real-time priority: {error}"));
    }
}

fn last_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Waits, up to half a minute, until something holds.
    fn eventually(mut holds: impl FnMut() -> bool) -> bool {
        (0..3_000).any(|_| holds() || netio::wait(&[], Some(Duration::from_millis(10))).failed != 0)
    }

    #[test]
    fn the_death_of_a_critical_thread_is_told_with_its_last_words() {
        let (mut threads, journal) = (Threads::default(), Journal::default());
        assert!(!threads.tend(&journal));
        threads.critical("forward-0", Manner::default(), &journal, || panic!("index 3 of 2"));
        assert!(eventually(|| threads.tend(&journal)));
        let log: Vec<String> = journal.entries().into_iter().map(|entry| entry.line).collect();
        let log = log.join("\n");
        assert!(log.contains("forward-0") && log.contains("index 3 of 2"), "{log}");
        threads.critical("control", Manner::default(), &journal, || ());
        assert!(eventually(|| threads.tend(&journal)), "nor may it return");
    }

    #[test]
    fn a_task_that_panics_starts_again_and_the_box_goes_on() {
        let (mut threads, journal) = (Threads::default(), Journal::default());
        let starts = Arc::new(AtomicU32::new(0));
        let counter = starts.clone();
        threads.restartable("faces", Manner::default(), &journal, move || {
            if counter.fetch_add(1, Ordering::Relaxed) == 0 {
                panic!("a slip of {}", "the tongue");
            }
            netio::wait(&[], None);
        });
        assert!(eventually(|| starts.load(Ordering::Relaxed) == 2));
        assert!(!threads.tend(&journal));
        let log: Vec<String> = journal.entries().into_iter().map(|entry| entry.line).collect();
        let log = log.join("\n");
        assert!(log.contains("faces restarted: a slip of the tongue"), "{log}");
    }
}
