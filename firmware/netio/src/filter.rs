//! The classic BPF programs that decide, in the kernel, which frames of an interface a socket gets:
//! those with its VLAN tag (or none), none that this box sent itself, of these what is for the box
//! itself or what is not, and for [`crate::Datagrams`] only UDP to one port.
//!
//! Reading list: Linux `Documentation/networking/filter.rst` (the `SKF_AD` extensions), IEEE
//! 802.1Q-2018 §9.6 (tag control information), §6.9.1 (VLAN 0 means: a priority, but no VLAN).

use std::net::IpAddr;

use libc::sock_filter;
use model::limits;
use packet::headers::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6};

/// The 12 bits of the tag control information that name the VLAN.
pub const VLAN_MASK: u16 = 0x0fff;
/// The protocol number of an 802.1Q tag.
pub const VLAN_PROTOCOL: u16 = 0x8100;

const ACCEPT: u8 = 254;
const REJECT: u8 = 255;

/// Router solicitation to redirect: the messages of neighbor discovery (RFC 4861 §4).
const NDP: std::ops::RangeInclusive<u32> = 133..=137;

/// Which of a port's frames a socket gets.
#[derive(Clone, Copy, Debug)]
pub enum Share<'a> {
    /// All of them.
    All,
    /// What is for the box itself: frames to these addresses, ARP and neighbor discovery; not what
    /// the boxes of a cluster tell each other, which is for [`crate::Datagrams`] alone.
    Own(&'a [IpAddr]),
    /// All but those.
    Others(&'a [IpAddr]),
}

/// A program that accepts a share of what belongs to the port: with `None` untagged frames
/// (priority-tagged ones among them), with `Some(n)` frames whose outer tag is an 802.1Q tag for
/// VLAN n.
pub fn program(vlan: Option<u16>, share: Share<'_>) -> Vec<sock_filter> {
    let mut code = of_port(vlan);
    match share {
        Share::All => {}
        Share::Own(addresses) => {
            code.extend(unless_of_cluster());
            code.extend(own(addresses, ACCEPT));
            code.push(give(0));
        }
        Share::Others(addresses) => code.extend(own(addresses, REJECT)),
    }
    finish(code)
}

/// Rejects whole UDP datagrams to the port of clusters, and falls out of its end with the rest.
fn unless_of_cluster() -> Vec<sock_filter> {
    let (udp, port) = (libc::IPPROTO_UDP.unsigned_abs(), u32::from(limits::CLUSTER_PORT));
    let ipv4 = [
        load(libc::BPF_B, 23),
        jump_if(udp, 0, 6),
        load(libc::BPF_H, 20),
        and(0x3fff), // more fragments, and the offset
        jump_if(0, 0, 3),
        instruction(libc::BPF_LDX | libc::BPF_MSH | libc::BPF_B, 14),
        load_behind(libc::BPF_H, 16),
        jump_if(port, REJECT, 0),
    ];
    let ipv6 = [
        load(libc::BPF_H, 12),
        jump_if(u32::from(ETHERTYPE_IPV6), 0, 4),
        load(libc::BPF_B, 20),
        jump_if(udp, 0, 2),
        load(libc::BPF_H, 56),
        jump_if(port, REJECT, 0),
    ];
    let mut code = vec![load(libc::BPF_H, 12)];
    code.push(jump_if(u32::from(ETHERTYPE_IPV4), 0, length(ipv4.len())));
    code.extend(ipv4);
    code.extend(ipv6);
    code
}

/// Jumps to `found` with what is for the box itself, and falls out of its end with the rest. At
/// most 8 addresses of each family, or the jumps would be too long.
fn own(addresses: &[IpAddr], found: u8) -> Vec<sock_filter> {
    let (mut ipv4, mut ipv6) = (vec![load(libc::BPF_W, 30)], vec![load(libc::BPF_B, 20)]);
    ipv6.push(jump_if(libc::IPPROTO_ICMPV6.unsigned_abs(), 0, length(NDP.count() + 1)));
    ipv6.push(load(libc::BPF_B, 54));
    ipv6.extend(NDP.map(|kind| jump_if(kind, found, 0)));
    for address in addresses {
        match address {
            IpAddr::V4(address) => ipv4.push(jump_if(address.to_bits(), found, 0)),
            IpAddr::V6(address) => {
                for (word, offset) in (0..4).zip([38, 42, 46, 50]) {
                    let bits = (address.to_bits() >> (96 - 32 * word)) as u32;
                    let rest = 2 * (3 - word);
                    ipv6.push(load(libc::BPF_W, offset));
                    ipv6.push(jump_if(bits, if word == 3 { found } else { 0 }, length(rest)));
                }
            }
        }
    }
    ipv4.push(skip(ipv6.len() + 1));
    let mut code = vec![load(libc::BPF_H, 12), jump_if(u32::from(ETHERTYPE_ARP), found, 0)];
    code.push(jump_if(u32::from(ETHERTYPE_IPV4), 0, length(ipv4.len())));
    code.extend(ipv4);
    code.push(jump_if(u32::from(ETHERTYPE_IPV6), 0, length(ipv6.len())));
    code.extend(ipv6);
    code
}

/// A program that accepts, of what belongs to the port, whole UDP datagrams to `port` whose
/// second octet is one of `kinds`, over IPv4 (RFC 791 §3.1) or IPv6 without extension headers
/// (RFC 8200 §3). It does not look at checksums.
pub fn datagrams(vlan: Option<u16>, port: u16, kinds: &[u8]) -> Vec<sock_filter> {
    let mut code = of_port(vlan);
    let udp = libc::IPPROTO_UDP.unsigned_abs();
    let port = u32::from(port);
    // Both versions end with the kind in the accumulator, IPv4 by a jump over IPv6.
    let ipv4 = [
        load(libc::BPF_B, 23),
        jump_if(udp, 0, REJECT),
        load(libc::BPF_H, 20),
        and(0x3fff), // more fragments, and the offset
        jump_if(0, 0, REJECT),
        instruction(libc::BPF_LDX | libc::BPF_MSH | libc::BPF_B, 14),
        load_behind(libc::BPF_H, 16),
        jump_if(port, 0, REJECT),
        load_behind(libc::BPF_B, 23),
        skip(5),
    ];
    let ipv6 = [
        load(libc::BPF_B, 20),
        jump_if(udp, 0, REJECT),
        load(libc::BPF_H, 56),
        jump_if(port, 0, REJECT),
        load(libc::BPF_B, 63),
    ];
    code.extend([load(libc::BPF_H, 12), jump_if(u32::from(ETHERTYPE_IPV4), 1, 0)]);
    code.push(jump_if(u32::from(ETHERTYPE_IPV6), 10, REJECT));
    code.extend(ipv4);
    code.extend(ipv6);
    code.extend(kinds.iter().map(|&kind| jump_if(u32::from(kind), ACCEPT, 0)));
    code.push(give(0));
    finish(code)
}

/// Falls out of its end with what belongs to the port.
fn of_port(vlan: Option<u16>) -> Vec<sock_filter> {
    let outgoing = u32::from(libc::PACKET_OUTGOING);
    let mut code = vec![extension(libc::SKF_AD_PKTTYPE), jump_if(outgoing, REJECT, 0)];
    match vlan {
        None => code.extend([
            extension(libc::SKF_AD_VLAN_TAG_PRESENT),
            jump_if(0, 3, 0),
            extension(libc::SKF_AD_VLAN_TAG),
            and(u32::from(VLAN_MASK)),
            jump_if(0, 0, REJECT),
        ]),
        Some(number) => code.extend([
            extension(libc::SKF_AD_VLAN_TAG_PRESENT),
            jump_if(0, REJECT, 0),
            extension(libc::SKF_AD_VLAN_TPID),
            jump_if(u32::from(VLAN_PROTOCOL), 0, REJECT),
            extension(libc::SKF_AD_VLAN_TAG),
            and(u32::from(VLAN_MASK)),
            jump_if(u32::from(number), 0, REJECT),
        ]),
    }
    code
}

/// Puts both ends behind a program: the fall out of its end accepts.
fn finish(mut code: Vec<sock_filter>) -> Vec<sock_filter> {
    let accept = code.len();
    code.extend([give(u32::MAX), give(0)]);
    for (at, instruction) in code.iter_mut().enumerate().take(accept) {
        for target in [&mut instruction.jt, &mut instruction.jf] {
            *target = match *target {
                ACCEPT => distance(at, accept),
                REJECT => distance(at, accept + 1),
                next => next,
            };
        }
    }
    code
}

/// A program that accepts no frame.
pub fn nothing() -> [sock_filter; 1] {
    [give(0)]
}

/// The operand of a conditional jump: instructions to skip.
fn distance(from: usize, to: usize) -> u8 {
    length(to - from - 1)
}

/// The operand of a conditional jump over so many instructions.
fn length(instructions: usize) -> u8 {
    u8::try_from(instructions).unwrap_or(u8::MAX)
}

/// Goes on behind so many instructions.
fn skip(instructions: usize) -> sock_filter {
    let instructions = u32::try_from(instructions).unwrap_or(u32::MAX);
    instruction(libc::BPF_JMP | libc::BPF_JA, instructions)
}

/// Loads what the kernel knows about the frame beside its octets.
#[expect(clippy::cast_sign_loss, reason = "the offsets are negative by definition")]
fn extension(which: libc::c_int) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (libc::SKF_AD_OFF + which) as u32)
}

/// Loads octets of the frame.
fn load(size: u32, offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | size | libc::BPF_ABS, offset)
}

/// Loads octets of the frame, counted from the length of the IPv4 header on.
fn load_behind(size: u32, offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | size | libc::BPF_IND, offset)
}

fn and(mask: u32) -> sock_filter {
    instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask)
}

fn give(octets: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, octets)
}

fn jump_if(equal: u32, then: u8, otherwise: u8) -> sock_filter {
    let jump = instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, equal);
    sock_filter { jt: then, jf: otherwise, ..jump }
}

fn instruction(code: u32, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: 0, jf: 0, k }
}
