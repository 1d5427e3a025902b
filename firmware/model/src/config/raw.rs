//! A document as it was written: legal single values, each with its place. How they fit together
//! is not known yet; see [`super::check`].

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use base::Prefix;
use base::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Report;
use super::read::{At, Place, Table};
use super::schema::{CLUSTER_DOCUMENT, Section};
use super::{
    CheckKind, Cluster, Gateway, Mode, Newcomers, Policy, PortRanges, Profile, Scheduler,
    ServerState, ServiceProtocol,
};
use crate::limits;
use crate::operator::Role;

/// What is `None` was missing or wrong, and reported.
pub(super) struct Raw {
    pub(super) cluster: Option<Cluster>,
    pub(super) networks: Vec<Network>,
    pub(super) vips: Vec<Vip>,
    pub(super) services: Vec<Service>,
    pub(super) pools: Vec<Pool>,
    pub(super) nodes: Vec<Node>,
    pub(super) users: Vec<User>,
}

pub(super) struct User {
    pub(super) name: String,
    pub(super) password: Option<String>,
    pub(super) role: Role,
}

pub(super) struct Network {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) prefixes: Vec<At<Prefix>>,
    pub(super) gateways: Vec<At<IpAddr>>,
    pub(super) management: bool,
}

pub(super) struct Vip {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) network: Option<At<String>>,
    pub(super) address: Option<At<IpAddr>>,
    pub(super) group: Option<String>,
    pub(super) gateway: Gateway,
    pub(super) prefer: Option<At<String>>,
    pub(super) back: bool,
    pub(super) pin: Option<At<String>>,
    pub(super) spread: bool,
}

pub(super) struct Service {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) vip: Option<At<String>>,
    pub(super) protocol: Option<ServiceProtocol>,
    pub(super) ports: Option<At<PortRanges>>,
    pub(super) mode: Mode,
    pub(super) pool: Option<At<String>>,
    pub(super) idle: Option<Duration>,
}

pub(super) struct Pool {
    pub(super) name: String,
    pub(super) scheduler: Scheduler,
    pub(super) check: Option<Check>,
    pub(super) servers: Vec<Server>,
}

pub(super) struct Check {
    pub(super) place: Place,
    pub(super) kind: CheckKind,
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<At<Duration>>,
    pub(super) rise: Option<u16>,
    pub(super) fall: Option<u16>,
    pub(super) port: Option<u16>,
}

pub(super) struct Server {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) address: Option<At<IpAddr>>,
    pub(super) port: Option<u16>,
    pub(super) weight: Option<u16>,
    pub(super) state: ServerState,
}

pub(super) struct Node {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) id: Option<At<u16>>,
    pub(super) weight: Option<u16>,
    pub(super) ports: Vec<Port>,
}

pub(super) struct Port {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) network: Option<At<String>>,
    pub(super) addresses: Vec<At<Prefix>>,
    pub(super) vlan: Option<u16>,
    pub(super) interface: Option<At<String>>,
}

/// Reads a cluster document. `None`: it is too large to be looked at.
pub(super) fn read(report: &mut Report<'_>, text: &str) -> Option<Raw> {
    let root = document(report, text)?;
    let top = top(report, &root, &CLUSTER_DOCUMENT);
    let cluster = top.table(report, "cluster");
    Some(Raw {
        cluster: cluster.and_then(|table| self::cluster(report, &table)),
        networks: each(report, &top, "network", network),
        vips: each(report, &top, "vip", vip),
        services: each(report, &top, "service", service),
        pools: each(report, &top, "pool", pool),
        nodes: each(report, &top, "node", node),
        users: each(report, &top, "user", user),
    })
}

/// Reads nothing but the users; and whether the document has a table for them at all.
pub(super) fn users(report: &mut Report<'_>, text: &str) -> (bool, Vec<User>) {
    let Some(root) = document(report, text) else { return (false, Vec::new()) };
    let top = top(report, &root, &CLUSTER_DOCUMENT);
    (root.contains_key("user"), each(report, &top, "user", user))
}

/// The table of a whole document; syntax errors are reported and skipped.
pub(super) fn document<'t>(report: &mut Report<'_>, text: &'t str) -> Option<DeTable<'t>> {
    if text.len() > limits::DOCUMENT_OCTETS {
        let what = format!("{} octets", text.len());
        let legal = format!("expected at most {}", limits::DOCUMENT_OCTETS);
        report.wrong(0, "document", what, legal);
        return None;
    }
    // The first pass keeps one error at most, so that garbage cannot fill the memory with them.
    let error = match DeTable::parse(text) {
        Ok(table) => {
            let table = table.into_inner();
            table.values().for_each(|value| numbers(report, text, value));
            return Some(table);
        }
        Err(error) => error,
    };
    let first = error.span().map_or(0, |span| span.start);
    let window = first.saturating_add(limits::SYNTAX_WINDOW_OCTETS);
    let end = match text.as_bytes().get(window..) {
        // Whole lines only, or the cut itself would be an error.
        Some(rest) => rest.iter().position(|&b| b == b'\n').map_or(text.len(), |n| window + n + 1),
        None => text.len(),
    };
    let (table, errors) = DeTable::parse_recoverable(text.get(..end).unwrap_or(text));
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        let (what, legal) = explained(error.message());
        report.syntax(at, what, legal);
    }
    Some(table.into_inner())
}

/// Reports numbers that are none: behind a `_` the parser passes over what TOML allows nowhere.
/// What is left without the `_` has to be the same number to it.
fn numbers(report: &mut Report<'_>, text: &str, value: &Spanned<DeValue<'_>>) {
    let number = match value.get_ref() {
        DeValue::Table(table) => {
            return table.values().for_each(|value| numbers(report, text, value));
        }
        DeValue::Array(list) => return list.iter().for_each(|value| numbers(report, text, value)),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => return,
    };
    let span = value.span();
    if text.get(span.clone()) == Some(number.as_str()) {
        return;
    }
    let alone = format!("n={number}");
    let again = DeTable::parse(&alone).ok();
    let again = again.as_ref().and_then(|table| table.get_ref().get("n"));
    let same = again.is_some_and(|again| match again.get_ref() {
        DeValue::Integer(again) => again.to_string() == number,
        DeValue::Float(again) => again.to_string() == number,
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => false,
    });
    if !same {
        report.syntax(span.start, "invalid number".into(), "expected digits".into());
    }
}

/// A message of the TOML parser as what is wrong and what would be legal.
fn explained(message: &str) -> (String, String) {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, "TOML"));
    let scalar = ["invalid float", "invalid integer", "invalid boolean", "invalid datetime"];
    let legal = if what == "duplicate key" {
        "expected every key and table once".into()
    } else if scalar.iter().any(|scalar| what.starts_with(scalar)) {
        "expected a number, or text in double quotes".into()
    } else {
        format!("expected {expected}")
    };
    (what.into(), legal)
}

/// The table at the top of a document.
pub(super) fn top<'v, 't>(
    report: &mut Report<'_>,
    root: &'v DeTable<'t>,
    section: &'static Section,
) -> Table<'v, 't> {
    Table::open(report, root, Place { at: 0, path: String::new() }, section)
}

pub(super) fn each<T>(
    report: &mut Report<'_>,
    parent: &Table<'_, '_>,
    key: &'static str,
    read: impl Fn(&mut Report<'_>, String, Table<'_, '_>) -> T,
) -> Vec<T> {
    let tables = parent.tables(report, key);
    tables.into_iter().map(|(name, table)| read(report, name, table)).collect()
}

fn cluster(report: &mut Report<'_>, table: &Table<'_, '_>) -> Option<Cluster> {
    let name = table.name(report, "name");
    let policy = word(report, table, "policy", Policy::from_word, Policy::Witness);
    let profile = word(report, table, "profile", Profile::from_word, Profile::Auto);
    let newcomers = word(report, table, "newcomers", Newcomers::from_word, Newcomers::Welcome);
    Some(Cluster { name: name?.value, policy, profile, newcomers })
}

fn network(report: &mut Report<'_>, name: String, table: Table<'_, '_>) -> Network {
    let prefixes = table.networks(report, "prefixes");
    let gateways = table.addresses(report, "gateways");
    let management = table.boolean(report, "management").unwrap_or(false);
    Network { place: table.place, name, prefixes, gateways, management }
}

fn vip(report: &mut Report<'_>, name: String, table: Table<'_, '_>) -> Vip {
    let network = table.name(report, "network");
    let address = table.address(report, "address");
    let group = table.name(report, "group").map(|group| group.value);
    let gateway = word(report, &table, "gateway", Gateway::from_word, Gateway::Off);
    let prefer = table.name(report, "prefer");
    let back = table.boolean(report, "return").unwrap_or(false);
    let pin = table.name(report, "pin");
    let spread = table.boolean(report, "spread").unwrap_or(false);
    Vip { place: table.place, name, network, address, group, gateway, prefer, back, pin, spread }
}

fn service(report: &mut Report<'_>, name: String, table: Table<'_, '_>) -> Service {
    let vip = table.name(report, "vip");
    let protocol = table.word(report, "protocol");
    let protocol = protocol.and_then(|word| ServiceProtocol::from_word(word.value));
    let ports = table.ports(report, "ports");
    let mode = word(report, &table, "mode", Mode::from_word, Mode::Nat);
    let pool = table.name(report, "pool");
    let idle = table.time(report, "idle").map(|idle| idle.value);
    Service { place: table.place, name, vip, protocol, ports, mode, pool, idle }
}

fn pool(report: &mut Report<'_>, name: String, table: Table<'_, '_>) -> Pool {
    let scheduler = word(report, &table, "scheduler", Scheduler::from_word, Scheduler::Maglev);
    let check = table.table(report, "check").map(|table| check(report, table));
    let servers = each(report, &table, "server", server);
    Pool { name, scheduler, check, servers }
}

fn check(report: &mut Report<'_>, table: Table<'_, '_>) -> Check {
    let kind = word(report, &table, "kind", CheckKind::from_word, CheckKind::Tcp);
    let interval = table.time(report, "interval").map(|time| time.value);
    let timeout = table.time(report, "timeout");
    let rise = table.integer(report, "rise").map(|count| count.value);
    let fall = table.integer(report, "fall").map(|count| count.value);
    let port = table.integer(report, "port").map(|port| port.value);
    Check { place: table.place, kind, interval, timeout, rise, fall, port }
}

fn server(report: &mut Report<'_>, name: String, table: Table<'_, '_>) -> Server {
    let address = table.address(report, "address");
    let port = table.integer(report, "port").map(|port| port.value);
    let weight = table.integer(report, "weight").map(|weight| weight.value);
    let state = word(report, &table, "state", ServerState::from_word, ServerState::Up);
    Server { place: table.place, name, address, port, weight, state }
}

fn node(report: &mut Report<'_>, name: String, table: Table<'_, '_>) -> Node {
    let id = table.integer(report, "id");
    let weight = table.integer(report, "weight").map(|weight| weight.value);
    let ports = each(report, &table, "port", port);
    Node { place: table.place, name, id, weight, ports }
}

fn user(report: &mut Report<'_>, name: String, table: Table<'_, '_>) -> User {
    let password = table.password(report, "password");
    let role = word(report, &table, "role", Role::from_word, Role::View);
    User { name, password, role }
}

pub(super) fn port(report: &mut Report<'_>, name: String, table: Table<'_, '_>) -> Port {
    let network = table.name(report, "network");
    let addresses = table.hosts(report, "addresses");
    let vlan = table.integer(report, "vlan").map(|vlan| vlan.value);
    let interface = table.interface(report, "interface");
    Port { place: table.place, name, network, addresses, vlan, interface }
}

/// One of the words of the schema, or what its absence means.
fn word<T>(
    report: &mut Report<'_>,
    table: &Table<'_, '_>,
    key: &'static str,
    from_word: impl Fn(&str) -> Option<T>,
    default: T,
) -> T {
    table.word(report, key).and_then(|word| from_word(word.value)).unwrap_or(default)
}
