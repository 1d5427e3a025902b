//! Talking to the kernel about interfaces: a handful of routing-netlink messages, built and read
//! here because that is less than any crate for all of netlink.
//!
//! ```text
//!   | length kind flags sequence port | fixed part | length kind value, padded to 4 | ...
//!     16 octets                         of the kind  attributes
//! ```
//!
//! Reading list: netlink(7), rtnetlink(7), Linux `linux/netlink.h`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket, sockopt,
};

/// Octets of the header of every message.
const HEADER: usize = 16;
/// Octets of an attribute's header.
const ATTRIBUTE: usize = 4;
/// Octets that one read takes at most. The kernel's own dumps stay below 32 KiB.
const BUFFER: usize = 64 << 10;
/// Octets of news that may wait.
const NEWS_BUFFER: usize = 1 << 20;

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Please answer with an acknowledgement or an error.
pub const ACKNOWLEDGE: u16 = 0x4;
/// Everything, not one.
pub const DUMP: u16 = 0x300;
/// It may be new.
pub const CREATE: u16 = 0x400;
/// It must be new.
pub const EXCLUSIVE: u16 = 0x200;
const REQUEST: u16 = 0x1;

/// A message being built.
#[derive(Debug)]
pub struct Message(Vec<u8>);

impl Message {
    /// A request with the fixed part of its kind.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | REQUEST).to_ne_bytes());
        bytes.resize(HEADER, 0);
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Adds an attribute.
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an attribute whose value is text that ends in zero.
    pub fn text(self, kind: u16, value: &str) -> Self {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute that holds the attributes of `inner`.
    pub fn nested(self, kind: u16, inner: &Self) -> Self {
        self.attribute(kind, inner.0.get(HEADER..).unwrap_or_default())
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        if let Some(first) = self.0.first_chunk_mut() {
            *first = length.to_ne_bytes();
        }
        self.0
    }
}

/// A message that came.
#[derive(Debug)]
pub struct Received {
    /// What it is about.
    pub kind: u16,
    /// The fixed part and the attributes.
    pub body: Vec<u8>,
}

/// A routing-netlink socket.
#[derive(Debug)]
pub struct Socket {
    descriptor: OwnedFd,
    buffer: Box<[u8]>,
}

impl Socket {
    /// For requests and their answers, which the kernel gives at once.
    pub fn for_requests() -> io::Result<Self> {
        Self::open(0, SockFlag::empty())
    }

    /// For news of some groups (`RTMGRP_…`); reading never blocks.
    pub fn for_news(groups: u32) -> io::Result<Self> {
        let socket = Self::open(groups, SockFlag::SOCK_NONBLOCK)?;
        setsockopt(&socket.descriptor, sockopt::RcvBuf, &NEWS_BUFFER)?;
        Ok(socket)
    }

    fn open(groups: u32, flags: SockFlag) -> io::Result<Self> {
        let flags = flags | SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkRoute;
        let descriptor = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        bind(descriptor.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { descriptor, buffer: vec![0; BUFFER].into_boxed_slice() })
    }

    /// Becomes readable when there is news.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Sends a request and waits for all of the answer; an error the kernel gives is returned.
    pub fn request(&mut self, message: Message) -> io::Result<Vec<Received>> {
        let bytes = message.finish();
        send(self.descriptor.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let mut answer = Vec::new();
        loop {
            for received in self.receive()? {
                match received.kind {
                    DONE => return Ok(answer),
                    ERROR => return outcome(&received.body).map(|()| answer),
                    _ => answer.push(received),
                }
            }
        }
    }

    /// The messages of one datagram. `WouldBlock`: there is no news; `ENOBUFS`: some was lost.
    pub fn receive(&mut self) -> io::Result<Vec<Received>> {
        let length = recv(self.descriptor.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_TRUNC)?;
        let bytes = self.buffer.get(..length).ok_or(io::ErrorKind::InvalidData)?;
        Ok(split(bytes))
    }
}

/// What an error message says; an acknowledgement is an error of number zero.
fn outcome(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|chunk| i32::from_ne_bytes(*chunk)) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(-number)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Takes a datagram apart; what does not hold together ends it.
fn split(mut bytes: &[u8]) -> Vec<Received> {
    let mut messages = Vec::new();
    while let (Some(length), Some(kind)) = (number_at(bytes, 0), bytes.get(4..6)) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (Some(body), &[low, high]) = (bytes.get(HEADER..length), kind) else { break };
        messages.push(Received { kind: u16::from_ne_bytes([low, high]), body: body.to_vec() });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

/// The value of an attribute among those that follow a fixed part of `fixed` octets.
pub fn attribute(body: &[u8], fixed: usize, wanted: u16) -> Option<&[u8]> {
    let mut rest = body.get(fixed..)?;
    loop {
        let (&[l0, l1, k0, k1], _) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = rest.get(ATTRIBUTE..length)?;
        // The two upper bits say how the value is encoded, not what it is.
        if u16::from_ne_bytes([k0, k1]) & 0x3fff == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// A 32-bit number in the machine's byte order.
pub fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_ne_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_behind_others_and_padding() {
        let inner = Message::new(0, 0, &[]).attribute(7, &[9]);
        let message = Message::new(16, ACKNOWLEDGE, &[1, 2, 3, 4])
            .text(3, "eth0")
            .attribute(0x8004, &[5, 0, 0, 0])
            .nested(2, &inner)
            .finish();
        let messages = split(&[&message[..], &message].concat());
        assert_eq!(messages.len(), 2);
        for Received { kind, body } in messages {
            assert_eq!((kind, &body[..4]), (16, &[1, 2, 3, 4][..]));
            assert_eq!(attribute(&body, 4, 3), Some(&b"eth0\0"[..]));
            assert_eq!(attribute(&body, 4, 4).and_then(|v| number_at(v, 0)), Some(5));
            assert_eq!(attribute(&body, 4, 9), None);
            let nested = attribute(&body, 4, 2).unwrap();
            assert_eq!(attribute(nested, 0, 7), Some(&[9][..]));
        }
    }

    #[test]
    fn octets_that_do_not_hold_together_end_the_reading() {
        let message = Message::new(16, 0, &[0; 16]).text(3, "eth0").finish();
        for length in 0..message.len() {
            assert!(split(&message[..length]).is_empty(), "{length}");
        }
        let mut lying = message.clone();
        lying[0] = 3; // shorter than a header
        assert!(split(&lying).is_empty());
        for bad in [[0u8, 0, 3, 0], [3, 0, 3, 0], [200, 0, 3, 0]] {
            assert_eq!(attribute(&bad, 0, 3), None, "{bad:?}");
        }
    }
}
