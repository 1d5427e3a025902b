//! The servers of a way, and when the threads of clients and servers run.
//!
//! Clients, servers and the supervisor share one processor. On a wire of its own a front layer that
//! is busy finds many frames waiting; here it would be let run after each one, because it has
//! waited longest. So clients and servers send all that they have at once (*uninterrupted*), and
//! otherwise run only when nobody else wants to. For what the kernel forwards by itself it makes no
//! difference.

use super::ground::{Ground, server_port};
use crate::BenchError;
use crate::emulator::plan::{Pace, Work};
use init::thread::{Priority, set_priority};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What makes a frame of 64 octets with the headers of Ethernet, IPv4 and UDP.
pub const PAYLOAD: [u8; 22] = [0x5a; 22];
/// A request.
pub const REQUEST: [u8; 100] = [0x71; 100];
/// Its answer.
pub const ANSWER: [u8; 512] = [0x61; 512];
/// What is handed to the kernel or taken from it at once in bulk.
pub const CHUNK: usize = 64 << 10;

/// Serves one way. The threads last as long as the guest.
#[derive(Debug)]
pub struct Servers {
    /// How many frames are a burst.
    burst: Arc<AtomicU64>,
    /// A word each time a burst is complete.
    complete: Receiver<()>,
}

impl Servers {
    /// Starts to serve everything in the server's namespace.
    ///
    /// # Errors
    /// [`BenchError`] where a port cannot be had.
    pub fn start(ground: &Ground) -> Result<Self, BenchError> {
        ground.as_server(|| {
            let at = |work| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, server_port(work));
            let listen =
                |work| TcpListener::bind(at(work)).map_err(BenchError::at("a server's port"));
            let frames = UdpSocket::bind(at(Work::Frames(Pace::Bursts)));
            let frames = frames.map_err(BenchError::at("a server's port"))?;
            let connections = listen(Work::Connections(Pace::Bursts))?;
            let bulk = listen(Work::Bulk)?;
            let (burst, (tell, complete)) = (Arc::new(AtomicU64::new(1)), channel());
            let wanted = Arc::clone(&burst);
            std::thread::spawn(move || count(&frames, &wanted, &tell));
            std::thread::spawn(move || answer(&connections));
            std::thread::spawn(move || pour(&bulk));
            Ok(Self { burst, complete })
        })
    }

    /// From now on so many frames are a burst. None may be under way.
    pub fn expect_bursts_of(&self, frames: u64) {
        self.burst.store(frames, Ordering::Relaxed);
    }

    /// Waits until a burst is complete; false where it is not in time.
    pub fn burst_is_complete(&self, patience: std::time::Duration) -> bool {
        self.complete.recv_timeout(patience).is_ok()
    }
}

/// Does something that nobody interrupts unless it waits.
pub fn uninterrupted<T>(body: impl FnOnce() -> T) -> T {
    // Refused only to others than process 1.
    let _ = set_priority(Priority::RealTime(1));
    let result = body();
    leave_the_processor_to_others();
    result
}

/// From now on this thread runs when nobody else would.
pub fn leave_the_processor_to_others() {
    let _ = set_priority(Priority::Idle);
}

fn count(socket: &UdpSocket, burst: &AtomicU64, complete: &Sender<()>) {
    leave_the_processor_to_others();
    let mut payload = [0; 2 * PAYLOAD.len()];
    let mut count = 0;
    while socket.recv(&mut payload).is_ok() {
        count += 1;
        if count >= burst.load(Ordering::Relaxed) {
            count = 0;
            if complete.send(()).is_err() {
                return;
            }
        }
    }
}

/// Answers all connections that have come, in three steps. One that fails is told by its client.
fn answer(listener: &TcpListener) {
    leave_the_processor_to_others();
    let mut request = [0; REQUEST.len()];
    while let Ok((first, _)) = listener.accept() {
        let mut streams = vec![first];
        let _ = listener.set_nonblocking(true);
        streams.extend(std::iter::from_fn(|| listener.accept().ok().map(|(stream, _)| stream)));
        let _ = listener.set_nonblocking(false);
        streams.retain_mut(|stream| stream.read_exact(&mut request).is_ok());
        uninterrupted(|| {
            for mut stream in streams.drain(..) {
                let _ = stream.write_all(&ANSWER);
            }
        });
    }
}

/// Sends as many octets as a client asks for.
fn pour(listener: &TcpListener) {
    leave_the_processor_to_others();
    for mut stream in listener.incoming().flatten() {
        let mut wanted = [0; 8];
        if stream.read_exact(&mut wanted).is_ok() {
            // A connection that fails is told by its client.
            let _ = uninterrupted(|| send(&mut stream, u64::from_be_bytes(wanted)));
        }
    }
}

fn send(stream: &mut TcpStream, octets: u64) -> std::io::Result<()> {
    let chunk = vec![0x62; CHUNK];
    let mut left = octets;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        stream.write_all(&chunk[..part])?;
        left -= part as u64;
    }
    Ok(())
}
