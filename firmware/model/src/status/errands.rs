//! What goes on for a while at an operator's request: pings, captures.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use base::time::{Duration, Instant};

use super::Milliseconds;
use crate::limits;

/// What came of one question of a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Which, from 1.
    pub sequence: u16,
    /// Who was asked.
    pub target: IpAddr,
    /// From which address of the node.
    pub source: IpAddr,
    /// What came.
    pub outcome: EchoOutcome,
}

/// What comes of a question whether a host is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchoOutcome {
    /// It answered after so long.
    Answered(Duration),
    /// This station says that it cannot be reached.
    Unreachable(IpAddr),
    /// This station says that the question passed too many routers.
    Expired(IpAddr),
    /// Nothing came within [`limits::PING_PATIENCE`].
    Silent,
}

impl EchoOutcome {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Unreachable(_) => "unreachable",
            Self::Expired(_) => "expired",
            Self::Silent => "silent",
        }
    }
}

impl fmt::Display for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, target, source, .. } = self;
        write!(f, "{sequence:2}  ")?;
        match self.outcome {
            EchoOutcome::Answered(after) => {
                write!(f, "{target} answered {source} in {}", Milliseconds(after))
            }
            EchoOutcome::Unreachable(from) => {
                write!(f, "{from} says that {target} cannot be reached")
            }
            EchoOutcome::Expired(from) => {
                write!(f, "{from} says that {target} is too many routers away")
            }
            EchoOutcome::Silent => {
                let seconds = limits::PING_PATIENCE.as_secs();
                write!(f, "no answer to {source} from {target} within {seconds} s")
            }
        }
    }
}

/// What came of a whole ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinged {
    /// Who was asked.
    pub target: IpAddr,
    /// Questions that were asked.
    pub sent: u16,
    /// Those that came back.
    pub received: u16,
    /// The shortest, the mean and the longest time until they did.
    pub round_trips: Option<[Duration; 3]>,
}

impl fmt::Display for Pinged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, received, .. } = self;
        write!(f, "{sent} sent, {received} received")?;
        let lost = u32::from(sent.saturating_sub(*received)) * 100;
        if let Some(percent) = lost.checked_div(u32::from(*sent)) {
            write!(f, ", {percent} % lost")?;
        }
        let Some(round_trips) = self.round_trips else { return Ok(()) };
        let [least, mean, most] = round_trips.map(Milliseconds);
        write!(f, "; shortest {least}, mean {mean}, longest {most}")
    }
}

/// Which way a frame passes a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came in.
    In,
    /// It went out.
    Out,
}

impl Direction {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A frame that passed a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When.
    pub at: Instant,
    /// Which way.
    pub direction: Direction,
    /// Who sent it: address and port, as far as it has them.
    pub source: String,
    /// Whom it is for, likewise.
    pub destination: String,
    /// What it is: `tcp`.
    pub protocol: String,
    /// Octets, Ethernet header included; more than an MTU where a card cuts or joins segments.
    pub length: u32,
    /// What else is worth a word: `SYN ACK`.
    pub detail: String,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, direction, source, destination, protocol, length, detail } = self;
        let microseconds = at.as_nanos() / 1_000;
        let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
        write!(
            f,
            "{seconds}.{rest:06} {direction:3} {source} > {destination} {protocol} {length}"
        )?;
        if detail.is_empty() { Ok(()) } else { write!(f, " {detail}") }
    }
}

/// What came of a whole capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Of which port.
    pub port: String,
    /// Frames that were kept.
    pub frames: u32,
    /// Frames that were wanted and came too fast.
    pub lost: u64,
    /// For how long it looked.
    pub time: Duration,
    /// Why it ended.
    pub end: CaptureEnd,
}

/// Why a capture ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureEnd {
    /// The time is over.
    Time,
    /// There are as many frames as were asked for.
    Packets,
    /// Somebody wanted it.
    Stopped,
    /// The port is another one now.
    PortGone,
}

impl CaptureEnd {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Packets => "packets",
            Self::Stopped => "stopped",
            Self::PortGone => "port-gone",
        }
    }
}

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, frames, lost, time, end } = self;
        let tenths = time.as_millis() / 100;
        let plural = if *frames == 1 { "" } else { "s" };
        write!(f, "{frames} frame{plural} of {port} in {}.{} s", tenths / 10, tenths % 10)?;
        match lost {
            0 => f.write_str(", none lost")?,
            lost => write!(f, ", {lost} lost because they came too fast")?,
        }
        match end {
            CaptureEnd::Packets => f.write_str("; more were not asked for"),
            CaptureEnd::PortGone => f.write_str("; the port is not what it was any more"),
            CaptureEnd::Time | CaptureEnd::Stopped => Ok(()),
        }
    }
}
