//! What makes packets belong together.

use core::net::Ipv6Addr;

/// An IP protocol number with a name where the product treats it specially (RFC 5237 registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// RFC 792.
    pub const ICMP: Self = Self(1);
    /// RFC 9293.
    pub const TCP: Self = Self(6);
    /// RFC 768.
    pub const UDP: Self = Self(17);
    /// RFC 4443.
    pub const ICMPV6: Self = Self(58);
}

/// A 5-tuple as one packet shows it. IPv4 addresses are IPv4-mapped ([`crate::address::mapped`]).
/// Ports are in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Who sent the packet.
    pub source: Ipv6Addr,
    /// Whom it is for.
    pub destination: Ipv6Addr,
    /// Sender's port.
    pub source_port: u16,
    /// Receiver's port.
    pub destination_port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

impl FlowKey {
    /// The key that packets in the other direction carry.
    pub const fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            protocol: self.protocol,
        }
    }

    /// Whether both are the same: as `==`, without a branch for each part. For where they nearly
    /// always are.
    #[inline(always)]
    pub fn is(&self, other: &Self) -> bool {
        let ports = |key: &Self| u32::from(key.source_port) << 16 | u32::from(key.destination_port);
        (self.source == other.source)
            & (self.destination == other.destination)
            & (ports(self) == ports(other))
            & (self.protocol == other.protocol)
    }

    /// The same as numbers.
    #[inline(always)]
    pub const fn bits(&self) -> FlowBits {
        FlowBits {
            source: self.source.to_bits(),
            destination: self.destination.to_bits(),
            ports: (self.source_port as u32) << 16 | self.destination_port as u32,
            protocol: self.protocol,
        }
    }

    /// A 64-bit hash under a secret `seed`, so that nobody outside can aim at one bucket.
    #[inline]
    pub fn hash(&self, seed: u64) -> u64 {
        self.bits().hash(seed)
    }
}

/// A [`FlowKey`] as numbers, the way it is hashed: for whoever has them already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowBits {
    /// Who sent the packet; an IPv4 address is mapped.
    pub source: u128,
    /// Whom it is for.
    pub destination: u128,
    /// The sender's port in the high half, the receiver's in the low one.
    pub ports: u32,
    /// TCP or UDP.
    pub protocol: Protocol,
}

impl FlowBits {
    /// A 64-bit hash under a secret `seed`.
    ///
    /// Multiply-and-fold over four words, as wyhash does; two multiplications deep.
    #[inline(always)]
    pub fn hash(&self, seed: u64) -> u64 {
        let ([a, b], [c, d]) = (halves(self.source), halves(self.destination));
        let tail = u64::from(self.ports) << 8 | u64::from(self.protocol.0);
        let left = fold(a ^ seed, b ^ 0xa076_1d64_78bd_642f);
        let right = fold(c ^ seed.rotate_left(32), d ^ 0xe703_7ed1_a0b4_28db);
        fold(left ^ tail ^ 0x8ebc_6af0_9c88_c6e3, right ^ seed ^ 0x5899_65cc_7537_4cc3)
    }
}

/// A 64-bit hash of an address and a port: what a source is to the worker steering.
#[inline]
pub fn hash_endpoint(address: Ipv6Addr, port: u16, seed: u64) -> u64 {
    let [a, b] = halves(address.to_bits());
    let inner = fold(a ^ seed, b ^ 0xa076_1d64_78bd_642f);
    fold(inner ^ u64::from(port), seed ^ 0xe703_7ed1_a0b4_28db)
}

#[inline(always)]
const fn halves(bits: u128) -> [u64; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a 128-bit number")]
    [(bits >> 64) as u64, bits as u64]
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded together")]
    let folded = (product >> 64) as u64 ^ product as u64;
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reversed_twice_is_itself() {
        let key = FlowKey {
            source: Ipv6Addr::LOCALHOST,
            destination: Ipv6Addr::UNSPECIFIED,
            source_port: 1,
            destination_port: 2,
            protocol: Protocol::TCP,
        };
        assert_ne!(key.reversed(), key);
        assert_eq!(key.reversed().reversed(), key);
        assert!(key.is(&key));
        let others = [
            key.reversed(),
            FlowKey { source: Ipv6Addr::UNSPECIFIED, ..key },
            FlowKey { destination: Ipv6Addr::LOCALHOST, ..key },
            FlowKey { source_port: 2, ..key },
            FlowKey { destination_port: 1, ..key },
            FlowKey { protocol: Protocol::UDP, ..key },
        ];
        assert!(!others.iter().any(|other| key.is(other) || other == &key));
    }

    #[test]
    fn neighbouring_flows_spread_over_all_buckets() {
        let mut buckets = [0u32; 256];
        for port in 0..25_600u16 {
            let key = FlowKey {
                source: core::net::Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped(),
                destination: core::net::Ipv4Addr::new(192, 0, 2, 80).to_ipv6_mapped(),
                source_port: port,
                destination_port: 80,
                protocol: Protocol::TCP,
            };
            buckets[(key.hash(7) >> 56) as usize] += 1;
        }
        // 100 expected in each; six standard deviations either side.
        assert!(buckets.iter().all(|&n| (40..=160).contains(&n)), "{buckets:?}");
    }
}
