//! A few numbers that stand for many.

use serde::Serialize;

/// The summary of some samples; all zero without any.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) max: f64,
}

impl Summary {
    pub(crate) fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            sorted
                .get((sorted.len().saturating_sub(1) * percent + 50) / 100)
                .copied()
                .unwrap_or(0.0)
        };
        Self {
            count: sorted.len(),
            min: at(0),
            median: at(50),
            p90: at(90),
            max: at(100),
        }
    }
}

/// The median of what each sample is to the other's of the same round, where both have one of each: what a slow second of
/// the machine does to both is not in it.
pub(crate) fn paired(samples: &[f64], base: &[f64]) -> Option<f64> {
    if samples.len() != base.len() {
        return None;
    }
    let ratios: Vec<f64> = samples
        .iter()
        .zip(base)
        .map(|(one, other)| one / other)
        .collect();
    Some(Summary::of(&ratios).median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let summary = Summary::of(&[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((summary.min, summary.median, summary.max), (1.0, 3.0, 5.0));
        assert_eq!(Summary::of(&[]).count, 0);
    }

    #[test]
    fn a_slow_round_does_not_change_what_is_compared_in_pairs() {
        let (base, other) = ([1.0, 10.0, 10.0, 1.0, 1.0], [2.0, 20.0, 20.0, 2.0, 2.0]);
        assert_eq!(paired(&other, &base), Some(2.0));
        assert_eq!(paired(&other, &base[1..]), None);
    }
}
