//! The one set of requests that an operator can make, and their answers. Consoles and programs
//! speak these; whoever carries them needs no words of its own.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use base::time::Instant;

use crate::config::Problem;
use crate::status;

/// Who asks, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Which session, unique among those of one start of the program. A session holds the
    /// candidate's lock and a commit that waits to be confirmed.
    pub session: u64,
    /// Who logged in; `console` while no user is configured.
    pub user: String,
    /// What they may do.
    pub role: Role,
    /// Where they are.
    pub face: Face,
}

impl Origin {
    /// The number of a session that is nobody's: what all look at is asked for under it.
    pub const NOBODY: u64 = 0;
}

/// What an operator may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See.
    View,
    /// Drain servers and boxes, move virtual addresses, look into the network, ask for a restart.
    Operate,
    /// Change the configuration.
    Configure,
}

impl Role {
    /// The word for it in documents and on consoles.
    pub const fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
            Self::Configure => "configure",
        }
    }

    /// Whether it may change the configuration, and so see all of it.
    pub const fn may_change(self) -> bool {
        matches!(self, Self::Configure)
    }

    /// The inverse of [`Self::word`].
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::View, Self::Operate, Self::Configure].into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where an operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// At the serial line.
    Serial,
    /// At the web page, or a program that speaks like one.
    Web,
}

impl Face {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Web => "web",
        }
    }
}

impl fmt::Display for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// To see something.
    Show(Topic),
    /// The box to start again.
    Reboot,
    /// The box to go off.
    PowerOff,
    /// A server to get no new flows, or to get them again; until the next commit or restart.
    DrainServer {
        /// Its pool.
        pool: String,
        /// Its name in the pool.
        server: String,
        /// No new flows; else again as configured.
        drain: bool,
    },
    /// A virtual address, and with it those of its group, to be served by another box.
    MoveVip {
        /// The address's name.
        vip: String,
        /// The box's name.
        node: String,
    },
    /// A box of the cluster to serve no virtual address, or to have its share again.
    DrainNode {
        /// Its name.
        node: String,
        /// It gives away what it serves; else it may serve again.
        drain: bool,
    },
    /// A host to be asked whether it is there. Answered by a [`Reply::Echo`] for each question, and
    /// at last by [`Reply::Pinged`].
    Ping {
        /// Who.
        target: IpAddr,
        /// How many times, 1 to [`crate::limits::PING_COUNT`].
        count: u16,
    },
    /// The frames of a port. Answered by a [`Reply::Frame`] for each, and at last by
    /// [`Reply::Captured`]. There is one capture at a time.
    Capture {
        /// The port's name.
        port: String,
        /// For how long, 1 to [`crate::limits::CAPTURE_SECONDS`].
        seconds: u16,
        /// How many at most, 1 to [`crate::limits::CAPTURE_PACKETS`].
        packets: u16,
        /// Which.
        filter: CaptureFilter,
    },
    /// What this session asked for, and what goes on, to end. Not answered for itself: the last
    /// reply to what ends comes early.
    Stop,
    /// To change the candidate: nobody else may meanwhile.
    ConfigureEnter {
        /// From whoever has it, whose changes are put aside; else that is a reason to refuse.
        take_over: bool,
    },
    /// To change it no more.
    ConfigureExit {
        /// What was changed and not committed is given up; else that is a reason to refuse.
        discard: bool,
    },
    /// A key of the candidate to have a value.
    Set {
        /// A dotted TOML key.
        path: String,
        /// A TOML value, or a word, number, address or list of them as one types it.
        value: String,
    },
    /// A key or table of the candidate to go.
    Delete {
        /// A dotted TOML key.
        path: String,
    },
    /// To see the candidate.
    ShowCandidate {
        /// Which key or table of it; empty: all.
        path: String,
    },
    /// To see how the candidate differs from what is in force.
    Compare,
    /// To know what is wrong with the candidate.
    CommitCheck,
    /// The candidate to be in force.
    Commit {
        /// To return by itself unless it is confirmed within so many minutes, 1 to 60.
        confirmed: Option<u16>,
        /// What for.
        comment: String,
    },
    /// What was committed to stay.
    CommitConfirm,
    /// The candidate to be as a revision was.
    Rollback {
        /// How many commits ago; 0: what is in force.
        number: u8,
    },
    /// The candidate to be this.
    Replace {
        /// A whole cluster document.
        text: String,
    },
}

/// Which frames a capture wants: those that fit all that is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureFilter {
    /// From or to this address.
    pub host: Option<IpAddr>,
    /// From or to this TCP or UDP port.
    pub port: Option<u16>,
}

impl Request {
    /// What it takes to ask for it.
    pub const fn role(&self) -> Role {
        match self {
            Self::Show(_) | Self::Stop => Role::View,
            Self::Reboot
            | Self::PowerOff
            | Self::DrainServer { .. }
            | Self::MoveVip { .. }
            | Self::DrainNode { .. }
            | Self::Ping { .. }
            | Self::Capture { .. } => Role::Operate,
            Self::ConfigureEnter { .. }
            | Self::ConfigureExit { .. }
            | Self::Set { .. }
            | Self::Delete { .. }
            | Self::ShowCandidate { .. }
            | Self::Compare
            | Self::CommitCheck
            | Self::Commit { .. }
            | Self::CommitConfirm
            | Self::Rollback { .. }
            | Self::Replace { .. } => Role::Configure,
        }
    }
}

/// What can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The ports of this box.
    Ports,
    /// The virtual addresses.
    Vips,
    /// What is balanced.
    Services,
    /// Who it is balanced over.
    Servers,
    /// The flows by state.
    Flows,
    /// Everything that is counted.
    Counters,
    /// How the box started.
    Boot,
    /// What runs here.
    Version,
    /// The configuration in force.
    Config,
    /// What happened.
    Log,
    /// What was in force before, the newest first.
    Revisions,
    /// Who is there.
    Sessions,
    /// Who changes the configuration, and what waits to be confirmed.
    Candidate,
    /// The stations on the networks of this box.
    Neighbors,
    /// The boxes of the cluster, and which of them serves what.
    Cluster,
}

/// What an operator gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Topic::Ports`].
    Ports(Vec<status::Port>),
    /// To [`Topic::Vips`].
    Vips(Vec<status::Vip>),
    /// To [`Topic::Services`].
    Services(Vec<status::Service>),
    /// To [`Topic::Servers`].
    Servers(Vec<status::Server>),
    /// To [`Topic::Flows`].
    Flows(status::Flows),
    /// To [`Topic::Counters`].
    Counters(Vec<status::Counter>),
    /// To [`Topic::Boot`].
    Boot(Vec<status::BootStep>),
    /// To [`Topic::Version`].
    Version(status::Version),
    /// To [`Topic::Config`]: the cluster document as it was read.
    Config(String),
    /// To [`Topic::Log`], oldest first.
    Log(Vec<status::LogEntry>),
    /// To [`Topic::Revisions`].
    Revisions(Vec<status::Revision>),
    /// To [`Topic::Sessions`].
    Sessions(Vec<status::Session>),
    /// To [`Topic::Candidate`].
    Candidate(status::Candidate),
    /// To [`Topic::Neighbors`].
    Neighbors(Vec<status::Neighbor>),
    /// To [`Topic::Cluster`].
    Cluster(Box<status::Cluster>),
    /// What came of one question of [`Request::Ping`]. More replies follow.
    Echo(status::Echo),
    /// To [`Request::Ping`], at last.
    Pinged(status::Pinged),
    /// One frame for [`Request::Capture`]. More replies follow.
    Frame(status::Frame),
    /// To [`Request::Capture`], at last.
    Captured(status::Captured),
    /// To [`Request::ShowCandidate`] and [`Request::Compare`].
    Lines(Vec<String>),
    /// What is wrong; nothing was changed.
    Problems(Vec<Problem>),
    /// The candidate is in force.
    Committed {
        /// Its number.
        revision: u32,
        /// It survives a restart; else it is in force until then.
        saved: bool,
        /// When it returns to the revision before unless it is confirmed.
        confirm_by: Option<Instant>,
    },
    /// It is being done, in one sentence.
    Done(String),
    /// It cannot be done, in one sentence that says why.
    Refused(String),
}

impl Reply {
    /// Whether more replies to the same request follow.
    pub const fn goes_on(&self) -> bool {
        matches!(self, Self::Echo(_) | Self::Frame(_))
    }
}
