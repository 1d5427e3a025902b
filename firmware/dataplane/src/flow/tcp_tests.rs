use super::*;
use base::{FlowKey, Protocol, ServerId, ServiceId};
use core::net::Ipv6Addr;

const CLIENT: u32 = 1_000;
const SERVER: u32 = 50_000;

fn flow(state: State) -> Record {
    let key = FlowKey {
        source: Ipv6Addr::LOCALHOST,
        destination: Ipv6Addr::UNSPECIFIED,
        source_port: 1,
        destination_port: 80,
        protocol: Protocol::TCP,
    };
    let mut record = Record::new(&key, ServiceId(0), ServerId(0), 0);
    record.state = state;
    record.client_end = CLIENT;
    record.server_end = SERVER;
    record
}

fn segment(flags: TcpFlags, sequence: u32, acknowledgement: u32) -> Tcp {
    Tcp {
        source_port: 1,
        destination_port: 80,
        sequence,
        acknowledgement,
        flags,
        window: 1_000,
        payload_length: 0,
    }
}

/// Every (state, input) pair: the state afterwards and the effect.
#[test]
fn every_segment_in_every_state_does_what_the_table_says() {
    use Direction::{Reply, Request};
    use Effect::{Ignore as I, Refresh as R, Replace as N};
    use State::{
        ClientFinished as CF, Closing as CL, Established as ES, PickedUp as PU, Reset as RS,
        ServerFinished as SF, SynReceived as SR, SynSent as SS,
    };
    const ACK: TcpFlags = TcpFlags::ACK;
    let fin = TcpFlags::FIN | ACK;
    let syn_ack = TcpFlags::SYN | ACK;
    let rst = TcpFlags::RST;
    let far = 1 << 30;
    let states = [SS, SR, PU, ES, CF, SF, CL, RS];
    #[rustfmt::skip]
    let table = [
        ("SYN from the client", Request, segment(TcpFlags::SYN, 7, 0),
         [(SS, R), (SS, R), (SS, R), (ES, I), (CF, I), (SF, I), (CL, N), (RS, N)]),
        ("ACK from the client", Request, segment(ACK, CLIENT, SERVER),
         [(SS, I), (ES, R), (PU, R), (ES, R), (CF, R), (SF, R), (CL, I), (RS, I)]),
        ("ACK of what the server never said", Request, segment(ACK, CLIENT, SERVER + far),
         [(SS, I), (SR, I), (PU, R), (ES, R), (CF, R), (SF, R), (CL, I), (RS, I)]),
        ("FIN from the client", Request, segment(fin, CLIENT, SERVER),
         [(SS, I), (CF, R), (PU, R), (CF, R), (CF, R), (CL, R), (CL, I), (RS, I)]),
        ("SYN-ACK of a new server state", Reply, segment(syn_ack, SERVER + far, 8),
         [(SR, R), (SR, R), (SR, R), (SR, R), (SR, R), (SR, R), (CL, I), (RS, I)]),
        ("old SYN-ACK", Reply, segment(syn_ack, SERVER - 1, CLIENT),
         [(SR, R), (SR, R), (SR, R), (ES, I), (CF, I), (SF, I), (CL, I), (RS, I)]),
        ("ACK from the server", Reply, segment(ACK, SERVER, CLIENT),
         [(SS, I), (SR, I), (ES, R), (ES, R), (CF, R), (SF, R), (CL, I), (RS, I)]),
        ("FIN from the server", Reply, segment(fin, SERVER, CLIENT),
         [(SS, I), (SR, I), (SF, R), (SF, R), (CL, R), (SF, R), (CL, I), (RS, I)]),
        ("exact RST from the client", Request, segment(rst, CLIENT, 0),
         [(RS, R), (RS, R), (RS, R), (RS, R), (RS, R), (RS, R), (RS, I), (RS, I)]),
        ("exact RST from the server", Reply, segment(rst | ACK, SERVER, CLIENT),
         [(RS, R), (RS, R), (RS, R), (RS, R), (RS, R), (RS, R), (RS, I), (RS, I)]),
        ("stray RST from the client", Request, segment(rst, CLIENT + 1, 0),
         [(SS, I), (SR, I), (PU, I), (ES, I), (CF, I), (SF, I), (CL, I), (RS, I)]),
        ("data from elsewhere in the sequence", Request, segment(ACK, CLIENT + far, 0),
         [(SS, I), (SR, I), (PU, I), (ES, I), (CF, I), (SF, I), (CL, I), (RS, I)]),
        ("SYN-ACK from the client", Request, segment(syn_ack, CLIENT, 0),
         [(SS, I), (SR, I), (PU, I), (ES, I), (CF, I), (SF, I), (CL, I), (RS, I)]),
        ("SYN from the server", Reply, segment(TcpFlags::SYN, SERVER, 0),
         [(SS, I), (SR, I), (PU, I), (ES, I), (CF, I), (SF, I), (CL, I), (RS, I)]),
    ];
    for (name, direction, tcp, expected) in table {
        for (state, (after, effect)) in states.into_iter().zip(expected) {
            let mut record = flow(state);
            let got = track(&mut record, direction, &tcp);
            assert_eq!((record.state, got), (after, effect), "{name} in {state:?}");
        }
    }
}

#[test]
fn a_whole_connection_ends_in_closing_and_a_late_ack_does_not_revive_it() {
    use Direction::{Reply, Request};
    let mut record = flow(State::SynSent);
    record.begin(&segment(TcpFlags::SYN, 99, 0));
    let fin = TcpFlags::FIN | TcpFlags::ACK;
    let steps = [
        (Reply, segment(TcpFlags::SYN | TcpFlags::ACK, 299, 100), State::SynReceived),
        (Request, segment(TcpFlags::ACK, 100, 300), State::Established),
        (
            Request,
            Tcp { payload_length: 50, ..segment(TcpFlags::ACK, 100, 300) },
            State::Established,
        ),
        (
            Reply,
            Tcp { payload_length: 500, ..segment(TcpFlags::ACK, 300, 150) },
            State::Established,
        ),
        (Request, segment(fin, 150, 800), State::ClientFinished),
        (Reply, segment(fin, 800, 151), State::Closing),
    ];
    for (direction, tcp, state) in steps {
        assert_eq!(track(&mut record, direction, &tcp), Effect::Refresh, "{tcp:?}");
        assert_eq!(record.state, state, "{tcp:?}");
    }
    let late = segment(TcpFlags::ACK, 151, 801);
    assert_eq!(track(&mut record, Direction::Request, &late), Effect::Ignore);
    assert_eq!(record.state, State::Closing);
    assert_eq!((record.client_end, record.server_end), (151, 801));
}

#[test]
fn an_out_of_order_segment_does_not_set_the_sequence_back() {
    let mut record = flow(State::Established);
    let later = Tcp { payload_length: 100, ..segment(TcpFlags::ACK, CLIENT + 100, 0) };
    let earlier = Tcp { payload_length: 100, ..segment(TcpFlags::ACK, CLIENT, 0) };
    track(&mut record, Direction::Request, &later);
    track(&mut record, Direction::Request, &earlier);
    assert_eq!(record.client_end, CLIENT + 200);
}

#[test]
fn the_sequence_may_wrap() {
    let mut record = flow(State::Established);
    record.client_end = u32::MAX - 10;
    let over = Tcp { payload_length: 100, ..segment(TcpFlags::ACK, u32::MAX - 10, 0) };
    assert_eq!(track(&mut record, Direction::Request, &over), Effect::Refresh);
    assert_eq!(record.client_end, 89);
    let rst = segment(TcpFlags::RST, 89, 0);
    track(&mut record, Direction::Request, &rst);
    assert_eq!(record.state, State::Reset);
}

#[test]
fn the_short_way_of_established_connections_does_what_the_machine_does() {
    let near = [0, 1, PLAUSIBLE - 1, PLAUSIBLE, PLAUSIBLE + 1, 1 << 30, 1 << 31];
    let sequences = near.into_iter().flat_map(|it| [it, 0u32.wrapping_sub(it)]);
    for sequence in sequences {
        for flags in 0..=u8::MAX {
            for (direction, seen) in [(Direction::Request, CLIENT), (Direction::Reply, SERVER)] {
                for payload_length in [0, 1, 65_000] {
                    let mut tcp = segment(TcpFlags(flags), seen.wrapping_add(sequence), 7);
                    tcp.payload_length = payload_length;
                    let [mut short, mut whole] = [flow(State::Established); 2];
                    let effects =
                        [track(&mut short, direction, &tcp), step(&mut whole, direction, &tcp)];
                    assert_eq!(effects[0], effects[1], "{tcp:?}");
                    assert_eq!(short.state, whole.state, "{tcp:?}");
                    let ends = |it: &Record| (it.client_end, it.server_end);
                    assert_eq!(ends(&short), ends(&whole), "{tcp:?}");
                }
            }
        }
    }
}
