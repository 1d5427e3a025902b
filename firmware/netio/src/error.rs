//! Why a port could not be opened.

use std::fmt;
use std::io;

/// A port could not be opened. Nothing of it is left open.
#[derive(Debug)]
pub enum OpenError {
    /// There is no interface of this name.
    NoInterface {
        /// The name that was looked for.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// An option that no port can have.
    Illegal {
        /// The sentence to show.
        what: &'static str,
    },
    /// The kernel refused a step of setting the socket up.
    Refused {
        /// The interface.
        interface: String,
        /// Which step.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel has no memory for the receive ring.
    Memory {
        /// The interface.
        interface: String,
        /// Octets asked for, for one worker.
        octets: u64,
        /// What the kernel said.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface { interface, source } => write!(
                f,
                "there is no interface {interface}: {source}; it must exist before it is opened"
            ),
            Self::Illegal { what } => f.write_str(what),
            Self::Refused { interface, step, source } => {
                write!(f, "{interface}: {step}: {source}; this needs CAP_NET_RAW and CAP_NET_ADMIN")
            }
            Self::Memory { interface, octets, source } => write!(
                f,
                "{interface}: a receive ring of {octets} octets: {source}; ask for fewer or \
                 smaller blocks"
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoInterface { source, .. }
            | Self::Refused { source, .. }
            | Self::Memory { source, .. } => Some(source),
            Self::Illegal { .. } => None,
        }
    }
}
