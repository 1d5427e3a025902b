//! The one set of requests that an operator can make, and their answers. Consoles and programs
//! speak these; whoever carries them needs no words of its own.

use alloc::string::String;
use alloc::vec::Vec;

use crate::status;

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To see something.
    Show(Topic),
    /// The box to start again.
    Reboot,
    /// The box to go off.
    PowerOff,
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
    /// To [`Topic::Log`]: lines as [`crate::event::Event::render`] makes them, oldest first.
    Log(Vec<String>),
    /// It is being done, in one sentence.
    Done(String),
    /// It cannot be done, in one sentence that says why.
    Refused(String),
}
