//! What a TCP segment says about its connection: the tracking machine.
//!
//! Reading list: RFC 9293 §3.3.2 (states), §3.10.7 (segment arrival); RFC 5961 §3 (which resets
//! are believed); RFC 6056/1337 (reuse and TIME-WAIT hazards).
//!
//! ```text
//!              SYN            SYN-ACK              segment from client
//!   (none) ──────────> SynSent ─────> SynReceived ─────────> Established
//!      │  any other                                            │    │
//!      └──────────> PickedUp ──────────────────────────────────┘    │ FIN
//!                       segment from server          ClientFinished / ServerFinished
//!                                                                   │ the other FIN
//!   a believed RST, from any state ──> Reset                     Closing
//!   SYN in Closing or Reset ──> the record is replaced: a new flow
//! ```
//!
//! The forwarder passes every segment of a known flow; this machine only decides how long the
//! record lives. So what it must get right is: nothing stray ends a flow or keeps a dead one.

use super::record::{Class, Direction, Record, State};
use packet::headers::{Tcp, TcpFlags};

/// What a segment did to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It belongs to the flow and shows that it is alive.
    Refresh,
    /// It belongs to the flow but proves nothing: the idle time runs on.
    Ignore,
    /// The flow is over and this begins another with the same addresses and ports.
    Replace,
}

/// What a segment is to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    ClientSyn,
    ClientData,
    ClientFin,
    ServerSynAck,
    ServerData,
    ServerFin,
    /// A reset whose receiver will believe it.
    ExactReset,
    /// A reset, FIN or SYN that its receiver will not believe.
    Stray,
}

/// Sequence numbers further than this from what was seen are not this connection's: the largest
/// window in common use with room to spare.
const PLAUSIBLE: u32 = 1 << 24;

/// How much the server may have sent before the client's first acknowledgement passed, by TCP
/// Fast Open (RFC 7413) at most its initial window: a guess hits with one in 65,536.
const FIRST_FLIGHT: u32 = 0xffff;

/// Applies a segment to a record.
#[inline]
pub fn track(record: &mut Record, direction: Direction, tcp: &Tcp) -> Effect {
    if is_data(record, tcp) {
        pass_data(record, direction, tcp)
    } else {
        step(record, direction, tcp)
    }
}

/// Whether a segment is data or an acknowledgement in an established connection, which leaves it
/// in that state.
#[inline(always)]
pub fn is_data(record: &Record, tcp: &Tcp) -> bool {
    const SELDOM: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0);
    record.state == State::Established && !tcp.flags.intersects(SELDOM)
}

/// What the machine says about data and acknowledgements in an established connection, which is
/// what nearly all segments are.
#[inline(always)]
fn pass_data(record: &mut Record, direction: Direction, tcp: &Tcp) -> Effect {
    let seen = match direction {
        Direction::Request => record.client_end,
        Direction::Reply => record.server_end,
    };
    if distance(tcp.sequence, seen) > PLAUSIBLE {
        return Effect::Ignore;
    }
    advance(record, direction, tcp, false);
    Effect::Refresh
}

/// The whole machine.
fn step(record: &mut Record, direction: Direction, tcp: &Tcp) -> Effect {
    let input = classify(record, direction, tcp);
    let (state, effect) = transition(record.state, input);
    let begins = match input {
        Input::ClientSyn => state == State::SynSent && effect == Effect::Refresh,
        Input::ServerSynAck => state == State::SynReceived,
        Input::ClientData
        | Input::ClientFin
        | Input::ServerData
        | Input::ServerFin
        | Input::ExactReset
        | Input::Stray => false,
    };
    if effect == Effect::Refresh {
        advance(record, direction, tcp, begins);
    }
    record.state = state;
    effect
}

impl Record {
    /// The client's segment that a new record is made for.
    pub(crate) fn begin(&mut self, tcp: &Tcp) {
        let syn = tcp.flags.contains(TcpFlags::SYN);
        self.state = if syn { State::SynSent } else { State::PickedUp };
        self.client_end = end(tcp);
    }

    /// The server's segment that a forgotten flow is made anew for. What it acknowledges is as
    /// far as the client is known to have come.
    pub(crate) fn recall(&mut self, tcp: &Tcp) {
        let opens = tcp.flags.contains(TcpFlags::SYN);
        self.state = if opens { State::SynReceived } else { State::Established };
        self.server_end = end(tcp);
        self.client_end = tcp.acknowledgement;
    }
}

fn classify(record: &Record, direction: Direction, tcp: &Tcp) -> Input {
    let seen = match direction {
        Direction::Request => record.client_end,
        Direction::Reply => record.server_end,
    };
    // Nothing is known of the server before its first segment.
    let unknown =
        direction == Direction::Reply && matches!(record.state, State::SynSent | State::PickedUp);
    let flags = tcp.flags;
    if flags.contains(TcpFlags::RST) {
        // RFC 5961 §3.2: only the exact sequence number resets; in SYN-SENT an acceptable ACK.
        let exact = if unknown {
            tcp.acknowledgement == record.client_end || record.state == State::PickedUp
        } else {
            tcp.sequence == seen
        };
        return if exact { Input::ExactReset } else { Input::Stray };
    }
    if flags.contains(TcpFlags::SYN) {
        // In a connection that is under way, a SYN-ACK near its own numbers is an old one.
        let old =
            record.state.class() == Class::Established && distance(tcp.sequence, seen) <= PLAUSIBLE;
        return match (direction, flags.contains(TcpFlags::ACK)) {
            (Direction::Request, false) => Input::ClientSyn,
            (Direction::Reply, true) if old => Input::Stray,
            (Direction::Reply, true) => Input::ServerSynAck,
            // A SYN-ACK from the client or a bare SYN from the server: simultaneous open, which
            // no client of a service does (RFC 9293 §3.5 figure 8).
            (Direction::Request, true) | (Direction::Reply, false) => Input::Stray,
        };
    }
    if direction == Direction::Request && record.state == State::SynReceived && !heard(record, tcp)
    {
        return Input::Stray;
    }
    let plausible = unknown || distance(tcp.sequence, seen) <= PLAUSIBLE;
    match (direction, flags.contains(TcpFlags::FIN), plausible) {
        (_, _, false) => Input::Stray,
        (Direction::Request, false, true) => Input::ClientData,
        (Direction::Request, true, true) => Input::ClientFin,
        (Direction::Reply, false, true) => Input::ServerData,
        (Direction::Reply, true, true) => Input::ServerFin,
    }
}

/// Whether the client shows that it got the server's SYN-ACK. Without this anybody could take
/// records that are never evicted, by a SYN and an ACK in someone else's name.
fn heard(record: &Record, tcp: &Tcp) -> bool {
    let beyond = tcp.acknowledgement.wrapping_sub(record.server_end);
    tcp.flags.contains(TcpFlags::ACK) && beyond <= FIRST_FLIGHT
}

fn transition(state: State, input: Input) -> (State, Effect) {
    use Effect::{Ignore, Refresh, Replace};
    use Input::{
        ClientData, ClientFin, ClientSyn, ExactReset, ServerData, ServerFin, ServerSynAck, Stray,
    };
    use State::{
        ClientFinished, Closing, Established, PickedUp, Replied, Reset, ServerFinished,
        SynReceived, SynSent, Unreplied,
    };
    match (state, input) {
        // Over: a SYN begins anew at once, nothing else revives it.
        (Closing | Reset, ClientSyn) => (state, Replace),
        (Closing, ExactReset) => (Reset, Ignore),
        (
            Closing | Reset,
            ClientData | ClientFin | ServerSynAck | ServerData | ServerFin | ExactReset | Stray,
        ) => (state, Ignore),

        (SynSent | SynReceived | PickedUp, ExactReset) => (Reset, Refresh),
        (Established | ClientFinished | ServerFinished, ExactReset) => (Reset, Refresh),

        // A retransmitted SYN, or a new one before any answer: the last one counts.
        (SynSent | SynReceived | PickedUp, ClientSyn) => (SynSent, Refresh),
        // An old SYN: the server will challenge it (RFC 5961 §4) if the connection lives.
        (Established | ClientFinished | ServerFinished, ClientSyn) => (state, Ignore),

        (SynSent | SynReceived, ServerSynAck) => (SynReceived, Refresh),
        // The server knew nothing of the connection and takes the client's new SYN.
        (PickedUp | Established | ClientFinished | ServerFinished, ServerSynAck) => {
            (SynReceived, Refresh)
        }

        // Data before the SYN-ACK was seen proves nothing of the client (RFC 7413 aside).
        (SynSent, ClientData | ClientFin) => (SynSent, Ignore),
        (SynSent | SynReceived, ServerData | ServerFin) => (state, Ignore),
        (SynReceived, ClientData) => (Established, Refresh),
        (SynReceived, ClientFin) => (ClientFinished, Refresh),

        (PickedUp, ClientData | ClientFin) => (PickedUp, Refresh),
        (PickedUp, ServerData) => (Established, Refresh),
        (PickedUp, ServerFin) => (ServerFinished, Refresh),

        (Established, ClientData | ServerData) => (Established, Refresh),
        (Established, ClientFin) => (ClientFinished, Refresh),
        (Established, ServerFin) => (ServerFinished, Refresh),

        (ClientFinished, ClientData | ServerData | ClientFin) => (ClientFinished, Refresh),
        (ClientFinished, ServerFin) => (Closing, Refresh),
        (ServerFinished, ClientData | ServerData | ServerFin) => (ServerFinished, Refresh),
        (ServerFinished, ClientFin) => (Closing, Refresh),

        (
            SynSent | SynReceived | PickedUp | Established | ClientFinished | ServerFinished,
            Stray,
        ) => (state, Ignore),

        // UDP's states never meet a segment.
        (
            Unreplied | Replied,
            ClientSyn | ClientData | ClientFin | ServerSynAck | ServerData | ServerFin | ExactReset
            | Stray,
        ) => (state, Ignore),
    }
}

/// Notes how far this side has come.
#[inline(always)]
fn advance(record: &mut Record, direction: Direction, tcp: &Tcp, begins: bool) {
    let unknown = direction == Direction::Reply && record.state == State::PickedUp;
    let seen = match direction {
        Direction::Request => &mut record.client_end,
        Direction::Reply => &mut record.server_end,
    };
    let end = end(tcp);
    // Serial number comparison (RFC 1982): ahead by less than half the space.
    if begins || unknown || end.wrapping_sub(*seen) < 1 << 31 {
        *seen = end;
    }
    if begins && direction == Direction::Reply {
        // The server says which SYN it answers: perhaps one that was taken for an old one.
        record.client_end = tcp.acknowledgement;
    }
}

/// The sequence number after this segment; SYN and FIN count as an octet (RFC 9293 §3.4).
fn end(tcp: &Tcp) -> u32 {
    let flags =
        u32::from(tcp.flags.contains(TcpFlags::SYN)) + u32::from(tcp.flags.contains(TcpFlags::FIN));
    tcp.sequence.wrapping_add(tcp.payload_length).wrapping_add(flags)
}

fn distance(a: u32, b: u32) -> u32 {
    a.wrapping_sub(b).min(b.wrapping_sub(a))
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
