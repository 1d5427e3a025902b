//! How long to wait. The only place of the runner that reads the clock.

use std::time::{Duration, Instant};

/// A length of time after which waiting has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Duration);

impl Limit {
    /// For anything that includes a boot: ten times what software emulation takes on an idle
    /// machine.
    pub const BOOT: Self = Self(Duration::from_secs(60));
    /// For an answer of a guest that is up.
    pub const ANSWER: Self = Self(Duration::from_secs(20));
}

/// A moment to count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start(Instant);

impl Start {
    #[expect(clippy::disallowed_methods, reason = "a runner of real machines waits in real time")]
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn age(self) -> Duration {
        Self::now().0.duration_since(self.0)
    }

    /// What is left of a limit; nothing when it has passed.
    pub(crate) fn left(self, limit: Limit) -> Option<Duration> {
        limit.0.checked_sub(self.age()).filter(|left| !left.is_zero())
    }
}
