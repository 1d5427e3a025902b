//! Pings: what is asked, what is taken for an answer, and what is not.
#![expect(clippy::panic, reason = "a helper of a test fails the test")]

use base::time::Duration;
use base::{Instant, NetworkId};
use hoststack::{Attachment, Echo, EchoError, EchoOutcome, Event, HostStack};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, Ipv4Packet, Ipv6Packet};
use std::net::IpAddr;

const OUTSIDE: NetworkId = NetworkId(0);
const V4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const V6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

fn host() -> HostStack {
    let prefix = |text: &str| text.parse().expect("a prefix");
    let place = Attachment {
        network: OUTSIDE,
        addresses: vec![prefix("192.0.2.1/24"), prefix("2001:db8::1/64")],
        gateways: vec![ip(V4[1])],
        mtu: 1500,
    };
    HostStack::new(Instant::ZERO, vec![place], 49_152..=60_999, 1)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn take(host: &mut HostStack, now: Instant, packet: &[u8]) {
    host.handle_packet(now, OUTSIDE, packet).expect("room");
}

fn sent(host: &mut HostStack, now: Instant) -> Vec<Vec<u8>> {
    let mut out = [0; 1500];
    let mut packets = Vec::new();
    while let Some((network, length)) = host.poll_transmit(now, &mut out) {
        assert_eq!(network, OUTSIDE);
        packets.push(out[..length].to_vec());
    }
    packets
}

/// What the host that was asked answers: the same with the addresses exchanged.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut packet = question.to_vec();
    let sums = ChecksumCapabilities::default();
    if question[0] >> 4 == 4 {
        let asked = Ipv4Packet::new_checked(question).expect("a packet");
        assert!(asked.verify_checksum());
        let icmp = Icmpv4Packet::new_checked(asked.payload()).expect("ICMP");
        let Ok(Icmpv4Repr::EchoRequest { ident, seq_no, data }) = Icmpv4Repr::parse(&icmp, &sums)
        else {
            panic!("no echo request")
        };
        let reply = Icmpv4Repr::EchoReply { ident, seq_no, data };
        packet[12..16].copy_from_slice(&question[16..20]);
        packet[16..20].copy_from_slice(&question[12..16]);
        reply.emit(&mut Icmpv4Packet::new_unchecked(&mut packet[20..]), &sums);
    } else {
        let asked = Ipv6Packet::new_checked(question).expect("a packet");
        let (from, to) = (asked.src_addr(), asked.dst_addr());
        let icmp = Icmpv6Packet::new_checked(asked.payload()).expect("ICMP");
        let Ok(Icmpv6Repr::EchoRequest { ident, seq_no, data }) =
            Icmpv6Repr::parse(&from, &to, &icmp, &sums)
        else {
            panic!("no echo request")
        };
        let reply = Icmpv6Repr::EchoReply { ident, seq_no, data };
        packet[8..24].copy_from_slice(&question[24..40]);
        packet[24..40].copy_from_slice(&question[8..24]);
        reply.emit(&to, &from, &mut Icmpv6Packet::new_unchecked(&mut packet[40..]), &sums);
    }
    packet
}

/// An ICMP error of a router about a packet.
fn error(question: &[u8], router: &str, kind: u8) -> Vec<u8> {
    let (from, to) = if question[0] >> 4 == 4 {
        (ip(router), IpAddr::from(Ipv4Packet::new_checked(question).expect("a packet").src_addr()))
    } else {
        (ip(router), IpAddr::from(Ipv6Packet::new_checked(question).expect("a packet").src_addr()))
    };
    fixtures::icmp_error(from, to, [kind, 0], 0, &framed(question), 8)[14..].to_vec()
}

/// The packet in a frame.
fn framed(packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind, packet].concat()
}

#[test]
fn an_answer_is_told_with_its_round_trip() {
    for (own, remote) in [(V4[0], V4[1]), (V6[0], V6[1])] {
        let mut host = host();
        assert_eq!(host.ask_echo(Instant::ZERO, ip(remote), 77, 1), Ok(ip(own)));
        assert_eq!(host.next_deadline(Instant::ZERO), Some(Instant::ZERO), "something to send");
        let question = sent(&mut host, Instant::ZERO).remove(0);
        let now = Instant::ZERO + Duration::from_millis(3);
        take(&mut host, now, &answer(&question));
        assert_eq!(host.poll_event(), Some(Event::Echo(77)));
        let (from, outcome, round_trip) =
            (ip(remote), EchoOutcome::Replied, Duration::from_millis(3));
        assert_eq!(host.poll_echo(78), None, "somebody else's");
        assert_eq!(host.poll_echo(77), Some(Echo { sequence: 1, from, outcome, round_trip }));
        assert_eq!(host.poll_echo(77), None);
        take(&mut host, now, &answer(&question));
        assert_eq!((host.poll_event(), host.poll_echo(77)), (None, None), "it came twice");
        assert_eq!(sent(&mut host, now), Vec::<Vec<u8>>::new(), "nothing is said to that");
    }
}

#[test]
fn routers_that_cannot_deliver_a_question_are_believed_if_they_quote_it() {
    use EchoOutcome::{Expired, Unreachable};
    for (remote, router, kind, outcome) in [
        (V4[1], V4[1], 3, Unreachable),
        ("198.51.100.7", V4[1], 3, Unreachable),
        ("198.51.100.7", "203.0.113.9", 11, Expired),
        (V6[1], "2001:db8::99", 1, Unreachable),
        (V6[1], "2001:db8:5::1", 3, Expired),
    ] {
        let mut host = host();
        host.ask_echo(Instant::ZERO, ip(remote), 77, 2).expect("asked");
        let question = sent(&mut host, Instant::ZERO).remove(0);
        let mut other = question.clone();
        let sequence = other.len() - 56 - 1;
        other[sequence] ^= 1;
        take(&mut host, Instant::ZERO, &error(&other, router, kind));
        assert_eq!(host.poll_echo(77), None, "that was not asked");
        take(&mut host, Instant::ZERO, &error(&question, router, kind));
        let echo = host.poll_echo(77).expect("an answer");
        assert_eq!((echo.from, echo.sequence, echo.outcome), (ip(router), 2, outcome), "{remote}");
    }
}

#[test]
fn what_was_not_asked_or_is_broken_is_no_answer() {
    for remote in [V4[1], V6[1]] {
        let mut host = host();
        host.ask_echo(Instant::ZERO, ip(remote), 77, 1).expect("asked");
        let question = sent(&mut host, Instant::ZERO).remove(0);
        let whole = answer(&question);
        // From the addresses on; what stands before them is the forwarder's to judge.
        for place in if remote == V4[1] { 12 } else { 8 }..whole.len() {
            let mut broken = whole.clone();
            broken[place] ^= 0x11;
            take(&mut host, Instant::ZERO, &broken);
        }
        take(&mut host, Instant::ZERO, &question);
        assert_eq!(host.poll_echo(77), None);
        host.forget_echoes(77);
        take(&mut host, Instant::ZERO, &whole);
        assert_eq!((host.poll_event(), host.poll_echo(77)), (None, None), "nobody waits for it");
    }
}

#[test]
fn who_cannot_be_asked_is_told_why() {
    let mut host = host();
    for (remote, why) in [
        (V4[0], EchoError::Own),
        (V6[0], EchoError::Own),
        ("224.0.0.1", EchoError::Unaddressable),
        ("127.0.0.1", EchoError::Unaddressable),
        ("::", EchoError::Unaddressable),
        ("2001:db8:77::1", EchoError::NoRoute),
    ] {
        assert_eq!(host.ask_echo(Instant::ZERO, ip(remote), 1, 1), Err(why), "{remote}");
    }
    let asked = (0..1_000).take_while(|&sequence| {
        sent(&mut host, Instant::ZERO);
        host.ask_echo(Instant::ZERO, ip(V4[1]), 1, sequence).is_ok()
    });
    assert_eq!(asked.count(), model::limits::STACK_ECHOES);
    assert_eq!(host.ask_echo(Instant::ZERO, ip(V4[1]), 2, 1), Err(EchoError::Full));
    host.forget_echo(1, 3);
    assert_eq!(host.ask_echo(Instant::ZERO, ip(V4[1]), 2, 1), Ok(ip(V4[0])));
}
