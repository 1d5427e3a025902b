//! TCP connections that stay open while something goes wrong, as an operator's users have them.

use nix::sched::{CloneFlags, setns};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// How long an answer may take: longer than TCP takes to send something lost again, several times.
const PATIENCE: Duration = Duration::from_secs(15);
/// A request after which the server keeps the connection.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n";
/// The most octets of an answer.
const ANSWER: usize = 4096;

/// Open connections to one service.
#[derive(Debug)]
pub struct Connections {
    /// Each with the name of its server, nothing once it is broken.
    open: Vec<(TcpStream, Option<String>)>,
}

impl Connections {
    /// Opens connections from a namespace and asks on each of them once.
    ///
    /// # Errors
    /// A sentence, for the first that cannot be opened.
    pub fn open(namespace: &str, service: SocketAddr, count: usize) -> Result<Connections, String> {
        let path = Path::new("/run/netns").join(namespace);
        let connect = move || -> std::io::Result<Vec<TcpStream>> {
            setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
            let one = |_| {
                let stream = TcpStream::connect_timeout(&service, PATIENCE)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(stream)
            };
            (0..count).map(one).collect()
        };
        // A socket belongs to the namespace in which it was made, whoever uses it.
        let opened = std::thread::spawn(connect).join();
        let opened = opened.map_err(|_| "the thread that connects has panicked".to_owned())?;
        let streams = opened.map_err(|error| format!("connecting to {service}: {error}"))?;
        let open = streams.into_iter().map(|mut stream| {
            let server = ask(&mut stream).map_err(|error| format!("{service}: {error}"))?;
            Ok((stream, Some(server)))
        });
        Ok(Connections { open: open.collect::<Result<_, String>>()? })
    }

    /// How many were opened.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Asks on each connection again and gives how many answered, from the same server as before.
    pub fn ask(&mut self) -> usize {
        for (stream, server) in &mut self.open {
            let now = server.as_ref().and_then(|_| ask(stream).ok());
            *server = server.take().filter(|before| now.as_ref() == Some(before));
        }
        self.open.iter().filter(|(_, server)| server.is_some()).count()
    }

    /// How many connections each server has.
    pub fn spread(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, server) in &self.open {
            *counts.entry(server.as_deref().unwrap_or("broken")).or_default() += 1;
        }
        let parts: Vec<String> =
            counts.iter().map(|(server, count)| format!("{server} {count}")).collect();
        parts.join(", ")
    }
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
