//! What was heard already, of one sender on one channel and network (RFC 4303 §3.4.3).

/// Accepts every counter once, in any order within the last 128.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// The highest counter that was accepted; counters begin at 1.
    highest: u64,
    /// Bit `n`: `highest - n` was accepted.
    heard: u128,
}

impl Window {
    /// Whether this counter may still be accepted.
    pub fn is_new(&self, counter: u64) -> bool {
        if counter == 0 {
            return false;
        }
        match self.highest.checked_sub(counter) {
            None => true,
            Some(age) => age < 128 && self.heard >> age & 1 == 0,
        }
    }

    /// Accepts it: only for what is sealed well, or a stranger could close the window.
    pub fn accept(&mut self, counter: u64) {
        if let Some(ahead) = counter.checked_sub(self.highest) {
            let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.heard = self.heard.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = counter;
        } else {
            let age = self.highest - counter;
            if age < 128 {
                self.heard |= 1 << age;
            }
        }
    }
}
