//! ICMP as a router and a translator use it: errors quoted, translated and originated, and pings.
//!
//! ```text
//!  14          payload  + 8          quoted.header    quoted.payload
//!  | outer IP | ICMP    | rest of    | quoted IP      | quoted transport, perhaps
//!  |          | header  | quoted packet starts here   | only 8 octets of it
//! ```
//!
//! Reading list: RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3 (IPv4); RFC 4443 §2.4, §3 (IPv6);
//! RFC 5508 §4 (errors through a translator); RFC 1191 §4 and RFC 8201 (MTU).

mod build;
mod echo;
mod quoted;

pub use build::{ErrorKind, Reply, build_error, may_answer};
pub use echo::{echo_reply_in_place, is_echo_request};
pub use quoted::{OuterTranslation, Quoted, quoted, translate_error};

use crate::headers::Version;

/// Octets of an ICMP header.
const HEADER: usize = 8;

/// Whether a type is an error. In ICMPv6 all types below 128 are (RFC 4443 §2.1). In ICMP these:
/// unreachable, source quench, redirect, time exceeded, parameter problem (RFC 1122 §3.2.2).
pub(crate) const fn is_error(version: Version, kind: u8) -> bool {
    match version {
        Version::V4 => matches!(kind, 3 | 4 | 5 | 11 | 12),
        Version::V6 => kind < 128,
    }
}

#[cfg(test)]
mod tests;
