//! The machine under a node: power, clock, threads that may be late or hang, and the kernel's
//! bounded receive queues with the times at which frames came in.

use crate::clock::Clock;
use crate::network::frame::{Datagram, Frame};
use crate::plan::episode::Thread;
use base::{Instant, NetworkId};
use std::collections::VecDeque;
use std::rc::Rc;

/// Datagrams that fit the receive queue of a socket: about what Linux' default of 212,992 octets
/// holds of small ones.
const SOCKET_DATAGRAMS: usize = 256;
/// Frames that wait for a forwarding thread, or in the ring of a stopped machine.
const RING_FRAMES: usize = 1_024;

/// A received datagram: the kernel's time stamp on the node's clock, where it came, and itself.
pub(crate) type Received = (Instant, NetworkId, Rc<Datagram>);

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub clock: Clock,
    threads: [Schedule; 3],
    /// The whole machine stands still, its kernel too.
    frozen: bool,
    pub pulse_socket: VecDeque<Received>,
    pub control_socket: VecDeque<Received>,
    /// Frames for the forwarding thread, with their network.
    pub ring: VecDeque<(usize, Frame)>,
    /// Frames that came while the machine was frozen, with their network.
    held: VecDeque<(usize, Frame)>,
    /// Frames and datagrams that no queue had room for.
    pub overflowed: u64,
    /// The pulse thread's socket lost some since it was emptied last.
    pub pulse_lost: bool,
    /// Until then the pulse thread lets datagrams wait for each other.
    pub pulse_rests: u64,
}

/// When a thread runs next.
#[derive(Clone, Copy, Debug, Default)]
struct Schedule {
    /// The wake-up that counts; others are void.
    wake: Option<u64>,
    /// Until then it does not run; [`u64::MAX`]: until further notice.
    stalled: u64,
    /// How many episodes hold it.
    held: u32,
}

impl Machine {
    /// A machine that is switched on.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            threads: [Schedule::default(); 3],
            frozen: false,
            pulse_socket: VecDeque::new(),
            control_socket: VecDeque::new(),
            ring: VecDeque::new(),
            held: VecDeque::new(),
            overflowed: 0,
            pulse_lost: false,
            pulse_rests: 0,
        }
    }

    /// Asks for a wake-up at `at`. Returns whether an event is needed: not if there is an earlier
    /// one.
    pub fn request(&mut self, thread: Thread, at: u64) -> bool {
        let schedule = &mut self.threads[thread as usize];
        if schedule.wake.is_some_and(|wake| wake <= at) {
            return false;
        }
        schedule.wake = Some(at);
        true
    }

    /// A wake-up happens. Returns whether the thread runs now, or when to try again.
    pub fn wake(&mut self, thread: Thread, now: u64) -> Wake {
        let frozen = self.frozen;
        let schedule = &mut self.threads[thread as usize];
        if schedule.wake != Some(now) {
            return Wake::Void;
        }
        if frozen || schedule.held > 0 {
            schedule.wake = None;
            return Wake::Void;
        }
        if schedule.stalled > now {
            schedule.wake = Some(schedule.stalled);
            return Wake::Later(schedule.stalled);
        }
        schedule.wake = None;
        Wake::Now
    }

    /// Keeps a thread from running until a time.
    pub fn stall(&mut self, thread: Thread, until: u64) {
        let schedule = &mut self.threads[thread as usize];
        schedule.stalled = schedule.stalled.max(until);
    }

    /// Keeps a thread from running until it is let go.
    pub fn hold(&mut self, thread: Thread) {
        self.threads[thread as usize].held += 1;
    }

    /// Lets a thread go that was held.
    pub fn release(&mut self, thread: Thread) {
        let schedule = &mut self.threads[thread as usize];
        schedule.held = schedule.held.saturating_sub(1);
    }

    /// Whether a thread could run now.
    pub fn runs(&self, thread: Thread, now: u64) -> bool {
        let schedule = &self.threads[thread as usize];
        !self.frozen && schedule.held == 0 && schedule.stalled <= now
    }

    /// Stops the machine, with its clock if `clock` says so.
    pub fn freeze(&mut self, now: u64, clock: bool) {
        self.frozen = true;
        if clock {
            self.clock.stop(now);
        }
    }

    /// Lets it go on. Returns the frames that waited in its ring: the kernel sees them only now.
    pub fn thaw(&mut self, now: u64) -> VecDeque<(usize, Frame)> {
        self.frozen = false;
        self.clock.start(now);
        std::mem::take(&mut self.held)
    }

    /// Whether the whole machine stands still.
    pub const fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Keeps a frame that came while the machine was frozen, if the ring has room.
    pub fn keep(&mut self, network: usize, frame: Frame) {
        if self.held.len() < RING_FRAMES {
            self.held.push_back((network, frame));
        }
    }

    /// The program has ended: what waited for it is gone.
    pub fn empty(&mut self) {
        self.pulse_socket.clear();
        self.control_socket.clear();
        self.ring.clear();
        self.held.clear();
        self.pulse_lost = false;
        self.pulse_rests = 0;
        for schedule in &mut self.threads {
            schedule.wake = None;
            schedule.stalled = 0;
        }
    }

    /// Puts a datagram in a socket's queue, or drops it. Returns whether there was room.
    pub fn receive(
        &mut self,
        now: u64,
        thread: Thread,
        network: usize,
        datagram: Rc<Datagram>,
    ) -> bool {
        let stamp = self.clock.read(now);
        let socket = match thread {
            Thread::Pulse => &mut self.pulse_socket,
            Thread::Control | Thread::Forward => &mut self.control_socket,
        };
        let room = socket.len() < SOCKET_DATAGRAMS;
        if room {
            socket.push_back((stamp, NetworkId::from(network), datagram));
        } else {
            self.overflowed += 1;
            self.pulse_lost |= thread == Thread::Pulse;
        }
        room
    }

    /// Puts a frame in the ring of the forwarding thread, or drops it.
    pub fn enqueue(&mut self, network: usize, frame: Frame) {
        if self.ring.len() < RING_FRAMES {
            self.ring.push_back((network, frame));
        } else {
            self.overflowed += 1;
        }
    }
}

/// What a wake-up leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The thread runs.
    Now,
    /// It is late: wake it again at this time.
    Later(u64),
    /// Nothing: another wake-up counts, or the thread is held.
    Void,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine::new(Clock::new(0, 0, 0))
    }

    #[test]
    fn only_the_earliest_wake_up_counts() {
        let mut machine = machine();
        assert!(machine.request(Thread::Pulse, 50));
        assert!(machine.request(Thread::Pulse, 20));
        assert!(!machine.request(Thread::Pulse, 30));
        assert_eq!(machine.wake(Thread::Pulse, 20), Wake::Now);
        assert_eq!(machine.wake(Thread::Pulse, 50), Wake::Void);
    }

    #[test]
    fn a_stalled_thread_runs_late_and_a_held_one_not_at_all() {
        let mut machine = machine();
        machine.stall(Thread::Control, 70);
        machine.request(Thread::Control, 10);
        assert_eq!(machine.wake(Thread::Control, 10), Wake::Later(70));
        assert_eq!(machine.wake(Thread::Control, 70), Wake::Now);
        machine.hold(Thread::Control);
        machine.request(Thread::Control, 80);
        assert_eq!(machine.wake(Thread::Control, 80), Wake::Void);
        machine.release(Thread::Control);
        assert!(machine.request(Thread::Control, 90));
        assert_eq!(machine.wake(Thread::Control, 90), Wake::Now);
    }
}
