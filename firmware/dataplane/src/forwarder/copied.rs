//! Flows that began at another box, and what others are to be told of ours.

use base::{FlowKey, ServerId};
use packet::headers::{Headers, Ip, TcpFlags, Transport};

use super::{Forwarder, Pass, Path};
use crate::flow::{Note, Record};
use crate::tables::Copied;

impl Forwarder {
    /// Which flows other boxes would get wrong is told from the beginning; `asked` is repeated
    /// when all of it is told.
    pub const fn ask_for_flows(&mut self, asked: u32) {
        self.flows.ask(asked);
    }

    /// The next thing told.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.flows.poll_note()
    }

    /// The server that another box has chosen for the flow of a client's packet. A connection that
    /// begins is a new one, and what is known of an old one of that name is over.
    #[inline]
    pub(super) fn copied(&mut self, pass: &Pass<'_>, ip: &Ip, key: &FlowKey) -> Option<ServerId> {
        if pass.tables.copies.is_empty() {
            return None;
        }
        let copied = pass.tables.copies.by_request(key)?;
        if let Transport::Tcp(tcp) = &ip.transport
            && tcp.flags.contains(TcpFlags::SYN)
        {
            self.flows.note_end(*key);
            return None;
        }
        pass.tables.server(copied.server).filter(|server| server.up).map(|_| copied.server)
    }

    /// The flow of a server's packet that began at another box and is ours now.
    #[inline]
    pub(super) fn copied_reply(
        &self,
        pass: &Pass<'_>,
        headers: &Headers,
        key: &FlowKey,
    ) -> Option<Copied> {
        if pass.tables.copies.is_empty() {
            return None;
        }
        let copied = *pass.tables.copies.by_reply(key)?;
        let server = pass.tables.server(copied.server)?;
        let away = server.link.is_some_and(|at| at != pass.port.network)
            || self.served_elsewhere(pass, copied.service, headers.source, false).is_some();
        (!away).then_some(copied)
    }

    /// The way of a server's packet whose flow began at another box.
    #[inline]
    pub(super) fn recall_copied(
        &mut self,
        pass: &Pass<'_>,
        headers: &Headers,
        ip: &Ip,
        key: &FlowKey,
    ) -> Option<Path> {
        let copied = self.copied_reply(pass, headers, key)?;
        self.make_anew(pass, ip, Record::new(&copied.request, copied.service, copied.server, 0))
    }
}
