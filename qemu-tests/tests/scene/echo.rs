//! Servers and clients of the scene: the test's own sockets inside the hosts.
//!
//! A server answers with its own number, the address that it saw the client by, and what it got;
//! so a client learns who served it and whether every octet came through.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use qemu_tests::Host;

/// How long a client waits for anything.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a server looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(5);

/// A server that runs until dropped.
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Server {
    /// A TCP server of that number.
    pub fn tcp(host: &Host, number: u8, address: SocketAddr) -> Self {
        Self::start(host, move |stop| {
            let listener = TcpListener::bind(address).expect("a free address");
            listener.set_nonblocking(true).expect("a mode");
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    // A health check connects and leaves; that is no error of ours.
                    Ok((stream, client)) => drop(answer(stream, number, client)),
                    Err(_none_yet) => std::thread::park_timeout(LOOK),
                }
            }
        })
    }

    /// A UDP server of that number.
    pub fn udp(host: &Host, number: u8, address: SocketAddr) -> Self {
        Self::start(host, move |stop| {
            let socket = UdpSocket::bind(address).expect("a free address");
            socket.set_read_timeout(Some(LOOK)).expect("a timeout");
            let mut buffer = vec![0u8; 65536];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((length, client)) = socket.recv_from(&mut buffer) {
                    // A lost answer is the client's to notice.
                    let _ = socket.send_to(&reply(number, client, &buffer[..length]), client);
                }
            }
        })
    }

    fn start(host: &Host, serve: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        Self { stop, thread: Some(host.spawn(move || serve(&seen))) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What went wrong there was printed there.
            let _ = thread.join();
        }
    }
}

/// Who served a client, by which address it saw the client, and what it got.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub number: u8,
    pub client: SocketAddr,
    pub content: Vec<u8>,
}

/// One TCP connection from the host: sends the content, reads the answer to its end.
pub fn ask_tcp(host: &Host, address: SocketAddr, content: Vec<u8>) -> io::Result<Answer> {
    host.run(move || {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&content)?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer)
    })?
}

/// One UDP datagram from the host and its answer, from a fresh port.
pub fn ask_udp(host: &Host, address: SocketAddr, content: Vec<u8>) -> io::Result<Answer> {
    host.run(move || {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any)?;
        // Connected: an answer from another address than was asked does not arrive.
        socket.connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(&content)?;
        let mut buffer = vec![0u8; 65536];
        let length = socket.recv(&mut buffer)?;
        parse(&buffer[..length])
    })?
}

fn answer(mut stream: TcpStream, number: u8, client: SocketAddr) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut content = Vec::new();
    stream.read_to_end(&mut content)?;
    stream.write_all(&reply(number, client, &content))
}

fn reply(number: u8, client: SocketAddr, content: &[u8]) -> Vec<u8> {
    [format!("{number} {client}\n").as_bytes(), content].concat()
}

fn parse(answer: &[u8]) -> io::Result<Answer> {
    let bad = || io::Error::other("the answer is not one of the scene's servers'");
    let end = answer.iter().position(|&octet| octet == b'\n').ok_or_else(bad)?;
    let line = std::str::from_utf8(&answer[..end]).map_err(|_| bad())?;
    let (number, client) = line.split_once(' ').ok_or_else(bad)?;
    Ok(Answer {
        number: number.parse().map_err(|_| bad())?,
        client: client.parse().map_err(|_| bad())?,
        content: answer[end + 1..].to_vec(),
    })
}
