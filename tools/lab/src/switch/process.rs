//! The program that is the switch of one segment: the [`Switch`] with its sockets.
//!
//! It runs in the segment's namespace, where the ends of the hosts' cables are. A cable is a veth
//! pair, whose frames come with all that the sender left undone, or a pair of datagram sockets to
//! QEMU, which knows no offloads: for it segments are cut and checksums finished here.

use super::Switch;
use super::capture::Capture;
use super::control::{Answer, LARGEST, Order};
use crate::{LabError, clock};
use base::{Gso, Instant, Offload};
use netio::{BLOCK, BURST, Memory, PortOptions, Receiver, Transmitter};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::sockopt::{SndBufForce, SocketError};
use nix::sys::socket::{getsockopt, setsockopt};
use nix::sys::time::{TimeSpec, TimeValLike};
use packet::{Body, checksum, headers, segment};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// What it prints once frames and orders are taken.
pub const READY: &str = "switch: ready";
/// The most captures at a time.
const CAPTURES: usize = 8;
/// The largest frame from a guest, and the largest that one gets.
const GUEST_FRAME: usize = 68 * 1024;
/// Octets that may wait for a guest.
const GUEST_BUFFER: usize = 8 << 20;
/// Memory for what a port has received: a switch has many ports, and few frames wait.
const MEMORY: Memory =
    Memory { block_size: 2 * BLOCK, blocks: 8, large_frames: 8, receive_buffer: 16 << 20 };

/// What a switch is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// Where it takes orders.
    pub socket: PathBuf,
    /// What decides about frames.
    pub seed: u64,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// One port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Port {
    /// The host behind it.
    pub host: String,
    /// Its cable.
    pub cable: Cable,
}

/// What joins a host and its port.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Cable {
    /// The end of a veth pair in the namespace of the switch.
    Veth(String),
    /// Datagram sockets, one frame a datagram.
    Datagrams {
        /// Where the switch receives.
        local: PathBuf,
        /// Where QEMU receives.
        remote: PathBuf,
    },
}

/// Where frames come in.
enum Entrance {
    Ring(Box<Receiver>),
    Datagrams(UnixDatagram),
}

/// Where frames go out.
enum Exit {
    Ring(Box<Transmitter>),
    Datagrams { socket: UnixDatagram, to: PathBuf },
}

/// A switch with its sockets.
struct Program {
    switch: Switch,
    entrances: Vec<Entrance>,
    exits: Vec<Exit>,
    orders: UnixDatagram,
    captures: Vec<Capture>,
    hosts: Vec<String>,
    start: std::time::Instant,
}

/// Is a switch until it is ended. `setup` is the file with its [`Setup`].
///
/// # Errors
/// [`LabError::File`] for the setup or a socket, [`LabError::Wiring`] for a cable.
pub fn run(setup: &Path) -> Result<(), LabError> {
    let text = std::fs::read_to_string(setup).map_err(LabError::file(setup))?;
    let parsed = serde_json::from_str::<Setup>(&text).map_err(std::io::Error::other);
    let mut program = Program::open(&parsed.map_err(LabError::file(setup))?)?;
    println!("{READY}");
    loop {
        program.wait();
        for port in 0..program.entrances.len() {
            program.receive(port);
        }
        program.send_what_is_due();
        program.take_orders();
        program.finish_captures();
    }
}

/// Makes a datagram socket that never waits, in place of one that a crash left.
fn bind(path: &Path) -> Result<UnixDatagram, LabError> {
    let _ = std::fs::remove_file(path);
    let socket = UnixDatagram::bind(path).map_err(LabError::file(path))?;
    socket.set_nonblocking(true).map_err(LabError::file(path))?;
    Ok(socket)
}

impl Program {
    fn open(setup: &Setup) -> Result<Program, LabError> {
        let hosts: Vec<String> = setup.ports.iter().map(|port| port.host.clone()).collect();
        let (mut entrances, mut exits) = (Vec::new(), Vec::new());
        for port in &setup.ports {
            let (entrance, exit) = open_cable(&port.cable)?;
            entrances.push(entrance);
            exits.push(exit);
        }
        Ok(Program {
            switch: Switch::new(hosts.clone(), setup.seed),
            entrances,
            exits,
            orders: bind(&setup.socket)?,
            captures: Vec::new(),
            hosts,
            start: clock::now(),
        })
    }

    fn now(&self) -> Instant {
        Instant::ZERO + clock::now().duration_since(self.start)
    }

    /// Waits for a frame, an order, or the time of something that was put off.
    fn wait(&self) {
        let captures = self.captures.iter().map(|capture| capture.until);
        let next = captures.chain(self.switch.next_deadline()).min();
        let time = next.map(|next| next.since(self.now()));
        let time = time.map(|time| TimeSpec::nanoseconds(time.as_nanos() as i64));
        let sockets = self.entrances.iter().map(|entrance| match entrance {
            Entrance::Ring(receiver) => receiver.fd(),
            Entrance::Datagrams(socket) => socket.as_fd(),
        });
        let sockets = sockets.chain([self.orders.as_fd()]);
        let mut polled: Vec<PollFd<'_>> =
            sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
        // What interrupts a wait only means that there is nothing yet.
        let _ = ppoll(&mut polled, time, None);
        let failed = |entry: &&PollFd<'_>| {
            entry.revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
        };
        for entry in polled.iter().filter(failed) {
            // An interface that went down says so once; asking takes the error off the socket.
            let _ = getsockopt(&entry.as_fd(), SocketError);
        }
    }

    /// Takes what waits at a port, a burst at most, and sends on what needs no waiting.
    fn receive(&mut self, from: usize) {
        let now = self.now();
        let Program { switch, entrances, exits, captures, .. } = self;
        let mut buffer = Vec::new();
        let mut lists: Vec<Vec<(&[u8], Offload)>> = vec![Vec::new(); exits.len()];
        let mut batch;
        let frames = match entrances.get_mut(from) {
            None => return,
            Some(Entrance::Ring(receiver)) => {
                batch = receiver.batch(BURST);
                batch.frames()
            }
            Some(Entrance::Datagrams(socket)) => {
                buffer.resize(GUEST_FRAME, 0);
                for _ in 0..BURST {
                    let Ok(length) = socket.recv(&mut buffer) else { return };
                    let frame = &buffer[..length];
                    captures.iter_mut().for_each(|one| one.sent(from, frame, Offload::NONE));
                    for to in switch.handle_frame(now, from, frame, Offload::NONE) {
                        send(exits, captures, to, &[(frame, Offload::NONE)]);
                    }
                }
                return;
            }
        };
        for frame in &frames {
            let (bytes, offload) = (&*frame.bytes, sendable(frame.offload));
            captures.iter_mut().for_each(|one| one.sent(from, bytes, offload));
            for to in switch.handle_frame(now, from, bytes, offload) {
                lists[to].push((bytes, offload));
            }
        }
        for (to, list) in lists.iter().enumerate().filter(|(_, list)| !list.is_empty()) {
            send(exits, captures, to, list);
        }
    }

    fn send_what_is_due(&mut self) {
        let now = self.now();
        while let Some((to, frame)) = self.switch.poll(now) {
            let one = [(frame.bytes.as_slice(), frame.offload)];
            send(&mut self.exits, &mut self.captures, to, &one);
        }
    }

    /// Does what was asked since last time and answers.
    fn take_orders(&mut self) {
        let mut buffer = vec![0; LARGEST];
        while let Ok((length, sender)) = self.orders.recv_from(&mut buffer) {
            // Who has no address of its own cannot be answered.
            let Some(client) = sender.as_pathname() else { continue };
            let answer = match serde_json::from_slice(&buffer[..length]) {
                Ok(order) => self.obey(order, client),
                Err(error) => Some(Answer::Refused(format!("it does not understand: {error}"))),
            };
            if let Some(answer) = answer {
                self.answer(client, &answer);
            }
        }
    }

    /// Does what an order says; nothing is answered yet where it takes time.
    fn obey(&mut self, order: Order, client: &Path) -> Option<Answer> {
        match order {
            Order::Change(links, change) => {
                links.iter().for_each(|link| self.switch.change(link, change));
            }
            Order::Heal(None) => self.switch.heal(|_| true),
            Order::Heal(Some(links)) => self.switch.heal(|link| links.contains(link)),
            Order::List => return Some(Answer::Links(self.switch.list())),
            Order::Capture { file, time, at } => {
                let port = at.as_ref().map(|at| self.hosts.iter().position(|host| host == at));
                if port == Some(None) {
                    return Some(Answer::Refused("the host has no port here".into()));
                }
                if self.captures.len() >= CAPTURES {
                    let busy = format!("{CAPTURES} captures are going on; wait for one to end");
                    return Some(Answer::Refused(busy));
                }
                let until = self.now() + time;
                self.captures.push(Capture::new(file, until, port.flatten(), client.into()));
                return None;
            }
        }
        Some(Answer::Done)
    }

    fn finish_captures(&mut self) {
        let now = self.now();
        for at in (0..self.captures.len()).rev() {
            if self.captures[at].until > now {
                continue;
            }
            let capture = self.captures.swap_remove(at);
            let (client, file) = (capture.client.clone(), capture.file.clone());
            let answer = match capture.finish() {
                Ok((frames, missing)) => Answer::Captured { frames, missing },
                Err(error) => Answer::Refused(format!("{}: {error}", file.display())),
            };
            self.answer(&client, &answer);
        }
    }

    fn answer(&self, client: &Path, answer: &Answer) {
        // Who does not wait any more gets no answer.
        let _ = serde_json::to_vec(answer).map(|text| self.orders.send_to(&text, client));
    }
}

/// What a host's checksum hardware vouched for may not be claimed when sending.
fn sendable(offload: Offload) -> Offload {
    Offload { checksum_valid: false, ..offload }
}

fn open_cable(cable: &Cable) -> Result<(Entrance, Exit), LabError> {
    match cable {
        Cable::Veth(name) => {
            let failed = |error: &dyn std::fmt::Display| LabError::Wiring(error.to_string());
            netio::quiet(name).map_err(|error| failed(&error))?;
            let options = PortOptions { memory: MEMORY, ..PortOptions::new(name) };
            let mut pairs = netio::open(&options).map_err(|error| failed(&error))?;
            let (receiver, transmitter) =
                pairs.pop().ok_or_else(|| LabError::Wiring(format!("{name} has no worker")))?;
            Ok((Entrance::Ring(Box::new(receiver)), Exit::Ring(Box::new(transmitter))))
        }
        Cable::Datagrams { local, remote } => {
            let socket = bind(local)?;
            setsockopt(&socket, SndBufForce, &GUEST_BUFFER)
                .map_err(|errno| LabError::file(local)(errno.into()))?;
            let exit = socket.try_clone().map_err(LabError::file(local))?;
            let exit = Exit::Datagrams { socket: exit, to: remote.clone() };
            Ok((Entrance::Datagrams(socket), exit))
        }
    }
}

/// Sends frames out of a port. What its cable does not take is lost, as on any wire.
fn send(exits: &mut [Exit], captures: &mut [Capture], to: usize, frames: &[(&[u8], Offload)]) {
    for capture in captures {
        frames.iter().for_each(|(bytes, offload)| capture.received(to, bytes, *offload));
    }
    match exits.get_mut(to) {
        None => {}
        Some(Exit::Ring(transmitter)) => {
            transmitter.send(frames);
        }
        Some(Exit::Datagrams { socket, to }) => {
            for (bytes, offload) in frames {
                finished(bytes, *offload, |frame| {
                    let _ = socket.send_to(frame, &*to);
                });
            }
        }
    }
}

/// Hands out a frame with nothing left undone: cut into segments, checksums complete. One whose
/// offload header does not fit it is dropped.
fn finished(bytes: &[u8], mut offload: Offload, mut send: impl FnMut(&[u8])) {
    if offload.gso == Gso::None {
        let mut copy = bytes.to_vec();
        if checksum::complete(&mut copy, &mut offload) {
            send(&copy);
        }
        return;
    }
    let Ok(Body::Ip(ip)) = headers::parse(bytes).map(|headers| headers.body) else { return };
    let mut out = vec![0; GUEST_FRAME];
    for index in 0.. {
        match segment::segment(&mut out, bytes, &ip, &offload, index) {
            Some(length) => send(&out[..length]),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_gets_segments_with_finished_checksums() {
        // Ethernet, IPv4 and UDP headers in front of 3,000 octets that are to go as three.
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let length = |octets: u16| octets.to_be_bytes();
        frame.extend([0x45, 0, length(3028)[0], length(3028)[1], 0, 1, 0, 0, 64, 17, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        let sum = !frame[14..34]
            .chunks(2)
            .fold(0_u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let folded = !((!sum & 0xffff) + (!sum >> 16));
        frame[24..26].copy_from_slice(&(folded as u16).to_be_bytes());
        frame.extend([0, 7, 0, 8, length(3008)[0], length(3008)[1], 0, 0]);
        frame.extend((0..3000).map(|number| number as u8));
        let offload = Offload {
            needs_checksum: true,
            checksum_start: 34,
            checksum_offset: 6,
            gso: Gso::Udp,
            gso_size: 1200,
            header_length: 42,
            ..Offload::NONE
        };
        let mut got = Vec::new();
        finished(&frame, offload, |piece| got.push(piece.to_vec()));
        let lengths: Vec<usize> = got.iter().map(Vec::len).collect();
        assert_eq!(lengths, [1242, 1242, 642]);
        let carried: Vec<u8> = got.iter().flat_map(|piece| piece[42..].to_vec()).collect();
        assert_eq!(carried, frame[42..]);
        for piece in got {
            // With the pseudo header, the whole datagram sums to all ones (RFC 768).
            let mut summed = piece[26..].to_vec();
            summed.extend([0, 17]);
            summed.extend(&piece[38..40]);
            let sum: u32 = summed
                .chunks(2)
                .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
                .sum();
            assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
        }
    }

    #[test]
    fn an_offload_header_that_does_not_fit_drops_the_frame() {
        let offload = Offload { gso: Gso::TcpV4, gso_size: 1000, ..Offload::NONE };
        finished(&[0; 60], offload, |_| panic!("nothing can be sent"));
        let offload = Offload { needs_checksum: true, checksum_start: 90, ..Offload::NONE };
        finished(&[0; 60], offload, |_| panic!("nothing can be sent"));
    }
}
