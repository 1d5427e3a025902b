//! Medians with their uncertainty, without assuming how samples are distributed.

/// A median and the interval in which it lies.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// The median of the samples.
    pub median: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How probably the interval covers the true median, 0 to 1: at least 0.95 from six samples
    /// on; with fewer it is the whole range of the samples and covers less.
    pub coverage: f64,
}

/// How probably an interval must cover the median.
const WANTED: f64 = 0.95;

/// The median of some samples and its interval between two order statistics: the k-th smallest
/// and the k-th largest sample enclose the median unless fewer than k samples fall on one side of
/// it, and how many do is binomial whatever the distribution (David and Nagaraja, *Order
/// Statistics*, §7.1). `None` without samples or where one is not a number.
pub fn estimate(samples: &[f64]) -> Option<Estimate> {
    if samples.is_empty() || samples.iter().any(|sample| !sample.is_finite()) {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    let (mut rank, mut coverage) = (1, 1.0 - 2.0 * tail(count, 0));
    while rank < count.div_ceil(2) && 1.0 - 2.0 * tail(count, rank) >= WANTED {
        coverage = 1.0 - 2.0 * tail(count, rank);
        rank += 1;
    }
    let median = quantile(&sorted, 0.5);
    Some(Estimate { median, low: sorted[rank - 1], high: sorted[count - rank], coverage })
}

/// How probably at most `most` of `count` fair coins fall on one side.
fn tail(count: usize, most: usize) -> f64 {
    let mut term = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut sum = term;
    for index in 0..most {
        term *= (count - index) as f64 / (index + 1) as f64;
        sum += term;
    }
    sum
}

/// The value below which that share of sorted samples lies, between neighbors in proportion.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // Ranks of 95 % intervals for a median, as printed in tables of the sign test.
        for (count, rank) in [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8), (30, 10)]
        {
            let samples: Vec<f64> = (1..=count).map(f64::from).collect();
            let estimate = estimate(&samples).expect("there are samples");
            assert_eq!(estimate.low, f64::from(rank), "{count} samples");
            assert_eq!(estimate.high, f64::from(count + 1 - rank), "{count} samples");
            assert!(estimate.coverage >= 0.95, "{count}: {estimate:?}");
        }
    }

    #[test]
    fn few_samples_give_their_range_and_say_what_it_covers() {
        let three = estimate(&[3.0, 1.0, 2.0]).expect("there are samples");
        assert_eq!((three.low, three.median, three.high), (1.0, 2.0, 3.0));
        assert_eq!(three.coverage, 0.75);
        let one = estimate(&[7.0]).expect("there is a sample");
        assert_eq!((one.low, one.median, one.high, one.coverage), (7.0, 7.0, 7.0, 0.0));
    }

    #[test]
    fn what_is_no_number_gives_no_estimate() {
        assert_eq!(estimate(&[]), None);
        assert_eq!(estimate(&[1.0, f64::NAN]), None);
        assert_eq!(estimate(&[1.0, f64::INFINITY]), None);
    }

    #[test]
    fn quantiles_lie_between_neighbors() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        for (share, value) in [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (0.25, 1.75)] {
            assert_eq!(quantile(&sorted, share), value, "{share}");
        }
        assert!(quantile(&[], 0.5).is_nan());
    }
}
