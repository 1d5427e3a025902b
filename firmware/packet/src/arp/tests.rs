use fixtures::{RECEIVER, SENDER};

use super::*;

const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

#[test]
fn requests_and_replies_are_read_and_written_alike() {
    let request = Arp {
        operation: Operation::Request,
        sender_mac: SENDER,
        sender: HERE,
        target_mac: Mac::ZERO,
        target: THERE,
    };
    let reply = Arp { operation: Operation::Reply, target_mac: RECEIVER, ..request };
    let probe = Arp { sender: Ipv4Addr::UNSPECIFIED, ..request };
    let announcement = Arp { sender: THERE, ..request };
    for (arp, destination, frame) in [
        (request, Mac::BROADCAST, fixtures::arp_request(HERE, THERE)),
        (reply, RECEIVER, fixtures::arp_reply(HERE, THERE)),
        (probe, Mac::BROADCAST, fixtures::arp_request(Ipv4Addr::UNSPECIFIED, THERE)),
        (announcement, Mac::BROADCAST, fixtures::arp_request(THERE, THERE)),
    ] {
        assert_eq!(parse(&frame), Ok(arp));
        assert_eq!(parse(&frame[..42]), Ok(arp));
        let mut out = [0xa5; 70];
        assert_eq!(emit(&mut out, SENDER, destination, &arp), Some(60));
        assert_eq!(out[..60], frame);
        assert_eq!(out[60..], [0xa5; 10]);
        assert_eq!(emit(&mut out[..59], SENDER, destination, &arp), None);
    }
}

#[test]
fn what_is_no_arp_for_ipv4_over_ethernet_is_refused() {
    let request = fixtures::arp_request(HERE, THERE);
    let probe = fixtures::arp_request(Ipv4Addr::UNSPECIFIED, THERE);
    for (name, frame, at, octet) in [
        ("hardware type", &request, 15, 6),
        ("protocol type", &request, 16, 0x86),
        ("hardware length", &request, 18, 8),
        ("protocol length", &request, 19, 16),
        ("operation 0", &request, 21, 0),
        ("reverse ARP", &request, 21, 3),
        ("operation 256", &request, 20, 1),
        ("group sender", &request, 22, 3),
        ("multicast sender address", &request, 28, 224),
        ("loopback sender address", &request, 28, 127),
        ("multicast target", &request, 38, 239),
        ("reply from nowhere", &probe, 21, 2),
    ] {
        let mut frame = frame.clone();
        frame[at] = octet;
        assert_eq!(parse(&frame), Err(Malformed::BadArp), "{name}");
    }
    for length in 0..42 {
        assert_eq!(parse(&request[..length]), Err(Malformed::FrameTooShort));
    }
}
