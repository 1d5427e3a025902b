//! The servers: what answers requests, takes and gives bulk, and sends back what it got.

use super::bulk::{CHUNK, GIVE};
use crate::BenchError;
use crate::arrangement::affinity::{Place, pin};
use crate::arrangement::namespace::Namespace;
use crate::arrangement::{BULK, ECHO, FETCH, SERVERS, UDP_ECHO, VIP};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Octets of a request and of its answer.
pub const REQUEST: [u8; 64] = [b'?'; 64];
/// What is answered.
pub const ANSWER: [u8; 256] = [b'!'; 256];
/// How often a server that has nothing to do looks whether it should end.
const LOOK: Duration = Duration::from_millis(200);
/// The kernel's number for the listener among the connections.
const LISTENER: u64 = u64::MAX;

/// What one of the servers does until it is told to stop.
type Work = fn(&Arc<AtomicBool>) -> std::io::Result<()>;

/// The threads of a server host; they end when this is dropped.
#[derive(Debug)]
pub struct Servers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<(), BenchError>>>,
}

impl Servers {
    /// Starts everything that is served in a namespace.
    ///
    /// # Errors
    /// Where no descriptor is left.
    pub fn start(namespace: &Namespace) -> Result<Self, BenchError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let works: [Work; 4] = [
            |stop| fetches(stop),
            |stop| each_connection(stop, BULK, bulk),
            |stop| each_connection(stop, ECHO, echo),
            |stop| datagrams(stop),
        ];
        for work in works {
            let stop = stop.clone();
            threads.push(namespace.spawn(move || work(&stop).map_err(BenchError::at("a server")))?);
        }
        Ok(Self { stop, threads })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if let Ok(Err(error)) = thread.join() {
                eprintln!("bench: {error}");
            }
        }
    }
}

/// Answers each connection's request and closes it, in one thread.
fn fetches(stop: &AtomicBool) -> std::io::Result<()> {
    let listener = listen(FETCH)?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut open: HashMap<RawFd, TcpStream> = HashMap::new();
    let mut events = [EpollEvent::empty(); 128];
    let timeout = EpollTimeout::try_from(LOOK).unwrap_or(EpollTimeout::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let count = match epoll.wait(&mut events, timeout) {
            Err(nix::errno::Errno::EINTR) => continue,
            waited => waited?,
        };
        for event in &events[..count] {
            if event.data() == LISTENER {
                accept_all(&listener, &epoll, &mut open)?;
                continue;
            }
            // What is removed is closed, and with it forgotten by epoll.
            let Ok(number) = RawFd::try_from(event.data()) else { continue };
            let Some(mut stream) = open.remove(&number) else { continue };
            let mut request = [0; 128];
            if stream.read(&mut request).is_ok_and(|length| length > 0) {
                // A client that left does not read it.
                let _ = stream.write(&ANSWER);
            }
        }
    }
    Ok(())
}

fn accept_all(
    listener: &TcpListener,
    epoll: &Epoll,
    open: &mut HashMap<RawFd, TcpStream>,
) -> std::io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        let number = stream.as_raw_fd();
        let data = u64::try_from(number).unwrap_or(LISTENER);
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, data))?;
        open.insert(number, stream);
    }
}

/// Serves each connection in a thread of its own.
fn each_connection(
    stop: &Arc<AtomicBool>,
    port: u16,
    serve: fn(TcpStream, &AtomicBool) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let listener = listen(port)?;
    listener.set_nonblocking(true)?;
    let mut threads = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                let stop = stop.clone();
                threads.push(std::thread::spawn(move || {
                    // How a connection ends is the client's to notice.
                    let _ = serve(stream, &stop);
                }));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_readable(&listener),
            Err(error) => return Err(error),
        }
        threads.retain(|thread| !thread.is_finished());
    }
    for thread in threads {
        let _ = thread.join();
    }
    Ok(())
}

/// Waits a while for a connection.
fn wait_readable(listener: &TcpListener) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO));
}

/// Takes octets, or gives them where the first one asks for that.
fn bulk(mut stream: TcpStream, stop: &AtomicBool) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(LOOK))?;
    let mut first = true;
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(_) if first && chunk[0] == GIVE => break,
            Ok(_) => first = false,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(()),
            Err(_) => {}
        }
    }
    while !stop.load(Ordering::Relaxed) {
        match stream.write(&chunk) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends back what comes, from the core where the client is.
fn echo(mut stream: TcpStream, stop: &AtomicBool) -> std::io::Result<()> {
    pin(Place::Load);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK))?;
    let mut octets = [0; 64];
    loop {
        match stream.read(&mut octets) {
            Ok(0) => return Ok(()),
            Ok(length) => stream.write_all(&octets[..length])?,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if stop.load(Ordering::Relaxed) => return Ok(()),
            Err(_) => {}
        }
    }
}

/// Sends back every datagram from the address that it came to, which needs a socket for each.
fn datagrams(stop: &AtomicBool) -> std::io::Result<()> {
    std::thread::scope(|scope| {
        for address in SERVERS.into_iter().chain([VIP]) {
            // This host has those of the servers, or the virtual one.
            let Ok(socket) = UdpSocket::bind((address, UDP_ECHO)) else { continue };
            scope.spawn(move || echo_datagrams(&socket, stop));
        }
        Ok(())
    })
}

fn echo_datagrams(socket: &UdpSocket, stop: &AtomicBool) -> std::io::Result<()> {
    socket.set_read_timeout(Some(LOOK))?;
    let mut datagram = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        match socket.recv_from(&mut datagram) {
            Ok((length, from)) => {
                // Who does not get it asks again.
                let _ = socket.send_to(&datagram[..length], from);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
}
