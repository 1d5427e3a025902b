//! Clients: hosts that hold connections to virtual addresses and notice what becomes of them.

pub(crate) mod arp;

use crate::network::Segment;
use crate::network::frame::{Body, Frame, Packet, Reply, Station};
use arp::{Cache, Heard};
use base::{NetworkId, VipId};

/// A host that is no node: it holds flows, and answers as a witness where it is a gateway.
#[derive(Debug)]
pub(crate) struct Client {
    pub network: NetworkId,
    /// Its number on the segment.
    pub host: usize,
    pub cache: Cache,
    pub gateway: bool,
}

/// A TCP-like connection: one packet after the other, each answered by the server.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub client: usize,
    pub vip: VipId,
    /// Nanoseconds between two packets.
    pub pace: u64,
    number: u32,
    /// Its name within the client; a new connection gets a new one.
    name: u32,
    /// After how many packets it closes a connection and opens another.
    length: u32,
    /// The last packet of the connection before has not been answered yet.
    closing: bool,
    /// The server it reached.
    server: Option<u16>,
    /// When it was answered last.
    answered: Option<u64>,
    /// The longest it has waited for an answer since this was set to zero.
    pub longest_wait: u64,
}

/// What a flow noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// An answer.
    Answered,
    /// Another server than the one it was connected to.
    WrongServer { had: u16, got: u16 },
    /// A reset.
    Reset,
}

impl Client {
    /// What the host does with a frame, apart from answers to its flows.
    pub fn handle(&mut self, now: u64, frame: &Frame) -> Option<Frame> {
        match &frame.body {
            Body::WitnessAsk => self.gateway.then(|| Frame {
                source: Segment::station(self.host),
                destination: frame.source,
                body: Body::WitnessAnswer,
            }),
            Body::Answer { vip, at } => {
                self.cache.hear(now, *vip, *at, Heard::Answer);
                None
            }
            Body::Announcement { vip, at, reply } => {
                let how = if *reply { Heard::GratuitousReply } else { Heard::GratuitousRequest };
                self.cache.hear(now, *vip, *at, how);
                None
            }
            Body::Datagram(_)
            | Body::Ask { .. }
            | Body::WitnessAnswer
            | Body::Packet(_)
            | Body::Reply(_) => None,
        }
    }
}

impl Flow {
    /// A connection that will be opened.
    pub const fn new(client: usize, vip: VipId, name: u32, pace: u64) -> Self {
        // Some last as long as the world.
        let length = if name.is_multiple_of(2) { u32::MAX } else { 40 };
        Self {
            client,
            vip,
            pace,
            number: 0,
            name,
            length,
            closing: false,
            server: None,
            answered: None,
            longest_wait: 0,
        }
    }

    /// Its next packet, or the question for the address, or both.
    pub fn tick(&mut self, now: u64, flow: u32, client: &mut Client) -> [Option<Frame>; 2] {
        let source = Segment::station(client.host);
        let (at, asks) = client.cache.resolve(now, self.vip);
        let ask = asks.then_some(Frame {
            source,
            destination: Station::BROADCAST,
            body: Body::Ask { vip: self.vip, probe: false },
        });
        let packet = at.map(|destination| {
            self.number = self.number.wrapping_add(1);
            let packet = Packet {
                vip: self.vip,
                client: u16::try_from(self.client).unwrap_or(u16::MAX),
                flow,
                name: self.name,
                number: self.number,
                opens: self.server.is_none(),
                closes: self.number.is_multiple_of(self.length) && self.server.is_some(),
                passed_by: None,
            };
            if packet.closes {
                self.begin_anew();
                self.closing = true;
            }
            Frame { source, destination, body: Body::Packet(packet) }
        });
        [ask, packet]
    }

    /// Takes an answer.
    pub fn handle(&mut self, now: u64, reply: &Reply, cache: &mut Cache) -> Option<Notice> {
        let closed = core::mem::take(&mut self.closing) && reply.packet.closes;
        if closed && reply.server.is_some() {
            self.wait_is_over(now);
        }
        if reply.packet.name != self.name {
            return None;
        }
        cache.confirm(now, self.vip);
        let Some(server) = reply.server else {
            self.begin_anew();
            return Some(Notice::Reset);
        };
        self.wait_is_over(now);
        match self.server.replace(server) {
            Some(had) if had != server => Some(Notice::WrongServer { had, got: server }),
            Some(_) | None => Some(Notice::Answered),
        }
    }

    /// The connection is over: the next packet opens another.
    pub const fn begin_anew(&mut self) {
        self.name = self.name.wrapping_add(1);
        self.server = None;
    }

    fn wait_is_over(&mut self, now: u64) {
        let after = self.answered.map_or(0, |last| now.saturating_sub(last));
        self.longest_wait = self.longest_wait.max(after);
        self.answered = Some(now);
    }

    /// Since when it has been waiting, if it was ever answered.
    pub const fn answered(&self) -> Option<u64> {
        self.answered
    }
}
