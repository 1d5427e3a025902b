//! TCP connections that stay open while something goes wrong, as an operator's users have them.
//! One after the other asks for the name of its server, all the time.

use crate::{clock, inside};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an answer may take: longer than TCP takes to send something lost again, several times.
const PATIENCE: Duration = Duration::from_secs(15);
/// A request after which the server keeps the connection.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n";
/// The most octets of an answer.
const ANSWER: usize = 4096;
/// Between two requests of the whole set.
const BETWEEN: Duration = Duration::from_millis(2);
/// Once so many are broken, the others are not asked any more: each might take its whole patience.
const ENOUGH: usize = 20;

/// A connection with the name of its server, or why it is broken.
type Connection = (TcpStream, Result<String, String>);

/// Open connections to one service.
#[derive(Debug)]
pub struct Connections {
    count: usize,
    spread: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Connection>>>,
}

impl Connections {
    /// Opens connections from a namespace and asks on them from now on.
    ///
    /// # Errors
    /// A sentence, for the first that cannot be opened.
    pub fn open(namespace: &str, service: SocketAddr, count: usize) -> Result<Connections, String> {
        let connect = move || {
            let one = |_| {
                let stream = TcpStream::connect_timeout(&service, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(stream)
            };
            let streams: std::io::Result<Vec<TcpStream>> = (0..count).map(one).collect();
            streams.map_err(|error| format!("connecting to {service}: {error}"))
        };
        let streams = inside::join(inside::spawn(namespace, connect))?;
        let open = streams.into_iter().map(|mut stream| {
            let server = ask(&mut stream).map_err(|error| format!("{service}: {error}"))?;
            Ok((stream, Ok(server)))
        });
        let open = open.collect::<Result<Vec<Connection>, String>>()?;
        let (spread, stop) = (spread(&open), Arc::new(AtomicBool::new(false)));
        let thread = Some(go_on(open, &stop));
        Ok(Connections { count, spread, stop, thread })
    }

    /// How many were opened.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Asks on each connection once more and gives how many have answered whenever they were
    /// asked, from the same server, and why others have not.
    pub fn ask(&mut self) -> (usize, String) {
        self.stop.store(true, Ordering::Relaxed);
        let Some(mut open) = self.thread.take().and_then(|thread| thread.join().ok()) else {
            return (0, "the thread that asks has panicked".into());
        };
        for index in 0..open.len() {
            ask_again(&mut open, index);
        }
        let alive = open.iter().filter(|(_, server)| server.is_ok()).count();
        let broken = open.iter().filter_map(|(_, server)| server.as_ref().err().cloned());
        let reasons: Vec<String> = broken.collect::<BTreeSet<_>>().into_iter().collect();
        self.stop = Arc::new(AtomicBool::new(false));
        self.thread = Some(go_on(open, &self.stop));
        (alive, reasons.join("; "))
    }

    /// How many connections each server has.
    pub fn spread(&self) -> &str {
        &self.spread
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // The thread ends with its next request.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Asks on one after the other until told to stop.
fn go_on(mut open: Vec<Connection>, stop: &Arc<AtomicBool>) -> JoinHandle<Vec<Connection>> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        for index in (0..open.len()).cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            ask_again(&mut open, index);
            clock::pause(BETWEEN);
        }
        open
    })
}

/// Asks on one connection, unless it or too many others are broken.
fn ask_again(open: &mut [Connection], index: usize) {
    let broken = open.iter().filter(|(_, server)| server.is_err()).count();
    let Some((stream, state)) = open.get_mut(index) else { return };
    let Ok(before) = state else { return };
    if broken >= ENOUGH {
        return;
    }
    match ask(stream) {
        Ok(now) if now == *before => {}
        Ok(now) => *state = Err(format!("answered by {now} instead of {before}")),
        Err(error) => *state = Err(error.to_string()),
    }
}

/// How many connections each server has.
fn spread(open: &[Connection]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, server) in open {
        *counts.entry(server.as_deref().unwrap_or("broken")).or_default() += 1;
    }
    let parts: Vec<String> =
        counts.iter().map(|(server, count)| format!("{server} {count}")).collect();
    parts.join(", ")
}

/// Asks for the name of the server.
fn ask(stream: &mut TcpStream) -> std::io::Result<String> {
    stream.write_all(REQUEST)?;
    let (mut text, mut buffer) = (Vec::new(), [0; 512]);
    while text.len() < ANSWER {
        let length = stream.read(&mut buffer)?;
        text.extend_from_slice(&buffer[..length]);
        let head = String::from_utf8_lossy(&text).into_owned();
        // The body is the name of the server and the end of its line.
        if let Some((_, body)) = head.split_once("\r\n\r\n").filter(|(_, b)| b.ends_with('\n')) {
            return Ok(body.trim_end().to_owned());
        }
        if length == 0 {
            break;
        }
    }
    Err(std::io::ErrorKind::UnexpectedEof.into())
}
