//! Octet streams over the host stack's connections, and the task that moves its packets.
//!
//! One task ([`Network::drive`]) takes packets in, lets time pass, sends, and wakes the streams
//! that something happened to. Streams only touch buffers and wake that task.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use base::Instant;
use hoststack::{
    Connection, Echo, EchoError, End, Event, HostStack, ListenError, ReceiveError, SendError,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use crate::clock;

/// A host stack that many tasks share.
#[derive(Clone)]
pub struct Network(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    /// Somebody wrote, read or went: there may be something to send.
    stirred: Notify,
    /// Somebody may be waiting to be accepted.
    incoming: Notify,
}

struct Inner {
    stack: HostStack,
    waiting: BTreeMap<Connection, Waiting>,
    /// Who waits for an echo, by identifier.
    pinging: BTreeMap<u16, Waker>,
}

/// Who waits for what on a connection.
#[derive(Default)]
struct Waiting {
    read: Option<Waker>,
    write: Option<Waker>,
}

impl Network {
    /// Shares a stack.
    pub fn new(stack: HostStack) -> Self {
        let inner = Mutex::new(Inner { stack, waiting: BTreeMap::new(), pinging: BTreeMap::new() });
        Self(Arc::new(Shared { inner, stirred: Notify::new(), incoming: Notify::new() }))
    }

    /// Works on the stack itself; whoever may have changed something calls [`Self::stir`].
    pub fn with<T>(&self, work: impl FnOnce(&mut HostStack) -> T) -> T {
        work(&mut self.lock().stack)
    }

    /// Has the driving task look again.
    pub fn stir(&self) {
        self.0.stirred.notify_one();
    }

    /// Until somebody calls [`Self::stir`].
    pub async fn stirred(&self) {
        self.0.stirred.notified().await;
    }

    /// Wakes everybody to whom something happened.
    pub fn tell(&self) {
        let mut inner = self.lock();
        while let Some(event) = inner.stack.poll_event() {
            match event {
                Event::Connection(connection) => {
                    let Some(waiting) = inner.waiting.get_mut(&connection) else { continue };
                    waiting.read.take().into_iter().for_each(Waker::wake);
                    waiting.write.take().into_iter().for_each(Waker::wake);
                }
                Event::Incoming(_) => self.0.incoming.notify_one(),
                Event::Echo(identifier) => {
                    inner.pinging.remove(&identifier).into_iter().for_each(Waker::wake);
                }
                Event::Datagram(_) => {}
            }
        }
    }

    /// Listens on a port of every address.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn listen(&self, port: u16) -> Result<(), ListenError> {
        self.with(|stack| stack.listen(port))
    }

    /// The next connection to a port, once there is room for it: with the address it came to and
    /// the address it comes from.
    pub async fn accept(&self, port: u16) -> (Stream, SocketAddr, SocketAddr) {
        loop {
            let accepted = self.with(|stack| {
                let connection = stack.accept(port)?;
                stack.ends(connection).map(|(local, remote)| (connection, local, remote))
            });
            if let Some((connection, local, remote)) = accepted {
                return (Stream { network: self.clone(), connection }, local, remote);
            }
            self.0.incoming.notified().await;
        }
    }

    /// Somebody who asks for echoes.
    pub fn pinger(&self) -> Pinger {
        let identifier = self.with(HostStack::echo_identifier);
        Pinger { network: self.clone(), identifier }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked inside left the stack between two of its steps: it is still whole.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for echoes, and waits for them. Dropping it forgets what was asked.
pub struct Pinger {
    network: Network,
    identifier: u16,
}

impl Pinger {
    /// Asks a host, from the address that is returned.
    ///
    /// # Errors
    /// [`EchoError`].
    pub fn ask(&self, now: Instant, target: IpAddr, sequence: u16) -> Result<IpAddr, EchoError> {
        let (network, identifier) = (&self.network, self.identifier);
        let asked = network.with(|stack| stack.ask_echo(now, target, identifier, sequence));
        network.stir();
        asked
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Echo {
        std::future::poll_fn(|context| {
            let mut inner = self.network.lock();
            if let Some(echo) = inner.stack.poll_echo(self.identifier) {
                return Poll::Ready(echo);
            }
            inner.pinging.insert(self.identifier, context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits no more for an answer to this question.
    pub fn forget(&self, sequence: u16) {
        self.network.with(|stack| stack.forget_echo(self.identifier, sequence));
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        let mut inner = self.network.lock();
        inner.stack.forget_echoes(self.identifier);
        inner.pinging.remove(&self.identifier);
    }
}

/// One connection. Dropping it says goodbye, or resets it if something lies unread.
pub struct Stream {
    network: Network,
    connection: Connection,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut inner = self.network.lock();
        inner.waiting.remove(&self.connection);
        inner.stack.release(clock::now(), self.connection);
        drop(inner);
        self.network.stir();
        // There is room for the next.
        self.network.0.incoming.notify_one();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut inner = self.network.lock();
        let moved = match inner.stack.receive(self.connection, buffer.initialize_unfilled()) {
            Ok(0) => {
                let waiting = inner.waiting.entry(self.connection).or_default();
                waiting.read = Some(context.waker().clone());
                return Poll::Pending;
            }
            Ok(moved) => moved,
            Err(ReceiveError::Finished) => return Poll::Ready(Ok(())),
            Err(ReceiveError::Ended(end)) => return Poll::Ready(Err(broken(end))),
            Err(ReceiveError::Unknown) => return Poll::Ready(Err(gone())),
        };
        drop(inner);
        buffer.advance(moved);
        // The window is open again.
        self.network.stir();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut inner = self.network.lock();
        let taken = match inner.stack.send(self.connection, data) {
            Ok(0) => {
                let waiting = inner.waiting.entry(self.connection).or_default();
                waiting.write = Some(context.waker().clone());
                return Poll::Pending;
            }
            Ok(taken) => taken,
            Err(SendError::Ended(end)) => return Poll::Ready(Err(broken(end))),
            Err(SendError::NotOpen | SendError::Unknown) => return Poll::Ready(Err(gone())),
        };
        drop(inner);
        self.network.stir();
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was taken is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.network.with(|stack| stack.close(self.connection));
        self.network.stir();
        Poll::Ready(Ok(()))
    }
}

fn broken(end: End) -> io::Error {
    match end {
        End::Reset | End::Refused => io::ErrorKind::ConnectionReset,
        End::TimedOut => io::ErrorKind::TimedOut,
        End::Closed => io::ErrorKind::BrokenPipe,
        End::Unreachable | End::AddressGone => io::ErrorKind::ConnectionAborted,
    }
    .into()
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::NetworkId;
    use hoststack::Attachment;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A host with one address on a network that both have.
    fn host(address: &str, seed: u64) -> Network {
        let place = Attachment {
            network: NetworkId(0),
            addresses: vec![address.parse().unwrap()],
            gateways: Vec::new(),
            mtu: 1_500,
        };
        Network::new(HostStack::new(clock::now(), vec![place], 49_152..=60_999, seed))
    }

    /// Carries packets between two hosts for ever, as their driving tasks do.
    async fn wire(hosts: [Network; 2]) {
        let mut buffer = [0; 2_048];
        loop {
            for (from, to) in [(0, 1), (1, 0)] {
                hosts[from].with(|stack| stack.handle_timeout(clock::now()));
                while let Some((network, length)) =
                    hosts[from].with(|stack| stack.poll_transmit(clock::now(), &mut buffer))
                {
                    let packet = &buffer[..length];
                    hosts[to]
                        .with(|stack| stack.handle_packet(clock::now(), network, packet))
                        .unwrap();
                }
            }
            hosts.iter().for_each(Network::tell);
            tokio::select! {
                () = hosts[0].stirred() => {}
                () = hosts[1].stirred() => {}
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    }

    /// Two hosts, and a connection of the first to a port of the second.
    async fn pair() -> (Stream, Stream, [Network; 2]) {
        let hosts = [host("192.0.2.1/24", 1), host("192.0.2.2/24", 2)];
        tokio::spawn(wire(hosts.clone()));
        hosts[1].listen(443).unwrap();
        let remote = "192.0.2.2:443".parse().unwrap();
        let connection = hosts[0].with(|stack| stack.connect(clock::now(), remote)).unwrap();
        hosts[0].stir();
        let (far, local, _) = hosts[1].accept(443).await;
        assert_eq!(local, remote);
        (Stream { network: hosts[0].clone(), connection }, far, hosts)
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let patience = Duration::from_secs(60);
        runtime.block_on(async { tokio::time::timeout(patience, test).await }).unwrap();
    }

    #[test]
    fn more_than_the_buffers_hold_arrives_whole_and_then_ends() {
        run(async {
            let (mut near, mut far, _) = pair().await;
            let data: Vec<u8> = (0..200_000_u32).map(|index| (index % 251) as u8).collect();
            let expected = data.clone();
            let send = async {
                near.write_all(&data).await.unwrap();
                near.shutdown().await.unwrap();
            };
            let mut received = Vec::new();
            let ((), length) = tokio::join!(send, far.read_to_end(&mut received));
            assert_eq!(length.unwrap(), expected.len());
            assert!(received == expected);
        });
    }

    #[test]
    fn a_stream_that_is_dropped_with_something_unread_is_reset() {
        run(async {
            let (mut near, far, hosts) = pair().await;
            near.write_all(b"unread").await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(far);
            let error = near.read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            assert!(hosts[1].lock().waiting.is_empty());
        });
    }
}
