//! Where fuzzing starts: one input for every kind of frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base::Offload;
use fixtures::{ACK, CWR, FIN, PSH, Packet, SYN, Upper, at, fragments, gso, icmp_error, partial};

/// Choices, offload header and frame, joined as `super::input` takes them apart.
pub(super) fn inputs() -> Vec<Vec<u8>> {
    let mut inputs = vec![];
    for (index, (frame, offload)) in frames().into_iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "a few dozen frames")]
        let mut input = vec![0x80 | index as u8, 0, 100, 3, 1, 2];
        input.extend(packet::virtio::encode(&offload));
        input.extend(frame);
        inputs.push(input);
    }
    let mut capture = packet::pcap::Writer::new();
    capture.push(base::Instant::from_millis(1), b"a captured frame");
    inputs.push([vec![0; 16], capture.into_bytes()].concat());
    inputs
}

fn frames() -> Vec<(Vec<u8>, Offload)> {
    let mut frames = vec![];
    for [client, vip] in
        [["198.51.100.7:40000", "192.0.2.80:80"], ["[2001:db8:7::7]:40000", "[2001:db8:1::80]:80"]]
    {
        family(&mut frames, at(client), at(vip));
    }
    let mut add = |frame: Vec<u8>| frames.push((frame, Offload::NONE));
    let [v4a, v4b] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 80)];
    add(fixtures::arp_request(v4a, v4b));
    add(fixtures::arp_reply(v4a, v4b));
    let v6 = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    add(fixtures::neighbor_solicitation(v6, v6));
    add(fixtures::neighbor_solicitation(Ipv6Addr::UNSPECIFIED, v6));
    add(fixtures::neighbor_advertisement(v6, v6, v6, 0x60));
    frames
}

/// Everything that exists in both versions, and the extras of each.
fn family(frames: &mut Vec<(Vec<u8>, Offload)>, client: SocketAddr, vip: SocketAddr) {
    let data = [0x2a; 600];
    let udp = Packet::udp(client, vip, &data);
    let v4 = client.is_ipv4();
    let (router, unreachable): (IpAddr, _) = if v4 {
        (Ipv4Addr::new(203, 0, 113, 1).into(), [3, 3])
    } else {
        (Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 1).into(), [1, 4])
    };
    let mut add = |frame: Vec<u8>| frames.push((frame, Offload::NONE));
    add(fixtures::tcp_syn(client, vip));
    add(fixtures::tcp(client, vip, ACK | PSH | FIN, b"data"));
    add(Packet::tcp(client, vip, SYN, &[]).build_padded());
    add(udp.build());
    add(udp.clone().without_checksum().build());
    add(fixtures::icmp_echo(client.ip(), vip.ip(), 7, 7));
    add(fixtures::icmp_echo_reply(client.ip(), vip.ip(), 7, 7));
    add(Packet::new(client.ip(), vip.ip(), Upper::Other(47, vec![0; 8])).build());
    fragments(&udp.build(), 256, 9).into_iter().for_each(&mut add);
    for about in [
        udp.build(),
        fixtures::tcp(vip, client, ACK, &data),
        fixtures::icmp_echo(vip.ip(), client.ip(), 7, 7),
        fragments(&udp.build(), 256, 9)[1].clone(),
    ] {
        for octets in [8, 20, 1000] {
            add(icmp_error(router, vip.ip(), unreachable, 1400, &about, octets));
        }
    }
    if v4 {
        let mut optional = udp.clone().with_options(&[7, 7, 4, 0, 0, 0, 0, 1, 0x94, 4, 0, 0]);
        optional.dont_fragment = false;
        add(optional.build());
        add(udp.clone().with_options(&[0x83, 7, 8, 1, 2, 3, 4]).build());
    } else {
        let options = udp.clone().with_extension(0, 8).with_extension(60, 16);
        add(options.clone().with_extension(43, 24).build());
        add(options.with_fragment_header(0, false, 5).build());
    }
    frames.push(partial(&udp));
    frames.push(gso(&Packet::tcp(client, vip, ACK | PSH | FIN | CWR, &data), 256));
    frames.push(gso(&udp, 256));
}
