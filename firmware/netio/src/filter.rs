//! The classic BPF program that decides, in the kernel, which frames of an interface a port gets:
//! those with its VLAN tag (or none), and none that this box sent itself.
//!
//! Reading list: Linux `Documentation/networking/filter.rst` (the `SKF_AD` extensions), IEEE
//! 802.1Q-2018 §9.6 (tag control information), §6.9.1 (VLAN 0 means: a priority, but no VLAN).

use libc::sock_filter;

/// The 12 bits of the tag control information that name the VLAN.
pub const VLAN_MASK: u16 = 0x0fff;
/// The protocol number of an 802.1Q tag.
pub const VLAN_PROTOCOL: u16 = 0x8100;

const ACCEPT: u8 = 254;
const REJECT: u8 = 255;

/// A program that accepts what belongs to the port: with `None` untagged frames (priority-tagged
/// ones among them), with `Some(n)` frames whose outer tag is an 802.1Q tag for VLAN n.
pub fn program(vlan: Option<u16>) -> Vec<sock_filter> {
    let outgoing = u32::from(libc::PACKET_OUTGOING);
    let mut code = vec![extension(libc::SKF_AD_PKTTYPE), jump_if(outgoing, REJECT, 0)];
    match vlan {
        None => code.extend([
            extension(libc::SKF_AD_VLAN_TAG_PRESENT),
            jump_if(0, ACCEPT, 0),
            extension(libc::SKF_AD_VLAN_TAG),
            and(u32::from(VLAN_MASK)),
            jump_if(0, ACCEPT, REJECT),
        ]),
        Some(number) => code.extend([
            extension(libc::SKF_AD_VLAN_TAG_PRESENT),
            jump_if(0, REJECT, 0),
            extension(libc::SKF_AD_VLAN_TPID),
            jump_if(u32::from(VLAN_PROTOCOL), 0, REJECT),
            extension(libc::SKF_AD_VLAN_TAG),
            and(u32::from(VLAN_MASK)),
            jump_if(u32::from(number), ACCEPT, REJECT),
        ]),
    }
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
    u8::try_from(to - from - 1).unwrap_or(u8::MAX)
}

/// Loads what the kernel knows about the frame beside its octets.
#[expect(clippy::cast_sign_loss, reason = "the offsets are negative by definition")]
fn extension(which: libc::c_int) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (libc::SKF_AD_OFF + which) as u32)
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
