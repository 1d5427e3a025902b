//! What goes on for a while at an operator's request: pings, captures.

use core::fmt;
use core::net::IpAddr;

use base::time::Duration;

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
        f.write_str(self.word())
    }
}
