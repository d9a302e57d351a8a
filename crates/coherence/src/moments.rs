//! Mean, variance and standard deviation: one sample at a time, merged, or of a whole slice.

use serde::{Deserialize, Serialize};

use crate::undefined::{Undefined, all_finite, enough, summed};

/// Sums run in this many lanes, so that the compiler vectorises them.
const LANES: usize = 16;
/// Samples of one block; block sums are added up pairwise in effect, which keeps the rounding error small.
const BLOCK: usize = 1_024;

/// Count, mean and sum of squared deviations of the samples seen: 24 bytes whatever their number.
///
/// One at a time by Welford, *Note on a method for calculating corrected sums of squares and products*, Technometrics 4(3), 1962;
/// merged by Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample variances*, 1979.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    mean: f64,
    m2: f64,
}

impl Moments {
    /// Of a whole slice, in any order; an empty one is the default. By the corrected two-pass algorithm: Chan, Golub and LeVeque,
    /// *Algorithms for computing the sample variance*, The American Statistician 37(3), 1983, equation 1.7.
    pub fn of(values: &[f64]) -> Result<Self, Undefined> {
        if values.is_empty() {
            return Ok(Self::default());
        }
        let count = values.len() as f64;
        let total = sum(values, |value| value);
        if !total.is_finite() {
            all_finite(values)?;
        }
        let mean = summed(total / count)?;
        let squares = sum(values, |value| (value - mean) * (value - mean));
        // What rounding left in the mean, taken out of the squares.
        let rest = sum(values, |value| value - mean);
        let m2 = summed(squares - rest * rest / count)?.max(0.0);
        Ok(Self { count: values.len() as u64, mean, m2 })
    }

    /// Takes one more sample in; one that is not finite is refused and changes nothing.
    pub fn add(&mut self, value: f64) -> Result<(), Undefined> {
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.m2 += before * (value - self.mean);
        Ok(())
    }

    /// Of the samples of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.count == 0 {
            return other;
        }
        if other.count == 0 {
            return self;
        }
        let count = self.count + other.count;
        let (ours, theirs, all) = (self.count as f64, other.count as f64, count as f64);
        let apart = other.mean - self.mean;
        let mean = self.mean + apart * (theirs / all);
        Self { count, mean, m2: self.m2 + other.m2 + apart * apart * ours * (theirs / all) }
    }

    /// How many samples there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their arithmetic mean, in their unit.
    pub fn mean(&self) -> Result<f64, Undefined> {
        self.at_least(1)?;
        summed(self.mean)
    }

    /// Sample variance, n - 1 in the denominator, in their unit squared.
    pub fn variance(&self) -> Result<f64, Undefined> {
        self.at_least(2)?;
        summed(self.m2 / (self.count - 1) as f64)
    }

    /// Sample standard deviation, n - 1 in the denominator, in their unit.
    pub fn stdev(&self) -> Result<f64, Undefined> {
        self.variance().map(f64::sqrt)
    }

    /// Population standard deviation, n in the denominator, in their unit; 0 for one sample.
    pub fn population_stdev(&self) -> Result<f64, Undefined> {
        self.at_least(1)?;
        summed((self.m2 / self.count as f64).sqrt())
    }

    /// Standard score of a value: how many sample standard deviations it lies above the mean.
    pub fn z(&self, value: f64) -> Result<f64, Undefined> {
        let stdev = self.stdev()?;
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        if stdev == 0.0 {
            return Err(Undefined::NoSpread);
        }
        summed((value - self.mean) / stdev)
    }

    fn at_least(&self, needs: usize) -> Result<(), Undefined> {
        enough(usize::try_from(self.count).unwrap_or(usize::MAX), needs)
    }
}

/// Arithmetic mean of a slice, in its unit.
pub fn mean(values: &[f64]) -> Result<f64, Undefined> {
    enough(values.len(), 1)?;
    let total = sum(values, |value| value);
    if !total.is_finite() {
        all_finite(values)?;
    }
    summed(total / values.len() as f64)
}

/// Sample standard deviation (n - 1) of a slice, in its unit.
pub fn stdev(values: &[f64]) -> Result<f64, Undefined> {
    Moments::of(values)?.stdev()
}

/// The sum of what `of` makes of each value: lanes within a block, blocks by Neumaier's compensated sum (ZAMM 54, 1974).
fn sum(values: &[f64], of: impl Fn(f64) -> f64) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0_f64);
    for block in values.chunks(BLOCK) {
        let part = block_sum(block, &of);
        let next = total + part;
        lost += if total.abs() >= part.abs() { (total - next) + part } else { (part - next) + total };
        total = next;
    }
    // An infinite total makes what was lost NaN, and is told as what it is.
    if total.is_finite() { total + lost } else { total }
}

fn block_sum(block: &[f64], of: &impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let (whole, rest) = block.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += of(*value);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for at in 0..width {
            lanes[at] += lanes[at + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests;
