//! The other end of a connection, in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that a slow client takes at once.
const SIP: usize = 100;

/// What was sent to the client so far, and whether it has more to say.
#[derive(Debug, Default)]
pub struct Sent {
    octets: Vec<u8>,
    arriving: bool,
}

impl Sent {
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    pub const fn len(&self) -> usize {
        self.octets.len()
    }

    pub const fn is_arriving(&self) -> bool {
        self.arriving
    }
}

/// A client that sends its pieces with a pause between them.
pub struct Wire {
    pieces: VecDeque<Vec<u8>>,
    paused: bool,
    /// It closes its half when it has said everything.
    closes: bool,
    /// It takes a little at a time.
    slow: bool,
    full: bool,
    sent: Rc<RefCell<Sent>>,
}

impl Wire {
    pub fn new(pieces: Vec<Vec<u8>>, closes: bool, slow: bool) -> Self {
        let sent = Rc::new(RefCell::new(Sent { octets: Vec::new(), arriving: true }));
        Self { pieces: pieces.into(), paused: false, closes, slow, full: false, sent }
    }

    pub fn sent(&self) -> Rc<RefCell<Sent>> {
        self.sent.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.paused {
            self.paused = false;
            return Poll::Pending;
        }
        let Some(piece) = self.pieces.front_mut() else {
            self.sent.borrow_mut().arriving = false;
            return if self.closes { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        let taken = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..taken]);
        piece.drain(..taken);
        if piece.is_empty() {
            self.pieces.pop_front();
            self.paused = !self.pieces.is_empty();
        }
        // No octets would mean the end.
        if taken == 0 { self.poll_read_again(buffer) } else { Poll::Ready(Ok(())) }
    }
}

impl Wire {
    /// After an empty piece: a pause, or what follows it.
    fn poll_read_again(mut self: Pin<&mut Self>, _: &ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.paused = false;
        if self.pieces.is_empty() {
            self.sent.borrow_mut().arriving = false;
            if self.closes {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.full = self.slow && !self.full;
        if self.full {
            return Poll::Pending;
        }
        let taken = if self.slow { data.len().min(SIP) } else { data.len() };
        self.sent.borrow_mut().octets.extend_from_slice(&data[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
