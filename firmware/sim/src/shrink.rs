//! Smaller failures: fault classes that a failure does not need are left out.

use crate::options::Options;
use crate::plan::{Class, Classes};
use crate::run::run;

/// Leaves every class of faults out without which the seed still breaks the same promise.
pub fn shrink(seed: u64, options: &Options) -> Options {
    let checker = |options: &Options| run(seed, options).violation.map(|found| found.checker);
    let mut smallest = options.clone();
    let Some(wanted) = checker(&smallest) else { return smallest };
    for class in Class::ALL {
        let without = smallest.without.union(Classes::NONE.with(*class));
        let tried = Options { without, ..smallest.clone() };
        if without != smallest.without && checker(&tried) == Some(wanted) {
            smallest = tried;
        }
    }
    smallest
}
