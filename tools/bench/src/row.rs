//! One line of the table: a quantity, its samples, a peer's, and a bar.

use crate::statistics::{Estimate, estimate};
use std::fmt;

/// What a group found out about one quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The quantity: `frames/s, 64 octets, one worker`.
    pub what: String,
    /// Whose samples these are.
    pub subject: String,
    /// The unit of all samples.
    pub unit: Unit,
    /// One sample a round.
    pub samples: Vec<f64>,
    /// What they are compared with.
    pub peer: Option<Peer>,
    /// What they are judged by.
    pub bar: Option<Bar>,
    /// What must be known to read the figure.
    pub note: String,
}

/// The other side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Who or what it is.
    pub name: String,
    /// One sample a round; the n-th was measured in the round of the subject's n-th.
    pub samples: Vec<f64>,
}

/// What samples are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Things a second.
    PerSecond,
    /// Bits a second.
    BitsPerSecond,
    /// Seconds.
    Seconds,
    /// Octets.
    Octets,
    /// A share of one: 0.01 is a hundredth.
    Share,
    /// Guest instructions, slots and other things that are counted.
    Count,
}

/// What is asked of a row.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bar {
    /// What is judged.
    pub of: Of,
    /// Which side is right.
    pub side: Side,
    /// The limit, in the row's unit or as a ratio.
    pub limit: f64,
}

/// What a bar judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// The samples.
    Samples,
    /// Their ratio to the peer's.
    Ratio,
}

/// On which side of the limit it is right to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The limit or more.
    AtLeast,
    /// The limit or less.
    AtMost,
}

impl Row {
    /// A row of Portico's samples alone.
    pub fn new(what: impl Into<String>, unit: Unit, samples: Vec<f64>) -> Self {
        Self {
            what: what.into(),
            subject: "Portico".into(),
            unit,
            samples,
            peer: None,
            bar: None,
            note: String::new(),
        }
    }

    /// With samples of the same rounds to compare with.
    #[must_use]
    pub fn against(mut self, name: impl Into<String>, samples: Vec<f64>) -> Self {
        self.peer = Some(Peer { name: name.into(), samples });
        self
    }

    /// Of somebody else than Portico.
    #[must_use]
    pub fn of(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// With a bar.
    #[must_use]
    pub fn bar(mut self, of: Of, side: Side, limit: f64) -> Self {
        self.bar = Some(Bar { of, side, limit });
        self
    }

    /// With a remark.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The ratio subject to peer of each round.
    pub fn ratios(&self) -> Vec<f64> {
        let Some(peer) = &self.peer else { return Vec::new() };
        self.samples.iter().zip(&peer.samples).map(|(own, other)| own / other).collect()
    }

    /// Whether the bar is met: unless the whole interval lies on the wrong side. `None` without a
    /// bar, or without samples to judge.
    pub fn met(&self) -> Option<bool> {
        let bar = self.bar?;
        let judged = match bar.of {
            Of::Samples => estimate(&self.samples)?,
            Of::Ratio => estimate(&self.ratios())?,
        };
        Some(bar.is_met_by(&judged))
    }
}

impl Bar {
    /// A bar counts as met unless the whole interval lies on the wrong side.
    pub fn is_met_by(&self, estimate: &Estimate) -> bool {
        match self.side {
            Side::AtLeast => estimate.high >= self.limit,
            Side::AtMost => estimate.low <= self.limit,
        }
    }

    /// The bar as one reads it: `≥ 1.30×`, `≤ 100 ns`.
    pub fn shown(&self, unit: Unit) -> String {
        let side = match self.side {
            Side::AtLeast => "≥",
            Side::AtMost => "≤",
        };
        match self.of {
            Of::Samples => format!("{side} {}", unit.shown(self.limit)),
            Of::Ratio => format!("{side} {:.2}×", self.limit),
        }
    }
}

impl Unit {
    /// A value with its unit, in three digits: `1.23 M/s`, `45.6 µs`.
    pub fn shown(self, value: f64) -> String {
        let (factor, name) = self.scale(value);
        format!("{} {name}", digits(value / factor)).trim_end().to_owned()
    }

    /// A median with the ends of its interval, all in the unit that fits the median:
    /// `1.23 M/s (1.20–1.31)`.
    pub fn interval(self, Estimate { median, low, high, .. }: &Estimate) -> String {
        let (factor, _) = self.scale(*median);
        format!("{} ({}–{})", self.shown(*median), digits(low / factor), digits(high / factor))
    }

    /// The unit that leaves something in front of the point, and how many of ours it has.
    fn scale(self, value: f64) -> (f64, &'static str) {
        let (step, names): (f64, &[&'static str]) = match self {
            Self::PerSecond => (1e3, &["/s", "k/s", "M/s", "G/s"]),
            Self::BitsPerSecond => (1e3, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]),
            Self::Seconds => (1e3, &["ns", "µs", "ms", "s"]),
            Self::Octets => (1024.0, &["octets", "KiB", "MiB", "GiB"]),
            Self::Share => return (0.01, "%"),
            Self::Count => (1e3, &["", "k", "M", "G"]),
        };
        let mut factor = if self == Self::Seconds { 1e-9 } else { 1.0 };
        let mut names = names.iter().copied();
        let mut name = names.next().unwrap_or_default();
        for larger in names {
            if value.abs() < factor * step {
                break;
            }
            (factor, name) = (factor * step, larger);
        }
        (factor, name)
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}× ({:.2}–{:.2})", self.median, self.low, self.high)
    }
}

/// A value in three digits.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_three_digits() {
        for (unit, value, shown) in [
            (Unit::PerSecond, 654_321.0, "654 k/s"),
            (Unit::PerSecond, 1_234_567.0, "1.23 M/s"),
            (Unit::BitsPerSecond, 11.4e9, "11.4 Gbit/s"),
            (Unit::Seconds, 47.4e-9, "47.4 ns"),
            (Unit::Seconds, 0.0123, "12.3 ms"),
            (Unit::Seconds, 0.0, "0 ns"),
            (Unit::Octets, 64.0, "64.0 octets"),
            (Unit::Octets, 131_072.0, "128 KiB"),
            (Unit::Share, 0.005, "0.50 %"),
            (Unit::Count, 12.0, "12.0"),
        ] {
            assert_eq!(unit.shown(value), shown);
        }
    }

    #[test]
    fn an_interval_is_in_the_unit_of_its_median() {
        let estimate = Estimate { median: 1.2e6, low: 9e5, high: 2e6, coverage: 0.95 };
        assert_eq!(Unit::PerSecond.interval(&estimate), "1.20 M/s (0.90–2.00)");
    }

    #[test]
    fn a_bar_is_met_unless_the_whole_interval_is_on_the_wrong_side() {
        let row = |samples: Vec<f64>, peer: Vec<f64>, side, limit| {
            Row::new("x", Unit::PerSecond, samples).against("y", peer).bar(Of::Ratio, side, limit)
        };
        let (samples, peer) = (vec![10.0, 12.0, 14.0], vec![10.0, 10.0, 10.0]);
        for (side, limit, met) in [
            (Side::AtLeast, 1.3, true),
            (Side::AtLeast, 1.4, true),
            (Side::AtLeast, 1.41, false),
            (Side::AtMost, 1.0, true),
            (Side::AtMost, 0.99, false),
        ] {
            let row = row(samples.clone(), peer.clone(), side, limit);
            assert_eq!(row.met(), Some(met), "{side:?} {limit}");
        }
        assert_eq!(Row::new("x", Unit::Seconds, vec![1.0]).met(), None);
        let nothing = row(Vec::new(), Vec::new(), Side::AtLeast, 1.0);
        assert_eq!(nothing.met(), None);
    }

    #[test]
    fn ratios_are_those_of_the_rounds() {
        let row = Row::new("x", Unit::Seconds, vec![2.0, 9.0]).against("y", vec![1.0, 3.0]);
        assert_eq!(row.ratios(), [2.0, 3.0]);
    }
}
