//! One figure, in the shape that others read.

use serde::{Deserialize, Serialize};

/// A measured figure. Its names are a contract; docs/benchmarks.md explains them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// `group.figure`.
    pub(crate) name: String,
    /// The median of the runs.
    pub(crate) value: f64,
    /// What it is counted in.
    pub(crate) unit: String,
    /// What it is compared with, in the same unit: the other side of a comparison, or the value
    /// that was recorded before.
    pub(crate) baseline: Option<f64>,
    /// Each run.
    pub(crate) runs: Vec<f64>,
}

impl Figure {
    /// The median of `runs`.
    pub(crate) fn of(name: &str, unit: &str, runs: Vec<f64>) -> Self {
        let value = median(&runs);
        Self { name: name.to_owned(), value, unit: unit.to_owned(), baseline: None, runs }
    }

    /// The same, compared with the median of other runs.
    pub(crate) fn against(self, baseline: &[f64]) -> Self {
        Self { baseline: Some(median(baseline)), ..self }
    }

    /// The ratios of runs made in turns, pair by pair.
    pub(crate) fn ratio(name: &str, ours: &[f64], theirs: &[f64]) -> Self {
        let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        Self::of(name, "ratio", ratios)
    }
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = middle.checked_sub(1).and_then(|lower| sorted.get(lower)).copied();
    f64::midpoint(lower.unwrap_or(f64::NAN), upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_values_whatever_their_order() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_compares_the_runs_that_were_made_in_turn() {
        let figure = Figure::ratio("a.b", &[10.0, 30.0, 90.0], &[20.0, 30.0, 100.0]);
        assert_eq!(figure.runs, [0.5, 1.0, 0.9]);
        assert!((figure.value - 0.9).abs() < f64::EPSILON);
    }
}
