//! Captures: control gives each worker a tap, and takes it back when nobody fetches from it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use base::address::mapped;
use model::limits::{CAPTURE_PACKETS, CAPTURE_RING, CAPTURE_SECONDS};
use model::operator::{CaptureFilter, Request};
use rtrb::RingBuffer;

use super::{ControlThread, Question};
use crate::faces::{Capture, Work};
use crate::tap::{Filter, Tap};

/// A capture that workers have taps for.
pub struct Running {
    /// Whose it is, and of which port.
    who: String,
    port: String,
    index: usize,
    /// Somebody fetches from it.
    alive: Weak<()>,
}

impl ControlThread {
    /// Begins what a question asks for.
    pub(super) fn capture(&mut self, question: &Question) -> Result<Work, String> {
        let Request::Capture { port, seconds, packets, filter } = &question.request else {
            return Err("this is no capture".into());
        };
        self.look_at_capture();
        if let Some(Running { who, port, .. }) = &self.running {
            return Err(format!("{who} captures on {port}: there is one capture at a time"));
        }
        if !(1..=CAPTURE_SECONDS).contains(seconds) || !(1..=CAPTURE_PACKETS).contains(packets) {
            return Err(format!(
                "{seconds} seconds and {packets} packets: from 1 to {CAPTURE_SECONDS} and from 1 \
                 to {CAPTURE_PACKETS} are possible"
            ));
        }
        let index = self.port(port)?;
        let CaptureFilter { host, port: number } = *filter;
        let filter = Filter { host: host.map(mapped), port: number };
        let (lost, alive) = (Arc::new(AtomicU64::new(0)), Arc::new(()));
        let mut rings = Vec::new();
        for worker in &mut self.workers {
            let (ring, end) = RingBuffer::new(CAPTURE_RING);
            let tap = Tap { port: index, filter, ring, lost: lost.clone() };
            // There is room: no capture runs, so what was given before was taken.
            let _ = worker.taps.push(Some(Box::new(tap)));
            worker.shared.wake.wake();
            rings.push(end);
        }
        let who = format!("{} ({})", question.origin.user, question.origin.face);
        let (name, alive_too) = (port.clone(), Arc::downgrade(&alive));
        self.running = Some(Running { who, port: name, index, alive: alive_too });
        let (port, time) = (port.clone(), Duration::from_secs(u64::from(*seconds)));
        let packets = u32::from(*packets);
        Ok(Work::Capture(Box::new(Capture { port, time, packets, rings, lost, alive })))
    }

    /// Takes the taps back if nobody fetches any more, or if the port is another one now.
    pub(super) fn look_at_capture(&mut self) {
        let Some(running) = &self.running else { return };
        let same = self.port(&running.port) == Ok(running.index);
        if same && running.alive.strong_count() > 0 {
            return;
        }
        let mut taken = true;
        for worker in &mut self.workers {
            taken &= worker.taps.push(None).is_ok();
            worker.shared.wake.wake();
        }
        // Otherwise some worker has no room now: next time.
        if taken {
            self.running = None;
        }
    }

    /// The number of a port.
    fn port(&self, name: &str) -> Result<usize, String> {
        let ports = &self.control.plan().node().ports;
        ports.iter().position(|port| port.name == name).ok_or_else(|| {
            let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
            format!("there is no port {name}, expected {}", names.join(", "))
        })
    }
}
