//! What boxes tell each other about flows: the bodies of [`crate::Channel::Flow`].
//!
//! A follower says what it has ([`Want`]: acknowledgement, complaint and subscription in one), the
//! owner sends what it lacks ([`Segment`]). Changes are packed by hand, 8 octets for a TCP
//! connection over IPv4 whose server was named in the segment before it:
//!
//! ```text
//!   octets     1        4 or 16     2          2, unless as before   1 or 2, unless it ends
//!            | flags  | client    | its port | service's port      | place of the server      |
//!   flags    1: the flow ends  2: IPv6  4: UDP  8: the service's port is that of the one before
//! ```

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use base::Protocol;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Flow};
use crate::Incarnation;

/// A message between an owner and who follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// From a follower.
    Wants(Vec<Want>),
    /// From the owner.
    Copies(Vec<Segment>),
}

/// What a follower has of one virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The address: numbers of addresses change with documents.
    pub vip: Address,
    /// Of which start of the owner, as its streams are counted anew with each.
    pub start: Incarnation,
    /// Of which stream; 0: of none.
    pub stream: u32,
    /// Everything up to this change.
    pub have: u64,
    /// Something behind it came: what is between got lost.
    pub gap: bool,
    /// It will be moved here: the owner is to ask its forwarders before it says that this is all.
    pub sure: bool,
}

/// Changes of one virtual address' flows, from one state to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The address.
    pub vip: Address,
    /// Of which stream: higher ones are newer, and begin with nothing.
    pub stream: u32,
    /// For who has everything up to this change …
    pub from: u64,
    /// … and has everything up to this one afterwards.
    pub to: u64,
    /// There is no more: what the digest of everything must be then.
    pub digest: Option<u64>,
    /// The forwarders were asked, and what they said is in what was sent so far.
    pub sure: bool,
    /// The servers that changes name by their places here.
    pub servers: Vec<Named>,
    /// The changes, packed.
    pub changes: Vec<u8>,
}

/// An address on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

/// A server on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Where it is.
    pub address: Address,
    /// Its port.
    pub port: u16,
}

const ENDS: u8 = 1;
const IPV6: u8 = 2;
const UDP: u8 = 4;
const SAME_PORT: u8 = 8;

/// The most octets that a change takes, a new server's name included.
pub const CHANGE_OCTETS: usize = 1 + 16 + 2 + 2 + 2 + NAMED_OCTETS;
const NAMED_OCTETS: usize = 1 + 16 + 3;
/// The most octets of a segment without servers and changes, of its message, and of the two
/// lengths.
pub const SEGMENT_OCTETS: usize = 17 + 5 + 10 + 10 + 11 + 1 + 3 + 3 + 2;

/// Packs changes, and notes the servers they name.
#[derive(Debug, Default)]
pub struct Packer {
    servers: Vec<Named>,
    changes: Vec<u8>,
    port: Option<u16>,
    octets: usize,
}

impl Packer {
    /// Octets so far, those of servers included.
    pub const fn octets(&self) -> usize {
        self.octets
    }

    /// Adds that a flow has a server, or has ended.
    pub fn push(&mut self, flow: &Flow, server: Option<&Endpoint>) {
        let before = self.changes.len();
        let client = flow.client.to_ipv4_mapped();
        let mut flags = 0;
        for (flag, set) in [
            (ENDS, server.is_none()),
            (IPV6, client.is_none()),
            (UDP, flow.protocol == Protocol::UDP),
            (SAME_PORT, self.port == Some(flow.port)),
        ] {
            if set {
                flags |= flag;
            }
        }
        self.changes.push(flags);
        match client {
            Some(v4) => self.changes.extend(v4.octets()),
            None => self.changes.extend(flow.client.octets()),
        }
        self.changes.extend(flow.client_port.to_be_bytes());
        if self.port.replace(flow.port) != Some(flow.port) {
            self.changes.extend(flow.port.to_be_bytes());
        }
        if let Some(server) = server {
            let place = self.place(Named::from(*server));
            match u8::try_from(place) {
                Ok(place) if place < 0x80 => self.changes.push(place),
                // A body has room for less than 2¹⁵ servers.
                Ok(_) | Err(_) => {
                    let place = u16::try_from(place).unwrap_or(u16::MAX) | 0x8000;
                    self.changes.extend(place.to_be_bytes());
                }
            }
        }
        self.octets += self.changes.len() - before;
    }

    fn place(&mut self, named: Named) -> usize {
        // The last few are likely the same: pools are small, and bodies are short.
        let known = self.servers.iter().position(|known| *known == named);
        known.unwrap_or_else(|| {
            self.servers.push(named);
            self.octets += NAMED_OCTETS;
            self.servers.len() - 1
        })
    }

    /// What was packed.
    pub fn finish(self) -> (Vec<Named>, Vec<u8>) {
        (self.servers, self.changes)
    }
}

impl From<Ipv6Addr> for Address {
    fn from(address: Ipv6Addr) -> Self {
        match address.to_ipv4_mapped() {
            Some(v4) => Self::V4(v4.octets()),
            None => Self::V6(address.octets()),
        }
    }
}

impl From<Address> for Ipv6Addr {
    fn from(address: Address) -> Self {
        match address {
            Address::V4(octets) => Ipv4Addr::from(octets).to_ipv6_mapped(),
            Address::V6(octets) => Self::from(octets),
        }
    }
}

impl From<Endpoint> for Named {
    fn from(server: Endpoint) -> Self {
        Self { address: server.address.into(), port: server.port }
    }
}

impl From<Named> for Endpoint {
    fn from(named: Named) -> Self {
        Self { address: named.address.into(), port: named.port }
    }
}

/// A flow, and its server unless it has ended.
pub type Change = (Flow, Option<Endpoint>);

impl Segment {
    /// The changes; none if they are not packed as they should be.
    pub fn unpack(&self) -> Option<Vec<Change>> {
        let mut octets = self.changes.as_slice();
        let mut port = None;
        let mut changes = Vec::new();
        while let Some(flags) = take::<1>(&mut octets) {
            let flags = flags[0];
            if flags & !(ENDS | IPV6 | UDP | SAME_PORT) != 0 {
                return None;
            }
            let client = if flags & IPV6 == 0 {
                Ipv4Addr::from(take::<4>(&mut octets)?).to_ipv6_mapped()
            } else {
                Ipv6Addr::from(take::<16>(&mut octets)?)
            };
            let client_port = u16::from_be_bytes(take(&mut octets)?);
            if flags & SAME_PORT == 0 {
                port = Some(u16::from_be_bytes(take(&mut octets)?));
            }
            let protocol = if flags & UDP == 0 { Protocol::TCP } else { Protocol::UDP };
            let flow = Flow { client, client_port, port: port?, protocol };
            let server = if flags & ENDS == 0 { Some(self.server(&mut octets)?) } else { None };
            changes.push((flow, server));
        }
        Some(changes)
    }

    fn server(&self, octets: &mut &[u8]) -> Option<Endpoint> {
        let [first] = take::<1>(octets)?;
        let place = if first < 0x80 {
            usize::from(first)
        } else {
            let [second] = take::<1>(octets)?;
            usize::from(u16::from_be_bytes([first & 0x7f, second]))
        };
        self.servers.get(place).copied().map(Endpoint::from)
    }
}

/// The first `N` octets, which are not there any more then; none if there are fewer.
fn take<const N: usize>(octets: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = octets.split_first_chunk::<N>()?;
    *octets = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use alloc::string::String;
    use alloc::vec;
    use model::limits::CLUSTER_BODY;
    use proptest::prelude::*;

    const VIP: Address = Address::V4([192, 0, 2, 80]);

    fn flow(last: u8, port: u16) -> Flow {
        let client = Ipv4Addr::new(198, 51, 100, last).to_ipv6_mapped();
        Flow { client, client_port: 50_000 + u16::from(last), port, protocol: Protocol::TCP }
    }

    fn server(last: u8) -> Endpoint {
        Endpoint { address: Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped(), port: 8_080 }
    }

    fn segment(changes: &[Change]) -> Segment {
        let mut packer = Packer::default();
        for (flow, server) in changes {
            packer.push(flow, server.as_ref());
        }
        let (servers, changes) = packer.finish();
        let (vip, stream, digest) = (VIP, 7, Some(0x0102_0304_0506_0708));
        Segment { vip, stream, from: 4, to: 300, digest, sure: true, servers, changes }
    }

    /// The octets of each message, as in [`crate::wire`].
    #[test]
    fn each_message_has_the_octets_that_it_always_had() {
        let six = Flow {
            client: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9),
            client_port: 4_660,
            port: 53,
            protocol: Protocol::UDP,
        };
        let inside = Endpoint { address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 17), port: 5_353 };
        let segment = segment(&[
            (flow(1, 80), Some(server(11))),
            (flow(2, 80), Some(server(12))),
            (flow(3, 80), None),
            (six, Some(inside)),
        ]);
        let start = Incarnation(2);
        let want = Want { vip: VIP, start, stream: 7, have: 300, gap: true, sure: false };
        let rows = [(Message::Wants(vec![want]), WANTS), (Message::Copies(vec![segment]), COPIES)];
        for (message, golden) in rows {
            let octets = encode(&message).unwrap();
            let hex: String = octets.iter().map(|octet| alloc::format!("{octet:02x}")).collect();
            assert_eq!(hex, golden);
        }
    }

    const WANTS: &str = "000100c00002500207ac020100";
    const COPIES: &str = concat!(
        "010100c00002500704ac0201888e98a8c0e080810101",
        "03000a00000b903f000a00000c903f01fd000000000000000000000000000011e929",
        "2f00c6336401c35100500008c6336402c3520109c6336403c353",
        "0620010db80000000000000000000000091234003502",
    );

    #[test]
    fn a_connection_over_ipv4_takes_eight_octets() {
        let mut packer = Packer::default();
        packer.push(&flow(1, 80), Some(&server(11)));
        let before = packer.octets();
        packer.push(&flow(2, 80), Some(&server(11)));
        assert_eq!(packer.octets() - before, 8);
    }

    #[test]
    fn the_largest_change_and_segment_are_as_large_as_is_reckoned_with() {
        let six = |last: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        let mut packer = Packer::default();
        for place in 0..200 {
            let flow =
                Flow { client: six(1), client_port: 1, port: place, protocol: Protocol::UDP };
            let before = packer.octets();
            packer.push(&flow, Some(&Endpoint { address: six(place), port: u16::MAX }));
            assert!(packer.octets() - before <= CHANGE_OCTETS);
        }
        let octets = packer.octets();
        let (servers, changes) = packer.finish();
        let (from, to, digest) = (u64::MAX, u64::MAX, Some(u64::MAX));
        let (vip, stream) = (Address::from(six(1)), u32::MAX);
        let segment = Segment { vip, stream, from, to, digest, sure: true, servers, changes };
        let message = Message::Copies(vec![segment]);
        let length = postcard::to_allocvec(&message).unwrap().len();
        assert!(length <= SEGMENT_OCTETS + octets, "{length} {octets}");
        const { assert!(SEGMENT_OCTETS + CHANGE_OCTETS < CLUSTER_BODY) };
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            list in proptest::collection::vec(
                (any::<(u8, bool, bool, u16, u16)>(), proptest::option::of(any::<(u8, bool)>())),
                0..300,
            ),
        ) {
            let address = |last: u8, six: bool| if six {
                Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last))
            } else {
                Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped()
            };
            let changes: Vec<Change> = list.into_iter().map(|(flow, server)| {
                let (last, six, udp, client_port, port) = flow;
                let protocol = if udp { Protocol::UDP } else { Protocol::TCP };
                let flow = Flow { client: address(last, six), client_port, port, protocol };
                let server = server.map(|(last, six)| {
                    Endpoint { address: address(last, six), port: u16::from(last) }
                });
                (flow, server)
            }).collect();
            prop_assert_eq!(segment(&changes).unpack(), Some(changes));
        }

        #[test]
        fn any_octets_decode_or_do_not(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Message::Copies(segments)) = decode(&octets) {
                for segment in segments {
                    let _ = segment.unpack();
                }
            }
            let mut segment = segment(&[(flow(1, 80), Some(server(11)))]);
            segment.changes = octets;
            let _ = segment.unpack();
        }
    }
}
