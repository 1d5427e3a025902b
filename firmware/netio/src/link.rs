//! How an interface is: its number, address, MTU, and whether frames can pass. Asked once with
//! [`Link::read`], or told with every change by a [`LinkMonitor`].
//!
//! ```text
//!                 down, carrier lost
//!        /-------------------------------\
//!    Up(link) <---------------------- Down        both -- removed, renamed --> Vanished
//!        ^        up with carrier                                                 |
//!        \------------------------ an interface of that name appears -------------/
//! ```
//!
//! Reading list: rtnetlink(7) (`RTM_GETLINK`), netdevice(7) (flags), Linux `linux/if_link.h`.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use base::Mac;
use nix::errno::Errno;

use crate::netlink::{Message, Received, Socket, attribute, number_at};

/// Octets of `struct ifinfomsg`: family, type, index, flags, change mask.
const FIXED: usize = 16;
const ETHERNET: u16 = 1; // ARPHRD_ETHER
const LOWER_UP: u32 = 0x10000; // IFF_LOWER_UP: there is a carrier

/// An interface at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of it.
    pub index: u32,
    /// Its own address.
    pub mac: Mac,
    /// Octets of an IP packet that it carries.
    pub mtu: u32,
    /// It is switched on.
    pub up: bool,
    /// There is somebody at the other end of the cable.
    pub carrier: bool,
}

/// An interface could not be asked for.
#[derive(Debug)]
pub enum LinkError {
    /// There is none of this name.
    Missing {
        /// The name.
        interface: String,
    },
    /// It carries no Ethernet frames.
    NotEthernet {
        /// The name.
        interface: String,
    },
    /// The kernel does not answer such questions.
    Refused {
        /// The name.
        interface: String,
        /// What it said.
        source: io::Error,
    },
}

impl Link {
    /// How an interface is now.
    pub fn read(interface: &str) -> Result<Self, LinkError> {
        let refused = |source| LinkError::Refused { interface: interface.to_owned(), source };
        let mut socket = Socket::for_requests().map_err(refused)?;
        Self::ask(&mut socket, interface)
    }

    pub(crate) fn ask(socket: &mut Socket, interface: &str) -> Result<Self, LinkError> {
        let interface_name = || interface.to_owned();
        let question = Message::new(libc::RTM_GETLINK, crate::netlink::ACKNOWLEDGE, &[0; FIXED])
            .text(libc::IFLA_IFNAME, interface);
        let answer = socket.request(question).map_err(|source| match source.raw_os_error() {
            Some(libc::ENODEV | libc::EINVAL | libc::ERANGE) => {
                LinkError::Missing { interface: interface_name() }
            }
            _ => LinkError::Refused { interface: interface_name(), source },
        })?;
        match answer.iter().find_map(News::read) {
            None => Err(LinkError::Missing { interface: interface_name() }),
            Some(News { link: None, .. }) => {
                Err(LinkError::NotEthernet { interface: interface_name() })
            }
            Some(News { link: Some(link), .. }) => Ok(link),
        }
    }
}

/// What a link message says.
struct News {
    name: String,
    index: u32,
    gone: bool,
    /// None: not Ethernet.
    link: Option<Link>,
}

impl News {
    /// `None` for messages about anything but interfaces themselves.
    fn read(message: &Received) -> Option<Self> {
        let body = &message.body[..];
        let gone = match message.kind {
            libc::RTM_NEWLINK => false,
            libc::RTM_DELLINK => true,
            _ => return None,
        };
        let &[family, _, t0, t1] = body.first_chunk()?;
        // A bridge or a protocol tells of its own matters with messages of the same kind.
        if i32::from(family) != libc::AF_UNSPEC {
            return None;
        }
        let (index, flags) = (number_at(body, 4)?, number_at(body, 8)?);
        let name = attribute(body, FIXED, libc::IFLA_IFNAME)?;
        let name = String::from_utf8_lossy(name.strip_suffix(&[0]).unwrap_or(name)).into_owned();
        let address = attribute(body, FIXED, libc::IFLA_ADDRESS);
        let mac = address.and_then(|octets| octets.try_into().ok()).map(Mac);
        let mtu = attribute(body, FIXED, libc::IFLA_MTU).and_then(|value| number_at(value, 0));
        let up = flags & libc::IFF_UP.cast_unsigned() != 0;
        let carrier = up && flags & LOWER_UP != 0;
        let ethernet = u16::from_ne_bytes([t0, t1]) == ETHERNET;
        let link = mac.zip(mtu).map(|(mac, mtu)| Link { index, mac, mtu, up, carrier });
        Some(Self { name, index, gone, link: link.filter(|_| ethernet) })
    }
}

/// What an interface came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Frames can pass. Told again when address, MTU or number have changed; with another number
    /// it is another interface, and ports on the old one stay dead until they are opened anew.
    Up(Link),
    /// It is switched off, or there is no carrier.
    Down,
    /// There is no such interface.
    Vanished,
}

/// A change that a monitor saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEvent {
    /// The interface.
    pub name: String,
    /// What it is now.
    pub state: LinkState,
}

/// Tells how some interfaces are, and every change from then on.
#[derive(Debug)]
pub struct LinkMonitor {
    news: Socket,
    questions: Socket,
    watched: Vec<(String, Option<LinkState>)>,
    events: VecDeque<LinkEvent>,
}

impl LinkMonitor {
    /// Watches interfaces by name; they need not exist. The first events tell how each is.
    pub fn open(interfaces: &[&str]) -> Result<Self, LinkError> {
        let refused = |source| LinkError::Refused { interface: interfaces.join(", "), source };
        // The news is subscribed to before the question is asked, so that nothing falls between.
        let news = Socket::for_news(libc::RTMGRP_LINK.cast_unsigned()).map_err(refused)?;
        let questions = Socket::for_requests().map_err(refused)?;
        let watched = interfaces.iter().map(|&name| (name.to_owned(), None)).collect();
        let mut monitor = Self { news, questions, watched, events: VecDeque::new() };
        monitor.ask_all();
        Ok(monitor)
    }

    /// Readable when there may be an event.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.news.fd()
    }

    /// The next event, if there is one; never blocks. Call it until it gives none.
    pub fn poll(&mut self) -> Option<LinkEvent> {
        while self.events.is_empty() {
            match self.news.receive() {
                Ok(messages) => {
                    for news in messages.iter().filter_map(News::read) {
                        self.hear(&news);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // More news than the socket holds: ask instead.
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    self.ask_all();
                }
                Err(_) => return None,
            }
        }
        self.events.pop_front()
    }

    fn ask_all(&mut self) {
        for position in 0..self.watched.len() {
            let Some((name, _)) = self.watched.get(position) else { return };
            let state = match Link::ask(&mut self.questions, name) {
                Ok(link) => state_of(Some(link)),
                Err(LinkError::Missing { .. } | LinkError::NotEthernet { .. }) => {
                    LinkState::Vanished
                }
                Err(LinkError::Refused { .. }) => continue,
            };
            self.becomes(position, state);
        }
    }

    fn hear(&mut self, news: &News) {
        for position in 0..self.watched.len() {
            let Some((name, known)) = self.watched.get(position) else { return };
            let same_number =
                matches!(known, Some(LinkState::Up(link)) if link.index == news.index);
            if *name == news.name {
                let vanished = news.gone || news.link.is_none();
                let state = if vanished { LinkState::Vanished } else { state_of(news.link) };
                self.becomes(position, state);
            } else if same_number {
                self.becomes(position, LinkState::Vanished); // it has another name now
            }
        }
    }

    fn becomes(&mut self, position: usize, state: LinkState) {
        let Some((name, known)) = self.watched.get_mut(position) else { return };
        if *known != Some(state) {
            *known = Some(state);
            self.events.push_back(LinkEvent { name: name.clone(), state });
        }
    }
}

fn state_of(link: Option<Link>) -> LinkState {
    match link {
        Some(link) if link.up && link.carrier => LinkState::Up(link),
        Some(_) => LinkState::Down,
        None => LinkState::Vanished,
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { interface } => write!(f, "there is no interface {interface}"),
            Self::NotEthernet { interface } => {
                write!(f, "{interface} is no Ethernet interface, and a port must be one")
            }
            Self::Refused { interface, source } => {
                write!(f, "the kernel does not say how {interface} is: {source}")
            }
        }
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused { source, .. } => Some(source),
            Self::Missing { .. } | Self::NotEthernet { .. } => None,
        }
    }
}
