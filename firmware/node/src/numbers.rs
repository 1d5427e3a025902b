//! Numbers that forwarders know things by, over changes of the configuration: what stays keeps
//! its number, what is gone keeps it as long as a flow may refer to it.
//!
//! ```text
//!            named by the configuration        no longer named
//!   Free ───────────────────────────> Used ────────────────────> Leaving
//!    ^                                  ^        named again        │ │
//!    │                                  └───────────────────────────┘ │
//!    └──────────────────── no flow refers to it ──────────────────────┘
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// Who has which number.
#[derive(Clone, Debug)]
pub struct Numbers<K> {
    slots: Vec<Slot<K>>,
}

/// What a number stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot<K> {
    /// Something of the configuration.
    Used(K),
    /// Something that flows may still refer to, and from which generation of the tables on no new
    /// ones do.
    Leaving(K, u32),
    /// Nothing.
    Free,
}

/// There are not enough numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// How many are taken by what was removed and still has flows.
    pub leaving: usize,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaving = self.leaving;
        write!(f, "{leaving} removed servers or services still have flows, try again when they end")
    }
}

impl core::error::Error for Exhausted {}

impl<K: Ord + Clone> Numbers<K> {
    /// Nobody has one.
    pub const fn new() -> Self {
        Self { slots: Vec::new() }
    }

    /// What each number stands for.
    pub fn slots(&self) -> &[Slot<K>] {
        &self.slots
    }

    /// The numbers when the configuration names these, in this order. `generation` is that of the
    /// first tables which are built so; `idle` says of a number that leaves since some generation
    /// whether no flow refers to it any more.
    ///
    /// # Errors
    /// More than `most` would be needed.
    pub fn succeed(
        &self,
        named: impl IntoIterator<Item = K>,
        generation: u32,
        idle: impl Fn(usize, u32) -> bool,
        most: usize,
    ) -> Result<Self, Exhausted> {
        let mut slots: Vec<Slot<K>> = Vec::with_capacity(self.slots.len());
        let mut known: BTreeMap<K, usize> = BTreeMap::new();
        for (number, slot) in self.slots.iter().enumerate() {
            let slot = match slot {
                Slot::Used(key) => Slot::Leaving(key.clone(), generation),
                Slot::Leaving(_, since) if idle(number, *since) => Slot::Free,
                leaving @ Slot::Leaving(..) => leaving.clone(),
                Slot::Free => Slot::Free,
            };
            if let Slot::Leaving(key, _) = &slot {
                known.insert(key.clone(), number);
            }
            slots.push(slot);
        }
        let mut fresh = Vec::new();
        for key in named {
            match known.get(&key).and_then(|&number| slots.get_mut(number)) {
                Some(slot) => *slot = Slot::Used(key),
                None => fresh.push(key),
            }
        }
        let mut free = 0;
        for key in fresh {
            while slots.get(free).is_some_and(|slot| !matches!(slot, Slot::Free)) {
                free += 1;
            }
            match slots.get_mut(free) {
                Some(slot) => *slot = Slot::Used(key),
                None => slots.push(Slot::Used(key)),
            }
        }
        if slots.len() > most {
            let leaving = slots.iter().filter(|slot| matches!(slot, Slot::Leaving(..))).count();
            return Err(Exhausted { leaving });
        }
        Ok(Self { slots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Slot::{Free, Leaving, Used};

    fn never(_: usize, _: u32) -> bool {
        false
    }

    fn numbers(named: &str) -> Numbers<char> {
        Numbers::new().succeed(named.chars(), 1, never, 9).unwrap()
    }

    #[test]
    fn what_stays_keeps_its_number_and_what_goes_keeps_it_too() {
        let next = numbers("abc").succeed("cxa".chars(), 7, never, 9).unwrap();
        assert_eq!(next.slots(), [Used('a'), Leaving('b', 7), Used('c'), Used('x')]);
        let back = next.succeed("ab".chars(), 8, never, 9).unwrap();
        assert_eq!(back.slots(), [Used('a'), Used('b'), Leaving('c', 8), Leaving('x', 8)]);
    }

    #[test]
    fn a_number_is_given_again_once_no_flow_refers_to_it() {
        let gone = numbers("ab").succeed("b".chars(), 5, never, 9).unwrap();
        let busy = gone.succeed("bc".chars(), 6, |_, since| since < 5, 9).unwrap();
        assert_eq!(busy.slots(), [Leaving('a', 5), Used('b'), Used('c')]);
        let idle = gone.succeed("bc".chars(), 6, |number, since| (number, since) == (0, 5), 9);
        assert_eq!(idle.unwrap().slots(), [Used('c'), Used('b')]);
        let free = gone.succeed("b".chars(), 6, |_, _| true, 9).unwrap();
        assert_eq!(free.slots(), [Free, Used('b')]);
    }

    #[test]
    fn numbers_end() {
        let gone = numbers("abc").succeed("".chars(), 2, never, 3).unwrap();
        let error = gone.succeed("x".chars(), 3, never, 3).unwrap_err();
        assert_eq!(error, Exhausted { leaving: 3 });
        assert!(gone.succeed("x".chars(), 3, |_, _| true, 3).is_ok());
    }
}
