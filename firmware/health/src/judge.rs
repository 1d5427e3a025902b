//! The judgement of one server: a machine whose inputs are what probes showed.
//!
//! ```text
//!             success                          successes = needed
//!   Unknown ───────────► Up ◄───────────────────────────────────┐
//!   (served)             │ ▲                                     │
//!      │          failure│ │success                              │
//!      │                 ▼ │                     success         │
//!      │               Suspect             Down ─────────► Recovering
//!      │               (served)             ▲ ▲                  │
//!      │                 │ failures = fall  │ │     failure      │
//!      │                 └──────────────────┘ └──────────────────┘
//!      │      failures = fall               │
//!      └────────────────────────────────────┘
//! ```
//!
//! With `fall` = 1 the first failure leads from Up to Down at once, and with one success needed
//! the first success from Down to Up. A void outcome moves nothing. The four arrows that change
//! whether a server is known good or known bad are the verdicts: into Up from Unknown, Down or
//! Recovering, and into Down from Unknown, Up or Suspect.

/// What is thought of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No verdict yet: served, because a box that has just started must not take servers away
    /// that others know to be good.
    Unknown {
        /// Failures in a row, fewer than `fall`.
        failures: u8,
    },
    /// Served.
    Up,
    /// Served, but the last probes failed.
    Suspect {
        /// Failures in a row, at least one and fewer than `fall`.
        failures: u8,
    },
    /// Not served.
    Down,
    /// Not served yet, but the last probes succeeded.
    Recovering {
        /// Successes in a row, at least one and fewer than needed.
        successes: u16,
    },
}

impl Standing {
    /// Whether the server may be given new flows.
    pub const fn served(self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Up | Self::Suspect { .. } => true,
            Self::Down | Self::Recovering { .. } => false,
        }
    }

    /// The standing without the counts towards another, for when what they count towards changes.
    pub const fn without_counts(self) -> Self {
        match self {
            Self::Unknown { .. } => Self::Unknown { failures: 0 },
            Self::Up | Self::Suspect { .. } => Self::Up,
            Self::Down | Self::Recovering { .. } => Self::Down,
        }
    }
}

/// What a probe showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    Success,
    Failure,
    Void,
}

/// A step into Up or Down that others must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Up,
    Down,
}

/// Where `evidence` leads from `standing`; `fall` failures take a server down, `needed` successes
/// bring it up.
pub const fn step(
    standing: Standing,
    evidence: Evidence,
    fall: u8,
    needed: u16,
) -> (Standing, Option<Verdict>) {
    use Evidence::{Failure, Success, Void};
    use Standing::{Down, Recovering, Suspect, Unknown, Up};
    match (standing, evidence) {
        (Unknown { .. } | Up | Suspect { .. } | Down | Recovering { .. }, Void) => (standing, None),
        (Unknown { .. }, Success) => (Up, Some(Verdict::Up)),
        (Unknown { failures }, Failure) => match failed(failures, fall) {
            Some(failures) => (Unknown { failures }, None),
            None => (Down, Some(Verdict::Down)),
        },
        (Up | Suspect { .. }, Success) => (Up, None),
        (Up, Failure) => match failed(0, fall) {
            Some(failures) => (Suspect { failures }, None),
            None => (Down, Some(Verdict::Down)),
        },
        (Suspect { failures }, Failure) => match failed(failures, fall) {
            Some(failures) => (Suspect { failures }, None),
            None => (Down, Some(Verdict::Down)),
        },
        (Down | Recovering { .. }, Failure) => (Down, None),
        (Down, Success) => recovered(0, needed),
        (Recovering { successes }, Success) => recovered(successes, needed),
    }
}

/// One failure more, or none if that makes `fall`.
const fn failed(failures: u8, fall: u8) -> Option<u8> {
    let failures = failures.saturating_add(1);
    if failures >= fall { None } else { Some(failures) }
}

const fn recovered(successes: u16, needed: u16) -> (Standing, Option<Verdict>) {
    let successes = successes.saturating_add(1);
    if successes >= needed {
        (Standing::Up, Some(Verdict::Up))
    } else {
        (Standing::Recovering { successes }, None)
    }
}

#[cfg(test)]
mod tests {
    use super::Evidence::{Failure, Success, Void};
    use super::Standing::{Down, Recovering, Suspect, Unknown, Up};
    use super::*;

    /// Every state with every input, `fall` 3 and `needed` 3; states with a count once below and
    /// once at the edge.
    #[test]
    fn every_input_in_every_state_leads_where_the_drawing_says() {
        let up = Some(Verdict::Up);
        let down = Some(Verdict::Down);
        #[rustfmt::skip]
        let table = [
            (Unknown { failures: 0 },     Success, Up, up),
            (Unknown { failures: 0 },     Failure, Unknown { failures: 1 }, None),
            (Unknown { failures: 0 },     Void,    Unknown { failures: 0 }, None),
            (Unknown { failures: 2 },     Success, Up, up),
            (Unknown { failures: 2 },     Failure, Down, down),
            (Unknown { failures: 2 },     Void,    Unknown { failures: 2 }, None),
            (Up,                          Success, Up, None),
            (Up,                          Failure, Suspect { failures: 1 }, None),
            (Up,                          Void,    Up, None),
            (Suspect { failures: 1 },     Success, Up, None),
            (Suspect { failures: 1 },     Failure, Suspect { failures: 2 }, None),
            (Suspect { failures: 1 },     Void,    Suspect { failures: 1 }, None),
            (Suspect { failures: 2 },     Success, Up, None),
            (Suspect { failures: 2 },     Failure, Down, down),
            (Suspect { failures: 2 },     Void,    Suspect { failures: 2 }, None),
            (Down,                        Success, Recovering { successes: 1 }, None),
            (Down,                        Failure, Down, None),
            (Down,                        Void,    Down, None),
            (Recovering { successes: 1 }, Success, Recovering { successes: 2 }, None),
            (Recovering { successes: 1 }, Failure, Down, None),
            (Recovering { successes: 1 }, Void,    Recovering { successes: 1 }, None),
            (Recovering { successes: 2 }, Success, Up, up),
            (Recovering { successes: 2 }, Failure, Down, None),
            (Recovering { successes: 2 }, Void,    Recovering { successes: 2 }, None),
        ];
        for (standing, evidence, next, verdict) in table {
            let got = step(standing, evidence, 3, 3);
            assert_eq!(got, (next, verdict), "{standing:?} {evidence:?}");
        }
    }

    #[test]
    fn counts_of_one_skip_the_states_in_between() {
        for standing in [Unknown { failures: 0 }, Up] {
            assert_eq!(step(standing, Failure, 1, 1), (Down, Some(Verdict::Down)));
        }
        assert_eq!(step(Down, Success, 1, 1), (Up, Some(Verdict::Up)));
    }

    #[test]
    fn a_verdict_is_given_exactly_when_served_changes_or_the_unknown_becomes_known() {
        let states = [
            Unknown { failures: 0 },
            Unknown { failures: 1 },
            Up,
            Suspect { failures: 1 },
            Down,
            Recovering { successes: 1 },
        ];
        for standing in states {
            for evidence in [Success, Failure, Void] {
                for counts in 1..4 {
                    let (next, verdict) = step(standing, evidence, counts, counts.into());
                    let unknown = |s| matches!(s, Unknown { .. });
                    let learned = unknown(standing) && !unknown(next);
                    let moved = standing.served() != next.served();
                    assert_eq!(verdict.is_some(), learned || moved, "{standing:?} {evidence:?}");
                }
            }
        }
    }
}
