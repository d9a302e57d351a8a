//! A metric over time.

use serde::{Deserialize, Serialize};

/// One measured value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, Unix ms.
    pub at_ms: i64,
    /// Finite: [`Series`] refuses what is not.
    pub value: f64,
}

/// Finite values in order of time, each moment once. Columns, because most statistics read values only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    at_ms: Vec<i64>,
    values: Vec<f64>,
}

impl Series {
    /// Of samples in any order. Of several at one moment the last counts; values that are not finite are left out and counted.
    pub fn of(samples: impl IntoIterator<Item = Sample>) -> (Self, usize) {
        let (mut finite, mut refused) = (Vec::new(), 0);
        for sample in samples {
            if sample.value.is_finite() { finite.push(sample) } else { refused += 1 }
        }
        // Stable, so that the last one given for a moment stays the last.
        finite.sort_by_key(|sample| sample.at_ms);
        let mut this = Self::default();
        for Sample { at_ms, value } in finite {
            if this.at_ms.last() == Some(&at_ms) {
                this.values.pop();
            } else {
                this.at_ms.push(at_ms);
            }
            this.values.push(value);
        }
        (this, refused)
    }

    /// Moments, Unix ms, strictly increasing.
    pub fn at_ms(&self) -> &[i64] {
        &self.at_ms
    }

    /// Values, in the order of [`Series::at_ms`].
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The samples, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Sample> + '_ {
        self.at_ms.iter().zip(&self.values).map(|(&at_ms, &value)| Sample { at_ms, value })
    }

    /// The samples with `from_ms <= at_ms < until_ms`, as columns.
    pub fn between(&self, from_ms: i64, until_ms: i64) -> (&[i64], &[f64]) {
        let from = self.at_ms.partition_point(|at| *at < from_ms);
        let until = self.at_ms.partition_point(|at| *at < until_ms).max(from);
        (&self.at_ms[from..until], &self.values[from..until])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_ordered_each_moment_once_and_only_what_is_finite() {
        let given = [(3, 3.0), (1, 1.0), (2, f64::NAN), (3, 4.0), (2, 2.0), (9, f64::INFINITY)];
        let (series, refused) = Series::of(given.map(|(at_ms, value)| Sample { at_ms, value }));
        assert_eq!((series.at_ms(), series.values(), refused), ([1, 2, 3].as_slice(), [1.0, 2.0, 4.0].as_slice(), 2));
        assert_eq!(series.between(2, 3), ([2].as_slice(), [2.0].as_slice()));
        assert_eq!(series.between(9, 1), ([].as_slice(), [].as_slice()));
    }
}
