//! What happened. Each kind of event has a name that does not change and evidence with types; the
//! log, the timeline and syslog are renderings of it.

mod sentence;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use base::Mac;
use base::time::Instant;

use crate::limits;
use crate::operator::Face;
use crate::status::{Cause, LogEntry, Move};

/// How much an event wants attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Things go their way.
    Information,
    /// Something is missing or strange; the box serves.
    Warning,
    /// Something does not work.
    Error,
}

impl Severity {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that happened. [`fmt::Display`] tells it in one sentence without time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A step of starting up is done.
    BootStep {
        /// What was done.
        step: String,
        /// What came of it.
        detail: String,
    },
    /// A document was read and is in force.
    ConfigLoaded {
        /// VIPs in it.
        vips: usize,
        /// Services in it.
        services: usize,
        /// Servers in it.
        servers: usize,
    },
    /// A document could not be used.
    ConfigFailed {
        /// Which: a file's name.
        document: String,
        /// How many problems it has.
        problems: usize,
        /// The first of them.
        first: String,
    },
    /// Another configuration is in force.
    ConfigCommitted {
        /// Its number.
        revision: u32,
        /// By whom.
        user: String,
        /// Keys that differ from the one before.
        changes: usize,
        /// It returns unless it is confirmed.
        unconfirmed: bool,
    },
    /// Somebody left a candidate with changes without giving it up.
    CandidateLeft {
        /// Whose it is.
        user: String,
        /// Why it is nobody's to change now.
        reason: String,
    },
    /// A configuration that waited to be confirmed stays.
    ConfigConfirmed {
        /// Its number.
        revision: u32,
    },
    /// A configuration was not confirmed, and the one before is in force again.
    ConfigReturned {
        /// The number of what is in force.
        revision: u32,
        /// The number of what was not confirmed.
        left: u32,
        /// Why.
        reason: String,
    },
    /// This box has the document that the others have in force; what it had was older.
    ConfigPulled {
        /// The number of what is in force.
        revision: u32,
        /// Who committed it, and where.
        by: String,
    },
    /// The document of the others took the place of one that was changed apart from it.
    ConfigOverruled {
        /// The number of what is in force.
        revision: u32,
        /// Who committed it, and where.
        by: String,
        /// The number of what was in force here.
        left: u32,
        /// How many revisions ago that stands in the history now.
        rollback: u32,
    },
    /// This box cannot carry out a document of the cluster.
    ConfigUnfit {
        /// The box that has it.
        node: String,
        /// Why.
        reason: String,
    },
    /// A document that is about to be in force does not name this box: it hands over what it
    /// serves and leaves; or that document did not come into force.
    NodeRemoved {
        /// It leaves.
        leaves: bool,
    },
    /// A box of a running cluster does not let this one in for now.
    NotLetIn {
        /// The address that was asked.
        peer: IpAddr,
        /// Why.
        reason: String,
    },
    /// Boxes that are to let this one in do not answer.
    PeersSilent {
        /// Their addresses.
        peers: Vec<IpAddr>,
    },
    /// A box of a running cluster let this one in.
    LetIn {
        /// The address that was asked.
        peer: IpAddr,
    },
    /// The web page is at other addresses, and has another certificate of the same key.
    CertificateRenewed {
        /// Where the page is: URLs.
        pages: String,
        /// SHA-256 of the certificate.
        certificate: String,
        /// SHA-256 of the key.
        key: String,
    },
    /// A port has a carrier again.
    LinkUp {
        /// Which.
        port: String,
    },
    /// A port lost its carrier.
    LinkDown {
        /// Which.
        port: String,
    },
    /// A port cannot be used any more: its interface is gone or refuses.
    PortLost {
        /// Which.
        port: String,
        /// What the kernel said.
        reason: String,
    },
    /// A port can be used.
    PortOpened {
        /// Which.
        port: String,
        /// Its hardware address.
        mac: Mac,
        /// Its largest datagram in octets.
        mtu: u32,
    },
    /// The boxes of the cluster have agreed on who is a member.
    ViewAgreed {
        /// The agreement's number.
        view: String,
        /// The members' names, in the order of the ring.
        members: Vec<String>,
    },
    /// This box has proposed such an agreement.
    ViewCalled {
        /// Its number.
        view: String,
        /// The members' names.
        members: Vec<String>,
        /// It holds the token; otherwise the token is missed.
        held: bool,
    },
    /// This box is a member of nothing any more.
    ViewLeft,
    /// Every box that works suspects these.
    NodesCondemned {
        /// Their names.
        nodes: Vec<String>,
    },
    /// Virtual addresses have another owner, here or elsewhere.
    VipsMoved(Move),
    /// An operator asked this box for something that concerns the cluster, and it is being done.
    ClusterAsked {
        /// Who.
        user: String,
        /// Where.
        face: Face,
        /// What was answered.
        what: String,
    },
    /// This box answers for a VIP from now on.
    VipServed {
        /// Which.
        vip: String,
        /// Its address.
        address: IpAddr,
    },
    /// This box does not answer for a VIP any more.
    VipReleased {
        /// Which.
        vip: String,
        /// Its address.
        address: IpAddr,
    },
    /// Somebody else uses one of our addresses (RFC 5227 §2.4).
    AddressConflict {
        /// Which.
        address: IpAddr,
        /// On which network.
        network: String,
        /// Who.
        mac: Mac,
    },
    /// A server is given flows again.
    ServerUp {
        /// Its pool.
        pool: String,
        /// Its name in the pool.
        server: String,
        /// Why.
        cause: Cause,
    },
    /// A server is given no more flows.
    ServerDown {
        /// Its pool.
        pool: String,
        /// Its name in the pool.
        server: String,
        /// Why.
        cause: Cause,
    },
    /// A pool has no server left: its services answer nobody.
    PoolEmpty {
        /// Which.
        pool: String,
    },
    /// Part of the program failed and was started again.
    TaskRestarted {
        /// Which.
        task: String,
        /// Its last words.
        reason: String,
    },
    /// Part of the program failed without which the box cannot serve.
    TaskDied {
        /// Which.
        task: String,
        /// Its last words.
        reason: String,
    },
    /// An operator asked for a restart of the box.
    Rebooting,
    /// An operator asked for the box to go off.
    PoweringOff,
}

impl Event {
    /// The name of its kind, which does not change.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BootStep { .. } => "boot-step",
            Self::ConfigLoaded { .. } => "config-loaded",
            Self::ConfigFailed { .. } => "config-failed",
            Self::ConfigCommitted { .. } => "config-committed",
            Self::CandidateLeft { .. } => "candidate-left",
            Self::ConfigConfirmed { .. } => "config-confirmed",
            Self::ConfigReturned { .. } => "config-returned",
            Self::ConfigPulled { .. } => "config-pulled",
            Self::ConfigOverruled { .. } => "config-overruled",
            Self::ConfigUnfit { .. } => "config-unfit",
            Self::NodeRemoved { .. } => "node-removed",
            Self::NotLetIn { .. } => "not-let-in",
            Self::PeersSilent { .. } => "peers-silent",
            Self::LetIn { .. } => "let-in",
            Self::CertificateRenewed { .. } => "certificate-renewed",
            Self::LinkUp { .. } => "link-up",
            Self::LinkDown { .. } => "link-down",
            Self::PortLost { .. } => "port-lost",
            Self::PortOpened { .. } => "port-opened",
            Self::VipServed { .. } => "vip-served",
            Self::VipReleased { .. } => "vip-released",
            Self::AddressConflict { .. } => "address-conflict",
            Self::ViewAgreed { .. } => "view-agreed",
            Self::ViewCalled { .. } => "view-called",
            Self::ViewLeft => "view-left",
            Self::NodesCondemned { .. } => "nodes-condemned",
            Self::VipsMoved(_) => "vips-moved",
            Self::ClusterAsked { .. } => "cluster-asked",
            Self::ServerUp { .. } => "server-up",
            Self::ServerDown { .. } => "server-down",
            Self::PoolEmpty { .. } => "pool-empty",
            Self::TaskRestarted { .. } => "task-restarted",
            Self::TaskDied { .. } => "task-died",
            Self::Rebooting => "rebooting",
            Self::PoweringOff => "powering-off",
        }
    }

    /// How much it wants attention.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::ConfigFailed { .. }
            | Self::PortLost { .. }
            | Self::AddressConflict { .. }
            | Self::PoolEmpty { .. }
            | Self::TaskDied { .. }
            | Self::TaskRestarted { .. } => Severity::Error,
            Self::LinkDown { .. }
            | Self::ServerDown { .. }
            | Self::ConfigReturned { .. }
            | Self::ConfigOverruled { .. }
            | Self::ConfigUnfit { .. }
            | Self::NodeRemoved { .. }
            | Self::NotLetIn { .. }
            | Self::PeersSilent { .. }
            | Self::ViewLeft
            | Self::NodesCondemned { .. } => Severity::Warning,
            Self::BootStep { .. }
            | Self::ConfigLoaded { .. }
            | Self::ConfigCommitted { .. }
            | Self::CandidateLeft { .. }
            | Self::ConfigConfirmed { .. }
            | Self::ConfigPulled { .. }
            | Self::LetIn { .. }
            | Self::CertificateRenewed { .. }
            | Self::LinkUp { .. }
            | Self::PortOpened { .. }
            | Self::VipServed { .. }
            | Self::VipReleased { .. }
            | Self::VipsMoved(_)
            | Self::ClusterAsked { .. }
            | Self::ViewAgreed { .. }
            | Self::ViewCalled { .. }
            | Self::ServerUp { .. }
            | Self::Rebooting
            | Self::PoweringOff => Severity::Information,
        }
    }

    /// The entry of the log for it.
    pub fn entry(&self, at: Instant) -> LogEntry {
        let (name, severity) = (self.name(), self.severity());
        LogEntry { at, name, severity, line: self.render(at) }
    }

    /// One line of the log, without its end: `[    2.134] portico: server web/s1 down: refused`.
    /// The time is seconds since the start of the kernel, as the kernel's own log has it. At most
    /// [`limits::LOG_LINE_OCTETS`] octets and free of control characters, whatever the evidence.
    pub fn render(&self, at: Instant) -> String {
        let milliseconds = at.as_millis();
        let (seconds, rest) = (milliseconds / 1_000, milliseconds % 1_000);
        one_line(&format!("[{seconds:5}.{rest:03}] portico: {self}"))
    }
}

/// `text` without control characters and not too long.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(limits::LOG_LINE_OCTETS));
    for character in text.chars() {
        let character = if character.is_control() { ' ' } else { character };
        if line.len() + character.len_utf8() > limits::LOG_LINE_OCTETS {
            break;
        }
        line.push(character);
    }
    line.trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use base::time::Duration;

    /// One of each kind with its line, in the order of the enum.
    fn every_kind() -> Vec<(Event, &'static str, &'static str)> {
        let text = String::from;
        let address: IpAddr = "192.0.2.80".parse().unwrap();
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let answered = Cause::Answered(Duration::from_micros(400));
        alloc::vec![
            (
                Event::BootStep { step: text("modules"), detail: text("14 loaded") },
                "boot-step",
                "boot: modules: 14 loaded",
            ),
            (
                Event::ConfigLoaded { vips: 2, services: 1, servers: 3 },
                "config-loaded",
                "config: 2 VIPs, 1 service, 3 servers",
            ),
            (
                Event::ConfigFailed {
                    document: text("cluster.toml"),
                    problems: 3,
                    first: text("1:1 cluster: missing"),
                },
                "config-failed",
                "config: cluster.toml is refused, 3 problems, first: 1:1 cluster: missing",
            ),
            (
                Event::ConfigCommitted {
                    revision: 4,
                    user: text("ann"),
                    changes: 2,
                    unconfirmed: true,
                },
                "config-committed",
                "config: ann committed revision 4, 2 changes, to be confirmed",
            ),
            (
                Event::CandidateLeft { user: text("ann"), reason: text("its session ended") },
                "candidate-left",
                "config: the candidate of ann is put aside, its session ended; configure gives it \
                 back to ann",
            ),
            (
                Event::ConfigConfirmed { revision: 4 },
                "config-confirmed",
                "config: revision 4 is confirmed",
            ),
            (
                Event::ConfigReturned { revision: 5, left: 4, reason: text("late") },
                "config-returned",
                "config: returned from revision 4 by revision 5: late",
            ),
            (
                Event::ConfigPulled { revision: 5, by: text("ann at n1") },
                "config-pulled",
                "config: revision 5 by ann at n1 is in force, as at the other boxes",
            ),
            (
                Event::ConfigOverruled { revision: 5, by: text("n1"), left: 6, rollback: 3 },
                "config-overruled",
                "config: revision 5 by n1 is in force, as at the other boxes; revision 6, which \
                 was in force here and is not part of it, is kept: `rollback 3` loads it as a \
                 candidate",
            ),
            (
                Event::ConfigUnfit { node: text("n2"), reason: text("no") },
                "config-unfit",
                "config: this box cannot carry out the document of n2: no",
            ),
            (
                Event::NotLetIn {
                    peer: core::net::Ipv4Addr::new(192, 0, 2, 11).into(),
                    reason: text("node \"n1\" has id 1 already"),
                },
                "not-let-in",
                "cluster: 192.0.2.11 does not let this box in: node \"n1\" has id 1 already",
            ),
            (
                Event::PeersSilent {
                    peers: alloc::vec![core::net::Ipv4Addr::new(192, 0, 2, 11).into()]
                },
                "peers-silent",
                "cluster: 192.0.2.11 does not answer: off, on another network, or with another \
                 secret (then it counts what it refuses, `show cluster` there); it is asked again",
            ),
            (
                Event::LetIn { peer: core::net::Ipv4Addr::new(192, 0, 2, 11).into() },
                "let-in",
                "cluster: 192.0.2.11 has let this box in",
            ),
            (
                Event::NodeRemoved { leaves: true },
                "node-removed",
                "cluster: a document without this box is about to be in force; it hands over what \
                 it serves, leaves and serves nothing more",
            ),
            (
                Event::CertificateRenewed {
                    pages: text("https://192.0.2.12/"),
                    certificate: text("AA:BB"),
                    key: text("CC:DD"),
                },
                "certificate-renewed",
                "web: another certificate, SHA-256 AA:BB; the same key, SHA-256 CC:DD; \
                 https://192.0.2.12/",
            ),
            (Event::LinkUp { port: text("eth0") }, "link-up", "port eth0 link up"),
            (Event::LinkDown { port: text("eth0") }, "link-down", "port eth0 link down"),
            (
                Event::PortLost { port: text("eth0"), reason: text("no such device") },
                "port-lost",
                "port eth0 lost: no such device",
            ),
            (
                Event::PortOpened { port: text("eth0"), mac, mtu: 1500 },
                "port-opened",
                "port eth0 opened: 02:00:00:00:00:01, MTU 1500",
            ),
            (
                Event::VipServed { vip: text("www"), address },
                "vip-served",
                "VIP www 192.0.2.80 served here",
            ),
            (
                Event::VipReleased { vip: text("www"), address },
                "vip-released",
                "VIP www 192.0.2.80 released",
            ),
            (
                Event::AddressConflict { address, network: text("outside"), mac },
                "address-conflict",
                "address 192.0.2.80 is used by 02:00:00:00:00:01 on outside too",
            ),
            (
                Event::ViewAgreed {
                    view: text("7/2.1/1"),
                    members: alloc::vec![text("n1"), text("n2")]
                },
                "view-agreed",
                "cluster: view 7/2.1/1: n1, n2",
            ),
            (
                Event::ViewCalled {
                    view: text("7/2.1/1"),
                    members: alloc::vec![text("n2")],
                    held: false
                },
                "view-called",
                "cluster: view 7/2.1/1 proposed as the token is missed: n2",
            ),
            (Event::ViewLeft, "view-left", "cluster: this box is in no view"),
            (
                Event::NodesCondemned { nodes: alloc::vec![text("n1")] },
                "nodes-condemned",
                "cluster: nobody hears n1",
            ),
            (
                Event::VipsMoved(Move {
                    at: Instant::ZERO,
                    vips: alloc::vec![text("gw"), text("www")],
                    from: Some(text("n1")),
                    to: None,
                    reason: "takeover",
                    evidence: text("n1 is not heard since 84 ms"),
                }),
                "vips-moved",
                "cluster: gw, www from n1 to nobody: n1 is not heard since 84 ms",
            ),
            (
                Event::ClusterAsked {
                    user: text("anna"),
                    face: Face::Web,
                    what: text("www moves from n1 to n2; connections go on"),
                },
                "cluster-asked",
                "cluster: anna (web): www moves from n1 to n2; connections go on",
            ),
            (
                Event::ServerUp { pool: text("web"), server: text("s1"), cause: answered },
                "server-up",
                "server web/s1 up: answered in 0.4 ms",
            ),
            (
                Event::ServerDown { pool: text("web"), server: text("s1"), cause: Cause::Refused },
                "server-down",
                "server web/s1 down: refused",
            ),
            (Event::PoolEmpty { pool: text("web") }, "pool-empty", "pool web has no server left"),
            (
                Event::TaskDied { task: text("control"), reason: text("index 3 of 2") },
                "task-died",
                "control died, the box restarts: index 3 of 2",
            ),
            (
                Event::TaskRestarted { task: text("faces"), reason: text("index 3 of 2") },
                "task-restarted",
                "faces restarted: index 3 of 2",
            ),
            (Event::Rebooting, "rebooting", "rebooting"),
            (Event::PoweringOff, "powering-off", "powering off"),
        ]
    }

    #[test]
    fn every_kind_of_event_has_its_own_name_and_sentence() {
        let kinds = every_kind();
        for (event, name, sentence) in &kinds {
            assert_eq!(event.name(), *name);
            assert_eq!(event.to_string(), *sentence);
        }
        let names: BTreeSet<&str> = kinds.iter().map(|(event, ..)| event.name()).collect();
        assert_eq!(names.len(), kinds.len());
    }

    #[test]
    fn a_line_begins_with_seconds_since_kernel_start() {
        let event = Event::BootStep { step: "modules".into(), detail: "14 loaded".into() };
        for (milliseconds, start) in [
            (2_134, "[    2.134] portico: boot: modules: 14 loaded"),
            (0, "[    0.000] portico: boot"),
            (99_999_007, "[99999.007] portico: boot"),
            (123_456_000, "[123456.000] portico: boot"),
        ] {
            let line = event.render(Instant::from_millis(milliseconds));
            assert!(line.starts_with(start), "{line}");
        }
    }

    #[test]
    fn evidence_can_neither_break_nor_flood_the_log() {
        let reason = "ä\n\u{1b}[2J".repeat(1_000);
        let line = Event::PortLost { port: "eth0".into(), reason }.render(Instant::ZERO);
        assert!(line.len() <= limits::LOG_LINE_OCTETS, "{}", line.len());
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}
