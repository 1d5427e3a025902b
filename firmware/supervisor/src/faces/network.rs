//! The task that moves the host stack's packets, and rings for the others.

use std::time::Duration;

use arrayvec::ArrayVec;
use tokio::sync::{Notify, watch};

use crate::clock;
use crate::stream::Network;
use crate::wiring::{PACKET_OCTETS, Packet, StackEnds};

use super::{Post, Where, called, watched};

/// Looks around this often at least.
const IDLE: Duration = Duration::from_secs(1);
/// When the queue to the worker has no room: look again.
const CROWDED: Duration = Duration::from_millis(1);

/// Without a bell that can be heard: look again.
const UNHEARD: Duration = Duration::from_millis(10);

/// Somebody rang: there may be lines and replies.
#[derive(Default)]
pub struct Rung(Notify);

impl Rung {
    /// Until the next time.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Drives the stack for ever.
pub async fn drive(
    network: &Network,
    ends: &mut StackEnds,
    places: &mut watch::Receiver<Where>,
    post: &Post,
    rung: &Rung,
) {
    let wake = ends.wake.clone();
    let bell = watched(wake.fd()).ok();
    let mut first = true;
    loop {
        let now = clock::now();
        for worker in &mut ends.from_workers {
            while let Ok(packet) = worker.pop() {
                // Full: as on a wire.
                let _ =
                    network.with(|stack| stack.handle_packet(now, packet.network, &packet.bytes));
            }
        }
        if std::mem::take(&mut first) || places.has_changed().unwrap_or(false) {
            let attachments = places.borrow_and_update().attachments.clone();
            network.with(|stack| stack.reconfigure(now, attachments));
        }
        network.with(|stack| stack.handle_timeout(now));
        if network.with(|stack| send_all(ends, |out| stack.poll_transmit(now, out))) {
            ends.worker.wake.wake();
        }
        network.tell();
        post.deliver();
        rung.0.notify_one();
        // Those who were woken come first: what they say may go at once.
        tokio::task::yield_now().await;
        let next = network.with(|stack| stack.next_deadline(now));
        let mut pause = next.map_or(IDLE, |at| at.since(clock::now())).min(IDLE);
        if ends.to_worker.is_full() {
            pause = pause.max(CROWDED);
        }
        tokio::select! {
            () = network.stirred() => {}
            () = tokio::time::sleep(pause) => {}
            () = called(bell.as_ref(), UNHEARD) => wake.drain(),
        }
    }
}

/// Moves packets of a host stack into the queue to the first worker. Whether there were any.
pub fn send_all(
    ends: &mut StackEnds,
    mut poll: impl FnMut(&mut [u8]) -> Option<(base::NetworkId, usize)>,
) -> bool {
    let mut any = false;
    let mut buffer = [0; PACKET_OCTETS];
    while !ends.to_worker.is_full() {
        let Some((network, length)) = poll(&mut buffer) else { break };
        let Ok(bytes) = ArrayVec::try_from(&buffer[..length]) else { continue };
        any |= ends.to_worker.push(Packet { network, bytes }).is_ok();
    }
    any
}
