//! A client that sends datagrams at a steady rate to UDP echoes and remembers for each whether it
//! came back, and from which server.
//!
//! The gap that such a client sees is measured by when datagrams were *sent*: from the first of a
//! run that stayed without an answer to the first behind it that had one. So a stall of the client
//! itself, during which nothing is sent or looked at, is no gap.

use crate::{clock, echo, inside};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The pause between two looks.
const GLANCE: Duration = Duration::from_micros(500);
/// How long answers are waited for behind the last datagram.
const AFTERWARDS: Duration = Duration::from_millis(1500);
/// The most datagrams for one service at one look: what a stall has held up follows by and by.
const CATCH_UP: u64 = 64;
/// What a datagram is: its number. The echo puts the server's name in front.
const NUMBER: usize = 8;

/// A client at work.
#[derive(Debug)]
pub struct Stream {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<Track>, String>>,
}

/// What became of the datagrams to one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Track {
    /// When each was sent, since the start of the stream.
    pub sent: Vec<Duration>,
    /// Which server answered it, by its number in `servers`.
    pub answered: Vec<Option<u16>>,
    /// The servers that have answered.
    pub servers: Vec<String>,
}

/// A run of datagrams without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// When the first of them was sent.
    pub from: Duration,
    /// When the first behind them was sent that was answered; for ever, where none was.
    pub to: Option<Duration>,
    /// How many there are.
    pub lost: usize,
}

impl Gap {
    /// How long it is.
    pub fn length(&self) -> Duration {
        self.to.map_or(Duration::MAX, |to| to.saturating_sub(self.from))
    }
}

impl Stream {
    /// Starts to send from a namespace, `rate` datagrams a second to each service.
    pub fn start(namespace: &str, services: &[SocketAddr], rate: u32) -> Stream {
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, services) = (Arc::clone(&stop), services.to_vec());
        let work = move || {
            let sockets = services.iter().map(|service| open(*service));
            let sockets = sockets.collect::<Result<Vec<_>, String>>()?;
            Ok(run(&sockets, rate, &flag))
        };
        Stream { stop, thread: inside::spawn(namespace, work) }
    }

    /// Ends it and gives what it saw, a track for each service.
    ///
    /// # Errors
    /// Where a socket could not be had.
    pub fn end(self) -> Result<Vec<Track>, String> {
        self.stop.store(true, Ordering::Relaxed);
        inside::join(self.thread)
    }
}

fn open(service: SocketAddr) -> Result<UdpSocket, String> {
    let any: SocketAddr = match service {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)
        .and_then(|socket| socket.connect(service).map(|()| socket))
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    let socket = socket.map_err(|error| format!("a socket to {service}: {error}"))?;
    echo::make_room(&socket);
    Ok(socket)
}

/// Sends and receives until told to stop, and a while longer.
fn run(sockets: &[UdpSocket], rate: u32, stop: &AtomicBool) -> Vec<Track> {
    let mut tracks = vec![Track::default(); sockets.len()];
    let start = clock::now();
    let mut ended: Option<Instant> = None;
    loop {
        if ended.is_none() && stop.load(Ordering::Relaxed) {
            ended = Some(clock::now());
        }
        for (socket, track) in sockets.iter().zip(&mut tracks) {
            if ended.is_none() {
                let due = (clock::since(start).as_secs_f64() * f64::from(rate)) as u64;
                let behind = due.saturating_sub(track.sent.len() as u64);
                for _ in 0..behind.min(CATCH_UP) {
                    track.send(socket, start);
                }
            }
            track.receive(socket);
        }
        let all = tracks.iter().all(|track| track.answered.last().is_none_or(Option::is_some));
        if ended.is_some_and(|ended| all || clock::since(ended) > AFTERWARDS) {
            return tracks;
        }
        clock::pause(GLANCE);
    }
}

impl Track {
    fn send(&mut self, socket: &UdpSocket, start: Instant) {
        let number = self.sent.len() as u64;
        self.sent.push(clock::since(start));
        self.answered.push(None);
        // One that cannot be sent (no neighbor answers) has no answer either.
        let _ = socket.send(&number.to_be_bytes());
    }

    fn receive(&mut self, socket: &UdpSocket) {
        let mut buffer = [0; 512];
        // An error that an earlier datagram met is told here once; then it goes on.
        for _ in 0..2 * CATCH_UP {
            let Ok(length) = socket.recv(&mut buffer) else { return };
            let Some((name, number)) = buffer[..length].split_last_chunk::<NUMBER>() else {
                continue;
            };
            let number = usize::try_from(u64::from_be_bytes(*number)).unwrap_or(usize::MAX);
            let server = self.server(String::from_utf8_lossy(name).trim_end());
            if let Some(answer) = self.answered.get_mut(number) {
                *answer = Some(server);
            }
        }
    }

    /// The number of a server, a new one where it has none.
    fn server(&mut self, name: &str) -> u16 {
        let known = self.servers.iter().position(|one| one == name);
        let number = known.unwrap_or_else(|| {
            self.servers.push(name.to_owned());
            self.servers.len() - 1
        });
        u16::try_from(number).unwrap_or(u16::MAX)
    }

    /// How many stayed without an answer.
    pub fn lost(&self) -> usize {
        self.answered.iter().filter(|answer| answer.is_none()).count()
    }

    /// The runs without an answer.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        let mut open: Option<Gap> = None;
        for (sent, answer) in self.sent.iter().zip(&self.answered) {
            match (&mut open, answer) {
                (None, Some(_)) => {}
                (None, None) => open = Some(Gap { from: *sent, to: None, lost: 1 }),
                (Some(gap), None) => gap.lost += 1,
                (Some(gap), Some(_)) => {
                    gaps.push(Gap { to: Some(*sent), ..*gap });
                    open = None;
                }
            }
        }
        gaps.extend(open);
        gaps
    }

    /// The longest run without an answer.
    pub fn longest(&self) -> Duration {
        self.gaps().iter().map(Gap::length).max().unwrap_or_default()
    }

    /// How often another server answered than the time before: the datagrams are one flow.
    pub fn changes(&self) -> usize {
        let servers: Vec<u16> = self.answered.iter().flatten().copied().collect();
        servers.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    /// How many answers each server gave.
    pub fn spread(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for number in self.answered.iter().flatten() {
            if let Some(name) = self.servers.get(usize::from(*number)) {
                *counts.entry(name.as_str()).or_default() += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A track with one datagram a millisecond.
    fn track(answered: &str) -> Track {
        let at = |(number, _)| Duration::from_millis(number as u64);
        Track {
            sent: answered.char_indices().map(at).collect(),
            answered: answered.chars().map(|c| c.to_digit(10).map(|d| d as u16)).collect(),
            servers: vec!["server1".into(), "server2".into()],
        }
    }

    #[test]
    fn a_gap_lasts_from_the_first_lost_datagram_to_the_next_that_is_answered() {
        let cases = [
            ("000", 0, 0, Some(0)),
            ("0.0", 1, 1, Some(1)),
            ("0..0...0.", 6, 3, None),
            ("..0", 2, 1, Some(2)),
            ("0....00.0", 5, 2, Some(4)),
        ];
        for (answered, lost, gaps, longest) in cases {
            let track = track(answered);
            assert_eq!((track.lost(), track.gaps().len()), (lost, gaps), "{answered}");
            let longest = longest.map_or(Duration::MAX, Duration::from_millis);
            assert_eq!(track.longest(), longest, "{answered}");
        }
    }

    #[test]
    fn a_flow_that_goes_to_another_server_is_seen() {
        assert_eq!(track("00..00").changes(), 0);
        assert_eq!(track("00.11.0").changes(), 2);
        assert_eq!(track("00.11.0").spread()["server2"], 2);
    }
}
