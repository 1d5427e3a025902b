//! A small immutable map from (scope, address) to a value, for look-ups on every packet.

use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use base::flow::hash_endpoint;

/// Open addressing at most half full, so a look-up ends after a slot or two. The scope is a
/// network or port number: link-local addresses mean different things on different links.
#[derive(Clone, Debug)]
pub struct AddressTable<V> {
    slots: Vec<Option<(u16, Ipv6Addr, V)>>,
    seed: u64,
}

impl<V> Default for AddressTable<V> {
    fn default() -> Self {
        Self { slots: Vec::new(), seed: 0 }
    }
}

impl<V: Copy> AddressTable<V> {
    /// Of two entries for the same address the first counts.
    pub fn build(seed: u64, entries: impl IntoIterator<Item = (u16, Ipv6Addr, V)>) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        if entries.is_empty() {
            return Self::default();
        }
        let mut table = Self { slots: vec![None; (entries.len() * 2).next_power_of_two()], seed };
        for (scope, address, value) in entries {
            let mut at = table.home(scope, address);
            while table.slots[at].is_some_and(|(s, a, _)| (s, a) != (scope, address)) {
                at = (at + 1) & (table.slots.len() - 1);
            }
            if table.slots[at].is_none() {
                table.slots[at] = Some((scope, address, value));
            }
        }
        table
    }

    /// The value of `address` in `scope`.
    #[inline]
    pub fn get(&self, scope: u16, address: Ipv6Addr) -> Option<V> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(scope, address);
        while let Some((s, a, value)) = self.slots[at] {
            if (s, a) == (scope, address) {
                return Some(value);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }

    /// Every entry, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Ipv6Addr, V)> + '_ {
        self.slots.iter().flatten().copied()
    }

    #[inline]
    fn home(&self, scope: u16, address: Ipv6Addr) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "masked to the table's size")]
        let hash = hash_endpoint(address, scope, self.seed) as usize;
        hash & (self.slots.len().wrapping_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_in_its_scope_and_nowhere_else() {
        let entries = (0..500u16).map(|n| (n % 3, Ipv6Addr::from_bits(u128::from(n / 3)), n));
        let table = AddressTable::build(9, entries.clone());
        assert_eq!(table.iter().count(), 500);
        for (scope, address, value) in entries {
            assert_eq!(table.get(scope, address), Some(value));
            assert_eq!(table.get(scope + 3, address), None);
        }
        assert_eq!(AddressTable::<u8>::default().get(0, Ipv6Addr::LOCALHOST), None);
    }
}
