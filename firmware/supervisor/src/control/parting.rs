//! The orderly end: what this box serves is handed to the other boxes first.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use base::Instant;
use dataplane::tables::Owner;
use netio::Wake;

use super::ControlThread;
use crate::clock;

/// For so long the box still passes on what comes for addresses that it has handed over: the
/// first three announcements of their new owners are made in this time.
const LINGER: Duration = Duration::from_millis(250);
/// The end does not wait longer, whatever the other boxes do.
const PATIENCE: Duration = Duration::from_secs(3);

/// How the box is to end: asked for by an operator or a signal, carried out by the main thread.
#[derive(Debug, Default)]
pub struct Ending {
    how: AtomicU8,
    /// Control is to hand over.
    parting: AtomicBool,
    /// Control has.
    parted: AtomicBool,
    control: OnceLock<Arc<Wake>>,
}

impl Ending {
    /// It is to start again.
    pub const REBOOT: u8 = 1;
    /// It is to go off.
    pub const POWER_OFF: u8 = 2;

    /// Asks for it.
    pub fn ask(&self, how: u8) {
        self.how.store(how, Ordering::Release);
    }

    /// What was asked for; 0 is nothing.
    pub fn get(&self) -> u8 {
        self.how.load(Ordering::Acquire)
    }

    /// Whom to wake when the end has come.
    pub fn set_control(&self, wake: Arc<Wake>) {
        // There is one control thread in a start of the program.
        let _ = self.control.set(wake);
    }

    /// Whether the end has come.
    pub fn is_parting(&self) -> bool {
        self.parting.load(Ordering::Acquire)
    }

    /// Has everything handed over and waits for that, for a bounded time.
    pub fn part(&self) {
        let Some(control) = self.control.get() else { return };
        self.parting.store(true, Ordering::Release);
        control.wake();
        let begun = clock::now();
        while !self.parted.load(Ordering::Acquire) && clock::now().since(begun) < PATIENCE {
            netio::wait(&[], Some(Duration::from_millis(10)));
        }
    }
}

/// How far control is with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parting {
    asked: bool,
    /// Since when nothing is served here.
    idle_since: Option<Instant>,
}

impl ControlThread {
    /// Hands over what is served here, once the box is to end.
    pub(super) fn part(&mut self, now: Instant, parting: &mut Parting) {
        if !self.ending.is_parting() {
            return;
        }
        if !parting.asked {
            parting.asked = true;
            if !self.member.as_mut().is_some_and(|member| member.leave(now)) {
                self.ending.parted.store(true, Ordering::Release);
            }
        }
        let serves = self.control.plan().vips().iter().any(|vip| vip.owner == Owner::Us);
        if serves {
            parting.idle_since = None;
        } else if now.since(*parting.idle_since.get_or_insert(now)) >= LINGER {
            self.ending.parted.store(true, Ordering::Release);
        }
    }
}
