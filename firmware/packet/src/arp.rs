//! ARP for IPv4 over Ethernet.
//!
//! Reading list: RFC 826 (the packet and how it is read), RFC 5227 §1.1 and §2 (probes,
//! announcements), RFC 1122 §2.3.2.1.
//!
//! ```text
//!  14       16       18  19  20         22           28           32           38        42
//!  | hw = 1 | 0x0800 | 6 | 4 | operation | sender MAC | sender IP | target MAC | target IP |
//! ```

use core::net::Ipv4Addr;

use base::Mac;

use crate::bytes::{array, put, put16};
use crate::emit::ethernet;
use crate::headers::{ETHERNET_LENGTH, ETHERTYPE_ARP, is_host_v4};
use crate::malformed::Malformed;

/// Octets of the ARP packet.
const LENGTH: usize = 28;
/// The shortest frame that Ethernet carries, without its check sequence.
const MINIMUM_FRAME: usize = 60;

/// What an ARP packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: Operation,
    /// The sender's Ethernet address.
    pub sender_mac: Mac,
    /// The sender's address; unspecified in a probe (RFC 5227 §1.1).
    pub sender: Ipv4Addr,
    /// The target's Ethernet address; nothing in a request.
    pub target_mac: Mac,
    /// The target's address; the sender's own in an announcement.
    pub target: Ipv4Addr,
}

/// Reads a frame that [`crate::headers::parse`] says is ARP.
///
/// # Errors
/// [`Malformed::FrameTooShort`], or [`Malformed::BadArp`]: another hardware, protocol or
/// operation, a sender that is a group, or an address that is no host's. An unspecified sender is
/// legal in a request alone.
pub fn parse(bytes: &[u8]) -> Result<Arp, Malformed> {
    let head: [u8; 8] = array(bytes, ETHERNET_LENGTH).ok_or(Malformed::FrameTooShort)?;
    let body: [u8; 20] = array(bytes, ETHERNET_LENGTH + 8).ok_or(Malformed::FrameTooShort)?;
    let [0, 1, 0x08, 0x00, 6, 4, 0, operation] = head else { return Err(Malformed::BadArp) };
    let operation = match operation {
        1 => Operation::Request,
        2 => Operation::Reply,
        _ => return Err(Malformed::BadArp),
    };
    let [a, b, c, d, e, f, s0, s1, s2, s3, g, h, i, j, k, l, t0, t1, t2, t3] = body;
    let arp = Arp {
        operation,
        sender_mac: Mac([a, b, c, d, e, f]),
        sender: Ipv4Addr::new(s0, s1, s2, s3),
        target_mac: Mac([g, h, i, j, k, l]),
        target: Ipv4Addr::new(t0, t1, t2, t3),
    };
    let probe = arp.operation == Operation::Request && arp.sender.is_unspecified();
    if arp.sender_mac.is_group()
        || arp.sender_mac == Mac::ZERO
        || !(probe || is_host_v4(arp.sender))
        || !is_host_v4(arp.target)
    {
        return Err(Malformed::BadArp);
    }
    Ok(arp)
}

/// Writes a frame, padded to Ethernet's 60 octets. Returns that length; `None` if `out` is
/// shorter.
pub fn emit(out: &mut [u8], source_mac: Mac, destination_mac: Mac, arp: &Arp) -> Option<usize> {
    let out = out.get_mut(..MINIMUM_FRAME)?;
    ethernet(out, destination_mac, source_mac, ETHERTYPE_ARP);
    let at = ETHERNET_LENGTH;
    put(out, at, [0, 1, 0x08, 0x00, 6, 4]);
    put16(
        out,
        at + 6,
        match arp.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        },
    );
    put(out, at + 8, arp.sender_mac.0);
    put(out, at + 14, arp.sender.octets());
    put(out, at + 18, arp.target_mac.0);
    put(out, at + 24, arp.target.octets());
    out.get_mut(at + LENGTH..)?.fill(0);
    Some(MINIMUM_FRAME)
}

#[cfg(test)]
mod tests;
