//! The client of a way: the same works along every one.

use super::ground::Ground;
use super::serve::{ANSWER, CHUNK, PAYLOAD, REQUEST, Servers, uninterrupted};
use crate::BenchError;
use crate::emulator::plan::{Pace, Work};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt};
use nix::sys::socket::{socket, sockopt};
use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// UDP flows.
const FLOWS: u64 = 256;
/// How long frames may be under way.
const PATIENCE: Duration = Duration::from_secs(5);
/// Ports of a client's sockets, from here on.
const FIRST_PORT: u16 = 20_000;
/// As many for getting ready and as many for each work: no connection meets the remains of another.
const PORTS: u16 = 4_000;

/// A client that is ready for a work, so that only the work itself is measured.
#[derive(Debug)]
pub struct Client<'a> {
    ground: &'a Ground,
    servers: &'a Servers,
    work: Work,
    address: Ipv4Addr,
    flows: Vec<UdpSocket>,
}

impl<'a> Client<'a> {
    /// A client with the round's address. Flows of frames are established, and neighbors known.
    ///
    /// # Errors
    /// [`BenchError`] where nothing comes through.
    pub fn ready(
        ground: &'a Ground,
        servers: &'a Servers,
        round: usize,
        work: Work,
    ) -> Result<Self, BenchError> {
        let mut client =
            Self { ground, servers, work, address: ground.client(round), flows: Vec::new() };
        servers.expect_bursts_of(work.at_once());
        match work {
            Work::Frames(_) => {
                client.open_flows()?;
                client.frames(FLOWS)?;
            }
            Work::Connections(_) => client.connections(work.at_once(), first_port(work))?,
            Work::Bulk => client.bulk(1 << 20, first_port(work))?,
        }
        Ok(client)
    }

    /// Does as much of the work as was asked for, or a little more. Returns how much.
    ///
    /// # Errors
    /// [`BenchError`] where something is lost or refused.
    pub fn work(&self, amount: u64) -> Result<u64, BenchError> {
        let amount = amount.next_multiple_of(self.work.at_once());
        match self.work {
            Work::Frames(_) => self.frames(amount)?,
            Work::Connections(_) => self.connections(amount, first_port(self.work) + PORTS)?,
            Work::Bulk => self.bulk(amount, first_port(self.work) + PORTS)?,
        }
        Ok(amount)
    }

    fn open_flows(&mut self) -> Result<(), BenchError> {
        for (flow, port) in (0..FLOWS).zip(first_port(self.work)..) {
            let socket = UdpSocket::bind(SocketAddrV4::new(self.address, port));
            let socket = socket.map_err(|error| self.problem(&error))?;
            let connected = socket.connect(self.ground.target(self.work, flow));
            connected.map_err(|error| self.problem(&error))?;
            self.flows.push(socket);
        }
        Ok(())
    }

    fn frames(&self, count: u64) -> Result<(), BenchError> {
        let at_once = self.work.at_once();
        let mut flows = self.flows.iter().cycle();
        for _ in 0..count / at_once {
            let sent = uninterrupted(|| {
                (0..at_once).zip(&mut flows).try_for_each(|(_, flow)| flow.send(&PAYLOAD).map(drop))
            });
            sent.map_err(|error| self.problem(&error))?;
            if !self.servers.burst_is_complete(PATIENCE) {
                return Err(self.problem(&"frames were lost"));
            }
        }
        Ok(())
    }

    fn connections(&self, count: u64, first_port: u16) -> Result<(), BenchError> {
        let at_once = self.work.at_once();
        let mut ports = first_port..;
        let mut answer = Vec::with_capacity(ANSWER.len());
        for wave in 0..count / at_once {
            let numbers = wave * at_once..(wave + 1) * at_once;
            let streams: Result<Vec<_>, _> = uninterrupted(|| {
                let begin = |(number, port)| self.connect(number, port);
                numbers.zip(&mut ports).map(begin).collect()
            });
            let mut streams = streams?;
            for stream in &streams {
                // The first write would wait, too, but one after the other.
                stream.set_nonblocking(false).map_err(|error| self.problem(&error))?;
            }
            let asked = uninterrupted(|| {
                streams.iter_mut().try_for_each(|stream| stream.write_all(&REQUEST))
            });
            asked.map_err(|error| self.problem(&error))?;
            for stream in &mut streams {
                answer.clear();
                stream.read_to_end(&mut answer).map_err(|error| self.problem(&error))?;
                if answer != ANSWER {
                    return Err(self.problem(&"an answer is not what was sent"));
                }
            }
            uninterrupted(|| drop(streams));
        }
        Ok(())
    }

    fn bulk(&self, octets: u64, port: u16) -> Result<(), BenchError> {
        let mut stream = self.connect(u64::from(port), port)?;
        stream.set_nonblocking(false).map_err(|error| self.problem(&error))?;
        stream.write_all(&octets.to_be_bytes()).map_err(|error| self.problem(&error))?;
        let mut chunk = vec![0; CHUNK];
        let mut received = 0;
        loop {
            match stream.read(&mut chunk).map_err(|error| self.problem(&error))? {
                0 if received == octets => return Ok(()),
                0 => return Err(self.problem(&"the connection ended early")),
                length => received += length as u64,
            }
        }
    }

    /// Begins a connection from the round's address and a port of its own.
    fn connect(&self, number: u64, port: u16) -> Result<TcpStream, BenchError> {
        let problem = |error: nix::Error| self.problem(&error);
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).map_err(problem)?;
        setsockopt(&socket, sockopt::ReuseAddr, &true).map_err(problem)?;
        let from = SockaddrIn::from(SocketAddrV4::new(self.address, port));
        bind(socket.as_raw_fd(), &from).map_err(problem)?;
        let to = SockaddrIn::from(self.ground.target(self.work, number));
        match connect(socket.as_raw_fd(), &to) {
            Ok(()) | Err(nix::Error::EINPROGRESS) => Ok(TcpStream::from(socket)),
            Err(error) => Err(problem(error)),
        }
    }

    fn problem(&self, what: &dyn Display) -> BenchError {
        let (way, work) = (self.ground.way().name(), self.work);
        BenchError::CannotMeasure(format!("{way}, {work:?}: {what}"))
    }
}

fn first_port(work: Work) -> u16 {
    match work {
        Work::Frames(_) | Work::Bulk | Work::Connections(Pace::Bursts) => FIRST_PORT,
        Work::Connections(Pace::Single) => FIRST_PORT + 2 * PORTS,
    }
}
