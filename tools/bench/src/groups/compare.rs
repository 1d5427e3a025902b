//! Portico beside each of its peers, one row for each.

use crate::arrangement::{Front, Set};
use crate::rounds::Samples;
use crate::row::{Of, Row, Side, Unit};
use crate::{BenchError, Options};

/// A quantity as it stands in the table.
#[derive(Debug, Clone, Copy)]
pub struct Quantity<'a> {
    /// Its number among those that are sampled.
    pub number: usize,
    /// What it is.
    pub what: &'a str,
    /// Its unit.
    pub unit: Unit,
    /// What the ratio to some peers should be.
    pub bars: &'a [(Front, Side, f64)],
    /// What must be known to read it.
    pub note: &'a str,
}

/// Builds a set for each forwarder.
///
/// # Errors
/// What could not be built.
pub fn sets(options: &Options, fronts: &[Front]) -> Result<Vec<Set>, BenchError> {
    fronts.iter().map(|front| Set::new(options, *front)).collect()
}

/// The rows of some quantities: the first of `fronts` is Portico, the others its peers.
pub fn rows(samples: &Samples, fronts: &[Front], quantities: &[Quantity<'_>]) -> Vec<Row> {
    let mut rows = Vec::new();
    for quantity in quantities {
        for (subject, front) in fronts.iter().enumerate().skip(1) {
            let row = Row::new(quantity.what, quantity.unit, samples.of(0, quantity.number));
            let row = row.against(front.label(), samples.of(subject, quantity.number));
            let row = row.note(if subject == 1 { quantity.note } else { "" });
            let bar = quantity.bars.iter().find(|(of, ..)| of == front);
            rows.push(match bar {
                Some((_, side, limit)) => row.bar(Of::Ratio, *side, *limit),
                None => row,
            });
        }
    }
    rows
}
