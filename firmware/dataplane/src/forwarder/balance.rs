//! Packets of services: of flows that are known, and those that begin one.

use base::{FlowKey, Offload, VipId};
use packet::headers::{Headers, Ip, Tcp, TcpFlags, Transport};
use packet::icmp;
use packet::rewrite::{Endpoint, Translation};

use super::classify::is_link_local;
use super::spread::{Whose, request_of};
use super::{Forwarder, Pass, Path};
use crate::flow::{Direction, Effect, Inserted, Record, State, track};
use crate::tables::{ReplyMatch, Server, Tables};
use crate::verdict::{DropReason, Verdict};

/// How often another server is tried when the first choice already has a flow with the same reply
/// key (the same client port came in through another service).
const ATTEMPTS: u32 = 4;

impl Forwarder {
    /// A packet of a known flow.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "what parsing and look-up found, passed once")]
    pub(super) fn follow(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        slot: u32,
        direction: Direction,
    ) -> Verdict {
        let record = self.flows.record(slot);
        let (service, server_id) = (record.service(), record.server());
        let Some(server) = pass.tables.server(server_id) else {
            return Verdict::Drop(DropReason::NoServer);
        };
        if direction == Direction::Reply && server.link.is_some_and(|at| at != pass.port.network) {
            // Somebody elsewhere speaks in the server's name (RFC 2827).
            return Verdict::Drop(DropReason::SpoofedSource);
        }
        if !server.up && direction == Direction::Request {
            return self.failed(pass, bytes, offload, headers, ip, slot);
        }
        if let Some(owner) = self.served_elsewhere(pass, service, headers.source, true) {
            return self.hand_over(pass, bytes, offload, headers, ip, owner);
        }
        let now = pass.ticks;
        let expired = pass
            .tables
            .service(service)
            .is_some_and(|service| record.is_expired(now, service.idle));
        if expired {
            self.counters.flows_expired += 1;
            self.end(pass.tables, slot);
            return self.unknown_again(pass, bytes, offload, headers, ip);
        }
        let effect = match &ip.transport {
            Transport::Tcp(tcp) => self.flows.update(slot, |flow| track(flow, direction, tcp)),
            Transport::Udp(_) => self.flows.update(slot, |flow| flow.datagram(direction)),
            Transport::Icmp(_) | Transport::LaterFragment | Transport::Other => Effect::Ignore,
        };
        match effect {
            Effect::Refresh => self.flows.touch(slot, now),
            Effect::Ignore => {}
            Effect::Replace => {
                self.end(pass.tables, slot);
                return self.unknown_again(pass, bytes, offload, headers, ip);
            }
        }
        let path = path(self.flows.record(slot), server, direction);
        self.pass_on(pass, bytes, offload, headers, ip, &path)
    }

    /// To a virtual address, and no flow knows it.
    pub(super) fn virtual_address(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        vip: VipId,
    ) -> Verdict {
        let Some(key) = ip.flow_key() else {
            let verdict = match ip.transport {
                Transport::Icmp(_) if icmp::is_echo_request(ip) && ip.fragment.is_none() => {
                    self.echo(pass, bytes, offload, headers, ip)
                }
                Transport::Icmp(_) => self
                    .icmp_error(pass, bytes, offload, headers, ip)
                    .unwrap_or(Verdict::Drop(DropReason::NoService)),
                Transport::LaterFragment => self.later_fragment(pass, bytes, offload, headers, ip),
                Transport::Tcp(_) | Transport::Udp(_) | Transport::Other => {
                    Verdict::Drop(DropReason::NoService)
                }
            };
            self.note_refused_fragment(pass, ip, verdict);
            return verdict;
        };
        let verdict = match pass.tables.services.find(vip, key.protocol, key.destination_port) {
            Some(found) => self.begin(pass, bytes, offload, headers, ip, &key, found.service),
            None => self.no_service(pass, bytes, headers, ip),
        };
        self.note_refused_fragment(pass, ip, verdict);
        verdict
    }

    /// The first packet of a flow: choose a server and remember.
    #[expect(clippy::too_many_arguments, reason = "what parsing and look-up found, passed once")]
    fn begin(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        key: &FlowKey,
        service: base::ServiceId,
    ) -> Verdict {
        if let Transport::Tcp(tcp) = &ip.transport
            && !may_begin(tcp)
        {
            return Verdict::Drop(DropReason::NoFlow);
        }
        if is_link_local(ip.source) {
            return Verdict::Drop(DropReason::LinkLocalSource);
        }
        let copied = self.copied(pass, ip, key);
        for attempt in 0..ATTEMPTS {
            let first = copied.filter(|_| attempt == 0);
            let Some(server) = first.or_else(|| pass.tables.choose(service, key, attempt)) else {
                return self.refuse(pass, bytes, headers, ip, DropReason::NoServer);
            };
            let regular = attempt == 0 && copied.is_none();
            let mut record = Record::new(key, service, server, mark(pass.tables, service, regular));
            if let Transport::Tcp(tcp) = &ip.transport {
                record.begin(tcp);
            }
            match self.flows.insert(pass.now, record, pass.tables) {
                Inserted::At { slot, evicted } => {
                    if let Some((service, server)) = evicted {
                        self.counters.flows_evicted += 1;
                        self.counters.count_flow(service, server, -1);
                    }
                    return self.begun(pass, bytes, offload, headers, ip, slot);
                }
                Inserted::Full => return Verdict::Drop(DropReason::FlowTableFull),
                Inserted::Collision => {}
            }
        }
        Verdict::Drop(DropReason::TupleCollision)
    }

    fn begun(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        slot: u32,
    ) -> Verdict {
        let record = *self.flows.record(slot);
        self.counters.flows_created += 1;
        self.counters.flows_picked_up += u64::from(record.state() == State::PickedUp);
        self.counters.count_flow(record.service(), record.server(), 1);
        let Some(server) = pass.tables.server(record.server()).copied() else {
            return Verdict::Drop(DropReason::NoServer);
        };
        let path = path(&record, &server, Direction::Request);
        self.pass_on(pass, bytes, offload, headers, ip, &path)
    }

    /// A server's packet that no flow of ours knows, and that another box has to work on. `None`:
    /// it is ours, or not from a service's port.
    pub(super) fn others_reply(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Option<Verdict> {
        let key = ip.flow_key()?;
        if self.copied_reply(pass, headers, &key).is_some() {
            return None;
        }
        let services = &pass.tables.services;
        let found = services.find_reply(key.source, key.protocol, key.source_port)?;
        match self.whose_reply(pass, headers, &key, found) {
            Whose::Ours => None,
            Whose::Of(owner) => {
                let verdict = self.hand_over(pass, bytes, offload, headers, ip, owner);
                self.handed_fragment(pass, ip, owner, verdict);
                Some(verdict)
            }
            Whose::Anybodys => self.hand_to_all(pass, bytes, offload, headers, ip),
        }
    }

    /// A server's packet that no other box works on, and whose flow nobody remembers, after a
    /// restart perhaps: the agreed table says whose it must be. `None`: the packet is not from a
    /// service's port.
    pub(super) fn own_reply(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Option<Verdict> {
        let key = ip.flow_key()?;
        if let Some(path) = self.recall_copied(pass, headers, ip, &key) {
            return Some(self.pass_on(pass, bytes, offload, headers, ip, &path));
        }
        let services = &pass.tables.services;
        let found = services.find_reply(key.source, key.protocol, key.source_port)?;
        let verdict = self
            .recall(pass, ip, &key, found)
            .map(|path| self.pass_on(pass, bytes, offload, headers, ip, &path))
            .unwrap_or(Verdict::Drop(DropReason::NoFlow));
        self.note_refused_fragment(pass, ip, verdict);
        Some(verdict)
    }

    fn recall(
        &mut self,
        pass: &Pass<'_>,
        ip: &Ip,
        key: &FlowKey,
        found: ReplyMatch,
    ) -> Option<Path> {
        let ReplyMatch::One { service, server, port } = found else {
            return None;
        };
        let tables = pass.tables;
        if tables.server(server)?.link.is_some_and(|at| at != pass.port.network) {
            return None;
        }
        let request = request_of(tables, key, service, port)?;
        if tables.choose(service, &request, 0) != Some(server) {
            return None;
        }
        let record = Record::new(&request, service, server, mark(tables, service, true));
        self.make_anew(pass, ip, record)
    }

    /// Makes the record of a flow anew for a server's packet.
    pub(super) fn make_anew(
        &mut self,
        pass: &Pass<'_>,
        ip: &Ip,
        mut record: Record,
    ) -> Option<Path> {
        let tables = pass.tables;
        match &ip.transport {
            Transport::Tcp(tcp) if may_recall(tables, &record, tcp) => record.recall(tcp),
            Transport::Udp(_) => record.replied(),
            Transport::Tcp(_)
            | Transport::Icmp(_)
            | Transport::LaterFragment
            | Transport::Other => return None,
        }
        let (service, server) = (record.service(), record.server());
        let Inserted::At { slot, evicted } = self.flows.insert(pass.now, record, tables) else {
            return None;
        };
        if let Some((service, server)) = evicted {
            self.counters.flows_evicted += 1;
            self.counters.count_flow(service, server, -1);
        }
        self.counters.flows_created += 1;
        self.counters.flows_picked_up += 1;
        self.counters.count_flow(service, server, 1);
        Some(path(self.flows.record(slot), tables.server(server)?, Direction::Reply))
    }

    /// The server of this flow has failed: a TCP client is told at once, a new connection and a
    /// datagram go to another server.
    fn failed(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        slot: u32,
    ) -> Verdict {
        self.counters.flows_failed += 1;
        self.end(pass.tables, slot);
        match ip.transport {
            Transport::Tcp(tcp) if !tcp.flags.contains(TcpFlags::SYN) => {
                self.refuse(pass, bytes, headers, ip, DropReason::ServerDown)
            }
            Transport::Tcp(_)
            | Transport::Udp(_)
            | Transport::Icmp(_)
            | Transport::LaterFragment
            | Transport::Other => self.unknown_again(pass, bytes, offload, headers, ip),
        }
    }

    /// Handles a packet anew whose flow has just ended.
    fn unknown_again(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
    ) -> Verdict {
        use crate::tables::{ANYWHERE, Role};
        match pass.tables.addresses.get(ANYWHERE, ip.destination) {
            Some(Role::Virtual(vip)) => {
                if let Some(verdict) = self.spread(pass, bytes, offload, headers, ip, vip) {
                    return verdict;
                }
                self.virtual_address(pass, bytes, offload, headers, ip, vip)
            }
            Some(Role::Primary | Role::Broadcast) | None => self
                .others_reply(pass, bytes, offload, headers, ip)
                .or_else(|| self.own_reply(pass, bytes, offload, headers, ip))
                .unwrap_or(Verdict::Drop(DropReason::NoFlow)),
        }
    }

    /// Ends a flow and counts it out.
    pub(super) fn end(&mut self, tables: &Tables, slot: u32) {
        let record = self.flows.record(slot);
        self.counters.count_flow(record.service(), record.server(), -1);
        self.flows.remove(slot, tables);
    }

    /// Sends a packet of a flow along its path, and lets later fragments follow.
    #[inline(always)]
    pub(super) fn pass_on(
        &mut self,
        pass: &mut Pass<'_>,
        bytes: &mut [u8],
        offload: &mut Offload,
        headers: &Headers,
        ip: &Ip,
        path: &Path,
    ) -> Verdict {
        let destination =
            path.translation.destination.map_or(ip.destination, |endpoint| endpoint.address);
        let verdict = match pass.tables.routes.find(destination) {
            Some(hop) => self.send(pass, bytes, offload, headers, ip, path, hop),
            None => Verdict::Drop(DropReason::NoRoute),
        };
        if ip.fragment.is_some() {
            self.first_fragment(pass, ip, path, verdict);
        }
        verdict
    }
}

impl Record {
    /// A datagram of this flow.
    fn datagram(&mut self, direction: Direction) -> Effect {
        if direction == Direction::Reply {
            self.replied();
        }
        Effect::Refresh
    }
}

/// How the packets of a flow are changed.
#[inline(always)]
pub(super) fn path(record: &Record, server: &Server, direction: Direction) -> Path {
    let key = record.request_key();
    let owner = Some((record.service(), record.server()));
    match direction {
        Direction::Request => {
            let port = server.port.unwrap_or(key.destination_port);
            let destination = Some(Endpoint { address: server.address, port });
            Path { translation: Translation { source: None, destination }, owner, to_server: true }
        }
        Direction::Reply => {
            let source = Some(Endpoint { address: key.destination, port: key.destination_port });
            Path { translation: Translation { source, destination: None }, owner, to_server: false }
        }
    }
}

/// Under which selection a new flow need not be looked at; `regular`: every box would give it to
/// its server.
fn mark(tables: &Tables, service: base::ServiceId, regular: bool) -> u16 {
    let shared = tables.service(service).is_some_and(|service| service.shared);
    if regular && !shared { tables.selection } else { 0 }
}

/// Whether a segment may begin a flow: a SYN, or an ACK from the middle of a connection whose
/// flow was forgotten. Scans (no flags, or impossible ones) and stray resets are not.
fn may_begin(tcp: &Tcp) -> bool {
    let has = |flag| tcp.flags.contains(flag);
    if has(TcpFlags::RST) {
        return false;
    }
    has(TcpFlags::SYN) != has(TcpFlags::ACK) && !(has(TcpFlags::SYN) && has(TcpFlags::FIN))
}

/// Whether a server's segment may begin a flow anew. Of a spread address a SYN-ACK, too: where the
/// function that spreads it has just changed, another box has seen the SYN.
fn may_recall(tables: &Tables, record: &Record, tcp: &Tcp) -> bool {
    let has = |flag| tcp.flags.contains(flag);
    if !has(TcpFlags::SYN) {
        return may_begin(tcp);
    }
    let vip = tables.service(record.service()).map(|service| service.vip);
    let spread = vip.is_some_and(|vip| tables.spread(vip).is_some());
    spread && has(TcpFlags::ACK) && !has(TcpFlags::FIN) && !has(TcpFlags::RST)
}
