//! A capture: fetches what the workers copied, says a line for each frame, and keeps the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::limits::CAPTURE_FETCH;
use model::operator::Reply;
use model::status::{CaptureEnd, Captured};
use packet::pcap::Writer;
use rtrb::Consumer;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::describe::describe;
use super::errands::Teller;
use crate::clock;
use crate::tap::Snapshot;

/// The file of the last capture.
pub type Kept = watch::Sender<Option<Arc<[u8]>>>;

/// A capture that control has begun.
pub struct Capture {
    /// The port's name.
    pub port: String,
    /// For how long.
    pub time: Duration,
    /// How many frames at most.
    pub packets: u32,
    /// From each worker.
    pub rings: Vec<Consumer<Snapshot>>,
    /// Frames for which a ring had no room.
    pub lost: Arc<AtomicU64>,
    /// Control ends the workers' part when nobody holds this.
    pub alive: Arc<()>,
}

/// Captures until the end.
pub async fn run(teller: &Teller, mut capture: Capture, stop: &Notify, kept: &Kept) {
    let begun = clock::now();
    let (mut file, mut frames) = (Writer::new(), 0);
    let mut stopped = false;
    let end = loop {
        let over = capture.end(clock::now().since(begun), stopped);
        for snapshot in capture.fetch() {
            if frames == capture.packets {
                break;
            }
            frames += 1;
            file.push_part(snapshot.at, &snapshot.bytes, snapshot.length);
            // Whoever has gone ends it with their session.
            teller.tell(Reply::Frame(describe(&snapshot)));
        }
        if frames == capture.packets {
            break CaptureEnd::Packets;
        }
        if let Some(end) = over {
            break end;
        }
        tokio::select! {
            () = sleep(CAPTURE_FETCH) => {}
            () = stop.notified() => stopped = true,
        }
    };
    kept.send_replace(Some(file.into_bytes().into()));
    let time = clock::now().since(begun);
    let Capture { port, rings, lost, alive, .. } = capture;
    // Another may begin as soon as this one is told to be over.
    drop((rings, alive));
    let lost = lost.load(Ordering::Relaxed);
    teller.tell(Reply::Captured(Captured { port, frames, lost, time, end }));
}

impl Capture {
    /// Why it is over, if it is. What the workers have copied by now is still to be fetched.
    fn end(&self, time: Duration, stopped: bool) -> Option<CaptureEnd> {
        if stopped {
            Some(CaptureEnd::Stopped)
        } else if time >= self.time {
            Some(CaptureEnd::Time)
        } else if self.rings.iter().all(Consumer::is_abandoned) {
            Some(CaptureEnd::PortGone)
        } else {
            None
        }
    }

    /// What the workers have copied, in the order in which it passed.
    fn fetch(&mut self) -> Vec<Snapshot> {
        let mut all = Vec::new();
        for ring in &mut self.rings {
            // What comes meanwhile is for the next time.
            for _ in 0..ring.slots() {
                all.extend(ring.pop());
            }
        }
        all.sort_by_key(|snapshot: &Snapshot| snapshot.at);
        all
    }
}
