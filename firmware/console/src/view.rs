//! What a reply is to someone who looks at it: a table, a list of names and values, or lines; and
//! what filters make of it. How it is written down is [`crate::render`]'s.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use base::time::{Duration, Instant};
use model::limits;
use model::operator::Reply;
use model::status::{self, EchoOutcome};

use crate::parse::Pass;

mod cluster;

/// What is shown.
#[derive(Debug)]
pub(crate) enum View {
    /// Rows, with the columns they have.
    Table { columns: &'static [Column], rows: Vec<Vec<Cell>> },
    /// Names and values.
    Record(Vec<(String, Cell)>),
    /// Names and values, and tables under names of their own. Where there is a sentence it is all
    /// that people are shown.
    Parts { sentence: Option<String>, own: Vec<(String, Cell)>, parts: Vec<(&'static str, View)> },
    /// Lines of text.
    Lines(Vec<String>),
    /// What is wrong, a sentence each.
    Problems(Vec<String>),
    /// Lines that tell what goes on, each with the same in names and values for programs.
    Events(Vec<(String, Vec<(&'static str, Cell)>)>),
    /// What came of it in the end, likewise. It is no row, and filters let it pass.
    Summary(String, Vec<(&'static str, Cell)>),
    /// A sentence, under a name for programs.
    Sentence(&'static str, String),
    /// How many rows there were.
    Count(usize),
}

impl View {
    /// Whether nothing is left to be shown.
    pub(crate) fn is_empty(&self) -> bool {
        rows(self) == 0
    }
}

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its name, for people and programs.
    pub(crate) name: &'static str,
    /// It is left out on screens, which are narrow.
    pub(crate) detail: bool,
}

const fn shown(name: &'static str) -> Column {
    Column { name, detail: false }
}

const fn detail(name: &'static str) -> Column {
    Column { name, detail: true }
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(String),
    Number(u64),
    Flag(bool),
    Nothing,
    List(Vec<String>),
    /// Seconds since the kernel started.
    Time(Instant),
}

impl Cell {
    fn text(value: impl Display) -> Self {
        Self::Text(value.to_string())
    }

    fn optional(number: Option<u16>) -> Self {
        number.map_or(Self::Nothing, |number| Self::Number(number.into()))
    }
}

/// What a reply looks like after its filters, and whether it is to be JSON.
pub(crate) fn view(reply: Reply, filters: &[Pass]) -> (View, bool) {
    let mut view = plain(reply);
    for filter in filters {
        view = match filter {
            Pass::Json | Pass::NoPage => view,
            Pass::Match(text) => keep(view, &text.to_lowercase(), true),
            Pass::Except(text) => keep(view, &text.to_lowercase(), false),
            Pass::Count => View::Count(rows(&view)),
        };
    }
    (view, filters.contains(&Pass::Json))
}

fn rows(view: &View) -> usize {
    match view {
        View::Table { rows, .. } => rows.len(),
        View::Record(fields) => fields.len(),
        View::Parts { sentence: Some(_), .. } => 1,
        View::Parts { own, parts, .. } => {
            own.len() + parts.iter().map(|(_, part)| rows(part)).sum::<usize>()
        }
        View::Lines(lines) | View::Problems(lines) => lines.len(),
        View::Events(events) => events.len(),
        View::Summary(..) => 0,
        View::Sentence(..) => 1,
        View::Count(count) => *count,
    }
}

/// Keeps the rows that contain `text`, which is in small letters; or those that do not.
fn keep(view: View, text: &str, those_with: bool) -> View {
    let contains = |value: &str| value.to_lowercase().contains(text);
    match view {
        View::Table { columns, mut rows } => {
            // Only what is shown: a row kept for what cannot be seen would be a riddle.
            let seen =
                |(column, cell): (&Column, &Cell)| !column.detail && contains(&cell.to_string());
            rows.retain(|row| columns.iter().zip(row).any(seen) == those_with);
            View::Table { columns, rows }
        }
        View::Record(mut fields) => {
            fields.retain(|(name, cell)| {
                (contains(name) || contains(&cell.to_string())) == those_with
            });
            View::Record(fields)
        }
        View::Parts { sentence: None, mut own, parts } => {
            own.retain(|(name, cell)| {
                (contains(name) || contains(&cell.to_string())) == those_with
            });
            let kept = |(name, part)| (name, keep(part, text, those_with));
            View::Parts { sentence: None, own, parts: parts.into_iter().map(kept).collect() }
        }
        View::Lines(mut lines) => {
            lines.retain(|line| contains(line) == those_with);
            View::Lines(lines)
        }
        View::Problems(mut problems) => {
            problems.retain(|problem| contains(problem) == those_with);
            View::Problems(problems)
        }
        View::Events(mut events) => {
            events.retain(|(line, _)| contains(line) == those_with);
            View::Events(events)
        }
        view @ (View::Parts { sentence: Some(_), .. }
        | View::Summary(..)
        | View::Sentence(..)
        | View::Count(_)) => view,
    }
}

fn plain(reply: Reply) -> View {
    match reply {
        Reply::Ports(ports) => table(PORTS, ports, port),
        Reply::Vips(vips) => table(VIPS, vips, vip),
        Reply::Services(services) => table(SERVICES, services, service),
        Reply::Servers(servers) => table(SERVERS, servers, server),
        Reply::Boot(steps) => table(BOOT_STEPS, steps, boot_step),
        Reply::Flows(flows) => {
            let total = ("flows".into(), Cell::Number(flows.total()));
            let capacity = ("capacity".into(), Cell::Number(flows.capacity));
            let states = flows.states.into_iter().map(counter);
            View::Record([total, capacity].into_iter().chain(states).collect())
        }
        Reply::Counters(counters) => View::Record(counters.into_iter().map(counter).collect()),
        Reply::Version(version) => View::Record(self::version(version)),
        Reply::Config(text) => View::Lines(text.lines().map(ToString::to_string).collect()),
        Reply::Lines(lines) => View::Lines(lines),
        Reply::Log(entries) => View::Lines(entries.into_iter().map(|entry| entry.line).collect()),
        Reply::Candidate(candidate) => View::Record(self::candidate(candidate)),
        Reply::Neighbors(neighbors) => table(NEIGHBORS, neighbors, neighbor),
        Reply::Cluster(cluster) => self::cluster::cluster(*cluster),
        Reply::Revisions(revisions) => {
            table(REVISIONS, revisions.into_iter().enumerate().collect(), revision)
        }
        Reply::Sessions(sessions) => table(SESSIONS, sessions, session),
        Reply::Problems(problems) => {
            View::Problems(problems.iter().map(ToString::to_string).collect())
        }
        Reply::Committed { revision, saved, confirm_by } => {
            View::Sentence("committed", committed(revision, saved, confirm_by))
        }
        Reply::Echo(echo) => View::Events(alloc::vec![(echo.to_string(), self::echo(echo))]),
        Reply::Pinged(pinged) => View::Summary(pinged.to_string(), self::pinged(pinged)),
        Reply::Frame(frame) => View::Events(alloc::vec![(frame.to_string(), self::frame(frame))]),
        Reply::Captured(captured) => View::Summary(captured.to_string(), self::captured(captured)),
        Reply::Done(sentence) => View::Sentence("done", sentence),
        Reply::Refused(sentence) => View::Sentence("refused", sentence),
    }
}

fn table<T>(columns: &'static [Column], items: Vec<T>, row: impl Fn(T) -> Vec<Cell>) -> View {
    let rows = items.into_iter().take(limits::REPLY_ROWS).map(row).collect();
    View::Table { columns, rows }
}

fn counter(counter: status::Counter) -> (String, Cell) {
    (counter.name, Cell::Number(counter.value))
}

const PORTS: &[Column] = &[
    shown("port"),
    shown("network"),
    shown("link"),
    detail("interface"),
    detail("vlan"),
    shown("mac"),
    shown("mtu"),
    shown("received"),
    shown("sent"),
    shown("dropped"),
    detail("unsent"),
    detail("received_octets"),
    detail("sent_octets"),
    shown("addresses"),
];

fn port(port: status::Port) -> Vec<Cell> {
    let addresses = port.addresses.iter().map(ToString::to_string).collect();
    alloc::vec![
        Cell::Text(port.name),
        Cell::Text(port.network),
        Cell::text(port.link),
        Cell::Text(port.interface),
        Cell::optional(port.vlan),
        port.mac.map_or(Cell::Nothing, Cell::text),
        Cell::Number(port.mtu.into()),
        Cell::Number(port.received.frames),
        Cell::Number(port.sent.frames),
        Cell::Number(port.dropped),
        Cell::Number(port.unsent),
        Cell::Number(port.received.octets),
        Cell::Number(port.sent.octets),
        Cell::List(addresses),
    ]
}

const VIPS: &[Column] = &[
    shown("vip"),
    shown("address"),
    shown("network"),
    shown("served"),
    shown("gateway"),
    shown("services"),
    shown("flows"),
];

fn vip(vip: status::Vip) -> Vec<Cell> {
    alloc::vec![
        Cell::Text(vip.name),
        Cell::text(vip.address),
        Cell::Text(vip.network),
        Cell::Flag(vip.served),
        Cell::text(vip.gateway),
        Cell::Number(vip.services.into()),
        Cell::Number(vip.flows),
    ]
}

const SERVICES: &[Column] = &[
    shown("service"),
    shown("vip"),
    shown("address"),
    shown("protocol"),
    shown("ports"),
    detail("mode"),
    detail("pool"),
    shown("usable"),
    shown("servers"),
    shown("flows"),
    detail("total"),
];

fn service(service: status::Service) -> Vec<Cell> {
    alloc::vec![
        Cell::Text(service.name),
        Cell::Text(service.vip),
        Cell::text(service.address),
        Cell::text(service.protocol),
        Cell::text(service.ports),
        Cell::text(service.mode),
        Cell::Text(service.pool),
        Cell::Number(service.usable.into()),
        Cell::Number(service.servers.into()),
        Cell::Number(service.flows),
        Cell::Number(service.total),
    ]
}

const SERVERS: &[Column] = &[
    shown("pool"),
    shown("server"),
    shown("address"),
    shown("port"),
    detail("weight"),
    shown("state"),
    shown("health"),
    shown("flows"),
    detail("total"),
    detail("since"),
    shown("cause"),
];

fn server(server: status::Server) -> Vec<Cell> {
    alloc::vec![
        Cell::Text(server.pool),
        Cell::Text(server.name),
        Cell::text(server.address),
        Cell::optional(server.port),
        Cell::Number(server.weight.into()),
        Cell::text(server.state),
        Cell::text(server.health),
        Cell::Number(server.flows),
        Cell::Number(server.total),
        Cell::Time(server.since),
        Cell::text(server.cause),
    ]
}

const BOOT_STEPS: &[Column] = &[shown("at"), shown("step"), shown("result")];

fn boot_step(step: status::BootStep) -> Vec<Cell> {
    alloc::vec![Cell::Time(step.at), Cell::Text(step.name), Cell::Text(step.detail)]
}

const NEIGHBORS: &[Column] =
    &[shown("address"), shown("mac"), shown("state"), shown("port"), shown("network")];

fn neighbor(neighbor: status::Neighbor) -> Vec<Cell> {
    alloc::vec![
        Cell::text(neighbor.address),
        neighbor.mac.map_or(Cell::Nothing, Cell::text),
        Cell::text(neighbor.state),
        Cell::Text(neighbor.port),
        Cell::Text(neighbor.network),
    ]
}

const REVISIONS: &[Column] = &[
    shown("ago"),
    shown("revision"),
    shown("at"),
    shown("user"),
    shown("face"),
    shown("changes"),
    shown("confirmed"),
    shown("comment"),
];

fn revision((commits_ago, revision): (usize, status::Revision)) -> Vec<Cell> {
    alloc::vec![
        Cell::Number(commits_ago as u64),
        Cell::Number(revision.number.into()),
        Cell::Time(revision.at),
        if revision.user.is_empty() { Cell::Nothing } else { Cell::Text(revision.user) },
        revision.face.map_or(Cell::Nothing, Cell::text),
        Cell::Number(revision.changes.into()),
        Cell::Flag(revision.confirmed),
        if revision.comment.is_empty() { Cell::Nothing } else { Cell::Text(revision.comment) },
    ]
}

const SESSIONS: &[Column] = &[
    shown("session"),
    shown("user"),
    shown("role"),
    shown("face"),
    shown("since"),
    shown("configures"),
];

fn session(session: status::Session) -> Vec<Cell> {
    alloc::vec![
        Cell::Number(session.number),
        Cell::Text(session.user),
        Cell::text(session.role),
        Cell::text(session.face),
        Cell::Time(session.since),
        Cell::Flag(session.configures),
    ]
}

fn candidate(candidate: status::Candidate) -> Vec<(String, Cell)> {
    let who =
        |user: &str, face: model::operator::Face| Cell::Text(alloc::format!("{user} ({face})"));
    let (holder, unconfirmed) = (candidate.holder.as_ref(), candidate.unconfirmed.as_ref());
    alloc::vec![
        ("changed_by".into(), holder.map_or(Cell::Nothing, |it| who(&it.user, it.face))),
        ("since".into(), holder.map_or(Cell::Nothing, |it| Cell::Time(it.since))),
        (
            "unconfirmed".into(),
            unconfirmed.map_or(Cell::Nothing, |it| Cell::Number(it.revision.into())),
        ),
        ("committed_by".into(), unconfirmed.map_or(Cell::Nothing, |it| who(&it.user, it.face))),
        ("returns_at".into(), unconfirmed.map_or(Cell::Nothing, |it| Cell::Time(it.confirm_by))),
    ]
}

fn echo(echo: status::Echo) -> Vec<(&'static str, Cell)> {
    let (from, after) = match echo.outcome {
        EchoOutcome::Answered(after) => (Cell::text(echo.target), Some(after)),
        EchoOutcome::Unreachable(from) | EchoOutcome::Expired(from) => (Cell::text(from), None),
        EchoOutcome::Silent => (Cell::Nothing, None),
    };
    alloc::vec![
        ("sequence", Cell::Number(echo.sequence.into())),
        ("target", Cell::text(echo.target)),
        ("source", Cell::text(echo.source)),
        ("outcome", Cell::text(echo.outcome.word())),
        ("from", from),
        ("microseconds", microseconds(after)),
    ]
}

fn pinged(pinged: status::Pinged) -> Vec<(&'static str, Cell)> {
    let round_trips = pinged.round_trips.map_or([None; 3], |times| times.map(Some));
    let [shortest, mean, longest] = round_trips.map(microseconds);
    alloc::vec![
        ("target", Cell::text(pinged.target)),
        ("sent", Cell::Number(pinged.sent.into())),
        ("received", Cell::Number(pinged.received.into())),
        ("shortest_microseconds", shortest),
        ("mean_microseconds", mean),
        ("longest_microseconds", longest),
    ]
}

fn frame(frame: status::Frame) -> Vec<(&'static str, Cell)> {
    alloc::vec![
        ("at", Cell::Time(frame.at)),
        ("direction", Cell::text(frame.direction)),
        ("source", Cell::Text(frame.source)),
        ("destination", Cell::Text(frame.destination)),
        ("protocol", Cell::Text(frame.protocol)),
        ("length", Cell::Number(frame.length.into())),
        ("detail", Cell::Text(frame.detail)),
    ]
}

fn captured(captured: status::Captured) -> Vec<(&'static str, Cell)> {
    alloc::vec![
        ("port", Cell::Text(captured.port)),
        ("frames", Cell::Number(captured.frames.into())),
        ("lost", Cell::Number(captured.lost)),
        ("microseconds", microseconds(Some(captured.time))),
        ("end", Cell::text(captured.end.word())),
    ]
}

fn microseconds(time: Option<Duration>) -> Cell {
    let number = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    time.map_or(Cell::Nothing, |time| Cell::Number(number(time)))
}

fn committed(revision: u32, saved: bool, confirm_by: Option<Instant>) -> String {
    let mut text = alloc::format!("revision {revision} is in force");
    if !saved {
        text.push_str(", running only, not saved");
    }
    if let Some(at) = confirm_by {
        let seconds = at.as_millis() / 1_000;
        text.push_str(&alloc::format!(
            "; unless commit confirm comes before {seconds} s of uptime, the box returns"
        ));
    }
    text
}

fn version(version: status::Version) -> Vec<(String, Cell)> {
    let text = |text: String| if text.is_empty() { Cell::Nothing } else { Cell::Text(text) };
    let uptime = Instant::ZERO + version.uptime;
    alloc::vec![
        ("version".into(), text(version.version)),
        ("kernel".into(), text(version.kernel)),
        ("board".into(), text(version.board)),
        ("cluster".into(), text(version.cluster)),
        ("node".into(), text(version.node)),
        ("uptime".into(), Cell::Time(uptime)),
    ]
}
