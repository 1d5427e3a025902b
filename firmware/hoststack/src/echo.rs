//! Pings: questions of ours whether somebody is there, and what comes back.
//!
//! Reading list: RFC 792 (echo), RFC 1122 §3.2.2.6, RFC 4443 §4.1–4.2.

use crate::attachment::{is_usable, route};
use crate::capacity::ECHOES;
use crate::glance::EchoReport;
use crate::stack::{Event, HostStack};
use base::Instant;
use base::time::Duration;
use core::fmt;
use core::net::IpAddr;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress, IpProtocol, IpRepr,
};

/// Octets that a question carries and its answer brings back.
pub const ECHO_OCTETS: usize = 56;
/// Routers that a question passes at most.
const HOP_LIMIT: u8 = 64;

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Which: the number it was given.
    pub sequence: u16,
    /// Who answered: the one that was asked, or a router that could not deliver the question.
    pub from: IpAddr,
    /// What the answer is.
    pub outcome: EchoOutcome,
    /// The time from the question to this.
    pub round_trip: Duration,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoOutcome {
    /// The question came back.
    Replied,
    /// Somebody says that it cannot be delivered.
    Unreachable,
    /// It passed too many routers.
    Expired,
}

/// Why a question was not asked. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoError {
    /// No host can have the address.
    Unaddressable,
    /// The address is the node's own.
    Own,
    /// No network has the address on its link, and none a gateway of its family.
    NoRoute,
    /// As many questions as may already wait for answers, or packets to be sent.
    Full,
}

impl fmt::Display for EchoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unaddressable => "this is no address that a host can have",
            Self::Own => "this is an address of this box itself",
            Self::NoRoute => "no network of this box and no gateway leads to it",
            Self::Full => "the box has too much to send, try again",
        })
    }
}

impl core::error::Error for EchoError {}

/// A question that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    identifier: u16,
    sequence: u16,
    local: IpAddr,
    remote: IpAddr,
    at: Instant,
}

impl HostStack {
    /// A number for somebody who asks for echoes; who did not see a question cannot guess it.
    pub fn echo_identifier(&mut self) -> u16 {
        loop {
            let [low, high, ..] = self.rng.next().to_le_bytes();
            let identifier = u16::from_le_bytes([low, high]);
            if self.asked.iter().all(|asked| asked.identifier != identifier) {
                return identifier;
            }
        }
    }

    /// Asks `remote` for an echo; the source address follows from it and is returned. The
    /// identifier stands for who asks, the sequence for which question it is.
    pub fn ask_echo(
        &mut self,
        now: Instant,
        remote: IpAddr,
        identifier: u16,
        sequence: u16,
    ) -> Result<IpAddr, EchoError> {
        if self.places.iter().any(|place| place.has(remote)) {
            return Err(EchoError::Own);
        }
        if !is_usable(remote) {
            return Err(EchoError::Unaddressable);
        }
        let (network, local) = route(&self.attachments, remote).ok_or(EchoError::NoRoute)?;
        if self.asked.len() + self.echoes.len() >= ECHOES {
            return Err(EchoError::Full);
        }
        let length = request(&mut [0; LONGEST], local, remote, identifier, sequence);
        let packet = self.queue.reserve(length).ok_or(EchoError::Full)?;
        request(packet, local, remote, identifier, sequence);
        self.queue.commit(network, length);
        self.asked.push(Asked { identifier, sequence, local, remote, at: now });
        Ok(local)
    }

    /// The next answer to a question that was asked with this identifier.
    pub fn poll_echo(&mut self, identifier: u16) -> Option<Echo> {
        let place = self.echoes.iter().position(|(asker, _)| *asker == identifier)?;
        Some(self.echoes.remove(place).1)
    }

    /// Waits no more for an answer to one question.
    pub fn forget_echo(&mut self, identifier: u16, sequence: u16) {
        self.asked.retain(|asked| (asked.identifier, asked.sequence) != (identifier, sequence));
    }

    /// Waits no more for answers with this identifier, and drops those that came.
    pub fn forget_echoes(&mut self, identifier: u16) {
        self.asked.retain(|asked| asked.identifier != identifier);
        self.echoes.retain(|(asker, _)| *asker != identifier);
        self.events.remove(&Event::Echo(identifier));
    }

    /// Takes what is said about a question, if it was asked.
    pub(crate) fn handle_echo(&mut self, now: Instant, report: &EchoReport) {
        let meant = self.asked.iter().position(|asked| {
            (asked.identifier, asked.sequence) == (report.identifier, report.sequence)
                && (asked.local, asked.remote) == (report.local, report.remote)
        });
        let Some(asked) = meant.map(|place| self.asked.remove(place)) else {
            self.counters.ignored += 1;
            return;
        };
        let EchoReport { from, outcome, sequence, identifier, .. } = *report;
        let round_trip = now.since(asked.at);
        self.echoes.push((identifier, Echo { sequence, from, outcome, round_trip }));
        self.events.insert(Event::Echo(identifier));
    }
}

/// Octets of the longest question.
const LONGEST: usize = 40 + 8 + ECHO_OCTETS;

/// What a question carries: octets that show in a capture where they begin.
const DATA: [u8; ECHO_OCTETS] = *b"Portico asks whether you are there: please send it back.";

/// Writes a question into `out`, and says how long it is.
fn request(out: &mut [u8], local: IpAddr, remote: IpAddr, identifier: u16, sequence: u16) -> usize {
    let data = DATA;
    let sums = ChecksumCapabilities::default();
    let message = 8 + ECHO_OCTETS;
    match (local, remote) {
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let protocol = IpProtocol::Icmpv6;
            let ip = IpRepr::new(from.into(), to.into(), protocol, message, HOP_LIMIT);
            ip.emit(&mut *out, &sums);
            let echo = Icmpv6Repr::EchoRequest { ident: identifier, seq_no: sequence, data: &data };
            let end = ip.header_len() + message;
            let mut view = Icmpv6Packet::new_unchecked(&mut out[ip.header_len()..end]);
            echo.emit(&from, &to, &mut view, &sums);
            end
        }
        (local, remote) => {
            let (from, to) = (IpAddress::from(local), IpAddress::from(remote));
            let ip = IpRepr::new(from, to, IpProtocol::Icmp, message, HOP_LIMIT);
            ip.emit(&mut *out, &sums);
            let echo = Icmpv4Repr::EchoRequest { ident: identifier, seq_no: sequence, data: &data };
            let end = ip.header_len() + message;
            let mut view = Icmpv4Packet::new_unchecked(&mut out[ip.header_len()..end]);
            echo.emit(&mut view, &sums);
            end
        }
    }
}
