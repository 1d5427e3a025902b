//! Servers and clients over the kernel's own sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::lab::{SOON, pause};
use crate::namespace::Namespace;

/// The last numbers of the servers' addresses.
pub const SERVERS: [u8; 3] = [11, 12, 13];
/// The virtual addresses, as they are written in front of a port.
pub const VIPS: [&str; 2] = ["192.0.2.80", "[2001:db8:1::80]"];
/// Octets moved at once.
const CHUNK: usize = 256 << 10;

/// Serves in that namespace until the test program ends: an echo over UDP on port 7, and over TCP
/// on port 8080 what the first octet asks for.
///
/// | first octet | then |
/// | --- | --- |
/// | `e` | everything comes back |
/// | `d`, a length | that much of the pattern |
/// | `s` | the pattern without end, a little every 20 ms |
/// | `u`, a length, so much of the pattern | `y` if it is right, else `n` |
pub fn serve(namespace: &Namespace) {
    for number in SERVERS {
        for address in [format!("10.0.0.{number}:7"), format!("[fd00::{number}]:7")] {
            namespace.spawn(move || echo_datagrams(&address));
        }
    }
    namespace.spawn(|| {
        let listener = TcpListener::bind("[::]:8080").expect("the port is free");
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            thread::spawn(move || serve_stream(stream));
        }
    });
}

fn echo_datagrams(address: &str) {
    let socket = UdpSocket::bind(address).expect("the port is free");
    let mut datagram = [0; 2048];
    loop {
        // An error is an earlier answer that nobody wanted.
        if let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let _ = socket.send_to(&datagram[..length], from);
        }
    }
}

/// Serves one connection; how it ends is the client's affair.
fn serve_stream(mut stream: TcpStream) -> std::io::Result<()> {
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    match kind[0] {
        b'e' => {
            let mut chunk = vec![0; CHUNK];
            loop {
                let length = stream.read(&mut chunk)?;
                if length == 0 {
                    return Ok(());
                }
                stream.write_all(&chunk[..length])?;
            }
        }
        b'd' => {
            let length = read_length(&mut stream)?;
            write_pattern(&mut stream, length)
        }
        b's' => {
            let mut offset = 0;
            let mut chunk = [0; 512];
            loop {
                fill(offset, &mut chunk);
                stream.write_all(&chunk)?;
                offset += chunk.len() as u64;
                pause(Duration::from_millis(20));
            }
        }
        b'u' => {
            let length = read_length(&mut stream)?;
            let right = read_pattern(&mut stream, 0, length)?;
            stream.write_all(if right { b"y" } else { b"n" })
        }
        _ => Ok(()),
    }
}

fn read_length(stream: &mut TcpStream) -> std::io::Result<u64> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    Ok(u64::from_be_bytes(length))
}

/// The octets from `offset` on of a pattern that does not repeat within what a test moves.
fn fill(offset: u64, chunk: &mut [u8]) {
    for (position, octet) in (offset..).zip(chunk) {
        *octet = (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as u8;
    }
}

fn write_pattern(stream: &mut TcpStream, length: u64) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < length {
        let size = usize::try_from(length - offset).unwrap_or(CHUNK).min(CHUNK);
        fill(offset, &mut chunk[..size]);
        stream.write_all(&chunk[..size])?;
        offset += size as u64;
    }
    Ok(())
}

/// Reads so much of the pattern. Whether it was right.
fn read_pattern(stream: &mut TcpStream, offset: u64, length: u64) -> std::io::Result<bool> {
    let (mut chunk, mut expected) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut done = 0;
    while done < length {
        let size = usize::try_from(length - done).unwrap_or(CHUNK).min(CHUNK);
        stream.read_exact(&mut chunk[..size])?;
        fill(offset + done, &mut expected[..size]);
        if chunk[..size] != expected[..size] {
            return Ok(false);
        }
        done += size as u64;
    }
    Ok(true)
}

/// Opens a connection to the web service, from the namespace of the calling thread.
fn connect(vip: &str) -> TcpStream {
    let address: SocketAddr = format!("{vip}:80").parse().expect("an address");
    let stream = TcpStream::connect_timeout(&address, SOON);
    let stream = stream.unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(SOON)).expect("a time");
    stream.set_write_timeout(Some(SOON)).expect("a time");
    stream.set_nodelay(true).expect("a flag");
    stream
}

/// A connection over which everything comes back.
pub struct Echo {
    stream: TcpStream,
    count: u64,
}

impl Echo {
    pub fn open(vip: &str) -> Self {
        let mut echo = Self { stream: connect(vip), count: 0 };
        echo.stream.write_all(b"e").expect("the server listens");
        echo.round();
        echo
    }

    /// Sends a little and waits until it is back.
    pub fn round(&mut self) {
        self.count += 1;
        let said = self.count.to_be_bytes();
        let mut heard = [0; 8];
        self.stream.write_all(&said).expect("the connection takes it");
        self.stream.read_exact(&mut heard).expect("the connection goes on");
        assert_eq!(said, heard);
    }
}

/// A download that takes its time.
pub struct Trickle {
    stream: TcpStream,
    offset: u64,
}

impl Trickle {
    pub fn open(vip: &str) -> Self {
        let mut stream = connect(vip);
        stream.write_all(b"s").expect("the server listens");
        let mut trickle = Self { stream, offset: 0 };
        trickle.read(512);
        trickle
    }

    /// Reads what follows.
    pub fn read(&mut self, length: u64) {
        let right = read_pattern(&mut self.stream, self.offset, length);
        assert!(right.expect("the connection goes on"), "the octets are the server's");
        self.offset += length;
    }
}

/// Downloads so much and checks every octet.
pub fn download(vip: &str, length: u64) {
    let mut stream = connect(vip);
    stream.write_all(b"d").and_then(|()| stream.write_all(&length.to_be_bytes())).expect("sent");
    assert!(read_pattern(&mut stream, 0, length).expect("all of it comes"));
}

/// Uploads so much and lets the server check every octet.
pub fn upload(vip: &str, length: u64) {
    let mut stream = connect(vip);
    stream.write_all(b"u").and_then(|()| stream.write_all(&length.to_be_bytes())).expect("sent");
    write_pattern(&mut stream, length).expect("all of it goes");
    stream.shutdown(Shutdown::Write).expect("open");
    let mut answer = [0];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"y");
}

/// Whether a datagram to the echo service comes back.
pub fn udp_echo(vip: &str, text: &[u8]) -> bool {
    let any = if vip.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).expect("a port is free");
    let mut heard = [0; 64];
    let sent = socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .and_then(|()| socket.connect(format!("{vip}:7")))
        .and_then(|()| socket.send(text));
    sent.is_ok() && socket.recv(&mut heard).is_ok_and(|length| heard[..length] == *text)
}

/// Pings an address so often, ten times a second. How many answers came.
pub fn pings(namespace: &Namespace, address: &str, count: u32) -> u32 {
    let said = namespace.output(&format!("ping -n -i 0.1 -W 2 -c {count} {address}"));
    let received = said.lines().find_map(|line| {
        let (before, _) = line.split_once(" received")?;
        before.rsplit(' ').next()?.parse().ok()
    });
    received.unwrap_or_else(|| panic!("ping says {said:?}"))
}
