//! What many probes have seen, each of one event.

use super::Outcome;
use super::file::{Gaps, Time};
use std::time::Duration;

/// Judges the longest gap of each probe.
pub(super) fn judge(gaps: &[Duration], wanted: &Gaps) -> Outcome {
    let mut sorted = gaps.to_vec();
    sorted.sort_unstable();
    let (median, nine) = (rank(&sorted, 5), rank(&sorted, 9));
    let all: Vec<String> = sorted.iter().map(|gap| shown(*gap)).collect();
    let seen = format!(
        "{} probes; median {} ms, nine of ten {} ms at most; {}",
        sorted.len(),
        shown(median),
        shown(nine),
        all.join(", ")
    );
    let within = |is: Duration, most: Option<Time>| most.is_none_or(|most| is <= most.0);
    let right = sorted.len() >= wanted.probes_at_least
        && within(median, wanted.median_at_most)
        && within(nine, wanted.nine_of_ten_at_most);
    if right { Ok(seen) } else { Err(seen) }
}

/// The least gap that so many tenths of all do not exceed.
fn rank(sorted: &[Duration], tenths: usize) -> Duration {
    let place = (sorted.len() * tenths).div_ceil(10).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

fn shown(gap: Duration) -> String {
    match gap {
        Duration::MAX => "without an end".into(),
        gap => gap.as_millis().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_nine_of_ten_are_judged() {
        let gaps: Vec<Duration> = (1..=10).rev().map(Duration::from_millis).collect();
        let time = |milliseconds| Some(Time(Duration::from_millis(milliseconds)));
        let wanted = |probes_at_least, median, nine| Gaps {
            probes_at_least,
            median_at_most: time(median),
            nine_of_ten_at_most: time(nine),
        };
        let cases = [(10, 5, 9, true), (11, 5, 9, false), (10, 4, 9, false), (10, 5, 8, false)];
        for (probes, median, nine, right) in cases {
            let judged = judge(&gaps, &wanted(probes, median, nine));
            assert_eq!(judged.is_ok(), right, "{probes} {median} {nine}: {judged:?}");
        }
        let endless = [Duration::from_millis(1), Duration::MAX];
        let told = judge(&endless, &wanted(2, 1, 100)).expect_err("one has no end");
        assert!(told.contains("nine of ten without an end"), "{told}");
        judge(&[], &wanted(1, 1, 1)).expect_err("nothing was probed");
    }
}
