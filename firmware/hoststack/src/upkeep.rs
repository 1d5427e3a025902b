//! Keeping the books: connections come, move and go with smoltcp's sockets.

use crate::capacity::HALF_OPEN_TIMEOUT;
use crate::connection::{Cause, Connection, End, Entry, Phase, Seen, next_phase};
use crate::glance::Report;
use crate::stack::{Event, HostStack};
use crate::tcp::new_socket;
use alloc::vec::Vec;
use base::{Instant, NetworkId};
use core::net::SocketAddr;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::IpAddress;

impl HostStack {
    /// Brings the entries of one network up to date with smoltcp's sockets.
    pub(crate) fn refresh(&mut self, index: usize, cause: Cause) {
        let place = &mut self.places[index];
        let network = place.network();
        let mut gone = Vec::new();
        for (&id, entry) in self.entries.iter_mut().filter(|(_, e)| e.network == network) {
            let Some(handle) = entry.socket else { continue };
            let socket = place.sockets.get_mut::<tcp::Socket>(handle);
            let seen = Seen::of(socket);
            let before = core::mem::replace(&mut entry.seen, seen);
            let Some(phase) = next_phase(entry.phase, before.state, seen.state, cause) else {
                gone.push(id);
                continue;
            };
            let buried = socket.remote_endpoint().is_none();
            match phase {
                // Unread data outlives an orderly end.
                Phase::Ended(end) if end != End::Closed || seen.received == 0 => {
                    place.sockets.remove(handle);
                    entry.socket = None;
                }
                Phase::Lingering { .. } if buried => gone.push(id),
                Phase::Connecting { .. }
                | Phase::HalfOpen { .. }
                | Phase::Waiting
                | Phase::Open
                | Phase::Lingering { .. }
                | Phase::Ended(_) => {}
            }
            if phase == Phase::Waiting && entry.phase != phase {
                let port = entry.local.port();
                if let Some(listener) = self.listeners.get_mut(&port) {
                    listener.waiting.push_back(id);
                    self.events.insert(Event::Incoming(port));
                } else {
                    gone.push(id);
                }
            }
            let moved = entry.phase != phase || before != seen;
            entry.phase = phase;
            if moved && phase.held() {
                self.events.insert(Event::Connection(Connection(id)));
            }
        }
        for (&port, &handle) in &place.datagrams {
            if place.sockets.get::<udp::Socket>(handle).can_recv() {
                self.events.insert(Event::Datagram(port));
            }
        }
        gone.into_iter().for_each(|id| self.forget(id));
    }

    /// Makes a socket that can take this request for a connection, if there is a listener and
    /// room; a request on a connection that exists is left to that one.
    pub(crate) fn prepare(
        &mut self,
        now: Instant,
        index: usize,
        local: SocketAddr,
        remote: SocketAddr,
    ) {
        let network = self.places[index].network();
        let Some(listener) = self.listeners.get(&local.port()) else { return };
        if listener.networks.as_ref().is_some_and(|networks| !networks.contains(&network)) {
            return;
        }
        let twin = self.entries.iter().find(|(_, e)| e.local == local && e.remote == remote);
        if let Some((&id, entry)) = twin {
            let lingers = matches!(entry.phase, Phase::Lingering { .. });
            if !lingers || entry.seen.state != tcp::State::TimeWait {
                return;
            }
            self.forget(id);
        }
        if !self.backlog_has_room() {
            self.counters.backlog_full += 1;
            return;
        }
        let mut socket = new_socket(&self.capacity);
        let listening = (IpAddress::from(local.ip()), local.port());
        if socket.listen(listening).is_err() {
            // Port 0, which has no listener.
            return;
        }
        let place = &mut self.places[index];
        let entry = Entry {
            network: place.network(),
            local,
            remote,
            phase: Phase::HalfOpen { deadline: now + HALF_OPEN_TIMEOUT },
            socket: Some(place.sockets.add(socket)),
            seen: Seen { state: tcp::State::Listen, ..Seen::NOTHING },
        };
        self.insert(entry);
    }

    /// Makes room in the backlog at the expense of the oldest half-open connection, if there is
    /// one. Connections are numbered in the order of their requests.
    fn backlog_has_room(&mut self) -> bool {
        let mut coming = 0;
        let mut oldest = None;
        for (&id, entry) in &self.entries {
            match entry.phase {
                Phase::HalfOpen { .. } => {
                    coming += 1;
                    oldest = oldest.or(Some(id));
                }
                Phase::Waiting => coming += 1,
                Phase::Connecting { .. }
                | Phase::Open
                | Phase::Lingering { .. }
                | Phase::Ended(_) => {}
            }
        }
        if coming < self.capacity.backlog {
            return true;
        }
        if let Some(oldest) = oldest {
            self.counters.half_open_dropped += 1;
            self.forget(oldest);
        }
        oldest.is_some()
    }

    /// An ICMP error ends a connection only while it is being opened, and only if the error
    /// quotes the SYN that was sent.
    pub(crate) fn handle_report(&mut self, network: NetworkId, report: &Report) {
        let meant = self.entries.iter().find(|(_, entry)| {
            let ends = entry.local == report.local && entry.remote == report.remote;
            let expected = Some(report.sequence);
            ends && entry.network == network
                && matches!(entry.phase, Phase::Connecting { sequence, .. } if sequence == expected)
        });
        match meant.map(|(&id, _)| id) {
            Some(id) if report.refused => self.end(id, End::Refused),
            Some(id) => self.end(id, End::Unreachable),
            None => self.counters.ignored += 1,
        }
    }

    /// Ends the connections whose network or address the node no longer has.
    pub(crate) fn end_homeless(&mut self) {
        let places = &self.places;
        let homeless: Vec<(u64, bool, bool)> = self
            .entries
            .iter()
            .filter_map(|(&id, entry)| {
                let place = places.iter().find(|place| place.network() == entry.network);
                let at_home = place.is_some_and(|place| place.has(entry.local.ip()));
                (!at_home).then_some((id, entry.phase.held(), place.is_some()))
            })
            .collect();
        for (id, held, network_stays) in homeless {
            if !network_stays && let Some(entry) = self.entries.get_mut(&id) {
                // The socket went with its network.
                entry.socket = None;
            }
            if held {
                self.end(id, End::AddressGone);
            } else {
                self.forget(id);
            }
        }
    }

    pub(crate) fn insert(&mut self, entry: Entry) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.entries.insert(id, entry);
        id
    }

    /// Ends a connection that its owner holds, without sending anything.
    pub(crate) fn end(&mut self, id: u64, end: End) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if !matches!(entry.phase, Phase::Ended(_)) {
            entry.phase = Phase::Ended(end);
            self.events.insert(Event::Connection(Connection(id)));
        }
        let (network, socket) = (entry.network, entry.socket.take());
        self.drop_socket(network, socket);
    }

    /// Forgets a connection without sending anything.
    pub(crate) fn forget(&mut self, id: u64) {
        let Some(entry) = self.entries.remove(&id) else { return };
        if let Some(listener) = self.listeners.get_mut(&entry.local.port()) {
            listener.waiting.retain(|&waiting| waiting != id);
        }
        self.events.remove(&Event::Connection(Connection(id)));
        self.drop_socket(entry.network, entry.socket);
    }

    fn drop_socket(&mut self, network: NetworkId, socket: Option<SocketHandle>) {
        let place = self.places.iter_mut().find(|place| place.network() == network);
        if let (Some(place), Some(handle)) = (place, socket) {
            place.sockets.remove(handle);
        }
    }
}
