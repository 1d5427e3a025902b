//! What commands are given: their parameters, and the requests that come of what was typed for
//! them.

use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

use model::limits;
use model::operator::{CaptureFilter, Request};

use super::{Given, Kind, Parameter};
use crate::parse::Confusion;

pub(super) const PATH: Parameter = Parameter {
    keyword: "",
    name: "PATH",
    about: "names joined by dots, such as pool.web.server.s1.weight",
    kind: Kind::Path,
    optional: false,
};

pub(super) const ADDRESS: Parameter = Parameter {
    keyword: "",
    name: "ADDRESS",
    about: "an IPv4 or IPv6 address",
    kind: Kind::Word,
    optional: false,
};

pub(super) const COUNT: Parameter = optional("count", "how many times, 1 to 20; 4 unless given");

pub(super) const CAPTURE: &[Parameter] = &[
    Parameter {
        keyword: "",
        name: "PORT",
        about: "the name of a port of this box",
        kind: Kind::Port,
        optional: false,
    },
    optional("seconds", "for how long, 1 to 300; 10 unless given"),
    optional("packets", "how many at most, 1 to 2000; 200 unless given"),
    Parameter { name: "ADDRESS", ..optional("host", "only from or to this address") },
    optional("port", "only from or to this TCP or UDP port"),
];

/// A number behind a word, which may be left out.
const fn optional(keyword: &'static str, about: &'static str) -> Parameter {
    Parameter { keyword, name: "N", about, kind: Kind::Word, optional: true }
}

pub(super) const COMMENT: Parameter = Parameter {
    keyword: "comment",
    name: "TEXT",
    about: "why; show revisions has it",
    kind: Kind::Text,
    optional: true,
};

pub(super) const SERVER: &[Parameter] = &[
    Parameter {
        keyword: "",
        name: "POOL",
        about: "the name of a pool",
        kind: Kind::Pool,
        optional: false,
    },
    Parameter {
        keyword: "",
        name: "SERVER",
        about: "the name of a server in it",
        kind: Kind::Server,
        optional: false,
    },
];

/// A box of the cluster.
const NODE: Parameter = Parameter {
    keyword: "",
    name: "NODE",
    about: "the name of a box of the cluster",
    kind: Kind::Node,
    optional: false,
};

pub(super) const BOX: &[Parameter] = &[NODE];

pub(super) const MOVE: &[Parameter] = &[
    Parameter {
        keyword: "",
        name: "VIP",
        about: "the name of a virtual address",
        kind: Kind::Vip,
        optional: false,
    },
    Parameter { keyword: "to", about: "the name of the box that is to serve it", ..NODE },
];

pub(super) fn ping(given: &Given) -> Result<Request, Confusion> {
    let target = address(given.first())?;
    let count = number_or(given.get(1), limits::PING_COUNT, limits::PING_COUNT_DEFAULT)?;
    Ok(Request::Ping { target, count })
}

pub(super) fn capture(given: &Given) -> Result<Request, Confusion> {
    let typed = |place: usize| given.get(place).filter(|typed| !typed.is_empty());
    let seconds = number_or(typed(1), limits::CAPTURE_SECONDS, limits::CAPTURE_SECONDS_DEFAULT)?;
    let packets = number_or(typed(2), limits::CAPTURE_PACKETS, limits::CAPTURE_PACKETS_DEFAULT)?;
    let host = typed(3).map(|typed| address(Some(typed))).transpose()?;
    let port = typed(4).map(|typed| number("N", Some(typed), 1, u16::MAX)).transpose()?;
    let filter = CaptureFilter { host, port };
    Ok(Request::Capture { port: first(given), seconds, packets, filter })
}

/// A number from 1 on behind a word, or what is meant without one.
fn number_or(given: Option<&String>, most: u16, otherwise: u16) -> Result<u16, Confusion> {
    match given.filter(|given| !given.is_empty()) {
        Some(given) => number("N", Some(given), 1, most),
        None => Ok(otherwise),
    }
}

fn address(given: Option<&String>) -> Result<IpAddr, Confusion> {
    let text = given.map(String::as_str).unwrap_or_default();
    text.parse().map_err(|_| Confusion::Illegal {
        given: text.to_string(),
        legal: "an address is written as 192.0.2.1 or 2001:db8::1".to_string(),
    })
}

pub(super) fn drain(given: &Given, drain: bool) -> Request {
    let server = given.get(1).cloned().unwrap_or_default();
    Request::DrainServer { pool: first(given), server, drain }
}

/// A path; TAB leaves a dot behind a table's.
pub(super) fn path(given: &Given) -> String {
    let path = first(given);
    path.strip_suffix('.').map(String::from).unwrap_or(path)
}

pub(super) fn first(given: &Given) -> String {
    given.first().cloned().unwrap_or_default()
}

pub(super) fn number(
    name: &str,
    given: Option<&String>,
    least: u16,
    most: u16,
) -> Result<u16, Confusion> {
    let text = given.map(String::as_str).unwrap_or_default();
    let legal = |number: &u16| (least..=most).contains(number);
    text.parse().ok().filter(legal).ok_or_else(|| Confusion::Illegal {
        given: text.to_string(),
        legal: format!("{name} is a number from {least} to {most}"),
    })
}
