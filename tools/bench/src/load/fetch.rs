//! Short connections: connect, ask, read the answer until the server closes, and begin anew.

use super::PATIENCE;
use super::server::{ANSWER, REQUEST};
use crate::BenchError;
use crate::arrangement::namespace::Namespace;
use crate::arrangement::{FETCH, VIP};
use crate::clock;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The longest wait for any connection to get on.
const WAIT: Duration = Duration::from_millis(50);

/// What came of a time of short connections.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fetched {
    /// How long each took that got its whole answer, from connecting to the end, ascending.
    pub seconds: Vec<f64>,
    /// Connections that were refused, reset, or answered in part.
    pub failed: u64,
    /// How long it lasted.
    pub took: Duration,
}

impl Fetched {
    /// Whole answers a second.
    pub fn rate(&self) -> f64 {
        self.seconds.len() as f64 / self.took.as_secs_f64()
    }
}

/// One connection of the many.
struct Connection {
    stream: TcpStream,
    begin: Instant,
    asked: bool,
    answered: usize,
}

/// Whether one request is answered.
pub fn once(client: &Namespace) -> bool {
    let ask = || -> std::io::Result<usize> {
        let mut stream = TcpStream::connect_timeout(&(VIP, FETCH).into(), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&REQUEST)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)
    };
    client.run(ask).is_ok_and(|answer| answer.unwrap_or(0) == ANSWER.len())
}

/// Keeps so many connections under way for a while.
///
/// # Errors
/// Where sockets cannot be made.
pub fn keep_busy(
    client: &Namespace,
    connections: usize,
    duration: Duration,
) -> Result<Fetched, BenchError> {
    client.run(|| busy(connections, duration).map_err(BenchError::at("short connections")))?
}

fn busy(connections: usize, duration: Duration) -> std::io::Result<Fetched> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let begin = clock::now();
    let mut all = Vec::with_capacity(connections);
    for place in 0..connections {
        all.push(open(&epoll, place)?);
    }
    let mut fetched = Fetched::default();
    let mut events = [EpollEvent::empty(); 128];
    let timeout = EpollTimeout::try_from(WAIT).unwrap_or(EpollTimeout::ZERO);
    while clock::now() - begin < duration {
        let count = match epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => continue,
            waited => waited?,
        };
        for event in &events[..count] {
            let Ok(place) = usize::try_from(event.data()) else { continue };
            let Some(connection) = all.get_mut(place) else { continue };
            let Some(whole) = get_on(&epoll, connection, place) else { continue };
            if whole {
                fetched.seconds.push((clock::now() - connection.begin).as_secs_f64());
            } else {
                fetched.failed += 1;
            }
            *connection = open(&epoll, place)?;
        }
    }
    fetched.took = clock::now() - begin;
    fetched.seconds.sort_by(f64::total_cmp);
    Ok(fetched)
}

/// Begins a connection.
fn open(epoll: &Epoll, place: usize) -> std::io::Result<Connection> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let begin = clock::now();
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(VIP, FETCH))) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLOUT, place as u64))?;
    Ok(Connection { stream, begin, asked: false, answered: 0 })
}

/// Does the next step of a connection; whether its answer was whole, once it is over.
fn get_on(epoll: &Epoll, connection: &mut Connection, place: usize) -> Option<bool> {
    if !connection.asked {
        let mut event = EpollEvent::new(EpollFlags::EPOLLIN, place as u64);
        let asked = connection.stream.write(&REQUEST).is_ok_and(|sent| sent == REQUEST.len());
        if !asked || epoll.modify(&connection.stream, &mut event).is_err() {
            return Some(false);
        }
        connection.asked = true;
        return None;
    }
    let mut answer = [0; 512];
    loop {
        match connection.stream.read(&mut answer) {
            Ok(0) => return Some(connection.answered == ANSWER.len()),
            Ok(length) => connection.answered += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(_) => return Some(false),
        }
    }
}
