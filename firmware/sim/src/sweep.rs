//! Many seeds, on all cores.

use crate::options::Options;
use crate::run::{Outcome, run};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many were run.
    pub seeds: u64,
    /// Those that failed, and how.
    pub failures: BTreeMap<u64, String>,
    /// Simulated seconds, of all together.
    pub seconds: u64,
    /// Events, of all together.
    pub events: u64,
}

/// Runs every seed of a range on `jobs` threads and hands each failure to `report` as it is found;
/// `progress` hears how many have been run.
pub fn sweep(
    seeds: Range<u64>,
    jobs: usize,
    options: &Options,
    report: impl Fn(u64, &str) + Sync,
    progress: impl Fn(u64) + Sync,
) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = one(seed, options);
                    let failure = outcome.as_ref().map_or_else(
                        |panic| Some(format!("panic: {panic}")),
                        |outcome| outcome.violation.as_ref().map(ToString::to_string),
                    );
                    if let Some(text) = &failure {
                        report(seed, text);
                    }
                    let Ok(mut summary) = summary.lock() else { return };
                    summary.seeds += 1;
                    progress(summary.seeds);
                    if let Ok(outcome) = outcome {
                        summary.seconds += outcome.seconds;
                        summary.events += outcome.events;
                    }
                    summary.failures.extend(failure.map(|text| (seed, text)));
                }
            });
        }
    });
    summary.into_inner().unwrap_or_default()
}

/// One seed; a panic of a core is a failure like any other.
fn one(seed: u64, options: &Options) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, options))).map_err(|panic| {
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default()
    })
}
